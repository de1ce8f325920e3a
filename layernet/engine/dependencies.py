"""Dependencies of a plan: the attributes that it was made from, compared before it is used again."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from operator import is_
from typing import Any

import numpy as np

from layernet.guards.modes import BATCH_INFO
from layernet.layer import Layer

# Methods that somebody may set on a layer object, in place of those of its class.
LAYER_METHODS = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients", "end_step")
# The same of a loss and of an optimizer.
LOSS_METHODS = ("losses", "gradient", "record", "gradient_from")
OPTIMIZER_METHODS = ("move", "step")
# Attributes that a step or a callback changes, and that every step reads again.
NOT_SETTINGS = frozenset({"training", "steps", "last_learning_rate", "learning_rate", *BATCH_INFO})

IMMUTABLE = (int, float, str, type(None))
_NO_CONSTANT = object()


class NotASettingError(Exception):
    """Raised when a setting is no single number, bool, string or None, so that no kernel can use it."""


class Dependencies:
    """Attributes that a plan was made from.

    Examples
    --------
    >>> from layernet import LeakyReLU
    >>> layer, dependencies = LeakyReLU(0.1), Dependencies()
    >>> dependencies.add_setting(layer, "negative_slope")
    0.1
    >>> dependencies.are_unchanged()
    True
    >>> layer.negative_slope = 0.2
    >>> dependencies.are_unchanged()
    False
    """

    def __init__(self) -> None:
        # Parallel lists, which `map` compares in a microsecond: a prediction of one row takes three.
        self._owners: list[Any] = []
        self._names: list[str] = []
        self._objects: list[Any] = []
        self._owners_of_equals: list[Any] = []
        self._names_of_equals: list[str] = []
        self._equals: list[Any] = []
        self._settings: list[tuple[Any, Any, str, Callable[[Any], Any], Any]] = []

    def add_object(self, owner: Any, name: str) -> Any:
        """Depend on an attribute that must stay the same object, such as an array; return it."""
        value = getattr(owner, name)
        self._owners.append(owner)
        self._names.append(name)
        self._objects.append(value)
        return value

    def add_equal(self, owner: Any, name: str) -> None:
        """Depend on an attribute that must stay equal, such as a list or a bound method."""
        self._owners_of_equals.append(owner)
        self._names_of_equals.append(name)
        value = getattr(owner, name)
        self._equals.append(copy(value) if isinstance(value, list) else value)

    def add_setting(self, owner: Any, name: str, read: Callable[[Any], Any] | None = None) -> Any:
        """Depend on the value of a setting; return it as `read`, by default `plain_value`, converts it.

        An array without axes whose number is changed in place is noticed too.

        Raises
        ------
        NotASettingError
            If the setting has no such value.
        """
        read = read or plain_value
        given = getattr(owner, name)
        value = read(given)
        # The same immutable object has the same value, which saves reading it.
        constant = given if isinstance(given, IMMUTABLE) else _NO_CONSTANT
        self._settings.append((constant, owner, name, read, value))
        return value

    def add_plain_settings(self, owner: Any) -> None:
        """Depend on every number, bool and string among an object's own attributes, apart from its state."""
        state = getattr(owner, "_state_names", ())
        for name in vars(owner):
            if name not in NOT_SETTINGS and name not in state:
                with suppress(NotASettingError):
                    self.add_setting(owner, name)

    def add_arrays(self, owner: Any) -> None:
        """Depend on every array among an object's own attributes."""
        for name, value in vars(owner).items():
            if isinstance(value, np.ndarray) and getattr(owner, name) is value:
                self.add_object(owner, name)

    def add_methods(self, owner: Any, names: Iterable[str]) -> None:
        """Depend on methods that somebody may set on an object in place of those of its class."""
        for name in names:
            if hasattr(owner, name):
                self.add_equal(owner, name)

    def add_structure(self, network: Layer) -> None:
        """Depend on the layers inside a network, and on where their parameters lie."""
        for layer in network.walk():
            if layer.parameter_shapes:
                self.add_object(layer, "segment")
            if layer.layers:
                self.add_equal(layer, "layers")

    def are_unchanged(self) -> bool:
        """Return whether all attributes are as they were."""
        try:
            return (
                all(map(is_, map(getattr, self._owners, self._names), self._objects))
                and all(
                    getattr(setting[1], setting[2]) is setting[0] or has_value(*setting[1:])
                    for setting in self._settings
                )
                and [*map(getattr, self._owners_of_equals, self._names_of_equals)] == self._equals
            )
        except AttributeError:  # an attribute was deleted
            return False


def plain_value(value: Any) -> Any:
    """Return a number of any type as a float; a bool, a string or None as it is.

    Raises
    ------
    NotASettingError
        If the value is anything else.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    has_one_number = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"
    if has_one_number or isinstance(value, (numbers.Real, np.bool_)):
        return float(value)
    # The message leaves the value out: it may be all weights of a layer, and formatting these takes
    # milliseconds.
    raise NotASettingError(f"a value of type {type(value).__name__} is not a single number")


def plain_values(value: Any) -> Any:
    """Return several numbers as a list of floats, nested like their array; else as `plain_value`."""
    if isinstance(value, (list, tuple, np.ndarray)):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            return array.astype(float).tolist()
    return plain_value(value)


def has_value(owner: Any, name: str, read: Callable[[Any], Any], value: Any) -> bool:
    """Return whether an attribute still has the value that was read from it."""
    try:
        now = read(getattr(owner, name))
    except (NotASettingError, AttributeError):
        return False
    return type(now) is type(value) and (now == value or now != now != value)
