"""Mixture of models by weights that have the least out-of-fold loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

# Weights are multiples of this. Finer ones fit the noise of the out-of-fold predictions.
STEP = 0.1
# A linear model's weight is less by this than the best one for out-of-fold predictions: there each network
# stands alone, and new rows are predicted by the mean of all networks, which is better.
LINEAR_MARGIN = 0.15


def best_weights(n_models: int, loss: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return the weights of models whose mixture has the least loss.

    Parameters
    ----------
    n_models : int
    loss : callable
        Function of the weights.

    Returns
    -------
    ndarray of shape (n_models,)
        At least 0, with sum 1.
    """
    return min(simplex(n_models, round(1 / STEP)), key=loss)


def simplex(n_models: int, n_parts: int) -> Iterator[np.ndarray]:
    """Yield all weights that are multiples of 1 / n_parts."""

    def parts(n_models: int, left: int) -> Iterator[list[int]]:
        if n_models == 1:
            yield [left]
            return
        for first in range(left, -1, -1):
            for rest in parts(n_models - 1, left - first):
                yield [first, *rest]

    for counts in parts(n_models, n_parts):
        yield np.array(counts) / n_parts


def without_margin(weights: np.ndarray, n_networks: int) -> np.ndarray:
    """Return weights with less for the last model, the linear one; the networks get the rest in proportion.

    Parameters
    ----------
    weights : ndarray of shape (n_models,)
    n_networks : int
        The number of networks whose mean predicts new rows. With one network there is no margin.

    Returns
    -------
    ndarray of shape (n_models,)
    """
    networks = weights[:-1]
    if networks.sum() == 0:
        return weights
    linear = max(0.0, weights[-1] - LINEAR_MARGIN * (1 - 1 / n_networks))
    return np.append(networks / networks.sum() * (1 - linear), linear)


def mix(weights: Sequence[float] | np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of predictions, without those of weight 0."""
    parts = [weight * predicted for weight, predicted in zip(weights, predictions, strict=True) if weight > 0]
    return np.sum(parts, axis=0)
