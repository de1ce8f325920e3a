"""Is the gradient right? Backward passes against central differences of the forward pass."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.layer import Layer

# Gradients smaller than this part of the largest one are compared on its scale: differences cannot see them.
SMALLEST_SCALE = 1e-2


@dataclass(frozen=True)
class GradientError:
    """How far one gradient is from the differences, at its worst entry.

    Attributes
    ----------
    name : str
        `"inputs"`, or a parameter's name.
    error : float
        The largest difference of two entries, relative to the largest entry of the gradient.
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
) -> GradientReport:
    """Compare the backward pass of a layer or a network with central differences of its forward pass.

    For the number F = sum of outputs * grad_output, each entry x of the inputs and of the parameters is moved
    by ±step:

        dF/dx = (F(x + step) - F(x - step)) / (2 step) + O(step**2).

    Along a direction d all entries are moved at once, F'(d) = sum of dF/dx d, which costs two forward passes
    however many there are.

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
        How far entries are moved, in units of what they measure.
    tolerance : float, default=None
        The largest relative error that passes; None for 1e-7 in float64, 1e-4 in float32.
    random_state : int or numpy.random.Generator, default=0
        Draws grad_output and the directions.

    Returns
    -------
    GradientReport
        Print it for a readable verdict; it is true if all is right.

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
    reference = layer.astype(np.float64) if single else layer
    moved = {"inputs": inputs.astype(np.float64), **reference.parameters}
    differences = Differences(reference, moved, np.asarray(grad_output, np.float64), step, training)
    by_entries = method == "entries" or (method == "auto" and not single)
    if by_entries:
        compared = {name: (gradient, differences.of_entries(name)) for name, gradient in analytic.items()}
    else:
        compared = {}
        for name, gradient in analytic.items():
            directions = random.standard_normal((10, *gradient.shape))
            along = (directions * gradient).reshape(10, -1).sum(axis=1)
            compared[name] = along, np.array([differences.along(name, d) for d in directions])
    name = repr(layer) if len(repr(layer)) <= 80 else f"a {type(layer).__name__}"
    return GradientReport(name, relative_errors(compared, by_entries), tolerance)


class Differences:
    """Central differences of sum(outputs * grad_output) as inputs or parameters move."""

    def __init__(self, layer, arrays, grad_output, step, training):
        self.layer = layer
        self.arrays = arrays
        self.grad_output = grad_output
        self.step = step
        self.training = training

    def of_entries(self, name: str) -> np.ndarray:
        """The derivative with respect to every entry of an array, one by one."""
        array = self.arrays[name]
        derivatives = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            direction = np.zeros(array.shape)
            direction[place] = 1
            derivatives[place] = self.along(name, direction)
        return derivatives

    def along(self, name: str, direction: np.ndarray) -> float:
        """The derivative as an array moves along a direction."""
        array = self.arrays[name]
        before = array.copy()
        try:
            array[...] = before + self.step * direction
            ahead = self._outputs()
            array[...] = before - self.step * direction
            behind = self._outputs()
        finally:
            array[...] = before
        # The difference first: summing up each side would bury it under the rounding of large sums.
        return float((np.subtract(ahead, behind) * self.grad_output).sum() / (2 * self.step))

    def _outputs(self):
        with self.layer.training_mode() if self.training else contextlib.nullcontext():
            return self.layer.forward_pass(self.arrays["inputs"])


def relative_errors(compared, by_entries: bool) -> dict[str, GradientError]:
    """The worst entry of each gradient, from pairs of what the backward pass and the differences say."""
    largest = max((np.abs(array).max(initial=0) for pair in compared.values() for array in pair), default=0)
    errors = {}
    for name, (ours, theirs) in compared.items():
        if ours.size == 0:
            continue
        difference = np.abs(ours - theirs)
        scale = max(np.abs(ours).max(), np.abs(theirs).max(), SMALLEST_SCALE * largest)
        flat = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        place = tuple(int(i) for i in np.unravel_index(flat, ours.shape))
        errors[name] = GradientError(
            name,
            float(difference[place] / scale) if scale > 0 else float(difference[place]),
            place if by_entries else None,
            float(ours[place]),
            float(theirs[place]),
        )
    return errors
