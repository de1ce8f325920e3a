"""Checks of the exercises in notebook 8: a schedule, early stopping, and the penalty of dropout."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from layernet.exercises.grading import Grader, NotAnsweredError, as_numbers
from layernet.exercises.registry import exercise


@exercise("8.1", "a learning rate with warm-up, plateau and cool-down")
def plateau(answer: Any, grader: Grader) -> None:
    """Each of the parts and their borders, without a warm-up and without a plateau, and beyond the end."""

    def rates(steps: Iterable[int], **settings: Any) -> list[Any]:
        values = [answer(step, *settings.values()) for step in steps]
        if all(value is None or value is ... for value in values):
            raise NotAnsweredError
        return values

    long = {"highest": 0.2, "duration": 100, "warm_up": 10, "cool_down": 40}
    grader.require_close("in the warm-up", rates((0, 1, 4), **long), [0.02, 0.04, 0.1])
    grader.require_close("where the warm-up ends", rates((9, 10, 11), **long), [0.2, 0.2, 0.2])
    grader.require_close("on the plateau", rates((30, 59, 60), **long), [0.2, 0.2, 0.2])
    falling = [0.1 * (1 + math.cos(math.pi * part)) for part in (0.025, 0.25, 0.5, 0.975)]
    grader.require_close("in the cool-down", rates((61, 70, 80, 99), **long), falling)
    _close_to_zero(grader, "at the end and after it", rates((100, 101, 140, 1000), **long))
    short = {"highest": 3.0, "duration": 8, "warm_up": 4, "cool_down": 4}
    expected = [0.75, 1.5, 2.25, 3.0, *(1.5 * (1 + math.cos(math.pi * i / 4)) for i in range(4))]
    grader.require_close("without a plateau", rates(range(8), **short), expected)
    cold = {"highest": 1.0, "duration": 20, "warm_up": 0, "cool_down": 10}
    grader.require_close("without a warm-up", rates((0, 1, 9, 15), **cold), [1.0, 1.0, 1.0, 0.5])
    random = np.random.default_rng(72)
    for number in (1, 2, 3):
        warm_up, flat, cool_down = (int(length) for length in random.integers(1, 12, 3))
        duration, highest = warm_up + flat + cool_down, random.uniform(0.01, 2)
        drawn = {"highest": highest, "duration": duration, "warm_up": warm_up, "cool_down": cool_down}
        expected = [highest * (step + 1) / warm_up for step in range(warm_up)] + [highest] * flat
        expected += [highest * (1 + math.cos(math.pi * i / cool_down)) / 2 for i in range(cool_down)]
        name = f"every step of drawing {number}: {warm_up} up, {flat} flat, {cool_down} down"
        if not grader.require_close(name, rates(range(duration), **drawn), expected):
            return
        _close_to_zero(grader, "and 0 afterwards", rates(range(duration, duration + 30), **drawn))


def _close_to_zero(grader: Grader, name: str, values: list[Any]) -> None:
    numbers, problem = as_numbers(values)
    if problem or numbers.ndim != 1:
        grader.require(name, False, problem or "yours is an array, a number is expected")
        return
    worst = max(numbers, key=lambda value: math.inf if math.isnan(value) else abs(value))
    grader.require(name, abs(worst) < 1e-12, f"yours is {worst:.6g}, 0 is right")


@exercise("8.2", "the epochs of early stopping")
def early_stopping(answer: Any, grader: Grader) -> None:
    """Check the epochs of early stopping."""
    nan = math.nan
    cases: dict[str, tuple[list[float], int]] = {
        "a loss that falls, then rises": ([5.0, 4.0, 3.0, 3.5, 3.6, 3.7, 3.8], 2),
        "a loss that improves again in time": ([5.0, 4.0, 4.5, 3.0, 3.5, 2.5, 2.6, 2.7], 2),
        "an improvement after the training has stopped": ([5.0, 4.0, 4.5, 4.6, 1.0], 2),
        "a loss that only falls: no early stop": ([4.0, 3.0, 2.0, 1.0], 2),
        "a loss that only rises": ([1.0, 2.0, 3.0, 4.0], 3),
        "an equal loss, which is no improvement": ([3.0, 2.0, 2.0, 2.0, 1.0], 2),
        "patience 1": ([3.0, 2.0, 2.5, 1.0], 1),
        "a loss that is not a number, which is no improvement": ([3.0, 2.0, nan, nan, 1.0], 2),
        "the patience running out in the last epoch": ([3.0, 2.0, 2.5, 2.6], 2),
        "a single epoch": ([3.0], 5),
    }
    random = np.random.default_rng(82)
    for number in range(1, 5):
        walk = 10 + np.cumsum(random.normal(-0.1, 1, 60))
        cases[f"60 losses drawn at random, set {number}"] = (walk.tolist(), int(random.integers(2, 9)))
    for name, (losses, patience) in cases.items():
        given = list(losses)
        found = answer(given, patience)
        if not grader.require_close(name, found, _epochs_of_stopping(losses, patience), tolerance=0):
            return
        if not grader.require("the list stays as it is", repr(given) == repr(losses), "it was changed"):
            return


def _epochs_of_stopping(losses: list[float], patience: int) -> tuple[int, int]:
    """Return the best and the last epoch, counted from 1."""
    best, best_epoch = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best:
            best, best_epoch = loss, epoch
        elif epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(losses)


@exercise("8.3", "the expected loss of a linear model under dropout")
def dropout_penalty(answer: Any, grader: Grader) -> None:
    """Check the expected loss of a linear model under dropout."""
    random = np.random.default_rng(83)
    # Each of two inputs is kept with probability 1/2 and then doubled: outputs 0, 2, 4, 6 for the target 1.
    by_hand = answer(np.array([[1.0, 2.0]]), np.array([1.0]), np.array([1.0, 1.0]), 0.5)
    grader.require_close("two inputs, where the four masks can be listed", by_hand, (1 + 1 + 9 + 25) / 4 / 2)
    for name, shape, rate in (
        ("without dropout", (6, 3), 0.0),
        ("three inputs, rate 0.2", (5, 3), 0.2),
        ("as many rows as inputs, rate 0.7", (6, 6), 0.7),
        ("a single row, rate 0.5", (1, 8), 0.5),
    ):
        inputs, weights = random.normal(1, 1, size=shape), random.normal(size=shape[1])
        targets = random.normal(size=shape[0])
        given = inputs.copy(), targets.copy(), weights.copy()
        found = answer(*given, rate)
        if not grader.require_close(name, found, _mean_over_masks(inputs, targets, weights, rate), 1e-9):
            return
        is_unchanged = all(np.array_equal(a, b) for a, b in zip(given, (inputs, targets, weights), strict=True))
        if not grader.require("the arguments stay as they are", is_unchanged, "one of the arrays was changed"):
            return
    wide = random.normal(size=(20, 200)), random.normal(size=20), random.normal(size=200)
    found = answer(*(array.copy() for array in wide), 0.5)
    inputs, targets, weights = wide
    expected = np.mean((inputs @ weights - targets) ** 2 + inputs**2 @ weights**2) / 2
    grader.require_close("200 inputs, whose masks are too many to list", found, expected, 1e-9)


def _mean_over_masks(inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, rate: float) -> float:
    """Return the expected loss as a sum over all masks of a row."""
    n_inputs = inputs.shape[1]
    masks = (np.arange(2**n_inputs)[:, None] >> np.arange(n_inputs)) & 1
    probabilities = np.prod(np.where(masks == 1, 1 - rate, rate), axis=1)
    losses = [
        np.mean((inputs * mask / (1 - rate) @ weights - targets) ** 2) / 2 if probability else 0.0
        for mask, probability in zip(masks, probabilities, strict=True)
    ]
    return float(probabilities @ losses)
