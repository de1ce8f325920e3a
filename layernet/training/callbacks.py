"""Callbacks of the package: early stopping, learning-rate schedules and a progress bar."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.schedules import Schedule
from layernet.training.callback import Callback
from layernet.training.run import Run
from layernet.training.snapshot import Snapshot
from layernet.validation import as_count, require_number

# A column of the history, or a function of the network that returns a number.
Monitored = str | Callable[[Layer], float]


class EarlyStopping(Callback):
    """Stop training when a value has not improved for some epochs, and restore the best parameters.

    Parameters
    ----------
    monitor : str or callable, default="val_loss"
        A column of the history, or a function of the network that returns a number, called after every epoch.
    patience : int, default=10
        Training stops after this number of epochs in a row without a new best value; at least 1.
    min_delta : float, default=0.0
        An improvement counts if it is larger than this; at least 0.
    larger_is_better : bool, default=None
        None takes the direction of the column: smaller losses and larger accuracies are better, and another
        metric declares its direction by an attribute of this name. A column without a direction needs True or
        False. For a function None means its own attribute of this name, or else that smaller values are better.
    restore_best : bool, default=True
        Whether the network gets the parameters and the state of the best epoch when training ends.
    keep_last : bool, default=False
        Which of equally good epochs is the best one: the first, or the last. Where the value is a count, as the
        accuracy on few rows, the last one has trained longer and is often surer of its outputs.

    Attributes
    ----------
    best_value : float
    best_epoch : int
        Counts from 1; 0 before the first value that is a number.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. At the beginning of training, if the direction of the column is unknown.
    """

    def __init__(
        self,
        monitor: Monitored = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        larger_is_better: bool | None = None,
        restore_best: bool = True,
        keep_last: bool = False,
    ):
        self.monitor = checked_monitor(monitor, "EarlyStopping")
        self.patience = as_count(patience, "EarlyStopping: patience")
        self.min_delta: float = require_number(self, "min_delta", min_delta, at_least=0)
        if larger_is_better is not None:
            require_bool(self, "larger_is_better", larger_is_better, " or None")
        require_bool(self, "restore_best", restore_best)
        require_bool(self, "keep_last", keep_last)
        self.larger_is_better = larger_is_better
        self.restore_best = restore_best
        self.keep_last = keep_last

    _snapshot: Snapshot | None = None
    _larger_is_better = False
    _last_improvement = 0

    def on_train_begin(self, run: Run) -> None:
        self._larger_is_better = larger_is_better(self.monitor, run, self.larger_is_better, "EarlyStopping")
        self.best_epoch = 0
        self.best_value = -math.inf if self._larger_is_better else math.inf
        self._snapshot, self._last_improvement = None, 0

    def on_epoch_end(self, run: Run) -> None:
        value = monitored_value(self.monitor, run, "EarlyStopping")
        improvement = value - self.best_value if self._larger_is_better else self.best_value - value
        is_better = improvement > self.min_delta
        if is_better or (self.keep_last and value == self.best_value):
            with uninterrupted:
                self.best_value, self.best_epoch = value, run.epoch
                if is_better:  # equal values do not extend a training
                    self._last_improvement = run.epoch
                if self.restore_best:
                    self._snapshot, run.kept_epoch = Snapshot(run.network), run.epoch
        if run.epoch - self._last_improvement >= self.patience:
            name = self.monitor if isinstance(self.monitor, str) else "the monitored value"
            message = f"{name} has not improved for {self.patience} epochs; best was epoch {self.best_epoch}."
            run.stop(message, reason="early_stopping")

    def on_train_end(self, run: Run) -> None:
        if self._snapshot is not None:
            self._snapshot.restore()
            self._snapshot = None


class LearningRateScheduler(Callback):
    """Set the optimizer's learning rate from a schedule, after every epoch or every step.

    A schedule in steps can also be the optimizer's `learning_rate`; it needs no callback then.

    Parameters
    ----------
    schedule : Schedule or callable
        A function of the number of epochs (or steps) done in this training; returns the learning rate. A
        schedule that observes values keeps them for the next training of the same network, and forgets them for
        another network.
    per : {"epoch", "step"}, default="epoch"
        What the argument of the schedule counts.
    monitor : str or callable, default="loss"
        The value that a schedule with `observe` (`ReduceOnPlateau`) gets after every epoch; see
        `EarlyStopping`. A `ReduceOnPlateau` without a direction takes that of the column.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. At the beginning of training, if the direction of the column is unknown.
    """

    def __init__(
        self,
        schedule: Schedule | Callable[[int], float],
        per: str = "epoch",
        monitor: Monitored = "loss",
    ):
        if per not in ("epoch", "step"):
            raise ValueError(f"LearningRateScheduler: per must be 'epoch' or 'step', got {per!r}.")
        if not callable(schedule) or isinstance(schedule, type):
            raise TypeError(
                "LearningRateScheduler: schedule must be a Schedule or a function of the number of epochs or "
                f"steps, got {schedule!r}. A constant learning rate is an argument of the optimizer: Adam(0.1)."
            )
        self.schedule = schedule
        self.per = per
        self.monitor = checked_monitor(monitor, "LearningRateScheduler")

    @property
    def every_batch(self) -> bool:  # type: ignore[override]  # follows `per`, which may be assigned
        """Whether the rate changes after every batch."""
        return self.per == "step"

    def on_train_begin(self, run: Run) -> None:
        self._n_done = 0
        # A schedule without a direction observes values of which smaller ones are better.
        has_no_direction = getattr(self.schedule, "larger_is_better", False) is None
        is_negated = has_no_direction and larger_is_better(self.monitor, run, None, "ReduceOnPlateau")
        self._sign = -1 if is_negated else 1
        if isinstance(self.schedule, Schedule):
            self.schedule.begin_training(run.network, is_new=run.optimizer.steps == 0)
        run.optimizer.learning_rate = self.schedule(0)

    def on_batch_end(self, run: Run) -> None:
        if self.per == "step":
            self._advance(run)

    def on_epoch_end(self, run: Run) -> None:
        if hasattr(self.schedule, "observe"):
            value = monitored_value(self.monitor, run, "LearningRateScheduler")
            self.schedule.observe(self._sign * value)
        if self.per == "epoch":
            self._advance(run)

    def _advance(self, run: Run) -> None:
        self._n_done += 1
        run.optimizer.learning_rate = self.schedule(self._n_done)


class ProgressBar(Callback):
    """Show the steps done and the losses of the last epoch as a bar, in a terminal or a notebook.

    Parameters
    ----------
    file : text file, default=None
        Stream to write to; None for the standard error stream. Copies write to the same file.
    **options
        Options of tqdm: `leave=`, `mininterval=`, ...

    Raises
    ------
    TypeError
        If the file has no method `write`, or tqdm has no such option.
    """

    shared = ("file", "_bar")

    def __init__(self, file: TextIO | None = None, **options: Any):
        if file is not None and not callable(getattr(file, "write", None)):
            raise TypeError(f"ProgressBar: file must be a text file or None, got {file!r}.")
        refuse_unknown_options(options)
        self.file = file
        self.options = options

    def __repr__(self) -> str:
        arguments = ({} if self.file is None else {"file": self.file}) | self.options
        return f"ProgressBar({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"

    _bar: Any = None  # tqdm has no types
    every_batch = False

    def on_epoch_begin(self, run: Run) -> None:
        self._shown = 0

    def on_train_begin(self, run: Run) -> None:
        self._bar = progress_bar(
            total=run.epochs * run.steps_per_epoch,
            unit="step",
            file=self.file,
            **{"leave": True, **self.options},
        )

    def on_batch_end(self, run: Run) -> None:
        self._bar.update(run.batch - self._shown)
        self._shown = run.batch

    def on_epoch_end(self, run: Run) -> None:
        shown = {
            name: f"{values[-1]:.4g}"
            for name, values in run.history.items()
            if name not in ("epoch", "learning_rate", "seconds")
        }
        self._bar.set_postfix(refresh=False, epoch=f"{run.epoch}/{run.epochs}", **shown)

    def on_train_end(self, run: Run) -> None:
        if self._bar is not None:  # another callback may have failed before this one began
            self._bar.close()
            self._bar = None


def progress_bar(**options: Any) -> Any:
    """Return a bar of tqdm, for a terminal or a notebook.

    Parameters
    ----------
    **options
        As of `tqdm.tqdm`.
    """
    with warnings.catch_warnings():
        # Without ipywidgets tqdm warns and falls back to text, which is fine.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        return tqdm(**options)


def refuse_unknown_options(options: dict[str, Any]) -> None:
    """Raise a TypeError for options that tqdm does not have, or that `ProgressBar` sets itself."""
    if not options:
        return
    from tqdm import tqdm

    known = set(inspect.signature(tqdm.__init__).parameters) | {"display"}  # `display`: in notebooks only
    known -= {"self", "iterable", "total", "unit", "file", "kwargs"}
    for name in options.keys() - known:
        raise TypeError(
            f"ProgressBar: {name!r} is not an option of tqdm that can be set; these are {sorted(known)}."
        )


def require_bool(owner: object, name: str, value: Any, alternative: str = "") -> None:
    """Raise a TypeError unless an argument is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{type(owner).__name__}: {name} must be True or False{alternative}, got {value!r}.")


