"""Matrix products of a dense layer, carried out by BLAS."""

from __future__ import annotations

from layernet.engine.kernel import kernel
from layernet.engine.words import PRODUCT, arrays, matrix_product, whole_numbers

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
