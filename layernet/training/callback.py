"""Base class of callbacks, and the functions by which a training calls them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from layernet.representation import Configurable
from layernet.schedules import Schedule
from layernet.training.copies import SharingCopies
from layernet.training.hooks import refuse_misspelled, refuse_uncalled_hooks
from layernet.training.run import Run


class Callback(SharingCopies, Configurable):
    """Base class of callbacks; a subclass defines the hooks that it needs.

    The hooks are `on_train_begin`, `on_epoch_begin`, `on_batch_end`, `on_epoch_end` and `on_train_end`. Each is
    called with the `Run`. The network is in inference mode, and rows may be passed through it. A function that
    is assigned to an object, `callback.on_epoch_end = function`, replaces the method of its class. A callback
    ends training by `run.stop(message)`, not by the value that a hook returns.

    The compiled engine computes many steps in one call. A callback with `on_batch_end` makes it return after
    each step. With `every_batch = False` the engine returns when it likes: `on_batch_end` is called after each
    group of steps, and `run.batch` counts the batches of the epoch that are done.

    A class with another method whose name begins with `on_` is refused, because no training calls it. If other
    code calls such methods, the class declares them in `other_hooks`.

    `clone` and a grid search copy an estimator's callbacks. A callback that holds an object that cannot be
    copied, such as a file or a trial of a hyperparameter optimizer, declares the attribute in `shared`.

    Attributes
    ----------
    every_batch : bool
        Whether `on_batch_end` is called after every batch. True unless a class sets it to False.
    shared : tuple of str
        Names of attributes whose values copies share with the original. The class declares them. In a pickle,
        and so in a worker process, their values are None.
    other_hooks : tuple of str
        Names of methods that begin with `on_` and are called by other code than a training.

    Raises
    ------
    TypeError
        When a class is defined with an unknown method that begins with `on_`, or with a hook that takes other
        arguments than the run.

    Examples
    --------
    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(f"epoch {run.epoch}: {run.history['loss'][-1]:.2f}")

    A callback whose copies write to the same file:

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

    every_batch: bool = True
    other_hooks: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_uncalled_hooks(cls)

    def on_train_begin(self, run: Run) -> None:
        """Called once before the first batch."""

    def on_epoch_begin(self, run: Run) -> None:
        """Called before the first batch of every epoch; `run.epoch` counts from 1."""

    def on_batch_end(self, run: Run) -> None:
        """Called after every update; with `every_batch = False`, after every group of updates."""

    def on_epoch_end(self, run: Run) -> None:
        """Called after every epoch, when the history has its row."""

    def on_train_end(self, run: Run) -> None:
        """Called once after training, also if it was interrupted, diverged, or another callback failed."""


def call(callbacks: Iterable[Callback], hook: str, run: Run) -> None:
    """Call one hook of each callback.

    Raises
    ------
    TypeError
        If a hook returns True, by which callbacks of other packages end a training.
    """
    for callback in callbacks:
        if getattr(callback, hook)(run) is True:
            raise TypeError(
                f"{type(callback).__name__}.{hook} returned True, which has no effect. Call run.stop(message) "
                "to end the training."
            )


def has_own(callback: Callback, hook: str) -> bool:
    """Return whether a callback overrides a hook, by its class or by a function assigned to the object."""
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)


def needs_every_batch(callback: Callback) -> bool:
    """Return whether `on_batch_end` must be called after every batch.

    `every_batch = False` of a class applies to the `on_batch_end` that this class defines or inherits, not to
    that of a subclass.
    """
    if not has_own(callback, "on_batch_end"):
        return False
    if "on_batch_end" in vars(callback) or "every_batch" in vars(callback):
        return bool(vars(callback).get("every_batch", True))
    definer = next(cls for cls in type(callback).__mro__ if {"on_batch_end", "every_batch"} & vars(cls).keys())
    return "every_batch" not in vars(definer) or bool(callback.every_batch)


def as_callbacks(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """Callbacks in a list, each checked.

    Parameters
    ----------
    callbacks : Callback, iterable of Callback, or None for none

    Raises
    ------
    TypeError
        If one is a function, a class, or another object that is not a `Callback`, or has a function under a
        misspelled name.
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, (type, Callback)) or callable(callbacks) or not isinstance(callbacks, Iterable):
        found: list[Any] = [callbacks]
    else:
        found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be layernet's, got {description_of(callback)}.")
        refuse_misspelled(callback)
    return found


def description_of(value: Any) -> str:
    """Describe a value that is not a callback, and say what to pass instead, for an error."""
    if isinstance(value, type) and issubclass(value, Callback):
        return f"the class {value.__name__}. Write {value.__name__}(...)"
    if isinstance(value, Schedule):
        return f"the schedule {value!r}. Write LearningRateScheduler({value!r})"
    if callable(value):
        return (
            f"the function {getattr(value, '__name__', value)!s}. Define a subclass of Callback with this as "
            "its method on_epoch_end(self, run), and give an object of it"
        )
    if "sklearn" in type(value).__module__:
        return f"{type(value).__name__}. Callbacks of scikit-learn are set by set_callbacks"
    return f"{type(value).__name__}. Give objects of subclasses of layernet.Callback"
