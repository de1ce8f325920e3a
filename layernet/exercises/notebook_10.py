"""Checks of the exercises in notebook 10: a calibration curve, a permutation importance, and an interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layernet.exercises.grading import Grader, NotAnsweredError
from layernet.exercises.registry import exercise


@exercise("10.1", "a calibration curve")
def calibration(answer: Any, grader: Grader) -> None:
    """Check bins of equal size, the order of rows, and the caller's arrays."""
    random = np.random.default_rng(101)
    sorted_p = np.array([0.1, 0.2, 0.6, 0.8])
    grader.require_close(
        "four sorted rows in two bins",
        answer(sorted_p, np.array([0, 1, 1, 1]), 2),
        [[0.15, 0.5], [0.7, 1.0]],
    )
    order = np.array([2, 0, 3, 1])
    grader.require_close(
        "the same rows in another order",
        answer(sorted_p[order], np.array([0, 1, 1, 1])[order], 2),
        [[0.15, 0.5], [0.7, 1.0]],
    )
    p, hits = random.beta(0.5, 0.5, 500), random.integers(0, 2, 500)
    kept = p.copy(), hits.copy()
    grader.require_close("500 rows in ten bins", answer(p, hits, 10), curve(p, hits, 10))
    is_same = np.array_equal(p, kept[0]) and np.array_equal(hits, kept[1])
    grader.require("the arrays of the caller stay as they are", is_same, "they were changed")
    grader.require_close("23 rows in five bins", answer(p[:23], hits[:23], 5), curve(p[:23], hits[:23], 5))
    ties = np.array([0.5, 0.5, 0.2, 0.5, 0.5, 0.2])
    outcomes = np.array([1, 0, 0, 0, 0, 1])
    grader.require_close(
        "equal probabilities, in their order", answer(ties, outcomes, 3), curve(ties, outcomes, 3)
    )
    grader.require_close("hits as booleans", answer(p[:40], hits[:40] > 0, 4), curve(p[:40], hits[:40], 4))


def curve(probabilities: np.ndarray, hits: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the mean probability and the share of hits of each bin."""
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, n_bins)
    return np.array([[probabilities[rows].mean(), hits[rows].mean()] for rows in bins])


@exercise("10.2", "the importance of a column")
def importance(answer: Any, grader: Grader) -> None:
    """Check columns of numbers and strings, frames with any index, and the caller's frame."""
    import pandas as pd

    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0], "kind": ["a", "b", "b", "a"], "noise": [3, 1, 4, 1]})
    targets = np.array([1.0, 12.0, 14.0, 7.0])

    def predict(rows: Any) -> np.ndarray:
        return np.asarray(rows["x"] + 10.0 * (rows["kind"] == "b"))

    order = np.array([3, 0, 1, 2])
    # x becomes 7, 1, 2, 4: the errors are 6, -1, -2, -3.
    grader.require_close("a column of numbers", answer(predict, frame, targets, "x", order), 12.5)
    # The kinds become a, a, b, b: the errors are 0, -10, 0, 10.
    grader.require_close("a column of strings", answer(predict, frame, targets, "kind", order), 50.0)
    grader.require_close(
        "a column that the model does not use", answer(predict, frame, targets, "noise", order), 0.0
    )
    off = np.array([2.0, 10.0, 15.0, 6.0])
    expected = rise(predict, frame, off, "x", order)
    grader.require_close(
        "a model with errors of its own: the rise of the loss",
        answer(predict, frame, off, "x", order),
        expected,
    )
    renamed = frame.set_axis([30, 10, 20, 40])
    grader.require_close(
        "a frame whose index is 30, 10, 20, 40", answer(predict, renamed, targets, "x", order), 12.5
    )
    repeated = frame.set_axis(["p", "q", "q", "p"])
    grader.require_close("a repeated index", answer(predict, repeated, targets, "kind", order), 50.0)
    series = pd.Series(targets, index=[7, 5, 6, 4])
    grader.require_close("targets with an index of their own", answer(predict, frame, series, "x", order), 12.5)
    is_same = frame.equals(
        pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0], "kind": ["a", "b", "b", "a"], "noise": [3, 1, 4, 1]})
    )
    grader.require("the frame of the caller stays as it is", is_same, "it was changed")
    random = np.random.default_rng(102)
    large = pd.DataFrame(random.standard_normal((60, 3)), columns=["x", "y", "z"])
    weights = random.standard_normal(3)
    goals = large.to_numpy() @ weights + random.standard_normal(60)
    for column in large:
        order = random.permutation(60)
        expected = rise(lambda rows: rows.to_numpy() @ weights, large, goals, column, order)
        found = answer(lambda rows: rows.to_numpy() @ weights, large, goals, column, order)
        grader.require_close(f"60 rows, the column {column}", found, expected)


def rise(predict: Any, frame: Any, targets: np.ndarray, column: str, order: np.ndarray) -> float:
    """Return the rise of the mean squared error if the values of a column are permuted."""
    changed = frame.copy()
    changed[column] = frame[column].to_numpy()[order]
    losses = [float(np.mean((np.asarray(predict(rows)) - targets) ** 2)) for rows in (changed, frame)]
    return losses[0] - losses[1]


@exercise("10.3", "half the width of an interval")
def half_width(answer: Any, grader: Grader) -> None:
    """Check ranks, signs, and too few rows; then count how often new rows lie inside."""
    if answer(np.array([1.0, -2.0, 3.0]), 0.5) in (None, ...):
        raise NotAnsweredError
    errors = np.array([0.3, -0.9, 0.1, -0.2, 0.6, 0.5, -0.7])
    grader.require_close("seven errors, half of the rows: the 4th", answer(errors, 0.5), 0.5)
    grader.require_close("seven errors, 80 %: the 7th", answer(errors, 0.8), 0.9)
    grader.require_close("seven errors, 30 %: the 3rd", answer(errors, 0.3), 0.3)
    grader.require_close("errors that are all negative", answer(-np.abs(errors), 0.5), 0.5)
    grader.require("the errors of the caller keep their order", errors[0] == 0.3, "they were sorted in place")
    for n_rows, coverage in ((7, 0.9), (3, 0.8), (1, 0.6)):
        found = answer(errors[:n_rows], coverage)
        how = f"yours is {found}, infinity is right: the rank is {math.ceil((n_rows + 1) * coverage)}"
        grader.require(f"{n_rows} errors are too few for {coverage:.0%}", found == math.inf, how)
    random = np.random.default_rng(103)
    for n_rows, coverage in ((50, 0.9), (121, 0.33), (400, 0.975)):
        drawn = random.standard_t(4, n_rows)
        expected = np.sort(np.abs(drawn))[math.ceil((n_rows + 1) * coverage) - 1]
        grader.require_close(f"{n_rows} errors, {coverage:.3g}", answer(drawn, coverage), expected)
    rows = random.standard_normal((4000, 12))
    inside = np.mean([abs(row[-1]) <= answer(row[:-1], 0.7) for row in rows])
    how = f"{inside:.1%} are; the 9th of 11 holds 75 %"
    grader.require("at least 70 % of 4,000 new rows are inside", 0.73 < inside < 0.77, how)
