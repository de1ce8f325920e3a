"""Kernels of optimizers: each formula in one pass over the vector of all parameters.

What depends on the step (learning rates, corrections of averages) was worked out for all steps of a run before,
and stands in a table with a row for each.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import STEP, WORKER, arrays, fetch_to_write, inline, number, vectors
from layernet.engine.compiled.kernel import kernel

BLOCK = 1024


@inline
def clipped(x, limit):
    """x, or ±limit if it is farther from 0."""
    return limit if x > limit else (-limit if x < -limit else x)


@kernel
def start_measuring(batch, operands, sizes):
    """The length of nothing is 0."""
    (lengths,) = vectors(batch, operands, sizes, 1)
    lengths[batch[WORKER]] = number(lengths, 0)


@kernel
def measure(batch, operands, sizes):
    """Take some gradients, clipped by value, into the length of this worker's, beside those of the others."""
    gradients, lengths, constants = vectors(batch, operands, sizes, 3)
    so_far = np.float64(lengths[batch[WORKER]])
    squares = so_far * so_far  # in double precision: the squares of float32 gradients overflow beyond 1e19
    for place in range(len(gradients)):
        entry = np.float64(clipped(gradients[place], constants[0]))
        squares += entry * entry
    lengths[batch[WORKER]] = number(lengths, math.sqrt(squares))


@kernel
def prepare(batch, operands, sizes):
    """Clip gradients by value, then by the length of all; add weight decay d w where it applies."""
    gradients, parameters, decay_mask, prepared, lengths, constants = vectors(batch, operands, sizes, 6)
    by_value, by_norm, decay = constants[0], constants[1], constants[2]
    squares = 0.0
    for worker in range(len(lengths)):
        squares += np.float64(lengths[worker]) * np.float64(lengths[worker])
    norm = math.sqrt(squares)
    shrink = by_norm / norm if norm > by_norm else 1.0
    for place in range(len(gradients)):
        pull = decay * decay_mask[place] * parameters[place]
        prepared[place] = number(pull, clipped(gradients[place], by_value) * shrink) + pull


@kernel
def decay_parameters(batch, operands, sizes):
    """w = w - a d w where weight decay applies; the table has a d."""
    parameters, decay_mask = vectors(batch, operands, sizes, 2)
    _, _, table = arrays(batch, operands, sizes, 3)
    rate = table[batch[STEP], 0]
    for place in range(len(parameters)):
        parameters[place] -= rate * decay_mask[place] * parameters[place]


@kernel
def descend(batch, operands, sizes):
    """w = w - a g."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients = vectors(batch, operands, sizes, 2)
    rate = table[batch[STEP], 0]
    for place in range(len(parameters)):
        parameters[place] -= rate * gradients[place]


@kernel
def descend_with_momentum(batch, operands, sizes):
    """v = m v - b g, and w = w + v, or w + m v - b g with look-ahead; b = a (1 - dampening)."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, velocity = vectors(batch, operands, sizes, 4)
    rate, momentum, looks_ahead = table[batch[STEP], 0], table[batch[STEP], 1], table[batch[STEP], 2]
    if looks_ahead > number(parameters, 0):
        for place in range(len(parameters)):
            push = rate * gradients[place]
            velocity[place] = momentum * velocity[place] - push
            parameters[place] += momentum * velocity[place] - push
    else:
        for place in range(len(parameters)):
            velocity[place] = momentum * velocity[place] - rate * gradients[place]
            parameters[place] += velocity[place]


@inline
def move_by_adam(parameters, gradients, mean, mean_square, numbers):
    """The formula of `adam` for some of the parameters."""
    rate, epsilon, keep_1, take_1, keep_2, take_2 = numbers
    for place in range(len(parameters)):
        gradient = gradients[place]
        m = keep_1 * mean[place] + take_1 * gradient
        v = keep_2 * mean_square[place] + take_2 * gradient * gradient
        mean[place] = m
        mean_square[place] = v
        parameters[place] -= rate * m / (number(v, math.sqrt(v)) + epsilon)


