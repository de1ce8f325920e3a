"""Layers: formulas, in one file for each family; the only list of all layers."""

from layernet.layers.activation import Activation
from layernet.layers.dense import Dense
from layernet.layers.features import CategoryEmbedding, FeatureScale, SelectFeatures
from layernet.layers.identity import Identity
from layernet.layers.noise import Dropout, GaussianNoise
from layernet.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from layernet.layers.number_embeddings import PeriodicEmbedding, PiecewiseLinearEncoding
from layernet.layers.rectifiers import ELU, SELU, LeakyReLU, ReLU
from layernet.layers.saturating import HardSigmoid, Sigmoid, SmoothClip, Tanh
from layernet.layers.shaping import Flatten, Reshape
from layernet.layers.smooth import GELU, Mish, SiLU, Softplus
from layernet.layers.softmax import LogSoftmax, Softmax

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BatchNorm",
    "CategoryEmbedding",
    "Dense",
    "Dropout",
    "FeatureScale",
    "Flatten",
    "GaussianNoise",
    "HardSigmoid",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "PeriodicEmbedding",
    "PiecewiseLinearEncoding",
    "RMSNorm",
    "ReLU",
    "Reshape",
    "SelectFeatures",
    "SiLU",
    "Sigmoid",
    "SmoothClip",
    "Softmax",
    "Softplus",
    "Tanh",
]
