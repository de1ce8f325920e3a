"""Conversion of y to targets for training, and of outputs to predictions: labels, or numbers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from layernet.estimators.checks import require_in_range
from layernet.estimators.class_weights import loss_with_label_weights, weights_of_classes
from layernet.estimators.compatibility import AS_REPORTED
from layernet.layer import Layer
from layernet.layers.saturating import logistic
from layernet.layers.softmax import Softmax
from layernet.losses import BinaryCrossEntropy, CrossEntropy, HingeLoss, LogLoss, Loss, PoissonLoss
from layernet.losses.loss import bounded
from layernet.losses.names import find_loss

# The names of losses that estimators take. With more than two classes, "log_loss" stands for CrossEntropy.
CLASSIFIER_LOSSES = ("log_loss", "hinge", "cross_entropy", "binary_cross_entropy")
REGRESSOR_LOSSES = (
    *("squared_error", "poisson", "absolute_error", "mean_absolute_error", "mean_squared_error"),
    *("huber", "quantile"),
)


class ClassTargets:
    """Labels of samples: one of several classes, or a yes or no for each of several labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        All labels there are.
    loss : str or Loss
    label_smoothing : float, default=0.0
    who : str, default="MLPClassifier"
        For errors.
    exact : bool, default=False
        Whether the loss is reported as scikit-learn does.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    loss : Loss
        With the weights of labels.
    class_weights : ndarray of shape (n_classes,) or None
        The weight of each class.
    n_outputs : int
        How many outputs the network needs: one for two classes, unless the loss is a `CrossEntropy`.
    out_activation : {"softmax", "logistic", "identity"}
        What makes probabilities of the outputs; "identity" if the loss has none.
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
            kind = CrossEntropy if n_classes > 2 and not self.is_multilabel else LogLoss
            kind = AS_REPORTED[kind] if exact else kind
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
        one_output = n_classes == 2 and not self.is_multilabel and not isinstance(self.loss, CrossEntropy)
        self.n_outputs = 1 if one_output else n_classes
        self.are_numbers = one_output or takes_class_numbers
        if isinstance(self.loss, CrossEntropy):
            self.out_activation = "softmax"
        elif isinstance(self.loss, BinaryCrossEntropy):
            self.out_activation = "logistic"
        else:
            self.out_activation = "identity"

    def encode(self, y: Any, dtype: np.dtype) -> np.ndarray:
        """Targets as the loss takes them.

        Raises
        ------
        ValueError
            If there is a class in y that is not in `classes`.
        """
        y = np.asarray(y)
        if self.is_multilabel:
            self._check_labels(y)
            return y.astype(dtype)
        numbers = self._class_numbers(y)
        if self.are_numbers:
            return numbers if self.n_outputs > 1 else numbers.astype(dtype)
        rows = np.zeros((len(y), self.n_outputs), dtype)
        rows[np.arange(len(y)), numbers] = 1
        return rows

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most probable labels."""
        threshold = 0.0 if self._outputs_are_logits() else 0.5
        if self.is_multilabel:
            return (outputs > threshold).astype(int)
        if self.n_outputs == 1:
            return self.classes[(outputs[:, 0] > threshold).astype(int)]
        return self.classes[outputs.argmax(axis=1)]

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as `decision_function` has them: for two classes one number, with 0 as the threshold."""
        if self.n_outputs == 1:
            return outputs[:, 0] if self._outputs_are_logits() else outputs[:, 0] - 0.5
        if len(self.classes) == 2 and not self.is_multilabel:
            return outputs[:, 1] - outputs[:, 0]
        return outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """The probability of each class; for several labels, of each label."""
        if self.out_activation == "softmax":
            return Softmax().forward_pass(outputs)
        yes = logistic(outputs)
        if self.is_multilabel:
            return yes
        if self.n_outputs == 1:
            return np.hstack([1 - yes, yes])
        total = yes.sum(axis=1, keepdims=True)
        # Where every class says no to the last digit, none is more probable than another.
        return np.divide(yes, total, out=np.full_like(yes, 1 / self.n_outputs), where=total > 0)

    def score(self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """The accuracy: the part of samples whose labels were all found."""
        right = self.decode(outputs) == y
        return float(np.average(right.all(axis=1) if self.is_multilabel else right, weights=sample_weight))

    def with_class_weight(self, class_weight: Any, y: np.ndarray) -> ClassTargets:
        """The same targets with other weights: of each class, or of each label inside the loss.

        Parameters
        ----------
        class_weight : dict, list of dict, "balanced" or None
            As `MLPClassifier` takes it.
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the training data, which "balanced" counts.

        Returns
        -------
        ClassTargets
        """
        weighted = copy.copy(self)
        weighted.class_weights, weighted.loss = None, self.loss_without_weights
        if class_weight is not None and self.is_multilabel:
            self._check_labels(y)
            weighted.loss = loss_with_label_weights(weighted.loss, class_weight, y, self.who)
        elif class_weight is not None:
            weighted.class_weights, _ = bounded(weights_of_classes(class_weight, self.classes, y, self.who))
        return weighted

    def sample_weights(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """The weights of samples times those of their classes; None if all are 1."""
        if self.class_weights is None:
            return sample_weight
        of_classes = self.class_weights[self._class_numbers(y)]
        return of_classes if sample_weight is None else sample_weight * of_classes

    def _check_labels(self, y):
        if y.ndim != 2 or y.shape[1] != len(self.classes):
            raise ValueError(f"y must have {len(self.classes)} labels for each sample, got {y.shape}.")

    def _class_numbers(self, y):
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


class NumberTargets:
    """Numbers to predict, one or more for each sample.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    loss : str or Loss
    exact : bool, default=False
        Whether the loss is reported as scikit-learn does.
    target_scale : {"standard"} or None, default=None
        Whether the network's targets are (y - mean) / deviation, of the data that it is first trained on.

    Attributes
    ----------
    loss : Loss
    n_outputs : int
    out_activation : {"identity", "exp"}
        What makes predictions of the outputs.
    mean, deviation : ndarray of shape (n_outputs,), float64, or None
        None without `target_scale`, and before `learn_scale`.

    Raises
    ------
    ValueError
        If the loss is of counts, which cannot be scaled.
    """

    # Of estimators that were pickled before these were known, too.
    target_scale: str | None = None
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None

    def __init__(
        self, y: np.ndarray, loss: str | Loss, exact: bool = False, target_scale: str | None = None
    ) -> None:
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        self.loss = find_loss(loss)
        if exact and type(self.loss) in AS_REPORTED:
            self.loss = AS_REPORTED[type(self.loss)]()
        self.out_activation = "exp" if isinstance(self.loss, PoissonLoss) else "identity"
        self.target_scale = target_scale
        if target_scale is not None and self.out_activation == "exp":
            raise ValueError(
                f"target_scale={target_scale!r} does not go with {self.loss!r}, whose targets are counts: "
                "scaled ones would be below 0. Use target_scale=None."
            )

    def learn_scale(self, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Take the mean and the deviation of targets, unless they are not to be scaled, or are known already.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            What the network is trained on, without what is held out.
        sample_weight : ndarray of shape (n_samples,) or None
        """
        if self.target_scale is None or self.mean is not None:
            return
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        largest = abs(y).max(axis=0)
        largest[largest == 0] = 1
        y = y / largest  # so that no square is too large
        mean = np.average(y, axis=0, weights=sample_weight)
        deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=sample_weight))
        is_rounding = deviation <= 10 * np.finfo(np.float64).eps
        self.mean, self.deviation = mean * largest, np.where(is_rounding, 1.0, deviation * largest)

    def start_from(self, source: Any) -> None:
        """Take over the scale of an estimator whose parameters are copied.

        Raises
        ------
        ValueError
            If it trains on scaled targets and this one does not, or the other way round.
        """
        theirs = getattr(source, "_targets", None)
        if isinstance(source, Layer):
            return
        if getattr(theirs, "target_scale", None) != self.target_scale:
            raise ValueError(
                f"init_from was trained with target_scale={getattr(theirs, 'target_scale', None)!r}, and this "
                f"estimator has {self.target_scale!r}: its parameters would predict other numbers here. Give "
                "both the same target_scale."
            )
        if isinstance(theirs, NumberTargets):
            self.mean, self.deviation = theirs.mean, theirs.deviation

    def encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Targets as the loss takes them."""
        y = np.asarray(y)
        if self.mean is not None and y.size == len(y) * self.n_outputs:
            y = (y.reshape(len(y), self.n_outputs) - self.mean) / self.deviation
        require_in_range(y, dtype, "y")
        y = y.astype(dtype, copy=False)
        if y.size != len(y) * self.n_outputs:
            raise ValueError(f"y must have {self.n_outputs} numbers for each sample, got {y.shape}.")
        return y.reshape(len(y), self.n_outputs)

    def sample_weights(self, y: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """The weights of samples, as they are."""
        return sample_weight

    def outputs_of_the_mean(self, targets: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """The outputs that predict the mean of encoded targets; None if the targets do not vary."""
        if not (targets != targets[:1]).any():
            return None
        mean = np.average(targets, axis=0, weights=sample_weight)
        return np.log(mean) if self.out_activation == "exp" else mean

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The predicted numbers."""
        if self.out_activation == "exp":
            with np.errstate(over="ignore"):
                outputs = np.exp(outputs)
        if self.mean is not None:
            outputs = (outputs * self.deviation + self.mean).astype(outputs.dtype, copy=False)
        return outputs.ravel() if self.n_outputs == 1 else outputs

    def score(self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """R2, the part of the targets' variance that is explained; NaN where a prediction is not finite."""
        from sklearn.metrics import r2_score

        predicted = self.decode(outputs)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(y, predicted, sample_weight=sample_weight))
