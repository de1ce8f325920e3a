"""Functions of many rows, computed block by block in several threads."""

from __future__ import annotations

import _thread
import atexit
import contextvars
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from layernet.engine.cores import start_on_another_core
from layernet.engine.threads import threads_allowed

Compute = Callable[[slice], np.ndarray]

# The calls of `compute_in_blocks` that run, and a lock for each helper thread, held until the thread ends. To
# add or remove an entry is atomic.
_calls: set[object] = set()
_helpers: set[Any] = set()


def compute_in_blocks(
    n_rows: int,
    block_size: int,
    compute: Compute,
    compute_for_helper: Callable[[], AbstractContextManager[Compute]] | None = None,
    wait_for_helpers: bool = False,
) -> np.ndarray:
    """Compute a function of many rows block by block, in several threads.

    The calling thread and its helpers each take the next block that no thread has begun, so that a thread on
    a busy core computes fewer. When no block is left to begin, the caller computes again the blocks that
    helpers have not finished, because the system may have stopped a helper for milliseconds. A result that
    comes later is discarded.

    The blocks depend on the arguments alone. So the number of threads does not change the result.

    Parameters
    ----------
    n_rows : int
    block_size : int
        Rows of each block but the last.
    compute : callable
        Returns an array with a row for each row of a slice; called by the calling thread.
    compute_for_helper : callable, default=None
        Returns a context manager that gives a helper such a function of its own. The number of helpers is
        `threads_allowed()` minus the threads of other calls; 0 if this is None.
    wait_for_helpers : bool, default=False
        Whether to return only when all helpers have ended, so that none reads the rows afterwards.

    Returns
    -------
    ndarray of shape (n_rows, ...)

    Raises
    ------
    Exception
        An error of the function. A block at which a helper fails is computed again by the caller, which then
        raises the error.
    """
    if n_rows <= block_size:
        return compute(slice(0, n_rows))
    pending = list(range(0, n_rows, block_size))[::-1]

    def compute_block(compute: Compute, start: int) -> None:
        finished[start] = compute(slice(start, min(start + block_size, n_rows)))

    finished: dict[int, np.ndarray] = {}
    missing, locks = set(pending), []
    results: np.ndarray | None = None
    call = object()
    _calls.add(call)
    try:
        if compute_for_helper is not None:
            n_helpers = min(len(pending) - 1, threads_allowed() - len(_calls) - len(_helpers))
            for _ in range(n_helpers):
                locks += _start_helper(pending, compute_block, compute_for_helper)
        while True:
            for start in list(finished):
                block = finished.pop(start)
                if start in missing:
                    if results is None:
                        results = np.empty((n_rows, *block.shape[1:]), block.dtype)
                    results[start : start + len(block)] = block
                    missing.discard(start)
            if not missing and results is not None:
                return results
            try:
                start = pending.pop()
            except IndexError:
                start = next(iter(missing))
            compute_block(compute, start)
    finally:
        pending.clear()  # after an error or Ctrl-C, helpers end with the blocks that they have begun
        _calls.discard(call)
        if wait_for_helpers:
            _wait_for(locks)


def _start_helper(
    pending: list[int],
    compute_block: Callable[[Compute, int], None],
    compute_for_helper: Callable[[], AbstractContextManager[Compute]],
) -> list[Any]:
    """Start a helper in the caller's context; return its lock in a list, empty if no thread can be started."""
    lock = _thread.allocate_lock()
    lock.acquire()
    _helpers.add(lock)

    def help_out() -> None:
        try:
            with compute_for_helper() as compute:
                while True:
                    compute_block(compute, pending.pop())
        except BaseException:  # no block is left; or an error, which the caller gets at the same block
            pass
        finally:
            _helpers.discard(lock)
            lock.release()

    try:
        # NumPy's error state is a part of the context.
        start_on_another_core(partial(contextvars.copy_context().run, help_out))
    except RuntimeError:
        _helpers.discard(lock)
        return []
    return [lock]


def _wait_for(locks: Iterable[Any], seconds: float = -1.0) -> None:
    for lock in list(locks):
        if lock.acquire(timeout=seconds):
            lock.release()


def _wait_for_all() -> None:
    """Wait for all helpers, before a fork or the end of the process."""
    _wait_for(_helpers, seconds=1.0)


atexit.register(_wait_for_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_all, after_in_child=_helpers.clear)
