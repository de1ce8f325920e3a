"""Plausible wrong answers to the exercises of notebook 6."""

from __future__ import annotations

import numpy as np


def how_many(outputs):
    # The count of dead units, not their numbers.
    return (outputs <= 0).all(axis=0).sum()


def a_mask(outputs):
    # True or false for each unit.
    return (outputs <= 0).all(axis=0)


def along_the_units(outputs):
    # Samples for which all units are 0: the wrong axis.
    return np.flatnonzero((outputs == 0).all(axis=1))


def sometimes_zero(outputs):
    # Units that are 0 for some sample.
    return np.flatnonzero((outputs == 0).any(axis=0))


def for_the_first_sample(outputs):
    # Units that are 0 for the first sample.
    return np.flatnonzero(outputs[0] == 0)


def nearly_zero(outputs):
    # Units whose mean output is small: one that wakes for few samples is taken for dead.
    return np.flatnonzero(outputs.mean(axis=0) < 1e-3)


def close_to_zero(outputs):
    # np.isclose takes 1e-12 for 0; the gradient does not.
    return np.flatnonzero(np.isclose(outputs, 0).all(axis=0))


def from_one(outputs):
    # Units counted from 1.
    return np.flatnonzero((outputs == 0).all(axis=0)) + 1


def writes_to_outputs(outputs):
    # Right, but the caller's outputs are ones and zeros now.
    outputs[outputs > 0] = 1
    return np.flatnonzero(outputs.sum(axis=0) == 0)


exercise_1 = [
    how_many,
    a_mask,
    along_the_units,
    sometimes_zero,
    for_the_first_sample,
    nearly_zero,
    close_to_zero,
    from_one,
    writes_to_outputs,
]


def chain(weights, inputs, grad_output, slope=lambda s: s * (1 - s), back=lambda G, W: G @ W.T):
    """A right answer with two places to go wrong."""
    activations = [inputs]
    for matrix in weights:
        activations.append(1 / (1 + np.exp(-activations[-1] @ matrix)))
    norms = []
    for k in range(len(weights) - 1, -1, -1):
        grad_z = grad_output * slope(activations[k + 1])
        norms.append(np.linalg.norm(activations[k].T @ grad_z))
        grad_output = back(grad_z, weights[k])
    return np.array(norms[::-1])


def without_slope(weights, inputs, grad_output):
    # The derivative of the sigmoid is forgotten.
    return chain(weights, inputs, grad_output, slope=lambda s: 1.0)


def slope_of_z(weights, inputs, grad_output):
    # s' is taken at the outputs, as if they were z.
    def slope(s):
        again = 1 / (1 + np.exp(-s))
        return again * (1 - again)

    return chain(weights, inputs, grad_output, slope=slope)


def slope_of_tanh(weights, inputs, grad_output):
    # 1 - s**2 belongs to tanh.
    return chain(weights, inputs, grad_output, slope=lambda s: 1 - s**2)


def without_transpose(weights, inputs, grad_output):
    # W in the place of its transpose, where the shapes allow it.
    return chain(weights, inputs, grad_output, back=lambda G, W: G @ (W if len(W) == W.shape[1] else W.T))


def in_the_order_of_the_way_back(weights, inputs, grad_output):
    # The last layer's norm comes first.
    return chain(weights, inputs, grad_output)[::-1]


def gradients_of_outputs(weights, inputs, grad_output):
    # Norms of the gradients with respect to z, not to the weights.
    activations = [inputs]
    for matrix in weights:
        activations.append(1 / (1 + np.exp(-activations[-1] @ matrix)))
    norms = []
    for k in range(len(weights) - 1, -1, -1):
        grad_z = grad_output * activations[k + 1] * (1 - activations[k + 1])
        norms.append(np.linalg.norm(grad_z))
        grad_output = grad_z @ weights[k].T
    return np.array(norms[::-1])


def means_over_samples(weights, inputs, grad_output):
    # Divided by the number of samples, which is in grad_output already.
    return chain(weights, inputs, grad_output) / len(inputs)


def spectral_norms(weights, inputs, grad_output):
    # The largest singular value of each gradient, np.linalg.norm(..., 2), not its length.
    activations = [inputs]
    for matrix in weights:
        activations.append(1 / (1 + np.exp(-activations[-1] @ matrix)))
    norms = []
    for k in range(len(weights) - 1, -1, -1):
        grad_z = grad_output * activations[k + 1] * (1 - activations[k + 1])
        norms.append(np.linalg.norm(activations[k].T @ grad_z, 2))
        grad_output = grad_z @ weights[k].T
    return np.array(norms[::-1])


def writes_to_gradient(weights, inputs, grad_output):
    # Right, but the caller's grad_output is changed.
    norms = chain(weights, inputs, grad_output)
    grad_output *= 0
    return norms


