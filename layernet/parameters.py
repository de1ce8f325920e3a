"""One vector holds all parameters of a network, another all gradients; the layers hold views into them.

An optimizer then moves a whole network by a handful of operations on one vector, however many layers it has.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layernet.validation import as_float_array

if TYPE_CHECKING:
    from layernet.holder import ParameterContainer


class ParameterVector:
    """The values and the gradients of all parameters of one network.

    Attributes
    ----------
    values, gradients : ndarray of shape (n_parameters,)
    decayed : ndarray of bool, of shape (n_parameters,)
        Whether weight decay applies: not to biases, nor to scales of a normalisation.
    """

    def __init__(self, size: int, dtype: np.dtype):
        self.values = np.zeros(size, dtype)
        self.gradients = np.zeros(size, dtype)
        self.decay_mask = np.zeros(size, np.bool_)


class Segment(NamedTuple):
    """The part of a parameter vector that one layer, with all the layers inside it, owns."""

    vector: ParameterVector
    start: int
    stop: int


class Owner:
    """Whose a state is: the network with one part of one parameter vector; nobody's after a copy or a pickle.

    Parameters
    ----------
    network : ParameterContainer, default=None
        Built; None for nobody.
    """

    def __init__(self, network: ParameterContainer | None = None):
        self._vector: weakref.ref[ParameterVector] | None = None
        if network is not None:
            segment = segment_of(network)
            self._vector, self._place = weakref.ref(segment.vector), (segment.start, segment.stop)

    @property
    def is_known(self) -> bool:
        """Whether there is, or was, such a network."""
        return self._vector is not None

    def is_network(self, network: ParameterContainer) -> bool:
        """Whether a network is the one."""
        segment = segment_of(network)
        return (
            self.is_known and self._vector() is segment.vector and self._place == (segment.start, segment.stop)
        )

    def __reduce__(self) -> tuple:
        return type(self), ()


def pack(layer: ParameterContainer) -> None:
    """Move all parameters of a layer, and of those inside it, into one vector.

    Layers whose parameters already lie side by side in one vector stay where they are: a slice of a network,
    or a network with its loss, shares the network's vector.

    Raises
    ------
    ValueError
        If a layer's parameters belong to another network, which packing would tear apart.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners or are_contiguous(owners):
        return
    refuse_shared(owners)
    sizes = [sum(math.prod(shape) for shape in owner.parameter_shapes.values()) for owner in owners]
    vector = ParameterVector(sum(sizes), layer.dtype)
    start = 0
    for owner, size in zip(owners, sizes, strict=True):
        owner.move_into(Segment(vector, start, start + size))
        start += size


def segment_of(layer: ParameterContainer) -> Segment:
    """The segment that a built layer and the layers inside it own together.

    Raises
    ------
    ValueError
        If the layers inside have been moved into another network.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners:
        return Segment(ParameterVector(0, layer.dtype or np.dtype(np.float64)), 0, 0)
    if not are_contiguous(owners):
        raise ValueError(
            f"The layers of {layer!r} no longer share one parameter vector: they were built into another "
            "network since. Give that network copies (copy.deepcopy) of the layers."
        )
    return Segment(owners[0].segment.vector, owners[0].segment.start, owners[-1].segment.stop)


def are_contiguous(owners: Iterable[ParameterContainer]) -> bool:
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


def refuse_shared(owners: Iterable[ParameterContainer]) -> None:
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


class ArrayViews(dict):
    """Arrays by name that are views into a network: assigning to an item copies into its array.

    Examples
    --------
    >>> from layernet import Dense
    >>> layer = Dense(1).build(2)
    >>> layer.parameters["weights"] = [[1.0], [2.0]]
    >>> layer.weights
    array([[1.],
           [2.]])
    """

    def __missing__(self, name: str) -> np.ndarray:
        raise KeyError(f"{name!r} is not the name of an array of this network. There are {list(self)}.")

    def __setitem__(self, name: str, value: Any) -> None:
        view = self[name]
        if value is not view:
            view[...] = checked_copy(value, view.shape, view.dtype, name, copy=False)

    def update(self, *others: Any, **more: Any) -> None:
        """Copy several arrays, given as to `dict.update`; nothing is changed if one does not fit."""
        items = dict(*others, **more)
        for name, value in items.items():
            checked_copy(value, self[name].shape, self[name].dtype, name, copy=False)
        for name, value in items.items():
            self[name] = value

    def __ior__(self, other: Any) -> ArrayViews:
        self.update(other)
        return self

    def _refuse(self, *arguments: Any) -> None:
        raise TypeError("A network's arrays cannot be removed. Copy the dict first: dict(net.parameters).")

    __delitem__ = pop = popitem = clear = _refuse

    def setdefault(self, name: str, default: Any = None) -> np.ndarray:
        """The array of this name; there are no new ones."""
        return self[name]

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


def checked_copy(value: Any, shape: tuple[int, ...], dtype, name: str, copy: bool = True) -> np.ndarray:
    """An array of exactly this shape and type from a value that someone assigns to a parameter."""
    array = as_float_array(value, dtype, True, name)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {shape}, got an array of shape {array.shape}.")
    return array.copy() if copy else array
