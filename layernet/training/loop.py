"""The training loop: epochs of batches, each a step of the plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np

from layernet.engine.choice import check_engine, plan_for
from layernet.engine.formulas import NotFiniteError, all_finite
from layernet.engine.inference import InferencePlans
from layernet.guards.modes import unchanged_on_error
from layernet.guards.read_only import read_only
from layernet.hints import FIT_HINTS, with_argument_hints
from layernet.interrupts import signals_can_wait
from layernet.layer import Layer
from layernet.losses.loss import Loss, as_weights
from layernet.losses.names import find_loss
from layernet.optimizers.optimizer import Optimizer
from layernet.registry import find_by_name
from layernet.schedules import observing_schedule
from layernet.sparse import is_sparse
from layernet.training.averaging import WeightAverage
from layernet.training.batches import checked_order
from layernet.training.callbacks import (
    Callback,
    ProgressBar,
    Snapshot,
    as_callbacks,
    call,
    has_own,
    needs_every_batch,
)
from layernet.training.data import (
    TrainingData,
    check_inputs,
    check_targets,
    outputs_in_blocks,
    validate_inputs,
)
from layernet.training.endings import refuse_doubled_activation, refuse_one_number
from layernet.training.epoch_data import EpochData, function_of_epochs
from layernet.training.given import may_write
from layernet.training.history import History
from layernet.training.metrics import EpochMetrics, as_metrics, directions_of, value_of
from layernet.training.run import Run, note, note_end
from layernet.validation import as_generator


class DivergenceError(ArithmeticError, ValueError):
    """Training came to a loss or a gradient that is no finite number.

    It is a ValueError too, which scikit-learn raises in the same case.

    Attributes
    ----------
    epoch, batch : int
        Where, counting from 1.
    history : History
        What the epochs before came to.
    """

    def __init__(self, message: str, epoch: int = 0, batch: int = 0, history: History | None = None):
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.history = History() if history is None else history


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
    validation_data: tuple | None = None,
    sample_weight: Any = None,
    callbacks: Callback | Iterable[Callback] = (),
    metrics: Any = (),
    random_state: Any = None,
    verbose: int = 0,
    engine: str = "auto",
) -> History:
    """Train a network on data by gradient descent on batches.

    Parameters
    ----------
    network : Layer
        Built with the shape and the type of `X` if it is not built yet. Training goes on from the
        parameters that it has.
    X : array-like or sparse matrix of shape (n_samples, ...), or callable
        Finite numbers; converted once to the network's type, or, if a memory-mapped array would be larger than
        `layernet.training.data.IN_MEMORY_LIMIT` then, a batch at a time. Sparse rows stay sparse for a network
        that accepts them (`Layer.accepts_sparse`), and are made dense a batch at a time for any other. Or a
        function of (epoch, random) that returns the data of an epoch, (X, y) or (X, y, sample_weight), for data
        that are augmented, resampled or generated. `epoch` counts from 1; `random` is a numpy Generator that
        goes on from epoch to epoch, and depends on `random_state` alone. The number of rows may vary.
    y : array-like of shape (n_samples, ...), default=None
        Targets as the loss takes them. None where `X` is a function, and only there.
    loss : str or Loss
        To be given in any case: `"cross_entropy"` or `CrossEntropy(label_smoothing=0.1)`, for instance.
    optimizer : str or Optimizer, default="adam"
        An optimizer object keeps its memory from one training of a network to the next; for another network it
        starts anew.
    epochs : int, default=10
        How often all rows are seen, at least 1.
    batch_size : int, default=32
        Rows a step; the last batch of an epoch may be smaller.
    shuffle : bool or callable, default=True
        Whether rows are put in a new order in every epoch; or a function of the number of rows that returns the
        rows of the next epoch in their order, an array of row numbers. It may leave rows out or repeat some:
        `lambda n: random.permutation(n)[: n - n % 32]` drops the last batch. The epoch's loss is the mean over
        the rows that it saw.
    validation_data : tuple (X, y) or (X, y, sample_weight), default=None
        Evaluated after every epoch, never trained on.
    sample_weight : array-like of shape (n_samples,), default=None
        Every batch divides its weighted sum by its size times the mean weight of all data, so that a weight
        means the same in every batch.
    callbacks : Callback or iterable of Callback, default=()
    metrics : str, callable, iterable of these, or dict of str to callable, default=()
        `"accuracy"`, or functions of (targets, outputs) that return a number or an array. A function is called
        once an epoch, with the targets and the outputs of all rows that the epoch saw, each row's outputs from
        before the update that it took part in; and once with those of all validation rows. It may have
        attributes: `larger_is_better`, which callbacks that monitor its column go by; and `averages_rows`, True
        for a mean over rows, such as `accuracy`: the mean over batches is the same then, and the outputs of
        an epoch need not be kept in memory.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        Draws first the initial parameters, if the network is not built, then the order of the rows.
    verbose : int, default=0
        Whether to show a progress bar.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        How steps are carried out: by the layers' own formulas; by compiled kernels, which gives the same to
        rounding and needs Numba (the extra `fast`); or by whichever is faster, kernels where Numba is installed
        and there is enough to do to make up for loading them.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the network is as it was then.
    DivergenceError
        If a loss or a gradient is not finite; the network has its last finite parameters then.

    Notes
    -----
    Ctrl-C ends the training, as a callback's `run.stop` does: the history says where, and the network is as
    the last step left it. A step is done wholly or not at all: a signal that comes while parameters are moved
    waits until the optimizer, the state of the layers and a running average have moved too. An exception in a
    callback, or in a layer, a loss or an optimizer of your own, is raised from `fit` with all of these as the
    last step left them.

    Examples
    --------
    >>> from layernet import Dense, Sequential
    >>> net = Sequential([Dense(1)])
    >>> history = fit(net, [[0.0], [1.0]], [1.0, 3.0], loss="mean_squared_error", epochs=500,
    ...               optimizer="sgd", batch_size=1, random_state=0)
    >>> net.forward_pass([[2.0]]).round(1)
    array([[5.]])
    """
    loss = find_loss(loss)
    optimizer = find_by_name(Optimizer, optimizer, "optimizer")
    metrics = as_metrics(metrics, loss)
    callbacks = as_callbacks(callbacks)
    epochs, batch_size = as_count(epochs, "epochs"), as_count(batch_size, "batch_size")
    random = as_generator(random_state)
    check_engine(engine)
    epoch_data = function_of_epochs(X, y, sample_weight, random)
    with unchanged_on_error(network):
        if epoch_data is not None:
            X, y, sample_weight = epoch_data(1)
        data = TrainingData(network, loss, X, y, sample_weight, random)
        refuse_one_number(network)
        validate_batch_size(network, min(batch_size, data.n_samples))
        validation = None if validation_data is None else check_validation(network, loss, validation_data)
        for name, array in zip(("X", "y", "sample_weight"), validation_data or (), strict=False):
            data.given.replace(f"{name} of validation_data", array)
        refuse_doubled_activation(network, loss)
    run = Run(network, loss, optimizer, epochs, -(-data.n_samples // batch_size))
    note(run, validation=validation)
    run.history.directions.update(directions_of(metrics))
    order = shuffle if callable(shuffle) else random.permutation if shuffle else None

    # Before the plan is made, which holds the optimizer's memory.
    optimizer.begin_training(network)
    plan, plans = plan_for(engine, network, loss, optimizer, data, batch_size, epochs), InferencePlans(network)

    def validate():
        X_val, *rest = validation
        outputs = outputs_in_blocks(network, X_val, engine=plan.engine, plans=plans)
        return {
            f"val_{name}": value for name, value in judge(outputs, *rest, loss=loss, metrics=metrics).items()
        }

    try:
        return train(
            run,
            plan,
            data,
            order,
            metrics,
            None if validation is None else validate,
            [*callbacks, *([ProgressBar()] if verbose else [])],
            epoch_data=epoch_data,
        )
    finally:
        optimizer.end_training()


def train(
    run: Run,
    plan: Any,
    data: TrainingData,
    order: Callable[[int], np.ndarray] | None,
    metrics: dict,
    validate: Callable[[], dict[str, float]] | None,
    callbacks: list[Callback],
    average: WeightAverage | None = None,
    epoch_data: EpochData | None = None,
) -> History:
    """Do the epochs of a run whose parts are checked and ready; what `fit` and the estimators share.

    Parameters
    ----------
    run : Run
    plan : FormulaPlan or CompiledPlan
        Of the run's network, loss and optimizer, and of the data.
    data : TrainingData
    order : callable or None
        A function of the number of rows that returns those of the next epoch; None keeps them in order.
    metrics : dict of str to callable
    validate : callable or None
        Called after every epoch; the columns that it returns are added to the history.
    callbacks : list of Callback
    average : WeightAverage, default=None
        In whose place the network is validated and left.
    epoch_data : EpochData, default=None
        Where the data of each epoch after the first come from; None trains on the same ones again.

    Returns
    -------
    History
    """
    note(run, data=data)
    observing_schedule(run.optimizer.learning_rate)  # raises before the first step what is to be raised

    set_batch = Run.batch.__set__

    def count(n_steps, n_rows):
        set_batch(run, run.batch + n_steps)
        if average is not None and n_steps:
            average.add(plan.parameters, n_rows, plan.batch_size)

    plan.after_steps = count
    with ExitStack() as stack:
        stack.enter_context(signals_can_wait)
        # Whoever calls may be in training mode; callbacks and validation are in inference mode nevertheless.
        stack.enter_context(run.network.inference_mode())
        for callback in reversed(callbacks):
            stack.callback(callback.on_train_end, run)
        if average is not None:
            stack.callback(average.end, run.network)
        try:
            if average is not None:
                average.begin(run.network)
            watches = may_write(callbacks)
            if watches:
                data.given.refuse_changes()
            call(callbacks, "on_train_begin", run)
            before = Snapshot(run.network)
            with plan.ready():
                for epoch in range(1, run.epochs + 1):
                    note(run, epoch=epoch)
                    run.history.begin_row()
                    if epoch_data is not None and epoch > 1:
                        epoch_data.renew(data, epoch)
                    call(callbacks, "on_epoch_begin", run)
                    if watches:
                        data.given.refuse_changes()
                    row = train_epoch(run, plan, data, order, metrics, callbacks, average, before)
                    with nullcontext() if average is None else average.in_place(run.network):
                        if validate is not None:
                            row |= validate()
                        run.history.add(**row)
                        if (schedule := observing_schedule(run.optimizer.learning_rate)) is not None:
                            schedule.observe(row["loss"])
                        call(callbacks, "on_epoch_end", run)
                    if run.stop_reason is not None:
                        break
        except KeyboardInterrupt:
            message = f"Interrupted in epoch {run.epoch} of {run.epochs}, after batch {run.batch}."
            run.stop(message, reason="interrupted")
    note_end(run, f"All {run.epochs} epochs are done.", "epochs_done")
    return run.history


def train_epoch(
    run: Run,
    plan: Any,
    data: TrainingData,
    order: Callable[[int], np.ndarray] | None,
    metrics: dict,
    callbacks: list[Callback],
    average: WeightAverage | None,
    before: Snapshot,
) -> dict[str, Any]:
    """See all rows once, a step a batch; what the epoch came to, as a row of the history."""
    began = time.perf_counter()
    lookers_on = [callback for callback in callbacks if has_own(callback, "on_batch_end")]
    before.take()
    total, of_epoch = 0.0, EpochMetrics(metrics)
    rows = None if order is None else read_only(checked_order(order(data.n_samples), data.n_samples))
    n_rows = data.n_samples if rows is None else len(rows)
    note(run, batch=0, order=rows, steps_per_epoch=-(-n_rows // plan.batch_size))
    validate_batch_size(run.network, min(plan.batch_size, n_rows))
    step_by_step = bool(any(map(needs_every_batch, lookers_on)) or metrics) or average is not None
    with run.network.training_mode(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            for done in plan.epoch(rows, step_by_step):
                for loss, size in zip(done.losses, done.sizes, strict=True):
                    total += loss * size
                if not lookers_on and not metrics:
                    continue
                note(run, batch_loss=done.losses[-1], batch_rows=done.sizes[-1])
                with run.network.inference_mode():
                    if metrics:
                        of_epoch.add(done.targets, done.outputs)
                    call(lookers_on, "on_batch_end", run)
        except NotFiniteError as reason:
            if not all_finite(run.network.parameter_vector):
                before.restore()
            note(run, batch=run.batch + 1)
            raise divergence(reason, run, data) from None
    note(run, batch_loss=done.losses[-1], batch_rows=done.sizes[-1])
    if not all_finite(run.network.parameter_vector):  # the last update overflowed, and no loss has shown it yet
        before.restore()
        raise divergence("a parameter is not finite", run, data)
    if not run.optimizer.memory_is_finite():
        raise divergence("the square of a gradient is not finite, and the optimizer cannot go on", run, data)
    with run.network.inference_mode():
        values = of_epoch.values()
    return {
        "epoch": run.epoch,
        "loss": total / n_rows,
        **values,
        "learning_rate": run.optimizer.last_learning_rate,
        "seconds": time.perf_counter() - began,
    }


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
    """The loss and metrics of a network on data, in inference mode.

    Parameters
    ----------
    network : Layer
        Built.
    X : array-like or sparse matrix of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,), default=None
        For the loss; metrics weigh all samples the same.
    loss : str or Loss
    metrics : str, callable, iterable of these, or dict of str to callable, default=()
    engine : {"auto", "compiled", "formulas"}, default="auto"
        How outputs are computed: by the layers' formulas, by kernels, or by kernels where these pay.

    Returns
    -------
    dict of str to float
        `"loss"`, then the metrics by name; an array for a metric that returns one.
    """
    loss = find_loss(loss)
    metrics = as_metrics(metrics, loss)
    check_engine(engine)
    outputs = outputs_in_blocks(network, X if is_sparse(X) else np.asarray(X), engine=engine)
    return judge(outputs, y, sample_weight, loss, metrics)


def judge(
    outputs: np.ndarray, y: Any, sample_weight: Any = None, loss: Loss | None = None, metrics: Any = ()
) -> dict[str, float]:
    """The loss and metrics of outputs."""
    values = {"loss": float(loss.bind(y, sample_weight).forward_pass(outputs))}
    targets = loss.prepare(y, outputs.shape[1:], outputs.dtype)
    return {**values, **{name: value_of(name, metric, targets, outputs) for name, metric in metrics.items()}}


def check_validation(network: Layer, loss: Loss, validation_data: Any) -> tuple:
    """Validation data, checked before the first step and not after the first epoch."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError("validation_data must be a tuple (X, y) or (X, y, sample_weight).")
    X, y, weights = validation_data if len(validation_data) == 3 else (*validation_data, None)
    inputs = validate_inputs(network, check_inputs(network, X, "X of validation_data"))
    n_samples = inputs.shape[0]
    check_targets(network, loss, y, n_samples, "y of validation_data")
    return inputs, y, None if weights is None else as_weights(weights, n_samples)


