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


class RefinedLogLoss:
    """Log loss at the best temperature, times the error rate.

    The temperature is fitted anew to all out-of-fold outputs after training, so an epoch is judged by what its
    outputs say once they are calibrated; the error rate, because equally good log losses are often reached with
    different numbers of errors.

    Parameters
    ----------
    targets : ndarray of int
        Class numbers, of shape (n_samples,), or 0 and 1 for each of several labels.
    sample_weight : ndarray of shape (n_samples,) or None
    """

    def __init__(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        self.targets = targets
        self.sample_weight = sample_weight

    def __call__(self, outputs: np.ndarray) -> float:
        loss = LogLossOfTemperature(outputs, self.targets, self.sample_weight)
        best = np.inf
        for temperature in TEMPERATURES:
            value = loss(temperature)
            if value > best:  # the log loss has a single minimum
                break
            best = value
        return best * (self.error_rate(outputs) + 1 / len(outputs))

    def error_rate(self, outputs: np.ndarray) -> float:
        """Return the weighted share of wrong labels."""
        predicted = outputs > 0 if self.targets.ndim == 2 else outputs.argmax(axis=1)
        is_wrong = (predicted != self.targets).reshape(len(outputs), -1).mean(axis=1)
        return float(np.average(is_wrong, weights=self.sample_weight))


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
