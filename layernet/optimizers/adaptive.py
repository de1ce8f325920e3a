"""Steps divided by the root of earlier squared gradients: RMSProp, Adagrad."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layernet.optimizers.optimizer import Optimizer
from layernet.validation import require_number


class RMSProp(Optimizer):
    """RMSProp: divide each gradient by its running root mean square.

    v = rho v + (1 - rho) g**2 with v zero at first, and w = w - a g / (sqrt(v) + epsilon).

    Epsilon is outside the root, as in PyTorch and in cs231n; Keras has it inside. Weight decay is coupled.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.001
    rho : float, default=0.99
        At least 0 and less than 1.
    epsilon : float, default=1e-8
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.

    References
    ----------
    Tieleman and Hinton (2012), lecture 6.5 of Neural networks for machine learning.
    """

    slots = ("mean_square",)

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.001,
        rho: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.rho = require_number(self, "rho", rho, at_least=0, below=1)
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)

    def move(
        self, parameters: np.ndarray, gradients: np.ndarray, learning_rate: float, mean_square: np.ndarray
    ) -> None:
        mean_square += (1 - self.rho) * (gradients * gradients - mean_square)
        parameters -= learning_rate * gradients / (np.sqrt(mean_square) + self.epsilon)


class Adagrad(Optimizer):
    """Adagrad: divide each gradient by the root of the sum of all its squares.

    s = s + g**2, and w = w - a g / (sqrt(s) + epsilon), with s = initial_sum at first.

    Epsilon is outside the root, as in PyTorch. Weight decay is coupled.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.01
    initial_sum : float, default=0.0
        At least 0.
    epsilon : float, default=1e-10
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.

    References
    ----------
    Duchi, Hazan and Singer (2011), Adaptive subgradient methods for online learning and stochastic
    optimization.
    """

    slots = ("sum_of_squares",)

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.01,
        initial_sum: float = 0.0,
        epsilon: float = 1e-10,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.initial_sum = require_number(self, "initial_sum", initial_sum, at_least=0)
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)

    def initial_slot_values(self, name: str, parameters: np.ndarray) -> np.ndarray:
        return np.full_like(parameters, self.initial_sum)

    def move(
        self, parameters: np.ndarray, gradients: np.ndarray, learning_rate: float, sum_of_squares: np.ndarray
    ) -> None:
        sum_of_squares += gradients * gradients
        parameters -= learning_rate * gradients / (np.sqrt(sum_of_squares) + self.epsilon)
