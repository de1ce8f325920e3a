"""Losses; a loss that is bound to its targets is a layer."""

from layernet.losses.classification import BinaryCrossEntropy, CrossEntropy, HingeLoss
from layernet.losses.deviance import HalfPoissonDeviance, HalfSquaredError, LogLoss
from layernet.losses.loss import Loss
from layernet.losses.regression import HuberLoss, MeanAbsoluteError, MeanSquaredError, PoissonLoss, QuantileLoss

__all__ = [
    "BinaryCrossEntropy",
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