@kernel
def adam(batch, operands, sizes):
    """With running averages m of g and v of g**2: w = w - a m / (sqrt(v) + epsilon), both corrected."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square = vectors(batch, operands, sizes, 5)
    step = batch[STEP]
    numbers = (table[step, 0], table[step, 1], table[step, 2], table[step, 3], table[step, 4], table[step, 5])
    for start in range(0, len(parameters), BLOCK):
        stop = min(start + BLOCK, len(parameters))
        fetch_to_write(parameters, stop, stop + BLOCK)
        move_by_adam(
            parameters[start:stop], gradients[start:stop], mean[start:stop], mean_square[start:stop], numbers
        )


@kernel
def adam_of_largest(batch, operands, sizes):
    """AMSGrad: Adam with the largest v so far."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square, largest = vectors(batch, operands, sizes, 6)
    step = batch[STEP]
    rate, epsilon = table[step, 0], table[step, 1]
    keep_1, take_1, keep_2, take_2 = table[step, 2], table[step, 3], table[step, 4], table[step, 5]
    for place in range(len(parameters)):
        gradient = gradients[place]
        m = keep_1 * mean[place] + take_1 * gradient
        v = keep_2 * mean_square[place] + take_2 * gradient * gradient
        mean[place] = m
        mean_square[place] = v
        most = v if v > largest[place] else largest[place]
        largest[place] = most
        parameters[place] -= rate * m / (number(v, math.sqrt(most)) + epsilon)


@kernel
def nadam(batch, operands, sizes):
    """Adam with a look-ahead: w = w - (a g + b m) / (sqrt(v / (1 - beta_2**t)) + epsilon)."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square = vectors(batch, operands, sizes, 5)
    step = batch[STEP]
    of_gradient, of_mean, correction = table[step, 0], table[step, 1], table[step, 2]
    epsilon, take_1, take_2 = table[step, 3], table[step, 4], table[step, 5]
    for place in range(len(parameters)):
        gradient = gradients[place]
        m = mean[place] + take_1 * (gradient - mean[place])
        v = mean_square[place] + take_2 * (gradient * gradient - mean_square[place])
        mean[place] = m
        mean_square[place] = v
        root = number(v, math.sqrt(v * correction))
        parameters[place] -= (of_gradient * gradient + of_mean * m) / (root + epsilon)


@kernel
def rmsprop(batch, operands, sizes):
    """v = rho v + (1 - rho) g**2, and w = w - a g / (sqrt(v) + epsilon)."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, mean_square = vectors(batch, operands, sizes, 4)
    step = batch[STEP]
    rate, epsilon, take = table[step, 0], table[step, 1], table[step, 2]
    for place in range(len(parameters)):
        gradient = gradients[place]
        v = mean_square[place] + take * (gradient * gradient - mean_square[place])
        mean_square[place] = v
        parameters[place] -= rate * gradient / (number(v, math.sqrt(v)) + epsilon)


@kernel
def adagrad(batch, operands, sizes):
    """s = s + g**2, and w = w - a g / (sqrt(s) + epsilon)."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, sum_of_squares = vectors(batch, operands, sizes, 4)
    rate, epsilon = table[batch[STEP], 0], table[batch[STEP], 1]
    for place in range(len(parameters)):
        gradient = gradients[place]
        s = sum_of_squares[place] + gradient * gradient
        sum_of_squares[place] = s
        parameters[place] -= rate * gradient / (number(s, math.sqrt(s)) + epsilon)


@kernel
def lion(batch, operands, sizes):
    """w = w - a sign(beta_1 m + (1 - beta_1) g), then m = beta_2 m + (1 - beta_2) g."""
    _, _, table = arrays(batch, operands, sizes, 3)
    parameters, gradients, _, momentum = vectors(batch, operands, sizes, 4)
    step = batch[STEP]
    rate, keep, take, take_2 = table[step, 0], table[step, 1], table[step, 2], table[step, 3]
    for place in range(len(parameters)):
        mixed = keep * momentum[place] + take * gradients[place]
        zero = number(mixed, 0)
        parameters[place] -= rate if mixed > zero else (-rate if mixed < zero else rate * mixed)
        momentum[place] += take_2 * (gradients[place] - momentum[place])
