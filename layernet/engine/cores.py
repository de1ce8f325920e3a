"""Threads that start on another core than the one that starts them."""

from __future__ import annotations

import _thread
import ctypes
import functools
import os
import sys
from collections.abc import Callable

BITS_OF_A_WORD = 8 * ctypes.sizeof(ctypes.c_ulong)


def start_elsewhere(function: Callable[[], None]) -> None:
    """Start a thread that may run on all cores that the caller may run on, but for the caller's present one.

    Linux leaves a new thread on its parent's core if no other core seems free, and moves it some milliseconds
    later, when a prediction is done. A core does not seem free while a thread of OpenBLAS waits on it for the
    next product, in a loop that lasts 27 milliseconds; nor, in many virtual machines, while it sleeps. Systems
    other than Linux choose the core alone.

    Parameters
    ----------
    function : callable
        Without arguments.

    Raises
    ------
    RuntimeError
        If no thread can be started.
    """
    calls = _calls_of_the_system()
    if calls is None:
        _thread.start_new_thread(function, ())
        return
    present_core, restrict = calls
    is_placed = _thread.allocate_lock()
    is_placed.acquire()

    def run():
        try:
            function()
        finally:
            is_placed.acquire()  # a thread that has ended must not be told anything

    try:
        # `threading.Thread` would wait until the thread runs, which takes long where cores are busy.
        thread = _thread.start_new_thread(run, ())
        cores = os.sched_getaffinity(0) - {present_core()}
        if cores:
            words = (ctypes.c_ulong * (max(cores) // BITS_OF_A_WORD + 1))()
            for core in cores:
                words[core // BITS_OF_A_WORD] |= 1 << core % BITS_OF_A_WORD
            restrict(thread, ctypes.sizeof(words), words)  # a refusal changes nothing
    finally:
        is_placed.release()


@functools.cache
def _calls_of_the_system():
    """The C functions that say which core the caller is on, and which cores a thread may run on; None without.

    They keep Python's lock, so that the thread does not begin before it is told.
    """
    if sys.platform != "linux":
        return None
    library = ctypes.PyDLL(None)
    try:
        present_core, restrict = library.sched_getcpu, library.pthread_setaffinity_np
    except AttributeError:  # not in every C library
        return None
    restrict.argtypes = [ctypes.c_ulong, ctypes.c_size_t, ctypes.c_void_p]
    return present_core, restrict