def forgets_in_long_chains(weights, inputs, grad_output):
    # What is below a millionth is taken for 0: the gradients of the first of ten layers.
    norms = chain(weights, inputs, grad_output)
    return np.where(norms < 1e-4 * norms.max(), 0.0, norms)


exercise_2 = [
    without_slope,
    slope_of_z,
    slope_of_tanh,
    without_transpose,
    in_the_order_of_the_way_back,
    gradients_of_outputs,
    means_over_samples,
    spectral_norms,
    writes_to_gradient,
    forgets_in_long_chains,
]


def by_grid(of, low=-12.0, high=12.0):
    """The mean of a function of a normal z."""
    z = np.linspace(low, high, 240_001)
    return np.sum(of(z) * np.exp(-(z**2) / 2)) / np.sqrt(2 * np.pi) * (z[1] - z[0])


def always_two(activation):
    # Right for the rectifier alone.
    return 2.0


def by_the_variance(activation):
    # The variance of f(z) in the place of its second moment.
    return 1 / (by_grid(lambda z: activation(z) ** 2) - by_grid(activation) ** 2)


def by_the_mean(activation):
    # The square of the mean of |f(z)|: the square is taken too late.
    return 1 / by_grid(lambda z: np.abs(activation(z))) ** 2


def the_moment_itself(activation):
    # E f(z)**2, not what it has to be multiplied by to give 1.
    return by_grid(lambda z: activation(z) ** 2)


def by_a_standard_deviation(activation):
    # The factor of the weights themselves, not of their variance.
    return by_grid(lambda z: activation(z) ** 2) ** -0.5


def by_the_derivative(activation):
    # The way back: E f'(z)**2. The same for the rectifier, and for no bent function.
    return 1 / by_grid(lambda z: np.gradient(activation(z), z) ** 2)


def by_random_numbers(activation):
    # Ten thousand random numbers: right to one or two in a hundred.
    return 1 / np.mean(activation(np.random.default_rng(0).standard_normal(10_000)) ** 2)


def by_a_short_grid(activation):
    # The integral ends at 3 standard deviations; a cube has much of its second moment beyond.
    return 1 / by_grid(lambda z: activation(z) ** 2, -3, 3)


def by_uniform_numbers(activation):
    # z uniform between -sqrt(3) and sqrt(3), which has the variance 1 as well.
    return 1 / np.mean(activation(np.linspace(-(3**0.5), 3**0.5, 100_001)) ** 2)


def to_four_deviations(activation):
    return 1 / by_grid(lambda z: activation(z) ** 2, -4, 4)


def to_five_deviations(activation):
    # Enough for a cube, and two in a hundred off for a sixth power.
    return 1 / by_grid(lambda z: activation(z) ** 2, -5, 5)


def by_a_coarse_grid(activation):
    # Steps of a fifth: exact for powers, and not for functions with a bend or a fast turn.
    z = np.arange(-60, 61) / 5
    return 1 / (np.sum(activation(z) ** 2 * np.exp(-(z**2) / 2)) / np.sqrt(2 * np.pi) / 5)


def by_twentieths(activation):
    # Fine enough for whatever is continuous; of a step it loses a part between two points.
    z = np.arange(-240, 241) / 20
    return 1 / (np.sum(activation(z) ** 2 * np.exp(-(z**2) / 2)) / np.sqrt(2 * np.pi) / 20)


def by_few_nodes(activation):
    # The quadrature of Gauss and Hermite with 20 nodes: exact for powers up to 39, and for no bend.
    z, parts = np.polynomial.hermite_e.hermegauss(20)
    return 1 / (parts @ activation(z) ** 2 / parts.sum())


def by_a_million_numbers(activation):
    # Good for the identity; a rectifier that begins at 2 is rarely awake.
    return 1 / np.mean(activation(np.random.default_rng(0).standard_normal(1_000_000)) ** 2)


def kept_from_zero(activation):
    # A small number that is not small beside every second moment.
    return 1 / (by_grid(lambda z: activation(z) ** 2) + 1e-8)


def two_in_a_hundred_off(activation):
    return 1.02 / by_grid(lambda z: activation(z) ** 2)


exercise_3 = [
    always_two,
    by_the_variance,
    by_the_mean,
    the_moment_itself,
    by_a_standard_deviation,
    by_the_derivative,
    by_random_numbers,
    by_a_short_grid,
    by_uniform_numbers,
    to_four_deviations,
    to_five_deviations,
    by_a_coarse_grid,
    by_twentieths,
    by_few_nodes,
    by_a_million_numbers,
    kept_from_zero,
    two_in_a_hundred_off,
]
