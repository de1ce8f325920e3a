"""Program: the instructions of one training step or one inference, with the buffers that they read and write.

An operation is an instruction, or a call of a Python function between instructions. `Program` is for a single
worker, which computes all rows of a batch. `layernet.engine.compiled.workers` has the program of a worker that
shares each batch with others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from layernet.engine.compiled.buffers import aligned_zeros, matrix_shape
from layernet.engine.compiled.intrinsics import VARIABLE_BATCH_ROWS, VARIABLE_WORKER_ROWS
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels.batches import normalize_weights, sum_over_workers, sum_weights
from layernet.engine.compiled.kernels.structure import fill_zeros
from layernet.engine.compiled.trial import try_kernel, validate_operands
from layernet.engine.dependencies import Dependencies


class Instruction(NamedTuple):
    """Kernel with its operands, and the number of rows of each operand."""

    kernel: Kernel
    operands: list[np.ndarray]
    rows: list[int]


class PythonCall(NamedTuple):
    """Call of a Python function between instructions; its argument is the number of rows of the batch."""

    function: Callable[[int], None]


class BatchArrays(NamedTuple):
    """Arrays of the current batch, for layers and losses that are called in Python.

    Attributes
    ----------
    targets : ndarray
        As `loss.prepare` returned them.
    weights, sample_numbers : ndarray or None
        The weights of the samples, and the numbers that seed the noise of their rows.
    mean_weight : float or None
        The mean weight of all training data; None without weights.
    inputs : csr_array or None
        The network's inputs if they are sparse rows. Dense inputs are in a buffer.
    """

    targets: np.ndarray
    weights: np.ndarray | None
    sample_numbers: np.ndarray | None
    mean_weight: float | None
    inputs: Any = None


Operation: TypeAlias = Instruction | PythonCall
# A range (first, end) of instructions, which one call of the machine carries out; or a Python function.
Section: TypeAlias = tuple[int, int] | Callable[[int], None]


class Program:
    """Operations of one training step or one inference, in order, for a single worker.

    Parameters
    ----------
    dtype : float32 or float64
    batch_size : int
        The largest number of rows of a batch.
    gradients : ndarray of shape (n_parameters,)
        The network's gradient vector.
    mean_weight : float, default=0.0
        The mean of the samples' weights in all training data; 0 if the samples have no weights.
    is_training : bool, default=True
        Whether layers are in training mode. A program for inference has no backward pass.

    Attributes
    ----------
    operations : list of Instruction or PythonCall
        The passes, the loss and the update of the parameters.
    after_update : list of Instruction or PythonCall
        The operations after the update.
    weights, sample_numbers : ndarray of shape (n_rows, 1) or None
        The weight of each sample of the batch, and the int64 number that seeds the noise of its row.
    dependencies : Dependencies
        The attributes that the instructions were made from.
    batch : BatchArrays or None
        The caller sets it before each step that calls Python.
    on_call_start, on_call_end : list of callable
        See `before_call` and `after_call`.
    """

    worker = 0

    def __init__(
        self,
        dtype: np.dtype,
        batch_size: int,
        gradients: np.ndarray,
        mean_weight: float = 0.0,
        is_training: bool = True,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.batch_size = batch_size
        self.gradients = gradients
        self.mean_weight = mean_weight
        self.is_training = is_training
        self.operations: list[Operation] = []
        self.after_update: list[Operation] = []
        self.on_call_start: list[Callable[[], None]] = []
        self.on_call_end: list[Callable[[int], None]] = []
        self.dependencies = Dependencies()
        self.batch: BatchArrays | None = None
        # Buffers with a row for each sample, by id: the rows of this worker, and the rows of all workers.
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
        """The largest number of rows that this worker computes of a batch."""
        return self.batch_size

    @property
    def is_first_worker(self) -> bool:
        """Whether this worker is the one that acts once for all workers."""
        return self.worker == 0

    @property
    def all_operations(self) -> list[Operation]:
        """All operations, in order."""
        return [*self.operations, *self.after_update]

    @property
    def instructions(self) -> list[Instruction]:
        """The operations that the machine carries out."""
        return [each for each in self.all_operations if isinstance(each, Instruction)]

    # --- buffers ---

    def sample_buffer(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return a new buffer with a row for each sample; kernels see as many rows as the batch has."""
        whole = aligned_zeros((self.batch_size, width), self.dtype if dtype is None else dtype)
        return self._register(whole, whole)

    def _register(self, own: np.ndarray, whole: np.ndarray) -> np.ndarray:
        self._sample_buffers[id(own)] = own, whole
        self._whole_buffers.add(id(whole))
        self._memory_of_buffers.add(id(whole.base))
        return own

    def whole_batch(self, own: np.ndarray) -> np.ndarray:
        """Return the buffer with all rows of the batch, given the buffer with this worker's rows."""
        return self._sample_buffers[id(own)][1]

    def worker_rows(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return a new buffer with a row for each worker; after a `barrier` each worker may read all rows."""
        return aligned_zeros((1, width), self.dtype if dtype is None else dtype)

    def zeros(self, *shape: int) -> np.ndarray:
        """Return a new buffer of zeros whose number of rows is fixed."""
        return aligned_zeros(shape, self.dtype)

    def constants(self, *values: float) -> np.ndarray:
        """Return a matrix of one row with these numbers."""
        return np.array([values or (0.0,)], self.dtype)

    def as_matrix(self, values: np.ndarray) -> np.ndarray:
        """Return a parameter or a piece of state as a matrix that shares its memory; see `matrix_shape`."""
        if not isinstance(values, np.ndarray) or not values.flags.c_contiguous:
            got = f"strides {values.strides}" if isinstance(values, np.ndarray) else type(values).__name__
            raise ValueError(
                f"program.as_matrix expects a contiguous array, whose memory kernels can share, got {got}. "
                "Pass np.ascontiguousarray(values) if no kernel writes to it."
            )
        return values.reshape(matrix_shape(values))

    def is_sample_buffer(self, array: Any) -> bool:
        """Return whether an object is a buffer as `sample_buffer` returns it."""
        return id(array) in self._sample_buffers

    # --- gradients ---

    def gradient(self, network_gradient: np.ndarray) -> np.ndarray:
        """Return the matrix that this worker writes a gradient to, given the gradient of the network.

        The matrix has the shape `matrix_shape(parameter)`. Each worker writes the gradient of its own rows.
        After the backward pass, the program sums the gradients of all workers. In every step, it sets the
        matrix to zero before a third-party kernel writes to it. Any other array raises a `ValueError`.
        """
        shape = matrix_shape(network_gradient)
        if not self.is_training:
            return self.zeros(*shape)  # no kernel of inference writes there
        if network_gradient.size and not np.may_share_memory(network_gradient, self.gradients):
            raise ValueError(
                "program.gradient expects a part of the network's gradient vector, got another array of shape "
                f"{network_gradient.shape}. Pass layer.grad_x for the parameter layer.x."
            )
        return self.worker_gradients[self._segment_in_vector(network_gradient)].reshape(shape)

    @property
    def worker_gradients(self) -> np.ndarray:
        """The gradient vector that this worker writes, for its own rows."""
        return self.gradients

    def owned_gradient(self, network_gradient: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the rows of a gradient that this worker computes for all rows of the batch.

        Returns
        -------
        gradient : ndarray of shape (n_rows, n_columns)
        first : int
            The index of the first of these rows in the network's gradient.
        """
        return network_gradient, 0

    def updated_segments(self) -> list[slice]:
        """Return the segments of the parameter vector that this worker updates."""
        return [slice(0, len(self.gradients))] if len(self.gradients) else []

    def emit_gradient_sums(self) -> None:
        """Emit the sums of all workers' gradients, for the parameters that this worker updates.

        A single worker emits nothing.
        """

    def _segment_in_vector(self, network_gradient: np.ndarray) -> slice:
        start = (network_gradient.ctypes.data - self.gradients.ctypes.data) // self.gradients.itemsize
        return slice(start, start + network_gradient.size)

    # --- weights of the samples ---

    def weight_sums(self) -> np.ndarray:
        """Return a buffer with the sum of each worker's sample weights. The first call emits the sums."""
        if self._weight_sums is None:
            if self.weights is None:
                raise ValueError(
                    "program.weight_sums expects samples with weights, got none. Test program.weights first."
                )
            self._weight_sums = self.worker_rows(1)
            self.emit(sum_weights, self.weights, self._weight_sums)
            self.barrier()
        return self._weight_sums

    def batch_weight(self) -> np.ndarray:
        """Return a buffer with the sum of the weights of the batch; 0 if samples have no weights."""
        total = self.zeros(1, 1)
        if self.weights is not None:
            self.emit(sum_over_workers, self.weight_sums(), total)
        return total

    def normalized_weights(self) -> np.ndarray:
        """Return a buffer with the weight of each sample divided by the sum over the batch."""
        if self._normalized_weights is None:
            normalized = self._normalized_weights = self.sample_buffer(1)
            if self.weights is not None:
                weights, sums = self.weights, self.weight_sums()
            else:  # sums of 0, for which the kernel returns equal weights
                weights, sums = normalized, self.worker_rows(1)
            self.emit(normalize_weights, weights, sums, normalized)
        return self._normalized_weights

    # --- instructions ---

    def emit(self, kernel: Kernel, *operands: np.ndarray, after_update: bool = False) -> None:
        """Append an instruction: a kernel and its operands.

        Parameters
        ----------
        kernel : Kernel
            A third-party kernel is called once on copies of its operands; see `trial`.
        *operands : ndarray
            Contiguous matrices of the program's type or of int64.
        after_update : bool, default=False
            Whether the instruction follows the update of the parameters.

        Raises
        ------
        TypeError
            If it is no kernel.
        ValueError
            If an operand is not such a matrix, or a third-party kernel fails on copies of its operands.
        """
        self._validate_operands(kernel, operands)
        rows = [self._rows_of(array) for array in operands]
        operations = self.after_update if after_update else self.operations
        if not kernel.is_of_package:
            try_kernel(kernel, operands, rows, self.dtype, self.rows_per_worker, self._rows_of_all_workers)
        for array in operands:
            # A third-party kernel may add to the gradient.
            if self._mark_gradient_used(array) and not kernel.is_of_package:
                operations.append(Instruction(fill_zeros, [array], [len(array)]))
        operations.append(Instruction(kernel, list(operands), rows))

    @property
    def _rows_of_all_workers(self) -> int:
        return self.batch_size

    def _rows_of(self, operand: np.ndarray) -> int:
        if id(operand) in self._sample_buffers:
            return VARIABLE_WORKER_ROWS
        return VARIABLE_BATCH_ROWS if id(operand) in self._whole_buffers else len(operand)

    def _validate_operands(self, kernel: Kernel, operands: tuple[np.ndarray, ...]) -> None:
        validate_operands(kernel, operands, self.dtype)
        for array in operands:
            if id(array.base) in self._memory_of_buffers and self._rows_of(array) >= 0:
                raise ValueError(
                    f"{kernel!r} expects buffers of samples as program.sample_buffer returns them, got a view "
                    f"of one, of shape {array.shape}. A kernel sees as many rows of a buffer as the batch has, "
                    "and all rows of anything else."
                )

    def _mark_gradient_used(self, array: np.ndarray) -> bool:
        """Return whether an operand is a gradient, and this is the first instruction that uses it."""
        address = array.ctypes.data
        is_gradient = any(address in addresses for addresses in self._addresses_of_gradients)
        if not is_gradient or address in self._gradients_in_use:
            return False
        self._gradients_in_use.add(address)
        return True

    @functools.cached_property
    def _addresses_of_gradients(self) -> list[range]:
        vectors = (self.worker_gradients, self.gradients)
        return [range(each.ctypes.data, each.ctypes.data + each.nbytes) for each in vectors]

    def emit_python(self, function: Callable[[int], None], after_update: bool = False) -> None:
        """Append a call of a Python function, with the number of rows of the batch."""
        (self.after_update if after_update else self.operations).append(PythonCall(function))

    def barrier(self) -> None:
        """Emit a barrier; a single worker emits nothing."""

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
        """Return an array of a layer's state as a matrix. Replacing the array makes the program anew."""
        return self.as_matrix(self.dependencies.add_object(owner, name))

    def setting(self, owner: Any, name: str, read: Callable[[Any], Any] | None = None) -> Any:
        """Return a setting that instructions depend on. The program is made anew if its value changes.

        Parameters
        ----------
        owner : Layer, Loss or Optimizer
        name : str
            Of the attribute.
        read : callable, default=None
            Converts the attribute; `plain_value` if None. `plain_values` accepts arrays too.

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


def sections_of_parts(*parts: list[Operation]) -> list[list[Section]]:
    """Return the sections of each part of a program, given the consecutive parts."""
    sections, first = [], 0
    for operations in parts:
        sections.append(sections_of(operations, first))
        first += sum(isinstance(each, Instruction) for each in operations)
    return sections


def sections_of(operations: list[Operation], first: int = 0) -> list[Section]:
    """Return operations as sections: ranges (first, end) of instructions, and Python functions between them."""
    sections: list[Section] = []
    for is_call, group in groupby(operations, key=lambda each: isinstance(each, PythonCall)):
        consecutive = list(group)
        if is_call:
            sections += [each.function for each in consecutive if isinstance(each, PythonCall)]
        else:
            sections.append((first, first + len(consecutive)))
            first += len(consecutive)
    return sections


def current_batch(program: Program) -> BatchArrays:
    """Return the arrays of the current batch, or raise an error if nobody has set them."""
    if program.batch is None:
        raise RuntimeError(
            "A program that calls Python needs the batch's arrays: set program.batch before a step."
        )
    return program.batch
