"""Data as the steps of training take them, dense or sparse, checked once for all batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.losses.loss import Loss, as_weights
from layernet.training.batches import batches
from layernet.validation import as_float_array, require_finite

EVALUATION_BATCH_SIZE = 1024


class TrainingData:
    """Inputs, targets and weights as the steps of training take them, checked once for all batches.

    Parameters
    ----------
    network : Layer
        Built with the shape and the type of the inputs if it is not built yet.
    loss : Loss
    X : array-like of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,) or None
    random : numpy.random.Generator or None
        To build the network with.
    """

    # A number for each row, for layers with noise; None counts the rows of a batch.
    rows: np.ndarray | None = None
    # Whether each batch divides by its own total weight: a weight then means less beside heavy ones.
    normalize_each_batch = False

    def __init__(self, network: Layer, loss: Loss, X, y, sample_weight, random):
        inputs = check_inputs(network, X, "X")
        if network.input_shape is None:
            network.build(inputs.shape[1:], random, inputs.dtype)
        if len(network.parameter_vector) == 0:
            raise ValueError(f"{network!r} has no parameters to train: add a Dense layer, for instance.")
        self.inputs = network.admit_inputs(inputs)
        self._add_targets(network, loss, y, sample_weight)

    @classmethod
    def of_sparse(cls, network: Layer, loss: Loss, X, y, sample_weight) -> TrainingData:
        """Data whose inputs are a sparse matrix: each batch makes its own rows dense, and no more.

        Parameters
        ----------
        network : Layer
            Built.
        X : scipy.sparse matrix of shape (n_samples, n_features), in CSR format
            Finite numbers.
        """
        data = cls.__new__(cls)
        data.inputs = X.astype(network.dtype, copy=False)
        data._add_targets(network, loss, y, sample_weight)
        return data

    def _add_targets(self, network, loss, y, sample_weight):
        self.n_samples = self.inputs.shape[0]
        self.targets = check_targets(network, loss, y, self.n_samples, "y")
        given = None if sample_weight is None else as_weights(sample_weight, self.n_samples)
        self.weights = loss.sample_weights(self.targets, given)
        self.mean_weight = 1.0 if self.weights is None else float(self.weights.mean())
        if not self.mean_weight > 0:
            raise ValueError("The sample weights (times the class weights) are all 0: nothing to train on.")

    def batch(self, rows):
        """Inputs, targets, weights, the normalizer and the numbers of some rows."""
        inputs, targets = dense_rows(self.inputs[rows]), self.targets[rows]
        numbers = None if self.rows is None else self.rows[rows]
        if self.weights is None:
            return inputs, targets, None, None, numbers
        normalizer = None if self.normalize_each_batch else len(inputs) * self.mean_weight
        return inputs, targets, self.weights[rows], normalizer, numbers


def outputs_in_blocks(
    network: Layer, inputs: Any, decode: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """What a network makes of many rows, dense or sparse, with memory for the values inside of one block.

    Parameters
    ----------
    network : Layer
    inputs : ndarray or sparse matrix of shape (n_samples, ...)
    decode : callable, default=None
        What to make of the outputs of each block; None leaves them.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """

    def of(rows):
        outputs = network.forward_pass(dense_rows(rows))
        return outputs if decode is None else decode(outputs)

    n_samples = inputs.shape[0]
    if n_samples <= EVALUATION_BATCH_SIZE:
        return of(inputs)
    return np.concatenate([of(inputs[rows]) for rows in batches(n_samples, EVALUATION_BATCH_SIZE)])


def dense_rows(inputs: Any) -> np.ndarray:
    """Rows of a sparse matrix as an array; an array as it is."""
    return inputs if isinstance(inputs, np.ndarray) else inputs.toarray()


def check_inputs(network: Layer, X: Any, name: str) -> np.ndarray:
    """Inputs as an array of finite numbers with at least one row."""
    inputs = as_float_array(X, network.dtype, network.has_parameters, name)
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"{name} must have at least one sample, got the shape {inputs.shape}.")
    require_finite(inputs, name)
    return inputs


def check_targets(network: Layer, loss: Loss, y: Any, n_samples: int, name: str) -> np.ndarray:
    """Targets as the loss takes them, one for each sample."""
    if len(y) != n_samples:
        raise ValueError(f"{name} must have one target for each of {n_samples} samples, got {len(y)}.")
    return loss.prepare(y, network.output_shape, network.dtype)
