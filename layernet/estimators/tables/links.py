"""Links from a network's raw outputs to predictions, and the loss of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.estimators.tables.temperature import fit_temperature
from layernet.layers.saturating import logistic
from layernet.layers.softmax import Softmax
from layernet.losses import Loss

# The smallest probability whose logarithm counts.
SMALLEST_PROBABILITY = 1e-12


class Link:
    """Conversion of raw outputs to predictions; base class.

    Predictions are what an ensemble averages: probabilities, or numbers in the units of the targets.
    """

    def fit_temperature(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the divisor of the outputs, which calibrates probabilities; 1 for numbers."""
        return 1.0

    def predictions(self, outputs: np.ndarray, temperature: float) -> np.ndarray:
        """Return the predictions for raw outputs, float64."""
        raise NotImplementedError

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the loss of each row's predictions, of shape (n_rows,)."""
        raise NotImplementedError

    def limited(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions of a mixture, limited to those that are possible."""
        return predictions

    def mean_loss(self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the weighted mean of `losses`."""
        return float(np.average(self.losses(predictions, targets), weights=weights))


class ClassProbabilities(Link):
    """Softmax of the outputs over the temperature; the loss is the log loss.

    The temperature is at most 1: the mean of several networks' probabilities is already less extreme than the
    probabilities of one.
    """

    def fit_temperature(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        return min(1.0, fit_temperature(outputs, targets, weights))

    def predictions(self, outputs: np.ndarray, temperature: float) -> np.ndarray:
        return Softmax().forward_pass(outputs.astype(np.float64) / temperature)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        own = predictions[np.arange(len(targets)), targets]
        return -np.log(np.maximum(own, SMALLEST_PROBABILITY))


class LabelProbabilities(ClassProbabilities):
    """The logistic function of the outputs over the temperature, for several labels a row."""

    def predictions(self, outputs: np.ndarray, temperature: float) -> np.ndarray:
        return logistic(outputs.astype(np.float64) / temperature)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        own = np.where(targets > 0, predictions, 1 - predictions)
        return -np.log(np.maximum(own, SMALLEST_PROBABILITY)).sum(axis=1)


class Numbers(Link):
    """The outputs themselves, limited to the range of the targets.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_rows, n_outputs)
        All targets of the training data.
    """

    def __init__(self, loss: Loss, targets: np.ndarray) -> None:
        self.loss = loss
        self.low, self.high = self.range_of(targets)

    def range_of(self, targets: np.ndarray) -> tuple[Any, Any]:
        """Return the least and the largest outputs."""
        return targets.min(axis=0).astype(np.float64), targets.max(axis=0).astype(np.float64)

    def predictions(self, outputs: np.ndarray, temperature: float) -> np.ndarray:
        return self.limited(outputs.astype(np.float64))

    def limited(self, predictions: np.ndarray) -> np.ndarray:
        return np.clip(predictions, self.low, self.high)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return self.loss.losses(predictions, targets.astype(np.float64))


class LogNumbers(Numbers):
    """The exponential of the outputs, limited to the largest target, for the Poisson loss."""

    def range_of(self, targets: np.ndarray) -> tuple[Any, Any]:
        return 0.0, targets.max(axis=0).astype(np.float64)

    def predictions(self, outputs: np.ndarray, temperature: float) -> np.ndarray:
        with np.errstate(over="ignore"):
            return super().predictions(np.exp(outputs.astype(np.float64)), temperature)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return super().losses(np.log(np.maximum(predictions, SMALLEST_PROBABILITY)), targets)
