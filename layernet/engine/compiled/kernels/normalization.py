"""Kernels of BatchNorm, LayerNorm, RMSNorm, and of softmax as a layer.

Sums of large numbers would drown a small variance in float32. A mean is therefore put right by the mean of what
is left when it is taken off, which is small.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import ROWS_OF_ALL, WORKER, arrays, doubles, inline, number, vectors
from layernet.engine.compiled.kernel import kernel
from layernet.engine.compiled.kernels.elementary import exponential


@kernel
def batch_sums(batch, operands, sizes):
    """The sums of x, each sample with its share, and of the shares: this worker's part, beside the others'."""
    inputs, shares, _ = arrays(batch, operands, sizes, 3)
    sums = doubles(batch, operands, sizes, 2)
    worker, width = batch[WORKER], inputs.shape[1]
    for unit in range(width + 1):
        sums[worker, unit] = 0
    for row in range(len(inputs)):
        share = np.float64(shares[row, 0])
        for unit in range(width):
            sums[worker, unit] += share * inputs[row, unit]
        sums[worker, width] += share


@kernel
def batch_squares(batch, operands, sizes):
    """The mean of all, and this worker's part of the sum of (x - mean)**2."""
    inputs, shares, _, mean, squares = arrays(batch, operands, sizes, 5)
    sums = doubles(batch, operands, sizes, 2)
    worker, width = batch[WORKER], inputs.shape[1]
    total = 0.0
    for other in range(len(sums)):
        total += sums[other, width]
    for unit in range(width):
        middle = 0.0
        for other in range(len(sums)):
            middle += sums[other, unit]
        mean[0, unit] = number(inputs, middle / total)
        squares[worker, unit] = 0
    for row in range(len(inputs)):
        share = shares[row, 0]
        for unit in range(width):
            centered = inputs[row, unit] - mean[0, unit]
            squares[worker, unit] += share * centered * centered


