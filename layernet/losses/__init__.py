"""Losses: each is a layer once it is bound to its targets."""

from layernet.losses.classification import BinaryCrossEntropy, CrossEntropy, HingeLoss
from layernet.losses.deviance import HalfPoissonDeviance, HalfSquaredError, LogLoss
from layernet.losses.loss import BoundLoss, Loss
from layernet.losses.regression import HuberLoss, MeanAbsoluteError, MeanSquaredError, PoissonLoss, QuantileLoss

__all__ = [
    "BinaryCrossEntropy",
    "BoundLoss",
    "CrossEntropy",
    "HalfPoissonDeviance",
    "HalfSquaredError",
    "HingeLoss",
    "HuberLoss",
    "LogLoss",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "PoissonLoss",
    "QuantileLoss",
]
