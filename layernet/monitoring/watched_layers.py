"""Layers of a network by readable names, and the norms of their weights."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layernet.engine.formulas import slices_of_ones
from layernet.layer import Layer
from layernet.parameters import segment_of


@dataclass(frozen=True)
class WatchedLayer:
    """Layer with parameters of its own, and the place of its weights in the network's parameter vector.

    Attributes
    ----------
    name : str
    slices : tuple of slice
        Slices of the network's parameter vector: the parameters that weight decay applies to (weights, not
        biases). All parameters of a layer without such parameters, as of a normalization.
    has_weights : bool
        Whether weight decay applies to some of the layer's parameters.
    """

    name: str
    slices: tuple[slice, ...]
    has_weights: bool


def short_name(layer: Layer) -> str:
    """Return a layer's class with its first required argument: `Dense(64)`, `Dropout(0.2)`, `ReLU`."""
    # mypy compares type[Layer] with Hashable by the __hash__ of Layer's instances.
    for name in required_arguments(type(layer)):  # type: ignore[arg-type]
        value = getattr(layer, name, None)
        if isinstance(value, (int, float, np.number)):
            return f"{type(layer).__name__}({value})"
    return type(layer).__name__


@functools.cache
def required_arguments(kind: type[Layer]) -> tuple[str, ...]:
    """Return the names of a constructor's arguments without default; cached, because `inspect` is slow."""
    if kind.__init__ is object.__init__:
        return ()
    parameters = inspect.signature(kind).parameters
    return tuple(name for name, parameter in parameters.items() if parameter.default is parameter.empty)


def named_layers(network: Layer, position: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer of a network, also those inside others, with a name made of position and class.

    Parameters
    ----------
    network : Layer
    position : str, default=""
        Position of `network` in a larger network.

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
    yield f"{position} {short_name(network)}".strip(), network
    for index, layer in enumerate(network.layers):
        yield from named_layers(layer, f"{position}.{index}" if position else str(index))


def watched_layers(network: Layer) -> list[WatchedLayer]:
    """Return the layers of a built network that have parameters of their own, in order."""
    first = segment_of(network).start
    found = []
    for name, layer in named_layers(network):
        segment = layer.segment
        if layer.parameter_shapes and segment is not None:
            start, stop = segment.start - first, segment.stop - first
            weights = slices_of_ones(network.decay_mask[start:stop])
            parts = weights or [slice(0, stop - start)]
            slices = tuple(slice(start + part.start, start + part.stop) for part in parts)
            found.append(WatchedLayer(name, slices, bool(weights)))
    return found


def norm_of(vector: np.ndarray, slices: tuple[slice, ...]) -> float:
    """Return the Euclidean norm of parts of a vector, without overflow or underflow of the squares."""
    parts = [vector[each].astype(np.float64, copy=False) for each in slices]
    largest = max(float(np.abs(part).max(initial=0)) for part in parts)
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(sum(np.vdot(part / largest, part / largest) for part in parts)))


def layers_with_equal_units(network: Layer) -> list[str]:
    """Return the names of the layers whose units all have the same weights, up to rounding.

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
