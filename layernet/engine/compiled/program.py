"""Program: the instructions of one training step or one inference, with the buffers that they read and write.

`Program` is for a single worker, which computes all rows of a batch. `layernet.engine.compiled.workers` has the
program of a worker that shares each batch with others.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from layernet.engine.compiled.intrinsics import VARIABLE_BATCH_ROWS, VARIABLE_WORKER_ROWS
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels.batches import normalize_weights, sum_over_workers, sum_weights
from layernet.engine.compiled.kernels.structure import fill_zeros
from layernet.engine.compiled.trial import try_kernel
from layernet.engine.dependencies import Dependencies


class Instruction(NamedTuple):
    """A kernel, its operands, and the number of rows of each operand."""

    kernel: Kernel
    operands: list[np.ndarray]
    rows: list[int]


class PythonCall(NamedTuple):
    """A Python function of the batch's number of rows, called between instructions."""

    function: Callable[[int], None]


class BatchArrays(NamedTuple):
    """Arrays of the present batch, for layers and losses that are called in Python.

    Attributes
    ----------
    targets : ndarray
        As the loss prepared them.
    weights, numbers : ndarray or None
        The weights and the numbers of the samples, as they were given.
    mean_weight : float or None
        The mean weight of all training data; None without weights.
    inputs : csr_array or None
        The network's inputs if they are sparse rows. Dense inputs are in a buffer.
    """

    targets: np.ndarray
    weights: np.ndarray | None
    numbers: np.ndarray | None
    mean_weight: float | None
    inputs: Any = None


Step: TypeAlias = Instruction | PythonCall
# Instructions from the first up to the second, carried out by one call of the machine; or a Python function.
Section: TypeAlias = tuple[int, int] | Callable[[int], None]


