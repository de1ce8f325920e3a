"""Losses: each is a layer once it is bound to its targets."""

from layernet.losses.classification import BinaryCrossEntropy, CrossEntropy, Hinge
from layernet.losses.deviance import HalfPoissonDeviance, HalfSquaredError, LogLoss
from layernet.losses.loss import BoundLoss, Loss
from layernet.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError, Poisson, Quantile

__all__ = [
    "BinaryCrossEntropy",
    "BoundLoss",
    "CrossEntropy",
    "HalfPoissonDeviance",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
]
