"""Callbacks: what may look on while a network trains, and may change its course."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.representation import Configurable
from layernet.schedules import Schedule
from layernet.training.copies import SharingCopies
from layernet.training.hooks import refuse_misspelled, refuse_what_nobody_calls
from layernet.training.run import Run
from layernet.training.snapshot import Snapshot


class Callback(SharingCopies, Configurable):
    """Something that looks on while a network trains; define those methods that you need.

    The compiled engine does many steps in one go where nobody looks on. A callback with `on_batch_end` makes it
    do one step at a time, unless it says `every_batch = False`: then `on_batch_end` is called after each such
    run of steps, and `run.batch` says how many batches of the epoch are done.

    In all of them the network is in inference mode, and rows may be passed through it. A function that is
    assigned to an object, `callback.on_epoch_end = function`, is called in the place of its class's method. A
    callback ends a training by `run.stop(message)`, not by what it returns.

    A method whose name begins with `on_` and that is none of these five is refused when the class is defined,
    because nobody would call it. A class whose methods of such names are called by others declares them in
    `other_hooks`.

    `clone` and a grid search copy an estimator's callbacks. A callback that holds what cannot be copied, a file
    or a trial of a hyperparameter optimizer for instance, declares it in `shared`.

    Attributes
    ----------
    shared : tuple of str
        Names of attributes whose values copies share with the original; the class says which. A pickle, and so
        a worker process, has None in their place.
    other_hooks : tuple of str
        Names of methods that begin with `on_` and are called by others than a training.

    Raises
    ------
    TypeError
        When a class is defined with a method that begins with `on_` and that nobody would call, or with one
        that does not take the run alone.

    Examples
    --------
    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(f"epoch {run.epoch}: {run.history['loss'][-1]:.2f}")

    With an open file, which all copies write to:

    >>> class WriteLoss(Callback):
    ...     shared = ("file",)
    ...     def __init__(self, file):
    ...         self.file = file
    ...     def on_epoch_end(self, run):
    ...         print(run.history["loss"][-1], file=self.file)
    >>> import copy, sys
    >>> copy.deepcopy(WriteLoss(sys.stdout)).file is sys.stdout
    True
    """

    every_batch = True
    other_hooks: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_what_nobody_calls(cls)

    def on_train_begin(self, run: Run) -> None:
        """Called before the first batch."""

    def on_epoch_begin(self, run: Run) -> None:
        """Called before the first batch of every epoch; `run.epoch` counts from 1."""

    def on_batch_end(self, run: Run) -> None:
        """Called after every update, or with `every_batch = False` after some, in inference mode."""

    def on_epoch_end(self, run: Run) -> None:
        """Called when the history has the epoch's row; the network is in inference mode."""

    def on_train_end(self, run: Run) -> None:
        """Called once after training, also when it was interrupted or diverged, or another callback failed."""


def call(callbacks: Iterable[Callback], hook: str, run: Run) -> None:
    """Call one method of each callback.

    Raises
    ------
    TypeError
        If one returns True, by which callbacks of other packages end a training.
    """
    for callback in callbacks:
        if getattr(callback, hook)(run) is True:
            raise TypeError(
                f"{type(callback).__name__}.{hook} returned True, which has no effect. Call run.stop(message) "
                "to end the training."
            )


def has_own(callback: Callback, hook: str) -> bool:
    """Whether a callback's class, or somebody on the object itself, defines a method that `Callback` has."""
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)


def needs_every_batch(callback: Callback) -> bool:
    """Whether `on_batch_end` has to be called after every batch; not if `every_batch` is False.

    What a class says of `every_batch` holds for its own `on_batch_end`, not for that of a subclass.
    """
    if not has_own(callback, "on_batch_end"):
        return False
    if "on_batch_end" in vars(callback) or "every_batch" in vars(callback):
        return bool(vars(callback).get("every_batch", True))
    says = next(cls for cls in type(callback).__mro__ if {"on_batch_end", "every_batch"} & vars(cls).keys())
    return "every_batch" not in vars(says) or bool(callback.every_batch)


