"""Kernels of BatchNorm, LayerNorm, RMSNorm, Softmax and LogSoftmax.

In float32, the rounding error of a sum of large numbers may exceed a small variance. So means are summed up in
float64, and variances are computed from the differences.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import (
    BATCH_ROWS,
    WORKER,
    cast_like,
    float64_matrix,
    inline,
    matrices,
    vectors,
)
from layernet.engine.compiled.kernel import kernel
from layernet.engine.compiled.kernels.elementary import exponential


@kernel
def batch_sums(control, operands, sizes):
    """Worker's part of sum(p_i x_i) and of sum(p_i), where p are the normalized weights."""
    inputs, normalized_weights, _ = matrices(control, operands, sizes, 3)
    sums = float64_matrix(control, operands, sizes, 2)
    worker, width = control[WORKER], inputs.shape[1]
    for unit in range(width + 1):
        sums[worker, unit] = 0
    for row in range(len(inputs)):
        share = np.float64(normalized_weights[row, 0])
        for unit in range(width):
            sums[worker, unit] += share * inputs[row, unit]
        sums[worker, width] += share


@kernel
def batch_squares(control, operands, sizes):
    """Mean over all workers, and this worker's part of sum(p_i (x_i - mean)**2)."""
    inputs, normalized_weights, _, mean, squares = matrices(control, operands, sizes, 5)
    sums = float64_matrix(control, operands, sizes, 2)
    worker, width = control[WORKER], inputs.shape[1]
    total = 0.0
    for other in range(len(sums)):
        total += sums[other, width]
    for unit in range(width):
        middle = 0.0
        for other in range(len(sums)):
            middle += sums[other, unit]
        mean[0, unit] = cast_like(inputs, middle / total)
        squares[worker, unit] = 0
    for row in range(len(inputs)):
        share = normalized_weights[row, 0]
        for unit in range(width):
            centered = inputs[row, unit] - mean[0, unit]
            squares[worker, unit] += share * centered * centered


