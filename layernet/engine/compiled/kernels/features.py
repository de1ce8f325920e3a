"""Kernels of the layers for features of tables: scales, embeddings of numbers and of categories."""

from __future__ import annotations

import math

import numpy as np

from layernet.engine.compiled.intrinsics import cast_like, int64_matrix, matrices
from layernet.engine.compiled.kernel import kernel
from layernet.engine.compiled.kernels.elementary import sine_and_cosine_of_turns


@kernel
def scale(control, operands, sizes):
    """outputs = inputs * factor."""
    inputs, factor, outputs = matrices(control, operands, sizes, 3)
    for row in range(len(inputs)):
        for feature in range(inputs.shape[1]):
            outputs[row, feature] = inputs[row, feature] * factor[0, feature]


@kernel
def scale_backward(control, operands, sizes):
    """grad_factor = sum of inputs * gradient, and gradient = gradient * factor."""
    inputs, factor, gradient, grad_factor = matrices(control, operands, sizes, 4)
    for feature in range(inputs.shape[1]):
        grad_factor[0, feature] = cast_like(inputs, 0)
    for row in range(len(inputs)):
        for feature in range(inputs.shape[1]):
            grad_factor[0, feature] += inputs[row, feature] * gradient[row, feature]
            gradient[row, feature] *= factor[0, feature]


@kernel
def embed_categories(control, operands, sizes):
    """outputs = rows of weights, side by side; 0 for inputs that are no level."""
    inputs, weights, outputs = matrices(control, operands, sizes, 3)
    n_levels = int64_matrix(control, operands, sizes, 3)
    width = weights.shape[1]
    for row in range(len(inputs)):
        first = 0
        for category in range(inputs.shape[1]):
            level = inputs[row, category]
            is_level = level >= cast_like(level, 0) and level < cast_like(level, n_levels[0, category])
            for unit in range(width):
                outputs[row, category * width + unit] = (
                    weights[first + np.int64(level), unit] if is_level else cast_like(level, 0)
                )
            first += n_levels[0, category]


@kernel
def embed_categories_backward(control, operands, sizes):
    """grad_weights of a row = sum of the gradients of the samples of its level."""
    inputs, gradient, grad_weights = matrices(control, operands, sizes, 3)
    n_levels = int64_matrix(control, operands, sizes, 3)
    width = grad_weights.shape[1]
    for index in range(len(grad_weights)):
        for unit in range(width):
            grad_weights[index, unit] = cast_like(inputs, 0)
    for row in range(len(inputs)):
        first = 0
        for category in range(inputs.shape[1]):
            level = inputs[row, category]
            if level >= cast_like(level, 0) and level < cast_like(level, n_levels[0, category]):
                for unit in range(width):
                    grad_weights[first + np.int64(level), unit] += gradient[row, category * width + unit]
            first += n_levels[0, category]


@kernel
def encode_pieces(control, operands, sizes):
    """outputs = min(max(lowest + slope * (x - start), lowest), 1), with x the feature of each output."""
    inputs, starts, slopes, lowest, outputs = matrices(control, operands, sizes, 5)
    features = int64_matrix(control, operands, sizes, 5)
    low, high = lowest[0, 0], cast_like(inputs, 1)
    for row in range(len(inputs)):
        for piece in range(outputs.shape[1]):
            part = (inputs[row, features[0, piece]] - starts[0, piece]) * slopes[0, piece] + low
            above = part if part > low else low
            outputs[row, piece] = above if above < high else high


@kernel
def encode_pieces_backward(control, operands, sizes):
    """grad_inputs = sum of slope * grad_output over the pieces that x lies in."""
    outputs, slopes, lowest, gradient, grad_inputs = matrices(control, operands, sizes, 5)
    features = int64_matrix(control, operands, sizes, 5)
    for row in range(len(outputs)):
        for feature in range(grad_inputs.shape[1]):
            grad_inputs[row, feature] = cast_like(outputs, 0)
        for piece in range(outputs.shape[1]):
            if lowest[0, 0] < outputs[row, piece] < cast_like(outputs, 1):
                grad_inputs[row, features[0, piece]] += gradient[row, piece] * slopes[0, piece]


