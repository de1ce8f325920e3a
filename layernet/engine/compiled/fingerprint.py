"""Fingerprint of a function: a digest of everything that determines its machine code."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from layernet.engine.compiled import intrinsics

# Modules whose functions the compiler implements; a name identifies each. Attributes of other modules are
# constants.
KNOWN_MODULES = frozenset({"math", "numpy"})
PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


class _UnknownValueError(Exception):
    """Raised when a function reads a value that has no digest."""


def fingerprint(function: Callable) -> str | None:
    """Return a digest of a function's code, of its closure, and of all globals that it reads.

    The digest includes the functions that it calls, but no names of functions, files or lines. So equal
    functions have equal fingerprints wherever they are written, and two functions of one factory differ if
    their closures do.

    Parameters
    ----------
    function : callable
        A Python function.

    Returns
    -------
    str or None
        None if the function reads a value that is neither a function nor a constant.

    Examples
    --------
    >>> def times(factor):
    ...     return lambda x: factor * x
    >>> fingerprint(times(2.0)) == fingerprint(times(2.0))
    True
    >>> fingerprint(times(2.0)) == fingerprint(times(3.0))
    False
    >>> fingerprint(times(object())) is None
    True
    """
    walk = _Walk()
    try:
        walk.add(function)
    except _UnknownValueError:
        return None
    return walk.digest.hexdigest()


class _Walk:
    """Digest of values, and of everything that functions among them read."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._seen: dict[int, int] = {}

    def add(self, value: Any, names: Iterable[str] = ()) -> None:
        """Add a value; of a module, the attributes of these names."""
        if isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, types.ModuleType):
            self._note("module", value.__name__)
            if value.__name__ not in KNOWN_MODULES and self._is_new(value):
                self._add_named(vars(value), names)
        elif type(value) in PLAIN:
            self._note(type(value).__name__, repr(value))
        elif isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
            self._note("array", value.dtype.str, value.shape)
            self.digest.update(value.tobytes())
        elif isinstance(value, (tuple, list)):
            self._note(type(value).__qualname__, len(value))
            for item in value:
                self.add(item)
        elif isinstance(value, (frozenset, np.dtype)):
            self._note(
                type(value).__name__, sorted(map(repr, value)) if isinstance(value, frozenset) else value
            )
        elif isinstance(value, (type, types.BuiltinFunctionType)):
            self._note("name", value.__module__, value.__qualname__)
        elif isinstance(value, np.ufunc):
            self._note("name", "numpy", value.__name__)
        else:
            raise _UnknownValueError

    def _add_function(self, function: types.FunctionType) -> None:
        if function.__module__ == intrinsics.__name__:  # the compiler's digest covers these
            self._note("intrinsic", function.__qualname__)
            return
        if not self._is_new(function):  # for instance, a function that calls itself
            return
        self._note("function", sorted(intrinsics.inlined.get(function, ())))
        self._add_code(function.__code__)
        self.add(function.__defaults__)
        self.add(tuple(sorted((function.__kwdefaults__ or {}).items())))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # the variable has no value yet
                raise _UnknownValueError from None
        names = sorted(set(_names_in(function.__code__)))
        self._add_named(function.__globals__, names)

    def _is_new(self, value: object) -> bool:
        """Return whether a function or a module was not added yet; if it was, add its number instead."""
        if id(value) in self._seen:
            self._note("seen", self._seen[id(value)])
            return False
        self._seen[id(value)] = len(self._seen)
        return True

    def _add_code(self, code: types.CodeType) -> None:
        self._note(
            code.co_code, code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_names,
            code.co_varnames, code.co_freevars, code.co_cellvars, len(code.co_consts),
        )  # fmt: skip
        for constant in code.co_consts:
            self.add(constant)

    def _add_named(self, values: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in names:
            if name in values:
                self._note("named", name)
                self.add(values[name], names)

    def _note(self, *parts: object) -> None:
        self.digest.update(repr(parts).encode())


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a function's code, and in that of functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)
