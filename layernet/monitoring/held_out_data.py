"""Validation rows beside the rows that are trained on: a sample of them, and whether both have one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rows of either kind from which on their ranges are compared.
FEW_ROWS = 20
# The share of the rows of one kind that lie outside the range of the others by more than its width. It is 0 for
# rows of one kind, whatever they are distributed like: by chance a quarter of 20 rows is not there.
OUTSIDE = 0.25


@dataclass(frozen=True)
class Apart:
    """Columns that have another scale, or another place, in the validation rows.

    Attributes
    ----------
    n_columns, n_apart : int
        How many were compared, and how many are so.
    index : int or None
        The column that is furthest apart; None for all of them together, where most values are 0.
    trained, validated : tuple of two floats
        The lowest and the highest value of that column, in either kind of rows; of all, those that are not 0.
    """

    n_columns: int
    n_apart: int
    index: int | None
    trained: tuple[float, float]
    validated: tuple[float, float]


@dataclass(frozen=True)
class HeldOut:
    """A sample of the validation rows.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        As the loss takes them.
    inputs_apart, targets_apart : Apart or None
        None if they have the scale of the training rows; targets that are classes have none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    inputs_apart: Apart | None
    targets_apart: Apart | None


def compare(
    inputs: np.ndarray, targets: np.ndarray | None, held_inputs: np.ndarray, held_targets: np.ndarray
) -> HeldOut:
    """Put validation rows beside training rows.

    Parameters
    ----------
    inputs, held_inputs : ndarray of shape (n_rows, ...)
        Of both kinds of rows.
    targets, held_targets : ndarray of shape (n_rows, ...)
        As the loss takes them; those of the training rows may not be known.

    Returns
    -------
    HeldOut
    """
    targets_apart = None
    if targets is not None and targets.dtype.kind == "f":
        targets_apart = apart(targets, held_targets)
    return HeldOut(held_inputs, held_targets, apart(inputs, held_inputs), targets_apart)


def apart(trained: np.ndarray, validated: np.ndarray) -> Apart | None:
    """The columns whose values lie far outside the range of the others, in one direction or the other.

    Parameters
    ----------
    trained, validated : ndarray of shape (n_rows, ...)

    Returns
    -------
    Apart or None

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(200, 2))
    >>> print(apart(rows[:100], rows[100:]))
    None
    >>> apart(rows[:100], 16 * rows[100:]).n_apart
    2
    """
    if min(len(trained), len(validated)) < FEW_ROWS:
        return None
    first, second = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (trained, validated))
    shares = np.maximum(share_outside(second, first), share_outside(first, second))
    n_apart, worst = int((shares > OUTSIDE).sum()), int(shares.argmax())
    if n_apart:
        return Apart(shares.size, n_apart, worst, *(_ends(each[:, worst]) for each in (first, second)))
    # Columns of words or of rare events are 0 in most rows: their values are looked at together.
    first, second = (each[each != 0][:, None] for each in (first, second))
    if min(len(first), len(second)) < FEW_ROWS:
        return None
    if not max(share_outside(second, first)[0], share_outside(first, second)[0]) > OUTSIDE:
        return None
    return Apart(shares.size, shares.size, None, _ends(first), _ends(second))


def _ends(values):
    return float(values.min()), float(values.max())


def share_outside(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each column the share of values that lie outside the range of others by more than its width.

    Parameters
    ----------
    values, others : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_columns,)
        0 where the others are all the same, for these have no width.
    """
    low, high = others.min(axis=0), others.max(axis=0)
    width = high - low
    return np.where(width > 0, ((values < low - width) | (values > high + width)).mean(axis=0), 0.0)
