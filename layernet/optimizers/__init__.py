"""Optimizers: a file for each family."""

from layernet.optimizers.adam import Adam, AdamW, NAdam
from layernet.optimizers.adaptive import Adagrad, RMSProp
from layernet.optimizers.descent import SGD, Lion
from layernet.optimizers.optimizer import Optimizer

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "NAdam", "Optimizer", "RMSProp"]
