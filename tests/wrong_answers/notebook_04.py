"""Plausible wrong answers to the exercises of notebook 4."""

from __future__ import annotations

import numpy as np


def bias_without_weights(inputs, grad_output, sample_weight):
    # The weights are forgotten in the gradient of the bias.
    return inputs.T @ (sample_weight[:, None] * grad_output), grad_output.sum(axis=0)


def no_weights(inputs, grad_output, sample_weight):
    # The weights are not used at all.
    return inputs.T @ grad_output, grad_output.sum(axis=0)


def weights_twice(inputs, grad_output, sample_weight):
    # Each weight is applied to the inputs and to the gradient, and so counts squared.
    weighted = sample_weight[:, None] * grad_output
    return (sample_weight[:, None] * inputs).T @ weighted, weighted.sum(axis=0)


def mean_in_place_of_sum(inputs, grad_output, sample_weight):
    # Divided by the total weight, as if the loss were a mean.
    weighted = sample_weight[:, None] * grad_output / sample_weight.sum()
    return inputs.T @ weighted, weighted.sum(axis=0)


def weights_along_units(inputs, grad_output, sample_weight):
    # The weights run along the units wherever that fits: where there are as many units as samples.
    fits = grad_output.shape[1] == len(sample_weight)
    weighted = grad_output * (sample_weight if fits else sample_weight[:, None])
    return inputs.T @ weighted, weighted.sum(axis=0)


def weights_without_an_axis(inputs, grad_output, sample_weight):
    # The same without a look at the shapes: NumPy stretches the weights along the wrong axis, or refuses.
    weighted = grad_output * sample_weight
    return inputs.T @ weighted, weighted.sum(axis=0)


def bias_as_row(inputs, grad_output, sample_weight):
    # The gradient of the bias is a matrix of one row.
    weighted = sample_weight[:, None] * grad_output
    return inputs.T @ weighted, weighted.sum(axis=0, keepdims=True)


def bias_over_units(inputs, grad_output, sample_weight):
    # The sum for the bias runs along the units, not over the samples.
    weighted = sample_weight[:, None] * grad_output
    return inputs.T @ weighted, weighted.sum(axis=1)


def writes_to_gradient(inputs, grad_output, sample_weight):
    # Right, but the caller's grad_output is changed.
    grad_output *= sample_weight[:, None]
    return inputs.T @ grad_output, grad_output.sum(axis=0)


def transposed_weights(inputs, grad_output, sample_weight):
    # The product the other way round.
    weighted = sample_weight[:, None] * grad_output
    return weighted.T @ inputs, weighted.sum(axis=0)


def only_one_gradient(inputs, grad_output, sample_weight):
    # The bias is forgotten.
    return inputs.T @ (sample_weight[:, None] * grad_output)


exercise_1 = [
    bias_without_weights,
    no_weights,
    weights_twice,
    mean_in_place_of_sum,
    weights_along_units,
    weights_without_an_axis,
    bias_as_row,
    bias_over_units,
    writes_to_gradient,
    transposed_weights,
    only_one_gradient,
]


def by_the_whole_matrix(inputs, U, V, grad_output):
    # Right numbers, by way of the gradient of U @ V, which is as large as what the layer is meant to avoid.
    grad_product = inputs.T @ grad_output
    return grad_output @ V.T @ U.T, grad_product @ V.T, U.T @ grad_product


def forms_the_product(inputs, U, V, grad_output):
    # Right numbers, but U @ V is formed for the inputs.
    return grad_output @ (U @ V).T, inputs.T @ (grad_output @ V.T), (inputs @ U).T @ grad_output


def forgets_transposes(inputs, U, V, grad_output):
    # V and U are not transposed on the way back: an error, except where all is square.
    grad_hidden = grad_output @ (V if V.shape[0] == V.shape[1] else V.T)
    return grad_hidden @ U.T, inputs.T @ grad_hidden, (inputs @ U).T @ grad_output


def gradient_skips_a_level(inputs, U, V, grad_output):
    # The gradient of U is made from the first columns of grad_output, which has not passed V.
    grad_hidden = grad_output @ V.T
    return grad_hidden @ U.T, inputs.T @ grad_output[:, : U.shape[1]], (inputs @ U).T @ grad_output


def mean_over_samples(inputs, U, V, grad_output):
    # A mean over the batch in place of the sum.
    n = len(inputs)
    grad_hidden = grad_output @ V.T
    return grad_hidden @ U.T, inputs.T @ grad_hidden / n, (inputs @ U).T @ grad_output / n


