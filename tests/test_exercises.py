"""The exercises' checks: they pass on the solutions, and refuse blanks and plausible wrong answers."""

import importlib
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from checks import NotAnswered, Test, check
from sklearn.base import clone

FOLDER = Path(__file__).parent.parent / "notebooks"
CHAPTERS = [int(path.name[:2]) for path in sorted(FOLDER.glob("*.ipynb"))]
EXERCISES = [(chapter, number) for chapter in CHAPTERS for number in (1, 2, 3)]


def answers(package, chapter, number):
    return getattr(importlib.import_module(f"{package}.chapter_{chapter:02d}"), f"exercise_{number}")


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_the_solution_passes(chapter, number):
    verdict = check(f"{chapter}.{number}", answers("solutions", chapter, number))
    assert verdict, verdict


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
@pytest.mark.parametrize(
    "blank", [..., None, lambda *arguments, **options: None], ids=["...", "None", "function"]
)
def test_a_blank_does_not(chapter, number, blank):
    verdict = check(f"{chapter}.{number}", blank)
    assert not verdict
    assert "not solved yet" in repr(verdict)


@pytest.mark.parametrize(("chapter", "number"), EXERCISES)
def test_wrong_answers_do_not_and_are_told_why(chapter, number):
    wrong = answers("wrong_answers", chapter, number)
    assert len(wrong) >= 3
    for answer in wrong:
        verdict = check(f"{chapter}.{number}", answer)
        assert not verdict, f"{answer} passed"
        assert "  NO " in repr(verdict) or "Your answer raised" in repr(verdict), verdict


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_notebook_has_the_three_blanks(chapter):
    (path,) = FOLDER.glob(f"{chapter:02d}-*.ipynb")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    asked = [number for cell in cells for number in re.findall(r'check\("([\d.]+)"', cell.source)]
    assert asked == [f"{chapter}.{number}" for number in (1, 2, 3)]
    for cell in cells:
        if "check(" in cell.source:
            said = "".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs)
            assert "not solved yet" in said


def test_what_a_check_says():
    test = Test()
    assert test.close("at 2", 4.0, 4.0)
    assert not test.close("at 3", [1.0, 2.0], [1.0, 3.0])
    assert not test.close("for a batch", [1.0, 2.0], [[1.0, 2.0]])
    assert not test.close("of a word", "two", 2.0)
    assert not test.close("where it is not finite", float("nan"), 2.0)
    assert not test.that("the inputs stay", False, "they were changed")
    assert [text for _, text in test.tests] == [
        "at 2",
        "at 3: entry [1] of yours is 2, 3 is right",
        "for a batch: yours has the shape (2,), (1, 2) is right",
        "of a word: yours is str, numbers are expected",
        "where it is not finite: yours is nan, 2 is right",
        "the inputs stay: they were changed",
    ]
    with pytest.raises(NotAnswered):
        test.close("nothing", None, 1.0)


def test_an_exercise_that_is_not_there():
    for number in ("99.1", "1.9", "one"):
        with pytest.raises(ValueError, match="There is no exercise"):
            check(number, 1)


def test_back_propagation_may_be_written_with_numpy():
    def with_numpy(edges, target):
        names = list(dict.fromkeys(name for start, end, _ in edges for name in (start, end)))
        gradients = np.zeros(len(names))
        gradients[names.index(target)] = 1
        for start, end, derivative in reversed(edges):
            gradients[names.index(start)] += gradients[names.index(end)] * derivative
        return dict(zip(names, gradients, strict=True))

    assert check("3.3", with_numpy), check("3.3", with_numpy)


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
