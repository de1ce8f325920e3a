"""The exercises' checks: `check("3.1", answer)` says what was tested, and how an answer differs."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NotAnswered", "Test", "Verdict", "as_numbers", "check", "exercise", "peak_memory"]

_HERE = Path(__file__).parent
_LONGEST = 10  # lines of an error that are shown

_EXERCISES: dict[str, tuple[str, Callable, bool]] = {}


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
        """Whether numbers or arrays are equal to a part of the largest; says where and how they differ."""
        if answer is None or answer is ...:
            raise NotAnswered
        expected = np.asarray(expected, dtype=float)
        answer, problem = as_numbers(answer)
        if problem:
            return self.that(name, False, problem)
        if answer.shape != expected.shape:
            return self.that(name, False, f"yours has the shape {answer.shape}, {expected.shape} is right")
        if not expected.size:
            return self.that(name, True, "")
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            distance = np.abs(answer - expected)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(distance), np.inf, distance)), distance.shape)
        scale = max(np.abs(expected).max(), 1e-300)
        how = difference(float(answer[worst]), float(expected[worst]))
        how = f"entry {[int(i) for i in worst]} of {how}" if expected.ndim else how
        return self.that(name, distance[worst] <= tolerance * scale, how)

    def entries(self, name: str, answer: Any, expected: dict[str, float], tolerance: float = 1e-7) -> bool:
        """Whether a dict has the right numbers for its keys, to a part of the largest; says which is wrong."""
        if answer is None or answer is ...:
            raise NotAnswered
        if not isinstance(answer, dict):
            return self.that(name, False, f"yours is {described(answer)}, a dict is expected")
        scale = max(map(abs, expected.values()))
        for key, right in expected.items():
            try:
                value = answer[key]  # not get(): a defaultdict has an answer to every key
            except KeyError:
                return self.that(name, False, f"yours has no key {key!r}; its value should be {right:.6g}")
            number, problem = as_numbers(value)
            if not problem and number.ndim:
                problem = f"yours has the shape {number.shape}, a number is expected"
            if not problem and not abs(number - right) <= tolerance * scale:
                problem = difference(float(number), right)
            if problem:
                return self.that(name, False, f"at the key {key!r} {problem}")
        return self.that(name, True, "")


def as_numbers(answer: Any) -> tuple[np.ndarray, str]:
    """An answer as an array of floats, and what is wrong with it if it cannot be one."""
    nothing = np.empty(0)
    try:
        array = np.asarray(answer)
    except ValueError:
        return nothing, f"yours is a {type(answer).__name__} of rows of different lengths"
    if array.dtype.kind in "fiub":
        return array.astype(float), ""
    if array.dtype.kind == "O":
        numbers = np.empty(array.shape)
        for place in np.ndindex(array.shape):
            value = array[place]
            try:
                numbers[place] = float(value)
            except (TypeError, ValueError):
                where = f"entry {list(place)} of yours" if place else "yours"
                return nothing, f"{where} is {described(value)}, a number is expected"
        return numbers, ""
    return nothing, f"yours is {described(answer)}, numbers are expected"


def described(value: Any) -> str:
    """What something is, for a message on a wrong type."""
    if value is None or value is ...:
        return repr(value)
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def difference(answer: float, expected: float) -> str:
    """Two numbers that differ; where they nearly agree, with so many digits that it shows, and by how much."""
    apart = abs(answer - expected)
    if not 0 < apart < 1e-4 * abs(expected):  # NaN as well
        return f"yours is {answer:.6g}, {expected:.6g} is right"
    digits = next(n for n in range(7, 18) if n == 17 or f"{answer:.{n}g}" != f"{expected:.{n}g}")
    return f"yours is {answer:.{digits}g}, {expected:.{digits}g} is right; they differ by {apart:.2g}"


def peak_memory(function: Callable, *arguments: Any) -> int:
    """How many bytes are allocated, at most at one time, while a function runs."""
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def exercise(number: str, task: str, takes_objects: bool = False) -> Callable:
    """Register a function of (answer, test) as the check of an exercise.

    Parameters
    ----------
    number : str
        "3.1": the notebook, and the exercise in it.
    task : str
        What is asked for, as a phrase: "the backward pass of the softsign".
    takes_objects : bool, default=False
        Whether an answer may be something else than a function or a class.
    """

    def register(function: Callable) -> Callable:
        _EXERCISES[number] = (task, function, takes_objects)
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
    number = str(number)  # 3.1 for "3.1"
    module = f"checks.chapter_{number.partition('.')[0]:0>2}"
    if importlib.util.find_spec(module):
        importlib.import_module(module)
    if number not in _EXERCISES:
        raise ValueError(f"There is no exercise {number!r}; notebook 3 has 3.1, 3.2 and 3.3.")
    task, function, takes_objects = _EXERCISES[number]
    if answer is ... or answer is None:
        return Verdict(number, task, [], "There is no answer yet.")
    test, problem = Test(), ""
    if not (takes_objects or callable(answer)):
        how = f"yours is {described(answer)}; hand over the name alone, without parentheses behind it"
        test.that("it is a function or a class", False, how)
        return Verdict(number, task, test.tests)
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
