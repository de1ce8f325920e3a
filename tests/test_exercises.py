"""The exercises' checks: they pass on the solutions, and refuse blanks and plausible wrong answers."""

import importlib
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from sklearn.base import clone

from layernet.exercises import Grader, NotAnsweredError, check

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = [int(path.name[:2]) for path in sorted(FOLDER.glob("*.ipynb"))]
EXERCISES = [(notebook, number) for notebook in NOTEBOOKS for number in (1, 2, 3)]


def answers(package, notebook, number):
    return getattr(importlib.import_module(f"{package}.notebook_{notebook:02d}"), f"exercise_{number}")


@pytest.mark.parametrize(("notebook", "number"), EXERCISES)
def test_the_solution_passes(notebook, number):
    verdict = check(f"{notebook}.{number}", answers("solutions", notebook, number))
    assert verdict, verdict


@pytest.mark.parametrize(("notebook", "number"), EXERCISES)
@pytest.mark.parametrize(
    "blank", [..., None, lambda *arguments, **options: None], ids=["...", "None", "function"]
)
def test_a_blank_does_not(notebook, number, blank):
    verdict = check(f"{notebook}.{number}", blank)
    assert not verdict
    assert "not solved yet" in repr(verdict)


@pytest.mark.parametrize(("notebook", "number"), EXERCISES)
def test_wrong_answers_do_not_and_are_told_why(notebook, number):
    wrong = answers("wrong_answers", notebook, number)
    assert len(wrong) >= 3
    for answer in wrong:
        verdict = check(f"{notebook}.{number}", answer)
        assert not verdict, f"{answer} passed"
        assert "  NO " in repr(verdict) or "Your answer raised" in repr(verdict), verdict


@pytest.mark.parametrize(("notebook", "number"), EXERCISES)
def test_right_answers_in_unusual_forms_pass(notebook, number):
    right = answers("right_answers", notebook, number)
    assert len(right) >= 2
    for answer in right:
        verdict = check(f"{notebook}.{number}", answer)
        assert verdict, f"{answer}: {verdict}"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_notebook_has_the_three_blanks(notebook):
    (path,) = FOLDER.glob(f"{notebook:02d}-*.ipynb")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    asked = [number for cell in cells for number in re.findall(r'check\("([\d.]+)"', cell.source)]
    assert asked == [f"{notebook}.{number}" for number in (1, 2, 3)]
    for cell in cells:
        if "check(" in cell.source:
            said = "".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs)
            assert "not solved yet" in said


def test_what_a_check_says():
    grader = Grader()
    assert grader.require_close("at 2", 4.0, 4.0)
    assert not grader.require_close("at 3", [1.0, 2.0], [1.0, 3.0])
    assert not grader.require_close("for a batch", [1.0, 2.0], [[1.0, 2.0]])
    assert not grader.require_close("of a word", "two", 2.0)
    assert not grader.require_close("where it is not finite", float("nan"), 2.0)
    assert not grader.require("the inputs stay", False, "they were changed")
    assert [text for _, text in grader.requirements] == [
        "at 2",
        "at 3: entry [1] of yours is 2, 3 is right",
        "for a batch: yours has the shape (2,), (1, 2) is right",
        "of a word: yours is str, numbers are expected",
        "where it is not finite: yours is nan, 2 is right",
        "the inputs stay: they were changed",
    ]
    with pytest.raises(NotAnsweredError):
        grader.require_close("nothing", None, 1.0)


def test_two_numbers_that_look_alike_are_told_apart():
    grader = Grader()
    for answer, expected, tolerance in (
        (-0.6226647, -0.6226645, 1e-7),
        (1.0, 1.0 + 3e-12, 1e-13),
        ([1.0, 2.0], [1.0, 2.0000004], 1e-8),
    ):
        assert not grader.require_close("here", answer, expected, tolerance)
        yours, right = re.search(r"yours is (\S+), (\S+) is right", grader.requirements[-1][1]).groups()
        assert yours != right
        apart = float(re.search(r"they differ by (\S+)$", grader.requirements[-1][1]).group(1))
        assert apart == pytest.approx(np.abs(np.subtract(answer, expected)).max(), rel=0.1)


def test_what_is_said_of_entries_and_types():
    grader, expected = Grader(), {"x": 2.0, "p": 1.0}
    assert grader.require_entries("ok", {"x": 2.0, "p": 1, "more": None}, expected)
    for answer in (
        {"x": 2.0},
        {"x": None, "p": 1.0},
        {"x": "2", "p": 1.0},
        {"x": [2.0], "p": 1.0},
        {"x": 2.0, "p": float("nan")},
        {"x": 2.0, "p": 1.5},
        [2.0, 1.0],
    ):
        assert not grader.require_entries("", answer, expected)
    for answer in ([1.0, None], [1.0, "two"], [[1.0], [2.0, 3.0]], np.array(["1", "2"]), [1j, 2.0], {"x": 1}):
        assert not grader.require_close("", answer, [1.0, 2.0])
    assert [text.removeprefix(": ") for _, text in grader.requirements] == [
        "ok",
        "yours has no key 'p'; its value should be 1",
        "at the key 'x' yours is None, a number is expected",
        "at the key 'x' yours is str, numbers are expected",
        "at the key 'x' yours has the shape (1,), a number is expected",
        "at the key 'p' yours is nan, 1 is right",
        "at the key 'p' yours is 1.5, 1 is right",
        "yours is list, a dict is expected",
        "entry [1] of yours is None, a number is expected",
        "yours is list, numbers are expected",
        "yours is a list of rows of different lengths",
        "yours is an array of <U1, numbers are expected",
        "yours is list, numbers are expected",
        "yours is dict, a number is expected",
    ]


@pytest.mark.parametrize("number", ["1.1", "3.3", "6.3", "9.2"])
def test_something_else_than_a_function_is_named(number):
    for answer, name in ((0.97, "float"), ([1.0], "list"), (np.zeros(2), "an array of float64")):
        assert f"yours is {name}; pass the name alone" in repr(check(number, answer))


def test_the_reasons_of_a_count_are_true():
    answers_3_1 = answers("wrong_answers", 3, 1)
    said = {answer.__name__: repr(check("3.1", answer)) for answer in answers_3_1}
    assert "goes forward. That is right" in said["forwards_from_x2"]
    assert "yours takes 8" in said["by_four_paths"]
    assert "yours takes 8" in said["four_paths_in_an_array"]
    assert "it saw 0" in said["four_paths_as_floats"]


def test_a_number_finds_the_exercise_as_well():
    assert check(3.1, answers("solutions", 3, 1))


def test_an_exercise_that_is_not_there():
    for number in ("99.1", "1.9", "one"):
        with pytest.raises(ValueError, match="There is no exercise"):
            check(number, 1)


def test_an_answer_cannot_spoil_the_next_check():
    def reverses(edges, start, target):
        edges.reverse()
        return 0.0

    assert not check("3.2", reverses)
    assert check("3.2", answers("solutions", 3, 2))
    assert check("3.3", answers("solutions", 3, 3))


def test_a_search_may_have_a_grid_of_numpy():
    search = answers("solutions", 2, 2)
    grid = {name: np.array(values) for name, values in search.param_grid.items()}
    verdict = check("2.2", clone(search).set_params(param_grid=grid))
    assert verdict, verdict
