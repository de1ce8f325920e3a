"""Settings as kernels can use them: single numbers, switches and names, whatever type they have."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.guards.modes import BATCH_INFO

# What a step or a callback changes, and what every step looks up anew.
NO_SETTINGS = frozenset({"training", "steps", "last_learning_rate", "learning_rate", *BATCH_INFO})


class NotASettingError(Exception):
    """A setting is not a single number, a switch, a name or None, so that no kernel can use it."""


def plain_value(value: Any) -> Any:
    """A number of any type as a float; a switch, a name or None as it is.

    Raises
    ------
    NotASettingError
        If it is anything else.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    has_one_number = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"
    if has_one_number or isinstance(value, (numbers.Real, np.bool_)):
        return float(value)
    # Without the value itself, which may be all weights of a layer: to write it down takes milliseconds.
    raise NotASettingError(f"a value of type {type(value).__name__} is not a single number")


def plain_values(value: Any) -> Any:
    """Several numbers as a list of floats, or as lists of these; anything else as `plain_value` takes it."""
    if isinstance(value, (list, tuple, np.ndarray)):
        numbers_of_it = np.asarray(value)
        if numbers_of_it.dtype.kind in "biuf":
            return numbers_of_it.astype(float).tolist()
    return plain_value(value)


def has_value(owner: Any, name: str, read: Callable[[Any], Any], value: Any) -> bool:
    """Whether an attribute still has a value that was read from it."""
    try:
        now = read(getattr(owner, name))
    except (NotASettingError, AttributeError):
        return False
    return type(now) is type(value) and (now == value or now != now != value)
