"""Kernels of a dense layer's matrix products, computed by BLAS."""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import (
    GEMM_ADDRESS,
    cast_like,
    inline,
    int64_matrix,
    matrices,
    matrix_product,
)
from layernet.engine.compiled.kernel import kernel

NOT_TRANSPOSED, FIRST_TRANSPOSED, SECOND_TRANSPOSED = range(3)

# BLAS libraries compute products of up to a million multiplications without packing their operands, up to
# twice as fast. The gradient of the weights is a sum over the batch, so it is computed in such parts.
UNPACKED_PRODUCT = 1_000_000
MIN_PART_ROWS = 32


@kernel
def multiply(control, operands, sizes):
    """outputs = inputs @ weights."""
    inputs, weights, outputs = matrices(control, operands, sizes, 3)
    matrix_product(control[GEMM_ADDRESS], inputs, weights, outputs, NOT_TRANSPOSED, False)


@kernel
def multiply_in_parts(control, operands, sizes):
    """outputs = inputs @ weights for inference: one row without BLAS, many rows in parts without packing."""
    inputs, weights, outputs = matrices(control, operands, sizes, 3)
    rows = len(inputs)
    if rows == 1:
        multiply_row(inputs, weights, outputs)
        return
    length = UNPACKED_PRODUCT // weights.size
    if length < MIN_PART_ROWS:
        length = rows
    for start in range(0, rows, length):
        stop = min(start + length, rows)
        matrix_product(
            control[GEMM_ADDRESS], inputs[start:stop], weights, outputs[start:stop], NOT_TRANSPOSED, False
        )


@inline
def multiply_row(inputs, weights, outputs):
    """outputs = inputs @ weights for one row, four inputs at a time. A call of BLAS costs as much again."""
    n_inputs, units = weights.shape
    for unit in range(units):
        outputs[0, unit] = cast_like(outputs, 0)
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
def gradient_of_weights(control, operands, sizes):
    """grad_weights = inputs.T @ grad_output, over all rows of the batch, for some of the features."""
    inputs, grad_output, grad_weights = matrices(control, operands, sizes, 3)
    first = int64_matrix(control, operands, sizes, 3)[0, 0]
    of_features = inputs[:, first : first + len(grad_weights)]
    rows = len(inputs)
    parts = -(-rows * grad_weights.size // UNPACKED_PRODUCT)
    length = -(-rows // parts)
    if length < MIN_PART_ROWS:
        length = rows
    for start in range(0, rows, length):
        stop = min(start + length, rows)
        matrix_product(
            control[GEMM_ADDRESS],
            of_features[start:stop],
            grad_output[start:stop],
            grad_weights,
            FIRST_TRANSPOSED,
            start > 0,
        )


@kernel
def gradient_of_inputs(control, operands, sizes):
    """grad_inputs = grad_output @ weights.T."""
    grad_output, weights, grad_inputs = matrices(control, operands, sizes, 3)
    matrix_product(control[GEMM_ADDRESS], grad_output, weights, grad_inputs, SECOND_TRANSPOSED, False)
