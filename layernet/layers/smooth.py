"""Smooth variants of the rectifier: GELU, SiLU, Mish, Softplus."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.layers.activation import Activation
from layernet.layers.saturating import logistic
from layernet.validation import require_bool

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
INVERSE_SQRT_2_PI = 1 / math.sqrt(2 * math.pi)


class Softplus(Activation):
    """Smooth rectifier; its derivative is the sigmoid.

    f(x) = log(1 + exp(x)), and f'(x) = 1 / (1 + exp(-x)) = 1 - exp(-f(x)).

    Examples
    --------
    >>> Softplus().forward_pass([[-1000.0, 1000.0]])
    array([[   0., 1000.]])

    References
    ----------
    Dugas, Bengio, Belisle, Nadeau and Garcia (2001), Incorporating second-order functional knowledge.
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.logaddexp(inputs, 0)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * -np.expm1(-outputs)


class SiLU(Layer):
    """Sigmoid linear unit, also known as swish: inputs * sigmoid(inputs).

    f(x) = x s(x) with s the logistic function, and f'(x) = s(x) (1 + x (1 - s(x))).

    Examples
    --------
    >>> SiLU().forward_pass([[0.0, 100.0]])
    array([[  0., 100.]])

    References
    ----------
    Elfwing, Uchibe and Doya (2018), Sigmoid-weighted linear units for neural network function approximation.
    """

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        sigmoid = logistic(inputs)
        return inputs * sigmoid, (inputs, sigmoid)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        inputs, sigmoid = record
        return grad_output * sigmoid * (1 + inputs * (1 - sigmoid))


class Mish(Layer):
    """Mish: inputs * tanh(softplus(inputs)).

    f(x) = x t(x) with t(x) = tanh(log(1 + exp(x))), and f'(x) = t(x) + x (1 - t(x)**2) s(x) with s the
    logistic function.

    Examples
    --------
    >>> Mish().forward_pass([[0.0, 100.0]])
    array([[  0., 100.]])

    References
    ----------
    Misra (2020), Mish: a self regularized non-monotonic activation function.
    """

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        gate = np.tanh(np.logaddexp(inputs, 0))
        return inputs * gate, (inputs, gate)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        inputs, gate = record
        return grad_output * (gate + inputs * (1 - gate * gate) * logistic(inputs))


class GELU(Layer):
    """Gaussian error linear unit: inputs * P(inputs), with P the normal distribution function.

    f(x) = x P(x) with P(x) = (1 + erf(x / sqrt(2))) / 2, and f'(x) = P(x) + x p(x) with the density
    p(x) = exp(-x**2 / 2) / sqrt(2 pi). P is computed as erfc(-x / sqrt(2)) / 2, because 1 + erf loses
    all digits for large negative x.

    The tanh form approximates P(x) by (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x**3), so p(x) by
    (1 - tanh(u)**2) / 2 * sqrt(2 / pi) (1 + 3 * 0.044715 x**2). Its outputs differ from
    the exact ones by less than 0.0005.

    Parameters
    ----------
    approximate : bool, default=False
        Whether to use the tanh form.

    Examples
    --------
    >>> GELU().forward_pass([[1.0]]), GELU(approximate=True).forward_pass([[1.0]])
    (array([[0.84134475]]), array([[0.84119199]]))

    References
    ----------
    Hendrycks and Gimpel (2016), Gaussian error linear units.
    """

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = require_bool(self, "approximate", approximate)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.approximate:
            clipped = np.clip(inputs, -10, 10)  # tanh is ±1 beyond 10, and the cube must not overflow
            tanh = np.tanh(SQRT_2_OVER_PI * (clipped + 0.044715 * clipped**3))
            probability = 0.5 * (1 + tanh)
            density = 0.5 * (1 - tanh * tanh) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * clipped * clipped)
        else:
            probability = 0.5 * complementary_error_function(-SQRT_HALF * inputs)
            clipped = np.clip(inputs, -50, 50)  # the density is 0 beyond 50, and the square must not overflow
            density = INVERSE_SQRT_2_PI * np.exp(-0.5 * clipped * clipped)
        return inputs * probability, (inputs, probability, density)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        inputs, probability, density = record
        return grad_output * (probability + inputs * density)


def complementary_error_function(inputs: np.ndarray) -> np.ndarray:
    """Return 1 - erf(inputs)."""
    # Imported here: SciPy's special functions take longer to import than NumPy, and only GELU needs one.
    from scipy.special import erfc

    return erfc(inputs)