def checked_monitor(monitor: Any, owner: str) -> Monitored:
    """Return a `monitor` argument, or raise a TypeError if it is neither a name nor a function."""
    if not isinstance(monitor, str) and (not callable(monitor) or isinstance(monitor, type)):
        raise TypeError(
            f"{owner}: monitor must be a column of the history, such as 'val_loss', or a function of the "
            f"network, got {monitor!r}."
        )
    return monitor


def larger_is_better(monitor: Monitored, run: Run, stated: bool | None, owner: str) -> bool:
    """Return whether larger values are better: as stated, as the monitor declares, or by the column."""
    if stated is not None:
        return stated
    if callable(monitor):
        return bool(getattr(monitor, "larger_is_better", False))
    try:
        return run.history.larger_is_better(monitor)
    except ValueError as error:
        raise ValueError(f"{owner}: monitor={monitor!r}: {error}") from None


def monitored_value(monitor: Monitored, run: Run, owner: str) -> float:
    """Return the last entry of the monitored column, or the value of the monitor function."""
    if callable(monitor):
        return float(monitor(run.network))
    if monitor not in run.history:
        raise ValueError(
            f"{owner}: monitor={monitor!r} is not in the history, which has {list(run.history)}. Give net.fit "
            "validation_data or metrics, give an estimator early_stopping=True or X_val and y_val, or monitor "
            "one of these columns."
        )
    value = run.history[monitor][-1]
    if np.ndim(value):
        raise ValueError(f"{owner}: monitor={monitor!r} must be a number for each epoch, got {value!r}.")
    return float(value)
