"""Kernels of activations: a bias is added and the function applied in one pass, and so on the way back.

An activation is given by two functions of numbers: its value, and its slope as it is read off the value. Where
the slope does not follow from the value, both are computed on the way forward, and the slope is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from layernet.engine.compiled.intrinsics import IN_ORDER, arrays, inline, number
from layernet.engine.compiled.kernel import Kernel, kernel
from layernet.engine.compiled.kernels.elementary import (
    exponential,
    exponential_minus_one,
    hyperbolic_tangent,
    logistic,
    softplus,
)


class ActivationKernels(NamedTuple):
    """The two kernels of an activation.

    Attributes
    ----------
    forward : Kernel
        Of (values, bias, constants): values becomes f(values + bias); with `keeps_slope` of (values, slopes,
        bias, constants).
    backward : Kernel
        Of (values, gradient, grad_bias, constants): gradient becomes gradient * f', and grad_bias the sum of
        its rows; with `keeps_slope` the slopes are in the place of the values.
    keeps_slope : bool
    """

    forward: Kernel
    backward: Kernel
    keeps_slope: bool


def slope_from_value(name: str, value: Callable, slope: Callable) -> ActivationKernels:
    """Kernels of an activation whose slope is a function of its value, and of constants."""
    value, slope = inline(value), inline(slope)

    def forward(batch, operands, sizes):
        values, bias, constants = arrays(batch, operands, sizes, 3)
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                values[row, unit] = value(values[row, unit] + bias[0, unit], constants)

    def backward(batch, operands, sizes):
        values, gradient, grad_bias, constants = arrays(batch, operands, sizes, 4)
        for unit in range(values.shape[1]):
            grad_bias[0, unit] = 0
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                inner = gradient[row, unit] * slope(values[row, unit], constants)
                gradient[row, unit] = inner
                grad_bias[0, unit] += inner

    return ActivationKernels(Kernel(forward, name), Kernel(backward, f"{name}_backward"), False)


def slope_kept(name: str, value_and_slope: Callable) -> ActivationKernels:
    """Kernels of an activation given by one function that returns its value and its slope.

    It is marked `@inline`, with `IN_ORDER` where numbers may be large: x - x t**2 is no x (1 - t**2) then.
    """

    def forward(batch, operands, sizes):
        values, slopes, bias, constants = arrays(batch, operands, sizes, 4)
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                value, slope = value_and_slope(values[row, unit] + bias[0, unit], constants)
                values[row, unit] = value
                slopes[row, unit] = slope

    return ActivationKernels(Kernel(forward, name), times_slope, True)


@kernel
def times_slope(batch, operands, sizes):
    """The way back where the slope was kept."""
    slopes, gradient, grad_bias, _ = arrays(batch, operands, sizes, 4)
    for unit in range(gradient.shape[1]):
        grad_bias[0, unit] = 0
    for row in range(len(gradient)):
        for unit in range(gradient.shape[1]):
            inner = gradient[row, unit] * slopes[row, unit]
            gradient[row, unit] = inner
            grad_bias[0, unit] += inner


identity = slope_from_value("identity", lambda x, c: x, lambda y, c: number(y, 1))

relu = slope_from_value(
    "relu",
    lambda x, c: number(x, 0) if x <= number(x, 0) else x,
    lambda y, c: number(y, 1) if y > number(y, 0) else number(y, 0),
)

leaky_relu = slope_from_value(  # c: the slope of the negative side
    "leaky_relu",
    lambda x, c: x if x > number(x, 0) else c[0, 0] * x,
    lambda y, c: number(y, 1) if y > number(y, 0) else c[0, 0],
)

sigmoid = slope_from_value("sigmoid", lambda x, c: logistic(x), lambda y, c: y * (number(y, 1) - y))

tanh = slope_from_value("tanh", lambda x, c: hyperbolic_tangent(x), lambda y, c: number(y, 1) - y * y)


@inline
def three_lines(x, c):
    """min(max(x / 6 + 1/2, 0), 1)."""
    line = x / number(x, 6) + number(x, 0.5)
    return number(x, 0) if line < number(x, 0) else (number(x, 1) if line > number(x, 1) else line)


hard_sigmoid = slope_from_value(
    "hard_sigmoid",
    three_lines,
    lambda y, c: number(y, 1 / 6) if number(y, 0) < y < number(y, 1) else number(y, 0),
)

softplus_activation = slope_from_value(
    "softplus", lambda x, c: softplus(x), lambda y, c: -exponential_minus_one(-y)
)


@inline(liberties=IN_ORDER)
def silu_and_slope(x, c):
    """x s and s (1 + x (1 - s)), with s the logistic function of x."""
    s = logistic(x)
    return x * s, s * (number(x, 1) + x * (number(x, 1) - s))


@inline(liberties=IN_ORDER)
def elu_and_slope(x, c):
    """x and 1 above 0; alpha (exp(x) - 1) and alpha exp(x) below: alpha plus the first would be 0 far below."""
    e = c[0, 0] * exponential(x)
    value = c[0, 0] * exponential_minus_one(x)
    return (x, number(x, 1)) if x > number(x, 0) else (value, e)


@inline(liberties=IN_ORDER)
def selu_and_slope(x, c):
    """The same with a scale: the constants are the scale, and the scale times alpha."""
    e = c[0, 1] * exponential(x)
    value = c[0, 1] * exponential_minus_one(x)
    return (c[0, 0] * x, c[0, 0]) if x > number(x, 0) else (value, e)


@inline(liberties=IN_ORDER)
def mish_and_slope(x, c):
    """With e = exp(x): x t and t + x (1 - t**2) s, where t = tanh(log(1 + e)) and s = e / (1 + e)."""
    e = exponential(number(x, 20) if x > number(x, 20) else x)  # t and s are 1 above
    both = e * e + number(x, 2) * e  # tanh(log(a)) = (a**2 - 1) / (a**2 + 1)
    t = both / (both + number(x, 2))
    s = e / (number(x, 1) + e)
    return x * t, t + x * (number(x, 1) - t * t) * s


@inline(liberties=IN_ORDER)
def gelu_and_slope(x, c):
    """x P and P + x p, with P the probability that a normal variable is below x, and p its density there."""
    below = number(x, 0.5) * number(x, math.erfc(-number(x, math.sqrt(0.5)) * x))
    near = number(x, 50) if x > number(x, 50) else (number(x, -50) if x < number(x, -50) else x)
    density = number(x, 1 / math.sqrt(2 * math.pi)) * exponential(number(x, -0.5) * near * near)
    return x * below, below + x * density


@inline(liberties=IN_ORDER)
def tanh_gelu_and_slope(x, c):
    """The same with P = (1 + tanh u) / 2 and u = sqrt(2 / pi) (x + 0.044715 x**3)."""
    near = number(x, 10) if x > number(x, 10) else (number(x, -10) if x < number(x, -10) else x)
    root, cubic = number(x, math.sqrt(2 / math.pi)), number(x, 0.044715)
    t = hyperbolic_tangent(root * (near + cubic * near * near * near))
    below = number(x, 0.5) * (number(x, 1) + t)
    slope = number(x, 0.5) * (number(x, 1) - t * t) * root * (number(x, 1) + number(x, 3) * cubic * near * near)
    return x * below, below + x * slope


elu = slope_kept("elu", elu_and_slope)
selu = slope_kept("selu", selu_and_slope)
silu = slope_kept("silu", silu_and_slope)
mish = slope_kept("mish", mish_and_slope)
gelu = slope_kept("gelu", gelu_and_slope)
tanh_gelu = slope_kept("tanh_gelu", tanh_gelu_and_slope)
