"""Kernels of optimizers: each formula in one loop over the parameter vector.

Numbers that depend on the step, such as learning rates and corrections of averages, are in a table with a row
for each step of a call of the machine.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import (
    STEP,
    WORKER,
    cast_like,
    fetch_to_write,
    inline,
    matrices,
    vectors,
)
from layernet.engine.compiled.kernel import kernel

PREFETCH_BLOCK = 1024


@inline
def clipped(x, limit):
    """x, or ±limit if it is farther from 0."""
    return limit if x > limit else (-limit if x < -limit else x)


@kernel
def reset_norms(control, operands, sizes):
    """norms[worker] = 0."""
    (norms,) = vectors(control, operands, sizes, 1)
    norms[control[WORKER]] = cast_like(norms, 0)


@kernel
def measure_norm(control, operands, sizes):
    """norms[worker] = norm of norms[worker] and of the given gradients, clipped by value."""
    gradients, norms, constants = vectors(control, operands, sizes, 3)
    so_far = np.float64(norms[control[WORKER]])
    squares = so_far * so_far  # in double precision: the squares of float32 gradients overflow beyond 1e19
    for index in range(len(gradients)):
        entry = np.float64(clipped(gradients[index], constants[0]))
        squares += entry * entry
    norms[control[WORKER]] = cast_like(norms, math.sqrt(squares))


@kernel
def clip_and_decay(control, operands, sizes):
    """prepared = gradients, clipped by value, then by norm, plus weight decay d w where it applies."""
    gradients, parameters, decay_mask, prepared, norms, constants = vectors(control, operands, sizes, 6)
    by_value, by_norm, decay = constants[0], constants[1], constants[2]
    squares = 0.0
    for worker in range(len(norms)):
        squares += np.float64(norms[worker]) * np.float64(norms[worker])
    norm = math.sqrt(squares)
    shrink = by_norm / norm if norm > by_norm else 1.0
    for index in range(len(gradients)):
        pull = decay * decay_mask[index] * parameters[index]
        prepared[index] = cast_like(pull, clipped(gradients[index], by_value) * shrink) + pull


@kernel
def decay_parameters(control, operands, sizes):
    """w = w - a d w where weight decay applies; the table holds a d."""
    parameters, decay_mask = vectors(control, operands, sizes, 2)
    _, _, table = matrices(control, operands, sizes, 3)
    rate = table[control[STEP], 0]
    for index in range(len(parameters)):
        parameters[index] -= rate * decay_mask[index] * parameters[index]


@kernel
def sgd(control, operands, sizes):
    """w = w - a g."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients = vectors(control, operands, sizes, 2)
    rate = table[control[STEP], 0]
    for index in range(len(parameters)):
        parameters[index] -= rate * gradients[index]


@kernel
def sgd_momentum(control, operands, sizes):
    """v = m v - b g, and w = w + v, or w + m v - b g with look-ahead; b = a (1 - dampening)."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, velocity = vectors(control, operands, sizes, 4)
    rate, momentum, looks_ahead = table[control[STEP], 0], table[control[STEP], 1], table[control[STEP], 2]
    if looks_ahead > cast_like(parameters, 0):
        for index in range(len(parameters)):
            push = rate * gradients[index]
            velocity[index] = momentum * velocity[index] - push
            parameters[index] += momentum * velocity[index] - push
    else:
        for index in range(len(parameters)):
            velocity[index] = momentum * velocity[index] - rate * gradients[index]
            parameters[index] += velocity[index]


@inline
def move_by_adam(parameters, gradients, mean, mean_square, numbers):
    """The formula of `adam` for some of the parameters."""
    rate, epsilon, keep_1, take_1, keep_2, take_2 = numbers
    for index in range(len(parameters)):
        gradient = gradients[index]
        m = keep_1 * mean[index] + take_1 * gradient
        v = keep_2 * mean_square[index] + take_2 * gradient * gradient
        mean[index] = m
        mean_square[index] = v
        parameters[index] -= rate * m / (cast_like(v, math.sqrt(v)) + epsilon)


@kernel
def adam(control, operands, sizes):
    """With running averages m of g and v of g**2: w = w - a m / (sqrt(v) + epsilon), both corrected."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square = vectors(control, operands, sizes, 5)
    step = control[STEP]
    numbers = (table[step, 0], table[step, 1], table[step, 2], table[step, 3], table[step, 4], table[step, 5])
    for start in range(0, len(parameters), PREFETCH_BLOCK):
        stop = min(start + PREFETCH_BLOCK, len(parameters))
        fetch_to_write(parameters, stop, stop + PREFETCH_BLOCK)
        move_by_adam(
            parameters[start:stop], gradients[start:stop], mean[start:stop], mean_square[start:stop], numbers
        )


