"""Columns of a table, whatever holds them, as numbers, levels or dates."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from layernet.estimators.numeric_data import NotNumericError
from layernet.estimators.samples import MISSING_CLASSES
from layernet.estimators.tables.categories import BOOLEAN_TEXTS, Levels, levels_of_objects, levels_of_values
from layernet.estimators.tables.dates import (
    Dates,
    clock_times,
    name_of_zone,
    objects_as_dates,
    parse_dates,
    zone_by_name,
)

WHO = "TableEncoder"


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes
    ----------
    values : ndarray of float64
        Finite, or NaN where a number is missing.
    reason : str
        Type of the column, in words.
    """

    values: np.ndarray
    reason: str

    def select(self, rows: np.ndarray) -> Numbers:
        """Return the column of some rows."""
        return replace(self, values=self.values[rows])


Data = Numbers | Levels | Dates


@dataclass(frozen=True)
class Table:
    """A table whose columns are read one by one.

    Attributes
    ----------
    values : ndarray, sparse matrix or data frame
    library : str
        "pandas", "polars", "sparse" or "numpy".
    names : list or None
        Names of the columns of a data frame.
    shape : tuple of int
        (n_samples, n_features)
    """

    values: Any
    library: str
    names: list[Any] | None
    shape: tuple[int, int]

    def label(self, position: int) -> Any:
        """Return the name of a column; "x3" for column 3 of an array."""
        return f"x{position}" if self.names is None else self.names[position]

    def read(self, position: int, kind: str | None = None, zone: str | None = None) -> Data:
        """Return the contents of a column.

        Parameters
        ----------
        position : int
        kind : str, default=None
            "category" reads whole numbers as levels without a loss of digits.
        zone : str, default=None
            Time zone whose clock time is wanted; None for the column's own.

        Returns
        -------
        Numbers, Levels or Dates
        """
        label = self.label(position)
        if self.library == "pandas":
            return read_pandas(self.values.iloc[:, position], label, kind, zone)
        if self.library == "polars":
            return read_polars(self.values.to_series(position), label, kind, zone)
        if self.library == "sparse":
            column = self.values[:, [position]].toarray().ravel()
            return read_array(column, label, kind, zone)
        return read_array(self.values[:, position], label, kind, zone)


def library_of(X: Any) -> str | None:
    """Return "pandas" or "polars" for their data frames, without importing either, else None."""
    homes = {each.__module__.partition(".")[0] for each in type(X).__mro__}
    for library in ("pandas", "polars"):
        if library in homes and hasattr(type(X), "columns"):
            return library
    return None


def as_table(X: Any, estimator: Any) -> Table:
    """Return a table of what a user gave.

    Parameters
    ----------
    X : data frame, array-like or sparse matrix
    estimator : object
        Named in the errors.

    Returns
    -------
    Table

    Raises
    ------
    TypeError
        If X is a polars LazyFrame.
    ValueError
        If X has no rows, no columns, another number of dimensions than 2, complex numbers, or two columns of
        the same name.
    """
    library = library_of(X)
    if library is None:
        return _array_table(X, estimator)
    if not hasattr(X, "shape"):
        raise TypeError(
            f"{WHO}: X must hold its data, got a {type(X).__name__} that computes them later. Give X.collect()."
        )
    names, shape = list(X.columns), X.shape
    if shape[0] == 0 or shape[1] == 0:
        what = "sample(s)" if shape[0] == 0 else "feature(s)"
        raise ValueError(
            f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required by {WHO}."
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{WHO}: X must have a name of its own for each column, got several columns named {repeated}. "
            "Rename or drop columns."
        )
    return Table(X, library, names, shape)


def _array_table(X: Any, estimator: Any) -> Table:
    if isinstance(X, (list, tuple)):
        array = np.asarray(X)
        # NumPy makes text of numbers that stand beside text.
        X = np.asarray(X, dtype=object) if array.dtype.kind in "US" else array
    X = check_array(
        X,
        accept_sparse=("csr", "csc"),
        dtype=None,
        ensure_all_finite=False,
        estimator=estimator,
        input_name="X",
    )
    return Table(X, "sparse" if sparse.issparse(X) else "numpy", None, X.shape)


