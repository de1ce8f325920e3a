"""Evaluation: the loss and the metrics of a network on data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from layernet.engine.choice import check_engine
from layernet.engine.inference import InferencePlans
from layernet.hints import FIT_HINTS, with_argument_hints
from layernet.layer import Layer
from layernet.losses.loss import Loss, as_weights
from layernet.losses.names import find_loss
from layernet.sparse import is_sparse
from layernet.training.data_validation import check_targets, prepare_inputs
from layernet.training.metrics import Metric, as_metrics, value_of
from layernet.training.outputs import outputs_in_blocks


@with_argument_hints(FIT_HINTS)
def evaluate(
    network: Layer,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    loss: str | Loss,
    metrics: Any = (),
    engine: str = "auto",
) -> dict[str, float]:
    """Return the loss and metrics of a network on data, in inference mode.

    Parameters
    ----------
    network : Layer
        Built.
    X : array-like or sparse matrix of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
        Targets in the form that the loss takes.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the loss. Metrics do not use them.
    loss : str or Loss
    metrics : str, callable, iterable of these, or dict of str to callable, default=()
        As in `layernet.training.fit`.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        As in `layernet.training.fit`.

    Returns
    -------
    dict of str to float
        The loss, under `"loss"`, and the metrics by name. A metric that returns an array has an array.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """
    loss = find_loss(loss)
    metrics = as_metrics(metrics, loss)
    check_engine(engine)
    outputs = outputs_in_blocks(network, X if is_sparse(X) else np.asarray(X), engine=engine)
    return evaluate_outputs(outputs, y, sample_weight, loss, metrics)


def evaluate_outputs(
    outputs: np.ndarray, y: Any, sample_weight: Any, loss: Loss, metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    """Return the loss and metrics of the outputs of a network.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,) or None
    loss : Loss
    metrics : dict of str to callable

    Returns
    -------
    dict of str to float or ndarray
    """
    values: dict[str, Any] = {"loss": float(loss.bind(y, sample_weight).forward_pass(outputs))}
    targets = loss.prepare(y, outputs.shape[1:], outputs.dtype)
    return values | {name: value_of(name, metric, targets, outputs) for name, metric in metrics.items()}


def prepare_validation_data(network: Layer, loss: Loss, validation_data: Any) -> tuple[Any, Any, Any]:
    """Validation data as (inputs, targets, weights), checked before the first step.

    Parameters
    ----------
    network : Layer
        Built.
    loss : Loss
    validation_data : tuple (X, y) or (X, y, sample_weight)

    Returns
    -------
    inputs : ndarray or csr_array
    targets : array-like
        As given; `loss.prepare` takes them.
    weights : ndarray or None

    Raises
    ------
    ValueError, TypeError
        If the data do not fit the network or the loss.
    """
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError("validation_data must be a tuple (X, y) or (X, y, sample_weight).")
    X, y, weights = validation_data if len(validation_data) == 3 else (*validation_data, None)
    inputs = prepare_inputs(network, X, "X of validation_data")
    n_samples = inputs.shape[0]
    check_targets(network, loss, y, n_samples, "y of validation_data")
    return inputs, y, None if weights is None else as_weights(weights, n_samples)


def validation_columns(
    network: Layer,
    loss: Loss,
    metrics: Mapping[str, Metric],
    validation: tuple[Any, Any, Any],
    engine: str,
    plans: InferencePlans,
) -> dict[str, Any]:
    """Return the loss and metrics on validation data, by the names of their columns in the history.

    Parameters
    ----------
    network : Layer
    loss : Loss
    metrics : dict of str to callable
    validation : tuple (inputs, targets, weights)
        From `prepare_validation_data`.
    engine : str
        As in `outputs_in_blocks`.
    plans : InferencePlans
        Plans of the network, which keep their memory between epochs.

    Returns
    -------
    dict of str to float or ndarray
    """
    inputs, targets, weights = validation
    outputs = outputs_in_blocks(network, inputs, engine=engine, plans=plans)
    values = evaluate_outputs(outputs, targets, weights, loss, metrics)
    return {f"val_{name}": value for name, value in values.items()}
