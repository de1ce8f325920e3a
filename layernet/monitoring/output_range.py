"""Range of a network's outputs, and the lowest loss of outputs within a range."""

from __future__ import annotations

import copy

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.losses.loss import Loss

# Largest number of outputs that are optimized for the lowest loss.
MAX_NUMBERS = 2**18
# Bisection steps: the last interval is below a millionth of the first.
N_BISECTIONS = 24
# Larger logits do not change a loss.
LARGEST_LOGIT = 50.0
# Sizes of the numbers that are passed through the output activation. Activations are nonlinear between 0.01 and
# 100; an activation that still grows between the last two sizes is unbounded.
RANGE_PROBE_SIZES = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e4, 1e6)
UNBOUNDED_GROWTH = 10.0
ROWS_PER_SIZE = 64


def output_activation_of(network: Layer) -> list[Layer]:
    """Return the layers after the last one with parameters, which determine the range of the outputs."""
    layers: list[Layer] = []
    for layer in chain_of(network):
        layers = [] if layer.has_parameters else [*layers, layer]
    return layers


def range_of_outputs(network: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of each output of a network, over all inputs and parameters.

    It is measured by passing numbers of many sizes through the layers after the last one with parameters, and
    so includes activations that users wrote.

    Parameters
    ----------
    network : Layer
        Built; it is not changed.

    Returns
    -------
    low, high : ndarray of the outputs' shape
        Infinite without a bound.

    Examples
    --------
    >>> from layernet import Dense, ReLU, Sequential, Tanh
    >>> [end.round(3) for end in range_of_outputs(Sequential([Dense(1), Tanh()]).build(4))]
    [array([-1.]), array([1.])]
    >>> range_of_outputs(Sequential([Dense(1), ReLU()]).build(4))
    (array([0.]), array([inf]))
    """
    layers = copy.deepcopy(output_activation_of(network))
    shape = network.output_shape or ()
    if not layers:
        return np.full(shape, -np.inf), np.full(shape, np.inf)
    random = np.random.default_rng(0)
    lows, highs = [], []
    with np.errstate(all="ignore"):
        for size in RANGE_PROBE_SIZES:
            values = size * random.standard_normal((ROWS_PER_SIZE, *(layers[0].input_shape or ())))
            # Rows of one sign too: a layer that sums its units needs them to reach its bounds.
            values[::4], values[1::4] = np.abs(values[::4]), -np.abs(values[1::4])
            values = values.astype(network.dtype or np.float64)
            for layer in layers:
                values = layer.forward_pass(values)
            values = np.nan_to_num(values.astype(np.float64), nan=0.0)
            lows.append(values.min(axis=0))
            highs.append(values.max(axis=0))
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    # The range without the last size, to tell a bound from slow growth.
    low_before, high_before = np.min(lows[:-1], axis=0), np.max(highs[:-1], axis=0)
    low = np.where((low < 0) & (low < UNBOUNDED_GROWTH * low_before), -np.inf, low)
    high = np.where((high > 0) & (high > UNBOUNDED_GROWTH * high_before), np.inf, high)
    return low, high


def lowest_loss(
    loss: Loss, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, float] | None:
    """Return the lowest loss of outputs within a range, chosen for each row separately.

    It is 0 for most losses with unbounded outputs. It is higher for targets that are probabilities, for
    smoothed labels, and for targets outside the range. Candidates are the targets, their logarithms and log-
    odds, and the zero of the loss's derivative for each output, found by bisection.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape

    Returns
    -------
    tuple (mean, std) of two floats, or None
        Mean and standard deviation over the rows. The deviation is 0 if the lowest loss does not depend on the
        target, and large for counts. None if no loss is finite.

    Examples
    --------
    >>> from layernet import CrossEntropy, MeanSquaredError
    >>> lowest_loss(MeanSquaredError(), np.array([[0.5], [3.0]]), np.zeros(1), np.ones(1))
    (2.0, 2.0)
    >>> lowest_loss(CrossEntropy(), np.array([0, 1]), np.full(2, -2.0), np.full(2, 2.0))[0].__round__(3)
    0.018
    """
    numbers = targets.dtype.kind == "f"
    rows = (len(targets), *low.shape)
    dtype = targets.dtype if numbers else np.dtype(np.float64)

    def within(outputs: np.ndarray) -> np.ndarray:
        return np.clip(outputs, low, high).astype(dtype)

    with np.errstate(all="ignore"):
        candidates = [_by_bisection(loss, targets, rows, low, high, dtype)]
        if numbers and targets.shape == rows:
            free = (targets, np.log(targets), np.log(targets / (1 - targets)))
            candidates += [
                within(np.clip(each, -LARGEST_LOGIT, LARGEST_LOGIT) if each is not targets else each)
                for each in free
            ]
        found = [np.asarray(loss.losses(each, targets), np.float64) for each in candidates]
        best = min(
            (rows for rows in found if np.isfinite(rows).all()), key=lambda rows: rows.mean(), default=None
        )
    return None if best is None else (float(best.mean()), float(best.std()))


def _by_bisection(
    loss: Loss, targets: np.ndarray, rows: tuple[int, ...], low: np.ndarray, high: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """For each output separately, return the zero of the loss's derivative."""
    limit = LARGEST_LOGIT
    if targets.dtype.kind == "f":
        limit = max(limit, 2 * float(np.abs(targets).max(initial=0)))
    below = np.broadcast_to(np.clip(-limit, low, high), rows).astype(dtype)
    above = np.broadcast_to(np.clip(limit, low, high), rows).astype(dtype)
    for _ in range(N_BISECTIONS):
        middle = (below + above) / 2
        rises = loss.gradient(middle, targets) > 0
        below, above = np.where(rises, below, middle), np.where(rises, middle, above)
    return ((below + above) / 2).astype(dtype)
