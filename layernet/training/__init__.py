"""Training: the loop, its batches, its callbacks and its history."""

from layernet.training.batches import batches
from layernet.training.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateSchedule,
    ProgressBar,
)
from layernet.training.history import History
from layernet.training.loop import DivergenceError, evaluate, fit
from layernet.training.metrics import accuracy
from layernet.training.run import Run

__all__ = [
    "Callback",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "LearningRateSchedule",
    "ProgressBar",
    "Run",
    "accuracy",
    "batches",
    "evaluate",
    "fit",
]
