"""Registry of the exercises: `exercise` registers a check, and `check` runs it on an answer."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from layernet.exercises.grading import CheckResult, Grader, NotAnsweredError, described

_HERE = Path(__file__).parent
_MAX_ERROR_LINES = 10

CheckFunction = Callable[[Any, Grader], None]


class _Exercise(NamedTuple):
    task: str
    function: CheckFunction
    takes_objects: bool


_EXERCISES: dict[str, _Exercise] = {}


def exercise(number: str, task: str, takes_objects: bool = False) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function of (answer, grader) as the check of an exercise.

    Parameters
    ----------
    number : str
        "3.1": the notebook, and the exercise in it.
    task : str
        What the exercise asks for, as a phrase: "the backward pass of the softsign".
    takes_objects : bool, default=False
        Whether an answer may be an object that is neither a function nor a class.

    Returns
    -------
    callable
        Decorator of the check.
    """

    def register(function: CheckFunction) -> CheckFunction:
        _EXERCISES[number] = _Exercise(task, function, takes_objects)
        return function

    return register


def check(number: str | float, answer: Any) -> CheckResult:
    """Check the answer to an exercise.

    Parameters
    ----------
    number : str or float
        "3.1": the notebook, and the exercise in it.
    answer : object
        What the exercise asks for: a function, a class, a number or an array. `...` means no answer yet.

    Returns
    -------
    CheckResult
        True if the answer is right. Make it the last line of a cell to see what was tested.

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    number = str(number)
    module = f"layernet.exercises.notebook_{number.partition('.')[0]:0>2}"
    if importlib.util.find_spec(module):
        importlib.import_module(module)
    if number not in _EXERCISES:
        raise ValueError(f"There is no exercise {number!r}; notebook 3 has 3.1, 3.2 and 3.3.")
    task, function, takes_objects = _EXERCISES[number]
    if answer is ... or answer is None:
        return CheckResult(number, task, [], "There is no answer yet.")
    grader, problem = Grader(), ""
    if not (takes_objects or callable(answer)):
        explanation = f"yours is {described(answer)}; pass the name alone, without parentheses after it"
        grader.require("it is a function or a class", False, explanation)
        return CheckResult(number, task, grader.requirements)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function(answer, grader)
        except NotAnsweredError:
            rest = "to the rest " if grader.requirements else ""
            problem = f"There is no answer {rest}yet: nothing is returned."
        except Exception as error:
            problem = _describe_error(error)
    notes = {f"Python warned: {warning.message}" for warning in caught}
    return CheckResult(number, task, grader.requirements, problem, sorted(notes))


def _describe_error(error: Exception) -> str:
    """Return the type and message of an error, and the line of the answer that raised it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent != _HERE]
    answers = [f for f in frames if "site-packages" not in f.filename and "layernet" not in f.filename]
    where = f", in {answers[-1].name}, line {answers[-1].lineno}" if answers else ""
    lines = str(error).splitlines()
    if len(lines) > _MAX_ERROR_LINES:  # the last lines state the cause
        lines = [*lines[:2], "...", *lines[3 - _MAX_ERROR_LINES :]]
    message = "\n    ".join(lines)
    return f"Your answer raised {type(error).__name__}{where}: {message}"
