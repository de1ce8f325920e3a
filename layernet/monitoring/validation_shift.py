"""Comparison of validation rows with training rows: columns whose range is shifted or scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Ranges of fewer rows are not compared.
MIN_COMPARED_ROWS = 20
# Share of rows that lie outside the range of the other rows by more than its width. It is near 0 for rows of
# one distribution, whatever the distribution is: even of 20 rows a quarter does not lie there by chance.
MAX_SHARE_OUTSIDE = 0.25


@dataclass(frozen=True)
class RangeShift:
    """Columns with another range in the validation rows.

    Attributes
    ----------
    n_columns, n_shifted : int
        Number of compared columns, and of those with another range.
    index : int or None
        The column that differs most; None if the nonzero values of all columns were compared together.
    training_range, validation_range : tuple of two floats
        Lowest and highest value of that column in training rows and in validation rows.
    """

    n_columns: int
    n_shifted: int
    index: int | None
    training_range: tuple[float, float]
    validation_range: tuple[float, float]


@dataclass(frozen=True)
class ValidationSample:
    """Sample of the validation rows.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        As `loss.prepare` returned them.
    input_shift, target_shift : RangeShift or None
        None if they have the range of the training rows, or targets are classes.
    """

    inputs: np.ndarray
    targets: np.ndarray
    input_shift: RangeShift | None
    target_shift: RangeShift | None


def compare_validation_rows(
    inputs: np.ndarray,
    targets: np.ndarray | None,
    validation_inputs: np.ndarray,
    validation_targets: np.ndarray,
) -> ValidationSample:
    """Compare the ranges of validation rows and training rows.

    Parameters
    ----------
    inputs, validation_inputs : ndarray of shape (n_rows, ...)
    targets, validation_targets : ndarray of shape (n_rows, ...)
        As `loss.prepare` returned them; targets of the training rows may be unknown.

    Returns
    -------
    ValidationSample
    """
    target_shift = None
    if targets is not None and targets.dtype.kind == "f":
        target_shift = range_shift(targets, validation_targets)
    input_shift = range_shift(inputs, validation_inputs)
    return ValidationSample(validation_inputs, validation_targets, input_shift, target_shift)


def range_shift(training: np.ndarray, validation: np.ndarray) -> RangeShift | None:
    """Find columns whose validation values lie far outside the range of the training values, or vice versa.

    Parameters
    ----------
    training, validation : ndarray of shape (n_rows, ...)

    Returns
    -------
    RangeShift or None

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(200, 2))
    >>> print(range_shift(rows[:100], rows[100:]))
    None
    >>> range_shift(rows[:100], 16 * rows[100:]).n_shifted
    2
    """
    if min(len(training), len(validation)) < MIN_COMPARED_ROWS:
        return None
    first, second = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (training, validation))
    shares = np.maximum(share_outside(second, first), share_outside(first, second))
    n_shifted, worst = int((shares > MAX_SHARE_OUTSIDE).sum()), int(shares.argmax())
    if n_shifted:
        return RangeShift(shares.size, n_shifted, worst, _bounds(first[:, worst]), _bounds(second[:, worst]))
    # Columns of words or of rare events are 0 in most rows: compare the nonzero values of all columns together.
    first, second = (each[each != 0][:, None] for each in (first, second))
    if min(len(first), len(second)) < MIN_COMPARED_ROWS:
        return None
    if not max(share_outside(second, first)[0], share_outside(first, second)[0]) > MAX_SHARE_OUTSIDE:
        return None
    return RangeShift(shares.size, shares.size, None, _bounds(first), _bounds(second))


def _bounds(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def share_outside(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each column return the share of values outside the range of other values by more than its width.

    Parameters
    ----------
    values, others : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_columns,)
        0 if the other values are constant: their range has no width.
    """
    low, high = others.min(axis=0), others.max(axis=0)
    width = high - low
    return np.where(width > 0, ((values < low - width) | (values > high + width)).mean(axis=0), 0.0)
