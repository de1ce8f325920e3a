"""The gradient check: backward passes against central differences of the forward pass."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from layernet.layer import Layer

# How many times the precision of a type sums of gradients and of outputs are taken to be off by rounding.
ROUNDINGS = 16
# Where differences disagree with a gradient: what the step is multiplied by, and how many of them are refined.
OTHER_STEPS = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6)
MOST_REFINED = 200


@dataclass(frozen=True)
class GradientError:
    """How far one gradient is from the differences, at its worst entry.

    Attributes
    ----------
    name : str
        `"inputs"`, or a parameter's name.
    error : float
        The largest difference of two entries, relative to the largest entry of the gradient; each entry counts
        times the size of the value that it belongs to.
    place : tuple of int or None
        Index of the worst entry; None for a comparison along directions.
    analytic, numeric : float
        What the backward pass says there, and what the differences say.
    """

    name: str
    error: float
    place: tuple[int, ...] | None
    analytic: float
    numeric: float

    def __str__(self) -> str:
        where = f"entry {list(self.place)}" if self.place is not None else "along a direction"
        return (
            f"{self.name}: relative error {self.error:.1e}; at worst, {where}, backward_pass says "
            f"{self.analytic:.6g} and differences say {self.numeric:.6g}"
        )


@dataclass(frozen=True)
class GradientReport:
    """The verdict of a gradient check; true if every gradient is right.

    Attributes
    ----------
    layer : str
    errors : dict of str to GradientError
        For the inputs, and for every parameter by name.
    tolerance : float
    """

    layer: str
    errors: dict[str, GradientError]
    tolerance: float

    @property
    def passed(self) -> bool:
        # Written so that a NaN fails.
        return all(error.error <= self.tolerance for error in self.errors.values())

    @property
    def worst(self) -> GradientError:
        """The gradient with the largest relative error; NaN counts as the largest."""
        return max(self.errors.values(), key=lambda e: np.inf if np.isnan(e.error) else e.error)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        if self.passed:
            lines = [f"The gradients of {self.layer} are right: no relative error above {self.tolerance:.0e}."]
        else:
            wrong = ", ".join(n for n, error in self.errors.items() if not error.error <= self.tolerance)
            lines = [f"The gradients of {self.layer} are WRONG: {wrong}. Worst is {self.worst.name}."]
        marks = {name: "ok   " if e.error <= self.tolerance else "WRONG" for name, e in self.errors.items()}
        return "\n".join([*lines, *(f"  {marks[name]} {error}" for name, error in self.errors.items())])

    __repr__ = __str__


def check_gradients(
    layer: Layer,
    inputs: Any,
    grad_output: Any = None,
    *,
    training: bool = False,
    method: str = "auto",
    step: float = 1e-5,
    tolerance: float | None = None,
    random_state: Any = 0,
    leave_out: str | Sequence[str] = (),
) -> GradientReport:
    """Compare the backward pass of a layer or a network with central differences of its forward pass.

    For the number F = sum of outputs * grad_output, each entry x of the inputs and of the parameters is moved
    by ±h, where h is the step times the size of the entry:

        dF/dx = (F(x + h) - F(x - h)) / (2 h) + O(h**2).

    Along a direction d all entries are moved at once, each by its h times its d, which costs two forward passes
    however many there are. Where differences and the backward pass disagree, other steps are tried, and the
    differences count that change least from one step to the next: a large step may cross a kink, and a small
    one may drown in rounding.

    Parameters
    ----------
    layer : Layer
        Built, or built by these inputs. A network with its loss at the end is a layer too.
    inputs : array-like of shape (n_samples, ...)
    grad_output : array-like of the outputs' shape, default=None
        None draws one at random; 1 where the outputs are one number.
    training : bool, default=False
        Whether to check in training mode.
    method : {"auto", "entries", "directions"}, default="auto"
        Every entry on its own, or ten random directions for each gradient. In float32 differences of single
        entries drown in rounding; "auto" takes directions there, and differences of a float64 copy.
    step : float, default=1e-5
        How far entries are moved, relative to their size. The size is |x|, but at least a thousandth of the
        root mean square of the array; for x = 0 it is the root mean square, or 1 where all entries are 0.
    tolerance : float, default=None
        The largest relative error that passes; None for 1e-7 in float64, 1e-4 in float32.
    random_state : int or numpy.random.Generator, default=0
        Draws grad_output and the directions.
    leave_out : str or sequence of str, default=()
        The gradients that are not compared: `"inputs"`, or names of parameters.

    Returns
    -------
    GradientReport
        Print it for a readable verdict; it is true if all is right.

    Raises
    ------
    ValueError
        If there is no such method, or no such gradient to leave out, or none is left to compare.

    Notes
    -----
    At a kink, an input of exactly 0 to ReLU for instance, there is no derivative and differences see half of
    it: check elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import Dense, Sequential, Tanh
    >>> net = Sequential([Dense(3), Tanh()]).build(2, random_state=0)
    >>> bool(check_gradients(net, np.array([[0.5, -1.0]])))
    True

    References
    ----------
    Along directions: Baydin et al. (2018), Automatic differentiation in machine learning: a survey, section 2.
    """
    if method not in ("auto", "entries", "directions"):
        raise ValueError(f"method must be 'auto', 'entries' or 'directions', got {method!r}.")
    inputs = layer.admit_inputs(inputs)
    random = np.random.default_rng(random_state)
    single = inputs.dtype == np.float32
    if tolerance is None:
        tolerance = 1e-4 if single else 1e-7
    with layer.training_mode() if training else contextlib.nullcontext():
        outputs = layer.forward_pass(inputs)
        if grad_output is None:
            grad_output = random.standard_normal(np.shape(outputs)) if np.ndim(outputs) else 1.0
        grad_output = np.array(grad_output)  # the given one may be a view of what is about to be moved
        analytic = {"inputs": np.array(layer.backward_pass(inputs, grad_output))}
        analytic.update({name: np.array(gradient) for name, gradient in layer.gradients.items()})
    for name in [leave_out] if isinstance(leave_out, str) else leave_out:
        if name not in analytic:
            raise ValueError(f"leave_out={name!r} is no gradient of {layer!r}, which has {list(analytic)}.")
    analytic = {name: gradient for name, gradient in analytic.items() if name not in np.atleast_1d(leave_out)}
    if not analytic:
        raise ValueError(f"leave_out={leave_out!r} leaves no gradient of {layer!r} to compare.")
    reference = layer.astype(np.float64) if single else layer
    moved = {"inputs": inputs.astype(np.float64), **reference.parameters}
    differences = Differences(reference, moved, np.asarray(grad_output, np.float64), step, training)
    by_entries = method == "entries" or (method == "auto" and not single)
    compared = {}
    for name, gradient in analytic.items():
        size = differences.sizes[name]
        if by_entries:
            directions, ours = Entries(gradient.shape), (gradient * size).reshape(-1)
        else:
            directions = random.standard_normal((10, *gradient.shape))
            with np.errstate(invalid="ignore"):  # an infinite gradient is wrong, and no accident here
                ours = (directions * (gradient * size)).reshape(10, -1).sum(axis=1)
        theirs = [differences.along(name, direction) for direction in directions]
        derivatives, doubts = (np.array([each[i] for each in theirs], np.float64) for i in (0, 1))
        compared[name] = Compared(name, ours, derivatives, doubts, directions, size if by_entries else None)
    largest = max(float(np.abs(each.ours).max(initial=0)) for each in compared.values())
    # What rounding in the layer's own type may make of a gradient that is 0.
    rounding = ROUNDINGS * float(np.finfo(inputs.dtype).eps) * largest
    for each in compared.values():
        each.refine(differences, tolerance, rounding)
    name = repr(layer) if len(repr(layer)) <= 80 else f"a {type(layer).__name__}"
    errors = {n: each.error(tolerance, rounding) for n, each in compared.items() if each.ours.size}
    return GradientReport(name, errors, tolerance)


class Differences:
    """Central differences of sum(outputs * grad_output) as inputs or parameters move."""

    def __init__(self, layer, arrays, grad_output, step, training):
        self.layer = layer
        self.arrays = arrays
        self.sizes = {name: sizes_of(array) for name, array in arrays.items()}
        self.grad_output = grad_output
        self.step = step
        self.training = training

    def along(self, name: str, direction: np.ndarray, factor: float = 1.0) -> tuple[float, float]:
        """The derivative as an array moves along a direction, and how large its rounding error may be."""
        array = self.arrays[name]
        before = array.copy()
        step = self.step * factor
        move = step * self.sizes[name] * direction
        try:
            array[...] = before + move
            ahead = self._outputs()
            array[...] = before - move
            behind = self._outputs()
        finally:
            array[...] = before
        # The difference first: summing up each side would bury it under the rounding of large sums.
        derivative = float((np.subtract(ahead, behind) * self.grad_output).sum() / (2 * step))
        total = float(np.abs(ahead * self.grad_output).sum())
        return derivative, ROUNDINGS * float(np.finfo(np.float64).eps) * total / step

    def refined(self, name: str, direction: np.ndarray) -> tuple[float, float]:
        """The same by the neighboring steps between which the derivative changes least, rounding included."""
        found = [self.along(name, direction, factor) for factor in OTHER_STEPS]
        doubts = [
            max(abs(here - there), rounding_here, rounding_there)
            for (here, rounding_here), (there, rounding_there) in pairwise(found)
        ]
        best = int(np.argmin(np.where(np.isnan(doubts), np.inf, doubts)))
        # The larger step has the smaller rounding error. Two steps tell the size of an error, not its bound.
        return found[best + 1][0], 4 * doubts[best]

    def _outputs(self):
        with self.layer.training_mode() if self.training else contextlib.nullcontext():
            return self.layer.forward_pass(self.arrays["inputs"])


class Entries(Sequence):
    """Directions that each move one entry of an array."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(index)
        direction = np.zeros(self.shape)
        direction.flat[index] = 1
        return direction


