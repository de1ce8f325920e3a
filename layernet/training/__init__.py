"""Training: the loop, its batches, its callbacks and its history."""

from layernet.training.batches import batches
from layernet.training.callback import Callback
from layernet.training.callbacks import EarlyStopping, LearningRateScheduler, ProgressBar
from layernet.training.divergence import DivergenceError
from layernet.training.evaluation import evaluate
from layernet.training.fitting import fit
from layernet.training.history import History
from layernet.training.learning_rate import LearningRateSearch, find_learning_rate
from layernet.training.metrics import accuracy
from layernet.training.run import Run

__all__ = [
    "Callback",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "LearningRateScheduler",
    "LearningRateSearch",
    "ProgressBar",
    "Run",
    "accuracy",
    "batches",
    "evaluate",
    "find_learning_rate",
    "fit",
]
