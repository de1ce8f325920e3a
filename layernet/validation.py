"""Validation of user input: numbers, arrays, shapes and random states become what formulas expect."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))

# How many numbers are checked at a time: half a megabyte of float64 stays in the cache between the two looks
# that are taken at it, and checking a large array needs no memory of the array's size.
CHECKED_AT_ONCE = 2**16


def as_float_array(value: Any, dtype: np.dtype | None, convert: bool, name: str) -> np.ndarray:
    """A float32 or float64 array from anything that NumPy takes for numbers.

    Parameters
    ----------
    value : array-like
    dtype : numpy.dtype or None
        The wanted type; None for float64.
    convert : bool
        Whether float32 and float64 too are converted to `dtype`, or only what is neither.
    name : str
        What the value is, for the error.

    Returns
    -------
    ndarray
        The value itself where nothing had to be done.

    Raises
    ------
    TypeError
        For objects, strings, complex numbers, dates and sparse matrices.
    """
    require_dense(value, name)
    if value is None:
        raise TypeError(f"{name} must be numbers, got None.")
    array = as_array(value, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be numbers, got an array of type {array.dtype}. Convert it with .astype(float)."
        )
    if array.dtype in FLOAT_TYPES and not convert:
        return array
    return array.astype(dtype or np.float64, copy=False)


def as_array(value: Any, name: str) -> np.ndarray:
    """An array of anything; rows of several lengths are refused by name."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, with rows of one length. NumPy: {error}") from None


def require_dense(value: Any, name: str) -> None:
    """Raise a TypeError if a value is a sparse matrix, which NumPy would take for a single object."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be a dense array, got the sparse {type(value).__name__}. Use .toarray().")


def as_feature_shape(shape: Any) -> tuple[int, ...]:
    """A feature shape, without the batch axis, from an integer or a tuple of integers."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    for size in sizes:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"input_shape must be a positive integer or a tuple of them, without the batch axis; "
                f"got {shape!r}."
            )
    return tuple(int(size) for size in sizes)


def as_generator(random_state: Any) -> np.random.Generator:
    """A random generator from None, an integer, a Generator or a legacy RandomState."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is not None and not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            "random_state must be None, an integer, a numpy Generator or a RandomState, "
            f"got {type(random_state).__name__}."
        )
    return np.random.default_rng(random_state)


def require_finite(array: np.ndarray, name: str, dtype: np.dtype | None = None) -> None:
    """Raise an error if an array of floats has a NaN or an infinity in it, and say where the first one is.

    The array is looked at in blocks; nothing of its size is made beside it.

    Parameters
    ----------
    array : ndarray
    name : str
        What the array is, for the error.
    dtype : numpy.dtype, default=None
        The type that the numbers are going to be converted to, and must be finite in; None for their own.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    if array.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):  # what is too large for the type is in the error
        if all(np.isfinite(block).all() for block in blocks_of(array, dtype)):
            return
        first, count, seen = 0, 0, 0
        for block in blocks_of(array, dtype, order="C"):
            wrong = ~np.isfinite(block)
            if count == 0:
                first = seen + int(wrong.argmax())
            count += int(np.count_nonzero(wrong))
            seen += len(block)
    place = tuple(int(i) for i in np.unravel_index(first, array.shape))
    value = f"{array[place]}, too large for {dtype}," if np.isfinite(array[place]) else array[place]
    raise ValueError(
        f"{name} must be finite, got {value} at {place} ({count} such values). Impute or drop them."
    )


def blocks_of(array: np.ndarray, dtype: np.dtype | None = None, order: str = "K") -> np.nditer:
    """All numbers of an array, a few at a time, in arrays of one dimension: views where nothing has to be done.

    Parameters
    ----------
    array : ndarray
    dtype : numpy.dtype, default=None
        What each block is converted to; None for the array's own type.
    order : {"K", "C"}, default="K"
        As the numbers lie in memory, which is fastest; or row by row.

    Returns
    -------
    iterator of ndarray
    """
    return np.nditer(
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=None if dtype is None else [dtype],
        casting="unsafe",
        order=order,
        buffersize=CHECKED_AT_ONCE,
    )


def require_number(
    owner: Any,
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    or_none: bool = False,
) -> Any:
    """An argument as a Python number, or an error if it is not finite or out of bounds.

    Grids of hyperparameters are made of NumPy's numbers; a float64 among these would turn whatever float32
    array it is multiplied by into float64, which Python's own numbers do not.

    Parameters
    ----------
    owner : object
        Whose argument it is, for the error.
    name : str
        What the argument is called, for the error.
    value : object
    at_least, above, at_most, below : float, default=None
        The bounds, each of which may be left out.
    or_none : bool, default=False
        Whether None will do, and is returned.

    Returns
    -------
    int, float or None

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is NaN, infinite or out of bounds.
    """
    if value is None and or_none:
        return None
    who, or_else = f"{type(owner).__name__}: {name}", "None or " if or_none else ""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{who} must be {or_else}a number, got {value!r}.")
    bounds = [
        (words, holds, bound)
        for words, holds, bound in (
            ("at least", operator.ge, at_least),
            ("greater than", operator.gt, above),
            ("at most", operator.le, at_most),
            ("less than", operator.lt, below),
        )
        if bound is not None
    ]
    if not all(holds(value, bound) for _, holds, bound in bounds):
        expected = " and ".join(f"{words} {bound}" for words, _, bound in bounds)
        raise ValueError(f"{who} must be {or_else}{expected}, got {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"{who} must be {or_else}finite, got {value!r}.")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def as_count(value: Any, name: str) -> int:
    """A whole number of at least 1, or a ValueError."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)
