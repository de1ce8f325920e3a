"""Solutions to the exercises of notebook 6."""

from __future__ import annotations

import numpy as np


def exercise_1(outputs: np.ndarray) -> np.ndarray:
    """The units that are 0 for all samples.

    A unit is a column. It is dead if no sample finds it positive, so we ask of each column whether any of its
    outputs is above 0. `np.flatnonzero` turns the answers into numbers of columns, in ascending order.
    """
    return np.flatnonzero(~(outputs > 0).any(axis=0))


def exercise_2(weights: list[np.ndarray], inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
    """The norms of the gradients of all weights of a chain of sigmoids.

    The way forward keeps what goes into each layer and what comes out. The way back carries the gradient with
    respect to the outputs of a layer. Times s' = s (1 - s) it is the gradient with respect to z, from which
    follow that of the weights, inputs^T G, and that of the inputs, G W^T, which are the outputs of the layer
    before. The norms come in the order of the way back, and are turned round in the end.
    """
    activations = [inputs]
    for matrix in weights:
        activations.append(1 / (1 + np.exp(-activations[-1] @ matrix)))
    norms = []
    for matrix, before, after in zip(weights[::-1], activations[-2::-1], activations[:0:-1], strict=True):
        grad_z = grad_output * after * (1 - after)
        norms.append(np.linalg.norm(before.T @ grad_z))
        grad_output = grad_z @ matrix.T
    return np.array(norms[::-1])


def exercise_3(activation) -> float:
    """The factor c for which weights of variance c / n keep the second moment through an activation.

    c is 1 / E f(z)**2, with the second moment and not the variance of f(z): what the next layer adds up are
    squares, and a mean that is not 0 is in them. The integral of f(z)**2 times the density is a sum over a grid
    from -12 to 12, where the density has fallen below 1e-31, so that powers of z do not matter any more. Steps
    of 1e-4 are fine enough for functions with a bend.
    """
    z = np.linspace(-12, 12, 240_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return 1 / (np.sum(activation(z) ** 2 * density) * (z[1] - z[0]))