def require_no_infinity(values: np.ndarray, label: Any) -> None:
    """Raise a ValueError if a column contains infinity."""
    if np.isinf(values).any():
        raise infinity_error(label)


def infinity_error(label: Any) -> ValueError:
    """Return the error that a column contains infinity."""
    return ValueError(
        "Input X contains infinity or a value too large for dtype('float64') in the column "
        f"{label!r}. {WHO} expects finite numbers, and None or NaN where one is missing. Replace or drop them."
    )


def as_numbers(values: np.ndarray, label: Any, reason: str) -> Numbers:
    """Return an array of numbers as a column of finite numbers and NaN."""
    with np.errstate(over="ignore"):  # of long doubles, refused below
        values = np.asarray(values, dtype=np.float64)
    require_no_infinity(values, label)
    return Numbers(values, reason)


def read_array(column: np.ndarray, label: Any, kind: str | None = None, zone: str | None = None) -> Data:
    """Return the contents of a one-dimensional array."""
    dtype = column.dtype
    if dtype.kind in "OUST":
        return read_objects(column.tolist(), label, kind, zone)
    if dtype.kind == "b":
        return Levels(column.astype(np.intp), BOOLEAN_TEXTS, "booleans")
    if dtype.kind == "M":
        return Dates(column.astype("datetime64[us]"), f"type {dtype}")
    if dtype.kind == "m":
        return as_numbers(column / np.timedelta64(1, "s"), label, "durations, in seconds")
    if dtype.kind not in "iuf":
        raise TypeError(
            f"{WHO}: argument must be a string or a number in the column {label!r}, got type {dtype}."
        )
    if kind == "category" and dtype.kind in "iu":
        values, codes = np.unique(column, return_inverse=True)
        return levels_of_values(codes, values.tolist(), f"type {dtype}")
    return as_numbers(column, label, f"type {dtype}")


def read_pandas(series: Any, label: Any, kind: str | None = None, zone: str | None = None) -> Data:
    """Return the contents of a pandas Series."""
    import pandas as pd

    dtype, types = series.dtype, pd.api.types
    reason = f"type {dtype}" if len(str(dtype)) < 40 else f"type {type(dtype).__name__}"
    if isinstance(dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.intp)
        return levels_of_values(codes, series.cat.categories.tolist(), "type category")
    if isinstance(dtype, pd.IntervalDtype):
        codes, values = pd.factorize(series)
        return levels_of_values(codes, [str(value) for value in values], reason)
    if isinstance(dtype, pd.PeriodDtype):
        return Dates(series.dt.to_timestamp().to_numpy().astype("datetime64[us]"), reason)
    if types.is_bool_dtype(dtype):
        codes = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Levels(np.where(np.isnan(codes), -1, codes).astype(np.intp), BOOLEAN_TEXTS, "booleans")
    if types.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported: the column {label!r}")
    if types.is_integer_dtype(dtype) and kind == "category":
        codes, values = pd.factorize(series)
        return levels_of_values(codes, values.tolist(), reason)
    if types.is_numeric_dtype(dtype):
        return as_numbers(series.to_numpy(dtype=np.float64, na_value=np.nan), label, reason)
    if types.is_datetime64_any_dtype(dtype):
        own = getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)
        if own is not None:
            wanted = zone_by_name(zone)
            series = series if wanted is None else series.dt.tz_convert(wanted)
            series = series.dt.tz_localize(None)
        values = series.astype("datetime64[us]").to_numpy()
        return Dates(values, reason, None if own is None else name_of_zone(own))
    if types.is_timedelta64_dtype(dtype):
        seconds = series.dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
        return as_numbers(seconds, label, "durations, in seconds")
    is_text = isinstance(dtype, pd.StringDtype) or types.infer_dtype(series, skipna=True) == "string"
    if is_text:
        codes, values = pd.factorize(series)
        return levels_of_values(codes, values.tolist(), "strings", is_text=True)
    return read_objects(series.to_numpy(dtype=object).tolist(), label, kind, zone)


