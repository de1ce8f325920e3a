"""Folds of a table: which rows each network is trained on, and which are held out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    check_cv,
)


class Fold(NamedTuple):
    """Row numbers of one fold.

    Attributes
    ----------
    training_rows, held_out_rows : ndarray of int
    """

    training_rows: np.ndarray
    held_out_rows: np.ndarray


def make_folds(
    cv: Any,
    n_folds: int,
    X: Any,
    y: np.ndarray,
    groups: Any,
    is_classification: bool,
    seed: int,
    who: str,
) -> list[Fold]:
    """Split rows into folds.

    Parameters
    ----------
    cv : int, splitter of scikit-learn, iterable of (training rows, held-out rows), or None
        None splits at random: stratified by class, and without splitting a group.
    n_folds : int
        The number of folds if `cv` is None.
    X : object with rows
        Given to the splitter.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers, or targets.
    groups : array-like of shape (n_rows,) or None
    is_classification : bool
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
        If there are too few rows, or a fold has no rows to train on or to hold out.
    """
    n_rows = len(y)
    if n_rows < 2:
        raise ValueError(
            f"{who} needs at least 2 different rows, some to train on and others to hold out, got n_samples = "
            f"{n_rows}."
        )
    if cv is None or isinstance(cv, (int, np.integer)):
        splitter = default_splitter(cv or n_folds, y, groups, is_classification, seed)
    else:
        splitter = check_cv(cv, y, classifier=is_classification)
    folds = [
        Fold(np.asarray(training, dtype=np.intp), np.asarray(held_out, dtype=np.intp))
        for training, held_out in splitter.split(X, y, groups)
    ]
    for index, fold in enumerate(folds):
        for name, rows in zip(("train on", "hold out"), fold, strict=True):
            if len(rows) == 0:
                raise ValueError(f"{who}: fold {index} of cv={cv!r} has no rows to {name}.")
    if not folds:
        raise ValueError(f"{who}: cv={cv!r} gave no folds.")
    return folds


def default_splitter(
    n_folds: int, y: np.ndarray, groups: Any, is_classification: bool, seed: int
) -> BaseCrossValidator:
    """Return the splitter for random folds: stratified where every class has a row for each fold."""
    if groups is not None:
        n_folds = max(2, min(n_folds, len(np.unique(groups))))
        kind = StratifiedGroupKFold if is_classification else GroupKFold
        return kind(n_folds, shuffle=True, random_state=seed)
    n_folds = min(n_folds, len(y))
    if not is_classification:
        return KFold(n_folds, shuffle=True, random_state=seed)
    return RareClassKFold(n_folds, seed)


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
        by_class = shuffled[np.argsort(np.asarray(y)[shuffled], kind="stable")]
        fold_of_row = np.empty(len(y), np.intp)
        fold_of_row[by_class] = np.arange(len(y)) % self.n_folds
        for fold in range(self.n_folds):
            yield np.flatnonzero(fold_of_row == fold)
