"""Kernels at the start of a step: they gather the rows of a batch and turn their weights into factors."""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import (
    OFFSET,
    ROWS_OF_ALL,
    START,
    WORKER,
    arrays,
    inline,
    number,
    short_numbers,
    whole_numbers,
)
from layernet.engine.compiled.kernel import kernel


@inline
def copy_rows(data, order, first, rows):
    """rows[i] = data[order[first + i]]."""
    for row in range(len(rows)):
        source = order[0, first + row]
        for unit in range(rows.shape[1]):
            rows[row, unit] = data[source, unit]


@kernel
def gather(batch, operands, sizes):
    """The rows of the batch, in the order of this epoch."""
    data, _, rows = arrays(batch, operands, sizes, 3)
    copy_rows(data, whole_numbers(batch, operands, sizes, 1), batch[START] + batch[OFFSET], rows)


@kernel
def gather_whole_numbers(batch, operands, sizes):
    """The same for whole numbers."""
    data, rows = whole_numbers(batch, operands, sizes, 0), whole_numbers(batch, operands, sizes, 2)
    copy_rows(data, whole_numbers(batch, operands, sizes, 1), batch[START] + batch[OFFSET], rows)


@kernel
def gather_sparse(batch, operands, sizes):
    """The same for a sparse matrix in CSR format: values[j] stands in columns[j], from j = starts[row] on."""
    values, _, _, _, rows = arrays(batch, operands, sizes, 5)
    columns = short_numbers(batch, operands, sizes, 1)
    starts = whole_numbers(batch, operands, sizes, 2)
    order = whole_numbers(batch, operands, sizes, 3)
    first = batch[START] + batch[OFFSET]
    for row in range(len(rows)):
        for unit in range(rows.shape[1]):
            rows[row, unit] = 0
        source = order[0, first + row]
        for place in range(starts[0, source], starts[0, source + 1]):
            rows[row, columns[0, place]] += values[0, place]


@kernel
def number_rows(batch, operands, sizes):
    """0, 1, 2, ... for the rows of the batch."""
    numbers = whole_numbers(batch, operands, sizes, 0)
    for row in range(len(numbers)):
        numbers[row, 0] = batch[OFFSET] + row


@kernel
def count_rows(batch, operands, sizes):
    """The normalizer where samples have no weights: n_rows."""
    (normalizer,) = arrays(batch, operands, sizes, 1)
    normalizer[0, 0] = number(normalizer, batch[ROWS_OF_ALL])


@kernel
def sum_weights(batch, operands, sizes):
    """The weight of this worker's samples, beside that of the others."""
    weights, sums = arrays(batch, operands, sizes, 2)
    total = number(weights, 0)
    for row in range(len(weights)):
        total += weights[row, 0]
    sums[batch[WORKER], 0] = total


@kernel
def add_up(batch, operands, sizes):
    """The weight of all workers' samples."""
    sums, total = arrays(batch, operands, sizes, 2)
    total[0, 0] = number(total, 0)
    for worker in range(len(sums)):
        total[0, 0] += sums[worker, 0]


@kernel
def normalizer_of_weights(batch, operands, sizes):
    """The normalizer with weights: n_rows * mean weight, or for a mean of 0 the weight of the batch."""
    sums, mean_weight, normalizer = arrays(batch, operands, sizes, 3)
    total = number(normalizer, batch[ROWS_OF_ALL]) * mean_weight[0, 0]
    if mean_weight[0, 0] == 0:
        for worker in range(len(sums)):
            total += sums[worker, 0]
    normalizer[0, 0] = total


@kernel
def scale_weights(batch, operands, sizes):
    """factors = weights / normalizer, and 0 if that is 0."""
    weights, normalizer, factors = arrays(batch, operands, sizes, 3)
    total = normalizer[0, 0]
    for row in range(len(factors)):
        factors[row, 0] = weights[row, 0] / total if total > 0 else number(factors, 0)


@kernel
def shares(batch, operands, sizes):
    """The share of each sample in the weight of the batch; all the same if no sample weighs anything."""
    weights, sums, shares = arrays(batch, operands, sizes, 3)
    total = number(shares, 0)
    for worker in range(len(sums)):
        total += sums[worker, 0]
    equal = number(shares, 1) / number(shares, batch[ROWS_OF_ALL])
    for row in range(len(shares)):
        shares[row, 0] = weights[row, 0] / total if total > 0 else equal
