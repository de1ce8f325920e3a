"""Sparse rows: SciPy's matrices, for layers whose products skip the zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from layernet.validation import FLOAT_TYPES, blocks_of

# A product with sparse rows takes 5 times as long for each entry as BLAS for each number (200 rows of 480
# features by 100 units, on one thread): where more than about this part of all numbers is there, dense batches
# are as fast or faster.
DENSE_ENOUGH = 0.25
# A gradient of up to this many numbers stays in the cache while entries are added to it in the order of the
# rows. A larger one is computed feature by feature (200 rows of 40,000 features by 100 units: 2.3 instead of
# 3.9 milliseconds).
NUMBERS_IN_CACHE = 2**18
# How many numbers of a larger gradient are computed at once: a temporary of 8 MB of float64.
NUMBERS_AT_ONCE = 2**20


def is_sparse(value: Any) -> bool:
    """Return whether a value is one of SciPy's sparse matrices or arrays; found without importing SciPy."""
    return hasattr(value, "toarray") and hasattr(value, "tocsr")


def as_sparse_rows(value: Any, dtype: np.dtype | None, convert: bool, name: str) -> Any:
    """Any sparse matrix or array as a `csr_array` of float32 or float64, with all indices within its shape.

    Parameters
    ----------
    value : sparse matrix or sparse array of shape (n_samples, n_features)
    dtype : numpy.dtype or None
        The wanted type; None for float64.
    convert : bool
        Whether float32 and float64 too are converted to `dtype`, or only what is neither.
    name : str
        What the value is, for the error.

    Returns
    -------
    scipy.sparse.csr_array
        In the form of `in_canonical_form`. It shares the value's memory where nothing had to be done.

    Raises
    ------
    TypeError
        For complex numbers and objects.
    ValueError
        If it has another number of axes than two, or an index is outside of its shape.
    """
    import scipy.sparse

    if value.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be numbers, got a sparse {type(value).__name__} of type {value.dtype}. Convert it "
            "with .astype(float)."
        )
    if value.ndim != 2:
        raise ValueError(f"{name} must have two axes if it is sparse, got the shape {value.shape}.")
    rows = scipy.sparse.csr_array(value)
    if convert or rows.dtype not in FLOAT_TYPES:
        rows = rows.astype(dtype or np.float64, copy=False)
    if value.format == "csr":  # products look where the indices say; what SciPy converted it has checked
        rows.check_format(full_check=True)
    return in_canonical_form(rows)


def in_canonical_form(rows: Any) -> Any:
    """Sparse rows in the one form that equal rows share: each entry once, by ascending column, and no zeros.

    Rows are recognized by their entries, for instance by layers with noise, and sums depend on their order.

    Parameters
    ----------
    rows : sparse matrix or sparse array in CSR format

    Returns
    -------
    sparse matrix or sparse array
        The rows themselves where nothing had to be done, else a copy.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> twice = csr_array((np.array([1.0, 0.0, 2.0]), np.array([2, 1, 2]), np.array([0, 3])), shape=(1, 3))
    >>> in_canonical_form(twice).data, twice.data
    (array([3.]), array([1., 0., 2.]))
    """
    if rows.has_canonical_format and rows.data.all():
        return rows
    rows = rows.copy()
    with np.errstate(over="ignore"):  # what is too large is refused with the other entries
        rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def require_finite_entries(rows: Any, name: str) -> None:
    """Raise an error if an entry of sparse rows is a NaN or an infinity, and say where the first one is.

    Raises
    ------
    ValueError
        As `validation.require_finite` does for arrays.
    """
    if all(np.isfinite(block).all() for block in blocks_of(rows.data)):
        return
    wrong = np.flatnonzero(~np.isfinite(rows.data))
    row = int(np.searchsorted(rows.indptr, wrong[0], side="right")) - 1
    raise ValueError(
        f"{name} must be finite, got {rows.data[wrong[0]]} at {(row, int(rows.indices[wrong[0]]))} "
        f"({len(wrong)} such values). Impute or drop them."
    )


def are_sparse_rows(value: Any) -> bool:
    """Return whether a value is a `csr_array`, as `as_sparse_rows` returns it."""
    return type(value).__name__ == "csr_array" and getattr(value, "format", None) == "csr"


def is_worth_keeping_sparse(rows: Any) -> bool:
    """Return whether products with sparse rows are faster than with an array; see `DENSE_ENOUGH`."""
    return rows.nnz <= DENSE_ENOUGH * rows.shape[0] * rows.shape[1]


def write_weight_gradient(rows: Any, grad_output: np.ndarray, gradient: np.ndarray) -> None:
    """gradient = rows.T @ grad_output: computed for the features that occur in the rows, 0 for the others.

    Parameters
    ----------
    rows : csr_array of shape (n_samples, n_features)
    grad_output : ndarray of shape (n_samples, units)
    gradient : ndarray of shape (n_features, units)
        Overwritten.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> gradient = np.empty((3, 1))
    >>> write_weight_gradient(csr_array([[2.0, 0, 0], [0, 0, 1.0]]), np.array([[1.0], [10.0]]), gradient)
    >>> gradient.ravel()
    array([ 2.,  0., 10.])
    """
    if gradient.size <= NUMBERS_IN_CACHE:
        gradient[...] = rows.T @ grad_output
        return
    gradient.fill(0)
    for features, sums in sums_by_feature(rows, grad_output):
        gradient[features] = sums


def sums_by_feature(rows: Any, grad_output: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Compute the rows of rows.T @ grad_output for the features that occur in the rows, in blocks.

    Yields
    ------
    features : ndarray of int
        In ascending order.
    sums : ndarray of shape (len(features), units)
    """
    import scipy.sparse

    by_feature = rows.tocsc()
    ends = by_feature.indptr
    features = np.flatnonzero(np.diff(ends))
    at_once = max(1, NUMBERS_AT_ONCE // max(1, grad_output.shape[1]))
    for start in range(0, len(features), at_once):
        some = features[start : start + at_once]
        first, last = ends[some[0]], ends[some[-1] + 1]
        # The features between those that occur have no entries, so that the ends of the others are theirs too.
        places = np.append(ends[some], last) - first
        entries = by_feature.data[first:last], by_feature.indices[first:last], places
        yield some, scipy.sparse.csr_array(entries, shape=(len(some), rows.shape[0])) @ grad_output
