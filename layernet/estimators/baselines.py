"""Comparison of a training's final loss with baselines: an untrained network, and the mean of y."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from layernet.estimators.number_targets import NumberTargets
from layernet.layer import Layer
from layernet.losses import Loss
from layernet.training.batches import batches
from layernet.training.data import TrainingData
from layernet.training.divergence import DivergenceError
from layernet.training.outputs import EVALUATION_BATCH_SIZE
from layernet.training.run import Run
from layernet.training.snapshot import Snapshot
from layernet.user_warnings import warn_user

# A fit has diverged if its final loss exceeds this multiple of the loss of an untrained network.
DIVERGENCE_RATIO = 100
# scikit-learn's message, added to ours because users and their code search for it.
NON_FINITE_MESSAGE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)
# A fit is no better than the mean of y if its loss is not lower than the mean's by at least this share.
MIN_RELATIVE_IMPROVEMENT = 0.001
# Number of outputs that are computed at a time: 8 MB in float64.
MAX_OUTPUTS_PER_BLOCK = 2**20


def raise_if_diverged(run: Run, before: Snapshot, data: TrainingData) -> None:
    """Raise an error if the loss of the last epoch is far above the loss of an untrained network.

    The untrained loss is that of outputs of 0 or of the network before the training, on all training data,
    whichever is larger. An outlier has a large loss in both.

    Parameters
    ----------
    run : Run
        A finished run.
    before : Snapshot
        Of the network before the training. It is restored for a moment if outputs of 0 have a small loss.
    data : TrainingData

    Raises
    ------
    DivergenceError
    """
    losses = run.history.get("loss", [])
    if not losses:
        return
    network = before.network
    all_columns = [slice(None)]
    untrained = max(
        losses_of_constant(0.0, network, run.loss, data, all_columns)[0], np.finfo(network.dtype).tiny
    )
    if losses[-1] <= DIVERGENCE_RATIO * untrained:
        return
    after = Snapshot(network)
    before.restore()
    untrained = max(untrained, np.nan_to_num(losses_of_network(network, run.loss, data, all_columns)[0]))
    after.restore()
    if losses[-1] > DIVERGENCE_RATIO * untrained:
        raise DivergenceError(
            f"Training diverged: the loss is {losses[-1]:g}, and a network that has learned nothing has "
            f"{untrained:g}. Try a smaller learning rate, clipped gradients, or scaled inputs.",
            run.epoch,
            run.batch,
            run.history,
        )


def warn_if_no_better_than_mean(
    who: str, run: Run, network: Layer, data: TrainingData, targets: NumberTargets
) -> None:
    """Warn if a regression predicts its training data no better than the mean of y does.

    Several outputs are compared one by one if the loss is one of this package, whose values are sums or means
    over the outputs.

    Parameters
    ----------
    who : str
        The estimator's class, for the warning.
    run : Run
        A finished run.
    network : Layer
        The trained network.
    data : TrainingData
    targets : NumberTargets
    """
    losses = run.history.get("loss", [])
    constant = targets.outputs_of_mean(data.targets, data.weights)
    if not losses or constant is None:
        return
    n_outputs = targets.n_outputs if run.loss.__class__.__module__.startswith("layernet.") else 1
    columns = [slice(j, j + 1) for j in range(n_outputs)] if n_outputs > 1 else [slice(None)]
    mean_losses = losses_of_constant(constant, network, run.loss, data, columns)
    margin = MIN_RELATIVE_IMPROVEMENT * abs(mean_losses) if targets.out_activation == "identity" else 0.0
    # The last epoch's loss is known. In most cases it is low enough, and nothing needs to be computed.
    if len(columns) == 1 and losses[-1] < (mean_losses - margin)[0]:
        return
    network_losses = losses_of_network(network, run.loss, data, columns)
    varies = [(data.targets[:, column] != data.targets[:1, column]).any() for column in columns]
    no_better = np.flatnonzero((network_losses >= mean_losses - margin) & varies)
    if not len(no_better):
        return
    worst = no_better[np.argmax(network_losses[no_better] - mean_losses[no_better])]
    what = f"y[:, {worst}]" if len(columns) > 1 else "y"
    warn_user(
        f"{who}: the fit is as bad as or worse than predicting the mean of {what} for every sample: its loss "
        f"on the training data is {network_losses[worst]:g}, and that of the mean is {mean_losses[worst]:g}. "
        f"{_advice(data, targets)}",
        ConvergenceWarning,
    )


def _advice(data: TrainingData, targets: NumberTargets) -> str:
    mean, deviations = float(abs(data.targets.mean(axis=0)).max()), data.targets.std(axis=0)
    smallest, largest = float(deviations[deviations > 0].min()), float(deviations.max())
    if targets.out_activation == "identity" and not (
        smallest >= 0.1 and largest <= 10 and mean <= 10 * largest
    ):
        return (
            f"The targets have standard deviations from {smallest:g} to {largest:g} and means of up to "
            f"{mean:g}, and a network learns targets of about 1: give target_scale='standard'."
        )
    return (
        "Try another learning rate, more epochs (max_iter), a smaller penalty (alpha), or inputs scaled to "
        f"about 1 (the largest is {data.largest_input():g})."
    )


def losses_of_constant(
    constant: float | np.ndarray, network: Layer, loss: Loss, data: TrainingData, columns: list[slice]
) -> np.ndarray:
    """Return the weighted mean loss of outputs that are the same for every sample.

    mean loss = sum(w_i * loss_i) / (n_samples * mean(w))

    Parameters
    ----------
    constant : float or ndarray of shape (n_outputs,)
    network : Layer
        Gives the shape and the type of the outputs.
    loss : Loss
    data : TrainingData
    columns : list of slice
        Outputs of the network. Each slice gives one mean loss.

    Returns
    -------
    ndarray of shape (len(columns),), float64
    """
    outputs = np.full((1, *network.output_shape), constant, network.dtype)
    shape = outputs.shape[1:]
    return _mean_losses(lambda rows, n: np.broadcast_to(outputs, (n, *shape)), network, loss, data, columns)


def losses_of_network(network: Layer, loss: Loss, data: TrainingData, columns: list[slice]) -> np.ndarray:
    """Return the weighted mean loss of a network in inference mode; see `losses_of_constant`."""
    return _mean_losses(lambda rows, n: network.forward_pass(data.batch(rows)[0]), network, loss, data, columns)


def _mean_losses(
    outputs_of: Callable[[Any, int], np.ndarray],
    network: Layer,
    loss: Loss,
    data: TrainingData,
    columns: list[slice],
) -> np.ndarray:
    totals = np.zeros(len(columns))
    block_size = max(1, min(EVALUATION_BATCH_SIZE, MAX_OUTPUTS_PER_BLOCK // math.prod(network.output_shape)))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in batches(data.n_samples, block_size):
            targets = data.targets[rows]
            outputs = outputs_of(rows, len(targets))
            for index, column in enumerate(columns):
                if column == slice(None):  # one-dimensional targets, class numbers, have no columns to select
                    losses = loss.losses(outputs, targets)
                else:
                    losses = loss.losses(outputs[:, column], targets[:, column])
                totals[index] += (losses if data.weights is None else losses * data.weights[rows]).sum()
    return totals / (data.n_samples * data.mean_weight)
