"""Gradient check of the layers and the loss that a user wrote."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from layernet.checking.gradients import GradientReport, check_gradients
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.activations import LayerPass

LAYER_PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients")
LOSS_PASSES = ("losses", "gradient", "record", "gradient_from")

# Two rows show whether gradients of parameters are summed over the batch. More rows make it likely that all
# branches of a user's code are executed.
CHECKED_ROWS = 8
# A gradient with a larger relative error is wrong. Right gradients have errors up to 1e-5, from rounding and
# curvature. A forgotten factor or term gives 0.1 and more. Smaller errors do not harm training.
WRONG_GRADIENT = 1e-2
# Step sizes of the finite differences. A gradient is wrong if it disagrees at both: rounding affects the
# smaller step size, kinks and curvature affect the larger one.
STEP_SIZES = (1e-5, 1e-3)
# Larger arrays are not checked, because of memory: ten random directions take 80 bytes for each entry.
MAX_ARRAY_SIZE = 2**21
# Rounding dominates finite differences of larger numbers. A network with such numbers has diverged.
LARGEST_NUMBER = 1e9
# Inputs are perturbed by up to this fraction of their size, because a kink, as of ReLU at 0, has no derivative.
PERTURBATION = 0.01


class LossOfRows(Layer):
    """Layer that computes the sum of a loss over rows, with targets from `loss.prepare`."""

    _has_public_name = False

    def __init__(self, loss: Loss, targets: np.ndarray):
        self.loss, self.targets = loss, targets

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return ()

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        losses, record = self.loss.record(inputs, self.targets)
        return losses.sum(), record

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        return self.loss.gradient_from(record, self.targets) * grad_output


class ScaledInputs(Layer):
    """Layer that multiplies its inputs by given sizes, so that one step size suits inputs of all sizes.

    outputs = f(sizes * inputs) and grad_inputs = sizes * (grad_inputs of f).
    """

    _has_public_name = False

    def __init__(self, layer: Layer, sizes: np.ndarray):
        self.layers, self.sizes = [layer], sizes

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        self.build_inside(self.layers[0], input_shape)

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.layers[0].infer_output_shape(input_shape)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        return self.layers[0].record(inputs * self.sizes.astype(inputs.dtype, copy=False))

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        grad_inputs = self.layers[0].backward_from(record, grad_output)
        return grad_inputs * self.sizes.astype(grad_inputs.dtype, copy=False)


def check_user_gradients(
    passes: dict[str, LayerPass], loss: Loss, outputs: np.ndarray, targets: np.ndarray | None
) -> tuple[dict[str, GradientReport], dict[str, str]]:
    """Compare the backward passes that users wrote with finite differences of their forward passes.

    Parameters
    ----------
    passes : dict of str to LayerPass
        Layers of a copy of the network, with their inputs.
    loss : Loss
    outputs : ndarray of shape (n_rows, ...)
        Outputs of the network.
    targets : ndarray of shape (n_rows, ...) or None
        As `loss.prepare` returned them; None to leave out the loss.

    Returns
    -------
    reports : dict of str to GradientReport
        Reports by the name of the layer, or of the loss's class. A container is checked only if the layers
        inside it passed.
    unchecked : dict of str to str
        For each layer that could not be checked, the reason.
    """
    reports: dict[str, GradientReport] = {}
    unchecked: dict[str, str] = {}

    def check(name: str, layer: Layer, inputs: np.ndarray) -> None:
        found: GradientReport | str
        try:
            found = check_user_layer(layer, inputs)
        except Exception as error:  # a user's layer may not accept these inputs
            found = f"{type(error).__name__}: {error}"
        if isinstance(found, str):
            unchecked[name] = found
        else:
            reports[name] = found

    for name, each in passes.items():
        if not is_user_defined(each.layer, LAYER_PASSES):
            continue
        inside = {id(layer) for layer in each.layer.walk()}
        if all(report for other, report in reports.items() if id(passes[other].layer) in inside):
            check(name, each.layer, each.inputs)
    if targets is not None and is_user_defined(loss, LOSS_PASSES):
        rows = slice(CHECKED_ROWS)
        of_rows = LossOfRows(copy.deepcopy(loss), targets[rows]).build(outputs.shape[1:], dtype=outputs.dtype)
        check(type(loss).__name__, of_rows, outputs)
    return reports, unchecked


def is_user_defined(owner: Layer | Loss, methods: tuple[str, ...]) -> bool:
    """Return whether code outside this package defines one of the object's passes."""
    for name in methods:
        if name in vars(owner):
            return True
        definer = next((each for each in type(owner).__mro__ if name in vars(each)), None)
        if definer is not None and not definer.__module__.startswith("layernet."):
            return True
    return False


