"""Rectifiers, which are linear for positive inputs: ReLU, LeakyReLU, ELU, SELU."""

from __future__ import annotations

import numpy as np

from layernet.layer import Layer
from layernet.layers.activation import Activation
from layernet.validation import require_number


class ReLU(Activation):
    """Rectified linear unit: max(inputs, 0).

    r(x) = max(x, 0), and r'(x) = 1 where x > 0, else 0 (also at 0).

    Examples
    --------
    >>> ReLU().forward_pass([[-1.0, 0.0, 2.0]])
    array([[0., 0., 2.]])
    >>> ReLU().backward_pass([[-1.0, 0.0, 2.0]], [[5.0, 5.0, 5.0]])
    array([[0., 0., 5.]])

    References
    ----------
    Nair and Hinton (2010), Rectified linear units improve restricted Boltzmann machines.
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.maximum(inputs, 0)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * (outputs > 0).astype(outputs.dtype)


class LeakyReLU(Activation):
    """Rectifier with a small slope for negative inputs, so that the gradient is not 0 there.

    r(x) = x where x > 0, else slope * x; r'(x) = 1 where x > 0, else slope.

    Parameters
    ----------
    negative_slope : float, default=0.01
        At least 0.

    Examples
    --------
    >>> LeakyReLU(0.1).forward_pass([[-10.0, 2.0]])
    array([[-1.,  2.]])

    References
    ----------
    Maas, Hannun and Ng (2013), Rectifier nonlinearities improve neural network acoustic models.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = require_number(self, "negative_slope", negative_slope, at_least=0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.where(inputs > 0, inputs, self.negative_slope * inputs)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return np.where(outputs > 0, grad_output, self.negative_slope * grad_output)


class ELU(Layer):
    """Exponential linear unit: a rectifier that approaches -alpha for negative inputs.

    e(x) = x where x > 0, else alpha (exp(x) - 1); e'(x) = 1 where x > 0, else alpha exp(x), which equals
    e(x) + alpha. For large negative x, that sum would lose all digits.

    Parameters
    ----------
    alpha : float, default=1.0
        Greater than 0.

    Examples
    --------
    >>> ELU().forward_pass([[-1000.0, 2.0]])
    array([[-1.,  2.]])

    References
    ----------
    Clevert, Unterthiner and Hochreiter (2016), Fast and accurate deep network learning by exponential linear
    units.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = require_number(self, "alpha", alpha, above=0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.where(inputs > 0, inputs, self.alpha * np.expm1(np.minimum(inputs, 0)))

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * np.where(inputs > 0, 1, self.alpha * np.exp(np.minimum(inputs, 0)))


class SELU(Layer):
    """Scaled ELU, which keeps activations near mean 0 and variance 1 from layer to layer.

    s(x) = scale * x where x > 0, else scale * alpha (exp(x) - 1); s'(x) = scale where x > 0, else
    scale * alpha exp(x). Use it with the initializer `"lecun_normal"`.

    Examples
    --------
    >>> SELU().forward_pass([[1.0]])
    array([[1.05070099]])

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter (2017), Self-normalizing neural networks.
    """

    alpha = 1.6732632423543772
    scale = 1.0507009873554805

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        negative = self.scale * self.alpha * np.expm1(np.minimum(inputs, 0))
        return np.where(inputs > 0, self.scale * inputs, negative)

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        negative = self.scale * self.alpha * np.exp(np.minimum(inputs, 0))
        return grad_output * np.where(inputs > 0, self.scale, negative)
