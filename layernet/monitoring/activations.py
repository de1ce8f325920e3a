"""Activations of a network: inputs and outputs of every layer for some rows, and summaries of the outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.monitoring.output_range import range_of_outputs
from layernet.monitoring.watched_layers import named_layers

# Bins of a histogram: enough to see two modes, few enough that each bin holds some of 256 rows.
HISTOGRAM_BINS = 40

# An output is saturated if it lies within this part of the range of the activation from a bound. There the
# derivative s (1 - s) of a sigmoid is below 4 % of its maximum, and so is that of a tanh.
SATURATION_MARGIN = 0.01


@dataclass(frozen=True)
class OutputSummary:
    """Summary of a layer's outputs for a sample of rows.

    Attributes
    ----------
    kind : str
        The name of the layer's class.
    n_rows, n_units : int
    counts : ndarray of shape (n_bins,)
        Histogram of the outputs.
    edges : ndarray of shape (n_bins + 1,)
    mean, std : float
    zero_units : int
        Number of units whose output is 0 or less for all rows.
    bounds : tuple of two floats, or None
        Bounds of the outputs of an elementwise activation that is bounded on both sides; None for other layers.
    saturated : float or None
        Share of outputs near these bounds; None without bounds.
    """

    kind: str
    n_rows: int
    n_units: int
    counts: np.ndarray
    edges: np.ndarray
    mean: float
    std: float
    zero_units: int
    bounds: tuple[float, float] | None
    saturated: float | None


@dataclass(frozen=True)
class LayerPass:
    """Inputs and outputs of a layer in one forward pass of the network.

    Attributes
    ----------
    layer : Layer
        A layer of the copy that the rows passed through, without the hook.
    inputs, outputs : ndarray of shape (n_rows, ...)
    """

    layer: Layer
    inputs: np.ndarray
    outputs: np.ndarray


def summarize_activations(network: Layer, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, OutputSummary]]:
    """Pass rows through a copy of a network in training mode, and summarize the outputs of every layer.

    The network itself keeps its state, its mode and its random numbers.

    Parameters
    ----------
    network : Layer
        Built.
    inputs : ndarray of shape (n_samples, ...)

    Returns
    -------
    outputs : ndarray
        Outputs of the network.
    summaries : dict of str to OutputSummary
        By the name of each layer that contains no layers.
    """
    outputs, passes = record_passes(copy.deepcopy(network), inputs)
    with np.errstate(all="ignore"):
        summaries = {
            name: summarize_outputs(each.layer, each.outputs)
            for name, each in passes.items()
            if not each.layer.layers
        }
    return outputs, summaries


def record_passes(network: Layer, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, LayerPass]]:
    """Pass rows through a network in training mode, and return inputs and outputs of every layer.

    Parameters
    ----------
    network : Layer
        A copy: a layer with a random generator of its own advances it.
    inputs : ndarray of shape (n_samples, ...)

    Returns
    -------
    outputs : ndarray
        Outputs of the network.
    passes : dict of str to LayerPass
        By name, in the order in which the layers finished. A layer comes after the layers inside it.
    """
    passes: dict[str, LayerPass] = {}

    def hook_for(name: str, layer: Layer) -> Callable[[np.ndarray, np.ndarray], None]:
        def hook(layer_inputs: np.ndarray, outputs: np.ndarray) -> None:
            passes[name] = LayerPass(layer, layer_inputs, outputs)

        return hook

    attributes_before = [(inner, dict(vars(inner))) for inner in network.walk()]
    for name, layer in named_layers(network):
        _add_hook(layer, hook_for(name, layer))
    # In training mode: before its running averages have settled, BatchNorm does not normalize in inference.
    try:
        with network.training_mode(), np.errstate(all="ignore"):
            outputs = network.forward_pass(inputs)
    finally:
        for inner, attributes in attributes_before:
            for name in ("record", "forward_pass"):
                vars(inner).pop(name)
                vars(inner).update({name: attributes[name]} if name in attributes else {})
    return outputs, passes


def _add_hook(layer: Layer, hook: Callable[[np.ndarray, np.ndarray], None]) -> None:
    """Wrap `record` and `forward_pass` of a layer so that `hook(inputs, outputs)` is called."""
    record, forward_pass = layer.record, layer.forward_pass

    def record_with_hook(inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        outputs, kept = record(inputs)
        hook(inputs, outputs)
        return outputs, kept

    def forward_pass_with_hook(inputs: np.ndarray) -> np.ndarray:
        outputs = forward_pass(inputs)
        hook(inputs, outputs)
        return outputs

    vars(layer).update(record=record_with_hook, forward_pass=forward_pass_with_hook)


def summarize_outputs(layer: Layer, outputs: np.ndarray) -> OutputSummary:
    """Summarize the outputs of a layer."""
    values = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    finite = values[np.isfinite(values)]
    edges = histogram_edges(finite)
    bounds = output_bounds(layer)
    return OutputSummary(
        kind=type(layer).__name__,
        n_rows=len(values),
        n_units=values.shape[1],
        counts=np.histogram(finite, HISTOGRAM_BINS, (edges[0], edges[-1]))[0],
        edges=edges,
        mean=float(values.mean()),
        std=float(values.std()),
        zero_units=int((values <= 0).all(axis=0).sum()),
        bounds=bounds,
        saturated=None if bounds is None else share_near_bounds(values, *bounds),
    )


def output_bounds(layer: Layer) -> tuple[float, float] | None:
    """Return the bounds of an elementwise activation that is bounded on both sides.

    The layer's class declares them in `output_bounds`. For a user's layer without a declaration they are
    measured on inputs of many sizes.

    Parameters
    ----------
    layer : Layer
        Built.

    Returns
    -------
    tuple of two floats, or None
        None if a side is unbounded, or if the layer has parameters or mixes units, as a softmax does.
    """
    declared = layer.output_bounds
    is_ours = type(layer).__module__.startswith("layernet.")
    if declared or is_ours or layer.has_parameters or not layer.input_shape:
        return declared
    try:
        low, high = range_of_outputs(layer)
        rows = np.zeros((2, *layer.input_shape), layer.dtype)
        rows[1].flat[0] = 1
        first, second = (copy.deepcopy(layer).forward_pass(row[None]).ravel() for row in rows)
    except Exception:  # a user's layer may not accept these inputs: its bounds stay unknown
        return None
    if not (np.isfinite(low).all() and np.isfinite(high).all()) or not np.array_equal(first[1:], second[1:]):
        return None
    bounds = float(low.min()), float(high.max())
    return bounds if bounds[0] < bounds[1] else None


def share_near_bounds(values: np.ndarray, low: float, high: float) -> float:
    """Return the share of values that lie near one of two bounds."""
    margin = SATURATION_MARGIN * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())


def histogram_edges(values: np.ndarray) -> np.ndarray:
    """Return edges of bins from the smallest to the largest value; around the value if all are equal."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        low, high = low - 0.5 * max(1.0, abs(low)), high + 0.5 * max(1.0, abs(high))
    return np.linspace(low, high, HISTOGRAM_BINS + 1)