class Program:
    """Instructions of a step, in the order in which a single worker carries them out.

    Parameters
    ----------
    dtype : float32 or float64
    n_rows : int
        The largest number of rows of a batch.
    gradients : ndarray of shape (n_parameters,)
        The network's gradient vector.
    mean_weight : float, default=0.0
        The mean of the samples' weights in all training data; 0 if the samples have no weights.
    is_training : bool, default=True
        Whether layers compute what they compute in training. In inference there is no backward pass.

    Attributes
    ----------
    steps : list of Instruction or PythonCall
    after_update : list of Instruction or PythonCall
        What follows the update of the parameters.
    weights, sample_numbers : ndarray of shape (n_rows, 1) or None
        The weight of each sample of the batch, and its number, an int64 that seeds the noise of its row.
    dependencies : Dependencies
        The attributes that the instructions were made from.
    batch : BatchArrays or None
        Set before each step that calls Python.
    """

    worker = 0

    def __init__(
        self,
        dtype: np.dtype,
        n_rows: int,
        gradients: np.ndarray,
        mean_weight: float = 0.0,
        is_training: bool = True,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.n_rows = n_rows
        self.gradients = gradients
        self.mean_weight = mean_weight
        self.is_training = is_training
        self.steps: list[Step] = []
        self.after_update: list[Step] = []
        self.on_call_start: list[Callable[[], None]] = []
        self.on_call_end: list[Callable[[int], None]] = []
        self.dependencies = Dependencies()
        self.batch: BatchArrays | None = None
        # By id: the buffers with a row for each sample of this worker, and the whole of which each is a part.
        self._sample_buffers: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._whole_buffers: set[int] = set()
        self._memory_of_buffers: set[int] = set()
        self._gradients_in_use: set[int] = set()
        self._normalized_weights: np.ndarray | None = None
        self._weight_sums: np.ndarray | None = None
        self.weights = self.sample_buffer(1) if mean_weight else None
        self.sample_numbers = self.sample_buffer(1, np.int64)

    @property
    def rows_per_worker(self) -> int:
        """The largest number of rows of a batch that this worker computes."""
        return self.n_rows

    @property
    def is_first_worker(self) -> bool:
        """Whether this worker does what must be done once for all workers."""
        return self.worker == 0

    @property
    def all_steps(self) -> list[Step]:
        """All steps, in order."""
        return [*self.steps, *self.after_update]

    @property
    def instructions(self) -> list[Instruction]:
        """All steps that the machine carries out."""
        return [step for step in self.all_steps if isinstance(step, Instruction)]

    # --- buffers ---

    def sample_buffer(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return a new buffer with a row for each sample; kernels see as many rows as the batch has."""
        whole = aligned((self.n_rows, width), self.dtype if dtype is None else dtype)
        return self._register(whole, whole)

    def _register(self, own: np.ndarray, whole: np.ndarray) -> np.ndarray:
        self._sample_buffers[id(own)] = own, whole
        self._whole_buffers.add(id(whole))
        self._memory_of_buffers.add(id(whole.base))
        return own

    def whole_batch(self, own: np.ndarray) -> np.ndarray:
        """Return the buffer with all rows of the batch, given the part of it with this worker's rows."""
        return self._sample_buffers[id(own)][1]

    def worker_rows(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return a new buffer with a row for each worker; after a `barrier` each worker may read all rows."""
        return aligned((1, width), self.dtype if dtype is None else dtype)

    def zeros(self, *shape: int) -> np.ndarray:
        """Return a new buffer of zeros whose number of rows is fixed."""
        return aligned(shape, self.dtype)

    def constants(self, *values: float) -> np.ndarray:
        """Return numbers as a matrix of one row."""
        return np.array([values or (0.0,)], self.dtype)

    def as_matrix(self, values: np.ndarray) -> np.ndarray:
        """Return a parameter or a piece of state as a matrix that shares its memory; see `shape_of_matrix`."""
        if not isinstance(values, np.ndarray) or not values.flags.c_contiguous:
            what = (
                f"strides {values.strides}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
            )
            raise ValueError(
                f"program.as_matrix expects a contiguous array, whose memory kernels can share, got {what}. "
                "Give it np.ascontiguousarray(values) if nobody writes there."
            )
        return values.reshape(shape_of_matrix(values))

    # --- gradients ---

    def gradient(self, of_network: np.ndarray) -> np.ndarray:
        """Return the matrix that this worker writes a gradient to, given the gradient of the network.

        It has the parameter's shape as a matrix. What the workers write, each for its own rows, is added up
        after the backward pass. Before a third-party kernel writes there, the buffer is set to zero in every
        step.
        """
        shape = shape_of_matrix(of_network)
        if not self.is_training:
            return self.zeros(*shape)  # no kernel of inference writes there
        return self.worker_gradients[self._segment_in_vector(of_network)].reshape(shape)

    @property
    def worker_gradients(self) -> np.ndarray:
        """The gradient vector of this worker's rows."""
        return self.gradients

    def owned_gradient(self, of_network: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the rows of a gradient that this worker computes for all rows of the batch.

        Returns
        -------
        gradient : ndarray of shape (n_rows, n_columns)
        first : int
            The index of its first row in the whole gradient.
        """
        return of_network, 0

    def owned_segments(self) -> list[slice]:
        """Return the entries of the parameter vector that this worker moves."""
        return [slice(0, len(self.gradients))] if len(self.gradients) else []

    def emit_gradient_sums(self) -> None:
        """Add the other workers' gradients to those that this worker owns. A single worker has no others."""

    def _segment_in_vector(self, of_network: np.ndarray) -> slice:
        start = (of_network.ctypes.data - self.gradients.ctypes.data) // self.gradients.itemsize
        return slice(start, start + of_network.size)

    # --- weights of the samples ---

    def weight_sums(self) -> np.ndarray:
        """Return the sum of the samples' weights of each worker."""
        if self._weight_sums is None:
            if self.weights is None:
                raise ValueError("The samples of this program have no weights that could be summed up.")
            self._weight_sums = self.worker_rows(1)
            self.emit(sum_weights, self.weights, self._weight_sums)
            self.barrier()
        return self._weight_sums

    def batch_weight(self) -> np.ndarray:
        """Return the sum of the weights of the batch; 0 if samples have no weights."""
        total = self.zeros(1, 1)
        if self.weights is not None:
            self.emit(sum_over_workers, self.weight_sums(), total)
        return total

    def normalized_weights(self) -> np.ndarray:
        """Return the weight of each sample divided by the sum over the batch."""
        if self._normalized_weights is None:
            normalized = self._normalized_weights = self.sample_buffer(1)
            if self.weights is not None:
                weights, sums = self.weights, self.weight_sums()
            else:
                weights, sums = (
                    normalized,
                    self.worker_rows(1),
                )  # zeros, which the kernel takes for equal weights
            self.emit(normalize_weights, weights, sums, normalized)
        return self._normalized_weights

    # --- instructions ---

    def emit(self, kernel: Kernel, *operands: np.ndarray, after_update: bool = False) -> None:
        """Append an instruction: a kernel and its operands.

        Parameters
        ----------
        kernel : Kernel
            A third-party kernel is tried first; see `trial`.
        *operands : ndarray
            Contiguous matrices of the program's type or of int64.
        after_update : bool, default=False
            Whether the instruction follows the update of the parameters.

        Raises
        ------
        ValueError
            If an operand is no such matrix, or the kernel does not fit its operands.
        """
        self._validate_operands(kernel, operands)
        rows = [self._rows_of(array) for array in operands]
        steps = self.after_update if after_update else self.steps
        if not kernel.is_of_package:
            try_kernel(kernel, operands, rows, self.dtype, self.rows_per_worker, self._rows_of_all_workers)
        for array in operands:
            if self._is_new_gradient(array) and not kernel.is_of_package:  # it may add to what is there
                steps.append(Instruction(fill_zeros, [array], [len(array)]))
        steps.append(Instruction(kernel, list(operands), rows))

    @property
    def _rows_of_all_workers(self) -> int:
        return self.n_rows

    def _rows_of(self, operand: np.ndarray) -> int:
        if id(operand) in self._sample_buffers:
            return VARIABLE_WORKER_ROWS
        return VARIABLE_BATCH_ROWS if id(operand) in self._whole_buffers else len(operand)

    def _validate_operands(self, kernel: Kernel, operands: tuple[np.ndarray, ...]) -> None:
        types = (self.dtype, np.int64, np.int32, np.float64) if kernel.is_of_package else (self.dtype, np.int64)
        for array in operands:
            if array.ndim != 2 or not array.flags.c_contiguous or array.dtype not in types:
                raise ValueError(
                    f"{kernel!r} expects contiguous matrices of {self.dtype} or int64, got an array of shape "
                    f"{array.shape} and type {array.dtype}. Use program.as_matrix(array) for a vector."
                )
            if id(array.base) in self._memory_of_buffers and self._rows_of(array) >= 0:
                raise ValueError(
                    f"{kernel!r} expects buffers of samples as program.sample_buffer returns them, got a view "
                    f"of one, of shape {array.shape}. A kernel sees as many rows of a buffer as the batch has, "
                    "and all rows of anything else."
                )

    def _is_new_gradient(self, array: np.ndarray) -> bool:
        """Return whether an operand is a gradient that no instruction so far has read or written."""
        address = array.ctypes.data
        vectors = (self.worker_gradients, self.gradients)
        is_gradient = any(each.ctypes.data <= address < each.ctypes.data + each.nbytes for each in vectors)
        if not is_gradient or address in self._gradients_in_use:
            return False
        self._gradients_in_use.add(address)
        return True

    def emit_python(self, function: Callable[[int], None], after_update: bool = False) -> None:
        """Append a call of a Python function of the batch's number of rows."""
        (self.after_update if after_update else self.steps).append(PythonCall(function))

    def barrier(self) -> None:
        """Emit a wait for all other workers; a single worker emits nothing."""

    def after_backward_barrier(self, emit: Callable[[], None]) -> None:
        """Defer instructions that read all workers' rows until every worker has finished its backward pass.

        With one worker, add them immediately.

        Parameters
        ----------
        emit : callable
            Adds the instructions.
        """
        emit()

    def end_backward(self) -> None:
        """Add the instructions that `after_backward_barrier` has deferred."""

    # --- calls of the machine, each of many steps ---

    def before_call(self, function: Callable[[], None]) -> None:
        """Register a function that is called before each call of the machine."""
        self.on_call_start.append(function)

    def after_call(self, function: Callable[[int], None]) -> None:
        """Register a function that is called after each call of the machine, with the number of steps done."""
        if self.is_first_worker:
            self.on_call_end.append(function)

    # --- what instructions depend on ---

    def state(self, owner: Any, name: str) -> np.ndarray:
        """Return an array of a layer's state as a matrix. The program is made anew if it is replaced."""
        return self.as_matrix(self.dependencies.add_object(owner, name))

    def setting(self, owner: Any, name: str, read: Callable[[Any], Any] | None = None) -> Any:
        """Return a setting that instructions depend on. The program is made anew if its value changes.

        Parameters
        ----------
        owner : Layer, Loss or Optimizer
        name : str
            Of the attribute.
        read : callable, default=None
            Converts the attribute; None for `plain_value`, `plain_values` for arrays too.

        Returns
        -------
        float, bool, str or None
            A number of any type as a float.

        Raises
        ------
        NotASettingError
            If the setting is anything else, such as a number for each unit. `lower` then calls the layer's own
            passes; so read all settings before the first instruction is added.
        """
        return self.dependencies.add_setting(owner, name, read)


def sections_of_parts(*parts: list[Step]) -> list[list[Section]]:
    """Return the sections of each of several lists of steps whose instructions follow each other."""
    sections, first = [], 0
    for steps in parts:
        sections.append(sections_of(steps, first))
        first += sum(isinstance(step, Instruction) for step in steps)
    return sections


def sections_of(steps: list[Step], first: int = 0) -> list[Section]:
    """Return steps as sections: consecutive instructions as (first, end), and Python functions between them."""
    sections: list[Section] = []
    for is_call, group in groupby(steps, key=lambda step: isinstance(step, PythonCall)):
        steps_of_group = list(group)
        if is_call:
            sections += [step.function for step in steps_of_group if isinstance(step, PythonCall)]
        else:
            sections.append((first, first + len(steps_of_group)))
            first += len(steps_of_group)
    return sections


def shape_of_matrix(array: np.ndarray) -> tuple[int, int]:
    """Return the shape of an array as a matrix: its own if it has two axes, else that of one row.

    Examples
    --------
    >>> [shape_of_matrix(np.zeros(shape)) for shape in [(2, 3), (4,), (2, 3, 4), ()]]
    [(2, 3), (1, 4), (1, 24), (1, 1)]
    """
    return (array.shape[0], array.shape[1]) if array.ndim == 2 else (1, array.size)


def copy_samples(buffer: np.ndarray, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of the first rows of a buffer, in the shape of the samples."""
    return buffer[:rows].reshape(rows, *shape).copy()


def batch_of(program: Program) -> BatchArrays:
    """Return the arrays of the present batch."""
    if program.batch is None:
        raise RuntimeError(
            "A program that calls Python needs the batch's arrays: set program.batch before a step."
        )
    return program.batch


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array of zeros that begins at the start of a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array: np.ndarray = memory[start : start + size].view(dtype).reshape(shape)
    return array
