"""Losses for classes and labels: CrossEntropy, BinaryCrossEntropy, HingeLoss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from layernet.layers.saturating import logistic
from layernet.layers.softmax import shifted_rows, softmax
from layernet.losses.loss import Loss, all_labels_match, bounded, count_outputs, mean_over_outputs
from layernet.validation import require_number

# Logits in a block of rows, for losses of many rows and classes: 8 MB of float64.
NUMBERS_IN_A_BLOCK = 2**20


class CrossEntropy(Loss):
    """Cross-entropy between targets and the softmax of the outputs, in nats; outputs are logits.

    With p = softmax(outputs) and rows t of probabilities of the classes,

        loss = -sum_k t_k log p_k = log sum_k exp(outputs_k) - sum_k t_k outputs_k,
        d loss / d outputs_k = p_k - t_k.

    A class number c stands for t_k = 1[k = c]; label smoothing replaces t by (1 - s) t + s / n_classes. An
    output of -inf masks a class: p_k = 0, and the loss is infinite only where t_k > 0.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        s in the formula, at least 0 and less than 1 (Szegedy et al., 2016).
    class_weight : sequence of float or dict of int to float, default=None
        A weight for each class, multiplied into the samples' weights: sum_k t_k class_weight_k before
        smoothing. A class that a dict leaves out weighs 1.

    Examples
    --------
    >>> loss = CrossEntropy().bind([0, 1])
    >>> float(loss.forward_pass([[0.0, 0.0], [0.0, 0.0]]).round(6))
    0.693147
    >>> loss.backward_pass([[0.0, 0.0], [0.0, 0.0]])
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])

    References
    ----------
    Bridle (1990), Probabilistic interpretation of feedforward classification network outputs.
    """

    output_kind = "logits"
    output_activation = staticmethod(softmax)

    def __init__(
        self, label_smoothing: float = 0.0, class_weight: Sequence[float] | Mapping[int, float] | None = None
    ) -> None:
        self.label_smoothing = require_number(self, "label_smoothing", label_smoothing, at_least=0, below=1)
        self.class_weight = class_weight

    def prepare(self, targets: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return class numbers of shape (n_samples,), or probabilities of shape (n_samples, n_classes)."""
        targets = np.asarray(targets)
        if len(output_shape) != 1:
            raise ValueError(
                f"{self!r} expects outputs of shape (n_samples, n_classes), got rows of {output_shape}."
            )
        self._check_class_weight(output_shape[0])
        if targets.ndim == 1:
            return as_class_numbers(targets, output_shape[0], self)
        refuse_column(targets, output_shape[0], self)
        targets = super().prepare(targets, output_shape, dtype)
        if (targets < 0).any() or (np.abs(targets.sum(axis=1) - 1) > 1e-4).any():
            raise ValueError(
                f"{self!r} expects rows of probabilities that sum to 1, or class numbers in one dimension."
            )
        return targets

    def sample_weights(self, targets: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        if targets.ndim == 1:
            weights = self._class_weights(int(targets.max(initial=0)) + 1)[targets]
        else:
            weights = targets @ self._class_weights(targets.shape[1])
        return weights if sample_weight is None else weights * sample_weight

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return losses_in_blocks(self, outputs, targets)

    def record(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, Any]:
        shifted = shifted_rows(outputs)
        target_logits = self._mean_by_targets(shifted, targets)
        exponentials = np.exp(shifted, out=shifted)
        total = exponentials.sum(axis=1, keepdims=True)
        losses = np.log(total[:, 0]) - target_logits
        exponentials /= total
        return losses, exponentials

    def gradient_from(self, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
        if targets.ndim == 2:
            return probabilities - self._smoothed(targets)
        gradient = probabilities.copy()
        if self.label_smoothing:
            gradient -= self.label_smoothing / gradient.shape[1]
        # Flat indices take a third of the time of gradient[rows, targets] -= ...
        indices = targets + np.arange(0, gradient.size, gradient.shape[1])
        gradient.put(indices, gradient.take(indices) - (1 - self.label_smoothing))
        return gradient

    def is_predicted(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return for each row whether the largest logit is that of its class, or of its most probable class."""
        return outputs.argmax(axis=1) == (targets if targets.ndim == 1 else targets.argmax(axis=1))

    def _mean_by_targets(self, values: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return sum_k t_k values_k for each row, with smoothed t and 0 * infinity = 0."""
        if targets.ndim == 2:
            return products_of_rows(self._smoothed(targets), values)
        class_values = values[np.arange(len(targets)), targets]
        if not self.label_smoothing:
            return class_values
        return (1 - self.label_smoothing) * class_values + self.label_smoothing * values.mean(axis=1)

    def _smoothed(self, targets: np.ndarray) -> np.ndarray:
        if not self.label_smoothing:
            return targets
        return (1 - self.label_smoothing) * targets + self.label_smoothing / targets.shape[1]

    def _class_weights(self, n_classes: int) -> np.ndarray:
        if isinstance(self.class_weight, Mapping):
            weights = np.array([self.class_weight.get(label, 1) for label in range(n_classes)], float)
        else:
            weights = np.asarray(self.class_weight, float)
        return bounded(weights)[0] if np.isfinite(weights).all() else weights

    def _check_class_weight(self, n_classes: int) -> None:
        if self.class_weight is None:
            return
        if isinstance(self.class_weight, Mapping):
            fits = self.class_weight.keys() <= set(range(n_classes))
        else:
            fits = np.shape(self.class_weight) == (n_classes,)
        weights = self._class_weights(n_classes) if fits else np.empty(0)
        if not fits or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(
                f"{self!r}: class_weight must give each of {n_classes} classes, numbered from 0, a finite "
                "weight of at least 0."
            )


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy of labels, in nats; outputs are logits, one for each label.

    With p = 1 / (1 + exp(-z)) for the output z and the target t between 0 and 1,

        loss = -t log p - (1 - t) log(1 - p) = log(1 + exp(z)) - t z,   d loss / dz = p - t,

    averaged over the labels of a sample (multilabel); `LogLoss` sums over them. With weights v and w of the
    two terms,

        loss = -v t log p - w (1 - t) log(1 - p),   d loss / dz = (v t + w (1 - t)) p - v t.

    Parameters
    ----------
    pos_weight, neg_weight : float or sequence of float, default=None
        v and w in the formula, for all labels or for each: the weights where a label is 1 and where it is 0. At
        least 0; None for 1. pos_weight = (number of zeros) / (number of ones) balances a rare label.

    Examples
    --------
    >>> loss = BinaryCrossEntropy().bind([1, 0])
    >>> float(loss.forward_pass([[1e4], [-1e4]]))
    0.0
    >>> loss = BinaryCrossEntropy(pos_weight=[1, 9]).bind([[1, 1], [0, 0]])
    >>> loss.backward_pass([[0.0, 0.0], [0.0, 0.0]])
    array([[-0.125, -1.125],
           [ 0.125,  0.125]])
    """

    output_kind = "logits"
    output_activation = staticmethod(logistic)

    # For subclasses whose constructor does not call this one.
    pos_weight: float | tuple[float, ...] | None = None
    neg_weight: float | tuple[float, ...] | None = None

    def __init__(
        self,
        pos_weight: float | Sequence[float] | None = None,
        neg_weight: float | Sequence[float] | None = None,
    ) -> None:
        self.pos_weight = as_label_weights(self, "pos_weight", pos_weight)
        self.neg_weight = as_label_weights(self, "neg_weight", neg_weight)

    def prepare(self, targets: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return labels of the outputs' shape, between 0 and 1."""
        for name in ("pos_weight", "neg_weight"):
            weights = getattr(self, name)
            if isinstance(weights, tuple) and output_shape != (len(weights),):
                raise ValueError(
                    f"{self!r}: {name} must be one number or one for each label, got {len(weights)} numbers "
                    f"for rows of {output_shape}."
                )
        targets = super().prepare(targets, output_shape, dtype)
        if ((targets < 0) | (targets > 1)).any():
            raise ValueError(f"{self!r} expects targets between 0 and 1, got {range_of(targets)}.")
        return targets

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return mean_over_outputs(label_losses(outputs, *self._term_weights(targets)))

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        positive, total = self._term_weights(targets)
        return (total * logistic(outputs) - positive) / count_outputs(outputs)

    def _term_weights(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray | int]:
        """Return v t and v t + w (1 - t); the second is 1 without weights."""
        if self.pos_weight is None and self.neg_weight is None:
            return targets, 1
        v, w = (
            np.asarray(1 if weight is None else weight, targets.dtype)
            for weight in (self.pos_weight, self.neg_weight)
        )
        positive = v * targets
        return positive, positive + w * (1 - targets)

    def is_predicted(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return for each row whether its logits are above 0 exactly where its labels are above 1/2."""
        return all_labels_match(outputs > 0, targets > 0.5)


class HingeLoss(Loss):
    """Hinge loss: the amount by which the class's score misses its margin, as in support vector machines.

    For outputs s and the class c of n >= 2 classes (Weston and Watkins, 1999),

        loss = sum over k != c of max(0, s_k - s_c + margin);

    d loss / d s_k = 1[s_k - s_c + margin > 0] for k != c, and d loss / d s_c is minus the sum of these. With a
    single output s and targets of 1 and -1 (or 1 and 0), loss = max(0, margin - target * s) (Cortes and Vapnik,
    1995).

    Parameters
    ----------
    margin : float, default=1.0
        Greater than 0.

    Examples
    --------
    >>> float(HingeLoss().bind([1]).forward_pass([[0.0, 0.5, 0.0]]))
    1.0
    """

    output_kind = "scores of any sign"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = require_number(self, "margin", margin, above=0)

    def prepare(self, targets: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return class numbers of shape (n_samples,); for a single output -1 and 1, of shape (n_samples, 1)."""
        if output_shape == (1,):
            targets = super().prepare(targets, output_shape, dtype)
            if not np.isin(targets, (-1, 0, 1)).all() or ((targets == 0).any() and (targets == -1).any()):
                raise ValueError(f"{self!r} with one output expects targets of -1 and 1, or of 0 and 1.")
            return np.where(targets > 0, 1, -1).astype(dtype)
        if len(output_shape) == 1:
            refuse_column(np.asarray(targets), output_shape[0], self)
        if len(output_shape) != 1 or np.ndim(targets) != 1:
            raise ValueError(
                f"{self!r} expects class numbers of shape (n_samples,) and outputs of shape "
                f"(n_samples, n_classes), got {np.shape(targets)} and rows of {output_shape}. Class numbers of "
                "the rows of a one-hot encoding are y.argmax(axis=1)."
            )
        return as_class_numbers(np.asarray(targets), output_shape[0], self)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return losses_in_blocks(self, outputs, targets)

    def record(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, Any]:
        if targets.ndim == 2:
            slack = self.margin - targets * outputs
            return np.maximum(slack, 0)[:, 0], -targets * (slack > 0)
        rows = np.arange(len(outputs))
        with np.errstate(invalid="ignore"):  # infinity - infinity; slack of the class itself is set to 0 below
            slack = outputs - outputs[rows, targets][:, None] + self.margin
        slack[rows, targets] = 0
        gradient = (slack > 0).astype(outputs.dtype)
        gradient[rows, targets] = -gradient.sum(axis=1)
        return np.maximum(slack, 0).sum(axis=1), gradient

    def gradient_from(self, record: Any, targets: np.ndarray) -> np.ndarray:
        return record

    def is_predicted(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return for each row whether its class has the largest score, or its score the sign of the target."""
        if targets.ndim == 2:
            return all_labels_match(outputs > 0, targets > 0)
        return outputs.argmax(axis=1) == targets


def as_label_weights(loss: Loss, name: str, value: Any) -> float | tuple[float, ...] | None:
    """Convert weights of labels to a number or a tuple of numbers, finite and at least 0; None stays None."""
    if value is None or np.ndim(value) == 0:
        return require_number(loss, name, value, at_least=0, or_none=True)
    if np.ndim(value) != 1 or len(value) == 0:
        raise ValueError(
            f"{type(loss).__name__}: {name} must be one number or one for each label, got {value!r}."
        )
    return tuple(require_number(loss, name, each, at_least=0) for each in value)


def losses_in_blocks(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the loss of each sample in blocks of rows, by a `record` that treats rows independently."""
    n_rows = max(1, NUMBERS_IN_A_BLOCK // outputs.shape[1])
    blocks = [slice(start, start + n_rows) for start in range(0, max(1, len(outputs)), n_rows)]
    return np.concatenate([loss.record(outputs[rows], targets[rows])[0] for rows in blocks])


def label_losses(outputs: np.ndarray, positive: np.ndarray, total: np.ndarray | int) -> np.ndarray:
    """Compute total * log(1 + exp(z)) - positive * z for each output z; 0 or infinity where z is infinite."""
    with np.errstate(invalid="ignore"):
        losses = total * np.logaddexp(outputs, 0) - positive * outputs
    infinite = np.isinf(outputs)
    if infinite.any():
        opposite_weight = np.where(outputs > 0, total - positive, positive)
        losses = np.where(infinite, np.where(opposite_weight > 0, np.inf, 0), losses)
    return losses.astype(outputs.dtype, copy=False)


def products_of_rows(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Compute sum_k w_k v_k for each row, with 0 * infinity = 0."""
    with np.errstate(invalid="ignore"):
        sums = np.vecdot(weights, values)
    if np.isnan(sums).any():
        sums = np.multiply(weights, values, where=weights != 0, out=np.zeros_like(values)).sum(axis=1)
    return sums


def refuse_column(targets: np.ndarray, n_classes: int, loss: Loss) -> None:
    """Raise a ValueError for class numbers in a column: one dimension is expected."""
    if targets.ndim == 2 and targets.shape[1] == 1 and n_classes > 1:
        raise ValueError(
            f"{loss!r} expects class numbers of shape (n_samples,), got {targets.shape}, a column. "
            "Use y.ravel()."
        )


def as_class_numbers(targets: np.ndarray, n_classes: int, loss: Loss) -> np.ndarray:
    """Convert class numbers to integers and check their range."""
    if targets.dtype.kind not in "biu":
        whole = targets.dtype.kind == "f" and np.isfinite(targets).all() and (targets == targets.round()).all()
        if not whole:
            raise ValueError(
                f"{loss!r} expects class numbers 0, 1, 2, ..., got targets of type {targets.dtype} that are "
                "not whole numbers. Number the classes: np.unique(y, return_inverse=True)."
            )
    if targets.size and not 0 <= targets.min() <= targets.max() < n_classes:
        raise ValueError(
            f"{loss!r} expects classes from 0 to {n_classes - 1}, one for each output of the network, got "
            f"{range_of(targets)}. Number the classes from 0, or change the last layer's units."
        )
    return targets.astype(np.intp)


def range_of(targets: np.ndarray) -> str:
    """Return the range of targets in words, or their common value."""
    first, last = targets.min(), targets.max()
    return f"{first}" if first == last else f"{first} to {last}"
