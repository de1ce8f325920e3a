"""Central differences with automatic step sizes, compared with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

# Assumed rounding error of sums of gradients and of outputs, in multiples of the type's precision.
ROUNDINGS = 16
# If differences disagree with a gradient: factors of the step that are tried, and how many entries are refined.
OTHER_STEPS = 10.0 ** np.arange(-10, 7)
MOST_REFINED = 200
DIRECTIONS = 10  # random directions for each array that is not moved entry by entry
NOISES = 4  # factor from the largest error that smaller steps show to the assumed error
# A bend of this many rounding errors that shrinks by less than half with a tenth of the step is a kink.
VISIBLE_BEND = 10


class Differences:
    """Central differences of sum(outputs * grad_output) as the entries of an array move.

    Parameters
    ----------
    outputs : callable
        Computes the outputs from the array's present values.
    array : ndarray of float64
        Changed in place, and restored.
    grad_output : array-like of the outputs' shape
    step : float
        How far entries are moved, relative to their size; see `sizes_of`.
    """

    def __init__(
        self, outputs: Callable[[], np.ndarray], array: np.ndarray, grad_output: np.ndarray, step: float
    ):
        self.outputs = outputs
        self.array = array
        self.sizes = sizes_of(array)
        self.grad_output = grad_output
        self.step = step

    def along(self, direction: np.ndarray, factor: float = 1.0) -> tuple[float, float]:
        """Return the derivative along a direction, and a bound of its rounding error."""
        step = self.step * factor
        ahead, behind = self._outputs_at(step * direction), self._outputs_at(-step * direction)
        # The difference first: summing up each side would bury it under the rounding of large sums.
        derivative = float((np.subtract(ahead, behind) * self.grad_output).sum() / (2 * step))
        return derivative, self._rounding(ahead) / step

    def refined(self, direction: np.ndarray) -> tuple[float, float]:
        """Return the derivative at the step size where it changes least, and a bound of its error.

        Intermediate numbers may be larger than F, for example the outputs of a network whose loss is nearly 0.
        Their rounding errors are larger too, and show at smaller steps, where the error is rounding / step.
        """
        derivatives, roundings = np.array([self.along(direction, factor) for factor in OTHER_STEPS]).T
        with np.errstate(invalid="ignore"):
            off = OTHER_STEPS[:, None] * np.abs(derivatives[:, None] - derivatives)
            noises = [off[:larger, larger].max() for larger in range(1, len(OTHER_STEPS))]
            seen = NOISES * np.array(noises) / OTHER_STEPS[1:]
            doubts = np.max([np.abs(np.diff(derivatives)), roundings[:-1], roundings[1:], seen], axis=0)
        best = int(np.argmin(np.where(np.isnan(doubts), np.inf, doubts)))
        # The larger step has the smaller rounding error. Two steps tell the size of an error, not its bound.
        return float(derivatives[best + 1]), 4 * float(doubts[best])

    def has_kink(self, direction: np.ndarray) -> bool:
        """Return whether the slopes on both sides of the point differ, so that there is no derivative.

        They differ by the bend |F(x + h) - 2 F(x) + F(x - h)| / h, which shrinks with h where F is smooth.
        """
        here = self.outputs()
        bends = []
        for factor in (1.0, 0.1):
            step = self.step * factor
            ahead, behind = self._outputs_at(step * direction), self._outputs_at(-step * direction)
            twice = np.subtract(ahead, here) + np.subtract(behind, here)
            bends.append(abs(float((twice * self.grad_output).sum())) / step)
        return bends[1] > max(bends[0] / 2, VISIBLE_BEND * self._rounding(here) / step)

    def beside(self, gradient: np.ndarray, directions: Sequence[np.ndarray]) -> Compared:
        """Return a gradient and the differences along directions."""
        scaled = gradient * self.sizes
        if isinstance(directions, Entries):
            ours = scaled.reshape(-1)
        else:
            with np.errstate(invalid="ignore"):  # an infinite gradient is wrong, and no accident here
                ours = (directions * scaled).reshape(len(directions), -1).sum(axis=1)
        return Compared(self, ours, directions)

    def _outputs_at(self, move: np.ndarray) -> np.ndarray:
        before = self.array.copy()
        try:
            self.array[...] = before + self.sizes * move
            return self.outputs()
        finally:
            self.array[...] = before

    def _rounding(self, outputs: np.ndarray) -> float:
        """Return a bound of the rounding error of the number F."""
        return ROUNDINGS * float(np.finfo(np.float64).eps) * float(np.abs(outputs * self.grad_output).sum())


class Entries(Sequence[np.ndarray]):
    """Directions that each move one entry of an array."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def __len__(self) -> int:
        return math.prod(self.shape)

    # One direction at a time; slices are not needed.
    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        direction = np.zeros(self.shape)
        direction.flat[index] = 1
        return direction


