"""Contract of a loss: a number for each sample, and its gradient with respect to the outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.guards.completeness import Pass, require_both_passes
from layernet.guards.read_only import with_read_only_arguments
from layernet.layer import Layer
from layernet.representation import Configurable, is_of_the_package
from layernet.validation import as_float_array, require_dense, require_finite, require_number

FORWARD = Pass("formula", "losses", "record")
BACKWARD = Pass("gradient", "gradient", "gradient_from")

# Weights with a larger sum are scaled down.
LARGEST_TOTAL = 1e140


class Loss(Configurable):
    """Loss of each sample, from outputs and targets; base class of losses.

    A subclass defines `losses(outputs, targets)`, a number for each sample, and `gradient(outputs, targets)`,
    the derivative with respect to each output. A loss whose gradient reuses values of its losses defines
    `record` and `gradient_from` instead, as a layer does.

    `bind(targets)` returns a layer, the last one of a network:

        L = sum_i w_i losses_i / normalizer

    where the weights w_i are 1 and the normalizer is their sum, unless given.

    Attributes
    ----------
    output_kind : str
        Meaning of the outputs, in words: "logits", for instance.
    output_activation : callable or None
        Activation that the loss applies to the outputs, such as the softmax of logits. Training refuses a
        network that ends in a layer of the same function.

    Examples
    --------
    A loss of your own is one small class:

    >>> class LogCosh(Loss):
    ...     def losses(self, outputs, targets):
    ...         return np.log(np.cosh(outputs - targets)).mean(axis=1)
    ...     def gradient(self, outputs, targets):
    ...         return np.tanh(outputs - targets) / outputs.shape[1]
    >>> loss = LogCosh().bind([[0.0], [1.0]])
    >>> float(loss.forward_pass([[0.0], [1.0]])), loss.backward_pass([[0.0], [1.0]]).shape
    (0.0, (2, 1))
    """

    output_kind = "predictions"
    output_activation: Callable[[np.ndarray], np.ndarray] | None = None
    _is_abstract = True

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_abstract = abstract
        if not abstract:
            require_both_passes(cls, Loss, FORWARD, BACKWARD, plain_may_stay=True)
        if not is_of_the_package(cls):
            guard_formulas(cls)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the loss of each sample.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs)
        targets : ndarray
            As `prepare` returns them.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.record(outputs, targets)[0]

    def gradient(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the derivative of each sample's loss with respect to its outputs.

        Returns
        -------
        ndarray of the outputs' shape
        """
        return self.gradient_from(self.record(outputs, targets)[1], targets)

    def record(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, Any]:
        """Compute the loss of each sample and a record for the gradient."""
        return self.losses(outputs, targets), outputs

    def gradient_from(self, record: Any, targets: np.ndarray) -> np.ndarray:
        """Compute the gradient from a record."""
        return self.gradient(record, targets)

    def prepare(self, targets: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Convert targets to the form that the formulas expect, and check them.

        Parameters
        ----------
        targets : array-like of shape (n_samples, *output_shape)
            For a single output also of shape (n_samples,).
        output_shape : tuple of int
            Shape of the network's outputs, without the batch axis.
        dtype : float32 or float64
            The type of the outputs.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If the shape differs from that of the outputs, or a target is not finite or not allowed.
        """
        with np.errstate(over="ignore"):  # what is too large for the type is in the error
            targets = as_float_array(targets, dtype, True, f"targets of {type(self).__name__}")
        if output_shape in ((1,), ()) and targets.ndim in (1, 2) and targets.size == len(targets):
            targets = targets.reshape(len(targets), *output_shape)
        if targets.shape[1:] != output_shape:
            expected = ", ".join(["n_samples", *map(str, output_shape)])
            raise ValueError(
                f"{self!r} expects targets of shape ({expected}), like the network's outputs, "
                f"got {targets.shape}. Change the last layer's units or the targets."
            )
        require_finite(targets, f"targets of {type(self).__name__}")
        return targets

    def sample_weights(self, targets: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weight of each sample, or None for equal weights; class weights are multiplied in here."""
        return sample_weight

    def is_predicted(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return for each sample whether its class, or all its labels, are predicted; what `accuracy` averages.

        Outputs are taken for logits: with several columns and targets that are class numbers or probabilities,
        the largest in a row wins; otherwise an output above 0 predicts its label. A loss of other outputs, or
        of targets that are no classes, overrides this.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs)
        targets : ndarray
            As `prepare` returns them.

        Returns
        -------
        ndarray of shape (n_samples,), bool
        """
        return is_predicted_by_logits(outputs, targets)

    def bind(self, targets: Any, sample_weight: Any = None, normalizer: float | None = None) -> BoundLoss:
        """Return the layer that computes this loss for given targets.

        Parameters
        ----------
        targets : array-like of shape (n_samples, ...)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0; None for weights of 1.
        normalizer : float, default=None
            Divisor of the weighted sum; None for the total weight. With n_batch * (mean of all weights), a
            weight counts alike in every batch.

        Returns
        -------
        BoundLoss
        """
        return BoundLoss(self, targets, sample_weight, normalizer)


def guard_formulas(cls: type[Loss]) -> None:
    """Wrap the formulas that a user's class defines, so that outputs and targets are read-only."""
    # A loss may overwrite a record that it made itself; the default record is the outputs.
    has_own_record = cls.record is not Loss.record
    names = {
        **dict.fromkeys(("losses", "gradient", "record", "is_predicted"), ("outputs", "targets")),
        "gradient_from": ("targets",) if has_own_record else ("outputs", "targets"),
        "prepare": ("targets",),
        "sample_weights": ("targets", "sample_weight"),
    }
    for name in names.keys() & vars(cls).keys():
        first = 1 if name == "gradient_from" and has_own_record else 0
        setattr(cls, name, with_read_only_arguments(vars(cls)[name], names[name], first))


def is_predicted_by_logits(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return whether the class or labels of each sample are predicted by logits; see `Loss.is_predicted`."""
    if outputs.shape[1] > 1 and (targets.ndim == 1 or np.allclose(targets.sum(axis=1), 1)):
        classes = targets if targets.ndim == 1 else targets.argmax(axis=1)
        return outputs.argmax(axis=1) == classes
    return all_labels_match(outputs > 0, targets.reshape(outputs.shape) > 0.5)


def all_labels_match(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each sample whether all labels are predicted."""
    return (predicted == labels).reshape(len(labels), -1).all(axis=1)


class BoundLoss(Layer):
    """Loss with its targets: a layer whose output is one number.

    Parameters
    ----------
    loss : Loss
    targets : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,), default=None
    normalizer : float, default=None
        Divisor of the weighted sum; None for the total weight.

    Examples
    --------
    >>> from layernet import MeanSquaredError
    >>> loss = MeanSquaredError().bind([[1.0], [2.0]])
    >>> float(loss.forward_pass([[1.0], [4.0]]))
    2.0
    >>> loss.backward_pass([[1.0], [4.0]])
    array([[0.],
           [2.]])
    """

    _has_public_name = False

    def __init__(
        self, loss: Loss, targets: Any, sample_weight: Any = None, normalizer: float | None = None
    ) -> None:
        require_dense(targets, f"targets of {loss!r}")
        self.loss = loss
        self.targets = np.asarray(targets)
        if self.targets.ndim == 0:
            raise ValueError(f"targets of {loss!r} must be one for each sample, got {targets!r} alone.")
        self.sample_weight = None
        self.normalizer = require_number(self, "normalizer", normalizer, at_least=0, or_none=True)
        if sample_weight is not None:
            self.sample_weight, factor = bounded(as_weights(sample_weight, len(self.targets)))
            self.normalizer = None if self.normalizer is None else self.normalizer * factor

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return ()

    def forward_pass(self, outputs: np.ndarray) -> np.ndarray:
        targets, weights = self._of_batch(outputs)
        losses = self.loss.losses(outputs, targets)
        return weighted_sum(losses, weight_factors(weights, self.normalizer, len(outputs), outputs.dtype))

    def record(self, outputs: np.ndarray) -> tuple[np.ndarray, Any]:
        targets, weights = self._of_batch(outputs)
        losses, record = self.loss.record(outputs, targets)
        factors = weight_factors(weights, self.normalizer, len(outputs), outputs.dtype)
        return weighted_sum(losses, factors), (record, targets, factors, outputs.shape)

    def _of_batch(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the prepared targets and the weights of the samples."""
        if len(outputs) != len(self.targets):
            raise ValueError(
                f"{self.loss!r} was bound to {len(self.targets)} targets and got {len(outputs)} outputs. "
                "Bind it to the targets of this batch."
            )
        targets = self.loss.prepare(self.targets, outputs.shape[1:], outputs.dtype)
        return targets, self.loss.sample_weights(targets, self.sample_weight)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        return weighted_gradient(self.loss, *record) * grad_output


def weight_factors(
    weights: np.ndarray | None, normalizer: float | None, n_samples: int, dtype: np.dtype
) -> np.ndarray | float:
    """Return the factor of each sample's loss; one number for all if the weights are equal."""
    if weights is None:
        total = n_samples if normalizer is None else normalizer
        return float(1 / total) if total else 0.0  # a Python float keeps the type of arrays
    total = float(weights.sum()) if normalizer is None else normalizer
    return (weights / total if total else np.zeros_like(weights)).astype(dtype, copy=False)


def weighted_sum(losses: np.ndarray, factors: np.ndarray | float) -> np.ndarray:
    """Compute the loss of a batch from the losses of its samples."""
    if np.ndim(losses) != 1:
        raise ValueError(
            f"A loss's losses(outputs, targets) must be one number for each sample, got {np.shape(losses)}."
        )
    return weighted_rows(losses, factors).sum()


def weighted_gradient(
    loss: Loss, record: Any, targets: np.ndarray, factors: np.ndarray | float, shape: tuple[int, ...]
) -> np.ndarray:
    """Compute the gradient of the loss of a batch with respect to its outputs.

    Parameters
    ----------
    loss : Loss
    record : object
        From `loss.record`.
    targets : ndarray
        As `loss.prepare` returned them.
    factors : ndarray or float
        From `weight_factors`.
    shape : tuple of int
        Of the outputs.

    Returns
    -------
    ndarray of shape `shape`

    Raises
    ------
    ValueError
        If the gradient has another shape than the outputs; NumPy would broadcast it.
    """
    gradient = loss.gradient_from(record, targets)
    if np.shape(gradient) != shape:
        raise ValueError(
            f"The gradient of {loss!r} must have the shape of the outputs, {shape}, got {np.shape(gradient)}."
        )
    return weighted_rows(gradient, factors)


def weighted_rows(rows: np.ndarray, factors: np.ndarray | float) -> np.ndarray:
    """Multiply each sample's loss or gradient by its factor."""
    if isinstance(factors, float):
        return rows * factors
    factors = factors.reshape(-1, *[1] * (rows.ndim - 1))
    # A sample with factor 0 contributes 0 even if its loss is infinite: 0 * infinity would be NaN.
    return np.multiply(rows, factors, where=factors != 0, out=np.zeros(rows.shape, factors.dtype))


def mean_over_outputs(values: np.ndarray) -> np.ndarray:
    """Compute the mean over all outputs of each sample."""
    return values.reshape(len(values), count_outputs(values)).mean(axis=1)


def count_outputs(values: np.ndarray) -> int:
    """Return the number of outputs of each sample."""
    return math.prod(values.shape[1:])


def as_weights(sample_weight: Any, n_samples: int, name: str = "sample_weight") -> np.ndarray:
    """Convert sample weights to float64 and check them; `name` is the argument's, for errors.

    Raises
    ------
    ValueError
        If there is not one weight for each sample, or a weight is negative or not finite.
    """
    # In double precision, so that sums of weights are exact enough and do not overflow.
    weights = as_float_array(sample_weight, np.dtype(np.float64), True, name)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"{name} must have the shape ({n_samples},), one for each sample, got {weights.shape}."
        )
    require_finite(weights, name)
    if (weights < 0).any():
        raise ValueError(f"{name} must not be negative, got {weights.min()}.")
    return weights


def bounded(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Scale weights down to a sum of at most 1e140, so that sums and products of two weights do not overflow.

    Parameters
    ----------
    weights : ndarray of float64
        Finite, at least 0. Only their ratios matter, because sums are divided by the total weight.

    Returns
    -------
    weights : ndarray
        The same array if the sum is small enough.
    factor : float
        Factor of all weights: 1, or a power of 2, which causes no rounding.

    Examples
    --------
    >>> weights, factor = bounded(np.array([1e307, 3e307]))
    >>> float(weights[1] / weights[0]), float(weights.sum()) <= 1e140
    (3.0, True)
    """
    largest = float(weights.max(initial=0))
    limit = LARGEST_TOTAL / max(1, len(weights))
    if largest <= limit:
        return weights, 1.0
    factor = 2.0 ** -math.ceil(math.log2(largest) - math.log2(limit))
    return weights * factor, factor
