"""Objects that show themselves as the call that makes them again, and are found by their names."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound="Described")

_ABSENT = object()


class Described:
    """Base of everything that is made by a call worth reading: layers, losses, optimizers, schedules.

    The constructor stores its arguments under their own names and nothing else; the representation is read
    off from them, without those that are at their defaults.

    Examples
    --------
    >>> from layernet import Dense
    >>> Dense(100, use_bias=False)
    Dense(100, use_bias=False)
    """

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


def same_value(value: Any, default: Any) -> bool:
    """Whether an argument is at its default; an array or a table is never taken for one."""
    try:
        return value is default or (type(value) is type(default) and bool(value == default))
    except ValueError:
        return False


def subclasses_by_name(kind: type[Kind]) -> dict[str, type[Kind]]:
    """Every subclass of `kind` whose name is public, by its name in small letters."""
    found: dict[str, type[Kind]] = {}
    for subclass in kind.__subclasses__():
        if not subclass.__name__.startswith("_"):
            found.setdefault(subclass.__name__.lower(), subclass)
        for name, deeper in subclasses_by_name(subclass).items():
            found.setdefault(name, deeper)
    return found


def find_by_name(kind: type[Kind], value: str | Kind, argument: str) -> Kind:
    """An object of a kind from its name, or the object itself.

    Parameters
    ----------
    kind : type
        The base class, `Loss` for instance.
    value : str or object
        `"cross_entropy"`, `"CrossEntropy"`, or an object of the kind, which is returned as it is.
    argument : str
        What the argument is called where the user gave it, for the error.

    Returns
    -------
    object
        An instance of `kind`, made with its defaults when it was given by name.

    Raises
    ------
    ValueError
        If the name is unknown (the known ones are listed), or stands for what has no defaults.
    TypeError
        If it is neither a name nor an object of the kind.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise TypeError(
            f"{argument} is the class {value.__name__}, not an object of it. Write {value.__name__}(...)."
        )
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a {kind.__name__} or the name of one, got {type(value).__name__}.")
    known = subclasses_by_name(kind)
    found = known.get(value.replace("_", "").lower())
    if found is None:
        names = ", ".join(sorted(each.__name__ for each in known.values()))
        raise ValueError(f"{argument}={value!r} is not known. Known are: {names}.")
    needed = [
        name
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if needed:
        raise ValueError(f"{argument}={value!r} needs {needed}: give an object, {found.__name__}(...).")
    return found()
