"""Exponentials and their relatives, written so that a loop over them uses the processor's vectors.

What Python's and C's libraries have is called once for each number. Here a number is halved or doubled often
enough to lie near 0, where a few terms of a series are exact to rounding.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import IN_ORDER, inline, is_single, number, power_of_two

LOG2_E = 1 / math.log(2)
# log 2 in two parts, the first with so few digits that whole multiples of it are exact.
LOG_2_HIGH, LOG_2_LOW = 0.693359375, -2.12194440054690583e-4
# 1 / n!, from n = 2 on.
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))


@inline(liberties=IN_ORDER)
def series(x):
    """exp(x) - 1 - x for |x| <= log(2) / 2: x**2 / 2! + x**3 / 3! + ..., in pairs, which need not wait."""
    two = x * x
    four = two * two
    low = number(x, C2) + x * number(x, C3) + two * (number(x, C4) + x * number(x, C5))
    if is_single(x):
        return two * (low + four * (number(x, C6) + x * number(x, C7)))
    middle = number(x, C6) + x * number(x, C7) + two * (number(x, C8) + x * number(x, C9))
    high = number(x, C10) + x * number(x, C11) + two * (number(x, C12) + x * number(x, C13))
    return two * (low + four * (middle + four * high))


@inline(liberties=IN_ORDER)
def doublings(x):
    """How often 2 has to be multiplied to come nearest to exp(x): a whole number."""
    return np.floor(x * number(x, LOG2_E) + number(x, 0.5))


@inline(liberties=IN_ORDER)
def remainder(x, times):
    """What is left of x when log(2) is taken off so many times."""
    return (x - times * number(x, LOG_2_HIGH)) - times * number(x, LOG_2_LOW)


@inline(liberties=IN_ORDER)
def exponential(x):
    """exp(x) = 2**k exp(x - k log 2), for all x: infinite far above zero, 0 where it would be below 1e-38."""
    lowest, highest = (
        (number(x, -87.3), number(x, 89.0)) if is_single(x) else (number(x, -708.3), number(x, 710.0))
    )
    bounded = highest if x > highest else (lowest if x < lowest else x)  # NaN stays NaN
    times = doublings(bounded)
    rest = remainder(bounded, times)
    # 2**times itself may be too large a number where the product with something below 1 is not.
    power = power_of_two(times - number(x, 1))
    result = (number(x, 1) + (rest + series(rest))) * power * number(x, 2)
    return number(x, 0) if x < lowest else result


@inline(liberties=IN_ORDER)
def exponential_minus_one(x):
    """exp(x) - 1, to full precision near 0 too: 2**k (exp(r) - 1) + (2**k - 1) with r = x - k log 2."""
    lowest, highest = (
        (number(x, -87.3), number(x, 88.0)) if is_single(x) else (number(x, -708.3), number(x, 709.0))
    )
    bounded = highest if x > highest else (lowest if x < lowest else x)
    times = doublings(bounded)
    rest = remainder(bounded, times)
    power = power_of_two(times)
    return (rest + series(rest)) * power + (power - number(x, 1))


@inline(liberties=IN_ORDER)
def hyperbolic_tangent(x):
    """tanh(x) = e / (e + 2) with e = exp(2x) - 1."""
    bounded = number(x, 20) if x > number(x, 20) else (number(x, -20) if x < number(x, -20) else x)
    e = exponential_minus_one(bounded + bounded)
    return e / (e + number(x, 2))


@inline(liberties=IN_ORDER)
def logistic(x):
    """1 / (1 + exp(-x)); exp is infinite far below zero, and 1 / infinity is the right answer there."""
    return number(x, 1) / (number(x, 1) + exponential(-x))


@inline(liberties=IN_ORDER)
def logarithm_of_one_plus(x):
    """log(1 + x) for 0 <= x <= 1: 2 (z + z**3 / 3 + z**5 / 5 + ...) with z = x / (2 + x)."""
    z = x / (number(x, 2) + x)
    t = z * z
    low = number(x, 1) + t * (number(x, 1 / 3) + t * (number(x, 1 / 5) + t * (
        number(x, 1 / 7) + t * (number(x, 1 / 9) + t * number(x, 1 / 11)))))  # fmt: skip
    if is_single(x):
        return number(x, 2) * z * (low + t * t * t * t * t * t * number(x, 1 / 13))
    high = number(x, 1 / 13) + t * (number(x, 1 / 15) + t * (number(x, 1 / 17) + t * (
        number(x, 1 / 19) + t * (number(x, 1 / 21) + t * (number(x, 1 / 23) + t * (
        number(x, 1 / 25) + t * (number(x, 1 / 27) + t * (number(x, 1 / 29) + t * (
        number(x, 1 / 31) + t * number(x, 1 / 33))))))))))  # fmt: skip
    six = t * t * t * t * t * t
    return number(x, 2) * z * (low + six * high)


@inline(liberties=IN_ORDER)
def softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    above = x if x > number(x, 0) else (number(x, 0) if x <= number(x, 0) else x)  # NaN stays NaN
    return above + logarithm_of_one_plus(exponential(-abs(x)))
