"""Comparison of an answer with the right one: the lines that a check prints, and why an answer is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from layernet.checking import check_layer
from layernet.layer import Layer


class NotAnsweredError(Exception):
    """Raised by a check whose answer returns nothing yet."""


class CheckResult:
    """Result of checking an answer. It is true if the answer is right; printed, it lists what was tested.

    Parameters
    ----------
    number : str
        "3.1": the notebook, and the exercise in it.
    task : str
        What the exercise asks for.
    requirements : sequence of (bool, str)
        Whether each requirement is met, and its line of text.
    problem : str, default=""
        Why the check ended early.
    notes : sequence of str, default=()
        Lines to print at the end.
    """

    def __init__(
        self,
        number: str,
        task: str,
        requirements: Sequence[tuple[bool, str]],
        problem: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.number = number
        self.task = task
        self.requirements = requirements
        self.problem = problem
        self.notes = notes

    def __bool__(self) -> bool:
        return bool(self.requirements) and not self.problem and all(is_met for is_met, _ in self.requirements)

    def __repr__(self) -> str:
        result = "solved" if self else "not solved yet"
        lines = [f"Exercise {self.number}, {self.task}: {result}."]
        lines += [f"  {'ok ' if is_met else 'NO '} {text}" for is_met, text in self.requirements]
        lines += [f"  {line}" for line in (self.problem, *self.notes) if line]
        return "\n".join(lines)


class Grader:
    """Requirements of an exercise. Each method tests one of them and adds a line to the result.

    The name of a requirement is a phrase that follows "ok": `grader.require_close("at x = 2", ...)`.

    Attributes
    ----------
    requirements : list of (bool, str)
        Whether each requirement is met, and its line of text.
    """

    def __init__(self) -> None:
        self.requirements: list[tuple[bool, str]] = []

    def require(self, name: str, is_met: Any, explanation: str) -> bool:
        """Add a requirement and return whether it is met. `explanation` says how the answer differs."""
        self.requirements.append((bool(is_met), name if is_met else f"{name}: {explanation}"))
        return bool(is_met)

    def require_close(self, name: str, answer: Any, expected: Any, tolerance: float = 1e-7) -> bool:
        """Require equal numbers or arrays, up to `tolerance` times the largest expected entry.

        A refused answer is told where it differs most, and by how much.
        """
        if answer is None or answer is ...:
            raise NotAnsweredError
        expected = np.asarray(expected, dtype=float)
        answer, problem = as_numbers(answer)
        if problem:
            return self.require(name, False, problem)
        if answer.shape != expected.shape:
            return self.require(name, False, f"yours has the shape {answer.shape}, {expected.shape} is right")
        if not expected.size:
            return self.require(name, True, "")
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            distance = np.abs(answer - expected)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(distance), np.inf, distance)), distance.shape)
        scale = max(np.abs(expected).max(), 1e-300)
        how = difference(float(answer[worst]), float(expected[worst]))
        how = f"entry {[int(i) for i in worst]} of {how}" if expected.ndim else how
        return self.require(name, distance[worst] <= tolerance * scale, how)

    def require_entries(
        self, name: str, answer: Any, expected: Mapping[str, float], tolerance: float = 1e-7
    ) -> bool:
        """Require a dict with the expected keys and numbers, up to `tolerance` times the largest."""
        if answer is None or answer is ...:
            raise NotAnsweredError
        if not isinstance(answer, dict):
            return self.require(name, False, f"yours is {described(answer)}, a dict is expected")
        scale = max(map(abs, expected.values()))
        for key, right in expected.items():
            try:
                value = answer[key]  # not get(): a defaultdict has an answer to every key
            except KeyError:
                return self.require(name, False, f"yours has no key {key!r}; its value should be {right:.6g}")
            number, problem = as_numbers(value)
            if not problem and number.ndim:
                problem = f"yours has the shape {number.shape}, a number is expected"
            if not problem and not abs(number - right) <= tolerance * scale:
                problem = difference(float(number), right)
            if problem:
                return self.require(name, False, f"at the key {key!r} {problem}")
        return self.require(name, True, "")


def as_numbers(answer: Any) -> tuple[np.ndarray, str]:
    """Return the answer as an array of floats, and an explanation if it is not numeric."""
    nothing = np.empty(0)
    try:
        array = np.asarray(answer)
    except ValueError:
        return nothing, f"yours is a {type(answer).__name__} of rows of different lengths"
    if array.dtype.kind in "fiub":
        return array.astype(float), ""
    if array.dtype.kind == "O":
        numbers = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            value = array[index]
            try:
                numbers[index] = float(value)
            except (TypeError, ValueError):
                where = f"entry {list(index)} of yours" if index else "yours"
                return nothing, f"{where} is {described(value)}, a number is expected"
        return numbers, ""
    return nothing, f"yours is {described(answer)}, numbers are expected"


def described(value: Any) -> str:
    """Return the type of a value, for an error message."""
    if value is None or value is ...:
        return repr(value)
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def difference(answer: float, expected: float) -> str:
    """Return a message with two different numbers. Close numbers get enough digits to tell them apart."""
    apart = abs(answer - expected)
    if not 0 < apart < 1e-4 * abs(expected):  # NaN as well
        return f"yours is {answer:.6g}, {expected:.6g} is right"
    digits = next(n for n in range(7, 18) if n == 17 or f"{answer:.{n}g}" != f"{expected:.{n}g}")
    return f"yours is {answer:.{digits}g}, {expected:.{digits}g} is right; they differ by {apart:.2g}"


def peak_memory(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the largest number of bytes that a function holds at one time while it runs."""
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not was_tracing:
            tracemalloc.stop()


def require_all_laws(layer: Layer, input_shape: int | tuple[int, ...], grader: Grader) -> None:
    """Require that `check_layer` finds no broken law. A refused layer is told which laws it breaks, and how."""
    try:
        check_layer(layer, input_shape)
    except AssertionError as error:
        lines = str(error).splitlines()
        broken = [i for i, line in enumerate(lines) if line.startswith("  BROKEN")]
        explanations = [f"\n      {line.strip()}" for i in broken for line in lines[i : i + 2]]
        grader.require("check_layer", False, "".join(explanations))
    else:
        grader.require("check_layer finds that it keeps all laws of a layer", True, "")
