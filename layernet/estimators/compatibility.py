"""Losses as scikit-learn reports them, where what it reports is not what its gradients belong to.

Only `exact_compatibility=True` trains with these; docs/scikit-learn.md says what each slip does.
"""

from __future__ import annotations

import numpy as np

from layernet.layers.saturating import logistic
from layernet.losses import CrossEntropy, HalfSquaredError, LogLoss


class _ReportedSquaredError(HalfSquaredError):
    """The gradient of a sum over the outputs, and the value of their mean."""

    def losses(self, outputs, targets):
        return super().losses(outputs, targets) / outputs.shape[1]


class _ReportedLogLoss(LogLoss):
    """Probabilities are kept an epsilon away from 0 and 1 in the value, and not in the gradient."""

    def losses(self, outputs, targets):
        p = kept_from_the_edges(logistic(outputs))
        yes, both = self._weighted(self._smoothed(targets))
        return -(yes * np.log(p) + (both - yes) * np.log1p(-p)).sum(axis=1)


class _ReportedCrossEntropy(CrossEntropy):
    """Probabilities are kept an epsilon away from 0 and 1 in the value, and not in the gradient."""

    def record(self, outputs, targets):
        _, probabilities = super().record(outputs, targets)
        return -self._mean_by_targets(np.log(kept_from_the_edges(probabilities)), targets), probabilities


def kept_from_the_edges(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities clipped to a machine epsilon from 0 and 1."""
    epsilon = np.finfo(probabilities.dtype).eps
    return probabilities.clip(epsilon, 1 - epsilon)


AS_REPORTED = {
    HalfSquaredError: _ReportedSquaredError,
    LogLoss: _ReportedLogLoss,
    CrossEntropy: _ReportedCrossEntropy,
}
