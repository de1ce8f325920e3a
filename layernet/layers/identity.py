"""Layer that changes nothing: Identity."""

from __future__ import annotations

from layernet.layer import Layer


class Identity(Layer):
    """Outputs are the inputs: the activation of a linear unit, or a place kept free.

    f(x) = x, f'(x) = 1.

    Examples
    --------
    >>> Identity().forward_pass([[1.0, -2.0]])
    array([[ 1., -2.]])
    """

    def forward_pass(self, inputs):
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()
