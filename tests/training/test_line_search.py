"""Line search: the steps of SciPy's implementation of Moré and Thuente, one by one."""

import math

import numpy as np
import pytest

from layernet.training.line_search import MAX_STEP, Point, next_step, search

RANDOM = np.random.default_rng(0)


def quartic(position, slope, bend, twist):
    """A polynomial of the step, lowest near `position`."""

    def function(step):
        x = step - position
        value = bend * x**2 + twist * x**3 + slope * x**4
        return value, 2 * bend * x + 3 * twist * x**2 + 4 * slope * x**3

    return function


def waves(frequency, bend):
    return lambda step: (
        bend * step**2 - math.sin(frequency * step),
        2 * bend * step - frequency * math.cos(frequency * step),
    )


def slow_fall(power):
    """Falls ever more slowly, and has no minimum."""
    return lambda step: (-((1 + step) ** power), -power * (1 + step) ** (power - 1))


def kink(position, left, right):
    """Two straight lines, which no step satisfies the condition of the slope on."""
    return lambda step: (
        (left if step < position else right) * (step - position),
        left if step < position else right,
    )


def late_fall(depth):
    """Falls fast at first, then hardly, then again: the sufficient decrease decides between both minima."""
    return lambda step: (
        -step / (step**2 + depth) + 1e-4 * step,
        (step**2 - depth) / (step**2 + depth) ** 2 + 1e-4,
    )


def cliff(top, bottom, sharpness):
    """Falls faster between two steps than before and after them: the slope behind is no flatter than at 0."""

    def function(step):
        before, after = sharpness * (step - top), sharpness * (step - bottom)
        fall = (np.logaddexp(before, -before) - np.logaddexp(after, -after)) / sharpness
        return -step - 4.5 * fall, -1 - 4.5 * (math.tanh(before) - math.tanh(after))

    return function


FUNCTIONS = {
    "quartic": [quartic(*RANDOM.uniform([0.1, 0.1, 0.1, -1], [30, 3, 3, 1])) for _ in range(40)],
    "waves": [waves(*RANDOM.uniform([1, 0.01], [30, 2])) for _ in range(40)],
    "slow fall": [slow_fall(power) for power in (0.05, 0.5, 0.9, 0.999)],
    "straight": [lambda step: (-2 * step, -2.0)],
    "kink": [kink(*RANDOM.uniform([0.1, -2, 0.01], [30, -0.01, 2])) for _ in range(20)],
    "cliff": [cliff(*RANDOM.uniform([0.3, 3, 2], [0.8, 4.9, 9])) for _ in range(40)],
    "late fall": [late_fall(depth) for depth in (1e-3, 0.1, 2.0, 30.0)],
}


def steps_of_scipy(function, start, first):
    """The steps that SciPy tries, and the one that it ends with."""
    tried = []

    def value(step):
        tried.append(float(step))
        return function(step)[0]

    reference = pytest.importorskip("scipy.optimize._dcsrch").DCSRCH(
        value, lambda step: function(step)[1], ftol=1e-3, gtol=0.9, xtol=0.1, stpmin=0.0, stpmax=1e10
    )
    reference(first, start.value, start.slope, maxiter=21)
    return tried[:20], len(tried) <= 20  # ours ends after 20


@pytest.mark.parametrize("first", [1e-3, 0.3, 1.0, 40.0])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_every_step_is_scipys(kind, first):
    for function in FUNCTIONS[kind]:
        start = Point(0.0, *function(0.0))
        if start.slope >= 0:
            continue
        ours = []
        found = search(lambda step, f=function, seen=ours: seen.append(step) or f(step), start, first)
        theirs, ends = steps_of_scipy(function, start, first)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert (found is not None) == ends
        if ends:
            assert found == Point(ours[-1], *function(ours[-1]))


def random_points(n):
    """Best point, other end of the interval, and last point: the slope at the best leads to the last one."""
    for _ in range(n):
        best, other, now = (Point(*RANDOM.standard_normal(3)) for _ in range(3))
        scale = 10.0 ** RANDOM.integers(-3, 4)
        slope = -math.copysign(best.slope, now.step - best.step)
        yield best._replace(slope=slope), other, now._replace(slope=scale * now.slope)


@pytest.mark.parametrize("has_minimum", [False, True])
def test_the_next_step_is_scipys(has_minimum):
    module = pytest.importorskip("scipy.optimize._dcsrch")
    cases = set()
    for best, other, now in random_points(2000):
        low, high = sorted(now.step + RANDOM.standard_normal(2))
        with np.errstate(invalid="ignore"):
            *_, step, contains = module.dcstep(*best, *other, *now, has_minimum, low, high)
        if math.isnan(step):  # no cubic of these points has a minimum
            continue
        ours = next_step(best, other, now, has_minimum, low, high)
        np.testing.assert_allclose(ours[0], step, rtol=1e-9, atol=1e-12)
        assert ours[1] == contains
        turns = now.slope * best.slope < 0
        cases.add((now.value > best.value, turns, abs(now.slope) < abs(best.slope), now.step > best.step))
    assert len(cases) == 16


def test_a_search_that_never_ends_is_given_up():
    # The value falls by less than the sufficient decrease, however small the step is.
    assert search(lambda step: (-1e-4 * step, -1.0), Point(0.0, 0.0, -1.0), 1.0) is None
    assert search(lambda step: (-step, -1.0), Point(0.0, 0.0, -1.0), 1.0).step == MAX_STEP == 1e10


@pytest.mark.parametrize(
    ("value", "slope"),
    [(lambda step: 1e-3 * -1.0 * step, 0.5), (lambda step: -step, -0.9), (lambda step: -step, 0.9)],
)
def test_a_step_that_just_satisfies_the_conditions_is_taken(value, slope):
    assert search(lambda step: (value(step), slope), Point(0.0, 0.0, -1.0), 0.5) == Point(
        0.5, value(0.5), slope
    )
