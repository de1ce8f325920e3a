"""The exercises' checks: `check("3.1", answer)` says what was tested, and how an answer differs."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NotAnswered", "Test", "Verdict", "check", "exercise"]

_HERE = Path(__file__).parent
_LONGEST = 10  # lines of an error that are shown

_EXERCISES: dict[str, tuple[str, Callable]] = {}


class NotAnswered(Exception):
    """There is no answer yet."""


class Verdict:
    """What came of a check: true if the answer is right; printed, it says what was tested."""

    def __init__(
        self, number: str, task: str, tests: list[tuple[bool, str]], problem: str = "", notes: list[str] = ()
    ):
        self.number = number
        self.task = task
        self.tests = tests
        self.problem = problem
        self.notes = notes

    def __bool__(self) -> bool:
        return bool(self.tests) and not self.problem and all(passed for passed, _ in self.tests)

    def __repr__(self) -> str:
        result = "solved" if self else "not solved yet"
        lines = [f"Exercise {self.number}, {self.task}: {result}."]
        lines += [f"  {'ok ' if passed else 'NO '} {text}" for passed, text in self.tests]
        lines += [f"  {line}" for line in (self.problem, *self.notes) if line]
        return "\n".join(lines)


class Test:
    """What an exercise does to an answer: each of these adds a line to the verdict.

    All names of tests are phrases that go on after "ok": `test.close("at x = 2", ...)`.
    """

    __test__ = False  # for pytest, which collects classes of this name

    def __init__(self) -> None:
        self.tests: list[tuple[bool, str]] = []

    def that(self, name: str, holds: Any, otherwise: str) -> bool:
        """Whether something holds; `otherwise` says how the answer differs."""
        self.tests.append((bool(holds), name if holds else f"{name}: {otherwise}"))
        return bool(holds)

    def close(self, name: str, answer: Any, expected: Any, tolerance: float = 1e-7) -> bool:
        """Whether numbers or arrays are equal to a part of the largest; says shape, place and both values."""
        if answer is None or answer is ...:
            raise NotAnswered
        expected = np.asarray(expected, dtype=float)
        try:
            answer = np.asarray(answer, dtype=float)
        except (TypeError, ValueError):
            return self.that(name, False, f"yours is {type(answer).__name__}, numbers are expected")
        if answer.shape != expected.shape:
            return self.that(name, False, f"yours has the shape {answer.shape}, {expected.shape} is right")
        if not expected.size:
            return self.that(name, True, "")
        distance = np.abs(answer - expected)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(distance), np.inf, distance)), distance.shape)
        scale = max(np.abs(expected).max(), 1e-300)
        where = f"entry {[int(i) for i in worst]} of yours is" if expected.ndim else "yours is"
        how = f"{where} {answer[worst]:.6g}, {expected[worst]:.6g} is right"
        return self.that(name, distance[worst] <= tolerance * scale, how)


def exercise(number: str, task: str) -> Callable:
    """Register a function of (answer, test) as the check of an exercise.

    Parameters
    ----------
    number : str
        "3.1": the notebook, and the exercise in it.
    task : str
        What is asked for, as a phrase: "the backward pass of the softsign".
    """

    def register(function: Callable) -> Callable:
        _EXERCISES[number] = (task, function)
        return function

    return register


def check(number: str, answer: Any) -> Verdict:
    """Check the answer to an exercise.

    Parameters
    ----------
    number : str
        "3.1": the notebook, and the exercise in it.
    answer : object
        What the exercise asks for: a function, a class, a number or an array. `...` is no answer yet.

    Returns
    -------
    Verdict
        Let it be the last line of a cell, to read it.
    """
    module = f"checks.chapter_{number.partition('.')[0]:0>2}"
    if importlib.util.find_spec(module):
        importlib.import_module(module)
    if number not in _EXERCISES:
        raise ValueError(f"There is no exercise {number!r}; notebook 3 has 3.1, 3.2 and 3.3.")
    task, function = _EXERCISES[number]
    if answer is ... or answer is None:
        return Verdict(number, task, [], "There is no answer yet.")
    test, problem = Test(), ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            function(answer, test)
        except NotAnswered:
            problem = f"There is no answer {'to the rest ' if test.tests else ''}yet: nothing is returned."
        except Exception as error:
            problem = _say(error)
    notes = {f"Mind the warning: {warning.message}" for warning in warned}
    return Verdict(number, task, test.tests, problem, sorted(notes))


def _say(error: Exception) -> str:
    """What was raised, and in which line of the answer."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent != _HERE]
    theirs = [f for f in frames if "site-packages" not in f.filename and "layernet" not in f.filename]
    where = f", in {theirs[-1].name}, line {theirs[-1].lineno}" if theirs else ""
    lines = str(error).splitlines()
    if len(lines) > _LONGEST:  # the beginning, and the end, where the cause stands
        lines = [*lines[:2], "...", *lines[3 - _LONGEST :]]
    message = "\n    ".join(lines)
    return f"Your answer raised {type(error).__name__}{where}: {message}"
