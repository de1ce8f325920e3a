"""The outcome of a training: an error if it diverged, a warning if a constant would predict as well."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from layernet.layer import Layer
from layernet.losses import Loss
from layernet.training.batches import batches
from layernet.training.data import TrainingData
from layernet.training.divergence import DivergenceError
from layernet.training.outputs import EVALUATION_BATCH_SIZE
from layernet.training.run import Run
from layernet.training.snapshot import Snapshot
from layernet.user_warnings import warn_user

# A fit has diverged if its final loss exceeds this multiple of the loss of a network that has learned nothing.
DIVERGED = 100
# scikit-learn's words for a loss that is not finite, for those who look for them.
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)
# A fit that lowers the loss of the mean by a smaller part than this is as bad as the mean.
LITTLE = 0.001
# How many outputs are computed at a time.
OUTPUTS_IN_A_BLOCK = 2**20


def require_convergence(run: Run, start: Snapshot, data: TrainingData) -> None:
    """Raise an error if the loss of the last epoch is far above that of a network that has learned nothing.

    That is the loss, on all rows that the training saw, of outputs of 0, or of the network as it was before,
    whichever is larger: a row far from the others has a large loss in both.

    Parameters
    ----------
    run : Run
        Done.
    start : Snapshot
        Of the network, before the training. The network is as it was afterwards.
    data : TrainingData

    Raises
    ------
    DivergenceError
    """
    losses = run.history.get("loss", [])
    if not losses:
        return
    network = start.network
    whole = [slice(None)]
    untrained = max(losses_of_constant(0.0, network, run.loss, data, whole)[0], np.finfo(network.dtype).tiny)
    if losses[-1] <= DIVERGED * untrained:
        return
    end = Snapshot(network)
    start.restore()
    untrained = max(untrained, np.nan_to_num(losses_of_network(network, run.loss, data, whole)[0]))
    end.restore()
    if losses[-1] > DIVERGED * untrained:
        raise DivergenceError(
            f"Training diverged: the loss is {losses[-1]:g}, and a network that has learned nothing has "
            f"{untrained:g}. Try a smaller learning rate, clipped gradients, or scaled inputs.",
            run.epoch,
            run.batch,
            run.history,
        )


def warn_if_useless(who: str, run: Run, network: Layer, data: TrainingData, targets: Any) -> None:
    """Warn that a regression predicts the data that it was trained on no better than their mean.

    Each of several outputs is looked at, if the loss is one of this package's, which are sums over the outputs.

    Parameters
    ----------
    who : str
        The estimator's class, for the warning.
    run : Run
        Done.
    network : Layer
        Trained.
    data : TrainingData
    targets : NumberTargets
    """
    losses = run.history.get("loss", [])
    constant = targets.outputs_of_the_mean(data.targets, data.weights)
    if not losses or constant is None:
        return
    n_outputs = targets.n_outputs if run.loss.__class__.__module__.startswith("layernet.") else 1
    columns = [slice(j, j + 1) for j in range(n_outputs)] if n_outputs > 1 else [slice(None)]
    of_the_mean = losses_of_constant(constant, network, run.loss, data, columns)
    little = LITTLE * abs(of_the_mean) if targets.out_activation == "identity" else 0.0
    # The mean loss of one output over the last epoch is known, and says almost always that all is well.
    if len(columns) == 1 and losses[-1] < (of_the_mean - little)[0]:
        return
    of_network = losses_of_network(network, run.loss, data, columns)
    varies = [(data.targets[:, column] != data.targets[:1, column]).any() for column in columns]
    useless = np.flatnonzero((of_network >= of_the_mean - little) & varies)
    if not len(useless):
        return
    worst = useless[np.argmax(of_network[useless] - of_the_mean[useless])]
    what = f"y[:, {worst}]" if len(columns) > 1 else "y"
    warn_user(
        f"{who}: the fit is as bad as or worse than predicting the mean of {what} for every sample: its loss "
        f"on the training data is {of_network[worst]:g}, and that of the mean is {of_the_mean[worst]:g}. "
        f"{_advice(data, targets)}",
        ConvergenceWarning,
    )


def _advice(data, targets):
    mean, deviations = float(abs(data.targets.mean(axis=0)).max()), data.targets.std(axis=0)
    least, most = float(deviations[deviations > 0].min()), float(deviations.max())
    if targets.out_activation == "identity" and not (least >= 0.1 and most <= 10 and mean <= 10 * most):
        return (
            f"The targets have standard deviations from {least:g} to {most:g} and means of up to {mean:g}, and "
            "a network learns targets of about 1: give target_scale='standard'."
        )
    return (
        "Try another learning rate, more epochs (max_iter), a smaller penalty (alpha), or inputs scaled to "
        f"about 1 (the largest is {data.largest_input():g})."
    )


def losses_of_constant(
    constant: float | np.ndarray, network: Layer, loss: Loss, data: TrainingData, columns: list[slice]
) -> np.ndarray:
    """The mean loss, over all samples by their weights, of outputs that are the same for every sample.

    Parameters
    ----------
    constant : float or ndarray of shape (n_outputs,)
    network : Layer
        For the shape and the type of the outputs.
    loss : Loss
    data : TrainingData
    columns : list of slice
        Each has its own loss: outputs of the network.

    Returns
    -------
    ndarray of shape (len(columns),), float64
    """
    outputs = np.full((1, *network.output_shape), constant, network.dtype)
    shape = outputs.shape[1:]
    return _mean_losses(lambda rows, n: np.broadcast_to(outputs, (n, *shape)), network, loss, data, columns)


def losses_of_network(network: Layer, loss: Loss, data: TrainingData, columns: list[slice]) -> np.ndarray:
    """The mean loss of a network, in inference mode; everything else as for `losses_of_constant`."""
    return _mean_losses(lambda rows, n: network.forward_pass(data.batch(rows)[0]), network, loss, data, columns)


def _mean_losses(outputs_of, network, loss, data, columns):
    totals = np.zeros(len(columns))
    block_size = max(1, min(EVALUATION_BATCH_SIZE, OUTPUTS_IN_A_BLOCK // math.prod(network.output_shape)))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in batches(data.n_samples, block_size):
            targets = data.targets[rows]
            outputs = outputs_of(rows, len(targets))
            for index, column in enumerate(columns):
                if column == slice(None):  # class numbers have no columns
                    losses = loss.losses(outputs, targets)
                else:
                    losses = loss.losses(outputs[:, column], targets[:, column])
                totals[index] += (losses if data.weights is None else losses * data.weights[rows]).sum()
    return totals / (data.n_samples * data.mean_weight)
