"""Checks that numbers are finite in the type in which a network computes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from layernet.validation import FLOAT_TYPES, blocks_of


def all_finite_in(vector: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether every entry is finite, and stays finite when it is converted to another type.

    Tests the vector's dot product with itself, which is at least the square of the largest entry. Tests the
    entries only if that product is too large.

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
    # A float64 holds the square of the largest float32. The comparison is False for NaN.
    if square <= float(np.finfo(dtype).max) ** 2:
        return True
    with np.errstate(over="ignore"):
        return all(np.isfinite(block).all() for block in blocks_of(vector, dtype))


def require_in_range(values: Any, dtype: np.dtype, name: str) -> None:
    """Raise scikit-learn's error if a finite number overflows in the type in which a network computes.

    Parameters
    ----------
    values : ndarray or CSR matrix
        Finite numbers. They are converted in blocks, so that no copy of their size is made.
    dtype : float32 or float64
    name : str
        Name of the argument, for the error.

    Raises
    ------
    ValueError
        The same error as in `fit`, where scikit-learn converts the data.

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
