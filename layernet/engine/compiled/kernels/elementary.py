"""Exponential, tanh, logistic, softplus, erfc, sine and cosine, so that loops use the processor's vectors.

The functions of C's library are called once for each number, which keeps a loop from using vectors. Here the
argument is reduced to an interval near 0, where a few terms of a series are exact to rounding.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import IN_ORDER, cast_like, inline, is_single, power_of_two

LOG2_E = 1 / math.log(2)
# log 2 as a sum of two numbers; the first has so few digits that its integer multiples are exact.
LOG_2_HIGH, LOG_2_LOW = 0.693359375, -2.12194440054690583e-4
# 1 / n!, from n = 2 on.
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))
C14, C15, C16 = (1 / math.factorial(n) for n in range(14, 17))
# (1 + 2 x) exp(x**2) erfc(x) for x >= 0 as a polynomial of t = (x - 3.75) / (x + 3.75), from degree 0 on;
# Shepherd and Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x**2) erfc x in 0 <= x < infinity.
# The numbers are Chebyshev series of 64 points, computed with 60 digits and cut off where the rest is rounding.
SINGLE_ERFC = (
    1.237512619, -0.1402406583, 0.003586270394, 0.08227841998, -0.1088142701, 0.09229076959,
    -0.05864685874, 0.02840925236, -0.00984449486, 0.001675912218, 0.000396307613, -0.0002241167467,
)  # fmt: skip
DOUBLE_ERFC = (
    1.2375126308378275, -0.14024059858554697, 0.0035854154854790257, 0.082276738490145204,
    -0.10880393014244462, 0.092304321160377484, -0.05869339857664934, 0.028362277418956406,
    -0.0097465796832652621, 0.0017556258528952954, 0.00029371437804495801, -0.00029015408054084172,
    5.1646529741774162e-05, 2.2384239155082231e-05, -1.1438048033346894e-05, -9.7355989673677497e-07,
    1.7419821586224816e-06, -5.7218230603224086e-08, -2.4857126248016745e-07, 2.3263508708859121e-08,
    3.1979266716668042e-08, -3.7442100809620174e-09, -2.6231073471334759e-09, 3.1114333809799234e-10,
)  # fmt: skip


@inline(fastmath=IN_ORDER)
def series(x):
    """exp(x) - 1 - x = x**2 / 2! + x**3 / 3! + ... for |x| <= log(2) / 2; pairs of terms are independent."""
    two = x * x
    four = two * two
    low = cast_like(x, C2) + x * cast_like(x, C3) + two * (cast_like(x, C4) + x * cast_like(x, C5))
    if is_single(x):
        return two * (low + four * (cast_like(x, C6) + x * cast_like(x, C7)))
    middle = cast_like(x, C6) + x * cast_like(x, C7) + two * (cast_like(x, C8) + x * cast_like(x, C9))
    high = cast_like(x, C10) + x * cast_like(x, C11) + two * (cast_like(x, C12) + x * cast_like(x, C13))
    return two * (low + four * (middle + four * high))


@inline(fastmath=IN_ORDER)
def doublings(x):
    """Integer k for which 2**k is nearest to exp(x): x / log(2), rounded."""
    return np.floor(x * cast_like(x, LOG2_E) + cast_like(x, 0.5))


@inline(fastmath=IN_ORDER)
def remainder(x, times):
    """x - times * log(2)."""
    return (x - times * cast_like(x, LOG_2_HIGH)) - times * cast_like(x, LOG_2_LOW)


@inline(fastmath=IN_ORDER)
def exponential(x):
    """exp(x) = 2**k exp(x - k log 2): infinite far above 0, and 0 where the result would be below 1e-38."""
    lowest, highest = (
        (cast_like(x, -87.3), cast_like(x, 89.0))
        if is_single(x)
        else (cast_like(x, -708.3), cast_like(x, 710.0))
    )
    bounded = highest if x > highest else (lowest if x < lowest else x)  # NaN stays NaN
    times = doublings(bounded)
    rest = remainder(bounded, times)
    # 2**times may overflow where its product with a number below 1 does not.
    power = power_of_two(times - cast_like(x, 1))
    result = (cast_like(x, 1) + (rest + series(rest))) * power * cast_like(x, 2)
    return cast_like(x, 0) if x < lowest else result


@inline(fastmath=IN_ORDER)
def exponential_minus_one(x):
    """exp(x) - 1, to full precision near 0 too: 2**k (exp(r) - 1) + (2**k - 1) with r = x - k log 2."""
    lowest, highest = (
        (cast_like(x, -87.3), cast_like(x, 88.0))
        if is_single(x)
        else (cast_like(x, -708.3), cast_like(x, 709.0))
    )
    bounded = highest if x > highest else (lowest if x < lowest else x)
    times = doublings(bounded)
    rest = remainder(bounded, times)
    power = power_of_two(times)
    return (rest + series(rest)) * power + (power - cast_like(x, 1))


@inline(fastmath=IN_ORDER)
def hyperbolic_tangent(x):
    """tanh(x) = e / (e + 2) with e = exp(2x) - 1."""
    bounded = cast_like(x, 20) if x > cast_like(x, 20) else (cast_like(x, -20) if x < cast_like(x, -20) else x)
    e = exponential_minus_one(bounded + bounded)
    return e / (e + cast_like(x, 2))


@inline(fastmath=IN_ORDER)
def logistic(x):
    """1 / (1 + exp(-x)); far below 0, exp(-x) is infinite and the result 0, which is right."""
    return cast_like(x, 1) / (cast_like(x, 1) + exponential(-x))


@inline(fastmath=IN_ORDER)
def logarithm_of_one_plus(x):
    """log(1 + x) for 0 <= x <= 1: 2 (z + z**3 / 3 + z**5 / 5 + ...) with z = x / (2 + x)."""
    z = x / (cast_like(x, 2) + x)
    t = z * z
    low = cast_like(x, 1) + t * (cast_like(x, 1 / 3) + t * (cast_like(x, 1 / 5) + t * (
        cast_like(x, 1 / 7) + t * (cast_like(x, 1 / 9) + t * cast_like(x, 1 / 11)))))  # fmt: skip
    if is_single(x):
        return cast_like(x, 2) * z * (low + t * t * t * t * t * t * cast_like(x, 1 / 13))
    high = cast_like(x, 1 / 13) + t * (cast_like(x, 1 / 15) + t * (cast_like(x, 1 / 17) + t * (
        cast_like(x, 1 / 19) + t * (cast_like(x, 1 / 21) + t * (cast_like(x, 1 / 23) + t * (
        cast_like(x, 1 / 25) + t * (cast_like(x, 1 / 27) + t * (cast_like(x, 1 / 29) + t * (
        cast_like(x, 1 / 31) + t * cast_like(x, 1 / 33))))))))))  # fmt: skip
    six = t * t * t * t * t * t
    return cast_like(x, 2) * z * (low + six * high)


@inline(fastmath=IN_ORDER)
def softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    above = x if x > cast_like(x, 0) else (cast_like(x, 0) if x <= cast_like(x, 0) else x)  # NaN stays NaN
    return above + logarithm_of_one_plus(exponential(-abs(x)))


@inline(fastmath=IN_ORDER)
def cubic(t, a, b, c, d):
    """a + b t + c t**2 + d t**3, in the type of t."""
    return (cast_like(t, a) + t * cast_like(t, b)) + t * t * (cast_like(t, c) + t * cast_like(t, d))


@inline(fastmath=IN_ORDER)
def scaled_complementary_error_function(x):
    """exp(x**2) erfc(x) for x >= 0."""
    t = (x - cast_like(x, 3.75)) / (x + cast_like(x, 3.75))
    four = t * t * t * t
    if is_single(x):
        s = SINGLE_ERFC
        total = cubic(t, s[8], s[9], s[10], s[11])
        total = total * four + cubic(t, s[4], s[5], s[6], s[7])
        total = total * four + cubic(t, s[0], s[1], s[2], s[3])
    else:
        d = DOUBLE_ERFC
        total = cubic(t, d[20], d[21], d[22], d[23])
        total = total * four + cubic(t, d[16], d[17], d[18], d[19])
        total = total * four + cubic(t, d[12], d[13], d[14], d[15])
        total = total * four + cubic(t, d[8], d[9], d[10], d[11])
        total = total * four + cubic(t, d[4], d[5], d[6], d[7])
        total = total * four + cubic(t, d[0], d[1], d[2], d[3])
    return total / (cast_like(x, 1) + x + x)


@inline(fastmath=IN_ORDER)
def bell_and_tail(x):
    """exp(-x**2 / 2), and the normal distribution function at -x, for x >= 0; both are 0 far above 0.

    The exponential would enlarge the rounding error of x**2 a hundredfold where that is 100. So x is split: the
    square of its first digits is exact.
    """
    near = cast_like(x, 50) if x > cast_like(x, 50) else x  # NaN stays NaN
    shift = cast_like(x, 1.5 * 2.0**15) if is_single(x) else cast_like(x, 1.5 * 2.0**32)
    high = (near + shift) - shift
    half = cast_like(x, -0.5)
    bell = exponential(half * high * high) * exponential(half * (near - high) * (near + high))
    argument = near * cast_like(x, math.sqrt(0.5))
    return bell, cast_like(x, 0.5) * bell * scaled_complementary_error_function(argument)


@inline(fastmath=IN_ORDER)
def sine_and_cosine_of_turns(turns):
    """sin(2 pi t) and cos(2 pi t), from series for a quarter of the angle, which is doubled twice."""
    quarter = (turns - np.floor(turns + cast_like(turns, 0.5))) * cast_like(turns, math.pi / 2)
    t = quarter * quarter
    sine, cosine = cast_like(turns, C9), cast_like(turns, C10)
    if not is_single(turns):
        sine -= t * (cast_like(turns, C11) - t * (cast_like(turns, C13) - t * cast_like(turns, C15)))
        cosine -= t * (cast_like(turns, C12) - t * (cast_like(turns, C14) - t * cast_like(turns, C16)))
    sine = quarter - quarter * t * (cast_like(turns, C3) - t * (cast_like(turns, C5) - t * (
        cast_like(turns, C7) - t * sine)))  # fmt: skip
    cosine = cast_like(turns, 1) - t * (cast_like(turns, C2) - t * (cast_like(turns, C4) - t * (
        cast_like(turns, C6) - t * (cast_like(turns, C8) - t * cosine))))  # fmt: skip
    two = cast_like(turns, 2)
    half_sine, half_cosine = two * sine * cosine, cast_like(turns, 1) - two * sine * sine
    return two * half_sine * half_cosine, cast_like(turns, 1) - two * half_sine * half_sine
