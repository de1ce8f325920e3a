"""Activations of whole rows: Softmax and LogSoftmax."""

from __future__ import annotations

import numpy as np

from layernet.layers.activation import Activation

# Rows of more numbers need no transposed copy for a fast maximum.
LONG_ROW = 256


class Softmax(Activation):
    """Softmax: probabilities from each row of inputs.

    p_i = exp(x_i) / sum_j exp(x_j) along the last axis; dp_i / dx_j = p_i (1[i = j] - p_j), hence
    grad_inputs_i = p_i (G_i - sum_j G_j p_j).

    An input of -inf gets the probability 0.

    Do not use it to train a classifier: `CrossEntropy` takes the inputs of the softmax (logits). This is
    faster, and exact where probabilities round to 0 or 1.

    Examples
    --------
    >>> Softmax().forward_pass([[1e4, 1e4], [0.0, -1e4]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return softmax(inputs)

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        weighted = (grad_output * outputs).sum(axis=-1, keepdims=True)
        return outputs * (grad_output - weighted)


class LogSoftmax(Activation):
    """Logarithm of the softmax, exact also where probabilities round to 0.

    l_i = x_i - log sum_j exp(x_j) along the last axis; grad_inputs_i = G_i - exp(l_i) sum_j G_j.

    Examples
    --------
    >>> LogSoftmax().forward_pass([[0.0, -1e4]])
    array([[     0., -10000.]])
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        shifted = shifted_rows(inputs)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def backward_from(self, outputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output - np.exp(outputs) * grad_output.sum(axis=-1, keepdims=True)


def softmax(inputs: np.ndarray) -> np.ndarray:
    """Return exp(inputs) / sum(exp(inputs)) along the last axis."""
    # Subtracting the maximum does not change the quotient, and exp cannot overflow.
    exponentials = np.exp(shifted_rows(inputs))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return exponentials


def shifted_rows(inputs: np.ndarray) -> np.ndarray:
    """Return inputs - maximum of their row; NaN where the maximum is infinite, as in a row of -inf."""
    with np.errstate(invalid="ignore"):
        return inputs - largest_of_rows(inputs)


def largest_of_rows(inputs: np.ndarray) -> np.ndarray:
    """Return the maximum along the last axis, which is kept; refuse inputs with only the batch axis."""
    if inputs.ndim < 2:
        raise ValueError(
            f"A softmax expects inputs of shape (n_samples, ..., features), got {inputs.shape}: one number a "
            "sample. Use inputs.reshape(-1, 1)."
        )
    if inputs.shape[-1] > LONG_ROW:
        return inputs.max(axis=-1, keepdims=True)
    # NumPy computes the maxima of short rows one by one. On a transposed copy it is five times faster.
    columns = inputs.reshape(-1, inputs.shape[-1]).T.copy()
    return columns.max(axis=0).reshape(*inputs.shape[:-1], 1)
