"""Storage of inputs: in memory, as sparse rows, or in a memory-mapped file."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.sparse import is_worth_keeping_sparse

# Bytes. A memory-mapped array stays on disk if its copy in the network's type would be larger than this,
# because the copy may not fit into memory. Each batch then converts its own rows. A smaller array is converted
# once, which is faster than once an epoch. An array of the network's type is never copied.
IN_MEMORY_LIMIT = 256 * 2**20


class SelectedRows:
    """Selected rows of an array on disk; indexing reads them.

    Parameters
    ----------
    array : ndarray of shape (n_rows, ...)
        A large array on disk. `array[rows]` would copy the rows into memory.
    rows : ndarray of int, of shape (n_samples,)
        Numbers of the rows, in the order of the samples.

    Examples
    --------
    >>> selected = SelectedRows(np.array([[0.0], [1.0], [2.0]]), np.array([2, 0]))
    >>> selected.shape, selected[:1]
    ((2, 1), array([[2.]]))
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self.array = array
        self.rows = rows
        self.shape = (len(rows), *array.shape[1:])
        self.ndim = array.ndim
        self.dtype = array.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[self.rows[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # scikit-learn's scorers read all rows at once.
        return self.array[self.rows].astype(dtype or self.dtype, copy=False)


def select_rows(array: Any, rows: np.ndarray) -> Any:
    """Return rows of an array or a sparse matrix: a copy, or `SelectedRows` of a large array on disk."""
    return SelectedRows(array, rows) if stays_on_disk(array, array.dtype) else array[rows]


def stays_on_disk(array: Any, dtype: np.dtype | None) -> bool:
    """Return whether an array is memory-mapped, and its copy of a type would exceed `IN_MEMORY_LIMIT`."""
    itemsize = 8 if dtype is None else dtype.itemsize  # a network without a type becomes float64
    return is_memory_mapped(array) and array.ndim > 0 and array.size * itemsize > IN_MEMORY_LIMIT


def is_memory_mapped(array: Any) -> bool:
    """Return whether an array is in a memory-mapped file: a `np.memmap`, or a view of one.

    Parameters
    ----------
    array : object

    Returns
    -------
    bool
        False for other objects, and for copies in memory, even of type `np.memmap`.
    """
    owner = array if isinstance(array, np.ndarray) else None
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return owner is not None


def dense_rows(inputs: Any) -> np.ndarray:
    """Return sparse or selected rows as an array, and an array as it is."""
    if isinstance(inputs, np.ndarray):
        return inputs
    return np.asarray(inputs) if isinstance(inputs, SelectedRows) else inputs.toarray()


def stays_sparse(network: Layer, rows: Any) -> bool:
    """Return whether batches of a sparse matrix stay sparse: the network accepts them, and sparse is faster."""
    return network.accepts_sparse and is_worth_keeping_sparse(rows)
