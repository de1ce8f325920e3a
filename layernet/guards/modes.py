"""Modes, building and the structure of a network: guards that concern all of its layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from layernet.interrupts import uninterrupted

if TYPE_CHECKING:
    from layernet.layer import Layer

# Attributes that `fit` sets on layers with `uses_batch_info`.
BATCH_INFO = ("batch_weights", "batch_rows", "batch_full_rows", "batch_mean_weight")


@contextmanager
def in_mode(layer: Layer, training: bool) -> Iterator[None]:
    """Context that sets the mode of a layer and the layers inside it, and restores it afterwards."""
    # The information on a batch does not apply to other rows: it is removed and restored with the mode.
    names = ("training", *BATCH_INFO)
    attributes_of_layers = [vars(inner) for inner in layer.walk()]
    before = [(own, {name: own[name] for name in names if name in own}) for own in attributes_of_layers]
    try:
        for attributes, values in before:
            for name in values:
                del attributes[name]
            attributes["training"] = training
        yield
    finally:
        with uninterrupted:
            for attributes, values in before:
                for name in names:
                    attributes.pop(name, None)
                attributes.update(values)


@contextmanager
def unchanged_on_error(layer: Layer) -> Iterator[None]:
    """Context that restores a layer and the layers inside it if an error occurs."""
    before = [(inner, dict(vars(inner))) for inner in layer.walk()]
    try:
        yield
    except BaseException:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)
        raise


def require_distinct_layers(layer: Layer) -> None:
    """Raise a ValueError if a layer object occurs twice in a network: its gradients would be overwritten."""
    seen: set[int] = set()
    for inner in layer.walk():
        if id(inner) in seen:
            raise ValueError(
                f"{inner!r} occurs twice in one network, as one object. Make a second object, or use "
                "copy.deepcopy(layer)."
            )
        seen.add(id(inner))


def infer_shape_from_zeros(layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's outputs, without the batch axis, by passing rows of zeros.

    Raises
    ------
    ValueError
        If the outputs are neither one row for each sample nor a single number, a loss.
    """
    # A number of rows that no other axis has, so that a batch axis in another position is noticed.
    n_rows = next(n for n in itertools.count(2) if n not in input_shape)
    shape = np.shape(layer.forward_pass(np.zeros((n_rows, *input_shape), layer.dtype)))
    if shape and shape[0] != n_rows:
        raise ValueError(
            f"{layer!r} must put out a row for each sample: its outputs for {n_rows} rows have the shape "
            f"{shape}. Leave the first axis, which counts samples, as it is."
        )
    return shape[1:]
