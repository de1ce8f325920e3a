"""Plausible wrong answers to the exercises of notebook 7."""

import math

import numpy as np
from solutions.chapter_07 import Adamax

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


def schedule(rise=lambda step, warm_up: (step + 1) / warm_up, fall=None, from_zero=False, clipped=True):
    """The solution with one of its parts replaced."""

    def learning_rate(step, highest, duration, warm_up, cool_down):
        if step < warm_up:
            return highest * rise(step, warm_up)
        if step < duration - cool_down:
            return highest
        begin = warm_up if from_zero else duration - cool_down
        progress = (step - begin) / (duration - begin)
        progress = min(1.0, progress) if clipped else progress
        return highest * (fall(progress) if fall else (1 + math.cos(math.pi * progress)) / 2)

    return learning_rate


def divides_by_the_warm_up(step, highest, duration, warm_up, cool_down):
    if step >= duration:
        return 0.0
    rising = (step + 1) / warm_up  # zero where there is no warm-up
    falling = (1 + math.cos(math.pi * max(0.0, (step - duration + cool_down) / cool_down))) / 2
    return highest * min(1.0, rising) * falling


def a_plateau_for_ever(step, highest, duration, warm_up, cool_down):
    return highest * min(1.0, (step + 1) / max(1, warm_up))  # no cool-down


def too_late(step, highest, duration, warm_up, cool_down):
    return schedule()(max(0, step - 1), highest, duration, warm_up, cool_down)  # counts steps from 1


def nothing_in_the_cool_down(step, highest, duration, warm_up, cool_down):
    if step < duration - cool_down:  # the last branch is forgotten
        return schedule()(step, highest, duration, warm_up, cool_down)
    return None


def at_most_one_plateau(step, highest, duration, warm_up, cool_down):
    # The cool-down has the length that was seen in the text's picture.
    return schedule()(step, highest, duration, warm_up, min(cool_down, 40) if duration > 90 else duration // 2)


exercise_2 = [
    schedule(rise=lambda step, warm_up: step / warm_up),  # the first step does nothing
    schedule(fall=lambda progress: 1 - progress),  # a line in place of the cosine
    schedule(fall=lambda progress: math.cos(math.pi / 2 * progress)),  # a quarter of a cosine
    schedule(from_zero=True),  # the cosine begins where the warm-up ends, so the rate jumps
    schedule(clipped=False),  # comes up again after the end
    divides_by_the_warm_up,
    a_plateau_for_ever,
    too_late,
    nothing_in_the_cool_down,
    at_most_one_plateau,
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
