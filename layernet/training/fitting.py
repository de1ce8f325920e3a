"""Fit: check the arguments, prepare the data and the plan, and train."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from layernet.engine.choice import check_engine, plan_for
from layernet.engine.inference import InferencePlans
from layernet.guards.modes import unchanged_on_error
from layernet.hints import FIT_HINTS, with_argument_hints
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.losses.names import find_loss
from layernet.optimizers.optimizer import Optimizer
from layernet.registry import find_by_name
from layernet.training.callback import Callback, as_callbacks
from layernet.training.callbacks import ProgressBar
from layernet.training.data import TrainingData
from layernet.training.data_validation import validate_batch_size
from layernet.training.endings import refuse_doubled_activation, refuse_scalar_output
from layernet.training.epoch_data import function_of_epochs
from layernet.training.evaluation import prepare_validation_data, validation_columns
from layernet.training.history import History
from layernet.training.loop import train
from layernet.training.metrics import as_metrics, directions_of
from layernet.training.run import Run, note
from layernet.validation import as_count, as_generator


@with_argument_hints(FIT_HINTS)
def fit(
    network: Layer,
    X: Any,
    y: Any = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer = "adam",
    epochs: int = 10,
    batch_size: int = 32,
    shuffle: bool | Callable[[int], np.ndarray] = True,
    validation_data: tuple[Any, ...] | None = None,
    sample_weight: Any = None,
    callbacks: Callback | Iterable[Callback] = (),
    metrics: Any = (),
    random_state: Any = None,
    verbose: int = 0,
    engine: str = "auto",
) -> History:
    """Train a network by gradient descent on mini-batches.

    Parameters
    ----------
    network : Layer
        A network that is not built yet is built with the shape and the type of `X`. Training starts from the
        network's current parameters.
    X : array-like or sparse matrix of shape (n_samples, ...), or callable
        Finite numbers, converted once to the network's type. A memory-mapped array whose copy would exceed
        `layernet.training.storage.IN_MEMORY_LIMIT` is converted batch by batch. Sparse rows stay sparse if the
        network accepts them (`Layer.accepts_sparse`); for other networks each batch is made dense.

        A function of (epoch, random) generates the data of each epoch, for augmentation or resampling. It
        returns (X, y) or (X, y, sample_weight); the number of rows may vary. `epoch` counts from 1. `random` is
        one numpy Generator for all epochs, seeded by `random_state`.
    y : array-like of shape (n_samples, ...), default=None
        Targets in the form that the loss takes. Must be None if `X` is a function, and only then.
    loss : str or Loss
        Required: `"cross_entropy"` or `CrossEntropy(label_smoothing=0.1)`, for instance.
    optimizer : str or Optimizer, default="adam"
        An optimizer object keeps its state from one training of a network to the next. For another network the
        state is reset.
    epochs : int, default=10
        Number of passes over all rows; at least 1.
    batch_size : int, default=32
        Rows of a step. The last batch of an epoch may be smaller.
    shuffle : bool or callable, default=True
        Whether every epoch sees the rows in a new random order. A function of the number of rows returns the
        row numbers of the next epoch in their order. It may omit or repeat rows:
        `lambda n: random.permutation(n)[: n - n % 32]` drops the last batch. The epoch's loss is the mean over
        the rows that were seen.
    validation_data : tuple (X, y) or (X, y, sample_weight), default=None
        Evaluated after every epoch, never trained on.
    sample_weight : array-like of shape (n_samples,), default=None
        Loss of a batch = sum(w_i * loss_i) / (n_batch * mean of all weights), so that a weight counts alike in
        every batch.
    callbacks : Callback or iterable of Callback, default=()
    metrics : str, callable, iterable of these, or dict of str to callable, default=()
        `"accuracy"`, or functions of (targets, outputs) that return a number or an array. A function is called
        once an epoch with the targets and the outputs of all rows of the epoch, and once with those of all
        validation rows. The outputs of a training row are those before the update by its batch. Two optional
        attributes of a function: `larger_is_better`, for callbacks that monitor its column; and
        `averages_rows`, True for a mean over rows, which is then averaged over batches to save memory.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        Draws the initial parameters, if the network is not built, then the order of the rows.
    verbose : int, default=0
        Whether to show a progress bar.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        "formulas" computes steps by the layers' own formulas. "compiled" computes them by kernels, with
        the same results up to rounding; it needs Numba (the extra `fast`). "auto" uses kernels if Numba is
        installed and the training is long enough to make up for loading them.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid. The network is unchanged.
    DivergenceError
        If a loss, a gradient or a parameter is not finite. The network keeps its last finite parameters.

    Notes
    -----
    Ctrl-C ends training, like `run.stop` in a callback: `history.stop_reason` is "interrupted", and the network
    keeps the result of the last step. A step is done wholly or not at all: a signal that arrives during an
    update waits until parameters, optimizer, layer states and a running average have all moved. `fit` raises
    the exception of a callback, a layer, a loss or an optimizer of your own; the network keeps the result of
    the last step.

    Examples
    --------
    >>> from layernet import Dense, Sequential
    >>> net = Sequential([Dense(1)])
    >>> history = fit(net, [[0.0], [1.0]], [1.0, 3.0], loss="mean_squared_error", epochs=500,
    ...               optimizer="sgd", batch_size=1, random_state=0)
    >>> net.forward_pass([[2.0]]).round(1)
    array([[5.]])
    """
    loss = find_loss(loss)  # type: ignore[arg-type]  # refuses None, and lists the names of losses
    optimizer = find_by_name(Optimizer, optimizer, "optimizer")
    metrics = as_metrics(metrics, loss)
    callbacks = as_callbacks(callbacks)
    epochs, batch_size = as_count(epochs, "epochs"), as_count(batch_size, "batch_size")
    require_choices(shuffle, verbose)
    random = as_generator(random_state)
    check_engine(engine)
    epoch_data = function_of_epochs(X, y, sample_weight, random)
    with unchanged_on_error(network):
        if epoch_data is not None:
            X, y, sample_weight = epoch_data(1)
        data = TrainingData(network, loss, X, y, sample_weight, random)
        refuse_scalar_output(network)
        validate_batch_size(network, min(batch_size, data.n_samples))
        validation = None
        if validation_data is not None:
            validation = prepare_validation_data(network, loss, validation_data)
            for name, array in zip(("X", "y", "sample_weight"), validation_data, strict=False):
                data.watched_arrays.replace(f"{name} of validation_data", array)
        refuse_doubled_activation(network, loss)
    run = Run(network, loss, optimizer, epochs, -(-data.n_samples // batch_size))
    note(run, validation=validation)
    run.history.directions.update(directions_of(metrics))
    order = shuffle if callable(shuffle) else random.permutation if shuffle else None

    # The plan holds the optimizer's state, so this comes first.
    optimizer.begin_training(network)
    plan, plans = plan_for(engine, network, loss, optimizer, data, batch_size, epochs), InferencePlans(network)

    validate = None
    if validation is not None:
        validate = functools.partial(validation_columns, network, loss, metrics, validation, plan.engine, plans)
    try:
        return train(
            run,
            plan,
            data,
            order,
            metrics,
            validate,
            [*callbacks, *([ProgressBar()] if verbose else [])],
            epoch_data=epoch_data,
        )
    finally:
        optimizer.end_training()


def require_choices(shuffle: Any, verbose: Any) -> None:
    """Raise a TypeError for a `shuffle` or a `verbose` whose meaning could only be guessed."""
    if not callable(shuffle) and not isinstance(shuffle, (bool, np.bool_)):
        raise TypeError(
            f"shuffle must be True, False or a function of the number of rows, got {shuffle!r}. A function "
            "returns the row numbers of the next epoch in their order."
        )
    if not isinstance(verbose, (int, np.integer, np.bool_)):
        raise TypeError(f"verbose must be 0 or 1, got {verbose!r}.")
