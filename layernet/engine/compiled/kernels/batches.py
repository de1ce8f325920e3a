"""Kernels at the start of a step: gather the rows of a batch, and turn sample weights into factors."""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import (
    BATCH_ROWS,
    BATCH_START,
    WORKER,
    WORKER_OFFSET,
    cast_like,
    inline,
    int32_matrix,
    int64_matrix,
    matrices,
)
from layernet.engine.compiled.kernel import kernel


@inline
def first_row(control):
    """Position of this worker's first row in the order of the epoch."""
    return control[BATCH_START] + control[WORKER_OFFSET]


@inline
def copy_rows(data, order, first, rows):
    """rows[i] = data[order[first + i]]."""
    for row in range(len(rows)):
        source = order[0, first + row]
        for unit in range(rows.shape[1]):
            rows[row, unit] = data[source, unit]


@kernel
def gather(control, operands, sizes):
    """Copy the rows of the batch, in the order of this epoch."""
    data, _, rows = matrices(control, operands, sizes, 3)
    copy_rows(data, int64_matrix(control, operands, sizes, 1), first_row(control), rows)


@kernel
def gather_integers(control, operands, sizes):
    """Copy the rows of the batch from a matrix of int64."""
    data, rows = int64_matrix(control, operands, sizes, 0), int64_matrix(control, operands, sizes, 2)
    copy_rows(data, int64_matrix(control, operands, sizes, 1), first_row(control), rows)


@kernel
def gather_sparse(control, operands, sizes):
    """Copy the rows of the batch from a CSR matrix.

    Row r has values[j] in the column columns[j], for starts[r] <= j < starts[r + 1].
    """
    values, _, _, _, rows = matrices(control, operands, sizes, 5)
    columns = int32_matrix(control, operands, sizes, 1)
    starts = int64_matrix(control, operands, sizes, 2)
    order = int64_matrix(control, operands, sizes, 3)
    first = first_row(control)
    for row in range(len(rows)):
        for unit in range(rows.shape[1]):
            rows[row, unit] = 0
        source = order[0, first + row]
        for index in range(starts[0, source], starts[0, source + 1]):
            rows[row, columns[0, index]] += values[0, index]


@kernel
def number_rows(control, operands, sizes):
    """Number the rows of the batch: 0, 1, 2, ..."""
    numbers = int64_matrix(control, operands, sizes, 0)
    for row in range(len(numbers)):
        numbers[row, 0] = control[WORKER_OFFSET] + row


@kernel
def count_rows(control, operands, sizes):
    """normalizer = n_rows, where samples have no weights."""
    (normalizer,) = matrices(control, operands, sizes, 1)
    normalizer[0, 0] = cast_like(normalizer, control[BATCH_ROWS])


@kernel
def sum_weights(control, operands, sizes):
    """sums[worker] = sum of the weights of this worker's samples."""
    weights, sums = matrices(control, operands, sizes, 2)
    total = cast_like(weights, 0)
    for row in range(len(weights)):
        total += weights[row, 0]
    sums[control[WORKER], 0] = total


@kernel
def sum_over_workers(control, operands, sizes):
    """total = sum of sums over all workers."""
    sums, total = matrices(control, operands, sizes, 2)
    total[0, 0] = cast_like(total, 0)
    for worker in range(len(sums)):
        total[0, 0] += sums[worker, 0]


@kernel
def compute_normalizer(control, operands, sizes):
    """normalizer = n_rows * mean_weight, or the sum of the batch's weights if mean_weight is 0."""
    sums, mean_weight, normalizer = matrices(control, operands, sizes, 3)
    total = cast_like(normalizer, control[BATCH_ROWS]) * mean_weight[0, 0]
    if mean_weight[0, 0] == 0:
        for worker in range(len(sums)):
            total += sums[worker, 0]
    normalizer[0, 0] = total


@kernel
def scale_weights(control, operands, sizes):
    """factors = weights / normalizer, or 0 if the normalizer is 0."""
    weights, normalizer, factors = matrices(control, operands, sizes, 3)
    divisor = normalizer[0, 0]
    for row in range(len(factors)):
        factors[row, 0] = weights[row, 0] / divisor if divisor > 0 else cast_like(factors, 0)


@kernel
def normalize_weights(control, operands, sizes):
    """normalized_weights = weights / sum of the batch's weights, or 1 / n_rows if the sum is 0."""
    weights, sums, normalized_weights = matrices(control, operands, sizes, 3)
    total = cast_like(normalized_weights, 0)
    for worker in range(len(sums)):
        total += sums[worker, 0]
    equal_weight = cast_like(normalized_weights, 1) / cast_like(normalized_weights, control[BATCH_ROWS])
    for row in range(len(normalized_weights)):
        normalized_weights[row, 0] = weights[row, 0] / total if total > 0 else equal_weight
