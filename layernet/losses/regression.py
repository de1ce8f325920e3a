"""Losses for numbers: MeanSquaredError, MeanAbsoluteError, HuberLoss, QuantileLoss, PoissonLoss.

All average over the outputs of a sample; e = outputs - targets in every formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.losses.loss import Loss, all_labels_match, count_outputs, mean_over_outputs
from layernet.validation import require_number


def is_nearest_label_correct(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return whether the outputs predict the class of each sample, for targets 0 and 1.

    A single output predicts 1 if it is above 1/2; of several outputs, the largest predicts the class.

    Parameters
    ----------
    loss : Loss
    outputs, targets : ndarray of shape (n_samples, n_outputs)

    Returns
    -------
    ndarray of shape (n_samples,), bool

    Raises
    ------
    ValueError
        If the targets are not 0 and 1, or a row of several targets has not exactly one 1.
    """
    n_outputs = count_outputs(outputs)
    outputs, targets = outputs.reshape(-1, n_outputs), targets.reshape(-1, n_outputs)
    if not np.isin(targets, (0, 1)).all():
        raise ValueError(
            f"accuracy is for classes, and {loss!r} has targets other than 0 and 1. Leave this metric out, or "
            "give a function (targets, outputs) of your own."
        )
    if n_outputs == 1:
        return all_labels_match(outputs > 0.5, targets > 0.5)
    if not (targets.sum(axis=1) == 1).all():
        raise ValueError(
            f"accuracy with {loss!r} and {n_outputs} outputs expects one 1 in each row of the targets. For "
            "several labels a sample use BinaryCrossEntropy, or a metric of your own."
        )
    return outputs.argmax(axis=1) == targets.argmax(axis=1)


class MeanSquaredError(Loss):
    """Mean squared error; it is minimal at the mean of the targets.

    loss = mean of e**2 over the outputs (no factor 1/2), d loss / d outputs = 2 e / n_outputs.

    Examples
    --------
    >>> float(MeanSquaredError().bind([1.0]).forward_pass([[4.0]]))
    9.0
    """

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return mean_over_outputs((outputs - targets) ** 2)

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (outputs - targets) * (2 / count_outputs(outputs))

    is_predicted = is_nearest_label_correct


class MeanAbsoluteError(Loss):
    """Mean absolute error; it is minimal at the median of the targets, which is robust to outliers.

    loss = mean of |e| over the outputs, d loss / d outputs = sign(e) / n_outputs (0 at 0).

    Examples
    --------
    >>> float(MeanAbsoluteError().bind([1.0]).forward_pass([[4.0]]))
    3.0
    """

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return mean_over_outputs(np.abs(outputs - targets))

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.sign(outputs - targets) / count_outputs(outputs)

    is_predicted = is_nearest_label_correct


class HuberLoss(Loss):
    """Huber loss: squared for small errors, absolute for large errors, so robust to outliers.

    loss = mean of h(e), with h(e) = e**2 / 2 where |e| <= delta, and delta (|e| - delta / 2) elsewhere;
    d loss / d outputs = clip(e, -delta, delta) / n_outputs.

    Parameters
    ----------
    delta : float, default=1.0
        In units of the targets, greater than 0.

    Examples
    --------
    >>> float(HuberLoss().bind([0.0]).forward_pass([[3.0]]))
    2.5

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.
    """

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = require_number(self, "delta", delta, above=0)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        size = np.abs(outputs - targets)
        near = np.minimum(size, self.delta)
        return mean_over_outputs(near * near / 2 + self.delta * (size - near))

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.clip(outputs - targets, -self.delta, self.delta) / count_outputs(outputs)

    is_predicted = is_nearest_label_correct


class QuantileLoss(Loss):
    """Quantile loss, also known as pinball loss; it is minimal at a quantile of the targets.

    loss = mean of max((q - 1) (-e), q (-e)) = mean of -e (q - 1[e > 0]); d loss / d outputs =
    (1[e > 0] - q) / n_outputs (0 at e = 0).

    Parameters
    ----------
    quantile : float, default=0.5
        q in the formula, between 0 and 1, both excluded.

    Examples
    --------
    >>> float(QuantileLoss(0.9).bind([10.0]).forward_pass([[0.0]]))
    9.0

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles.
    """

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = require_number(self, "quantile", quantile, above=0, below=1)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        negative_error = targets - outputs
        return mean_over_outputs(
            np.maximum((self.quantile - 1) * negative_error, self.quantile * negative_error)
        )

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        error = outputs - targets
        slope = np.where(error > 0, 1 - self.quantile, -self.quantile) * (error != 0)
        return slope.astype(outputs.dtype, copy=False) / count_outputs(outputs)

    is_predicted = is_nearest_label_correct


class PoissonLoss(Loss):
    """Poisson loss of counts; outputs are logarithms of expected counts.

    loss = mean of exp(outputs) - targets * outputs; d loss / d outputs = (exp(outputs) - targets) / n_outputs.
    This is the negative log-likelihood of a Poisson distribution, without the constant term log(targets!).

    Examples
    --------
    >>> float(PoissonLoss().bind([2]).forward_pass([[0.0]]))
    1.0

    References
    ----------
    Nelder and Wedderburn (1972), Generalized linear models.
    """

    output_kind = "logarithms of expected counts"
    output_activation = np.exp

    def prepare(self, targets: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return the targets in the outputs' shape, or raise an error if one is negative."""
        targets = super().prepare(targets, output_shape, dtype)
        if (targets < 0).any():
            raise ValueError(f"{self!r} expects counts of at least 0, got {targets.min()}.")
        return targets

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # an infinite expected count is an infinite loss, not an error
            return mean_over_outputs(np.exp(outputs) - targets_times_outputs(outputs, targets))

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return (np.exp(outputs) - targets) / count_outputs(outputs)

    def is_predicted(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Raise a ValueError: counts are not classes."""
        raise ValueError(f"accuracy is for classes, and {self!r} has counts. Leave this metric out.")


def targets_times_outputs(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return targets * outputs, with 0 where the target is 0, even if the output is -inf."""
    return np.multiply(targets, outputs, where=targets != 0, out=np.zeros_like(outputs))
