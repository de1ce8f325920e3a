"""Base class of configurable objects, whose `repr` is the call that makes them."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np

from layernet.hints import ARGUMENT_HINTS, suggest_name

_ABSENT = object()
_definitions = itertools.count()


class Configurable:
    """Base class of layers, losses, optimizers, schedules and initializers.

    The constructor stores its arguments under their own names. `repr` shows those that differ from the default.

    NumPy's scalars are stored as Python's numbers: a float64 would change the type of float32 arrays.

    An attribute that would hide a method is refused, as `self.state = []` in a user's layer. The error would
    otherwise occur where the method is called, far from the mistake.

    Examples
    --------
    >>> from layernet import Dense
    >>> Dense(100, use_bias=False)
    Dense(100, use_bias=False)
    """

    # Names that cannot be assigned: public methods and properties of the class, and in classes of this package
    # the names of `_assignment_hints`. Users' classes may have attributes of those names.
    _reserved: frozenset[str] = frozenset()
    # Hints by other packages' names of arguments, and of attributes.
    _argument_hints: Mapping[str, str] = ARGUMENT_HINTS
    _assignment_hints: Mapping[str, str] = {}
    # False for helper classes, which cannot be given by name; not inherited.
    _has_public_name = True
    # Number of the class in the order of definition: the registry prefers the newest class of a name.
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

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        if named or (arguments and cls.__init__ is object.__init__):
            refuse_unknown_arguments(cls, arguments, named)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._reserved:
            if name in self._assignment_hints and not hasattr(type(self), name):
                raise AttributeError(f"{type(self).__name__} has no {name!r}. {self._assignment_hints[name]}")
            if not callable(value):
                raise hidden_method_error(type(self), name, value)
        # A product with a scalar of NumPy has the scalar's type: a float64 makes float64 of float32 arrays.
        object.__setattr__(self, name, as_python_number(value) if isinstance(value, np.generic) else value)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Returns
        -------
        dict of str to object
            In the order of the constructor's signature.
        """
        return {name: value for name, _, value in self._arguments()}

    def __repr__(self) -> str:
        shown: list[str] = []
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
        cls: Any = type(self)
        parameters = constructor_parameters(cls)
        values = {name: getattr(self, name, _ABSENT) for name in parameters}
        return [(n, p, values[n]) for n, p in parameters.items() if values[n] is not _ABSENT]


def constructor_parameters(cls: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class's constructor by name."""
    return _parameters_of(cls, cls.__init__)


@functools.lru_cache(maxsize=256)
def _parameters_of(cls: type, constructor: Callable[..., None]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def is_of_the_package(cls: type) -> bool:
    """Return whether a class is defined in this package."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def refuse_unknown_arguments(
    cls: type[Configurable], arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Raise a TypeError for an unknown argument of a constructor, with a hint for other packages' names.

    Parameters
    ----------
    cls : type
        A subclass of `Configurable`.
    arguments : tuple
        Arguments given by position.
    named : mapping of str to object
        Arguments given by name.
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
    """Return a NumPy scalar as Python's number or bool; other scalars unchanged."""
    return float(value) if value.dtype.kind == "f" else value.item() if value.dtype.kind in "iub" else value


def same_value(value: Any, default: Any) -> bool:
    """Return whether an argument equals its default; False for arrays and tables."""
    try:
        return value is default or (type(value) is type(default) and bool(value == default))
    except ValueError:
        return False


def is_method(value: Any) -> bool:
    """Return whether a value in the body of a class is a method."""
    is_callable = callable(value) and not isinstance(value, type)
    return is_callable or isinstance(value, (classmethod, staticmethod))


def hidden_method_error(cls: type, name: str, value: Any) -> AttributeError:
    """Return the error for an attribute that would hide a method or a property."""
    kind = "property" if isinstance(getattr(cls, name, None), property) else "method"
    return AttributeError(
        f"{cls.__name__}.{name} is a {kind} that layernet calls, and {value!r} would hide it. Give your "
        f"attribute another name, such as {name}_."
    )


def require_method(cls: type, contract: type, names: Iterable[str], purpose: str) -> None:
    """Raise a TypeError for a class that overrides none of the methods of its contract.

    Parameters
    ----------
    cls : type
    contract : type
        Base class, whose methods of these names do nothing.
    names : iterable of str
        Methods of which one must be overridden; the error names the first.
    purpose : str
        What the first method does, for the error.
    """
    names = list(names)
    if all(getattr(cls, name) is getattr(contract, name) for name in names):
        raise TypeError(f"{cls.__name__} defines no {names[0]}, the method that {purpose}. Define it.")