@kernel
def amsgrad(control, operands, sizes):
    """AMSGrad: Adam with the largest v so far."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square, largest = vectors(control, operands, sizes, 6)
    step = control[STEP]
    rate, epsilon = table[step, 0], table[step, 1]
    keep_1, take_1, keep_2, take_2 = table[step, 2], table[step, 3], table[step, 4], table[step, 5]
    for index in range(len(parameters)):
        gradient = gradients[index]
        m = keep_1 * mean[index] + take_1 * gradient
        v = keep_2 * mean_square[index] + take_2 * gradient * gradient
        mean[index] = m
        mean_square[index] = v
        most = v if v > largest[index] else largest[index]
        largest[index] = most
        parameters[index] -= rate * m / (cast_like(v, math.sqrt(most)) + epsilon)


@kernel
def nadam(control, operands, sizes):
    """Adam with a look-ahead: w = w - (a g + b m) / (sqrt(v / (1 - beta_2**t)) + epsilon)."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, mean, mean_square = vectors(control, operands, sizes, 5)
    step = control[STEP]
    gradient_rate, mean_rate, correction = table[step, 0], table[step, 1], table[step, 2]
    epsilon, take_1, take_2 = table[step, 3], table[step, 4], table[step, 5]
    for index in range(len(parameters)):
        gradient = gradients[index]
        m = mean[index] + take_1 * (gradient - mean[index])
        v = mean_square[index] + take_2 * (gradient * gradient - mean_square[index])
        mean[index] = m
        mean_square[index] = v
        root = cast_like(v, math.sqrt(v * correction))
        parameters[index] -= (gradient_rate * gradient + mean_rate * m) / (root + epsilon)


@kernel
def rmsprop(control, operands, sizes):
    """v = rho v + (1 - rho) g**2, and w = w - a g / (sqrt(v) + epsilon)."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, mean_square = vectors(control, operands, sizes, 4)
    step = control[STEP]
    rate, epsilon, take = table[step, 0], table[step, 1], table[step, 2]
    for index in range(len(parameters)):
        gradient = gradients[index]
        v = mean_square[index] + take * (gradient * gradient - mean_square[index])
        mean_square[index] = v
        parameters[index] -= rate * gradient / (cast_like(v, math.sqrt(v)) + epsilon)


@kernel
def adagrad(control, operands, sizes):
    """s = s + g**2, and w = w - a g / (sqrt(s) + epsilon)."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, sum_of_squares = vectors(control, operands, sizes, 4)
    rate, epsilon = table[control[STEP], 0], table[control[STEP], 1]
    for index in range(len(parameters)):
        gradient = gradients[index]
        s = sum_of_squares[index] + gradient * gradient
        sum_of_squares[index] = s
        parameters[index] -= rate * gradient / (cast_like(s, math.sqrt(s)) + epsilon)


@kernel
def lion(control, operands, sizes):
    """w = w - a sign(beta_1 m + (1 - beta_1) g), then m = beta_2 m + (1 - beta_2) g."""
    _, _, table = matrices(control, operands, sizes, 3)
    parameters, gradients, _, momentum = vectors(control, operands, sizes, 4)
    step = control[STEP]
    rate, keep, take, take_2 = table[step, 0], table[step, 1], table[step, 2], table[step, 3]
    for index in range(len(parameters)):
        mixed = keep * momentum[index] + take * gradients[index]
        zero = cast_like(mixed, 0)
        parameters[index] -= rate if mixed > zero else (-rate if mixed < zero else rate * mixed)
        momentum[index] += take_2 * (gradients[index] - momentum[index])
