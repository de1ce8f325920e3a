"""Normalization layers: BatchNorm, LayerNorm, RMSNorm."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from layernet.layer import Layer
from layernet.validation import require_number

# Number of recent batches whose largest counts as a full batch.
LAST_BATCHES = 20


class BatchNorm(Layer):
    """Normalize every feature to mean 0 and variance 1 over the batch, then scale and shift it.

    outputs = gamma n + beta with n = (inputs - mean) / sqrt(variance + epsilon). In training, mean and variance
    are those of the batch, over all axes but the last, in which each sample i has its share p_i: 1 / n_samples,
    or its part of the weight of the batch. In inference they are running averages.

    With H = G gamma: grad_inputs = (H_i - p_i sum of H - p_i n_i * sum of (H n)) / sqrt(variance + epsilon) in
    training, where the two sums come from the batch's own mean and variance, which depend on the inputs too;
    grad_inputs = H / sqrt(variance + epsilon) in inference. grad_gamma = sum of G n, grad_beta = sum of G.

    Parameters
    ----------
    momentum : float, default=0.9
        `end_step` moves the running averages by 1 - momentum for a full batch; see Notes. PyTorch's momentum is
        1 - this momentum.
    epsilon : float, default=1e-5
        Added to the variance, inside the root.

    Attributes
    ----------
    gamma, beta, grad_gamma, grad_beta : ndarray of shape (features,)
    running_mean, running_variance : ndarray of shape (features,)
        State. The variance is the one of the batch divided by n, not n - 1, as in the formula above.

    Raises
    ------
    ValueError
        If batches have one row, when training begins or, in a loop by hand, when a step ends. A row is its own
        mean, so all outputs would be beta. A batch of one row after larger batches, such as the last of an
        epoch, is no error.

    Notes
    -----
    Each batch moves the running averages in proportion to its share of a full batch:

        move = min(1, (1 - momentum) * share),   share = rows / full
        running_mean = running_mean + move * (mean - running_mean)
        running_variance = running_variance + move * (variance - seen * running_variance)
        seen = (1 - 1 / n) / (1 - 1 / n_full), at most 1.

    `rows` is the number of rows of the batch, or with sample weights its weight divided by the mean weight of
    all training data. `full` is the number of rows of the largest of the last 20 batches, or the training's
    batch size if that is larger. So a last batch of one row counts as one row, also where each call of
    `partial_fit` is a batch; and a training with smaller batches than the one before is soon measured by its
    own. `n` and `n_full` count rows times the positions of each row, where inputs have more axes. The variance
    of n numbers is on average 1 - 1 / n of the one that they are drawn from, hence `seen`: a batch of 1 number
    has the variance 0 and leaves the running variance as it is. A full batch has share = 1 and seen = 1.

    Examples
    --------
    >>> norm = BatchNorm()
    >>> _ = norm.build(1)
    >>> with norm.training_mode():
    ...     norm.forward_pass([[10.0], [20.0]]).round(3)
    array([[-1.],
           [ 1.]])
    >>> norm.end_step()
    >>> norm.running_mean
    array([1.5])

    References
    ----------
    Ioffe and Szegedy (2015), Batch normalization: accelerating deep network training by reducing internal
    covariate shift.
    """

    uses_batch_info = True
    _batch: BatchStatistics | None = None
    # Rows of the last batches; kernels write to it too. It is not part of the state: the next batches refill
    # it.
    _last_rows: np.ndarray | None = None

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.momentum = require_number(self, "momentum", momentum, at_least=0, at_most=1)
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        features = last_axis(self, input_shape)
        self.add_parameter("gamma", features, "ones", decay=False)
        self.add_parameter("beta", features, "zeros", decay=False)
        self.add_state("running_mean", np.zeros(features))
        self.add_state("running_variance", np.ones(features))
        self._last_rows = np.zeros((1, LAST_BATCHES))

    def validate_batch_size(self, n_rows: int) -> None:
        if n_rows * math.prod(self.input_shape[:-1]) == 1 and self._full_rows(n_rows) < 2:
            raise ValueError(
                f"{self!r} expects batches of at least 2 rows in training, got batches of 1 row "
                "(batch_size=1): one sample is its own mean, so the outputs would be beta whatever the inputs, "
                "and no layer before this one would learn. Use a larger batch_size, more rows in each call, or "
                "LayerNorm()."
            )

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.training and inputs.size > 0:
            batch_axes = tuple(range(inputs.ndim - 1))
            shares = self._shares(inputs)
            mean = exact_mean(inputs, batch_axes, shares=shares if shares.ndim else None)
            centered = inputs - mean
            variance = (centered * centered * shares).sum(axis=batch_axes)
            self._batch = BatchStatistics(mean, variance, len(inputs), self._rows_by_weight(inputs))
        else:
            shares = None
            centered, variance = inputs - self.running_mean, self.running_variance
        inverse_deviation = 1 / np.sqrt(variance + self.epsilon)
        normalized = centered * inverse_deviation
        return self.gamma * normalized + self.beta, (normalized, inverse_deviation, shares)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        normalized, inverse_deviation, shares = record
        batch_axes = tuple(range(grad_output.ndim - 1))
        self.grad_gamma = (grad_output * normalized).sum(axis=batch_axes)
        self.grad_beta = grad_output.sum(axis=batch_axes)
        grad_normalized = grad_output * self.gamma
        if shares is not None:
            along = (grad_normalized * normalized).sum(axis=batch_axes)
            grad_normalized = grad_normalized - shares * (
                grad_normalized.sum(axis=batch_axes) + normalized * along
            )
        return grad_normalized * inverse_deviation

    def _shares(self, inputs: np.ndarray) -> np.ndarray:
        """Return the share of each sample in the means; one number if all have the same weight."""
        size = inputs.size // inputs.shape[-1]
        if self.batch_weights is None or not self.batch_weights.any():
            return np.asarray(1 / size, inputs.dtype)
        shares = self.batch_weights / (self.batch_weights.sum() * (size // len(inputs)))
        return shares.astype(inputs.dtype).reshape(-1, *[1] * (inputs.ndim - 1))

    def _rows_by_weight(self, inputs: np.ndarray) -> float:
        """Return the weight of the batch divided by the mean weight; without a mean weight, its rows."""
        if self.batch_weights is None or self.batch_mean_weight is None:
            return len(inputs)
        return float(self.batch_weights.sum()) / self.batch_mean_weight

    def _full_rows(self, n_rows: int) -> float:
        """Return the rows of a full batch: the most of this batch, the last ones and the batch size."""
        known = [] if self._last_rows is None else self._last_rows[0]
        return float(max(self.batch_full_rows or 0, n_rows, *known))

    def end_step(self) -> None:
        if self._batch is None:
            return
        batch, self._batch = self._batch, None
        self.validate_batch_size(max(batch.n_rows, self.batch_full_rows or 0))
        if self._last_rows is None:  # in a pickle of an earlier version
            self._last_rows = np.zeros((1, LAST_BATCHES))
        self._last_rows[0, :-1] = self._last_rows[0, 1:]
        self._last_rows[0, -1] = batch.n_rows
        full = self._full_rows(batch.n_rows)
        n_positions = math.prod(self.input_shape[:-1])
        n, n_full = batch.n_rows * n_positions, full * n_positions
        seen = 1.0 if n >= n_full else (1 - 1 / n) / (1 - 1 / n_full)
        move = min(1.0, (1 - self.momentum) * batch.rows_by_weight / full)
        self.running_mean *= 1 - move
        self.running_mean += move * batch.mean
        self.running_variance *= 1 - move * seen
        self.running_variance += move * batch.variance


class BatchStatistics(NamedTuple):
    """Statistics of a batch that BatchNorm keeps until the step ends."""

    mean: np.ndarray
    variance: np.ndarray
    n_rows: int
    rows_by_weight: float


class LayerNorm(Layer):
    """Normalize every row to mean 0 and variance 1 over its features, then scale and shift each feature.

    outputs = gamma n + beta with n = (inputs - mean) / sqrt(variance + epsilon), mean and variance along
    the last axis. With H = G gamma: grad_inputs = (H - mean of H - n * mean of (H n)) / sqrt(variance +
    epsilon), means along the last axis; grad_gamma and grad_beta are the sums of G n and of G over all
    other axes.

    Parameters
    ----------
    epsilon : float, default=1e-5
        Inside the root.

    Attributes
    ----------
    gamma, beta, grad_gamma, grad_beta : ndarray of shape (features,)

    Examples
    --------
    >>> LayerNorm().forward_pass([[1.0, 3.0]]).round(3)
    array([[-1.,  1.]])

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer normalization.
    """

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        features = last_axis(self, input_shape)
        self.add_parameter("gamma", features, "ones", decay=False)
        self.add_parameter("beta", features, "zeros", decay=False)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        centered = inputs - exact_mean(inputs, -1, keepdims=True)
        variance = (centered * centered).mean(axis=-1, keepdims=True)
        inverse_deviation = 1 / np.sqrt(variance + self.epsilon)
        normalized = centered * inverse_deviation
        return self.gamma * normalized + self.beta, (normalized, inverse_deviation)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        normalized, inverse_deviation = record
        batch_axes = tuple(range(grad_output.ndim - 1))
        self.grad_gamma = (grad_output * normalized).sum(axis=batch_axes)
        self.grad_beta = grad_output.sum(axis=batch_axes)
        grad_normalized = grad_output * self.gamma
        along = (grad_normalized * normalized).mean(axis=-1, keepdims=True)
        centered = grad_normalized - grad_normalized.mean(axis=-1, keepdims=True)
        return (centered - normalized * along) * inverse_deviation


class RMSNorm(Layer):
    """Normalize every row to a root mean square of 1 over its features, then scale each feature.

    outputs = gamma n with n = inputs / sqrt(mean of inputs**2 + epsilon) along the last axis. With H = G gamma:
    grad_inputs = (H - n * mean of (H n)) / sqrt(mean of inputs**2 + epsilon); grad_gamma is the sum of G n over
    all other axes.

    Parameters
    ----------
    epsilon : float, default=1e-5
        Inside the root.

    Attributes
    ----------
    gamma, grad_gamma : ndarray of shape (features,)

    Examples
    --------
    >>> RMSNorm().forward_pass([[3.0, 3.0, -3.0]]).round(3)
    array([[ 1.,  1., -1.]])

    References
    ----------
    Zhang and Sennrich (2019), Root mean square layer normalization.
    """

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        self.add_parameter("gamma", last_axis(self, input_shape), "ones", decay=False)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        mean_square = (inputs * inputs).mean(axis=-1, keepdims=True)
        inverse_size = 1 / np.sqrt(mean_square + self.epsilon)
        normalized = inputs * inverse_size
        return self.gamma * normalized, (normalized, inverse_size)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        normalized, inverse_size = record
        batch_axes = tuple(range(grad_output.ndim - 1))
        self.grad_gamma = (grad_output * normalized).sum(axis=batch_axes)
        grad_normalized = grad_output * self.gamma
        along = (grad_normalized * normalized).mean(axis=-1, keepdims=True)
        return (grad_normalized - normalized * along) * inverse_size


def exact_mean(
    inputs: np.ndarray, axis: int | tuple[int, ...], keepdims: bool = False, shares: np.ndarray | None = None
) -> np.ndarray:
    """Return the mean, summed in double precision: the rounding of a float32 sum may exceed the variance."""
    if shares is not None:
        return (inputs * shares.astype(np.float64)).sum(axis=axis, keepdims=keepdims).astype(inputs.dtype)
    return inputs.mean(axis=axis, dtype=np.float64, keepdims=keepdims).astype(inputs.dtype, copy=False)


def last_axis(layer: Layer, input_shape: tuple[int, ...]) -> int:
    """Return the number of features; raise a ValueError if there is no axis of features."""
    if not input_shape:
        raise ValueError(
            f"{layer!r} expects inputs of shape (n_samples, ..., features), got one number a sample. "
            "Use inputs.reshape(-1, 1)."
        )
    return input_shape[-1]
