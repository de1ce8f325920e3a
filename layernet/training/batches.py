"""Batches: the rows of each step of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Index of the rows of a batch.
Rows = np.ndarray | slice


def batches(
    n_samples: int, batch_size: int, random: np.random.Generator | Callable[[int], np.ndarray] | None = None
) -> Iterator[Rows]:
    """Row numbers of each batch of an epoch; the last batch may be smaller.

    Parameters
    ----------
    n_samples : int
    batch_size : int
        At least 1.
    random : numpy.random.Generator or callable, default=None
        Generator that shuffles the rows, or a function of their number that returns their order. None keeps
        their order.

    Yields
    ------
    ndarray of int or slice
        Index into the data.

    Examples
    --------
    >>> [rows.tolist() for rows in batches(5, 2, np.random.default_rng(0))]
    [[2, 4], [3, 0], [1]]
    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    order = random if random is None or callable(random) else random.permutation
    rows = None if order is None else order(n_samples)
    for start in range(0, n_samples, batch_size):
        stop = min(start + batch_size, n_samples)
        yield slice(start, stop) if rows is None else rows[start:stop]


def checked_order(order: Any, n_samples: int) -> np.ndarray:
    """Row numbers of an epoch, as a `shuffle` function returned them, or an error if they are invalid.

    Kernels read rows without a check of their own.

    Parameters
    ----------
    order : array-like of int, of shape (n_rows,)
        Row numbers; negative ones count from the end. Rows may be missing or repeated.
    n_samples : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        From 0 to n_samples - 1.

    Raises
    ------
    IndexError
        If they are not whole numbers, or a row does not exist.
    ValueError
        If there is none, or the array has not one axis.

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


def rows_of(array: np.ndarray, rows: Rows) -> np.ndarray:
    """`array[rows]`; for row numbers of a contiguous array in a third of the time."""
    if isinstance(rows, slice) or not (array.flags.c_contiguous and array.flags.aligned):
        return array[rows]
    return array.take(rows, axis=0)  # copies the whole array if it is not contiguous
