"""Listening to a network: its layers by readable names, the size of their weights, what goes out of each."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layernet.engine.formulas import runs_of_ones
from layernet.layer import Layer
from layernet.monitoring.output_range import range_of_outputs
from layernet.parameters import segment_of

# Of histograms: enough to see two heaps, few enough that each holds some of 256 rows.
BINS = 40

# Where activations end, by the names of their classes, so that one's own Sigmoid counts as well.
ENDS = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}

# How near to an end, as a part of the whole range, an output counts as saturated. The derivative of a sigmoid
# is s (1 - s), and below 4 % of its maximum there; for tanh it is the same place.
NEAR_AN_END = 0.01


@dataclass(frozen=True)
class WatchedLayer:
    """A layer with parameters of its own, and where its weights lie in the network's vector.

    Attributes
    ----------
    name : str
    runs : tuple of slice
        Of the network's parameter vector: what weight decay applies to (the weights, not the bias); all
        parameters of a layer that has no such, as of a normalization.
    has_weights : bool
        Whether there is something that weight decay applies to.
    """

    name: str
    runs: tuple[slice, ...]
    has_weights: bool


@dataclass(frozen=True)
class OutputSample:
    """What went out of a layer for the rows of a sample.

    Attributes
    ----------
    kind : str
        The name of the layer's class.
    n_rows, n_units : int
    counts : ndarray of shape (bins,)
        How many outputs lie in each bin of a histogram.
    edges : ndarray of shape (bins + 1,)
    mean, deviation : float
    zero_units : int
        How many units are 0, or less, for all rows.
    saturated : float or None
        The share of outputs within one hundredth of the ends of an activation that has two; None for others.
    """

    kind: str
    n_rows: int
    n_units: int
    counts: np.ndarray
    edges: np.ndarray
    mean: float
    deviation: float
    zero_units: int
    saturated: float | None


def short_name(layer: Layer) -> str:
    """A layer's class with what it cannot be made without: `Dense(64)`, `Dropout(0.2)`, `ReLU`."""
    for name in needed_arguments(type(layer)):
        value = getattr(layer, name, None)
        if isinstance(value, (int, float, np.number)):
            return f"{type(layer).__name__}({value})"
    return type(layer).__name__


@functools.cache
def needed_arguments(kind: type[Layer]) -> tuple[str, ...]:
    """The names of the arguments that a class cannot be made without; looked up once, for it takes long."""
    if kind.__init__ is object.__init__:
        return ()
    parameters = inspect.signature(kind).parameters
    return tuple(name for name, parameter in parameters.items() if parameter.default is parameter.empty)


