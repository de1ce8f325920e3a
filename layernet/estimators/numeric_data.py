"""Check that data are numbers; NumPy would convert text, dates and times silently."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

NUMERIC_KINDS = "biuf"
# Content of an array by `dtype.kind`, and of an array of objects by the classes of its entries.
KIND_NAMES = {
    "M": "dates or times",
    "m": "dates or times",
    "U": "text",
    "S": "text",
    "T": "text",
    "V": "records",
}
OBJECT_CLASSES = {
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
ADVICE = {
    "text": "Convert it with .astype(float) if it is numbers, or encode it: OneHotEncoder, OrdinalEncoder.",
    "dates or times": "Convert them to numbers whose unit you choose: days since a day, the month, the hour.",
    "complex numbers": "Give the real and the imaginary parts as columns of their own.",
    "records": "Give an array of one numeric type.",
}


class NotNumericError(TypeError, ValueError):
    """Raised when data that must be numbers are text, dates, times or records.

    It is a TypeError and a ValueError, because scikit-learn and NumPy raise one or the other, depending on the
    data.
    """


def require_numbers(values: Any, name: str) -> Any:
    """Raise an error if data are not numbers.

    NumPy would convert a date to nanoseconds since 1970, and the text "1.5" to 1.5.

    Parameters
    ----------
    values : array-like, sparse matrix or data frame
    name : str
        Name of the argument, for the error.

    Returns
    -------
    object
        The values; a list as an array.

    Raises
    ------
    NotNumericError
        If the values, a column or an entry are text, dates, times, durations, complex numbers or records.

    Examples
    --------
    >>> require_numbers([["1.5"], ["2"]], "X")
    Traceback (most recent call last):
    ...
    layernet.estimators.numeric_data.NotNumericError: Input X must be numbers, got text ('1.5'). Convert it \
with .astype(float) if it is numbers, or encode it: OneHotEncoder, OrdinalEncoder.
    """
    if isinstance(values, (list, tuple)):
        values = np.asarray(values)
    if hasattr(values, "columns") and hasattr(values, "dtypes"):
        for index, dtype in enumerate(values.dtypes):
            if getattr(dtype, "kind", "O") not in NUMERIC_KINDS:  # polars gives its own types, without a kind
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


def _require_numeric(array: np.ndarray, name: str, where: str) -> None:
    if array.size == 0:
        return
    what: str | None = KIND_NAMES.get(array.dtype.kind)
    example: Any = None
    if what is not None:
        example = array.flat[0]
    elif array.dtype.kind == "O":
        entries = array.ravel().tolist()
        for kind in set(map(type, entries)):
            what = next((what for what, kinds in OBJECT_CLASSES.items() if issubclass(kind, kinds)), None)
            if what is not None:
                example = next(entry for entry in entries if type(entry) is kind)
                break
    if what is not None:
        shown = repr(example.item() if isinstance(example, (np.str_, np.bytes_)) else example)
        raise NotNumericError(f"Input {name} must be numbers, got {what}{where} ({shown}). {ADVICE[what]}")
