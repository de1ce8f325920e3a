"""Validation and conversion of arguments: numbers, arrays, shapes and random states."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any, Literal, cast

import numpy as np

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))

# Numbers that are checked at a time. A block of half a megabyte stays in the cache for both passes of the
# check, and a check of a large array needs little memory.
CHECKED_AT_ONCE = 2**16


def as_float_array(value: Any, dtype: np.dtype | None, convert: bool, name: str) -> np.ndarray:
    """Return a float32 or float64 array from an array-like of numbers.

    Parameters
    ----------
    value : array-like
    dtype : numpy.dtype or None
        The wanted type; None for float64.
    convert : bool
        True converts all types to `dtype`; False keeps float32 and float64.
    name : str
        Name of the value, for errors.

    Returns
    -------
    ndarray
        The value itself if no conversion is needed.

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
    """Return a NumPy array; refuse rows of different lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, with rows of one length. NumPy: {error}") from None


def require_dense(value: Any, name: str) -> None:
    """Raise a TypeError if a value is a sparse matrix, of which NumPy makes an array with one object."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be a dense array, got the sparse {type(value).__name__}. Use .toarray().")


def as_feature_shape(shape: Any) -> tuple[int, ...]:
    """Return a feature shape, without the batch axis, from an integer or a tuple of integers."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    for size in sizes:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"input_shape must be a positive integer or a tuple of them, without the batch axis; "
                f"got {shape!r}."
            )
    return tuple(int(size) for size in sizes)


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a random generator from None, an integer, a Generator or a legacy RandomState."""
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
    """Raise a ValueError that locates the first NaN or infinity of an array, if it has any.

    The check runs in blocks and needs no memory of the array's size.

    Parameters
    ----------
    array : ndarray
    name : str
        Name of the array, for errors.
    dtype : numpy.dtype, default=None
        Type in which the numbers must be finite; None for the array's own.

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


def blocks_of(
    array: np.ndarray, dtype: np.dtype | None = None, order: Literal["K", "C"] = "K"
) -> Iterable[np.ndarray]:
    """Iterate over an array in one-dimensional blocks, which are views if no conversion is needed.

    Parameters
    ----------
    array : ndarray
    dtype : numpy.dtype, default=None
        Type of the blocks; None for the array's own.
    order : {"K", "C"}, default="K"
        "K" for the order in memory, which is fastest; "C" for row by row.

    Returns
    -------
    iterator of ndarray
    """
    blocks: Any = np.nditer(  # with these flags it yields arrays
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=dtype,
        casting="unsafe",
        order=order,
        buffersize=CHECKED_AT_ONCE,
    )
    return cast("Iterable[np.ndarray]", blocks)


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
    """Return an argument as a Python number, or raise an error if it is not finite or out of bounds.

    NumPy's scalars, of which grids of hyperparameters consist, become Python's numbers: a float64 would change
    the type of float32 arrays.

    Parameters
    ----------
    owner : object
        Object whose argument it is, for errors.
    name : str
        Name of the argument, for errors.
    value : object
    at_least, above, at_most, below : float, default=None
        Bounds; None for no bound.
    or_none : bool, default=False
        Whether None is accepted, and returned.

    Returns
    -------
    int, float or None

    Raises
    ------
    TypeError
        If the value is not a number.
    ValueError
        If the value is NaN, infinite or out of bounds.
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
    """Return a whole number of at least 1, or raise a ValueError."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def require_integer(
    owner: Any, name: str, value: Any, *, at_least: int | None = None, or_none: bool = False
) -> Any:
    """Return an argument as a Python int, or raise an error if it is no integer or below a bound.

    Parameters
    ----------
    owner : object
        Object whose argument it is, for errors.
    name : str
        Name of the argument, for errors.
    value : object
    at_least : int, default=None
        Bound; None for no bound.
    or_none : bool, default=False
        Whether None is accepted, and returned.

    Returns
    -------
    int or None

    Raises
    ------
    TypeError
        If the value is no integer.
    ValueError
        If the value is below the bound.
    """
    if value is None and or_none:
        return None
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{type(owner).__name__}: {name} must be an integer, got {value!r}.")
    return int(require_number(owner, name, value, at_least=at_least))


def require_bool(owner: Any, name: str, value: Any, *, or_none: bool = False) -> Any:
    """Return an argument as a Python bool, or raise an error if it is no truth value.

    Strings and numbers are refused: `"False"` would count as true.

    Parameters
    ----------
    owner : object
        Object whose argument it is, for the error.
    name : str
        Name of the argument, for the error.
    value : object
    or_none : bool, default=False
        Whether None is accepted, and returned.

    Returns
    -------
    bool or None

    Raises
    ------
    TypeError
        If the value is neither a bool of Python nor one of NumPy.
    """
    if value is None and or_none:
        return None
    if not isinstance(value, (bool, np.bool_)):
        or_else = ", None" if or_none else ""
        raise TypeError(f"{type(owner).__name__}: {name} must be True or False{or_else}, got {value!r}.")
    return bool(value)
