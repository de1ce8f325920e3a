"""The state of a training, which callbacks are given."""

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
    """State of a training, which callbacks read.

    Nothing can be assigned to it but `kept_epoch`. A callback changes a training by `run.stop(message)`, by
    `run.optimizer.learning_rate = rate`, and by assigning to `run.data.inputs`, `run.data.targets` or
    `run.data.weights`.

    Attributes
    ----------
    network, loss, optimizer
        What is trained, on what, and how.
    epochs : int
        How many are planned.
    steps_per_epoch : int
    history : History
        What the finished epochs came to.
    epoch : int
        The epoch under way, counting from 1.
    batch : int
        The batch done last in it, counting from 1.
    batch_loss : float
        The loss of that batch, before its update.
    batch_rows : int
        How many rows that batch had: the last of an epoch may be smaller, and then counts less in a mean.
    stop_reason : str or None
        One of `STOP_REASONS` once training is to end before all epochs are done; None until then.
    stop_message : str
        The same for people; empty until then.
    data : TrainingData or None
        The rows that are trained on, from the first call on. Assign to `run.data.inputs`, `run.data.targets` or
        `run.data.weights` to replace them from the next step on; the arrays themselves are read-only.
    order : ndarray of int or None
        The rows of the epoch under way in the order in which they are seen, read-only; None for the order of
        the data.
    penalty : float
        Of the squared weights, as a plan takes it; 0 in `fit`, where weight decay is the optimizer's.
    validation : tuple (inputs, targets, weights) or None
        What the network is validated on after every epoch; `loss.prepare` takes the targets.
    kept_epoch : int or None
        The epoch whose parameters a callback gives back to the network in the end; None keeps the last ones.
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
    validation: tuple | None = None
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
            "run.data.inputs, run.data.targets and run.data.weights. What it remembers it keeps itself."
        )
        raise AttributeError(f"run.{name} cannot be assigned. {hint}")

    def __getattr__(self, name: str) -> Any:
        hint = RUN_HINTS.get(name, f"It has {', '.join(self.__slots__)}.")
        raise AttributeError(f"A run has no {name!r}. {hint}")


def note(run: Run, **values: Any) -> None:
    """Write down what a training has come to; for the training alone.

    Parameters
    ----------
    run : Run
    **values
        By the names of attributes.
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
