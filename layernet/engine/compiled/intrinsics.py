"""Intrinsics: functions that only the compiler implements, and the control block that every kernel receives.

Python cannot run them; `compiler` implements them.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import Any

import numpy as np

# Indices into the control block, an array of int64 that every kernel receives as its first argument.
# Of the step: the rows of this worker and of the batch, the position of the worker's first row in the batch,
# the position of the batch's first row in the epoch's order, the number of the step in this call, and the
# status; the call stops where that is not OK.
WORKER_ROWS, BATCH_ROWS, WORKER_OFFSET, BATCH_START, STEP, STATUS = range(6)
# Of the worker: its number, the number of workers, the rows of a full batch for each worker, the number of
# barriers that it has reached in this call, and the addresses of BLAS's gemm and the operating system's yield.
WORKER, N_WORKERS, ROWS_PER_WORKER, BARRIERS, GEMM_ADDRESS, YIELD_ADDRESS = range(6, 12)
# Of the call: the number of steps, the position after the last row, the batch size, and the instructions: from
# the first up to, and without, the end.
STEPS, STOP, BATCH_SIZE, FIRST_INSTRUCTION, END_INSTRUCTION = range(12, 17)
# Of a trial with checks: the number of operands that the kernel has read.
N_OPERANDS = 17
CONTROL_LENGTH = 18

# Codes of the types that an operand may have besides the plan's.
CODES = {"int64": 1, "int32": 2, "float64": 3}

OK, LOSS_NOT_FINITE, GRADIENT_NOT_FINITE = range(3)

# Number of rows of an operand that has a row for each sample: -1 - number is an index into the control block.
VARIABLE_WORKER_ROWS, VARIABLE_BATCH_ROWS = -1, -2

# LLVM's flags. Sums may be reordered and a product may be fused with a sum, so that loops use the processor's
# vectors. Infinities and NaN keep their meaning.
ANY_ORDER = frozenset({"contract", "nsz", "reassoc"})
# The same without reordering, for formulas whose rounding error depends on the order of a sum.
IN_ORDER = frozenset({"contract", "nsz"})

# Functions that kernels may call, with the fastmath that the compiler may take.
inlined: dict[Callable, frozenset[str]] = {}


def inline(function: Callable | None = None, *, fastmath: frozenset[str] = ANY_ORDER) -> Callable:
    """Allow kernels to call a function; a decorator that returns the function unchanged.

    Parameters
    ----------
    function : callable
    fastmath : frozenset of str, default=ANY_ORDER
        LLVM's flags for sums and products; `IN_ORDER` if the order of sums matters.
    """
    if function is None:
        return lambda function: inline(function, fastmath=fastmath)
    refuse_errors(function)
    inlined[function] = fastmath
    return function


def refuse_errors(function: Callable) -> None:
    """Raise an error if a third-party function for kernels raises one: the machine would not notice it.

    Raises
    ------
    NotImplementedError
        If the function has a `raise` or an `assert`.
    """
    if function.__module__.startswith("layernet."):
        return
    if any(instruction.opname == "RAISE_VARARGS" for instruction in dis.get_instructions(function)):
        raise NotImplementedError(
            f"{function.__module__}.{function.__qualname__} raises an error, which nobody would notice in "
            "machine code. Validate in the layer, and remove `raise` and `assert` from the kernel."
        )


def matrices(control: Any, operands: Any, sizes: Any, count: int) -> tuple[np.ndarray, ...]:
    """Return the first `count` operands as matrices."""
    raise NotImplementedError("Kernels run as machine code only.")


def vectors(control: Any, operands: Any, sizes: Any, count: int) -> tuple[np.ndarray, ...]:
    """Return the first `count` operands as vectors, with one row after the other."""
    raise NotImplementedError("Kernels run as machine code only.")


def int64_matrix(control: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """Return one operand as a matrix of int64."""
    raise NotImplementedError("Kernels run as machine code only.")


def int32_matrix(control: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """Return one operand as a matrix of int32."""
    raise NotImplementedError("Kernels run as machine code only.")


def float64_matrix(control: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """Return one operand as a matrix of float64, in plans of both types."""
    raise NotImplementedError("Kernels run as machine code only.")


def cast_like(like: np.ndarray | float, value: float) -> float:
    """Return a number in the type of an array or another number. A bare 0.5 would turn float32 into float64."""
    raise NotImplementedError("Kernels run as machine code only.")


def is_single(like: np.ndarray | float) -> bool:
    """Return whether an array or a number is float32. The compiler knows it, and drops the other branch."""
    raise NotImplementedError("Kernels run as machine code only.")


def power_of_two(exponent: float) -> float:
    """Return 2**exponent for an integer from -126 to 127 (-1022 to 1023 in float64)."""
    raise NotImplementedError("Kernels run as machine code only.")


def matrix_product(
    address: int, first: np.ndarray, second: np.ndarray, out: np.ndarray, transposed: int, add: bool
) -> None:
    """Compute a matrix product by BLAS's gemm at an address; see `kernels.products`."""
    raise NotImplementedError("Kernels run as machine code only.")


def call(address: int, control: Any, operands: int, sizes: int) -> None:
    """Call the kernel at an address; operands and sizes are given as addresses too."""
    raise NotImplementedError("Kernels run as machine code only.")


def flush_tiny_numbers() -> int:
    """Switch the processor to replace subnormal numbers by 0; return its previous mode.

    Processors take a hundred times longer for subnormal numbers, and a decaying average ends in them: 0.9
    times the smallest number is rounded to the smallest number, and never reaches 0.
    """
    raise NotImplementedError("Kernels run as machine code only.")


def restore_mode(mode: int) -> None:
    """Restore the processor's mode."""
    raise NotImplementedError("Kernels run as machine code only.")


def fetch_to_write(values: np.ndarray, start: int, stop: int) -> None:
    """Prefetch entries of a vector to write them, since another processor may have them in its cache."""
    raise NotImplementedError("Kernels run as machine code only.")


def wait_for_all(control: Any, counter: np.ndarray) -> None:
    """Wait until all workers have arrived here; the counter is a whole number that they share."""
    raise NotImplementedError("Kernels run as machine code only.")
