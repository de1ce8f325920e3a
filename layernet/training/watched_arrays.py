"""Detection of changes, by checksums, to the arrays that a user trains on."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from layernet.representation import is_of_the_package
from layernet.sparse import is_sparse
from layernet.training.callback import Callback
from layernet.training.hooks import HOOKS
from layernet.validation import blocks_of

# Largest count of numbers in a checksum, which then takes 2 milliseconds. In a larger array, only every k-th
# row is read.
MAX_CHECKSUM_NUMBERS = 2**20


class WatchedArrays:
    """Arrays of a user that must not change while a network is trained on them.

    Training reads some arrays in place, and copies others once, to another type or layout. So a change by a
    callback would have an effect for some arrays only, and is refused for all.

    Parameters
    ----------
    **arrays : ndarray or sparse matrix
        Arrays by the names of the arguments of `fit`. Arrays on disk are not checked.

    Examples
    --------
    >>> X = np.zeros((2, 3))
    >>> arrays = WatchedArrays(X=X)
    >>> arrays.refuse_changes()
    >>> X += 1
    >>> try:
    ...     arrays.refuse_changes()
    ... except ValueError as error:
    ...     print(str(error).split(".")[0])
    X was overwritten while a network was trained on it
    """

    def __init__(self, **arrays: Any):
        self._arrays = {
            name: numbers for name, array in arrays.items() if (numbers := numbers_in_memory(array)) is not None
        }
        self._checksums: dict[str, int] = {}

    def replace(self, name: str, array: Any) -> None:
        """Check another array under this name from now on."""
        self._arrays.pop(name, None), self._checksums.pop(name, None)
        if (numbers := numbers_in_memory(array)) is not None:
            self._arrays[name] = numbers

    def refuse_changes(self) -> None:
        """Raise a ValueError if an array has changed since the first call, or since `replace`."""
        for name, array in self._arrays.items():
            found = checksum(array)
            if self._checksums.setdefault(name, found) != found:
                attribute = ATTRIBUTES_OF_ARGUMENTS.get(name)
                how = f"in a callback by run.data.{attribute} = array, or " if attribute else ""
                raise ValueError(
                    f"{name} was overwritten while a network was trained on it. Replace the data as a whole: "
                    f"{how}by a function as X (see fit)."
                )


# Attributes of `run.data` that hold these arguments of `fit`.
ATTRIBUTES_OF_ARGUMENTS = {"X": "inputs", "y": "targets", "sample_weight": "weights"}


def numbers_in_memory(array: Any) -> np.ndarray | None:
    """Return the numbers of an array or a sparse matrix if they are in memory, else None."""
    if is_sparse(array):
        array = getattr(array, "data", None)
    is_array = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return array if is_array and array.dtype.kind in "biuf" and array.ndim else None


def checksum(array: np.ndarray) -> int:
    """Return a checksum of the numbers and their order. A large array is sampled: every k-th row counts."""
    rows = array[:: math.ceil(array.size / MAX_CHECKSUM_NUMBERS) or 1]
    total = 1
    for block in blocks_of(rows):
        total = zlib.adler32(np.ascontiguousarray(block).data, total)
    return total


def may_write(callbacks: Iterable[Callback]) -> bool:
    """Return whether a callback has hooks from outside the package, which may write to the data."""
    return any(not is_of_the_package(type(each)) or vars(each).keys() & set(HOOKS) for each in callbacks)
