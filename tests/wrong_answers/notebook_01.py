"""Plausible wrong answers to the exercises of notebook 1."""

import numpy as np
from solutions.notebook_01 import Corrected, ParametricReLU

from layernet import Layer
from layernet.exercises.notebook_01 import Center, Gate, UnitLength


def without_grad_output(inputs, grad_output):
    return 1 / (1 + np.abs(inputs)) ** 2


def not_squared(inputs, grad_output):
    return grad_output / (1 + np.abs(inputs))


def right_for_positive_inputs(inputs, grad_output):
    return grad_output / (1 + inputs) ** 2


def quotient_rule_without_sign(inputs, grad_output):
    # The derivative of |x| is the sign of x, and not 1.
    return grad_output * (1 + np.abs(inputs) - inputs) / (1 + np.abs(inputs)) ** 2


def summed_over_the_batch(inputs, grad_output):
    return (grad_output / (1 + np.abs(inputs)) ** 2).sum(axis=0)


def written_to_grad_output(inputs, grad_output):
    grad_output /= (1 + np.abs(inputs)) ** 2
    return grad_output


def written_to_inputs(inputs, grad_output):
    np.abs(inputs, out=inputs)
    return grad_output / (1 + inputs) ** 2


def by_coarse_differences(inputs, grad_output, h=0.01):
    # Right to four digits only.
    ahead, behind = ((inputs + step) / (1 + np.abs(inputs + step)) for step in (h, -h))
    return grad_output * (ahead - behind) / (2 * h)


exercise_1 = [
    without_grad_output,
    not_squared,
    right_for_positive_inputs,
    quotient_rule_without_sign,
    summed_over_the_batch,
    written_to_grad_output,
    written_to_inputs,
    by_coarse_differences,
]


class MeanOverTheBatch(ParametricReLU):
    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).mean(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class SumOverEverything(ParametricReLU):
    # One number, which NumPy stretches over all features.
    def backward_pass(self, inputs, grad_output):
        self.grad_slope[...] = (grad_output * np.minimum(inputs, 0)).sum()
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class Accumulated(ParametricReLU):
    def backward_pass(self, inputs, grad_output):
        self.grad_slope += (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class WithoutGradOutput(ParametricReLU):
    def backward_pass(self, inputs, grad_output):
        self.grad_slope = np.minimum(inputs, 0).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class NegativeSideStopped(ParametricReLU):
    # As for a rectifier without a slope.
    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return grad_output * (inputs > 0)


class BranchByTheOutputs(ParametricReLU):
    # With a negative slope, a negative input has a positive output.
    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        self.grad_slope = (grad_output * np.where(outputs > 0, 0, inputs)).sum(axis=0)
        return np.where(outputs > 0, grad_output, self.slope * grad_output)


class OneSlopeForAll(Layer):
    def create_parameters(self, input_shape):
        self.add_parameter("slope", 1, "zeros")

    def forward_pass(self, inputs):
        return np.maximum(inputs, 0) + self.slope * np.minimum(inputs, 0)

    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).sum(keepdims=True)[0]
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class AnotherName(ParametricReLU):
    def create_parameters(self, input_shape):
        self.add_parameter("slopes", input_shape, "zeros")

    def forward_pass(self, inputs):
        return np.maximum(inputs, 0) + self.slopes * np.minimum(inputs, 0)

    def backward_pass(self, inputs, grad_output):
        self.grad_slopes = (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slopes * grad_output)


class WrittenToInputs(ParametricReLU):
    def forward_pass(self, inputs):
        inputs[inputs < 0] *= np.broadcast_to(self.slope, inputs.shape)[inputs < 0]
        return inputs

    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


class SlopeAsAnAttribute(Layer):
    # Not named as a parameter, so no optimizer will ever see it.
    def create_parameters(self, input_shape):
        self.slope = np.zeros(input_shape)

    def forward_pass(self, inputs):
        return np.maximum(inputs, 0) + self.slope * np.minimum(inputs, 0)

    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


exercise_2 = [
    MeanOverTheBatch,
    SumOverEverything,
    Accumulated,
    WithoutGradOutput,
    NegativeSideStopped,
    BranchByTheOutputs,
    OneSlopeForAll,
    AnotherName,
    WrittenToInputs,
    SlopeAsAnAttribute,
    ParametricReLU(),  # a layer, where the class was asked for
]


class NotDividedByTheLength(Corrected):
    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        return grad_output - outputs * (grad_output * outputs).sum(axis=1, keepdims=True)


class WithInputsForOutputs(Corrected):
    # y_i y_j has become x_i x_j.
    def backward_pass(self, inputs, grad_output):
        along = (grad_output * inputs).sum(axis=1, keepdims=True)
        return (grad_output - inputs * along) / self.length(inputs)


class DiagonalOnly(Corrected):
    # Only dy_i / dx_i, as if it were a function of single numbers.
    def backward_pass(self, inputs, grad_output):
        return grad_output * (1 - self.forward_pass(inputs) ** 2) / self.length(inputs)


class SummedOverTheBatch(Corrected):
    # The wrong axis: for as many rows as features the shapes fit.
    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        return (grad_output - outputs * (grad_output * outputs).sum(axis=0)) / self.length(inputs)


class WithAPlus(Corrected):
    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        return (grad_output + outputs * (grad_output * outputs).sum(axis=1, keepdims=True)) / self.length(
            inputs
        )


class WithTheMatrix(Corrected):
    # Right numbers, at a price that grows with the square of the features.
    def backward_pass(self, inputs, grad_output):
        y = self.forward_pass(inputs)
        rows = [(np.eye(len(row)) - np.outer(row, row)) @ g for row, g in zip(y, grad_output, strict=True)]
        return np.reshape(rows, inputs.shape).astype(inputs.dtype) / self.length(inputs)


class LengthOfTheBatch(Corrected):
    # One length for all rows.
    def length(self, inputs):
        return np.sqrt(1e-6 + (inputs**2).sum())


class WithoutTheSmallNumber(Corrected):
    # Another layer: a row of zeros has no direction.
    def length(self, inputs):
        return np.sqrt((inputs**2).sum(axis=1, keepdims=True))


class SmallNumberOutside(Corrected):
    # Another layer, hardly to be told from it on rows of a usual length.
    def length(self, inputs):
        return np.sqrt((inputs**2).sum(axis=1, keepdims=True)) + 1e-9


class LengthWithoutTheSmallNumber(Corrected):
    # Right on the way forward; the way back forgets the small number, and a row of zeros divides by zero.
    def backward_pass(self, inputs, grad_output):
        length = np.sqrt((inputs**2).sum(axis=1, keepdims=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            outputs = inputs / length
            return (grad_output - outputs * (grad_output * outputs).sum(axis=1, keepdims=True)) / length


exercise_3 = [
    UnitLength,  # as it was
    Gate,  # innocent
    Center,  # innocent
    NotDividedByTheLength,
    WithInputsForOutputs,
    DiagonalOnly,
    SummedOverTheBatch,
    WithAPlus,
    WithTheMatrix,
    LengthOfTheBatch,
    Corrected(),  # a layer, where the class was asked for
    WithoutTheSmallNumber,
    SmallNumberOutside,
    LengthWithoutTheSmallNumber,
]
