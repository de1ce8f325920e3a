"""Compiled plan: steps of training by kernels, many steps in one call of the machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layernet.engine.compiled.buffers import aligned_zeros
from layernet.engine.compiled.intrinsics import LOSS_NOT_FINITE, OK
from layernet.engine.compiled.kernels import batches as batch_kernels
from layernet.engine.compiled.kernels import losses as loss_kernels
from layernet.engine.compiled.lowering.layers import lower
from layernet.engine.compiled.lowering.losses import emit_loss
from layernet.engine.compiled.lowering.optimizers import emit_update
from layernet.engine.compiled.machine import Machine
from layernet.engine.compiled.program import (
    BatchArrays,
    Program,
    PythonCall,
    Section,
    sections_of,
    sections_of_parts,
)
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.compiled.workers import WorkerGroup, WorkerProgram, WorkerThreads, intersections
from layernet.engine.dependencies import LAYER_METHODS, LOSS_METHODS, OPTIMIZER_METHODS
from layernet.engine.formulas import require_finite_losses, slices_of_ones
from layernet.engine.plan import DataSource, NotFiniteError, Steps
from layernet.engine.threads import blas_on_one_thread, n_workers_for
from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.sparse import is_sparse

# Largest number of multiplications of a call of the machine: a tenth of a second, because Ctrl-C waits for its
# end.
MULTIPLICATIONS_PER_CALL = 20_000_000_000
MAX_STEPS_PER_CALL = 256


@dataclass
class StepBuffers:
    """Buffers that the plan fills before a step and reads after it, for one worker.

    Attributes
    ----------
    inputs, targets, outputs, losses : ndarray of shape (n_rows, width)
    normalizer : ndarray of shape (1, 1)
        The number that the sum of a batch's weighted losses is divided by.
    step_losses : ndarray of shape (1, max_steps)
        The loss of each step of a call.
    updated_segments : list of slice
        The parameters that the worker updates.
    begin_call : callable
        The plan calls it with the number of steps, before each call of the machine.
    """

    inputs: np.ndarray | SparseRows
    targets: np.ndarray
    outputs: np.ndarray
    losses: np.ndarray
    normalizer: np.ndarray
    step_losses: np.ndarray
    updated_segments: list[slice] = field(default_factory=list)
    begin_call: Callable[[int], None] = lambda n_steps: None


class CompiledPlan:
    """Steps of training by compiled kernels; a layer or a loss without a kernel is called in Python.

    Each worker has a program for its rows of every batch. If a layer or a loss is called in Python, there is
    one worker.

    Parameters
    ----------
    network : Layer
        Built, and in training mode while `epoch` runs.
    loss : Loss
    optimizer : Optimizer
    data : DataSource
    batch_size : int
    penalty : float, default=0.0
        As in `FormulaPlan`.
    n_workers : int, default=None
        The number of workers that share each batch; None for `n_workers_for`.
    """

    engine = "compiled"

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer,
        data: DataSource,
        batch_size: int,
        penalty: float = 0.0,
        n_workers: int | None = None,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.data = data
        self._batch_size = batch_size
        self.penalty = penalty
        self._order = aligned_zeros((1, data.n_samples), np.int64)
        self._n_epoch_rows = data.n_samples
        self._n_steps_done = 0  # by the last call
        self.n_workers = n_workers or n_workers_for(network, self.batch_size, data.has_sparse_batches)
        self._make_programs()

    @property
    def batch_size(self) -> int:
        """Rows of a full batch: all rows of the data, if these are fewer than were asked for."""
        return min(self._batch_size, self.data.n_samples)

    # --- making the programs ---

    def _make_programs(self) -> None:
        """Make the programs for the data, the arrays and the settings as they are now."""
        data, network = self.data, self.network
        # Weights are divided by a power of 2 near their mean, because float32 cannot hold 1e-300. Dividing by a
        # power of 2 rounds nothing.
        self._weight_unit = 2.0 ** math.floor(math.log2(data.mean_weight))
        multiplications = 3 * self.batch_size * max(network.parameter_vector.size, 1)
        self.max_steps = int(np.clip(MULTIPLICATIONS_PER_CALL // multiplications, 1, MAX_STEPS_PER_CALL))
        self.parameters, self.gradients = network.parameter_vector, network.gradient_vector
        self._matrices = self._gatherable_matrices()
        self._sparse = SparseRows.from_csr(data.inputs, self._order) if is_sparse(data.inputs) else None
        self._make_programs_for(self.n_workers if self._matrices is not None else 1)
        if self.n_workers > 1 and any(callable(section) for section in self._sections):
            self._make_programs_for(1)
        self._calls_python = self._matrices is None or any(map(callable, self._sections))

    def _make_programs_for(self, n_workers: int) -> None:
        dtype = self.network.dtype
        mean_weight = 0.0 if self.data.weights is None else self.data.mean_weight / self._weight_unit
        self._group: WorkerGroup | None = None
        if n_workers == 1:
            self._programs = [Program(dtype, self.batch_size, self.gradients, mean_weight)]
        else:
            group = self._group = WorkerGroup(n_workers, self.batch_size, self.gradients)
            self._programs = [WorkerProgram(dtype, group, worker, mean_weight) for worker in range(n_workers)]
        self._buffers = [self._emit_passes(program) for program in self._programs]
        # The passes of all workers are emitted, so the owner of each parameter is known.
        for buffers, program in zip(self._buffers, self._programs, strict=True):
            self._emit_finish(buffers, program)
            n_passes = len(program.operations)
            self._emit_update(buffers, program)
        self._machines = [
            Machine(program.instructions, dtype, program.worker, n_workers, program.rows_per_worker)
            for program in self._programs
        ]
        self._threads = None if n_workers == 1 else WorkerThreads(self._machines)
        first = self._programs[0]
        self._sections = sections_of(first.all_operations)
        # The same operations in three parts, for a step that calls Python: a signal may interrupt only the
        # first part.
        self._passes, self._update, self._after_update = sections_of_parts(
            first.operations[:n_passes], first.operations[n_passes:], first.after_update
        )
        self._add_dependencies(first)

    def _add_dependencies(self, program: Program) -> None:
        """Add dependencies on the data, the structure and the methods. Lowering has added those on settings."""
        dependencies = program.dependencies
        dependencies.add_equal(self.data, "version")
        dependencies.add_structure(self.network)
        for layer in self.network.walk():
            dependencies.add_methods(layer, LAYER_METHODS)
        dependencies.add_methods(self.loss, LOSS_METHODS)
        dependencies.add_methods(self.optimizer, OPTIMIZER_METHODS)

    def _emit_passes(self, program: Program) -> StepBuffers:
        """Add the forward pass, the loss, and the backward pass."""
        data, network = self.data, self.network
        inputs, targets = self._emit_gathering(program)
        factors, losses = program.sample_buffer(1), program.sample_buffer(1)
        normalizer = program.zeros(1, 1)
        if program.weights is None:
            weights = program.sample_buffer(1)
            weights[:] = 1
            program.emit(batch_kernels.count_rows, normalizer)
        else:
            weights, sums = program.weights, program.weight_sums()
            mean = program.constants(0.0 if data.normalize_each_batch else program.mean_weight)
            program.emit(batch_kernels.compute_normalizer, sums, mean, normalizer)
        program.emit(batch_kernels.scale_weights, weights, normalizer, factors)
        outputs, backward = lower(network, program, inputs)
        grad_output = emit_loss(self.loss, program, outputs, network.output_shape, targets, factors, losses)
        if any(isinstance(each, PythonCall) for each in program.operations):
            program.emit_python(lambda n_rows: require_finite_losses(losses[:n_rows]))
        backward(grad_output, False)
        program.end_backward()
        step_losses = program.zeros(1, self.max_steps)
        return StepBuffers(inputs, targets, outputs, losses, normalizer, step_losses)

    def _emit_gathering(self, program: Program) -> tuple[np.ndarray | SparseRows, np.ndarray]:
        """Add instructions that copy the batch's rows into buffers, unless Python fills the buffers."""
        data = self.data
        inputs: np.ndarray | SparseRows
        if data.has_sparse_batches and self._sparse is not None:
            inputs = self._sparse
        else:
            inputs = program.sample_buffer(math.prod(self.network.input_shape))
        target_type = np.dtype(np.int64) if are_class_labels(data.targets) else program.dtype
        targets = program.sample_buffer(math.prod(data.targets.shape[1:]), target_type)
        if self._matrices is None:
            return inputs, targets
        if self._sparse is not None and not isinstance(inputs, SparseRows):
            program.emit(batch_kernels.gather_sparse, *self._sparse.operands, inputs)
        buffers: dict[str, Any] = {
            "inputs": inputs,
            "targets": targets,
            "weights": program.weights,
            "sample_numbers": program.sample_numbers,
        }
        for name, matrix in self._matrices.items():
            kernel = batch_kernels.gather_integers if matrix.dtype == np.int64 else batch_kernels.gather
            program.emit(kernel, matrix, self._order, buffers[name])
        if data.sample_numbers is None:
            program.emit(batch_kernels.number_rows, program.sample_numbers)
        return inputs, targets

    def _emit_finish(self, buffers: StepBuffers, program: Program) -> None:
        """Add the sums over workers, the penalty, and the check that all numbers are finite."""
        totals, statuses = program.worker_rows(1), program.worker_rows(1, np.int64)
        buffers.updated_segments = program.updated_segments()
        program.emit(loss_kernels.sum_losses, buffers.losses, totals, statuses)
        program.emit_gradient_sums()
        if self.penalty:
            penalty = program.constants(self.penalty / self._weight_unit)
            for segment in intersections(buffers.updated_segments, slices_of_ones(self.network.decay_mask)):
                weights = program.as_matrix(self.parameters[segment])
                gradients = program.as_matrix(self.gradients[segment])
                program.emit(loss_kernels.add_penalty, weights, gradients, totals, buffers.normalizer, penalty)
        for segment in buffers.updated_segments:
            program.emit(
                loss_kernels.check_finite_gradients, program.as_matrix(self.gradients[segment]), statuses
            )
        program.barrier()
        program.emit(loss_kernels.finish_step, totals, buffers.step_losses, statuses)

    def _emit_update(self, buffers: StepBuffers, program: Program) -> None:
        """Add the update of the parameters by the optimizer."""
        decay_mask = self.optimizer.effective_decay_mask(self.network.decay_mask)
        buffers.begin_call = emit_update(
            self.optimizer,
            program,
            self.parameters,
            decay_mask,
            self.network.learning_rate_factors,
            buffers.updated_segments,
            self.max_steps,
        )
        program.barrier()

    def _gatherable_matrices(self) -> dict[str, np.ndarray] | None:
        """Return the data as matrices from which kernels gather batches; None if Python makes the batches."""
        data, dtype = self.data, self.network.dtype
        has_sparse_data = is_sparse(data.inputs)
        if not has_sparse_data and not isinstance(data.inputs, np.ndarray):
            return None
        target_type = np.dtype(np.int64) if are_class_labels(data.targets) else dtype
        targets = data.in_one_piece("targets", target_type)
        inputs = data.inputs.data if has_sparse_data else data.in_one_piece("inputs", dtype)
        if targets is None or inputs is None:
            return None
        matrices = {"targets": targets.reshape(data.n_samples, -1)}
        if not has_sparse_data:
            matrices["inputs"] = inputs.reshape(data.n_samples, -1)
        if data.weights is not None:
            matrices["weights"] = (data.weights / self._weight_unit).astype(dtype).reshape(-1, 1)
        if data.sample_numbers is not None:
            matrices["sample_numbers"] = data.sample_numbers.astype(np.int64).reshape(-1, 1)
        return matrices

    # --- running the programs ---

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Keep the workers' threads alive within this context, with BLAS on one thread for each worker."""
        with ExitStack() as stack:
            stack.enter_context(blas_on_one_thread(self._threads is not None or self.n_workers == 1))
            if self._threads is not None:
                stack.enter_context(self._threads.ready())
            yield

    def epoch(self, order: np.ndarray | None, step_by_step: bool) -> Iterator[Steps]:
        """Do the steps of one epoch; as in `Plan`."""
        self._update_programs()
        n_rows = self.data.n_samples if order is None else len(order)
        if n_rows > self._order.shape[1]:  # some rows occur several times
            self._order = aligned_zeros((1, n_rows), np.int64)
            self._make_programs()
        self._order[0, :n_rows] = np.arange(n_rows) if order is None else order
        self._n_epoch_rows = n_rows
        max_steps = 1 if step_by_step or self._calls_python else self.max_steps
        start = 0
        while start < n_rows:
            if start:  # a callback may have changed something
                self._update_programs()
            n_steps = min(max_steps, -(-(n_rows - start) // self.batch_size))
            interrupted = None
            try:
                self._call(start, n_steps)
            except KeyboardInterrupt as signal:
                interrupted = signal
            stop = min(start + self._n_steps_done * self.batch_size, n_rows)
            if self._n_steps_done:
                yield self._results(start, stop, self._n_steps_done, step_by_step)
            if interrupted is not None:
                raise interrupted
            if self._n_steps_done < n_steps:
                raise self._not_finite_error(self._n_steps_done)
            start = stop

    def _update_programs(self) -> None:
        """Make the programs anew if an attribute has changed that they depend on."""
        if not self._programs[0].dependencies.are_unchanged():
            self._make_programs()

    def _call(self, start: int, n_steps: int) -> None:
        """Do some steps, and count the steps that were done, even if Ctrl-C is pressed."""
        self._n_steps_done = 0
        for buffers in self._buffers:
            buffers.begin_call(n_steps)
        for program in self._programs:
            for begin in program.on_call_start:
                begin()
        if self._group is not None:
            self._group.barrier_counter[:] = 0
        self._machines[0].reset()
        if self._calls_python:
            self._step_with_python(start)
            return
        with uninterrupted:
            try:
                self._run_machines(start, n_steps)
            finally:
                self._count_steps(start, self._machines[0].steps_done)

    def _run_machines(self, start: int, n_steps: int) -> None:
        if self._threads is None:
            machine = self._machines[0]
            machine.run(0, machine.n_instructions, start, n_steps, self._n_epoch_rows, self.batch_size)
        else:
            self._threads.run(start, n_steps, self._n_epoch_rows, self.batch_size)

    def _count_steps(self, start: int, n_done: int) -> None:
        """Report the number of steps done to the optimizer, the layers and the training."""
        self._n_steps_done = n_done
        for end in self._programs[0].on_call_end:
            end(n_done)
        start_of_last = start + (n_done - 1) * self.batch_size
        self.after_steps(n_done, min(self.batch_size, self._n_epoch_rows - start_of_last))

    def after_steps(self, n_steps: int, n_rows: int) -> None:
        """Do nothing; training replaces this method. As in `Plan`."""

    def _step_with_python(self, start: int) -> None:
        """Do one step, by calls of the machine and of Python functions in turn."""
        stop = min(start + self.batch_size, self._n_epoch_rows)
        (machine,) = self._machines

        def carry_out(section: Section) -> None:
            if callable(section):
                section(stop - start)
            else:
                first, end = section
                machine.run(first, end, start, 1, stop, stop - start)

        rows = self._order[0, start:stop]
        data = self.data
        weights, numbers = (
            None if values is None else values[rows] for values in (data.weights, data.sample_numbers)
        )
        mean_weight = None if weights is None else data.mean_weight
        sparse_inputs = data.batch(rows)[0] if data.has_sparse_batches else None
        self._programs[0].batch = BatchArrays(data.targets[rows], weights, numbers, mean_weight, sparse_inputs)
        if self._matrices is None:
            self._fill_buffers(rows)
        for section in self._passes:
            carry_out(section)
            if machine.status != OK:
                return
        with uninterrupted, ExitStack() as stack:
            for section in self._update:
                carry_out(section)
            # The parameters are updated. So the step counts, and the remaining sections run even if one of them
            # fails.
            stack.callback(self._count_steps, start, 1)
            for section in reversed(self._after_update):
                stack.callback(carry_out, section)

    def _fill_buffers(self, rows: np.ndarray) -> None:
        """Copy a batch that the machine cannot gather into the buffers."""
        program, buffers = self._programs[0], self._buffers[0]
        inputs, targets, weights, _, numbers = self.data.batch(rows)
        n_rows = inputs.shape[0]
        if not isinstance(buffers.inputs, SparseRows):
            buffers.inputs[:n_rows] = inputs.reshape(n_rows, -1)
        buffers.targets[:n_rows] = targets.reshape(n_rows, -1)
        if program.weights is not None:
            program.weights[:n_rows, 0] = weights / self._weight_unit
        program.sample_numbers[:n_rows, 0] = np.arange(n_rows) if numbers is None else numbers

    def _results(self, start: int, stop: int, n_steps: int, step_by_step: bool) -> Steps:
        losses = self._buffers[0].step_losses[0, :n_steps].tolist()
        sizes = [self.batch_size] * n_steps
        sizes[-1] = stop - start - (n_steps - 1) * self.batch_size
        if not step_by_step:
            return Steps(losses, sizes, None, None)
        whole = self._programs[0].whole_batch(self._buffers[0].outputs)
        outputs = whole[: stop - start].reshape(stop - start, *self.network.output_shape).copy()
        return Steps(losses, sizes, self.data.targets[self._order[0, start:stop]], outputs)

    def _not_finite_error(self, n_done: int) -> NotFiniteError:
        if self._machines[0].status == LOSS_NOT_FINITE:
            index = 0 if self._calls_python else n_done
            return NotFiniteError(f"the loss is {self._buffers[0].step_losses[0, index]}")
        return NotFiniteError("a gradient is not finite")


def are_class_labels(targets: np.ndarray) -> bool:
    """Return whether targets are class labels, which are integers."""
    return targets.dtype.kind in "iu"
