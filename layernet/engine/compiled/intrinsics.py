"""Intrinsics: functions that only the compiler implements, and the control block that every kernel receives.

They mean nothing when Python runs them; `compiler` gives them their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# What `batch` points to. Of the step: how many rows this worker has and how many the batch has, where its first
# stands in the batch, where the batch starts in the order of the rows, which step of this run it is, and
# whether a kernel asks to stop and why.
ROWS, ROWS_OF_ALL, OFFSET, START, STEP, STATUS = range(6)
# Of the worker: which of how many, how many rows it takes at the most, how often it has waited for the others,
# and where the matrix product and the operating system's "let others go first" lie.
WORKER, N_WORKERS, PART, WAITS, PRODUCT, YIELD = range(6, 12)
# Of the run: how many steps, over how many rows, of which batch size, and which of the instructions.
N_STEPS, N_ROWS, BATCH_SIZE, FIRST, LAST = range(12, 17)
LENGTH_OF_BATCH = 17

# The types that an operand may have beside the plan's.
CODES = {"int64": 1, "int32": 2, "float64": 3}

FINE, LOSS_NOT_FINITE, GRADIENT_NOT_FINITE = range(3)

# In the place of a number of rows: as many as the worker has of the batch; as many as the batch has.
OWN_ROWS, ALL_ROWS = -1, -2

# Sums may be taken in another order and a product may be fused with a sum, so that loops use the processor's
# vectors. Infinities and NaN keep their meaning.
FAST = frozenset({"contract", "nsz", "reassoc"})
# For formulas that lose their digits if sums are taken in another order.
IN_ORDER = frozenset({"contract", "nsz"})

# Functions that kernels may call, with the liberties that the compiler may take.
inlined: dict[Callable, frozenset[str]] = {}


def inline(function: Callable | None = None, *, liberties: frozenset[str] = FAST) -> Callable:
    """Make a function one that kernels may call; a decorator, which leaves the function as it is.

    Parameters
    ----------
    function : callable
    liberties : frozenset of str, default=FAST
        What the compiler may do to sums and products, in LLVM's words; `IN_ORDER` where the order matters.
    """
    if function is None:
        return lambda function: inline(function, liberties=liberties)
    inlined[function] = liberties
    return function


def arrays(batch: Any, operands: Any, sizes: Any, count: int) -> tuple[np.ndarray, ...]:
    """The first operands as matrices; a kernel's first line."""
    raise NotImplementedError("Kernels run as machine code only.")


def vectors(batch: Any, operands: Any, sizes: Any, count: int) -> tuple[np.ndarray, ...]:
    """The first operands as vectors, one row after the other: for what treats all entries alike."""
    raise NotImplementedError("Kernels run as machine code only.")


def whole_numbers(batch: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """The operand of an index as a matrix of int64."""
    raise NotImplementedError("Kernels run as machine code only.")


def short_numbers(batch: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """The operand of an index as a matrix of int32."""
    raise NotImplementedError("Kernels run as machine code only.")


def doubles(batch: Any, operands: Any, sizes: Any, index: int) -> np.ndarray:
    """The operand of an index as a matrix of float64, whatever the type of the plan."""
    raise NotImplementedError("Kernels run as machine code only.")


def number(like: np.ndarray | float, value: float) -> float:
    """A number in the type of an array or of another number: a bare 0.5 would turn float32 into float64."""
    raise NotImplementedError("Kernels run as machine code only.")


def is_single(like: np.ndarray | float) -> bool:
    """Whether an array or a number is float32; known to the compiler, which drops the other branch."""
    raise NotImplementedError("Kernels run as machine code only.")


def power_of_two(exponent: float) -> float:
    """2**exponent for a whole number from -126 to 127 (-1022 to 1023 in float64)."""
    raise NotImplementedError("Kernels run as machine code only.")


def matrix_product(
    place: int, first: np.ndarray, second: np.ndarray, out: np.ndarray, transposed: int, add: bool
) -> None:
    """A product carried out by BLAS, which lies at a place; see `kernels.products`."""
    raise NotImplementedError("Kernels run as machine code only.")


def call(place: int, batch: Any, operands: int, sizes: int) -> None:
    """Call the kernel that lies at a place, with operands and sizes that lie at others."""
    raise NotImplementedError("Kernels run as machine code only.")


def flush_tiny_numbers() -> int:
    """From here on, take numbers too small for full precision for 0; returns what `restore_mode` needs.

    A running average of what is 0 from now on never comes to 0: 0.9 times the smallest number is, rounded, the
    smallest number; and a processor takes a hundred times longer for such numbers.
    """
    raise NotImplementedError("Kernels run as machine code only.")


def restore_mode(mode: int) -> None:
    """Put the processor back into the mode that it was in."""
    raise NotImplementedError("Kernels run as machine code only.")


def fetch_to_write(values: np.ndarray, start: int, stop: int) -> None:
    """Ask for entries of a vector that will be written soon, which another processor may have read."""
    raise NotImplementedError("Kernels run as machine code only.")


def wait_for_all(batch: Any, gate: np.ndarray) -> None:
    """Wait until all workers have come here; the gate is a whole number that they share."""
    raise NotImplementedError("Kernels run as machine code only.")