@kernel
def batch_norm(control, operands, sizes):
    """outputs = gamma n + beta, where n = (x - mean) / sqrt(variance + epsilon)."""
    inputs, outputs, normalized, gamma, beta, mean, squares, variance, inverse, constants = matrices(
        control, operands, sizes, 10
    )
    total_of_rows(squares, variance)
    for unit in range(inputs.shape[1]):
        root = cast_like(inputs, math.sqrt(variance[0, unit] + constants[0, 0]))
        inverse[0, unit] = cast_like(inputs, 1) / root
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            n = (inputs[row, unit] - mean[0, unit]) * inverse[0, unit]
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def norm_by_averages(control, operands, sizes):
    """outputs = gamma n + beta in inference, with running averages along the last axis of the samples."""
    inputs, outputs, gamma, beta, mean, variance, inverse, constants = matrices(control, operands, sizes, 8)
    features = gamma.shape[1]
    for unit in range(features):
        inverse[0, unit] = cast_like(inputs, 1) / cast_like(
            inputs, math.sqrt(variance[0, unit] + constants[0, 0])
        )
    for first in range(0, inputs.shape[1], features):
        given, normalized = inputs[:, first : first + features], outputs[:, first : first + features]
        for row in range(len(inputs)):
            for unit in range(features):
                n = (given[row, unit] - mean[0, unit]) * inverse[0, unit]
                normalized[row, unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def batch_norm_gradients(control, operands, sizes):
    """Worker's part of sum(G n) and sum(G), for its own gradients and for the other workers."""
    gradient, normalized, grad_gamma, grad_beta, all_gamma, all_beta = matrices(control, operands, sizes, 6)
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
        grad_beta[0, unit] = 0
    for row in range(len(gradient)):
        for unit in range(gradient.shape[1]):
            grad_gamma[0, unit] += gradient[row, unit] * normalized[row, unit]
            grad_beta[0, unit] += gradient[row, unit]
    for unit in range(gradient.shape[1]):
        all_gamma[control[WORKER], unit] = grad_gamma[0, unit]
        all_beta[control[WORKER], unit] = grad_beta[0, unit]


@kernel
def batch_norm_backward(control, operands, sizes):
    """G_i = gamma (G_i - p_i sum(G) - p_i n_i sum(G n)) / sqrt(variance + epsilon)."""
    gradient, normalized, gamma, all_gamma, all_beta, normalized_weights, inverse, along, total = matrices(
        control, operands, sizes, 9
    )
    total_of_rows(all_gamma, along)
    total_of_rows(all_beta, total)
    for row in range(len(gradient)):
        share = normalized_weights[row, 0]
        for unit in range(gradient.shape[1]):
            common = total[0, unit] + normalized[row, unit] * along[0, unit]
            gradient[row, unit] = (gradient[row, unit] - share * common) * (gamma[0, unit] * inverse[0, unit])


@inline
def total_of_rows(parts, total):
    """total = sum of the parts of all workers."""
    for unit in range(parts.shape[1]):
        total[0, unit] = parts[0, unit]
    for worker in range(1, len(parts)):
        for unit in range(parts.shape[1]):
            total[0, unit] += parts[worker, unit]


@kernel
def move_averages(control, operands, sizes):
    """Move the running averages in proportion to the size of the batch; see `BatchNorm`."""
    running_mean, running_variance, mean, variance, weight = vectors(control, operands, sizes, 5)
    last_rows, settings = (
        float64_matrix(control, operands, sizes, 5),
        float64_matrix(control, operands, sizes, 6),
    )
    momentum, full, mean_weight = settings[0, 0], settings[0, 1], settings[0, 2]
    n_rows = np.float64(control[BATCH_ROWS])
    rows = np.float64(weight[0]) / mean_weight if mean_weight > 0 else n_rows
    last = last_rows.shape[1] - 1
    for step in range(last):
        last_rows[0, step] = last_rows[0, step + 1]
    last_rows[0, last] = n_rows
    for step in range(last + 1):
        full = max(full, last_rows[0, step])
    seen = 1.0 if n_rows >= full else (1.0 - 1.0 / n_rows) / (1.0 - 1.0 / full)
    move = min(1.0, (1.0 - momentum) * rows / full)
    keep_mean, keep_variance = cast_like(mean, 1.0 - move), cast_like(mean, 1.0 - move * seen)
    take = cast_like(mean, move)
    for unit in range(len(mean)):
        running_mean[unit] = keep_mean * running_mean[unit] + take * mean[unit]
        running_variance[unit] = keep_variance * running_variance[unit] + take * variance[unit]


@kernel
def layer_norm(control, operands, sizes):
    """outputs = gamma n + beta, where n = (x - mean) / sqrt(variance + epsilon) along each row."""
    inputs, outputs, normalized, gamma, beta, inverse, constants = matrices(control, operands, sizes, 7)
    width = cast_like(inputs, inputs.shape[1])
    for row in range(len(inputs)):
        total, variance = 0.0, cast_like(inputs, 0)
        for unit in range(inputs.shape[1]):
            total += inputs[row, unit]
        mean = cast_like(inputs, total / inputs.shape[1])
        for unit in range(inputs.shape[1]):
            centered = inputs[row, unit] - mean
            variance += centered * centered
        variance /= width
        one_over = cast_like(inputs, 1) / cast_like(inputs, math.sqrt(variance + constants[0, 0]))
        inverse[row, 0] = one_over
        for unit in range(inputs.shape[1]):
            n = (inputs[row, unit] - mean) * one_over
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n + beta[0, unit]


@kernel
def layer_norm_backward(control, operands, sizes):
    """G = (H - mean(H) - n mean(H n)) / sqrt(variance + epsilon), where H = G gamma."""
    gradient, normalized, gamma, grad_gamma, grad_beta, inverse = matrices(control, operands, sizes, 6)
    width = cast_like(gradient, gradient.shape[1])
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
        grad_beta[0, unit] = 0
    for row in range(len(gradient)):
        mean, along = cast_like(gradient, 0), cast_like(gradient, 0)
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
def rms_norm(control, operands, sizes):
    """outputs = gamma n, where n = x / sqrt(mean(x**2) + epsilon) along each row."""
    inputs, outputs, normalized, gamma, inverse, constants = matrices(control, operands, sizes, 6)
    width = cast_like(inputs, inputs.shape[1])
    for row in range(len(inputs)):
        squares = cast_like(inputs, 0)
        for unit in range(inputs.shape[1]):
            squares += inputs[row, unit] * inputs[row, unit]
        one_over = cast_like(inputs, 1) / cast_like(inputs, math.sqrt(squares / width + constants[0, 0]))
        inverse[row, 0] = one_over
        for unit in range(inputs.shape[1]):
            n = inputs[row, unit] * one_over
            normalized[row, unit] = n
            outputs[row, unit] = gamma[0, unit] * n


@kernel
def rms_norm_backward(control, operands, sizes):
    """G = (H - n mean(H n)) / sqrt(mean(x**2) + epsilon), where H = G gamma."""
    gradient, normalized, gamma, grad_gamma, inverse = matrices(control, operands, sizes, 5)
    width = cast_like(gradient, gradient.shape[1])
    for unit in range(gradient.shape[1]):
        grad_gamma[0, unit] = 0
    for row in range(len(gradient)):
        along = cast_like(gradient, 0)
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
def softmax(control, operands, sizes):
    """p_i = exp(x_i) / sum_j exp(x_j)."""
    inputs, outputs = matrices(control, operands, sizes, 2)
    _, flat = vectors(control, operands, sizes, 2)
    shifted_rows(inputs, outputs)
    for index in range(len(flat)):
        flat[index] = exponential(flat[index])
    for row in range(len(outputs)):
        total = cast_like(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += outputs[row, unit]
        for unit in range(outputs.shape[1]):
            outputs[row, unit] /= total


@kernel
def softmax_backward(control, operands, sizes):
    """G_i = p_i (G_i - sum_j G_j p_j)."""
    outputs, gradient = matrices(control, operands, sizes, 2)
    for row in range(len(outputs)):
        weighted = cast_like(outputs, 0)
        for unit in range(outputs.shape[1]):
            weighted += gradient[row, unit] * outputs[row, unit]
        for unit in range(outputs.shape[1]):
            gradient[row, unit] = outputs[row, unit] * (gradient[row, unit] - weighted)


@kernel
def log_softmax(control, operands, sizes):
    """l_i = x_i - log sum_j exp(x_j)."""
    inputs, outputs = matrices(control, operands, sizes, 2)
    shifted_rows(inputs, outputs)
    for row in range(len(outputs)):
        total = cast_like(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += exponential(outputs[row, unit])
        logarithm = cast_like(outputs, math.log(total))
        for unit in range(outputs.shape[1]):
            outputs[row, unit] -= logarithm


@kernel
def log_softmax_backward(control, operands, sizes):
    """G_i = G_i - exp(l_i) sum_j G_j."""
    outputs, gradient = matrices(control, operands, sizes, 2)
    for row in range(len(outputs)):
        total = cast_like(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += gradient[row, unit]
        for unit in range(outputs.shape[1]):
            gradient[row, unit] -= exponential(outputs[row, unit]) * total
