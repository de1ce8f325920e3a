"""Kernels that compute nothing: copies, sums and parts of buffers, for containers; and dropout's masks."""

from __future__ import annotations

import numpy as np

from layernet.engine.compiled.intrinsics import (
    STEP,
    arrays,
    inline,
    number,
    vectors,
    wait_for_all,
    whole_numbers,
)
from layernet.engine.compiled.kernel import kernel


@kernel
def meet(batch, operands, sizes):
    """Go on when all workers are here: what each has written, the others may then read."""
    wait_for_all(batch, whole_numbers(batch, operands, sizes, 0))


@kernel
def clear(batch, operands, sizes):
    """target = 0."""
    (target,) = vectors(batch, operands, sizes, 1)
    for place in range(len(target)):
        target[place] = number(target, 0)


@kernel
def copy(batch, operands, sizes):
    """target = source."""
    source, target = vectors(batch, operands, sizes, 2)
    for place in range(len(target)):
        target[place] = source[place]


@kernel
def add(batch, operands, sizes):
    """total = first + second."""
    first, second, total = vectors(batch, operands, sizes, 3)
    for place in range(len(total)):
        total[place] = first[place] + second[place]


@kernel
def copy_into_columns(batch, operands, sizes):
    """whole[:, first : first + width] = part."""
    part, whole = arrays(batch, operands, sizes, 2)
    first = whole_numbers(batch, operands, sizes, 2)[0, 0]
    for row in range(len(part)):
        for unit in range(part.shape[1]):
            whole[row, first + unit] = part[row, unit]


@kernel
def copy_from_columns(batch, operands, sizes):
    """part = whole[:, first : first + width]."""
    part, whole = arrays(batch, operands, sizes, 2)
    first = whole_numbers(batch, operands, sizes, 2)[0, 0]
    for row in range(len(part)):
        for unit in range(part.shape[1]):
            part[row, unit] = whole[row, first + unit]


@inline
def mix(bits):
    """Scramble 32 bits; see `layernet.layers.noise.mix`."""
    bits = np.uint32(bits ^ np.uint32(bits >> np.uint32(16)))
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits = np.uint32(bits ^ np.uint32(bits >> np.uint32(15)))
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    return np.uint32(bits ^ np.uint32(bits >> np.uint32(16)))


@kernel
def dropout(batch, operands, sizes):
    """outputs = inputs * mask, where the mask is a function of (seed, step, number of the row, unit)."""
    inputs, outputs, mask, constants = arrays(batch, operands, sizes, 4)
    row_numbers = whole_numbers(batch, operands, sizes, 4)
    state = whole_numbers(batch, operands, sizes, 5)  # seed, step at the beginning of this run, threshold
    step = np.uint32(state[0, 1] + batch[STEP])
    threshold = np.uint32(state[0, 2])
    key = mix(np.uint32(mix(np.uint32(state[0, 0])) + step))
    kept = constants[0, 0]
    for row in range(len(inputs)):
        of_row = mix(np.uint32(key + np.uint32(np.uint32(row_numbers[row, 0]) * np.uint32(0x9E3779B9))))
        for unit in range(inputs.shape[1]):
            of_unit = mix(np.uint32(of_row + np.uint32(np.uint32(unit) * np.uint32(0x85EBCA6B))))
            factor = kept if of_unit >= threshold else number(inputs, 0)
            mask[row, unit] = factor
            outputs[row, unit] = inputs[row, unit] * factor


@kernel
def times(batch, operands, sizes):
    """target = target * factors."""
    factors, target = vectors(batch, operands, sizes, 2)
    for place in range(len(target)):
        target[place] *= factors[place]
