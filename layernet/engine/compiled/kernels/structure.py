"""Kernels of containers, dropout and barriers: copies, sums and parts of buffers.

Columns are a view. In a loop, machine code would test whether each index first + unit is negative, as Python
does: 2.5 in the place of 0.35 microseconds for 64 rows of 52 columns.
"""

from __future__ import annotations

import numpy as np

from layernet.engine.compiled.intrinsics import (
    STEP,
    cast_like,
    inline,
    int64_matrix,
    matrices,
    vectors,
    wait_for_all,
)
from layernet.engine.compiled.kernel import kernel


@kernel
def barrier(control, operands, sizes):
    """Wait for all workers. Afterwards each may read what the others have written."""
    wait_for_all(control, int64_matrix(control, operands, sizes, 0))


@kernel
def fill_zeros(control, operands, sizes):
    """target = 0."""
    (target,) = vectors(control, operands, sizes, 1)
    for index in range(len(target)):
        target[index] = cast_like(target, 0)


@kernel
def copy(control, operands, sizes):
    """target = source."""
    source, target = vectors(control, operands, sizes, 2)
    for index in range(len(target)):
        target[index] = source[index]


@kernel
def add(control, operands, sizes):
    """total = first + second."""
    first, second, total = vectors(control, operands, sizes, 3)
    for index in range(len(total)):
        total[index] = first[index] + second[index]


@kernel
def copy_into_columns(control, operands, sizes):
    """whole[:, first : first + width] = part."""
    part, whole = matrices(control, operands, sizes, 2)
    first = int64_matrix(control, operands, sizes, 2)[0, 0]
    columns = whole[:, first : first + part.shape[1]]
    for row in range(len(part)):
        for unit in range(part.shape[1]):
            columns[row, unit] = part[row, unit]


@kernel
def copy_from_columns(control, operands, sizes):
    """part = whole[:, first : first + width]."""
    part, whole = matrices(control, operands, sizes, 2)
    first = int64_matrix(control, operands, sizes, 2)[0, 0]
    columns = whole[:, first : first + part.shape[1]]
    for row in range(len(part)):
        for unit in range(part.shape[1]):
            part[row, unit] = columns[row, unit]


@inline
def mix(bits):
    """Integer hash of 32 bits; see `layernet.layers.noise.mix`."""
    bits = np.uint32(bits ^ np.uint32(bits >> np.uint32(16)))
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits = np.uint32(bits ^ np.uint32(bits >> np.uint32(15)))
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    return np.uint32(bits ^ np.uint32(bits >> np.uint32(16)))


@kernel
def dropout(control, operands, sizes):
    """outputs = inputs * mask, where the mask is a function of (seed, step, number of the sample, unit)."""
    inputs, outputs, mask, constants = matrices(control, operands, sizes, 4)
    sample_numbers = int64_matrix(control, operands, sizes, 4)
    state = int64_matrix(control, operands, sizes, 5)  # seed, step at the start of this call, threshold
    step = np.uint32(state[0, 1] + control[STEP])
    threshold = np.uint32(state[0, 2])
    key = mix(np.uint32(mix(np.uint32(state[0, 0])) + step))
    scale = constants[0, 0]
    for row in range(len(inputs)):
        row_hash = mix(np.uint32(key + np.uint32(np.uint32(sample_numbers[row, 0]) * np.uint32(0x9E3779B9))))
        for unit in range(inputs.shape[1]):
            unit_hash = mix(np.uint32(row_hash + np.uint32(np.uint32(unit) * np.uint32(0x85EBCA6B))))
            factor = scale if unit_hash >= threshold else cast_like(inputs, 0)
            mask[row, unit] = factor
            outputs[row, unit] = inputs[row, unit] * factor


@kernel
def multiply_entries(control, operands, sizes):
    """target = target * factors."""
    factors, target = vectors(control, operands, sizes, 2)
    for index in range(len(target)):
        target[index] *= factors[index]
