"""Threads that start on another core than the one that starts them."""

from __future__ import annotations

import _thread
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

BITS_PER_WORD = 8 * ctypes.sizeof(ctypes.c_ulong)


def start_on_another_core(function: Callable[[], None]) -> None:
    """Start a thread that may run on every core that the caller may run on, except the caller's present one.

    Linux leaves a new thread on its parent's core if no other core seems free, and moves it after some
    milliseconds, when a prediction is done. A core seems busy while a thread of OpenBLAS waits on it for the
    next product, in a loop of 27 milliseconds, and in many virtual machines while it sleeps. Other systems
    choose the core themselves.

    Parameters
    ----------
    function : callable
        Called without arguments.

    Raises
    ------
    RuntimeError
        If no thread can be started.
    """
    calls = _system_calls()
    if calls is None:
        _thread.start_new_thread(function, ())
        return
    present_core, set_cores = calls
    is_placed = _thread.allocate_lock()
    is_placed.acquire()

    def run() -> None:
        try:
            function()
        finally:
            is_placed.acquire()  # the cores of a thread that has ended must not be set

    try:
        # `threading.Thread` would wait until the thread runs, which takes long if cores are busy.
        thread = _thread.start_new_thread(run, ())
        cores = os.sched_getaffinity(0) - {present_core()}
        if cores:
            words = (ctypes.c_ulong * (max(cores) // BITS_PER_WORD + 1))()
            for core in cores:
                words[core // BITS_PER_WORD] |= 1 << core % BITS_PER_WORD
            set_cores(thread, ctypes.sizeof(words), words)  # a refusal changes nothing
    finally:
        is_placed.release()


@functools.cache
def _system_calls() -> tuple[Any, Any] | None:
    """Return the C functions for the caller's core and for the cores of a thread; None if there are none.

    They keep Python's lock, so that the thread does not start before its cores are set.
    """
    if sys.platform != "linux":
        return None
    library = ctypes.PyDLL(None)
    try:
        present_core, set_cores = library.sched_getcpu, library.pthread_setaffinity_np
    except AttributeError:  # not in every C library
        return None
    set_cores.argtypes = [ctypes.c_ulong, ctypes.c_size_t, ctypes.c_void_p]
    return present_core, set_cores
