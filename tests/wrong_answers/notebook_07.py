"""Plausible wrong answers to the exercises of notebook 7."""

import numpy as np
from solutions.notebook_07 import Adamax

from layernet import Optimizer


def without_looking_ahead(parameters, gradients, velocity, learning_rate, momentum):
    velocity = momentum * velocity - learning_rate * gradients
    return parameters + velocity, velocity  # plain momentum


def old_velocity(parameters, gradients, velocity, learning_rate, momentum):
    push = learning_rate * gradients
    return parameters + momentum * velocity - push, momentum * velocity - push  # moves by the velocity before


def written_to_the_arguments(parameters, gradients, velocity, learning_rate, momentum):
    velocity *= momentum  # in place
    velocity -= learning_rate * gradients
    parameters += momentum * velocity - learning_rate * gradients
    return parameters, velocity


def rate_outside(parameters, gradients, velocity, learning_rate, momentum):
    velocity = momentum * velocity + gradients  # another sign and another unit, as in PyTorch
    return parameters - learning_rate * (gradients + momentum * velocity), velocity


def averaged(parameters, gradients, velocity, learning_rate, momentum):
    push = learning_rate * (1 - momentum) * gradients  # a mean of gradients in place of a sum
    velocity = momentum * velocity - push
    return parameters + momentum * velocity - push, velocity


def only_the_parameters(parameters, gradients, velocity, learning_rate, momentum):
    velocity = momentum * velocity - learning_rate * gradients
    return parameters + momentum * velocity - learning_rate * gradients  # the velocity is lost


def in_the_other_order(parameters, gradients, velocity, learning_rate, momentum):
    velocity = momentum * velocity - learning_rate * gradients
    return velocity, parameters + momentum * velocity - learning_rate * gradients  # velocity first


exercise_1 = [
    without_looking_ahead,
    old_velocity,
    written_to_the_arguments,
    rate_outside,
    averaged,
    only_the_parameters,
    in_the_other_order,
]


def without_momentum(features, momentum):
    return 2 / np.linalg.eigvalsh(features.T @ features / len(features))[-1]  # the bound of plain descent


def divided_by_one_minus_momentum(features, momentum):
    return without_momentum(features, 0) * (1 - momentum)  # the effective rate, not the bound


def not_divided_by_the_rows(features, momentum):
    return 2 * (1 + momentum) / np.linalg.eigvalsh(features.T @ features)[-1]


def smallest_eigenvalue(features, momentum):
    return 2 * (1 + momentum) / np.linalg.eigvalsh(features.T @ features / len(features))[0]


def singular_value_not_squared(features, momentum):
    return 2 * (1 + momentum) / (np.linalg.norm(features, 2) / len(features))


def of_the_full_squared_error(features, momentum):
    return (1 + momentum) * without_momentum(features, 0) / 2  # the loss without its half


def trace_for_the_largest(features, momentum):
    return 2 * (1 + momentum) / np.trace(features.T @ features / len(features))  # safe, and too small


exercise_2 = [
    without_momentum,
    divided_by_one_minus_momentum,
    not_divided_by_the_rows,
    smallest_eigenvalue,
    singular_value_not_squared,
    of_the_full_squared_error,
    trace_for_the_largest,
]


class NewArrays(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean = self.beta_1 * mean + (1 - self.beta_1) * gradients  # a new array: the memory stays zero
        largest = np.maximum(self.beta_2 * largest, np.abs(gradients))
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


class NothingMoves(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        return parameters - learning_rate * mean / (largest + self.epsilon)  # the network stays as it is


class Uncorrected(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        parameters -= learning_rate * mean / (largest + self.epsilon)  # the bias of the mean is left in


class CountsCalls(Adamax):
    calls = 0

    def move(self, parameters, gradients, learning_rate, mean, largest):
        self.calls += 1  # blocks, not steps
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        parameters -= learning_rate / (1 - self.beta_1**self.calls) * mean / (largest + self.epsilon)


class OwnRate(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        # The constructor's rate is a function where there is a schedule.
        parameters -= self.learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


class NeverForgets(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(largest, np.abs(gradients), out=largest)  # without beta_2
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


class WithoutAbsolute(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, gradients, out=largest)  # negative gradients are not seen
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


class FixedConstants(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += 0.1 * (gradients - mean)  # right for the defaults only
        np.maximum(0.999 * largest, np.abs(gradients), out=largest)
        parameters -= learning_rate / (1 - 0.9**self.steps) * mean / (largest + 1e-8)


class WithoutEpsilon(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.maximum(self.beta_2 * largest, np.abs(gradients), out=largest)
        with np.errstate(invalid="ignore"):
            parameters -= (
                learning_rate / (1 - self.beta_1**self.steps) * mean / largest
            )  # 0/0 for a gradient of 0


class ChangesGradients(Adamax):
    def move(self, parameters, gradients, learning_rate, mean, largest):
        mean += (1 - self.beta_1) * (gradients - mean)
        np.abs(gradients, out=gradients)  # overwrites what belongs to the network
        np.maximum(self.beta_2 * largest, gradients, out=largest)
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * mean / (largest + self.epsilon)


class MemoryOfItsOwn(Optimizer):
    def __init__(self, learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        super().__init__(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.mean = self.largest = 0.0

    def move(self, parameters, gradients, learning_rate):
        # No slots: blocks are mixed up, and nothing is saved.
        self.mean = self.beta_1 * self.mean + (1 - self.beta_1) * gradients
        self.largest = np.maximum(self.beta_2 * self.largest, np.abs(gradients))
        parameters -= learning_rate / (1 - self.beta_1**self.steps) * self.mean / (self.largest + self.epsilon)


exercise_3 = [
    NewArrays,
    NothingMoves,
    Uncorrected,
    CountsCalls,
    OwnRate,
    NeverForgets,
    WithoutAbsolute,
    FixedConstants,
    WithoutEpsilon,
    ChangesGradients,
    MemoryOfItsOwn,
    Adamax(),  # an object, where the class is asked for
]
