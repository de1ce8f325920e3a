"""Kernels of activations: each adds a bias and applies the activation in one loop.

An activation is given by two functions of numbers: its value, and its slope as a function of the value. If the
slope does not follow from the value, one function gives both, and the forward pass keeps the slope. The
functions read constants and compute exponentials before they compare: what is in a branch keeps the loop from
using the processor's vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from layernet.engine.compiled.intrinsics import IN_ORDER, cast_like, inline, matrices
from layernet.engine.compiled.kernel import Kernel, kernel
from layernet.engine.compiled.kernels.elementary import (
    bell_and_tail,
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
        Operands (values, bias, constants): values = f(values + bias). With `keeps_slope`, the operands are
        (values, slopes, bias, constants).
    backward : Kernel
        Operands (values, gradient, grad_bias, constants): gradient = gradient * f', and grad_bias is the sum of
        its rows; with `keeps_slope` the slopes are in the index of the values.
    keeps_slope : bool
    """

    forward: Kernel
    backward: Kernel
    keeps_slope: bool


def slope_from_value(name: str, value: Callable, slope: Callable) -> ActivationKernels:
    """Return the kernels of an activation whose slope is a function of its value and of constants."""
    value, slope = inline(value), inline(slope)

    def forward(control, operands, sizes):
        values, bias, constants = matrices(control, operands, sizes, 3)
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                values[row, unit] = value(values[row, unit] + bias[0, unit], constants)

    def backward(control, operands, sizes):
        values, gradient, grad_bias, constants = matrices(control, operands, sizes, 4)
        for unit in range(values.shape[1]):
            grad_bias[0, unit] = 0
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                inner = gradient[row, unit] * slope(values[row, unit], constants)
                gradient[row, unit] = inner
                grad_bias[0, unit] += inner

    return ActivationKernels(Kernel(forward, name), Kernel(backward, f"{name}_backward"), False)


def value_with_slope(name: str, value_and_slope: Callable) -> ActivationKernels:
    """Return the kernels of an activation, given a function that returns its value and its slope.

    The function is marked `@inline`, with `IN_ORDER` where numbers may be large: x - x t**2 then differs from
    x (1 - t**2).
    """

    def forward(control, operands, sizes):
        values, slopes, bias, constants = matrices(control, operands, sizes, 4)
        for row in range(len(values)):
            for unit in range(values.shape[1]):
                value, slope = value_and_slope(values[row, unit] + bias[0, unit], constants)
                values[row, unit] = value
                slopes[row, unit] = slope

    return ActivationKernels(Kernel(forward, name), multiply_by_slope, True)


@kernel
def multiply_by_slope(control, operands, sizes):
    """Backward pass with slopes that the forward pass has kept."""
    slopes, gradient, grad_bias, _ = matrices(control, operands, sizes, 4)
    for unit in range(gradient.shape[1]):
        grad_bias[0, unit] = 0
    for row in range(len(gradient)):
        for unit in range(gradient.shape[1]):
            inner = gradient[row, unit] * slopes[row, unit]
            gradient[row, unit] = inner
            grad_bias[0, unit] += inner


identity = slope_from_value("identity", lambda x, c: x, lambda y, c: cast_like(y, 1))

relu = slope_from_value(
    "relu",
    lambda x, c: cast_like(x, 0) if x <= cast_like(x, 0) else x,
    lambda y, c: cast_like(y, 1) if y > cast_like(y, 0) else cast_like(y, 0),
)


@inline
def leaky_relu_value(x, c):
    """x above 0, and below c[0, 0] * x."""
    below = c[0, 0] * x
    return x if x > cast_like(x, 0) else below


@inline
def leaky_relu_slope(y, c):
    """Slope 1 above 0, and c[0, 0] below."""
    below = c[0, 0]
    return cast_like(y, 1) if y > cast_like(y, 0) else below


leaky_relu = slope_from_value("leaky_relu", leaky_relu_value, leaky_relu_slope)

sigmoid = slope_from_value("sigmoid", lambda x, c: logistic(x), lambda y, c: y * (cast_like(y, 1) - y))

tanh = slope_from_value("tanh", lambda x, c: hyperbolic_tangent(x), lambda y, c: cast_like(y, 1) - y * y)


@inline
def piecewise_linear(x, c):
    """min(max(x / 6 + 1/2, 0), 1)."""
    line = x / cast_like(x, 6) + cast_like(x, 0.5)
    return cast_like(x, 0) if line < cast_like(x, 0) else (cast_like(x, 1) if line > cast_like(x, 1) else line)


hard_sigmoid = slope_from_value(
    "hard_sigmoid",
    piecewise_linear,
    lambda y, c: cast_like(y, 1 / 6) if cast_like(y, 0) < y < cast_like(y, 1) else cast_like(y, 0),
)