def named_layers(network: Layer, place: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers of a network by where they stand and what they are, those inside others too.

    Parameters
    ----------
    network : Layer
    place : str, default=""
        Where the network itself stands in a larger one.

    Yields
    ------
    name : str
    layer : Layer

    Examples
    --------
    >>> from layernet import Dense, ReLU, Residual, Sequential
    >>> net = Sequential([Dense(8), Residual(Sequential([ReLU(), Dense(8)]))])
    >>> [name for name, _ in named_layers(net)]
    ['Sequential', '0 Dense(8)', '1 Residual', '1.0 Sequential', '1.0.0 ReLU', '1.0.1 Dense(8)']
    """
    yield f"{place} {short_name(network)}".strip(), network
    for index, layer in enumerate(network.layers):
        yield from named_layers(layer, f"{place}.{index}" if place else str(index))


def watched_layers(network: Layer) -> list[WatchedLayer]:
    """The layers of a built network that have parameters of their own, in order."""
    first = segment_of(network).start
    found = []
    for name, layer in named_layers(network):
        if layer.parameter_shapes:
            start, stop = layer.segment.start - first, layer.segment.stop - first
            weights = runs_of_ones(network.decay_mask[start:stop])
            runs = weights or [slice(0, stop - start)]
            moved = tuple(slice(start + run.start, start + run.stop) for run in runs)
            found.append(WatchedLayer(name, moved, bool(weights)))
    return found


def norm_of(vector: np.ndarray, runs: tuple[slice, ...]) -> float:
    """The Euclidean length of parts of a vector, also where squares are too large or too small for numbers."""
    parts = [vector[run].astype(np.float64, copy=False) for run in runs]
    largest = max(float(np.abs(part).max(initial=0)) for part in parts)
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(sum(np.vdot(part / largest, part / largest) for part in parts)))


def equal_units(network: Layer) -> list[str]:
    """The names of the layers whose units all have the same weights, to the last digits.

    Parameters
    ----------
    network : Layer
        Built.

    Returns
    -------
    list of str
    """
    found = []
    for name, layer in named_layers(network):
        matrices = [layer.parameters[own] for own in layer.parameter_shapes if not layer.layers]
        matrix = next((array for array in matrices if array.ndim == 2 and array.shape[1] > 1), None)
        if matrix is not None:
            distance = np.abs(matrix - matrix[:, :1]).max()
            if distance <= 100 * np.finfo(matrix.dtype).eps * np.abs(matrix).max():
                found.append(name)
    return found


@dataclass(frozen=True)
class Heard:
    """What went into a layer and came out of it.

    Attributes
    ----------
    layer : Layer
        A part of the copy that the rows passed through, without the listener.
    inputs, outputs : ndarray of shape (n_rows, ...)
    """

    layer: Layer
    inputs: np.ndarray
    outputs: np.ndarray


def listen(network: Layer, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, OutputSample]]:
    """Pass rows through a network as in training, and describe what goes out of every layer.

    It is a copy that is listened to: nothing in the network changes, be it state, mode or random numbers.

    Parameters
    ----------
    network : Layer
        Built.
    inputs : ndarray of shape (n_samples, ...)

    Returns
    -------
    outputs : ndarray
        Of the network.
    samples : dict of str to OutputSample
        By the name of each layer that has no layers inside.
    """
    outputs, heard = hear(copy.deepcopy(network), inputs)
    with np.errstate(all="ignore"):
        samples = {
            name: describe_outputs(each.layer, each.outputs)
            for name, each in heard.items()
            if not each.layer.layers
        }
    return outputs, samples


def hear(network: Layer, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, Heard]]:
    """Pass rows through a network in training mode, and keep what every layer got and gave.

    Parameters
    ----------
    network : Layer
        A copy: a layer that draws from a generator of its own moves it.
    inputs : ndarray of shape (n_samples, ...)

    Returns
    -------
    outputs : ndarray
        Of the network.
    heard : dict of str to Heard
        By name, in the order in which the layers were done. A layer comes after those inside it.
    """
    heard: dict[str, Heard] = {}
    before = [(layer, dict(vars(layer))) for layer in network.walk()]
    for name, layer in named_layers(network):
        _lend_an_ear(layer, lambda given, outputs, name=name, layer=layer: heard.update(
            {name: Heard(layer, given, outputs)}
        ))  # fmt: skip
    # In training mode, for in inference a BatchNorm does not normalize before its averages have settled.
    try:
        with network.training_mode(), np.errstate(all="ignore"):
            outputs = network.forward_pass(inputs)
    finally:
        for layer, attributes in before:
            for name in ("record", "forward_pass"):
                vars(layer).pop(name)
                vars(layer).update({name: attributes[name]} if name in attributes else {})
    return outputs, heard


def _lend_an_ear(layer, hear):
    """Let every way of going forward through a layer tell what went in and what came out of it."""
    record, forward_pass = layer.record, layer.forward_pass

    def heard_record(inputs):
        outputs, kept = record(inputs)
        hear(inputs, outputs)
        return outputs, kept

    def heard_forward_pass(inputs):
        outputs = forward_pass(inputs)
        hear(inputs, outputs)
        return outputs

    vars(layer).update(record=heard_record, forward_pass=heard_forward_pass)


def describe_outputs(layer: Layer, outputs: np.ndarray) -> OutputSample:
    """The figures of a layer's outputs."""
    values = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    finite = values[np.isfinite(values)]
    edges = edges_for(finite)
    ends = ends_of(layer)
    return OutputSample(
        kind=type(layer).__name__,
        n_rows=len(values),
        n_units=values.shape[1],
        counts=np.histogram(finite, BINS, (edges[0], edges[-1]))[0],
        edges=edges,
        mean=float(values.mean()),
        deviation=float(values.std()),
        zero_units=int((values <= 0).all(axis=0).sum()),
        saturated=None if ends is None else share_near(values, *ends),
    )


def ends_of(layer: Layer) -> tuple[float, float] | None:
    """Where an activation ends on both sides: known by the name of its class, or tried for one of somebody's.

    Parameters
    ----------
    layer : Layer
        Built.

    Returns
    -------
    tuple of two floats, or None
        None if it has no two ends, has parameters, or mixes units, as a softmax does.
    """
    kind = type(layer)
    named = next((ENDS[each.__name__] for each in kind.__mro__ if each.__name__ in ENDS), None)
    if named or kind.__module__.startswith("layernet.") or layer.has_parameters or not layer.input_shape:
        return named
    try:
        low, high = range_of_outputs(layer)
        rows = np.zeros((2, *layer.input_shape), layer.dtype)
        rows[1].flat[0] = 1
        first, second = (copy.deepcopy(layer).forward_pass(row[None]).ravel() for row in rows)
    except Exception:  # a layer that does not take these numbers has ends that are not known
        return None
    if not (np.isfinite(low).all() and np.isfinite(high).all()) or not np.array_equal(first[1:], second[1:]):
        return None
    ends = float(low.min()), float(high.max())
    return ends if ends[0] < ends[1] else None


def share_near(values: np.ndarray, low: float, high: float) -> float:
    """The share of values that lie near one of two ends."""
    margin = NEAR_AN_END * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())


def edges_for(values: np.ndarray) -> np.ndarray:
    """Bins from the smallest to the largest value; around the value where all are equal."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        low, high = low - 0.5 * max(1.0, abs(low)), high + 0.5 * max(1.0, abs(high))
    return np.linspace(low, high, BINS + 1)
