"""Matrix products of a dense layer, carried out by BLAS."""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import PRODUCT, arrays, inline, matrix_product, number, whole_numbers
from layernet.engine.compiled.kernel import kernel

PLAIN, FIRST_TRANSPOSED, SECOND_TRANSPOSED = range(3)

# BLAS libraries have kernels for products of up to about a million multiplications that skip the packing of
# their operands, and are up to twice as fast. A weight gradient sums over the batch, and can be summed up in
# such parts.
SMALL_PRODUCT = 1_000_000
SHORTEST_PART = 32


@kernel
def multiply(batch, operands, sizes):
    """outputs = inputs @ weights."""
    inputs, weights, outputs = arrays(batch, operands, sizes, 3)
    matrix_product(batch[PRODUCT], inputs, weights, outputs, PLAIN, False)


@kernel
def multiply_parts(batch, operands, sizes):
    """The same for inference: a single row without BLAS, and many rows in parts that make small products."""
    inputs, weights, outputs = arrays(batch, operands, sizes, 3)
    rows = len(inputs)
    if rows == 1:
        multiply_row(inputs, weights, outputs)
        return
    length = SMALL_PRODUCT // weights.size
    if length < SHORTEST_PART:
        length = rows
    for start in range(0, rows, length):
        stop = min(start + length, rows)
        matrix_product(batch[PRODUCT], inputs[start:stop], weights, outputs[start:stop], PLAIN, False)


@inline
def multiply_row(inputs, weights, outputs):
    """A sum of rows of the weights, for which BLAS takes as long to get ready; four at a time."""
    n_inputs, units = weights.shape
    for unit in range(units):
        outputs[0, unit] = number(outputs, 0)
    by_fours = n_inputs - n_inputs % 4
    for i in range(0, by_fours, 4):
        a, b, c, d = inputs[0, i], inputs[0, i + 1], inputs[0, i + 2], inputs[0, i + 3]
        for unit in range(units):
            outputs[0, unit] += (a * weights[i, unit] + b * weights[i + 1, unit]) + (
                c * weights[i + 2, unit] + d * weights[i + 3, unit]
            )
    for i in range(by_fours, n_inputs):
        for unit in range(units):
            outputs[0, unit] += inputs[0, i] * weights[i, unit]


@kernel
def gradient_of_weights(batch, operands, sizes):
    """grad_weights = inputs.T @ grad_output, over all rows of the batch, for some of the features."""
    inputs, grad_output, grad_weights = arrays(batch, operands, sizes, 3)
    first = whole_numbers(batch, operands, sizes, 3)[0, 0]
    of_features = inputs[:, first : first + len(grad_weights)]
    rows = len(inputs)
    parts = -(-rows * grad_weights.size // SMALL_PRODUCT)
    length = -(-rows // parts)
    if length < SHORTEST_PART:
        length = rows
    for start in range(0, rows, length):
        stop = min(start + length, rows)
        matrix_product(
            batch[PRODUCT],
            of_features[start:stop],
            grad_output[start:stop],
            grad_weights,
            FIRST_TRANSPOSED,
            start > 0,
        )


@kernel
def gradient_of_inputs(batch, operands, sizes):
    """grad_inputs = grad_output @ weights.T."""
    grad_output, weights, grad_inputs = arrays(batch, operands, sizes, 3)
    matrix_product(batch[PRODUCT], grad_output, weights, grad_inputs, SECOND_TRANSPOSED, False)
