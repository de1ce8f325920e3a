"""Losses for numbers: MeanSquaredError, MeanAbsoluteError, Huber, Quantile, Poisson.

All average over the outputs of a sample; e = outputs - targets in every formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.losses.loss import Loss


class MeanSquaredError(Loss):
    """The squared error: its minimum is the mean of the targets.

    loss = mean of e**2 over the outputs (no factor 1/2), d loss / d outputs = 2 e / n_outputs.

    Examples
    --------
    >>> float(MeanSquaredError().bind([1.0]).forward_pass([[4.0]]))
    9.0
    """

    def losses(self, outputs, targets):
        return ((outputs - targets) ** 2).mean(axis=1)

    def gradient(self, outputs, targets):
        return (outputs - targets) * (2 / outputs.shape[1])


class MeanAbsoluteError(Loss):
    """The absolute error: its minimum is the median of the targets, which outliers do not move.

    loss = mean of |e| over the outputs, d loss / d outputs = sign(e) / n_outputs (0 at 0).

    Examples
    --------
    >>> float(MeanAbsoluteError().bind([1.0]).forward_pass([[4.0]]))
    3.0
    """

    def losses(self, outputs, targets):
        return np.abs(outputs - targets).mean(axis=1)

    def gradient(self, outputs, targets):
        return np.sign(outputs - targets) / outputs.shape[1]


class Huber(Loss):
    """Squared for small errors, absolute for large ones: smooth at zero and calm about outliers.

    loss = mean of e**2 / 2 where |e| <= delta, of delta (|e| - delta / 2) elsewhere; d loss / d outputs =
    e clipped to ±delta, / n_outputs.

    Parameters
    ----------
    delta : float, default=1.0
        In units of the targets, greater than 0.

    Examples
    --------
    >>> float(Huber().bind([0.0]).forward_pass([[3.0]]))
    2.5

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.
    """

    def __init__(self, delta: float = 1.0):
        if not delta > 0:
            raise ValueError(f"Huber: delta must be greater than 0, got {delta!r}.")
        self.delta = delta

    def losses(self, outputs, targets):
        size = np.abs(outputs - targets)
        near = np.minimum(size, self.delta)
        return (near * near / 2 + self.delta * (size - near)).mean(axis=1)

    def gradient(self, outputs, targets):
        return np.clip(outputs - targets, -self.delta, self.delta) / outputs.shape[1]


class Quantile(Loss):
    """The pinball loss: its minimum is a quantile of the targets.

    loss = mean of max((q - 1) (-e), q (-e)) = mean of -e (q - 1[e > 0]); d loss / d outputs =
    (1[e > 0] - q) / n_outputs (0 at e = 0).

    Parameters
    ----------
    quantile : float, default=0.5
        q in the formula, between 0 and 1, both excluded.

    Examples
    --------
    >>> float(Quantile(0.9).bind([10.0]).forward_pass([[0.0]]))
    9.0

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles.
    """

    def __init__(self, quantile: float = 0.5):
        if not 0 < quantile < 1:
            raise ValueError(f"Quantile: quantile must lie between 0 and 1, got {quantile!r}.")
        self.quantile = quantile

    def losses(self, outputs, targets):
        missing = targets - outputs
        return np.maximum((self.quantile - 1) * missing, self.quantile * missing).mean(axis=1)

    def gradient(self, outputs, targets):
        error = outputs - targets
        slope = np.where(error > 0, 1 - self.quantile, -self.quantile) * (error != 0)
        return slope.astype(outputs.dtype, copy=False) / outputs.shape[1]


class Poisson(Loss):
    """For counts: outputs are the logarithms of expected counts.

    loss = mean of exp(outputs) - targets * outputs, the negative log-likelihood of a Poisson distribution
    without the term log(targets!), which no output changes; d loss / d outputs = (exp(outputs) - targets) /
    n_outputs.

    Examples
    --------
    >>> float(Poisson().bind([2]).forward_pass([[0.0]]))
    1.0

    References
    ----------
    Nelder and Wedderburn (1972), Generalized linear models.
    """

    def prepare(self, targets: Any, output_shape, dtype):
        """Counts of the outputs' shape, at least 0."""
        targets = super().prepare(targets, output_shape, dtype)
        if (targets < 0).any():
            raise ValueError(f"{self!r} expects counts of at least 0, got {targets.min()}.")
        return targets

    def losses(self, outputs, targets):
        with np.errstate(over="ignore"):  # an infinite expected count is an infinite loss, no accident
            return (np.exp(outputs) - targets * outputs).mean(axis=1)

    def gradient(self, outputs, targets):
        with np.errstate(over="ignore"):
            return (np.exp(outputs) - targets) / outputs.shape[1]
