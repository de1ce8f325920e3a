"""Divergence: the error for a loss, gradient or parameter that is not finite."""

from __future__ import annotations

import numpy as np

from layernet.engine.plan import NotFiniteError
from layernet.training.data import TrainingData
from layernet.training.history import History
from layernet.training.run import Run, note, note_end


class DivergenceError(ArithmeticError, ValueError):
    """Raised when a loss, a gradient or a parameter is not finite during training.

    It is a ValueError too, because scikit-learn raises one in the same case.

    Attributes
    ----------
    epoch, batch : int
        Epoch and batch of the step, counted from 1.
    history : History
        History of the finished epochs.
    """

    def __init__(self, message: str, epoch: int = 0, batch: int = 0, history: History | None = None):
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.history = History() if history is None else history


def divergence_error(reason: NotFiniteError | str, run: Run, data: TrainingData) -> DivergenceError:
    """Return the error for a training run that diverged, and write its end into the run's history.

    The message says where the run diverged, why, and what to try.
    """
    optimizer = run.optimizer
    smaller_rate = (
        "" if optimizer is None else f"a smaller learning rate (it is {optimizer.current_learning_rate():g}), "
    )
    largest = data.largest_input()
    largest_target = float(np.abs(data.targets).max()) if data.targets.dtype.kind == "f" else 0.0
    and_targets = f", and targets (the largest is {largest_target:g})" if largest_target > largest else ""
    where = f"Training diverged in epoch {run.epoch}, batch {run.batch}: {reason}."
    note(run, stop_reason=None)  # a callback may have set one before
    note_end(run, where, "diverged")
    advice = (
        f"The network keeps its last finite parameters. Try {smaller_rate}clipped gradients, or inputs scaled "
        f"to about 1 (the largest is {largest:g}){and_targets}."
    )
    return DivergenceError(f"{where} {advice}", run.epoch, run.batch, run.history)
