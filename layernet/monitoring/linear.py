"""Layers with weights that follow each other with nothing between them that bends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.monitoring.activations import named_layers

# Inputs of these sizes are tried: a tanh is straight for small ones, and some rectifiers for large ones.
SIZES = (0.1, 1.0, 100.0)
ROWS = 8
# How far outputs may be from those of a straight map, as a part of the largest: single precision has 1e-7.
STRAIGHT = 1e-4


@dataclass(frozen=True)
class StraightPair:
    """Two full layers that compute together what one computes.

    Attributes
    ----------
    first, second : str
        Their names.
    sizes : tuple of three ints
        The numbers that go into the first, lie between, and come out of the second.
    """

    first: str
    second: str
    sizes: tuple[int, int, int]


def straight_pairs(network: Layer) -> list[StraightPair]:
    """Find layers with a full matrix of weights between which everything is an affine map in inference.

    With A of shape (n_in, n_between) and B of shape (n_between, n_out), A B is any matrix of shape
    (n_in, n_out) if n_between >= min(n_in, n_out): one layer computes all that the two compute. A narrower
    first layer is a bottleneck, which keeps A B to a low rank, mostly with fewer weights. That may be intended,
    and is not listed.

    Parameters
    ----------
    network : Layer
        Built; a copy, in inference mode.

    Returns
    -------
    list of StraightPair

    Examples
    --------
    >>> from layernet import Dense, ReLU, Sequential
    >>> straight_pairs(Sequential([Dense(5), Dense(3), ReLU(), Dense(2), Dense(3)]).build(4, random_state=0))
    [StraightPair(first='0 Dense(5)', second='1 Dense(3)', sizes=(4, 5, 3))]
    """
    names = {id(layer): name for name, layer in named_layers(network)}
    found = []
    for chain in chains_in(network):
        before: Layer | None = None
        for layer in chain:
            if has_full_matrix(layer):
                if before is not None:
                    shapes = (before.input_shape, before.output_shape, layer.output_shape)
                    n_in, n_between, n_out = (math.prod(shape) for shape in shapes)
                    if n_between >= min(n_in, n_out):
                        names_of_both = names[id(before)], names[id(layer)]
                        found.append(StraightPair(*names_of_both, (n_in, n_between, n_out)))
                before = layer
            elif before is not None and not is_affine(layer):
                before = None
    return found


def chains_in(network: Layer) -> Iterator[list[Layer]]:
    """The layers that are done one after the other: those of the network, and those of each container in it."""
    chain = list(chain_of(network))
    yield chain
    for layer in chain:
        for inner in layer.layers:
            yield from chains_in(inner)


def has_full_matrix(layer: Layer) -> bool:
    """Whether a layer is an affine map of all its inputs to all its outputs, each with a weight of its own."""
    if layer.layers or len(layer.input_shape) != 1 or len(layer.output_shape) != 1:
        return False
    full = (layer.input_shape[0], layer.output_shape[0])
    return any(shape in (full, full[::-1]) for shape in layer.parameter_shapes.values()) and is_affine(layer)


def is_affine(layer: Layer) -> bool:
    """Whether f(2 a - b) = 2 f(a) - f(b) in inference, for rows a and b of several sizes.

    Parameters
    ----------
    layer : Layer
        Built; a copy.

    Returns
    -------
    bool
        False for a layer that does not take such rows.
    """
    random = np.random.default_rng(0)
    try:
        with np.errstate(all="ignore"):
            for size in SIZES:
                rows = (size * random.standard_normal((2, ROWS, *layer.input_shape))).astype(layer.dtype)
                first, second, between = (
                    np.asarray(layer.forward_pass(each), np.float64) for each in (*rows, 2 * rows[0] - rows[1])
                )
                distance = np.abs(between - (2 * first - second)).max(initial=0)
                if not distance <= STRAIGHT * np.abs(between).max(initial=0):
                    return False
    except Exception:  # somebody's layer, on rows that it was not made for
        return False
    return True
