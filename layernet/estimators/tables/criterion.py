"""Criteria by which the epoch of a network is chosen, computed from its raw outputs on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.estimators.tables.temperature import LogLossOfTemperature
from layernet.losses import Loss

# A criterion: a number for the outputs of a network on the held-out rows; smaller is better.
Criterion = Callable[[np.ndarray], float]

# Temperatures that are tried at every epoch, in the order of their size.
TEMPERATURES = (0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
# On fewer held-out rows, the number of errors differs by chance more than it tells.
MIN_ROWS_OF_ERROR_RATE = 500


class RefinedLogLoss:
    """Log loss at the best temperature; times the error rate, if there are 500 rows or more.

    The temperature is fitted anew to all out-of-fold outputs after training, so an epoch is judged by what its
    outputs say once they are calibrated.

    Parameters
    ----------
    targets : ndarray of int
        Class numbers, of shape (n_samples,), or 0 and 1 for each of several labels.
    sample_weight : ndarray of shape (n_samples,) or None
    """

    def __init__(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        self.targets = targets
        self.sample_weight = sample_weight
        self._best_index = TEMPERATURES.index(1.0)  # of the epoch before

    def __call__(self, outputs: np.ndarray) -> float:
        loss = LogLossOfTemperature(outputs, self.targets, self.sample_weight)
        best, self._best_index = lowest(lambda index: loss(TEMPERATURES[index]), self._best_index)
        if len(outputs) < MIN_ROWS_OF_ERROR_RATE:
            return best
        return best * (self.error_rate(outputs) + 1 / len(outputs))

    def error_rate(self, outputs: np.ndarray) -> float:
        """Return the weighted share of wrong labels."""
        predicted = outputs > 0 if self.targets.ndim == 2 else outputs.argmax(axis=1)
        is_wrong = (predicted != self.targets).reshape(len(outputs), -1).mean(axis=1)
        return float(np.average(is_wrong, weights=self.sample_weight))


def lowest(value: Callable[[int], float], start: int) -> tuple[float, int]:
    """Return the lowest value of a function of the index of a temperature, which has a single minimum.

    Parameters
    ----------
    value : callable
    start : int
        Index at which the search starts.

    Returns
    -------
    value : float
    index : int
    """
    index, best = start, value(start)
    for direction in (1, -1):
        while 0 <= index + direction < len(TEMPERATURES) and (other := value(index + direction)) < best:
            index, best = index + direction, other
        if index != start:
            break
    return best, index


class MeanLoss:
    """Weighted mean of a loss.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As the loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None
    """

    def __init__(self, loss: Loss, targets: np.ndarray, sample_weight: Any = None) -> None:
        self.loss = loss
        self.targets = targets
        self.sample_weight = sample_weight

    def __call__(self, outputs: np.ndarray) -> float:
        return float(np.average(self.loss.losses(outputs, self.targets), weights=self.sample_weight))