def sizes_of(array: np.ndarray) -> np.ndarray:
    """What a step is relative to, for each entry."""
    largest = float(np.abs(array).max(initial=0))
    if largest == 0:
        return np.ones(array.shape)
    typical = largest * float(np.sqrt(np.square(array / largest).mean()))
    return np.where(array == 0, typical, np.maximum(np.abs(array), typical / 1000))


@dataclass
class Compared:
    """A gradient along directions, in units of the entries' sizes, by the backward pass and by differences.

    Attributes
    ----------
    name : str
    ours, theirs : ndarray of shape (n_directions,)
    doubts : ndarray of shape (n_directions,)
        How far off differences may be.
    directions : sequence of ndarray
    sizes : ndarray or None
        Of the entries, where each direction is an entry.
    """

    name: str
    ours: np.ndarray
    theirs: np.ndarray
    doubts: np.ndarray
    directions: Sequence[np.ndarray]
    sizes: np.ndarray | None

    def errors(self, tolerance: float, rounding: float) -> np.ndarray:
        """The error along each direction, relative to the largest of all or to what cannot be told apart."""
        with np.errstate(invalid="ignore", over="ignore"):
            scale = max(np.abs(self.ours).max(), np.abs(self.theirs).max(), np.finfo(float).tiny)
            invisible = (rounding + self.doubts) / max(tolerance, np.finfo(float).eps)
            return np.abs(self.ours - self.theirs) / np.maximum(scale, invisible)

    def refine(self, differences: Differences, tolerance: float, rounding: float) -> None:
        """Find differences again with other steps where they do not agree, the worst first."""
        settled: set[int] = set()
        while len(settled) < min(MOST_REFINED, len(self.ours)):
            errors = self.errors(tolerance, rounding)
            worst = largest_of(errors)
            if errors[worst] <= tolerance or worst in settled:
                return
            self.theirs[worst], self.doubts[worst] = differences.refined(self.name, self.directions[worst])
            settled.add(worst)

    def error(self, tolerance: float, rounding: float) -> GradientError:
        """The worst of the errors."""
        errors = self.errors(tolerance, rounding)
        worst = largest_of(errors)
        if self.sizes is None:
            place, unit = None, 1.0
        else:
            place = tuple(int(i) for i in np.unravel_index(worst, self.sizes.shape))
            unit = self.sizes[place]
        return GradientError(
            self.name,
            float(errors[worst]),
            place,
            float(self.ours[worst] / unit),
            float(self.theirs[worst] / unit),
        )


def largest_of(errors: np.ndarray) -> int:
    """Where the largest error is; NaN counts as the largest."""
    return int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
