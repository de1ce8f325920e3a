"""Temperature scaling: one divisor of all logits, which makes probabilities agree with held-out labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from layernet.losses.loss import as_weights, bounded
from layernet.validation import as_array, as_float_array, require_dense, require_finite

WHO = "fit_temperature"

# Temperatures are searched between 1 / 20 and 20.
LOG_RANGE = math.log(20)


def fit_temperature(logits: Any, targets: Any, sample_weight: Any = None) -> float:
    """Return the temperature T for which softmax(logits / T) has the least log loss.

    T > 1 makes probabilities less extreme, T < 1 more; the most probable class stays the same. The log loss is
    a convex function of 1 / T, so its minimum is unique.

    Parameters
    ----------
    logits : array-like of shape (n_samples, n_classes)
        Outputs for samples that the network was not trained on, finite. With one column they are the logits of
        the second of two classes.
    targets : array-like of int, of shape (n_samples,)
        Class numbers from 0. For several labels a sample: 0 and 1, of the logits' shape.
    sample_weight : array-like of shape (n_samples,), default=None
        Finite, at least 0, and not all 0.

    Returns
    -------
    float
        Between 1/20 and 20.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

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
    logits = checked_logits(logits)
    weights = None if sample_weight is None else checked_weights(sample_weight, len(logits))
    loss = LogLossOfTemperature(logits, checked_targets(targets, logits.shape), weights)
    result = minimize_scalar(lambda log: loss(math.exp(log)), bounds=(-LOG_RANGE, LOG_RANGE), method="bounded")
    return float(math.exp(result.x))


def checked_logits(logits: Any) -> np.ndarray:
    """Return logits as a float64 array of two dimensions; raise an error if they are not finite."""
    logits = as_float_array(logits, np.dtype(np.float64), True, f"{WHO}: logits")
    if logits.ndim != 2 or 0 in logits.shape:
        advice = " For the logits of one class: logits.reshape(-1, 1)." if logits.ndim == 1 else ""
        raise ValueError(
            f"{WHO}: logits must have the shape (n_samples, n_classes), with a sample and a column at least, "
            f"got {logits.shape}.{advice}"
        )
    require_finite(logits, f"{WHO}: logits")
    return logits


def checked_targets(targets: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return class numbers as integers, or labels of 0 and 1; raise an error if they do not fit the logits.

    Parameters
    ----------
    targets : array-like
    shape : tuple of int
        Shape of the logits.
    """
    require_dense(targets, f"{WHO}: targets")
    targets = as_array(targets, f"{WHO}: targets")
    if targets.shape not in (shape, shape[:1]):
        raise ValueError(
            f"{WHO}: targets must have the shape {shape[:1]}, a class number for each sample, or {shape}, "
            f"0 and 1 for each label, for logits of the shape {shape}; got {targets.shape}."
        )
    if targets.ndim == 2:
        expected, possible = "0 or 1 for each label of a sample", np.arange(2)
        advice = "Give class numbers, targets.argmax(axis=1), or labels, targets > 0.5."
    else:
        n_classes = max(2, shape[1])
        expected, possible = f"class numbers from 0 to {n_classes - 1}", np.arange(n_classes)
        advice = "Number the classes: np.unique(targets, return_inverse=True)[1]."
    is_known = np.isin(targets, possible) if targets.dtype.kind in "biuf" else np.zeros(targets.shape, bool)
    if not is_known.all():
        place = tuple(int(index) for index in np.argwhere(~is_known)[0])
        raise ValueError(f"{WHO}: targets must be {expected}, got {targets[place]!r} at {place}. {advice}")
    return targets.astype(np.intp)


def checked_weights(sample_weight: Any, n_samples: int) -> np.ndarray:
    """Return sample weights as float64, scaled down if they are very large; raise an error if all are 0."""
    weights = as_weights(sample_weight, n_samples, f"{WHO}: sample_weight")
    if not weights.any():
        raise ValueError(f"{WHO}: sample_weight must have a weight above 0, got {n_samples} times 0.")
    return bounded(weights)[0]


class LogLossOfTemperature:
    """Mean log loss of softmax(logits / T), as a function of T.

    Parameters
    ----------
    logits, targets, sample_weight : ndarray
        As in `fit_temperature`, and not checked: training computes this loss after every epoch.
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
