"""Operands of a kernel: their validation, and the trial of a third-party kernel, with every index checked."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernet.engine.compiled.intrinsics import (
    BATCH_ROWS,
    CODES,
    CONTROL_LENGTH,
    GEMM_ADDRESS,
    N_OPERANDS,
    N_WORKERS,
    ROWS_PER_WORKER,
    VARIABLE_BATCH_ROWS,
    VARIABLE_WORKER_ROWS,
    WORKER_ROWS,
    YIELD_ADDRESS,
)
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.machine import gemm_address, yield_address

# Numba's two addresses, the control block, the operands, and the sizes. Numba passes an array as seven
# values: the object and the memory's owner, here none, the number of entries, their size, the address, the
# length, the stride.
_ADDRESS, _WHOLE = ctypes.c_void_p, ctypes.c_int64
_TYPES = [*[_ADDRESS] * 6, _WHOLE, _WHOLE, _ADDRESS, _WHOLE, _WHOLE]
# Trials that passed: (kernel, its type, numbers of rows, shapes of the operands, their rows and types).
_passed: set[tuple[Any, ...]] = set()


def validate_operands(kernel: Kernel, operands: Sequence[Any], dtype: np.dtype) -> None:
    """Raise an error if an operand is no contiguous matrix of a type that the kernel reads.

    Parameters
    ----------
    kernel : Kernel
    operands : sequence of object
    dtype : float32 or float64
        The type of the program.

    Raises
    ------
    TypeError
        If it is no kernel.
    ValueError
        If kernels cannot read an operand.
    """
    if not isinstance(kernel, Kernel):
        raise TypeError(f"program.emit expects a kernel, got {kernel!r}. Decorate the function with @kernel.")
    types = (dtype, np.int64, np.int32, np.float64) if kernel.is_of_package else (dtype, np.int64)
    for operand in operands:
        if not isinstance(operand, np.ndarray):
            got, remedy = f"a {type(operand).__name__}", "Use program.constants(...) for numbers."
        elif operand.ndim != 2:
            got, remedy = f"an array of shape {operand.shape}", "Use program.as_matrix(array) for a vector."
        elif operand.dtype not in types:
            got, remedy = f"an array of type {operand.dtype}", "Use program.constants(...) for numbers."
        elif not operand.flags.c_contiguous:
            got = f"an array of shape {operand.shape} and strides {operand.strides}"
            remedy = "Give it the array of which this is a view, and have the kernel use other indices."
        else:
            continue
        raise ValueError(f"{kernel!r} expects contiguous matrices of {dtype} or int64, got {got}. {remedy}")


def try_kernel(
    kernel: Kernel, operands: Sequence[np.ndarray], rows: Sequence[int], dtype: np.dtype, part: int, n_rows: int
) -> None:
    """Call a kernel on copies of its operands with every index checked, once for each set of shapes.

    Machine code does not check indices. One that is out of bounds reads or overwrites other numbers, or ends
    the process. Indices that a kernel reads from its operands are checked for their present values only.

    Parameters
    ----------
    kernel : Kernel
    operands : sequence of ndarray
        Contiguous matrices.
    rows : sequence of int
        The number of rows of each, as in `Machine`.
    dtype : float32 or float64
    part, n_rows : int
        The largest number of rows of a worker, and of all workers.

    Raises
    ------
    ValueError
        If the kernel takes another number of operands, or an index is out of bounds.
    """
    shapes = [
        ({VARIABLE_WORKER_ROWS: part, VARIABLE_BATCH_ROWS: n_rows}.get(count, count), array.shape[1])
        for count, array in zip(rows, operands, strict=True)
    ]
    key = kernel, dtype, part, n_rows, tuple(shapes), tuple(rows), tuple(array.dtype for array in operands)
    if key in _passed:
        return
    status, n_operands = _run(kernel, operands, rows, dtype, part, n_rows)
    of_shapes = ", ".join(map(str, shapes)) or "none"
    if n_operands != len(operands):
        raise ValueError(
            f"{kernel!r} takes {n_operands} operands, got {len(operands)}, of the shapes {of_shapes}. Give "
            "program.emit all that the kernel's first lines read, in their order."
        )
    if status != 0:
        raise ValueError(
            f"{kernel!r} reads or writes outside of its operands, which have the shapes {of_shapes}, or reads "
            "one as of another type. Have its loops end where the operands do, and give program.emit the "
            "operands in the order of the kernel's first lines."
        )
    _passed.add(key)


def _run(
    kernel: Kernel,
    operands: Sequence[np.ndarray],
    rows: Sequence[int],
    dtype: np.dtype,
    part: int,
    n_rows: int,
) -> tuple[int, int]:
    """Return the status with which the kernel ends, and the number of operands that it reads."""
    copies = [array.copy() for array in operands]
    control = np.zeros(CONTROL_LENGTH, np.int64)
    control[WORKER_ROWS], control[BATCH_ROWS], control[ROWS_PER_WORKER], control[N_WORKERS] = (
        part,
        n_rows,
        part,
        1,
    )
    control[GEMM_ADDRESS], control[YIELD_ADDRESS] = gemm_address(dtype), yield_address()
    addresses = np.array([copy.ctypes.data for copy in copies], np.int64)
    pairs = [size for count, copy in zip(rows, copies, strict=True) for size in (count, copy.shape[1])]
    # An array of the plan's type has the code of float64 as well where that is the plan's type.
    sizes = np.array([*pairs, *(CODES.get(copy.dtype.name, 0) for copy in copies)], np.int64)
    unused = np.zeros(2, np.int64)
    run = ctypes.CFUNCTYPE(ctypes.c_int, *_TYPES)(kernel.address(dtype, is_checked=True))
    status = run(
        unused.ctypes.data, unused.ctypes.data, control.ctypes.data, addresses.ctypes.data,
        None, None, sizes.size, sizes.itemsize, sizes.ctypes.data, sizes.size, sizes.itemsize,
    )  # fmt: skip
    return status, int(control[N_OPERANDS])
