"""Effect of the output activation: its bounds may keep outputs from better values, or keep them at a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.output_range import output_activation_of

# A smaller slope of the activation counts as flat, and blocks the gradient. A sigmoid that is not saturated has
# a slope of at least 0.01.
FLAT_SLOPE = 0.01
# An output is wrong for a row if the loss's gradient exceeds this fraction of its gradient at the bound.
STRONG_GRADIENT = 0.5
# Rows are inward if the loss decreases from the bound into the range. An output is stuck if it is wrong and
# flat for more than this share of its inward rows.
STUCK_SHARE = 0.5
# With fewer inward rows, the share is not reliable.
MIN_INWARD_ROWS = 3


@dataclass(frozen=True)
class OutputActivationEffect:
    """Effect of the output activation: the layers after the last one with parameters.

    Attributes
    ----------
    beyond_bound : float
        With all outputs at a bound: share of the outputs whose loss decreases beyond it.
    stuck_outputs : list of int
        Indices of the outputs that lie at a bound with slope 0, for most of the rows whose loss decreases off
        it.
    n_outputs : int
    """

    beyond_bound: float
    stuck_outputs: list[int]
    n_outputs: int


def effect_of_output_activation(
    network: Layer, loss: Loss, inputs: np.ndarray, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> OutputActivationEffect | None:
    """Compare the gradient of the loss with the slope of the output activation.

    Parameters
    ----------
    network : Layer
        A copy, in inference mode.
    loss : Loss
    inputs : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape
        Range of the outputs.

    Returns
    -------
    OutputActivationEffect or None
        None if the output activation is unbounded or not elementwise.

    Examples
    --------
    >>> from layernet import CrossEntropy, Dense, ReLU, Sequential
    >>> from layernet.monitoring.output_range import range_of_outputs
    >>> net = Sequential([Dense(2), ReLU()]).build(1, random_state=0)
    >>> net[0].weights, net[0].bias = [[1.0, 0.0]], [0.0, -1.0]
    >>> rows, classes = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 1, 1, 1])
    >>> effect_of_output_activation(net, CrossEntropy(), rows, classes, *range_of_outputs(net))
    OutputActivationEffect(beyond_bound=0.5, stuck_outputs=[1], n_outputs=2)
    """
    layers, chain = output_activation_of(network), list(chain_of(network))
    if not layers or not (np.isfinite(low).any() or np.isfinite(high).any()):
        return None
    values = inputs
    for layer in chain[: len(chain) - len(layers)]:
        values = layer.forward_pass(values)
    slopes = slopes_of(layers, values)
    if slopes is None:
        return None
    outputs = values
    for layer in layers:
        outputs = layer.forward_pass(outputs)
    loss_gradient = np.asarray(loss.gradient(outputs, targets), np.float64).reshape(len(outputs), -1)
    flat = np.abs(slopes).reshape(loss_gradient.shape) < FLAT_SLOPE
    beyond_bound = 0.0
    n_inward = n_blocked = np.zeros(loss_gradient.shape[1], int)
    for bounds, direction in ((low, 1), (high, -1)):
        if not np.isfinite(bounds).all():
            continue
        outputs_at_bound = np.broadcast_to(bounds, outputs.shape).astype(outputs.dtype)
        gradient_at_bound = np.asarray(loss.gradient(outputs_at_bound, targets), np.float64)
        # Positive where the loss decreases beyond the bound, negative where it decreases into the range.
        at_bound = direction * gradient_at_bound.reshape(loss_gradient.shape)
        beyond_bound = max(beyond_bound, float((at_bound > 0).mean()))
        inward = at_bound < 0
        wrong = direction * loss_gradient < STRONG_GRADIENT * at_bound
        n_inward = n_inward + inward.sum(axis=0)
        n_blocked = n_blocked + (inward & flat & wrong).sum(axis=0)
    stuck = np.flatnonzero((n_inward >= MIN_INWARD_ROWS) & (n_blocked > STUCK_SHARE * n_inward))
    return OutputActivationEffect(beyond_bound, stuck.tolist(), loss_gradient.shape[1])


def slopes_of(layers: list[Layer], inputs: np.ndarray) -> np.ndarray | None:
    """Return the derivative of each output with respect to its own input; None if layers mix units.

    Parameters
    ----------
    layers : list of Layer
        Consecutive layers without parameters.
    inputs : ndarray of shape (n_rows, ...)

    Returns
    -------
    ndarray of the inputs' shape, or None
    """
    records, values = [], inputs
    # The first row with one changed input: if other outputs change too, the layers mix units.
    changed = inputs[:1].copy()
    changed.flat[0] += 1
    for layer in layers:
        values, record = layer.record(values)
        records.append(record)
        changed = layer.forward_pass(changed)
    if values.size != inputs.size or not np.array_equal(values[:1].ravel()[1:], changed.ravel()[1:]):
        return None
    gradient = np.ones_like(values)
    for layer, record in zip(reversed(layers), reversed(records), strict=True):
        gradient = layer.backward_from(record, gradient)
    return np.asarray(gradient, np.float64)
