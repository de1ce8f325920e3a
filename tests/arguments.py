"""Checks of the arguments of a class: bounds hold exactly, and every number has a case."""

import inspect
import re

import pytest

import layernet

# Numbers next to the bounds of a range: those that are accepted and those that are refused.
TINY, LARGE = 1e-12, 1e9
UNIT = ([0, 1 - TINY], [-TINY, 1])
CLOSED_UNIT = ([0, 1], [-TINY, 1 + TINY])
POSITIVE = ([TINY, LARGE], [0, -TINY])
AT_LEAST_0 = ([0, LARGE], [-TINY])
POSITIVE_OR_NONE = ([None, TINY, LARGE], [0, -TINY])
SWITCH = ([True, False], [])
COUNT = ([1, 7], [0, -1, 1.5])


def check_argument(cls, name, accepted, refused, **others):
    """Assert that a class keeps the accepted values of an argument, and refuses the others and any text."""
    for value in accepted:
        assert getattr(cls(**{**others, name: value}), name) == value
    for value in (*refused, "many"):
        with pytest.raises((TypeError, ValueError), match=rf"^{cls.__name__}: {name} must be .*got '?{value}"):
            cls(**{**others, name: value})


def public_classes(base):
    """All public classes of a kind, but for the kind itself."""
    public = [getattr(layernet, name) for name in layernet.__all__]
    return [
        value for value in public if isinstance(value, type) and issubclass(value, base) and value is not base
    ]


def numbers_and_switches(base):
    """(class, argument) for each number, count and switch of the public classes of a kind."""
    return {
        (cls, parameter.name)
        for cls in public_classes(base)
        for parameter in inspect.signature(cls).parameters.values()
        if re.match("float|int|bool", str(parameter.annotation))
    }
