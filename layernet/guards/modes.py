"""Modes and building: what holds for all layers of a network while it is built or run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from layernet.interrupts import uninterrupted

if TYPE_CHECKING:
    from layernet.layer import Layer

# What a layer that sees the batch is told of it in training.
BATCH_INFO = ("batch_weights", "batch_rows", "batch_full_rows", "batch_mean_weight")


@contextmanager
def in_mode(layer: Layer, training: bool) -> Iterator[None]:
    """Have a layer and all inside it behave as in training, or in inference, and put them back afterwards."""
    # What layers were told of a batch is of no other rows: it is set aside with the mode.
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
    """Put a layer and all inside it back to how they were if building them, or what follows it, fails."""
    before = [(inner, dict(vars(inner))) for inner in layer.walk()]
    try:
        yield
    except BaseException:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)
        raise


def require_distinct_layers(layer: Layer) -> None:
    """Raise an error if one layer object stands twice in a network: its gradients would be overwritten."""
    seen: set[int] = set()
    for inner in layer.walk():
        if id(inner) in seen:
            raise ValueError(
                f"{inner!r} stands twice in one network, as one object. Make a second object, or use "
                "copy.deepcopy(layer)."
            )
        seen.add(id(inner))


def infer_shape_from_zeros(layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a layer's outputs without the batch axis, found by passing rows of zeros.

    Raises
    ------
    ValueError
        If the outputs have not one row for each sample, and are not a single number, a loss.
    """
    # As many as no other axis has: an axis that takes the place of the batch's is then another number.
    n_rows = next(n for n in itertools.count(2) if n not in input_shape)
    shape = np.shape(layer.forward_pass(np.zeros((n_rows, *input_shape), layer.dtype)))
    if shape and shape[0] != n_rows:
        raise ValueError(
            f"{layer!r} must put out a row for each sample: its outputs for {n_rows} rows have the shape "
            f"{shape}. Leave the first axis, which counts samples, as it is."
        )
    return shape[1:]
