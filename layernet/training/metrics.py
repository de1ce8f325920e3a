"""Metrics: what people want to know of a network beside its loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def accuracy(targets: np.ndarray, outputs: np.ndarray) -> float:
    """The part of samples whose class was found.

    Parameters
    ----------
    targets : ndarray of shape (n_samples,) or of the outputs' shape
        Class numbers, or rows of probabilities, or labels of 0 and 1 for outputs with one column.
    outputs : ndarray of shape (n_samples, n_outputs)
        Logits: the largest in a row wins; with one column, those above 0 say yes.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> accuracy(np.array([0, 1]), np.array([[2.0, 1.0], [2.0, 1.0]]))
    0.5
    """
    if outputs.shape[1] == 1:
        return float(((outputs > 0) == (targets.reshape(outputs.shape) > 0.5)).mean())
    classes = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return float((outputs.argmax(axis=1) == classes).mean())


METRICS = {"accuracy": accuracy}


def as_metrics(metrics) -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Metrics by name, from names and functions of (targets, outputs)."""
    found = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        elif metric in METRICS:
            found[metric] = METRICS[metric]
        else:
            raise ValueError(
                f"metrics: {metric!r} is not known. Known are {sorted(METRICS)}; others are functions of "
                "(targets, outputs)."
            )
    return found
