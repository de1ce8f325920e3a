"""Line search of Moré and Thuente: a step size along a direction that lowers a function sufficiently."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

# Constants of the sufficient-decrease and the curvature condition (the strong Wolfe conditions), and the
# smallest width of an interval of steps, relative to its larger end.
DECREASE, CURVATURE, MIN_RELATIVE_WIDTH = 1e-3, 0.9, 0.1
# Ends of the next interval, in units of the last change of the step, while no interval contains a minimum.
MIN_EXTRAPOLATION, MAX_EXTRAPOLATION = 1.1, 4.0
MAX_EVALUATIONS = 20
MAX_STEP = 1e10


class Point(NamedTuple):
    """A step size, with the value and the slope of the function there."""

    step: float
    value: float
    slope: float

    def tilted(self, slope: float) -> Point:
        """Return this point for the function minus slope * step."""
        return Point(self.step, self.value - slope * self.step, self.slope - slope)


def search(function: Callable[[float], tuple[float, float]], start: Point, step: float) -> Point | None:
    """Find a step with f(step) <= f(0) + 0.001 step f'(0) and abs(f'(step)) <= 0.9 abs(f'(0)).

    Parameters
    ----------
    function : callable
        Takes a step size; returns the value and the slope of the function there.
    start : Point
        At step size 0, with a negative slope.
    step : float
        The first step to try.

    Returns
    -------
    Point or None
        The last point: it satisfies both conditions, or is the best that rounding allows. None after 20
        evaluations without success.

    Examples
    --------
    >>> search(lambda step: ((step - 3) ** 2, 2 * (step - 3)), Point(0.0, 9.0, -6.0), 1.0)
    Point(step=1.0, value=4.0, slope=-4.0)

    References
    ----------
    Moré and Thuente (1994), Line search algorithms with guaranteed sufficient decrease.
    """
    sufficient_slope = DECREASE * start.slope
    best = other = start
    has_minimum, was_low = False, False
    low, high = 0.0, step + MAX_EXTRAPOLATION * step
    width, width_before = MAX_STEP, 2 * MAX_STEP
    for _ in range(MAX_EVALUATIONS):
        now = Point(step, *function(step))
        enough = start.value + step * sufficient_slope
        was_low = was_low or (now.value <= enough and now.slope >= 0)
        is_narrow = has_minimum and (not low < step < high or high - low <= MIN_RELATIVE_WIDTH * high)
        is_last = step == MAX_STEP and now.value <= enough and now.slope <= sufficient_slope
        if is_narrow or is_last or (now.value <= enough and abs(now.slope) <= -CURVATURE * start.slope):
            return now
        # Until a value is low enough, search the minimum of f(step) - sufficient_slope * step instead of f.
        tilt = sufficient_slope if not was_low and enough < now.value <= best.value else 0.0
        points = [point.tilted(tilt) for point in (best, other, now)]
        step, has_minimum = next_step(points[0], points[1], points[2], has_minimum, low, high)
        if points[2].value > points[0].value:
            other = now
        else:
            if points[2].slope * math.copysign(1.0, points[0].slope) < 0:
                other = best
            best = now
        if has_minimum:
            if abs(other.step - best.step) >= 0.66 * width_before:
                step = best.step + 0.5 * (other.step - best.step)
            width_before, width = width, abs(other.step - best.step)
            low, high = sorted((best.step, other.step))
        else:
            low = step + MIN_EXTRAPOLATION * (step - best.step)
            high = step + MAX_EXTRAPOLATION * (step - best.step)
        step = min(max(step, 0.0), MAX_STEP)
        if has_minimum and (not low < step < high or high - low <= MIN_RELATIVE_WIDTH * high):
            step = best.step
    return None


def next_step(
    best: Point, other: Point, now: Point, has_minimum: bool, low: float, high: float
) -> tuple[float, bool]:
    """Return the next step, by interpolation, and whether the interval contains a minimum."""
    change = now.step - best.step
    turns = now.slope * math.copysign(1.0, best.slope) < 0
    if now.value > best.value:  # higher: the minimum lies between both
        cubic = cubic_minimum(best, now, best)
        slope = (best.value - now.value) / change + best.slope
        quadratic = best.step + best.slope / slope / 2 * change
        is_nearer = abs(cubic - best.step) < abs(quadratic - best.step)
        return cubic if is_nearer else cubic + (quadratic - cubic) / 2, True
    if turns:  # lower, and the slope changed its sign
        cubic = cubic_minimum(now, best, now)
        quadratic = now.step - now.slope / (now.slope - best.slope) * change
        return cubic if abs(cubic - now.step) > abs(quadratic - now.step) else quadratic, True
    if abs(now.slope) < abs(best.slope):  # lower and flatter
        cubic = cubic_minimum(now, best, now, beyond=(low, high))
        quadratic = now.step - now.slope / (now.slope - best.slope) * change
        if has_minimum:
            step = cubic if abs(cubic - now.step) < abs(quadratic - now.step) else quadratic
            bound = now.step + 0.66 * (other.step - now.step)
            return min(bound, step) if change > 0 else max(bound, step), True
        step = cubic if abs(cubic - now.step) > abs(quadratic - now.step) else quadratic
        return min(max(step, low), high), False
    if has_minimum:  # lower, but not flatter
        return cubic_minimum(now, other, now), True
    return high if change > 0 else low, False


def cubic_minimum(
    first: Point, second: Point, origin: Point, beyond: tuple[float, float] | None = None
) -> float:
    """Step at the minimum of the cubic with the values and the slopes of two points.

    Parameters
    ----------
    first, second : Point
    origin : Point
        The point from which the step is computed, for the sake of rounding: one of both.
    beyond : tuple of float, default=None
        Result if the minimum does not lie beyond the first point, as seen from the second: the smaller number
        if the first point is the left one, otherwise the larger.
    """
    theta = 3 * (second.value - first.value) / (first.step - second.step) + second.slope + first.slope
    scale = max(abs(theta), abs(first.slope), abs(second.slope))
    square = (theta / scale) ** 2 - first.slope / scale * (second.slope / scale)
    gamma = scale * math.sqrt(max(0.0, square) if beyond else square)
    if first.step > second.step:
        gamma = -gamma
    ratio = ((gamma - first.slope) + theta) / (((gamma - first.slope) + gamma) + second.slope)
    if beyond and not (ratio < 0 and gamma != 0):
        return beyond[1] if first.step > second.step else beyond[0]
    return origin.step + ratio * (second.step - first.step)
