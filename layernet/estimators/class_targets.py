"""Labels: conversion of y to targets, and of a classifier's outputs to labels and probabilities."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from layernet.estimators.class_weights import loss_with_label_weights, weights_of_classes
from layernet.estimators.scikit_learn_losses import SCIKIT_LEARN_LOSSES
from layernet.estimators.targets import Targets
from layernet.layers.saturating import logistic
from layernet.layers.softmax import Softmax
from layernet.losses import BinaryCrossEntropy, CrossEntropy, HingeLoss, LogLoss, Loss
from layernet.losses.loss import bounded
from layernet.losses.names import find_loss

# Names of losses that classifiers take. With more than two classes, "log_loss" stands for CrossEntropy.
CLASSIFIER_LOSSES = ("log_loss", "hinge", "cross_entropy", "binary_cross_entropy")


class ClassTargets(Targets):
    """One of several classes for each sample, or 0 and 1 for each of several labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Every class occurs in it.
    loss : str or Loss
    label_smoothing : float, default=0.0
    who : str, default="MLPClassifier"
        The estimator's class, for errors.
    exact : bool, default=False
        Whether the log loss has the value that scikit-learn reports.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    loss : Loss
        With the weights of labels, if a sample has several labels.
    class_weights : ndarray of shape (n_classes,) or None
        The weight of each class.
    n_outputs : int
        Number of outputs that the network needs: one for two classes, unless the loss is a `CrossEntropy`.
    out_activation : {"softmax", "logistic", "identity"}
        Function that makes probabilities of the outputs; "identity" if the loss gives none.
    """

    class_weights: np.ndarray | None = None

    def __init__(
        self,
        y: Any,
        loss: str | Loss,
        label_smoothing: float = 0.0,
        who: str = "MLPClassifier",
        exact: bool = False,
    ) -> None:
        check_classification_targets(y)
        self.is_multilabel = type_of_target(y).startswith("multilabel")
        if self.is_multilabel:
            self.classes = np.arange(y.shape[1])
            n_classes = y.shape[1]
        else:
            self.classes = np.unique(column_or_1d(y))
            n_classes = len(self.classes)
            if n_classes < 2:
                raise ValueError(
                    f"{who} needs samples of at least 2 classes in the data, but the data contains only one "
                    f"class: {self.classes[0]!r}"
                )
        if label_smoothing and loss != "log_loss":
            raise ValueError(
                f"{who}: label_smoothing={label_smoothing!r} needs loss='log_loss', got loss={loss!r}. Give it "
                "to the loss: CrossEntropy(label_smoothing=...)."
            )
        if loss == "log_loss":
            kind: type[Loss] = CrossEntropy if n_classes > 2 and not self.is_multilabel else LogLoss
            kind = SCIKIT_LEARN_LOSSES[kind] if exact else kind
            loss = kind(label_smoothing=label_smoothing)
        self.loss = self.loss_without_weights = find_loss(loss)
        self.who = who
        takes_class_numbers = isinstance(self.loss, (CrossEntropy, HingeLoss))
        if self.is_multilabel and takes_class_numbers:
            one_hot = (np.count_nonzero(np.asarray(y), axis=1) == 1).all()
            advice = (
                "These are the rows of a one-hot encoding: give class numbers, y.argmax(axis=1)."
                if one_hot
                else "Use loss='log_loss'."
            )
            raise ValueError(
                f"{who}: {self.loss!r} is for one class a sample, and y has {n_classes} labels a sample. "
                f"{advice}"
            )
        has_one_output = n_classes == 2 and not self.is_multilabel and not isinstance(self.loss, CrossEntropy)
        self.n_outputs = 1 if has_one_output else n_classes
        self.is_ordinal_encoded = has_one_output or takes_class_numbers  # otherwise one-hot
        if isinstance(self.loss, CrossEntropy):
            self.out_activation = "softmax"
        elif isinstance(self.loss, BinaryCrossEntropy):
            self.out_activation = "logistic"
        else:
            self.out_activation = "identity"

    def encode(self, y: Any, dtype: np.dtype) -> np.ndarray:
        """Return class numbers, or rows of 0 and 1, as the loss takes them.

        Raises
        ------
        ValueError
            If y has a class that is not in `classes`.
        """
        y = np.asarray(y)
        if self.is_multilabel:
            self._check_labels(y)
            return y.astype(dtype)
        numbers = self._class_numbers(y)
        if self.is_ordinal_encoded:
            return numbers if self.n_outputs > 1 else numbers.astype(dtype)
        one_hot = np.zeros((len(y), self.n_outputs), dtype)
        one_hot[np.arange(len(y)), numbers] = 1
        return one_hot

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return the most probable label of each sample; for several labels a sample, 0 and 1 for each."""
        threshold = 0.0 if self._outputs_are_logits() else 0.5
        if self.is_multilabel:
            return (outputs > threshold).astype(int)
        if self.n_outputs == 1:
            return self.classes[(outputs[:, 0] > threshold).astype(int)]
        return self.classes[outputs.argmax(axis=1)]

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """Return scores for `decision_function`: for two classes one number, whose threshold is 0."""
        if self.n_outputs == 1:
            return outputs[:, 0] if self._outputs_are_logits() else outputs[:, 0] - 0.5
        if len(self.classes) == 2 and not self.is_multilabel:
            return outputs[:, 1] - outputs[:, 0]
        return outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probability of each class; for several labels a sample, of each label."""
        if self.out_activation == "softmax":
            return Softmax().forward_pass(outputs)
        yes = logistic(outputs)
        if self.is_multilabel:
            return yes
        if self.n_outputs == 1:
            return np.hstack([1 - yes, yes])
        total = yes.sum(axis=1, keepdims=True)
        # If all probabilities of a row underflow to 0, all classes are equally probable.
        return np.divide(yes, total, out=np.full_like(yes, 1 / self.n_outputs), where=total > 0)

    def score(self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Return the accuracy: the share of samples whose labels are all predicted correctly."""
        is_correct = self.decode(outputs) == y
        if self.is_multilabel:
            is_correct = is_correct.all(axis=1)
        return float(np.average(is_correct, weights=sample_weight))

    def with_class_weight(
        self, class_weight: Any, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> ClassTargets:
        """Return the same targets with other weights: of the classes, or of the labels inside the loss.

        Parameters
        ----------
        class_weight : dict, list of dict, "balanced" or None
            As `MLPClassifier` takes it.
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the training data.
        sample_weight : ndarray of shape (n_samples,) or None
            Weights of the training data, which "balanced" sums; None if all are 1.

        Returns
        -------
        ClassTargets
        """
        weighted = copy.copy(self)
        weighted.class_weights, weighted.loss = None, self.loss_without_weights
        if class_weight is not None and self.is_multilabel:
            self._check_labels(y)
            weighted.loss = loss_with_label_weights(weighted.loss, class_weight, y, self.who, sample_weight)
        elif class_weight is not None:
            weights = weights_of_classes(class_weight, self.classes, y, self.who, sample_weight)
            weighted.class_weights, _ = bounded(weights)
        return weighted

    def sample_weights(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weights is None:
            return sample_weight
        of_classes = self.class_weights[self._class_numbers(y)]
        return of_classes if sample_weight is None else sample_weight * of_classes

    def _check_labels(self, y: np.ndarray) -> None:
        if y.ndim != 2 or y.shape[1] != len(self.classes):
            raise ValueError(f"y must have {len(self.classes)} labels for each sample, got {y.shape}.")

    def _class_numbers(self, y: Any) -> np.ndarray:
        y = column_or_1d(y)
        numbers = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        if not np.array_equal(self.classes[numbers], y):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has "
                f"{np.unique(y)}."
            )
        return numbers

    def _outputs_are_logits(self) -> bool:
        return self.out_activation != "identity" or isinstance(self.loss, HingeLoss)
