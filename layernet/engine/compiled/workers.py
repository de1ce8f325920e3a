"""Workers that share every batch: their programs, the memory that they share, and the threads that run them.

Each worker computes its own rows forward and backward. After a barrier, each computes the gradients of its part
of the weights for all rows of the batch, and updates that part. A network with small products has one worker,
and does not use this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike

from layernet.engine.compiled.buffers import aligned_zeros
from layernet.engine.compiled.kernels import losses as loss_kernels
from layernet.engine.compiled.kernels import structure
from layernet.engine.compiled.machine import Machine
from layernet.engine.compiled.program import Program


class WorkerGroup:
    """Group of workers that share every batch: its size, and the memory that they share.

    Parameters
    ----------
    n_workers : int
    batch_size : int
        The largest number of rows of a batch.
    gradients : ndarray of shape (n_parameters,)
        The network's own gradients. After the backward pass they are those of the whole batch.
    """

    def __init__(self, n_workers: int, batch_size: int, gradients: np.ndarray) -> None:
        self.n_workers = n_workers
        self.batch_size = batch_size
        self.rows_per_worker = -(-batch_size // n_workers)
        self.gradients = [gradients, *(np.zeros(len(gradients), gradients.dtype) for _ in range(n_workers - 1))]
        self.barrier_counter = np.zeros((1, 1), np.int64)
        # (worker, segment): the worker computes the gradients of this segment of the parameters for the whole
        # batch.
        self.owners: list[tuple[int, slice]] = []
        self._buffers: dict[int, np.ndarray] = {}

    def shared_buffer(self, number: int, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return the shared buffer with this number, the same array in every call."""
        if number not in self._buffers:
            self._buffers[number] = aligned_zeros(shape, dtype)
        return self._buffers[number]

    def updated_segments(self, worker: int) -> list[slice]:
        """Return the parameters that a worker updates: those that it owns, and its part of the unowned ones."""
        own = [segment for owner, segment in self.owners if owner == worker]
        return merge_adjacent(
            [*own, *(self._worker_part(segment, worker) for segment in self.unowned_segments())]
        )

    def unowned_segments(self) -> list[slice]:
        """Return the parameters without an owner: their gradient is a sum over the workers' rows."""
        owned = sorted((segment for _, segment in self.owners), key=lambda segment: segment.start)
        ends = [0, *(segment.stop for segment in owned)]
        starts = [*(segment.start for segment in owned), len(self.gradients[0])]
        return [slice(end, start) for end, start in zip(ends, starts, strict=True) if end < start]

    def _worker_part(self, segment: slice, worker: int) -> slice:
        """Return a worker's part of a segment: whole blocks of 16 entries, a cache line of float32."""
        size = segment.stop - segment.start
        ends = [min(size, 16 * -(-size * w // self.n_workers // 16)) for w in range(self.n_workers + 1)]
        ends[-1] = size
        return slice(segment.start + ends[worker], segment.start + ends[worker + 1])


class WorkerProgram(Program):
    """Program of one worker of a group.

    All workers make their programs by the same calls in the same order, so that buffers correspond.

    Parameters
    ----------
    dtype : float32 or float64
    group : WorkerGroup
    worker : int
        The index of this worker.
    mean_weight : float, default=0.0
        As in `Program`.
    """

    def __init__(self, dtype: np.dtype, group: WorkerGroup, worker: int, mean_weight: float = 0.0) -> None:
        self.group = group
        self.worker = worker
        self._deferred: list[Callable[[], None]] = []
        self._n_buffers = 0
        super().__init__(dtype, group.batch_size, group.gradients[0], mean_weight)

    @property
    def rows_per_worker(self) -> int:
        return self.group.rows_per_worker

    @property
    def _rows_of_all_workers(self) -> int:
        return self.group.rows_per_worker * self.group.n_workers

    def sample_buffer(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        whole = self._shared_buffer(self._rows_of_all_workers, width, dtype)
        first = self.worker * self.rows_per_worker
        return self._register(whole[first : first + self.rows_per_worker], whole)

    def worker_rows(self, width: int, dtype: DTypeLike | None = None) -> np.ndarray:
        return self._shared_buffer(self.group.n_workers, width, dtype)

    def _shared_buffer(self, n_rows: int, width: int, dtype: DTypeLike | None) -> np.ndarray:
        self._n_buffers += 1
        return self.group.shared_buffer(
            self._n_buffers, (n_rows, width), self.dtype if dtype is None else dtype
        )

    @property
    def worker_gradients(self) -> np.ndarray:
        return self.group.gradients[self.worker]

    def owned_gradient(self, network_gradient: np.ndarray) -> tuple[np.ndarray, int]:
        length, width = network_gradient.shape
        first, end = (length * w // self.group.n_workers for w in (self.worker, self.worker + 1))
        start = self._segment_in_vector(network_gradient).start
        self.group.owners.append((self.worker, slice(start + first * width, start + end * width)))
        return network_gradient[first:end], first

    def updated_segments(self) -> list[slice]:
        return self.group.updated_segments(self.worker)

    def emit_gradient_sums(self) -> None:
        total, *others = self.group.gradients
        for segment in intersections(self.updated_segments(), self.group.unowned_segments()):
            for other in others:
                summands = self.as_matrix(total[segment]), self.as_matrix(other[segment])
                self.emit(loss_kernels.add_gradients, *summands)

    def barrier(self) -> None:
        self.emit(structure.barrier, self.group.barrier_counter)

    def after_backward_barrier(self, emit: Callable[[], None]) -> None:
        self._deferred.append(emit)

    def end_backward(self) -> None:
        self.barrier()
        for emit in self._deferred:
            emit()


class WorkerThreads:
    """Threads that run the machines of all workers at the same time.

    Parameters
    ----------
    machines : list of Machine
        One for each worker.
    """

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self._executor: ThreadPoolExecutor | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Keep the threads alive within this context."""
        with ThreadPoolExecutor(len(self._machines), "layernet") as executor:
            self._executor = executor
            try:
                yield
            finally:
                self._executor = None

    def run(self, start: int, n_steps: int, stop: int, batch_size: int) -> None:
        """Do steps with all machines; the arguments are those of `Machine.run`."""
        if self._executor is None:
            with self.ready():
                self.run(start, n_steps, stop, batch_size)
            return
        # The first machine runs in a thread of its own too, because Ctrl-C interrupts only the calling thread.
        # If one worker stopped, the others would wait at a barrier forever.
        running = self._executor.submit(self._run_all, self._executor, start, n_steps, stop, batch_size)
        try:
            running.result()
        finally:
            running.exception()  # after Ctrl-C, waits until the workers have done the steps

    def _run_all(self, executor: ThreadPoolExecutor, *arguments: int) -> None:
        first, *others = self._machines
        running = [executor.submit(other.run, 0, other.n_instructions, *arguments) for other in others]
        first.run(0, first.n_instructions, *arguments)
        for each in running:
            each.result()


def merge_adjacent(segments: list[slice]) -> list[slice]:
    """Merge adjacent slices, and leave out empty ones."""
    result: list[slice] = []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if segment.start == segment.stop:
            continue
        if result and result[-1].stop == segment.start:
            segment = slice(result.pop().start, segment.stop)
        result.append(segment)
    return result


def intersections(first: list[slice], second: list[slice]) -> list[slice]:
    """Return the entries that both lists contain, as slices."""
    pairs = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a in first for b in second)
    return [segment for segment in pairs if segment.start < segment.stop]