@kernel
def embed_periodically(control, operands, sizes):
    """Outputs of each feature x: x, and bias + weights @ cos(2 pi frequencies x + phases).

    Cosines, sines and a copy of the inputs have a column for each sample: loops over the samples are long, and
    those over the frequencies short.
    """
    (
        inputs, frequencies, phases, weights, bias, columns, cosines, sines, sums, outputs,
    ) = matrices(control, operands, sizes, 10)  # fmt: skip
    n_rows = len(inputs)
    n_features, n_frequencies = frequencies.shape
    width = len(weights) // n_features
    turns_of_radian = cast_like(inputs, 0.5 / math.pi)
    for feature in range(n_features):
        for row in range(n_rows):
            columns[feature, row] = inputs[row, feature]
            outputs[row, feature * (width + 1)] = inputs[row, feature]
        for k in range(n_frequencies):
            angle, frequency = feature * n_frequencies + k, frequencies[feature, k]
            phase = phases[feature, k] * turns_of_radian
            for row in range(n_rows):
                sine, cosine = sine_and_cosine_of_turns(columns[feature, row] * frequency + phase)
                cosines[angle, row] = cosine
                sines[angle, row] = sine
        for mix in range(feature * width, (feature + 1) * width):
            for row in range(n_rows):
                sums[0, row] = bias[0, mix]
            for k in range(n_frequencies):
                angle, weight = feature * n_frequencies + k, weights[mix, k]
                for row in range(n_rows):
                    sums[0, row] += weight * cosines[angle, row]
            for row in range(n_rows):
                outputs[row, mix + feature + 1] = sums[0, row]


@kernel
def embed_periodically_backward(control, operands, sizes):
    """Gradients of the four parameters, summed over the rows; the sines become the gradients of the angles."""
    (
        columns, weights, cosines, sines, sums, gradient,
        grad_frequencies, grad_phases, grad_weights, grad_bias,
    ) = matrices(control, operands, sizes, 10)  # fmt: skip
    n_rows = len(gradient)
    n_features, n_frequencies = grad_frequencies.shape
    width = len(weights) // n_features
    zero, two_pi = cast_like(columns, 0), cast_like(columns, 2 * math.pi)
    for feature in range(n_features):
        for e in range(width):
            mix = feature * width + e
            total = zero
            for row in range(n_rows):
                of_mix = gradient[row, mix + feature + 1]
                sums[1 + e, row] = of_mix
                total += of_mix
            grad_bias[0, mix] = total
        for k in range(n_frequencies):
            angle = feature * n_frequencies + k
            for row in range(n_rows):
                sums[0, row] = zero
            for e in range(width):
                mix, total = feature * width + e, zero
                weight = weights[mix, k]
                for row in range(n_rows):
                    total += sums[1 + e, row] * cosines[angle, row]
                    sums[0, row] -= weight * sums[1 + e, row]
                grad_weights[mix, k] = total
            total, along = zero, zero
            for row in range(n_rows):
                of_angle = sums[0, row] * sines[angle, row]
                sines[angle, row] = of_angle
                total += of_angle
                along += of_angle * columns[feature, row]
            grad_phases[feature, k] = total
            grad_frequencies[feature, k] = two_pi * along


@kernel
def embed_periodically_grad_inputs(control, operands, sizes):
    """grad_inputs = gradient of x + 2 pi sum_k frequency_k (gradient of angle k)."""
    frequencies, grad_angles, sums, gradient, grad_inputs = matrices(control, operands, sizes, 5)
    n_features, n_frequencies = frequencies.shape
    width = gradient.shape[1] // n_features
    for feature in range(n_features):
        for row in range(len(gradient)):
            sums[0, row] = cast_like(gradient, 0)
        for k in range(n_frequencies):
            angle, frequency = feature * n_frequencies + k, frequencies[feature, k]
            for row in range(len(gradient)):
                sums[0, row] += frequency * grad_angles[angle, row]
        for row in range(len(gradient)):
            of_angles = cast_like(gradient, 2 * math.pi) * sums[0, row]
            grad_inputs[row, feature] = gradient[row, feature * width] + of_angles
