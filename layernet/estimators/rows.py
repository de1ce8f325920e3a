"""Rows of data: their order in an epoch, and a number that equal rows share."""

from __future__ import annotations

from typing import Any

import numpy as np


class ShuffledRows:
    """The order of the rows in each epoch: a permutation of the order in the epoch before.

    Parameters
    ----------
    random : numpy.random.RandomState
        Drawn from as scikit-learn does.
    """

    def __init__(self, random: np.random.RandomState):
        self.random = random
        self.rows: np.ndarray | None = None

    def __call__(self, n_samples: int) -> np.ndarray:
        order = np.arange(n_samples)
        self.random.shuffle(order)
        self.rows = order if self.rows is None else self.rows[order]
        return self.rows


def row_numbers(X: Any) -> np.ndarray:
    """A number for each row, the same for rows of the same values, wherever they stand.

    With it as the row's number, noise belongs to a sample: a sample with weight 2 gets the noise of two equal
    samples, and the order of the data does not matter. With odd random numbers r,

        number = mix(sum over features j of bits(x_j) r_j, modulo 2**64).

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), float32 or float64

    Returns
    -------
    ndarray of shape (n_samples,), uint32
    """
    factors = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    if isinstance(X, np.ndarray):
        sums = np.concatenate(
            [
                (bits_of(X[start : start + 4096]) * factors).sum(axis=1, dtype=np.uint64)
                for start in range(0, len(X), 4096)
            ]
        )
    else:
        running = np.zeros(X.nnz + 1, np.uint64)
        np.cumsum(bits_of(X.data) * factors[X.indices], dtype=np.uint64, out=running[1:])
        sums = running[X.indptr[1:]] - running[X.indptr[:-1]]
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0x9E3779B97F4A7C15)
    return (sums >> np.uint64(32)).astype(np.uint32)


def bits_of(values: np.ndarray) -> np.ndarray:
    """The bits of numbers, folded so that the low ones differ too; zero has none set."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # adding zero makes -0.0 a zero like any other
    return bits ^ (bits >> np.uint64(32))
