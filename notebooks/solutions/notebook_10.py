"""Solutions to the exercises of notebook 10, tables."""

import math

import numpy as np


def exercise_1(probabilities, hits, n_bins):
    """A stable sort keeps the order of equal probabilities; the default of NumPy does not promise it.

    The sort gives row numbers, not probabilities, because the hits have to follow. `array_split` of the row
    numbers makes the bins. Bins of equal width, such as 0 to 0.1, would leave some bins almost empty.
    """
    bins = np.array_split(np.argsort(probabilities, kind="stable"), n_bins)
    return np.array([[probabilities[rows].mean(), hits[rows].mean()] for rows in bins])


def exercise_2(predict, frame, targets, column, order):
    """pandas aligns a Series by its index: `frame[column] = frame[column].iloc[order]` changes nothing.

    An array has no index. `assign` makes a new frame, and leaves the caller's as it is. The same holds for the
    targets: a difference of two Series pairs equal labels, not equal positions.
    """
    permuted = frame.assign(**{column: frame[column].to_numpy()[order]})
    targets = np.asarray(targets)
    loss, before = (np.mean((np.asarray(predict(rows)) - targets) ** 2) for rows in (permuted, frame))
    return loss - before


def exercise_3(errors, coverage):
    """The new row takes part in the ranking, hence n + 1: with n alone, the coverage would be a little too low.

    `np.quantile` interpolates between ranks, which gives no promise for a finite number of rows.
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    return np.sort(np.abs(errors))[rank - 1] if rank <= len(errors) else math.inf
