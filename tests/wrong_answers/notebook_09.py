"""Plausible wrong answers to the exercises of notebook 9."""

import numpy as np
from solutions.notebook_09 import AttentionPooling, RadialBasis


def without_the_inner_factor(inputs, grad_output, a):
    return grad_output * (1 + np.sin(2 * inputs))  # right for a = 1 only


def without_the_line(inputs, grad_output, a):
    return grad_output * np.sin(2 * a * inputs)  # the slope of x is left out


def division_kept(inputs, grad_output, a):
    return grad_output * (1 + np.sin(2 * a * inputs) / a)  # the inner slope is left out


def only_the_square(inputs, grad_output, a):
    return grad_output * (1 + 2 * np.sin(a * inputs))  # the cosine is left out


def slope_alone(inputs, grad_output, a):
    return 1 + np.sin(2 * a * inputs)  # no chain rule


def in_place(inputs, grad_output, a):
    grad_output *= 1 + np.sin(2 * a * inputs)  # writes to its argument
    return grad_output


def forward_again(inputs, grad_output, a):
    return grad_output * (inputs + np.sin(a * inputs) ** 2 / a)  # the function, not its slope


exercise_1 = [
    without_the_inner_factor,
    without_the_line,
    division_kept,
    only_the_square,
    slope_alone,
    in_place,
    forward_again,
]


class WithoutSharpness(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        away, squared = self._distances(inputs)
        slope = grad_output * np.exp(-self.sharpness * squared)
        self.grad_centers = 2 * (slope[:, :, None] * away).sum(axis=0)  # the factor s is missing
        return grad_inputs


class MeanOverTheBatch(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_centers = self.grad_centers / max(1, len(inputs))  # the mean in place of the sum
        return grad_inputs


class WrongSign(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_centers = -self.grad_centers  # centers move as the inputs do
        return grad_inputs


class NoWayToTheSharpness(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_sharpness = np.zeros(self.units)  # forgotten
        return grad_inputs


class WithoutTheTwo(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        return super().backward_pass(inputs, grad_output) / 2  # the slope of a square has a 2


class SharpnessBySamples(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        _, squared = self._distances(inputs)
        slope = grad_output * np.exp(-self.sharpness * squared)
        self.grad_sharpness = -(slope * squared).sum(axis=1)  # the wrong axis: fits where n = units
        return grad_inputs


class AddsUp(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        before = self.grad_centers.copy()
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_centers = before + self.grad_centers  # as in other libraries, where one zeroes gradients
        return grad_inputs


class ChangesTheGradient(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        result = super().backward_pass(inputs, grad_output)
        grad_output *= self.forward_pass(inputs)  # in place
        return result


class RemembersTheDistances(RadialBasis):
    squared = None

    def forward_pass(self, inputs):
        _, self.squared = self._distances(inputs)
        return np.exp(-self.sharpness * self.squared)

    def backward_pass(self, inputs, grad_output):
        if self.squared is None or self.squared.shape != grad_output.shape:
            self.forward_pass(inputs)
        away, _ = self._distances(inputs)
        slope = grad_output * np.exp(-self.sharpness * self.squared)  # of whatever was the last forward pass
        self.grad_sharpness = -(slope * self.squared).sum(axis=0)
        grad_away = -2 * (slope * self.sharpness)[:, :, None] * away
        self.grad_centers = -grad_away.sum(axis=0)
        return grad_away.sum(axis=1)


class Doubles(RadialBasis):
    def backward_pass(self, inputs, grad_output):
        return super().backward_pass(inputs, grad_output).astype(np.float64)  # float32 does not stay


exercise_2 = [
    WithoutSharpness,
    MeanOverTheBatch,
    WrongSign,
    NoWayToTheSharpness,
    WithoutTheTwo,
    SharpnessBySamples,
    AddsUp,
    ChangesTheGradient,
    RemembersTheDistances,
    Doubles,
    lambda units: RadialBasis,  # a class, where a layer should come out
]


class OnlyValues(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        super().backward_pass(inputs, grad_output)
        return self._attention(inputs)[:, :, None] * grad_output[:, None, :]  # the way by the scores is missing


class OnlyScores(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        both = super().backward_pass(inputs, grad_output)
        return (
            both - self._attention(inputs)[:, :, None] * grad_output[:, None, :]
        )  # the way as a value is missing


class SoftmaxByEntries(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        weights = self._attention(inputs)
        grad_weights = (inputs * grad_output[:, None, :]).sum(axis=2)
        # The slope of a sigmoid, entry by entry: tokens do not compete.
        grad_scores = weights * (1 - weights) * grad_weights / inputs.shape[2] ** 0.5
        self.grad_query = (grad_scores[:, :, None] * inputs).sum(axis=(0, 1))
        return weights[:, :, None] * grad_output[:, None, :] + grad_scores[:, :, None] * self.query


class WithoutTheRoot(AttentionPooling):
    def _attention(self, inputs):
        scores = inputs @ self.query  # not divided by sqrt(d)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


class OverTheBatch(AttentionPooling):
    def _attention(self, inputs):
        scores = inputs @ self.query / inputs.shape[2] ** 0.5
        weights = np.exp(scores - scores.max(axis=0, keepdims=True, initial=-np.inf))
        return weights / weights.sum(axis=0, keepdims=True)  # samples compete, not tokens


class Overflows(AttentionPooling):
    def _attention(self, inputs):
        weights = np.exp(inputs @ self.query / inputs.shape[2] ** 0.5)  # infinite for large scores
        return weights / weights.sum(axis=1, keepdims=True)


class Sums(AttentionPooling):
    def _attention(self, inputs):
        return super()._attention(inputs) * inputs.shape[1]  # weights that add up to the number of tokens


class RootForgottenOnTheWayBack(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_query = self.grad_query * inputs.shape[2] ** 0.5
        return grad_inputs


class MeanOverSamples(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_query = self.grad_query / max(1, len(inputs))  # the mean in place of the sum
        return grad_inputs


class QueryForgotten(AttentionPooling):
    def backward_pass(self, inputs, grad_output):
        before = self.grad_query.copy()
        grad_inputs = super().backward_pass(inputs, grad_output)
        self.grad_query = before  # never written
        return grad_inputs


class DoubleRoot(AttentionPooling):
    def _attention(self, inputs):
        scores = inputs @ self.query / np.sqrt(inputs.shape[2])  # a float64, which float32 does not survive
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


class OverflowsOnTheWayBack(AttentionPooling):
    # The largest score is subtracted on the way forward, and not on the way back.
    def backward_pass(self, inputs, grad_output):
        with np.errstate(over="ignore", invalid="ignore"):
            weights = np.exp(inputs @ self.query / inputs.shape[2] ** 0.5)
            weights = weights / weights.sum(axis=1, keepdims=True)
        grad_weights = (inputs * grad_output[:, None, :]).sum(axis=2)
        mean = (weights * grad_weights).sum(axis=1, keepdims=True)
        grad_scores = weights * (grad_weights - mean) / inputs.shape[2] ** 0.5
        self.grad_query = (grad_scores[:, :, None] * inputs).sum(axis=(0, 1))
        return weights[:, :, None] * grad_output[:, None, :] + grad_scores[:, :, None] * self.query


exercise_3 = [
    OnlyValues,
    OnlyScores,
    SoftmaxByEntries,
    WithoutTheRoot,
    OverTheBatch,
    Overflows,
    Sums,
    RootForgottenOnTheWayBack,
    MeanOverSamples,
    QueryForgotten,
    DoubleRoot,
    OverflowsOnTheWayBack,
]
