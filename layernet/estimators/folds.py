"""Folds of a table: which rows each network is trained on, and which are held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    check_cv,
)

from layernet.estimators.samples import MISSING_CLASSES


class Fold(NamedTuple):
    """Row numbers of one fold.

    Attributes
    ----------
    training_rows, held_out_rows : ndarray of int
    """

    training_rows: np.ndarray
    held_out_rows: np.ndarray


def given_folds(cv: Any, X: Any, y: np.ndarray, groups: Any, who: str) -> list[Fold]:
    """Return the folds of a splitter or an iterable.

    Parameters
    ----------
    cv : splitter of scikit-learn, or iterable of (training rows, held-out rows)
        Rows are numbers or masks.
    X, y, groups : object with rows
        Given to the splitter.
    who : str
        The estimator's class, for errors.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If there are no folds, or one of them has rows that do not exist, or holds out rows that it trains on.
    """
    n_rows = len(y)
    folds = []
    for index, parts in enumerate(check_cv(cv).split(X, y, groups)):
        fold = Fold(*(as_row_numbers(rows, n_rows, f"{who}: fold {index} of cv") for rows in parts))
        for rows, kind in zip(fold, ("training", "held-out"), strict=True):
            if not len(rows):
                raise ValueError(f"{who}: fold {index} of cv has no {kind} rows. Give other folds.")
            if not (rows.min() >= 0 and rows.max() < n_rows):
                raise ValueError(
                    f"{who}: the rows of fold {index} of cv={cv!r} must be numbers from 0 to {n_rows - 1}, got "
                    f"{rows.min()} to {rows.max()}."
                )
        common = np.intersect1d(*fold)
        if len(common):
            raise ValueError(
                f"{who}: fold {index} of cv={cv!r} holds out {len(common)} rows that it also trains on, such "
                f"as row {common[0]}. Give other folds: rows that a network was trained on cannot judge it."
            )
        folds.append(fold)
    if not folds:
        raise ValueError(f"{who}: cv={cv!r} gave no folds.")
    return folds


def as_row_numbers(rows: Any, n_rows: int, who: str) -> np.ndarray:
    """Return the rows of a part of a fold, given as numbers or as a mask, as numbers."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_rows,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
        raise ValueError(
            f"{who} must have row numbers, or a mask with {n_rows} entries, got an array of {rows.dtype} of "
            f"shape {rows.shape}."
        )
    return rows.astype(np.intp)


def checked_groups(groups: Any, n_rows: int, who: str) -> np.ndarray | None:
    """Return the number of the group of each row; None if there are no groups.

    Parameters
    ----------
    groups : array-like of shape (n_rows,) or None
        Labels of any type, none missing.
    n_rows : int
    who : str
        The estimator's class, for errors.
    """
    if groups is None:
        return None
    labels = np.asarray(groups, dtype=object)  # of a list of text and NaN, NumPy would make the text "nan"
    if labels.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"{who}: groups must have a label for each of the {n_rows} rows, got the shape {labels.shape}."
        )
    entries = labels.ravel().tolist()
    is_missing = [type(each).__name__ in MISSING_CLASSES or each != each for each in entries]
    if any(is_missing):
        raise ValueError(
            f"{who}: groups must have no missing labels, as in row {is_missing.index(True)}. Give rows without "
            "a group a label of their own."
        )
    in_order = sorted(set(entries), key=lambda each: (type(each).__name__, each))
    number_of = {label: number for number, label in enumerate(in_order)}
    return np.array([number_of[each] for each in entries])


def keys_of_folds(folds: list[Fold], n_rows: int) -> np.ndarray:
    """Return a number for each row, which is the same for rows of the same parts of all folds.

    Each part has a random number of 64 bits, and a row has the exclusive or of its parts' numbers.
    """
    random = np.random.default_rng(0)
    keys = np.zeros(n_rows, np.uint64)
    for fold in folds:
        for rows in fold:
            keys[rows] ^= random.integers(2**64, dtype=np.uint64)
    return keys


