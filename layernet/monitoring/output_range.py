"""The reach of a network: the range of its outputs, and the lowest loss within a range."""

from __future__ import annotations

import copy

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.losses.loss import Loss

# Numbers of outputs that the lowest loss is looked for with.
MOST_NUMBERS = 2**18
# Halvings of an interval: its end is then a millionth of it, or less.
HALVINGS = 24
# Beyond this logits change no loss.
FAR = 50.0
# The sizes of numbers that are passed through the end of a network. Activations bend between 0.01 and 100; one
# that still grows from the last size but one to the last has no end.
SIZES = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e4, 1e6)
GROWS = 10.0
ROWS_OF_A_SIZE = 64


def end_of(network: Layer) -> list[Layer]:
    """The layers after the last one with parameters: they say which outputs there can be."""
    end: list[Layer] = []
    for layer in chain_of(network):
        end = [] if layer.has_parameters else [*end, layer]
    return end


def range_of_outputs(network: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Between which numbers each output of a network lies, whatever its inputs and parameters are.

    Found by passing numbers of all sizes through the layers after the last one with parameters, so that it
    holds for an activation that somebody wrote as well.

    Parameters
    ----------
    network : Layer
        Built; copies are tried.

    Returns
    -------
    low, high : ndarray of the outputs' shape
        Infinite where there is no end.

    Examples
    --------
    >>> from layernet import Dense, ReLU, Sequential, Tanh
    >>> [end.round(3) for end in range_of_outputs(Sequential([Dense(1), Tanh()]).build(4))]
    [array([-1.]), array([1.])]
    >>> range_of_outputs(Sequential([Dense(1), ReLU()]).build(4))
    (array([0.]), array([inf]))
    """
    end = copy.deepcopy(end_of(network))
    shape = network.output_shape
    if not end:
        return np.full(shape, -np.inf), np.full(shape, np.inf)
    random = np.random.default_rng(0)
    lows, highs = [], []
    with np.errstate(all="ignore"):
        for size in SIZES:
            values = size * random.standard_normal((ROWS_OF_A_SIZE, *end[0].input_shape))
            # All of one sign as well: what adds up all units needs it to come to its ends.
            values[::4], values[1::4] = np.abs(values[::4]), -np.abs(values[1::4])
            values = values.astype(network.dtype)
            for layer in end:
                values = layer.forward_pass(values)
            values = np.nan_to_num(values.astype(np.float64), nan=0.0)
            lows.append(values.min(axis=0))
            highs.append(values.max(axis=0))
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    # The last size but one says how far it goes without the last.
    low_before, high_before = np.min(lows[:-1], axis=0), np.max(highs[:-1], axis=0)
    low = np.where((low < 0) & (low < GROWS * low_before), -np.inf, low)
    high = np.where((high > 0) & (high > GROWS * high_before), np.inf, high)
    return low, high


def lowest_loss(
    loss: Loss, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, float] | None:
    """The loss of the best outputs found that are free for each row, but lie in a range.

    It is 0 for most losses where all outputs can be had. It is more for targets that are probabilities, for
    smoothed labels, and for outputs that cannot come near the targets. Tried are the targets, their logarithms
    and log-odds, and what bisection finds for each output by the sign of the loss's derivative.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape

    Returns
    -------
    tuple (mean, deviation) of two floats, or None
        Over the rows. The deviation is 0 where the lowest loss does not depend on the target, and large for
        counts. None if no loss is finite.

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

    def within(outputs):
        return np.clip(outputs, low, high).astype(dtype)

    with np.errstate(all="ignore"):
        candidates = [_by_bisection(loss, targets, rows, low, high, dtype)]
        if numbers and targets.shape == rows:
            free = (targets, np.log(targets), np.log(targets / (1 - targets)))
            candidates += [within(np.clip(each, -FAR, FAR) if each is not targets else each) for each in free]
        found = [np.asarray(loss.losses(each, targets), np.float64) for each in candidates]
        best = min(
            (rows for rows in found if np.isfinite(rows).all()), key=lambda rows: rows.mean(), default=None
        )
    return None if best is None else (float(best.mean()), float(best.std()))


def _by_bisection(loss, targets, rows, low, high, dtype):
    """For each output on its own, the place where the loss's derivative changes its sign."""
    far = FAR
    if targets.dtype.kind == "f":
        far = max(far, 2 * float(np.abs(targets).max(initial=0)))
    below = np.broadcast_to(np.clip(-far, low, high), rows).astype(dtype)
    above = np.broadcast_to(np.clip(far, low, high), rows).astype(dtype)
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        rises = loss.gradient(middle, targets) > 0
        below, above = np.where(rises, below, middle), np.where(rises, middle, above)
    return ((below + above) / 2).astype(dtype)