def random_directions(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return directions that each move all entries of an array."""
    return random.standard_normal((DIRECTIONS, *shape))


def sizes_of(array: np.ndarray) -> np.ndarray:
    """Return the size of each entry, which steps are relative to."""
    largest = float(np.abs(array).max(initial=0))
    if largest == 0:
        return np.ones(array.shape)
    typical = largest * float(np.sqrt(np.square(array / largest).mean()))
    return np.where(array == 0, typical, np.maximum(np.abs(array), typical / 1000))


class Compared:
    """Gradient along directions by the backward pass and by differences, in units of the entries' sizes.

    Attributes
    ----------
    differences : Differences
    ours, theirs : ndarray of shape (n_directions,)
    doubts : ndarray of shape (n_directions,)
        Bounds of the errors of the differences.
    directions : sequence of ndarray
        `Entries`, or directions that move all entries.
    at_kink : ndarray of bool, of shape (n_directions,)
        Where there is no derivative, and nothing is compared; found by `refine` if it is asked to.
    """

    def __init__(self, differences: Differences, ours: np.ndarray, directions: Sequence[np.ndarray]):
        self.differences = differences
        self.ours = ours
        self.directions = directions
        found = [differences.along(direction) for direction in directions]
        self.theirs, self.doubts = (np.array([each[i] for each in found], np.float64) for i in (0, 1))
        self.at_kink = np.zeros(len(ours), bool)

    def errors(self, tolerance: float, rounding: float) -> np.ndarray:
        """Return the error along each direction, relative to the largest gradient or to the rounding error."""
        with np.errstate(invalid="ignore", over="ignore"):
            scale = max(np.abs(self.ours).max(), np.abs(self.theirs).max(), np.finfo(float).tiny)
            invisible = (rounding + self.doubts) / max(tolerance, np.finfo(float).eps)
            errors = np.abs(self.ours - self.theirs) / np.maximum(scale, invisible)
            return np.where(self.at_kink, 0.0, errors)

    def refine(self, tolerance: float, rounding: float, leave_out_kinks: bool = False) -> None:
        """Compute differences with other steps where they disagree, the worst first."""
        settled: set[int] = set()
        while len(settled) - self.at_kink.sum() < min(MOST_REFINED, len(self.ours)):
            errors = self.errors(tolerance, rounding)
            worst = largest_of(errors)
            if errors[worst] <= tolerance or worst in settled:
                return
            direction = self.directions[worst]
            self.theirs[worst], self.doubts[worst] = self.differences.refined(direction)
            settled.add(worst)
            if leave_out_kinks and self.errors(tolerance, rounding)[worst] > tolerance:
                self.at_kink[worst] = self.differences.has_kink(direction)

    def worst(self, tolerance: float, rounding: float) -> tuple[float, tuple[int, ...] | None, float, float]:
        """Return the largest error, the index of its entry or None, the gradient there, and the difference."""
        errors = self.errors(tolerance, rounding)
        worst = largest_of(errors)
        place, unit = None, 1.0
        if isinstance(self.directions, Entries):
            sizes = self.differences.sizes
            place = tuple(int(i) for i in np.unravel_index(worst, sizes.shape))
            unit = sizes[place]
        return float(errors[worst]), place, float(self.ours[worst] / unit), float(self.theirs[worst] / unit)


def rounding_of(compared: Iterable[Compared], dtype: np.dtype) -> float:
    """Return a bound of the rounding error of a gradient that is 0, next to gradients that are not."""
    largest = max((float(np.abs(each.ours).max(initial=0)) for each in compared), default=0.0)
    return ROUNDINGS * float(np.finfo(dtype).eps) * largest


def largest_of(errors: np.ndarray) -> int:
    """Return the position of the largest error; NaN counts as the largest."""
    return int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
