"""Machine: a compiled loop that carries out lists of instructions, without returning to Python in between."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.engine.compiled.intrinsics import (
    BARRIERS,
    BATCH_ROWS,
    BATCH_SIZE,
    BATCH_START,
    CONTROL_LENGTH,
    END_INSTRUCTION,
    FIRST_INSTRUCTION,
    GEMM_ADDRESS,
    N_OPERANDS,
    N_WORKERS,
    OK,
    ROWS_PER_WORKER,
    STATUS,
    STEP,
    STEPS,
    STOP,
    VARIABLE_WORKER_ROWS,
    WORKER,
    WORKER_OFFSET,
    WORKER_ROWS,
    YIELD_ADDRESS,
    call,
    flush_tiny_numbers,
    inline,
    int64_matrix,
    restore_mode,
)
from layernet.engine.compiled.kernel import kernel

if TYPE_CHECKING:
    from layernet.engine.compiled.program import Instruction


@kernel
def run_steps(control: Any, operands: Any, sizes: Any) -> None:
    """Do steps until their number is reached, or the status is not OK."""
    instructions = int64_matrix(control, operands, sizes, 0)
    mode = flush_tiny_numbers()
    for step in range(control[STEPS]):
        control[STEP] = step
        run_step(control, instructions)
        if control[STATUS] != OK:
            break
        control[BATCH_START] += control[BATCH_ROWS]
        control[STEP] = step + 1
    restore_mode(mode)


@inline
def run_step(control: Any, instructions: Any) -> None:
    """Do one step: carry out the instructions on the next rows."""
    rows = min(control[BATCH_SIZE], control[STOP] - control[BATCH_START])
    control[BATCH_ROWS] = rows
    control[WORKER_ROWS] = min(max(rows - control[WORKER_OFFSET], 0), control[ROWS_PER_WORKER])
    for index in range(control[FIRST_INSTRUCTION], control[END_INSTRUCTION]):
        call(instructions[index, 0], control, instructions[index, 1], instructions[index, 2])
        if control[STATUS] != OK:
            return


@kernel
def run_once(control: Any, operands: Any, sizes: Any) -> None:
    """Carry out instructions once, on the number of rows in the control block."""
    instructions = int64_matrix(control, operands, sizes, 0)
    for index in range(control[FIRST_INSTRUCTION], control[END_INSTRUCTION]):
        call(instructions[index, 0], control, instructions[index, 1], instructions[index, 2])


class Machine:
    """List of instructions as addresses, and the loop that carries them out.

    Parameters
    ----------
    instructions : list of Instruction
        A kernel, its operands, and the number of rows of each: a fixed one, `VARIABLE_WORKER_ROWS` or
        `VARIABLE_BATCH_ROWS`. All operands are contiguous matrices, of one type or of int64.
    dtype : float32 or float64
    worker, n_workers : int
        The number of this worker and of all workers, whose machines must run at the same time.
    part : int
        How many rows of a batch each worker takes: the first the first, and so on.
    """

    def __init__(
        self,
        instructions: list[Instruction],
        dtype: np.dtype,
        worker: int,
        n_workers: int,
        part: int,
    ):
        self.dtype = dtype
        self.n_instructions = len(instructions)
        self._kept = instructions  # the machine has addresses only, so the arrays must be kept alive
        self._operands = [np.array([a.ctypes.data for a in arrays], np.int64) for _, arrays, _ in instructions]
        self._sizes = [
            np.array([(n, array.shape[1]) for n, array in zip(rows, arrays, strict=True)], np.int64).reshape(-1)
            for _, arrays, rows in instructions
        ]
        self._table = np.array(
            [
                (kernel.address(dtype), operands.ctypes.data, sizes.ctypes.data)
                for (kernel, _, _), operands, sizes in zip(
                    instructions, self._operands, self._sizes, strict=True
                )
            ],
            np.int64,
        ).reshape(-1, 3)
        self.control = np.zeros(CONTROL_LENGTH, np.int64)
        self.control[WORKER], self.control[N_WORKERS] = worker, n_workers
        self.control[ROWS_PER_WORKER], self.control[WORKER_OFFSET] = part, part * worker
        self.control[GEMM_ADDRESS], self.control[YIELD_ADDRESS] = gemm_address(dtype), yield_address()
        unused = np.zeros(2, np.int64)
        table = np.array([self._table.ctypes.data], np.int64)
        shape = np.array(self._table.shape, np.int64)
        self._arguments = (unused, unused, self.control, table, shape)
        self._addresses = tuple(array.ctypes.data for array in self._arguments)
        self._run = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 5)(run_steps.address(dtype))

    def run(self, first: int, end: int, start: int, n_steps: int, stop: int, batch_size: int) -> None:
        """Do steps with the instructions from `first` up to, and without, `end`.

        Parameters
        ----------
        first, end : int
        start : int
            The position of the first batch's first row in the order of the epoch.
        n_steps : int
        stop : int
            The position after the last row. A batch that would go beyond it is smaller.
        batch_size : int

        Notes
        -----
        Afterwards `steps_done` is the number of steps that were done, and `status` is the reason if these are
        fewer than `n_steps`.
        """
        self.control[BATCH_START], self.control[STATUS], self.control[BARRIERS] = start, OK, 0
        self.control[STEPS:N_OPERANDS] = n_steps, stop, batch_size, first, end
        self._run(*self._addresses)  # without Python's lock

    def address_locations(self, array: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """Return the places with the address of a buffer, where another address can be written.

        Parameters
        ----------
        array : ndarray
            One of the operands, with a row for each sample.

        Returns
        -------
        list of (ndarray of int64, int)
            Arrays of addresses, and the index in each; empty if a kernel reads other rows than those of the
            batch.
        """
        locations = []
        for addresses, sizes in zip(self._operands, self._sizes, strict=True):
            for index in np.flatnonzero(addresses == array.ctypes.data):
                if sizes[2 * index] != VARIABLE_WORKER_ROWS or sizes[2 * index + 1] != array.shape[1]:
                    return []
                locations.append((addresses, int(index)))
        return locations

    def reset(self) -> None:
        """Clear the results of the last call."""
        self.control[STEP], self.control[STATUS] = 0, OK

    @property
    def steps_done(self) -> int:
        """The number of steps that the last call did."""
        return int(self.control[STEP])

    @property
    def status(self) -> int:
        """Why the last call stopped: OK, LOSS_NOT_FINITE or GRADIENT_NOT_FINITE."""
        return int(self.control[STATUS])


class InstructionCall:
    """Function that carries out some instructions of a machine once, at the least cost of a call.

    Parameters
    ----------
    machine : Machine
        Of one worker.
    first, end : int
        The instructions from `first` up to, and without, `end`.
    keeps_gil : bool, default=False
        Whether to keep Python's global lock (GIL). Instructions of a few microseconds should keep it: beside
        busy threads, getting the lock back takes longer.

    Attributes
    ----------
    function, arguments
        `function(*arguments)` carries them out for the number of rows that was set, as long as this object
        lives.
    """

    def __init__(self, machine: Machine, first: int, end: int, keeps_gil: bool = False):
        self._machine = machine  # what its instructions point to must stay
        self._control = machine.control.copy()
        self._control[FIRST_INSTRUCTION], self._control[END_INSTRUCTION] = first, end
        addresses = list(machine._addresses)
        addresses[2] = self._control.ctypes.data
        kind = ctypes.PYFUNCTYPE if keeps_gil else ctypes.CFUNCTYPE
        self.function = kind(ctypes.c_int)(run_once.address(machine.dtype))
        self.arguments = tuple(ctypes.c_void_p(address) for address in addresses)  # ready to be passed

    def set_rows(self, n_rows: int) -> None:
        """Set the number of rows of the following calls."""
        self._control[WORKER_ROWS] = self._control[BATCH_ROWS] = n_rows

    def run(self, n_rows: int) -> None:
        """Carry the instructions out for a number of rows."""
        self.set_rows(n_rows)
        self.function(*self.arguments)


@functools.cache
def gemm_address(dtype: np.dtype) -> int:
    """Return the address of BLAS's matrix product, which SciPy offers to compiled code."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["sgemm" if dtype == np.float32 else "dgemm"]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer_of(capsule, name_of(capsule)))


@functools.cache
def yield_address() -> int:
    """Return the address of the operating system's function by which a thread yields its processor."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
