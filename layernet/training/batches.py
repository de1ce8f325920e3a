"""Batches: which rows of the data each step sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
