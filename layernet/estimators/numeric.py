"""Checks that data are numbers: text, dates and times, which NumPy would convert silently, are refused."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

NUMERIC_KINDS = "biuf"
# What an array holds, by the letter of its type's kind; and what the objects in an array of objects are.
KINDS = {"M": "dates or times", "m": "dates or times", "U": "text", "S": "text", "T": "text", "V": "records"}
OBJECTS = {
    "text": (str, bytes),
    "dates or times": (
        datetime.date,
        datetime.time,
        datetime.timedelta,
        np.datetime64,
        np.timedelta64,
    ),
    "complex numbers": (complex, np.complexfloating),
}
WHAT_TO_DO = {
    "text": "Convert it with .astype(float) if it is numbers, or encode it: OneHotEncoder, OrdinalEncoder.",
    "dates or times": "Convert them to numbers whose unit you choose: days since a day, the month, the hour.",
    "complex numbers": "Give the real and the imaginary parts as columns of their own.",
    "records": "Give an array of one numeric type.",
}


class NotNumericError(TypeError, ValueError):
    """Data that should be numbers are not.

    scikit-learn and NumPy raise a TypeError or a ValueError, depending on the kind of data; this is both.
    """


def only_numbers(values: Any, name: str) -> Any:
    """Refuse data that NumPy would convert to numbers that nobody asked for.

    NumPy makes nanoseconds since 1970 of a date, and 1.5 of the text "1.5".

    Parameters
    ----------
    values : array-like, sparse matrix or data frame
    name : str
        What they are, for the error.

    Returns
    -------
    object
        The values themselves; of a list, an array.

    Raises
    ------
    NotNumericError
        If they are text, dates, times, durations or records, or if one column or one entry is.

    Examples
    --------
    >>> only_numbers([["1.5"], ["2"]], "X")
    Traceback (most recent call last):
    ...
    layernet.estimators.numeric.NotNumericError: Input X must be numbers, got text ('1.5'). Convert it with \
.astype(float) if it is numbers, or encode it: OneHotEncoder, OrdinalEncoder.
    """
    if isinstance(values, (list, tuple)):
        values = np.asarray(values)
    if hasattr(values, "columns") and hasattr(values, "dtypes"):
        for index, dtype in enumerate(values.dtypes):
            if getattr(dtype, "kind", "O") not in NUMERIC_KINDS:  # of polars, every column is looked at
                column = values.iloc[:, index] if hasattr(values, "iloc") else values[:, index]
                _require_numeric(np.asarray(column), name, f" in the column {values.columns[index]!r}")
    elif getattr(getattr(values, "dtype", None), "kind", "O") in NUMERIC_KINDS:
        pass
    # Arrays of other libraries than NumPy have neither text nor dates.
    elif hasattr(values, "__array__") and not (
        hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray)
    ):
        _require_numeric(np.asarray(values), name, "")
    return values


def _require_numeric(array, name, where):
    what, example = KINDS.get(array.dtype.kind), None
    if array.size == 0:
        return
    if what is not None:
        example = array.flat[0]
    elif array.dtype.kind == "O":
        entries = array.ravel().tolist()
        for kind in set(map(type, entries)):
            what = next((what for what, kinds in OBJECTS.items() if issubclass(kind, kinds)), None)
            if what is not None:
                example = next(entry for entry in entries if type(entry) is kind)
                break
    if what is not None:
        shown = repr(example.item() if isinstance(example, (np.str_, np.bytes_)) else example)
        raise NotNumericError(f"Input {name} must be numbers, got {what}{where} ({shown}). {WHAT_TO_DO[what]}")
