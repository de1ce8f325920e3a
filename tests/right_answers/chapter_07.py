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


def by_interpolation(step, highest, duration, warm_up, cool_down):
    rising = 1.0 if step >= warm_up else (step + 1) / warm_up
    part = np.interp(step, [duration - cool_down, duration], [0, np.pi])
    return highest * rising * np.cos(part / 2) ** 2


def backwards(step, highest, duration, warm_up, cool_down):
    left = duration - step
    if left <= 0:
        return 0
    if left < cool_down:
        return np.float64(highest * np.sin(np.pi / 2 * left / cool_down) ** 2)
    return min(highest, highest * (step + 1) / warm_up) if warm_up else highest


exercise_2 = [by_interpolation, backwards]


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
