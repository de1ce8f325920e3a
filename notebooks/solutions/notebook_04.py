"""Solutions to the exercises of notebook 4."""

from __future__ import annotations

import numpy as np


def exercise_1(inputs: np.ndarray, grad_output: np.ndarray, sample_weight: np.ndarray):
    """The gradients of the weights and of the bias where samples have weights.

    The loss is the sum of v_n L_n, so the gradient that reaches the outputs of sample n is v_n times its row
    of `grad_output`. Row n is multiplied as a whole, hence the weights stand in a column, of shape (n, 1).
    What follows is the layer's backward pass as ever: a product and a sum of rows. Weighting the inputs as
    well would count each weight twice.
    """
    weighted = sample_weight[:, None] * grad_output
    return inputs.T @ weighted, weighted.sum(axis=0)


def exercise_2(inputs: np.ndarray, U: np.ndarray, V: np.ndarray, grad_output: np.ndarray):
    """The backward pass of outputs = (inputs @ U) @ V.

    These are two layers without a bias, one after the other, with H = inputs @ U between them. The second has
    the inputs H and the weights V, so grad_V = H^T G and grad_H = G V^T. The first has the inputs X and the
    weights U, and receives grad_H. Whatever is formed has as many rows or columns as the rank, or the shape
    of the inputs.
    """
    hidden = inputs @ U
    grad_V = hidden.T @ grad_output
    grad_hidden = grad_output @ V.T
    return grad_hidden @ U.T, inputs.T @ grad_hidden, grad_V


def exercise_3(inputs: np.ndarray, grad_output: np.ndarray):
    """The backward pass of rows that are centred and brought to length 1.

    Both Jacobians of a row are symmetric, and each is the unit matrix I less a product of a vector with
    itself: scaling has (I - y y^T) / |c|, centring has I - e e^T / d, where e is all ones. A row g times the
    first is (g - (g . y) y) / |c|; times the second, it loses its mean. Both are sums along a row, and no
    matrix is formed.
    """
    centred = inputs - inputs.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    outputs = centred / length
    grad_centred = (grad_output - (grad_output * outputs).sum(axis=1, keepdims=True) * outputs) / length
    return grad_centred - grad_centred.mean(axis=1, keepdims=True)
