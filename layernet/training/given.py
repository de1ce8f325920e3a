"""Arrays that a user gave to a training, watched for changes while the training goes on."""

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

# Largest count of numbers in a checksum, which takes 2 milliseconds. Of a larger array only every second row,
# or third, and so on, is read.
CHECKSUM_NUMBERS = 2**20


class GivenArrays:
    """Arrays that a user gave, and that must not change while a network is trained on them.

    Training reads some of them in place, and copies others once, to another type or layout. Whether a change by
    a callback had an effect would depend on this.

    Parameters
    ----------
    **arrays : ndarray or sparse matrix
        Arrays by the names of arguments. Only numbers in memory are watched.

    Examples
    --------
    >>> X = np.zeros((2, 3))
    >>> given = GivenArrays(X=X)
    >>> given.refuse_changes()
    >>> X += 1
    >>> try:
    ...     given.refuse_changes()
    ... except ValueError as error:
    ...     print(str(error).split(".")[0])
    X was overwritten while a network was trained on it
    """

    def __init__(self, **arrays: Any):
        self._arrays = {
            name: numbers for name, array in arrays.items() if (numbers := watched(array)) is not None
        }
        self._sums: dict[str, int] = {}

    def replace(self, name: str, array: Any) -> None:
        """Watch another array instead of that of the same name."""
        self._arrays.pop(name, None), self._sums.pop(name, None)
        if (numbers := watched(array)) is not None:
            self._arrays[name] = numbers

    def refuse_changes(self) -> None:
        """Raise a ValueError if an array has changed since the first call."""
        for name, array in self._arrays.items():
            found = checksum(array)
            if self._sums.setdefault(name, found) != found:
                attribute = ATTRIBUTES.get(name)
                how = f"in a callback by run.data.{attribute} = array, or " if attribute else ""
                raise ValueError(
                    f"{name} was overwritten while a network was trained on it. Replace the data as a whole: "
                    f"{how}by a function as X (see fit)."
                )


ATTRIBUTES = {"X": "inputs", "y": "targets", "sample_weight": "weights"}


def watched(array: Any) -> np.ndarray | None:
    """The numbers of an array or a sparse matrix if they are in memory; otherwise None."""
    if is_sparse(array):
        array = getattr(array, "data", None)
    is_array = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return array if is_array and array.dtype.kind in "biuf" and array.ndim else None


def checksum(array: np.ndarray) -> int:
    """Checksum of the numbers and their order, of every k-th row of a large array."""
    rows = array[:: math.ceil(array.size / CHECKSUM_NUMBERS) or 1]
    total = 1
    for block in blocks_of(rows):
        total = zlib.adler32(np.ascontiguousarray(block).data, total)
    return total


def may_write(callbacks: Iterable[Callback]) -> bool:
    """Whether a callback has hooks that are not of this package, and so may write to the data."""
    return any(not is_of_the_package(type(each)) or vars(each).keys() & set(HOOKS) for each in callbacks)
