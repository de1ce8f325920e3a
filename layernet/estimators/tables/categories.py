"""Levels of a category: their texts, and the numbers that stand for them."""

from __future__ import annotations

import datetime
import decimal
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

BOOLEAN_TEXTS = ("False", "True")


@dataclass(frozen=True)
class Levels:
    """A column of levels.

    Attributes
    ----------
    codes : ndarray of int
        Position in `texts`; -1 where a level is missing.
    texts : tuple of str
        Different texts; some may not occur.
    reason : str
        Type of the column, in words.
    is_text : bool
        Whether the column has no type for categories or booleans; text may be dates.
    """

    codes: np.ndarray
    texts: tuple[str, ...]
    reason: str
    is_text: bool = False

    def select(self, rows: np.ndarray) -> Levels:
        """Return the column of some rows."""
        return replace(self, codes=self.codes[rows])


def text_of(value: Any) -> str:
    """Return the text of a level; equal numbers of different types have equal texts."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (float, np.floating, decimal.Decimal)):
        number = float(value)
        return str(int(number)) if abs(number) < 2**63 and number.is_integer() else repr(number)
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(" ").removesuffix(" 00:00:00")
    return str(value)


def levels_of_values(codes: np.ndarray, values: Iterable[Any], reason: str, is_text: bool = False) -> Levels:
    """Return levels of codes and the values that they stand for; values of equal texts become one level."""
    texts = [text_of(value) for value in values]
    numbers: dict[str, int] = {}
    merged = np.array([*(numbers.setdefault(text, len(numbers)) for text in texts), -1], dtype=np.intp)
    if len(numbers) == len(texts):
        return Levels(np.asarray(codes, dtype=np.intp), tuple(texts), reason, is_text)
    return Levels(merged[codes], tuple(numbers), reason, is_text)


def levels_of_objects(entries: Sequence[Any], reason: str) -> Levels:
    """Return levels of a list of objects; None and NaN are missing."""
    if not set(map(type, entries)) <= {str, type(None)}:
        # Python takes 1, 1.0 and True for equal, their texts differ.
        entries = [None if _is_missing(entry) else text_of(entry) for entry in entries]
    texts = tuple(text for text in dict.fromkeys(entries) if text is not None)
    numbers = {text: number for number, text in enumerate(texts)}
    numbers[None] = -1
    codes = np.fromiter(map(numbers.__getitem__, entries), dtype=np.intp, count=len(entries))
    return Levels(codes, texts, reason, is_text=True)


def _is_missing(entry: Any) -> bool:
    return type(entry).__name__ in ("NoneType", "NAType", "NaTType") or bool(entry != entry)


class LevelNumbers:
    """Numbers 0, 1, ... of the levels of a category.

    Up to `max_one_hot` levels, each has a number. Otherwise levels of fewer than `min_count` rows share the
    level "rare". More than `max_levels` other levels are hashed to `max_levels` numbers. If rows of `fit` have
    no level, "missing" is a level.

    Parameters
    ----------
    levels : Levels
        Column in `fit`.
    max_one_hot, max_levels, min_count : int
    weights : ndarray of shape (n_rows,), default=None
        The rows of a level count as the sum of their weights, but not as fewer rows than they are.

    Attributes
    ----------
    names : list of str
        Name of each number after the name of the column: "=Paris", "_missing", "_rare".
    n_levels : int
        Different levels in `fit`, without the missing one.
    n_rare : int
        Levels that share the level "rare".
    is_hashed : bool
    """

    def __init__(
        self,
        levels: Levels,
        max_one_hot: int,
        max_levels: int,
        min_count: int,
        weights: np.ndarray | None = None,
    ) -> None:
        # -1, the last, counts the missing ones.
        counts = np.bincount(levels.codes + 1, minlength=len(levels.texts) + 1)
        counts, n_missing = counts[1:], int(counts[0])
        is_present = counts > 0
        self.n_levels = int(np.count_nonzero(is_present))
        has_missing = n_missing > 0
        is_kept = is_present
        if self.n_levels + has_missing > max_one_hot:
            if weights is not None:
                # Weights that sum to 1 must not make every level rare.
                total = np.bincount(levels.codes + 1, weights, minlength=len(levels.texts) + 1)[1:]
                counts = np.maximum(counts, total)
            is_kept = is_present & (counts >= min_count)
        self.n_rare = self.n_levels - int(np.count_nonzero(is_kept))
        kept = sorted(text for text, keep in zip(levels.texts, is_kept.tolist(), strict=True) if keep)
        self.is_hashed = len(kept) > max_levels
        if self.is_hashed:
            self.kept_hashes = np.unique(hashes_of(kept))
            self.n_buckets = max_levels
            self.names = [f"_bucket{number}" for number in range(max_levels)]
            self.numbers: dict[str, int] = {}
        else:
            self.numbers = {text: number for number, text in enumerate(kept)}
            self.names = [f"={text}" for text in kept]
        self.missing_number = self.rare_number = -1
        if has_missing:
            self.missing_number = len(self.names)
            self.names.append("_missing")
        if self.n_rare:
            self.rare_number = len(self.names)
            self.names.append("_rare")
        if tuple(kept) == BOOLEAN_TEXTS:  # a data frame with missing booleans may hold them as 0 and 1
            self.numbers = {**self.numbers, "0": 0, "1": 1}

    def __len__(self) -> int:
        return len(self.names)

    def numbers_of(self, levels: Levels) -> np.ndarray:
        """Return the number of each row's level; -1 for an unknown level if there is no level "rare".

        Parameters
        ----------
        levels : Levels

        Returns
        -------
        ndarray of int
        """
        if self.is_hashed:
            hashes = hashes_of(levels.texts)
            places = np.searchsorted(self.kept_hashes, hashes).clip(max=len(self.kept_hashes) - 1)
            is_kept = self.kept_hashes[places] == hashes
            known = np.where(is_kept, hashes % self.n_buckets, self.rare_number)
        else:
            known = np.array([self.numbers.get(text, self.rare_number) for text in levels.texts], dtype=np.intp)
        return np.append(known, self.missing_number)[levels.codes]


def hashes_of(texts: Sequence[str]) -> np.ndarray:
    """Return the CRC-32 of each text, which is the same in every process."""
    checksums = (zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts)
    return np.fromiter(checksums, dtype=np.int64, count=len(texts))
