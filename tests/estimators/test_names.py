"""The table of names that differ between `net.fit` and the estimators, compared with the signatures."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import layernet
from layernet import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from layernet.training import fit

ESTIMATORS = [MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor]
PAGE = Path(layernet.__file__).parents[1] / "docs" / "scikit-learn.md"
REQUIRED = inspect.Parameter.empty


def defaults(*functions):
    """The defaults of all parameters of functions, by name."""
    found = {
        name: each.default
        for function in functions
        for name, each in inspect.signature(function).parameters.items()
    }
    return {name: default for name, default in found.items() if name != "self"}


def arguments(cell):
    """The names and defaults in a cell of the table."""
    for name, default in re.findall(r"`(\w+)(?:=([^`]+))?`", cell):
        yield name, ast.literal_eval(default) if default else REQUIRED


OF_FIT = defaults(fit)
OF_ESTIMATORS = {kind.__name__: defaults(kind.__init__, kind.fit) for kind in ESTIMATORS}


@pytest.fixture(scope="module")
def rows():
    """The cells of each row of the table."""
    section = PAGE.read_text(encoding="utf-8").split("## Names that differ")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "`net.fit`"]


def test_the_table_has_all_differences_and_no_others(rows):
    listed = [name for row in rows for name, _ in arguments(row[0])]
    differing = [
        name
        for name, default in OF_FIT.items()
        if any(name not in each or each[name] != default for each in OF_ESTIMATORS.values())
    ]
    assert sorted(listed) == sorted(set(differing) - {"X"})


def test_names_and_defaults_in_the_table_are_those_of_the_signatures(rows):
    for of_fit, of_estimators, _ in rows:
        for name, default in arguments(of_fit):
            assert OF_FIT[name] == default, name
        stated = {}
        for name, default in arguments(of_estimators):
            stated.setdefault(name, set()).add(default)
        for name, values in stated.items():
            assert {each[name] for each in OF_ESTIMATORS.values() if name in each} == values, name


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_constructor_stores_each_argument_as_it_is(kind):
    given = {name: object() for name in defaults(kind)}
    estimator = kind(**given)
    assert {name: getattr(estimator, name) for name in given} == given


@pytest.mark.parametrize(
    ("one", "other"), [(MLPClassifier, MLPRegressor), (NetworkClassifier, NetworkRegressor)]
)
def test_classifiers_and_regressors_have_the_same_defaults(one, other):
    first, second = defaults(one), defaults(other)
    for name in first.keys() & second.keys() - {"loss"}:
        assert first[name] is second[name] or first[name] == second[name], name
