"""Gradient descent with one learning rate for all parameters: SGD, Lion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layernet.optimizers.optimizer import Optimizer
from layernet.validation import require_bool, require_number


class SGD(Optimizer):
    """Stochastic gradient descent, with optional momentum.

    With g the gradient, w the parameters, v the velocity (zero at first), m the momentum and a the learning
    rate:

        v = m v - a (1 - dampening) g
        w = w + v, or with Nesterov's look-ahead w = w + m v - a (1 - dampening) g.

    The learning rate is inside the velocity, as in Sutskever et al. (2013), Torch7 and scikit-learn; PyTorch
    multiplies by it outside, which differs once the rate changes. Weight decay is coupled.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.01
    momentum : float, default=0.0
        Between 0 and 1; at 1 the velocity does not decay.
    dampening : float, default=0.0
        Between 0 and 1; equal to the momentum, the velocity is an average of gradients, not a sum.
    nesterov : bool, default=False
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> parameters = np.array([1.0, 2.0])
    >>> SGD(learning_rate=0.1).step(parameters, np.array([10.0, 0.0]))
    >>> parameters
    array([0., 2.])

    References
    ----------
    Robbins and Monro (1951); Polyak (1964); Nesterov (1983); Sutskever, Martens, Dahl and Hinton (2013), On
    the importance of initialization and momentum in deep learning.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.01,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.momentum = require_number(self, "momentum", momentum, at_least=0, at_most=1)
        self.dampening = require_number(self, "dampening", dampening, at_least=0, at_most=1)
        self.nesterov = require_bool(self, "nesterov", nesterov)
        self.require(not nesterov or momentum > 0, "momentum", momentum, "greater than 0 with nesterov=True")

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # which slots there are depends on a setting
        return ("velocity",) if self.momentum else ()

    def move(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        learning_rate: float,
        velocity: np.ndarray | None = None,
    ) -> None:
        if velocity is None:
            parameters -= learning_rate * gradients
            return
        push = learning_rate * (1 - self.dampening) * gradients
        velocity *= self.momentum
        velocity -= push
        parameters += self.momentum * velocity - push if self.nesterov else velocity


class Lion(Optimizer):
    """Lion: steps of equal size for all parameters, by the sign of a momentum.

    w = w - a sign(beta_1 m + (1 - beta_1) g), then m = beta_2 m + (1 - beta_2) g, with m zero at first.

    Weight decay is decoupled. Learning rates are 3 to 10 times smaller than Adam's, decay as much larger.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.0001
    beta_1, beta_2 : float, default=0.9 and 0.99
        At least 0 and less than 1.
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, algorithm 2.
    """

    slots = ("momentum",)
    decoupled = True

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.beta_1 = require_number(self, "beta_1", beta_1, at_least=0, below=1)
        self.beta_2 = require_number(self, "beta_2", beta_2, at_least=0, below=1)

    def move(
        self, parameters: np.ndarray, gradients: np.ndarray, learning_rate: float, momentum: np.ndarray
    ) -> None:
        parameters -= learning_rate * np.sign(self.beta_1 * momentum + (1 - self.beta_1) * gradients)
        momentum += (1 - self.beta_2) * (gradients - momentum)
