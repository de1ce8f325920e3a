"""Trial of a third-party kernel: a run on copies in which every index is checked."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from layernet.engine.compiled.intrinsics import (
    ALL_ROWS,
    CODES,
    LAST,
    LENGTH_OF_BATCH,
    N_WORKERS,
    OWN_ROWS,
    PART,
    PRODUCT,
    ROWS,
    ROWS_OF_ALL,
    YIELD,
)
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.machine import place_of_product, place_of_yield

# The two addresses of Numba's, the batch, the operands, and the sizes as Numba passes an array: nobody who owns
# it, the number of entries, their size, where they lie, how many there are, and how far they are apart.
_ADDRESS, _WHOLE = ctypes.c_void_p, ctypes.c_int64
_TYPES = [*[_ADDRESS] * 6, _WHOLE, _WHOLE, _ADDRESS, _WHOLE, _WHOLE]
# What was found to be right: (kernel, its type, number of rows, shapes, numbers of rows and types of operands).
_passed: set[tuple] = set()


def try_kernel(
    kernel: Kernel, operands: Sequence[np.ndarray], rows: Sequence[int], dtype: np.dtype, part: int, n_rows: int
) -> None:
    """Run a kernel on copies of its operands with every index checked; once for operands of the same shapes.

    Machine code does not check indices: one that is out of bounds reads other numbers, writes over them, or
    ends the process. Indices that are read from the operands are checked for the numbers that are there now.

    Parameters
    ----------
    kernel : Kernel
    operands : sequence of ndarray
        Contiguous matrices.
    rows : sequence of int
        How many rows of each it sees, as in `Machine`.
    dtype : float32 or float64
    part, n_rows : int
        How many rows a worker and all workers have at the most.

    Raises
    ------
    ValueError
        If the kernel takes another number of operands, or leaves their bounds.
    """
    shapes = [
        ({OWN_ROWS: part, ALL_ROWS: n_rows}.get(count, count), array.shape[1])
        for count, array in zip(rows, operands, strict=True)
    ]
    key = kernel, dtype, part, n_rows, tuple(shapes), tuple(rows), tuple(array.dtype for array in operands)
    if key in _passed:
        return
    status, n_asked_for = _run(kernel, operands, rows, dtype, part, n_rows)
    of_shapes = ", ".join(map(str, shapes)) or "none"
    if n_asked_for != len(operands):
        raise ValueError(
            f"{kernel!r} takes {n_asked_for} operands, got {len(operands)}, of the shapes {of_shapes}. Give "
            "program.do all that the kernel's first lines read, in their order."
        )
    if status != 0:
        raise ValueError(
            f"{kernel!r} reads or writes outside of its operands, which have the shapes {of_shapes}, or reads "
            "one as of another type. Have its loops end where the operands do, and give program.do the "
            "operands in the order of the kernel's first lines."
        )
    _passed.add(key)


def _run(kernel, operands, rows, dtype, part, n_rows):
    """The status with which the kernel ends, and how many operands it has asked for."""
    copies = [array.copy() for array in operands]
    batch = np.zeros(LENGTH_OF_BATCH, np.int64)
    batch[ROWS], batch[ROWS_OF_ALL], batch[PART], batch[N_WORKERS] = part, n_rows, part, 1
    batch[PRODUCT], batch[YIELD] = place_of_product(dtype), place_of_yield()
    addresses = np.array([copy.ctypes.data for copy in copies], np.int64)
    sizes = [size for count, copy in zip(rows, copies, strict=True) for size in (count, copy.shape[1])]
    # An array of the plan's type has the code of float64 as well where that is the plan's type.
    sizes = np.array([*sizes, *(CODES.get(copy.dtype.name, 0) for copy in copies)], np.int64)
    unused = np.zeros(2, np.int64)
    run = ctypes.CFUNCTYPE(ctypes.c_int, *_TYPES)(kernel.address(dtype, is_checked=True))
    status = run(
        unused.ctypes.data, unused.ctypes.data, batch.ctypes.data, addresses.ctypes.data,
        None, None, sizes.size, sizes.itemsize, sizes.ctypes.data, sizes.size, sizes.itemsize,
    )  # fmt: skip
    return status, int(batch[LAST])