def validate_batch_size(network: Layer, n_rows: int) -> None:
    """Raise an error if a layer cannot be trained on batches of so many rows."""
    for layer in network.walk():
        layer.validate_batch_size(n_rows)


def as_count(value: Any, name: str) -> int:
    """A whole number of at least 1."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def divergence(reason: NotFiniteError | str, run: Run, data: TrainingData) -> DivergenceError:
    """The error for a training that diverged, with what is known of it and what to try."""
    optimizer = run.optimizer
    slower = (
        "" if optimizer is None else f"a smaller learning rate (it is {optimizer.current_learning_rate():g}), "
    )
    largest = data.largest_input()
    largest_target = float(np.abs(data.targets).max()) if data.targets.dtype.kind == "f" else 0.0
    and_targets = f", and targets (the largest is {largest_target:g})" if largest_target > largest else ""
    where = f"Training diverged in epoch {run.epoch}, batch {run.batch}: {reason}."
    note(run, stop_reason=None)  # of an earlier callback
    note_end(run, where, "diverged")
    advice = (
        f"The network keeps its last finite parameters. Try {slower}clipped gradients, or inputs scaled to "
        f"about 1 (the largest is {largest:g}){and_targets}."
    )
    return DivergenceError(f"{where} {advice}", run.epoch, run.batch, run.history)
