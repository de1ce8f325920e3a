"""Training loop: epochs of batches; each batch is a step of the plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np

from layernet.engine.formulas import all_finite
from layernet.engine.plan import NotFiniteError
from layernet.guards.read_only import read_only
from layernet.interrupts import signals_can_wait
from layernet.schedules import observing_schedule
from layernet.training.averaging import WeightAverage
from layernet.training.batches import checked_order
from layernet.training.callback import Callback, call, has_own, needs_every_batch
from layernet.training.data import TrainingData
from layernet.training.data_validation import validate_batch_size
from layernet.training.divergence import divergence_error
from layernet.training.epoch_data import EpochData
from layernet.training.history import History
from layernet.training.metrics import EpochMetrics, Metric
from layernet.training.run import Run, note, note_end
from layernet.training.snapshot import Snapshot
from layernet.training.watched_arrays import may_write


def train(
    run: Run,
    plan: Any,
    data: TrainingData,
    order: Callable[[int], np.ndarray] | None,
    metrics: dict[str, Metric],
    validate: Callable[[], dict[str, float]] | None,
    callbacks: list[Callback],
    average: WeightAverage | None = None,
    epoch_data: EpochData | None = None,
) -> History:
    """Train a network whose data, plan and callbacks are ready. `fit` and the estimators share this loop.

    Parameters
    ----------
    run : Run
    plan : FormulaPlan or CompiledPlan
        Plan of the steps, for the network, the loss, the optimizer and the data of the run.
    data : TrainingData
    order : callable or None
        Function of the number of rows that returns the row numbers of the next epoch; None keeps their order.
    metrics : dict of str to callable
    validate : callable or None
        Called after every epoch; returns columns for the history.
    callbacks : list of Callback
    average : WeightAverage, default=None
        Running average of the parameters, which the network has during validation and after training.
    epoch_data : EpochData, default=None
        Source of the data of each epoch after the first; None trains on the same data in every epoch.

    Returns
    -------
    History
    """
    note(run, data=data)
    observing_schedule(run.optimizer.learning_rate)  # raises errors before the first step

    def count(n_steps: int, n_rows: int) -> None:
        object.__setattr__(run, "batch", run.batch + n_steps)  # as `note`, which takes longer in every step
        if average is not None and n_steps:
            average.add(plan.parameters, n_rows, plan.batch_size)

    plan.after_steps = count
    with ExitStack() as stack:
        stack.enter_context(signals_can_wait)
        # Callbacks and validation see the network in inference mode, in whatever mode `fit` is called.
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
                data.watched_arrays.refuse_changes()
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
                        data.watched_arrays.refuse_changes()
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
    metrics: dict[str, Metric],
    callbacks: list[Callback],
    average: WeightAverage | None,
    before: Snapshot,
) -> dict[str, Any]:
    """Train one epoch, a step for each batch, and return its row of the history."""
    start = time.perf_counter()
    with_batch_end = [callback for callback in callbacks if has_own(callback, "on_batch_end")]
    before.take()
    total, epoch_metrics = 0.0, EpochMetrics(metrics)
    rows = None if order is None else read_only(checked_order(order(data.n_samples), data.n_samples))
    n_rows = data.n_samples if rows is None else len(rows)
    note(run, batch=0, order=rows, steps_per_epoch=-(-n_rows // plan.batch_size))
    validate_batch_size(run.network, min(plan.batch_size, n_rows))
    step_by_step = bool(any(map(needs_every_batch, with_batch_end)) or metrics) or average is not None
    with run.network.training_mode(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            for done in plan.epoch(rows, step_by_step):
                for loss, size in zip(done.losses, done.sizes, strict=True):
                    total += loss * size
                if not with_batch_end and not metrics:
                    continue
                note(run, batch_loss=done.losses[-1], batch_rows=done.sizes[-1])
                with run.network.inference_mode():
                    if metrics:
                        epoch_metrics.add(done.targets, done.outputs)
                    call(with_batch_end, "on_batch_end", run)
        except NotFiniteError as reason:
            if not all_finite(run.network.parameter_vector):
                before.restore()
            note(run, batch=run.batch + 1)
            raise divergence_error(reason, run, data) from None
    note(run, batch_loss=done.losses[-1], batch_rows=done.sizes[-1])
    if not all_finite(run.network.parameter_vector):  # the last update overflowed, after the last loss
        before.restore()
        raise divergence_error("a parameter is not finite", run, data)
    if not run.optimizer.memory_is_finite():
        raise divergence_error(
            "the square of a gradient is not finite, and the optimizer cannot go on", run, data
        )
    values = {}
    if metrics:
        with run.network.inference_mode():
            values = epoch_metrics.values()
    return {
        "epoch": run.epoch,
        "loss": total / n_rows,
        **values,
        "learning_rate": run.optimizer.last_learning_rate,
        "seconds": time.perf_counter() - start,
    }
