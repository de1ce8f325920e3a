"""Checks of an estimator's data: numbers too large for the network's type and sparse y are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite

from layernet.user_warnings import warn_user
from layernet.validation import FLOAT_TYPES, blocks_of


def all_finite_in(vector: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether every entry is finite, and stays finite in another type.

    Tests the vector's dot product with itself, which is at least the square of the largest entry, and the
    entries only if that is too large.

    Parameters
    ----------
    vector : ndarray of shape (n,)
        Of float32 or float64.
    dtype : float32 or float64

    Returns
    -------
    bool

    Examples
    --------
    >>> [all_finite_in(np.array([0.0, 1e39]), np.dtype(dtype)) for dtype in (np.float64, np.float32)]
    [True, False]
    """
    square = np.vdot(vector, vector)
    if dtype.itemsize >= vector.dtype.itemsize:
        return math.isfinite(square) or bool(np.isfinite(vector).all())
    # The square of the largest float32 is far from the largest float64. A NaN is at most nothing.
    if square <= float(np.finfo(dtype).max) ** 2:
        return True
    with np.errstate(over="ignore"):
        return all(np.isfinite(block).all() for block in blocks_of(vector, dtype))


def require_in_range(values: Any, dtype: np.dtype, name: str) -> None:
    """Raise scikit-learn's error if a finite number becomes infinite in the type in which a network computes.

    Parameters
    ----------
    values : ndarray or CSR matrix
        Finite numbers. They are looked at in blocks; no copy of their size is made.
    dtype : float32 or float64
    name : str
        What they are, for the error.

    Raises
    ------
    ValueError
        As `fit` raises it, where scikit-learn converts the data itself.

    Examples
    --------
    >>> require_in_range(np.array([[0.0, 1e39]]), np.dtype(np.float32), "X")
    Traceback (most recent call last):
    ...
    ValueError: Input X contains infinity or a value too large for dtype('float32').
    """
    array = values.data if hasattr(values, "indptr") else values
    if array.dtype.kind != "f" or np.can_cast(array.dtype, dtype):
        return
    if array.dtype in FLOAT_TYPES and array.flags.forc and all_finite_in(array.ravel(order="K"), dtype):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks_of(array, dtype):
            assert_all_finite(block, input_name=name)


def refuse_lists_of_labels(y: Any) -> None:
    """Raise a ValueError for a list of labels for each sample, of which arrays can be made no more."""
    if not isinstance(y, (list, tuple)) or not all(isinstance(row, (list, tuple, set)) for row in y):
        return
    if any(isinstance(row, set) for row in y) or len({len(row) for row in y}) > 1:
        raise ValueError(
            "y has several labels for a sample, as lists of several lengths. Make a column of 0 and 1 for each "
            "label: sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y)."
        )


def dense_targets(y: Any, who: str, may_be_sparse: bool) -> np.ndarray:
    """Targets as a dense array, a single column as one dimension.

    Parameters
    ----------
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_outputs)
    who : str
        The estimator's class, for the error.
    may_be_sparse : bool
        Whether two columns or more may be sparse: a column for each label.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)

    Raises
    ------
    TypeError
        If y is sparse and may not be.

    Examples
    --------
    >>> import scipy.sparse
    >>> dense_targets(scipy.sparse.csr_array([[1, 0], [0, 1]]), "MLPClassifier", may_be_sparse=True)
    array([[1, 0],
           [0, 1]])
    """
    if hasattr(y, "toarray"):
        if not may_be_sparse or y.ndim == 1 or y.shape[1] == 1:
            raise TypeError(
                f"{who}: y must be a dense array, got a sparse {type(y).__name__} of shape {y.shape}. "
                f"Use y.toarray(){'.ravel()' if y.shape[1:] == (1,) else ''}."
            )
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
        )
        y = y.ravel()
    return y
