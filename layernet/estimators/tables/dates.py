"""Dates of a table, and their parts as numbers: year, month, weekday, hour, and days since a reference date."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layernet.estimators.tables.categories import Levels

# Strings with fewer different dates stay categories: what two dates tell, two levels tell.
FEWEST_DATES = 3
ISO_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(?:(?<=\.\d{6})\d+)?\s?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
FIXED_ZONE = re.compile(r"UTC(?:([+-])(\d{2}):(\d{2}))?")
PARTS = ("year", "month", "weekday", "hour", "days")


@dataclass(frozen=True)
class Dates:
    """A column of dates or times.

    Attributes
    ----------
    values : ndarray of datetime64[us]
        Clock times; NaT where one is missing.
    reason : str
        Type of the column, in words.
    zone : str or None
        Time zone whose clock shows them.
    """

    values: np.ndarray
    reason: str
    zone: str | None = None

    def select(self, rows: np.ndarray) -> Dates:
        """Return the column of some rows."""
        return replace(self, values=self.values[rows])


def parse_dates(texts: Iterable[str]) -> np.ndarray | None:
    """Return ISO dates as dates; None if a text is no ISO date.

    A difference to UTC at the end of a text is left out: the dates are what the clock showed.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    ndarray of datetime64[us] or None
    """
    written = []
    for text in texts:
        match = ISO_DATE.fullmatch(text.strip())
        if match is None:
            return None
        written.append("T".join(part for part in match.groups() if part))
    try:
        return np.array(written, dtype="datetime64[us]")
    except ValueError:  # a month 13
        return None


def dates_of_text(levels: Levels) -> Dates | None:
    """Return a column of text as dates if it has enough different ones, and nothing else; else None."""
    if not levels.is_text:
        return None
    counts = np.bincount(levels.codes + 1, minlength=len(levels.texts) + 1)[1:]
    present = np.flatnonzero(counts)  # rows without weight do not count
    dates = parse_dates(levels.texts[number] for number in present)
    if dates is None or len(dates) < FEWEST_DATES:
        return None
    values = np.full(len(levels.texts) + 1, np.datetime64("NaT", "us"))
    values[present] = dates
    return Dates(values[levels.codes], "strings that are ISO dates")


def objects_as_dates(entries: list[Any], zone: str | None) -> Dates:
    """Return dates and times of Python, NumPy and pandas, and None, as dates.

    Times with a zone are converted to the clock of one zone: that of `fit`, or their own if all have the same,
    else UTC.

    Parameters
    ----------
    entries : list
    zone : str or None
        Zone of `fit`.

    Returns
    -------
    Dates
    """
    zones = {name_of_zone(entry.tzinfo): entry.tzinfo for entry in entries if has_zone(entry)}
    if not zones:
        return Dates(np.array(entries, dtype="datetime64[us]"), "dates as objects")
    name, own = zones.popitem() if len(zones) == 1 else ("UTC", datetime.UTC)
    wanted = zone_by_name(zone) or own
    values = [entry.astimezone(wanted).replace(tzinfo=None) if has_zone(entry) else entry for entry in entries]
    return Dates(np.array(values, dtype="datetime64[us]"), "dates as objects", name)


def has_zone(entry: Any) -> bool:
    """Return whether a date or time has a time zone."""
    return getattr(entry, "tzinfo", None) is not None


def zone_by_name(name: str | None) -> datetime.tzinfo | None:
    """Return the time zone of a name, such as Europe/Rome or UTC+02:00; None if there is none."""
    if name is None:
        return None
    match = FIXED_ZONE.fullmatch(name)
    if match is not None:
        sign, hours, minutes = match.groups()
        difference = datetime.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return datetime.timezone(-difference if sign == "-" else difference)
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


def name_of_zone(zone: datetime.tzinfo) -> str:
    """Return a name that `zone_by_name` finds, or the zone as text if it has none.

    Zones of other packages with a fixed difference from UTC get the name of this difference.
    """
    if zone_by_name(str(zone)) is not None:
        return str(zone)
    winter, summer = (zone.utcoffset(datetime.datetime(2001, month, 1)) for month in (1, 7))
    if winter is None or winter != summer:
        return str(zone)
    return str(datetime.timezone(winter))


def clock_times(time: datetime.time) -> float:
    """Return the seconds since midnight."""
    return time.hour * 3600 + time.minute * 60 + time.second + time.microsecond / 1e6


def parts_of_dates(dates: np.ndarray, earliest: np.datetime64) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the numbers of each part of dates.

    Parameters
    ----------
    dates : ndarray of datetime64[us]
    earliest : datetime64[us]
        Reference of the days.

    Yields
    ------
    (str, ndarray of float64)
        Year, month 1 to 12, weekday from Monday = 0, hour, and days since the reference with their fraction;
        NaN for NaT.
    """
    is_missing = np.isnat(dates)
    days = dates.astype("datetime64[D]")
    for part in PARTS:
        numbers: np.ndarray
        if part == "year":
            numbers = days.astype("datetime64[Y]").astype(np.int64) + 1970
        elif part == "month":
            numbers = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
        elif part == "weekday":
            numbers = (days.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
        elif part == "hour":
            numbers = (dates - days).astype(np.int64) // 3_600_000_000
        else:
            numbers = (dates - earliest) / np.timedelta64(1, "D")
        values = numbers.astype(np.float64)
        values[is_missing] = np.nan
        yield part, values