def read_polars(series: Any, label: Any, kind: str | None = None, zone: str | None = None) -> Data:
    """Return the contents of a polars Series."""
    import polars as pl

    dtype = series.dtype
    reason = f"type {dtype}" if len(str(dtype)) < 40 else f"type {dtype.base_type()}"
    if dtype == pl.Null:
        return Levels(np.full(len(series), -1), (), "nulls")
    if dtype == pl.Boolean:
        codes = series.cast(pl.Int8).fill_null(-1).to_numpy().astype(np.intp)
        return Levels(codes, BOOLEAN_TEXTS, "booleans")
    if dtype.is_integer() and kind == "category":
        return _polars_levels(series.cast(pl.String), reason)
    if dtype.is_numeric():
        return as_numbers(series.cast(pl.Float64).to_numpy(), label, reason)
    if dtype in (pl.Date, pl.Datetime):
        own = getattr(dtype, "time_zone", None)
        if own is not None:
            wanted = zone_by_name(zone)
            if isinstance(wanted, datetime.timezone):  # polars knows zones with names only
                series = series.dt.convert_time_zone("UTC") + wanted.utcoffset(None)
            else:
                series = series.dt.convert_time_zone(own if wanted is None else zone)
            series = series.dt.replace_time_zone(None)
        return Dates(series.cast(pl.Datetime("us")).to_numpy(), reason, own)
    if dtype == pl.Duration:
        seconds = series.dt.total_microseconds().cast(pl.Float64).to_numpy() / 1e6
        return as_numbers(seconds, label, "durations, in seconds")
    if dtype == pl.Time:
        seconds = series.cast(pl.Int64).cast(pl.Float64).to_numpy() / 1e9
        return as_numbers(seconds, label, "times of the day, in seconds")
    if dtype == pl.String:
        return _polars_levels(series, "strings", is_text=True)
    if dtype in (pl.Categorical, pl.Enum):
        return _polars_levels(series.cast(pl.String), f"type {dtype.base_type()}")
    return read_objects(series.to_list(), label, kind, zone)


def _polars_levels(series: Any, reason: str, is_text: bool = False) -> Levels:
    import polars as pl

    texts = series.drop_nulls().unique(maintain_order=True)
    codes = series.cast(pl.Enum(texts)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    return Levels(codes.astype(np.intp, copy=False), tuple(texts.to_list()), reason, is_text)


# What the entries of a column of objects can be. They are looked up in this order, and before numbers: a bool
# is a whole number for Python, and a timedelta64 is one for NumPy.
CLASSES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("text", (str, bytes)),
    ("boolean", (bool, np.bool_)),
    ("date", (datetime.date, np.datetime64)),
    ("duration", (datetime.timedelta, np.timedelta64)),
    ("time", (datetime.time,)),
)


def class_of(kind: type, label: Any) -> str | None:
    """Return what objects of a type are in a column; None for missing ones."""
    if kind.__name__ in MISSING_CLASSES:
        return None
    for name, kinds in CLASSES:
        if issubclass(kind, kinds):
            return name
    if issubclass(kind, (numbers.Real, decimal.Decimal)):
        return "number"
    if issubclass(kind, numbers.Complex):
        raise ValueError(f"Complex data not supported: the column {label!r}")
    raise TypeError(
        f"{WHO}: argument must be a string or a number, got an object of type {kind.__name__} in the column "
        f"{label!r}. Convert the column to strings, or make columns of its parts."
    )


