"""The gradient check: backward passes against central differences of the forward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.checking.differences import Differences, Entries, random_directions, rounding_of
from layernet.layer import Layer


@dataclass(frozen=True)
class GradientError:
    """Error of one gradient at its worst entry.

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
        The backward pass's and the differences' value there.
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
    """Result of a gradient check; true if every gradient is right.

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
    one may drown in rounding. Which step that is depends on the differences alone.

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
    inputs = layer.validate_inputs(inputs)
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

    def outputs_now() -> np.ndarray:
        with reference.training_mode() if training else contextlib.nullcontext():
            return reference.forward_pass(moved["inputs"])

    by_entries = method == "entries" or (method == "auto" and not single)
    compared = {}
    for name, gradient in analytic.items():
        differences = Differences(outputs_now, moved[name], np.asarray(grad_output, np.float64), step)
        directions: Any = Entries(gradient.shape) if by_entries else random_directions(gradient.shape, random)
        compared[name] = differences.beside(gradient, directions)
    rounding = rounding_of(compared.values(), inputs.dtype)
    for each in compared.values():
        each.refine(tolerance, rounding)
    name = repr(layer) if len(repr(layer)) <= 80 else f"a {type(layer).__name__}"
    errors = {
        n: GradientError(n, *each.worst(tolerance, rounding)) for n, each in compared.items() if each.ours.size
    }
    return GradientReport(name, errors, tolerance)