def folds_of_distinct_rows(folds: list[Fold], positions: np.ndarray, cv: Any, who: str) -> list[Fold]:
    """Return the folds of merged rows, those with the most training rows first.

    Parameters
    ----------
    folds : list of Fold
    positions : ndarray of int, of shape (n_rows,)
        Position of each row among the merged ones; -1 for a row of weight 0, which is left out.
    cv : object
    who : str
        The estimator's class. Both are for the error that a fold has no rows.
    """
    merged = []
    for index, fold in enumerate(folds):
        parts = [np.unique(positions[rows]) for rows in fold]
        parts = [rows[rows >= 0] for rows in parts]
        for name, rows in zip(("train on", "hold out"), parts, strict=True):
            if len(rows) == 0:
                raise ValueError(
                    f"{who}: fold {index} of cv={cv!r} has no rows (of a weight above 0) to {name}."
                )
        merged.append(Fold(*parts))
    return sorted(merged, key=lambda fold: -len(fold.training_rows))


def random_folds(
    cv: int | None, n_folds: int, y: np.ndarray, groups: Any, is_stratified: bool, seed: int, who: str
) -> list[Fold]:
    """Split rows at random: stratified by class, and without splitting a group.

    Parameters
    ----------
    cv : int or None
        The number of folds, if the user has chosen it.
    n_folds : int
        The number of folds otherwise; fewer if there are fewer rows or groups.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Labels, or targets.
    groups : array-like of shape (n_rows,) or None
    is_stratified : bool
        Whether `y` has one class for each row.
    seed : int
    who : str
        The estimator's class, for errors.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If there are fewer rows or groups than folds.
    """
    if len(y) < 2:
        raise ValueError(
            f"{who} needs at least 2 different rows, some to train on and others to hold out, got n_samples = "
            f"{len(y)}."
        )
    n_units = len(y) if groups is None else len(np.unique(groups))
    if n_units < 2:
        raise ValueError(f"{who} needs at least 2 groups, some to train on and others to hold out, got 1.")
    if cv is not None and not 2 <= cv <= n_units:
        what = "different rows" if groups is None else "groups"
        raise ValueError(f"{who}: cv must be from 2 to the number of {what}, {n_units}, got {cv}.")
    n_folds = min(n_folds, n_units) if cv is None else int(cv)
    splitter: BaseCrossValidator
    if groups is not None:
        kind = GroupsKFold if is_stratified else GroupKFold
        splitter = kind(n_folds, shuffle=True, random_state=seed)
    elif is_stratified:
        splitter = RareClassKFold(n_folds, seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    folds = [Fold(training, held_out) for training, held_out in splitter.split(y, y, groups)]
    # Groups of very different sizes may leave no row for a fold.
    return [fold for fold in folds if len(fold.training_rows) and len(fold.held_out_rows)]


class GroupsKFold(StratifiedGroupKFold):
    """`StratifiedGroupKFold` that counts classes with fewer rows than folds as part of the largest class."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training rows and the held-out rows of each fold."""
        numbers, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
        is_rare = counts < self.n_splits
        return super().split(X, np.where(is_rare[numbers], counts.argmax(), numbers), groups)


class RareClassKFold(BaseCrossValidator):
    """Random folds with equal shares of each class, also of classes with fewer rows than folds.

    The rows of each class are dealt out to the folds in turn, and each class goes on where the one before has
    ended. `StratifiedKFold` warns of rare classes.

    Parameters
    ----------
    n_folds : int
    seed : int
    """

    def __init__(self, n_folds: int, seed: int) -> None:
        self.n_folds = n_folds
        self.seed = seed

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_folds

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Any:
        random = np.random.default_rng(self.seed)
        shuffled = random.permutation(len(y))
        classes = np.unique(y, return_inverse=True)[1]
        by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
        fold_of_row = np.empty(len(y), np.intp)
        fold_of_row[by_class] = np.arange(len(y)) % self.n_folds
        for fold in range(self.n_folds):
            yield np.flatnonzero(fold_of_row == fold)
