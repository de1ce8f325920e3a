"""The gradient check, run on the layers and the loss that a user wrote."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from layernet.checking.gradients import GradientReport, check_gradients
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.activations import Heard

PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients")
LOSS_PASSES = ("losses", "gradient", "record", "gradient_from")

# Two rows show whether gradients of parameters are summed over the batch; a few more take all branches.
CHECKED_ROWS = 8
# A right gradient is off by 1e-5 at the most, by rounding and by the curvature of the forward pass; a forgotten
# factor or term by 0.1 and more. Training does not feel an error below this one.
WRONG = 1e-2
# A gradient is wrong if differences with both steps contradict it: rounding spoils the smaller step, kinks and
# curvature the larger one.
STEPS = (1e-5, 1e-3)
# Ten directions of one array are drawn at once, and take 8 bytes an entry.
LARGEST_ARRAY = 2**21
# Differences of numbers beyond this are rounding; a network that came here has diverged.
BEYOND_SENSE = 1e9
# Inputs are moved by about this part of themselves: at a kink, as at 0 for a rectifier, there is no derivative.
NUDGE = 0.01


class LossOfRows(Layer):
    """The sum of a loss over rows with their targets, as a layer; the targets are prepared already."""

    def __init__(self, loss: Loss, targets: np.ndarray):
        self.loss, self.targets = loss, targets

    def infer_output_shape(self, input_shape):
        return ()

    def record(self, inputs):
        losses, record = self.loss.record(inputs, self.targets)
        return losses.sum(), record

    def backward_from(self, record, grad_output):
        return self.loss.gradient_from(record, self.targets) * grad_output


class InUnitsOfInputs(Layer):
    """A layer with inputs measured in units of their own sizes, so that one step of differences suits them all.

    outputs = f(sizes * inputs), so that grad_inputs = sizes * f's own.
    """

    def __init__(self, layer: Layer, sizes: np.ndarray):
        self.layers, self.sizes = [layer], sizes

    def create_parameters(self, input_shape):
        self.build_inside(self.layers[0], input_shape)

    def infer_output_shape(self, input_shape):
        return self.layers[0].infer_output_shape(input_shape)

    def record(self, inputs):
        return self.layers[0].record(inputs * self.sizes.astype(inputs.dtype, copy=False))

    def backward_from(self, record, grad_output):
        grad_inputs = self.layers[0].backward_from(record, grad_output)
        return grad_inputs * self.sizes.astype(grad_inputs.dtype, copy=False)


def check_own_layers(
    heard: dict[str, Heard], loss: Loss, outputs: np.ndarray, targets: np.ndarray | None
) -> tuple[dict[str, GradientReport], dict[str, str]]:
    """Compare the backward passes that are not this package's with differences of their forward passes.

    Parameters
    ----------
    heard : dict of str to Heard
        The layers of a copy of the network, with the inputs of each.
    loss : Loss
    outputs : ndarray of shape (n_rows, ...)
        Of the network.
    targets : ndarray of shape (n_rows, ...) or None
        As the loss prepared them; without them a loss is not checked.

    Returns
    -------
    reports : dict of str to GradientReport
        By the layer's name, or that of the loss's class. A layer with layers inside is only checked if those
        are right.
    unchecked : dict of str to str
        Why a layer could not be checked.
    """
    reports: dict[str, GradientReport] = {}
    unchecked: dict[str, str] = {}

    def check(name, layer, inputs):
        try:
            found = check_own(layer, inputs)
        except Exception as error:  # somebody else's code, on inputs that it was not made for
            found = f"{type(error).__name__}: {error}"
        if isinstance(found, str):
            unchecked[name] = found
        else:
            reports[name] = found

    for name, each in heard.items():
        if not is_own(each.layer, PASSES):
            continue
        inside = {id(layer) for layer in each.layer.walk()}
        if all(report for other, report in reports.items() if id(heard[other].layer) in inside):
            check(name, each.layer, each.inputs)
    if targets is not None and is_own(loss, LOSS_PASSES):
        rows = slice(CHECKED_ROWS)
        of_rows = LossOfRows(copy.deepcopy(loss), targets[rows]).build(outputs.shape[1:], dtype=outputs.dtype)
        check(type(loss).__name__, of_rows, outputs)
    return reports, unchecked


def is_own(thing: Layer | Loss, methods: tuple[str, ...]) -> bool:
    """Whether somebody else than this package defines one of an object's passes."""
    for name in methods:
        if name in vars(thing):
            return True
        definer = next((each for each in type(thing).__mro__ if name in vars(each)), None)
        if definer is not None and not definer.__module__.startswith("layernet."):
            return True
    return False


def check_own(layer: Layer, inputs: np.ndarray) -> GradientReport | str:
    """The gradient check of one layer at the inputs that it got, or why there is none.

    Parameters
    ----------
    layer : Layer
        Left as it is; copies are tried.
    inputs : ndarray of shape (n_rows, ...)
        The first rows are used, moved a little.

    Returns
    -------
    GradientReport or str
    """
    inputs = nudged(np.asarray(inputs)[:CHECKED_ROWS])
    arrays = [inputs, *layer.parameters.values()]
    if (largest := max(array.size for array in arrays)) > LARGEST_ARRAY:
        return f"an array of {largest:,} numbers is too large"
    if not all(np.abs(array).max(initial=0) < BEYOND_SENSE for array in arrays):
        return "its inputs or parameters are not finite, or too large for differences"
    with np.errstate(all="ignore"):
        training = next((mode for mode in (True, False) if is_repeatable(layer, inputs, mode)), None)
        if training is None:
            return "its outputs differ from one pass to the next"
        best, sizes = None, np.abs(inputs)
        for step in STEPS:
            measured = InUnitsOfInputs(copy.deepcopy(layer), sizes).build(inputs.shape[1:], dtype=inputs.dtype)
            report = check_gradients(
                measured, np.sign(inputs), training=training, method="directions", step=step, tolerance=WRONG
            )
            if not all(np.isfinite(each.numeric) for each in report.errors.values()):
                return "differences of its outputs are no finite numbers"
            if best is None or report.worst.error < best.worst.error:
                best = report
            if best:
                break
    errors = {each.name.removeprefix("0."): each for each in best.errors.values()}
    errors = {name: replace(each, name=name) for name, each in errors.items()}
    return GradientReport(repr(layer), errors, WRONG)


def is_repeatable(layer: Layer, inputs: np.ndarray, training: bool) -> bool:
    """Whether two forward passes give the same, so that differences of them mean something."""
    layer = copy.deepcopy(layer)
    outputs = []
    for _ in range(2):
        if training:
            with layer.training_mode():
                outputs.append(np.array(layer.forward_pass(inputs)))
        else:
            outputs.append(np.array(layer.forward_pass(inputs)))
    return np.array_equal(*outputs)


def nudged(inputs: np.ndarray) -> np.ndarray:
    """Inputs moved by a hundredth of themselves, zeros by a hundredth of the others' size, to no other sign."""
    random = np.random.default_rng(0)
    finite = inputs[np.isfinite(inputs)].astype(np.float64)
    size = float(np.sqrt(np.square(finite).mean())) if finite.any() else 1.0
    factors = 1 + NUDGE * random.uniform(-1, 1, inputs.shape)
    instead = NUDGE * size * random.uniform(0.5, 1.5, inputs.shape)
    return np.where(inputs == 0, instead, inputs * factors).astype(inputs.dtype)
