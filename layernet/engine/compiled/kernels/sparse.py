"""Products of a dense layer with sparse rows: values[j] stands in columns[j], from j = starts[row] on.

The rows of a batch are read where they lie in the data, by the order of the rows in this epoch.
"""

from __future__ import annotations

from layernet.engine.compiled.intrinsics import (
    OFFSET,
    START,
    arrays,
    inline,
    number,
    short_numbers,
    whole_numbers,
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
def multiply_sparse(batch, operands, sizes):
    """outputs = inputs @ weights."""
    values, _, _, _, weights, outputs = arrays(batch, operands, sizes, 6)
    columns = short_numbers(batch, operands, sizes, 1)
    starts, order = whole_numbers(batch, operands, sizes, 2), whole_numbers(batch, operands, sizes, 3)
    first = batch[START] + batch[OFFSET]
    for row in range(len(outputs)):
        for unit in range(outputs.shape[1]):
            outputs[row, unit] = number(outputs, 0)
        source = order[0, first + row]
        add_rows(values, columns, starts[0, source], starts[0, source + 1], weights, outputs, row)


@kernel
def gradient_of_sparse(batch, operands, sizes):
    """grad_weights = inputs.T @ grad_output, over all rows of the batch, for some of the features.

    Entries are added to the rows of the features that occur; the others are 0.
    """
    values, _, _, _, grad_output, grad_weights = arrays(batch, operands, sizes, 6)
    columns = short_numbers(batch, operands, sizes, 1)
    starts, order = whole_numbers(batch, operands, sizes, 2), whole_numbers(batch, operands, sizes, 3)
    first, last = whole_numbers(batch, operands, sizes, 6)[0, 0], len(grad_weights)
    units = grad_weights.shape[1]
    for feature in range(last):
        for unit in range(units):
            grad_weights[feature, unit] = number(grad_weights, 0)
    for row in range(len(grad_output)):
        source = order[0, batch[START] + row]
        for j in range(starts[0, source], starts[0, source + 1]):
            feature = columns[0, j] - first
            if feature < 0 or feature >= last:
                continue
            value = values[0, j]
            for unit in range(units):
                grad_weights[feature, unit] += value * grad_output[row, unit]