class EarlyStopping(Callback):
    """Stop when a value has not become better for a while, and go back to where it was best.

    Parameters
    ----------
    monitor : str or callable, default="val_loss"
        A column of the history; or a function of the network that returns a number, called after every epoch.
    patience : int, default=10
        So many epochs in a row without a new best before training stops.
    min_delta : float, default=0.0
        How much better a new best must be.
    larger_is_better : bool, default=None
        None for what is known of the column: of losses smaller values are better, of `accuracy` larger ones,
        of another metric what its function declares by an attribute of this name. A column of which nothing is
        known needs True or False. Of the numbers of a function smaller ones are better, unless this or an
        attribute of the function says otherwise.
    restore_best : bool, default=True
        Whether the network gets the parameters and the state of the best epoch back in the end.

    Attributes
    ----------
    best_value : float
    best_epoch : int
        Counting from 1; 0 if there was none.

    Raises
    ------
    ValueError
        At the beginning of training, if nothing says whether larger or smaller values are better.
    """

    def __init__(
        self,
        monitor: str | Callable[[Layer], float] = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        larger_is_better: bool | None = None,
        restore_best: bool = True,
    ):
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {patience!r}.")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.larger_is_better = larger_is_better
        self.restore_best = restore_best

    _snapshot: Snapshot | None = None
    _rises = False

    def on_train_begin(self, run):
        self._rises = rises(self.monitor, run, self.larger_is_better, "EarlyStopping")
        self.best_epoch = 0
        self.best_value = -math.inf if self._rises else math.inf
        self._snapshot = None

    def on_epoch_end(self, run):
        value = watched_value(self.monitor, run, "EarlyStopping")
        gain = value - self.best_value if self._rises else self.best_value - value
        if gain > self.min_delta:
            with uninterrupted:
                self.best_value, self.best_epoch = value, run.epoch
                if self.restore_best:
                    self._snapshot, run.kept_epoch = Snapshot(run.network), run.epoch
        elif run.epoch - self.best_epoch >= self.patience:
            name = self.monitor if isinstance(self.monitor, str) else "the monitored value"
            message = f"{name} has not improved for {self.patience} epochs; best was epoch {self.best_epoch}."
            run.stop(message, reason="early_stopping")

    def on_train_end(self, run):
        if self._snapshot is not None:
            self._snapshot.restore()
            self._snapshot = None


class LearningRateScheduler(Callback):
    """Set the optimizer's learning rate from a schedule, once an epoch or once a step.

    A schedule in steps can also be the optimizer's own `learning_rate`, without a callback.

    Parameters
    ----------
    schedule : Schedule or callable
        A function of the number of epochs (or steps) done in this training. What a schedule has observed counts
        in the next training of the same network, and is forgotten for another.
    per : {"epoch", "step"}, default="epoch"
        What the schedule counts.
    monitor : str or callable, default="loss"
        What a schedule that observes (`ReduceOnPlateau`) is told after every epoch; see `EarlyStopping`. A
        `ReduceOnPlateau` that does not say itself whether larger values are better goes by the column.

    Raises
    ------
    TypeError
        If the schedule cannot be called.
    ValueError
        At the beginning of training, if a `ReduceOnPlateau` observes a column of which nothing says whether
        larger or smaller values are better.
    """

    def __init__(
        self,
        schedule: Schedule | Callable[[int], float],
        per: str = "epoch",
        monitor: str | Callable[[Layer], float] = "loss",
    ):
        if per not in ("epoch", "step"):
            raise ValueError(f"LearningRateScheduler: per must be 'epoch' or 'step', got {per!r}.")
        if not callable(schedule) or isinstance(schedule, type):
            raise TypeError(
                "LearningRateScheduler: schedule must be a Schedule or a function of the time, "
                f"got {schedule!r}. A constant learning rate is an argument of the optimizer: Adam(0.1)."
            )
        self.schedule = schedule
        self.per = per
        self.monitor = monitor

    @property
    def every_batch(self) -> bool:
        """Whether the rate changes after every batch."""
        return self.per == "step"

    def on_train_begin(self, run):
        self._time = 0
        # A schedule that leaves the direction open is told numbers that should fall.
        is_open = getattr(self.schedule, "larger_is_better", False) is None
        self._sign = -1 if is_open and rises(self.monitor, run, None, "ReduceOnPlateau") else 1
        if isinstance(self.schedule, Schedule):
            self.schedule.begin_training(run.network, is_new=run.optimizer.steps == 0)
        run.optimizer.learning_rate = self.schedule(0)

    def on_batch_end(self, run):
        if self.per == "step":
            self._advance(run)

    def on_epoch_end(self, run):
        if hasattr(self.schedule, "observe"):
            self.schedule.observe(self._sign * watched_value(self.monitor, run, "LearningRateScheduler"))
        if self.per == "epoch":
            self._advance(run)

    def _advance(self, run):
        self._time += 1
        run.optimizer.learning_rate = self.schedule(self._time)


