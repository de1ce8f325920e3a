"""Base class for the conversion between y, a loss's targets, and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.losses import Loss


class Targets:
    """Conversion of y to targets as a loss takes them, and of the network's outputs to predictions.

    Attributes
    ----------
    loss : Loss
    n_outputs : int
        Number of outputs that the network needs.
    out_activation : {"softmax", "logistic", "exp", "identity"}
        Function that makes probabilities or predictions of the outputs.
    """

    loss: Loss
    n_outputs: int
    out_activation: str

    def encode(self, y: Any, dtype: np.dtype) -> np.ndarray:
        """Return y as the loss takes it."""
        raise NotImplementedError

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions, in the units or the labels of y."""
        raise NotImplementedError

    def score(self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Return scikit-learn's default score of outputs: accuracy or R2."""
        raise NotImplementedError

    def sample_weights(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return the products of the samples' weights and their classes' weights; None if all are 1."""
        return sample_weight

    # Only scaled targets have a scale.

    def fit_scale(self, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Compute the scale of the targets from the training data, unless it is known."""

    def copy_scale(self, source: Any) -> None:
        """Copy the scale of the estimator whose parameters are the initial parameters."""
