"""Deferred signals: Ctrl-C waits until a block of code is complete."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # CPython's own module has no stub
import os
import signal
import threading
from types import FrameType
from typing import Any

# `signal.signal` converts its result to a member of an enumeration, which takes 6 microseconds instead of 0.5.
set_handler = _signal.signal
# Other signals whose handlers often raise exceptions: alarms for timeouts, and a shutdown.
NAMES = ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGTERM")
OTHERS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class SignalsCanWait:
    """Context of many `uninterrupted` blocks: each costs half a microsecond in it, and two outside of it.

    Python runs signal handlers between any two instructions of the main thread. This context installs a handler
    of the package in their place. Outside of `uninterrupted` blocks, that handler calls the former handler at
    once. Signals never interrupt other threads; there this context does nothing.
    """

    def __enter__(self) -> None:
        if threading.get_ident() == _state.main_thread:
            _state.enter((signal.SIGINT, *OTHERS))

    def __exit__(self, *error: Any) -> None:
        if threading.get_ident() == _state.main_thread:
            _state.leave()


class Uninterrupted:
    """Context in which signals wait: the exception of Ctrl-C is raised when the block is done."""

    def __enter__(self) -> None:
        if threading.get_ident() == _state.main_thread:
            depth = _state.depth
            try:  # a handler that was not replaced yet may raise an exception between any two lines
                _state.depth = depth + 1
                _state.enter((signal.SIGINT,))
            except BaseException:
                _state.depth = depth
                raise

    def __exit__(self, *error: Any) -> None:
        if threading.get_ident() == _state.main_thread:
            try:
                _state.leave()
            finally:
                _state.depth -= 1
                if _state.waiting and _state.depth == 0:
                    _state.pass_on()


class _State:
    """State of the deferral: replaced handlers, number of open blocks, waiting signals."""

    def __init__(self) -> None:
        self.users = 0
        self.depth = 0
        self.waiting: list[int] = []
        self.former: dict[int, Any] = {}
        self.in_place: list[int] = []
        self.note_thread()

    def note_thread(self) -> None:
        """Store the thread in which signal handlers run."""
        self.main_thread = threading.main_thread().ident

    def enter(self, numbers: tuple[int, ...]) -> None:
        """Replace the handlers of some signals, unless an outer context has replaced them."""
        users = self.users
        try:
            self.users = users + 1
            if users == 0:
                self._replace_handlers(numbers)
        except BaseException:  # from a handler that was not replaced yet
            self.users = users + 1
            self.leave()
            raise

    def _replace_handlers(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            former = set_handler(number, handle)
            if former is not handle:
                self.former[number] = former
            if callable(self.former[number]):
                self.in_place.append(number)
            else:  # ignored, ending the process, or not Python's: none of these raises anything
                set_handler(number, former)

    def leave(self) -> None:
        """Restore the handlers, except those that other code has replaced in the meantime."""
        self.users -= 1
        if self.users > 0:
            return
        while self.in_place:
            number = self.in_place.pop()
            present = set_handler(number, self.former[number])
            if present is not handle:
                set_handler(number, present)

    def pass_on(self) -> None:
        """Call the former handler of each waiting signal once, even if one of them raises an error."""
        if not self.waiting:
            return
        number = self.waiting[0]
        self.waiting = [other for other in self.waiting if other != number]
        try:
            self.former[number](number, None)
        finally:
            self.pass_on()

    def begin_child(self) -> None:
        """Reset the state in a forked process whose main thread is another one."""
        before = self.main_thread
        self.note_thread()
        if self.main_thread != before and self.users:
            self.users, self.depth, self.waiting = 1, 0, []
            self.leave()


def handle(number: int, frame: FrameType | None) -> None:
    """Handle a signal: defer it inside an `uninterrupted` block, else call the former handler."""
    if _state.depth:
        _state.waiting.append(number)
    else:
        _state.former[number](number, frame)


_state = _State()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.begin_child)
signals_can_wait = SignalsCanWait()
uninterrupted = Uninterrupted()
