"""One vector holds all parameters of a network, another all gradients; the layers hold views into them.

An optimizer then moves a whole network by a handful of operations on one vector, however many layers it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from layernet.holder import Holder


class ParameterVector:
    """The values and the gradients of all parameters of one network.

    Attributes
    ----------
    values, gradients : ndarray of shape (n_parameters,)
    decayed : ndarray of shape (n_parameters,)
        1 where weight decay applies, 0 where it does not (biases, scales of a normalisation).
    """

    def __init__(self, size: int, dtype: np.dtype):
        self.values = np.zeros(size, dtype)
        self.gradients = np.zeros(size, dtype)
        self.decayed = np.zeros(size, dtype)


class Segment(NamedTuple):
    """The part of a parameter vector that one layer, with all the layers inside it, owns."""

    vector: ParameterVector
    start: int
    stop: int


def pack(layer: Holder) -> None:
    """Move all parameters of a layer, and of those inside it, into one vector.

    Layers whose parameters already lie side by side in one vector stay where they are: a slice of a network,
    or a network with its loss, shares the network's vector.

    Raises
    ------
    ValueError
        If a layer's parameters belong to another network, which packing would tear apart.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners or lie_side_by_side(owners):
        return
    refuse_shared(owners)
    sizes = [sum(math.prod(shape) for shape in owner.parameter_shapes.values()) for owner in owners]
    vector = ParameterVector(sum(sizes), layer.dtype)
    start = 0
    for owner, size in zip(owners, sizes, strict=True):
        owner.lay_into(Segment(vector, start, start + size))
        start += size


def segment_of(layer: Holder) -> Segment:
    """The segment that a built layer and the layers inside it own together.

    Raises
    ------
    ValueError
        If the layers inside have been moved into another network.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners:
        return Segment(ParameterVector(0, layer.dtype or np.dtype(np.float64)), 0, 0)
    if not lie_side_by_side(owners):
        raise ValueError(
            f"The layers of {layer!r} no longer share one parameter vector: they were built into another "
            "network since. Give that network copies (copy.deepcopy) of the layers."
        )
    return Segment(owners[0].segment.vector, owners[0].segment.start, owners[-1].segment.stop)


def lie_side_by_side(owners: Iterable[Holder]) -> bool:
    """Whether the layers' own segments follow each other in one vector."""
    previous = None
    for owner in owners:
        segment = owner.segment
        if segment is None:
            return False
        if previous is not None and (segment.vector is not previous.vector or segment.start != previous.stop):
            return False
        previous = segment
    return True


def refuse_shared(owners: Iterable[Holder]) -> None:
    """Raise an error if a vector that some of the layers lie in belongs to other layers too."""
    claimed: dict[int, int] = {}
    for owner in owners:
        if owner.segment is not None:
            key = id(owner.segment.vector)
            claimed[key] = claimed.get(key, 0) + owner.segment.stop - owner.segment.start
    for owner in owners:
        if owner.segment is not None:
            vector = owner.segment.vector
            if claimed[id(vector)] != vector.values.size:
                raise ValueError(
                    f"{owner!r} is already part of another network, whose parameters lie in one vector. "
                    "Use copy.deepcopy(layer) to start from its values."
                )