@kernel
def batch_norm(batch, operands, sizes):
    """n = (x - mean) / sqrt(variance + epsilon), and gamma n + beta."""
    inputs, outputs, normalized, gamma, beta, mean, squares, variance, inverse, constants = arrays(
        batch, operands, sizes, 10
    )
    total_of_rows(squares, variance)
    for unit in range(inputs.shape[1]):
        root = number(inputs, math.sqrt(variance[0, unit] + constants[0, 0]))
        inverse[0, unit] = number(inputs, 1) / root
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            n = (inputs[row, unit] - mean[0, unit]) * inverse[0, unit]
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def norm_by_averages(batch, operands, sizes):
    """In inference, along the last axis of the samples: n = (x - average) / sqrt(variance + epsilon)."""
    inputs, outputs, gamma, beta, mean, variance, inverse, constants = arrays(batch, operands, sizes, 8)
    features = gamma.shape[1]
    for unit in range(features):
        inverse[0, unit] = number(inputs, 1) / number(inputs, math.sqrt(variance[0, unit] + constants[0, 0]))
    for row in range(len(inputs)):
        for first in range(0, inputs.shape[1], features):
            for unit in range(features):
                n = (inputs[row, first + unit] - mean[0, unit]) * inverse[0, unit]
                outputs[row, first + unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def batch_norm_gradients(batch, operands, sizes):
    """The sums of G n and of G: this worker's part, for its gradients and beside those of the others."""
    gradient, normalized, grad_gamma, grad_beta, all_gamma, all_beta = arrays(batch, operands, sizes, 6)
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
        grad_beta[0, unit] = 0
    for row in range(len(gradient)):
        for unit in range(gradient.shape[1]):
            grad_gamma[0, unit] += gradient[row, unit] * normalized[row, unit]
            grad_beta[0, unit] += gradient[row, unit]
    for unit in range(gradient.shape[1]):
        all_gamma[batch[WORKER], unit] = grad_gamma[0, unit]
        all_beta[batch[WORKER], unit] = grad_beta[0, unit]


@kernel
def batch_norm_backward(batch, operands, sizes):
    """G becomes gamma (G_i - p_i sum of G - p_i n_i sum of (G n)) / sqrt(variance + epsilon)."""
    gradient, normalized, gamma, all_gamma, all_beta, shares, inverse, along, total = arrays(
        batch, operands, sizes, 9
    )
    total_of_rows(all_gamma, along)
    total_of_rows(all_beta, total)
    for row in range(len(gradient)):
        share = shares[row, 0]
        for unit in range(gradient.shape[1]):
            common = total[0, unit] + normalized[row, unit] * along[0, unit]
            gradient[row, unit] = (gradient[row, unit] - share * common) * (gamma[0, unit] * inverse[0, unit])


@inline
def total_of_rows(parts, total):
    """What all workers' parts come to."""
    for unit in range(parts.shape[1]):
        total[0, unit] = parts[0, unit]
    for worker in range(1, len(parts)):
        for unit in range(parts.shape[1]):
            total[0, unit] += parts[worker, unit]


@kernel
def move_averages(batch, operands, sizes):
    """Move the running averages by the batch's share of a full one; see `BatchNorm`."""
    running_mean, running_variance, mean, variance, weight = vectors(batch, operands, sizes, 5)
    last_rows, settings = doubles(batch, operands, sizes, 5), doubles(batch, operands, sizes, 6)
    momentum, full, mean_weight = settings[0, 0], settings[0, 1], settings[0, 2]
    n_rows = np.float64(batch[ROWS_OF_ALL])
    rows = np.float64(weight[0]) / mean_weight if mean_weight > 0 else n_rows
    last = last_rows.shape[1] - 1
    for step in range(last):
        last_rows[0, step] = last_rows[0, step + 1]
    last_rows[0, last] = n_rows
    for step in range(last + 1):
        full = max(full, last_rows[0, step])
    seen = 1.0 if n_rows >= full else (1.0 - 1.0 / n_rows) / (1.0 - 1.0 / full)
    move = min(1.0, (1.0 - momentum) * rows / full)
    keep_mean, keep_variance = number(mean, 1.0 - move), number(mean, 1.0 - move * seen)
    take = number(mean, move)
    for unit in range(len(mean)):
        running_mean[unit] = keep_mean * running_mean[unit] + take * mean[unit]
        running_variance[unit] = keep_variance * running_variance[unit] + take * variance[unit]


@kernel
def layer_norm(batch, operands, sizes):
    """The same along each row."""
    inputs, outputs, normalized, gamma, beta, inverse, constants = arrays(batch, operands, sizes, 7)
    width = number(inputs, inputs.shape[1])
    for row in range(len(inputs)):
        total, variance = 0.0, number(inputs, 0)
        for unit in range(inputs.shape[1]):
            total += inputs[row, unit]
        mean = number(inputs, total / inputs.shape[1])
        for unit in range(inputs.shape[1]):
            centered = inputs[row, unit] - mean
            variance += centered * centered
        variance /= width
        one_over = number(inputs, 1) / number(inputs, math.sqrt(variance + constants[0, 0]))
        inverse[row, 0] = one_over
        for unit in range(inputs.shape[1]):
            n = (inputs[row, unit] - mean) * one_over
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def layer_norm_backward(batch, operands, sizes):
    """H = G gamma becomes (H - mean of H - n mean of (H n)) / sqrt(variance + epsilon)."""
    gradient, normalized, gamma, grad_gamma, grad_beta, inverse = arrays(batch, operands, sizes, 6)
    width = number(gradient, gradient.shape[1])
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
        grad_beta[0, unit] = 0
    for row in range(len(gradient)):
        mean, along = number(gradient, 0), number(gradient, 0)
        for unit in range(gradient.shape[1]):
            grad_gamma[0, unit] += gradient[row, unit] * normalized[row, unit]
            grad_beta[0, unit] += gradient[row, unit]
            h = gradient[row, unit] * gamma[0, unit]
            mean += h
            along += h * normalized[row, unit]
        mean /= width
        along /= width
        for unit in range(gradient.shape[1]):
            h = gradient[row, unit] * gamma[0, unit]
            gradient[row, unit] = (h - mean - normalized[row, unit] * along) * inverse[row, 0]


@kernel
def rms_norm(batch, operands, sizes):
    """n = x / sqrt(mean of x**2 + epsilon) along each row, and gamma n."""
    inputs, outputs, normalized, gamma, inverse, constants = arrays(batch, operands, sizes, 6)
    width = number(inputs, inputs.shape[1])
    for row in range(len(inputs)):
        squares = number(inputs, 0)
        for unit in range(inputs.shape[1]):
            squares += inputs[row, unit] * inputs[row, unit]
        one_over = number(inputs, 1) / number(inputs, math.sqrt(squares / width + constants[0, 0]))
        inverse[row, 0] = one_over
        for unit in range(inputs.shape[1]):
            n = inputs[row, unit] * one_over
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n


@kernel
def rms_norm_backward(batch, operands, sizes):
    """H = G gamma becomes (H - n mean of (H n)) / sqrt(mean of x**2 + epsilon)."""
    gradient, normalized, gamma, grad_gamma, inverse = arrays(batch, operands, sizes, 5)
    width = number(gradient, gradient.shape[1])
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
    for row in range(len(gradient)):
        along = number(gradient, 0)
        for unit in range(gradient.shape[1]):
            grad_gamma[0, unit] += gradient[row, unit] * normalized[row, unit]
            along += gradient[row, unit] * gamma[0, unit] * normalized[row, unit]
        along /= width
        for unit in range(gradient.shape[1]):
            h = gradient[row, unit] * gamma[0, unit]
            gradient[row, unit] = (h - normalized[row, unit] * along) * inverse[row, 0]


@inline
def shifted_rows(inputs, outputs):
    """outputs = inputs - largest of the row."""
    for row in range(len(inputs)):
        largest = inputs[row, 0]
        for unit in range(1, inputs.shape[1]):
            largest = max(largest, inputs[row, unit])
        for unit in range(inputs.shape[1]):
            outputs[row, unit] = inputs[row, unit] - largest


@kernel
def softmax(batch, operands, sizes):
    """p_i = exp(x_i) / sum_j exp(x_j)."""
    inputs, outputs = arrays(batch, operands, sizes, 2)
    _, flat = vectors(batch, operands, sizes, 2)
    shifted_rows(inputs, outputs)
    for place in range(len(flat)):
        flat[place] = exponential(flat[place])
    for row in range(len(outputs)):
        total = number(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += outputs[row, unit]
        for unit in range(outputs.shape[1]):
            outputs[row, unit] /= total


@kernel
def softmax_backward(batch, operands, sizes):
    """G_i becomes p_i (G_i - sum_j G_j p_j)."""
    outputs, gradient = arrays(batch, operands, sizes, 2)
    for row in range(len(outputs)):
        weighted = number(outputs, 0)
        for unit in range(outputs.shape[1]):
            weighted += gradient[row, unit] * outputs[row, unit]
        for unit in range(outputs.shape[1]):
            gradient[row, unit] = outputs[row, unit] * (gradient[row, unit] - weighted)


@kernel
def log_softmax(batch, operands, sizes):
    """l_i = x_i - log sum_j exp(x_j)."""
    inputs, outputs = arrays(batch, operands, sizes, 2)
    shifted_rows(inputs, outputs)
    for row in range(len(outputs)):
        total = number(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += exponential(outputs[row, unit])
        logarithm = number(outputs, math.log(total))
        for unit in range(outputs.shape[1]):
            outputs[row, unit] -= logarithm


@kernel
def log_softmax_backward(batch, operands, sizes):
    """G_i becomes G_i - exp(l_i) sum_j G_j."""
    outputs, gradient = arrays(batch, operands, sizes, 2)
    for row in range(len(outputs)):
        total = number(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += gradient[row, unit]
        for unit in range(outputs.shape[1]):
            gradient[row, unit] -= exponential(outputs[row, unit]) * total
