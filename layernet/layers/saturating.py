"""Activations with bounded outputs: Sigmoid, Tanh, HardSigmoid, SmoothClip."""

from __future__ import annotations

import numpy as np

from layernet.layer import Layer
from layernet.layers.activation import Activation
from layernet.validation import require_number


class Sigmoid(Activation):
    """Logistic function, with outputs between 0 and 1.

    s(x) = 1 / (1 + exp(-x)), and s'(x) = s(x) (1 - s(x)), at most 1/4.

    Examples
    --------
    >>> Sigmoid().forward_pass([[-1000.0, 0.0, 1000.0]])
    array([[0. , 0.5, 1. ]])
    >>> Sigmoid().backward_pass([[0.0]], [[1.0]])
    array([[0.25]])
    """

    output_bounds = (0.0, 1.0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return logistic(inputs)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * outputs * (1 - outputs)


class Tanh(Activation):
    """Hyperbolic tangent, with outputs between -1 and 1.

    tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), and tanh'(x) = 1 - tanh(x)**2.

    Examples
    --------
    >>> Tanh().backward_pass([[0.0]], [[3.0]])
    array([[3.]])
    """

    output_bounds = (-1.0, 1.0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(inputs)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * (1 - outputs * outputs)


class HardSigmoid(Activation):
    """Piecewise linear approximation of the sigmoid.

    h(x) = min(max(x / 6 + 1/2, 0), 1), and h'(x) = 1/6 where 0 < h(x) < 1, else 0.

    The slope is the one of MobileNetV3 (Howard et al., 2019); Courbariaux et al. (2015) had 1/5.

    Examples
    --------
    >>> HardSigmoid().forward_pass([[-4.0, 0.0, 1.5, 4.0]])
    array([[0.  , 0.5 , 0.75, 1.  ]])
    """

    output_bounds = (0.0, 1.0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.clip(inputs / 6 + 0.5, 0, 1)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * ((outputs > 0) & (outputs < 1)) / 6


class SmoothClip(Layer):
    """Clip smoothly to ±limit: nearly the identity around 0, and never beyond the limit.

    c(x) = x / sqrt(1 + (x / limit)**2), and c'(x) = (1 + (x / limit)**2)**(-3/2).

    On scaled features it keeps single large values from ruling a network.

    Parameters
    ----------
    limit : float, default=3.0
        Above 0.

    Examples
    --------
    >>> SmoothClip(limit=1).forward_pass([[0.0, 0.75, 1e300]])
    array([[0. , 0.6, 1. ]])
    >>> SmoothClip(limit=1).backward_pass([[0.75]], [[1.0]]).round(6)
    array([[0.512]])

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data.
    """

    def __init__(self, limit: float = 3.0) -> None:
        self.limit = require_number(self, "limit", limit, above=0)

    @property
    def output_bounds(self) -> tuple[float, float]:  # type: ignore[override]  # follows from a setting
        return -float(self.limit), float(self.limit)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return smooth_clip(inputs, self.limit)

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * (1 / np.hypot(inputs / self.limit, 1)) ** 3


def logistic(inputs: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-inputs)), without overflow."""
    # exp overflows to infinity for large negative inputs, and 1 / infinity = 0 is the correct result.
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-inputs))


def smooth_clip(inputs: np.ndarray, limit: float) -> np.ndarray:
    """Return inputs / sqrt(1 + (inputs / limit)**2), without overflow."""
    return inputs / np.hypot(inputs / limit, 1)