def check_user_layer(layer: Layer, inputs: np.ndarray) -> GradientReport | str:
    """Check the gradients of one layer, at the inputs that it has in the network.

    Parameters
    ----------
    layer : Layer
        The check works on copies.
    inputs : ndarray of shape (n_rows, ...)
        The first rows are used, slightly perturbed.

    Returns
    -------
    GradientReport or str
        The reason if the gradients cannot be checked.
    """
    inputs = perturb(np.asarray(inputs)[:CHECKED_ROWS])
    arrays = [inputs, *layer.parameters.values()]
    if (largest := max(array.size for array in arrays)) > MAX_ARRAY_SIZE:
        return f"an array of {largest:,} numbers is too large"
    if not all(np.abs(array).max(initial=0) < LARGEST_NUMBER for array in arrays):
        return "its inputs or parameters are not finite, or too large for differences"
    with np.errstate(all="ignore"):
        training = next((mode for mode in (True, False) if is_repeatable(layer, inputs, mode)), None)
        if training is None:
            return "its outputs differ from one pass to the next"
        best: GradientReport | None = None
        sizes = np.abs(inputs)
        for step_size in STEP_SIZES:
            scaled_layer = ScaledInputs(copy.deepcopy(layer), sizes).build(inputs.shape[1:], dtype=inputs.dtype)
            report = check_gradients(
                scaled_layer,
                np.sign(inputs),
                training=training,
                method="directions",
                step=step_size,
                tolerance=WRONG_GRADIENT,
            )
            if not all(np.isfinite(each.numeric) for each in report.errors.values()):
                return "finite differences of its outputs are NaN or infinite"
            if best is None or report.worst.error < best.worst.error:
                best = report
            if best:  # all gradients are right
                break
    assert best is not None
    errors = {each.name.removeprefix("0."): each for each in best.errors.values()}
    errors = {name: replace(each, name=name) for name, each in errors.items()}
    return GradientReport(repr(layer), errors, WRONG_GRADIENT)


def is_repeatable(layer: Layer, inputs: np.ndarray, training: bool) -> bool:
    """Return whether two forward passes give equal outputs, as finite differences require."""
    layer = copy.deepcopy(layer)
    outputs = []
    for _ in range(2):
        if training:
            with layer.training_mode():
                outputs.append(np.array(layer.forward_pass(inputs)))
        else:
            outputs.append(np.array(layer.forward_pass(inputs)))
    return np.array_equal(outputs[0], outputs[1])


def perturb(inputs: np.ndarray) -> np.ndarray:
    """Perturb inputs by up to `PERTURBATION` of their size. Signs stay; zeros become small positive numbers."""
    random = np.random.default_rng(0)
    finite = inputs[np.isfinite(inputs)].astype(np.float64)
    size = float(np.sqrt(np.square(finite).mean())) if finite.any() else 1.0
    factors = 1 + PERTURBATION * random.uniform(-1, 1, inputs.shape)
    replacements = PERTURBATION * size * random.uniform(0.5, 1.5, inputs.shape)
    return np.where(inputs == 0, replacements, inputs * factors).astype(inputs.dtype)
