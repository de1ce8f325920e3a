"""The compiled plan: steps of training as programs of kernels, many steps in one go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layernet.engine.compiled.intrinsics import FINE, LOSS_NOT_FINITE
from layernet.engine.compiled.kernels import batches as gathering
from layernet.engine.compiled.kernels import losses as judging
from layernet.engine.compiled.lowering.layers import translate
from layernet.engine.compiled.lowering.losses import add_loss
from layernet.engine.compiled.lowering.optimizers import add_update
from layernet.engine.compiled.lowering.registry import methods_of
from layernet.engine.compiled.machine import Machine
from layernet.engine.compiled.program import (
    BatchInPython,
    Formula,
    Program,
    segments_of,
    segments_of_parts,
)
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.compiled.workers import Team, aligned, intersections
from layernet.engine.formulas import NotFiniteError, Steps, refuse_not_finite, runs_of_ones
from layernet.engine.threads import blas_on_one_thread, n_workers_for
from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.sparse import is_sparse

# A run is as many steps as take about this many multiplications, so that Ctrl-C is heard within a fraction of a
# second.
MULTIPLICATIONS_OF_A_RUN = 20_000_000_000
LONGEST_RUN = 256


@dataclass
class Step:
    """What of one worker's program is read and written from outside.

    Attributes
    ----------
    inputs, targets, outputs, losses : ndarray of shape (rows, width)
        Buffers.
    normalizer : ndarray of shape (1, 1)
        What the losses of a batch are divided by.
    record : ndarray of shape (1, steps of the longest run)
        The loss of each step of a run.
    own : list of slice
        The parameters that the worker moves.
    begin : callable
        To be called with the number of steps of each run.
    """

    inputs: np.ndarray | None = None
    targets: np.ndarray | None = None
    outputs: np.ndarray | None = None
    losses: np.ndarray | None = None
    normalizer: np.ndarray | None = None
    record: np.ndarray | None = None
    own: list[slice] = field(default_factory=list)
    begin: Callable[[int], None] | None = None


class CompiledPlan:
    """Steps of training by compiled kernels, and by the layers' own formulas where there is no kernel.

    Each worker has a program of its own, for its part of every batch; where a layer or a loss has to be called
    in Python, there is one worker.

    Parameters
    ----------
    network : Layer
        Built, and in training mode while `epoch` runs.
    loss : Loss
    optimizer : Optimizer
    data : TrainingData
    batch_size : int
    penalty : float, default=0.0
        As in `FormulaPlan`.
    n_workers : int, default=None
        How many share each batch; None for as many as it is worth.
    """

    engine = "compiled"

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer,
        data: Any,
        batch_size: int,
        penalty: float = 0.0,
        n_workers: int | None = None,
    ):
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.data = data
        self._batch_size = batch_size
        self.penalty = penalty
        self._others: ThreadPoolExecutor | None = None
        self._order = aligned((1, data.n_samples), np.int64)
        self._n_rows = data.n_samples  # of the epoch under way
        self.n_workers = n_workers or n_workers_for(network, self.batch_size, *[True] * data.has_sparse_batches)
        self._measure()
        self._make()

    @property
    def batch_size(self) -> int:
        """The rows of a full batch: all there are, if these are fewer than were asked for."""
        return min(self._batch_size, self.data.n_samples)

    # --- making the programs ---

    def _measure(self) -> None:
        """Work out what depends on the data as they are now."""
        data, network = self.data, self.network
        self._version = data.version
        # Weights are counted in a power of 2 near their mean, which rounds none: float32 holds no 1e-300.
        self._unit = 2.0 ** math.floor(math.log2(data.mean_weight))
        size = network.parameter_vector.size
        self.longest_run = int(
            np.clip(MULTIPLICATIONS_OF_A_RUN // (3 * self.batch_size * max(size, 1)), 1, LONGEST_RUN)
        )

    def _make(self) -> None:
        """Draw up the programs for the arrays as they are now."""
        self.parameters, self.gradients = self.network.parameter_vector, self.network.gradient_vector
        self._methods = methods_of(self.network, self.loss, self.optimizer)
        self._matrices = self._what_the_machine_can_gather()
        self._sparse = SparseRows.of(self.data.inputs, self._order) if is_sparse(self.data.inputs) else None
        self._make_for(self.n_workers if self._matrices is not None else 1)
        if self.n_workers > 1 and any(callable(segment) for segment in self._segments):
            self._make_for(1)
        self._is_all_machine = self._matrices is not None and not any(map(callable, self._segments))

    def _make_for(self, n_workers):
        dtype = self.network.dtype
        team = Team(n_workers, self.batch_size, self.gradients)
        mean_weight = 0.0 if self.data.weights is None else self.data.mean_weight / self._unit
        self._programs = [Program(dtype, team, worker, mean_weight) for worker in range(n_workers)]
        steps = [Step() for _ in self._programs]
        for step, program in zip(steps, self._programs, strict=True):
            self._add_passes(step, program)
        for step, program in zip(steps, self._programs, strict=True):  # who owns which parameters is known now
            self._add_verdict(step, program)
            n_passes = len(program.steps)
            self._add_update(step, program)
        self._steps = steps
        self._machines = [
            Machine(program.instructions, dtype, worker, n_workers, team.part)
            for worker, program in enumerate(self._programs)
        ]
        first = self._programs[0]
        self._segments = segments_of(first.everything)
        # The same for a step in pieces: what may be interrupted, how parameters move, and what follows that.
        self._passes, self._moves, self._endings = segments_of_parts(
            first.steps[:n_passes], first.steps[n_passes:], first.at_the_end
        )

    def _add_passes(self, step, program):
        """The way forward, the loss, and the way back."""
        data, network = self.data, self.network
        self._add_gathering(step, program)
        factors, step.losses = program.for_samples(1), program.for_samples(1)
        step.normalizer = program.fixed(1, 1)
        if program.weights is None:
            weights = program.for_samples(1)
            weights[:] = 1
            program.do(gathering.count_rows, step.normalizer)
        else:
            weights, sums = program.weights, program.weight_sums()
            mean = program.constants(0.0 if data.normalize_each_batch else program.mean_weight)
            program.do(gathering.normalizer_of_weights, sums, mean, step.normalizer)
        program.do(gathering.scale_weights, weights, step.normalizer, factors)
        step.outputs, way_back = translate(network, program, step.inputs)
        grad_output = add_loss(
            self.loss, program, step.outputs, network.output_shape, step.targets, factors,
            step.losses,
        )  # fmt: skip
        if any(isinstance(done, Formula) for done in program.steps):
            program.do_in_python(lambda rows: refuse_not_finite(step.losses[:rows]))
        way_back(grad_output, False)
        program.end_way_back()

    def _add_gathering(self, step, program):
        """The rows of the batch, unless Python fills the buffers."""
        kind = np.int64 if holds_classes(self.data.targets) else program.dtype
        if self.data.has_sparse_batches:
            step.inputs = self._sparse
        else:
            step.inputs = program.for_samples(math.prod(self.network.input_shape))
        step.targets = program.for_samples(math.prod(self.data.targets.shape[1:]), kind)
        if self._matrices is None:
            return
        targets = {
            "inputs": step.inputs,
            "targets": step.targets,
            "weights": program.weights,
            "rows": program.row_numbers,
        }
        if self._sparse is not None and step.inputs is not self._sparse:
            program.do(gathering.gather_sparse, *self._sparse.operands, step.inputs)
        for name, matrix in self._matrices.items():
            kernel = gathering.gather_whole_numbers if matrix.dtype == np.int64 else gathering.gather
            program.do(kernel, matrix, self._order, targets[name])
        if self.data.rows is None:
            program.do(gathering.number_rows, program.row_numbers)

    def _add_verdict(self, step, program):
        """The gradients of all workers, the loss of the batch, and whether both are finite."""
        totals, verdicts = program.shared(1), program.shared(1, np.int64)
        step.record = program.fixed(1, self.longest_run)
        step.own = program.team.owned_by(program.worker)
        program.do(judging.sum_losses, step.losses, totals, verdicts)
        for place in intersections(step.own, program.team.left_over()):
            mine, *of_others = program.team.gradients
            for of_other in of_others:
                program.do(judging.add_gradients, program.vector(mine[place]), program.vector(of_other[place]))
        if self.penalty:
            penalty = program.constants(self.penalty / self._unit)
            for place in intersections(step.own, runs_of_ones(self.network.decay_mask)):
                weights, gradients = (
                    program.vector(self.parameters[place]),
                    program.vector(self.gradients[place]),
                )
                program.do(judging.penalize, weights, gradients, totals, step.normalizer, penalty)
        for place in step.own:
            program.do(judging.judge_gradients, program.vector(self.gradients[place]), verdicts)
        program.meet()
        program.do(judging.conclude, totals, step.record, verdicts)

    def _add_update(self, step, program):
        """How the optimizer moves the parameters, and what layers do after that."""
        step.begin = add_update(
            self.optimizer, program, self.parameters,
            self.optimizer.effective_decay_mask(self.network.decay_mask), step.own, self.longest_run,
        )  # fmt: skip
        program.meet()

    def _what_the_machine_can_gather(self):
        """The data as matrices, by name; None if Python has to make the batches."""
        data, dtype = self.data, self.network.dtype
        sparse = is_sparse(data.inputs)
        if not sparse and not isinstance(data.inputs, np.ndarray):
            return None
        target_type = np.dtype(np.int64) if holds_classes(data.targets) else dtype
        targets = data.in_one_piece("targets", target_type)
        inputs = data.inputs.data if sparse else data.in_one_piece("inputs", dtype)
        if targets is None or inputs is None:
            return None
        matrices = {"targets": targets.reshape(data.n_samples, -1)}
        if not sparse:
            matrices["inputs"] = inputs.reshape(data.n_samples, -1)
        if data.weights is not None:
            matrices["weights"] = (data.weights / self._unit).astype(dtype).reshape(-1, 1)
        if data.rows is not None:
            matrices["rows"] = data.rows.astype(np.int64).reshape(-1, 1)
        return matrices

    # --- running them ---

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Within this context the other workers wait to be called, and BLAS leaves the processors to them."""
        if len(self._machines) == 1:
            with blas_on_one_thread(self.n_workers == 1):
                yield
            return
        with blas_on_one_thread(True), ThreadPoolExecutor(len(self._machines), "layernet") as others:
            self._others = others
            try:
                yield
            finally:
                self._others = None

    def epoch(self, order: np.ndarray | None, step_by_step: bool) -> Iterator[Steps]:
        """See all rows once; as in `FormulaPlan`."""
        self._notice_changes()
        n_rows = self.data.n_samples if order is None else len(order)
        if n_rows > self._order.shape[1]:  # some rows are seen several times
            self._order = aligned((1, n_rows), np.int64)
            self._make()
        self._order[0, :n_rows] = np.arange(n_rows) if order is None else order
        self._n_rows = n_rows
        longest = 1 if step_by_step or not self._is_all_machine else self.longest_run
        start = 0
        while start < n_rows:
            if start:  # somebody may have changed something
                self._notice_changes()
            n_steps = min(longest, -(-(n_rows - start) // self.batch_size))
            interrupted = None
            try:
                self._run(start, n_steps)
            except KeyboardInterrupt as signal:
                interrupted = signal
            stop = min(start + self._done * self.batch_size, n_rows)
            if self._done:
                yield self._report(start, stop, self._done, step_by_step)
            if interrupted is not None:
                raise interrupted
            if self._done < n_steps:
                raise self._not_finite(self._done)
            start = stop

    def _notice_changes(self):
        """Draw up the programs anew if arrays were exchanged, or numbers that formulas depend on."""
        if self._version != self.data.version:
            self._measure()
            self._make()
            return
        has_moved = self.network.parameter_vector.ctypes.data != self.parameters.ctypes.data
        is_as_before = self._methods == methods_of(self.network, self.loss, self.optimizer)
        if has_moved or not is_as_before or not self._programs[0].is_up_to_date():
            self._make()

    def _run(self, start, n_steps):
        """Do some steps, and count them, also where Ctrl-C is raised."""
        self._done = 0
        for step in self._steps:
            step.begin(n_steps)
        for program in self._programs:
            for begin in program.beginnings:
                begin()
        self._programs[0].team.gate[:] = 0
        self._machines[0].forget()
        if not self._is_all_machine:
            self._step_in_pieces(start)
            return
        with uninterrupted:
            try:
                self._run_machines(start, n_steps)
            finally:
                self._count(start, self._machines[0].steps_done)

    def _count(self, start, done):
        self._done = done
        for end in self._programs[0].endings:
            end(done)
        start_of_last = start + (done - 1) * self.batch_size
        self.after_steps(done, min(self.batch_size, self._n_rows - start_of_last))

    def after_steps(self, n_steps: int, n_rows: int) -> None:
        """Called when steps were done; as in `FormulaPlan`."""

    def _run_machines(self, start, n_steps):
        arguments = start, n_steps, self._n_rows, self.batch_size
        if len(self._machines) == 1:
            ((first, last),) = self._segments
            self._machines[0].run(first, last, *arguments)
        elif self._others is None:
            with self.ready():
                self._run_machines(start, n_steps)
        else:
            # From a thread that Ctrl-C does not reach: a worker that never came would be waited for for ever.
            running = self._others.submit(self._run_together, arguments)
            try:
                running.result()
            finally:
                running.exception()

    def _run_together(self, arguments):
        first, *others = [(machine.run, 0, machine.n_instructions, *arguments) for machine in self._machines]
        waiting = [self._others.submit(*call) for call in others]
        first[0](*first[1:])
        for other in waiting:
            other.result()

    def _step_in_pieces(self, start):
        """One step, by the machine and by Python in turn."""
        stop = min(start + self.batch_size, self._n_rows)
        (machine,) = self._machines

        def carry_out(segment):
            if callable(segment):
                segment(stop - start)
            else:
                machine.run(*segment, start, 1, stop, stop - start)

        rows = self._order[0, start:stop]
        data = self.data
        weights, numbers = (None if values is None else values[rows] for values in (data.weights, data.rows))
        mean_weight = None if weights is None else data.mean_weight
        sparse_inputs = data.batch(rows)[0] if data.has_sparse_batches else None
        self._programs[0].batch = BatchInPython(
            data.targets[rows], weights, numbers, mean_weight, sparse_inputs
        )
        if self._matrices is None:
            self._fill(rows)
        for segment in self._passes:
            carry_out(segment)
            if machine.status != FINE:
                return
        with uninterrupted, ExitStack() as stack:
            for segment in self._moves:
                carry_out(segment)
            # From here on the step is done: what is left is done and counted even if a part of it fails.
            stack.callback(self._count, start, 1)
            for segment in reversed(self._endings):
                stack.callback(carry_out, segment)

    def _fill(self, rows):
        """Put a batch that the machine cannot gather into the buffers."""
        program = self._programs[0]
        inputs, targets, weights, _, numbers = self.data.batch(rows)
        n_rows = inputs.shape[0]
        step = self._steps[0]
        if not is_sparse(inputs):
            step.inputs[:n_rows] = inputs.reshape(n_rows, -1)
        step.targets[:n_rows] = targets.reshape(n_rows, -1)
        if weights is not None:
            program.weights[:n_rows, 0] = weights / self._unit
        program.row_numbers[:n_rows, 0] = np.arange(n_rows) if numbers is None else numbers

    def _report(self, start, stop, n_steps, step_by_step):
        losses = self._steps[0].record[0, :n_steps].tolist()
        sizes = [self.batch_size] * n_steps
        sizes[-1] = stop - start - (n_steps - 1) * self.batch_size
        if not step_by_step:
            return Steps(losses, sizes, None, None)
        everything = self._programs[0].of_all(self._steps[0].outputs)
        outputs = everything[: stop - start].reshape(stop - start, *self.network.output_shape).copy()
        return Steps(losses, sizes, self.data.targets[self._order[0, start:stop]], outputs)

    def _not_finite(self, done):
        machine = self._machines[0]
        if machine.status == LOSS_NOT_FINITE:
            return NotFiniteError(
                f"the loss is {self._steps[0].record[0, done if self._is_all_machine else 0]}"
            )
        return NotFiniteError("a gradient is not finite")


def holds_classes(targets: np.ndarray) -> bool:
    """Whether targets are class numbers."""
    return targets.dtype.kind in "iu"
