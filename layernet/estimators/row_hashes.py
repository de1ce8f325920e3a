"""Hash of each row, which equal rows share."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.training.batches import batches

# Entries of dense data that are hashed at a time: a megabyte for each temporary array of 64-bit integers.
HASHED_ENTRIES_PER_BLOCK = 2**17


def hash_rows(X: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a hash of each row, which depends on the row's values and not on its position.

    Layers with noise use it as the row's number, so that noise belongs to a sample: a sample with weight 2 gets
    the same noise as two equal samples, and the order of the data does not matter. With fixed odd random
    numbers r_j for the features,

        hash(x) = mix(sum over j of bits(x_j) r_j, modulo 2**64).

    Parameters
    ----------
    X : ndarray, SelectedRows or CSR matrix of shape (n_samples, n_features)
        Dense data are hashed in blocks of rows.
    dtype : float32 or float64, default=None
        Rows that are equal in this type get the same hash; None for the type of X.

    Returns
    -------
    ndarray of shape (n_samples,), uint32
    """
    return (hash_rows_64(X, dtype) >> np.uint64(32)).astype(np.uint32)


def hash_rows_64(X: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a hash of each row as `hash_rows` does, with 64 bits, which tell a million rows apart.

    Parameters
    ----------
    X, dtype
        As in `hash_rows`.

    Returns
    -------
    ndarray of shape (n_samples,), uint64
    """
    factors = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    dtype = X.dtype if dtype is None else dtype
    if hasattr(X, "indptr"):
        cumulative = np.zeros(X.nnz + 1, np.uint64)
        np.cumsum(
            folded_bits(X.data.astype(dtype, copy=False)) * factors[X.indices],
            dtype=np.uint64,
            out=cumulative[1:],
        )
        sums = cumulative[X.indptr[1:]] - cumulative[X.indptr[:-1]]
    else:
        sums = np.zeros(len(X), np.uint64)
        for rows in batches(len(X), max(1, HASHED_ENTRIES_PER_BLOCK // X.shape[1])):
            bits = folded_bits(X[rows].astype(dtype, copy=False))
            sums[rows] = (bits * factors).sum(axis=1, dtype=np.uint64)
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0x9E3779B97F4A7C15)
    return sums


def folded_bits(values: np.ndarray) -> np.ndarray:
    """Return the 64 bits of each number, the high half folded into the low half; 0 and -0 have the same bits.

    Without folding, numbers with few significant digits would differ in their high bits alone.
    """
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    return bits ^ (bits >> np.uint64(32))