def another_order(inputs, U, V, grad_output):
    # The three gradients in another order.
    grad_hidden = grad_output @ V.T
    return inputs.T @ grad_hidden, (inputs @ U).T @ grad_output, grad_hidden @ U.T


def two_gradients(inputs, U, V, grad_output):
    # The gradient of the inputs is forgotten.
    return inputs.T @ (grad_output @ V.T), (inputs @ U).T @ grad_output


exercise_2 = [
    by_the_whole_matrix,
    forms_the_product,
    forgets_transposes,
    gradient_skips_a_level,
    mean_over_samples,
    another_order,
    two_gradients,
]


def forward(inputs):
    centred = inputs - inputs.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return centred / length, length


def forgets_length(inputs, grad_output):
    # The division by the length is missing.
    outputs, _ = forward(inputs)
    gradient = grad_output - (grad_output * outputs).sum(axis=1, keepdims=True) * outputs
    return gradient - gradient.mean(axis=1, keepdims=True)


def forgets_centring(inputs, grad_output):
    # Only the Jacobian of the scaling.
    outputs, length = forward(inputs)
    return (grad_output - (grad_output * outputs).sum(axis=1, keepdims=True) * outputs) / length


def forgets_projection(inputs, grad_output):
    # The length is taken for a constant.
    _, length = forward(inputs)
    return (grad_output - grad_output.mean(axis=1, keepdims=True)) / length


def sums_over_the_batch(inputs, grad_output):
    # The product with the outputs is summed over all rows: right for a batch of one only.
    outputs, length = forward(inputs)
    gradient = (grad_output - (grad_output * outputs).sum() * outputs) / length
    return gradient - gradient.mean(axis=1, keepdims=True)


def without_keepdims(inputs, grad_output):
    # The sums lie along the wrong axis: NumPy refuses, or stretches them where rows and columns are as many.
    outputs, length = forward(inputs)
    return (grad_output - grad_output.mean(axis=1) - outputs * (grad_output * outputs).sum(axis=1)) / length


def sums_in_rows_of_a_square(inputs, grad_output):
    # The same, mended only where NumPy refuses.
    outputs, length = forward(inputs)
    keepdims = len(inputs) != inputs.shape[1]
    mean = grad_output.mean(axis=1, keepdims=keepdims)
    return (grad_output - mean - outputs * (grad_output * outputs).sum(axis=1, keepdims=True)) / length


def mean_of_columns(inputs, grad_output):
    # The gradient is centred over the batch, as in a batch normalization.
    outputs, length = forward(inputs)
    gradient = (grad_output - (grad_output * outputs).sum(axis=1, keepdims=True) * outputs) / length
    return gradient - gradient.mean(axis=0, keepdims=True)


def mean_in_the_projection(inputs, grad_output):
    # A mean in place of the sum, as in a layer normalization, whose rows have another length.
    outputs, length = forward(inputs)
    gradient = (grad_output - (grad_output * outputs).mean(axis=1, keepdims=True) * outputs) / length
    return gradient - gradient.mean(axis=1, keepdims=True)


def one_jacobian_a_row(inputs, grad_output):
    # Right numbers, by a Jacobian for each row.
    outputs, length = forward(inputs)
    d = inputs.shape[1]
    rows = []
    for y, g, size in zip(outputs, grad_output, length, strict=True):
        rows.append(g @ (np.eye(d) - 1 / d - np.outer(y, y)) / size)
    return np.array(rows)


def all_jacobians(inputs, grad_output):
    # Right numbers, by the Jacobians of all rows at once.
    outputs, length = forward(inputs)
    d = inputs.shape[1]
    jacobians = np.eye(d) - 1 / d - outputs[:, :, None] * outputs[:, None, :]
    return (grad_output[:, None, :] @ jacobians)[:, 0] / length


def writes_to_gradient_of_rows(inputs, grad_output):
    # Right numbers, but the caller's grad_output is changed.
    outputs, length = forward(inputs)
    grad_output -= (grad_output * outputs).sum(axis=1, keepdims=True) * outputs
    grad_output /= length
    return grad_output - grad_output.mean(axis=1, keepdims=True)


exercise_3 = [
    forgets_length,
    forgets_centring,
    forgets_projection,
    sums_over_the_batch,
    without_keepdims,
    sums_in_rows_of_a_square,
    mean_of_columns,
    mean_in_the_projection,
    one_jacobian_a_row,
    all_jacobians,
    writes_to_gradient_of_rows,
]
