"""Validation of inputs and targets, once for all batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.sparse import as_sparse_rows, is_sparse, require_finite_entries
from layernet.training.storage import stays_on_disk
from layernet.validation import FLOAT_TYPES, as_array, as_float_array, require_dense, require_finite


def check_inputs(network: Layer, X: Any, name: str) -> Any:
    """Return inputs as an array or as sparse rows, or raise an error if they are empty or not finite.

    Parameters
    ----------
    network : Layer
    X : array-like or sparse matrix of shape (n_samples, ...)
    name : str
        Name of `X` in errors.

    Returns
    -------
    ndarray or csr_array
        Of the network's type, or of a float type if it has none yet. A large array on disk keeps its type.
    """
    if is_sparse(X):
        with np.errstate(over="ignore"):
            inputs = as_sparse_rows(X, network.dtype, network.has_parameters, name)
        if inputs.shape[0] == 0:
            raise ValueError(f"{name} must have at least one sample, got the shape {inputs.shape}.")
        require_finite_entries(inputs, name)
        return inputs
    if stays_on_disk(X, network.dtype):
        inputs = np.asarray(X)
        # Of no rows: only the resulting type is needed.
        dtype = as_float_array(inputs[:0], network.dtype, network.has_parameters, name).dtype
    else:
        with np.errstate(over="ignore"):  # the error below names numbers that are too large for the type
            inputs = as_float_array(X, network.dtype, network.has_parameters, name)
        dtype = None
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"{name} must have at least one sample, got the shape {inputs.shape}.")
    require_finite(inputs, name, dtype)
    return inputs


def validate_inputs(network: Layer, inputs: Any) -> Any:
    """Validate the shape of checked inputs, and convert them to the type of a built network.

    Sparse rows stay sparse, and a large array on disk stays there.

    Raises
    ------
    ValueError
        If the shape differs from that for which the network was built.
    """
    dtype = network.dtype
    assert dtype is not None  # a built network has a type
    if is_sparse(inputs):
        network.validate_inputs(np.broadcast_to(dtype.type(0), inputs.shape))
        return inputs.astype(network.dtype, copy=False)
    if stays_on_disk(inputs, network.dtype):
        network.validate_inputs(np.broadcast_to(dtype.type(0), inputs.shape))  # takes no memory
        return inputs
    return network.validate_inputs(inputs)


def prepare_inputs(network: Layer, X: Any, name: str, random: np.random.Generator | None = None) -> Any:
    """Return inputs in the form that the network takes; build a network that is not built yet.

    Parameters
    ----------
    network : Layer
    X : array-like or sparse matrix of shape (n_samples, ...)
    name : str
        Name of `X` in errors.
    random : numpy.random.Generator, default=None
        Draws the initial parameters.

    Returns
    -------
    ndarray or csr_array
        Of the network's type; a large array on disk keeps its own.

    Raises
    ------
    ValueError, TypeError
        If `X` is not an array of finite numbers with at least one row, or has another shape than the network's
        inputs.
    """
    inputs = check_inputs(network, X, name)
    if network.input_shape is None:
        dtype = inputs.dtype if inputs.dtype in FLOAT_TYPES else np.dtype(np.float64)
        network.build(inputs.shape[1:], random, dtype)
    return validate_inputs(network, inputs)


def check_targets(network: Layer, loss: Loss, y: Any, n_samples: int, name: str) -> np.ndarray:
    """Return targets in the form that the loss takes, or raise an error unless each sample has one."""
    if y is None:
        raise ValueError(
            f"{name} is None, and training needs a target for each sample. An autoencoder's targets are its "
            "inputs: y=X."
        )
    require_dense(y, name)
    if as_array(y, name).ndim == 0:
        raise ValueError(f"{name} must have one target for each of {n_samples} samples, got {y!r} alone.")
    if len(y) != n_samples:
        raise ValueError(f"{name} must have one target for each of {n_samples} samples, got {len(y)}.")
    assert network.output_shape is not None  # the network is built
    assert network.dtype is not None
    return loss.prepare(y, network.output_shape, network.dtype)


def validate_batch_size(network: Layer, n_rows: int) -> None:
    """Raise an error if a layer cannot be trained on batches of `n_rows`."""
    for layer in network.walk():
        layer.validate_batch_size(n_rows)
