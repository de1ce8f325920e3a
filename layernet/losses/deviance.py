"""Losses of scikit-learn's estimators, summed over the outputs: HalfSquaredError, HalfPoissonDeviance, LogLoss.

The gradient of a sum with respect to an output does not depend on the number of outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layernet.layers.saturating import logistic
from layernet.losses.classification import BinaryCrossEntropy, label_losses
from layernet.losses.loss import Loss
from layernet.losses.regression import PoissonLoss, is_nearest_label_correct, targets_times_outputs
from layernet.validation import require_number


class HalfSquaredError(Loss):
    """Half the squared error, summed over the outputs.

    loss = sum of e**2 / 2 over the outputs, d loss / d outputs = e, with e = outputs - targets.

    Examples
    --------
    >>> float(HalfSquaredError().bind([[1.0, 1.0]]).forward_pass([[4.0, 1.0]]))
    4.5
    """

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        error = outputs - targets
        return np.vecdot(error, error) / 2

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return outputs - targets

    is_predicted = is_nearest_label_correct


class HalfPoissonDeviance(PoissonLoss):
    """Half the Poisson deviance, summed over the outputs; outputs are logarithms of expected counts.

    loss = sum over the outputs z of t log t - t z - t + exp(z), which is 0 where exp(z) = t, with t log t = 0
    for t = 0; d loss / dz = exp(z) - t.

    Examples
    --------
    >>> float(HalfPoissonDeviance().bind([1.0]).forward_pass([[0.0]]))
    0.0

    References
    ----------
    McCullagh and Nelder (1989), Generalized linear models.
    """

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        entropy = targets * np.log(np.where(targets > 0, targets, 1))
        with np.errstate(over="ignore"):  # an infinite expected count is an infinite loss, not an error
            return (entropy - targets_times_outputs(outputs, targets) - targets + np.exp(outputs)).sum(axis=1)

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(outputs) - targets


class LogLoss(BinaryCrossEntropy):
    """Binary cross-entropy, summed over the labels of a sample, in nats; outputs are logits.

    The sum of `BinaryCrossEntropy` over the labels: with p = 1 / (1 + exp(-z)) for the output z,
    loss = sum of log(1 + exp(z)) - t z, d loss / dz = p - t. Label smoothing replaces t by
    (1 - s) t + s / 2, before the weights of the labels are applied.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        s in the formula, at least 0 and less than 1.
    pos_weight, neg_weight : float or sequence of float, default=None
        Weights of the term of t and of that of 1 - t, as `BinaryCrossEntropy` has them.

    Examples
    --------
    >>> float(LogLoss().bind([[1.0, 0.0]]).forward_pass([[0.0, 0.0]]).round(6))
    1.386294
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        pos_weight: float | Sequence[float] | None = None,
        neg_weight: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(pos_weight, neg_weight)
        self.label_smoothing = require_number(self, "label_smoothing", label_smoothing, at_least=0, below=1)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return label_losses(outputs, *self._term_weights(self._smoothed(targets))).sum(axis=1)

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        positive, total = self._term_weights(self._smoothed(targets))
        return total * logistic(outputs) - positive

    def _smoothed(self, targets: np.ndarray) -> np.ndarray:
        if not self.label_smoothing:
            return targets
        return (1 - self.label_smoothing) * targets + self.label_smoothing / 2
