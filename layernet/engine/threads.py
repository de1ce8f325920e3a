"""The number of threads that share a step: for small steps a second one costs more than it helps."""

from __future__ import annotations

import contextvars
import functools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from layernet.containers import first_layers
from layernet.interrupts import uninterrupted
from layernet.layer import Layer

# Multiplications in the largest product of a step, below which one thread is as fast or faster: 200 x 64 x 100
# gains a tenth on two idle cores. On busy ones threads wait for each other, and a fit takes several times as
# long (benchmarks/estimators.py).
SMALL_PRODUCT = 4_000_000
# An update of so many parameters takes a millisecond or more: as much as two workers can share.
MANY_WEIGHTS = 500_000
# A product of fewer rows is not worth a worker of its own: all of them read all the weights.
ROWS_OF_A_WORKER = 32


def has_small_products(network: Layer, batch_size: int, is_sparse: bool = False) -> bool:
    """Whether no matrix product of a step is worth a second thread.

    Parameters
    ----------
    network : Layer
        Built.
    batch_size : int
    is_sparse : bool, default=False
        Whether the network is given sparse rows; what multiplies these is not BLAS.

    Returns
    -------
    bool
    """
    apart = {id(layer) for layer in first_layers(network)} if is_sparse else set()
    sizes = [
        math.prod(shape)
        for layer in network.walk()
        if id(layer) not in apart
        for shape in layer.parameter_shapes.values()
    ]
    return batch_size * max(sizes, default=0) <= SMALL_PRODUCT


def n_workers_for(network: Layer, batch_size: int, is_sparse: bool = False) -> int:
    """How many workers share a batch: as many as are allowed, if products are large.

    Parameters
    ----------
    network : Layer
        Built.
    batch_size : int
    is_sparse : bool, default=False
        Whether the network is given sparse rows. Then most of a step may be the update of its many weights.

    Returns
    -------
    int
        At least 1.
    """
    has_many_weights = is_sparse and network.parameter_vector.size > MANY_WEIGHTS
    if has_small_products(network, batch_size, is_sparse) and not has_many_weights:
        return 1
    return max(1, min(threads_allowed(), batch_size // ROWS_OF_A_WORKER))


def share(function: Callable[[Any], None], items: Sequence[Any]) -> None:
    """Call a function for each of some items, on as many threads as are allowed, and wait until all are done.

    Each thread takes the next item that nobody has taken. The calls must not depend on their order, nor write
    where another one reads or writes.

    Parameters
    ----------
    function : callable
        Of an item. It gains from several threads where it computes in NumPy or SciPy, with Python's lock free.
    items : sequence

    Raises
    ------
    BaseException
        The first that a call raised, when no thread is at work any more; items that nobody had taken are left.
    """
    ahead, errors = list(items)[::-1], []

    def work():
        try:
            while ahead:
                try:
                    item = ahead.pop()
                except IndexError:  # another thread has taken the last
                    return
                function(item)
        except BaseException as error:
            ahead.clear()
            errors.append(error)

    n_helpers = max(0, min(threads_allowed(), len(ahead)) - 1)
    # NumPy's error state is a part of the context.
    helpers = [threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(n_helpers)]
    started = []
    try:
        for helper in helpers:
            helper.start()
            started.append(helper)
    except RuntimeError:  # the system gives no more threads
        pass
    work()
    for helper in started:
        helper.join()
    if errors:
        raise errors[0]


@contextmanager
def blas_on_one_thread(condition: bool = True) -> Iterator[None]:
    """A context in which matrix products run on one thread, if a condition holds.

    The limit is the whole process's. Where several contexts overlap, in threads that train at the same time,
    the last to end lifts it.
    """
    if not condition:
        yield
        return
    _limiter.begin()
    try:
        yield
    finally:
        _limiter.end()


class _Limiter:
    """One limit for all who want it, and what held before it.

    Signals wait while the lock is held: an exception between two lines could leave it locked for ever.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self._users = 0
        self._threads_before: list[tuple[Any, int]] = []

    def begin(self) -> None:
        with uninterrupted, self.lock:
            if self._users == 0:
                self._threads_before = [(library, library.num_threads) for library in _blas_libraries()]
                self._set([(library, 1) for library, _ in self._threads_before])
            self._users += 1

    def end(self) -> None:
        with uninterrupted, self.lock:
            self._users -= 1
            if self._users == 0:
                self._set(self._threads_before)

    def threads(self) -> int:
        """How many threads BLAS may have where no step limits them."""
        with uninterrupted, self.lock:
            if self._users:
                return min((count for _, count in self._threads_before), default=1)
        return blas_threads()

    def _set(self, counts):
        for (library, count), (_, before) in zip(counts, self._threads_before, strict=True):
            if before != 1:
                library.set_num_threads(count)


def blas_threads() -> int:
    """How many threads matrix products may have now, in whichever library has the fewest."""
    return min((library.num_threads for library in _blas_libraries()), default=1)


def threads_allowed() -> int:
    """How many threads may compute at once: as many as BLAS may have where no step limits them.

    So all that tells BLAS how many threads to use tells us: OPENBLAS_NUM_THREADS and the like, joblib's
    workers, and `threadpoolctl.threadpool_limits`.

    Returns
    -------
    int
        At least 1.
    """
    return max(1, _limiter.threads())


def _blas_libraries() -> list[Any]:
    return _blas_libraries_of("scipy.linalg" in sys.modules)


@functools.cache
def _blas_libraries_of(with_scipy: bool) -> list[Any]:
    """Libraries are found once: that takes milliseconds. SciPy brings a BLAS of its own."""
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers
    return [library for library in libraries if library.user_api == "blas"]


_limiter = _Limiter()
if hasattr(os, "register_at_fork"):  # no child begins with a lock that a thread of its parent holds
    os.register_at_fork(
        before=_limiter.lock.acquire,
        after_in_parent=_limiter.lock.release,
        after_in_child=_limiter.lock.release,
    )
