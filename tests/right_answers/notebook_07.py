"""Right answers to the exercises of notebook 7, in unusual forms."""

import numpy as np

from layernet import Optimizer


def in_one_line(parameters, gradients, velocity, learning_rate, momentum):
    ahead = momentum**2 * velocity - (1 + momentum) * learning_rate * gradients
    return [parameters + ahead, momentum * velocity - learning_rate * gradients]


def number_by_number(parameters, gradients, velocity, learning_rate, momentum):
    pairs = []
    for w, g, v in zip(parameters, gradients, velocity, strict=True):
        new = momentum * v - learning_rate * g
        pairs.append((w + momentum * new - learning_rate * g, new))
    return tuple(map(list, zip(*pairs, strict=True)))


exercise_1 = [in_one_line, number_by_number]


def by_singular_values(features, momentum):
    return np.float64(2 + 2 * momentum) * len(features) / np.linalg.svd(features)[1][0] ** 2


def by_the_rows(features, momentum):
    gram = features @ features.T / len(features)  # the same eigenvalues, but for zeros
    return [[2 * (1 + momentum) / max(np.linalg.eigvalsh(gram))]][0][0]


exercise_2 = [by_singular_values, by_the_rows]


class OtherNames(Optimizer):
    slots = ("u", "m")

    def __init__(self, learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        super().__init__(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def move(self, parameters, gradients, learning_rate, u, m):
        m[...] = self.beta_1 * m + (1 - self.beta_1) * gradients
        u[...] = np.fmax(self.beta_2 * u, abs(gradients))
        rate = learning_rate / (1 - self.beta_1**self.steps)
        np.subtract(parameters, rate * m / (u + self.epsilon), out=parameters)


class OneMoreMemory(OtherNames):
    """It also keeps the sum of all gradients, of which nobody asks."""

    slots = ("u", "m", "total")

    def move(self, parameters, gradients, learning_rate, u, m, total):
        total += gradients
        super().move(parameters, gradients, learning_rate, u, m)


exercise_3 = [OtherNames, OneMoreMemory]
