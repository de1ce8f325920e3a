"""Docstrings that state a default: it is the default of the signature."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import layernet

FOLDER = Path(layernet.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if path.stem not in ("__init__", "__main__")
)


def documented(module):
    """Functions, classes and methods that a module defines, each with its name."""
    for each in vars(module).values():
        if getattr(each, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(each):
            yield from (method for method in vars(each).values() if inspect.isfunction(method))
        if inspect.isclass(each) or inspect.isfunction(each):
            yield each


def stated_defaults(docstring):
    """The defaults in the section of the parameters, by name; `a, b : float, default=1 and 2` states two."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*) : .*?default=(.+)$", section[1] if section else "", re.MULTILINE)
    for names, text in entries:
        names = names.split(", ")
        values = re.split(", | and ", text) if len(names) > 1 else [text]
        yield from zip(names, values * len(names) if len(values) == 1 else values, strict=True)


def is_stated_as(default, text, module=None):
    """Whether a text, such as `1e-4`, `float64` or the name of a constant, states a default."""
    value = eval(text, {**vars(np), **vars(module or np)})
    return type(value) is type(default) and value == default


@pytest.mark.parametrize("module", MODULES)
def test_a_stated_default_is_that_of_the_signature(module):
    if module.endswith(".compiler"):
        pytest.importorskip("numba", reason="Numba, which alone needs this module, is not installed")
    module = importlib.import_module(module)
    for each in documented(module):
        for name, text in stated_defaults(inspect.getdoc(each) or ""):
            default = inspect.signature(each).parameters[name].default
            assert is_stated_as(default, text, module), (
                f"{each.__qualname__}: {name}={default!r}, stated is {text}"
            )


def test_stated_defaults_are_found():
    docstring = "Sum.\n\nParameters\n----------\na, b : float, default=1 and 2.0\nc : str, default='x'\n"
    assert list(stated_defaults(docstring)) == [("a", "1"), ("b", "2.0"), ("c", "'x'")]
    assert is_stated_as(1e-4, "1e-4")
    assert not is_stated_as(True, "1")
    assert not is_stated_as(1.0, "2.0")
    docstrings = [inspect.getdoc(each) or "" for each in documented(layernet.estimators.mlp)]
    names = {name for each in docstrings for name, _ in stated_defaults(each)}
    assert {"tol", "beta_1", "beta_2", "warm_start", "dropout"} <= names
