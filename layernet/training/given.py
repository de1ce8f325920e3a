"""Arrays that a user gave to a training, watched for numbers that are overwritten while it goes on."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from layernet.representation import is_of_the_package
from layernet.sparse import is_sparse
from layernet.training.callbacks import Callback
from layernet.training.hooks import HOOKS
from layernet.validation import blocks_of

# Of a larger array only every second row, or third, and so on, is looked at: 2**20 numbers take 2 milliseconds.
LOOKED_AT = 2**20


class GivenArrays:
    """Arrays as a user gave them, which nobody may write to while a network is trained on them.

    Training reads some of them where they lie, and copies others once: another type, other places in memory. So
    numbers that a callback overwrites would be trained on or not, by chance.

    Parameters
    ----------
    **arrays : ndarray or sparse matrix
        By the names of arguments. Whatever holds no numbers in memory is not watched.

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
        """Watch another array in the place of one."""
        self._arrays.pop(name, None), self._sums.pop(name, None)
        if (numbers := watched(array)) is not None:
            self._arrays[name] = numbers

    def refuse_changes(self) -> None:
        """Raise a ValueError if an array is not as it was at the first call."""
        for name, array in self._arrays.items():
            found = checksum(array)
            if self._sums.setdefault(name, found) != found:
                attribute = ATTRIBUTES.get(name)
                how = f"in a callback by run.data.{attribute} = array, or " if attribute else ""
                raise ValueError(
                    f"{name} was overwritten while a network was trained on it. Replace the data as a whole: "
                    f"{how}by a function in the place of X (see fit)."
                )


ATTRIBUTES = {"X": "inputs", "y": "targets", "sample_weight": "weights"}


def watched(array: Any) -> np.ndarray | None:
    """The numbers of an array or a sparse matrix, if they lie in memory."""
    if is_sparse(array):
        array = getattr(array, "data", None)
    is_array = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return array if is_array and array.dtype.kind in "biuf" and array.ndim else None


def checksum(array: np.ndarray) -> int:
    """A number that another array of this shape hardly has: it depends on all numbers and on their order."""
    rows = array[:: math.ceil(array.size / LOOKED_AT) or 1]
    total = 1
    for block in blocks_of(rows):
        total = zlib.adler32(np.ascontiguousarray(block), total)
    return total


def may_write(callbacks: Iterable[Callback]) -> bool:
    """Whether one of some callbacks has methods that are not this package's."""
    return any(not is_of_the_package(type(each)) or vars(each).keys() & set(HOOKS) for each in callbacks)
