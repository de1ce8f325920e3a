"""State of a training run, passed to every callback."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layernet.hints import RUN_HINTS
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.training.history import STOP_REASONS, History, StopReason


@dataclass(slots=True)
class Run:
    """State of a training run, passed to every callback.

    Only `kept_epoch` can be assigned. A callback changes a training by `run.stop(message)`, by
    `run.optimizer.learning_rate = rate`, and by assigning to `run.data.inputs`, `run.data.targets` or
    `run.data.weights`.

    Attributes
    ----------
    network : Layer
    loss : Loss
    optimizer : Optimizer
    epochs : int
        Number of epochs to train.
    steps_per_epoch : int
    history : History
        A row for each finished epoch.
    epoch : int
        Number of the current epoch, from 1.
    batch : int
        Number of the last finished batch of the epoch, from 1.
    batch_loss : float
        Loss of that batch, before its update.
    batch_rows : int
        Number of rows of that batch. The last batch of an epoch may be smaller, and counts less in a mean.
    stop_reason : str or None
        One of `STOP_REASONS` once training is to end before all epochs are done; None until then.
    stop_message : str
        The same for people; empty until then.
    data : TrainingData or None
        The training data. Assign to `run.data.inputs`, `run.data.targets` or `run.data.weights` to replace them
        from the next step on; the arrays themselves are read-only.
    order : ndarray of int or None
        Row numbers of the current epoch in the order of training, read-only; None for the order of the data.
    penalty : float
        Factor of the squared weights in the loss. 0 in `fit`, where the optimizer has the weight decay.
    validation : tuple (inputs, targets, weights) or None
        Validation data, evaluated after every epoch; `loss.prepare` takes the targets.
    kept_epoch : int or None
        The epoch whose parameters a callback restores after training; None keeps those of the last step.
    """

    network: Layer
    loss: Loss
    optimizer: Optimizer
    epochs: int
    steps_per_epoch: int
    history: History = field(default_factory=History)
    epoch: int = 0
    batch: int = 0
    batch_loss: float = math.nan
    batch_rows: int = 0
    stop_reason: StopReason | None = None
    stop_message: str = ""
    data: Any = None
    order: np.ndarray | None = None
    penalty: float = 0.0
    validation: tuple[Any, Any, Any] | None = None
    kept_epoch: int | None = None

    def stop(self, message: str, reason: StopReason = "callback") -> None:
        """End the training after the current epoch.

        Parameters
        ----------
        message : str
            Why, as a sentence for people. It becomes `history.stop_message`.
        reason : str, default="callback"
            One of `STOP_REASONS`, for programs. It becomes `history.stop_reason`.

        Raises
        ------
        TypeError
            If the message is not a string.
        ValueError
            If the reason is not one of `STOP_REASONS`.
        """
        if not isinstance(message, str):
            raise TypeError(f"run.stop: message must be a sentence that says why, got {message!r}.")
        if reason not in STOP_REASONS:
            raise ValueError(f"run.stop: reason must be one of {', '.join(STOP_REASONS)}, got {reason!r}.")
        note(self, stop_reason=reason, stop_message=message)

    def __setattr__(self, name: str, value: Any) -> None:
        is_new = name in self.__slots__ and not hasattr(self, name)  # in the constructor
        if is_new or name == "kept_epoch":
            object.__setattr__(self, name, value)
            return
        hint = RUN_HINTS.get(name) or (
            "A callback may call run.stop(message), and assign to run.optimizer.learning_rate and to "
            "run.data.inputs, run.data.targets and run.data.weights. A callback keeps its own data in "
            "attributes of its own."
        )
        raise AttributeError(f"run.{name} cannot be assigned. {hint}")

    def __getattr__(self, name: str) -> Any:
        hint = RUN_HINTS.get(name, f"It has {', '.join(self.__slots__)}.")
        raise AttributeError(f"A run has no {name!r}. {hint}")


def note(run: Run, **values: Any) -> None:
    """Set attributes of a run. Only the training loop calls this.

    Parameters
    ----------
    run : Run
    **values
        Values by the names of attributes.
    """
    for name, value in values.items():
        object.__setattr__(run, name, value)


def note_end(run: Run, message: str, reason: StopReason) -> None:
    """Write into the history why training ended: the reason given here, unless `run.stop` was called.

    Parameters
    ----------
    run : Run
    message : str
    reason : str
        One of `STOP_REASONS`.
    """
    if run.stop_reason is None:
        run.stop(message, reason)
    run.history.stop_reason, run.history.stop_message = run.stop_reason, run.stop_message
