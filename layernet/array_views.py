"""Arrays of a network by name, as views: assigning to an item copies into the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.validation import as_float_array


class ArrayViews(dict[str, np.ndarray]):
    """Dictionary of views into a network; an assignment to an item copies into its array.

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
        """Copy several arrays, given as to `dict.update`; no array changes if one has another shape."""
        items = dict(*others, **more)
        for name, value in items.items():
            checked_copy(value, self[name].shape, self[name].dtype, name, copy=False)
        for name, value in items.items():
            self[name] = value

    def __ior__(self, other: Any) -> ArrayViews:  # type: ignore[override, misc]  # `|` gives a dict
        self.update(other)
        return self

    def _refuse(self, *arguments: Any) -> Any:
        raise TypeError("A network's arrays cannot be removed. Copy the dict first: dict(net.parameters).")

    __delitem__ = pop = popitem = clear = _refuse  # each raises an error

    def setdefault(self, name: str, default: Any = None) -> np.ndarray:
        """Return the array of this name; names cannot be added."""
        return self[name]

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


def checked_copy(
    value: Any, shape: tuple[int, ...], dtype: np.dtype, name: str, copy: bool = True
) -> np.ndarray:
    """Convert a value that is assigned to a parameter to an array of the parameter's shape and type."""
    array = as_float_array(value, dtype, True, name)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {shape}, got an array of shape {array.shape}.")
    return array.copy() if copy else array
