"""Solutions to the exercises of notebook 7, optimizers."""

import numpy as np

from layernet import Optimizer


def exercise_1(parameters, gradients, velocity, learning_rate, momentum):
    """The velocity is a new array, so that the argument stays as it is.

    The parameters then move as if the velocity of the next step were known but for its gradient: it will be the
    momentum times this velocity, and this gradient is the best guess of the next. `SGD(nesterov=True)` has the
    same two lines.
    """
    push = learning_rate * gradients
    velocity = momentum * velocity - push
    return parameters + momentum * velocity - push, velocity


def exercise_2(features, momentum):
    """Along an eigenvector with eigenvalue c of the Hessian, a step is a linear map of (deviation, velocity).

    Let d be the deviation w - w*. Since the velocity is the last change of d, the next deviation is
    d_next = (1 + m - rate * c) d - m d_before. A solution r**t satisfies r**2 - (1 + m - rate * c) r + m = 0.
    Both roots lie inside the unit circle while rate * c < 2 (1 + m); at the bound, one root is -1.
    The largest eigenvalue gives the smallest bound.
    """
    largest = np.linalg.eigvalsh(features.T @ features / len(features))[-1]
    return 2 * (1 + momentum) / largest


class Adamax(Optimizer):
    """Adam with the largest gradient so far, slowly forgotten, in the place of the root mean square.

    The memories are views of one block of a longer vector, therefore all changes are in place: `mean = ...`
    would name a new array, and the memory would stay zero. `largest` starts at zero and takes the first
    gradient whole, so it has no bias to correct; the mean has. Where all gradients were zero, epsilon keeps 0/0
    away.
    """

    slots = ("mean", "largest")

    def __init__(self, learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        super().__init__(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradients
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


exercise_3 = Adamax
