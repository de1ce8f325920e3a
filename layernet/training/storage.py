"""Storage of inputs: in memory, as sparse rows, or in a memory-mapped file."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.sparse import is_worth_keeping_sparse

# Bytes. A memory-mapped array stays on disk if its copy in the network's type would be larger. Each batch then
# converts its own rows: the file may not fit into memory. A smaller array is converted once, which is faster
# than once an epoch. An array that has the network's type already is not copied, whatever its size.
IN_MEMORY_LIMIT = 256 * 2**20


class SelectedRows:
    """Rows of an array in an order of their own, read from it when they are asked for.

    Parameters
    ----------
    array : ndarray of shape (n_rows, ...)
        Large, and on disk: `array[rows]` would be a copy in memory.
    rows : ndarray of int, of shape (n_samples,)

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
        # For those who want them all at once, as scikit-learn's scorers do.
        return self.array[self.rows].astype(dtype or self.dtype, copy=False)


def select_rows(array: Any, rows: np.ndarray) -> Any:
    """Some rows of an array or a sparse matrix: a copy, or for a large array on disk a `SelectedRows`."""
    return SelectedRows(array, rows) if stays_on_disk(array, array.dtype) else array[rows]


def stays_on_disk(array: Any, dtype: np.dtype | None) -> bool:
    """Whether an array is memory-mapped, and too large to be copied into memory in a type."""
    itemsize = 8 if dtype is None else dtype.itemsize  # float64 is what a network of no type yet makes of it
    return is_memory_mapped(array) and array.ndim > 0 and array.size * itemsize > IN_MEMORY_LIMIT


def is_memory_mapped(array: Any) -> bool:
    """Whether an array's numbers lie in a file that is mapped into memory: a `np.memmap`, or a view into one.

    Parameters
    ----------
    array : object

    Returns
    -------
    bool
        False for what is no array, and for copies, even those whose type is still `np.memmap`.
    """
    owner = array if isinstance(array, np.ndarray) else None
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return owner is not None


def dense_rows(inputs: Any) -> np.ndarray:
    """Sparse rows, or selected ones, as an array; an array as it is."""
    if isinstance(inputs, np.ndarray):
        return inputs
    return np.asarray(inputs) if isinstance(inputs, SelectedRows) else inputs.toarray()


def stays_sparse(network: Layer, rows: Any) -> bool:
    """Whether batches of a sparse matrix are given to a network as they are: if it accepts them and it pays."""
    return network.accepts_sparse and is_worth_keeping_sparse(rows)
