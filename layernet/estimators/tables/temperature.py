"""Temperature scaling: one divisor of all logits, which makes probabilities agree with held-out labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

# Temperatures are searched between 1 / 20 and 20.
LOG_RANGE = math.log(20)


def fit_temperature(logits: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the temperature T for which softmax(logits / T) has the least log loss.

    T > 1 makes probabilities less extreme, T < 1 more; the most probable class stays the same. The log loss is
    a convex function of 1 / T, so its minimum is unique.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)
        Outputs for samples that the network was not trained on. With one column they are the logits of the
        second of two classes.
    targets : ndarray of int, of shape (n_samples,)
        Class numbers. For several labels a sample: 0 and 1, of the logits' shape.
    sample_weight : ndarray of shape (n_samples,), default=None

    Returns
    -------
    float
        Between 1/20 and 20.

    Examples
    --------
    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))  # right in three of four cases
    >>> round(float(1 / (1 + np.exp(-4 / temperature))), 4)
    0.75

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.
    """
    loss = LogLossOfTemperature(logits, targets, sample_weight)
    result = minimize_scalar(lambda log: loss(math.exp(log)), bounds=(-LOG_RANGE, LOG_RANGE), method="bounded")
    return float(math.exp(result.x))


class LogLossOfTemperature:
    """Mean log loss of softmax(logits / T), as a function of T.

    Parameters
    ----------
    logits, targets, sample_weight
        As in `fit_temperature`.
    """

    def __init__(self, logits: np.ndarray, targets: np.ndarray, sample_weight: Any = None) -> None:
        logits = np.asarray(logits, dtype=np.float64)
        is_multilabel = np.ndim(targets) == 2
        if is_multilabel or logits.shape[1] == 1:
            signs = np.where(np.asarray(targets).reshape(logits.shape) > 0, -1.0, 1.0)
            # Log loss of a label = log(1 + exp(margin / T)).
            self._margins = (signs * logits)[:, :, None]
        else:
            own = np.take_along_axis(logits, np.asarray(targets)[:, None], axis=1)
            others = np.arange(logits.shape[1]) != np.asarray(targets)[:, None]
            margins = (logits - own)[others]
            self._margins = margins.reshape(len(logits), 1, logits.shape[1] - 1)
        self._weights = sample_weight

    def __call__(self, temperature: float) -> float:
        # log(1 + sum of exp(margin)), without overflow.
        margins = self._margins / temperature
        largest = np.maximum(margins.max(axis=2), 0)
        rest = np.exp(margins - largest[:, :, None]).sum(axis=2)
        losses = (largest + np.log(np.exp(-largest) + rest)).sum(axis=1)
        return float(np.average(losses, weights=self._weights))
