"""Signals that wait: what is done wholly or not at all is not interrupted by Ctrl-C."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # CPython's own module has no stub
import os
import signal
import threading
from types import FrameType
from typing import Any

# `signal.signal` makes an enumeration's member of what it returns: 6 microseconds in the place of half a one.
set_handler = _signal.signal
# Those whose handlers people have raise exceptions: alarms that end what takes too long, a shutdown.
NAMES = ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGTERM")
OTHERS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class SignalsCanWait:
    """Context of many `uninterrupted` blocks: each costs half a microsecond in it, and two outside of it.

    Python runs the handlers of signals between any two instructions of the main thread. In this context they
    stand aside for one of the package. While no `uninterrupted` block is under way, it passes a signal on at
    once. Other threads are never interrupted; there this context does nothing.
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
    """Whose handlers stand aside, how many blocks are under way, and which signals wait for their end."""

    def __init__(self) -> None:
        self.users = 0
        self.depth = 0
        self.waiting: list[int] = []
        self.former: dict[int, Any] = {}
        self.in_place: list[int] = []
        self.note_thread()

    def note_thread(self) -> None:
        """Note which thread the handlers of signals run in."""
        self.main_thread = threading.main_thread().ident

    def enter(self, numbers: tuple[int, ...]) -> None:
        """Take the places of the handlers of some signals, if nobody has taken any yet."""
        users = self.users
        try:
            self.users = users + 1
            if users == 0:
                self._take_places(numbers)
        except BaseException:  # from a handler that was not replaced yet
            self.users = users + 1
            self.leave()
            raise

    def _take_places(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            former = set_handler(number, handle)
            if former is not handle:
                self.former[number] = former
            if callable(self.former[number]):
                self.in_place.append(number)
            else:  # ignored, ending the process, or not Python's: none of these raises anything
                set_handler(number, former)

    def leave(self) -> None:
        """Give the handlers their places back, unless somebody else has taken them meanwhile."""
        self.users -= 1
        if self.users > 0:
            return
        while self.in_place:
            number = self.in_place.pop()
            present = set_handler(number, self.former[number])
            if present is not handle:
                set_handler(number, present)

    def pass_on(self) -> None:
        """Have the signals that waited handled, each once, even if the handler of one raises an error."""
        if not self.waiting:
            return
        number = self.waiting[0]
        self.waiting = [other for other in self.waiting if other != number]
        try:
            self.former[number](number, None)
        finally:
            self.pass_on()

    def begin_child(self) -> None:
        """In a process that a fork has made, forget the blocks of a main thread that is not there."""
        before = self.main_thread
        self.note_thread()
        if self.main_thread != before and self.users:
            self.users, self.depth, self.waiting = 1, 0, []
            self.leave()


def handle(number: int, frame: FrameType | None) -> None:
    """The handler of the package: let the signal wait, or pass it on."""
    if _state.depth:
        _state.waiting.append(number)
    else:
        _state.former[number](number, frame)


_state = _State()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.begin_child)
signals_can_wait = SignalsCanWait()
uninterrupted = Uninterrupted()
