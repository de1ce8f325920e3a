"""Effect of an activation after the last weights on the outputs that a loss wants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.output_range import end_of

# An activation whose slope is less than this lets no gradient through: the smallest of a sigmoid that is not
# saturated is 0.01.
NO_SLOPE = 0.01
# A row is wrong if the loss pulls its output off a bound with so much of the force that it has at the bound.
STILL_PULLED = 0.5
# An output is stuck if it is so for more than this share of the rows that the loss would have off the bound.
MOSTLY = 0.5
# Rows from which on a share of them means something.
FEW_ROWS = 3


@dataclass(frozen=True)
class End:
    """What the layers after the last weights do to the outputs that a loss wants.

    Attributes
    ----------
    pushed : float
        The share of outputs that the loss would have beyond a bound, were all at that bound.
    stuck : list of int
        The outputs that, for most rows which the loss pulls off a bound, lie where the end has no slope.
    n_outputs : int
    """

    pushed: float
    stuck: list[int]
    n_outputs: int


def what_the_end_does(
    network: Layer, loss: Loss, inputs: np.ndarray, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> End | None:
    """Compare what the loss wants of outputs with what the bounded end of a network lets them do.

    Parameters
    ----------
    network : Layer
        A copy, in inference mode.
    loss : Loss
    inputs : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape
        The range of the outputs.

    Returns
    -------
    End or None
        None if the end has no bound, or does not treat each output on its own.

    Examples
    --------
    >>> from layernet import CrossEntropy, Dense, ReLU, Sequential
    >>> from layernet.monitoring.output_range import range_of_outputs
    >>> net = Sequential([Dense(2), ReLU()]).build(1, random_state=0)
    >>> net[0].weights, net[0].bias = [[1.0, 0.0]], [0.0, -1.0]
    >>> rows, classes = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 1, 1, 1])
    >>> what_the_end_does(net, CrossEntropy(), rows, classes, *range_of_outputs(net))
    End(pushed=0.5, stuck=[1], n_outputs=2)
    """
    end, chain = end_of(network), list(chain_of(network))
    if not end or not (np.isfinite(low).any() or np.isfinite(high).any()):
        return None
    values = inputs
    for layer in chain[: len(chain) - len(end)]:
        values = layer.forward_pass(values)
    slopes = slopes_of(end, values)
    if slopes is None:
        return None
    outputs = values
    for layer in end:
        outputs = layer.forward_pass(outputs)
    pull = np.asarray(loss.gradient(outputs, targets), np.float64).reshape(len(outputs), -1)
    flat = np.abs(slopes).reshape(pull.shape) < NO_SLOPE
    pushed, wanted, blocked = 0.0, 0, 0
    for bounds, direction in ((low, 1), (high, -1)):
        if not np.isfinite(bounds).all():
            continue
        everywhere = np.broadcast_to(bounds, outputs.shape).astype(outputs.dtype)
        at_bound = direction * np.asarray(loss.gradient(everywhere, targets), np.float64).reshape(pull.shape)
        pushed = max(pushed, float((at_bound > 0).mean()))
        inside = at_bound < 0
        wanted = wanted + inside.sum(axis=0)
        blocked = blocked + (inside & flat & (direction * pull < STILL_PULLED * at_bound)).sum(axis=0)
    stuck = np.flatnonzero((wanted >= FEW_ROWS) & (blocked > MOSTLY * wanted))
    return End(pushed, stuck.tolist(), pull.shape[1])


def slopes_of(end: list[Layer], inputs: np.ndarray) -> np.ndarray | None:
    """The derivative of each output by its own input; None if an output depends on others too.

    Parameters
    ----------
    end : list of Layer
        Without parameters, one after the other.
    inputs : ndarray of shape (n_rows, ...)

    Returns
    -------
    ndarray of the inputs' shape, or None
    """
    records, values = [], inputs
    other = inputs[:1].copy()
    other.flat[0] += 1
    for layer in end:
        values, record = layer.record(values)
        records.append(record)
        other = layer.forward_pass(other)
    if values.size != inputs.size or not np.array_equal(values[:1].ravel()[1:], other.ravel()[1:]):
        return None
    gradient = np.ones_like(values)
    for layer, record in zip(reversed(end), reversed(records), strict=True):
        gradient = layer.backward_from(record, gradient)
    return np.asarray(gradient, np.float64)
