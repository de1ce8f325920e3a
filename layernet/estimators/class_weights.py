"""Weights that `class_weight` describes: of each class, or of 0 and 1 of each label inside the loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

from layernet.estimators.scikit_learn_losses import SCIKIT_LEARN_LOSSES
from layernet.losses import BinaryCrossEntropy, LogLoss, Loss

# Losses whose formula has `pos_weight` and `neg_weight`. A subclass may replace the formula.
LOSSES_WITH_LABEL_WEIGHTS = (BinaryCrossEntropy, LogLoss, SCIKIT_LEARN_LOSSES[LogLoss])


def weights_of_classes(class_weight: Any, classes: np.ndarray, y: np.ndarray, who: str) -> np.ndarray:
    """Return the weight of each class.

    Parameters
    ----------
    class_weight : dict of label to float or "balanced"
        "balanced" for n_samples / (n_classes * samples of the class).
    classes : ndarray of shape (n_classes,)
        All classes, whether they occur in y or not.
    y : ndarray of shape (n_samples,)
        Labels of the training data.
    who : str
        The estimator's class, for errors.

    Returns
    -------
    ndarray of shape (n_classes,), float64

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or if the dict leaves out classes and has keys that are no
        classes.

    Examples
    --------
    >>> weights_of_classes({"b": 3.0}, np.array(["a", "b"]), np.array(["a"]), "MLPClassifier")
    array([1., 3.])
    """
    if isinstance(class_weight, (list, tuple)):
        raise ValueError(
            f"{who}: class_weight must be a dict of labels to weights, 'balanced' or None for one class a "
            f"sample, got {class_weight!r}. A list of dicts is for several labels a sample."
        )
    if isinstance(class_weight, str):
        return compute_class_weight("balanced", classes=classes, y=y)
    labels = classes.tolist()
    left_out, unknown = [c for c in labels if c not in class_weight], set(class_weight) - set(labels)
    if left_out and unknown:
        raise ValueError(
            f"{who}: The classes, {left_out}, are not in class_weight, which has weights for "
            f"{sorted(unknown, key=repr)} instead, and these are not in y. Are the labels spelled alike?"
        )
    return as_valid_weights([class_weight.get(label, 1.0) for label in labels], class_weight, who)


def loss_with_label_weights(loss: Loss, class_weight: Any, y: np.ndarray, who: str) -> Loss:
    """Return a copy of a loss with a weight for each value, 0 and 1, of each label.

    Parameters
    ----------
    loss : BinaryCrossEntropy or LogLoss
        The weights that it has are multiplied by the new ones.
    class_weight : sequence of dict of {0, 1} to float, or "balanced"
        A dict for each label. "balanced" for n_samples / (2 * samples with this value), for each label by
        itself; 1 for a label that has the same value in all samples.
    y : ndarray of shape (n_samples, n_labels)
        Labels of the training data, 0 and 1.
    who : str
        The estimator's class, for errors.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If there is not one dict for each label, if all labels have weight 0, or if the loss has no weights of
        labels.

    Examples
    --------
    >>> loss_with_label_weights(LogLoss(), [{1: 3}, {0: 0.5}], np.eye(2), "MLPClassifier")
    LogLoss(pos_weight=(3.0, 1.0), neg_weight=(1.0, 0.5))
    """
    n_labels, example = y.shape[1], "[{0: 1, 1: 5}]"
    if isinstance(class_weight, Mapping):
        example = f"[{class_weight!r}]" if set(class_weight) <= {0, 1} else example
        raise ValueError(
            f"{who}: class_weight must be 'balanced' or a list of {n_labels} dicts, one for each label of a "
            f"sample, got {class_weight!r}, which does not say of which label. For the same weights of all "
            f"labels: {example} * {n_labels}."
        )
    if type(loss) not in LOSSES_WITH_LABEL_WEIGHTS:
        raise ValueError(
            f"{who}: class_weight of several labels a sample needs loss='log_loss' or a BinaryCrossEntropy or "
            f"LogLoss, got {loss!r}. Weigh labels inside that loss, or samples with sample_weight."
        )
    positive = np.count_nonzero(y, axis=0)
    negative = len(y) - positive
    if isinstance(class_weight, str):
        varies = (positive > 0) & (negative > 0)
        weights_of_ones, weights_of_zeros = (
            np.divide(len(y) / 2, count, out=np.ones(n_labels), where=varies) for count in (positive, negative)
        )
    else:
        if len(class_weight) != n_labels or not all(
            isinstance(each, Mapping) and set(each) <= {0, 1} for each in class_weight
        ):
            raise ValueError(
                f"{who}: class_weight must be a list of {n_labels} dicts, one for each label of a sample, with "
                f"weights of 0 and of 1, such as {example} * {n_labels}; got {class_weight!r}."
            )
        weights_of_zeros, weights_of_ones = (
            as_valid_weights([each.get(value, 1.0) for each in class_weight], class_weight, who)
            for value in (0, 1)
        )
    if not (positive * weights_of_ones + negative * weights_of_zeros).any():
        raise ValueError(f"{who}: class_weight={class_weight!r} is 0 for all labels: nothing to train on.")
    weighted = copy.copy(loss)
    for name, weights in (("pos_weight", weights_of_ones), ("neg_weight", weights_of_zeros)):
        own = getattr(loss, name)
        setattr(weighted, name, tuple((weights * (1 if own is None else np.asarray(own))).tolist()))
    return weighted


def as_valid_weights(weights: list[float], class_weight: Any, who: str) -> np.ndarray:
    """Return weights as an array; raise an error if one is not finite or below 0."""
    array = np.array(weights, np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{who}: class_weight must be finite weights of at least 0, got {class_weight!r}.")
    return array
