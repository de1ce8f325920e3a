"""Pairs of layers with weights that compute together one affine map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.monitoring.watched_layers import named_layers

# A layer is tried on inputs of these sizes: tanh is nearly linear for small inputs, some rectifiers for large
# ones.
AFFINE_PROBE_SIZES = (0.1, 1.0, 100.0)
AFFINE_PROBE_ROWS = 8
# Allowed deviation from an affine map, relative to the largest output: single precision has 1e-7.
AFFINE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class AffinePair:
    """Two dense layers that compute together what one dense layer computes.

    Attributes
    ----------
    first, second : str
        Names of the layers.
    sizes : tuple of three ints
        Inputs of the first layer, units between the layers, outputs of the second layer.
    """

    first: str
    second: str
    sizes: tuple[int, int, int]


def find_affine_pairs(network: Layer) -> list[AffinePair]:
    """Find pairs of layers with a weight matrix between which all layers are affine maps in inference.

    With A of shape (n_in, n_between) and B of shape (n_between, n_out), A B is any matrix of shape
    (n_in, n_out) if n_between >= min(n_in, n_out): one layer computes all that the two compute. A narrower
    first layer is a bottleneck, which limits the rank of A B. It may be intended, and is not returned.

    Parameters
    ----------
    network : Layer
        Built; a copy, in inference mode.

    Returns
    -------
    list of AffinePair

    Examples
    --------
    >>> from layernet import Dense, ReLU, Sequential
    >>> find_affine_pairs(Sequential([Dense(5), Dense(3), ReLU(), Dense(2), Dense(3)]).build(4, random_state=0))
    [AffinePair(first='0 Dense(5)', second='1 Dense(3)', sizes=(4, 5, 3))]
    """
    names = {id(layer): name for name, layer in named_layers(network)}
    found = []
    for chain in chains_in(network):
        before: Layer | None = None
        for layer in chain:
            if has_full_matrix(layer):
                if before is not None:
                    shapes = (before.input_shape, before.output_shape, layer.output_shape)
                    n_in, n_between, n_out = (math.prod(shape or ()) for shape in shapes)
                    if n_between >= min(n_in, n_out):
                        sizes = (n_in, n_between, n_out)
                        found.append(AffinePair(names[id(before)], names[id(layer)], sizes))
                before = layer
            elif before is not None and not is_affine(layer):
                before = None
    return found


def chains_in(network: Layer) -> Iterator[list[Layer]]:
    """Yield sequences of consecutive layers: those of the network, and those of each container in it."""
    chain = list(chain_of(network))
    yield chain
    for layer in chain:
        for inner in layer.layers:
            yield from chains_in(inner)


def has_full_matrix(layer: Layer) -> bool:
    """Return whether a layer is an affine map with one weight for each pair of input and output."""
    inputs, outputs = layer.input_shape or (), layer.output_shape or ()
    if layer.layers or len(inputs) != 1 or len(outputs) != 1:
        return False
    full = (inputs[0], outputs[0])
    return any(shape in (full, full[::-1]) for shape in layer.parameter_shapes.values()) and is_affine(layer)


def is_affine(layer: Layer) -> bool:
    """Return whether f(2 a - b) = 2 f(a) - f(b) in inference, for rows a and b of several sizes.

    Parameters
    ----------
    layer : Layer
        Built; a copy.

    Returns
    -------
    bool
        False for a layer that does not accept such rows.
    """
    random = np.random.default_rng(0)
    try:
        with np.errstate(all="ignore"):
            for size in AFFINE_PROBE_SIZES:
                shape = (2, AFFINE_PROBE_ROWS, *(layer.input_shape or ()))
                rows = (size * random.standard_normal(shape)).astype(layer.dtype or np.float64)
                first, second, between = (
                    np.asarray(layer.forward_pass(each), np.float64) for each in (*rows, 2 * rows[0] - rows[1])
                )
                distance = np.abs(between - (2 * first - second)).max(initial=0)
                if not distance <= AFFINE_TOLERANCE * np.abs(between).max(initial=0):
                    return False
    except Exception:  # a user's layer may not accept these rows
        return False
    return True
