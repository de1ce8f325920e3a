"""Number of threads of a step, and the limit of BLAS's threads."""

from __future__ import annotations

import contextvars
import functools
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layernet.containers import first_layers
from layernet.interrupts import uninterrupted
from layernet.layer import Layer

# A step whose largest product has at most this many multiplications runs on one thread. With two, 200 x 64 x
# 100 gains a tenth on idle cores; on busy ones threads wait for each other, and a fit takes several times as
# long (benchmarks/estimators.py).
SMALL_MULTIPLICATIONS = 4_000_000
# An update of this many parameters takes a millisecond or more, which is worth a second thread.
MANY_WEIGHTS = 500_000
# Each worker reads all weights, which is not worth it for fewer rows.
MIN_ROWS_PER_WORKER = 32

# Whether the code runs within `only_one_thread`; each thread has its own value.
_only_one_thread: contextvars.ContextVar[bool] = contextvars.ContextVar("only_one_thread", default=False)


def has_small_products(network: Layer, batch_size: int, is_sparse: bool = False) -> bool:
    """Return whether no matrix product of a step is worth a second thread.

    Parameters
    ----------
    network : Layer
        Built.
    batch_size : int
    is_sparse : bool, default=False
        Whether the network is given sparse rows, which BLAS does not multiply.

    Returns
    -------
    bool
    """
    sparse_layers = {id(layer) for layer in first_layers(network)} if is_sparse else set()
    sizes = [
        math.prod(shape)
        for layer in network.walk()
        if id(layer) not in sparse_layers
        for shape in layer.parameter_shapes.values()
    ]
    return batch_size * max(sizes, default=0) <= SMALL_MULTIPLICATIONS


def n_workers_for(network: Layer, batch_size: int, is_sparse: bool = False) -> int:
    """Return the number of workers that share a batch: the number of threads allowed, if products are large.

    Parameters
    ----------
    network : Layer
        Built.
    batch_size : int
    is_sparse : bool, default=False
        Whether the network is given sparse rows. Then the update of many weights may be most of a step.

    Returns
    -------
    int
        At least 1.
    """
    has_many_weights = is_sparse and network.parameter_vector.size > MANY_WEIGHTS
    if has_small_products(network, batch_size, is_sparse) and not has_many_weights:
        return 1
    return max(1, min(threads_allowed(), batch_size // MIN_ROWS_PER_WORKER))


@contextmanager
def blas_on_one_thread(condition: bool = True) -> Iterator[None]:
    """Limit matrix products to one thread within this context, if a condition holds.

    The limit holds for the whole process. Where several contexts overlap, in threads that train at the same
    time, the last one to end lifts it.
    """
    if not condition:
        yield
        return
    _limiter.begin()
    try:
        yield
    finally:
        _limiter.end()


@contextmanager
def only_one_thread() -> Iterator[None]:
    """Let everything in this context compute on the calling thread alone, as `threads_allowed` then says.

    Several trainings that run side by side, each in a thread of its own, share the cores best in this way. The
    number of threads decides in which order sums are computed, so the results are also the same for any number
    of trainings.
    """
    token = _only_one_thread.set(True)
    try:
        with blas_on_one_thread():
            yield
    finally:
        _only_one_thread.reset(token)


class _Limiter:
    """Limit of BLAS's threads that overlapping contexts share, and the numbers of threads before it.

    Signals wait while the lock is held: an exception between two lines could leave it locked forever.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._users = 0
        self._of_this_thread = threading.local()
        self._threads_before: list[tuple[Any, int]] = []

    def begin(self) -> None:
        with uninterrupted, self.lock:
            if self._users == 0:
                self._threads_before = [(library, library.num_threads) for library in _blas_libraries()]
                self._set([(library, 1) for library, _ in self._threads_before])
            self._count(1)

    def end(self) -> None:
        with uninterrupted, self.lock:
            self._count(-1)
            if self._users == 0:
                self._set(self._threads_before)

    def _count(self, change: int) -> None:
        self._users += change
        self._of_this_thread.users = getattr(self._of_this_thread, "users", 0) + change

    def begin_in_child(self) -> None:
        """Forget the contexts of the parent's other threads, which do not exist in a forked child."""
        is_limited = self._users > 0
        self._users = getattr(self._of_this_thread, "users", 0)
        if is_limited and self._users == 0:
            self._set(self._threads_before)
        self.lock.release()

    def threads(self) -> int:
        """Return the number of threads that BLAS may have outside of all such contexts."""
        with uninterrupted, self.lock:
            if self._users:
                return min((count for _, count in self._threads_before), default=1)
        return blas_threads()

    def _set(self, counts: list[tuple[Any, int]]) -> None:
        for (library, count), (_, before) in zip(counts, self._threads_before, strict=True):
            if before != 1:
                set_threads_of(library, count)


def set_threads_of(library: Any, count: int) -> None:
    """Set the number of threads of a BLAS library, from any thread.

    From threadpoolctl 3.7 on, only the first Python thread that sets the number for OpenBLAS may do so again;
    the calls of other threads have no effect. `_limiter` coordinates threads by itself, so each of them takes
    that right, and gives it back at once.
    """
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(count)
    if release is not None:
        release(force=True)


def blas_threads() -> int:
    """Return the number of threads of matrix products now, in the BLAS library that has the fewest."""
    return min((library.num_threads for library in _blas_libraries()), default=1)


def threads_allowed() -> int:
    """Return the number of threads that may compute at once: that of BLAS, outside of `blas_on_one_thread`.

    So every limit of BLAS's threads holds here too: OPENBLAS_NUM_THREADS and the like, joblib's workers, and
    `threadpoolctl.threadpool_limits`.

    Returns
    -------
    int
        At least 1.
    """
    return 1 if _only_one_thread.get() else max(1, _limiter.threads())


def _blas_libraries() -> list[Any]:
    return _blas_libraries_of("scipy.linalg" in sys.modules)


@functools.cache
def _blas_libraries_of(with_scipy: bool) -> list[Any]:
    """Return the loaded BLAS libraries. The search takes milliseconds. SciPy has a library of its own."""
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers
    return [library for library in libraries if library.user_api == "blas"]


_limiter = _Limiter()
if hasattr(os, "register_at_fork"):  # no child begins with a lock that a thread of its parent holds
    os.register_at_fork(
        before=_limiter.lock.acquire,
        after_in_parent=_limiter.lock.release,
        after_in_child=_limiter.begin_in_child,
    )
