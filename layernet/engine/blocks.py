"""Blocks of rows, computed by threads of which none waits for another."""

from __future__ import annotations

import _thread
import atexit
import contextvars
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from layernet.engine.cores import start_elsewhere
from layernet.engine.threads import threads_allowed

Compute = Callable[[slice], np.ndarray]

# Calls of `computed_in_blocks` under way, and a lock for each helping thread that runs, held until it ends.
# Entries are added and removed in one step each.
_calls: set[object] = set()
_helpers: set[Any] = set()


def computed_in_blocks(
    n_rows: int,
    block_size: int,
    compute: Compute,
    lend: Callable[[], AbstractContextManager[Compute]] | None = None,
    waits: bool = False,
) -> np.ndarray:
    """Compute a function of many rows block by block, on several threads.

    The calling thread and its helpers each take the next block that nobody has begun, so that a thread whose
    core is busy computes fewer. When none is left, the caller computes those blocks itself that a helper has
    begun and not finished: the system may have stopped that helper for milliseconds. Whatever the helper
    computes after that is thrown away.

    The arguments alone decide which rows make a block. So the number of threads does not change the result.

    Parameters
    ----------
    n_rows : int
    block_size : int
        Rows of each block but the last.
    compute : callable
        The caller's function of a slice of rows; returns an array with a row for each, which nobody changes.
    lend : callable, default=None
        Returns a context manager that gives a helper its own such function. There are as many helpers as
        `threads_allowed` says, less the threads of other calls; none if this is None.
    waits : bool, default=False
        Whether to wait until all helpers have ended, so that nobody uses the rows after the return.

    Returns
    -------
    ndarray of shape (n_rows, ...)

    Raises
    ------
    Exception
        What the function raises. A block at which a helper fails is computed again by the caller, whose
        traceback shows the error.
    """
    if n_rows <= block_size:
        return compute(slice(0, n_rows))
    ahead = list(range(0, n_rows, block_size))[::-1]

    def compute_next(compute, start):
        finished[start] = compute(slice(start, min(start + block_size, n_rows)))

    finished: dict[int, np.ndarray] = {}
    missing, results, own = set(ahead), None, []
    call = object()
    _calls.add(call)
    try:
        n_helpers = 0
        if lend is not None:
            n_helpers = min(len(ahead) - 1, threads_allowed() - len(_calls) - len(_helpers))
        for _ in range(n_helpers):
            own += _start(ahead, compute_next, lend)
        while True:
            for start in list(finished):
                block = finished.pop(start)
                if start in missing:
                    if results is None:
                        results = np.empty((n_rows, *block.shape[1:]), block.dtype)
                    results[start : start + len(block)] = block
                    missing.discard(start)
            if not missing:
                return results
            try:
                start = ahead.pop()
            except IndexError:
                start = next(iter(missing))
            compute_next(compute, start)
    finally:
        ahead.clear()  # where an error or Ctrl-C ends the call, helpers end after the blocks that they are at
        _calls.discard(call)
        if waits:
            _wait_for(own)


def _start(ahead, compute_next, lend):
    """Start a helper in the caller's context. Returns its lock in a list, empty if no thread can be started."""
    lock = _thread.allocate_lock()
    lock.acquire()
    _helpers.add(lock)

    def help_out():
        try:
            with lend() as compute:
                while True:
                    compute_next(compute, ahead.pop())
        except BaseException:  # nothing is left; or an error, which the caller meets at the same block
            pass
        finally:
            _helpers.discard(lock)
            lock.release()

    try:
        # NumPy's error state is a part of the context.
        start_elsewhere(partial(contextvars.copy_context().run, help_out))
    except RuntimeError:
        _helpers.discard(lock)
        return []
    return [lock]


def _wait_for(locks, seconds=-1.0):
    for lock in list(locks):
        if lock.acquire(timeout=seconds):
            lock.release()


def _wait_for_all() -> None:
    """Wait for helpers that no call waits for, before a fork or the end of the process."""
    _wait_for(_helpers, seconds=1.0)


atexit.register(_wait_for_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_all, after_in_child=_helpers.clear)
