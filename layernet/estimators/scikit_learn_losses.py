"""Losses with the value that scikit-learn reports, where its gradient is the gradient of another function.

Only `exact_compatibility=True` trains with these losses; docs/scikit-learn.md describes each difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.layers.saturating import logistic
from layernet.losses import CrossEntropy, HalfSquaredError, LogLoss, Loss


class _ScikitLearnSquaredError(HalfSquaredError):
    """The value is the mean over the outputs; the gradient is that of the sum."""

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().losses(outputs, targets) / outputs.shape[1]


class _ScikitLearnLogLoss(LogLoss):
    """The value is computed from clipped probabilities; the gradient is not."""

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        p = clip_probabilities(logistic(outputs))
        positive, total = self._term_weights(self._smoothed(targets))
        return -(positive * np.log(p) + (total - positive) * np.log1p(-p)).sum(axis=1)


class _ScikitLearnCrossEntropy(CrossEntropy):
    """The value is computed from clipped probabilities; the gradient is not."""

    def record(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, Any]:
        _, probabilities = super().record(outputs, targets)
        return -self._mean_by_targets(np.log(clip_probabilities(probabilities)), targets), probabilities


def clip_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities clipped to [epsilon, 1 - epsilon], with the epsilon of their type."""
    epsilon = np.finfo(probabilities.dtype).eps
    return probabilities.clip(epsilon, 1 - epsilon)


SCIKIT_LEARN_LOSSES: dict[type[Loss], type[Loss]] = {
    HalfSquaredError: _ScikitLearnSquaredError,
    LogLoss: _ScikitLearnLogLoss,
    CrossEntropy: _ScikitLearnCrossEntropy,
}