softplus_activation = slope_from_value(
    "softplus", lambda x, c: softplus(x), lambda y, c: -exponential_minus_one(-y)
)


@inline(fastmath=IN_ORDER)
def silu_and_slope(x, c):
    """Value x s and slope s (1 + x (1 - s)), where s is the logistic function of x."""
    s = logistic(x)
    return x * s, s * (cast_like(x, 1) + x * (cast_like(x, 1) - s))


@inline(fastmath=IN_ORDER)
def elu_and_slope(x, c):
    """Value x and slope 1 above 0; below, alpha (exp(x) - 1) and alpha exp(x).

    The slope is computed by itself: alpha plus the value would be rounded to 0 far below 0.
    """
    alpha, below = c[0, 0], cast_like(x, 0) if x > cast_like(x, 0) else x
    value, slope = alpha * exponential_minus_one(below), alpha * exponential(below)
    return x if x > cast_like(x, 0) else value, cast_like(x, 1) if x > cast_like(x, 0) else slope


@inline(fastmath=IN_ORDER)
def selu_and_slope(x, c):
    """Value and slope of ELU times a scale; the constants are the scale, and the scale times alpha."""
    scale, scaled_alpha, below = c[0, 0], c[0, 1], cast_like(x, 0) if x > cast_like(x, 0) else x
    value, slope = scaled_alpha * exponential_minus_one(below), scaled_alpha * exponential(below)
    return scale * x if x > cast_like(x, 0) else value, scale if x > cast_like(x, 0) else slope


@inline(fastmath=IN_ORDER)
def mish_and_slope(x, c):
    """Value x t and slope t + x (1 - t**2) s, where e = exp(x), t = tanh(log(1 + e)) and s = e / (1 + e)."""
    e = exponential(cast_like(x, 20) if x > cast_like(x, 20) else x)  # above 20, t and s are 1
    both = e * e + cast_like(x, 2) * e  # tanh(log(a)) = (a**2 - 1) / (a**2 + 1)
    t = both / (both + cast_like(x, 2))
    s = e / (cast_like(x, 1) + e)
    return x * t, t + x * (cast_like(x, 1) - t * t) * s


@inline(fastmath=IN_ORDER)
def gelu_and_slope(x, c):
    """Value x P and slope P + x p, where P is the normal distribution function at x, and p its density."""
    bell, tail = bell_and_tail(abs(x))
    below = cast_like(x, 1) - tail if x > cast_like(x, 0) else tail
    density = cast_like(x, 1 / math.sqrt(2 * math.pi)) * bell
    return x * below, below + x * density


@inline(fastmath=IN_ORDER)
def tanh_gelu_and_slope(x, c):
    """Value and slope of GELU with P = (1 + tanh u) / 2, where u = sqrt(2 / pi) (x + 0.044715 x**3)."""
    near = cast_like(x, 10) if x > cast_like(x, 10) else (cast_like(x, -10) if x < cast_like(x, -10) else x)
    root, cubic = cast_like(x, math.sqrt(2 / math.pi)), cast_like(x, 0.044715)
    t = hyperbolic_tangent(root * (near + cubic * near * near * near))
    below = cast_like(x, 0.5) * (cast_like(x, 1) + t)
    slope = (
        cast_like(x, 0.5)
        * (cast_like(x, 1) - t * t)
        * root
        * (cast_like(x, 1) + cast_like(x, 3) * cubic * near * near)
    )
    return x * below, below + x * slope


elu = value_with_slope("elu", elu_and_slope)
selu = value_with_slope("selu", selu_and_slope)
silu = value_with_slope("silu", silu_and_slope)
mish = value_with_slope("mish", mish_and_slope)
gelu = value_with_slope("gelu", gelu_and_slope)
tanh_gelu = value_with_slope("tanh_gelu", tanh_gelu_and_slope)


@inline(fastmath=IN_ORDER)
def smooth_clip_and_slope(x, c):
    """x s and s**3 with s = 1 / sqrt(1 + (x / limit)**2); beyond the limit, from the inverse of x / limit."""
    ratio = abs(x / c[0, 0])
    inverse = cast_like(x, 1) / ratio
    s = cast_like(x, 1) / cast_like(x, math.sqrt(cast_like(x, 1) + ratio * ratio))
    far = cast_like(x, 1) / cast_like(x, math.sqrt(cast_like(x, 1) + inverse * inverse))
    if ratio > cast_like(x, 1):
        s = inverse * far
        return math.copysign(c[0, 0] * far, x), s * s * s
    return x * s, s * s * s


smooth_clip = value_with_slope("smooth_clip", smooth_clip_and_slope)
