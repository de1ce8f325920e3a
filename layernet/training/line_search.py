"""A step size along a direction that lowers a function enough: the line search of Moré and Thuente."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

# How much of the slope's promise the function has to keep, how much flatter it has to become, and how narrow an
# interval of steps may get, relative to its larger end.
DECREASE, FLATTENING, NARROWEST = 1e-3, 0.9, 0.1
# Where the next interval begins and ends as long as none contains a minimum, in units of the last change.
NEAREST, FARTHEST = 1.1, 4.0
MOST_TRIALS = 20
LONGEST_STEP = 1e10


class Point(NamedTuple):
    """A step size with the function and its slope there."""

    step: float
    value: float
    slope: float

    def tilted(self, slope: float) -> Point:
        """The same point of the function minus slope * step."""
        return Point(self.step, self.value - slope * self.step, self.slope - slope)


def search(function: Callable[[float], tuple[float, float]], start: Point, step: float) -> Point | None:
    """Find a step with f(step) <= f(0) + 0.001 step f'(0) and abs(f'(step)) <= 0.9 abs(f'(0)).

    Parameters
    ----------
    function : callable
        Of a step size; returns the function and its slope there.
    start : Point
        At step size 0, with a negative slope.
    step : float
        The first to try.

    Returns
    -------
    Point or None
        The last one tried: it keeps both conditions, or rounding lets nothing better be found. None if it was
        not found in 20 trials.

    Examples
    --------
    >>> search(lambda step: ((step - 3) ** 2, 2 * (step - 3)), Point(0.0, 9.0, -6.0), 1.0)
    Point(step=1.0, value=4.0, slope=-4.0)

    References
    ----------
    Moré and Thuente (1994), Line search algorithms with guaranteed sufficient decrease.
    """
    promise = DECREASE * start.slope
    best = other = start
    has_minimum, was_low = False, False
    low, high = 0.0, step + FARTHEST * step
    width, width_before = LONGEST_STEP, 2 * LONGEST_STEP
    for _ in range(MOST_TRIALS):
        now = Point(step, *function(step))
        enough = start.value + step * promise
        was_low = was_low or (now.value <= enough and now.slope >= 0)
        is_narrow = has_minimum and (not low < step < high or high - low <= NARROWEST * high)
        is_last = step == LONGEST_STEP and now.value <= enough and now.slope <= promise
        if is_narrow or is_last or (now.value <= enough and abs(now.slope) <= -FLATTENING * start.slope):
            return now
        # Until a value was low enough, the function minus the promise has the minimum that is looked for.
        tilt = promise if not was_low and enough < now.value <= best.value else 0.0
        points = [point.tilted(tilt) for point in (best, other, now)]
        step, has_minimum = next_step(*points, has_minimum, low, high)
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
            low = step + NEAREST * (step - best.step)
            high = step + FARTHEST * (step - best.step)
        step = min(max(step, 0.0), LONGEST_STEP)
        if has_minimum and (not low < step < high or high - low <= NARROWEST * high):
            step = best.step
    return None


def next_step(
    best: Point, other: Point, now: Point, has_minimum: bool, low: float, high: float
) -> tuple[float, bool]:
    """The next step to try, by cubic and quadratic interpolation, and whether a minimum is in the interval."""
    change = now.step - best.step
    turns = now.slope * math.copysign(1.0, best.slope) < 0
    if now.value > best.value:  # too far: the minimum is between both
        cubic = cubic_minimum(best, now, best)
        slope = (best.value - now.value) / change + best.slope
        quadratic = best.step + best.slope / slope / 2 * change
        is_nearer = abs(cubic - best.step) < abs(quadratic - best.step)
        return cubic if is_nearer else cubic + (quadratic - cubic) / 2, True
    if turns:  # lower, and the slope has changed its sign
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
    if has_minimum:  # lower, but no flatter
        return cubic_minimum(now, other, now), True
    return high if change > 0 else low, False


def cubic_minimum(
    first: Point, second: Point, origin: Point, beyond: tuple[float, float] | None = None
) -> float:
    """Where the cubic through two points with their slopes is lowest, counted from one of them.

    Parameters
    ----------
    first, second : Point
    origin : Point
        One of them.
    beyond : tuple of float, default=None
        What to return for a cubic whose minimum is not beyond the first point, away from the second: the
        smaller or the larger number, by the side on which the first lies.
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
