"""Weights that `class_weight` describes: of each class, or of 0 and 1 of each label inside the loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from layernet.estimators.scikit_learn_losses import SCIKIT_LEARN_LOSSES
from layernet.losses import BinaryCrossEntropy, LogLoss, Loss

# Losses whose formula has `pos_weight` and `neg_weight`. A subclass may replace the formula.
LOSSES_WITH_LABEL_WEIGHTS = (BinaryCrossEntropy, LogLoss, SCIKIT_LEARN_LOSSES[LogLoss])


def weights_of_classes(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, who: str, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the weight of each class.

    Parameters
    ----------
    class_weight : dict of label to float or "balanced"
        "balanced" for (sum of weights) / (n_classes * sum of the class's weights), as `balanced` computes it.
    classes : ndarray of shape (n_classes,)
        All classes, whether they occur in y or not.
    y : ndarray of shape (n_samples,)
        Labels of the training data.
    who : str
        The estimator's class, for errors.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the training data, at least 0. None if all are 1.

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
    >>> classes, y = np.array(["a", "b"]), np.array(["a", "a", "b"])
    >>> weights_of_classes({"b": 3.0}, classes, y, "MLPClassifier")
    array([1., 3.])
    >>> weights_of_classes("balanced", classes, y, "MLPClassifier", np.array([1.0, 0.0, 3.0]))
    array([2.        , 0.66666667])
    """
    if isinstance(class_weight, (list, tuple)):
        raise ValueError(
            f"{who}: class_weight must be a dict of labels to weights, 'balanced' or None for one class a "
            f"sample, got {class_weight!r}. A list of dicts is for several labels a sample."
        )
    if isinstance(class_weight, str):
        numbers = np.searchsorted(classes, column_or_1d(y))
        return balanced(np.bincount(numbers, sample_weight, minlength=len(classes)), who)
    labels = classes.tolist()
    left_out, unknown = [c for c in labels if c not in class_weight], set(class_weight) - set(labels)
    if left_out and unknown:
        raise ValueError(
            f"{who}: The classes, {left_out}, are not in class_weight, which has weights for "
            f"{sorted(unknown, key=repr)} instead, and these are not in y. Are the labels spelled alike?"
        )
    return as_valid_weights([class_weight.get(label, 1.0) for label in labels], class_weight, who)


def loss_with_label_weights(
    loss: Loss, class_weight: Any, y: np.ndarray, who: str, sample_weight: np.ndarray | None = None
) -> Loss:
    """Return a copy of a loss with a weight for each value, 0 and 1, of each label.

    Parameters
    ----------
    loss : BinaryCrossEntropy or LogLoss
        The weights that it has are multiplied by the new ones.
    class_weight : sequence of dict of {0, 1} to float, or "balanced"
        A dict for each label. "balanced" for (sum of weights) / (2 * sum of the weights of the samples with
        this value), for each label by itself; 1 for a label that has the same value in all samples with a
        weight above 0.
    y : ndarray of shape (n_samples, n_labels)
        Labels of the training data, 0 and 1.
    who : str
        The estimator's class, for errors.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the training data, at least 0. None if all are 1.

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
    if sample_weight is None:
        positive = np.count_nonzero(y, axis=0)
        sums = np.array([len(y) - positive, positive])
    else:  # not the total minus the ones: the difference of sums rounds, and zeros of no weight must sum to 0
        sums = np.array([sample_weight @ (y == 0), sample_weight @ (y != 0)])
    if isinstance(class_weight, str):
        weights_of_zeros, weights_of_ones = balanced(sums, who)
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
    if not ((sums > 0) & (np.array([weights_of_zeros, weights_of_ones]) > 0)).any():
        raise ValueError(f"{who}: class_weight={class_weight!r} is 0 for all labels: nothing to train on.")
    weighted = copy.copy(loss)
    for name, weights in (("pos_weight", weights_of_ones), ("neg_weight", weights_of_zeros)):
        own = getattr(loss, name)
        setattr(weighted, name, tuple((weights * (1 if own is None else np.asarray(own))).tolist()))
    return weighted


def balanced(sums: np.ndarray, who: str) -> np.ndarray:
    """Return total / (n_classes * sum) for each class's sum of weights; 1 for a class whose sum is 0.

    A class whose sum is 0 is not among the n_classes: a sample of weight 0 is the same as none.

    Parameters
    ----------
    sums : ndarray of shape (n_classes,) or (n_classes, n_labels)
        Sums of the weights of each class's samples, or their number if all weights are 1. Each column is
        balanced by itself.
    who : str
        The estimator's class, for errors.

    Returns
    -------
    ndarray of float64, of the shape of sums

    Raises
    ------
    ValueError
        If the weights of a class are so small that the quotient overflows.

    Examples
    --------
    >>> balanced(np.array([1.0, 0.0, 3.0]), "MLPClassifier")
    array([2.        , 1.        , 0.66666667])
    """
    counts = sums > 0
    with np.errstate(over="ignore"):  # reported by the error
        weights = np.divide(
            sums.sum(axis=0), np.count_nonzero(counts, axis=0) * sums, out=np.ones(sums.shape), where=counts
        )
    if not np.isfinite(weights).all():
        raise ValueError(
            f"{who}: class_weight='balanced' needs sample weights whose sums for each class have finite "
            f"quotients, got sums from {sums[counts].min():g} to {sums.max():g}. Give the samples of the "
            "smallest weights weight 0, or class_weight as a dict."
        )
    return weights


def as_valid_weights(weights: list[float], class_weight: Any, who: str) -> np.ndarray:
    """Return weights as an array; raise an error if one is not finite or below 0."""
    array = np.array(weights, np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{who}: class_weight must be finite weights of at least 0, got {class_weight!r}.")
    return array
