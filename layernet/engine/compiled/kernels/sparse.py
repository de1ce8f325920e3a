"""Kernels of a dense layer's products with CSR rows: row r has values[j] in columns[j], j from starts[r] on.

The rows of a batch are read from the data themselves, by the order of the epoch.
"""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import (
    BATCH_START,
    WORKER_OFFSET,
    cast_like,
    inline,
    int32_matrix,
    int64_matrix,
    matrices,
)
from layernet.engine.compiled.kernel import kernel


@inline
def add_rows(values, columns, first, last, weights, outputs, row):
    """outputs[row] += sum of values[j] * weights[columns[j]] for j from `first` to `last`, four at a time."""
    units = outputs.shape[1]
    by_fours = last - (last - first) % 4
    for j in range(first, by_fours, 4):
        a, b, c, d = values[0, j], values[0, j + 1], values[0, j + 2], values[0, j + 3]
        i, k, m, n = columns[0, j], columns[0, j + 1], columns[0, j + 2], columns[0, j + 3]
        for unit in range(units):
            outputs[row, unit] += (a * weights[i, unit] + b * weights[k, unit]) + (
                c * weights[m, unit] + d * weights[n, unit]
            )
    for j in range(by_fours, last):
        a, i = values[0, j], columns[0, j]
        for unit in range(units):
            outputs[row, unit] += a * weights[i, unit]


@kernel
def multiply_sparse(control, operands, sizes):
    """outputs = inputs @ weights."""
    values, _, _, _, weights, outputs = matrices(control, operands, sizes, 6)
    columns = int32_matrix(control, operands, sizes, 1)
    starts, order = int64_matrix(control, operands, sizes, 2), int64_matrix(control, operands, sizes, 3)
    first = control[BATCH_START] + control[WORKER_OFFSET]
    for row in range(len(outputs)):
        for unit in range(outputs.shape[1]):
            outputs[row, unit] = cast_like(outputs, 0)
        source = order[0, first + row]
        add_rows(values, columns, starts[0, source], starts[0, source + 1], weights, outputs, row)


@kernel
def gradient_of_sparse(control, operands, sizes):
    """grad_weights = inputs.T @ grad_output, over all rows of the batch, for some of the features.

    Entries are added to the rows of the features that occur in the batch; all other rows are 0.
    """
    values, _, _, _, grad_output, grad_weights = matrices(control, operands, sizes, 6)
    columns = int32_matrix(control, operands, sizes, 1)
    starts, order = int64_matrix(control, operands, sizes, 2), int64_matrix(control, operands, sizes, 3)
    first, last = int64_matrix(control, operands, sizes, 6)[0, 0], len(grad_weights)
    units = grad_weights.shape[1]
    for feature in range(last):
        for unit in range(units):
            grad_weights[feature, unit] = cast_like(grad_weights, 0)
    for row in range(len(grad_output)):
        source = order[0, control[BATCH_START] + row]
        for j in range(starts[0, source], starts[0, source + 1]):
            feature = columns[0, j] - first
            if feature < 0 or feature >= last:
                continue
            value = values[0, j]
            for unit in range(units):
                grad_weights[feature, unit] += value * grad_output[row, unit]
