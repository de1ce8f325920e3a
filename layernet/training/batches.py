"""Batches: which rows of the data each step sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def batches(
    n_samples: int, batch_size: int, random: np.random.Generator | Callable[[int], np.ndarray] | None = None
) -> Iterator[np.ndarray | slice]:
    """The rows of each batch of one epoch; the last batch holds what is left and may be smaller.

    Parameters
    ----------
    n_samples : int
    batch_size : int
        At least 1.
    random : numpy.random.Generator or callable, default=None
        Shuffles the rows; or a function of their number that returns their order. None leaves them in order.

    Yields
    ------
    ndarray of int or slice
        To index the data with.

    Examples
    --------
    >>> [rows.tolist() for rows in batches(5, 2, np.random.default_rng(0))]
    [[2, 4], [3, 0], [1]]
    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    order = getattr(random, "permutation", random)
    rows = None if order is None else order(n_samples)
    for start in range(0, n_samples, batch_size):
        stop = min(start + batch_size, n_samples)
        yield slice(start, stop) if rows is None else rows[start:stop]


def checked_order(order: Any, n_samples: int) -> np.ndarray:
    """The rows of an epoch as `shuffle` returned them, checked, since kernels do not look twice.

    Parameters
    ----------
    order : array-like of int, of shape (n_rows,)
        Row numbers, negative ones counted from the end. Rows may be missing or stand several times.
    n_samples : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        From 0 to n_samples - 1.

    Raises
    ------
    IndexError
        If they are no whole numbers, or one is of a row that there is not.
    ValueError
        If there is none, or the array has another number of axes than one.

    Examples
    --------
    >>> checked_order([2, -1, 0], n_samples=3)
    array([2, 2, 0])
    """
    rows = np.asarray(order)
    if rows.ndim != 1 or len(rows) == 0:
        raise ValueError(
            f"shuffle must return the numbers of the rows of an epoch, at least one of {n_samples}, got an "
            f"array of shape {rows.shape}."
        )
    if rows.dtype.kind not in "iu":
        raise IndexError(
            f"shuffle must return whole numbers, got an array of type {rows.dtype}. Use np.flatnonzero(mask) "
            "for a mask of the rows."
        )
    if rows.min() < -n_samples or rows.max() >= n_samples:
        raise IndexError(
            f"shuffle must return numbers of {n_samples} rows, got {rows.min()} to {rows.max()}. Count from 0."
        )
    return np.where(rows < 0, rows + n_samples, rows).astype(np.int64, copy=False)


def rows_of(array: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Some rows of an array, as indexing returns them: for numbers of rows in a third of the time if it can."""
    if isinstance(rows, slice) or not (array.flags.c_contiguous and array.flags.aligned):
        return array[rows]
    return array.take(rows, axis=0)  # which makes a copy of all rows of any other array
