"""Scores of predictions, and two reference methods that need no training."""

from __future__ import annotations

import numpy as np

# Ridge penalty of the reference, relative to the squared norm of a feature with standard deviation 1.
RIDGE = 0.01

# Losses whose outputs have the units of the targets.
LOSSES_IN_TARGET_UNITS = (
    "MeanSquaredError",
    "MeanAbsoluteError",
    "HuberLoss",
    "QuantileLoss",
    "HalfSquaredError",
)
# Losses whose outputs are log-odds; the scores of the hinge loss have the same sign.
LOSSES_OF_LOGITS = ("BinaryCrossEntropy", "LogLoss", "HingeLoss")
# Losses whose outputs are logarithms of rates.
LOSSES_OF_LOG_RATES = ("PoissonLoss", "HalfPoissonDeviance")


def target_columns(targets: np.ndarray) -> np.ndarray:
    """Return targets as float columns: one-hot columns for class numbers, else one column for each output."""
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return (targets[:, None] == np.unique(targets)).astype(np.float64)
    return targets.reshape(len(targets), -1).astype(np.float64)


def predictions_as_columns(outputs: np.ndarray, targets: np.ndarray, loss_name: str) -> np.ndarray | None:
    """Return outputs as predictions of the target columns; None if this loss has no predictions."""
    outputs = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        labels = np.unique(targets)
        return outputs[:, labels] if outputs.shape[1] > labels.max() else None
    if loss_name in LOSSES_OF_LOGITS and outputs.shape[1] == 1:
        return np.column_stack([-outputs, outputs]) if len(np.unique(targets)) == 2 else None
    if loss_name in LOSSES_OF_LOGITS:
        return np.asarray(1 / (1 + np.exp(-np.clip(outputs, -50, 50))))
    if loss_name in LOSSES_OF_LOG_RATES:
        return np.asarray(np.exp(np.clip(outputs, -50, 50)))
    return outputs if loss_name in LOSSES_IN_TARGET_UNITS else None


def reference_predictions(features: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """Predict each row from all other rows, by two methods that need no training.

    The methods are the nearest neighbor and ridge regression, on features of equal standard deviation.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    list of ndarray of the targets' shape

    References
    ----------
    Cover and Hart (1967), Nearest neighbor pattern classification. Golub, Heath and Wahba (1979), Generalized
    cross-validation, for the leave-one-out residuals of ridge regression.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    n_rows = len(scaled)
    squares = np.square(scaled).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (scaled @ scaled.T)
    np.fill_diagonal(distances, np.inf)
    kernel = scaled @ scaled.T + 1.0  # the 1 stands for a bias, a feature of ones
    hat = np.linalg.solve(kernel + RIDGE * n_rows * np.eye(n_rows), kernel)
    residuals = (targets - hat.T @ targets) / (1 - np.diag(hat))[:, None]
    return [targets[distances.argmin(axis=1)], targets - residuals]


def scores(predicted: np.ndarray, targets: np.ndarray, are_classes: bool) -> tuple[float, float]:
    """Score predictions: 1 is perfect, 0 is the score of constant predictions.

    Parameters
    ----------
    predicted, targets : ndarray of shape (n_rows, n_columns)
        For classes, one column for each class; the largest entry of a row is its class.
    are_classes : bool

    Returns
    -------
    tuple of two floats
        For classes the accuracy and the balanced accuracy, each scaled by (accuracy - baseline) / (1 -
        baseline), where the baseline always predicts the most frequent class. For numbers, both are the squared
        correlation, averaged over the columns with their variances as weights; a negative one counts as 0.
    """
    with np.errstate(all="ignore"):
        if are_classes:
            labels = targets.argmax(axis=1)
            correct = predicted.argmax(axis=1) == labels
            class_accuracies = [correct[labels == label].mean() for label in np.unique(labels)]
            baseline, balanced_baseline = targets.mean(axis=0).max(), 1 / len(class_accuracies)
            return (
                float((correct.mean() - baseline) / (1 - baseline)) if baseline < 1 else 0.0,
                float((np.mean(class_accuracies) - balanced_baseline) / (1 - balanced_baseline))
                if len(class_accuracies) > 1
                else 0.0,
            )
        predicted, targets = predicted - predicted.mean(axis=0), targets - targets.mean(axis=0)
        products = (predicted * targets).sum(axis=0)
        explained = np.where(products > 0, products**2 / np.square(predicted).sum(axis=0), 0.0)
        share = float(np.nan_to_num(explained).sum() / np.square(targets).sum())
        return share, share
