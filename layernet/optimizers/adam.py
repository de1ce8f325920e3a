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
    """Adam: momentum, and a step size for each parameter.

    With g the gradient, m and v zero at first, and t = 1, 2, ... counting steps:

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g**2
        w = w - a (m / (1 - beta_1**t)) / (sqrt(v / (1 - beta_2**t)) + epsilon).

    Epsilon is outside the root and added after the bias correction, as in algorithm 1 of the paper, in PyTorch
    and in cs231n; scikit-learn and the paper's section 2 add it before. With AMSGrad the largest v so far takes
    the place of v in the step (Reddi et al., 2018; compared before the bias correction, as in PyTorch). Weight
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
        Whether epsilon is added after the bias correction; if not, before it, as above.

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
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # which slots there are depends on a setting
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
        # In place where it stays readable: every new array costs memory traffic.
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradients
        mean_square *= self.beta_2
        squares = gradients * gradients
        squares *= 1 - self.beta_2
        mean_square += squares
        if largest is not None:
            np.maximum(largest, mean_square, out=largest)
            mean_square = largest
        # The formula with its quotient extended by sqrt(1 - beta_2**t) needs one operation less.
        root_correction = math.sqrt(1 - self.beta_2**self.steps)
        step_size = learning_rate * root_correction / (1 - self.beta_1**self.steps)
        epsilon = self.epsilon * root_correction if self.correct_epsilon else self.epsilon
        quotient = np.sqrt(mean_square)
        quotient += epsilon
        np.divide(mean, quotient, out=quotient)
        quotient *= step_size
        parameters -= quotient


class AdamW(Adam):
    """Adam with decoupled weight decay: w = w - a d w beside Adam's own step.

    The decay pulls all weights alike, where Adam's coupled decay hardly pulls those with large gradients.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-8
    amsgrad : bool, default=False
    weight_decay : float, default=0.01
        d in the formula, multiplied by the learning rate (as in PyTorch).
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
    """Adam with Nesterov momentum, and a momentum with warm-up.

    With b_t = beta_1 (1 - 0.5 * 0.96**(t * momentum_decay)) and P_t the product of b_1 to b_t:

        m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g**2
        w = w - a ((1 - b_t) g / (1 - P_t) + b_{t+1} m / (1 - P_{t+1})) / (sqrt(v / (1 - beta_2**t)) + epsilon).

    As in PyTorch; Keras differs in no term. Weight decay is coupled.

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
    _product = (0, 1.0)  # of the momenta up to a step, and which step

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
        now, ahead = self._momentum(self.steps), self._momentum(self.steps + 1)
        if self._product[0] != self.steps:  # once a step, which may move several blocks
            self._product = self.steps, self.momentum_products(self.steps, 1)[0]
        product = self._product[1]
        look_ahead = (1 - now) / (1 - product) * gradients + ahead / (1 - product * ahead) * mean
        root = np.sqrt(mean_square / (1 - self.beta_2**self.steps))
        parameters -= learning_rate * look_ahead / (root + self.epsilon)

    def _momentum(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def momentum_products(self, first: int, n_steps: int) -> list[float]:
        """P_t of some steps, where those before them keep the beta_1 that they were done with.

        Parameters
        ----------
        first : int
            The first step, counting from 1.
        n_steps : int

        Returns
        -------
        list of float
        """
        done, product = self._product if self._product[0] < first else (0, 1.0)
        momenta = (self._momentum(step) for step in range(done + 1, first + n_steps))
        return list(accumulate(momenta, operator.mul, initial=product))[-n_steps:]

    def reset(self) -> None:
        super().reset()
        self._product = (0, 1.0)

    def state(self) -> dict[str, Any]:
        own = {} if self._product[0] != self.steps else {"momentum_product": self._product[1]}
        return {**super().state(), **own}

    def load_state(self, state: dict[str, Any]) -> None:
        others = {name: value for name, value in state.items() if name != "momentum_product"}
        super().load_state(others)
        # Without one, as in states of earlier versions, it is worked out from the settings as they are now.
        known = "momentum_product" in state
        self._product = (self.steps, float(state["momentum_product"])) if known else (0, 1.0)
