"""Activations with bounded outputs: Sigmoid, Tanh, HardSigmoid."""

from __future__ import annotations

import numpy as np

from layernet.layers.activation import Activation


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


def logistic(inputs: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-inputs)), without overflow."""
    # exp overflows to infinity for large negative inputs, and 1 / infinity = 0 is the correct result.
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-inputs))
