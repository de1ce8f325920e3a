"""Rows of data: which of them are held out, their order in an epoch, and a number that equal rows share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from layernet.training.batches import batches

# How many numbers of dense data are looked at at once: a megabyte of each of the temporaries of 64 bits.
NUMBERS_AT_ONCE = 2**17


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


def split_rows(
    n_samples: int, fraction: float, random: np.random.RandomState, y: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and rows to hold out, drawn as scikit-learn draws them.

    Parameters
    ----------
    n_samples : int
    fraction : float
        Of the rows, to hold out.
    random : numpy.random.RandomState
    y : ndarray of shape (n_samples,) or None
        Labels of two classes, of which both parts get the same shares.

    Returns
    -------
    tuple of ndarray of int

    Raises
    ------
    ValueError
        If a class has too few samples for both parts.

    Examples
    --------
    >>> split_rows(6, 0.4, np.random.RandomState(0), np.array([0, 0, 0, 0, 1, 1]))
    (array([2, 4, 3]), array([5, 1, 0]))
    """
    classes = [] if y is None else np.unique(y)
    try:
        return tuple(
            train_test_split(
                np.arange(n_samples),
                random_state=random,
                test_size=fraction,
                stratify=None if y is None else (y == classes[-1])[:, None],  # scikit-learn's column
            )
        )
    except ValueError as error:
        if y is None:
            raise
        counts = " and ".join(f"{(y == one).sum()} of class {one}" for one in classes)
        raise ValueError(
            f"early_stopping=True needs both classes in the samples to train on and in those to validate on, "
            f"got {counts}, of which validation_fraction={fraction:g} is held out. Give more samples, or "
            f"fit(..., X_val=..., y_val=...). scikit-learn says: {error}"
        ) from None


def row_numbers(X: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """A number for each row, the same for rows of the same values, wherever they stand.

    With it as the row's number, noise belongs to a sample: a sample with weight 2 gets the noise of two equal
    samples, and the order of the data does not matter. With odd random numbers r,

        number = mix(sum over features j of bits(x_j) r_j, modulo 2**64).

    Parameters
    ----------
    X : ndarray, SelectedRows or CSR matrix of shape (n_samples, n_features)
        Dense data are looked at a few rows at a time.
    dtype : float32 or float64, default=None
        In which type rows have to be equal; None for their own.

    Returns
    -------
    ndarray of shape (n_samples,), uint32
    """
    factors = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    dtype = X.dtype if dtype is None else dtype
    if hasattr(X, "indptr"):
        running = np.zeros(X.nnz + 1, np.uint64)
        np.cumsum(
            bits_of(X.data.astype(dtype, copy=False)) * factors[X.indices], dtype=np.uint64, out=running[1:]
        )
        sums = running[X.indptr[1:]] - running[X.indptr[:-1]]
    else:
        sums = np.zeros(len(X), np.uint64)
        for rows in batches(len(X), max(1, NUMBERS_AT_ONCE // X.shape[1])):
            bits = bits_of(X[rows].astype(dtype, copy=False))
            sums[rows] = (bits * factors).sum(axis=1, dtype=np.uint64)
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0x9E3779B97F4A7C15)
    return (sums >> np.uint64(32)).astype(np.uint32)


def bits_of(values: np.ndarray) -> np.ndarray:
    """The bits of numbers, folded so that the low ones differ too; zero has none set."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # adding zero makes -0.0 a zero like any other
    return bits ^ (bits >> np.uint64(32))
