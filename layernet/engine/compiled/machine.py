"""The machine: steps of training, each a list of kernels, without coming back to Python in between."""

from __future__ import annotations

import ctypes
import functools
import sys

import numpy as np

from layernet.engine.compiled.intrinsics import (
    BATCH_SIZE,
    FINE,
    FIRST,
    LAST,
    LENGTH_OF_BATCH,
    N_ROWS,
    N_STEPS,
    N_WORKERS,
    OFFSET,
    OWN_ROWS,
    PART,
    PRODUCT,
    ROWS,
    ROWS_OF_ALL,
    START,
    STATUS,
    STEP,
    WAITS,
    WORKER,
    YIELD,
    call,
    flush_tiny_numbers,
    inline,
    restore_mode,
    whole_numbers,
)
from layernet.engine.compiled.kernel import Kernel, kernel


@kernel
def run_steps(batch, operands, sizes):
    """Do some steps; stop where a kernel asks to."""
    instructions = whole_numbers(batch, operands, sizes, 0)
    mode = flush_tiny_numbers()
    for step in range(batch[N_STEPS]):
        batch[STEP] = step
        do_step(batch, instructions)
        if batch[STATUS] != FINE:
            break
        batch[START] += batch[ROWS_OF_ALL]
        batch[STEP] = step + 1
    restore_mode(mode)


@inline
def do_step(batch, instructions):
    """Carry out some of the instructions on the next rows."""
    rows = min(batch[BATCH_SIZE], batch[N_ROWS] - batch[START])
    batch[ROWS_OF_ALL] = rows
    batch[ROWS] = min(max(rows - batch[OFFSET], 0), batch[PART])
    for index in range(batch[FIRST], batch[LAST]):
        call(instructions[index, 0], batch, instructions[index, 1], instructions[index, 2])
        if batch[STATUS] != FINE:
            return


@kernel
def run_once(batch, operands, sizes):
    """Carry out some instructions once, on as many rows as `batch` says."""
    instructions = whole_numbers(batch, operands, sizes, 0)
    for index in range(batch[FIRST], batch[LAST]):
        call(instructions[index, 0], batch, instructions[index, 1], instructions[index, 2])


class Machine:
    """A list of instructions that the machine carries out.

    Parameters
    ----------
    instructions : sequence of (Kernel, list of ndarray, list of int)
        A kernel, its operands, and how many rows of each it sees (`OWN_ROWS`, `ALL_ROWS` or a number). All
        operands are matrices, contiguous in memory, of one type or of int64.
    dtype : float32 or float64
    worker, n_workers : int
        Which of how many that share each batch; all of them have to run at the same time.
    part : int
        How many rows of a batch each worker takes: the first the first, and so on.
    """

    def __init__(
        self,
        instructions: list[tuple[Kernel, list[np.ndarray], list[int]]],
        dtype: np.dtype,
        worker: int,
        n_workers: int,
        part: int,
    ):
        self.dtype = dtype
        self.n_instructions = len(instructions)
        self._kept = instructions  # addresses are all that the machine sees: what lies there must stay
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
        self.batch = np.zeros(LENGTH_OF_BATCH, np.int64)
        self.batch[WORKER], self.batch[N_WORKERS] = worker, n_workers
        self.batch[PART], self.batch[OFFSET] = part, part * worker
        self.batch[PRODUCT], self.batch[YIELD] = place_of_product(dtype), place_of_yield()
        unused = np.zeros(2, np.int64)
        table = np.array([self._table.ctypes.data], np.int64)
        shape = np.array(self._table.shape, np.int64)
        self._arguments = (unused, unused, self.batch, table, shape)
        self._addresses = tuple(array.ctypes.data for array in self._arguments)
        self._run = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 5)(run_steps.address(dtype))

    def run(self, first: int, last: int, start: int, n_steps: int, n_rows: int, batch_size: int) -> None:
        """Do some steps with the instructions from `first` up to `last`.

        Parameters
        ----------
        first, last : int
        start : int
            Where the first batch begins in the order of the rows.
        n_steps : int
        n_rows : int
            Where the last batch ends at the latest.
        batch_size : int

        Notes
        -----
        `steps_done` says how many steps were done: fewer than asked for if a kernel asked to stop, and then
        `status` says why.
        """
        self.batch[START], self.batch[STATUS], self.batch[WAITS] = start, FINE, 0
        self.batch[N_STEPS:] = n_steps, n_rows, batch_size, first, last
        self._run(*self._addresses)  # without Python's lock

    def places_of(self, array: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """Where the machine keeps the address of a buffer, to have it find the rows of another array there.

        Parameters
        ----------
        array : ndarray
            One of the operands, with a row for each sample.

        Returns
        -------
        list of (ndarray of int64, int)
            Arrays of addresses, and the entry in each; empty if a kernel sees other rows than the batch's.
        """
        places = []
        for addresses, sizes in zip(self._operands, self._sizes, strict=True):
            for index in np.flatnonzero(addresses == array.ctypes.data):
                if sizes[2 * index] != OWN_ROWS or sizes[2 * index + 1] != array.shape[1]:
                    return []
                places.append((addresses, int(index)))
        return places

    def forget(self) -> None:
        """Take back what the last run said."""
        self.batch[STEP], self.batch[STATUS] = 0, FINE

    @property
    def steps_done(self) -> int:
        """How many steps the last run did."""
        return int(self.batch[STEP])

    @property
    def status(self) -> int:
        """Why the last run stopped."""
        return int(self.batch[STATUS])


class Pass:
    """Some instructions of a machine, carried out once at a call, with hardly anything done beside them.

    Parameters
    ----------
    machine : Machine
        Of one worker.
    first, last : int
        The instructions from `first` up to `last`.
    is_short : bool, default=False
        Whether they take some microseconds only. Python's lock is kept then: beside busy threads it takes
        longer to get it back.

    Attributes
    ----------
    function, arguments
        `function(*arguments)` carries them out, for as many rows as were set, as long as this object lives.
    """

    def __init__(self, machine: Machine, first: int, last: int, is_short: bool = False):
        self._machine = machine  # what its instructions point to must stay
        self._batch = machine.batch.copy()
        self._batch[FIRST], self._batch[LAST] = first, last
        addresses = list(machine._addresses)
        addresses[2] = self._batch.ctypes.data
        kind = ctypes.PYFUNCTYPE if is_short else ctypes.CFUNCTYPE
        self.function = kind(ctypes.c_int)(run_once.address(machine.dtype))
        self.arguments = tuple(ctypes.c_void_p(address) for address in addresses)  # ready to be passed

    def set_rows(self, n_rows: int) -> None:
        """Say how many rows there are from now on."""
        self._batch[ROWS] = self._batch[ROWS_OF_ALL] = n_rows

    def run(self, n_rows: int) -> None:
        """Carry them out for so many rows."""
        self.set_rows(n_rows)
        self.function(*self.arguments)


@functools.cache
def place_of_product(dtype: np.dtype) -> int:
    """Where BLAS's matrix product lies, which SciPy offers to compiled code."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["sgemm" if dtype == np.float32 else "dgemm"]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer_of(capsule, name_of(capsule))


@functools.cache
def place_of_yield() -> int:
    """Where the operating system's function lies by which a thread lets others go first."""
    library = (
        ctypes.windll.kernel32.SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
    )
    return ctypes.cast(library, ctypes.c_void_p).value
