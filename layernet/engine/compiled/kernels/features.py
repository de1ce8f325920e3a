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
    """outputs = min(max((x - start) * inverse_length, 0), 1), with x the feature of each output."""
    inputs, starts, inverse_lengths, outputs = matrices(control, operands, sizes, 4)
    features = int64_matrix(control, operands, sizes, 4)
    for row in range(len(inputs)):
        for piece in range(outputs.shape[1]):
            part = (inputs[row, features[0, piece]] - starts[0, piece]) * inverse_lengths[0, piece]
            above = part if part > cast_like(part, 0) else cast_like(part, 0)
            outputs[row, piece] = above if above < cast_like(part, 1) else cast_like(part, 1)


@kernel
def encode_pieces_backward(control, operands, sizes):
    """grad_inputs = sum of grad_output * inverse_length over the pieces that x lies in."""
    outputs, inverse_lengths, gradient, grad_inputs = matrices(control, operands, sizes, 4)
    features = int64_matrix(control, operands, sizes, 4)
    for row in range(len(outputs)):
        for feature in range(grad_inputs.shape[1]):
            grad_inputs[row, feature] = cast_like(outputs, 0)
        for piece in range(outputs.shape[1]):
            if cast_like(outputs, 0) < outputs[row, piece] < cast_like(outputs, 1):
                grad_inputs[row, features[0, piece]] += gradient[row, piece] * inverse_lengths[0, piece]


@kernel
def embed_periodically(control, operands, sizes):
    """Outputs of each feature x: x, and bias + weights @ cos(2 pi frequencies x + phases)."""
    inputs, frequencies, phases, weights, bias, cosines, sines, outputs = matrices(control, operands, sizes, 8)
    n_features, n_frequencies = frequencies.shape
    width = len(weights) // n_features
    turns_of_radian = cast_like(inputs, 0.5 / math.pi)
    for row in range(len(inputs)):
        for feature in range(n_features):
            x = inputs[row, feature]
            first = feature * n_frequencies
            for k in range(n_frequencies):
                turns = x * frequencies[feature, k] + phases[feature, k] * turns_of_radian
                sine, cosine = sine_and_cosine_of_turns(turns)
                cosines[row, first + k] = cosine
                sines[row, first + k] = sine
            outputs[row, feature * (width + 1)] = x
            for mix in range(feature * width, (feature + 1) * width):
                total = bias[0, mix]
                for k in range(n_frequencies):
                    total += weights[mix, k] * cosines[row, first + k]
                outputs[row, mix + feature + 1] = total


@kernel
def embed_periodically_backward(control, operands, sizes):
    """Gradients of the four parameters, summed over the rows, and of the inputs; see `PeriodicEmbedding`."""
    (
        inputs, frequencies, weights, cosines, sines, gradient,
        grad_frequencies, grad_phases, grad_weights, grad_bias, grad_inputs,
    ) = matrices(control, operands, sizes, 11)  # fmt: skip
    n_features, n_frequencies = grad_frequencies.shape
    width = len(weights) // n_features
    zero, two_pi = cast_like(inputs, 0), cast_like(inputs, 2 * math.pi)
    for feature in range(n_features):
        for k in range(n_frequencies):
            grad_frequencies[feature, k] = zero
            grad_phases[feature, k] = zero
    for mix in range(len(weights)):
        grad_bias[0, mix] = zero
        for k in range(n_frequencies):
            grad_weights[mix, k] = zero
    for row in range(len(inputs)):
        for feature in range(n_features):
            x = inputs[row, feature] * two_pi
            first = feature * n_frequencies
            for mix in range(feature * width, (feature + 1) * width):
                of_mix = gradient[row, mix + feature + 1]
                grad_bias[0, mix] += of_mix
                for k in range(n_frequencies):
                    grad_weights[mix, k] += of_mix * cosines[row, first + k]
            total = zero
            for k in range(n_frequencies):
                of_angle = zero
                for mix in range(feature * width, (feature + 1) * width):
                    of_angle -= gradient[row, mix + feature + 1] * weights[mix, k]
                of_angle *= sines[row, first + k]
                grad_phases[feature, k] += of_angle
                grad_frequencies[feature, k] += of_angle * x
                total += of_angle * frequencies[feature, k]
            grad_inputs[row, feature] = gradient[row, feature * (width + 1)] + two_pi * total
