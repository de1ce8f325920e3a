"""Numbers: conversion of y to targets, scaled or not, and of a regressor's outputs to predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.estimators.robust_scale import robust_center_and_factor
from layernet.estimators.scikit_learn_losses import SCIKIT_LEARN_LOSSES
from layernet.estimators.targets import Targets
from layernet.estimators.value_range import require_in_range
from layernet.layer import Layer
from layernet.losses import Loss, PoissonLoss
from layernet.losses.names import find_loss

# Names of losses that regressors take.
REGRESSOR_LOSSES = (
    "squared_error",
    "poisson",
    "absolute_error",
    "mean_absolute_error",
    "mean_squared_error",
    "huber",
    "quantile",
)


# Difference of the quartiles of a normal distribution, in standard deviations.
NORMAL_QUARTILES = 1.349


class NumberTargets(Targets):
    """One number or several numbers for each sample.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    loss : str or Loss
    exact : bool, default=False
        Whether the squared error has the value that scikit-learn reports.
    target_scale : {"standard", "robust"} or None, default=None
        "standard" for targets (y - mean) / deviation. Mean and standard deviation are those of the first
        training data. With "robust" they are the median and the interquartile range / 1.349, which are the same
        for a normal distribution.

    Attributes
    ----------
    loss : Loss
    n_outputs : int
    out_activation : {"identity", "exp"}
        Function that makes predictions of the outputs.
    mean, standard_deviation : ndarray of shape (n_outputs,), float64, or None
        None without `target_scale`, and before `fit_scale`.

    Raises
    ------
    ValueError
        If scaled targets do not fit the loss, which is for counts.
    """

    def __init__(
        self, y: np.ndarray, loss: str | Loss, exact: bool = False, target_scale: str | None = None
    ) -> None:
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        self.loss = find_loss(loss)
        if exact and type(self.loss) in SCIKIT_LEARN_LOSSES:
            self.loss = SCIKIT_LEARN_LOSSES[type(self.loss)]()
        self.out_activation = "exp" if isinstance(self.loss, PoissonLoss) else "identity"
        self.target_scale = target_scale
        self.mean: np.ndarray | None = None
        self.standard_deviation: np.ndarray | None = None
        if target_scale is not None and self.out_activation == "exp":
            raise ValueError(
                f"target_scale={target_scale!r} does not go with {self.loss!r}, whose targets are counts: "
                "scaled counts would be below 0. Use target_scale=None."
            )

    def fit_scale(self, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Compute the mean and the standard deviation of y, unless they are known or not needed.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Targets of the training data, without the rows that are held out.
        sample_weight : ndarray of shape (n_samples,) or None
        """
        if self.target_scale is None or self.mean is not None:
            return
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if self.target_scale == "robust":
            self.mean, factor = robust_center_and_factor(y, "inverted_cdf", sample_weight)
            self.standard_deviation = np.where(
                factor > 0, 1 / (NORMAL_QUARTILES * np.where(factor, factor, 1)), 1
            )
            return
        largest = abs(y).max(axis=0)
        largest[largest == 0] = 1
        y = y / largest  # so that no square overflows
        mean = np.average(y, axis=0, weights=sample_weight)
        deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=sample_weight))
        is_rounding = deviation <= 10 * np.finfo(np.float64).eps
        self.mean = mean * largest
        self.standard_deviation = np.where(is_rounding, 1.0, deviation * largest)

    def copy_scale(self, source: Any) -> None:
        """Copy the scale of the estimator whose parameters are the initial parameters.

        Raises
        ------
        ValueError
            If only one of both estimators scales its targets.
        """
        if isinstance(source, Layer):  # a layer has no scale
            return
        source_targets = getattr(source, "_targets", None)
        source_scale = getattr(source_targets, "target_scale", None)
        if source_scale != self.target_scale:
            raise ValueError(
                f"init_from was trained with target_scale={source_scale!r}, and this estimator has "
                f"{self.target_scale!r}: its parameters would predict other numbers here. Give both the same "
                "target_scale."
            )
        if isinstance(source_targets, NumberTargets):
            self.mean, self.standard_deviation = source_targets.mean, source_targets.standard_deviation

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return y in the network's type, scaled if `target_scale` says so; of shape (n_samples, n_outputs)."""
        y = np.asarray(y)
        if self.mean is not None and y.size == len(y) * self.n_outputs:
            y = (y.reshape(len(y), self.n_outputs) - self.mean) / self.standard_deviation
        require_in_range(y, dtype, "y")
        y = y.astype(dtype, copy=False)
        if y.size != len(y) * self.n_outputs:
            raise ValueError(f"y must have {self.n_outputs} numbers for each sample, got {y.shape}.")
        return y.reshape(len(y), self.n_outputs)

    def outputs_of_mean(self, targets: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return the outputs that predict the mean of encoded targets; None if the targets do not vary."""
        if not (targets != targets[:1]).any():
            return None
        mean = np.average(targets, axis=0, weights=sample_weight)
        return np.log(mean) if self.out_activation == "exp" else mean

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return the predicted numbers, in the units of y."""
        if self.out_activation == "exp":
            with np.errstate(over="ignore"):
                outputs = np.exp(outputs)
        if self.mean is not None:
            outputs = (outputs * self.standard_deviation + self.mean).astype(outputs.dtype, copy=False)
        return outputs.ravel() if self.n_outputs == 1 else outputs

    def score(self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Return R2, the explained share of the targets' variance; NaN if a prediction is not finite."""
        from sklearn.metrics import r2_score

        predicted = self.decode(outputs)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(y, predicted, sample_weight=sample_weight))