class ProgressBar(Callback):
    """A bar of the steps done, with the last epoch's losses: in the terminal, or in a notebook.

    Parameters
    ----------
    file : text file, default=None
        Where to write; None for the standard error stream. Copies write to the same file.
    **options
        For tqdm: `leave=`, `mininterval=`, ...
    """

    shared = ("file", "_bar")

    def __init__(self, file: TextIO | None = None, **options: Any):
        self.file = file
        self.options = options

    def __repr__(self) -> str:
        arguments = ({} if self.file is None else {"file": self.file}) | self.options
        return f"ProgressBar({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"

    _bar = None
    every_batch = False

    def on_epoch_begin(self, run):
        self._shown = 0

    def on_train_begin(self, run):
        with warnings.catch_warnings():
            # Without ipywidgets tqdm warns and falls back to text, which is all we want.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=run.epochs * run.steps_per_epoch,
                unit="step",
                file=self.file,
                **{"leave": True, **self.options},
            )

    def on_batch_end(self, run):
        self._bar.update(run.batch - self._shown)
        self._shown = run.batch

    def on_epoch_end(self, run):
        shown = {
            name: f"{values[-1]:.4g}"
            for name, values in run.history.items()
            if name not in ("epoch", "learning_rate", "seconds")
        }
        self._bar.set_postfix(refresh=False, epoch=f"{run.epoch}/{run.epochs}", **shown)

    def on_train_end(self, run):
        if self._bar is not None:  # another callback may have failed before this one began
            self._bar.close()
            self._bar = None


def rises(monitor: str | Callable[[Layer], float], run: Run, stated: bool | None, who: str) -> bool:
    """Whether larger values are better: as stated, as the monitor function declares, or by the column."""
    if stated is not None:
        return stated
    if callable(monitor):
        return bool(getattr(monitor, "larger_is_better", False))
    try:
        return run.history.larger_is_better(monitor)
    except ValueError as error:
        raise ValueError(f"{who}: monitor={monitor!r}: {error}") from None


def watched_value(monitor: str | Callable[[Layer], float], run: Run, who: str) -> float:
    """The value to watch: the last entry of a column of the history, or what a function returns."""
    if callable(monitor):
        return float(monitor(run.network))
    if monitor not in run.history:
        raise ValueError(
            f"{who}: monitor={monitor!r} is not in the history, which has {list(run.history)}. "
            "Give net.fit validation_data or metrics, an estimator early_stopping=True or X_val and y_val, or "
            "watch one of these."
        )
    value = run.history[monitor][-1]
    if np.ndim(value):
        raise ValueError(f"{who}: monitor={monitor!r} must be a number for each epoch, got {value!r}.")
    return float(value)


def as_callbacks(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """Callbacks in a list, each checked.

    Parameters
    ----------
    callbacks : Callback, iterable of Callback, or None for none

    Raises
    ------
    TypeError
        If one is a function, a class, or another object that is no `Callback`, or has a function under a
        misspelled name.
    """
    if callbacks is None:
        return []
    is_one = (
        isinstance(callbacks, (type, Callback)) or callable(callbacks) or not isinstance(callbacks, Iterable)
    )
    callbacks = [callbacks] if is_one else list(callbacks)
    for callback in callbacks:
        if isinstance(callback, Callback):
            refuse_misspelled(callback)
            continue
        if isinstance(callback, type) and issubclass(callback, Callback):
            found = f"the class {callback.__name__}. Write {callback.__name__}(...)"
        elif isinstance(callback, Schedule):
            found = f"the schedule {callback!r}. Write LearningRateScheduler({callback!r})"
        elif callable(callback):
            found = (
                f"the function {getattr(callback, '__name__', callback)!s}. Define a subclass of Callback with "
                "this as its method on_epoch_end(self, run), and give an object of it"
            )
        elif "sklearn" in type(callback).__module__:
            found = f"{type(callback).__name__}. Callbacks of scikit-learn are set by set_callbacks"
        else:
            found = f"{type(callback).__name__}. Give objects of subclasses of layernet.Callback"
        raise TypeError(f"callbacks must be layernet's, got {found}.")
    return callbacks
