"""Encodings of single columns: what a column becomes in the matrix of a network's inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from layernet.estimators.robust_scale import robust_center_and_factor, scale_and_clip
from layernet.estimators.tables.categories import LevelNumbers, Levels
from layernet.estimators.tables.columns import Data, Numbers, dates_of, levels_of, numbers_of
from layernet.estimators.tables.dates import Dates, parts_of_dates

LIMIT = 3.0  # of the smooth clip, the default of RobustScale


class ColumnEncoding:
    """Encoding of one column, fitted to it.

    Attributes
    ----------
    kind : str
        "number", "category", "date", "constant" or "empty".
    reason : str
        Why the column is of this kind.
    encoding : str
        What became of it.
    number_names, flag_names, code_names : list of str
        Ends of the names of its outputs, of each of the three sorts.
    n_levels : int
        Different levels of a category.
    n_missing : int
    n_codes : int
        Number of levels in the output of codes.
    zone : str or None
        Time zone of dates.
    """

    def __init__(self, kind: str, reason: str, encoding: str = "no outputs", n_missing: int = 0) -> None:
        self.kind, self.reason, self.encoding, self.n_missing = kind, reason, encoding, n_missing
        self.number_names: list[str] = []
        self.flag_names: list[str] = []
        self.code_names: list[str] = []
        self.n_levels = self.n_codes = 0
        self.zone: str | None = None

    def write(self, data: Data, label: Any, outputs: np.ndarray, places: np.ndarray) -> None:
        """Write the outputs of a column.

        Parameters
        ----------
        data : Numbers, Levels or Dates
        label : object
            Name of the column, for errors.
        outputs : ndarray of shape (n_samples, n_outputs)
            Zeros in the column's outputs.
        places : ndarray of int
            Columns of `outputs`: numbers, flags, codes.
        """


class NumberEncoding(ColumnEncoding):
    """Number, scaled by its median and interquartile range and clipped smoothly; a flag where it is missing.

    Parameters
    ----------
    values : ndarray of float64
    reason : str
    weights : ndarray of shape (n_rows,) or None
    """

    def __init__(self, values: np.ndarray, reason: str, weights: np.ndarray | None) -> None:
        super().__init__("number", reason)
        self.fit_parts([("", values)], weights)
        self.encoding = "scaled by median and interquartile range" if self.number_names else "one value"
        self.add_missing_flag(np.isnan(values))

    def fit_parts(self, parts: Iterable[tuple[str, np.ndarray]], weights: np.ndarray | None) -> None:
        """Compute the scale of each part that varies."""
        center, factor = [], []
        for name, values in parts:
            low, high = np.fmin.reduce(values), np.fmax.reduce(values)
            if high > low:
                center_and_factor = robust_center_and_factor(values[:, None], "inverted_cdf", weights)
                center.append(center_and_factor[0][0])
                factor.append(center_and_factor[1][0])
                self.number_names.append(name)
        self.center, self.factor = np.array(center), np.array(factor)

    def add_missing_flag(self, is_missing: np.ndarray) -> None:
        """Add the flag of missing values, if there are any in `fit`."""
        self.n_missing = int(np.count_nonzero(is_missing))
        if self.n_missing:
            self.flag_names.append("_missing")
            self.encoding += "; a flag where it is missing"

    def parts(self, data: Data, label: Any) -> Iterable[tuple[str, np.ndarray]]:
        """Return the name and the numbers of each part that may vary."""
        return [("", numbers_of(data, label))]

    def write(self, data: Data, label: Any, outputs: np.ndarray, places: np.ndarray) -> None:
        index = 0
        for name, values in self.parts(data, label):
            is_missing = np.isnan(values)
            if name in self.number_names:
                scaled = scale_and_clip(values, self.center[index], self.factor[index], LIMIT)
                scaled[is_missing] = 0
                outputs[:, places[index]] = scaled
                index += 1
        if self.flag_names:
            outputs[:, places[-1]] = is_missing


class DateEncoding(NumberEncoding):
    """Date, as the numbers of those parts that vary: year, month, weekday, hour, and days since the earliest.

    Parameters
    ----------
    data : Dates
        At least one is present.
    weights : ndarray of shape (n_rows,) or None
    """

    def __init__(self, data: Dates, weights: np.ndarray | None) -> None:
        ColumnEncoding.__init__(self, "date", data.reason)
        self.zone = data.zone
        is_missing = np.isnat(data.values)
        self.earliest = data.values[~is_missing].min()
        parts = ((f"_{name}", part) for name, part in parts_of_dates(data.values, self.earliest))
        self.fit_parts(parts, weights)
        shown = [name[1:] for name in self.number_names]
        if "days" in shown:
            shown[-1] = f"days since {self.earliest.astype('datetime64[s]')}"
        self.encoding = ", ".join(shown) if shown else "one date"
        if self.zone is not None:
            self.encoding += f" (clock of {self.zone})"
        self.add_missing_flag(is_missing)

    def parts(self, data: Data, label: Any) -> Iterable[tuple[str, np.ndarray]]:
        return ((f"_{name}", part) for name, part in parts_of_dates(dates_of(data, label), self.earliest))


class TwoValueEncoding(NumberEncoding):
    """Number with two values in `fit`: -1 and +1, and 0 where it is missing.

    Other values are interpolated, and clipped to these.

    Parameters
    ----------
    values : ndarray of float64
    reason : str
    """

    def __init__(self, values: np.ndarray, reason: str) -> None:
        ColumnEncoding.__init__(self, "number", f"{reason}, two values")
        self.low, self.high = np.fmin.reduce(values), np.fmax.reduce(values)
        self.flag_names.append("")
        self.encoding = f"-1 for {self.low:g}, +1 for {self.high:g}"
        self.add_missing_flag(np.isnan(values))

    def write(self, data: Data, label: Any, outputs: np.ndarray, places: np.ndarray) -> None:
        values = numbers_of(data, label)
        is_missing = np.isnan(values)
        middle, half_range = self.low / 2 + self.high / 2, self.high / 2 - self.low / 2
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            signs = np.clip((values - middle) / half_range, -1, 1)
        signs[values <= self.low] = -1  # also where half of the range underflows
        signs[values >= self.high] = 1
        signs[is_missing] = 0
        outputs[:, places[0]] = signs
        if len(places) > 1:
            outputs[:, places[1]] = is_missing


class CategoryEncoding(ColumnEncoding):
    """Category: -1 and +1 for two levels, one-hot for a few, else a code for an embedding.

    Parameters
    ----------
    levels : Levels
    reason : str
    max_one_hot, max_levels, min_count : int
    weights : ndarray of shape (n_rows,), default=None
    """

    def __init__(
        self,
        levels: Levels,
        reason: str,
        max_one_hot: int,
        max_levels: int,
        min_count: int,
        weights: np.ndarray | None = None,
    ) -> None:
        super().__init__("category", reason, n_missing=int(np.count_nonzero(levels.codes < 0)))
        self.numbers = LevelNumbers(levels, max_one_hot, max_levels, min_count, weights)
        self.n_levels = self.numbers.n_levels
        names = self.numbers.names
        if len(names) < 2:
            self.encoding = f"no outputs: no level has {min_count} rows or more"
        elif len(names) == 2:
            self.flag_names = names[1:]
            first, second = (name[1:] for name in names)
            self.encoding = f"-1 for {first!r}, +1 for {second!r}"
        elif len(names) <= max_one_hot:
            self.flag_names = names
            self.encoding = f"one-hot, {len(names)} levels"
        else:
            self.code_names, self.n_codes = ["_code"], len(names)
            hashed = f", hashed to {max_levels}" if self.numbers.is_hashed else ""
            self.encoding = f"code for an embedding, {len(names)} levels{hashed}"
        if self.numbers.n_rare and len(names) > 1:
            self.encoding += f"; one of them is for {self.numbers.n_rare} rare levels"
        if self.numbers.missing_number >= 0 and len(names) > 1:
            self.encoding += "; one of them is for missing ones"

    def write(self, data: Data, label: Any, outputs: np.ndarray, places: np.ndarray) -> None:
        numbers = self.numbers.numbers_of(levels_of(data))
        if self.code_names:
            outputs[:, places[0]] = numbers
        elif len(self.flag_names) == 1:
            outputs[:, places[0]] = np.array([-1, 1, 0])[numbers]
        else:
            rows = np.flatnonzero(numbers >= 0)
            outputs[rows, places[numbers[rows]]] = 1


def fit_encoding(
    data: Data,
    is_category: bool,
    max_one_hot: int,
    max_levels: int,
    min_count: int,
    weights: np.ndarray | None = None,
) -> ColumnEncoding:
    """Return the encoding of a column.

    Parameters
    ----------
    data : Numbers, Levels or Dates
    is_category : bool
        Whether the user named it as a category.
    max_one_hot, max_levels, min_count : int
    weights : ndarray of shape (n_rows,), default=None
        Above 0.

    Returns
    -------
    ColumnEncoding
    """
    reason = data.reason
    if is_category:
        data, reason = levels_of(data), f"named in `categories` ({reason})"
    n_rows = len(data.codes) if isinstance(data, Levels) else len(data.values)
    if isinstance(data, Levels):
        is_missing = data.codes < 0
        n_different = int(np.count_nonzero(np.bincount(data.codes[~is_missing])))
    elif isinstance(data, Numbers):
        is_missing = np.isnan(data.values)
        low, high = np.fmin.reduce(data.values), np.fmax.reduce(data.values)
        is_between = (data.values > low) & (data.values < high)
        n_different = int(low == low) + int(high > low) + int(is_between.any())
    else:
        is_missing = np.isnat(data.values)
        low, high = np.fmin.reduce(data.values), np.fmax.reduce(data.values)
        n_different = 0 if np.isnat(low) else 1 + int(high > low)
    n_missing = int(np.count_nonzero(is_missing))
    if n_different == 0:
        return ColumnEncoding("empty", f"no value is present ({reason})", n_missing=n_rows)
    if n_different == 1 and n_missing == 0:
        return ColumnEncoding("constant", f"one value in all rows ({reason})")
    if isinstance(data, Levels):
        return CategoryEncoding(data, reason, max_one_hot, max_levels, min_count, weights)
    if isinstance(data, Dates):
        return DateEncoding(data, weights)
    if n_different == 2:
        return TwoValueEncoding(data.values, reason)
    return NumberEncoding(data.values, reason, weights)