def read_objects(entries: list[Any], label: Any, kind: str | None = None, zone: str | None = None) -> Data:
    """Return the contents of a list of objects.

    Entries of one class are numbers, booleans, dates, durations or times; entries of several are text.
    """
    types = set(map(type, entries))
    classes = {each: class_of(each, label) for each in types}
    present = {each for each in classes.values() if each is not None}
    if present - {"text"}:
        # NaN is missing in columns of any class, and the missing values of pandas cannot be compared.
        entries = [None if classes[type(entry)] is None or entry != entry else entry for entry in entries]
        present = {name for name in map(classes.get, set(map(type, entries))) if name is not None}
    if kind == "category" and present:
        return levels_of_objects(entries, "objects")
    if present == {"boolean"}:
        codes = np.array([-1 if entry is None else int(entry) for entry in entries], dtype=np.intp)
        return Levels(codes, BOOLEAN_TEXTS, "booleans")
    if present and present <= {"number", "boolean"}:
        return as_numbers(_floats_of(entries, label), label, "numbers as objects")
    if present == {"date"}:
        return objects_as_dates(entries, zone)
    if present == {"duration"}:
        seconds = [_seconds_of(entry) for entry in entries]
        return as_numbers(np.array(seconds, dtype=np.float64), label, "durations, in seconds")
    if present == {"time"}:
        seconds = [np.nan if entry is None else clock_times(entry) for entry in entries]
        return as_numbers(np.array(seconds, dtype=np.float64), label, "times of the day, in seconds")
    reasons = {0: "nothing but missing values", 1: "strings"}
    return levels_of_objects(entries, reasons.get(len(present), "mixed objects, read as text"))


def _floats_of(entries: list[Any], label: Any) -> np.ndarray:
    try:
        return np.array(entries, dtype=np.float64)
    except OverflowError:  # of Python's whole numbers
        raise infinity_error(label) from None


def _seconds_of(duration: Any) -> float:
    if duration is None:
        return np.nan
    if isinstance(duration, np.timedelta64):
        return float(duration / np.timedelta64(1, "s"))
    return float(duration.total_seconds())


def numbers_of(data: Data, label: Any) -> np.ndarray:
    """Return the numbers of a column that had numbers in `fit`."""
    if isinstance(data, Numbers):
        return data.values
    if isinstance(data, Levels):
        if set(data.texts) <= set(BOOLEAN_TEXTS):
            values = [float(text == BOOLEAN_TEXTS[1]) for text in data.texts]
            return np.array([*values, np.nan])[data.codes]
        shown = data.texts[0]
    elif np.isnat(data.values).all():
        return np.full(len(data.values), np.nan)
    else:
        shown = str(data.values[~np.isnat(data.values)][0])
    raise NotNumericError(
        f"{WHO}: the column {label!r} must be numbers, as in fit, got {shown!r}. Convert it with "
        ".astype(float), or name it in `categories` and fit again."
    )


def levels_of(data: Data) -> Levels:
    """Return a column as levels."""
    if isinstance(data, Levels):
        return data
    is_missing = np.isnan(data.values) if isinstance(data, Numbers) else np.isnat(data.values)
    values, inverse = np.unique(data.values[~is_missing], return_inverse=True)
    codes = np.full(len(is_missing), -1, dtype=np.intp)
    codes[~is_missing] = inverse
    return levels_of_values(codes, values.tolist(), data.reason)


def dates_of(data: Data, label: Any) -> np.ndarray:
    """Return the dates of a column that had dates in `fit`."""
    if isinstance(data, Dates):
        return data.values
    if isinstance(data, Levels):
        dates = parse_dates(data.texts)
        if dates is not None:
            return np.append(dates, np.datetime64("NaT"))[data.codes]
        shown = next(text for text in data.texts if parse_dates([text]) is None)
    elif np.isnan(data.values).all():
        return np.full(len(data.values), np.datetime64("NaT", "us"))
    else:
        shown = str(data.values[~np.isnan(data.values)][0])
    raise ValueError(
        f"{WHO}: the column {label!r} must be dates, as in fit, got {shown!r}. Convert it to dates, or replace "
        "what is no date by None."
    )
