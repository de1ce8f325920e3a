"""Adam and its variants: Adam, AdamW, NAdam."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from layernet.optimizers.optimizer import Optimizer
from layernet.validation import require_bool, require_number


class Adam(Optimizer):
    """Adam: gradient descent with momentum, and a step size for each parameter.

    With g the gradient, w the parameters, a the learning rate, m and v zero at first, and t = 1, 2, ... the
    step:

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g**2
        w = w - a (m / (1 - beta_1**t)) / (sqrt(v / (1 - beta_2**t)) + epsilon).

    Epsilon is added outside the root, after the bias correction: so in algorithm 1 of the paper, in PyTorch and
    in cs231n. Scikit-learn and the paper's section 2 add it before the correction. AMSGrad (Reddi et al., 2018)
    replaces v in the last formula by the largest v so far, before the bias correction as in PyTorch. Weight
    decay is coupled; `AdamW` decouples it.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-8
    amsgrad : bool, default=False
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.
    correct_epsilon : bool, default=True
        Whether epsilon is added after the bias correction, as in the formula, or before it.

    Examples
    --------
    The first step has the size of the learning rate, whatever the size of the gradient:

    >>> import numpy as np
    >>> parameters = np.array([1.0, 1.0])
    >>> Adam(learning_rate=0.1).step(parameters, np.array([0.001, -1000.0]))
    >>> parameters.round(4)
    array([0.9, 1.1])

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        correct_epsilon: bool = True,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.beta_1 = require_number(self, "beta_1", beta_1, at_least=0, below=1)
        self.beta_2 = require_number(self, "beta_2", beta_2, at_least=0, below=1)
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)
        self.amsgrad = require_bool(self, "amsgrad", amsgrad)
        self.correct_epsilon = require_bool(self, "correct_epsilon", correct_epsilon)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # the slots depend on a setting
        return ("mean", "mean_square", "largest_mean_square") if self.amsgrad else ("mean", "mean_square")

    def move(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        learning_rate: float,
        mean: np.ndarray,
        mean_square: np.ndarray,
        largest: np.ndarray | None = None,
    ) -> None:
        # Operations in place, because every new array costs memory traffic.
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradients
        mean_square *= self.beta_2
        squares = gradients * gradients
        squares *= 1 - self.beta_2
        mean_square += squares
        if largest is not None:
            np.maximum(largest, mean_square, out=largest)
            mean_square = largest
        # Numerator and denominator are multiplied by sqrt(1 - beta_2**t), which saves one operation.
        root_correction = math.sqrt(1 - self.beta_2**self.steps)
        step_size = learning_rate * root_correction / (1 - self.beta_1**self.steps)
        epsilon = self.epsilon * root_correction if self.correct_epsilon else self.epsilon
        quotient = np.sqrt(mean_square)
        quotient += epsilon
        np.divide(mean, quotient, out=quotient)
        quotient *= step_size
        parameters -= quotient


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also computes w = w - a d w.

    All weights decay at the same rate. Coupled decay, as in `Adam`, hardly affects weights with large
    gradients.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-8
    amsgrad : bool, default=False
    weight_decay : float, default=0.01
        d in the formula. It is multiplied by the learning rate a, as in PyTorch.
    decay_biases, clip_value, clip_norm
        See `Optimizer`.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """

    decoupled = True

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        weight_decay: float = 0.01,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            decay_biases,
            clip_value,
            clip_norm,
        )


class NAdam(Optimizer):
    """Adam with Nesterov momentum, and a momentum coefficient that grows over the steps.

    With the notation of `Adam`, b_t = beta_1 (1 - 0.5 * 0.96**(t * momentum_decay)) and P_t = b_1 * ... * b_t:

        m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g**2
        w = w - a ((1 - b_t) g / (1 - P_t) + b_{t+1} m / (1 - P_{t+1})) / (sqrt(v / (1 - beta_2**t)) + epsilon).

    The formula equals PyTorch's and Keras's. Weight decay is coupled.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.002
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-8
    momentum_decay : float, default=0.004
        At least 0.
    weight_decay, decay_biases, clip_value, clip_norm
        See `Optimizer`.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam.
    """

    slots = ("mean", "mean_square")
    _momentum_product = (0, 1.0)  # a step t, and P_t

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 0.004,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, decay_biases, clip_value, clip_norm)
        self.beta_1 = require_number(self, "beta_1", beta_1, at_least=0, below=1)
        self.beta_2 = require_number(self, "beta_2", beta_2, at_least=0, below=1)
        self.epsilon = require_number(self, "epsilon", epsilon, above=0)
        self.momentum_decay = require_number(self, "momentum_decay", momentum_decay, at_least=0)

    def move(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        learning_rate: float,
        mean: np.ndarray,
        mean_square: np.ndarray,
    ) -> None:
        mean += (1 - self.beta_1) * (gradients - mean)
        mean_square += (1 - self.beta_2) * (gradients * gradients - mean_square)
        current, following = self._momentum(self.steps), self._momentum(self.steps + 1)
        if self._momentum_product[0] != self.steps:  # computed once for all blocks of a step
            self._momentum_product = self.steps, self.momentum_products(self.steps, 1)[0]
        product = self._momentum_product[1]
        look_ahead = (1 - current) / (1 - product) * gradients + following / (1 - product * following) * mean
        root = np.sqrt(mean_square / (1 - self.beta_2**self.steps))
        parameters -= learning_rate * look_ahead / (root + self.epsilon)

    def _momentum(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def momentum_products(self, first: int, n_steps: int) -> list[float]:
        """Return P_t for consecutive steps. Earlier steps enter with the beta_1 that they were done with.

        Parameters
        ----------
        first : int
            The first step, counting from 1.
        n_steps : int

        Returns
        -------
        list of float
        """
        done, product = self._momentum_product if self._momentum_product[0] < first else (0, 1.0)
        momenta = (self._momentum(step) for step in range(done + 1, first + n_steps))
        return list(accumulate(momenta, operator.mul, initial=product))[-n_steps:]

    def reset(self) -> None:
        super().reset()
        self._momentum_product = (0, 1.0)

    def state(self) -> dict[str, Any]:
        own = {} if self._momentum_product[0] != self.steps else {"momentum_product": self._momentum_product[1]}
        return {**super().state(), **own}

    def load_state(self, state: dict[str, Any]) -> None:
        others = {name: value for name, value in state.items() if name != "momentum_product"}
        super().load_state(others)
        # States of earlier versions have no product. It is then computed from the current settings.
        known = "momentum_product" in state
        self._momentum_product = (self.steps, float(state["momentum_product"])) if known else (0, 1.0)
