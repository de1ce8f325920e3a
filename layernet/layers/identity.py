"""Layer whose outputs are its inputs: Identity."""

from __future__ import annotations

import numpy as np

from layernet.layer import Layer


class Identity(Layer):
    """Identity function: the activation of a linear unit, or a placeholder.

    f(x) = x, f'(x) = 1.

    Examples
    --------
    >>> Identity().forward_pass([[1.0, -2.0]])
    array([[ 1., -2.]])
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs.copy()

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.copy()
