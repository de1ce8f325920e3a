"""How many threads share a step: for small steps a second one costs more than it helps."""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layernet.containers import first_layers
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
    """How many workers share a batch: as many as BLAS may have threads, if products are large.

    So all that tells BLAS how many threads to use tells us: OPENBLAS_NUM_THREADS and the like, joblib's
    workers, and `threadpoolctl.threadpool_limits`.

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
    return max(1, min(_limiter.threads(), batch_size // ROWS_OF_A_WORKER))


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
    """One limit for all who want it, and what held before it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None
        self._threads_before = 1

    def begin(self) -> None:
        with self._lock:
            if self._users == 0:
                self._threads_before = blas_threads()
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limit.restore_original_limits()

    def threads(self) -> int:
        """How many threads BLAS may have where no step limits them."""
        with self._lock:
            return self._threads_before if self._users else blas_threads()


def blas_threads() -> int:
    """How many threads matrix products may have now, in whichever library has the fewest."""
    libraries = _controller().info()
    return min((one["num_threads"] for one in libraries if one["user_api"] == "blas"), default=1)


def _controller() -> Any:
    return _controller_of("scipy.linalg" in sys.modules)


@functools.cache
def _controller_of(with_scipy: bool) -> Any:
    """One knows the libraries that were loaded when it was made, and SciPy brings a BLAS of its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_limiter = _Limiter()
