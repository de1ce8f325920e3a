"""Objects that show themselves as the call that makes them again, and are found by their names."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from layernet.hints import ARGUMENT_HINTS, suggest_name

_ABSENT = object()
_definitions = itertools.count()


class Configurable:
    """Base of everything that is made by a call worth reading: layers, losses, optimizers, schedules.

    The constructor stores its arguments under their own names and nothing else; the representation is read
    off from them, without those that are at their defaults.

    A number of NumPy's is stored as Python's own, so that arrays keep their type where it is used.

    A method cannot be replaced by what is no method, as by `self.state = []` in a layer of one's own: whoever
    calls it would fail far from the mistake.

    Examples
    --------
    >>> from layernet import Dense
    >>> Dense(100, use_bias=False)
    Dense(100, use_bias=False)
    """

    # The public methods and properties of the class, which no other attribute may hide, and for classes of this
    # package the names of `_set_elsewhere`. A class of somebody else's may have attributes of such names.
    _reserved: frozenset[str] = frozenset()
    # Hints for arguments and for attributes by the names that other packages give them.
    _argument_hints: Mapping[str, str] = ARGUMENT_HINTS
    _assignment_hints: Mapping[str, str] = {}
    # Counts the definitions of classes, so that the newest of one name can be found.
    _definition = -1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hinted = cls._assignment_hints.keys()
        cls._reserved = cls._reserved | hinted if is_of_the_package(cls) else cls._reserved - hinted
        for name in cls._reserved & vars(cls).keys():
            if not is_method(vars(cls)[name]):
                raise hidden_method_error(cls, name, vars(cls)[name])
        own = {name for name, value in vars(cls).items() if is_method(value) or isinstance(value, property)}
        cls._reserved = cls._reserved | {name for name in own if not name.startswith("_")}
        cls._definition = next(_definitions)

    def __new__(cls, *arguments: Any, **named: Any) -> Configurable:
        if named or (arguments and cls.__init__ is object.__init__):
            refuse_unknown_arguments(cls, arguments, named)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._reserved:
            if name in self._assignment_hints and not hasattr(type(self), name):
                raise AttributeError(f"{type(self).__name__} has no {name!r}. {self._set_elsewhere[name]}")
            if not callable(value):
                raise hidden_method_error(type(self), name, value)
        # A NumPy number would set the type of what it is multiplied by: a float64 makes float64 of float32, and
        # 1 - x of a float16 has three digits.
        object.__setattr__(self, name, as_python_number(value) if isinstance(value, np.generic) else value)

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments by name, as they were given.

        Returns
        -------
        dict of str to object
            In the order of the constructor's signature.
        """
        return {name: value for name, _, value in self._arguments()}

    def __repr__(self) -> str:
        shown = []
        by_position = True  # the first argument, and those after it that must be given
        for name, parameter, value in self._arguments():
            if same_value(value, parameter.default):
                by_position = False
            elif by_position and (not shown or parameter.default is inspect.Parameter.empty):
                shown.append(repr(value))
            else:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _arguments(self) -> list[tuple[str, inspect.Parameter, Any]]:
        if type(self).__init__ is object.__init__:
            return []
        parameters = inspect.signature(type(self)).parameters
        values = {name: getattr(self, name, _ABSENT) for name in parameters}
        return [(n, p, values[n]) for n, p in parameters.items() if values[n] is not _ABSENT]


def is_of_the_package(cls: type) -> bool:
    """Whether a class is one of this package's own, and not one that somebody derived."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def refuse_unknown_arguments(cls: type, arguments: tuple, named: Mapping[str, Any]) -> None:
    """Raise a TypeError for an argument that a constructor does not have, with the name that it has here.

    Parameters
    ----------
    cls : type
        A subclass of `Configurable`.
    arguments : tuple
        Given by position.
    named : mapping of str to object
        Given by name.
    """
    if cls.__init__ is object.__init__:
        given = ", ".join([*map(repr, arguments), *(f"{name}={value!r}" for name, value in named.items())])
        hint = next((cls._argument_hints[name] for name in named if name in cls._argument_hints), "")
        raise TypeError(f"{cls.__name__} takes no arguments, got {given}. {hint}".rstrip())
    code = getattr(cls.__init__, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARKEYWORDS:
        return
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for name in named:
        if name not in known:
            hint = suggest_name(name, known, cls._argument_hints)
            raise TypeError(f"{cls.__name__} has no argument {name!r}. {hint}")


def as_python_number(value: np.generic) -> Any:
    """Python's number or truth value for one of NumPy's; anything else as it is."""
    return float(value) if value.dtype.kind == "f" else value.item() if value.dtype.kind in "iub" else value


def same_value(value: Any, default: Any) -> bool:
    """Whether an argument is at its default; an array or a table is never taken for one."""
    try:
        return value is default or (type(value) is type(default) and bool(value == default))
    except ValueError:
        return False


def is_method(value: Any) -> bool:
    """Whether a value in a class's body is a method."""
    is_callable = callable(value) and not isinstance(value, type)
    return is_callable or isinstance(value, (classmethod, staticmethod))


def hidden_method_error(cls: type, name: str, value: Any) -> AttributeError:
    """The error for an attribute that would hide a method or a property."""
    kind = "property" if isinstance(getattr(cls, name, None), property) else "method"
    return AttributeError(
        f"{cls.__name__}.{name} is a {kind} that layernet calls, and {value!r} would hide it. Give your "
        f"attribute another name, such as {name}_."
    )


def require_method(cls: type, contract: type, names: Iterable[str], purpose: str) -> None:
    """Raise an error for a class that defines none of the methods that its kind consists of.

    Parameters
    ----------
    cls : type
    contract : type
        The base class of the kind, whose own methods of these names do nothing.
    names : iterable of str
        Methods of which one is enough; the first is the usual one.
    purpose : str
        What that method does, for the error.
    """
    names = list(names)
    if all(getattr(cls, name) is getattr(contract, name) for name in names):
        raise TypeError(f"{cls.__name__} defines no {names[0]}, the method that {purpose}. Define it.")
