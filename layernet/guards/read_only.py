"""Read-only arguments for the methods of classes from outside this package."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.representation import is_of_the_package
from layernet.sparse import are_sparse_rows

if TYPE_CHECKING:
    from layernet.layer import Layer

# False while `check_layer` tests whether a layer writes to its arguments.
_guards_arguments: ContextVar[bool] = ContextVar("_guards_arguments", default=True)


def read_only(array: Any) -> Any:
    """Return a read-only view of an array or of sparse rows; other values unchanged."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    elif are_sparse_rows(array):
        array = copy.copy(array)
        array.data = read_only(array.data)
    return array


def with_read_only_arguments(
    method: Callable[..., Any], names: tuple[str, ...], first: int = 0
) -> Callable[..., Any]:
    """Wrap a method of a user's class so that its array arguments are read-only.

    The loss, metrics, the other engine and the caller read the same arrays afterwards. An overwritten array
    would change their results without an error.

    Parameters
    ----------
    method : callable
    names : tuple of str
        Names of consecutive arguments that are arrays.
    first : int, default=0
        Position of the first of these arguments, not counting self.

    Returns
    -------
    callable
    """
    last = first + len(names)

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        if not _guards_arguments.get():
            return method(self, *arguments, **named)
        read = map(read_only, arguments[first:last])
        for name in named.keys() & set(names):
            named[name] = read_only(named[name])
        try:
            return method(self, *arguments[:first], *read, *arguments[last:], **named)
        except ValueError as error:
            if not is_read_only_error(error):
                raise
            raise overwrite_error(f"{type(self).__name__}.{method.__name__}", names) from error

    return guarded


def with_read_only_outputs(record: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method `record` so that outputs in its record are read-only."""

    @functools.wraps(record)
    def guarded(self: Any, *arguments: Any, **named: Any) -> tuple[Any, Any]:
        outputs, kept = record(self, *arguments, **named)
        if not _guards_arguments.get():
            return outputs, kept
        if type(kept) is tuple:
            return outputs, tuple(read_only(one) if one is outputs else one for one in kept)
        return outputs, read_only(kept) if kept is outputs else kept

    return guarded


def guard_passes(cls: type[Layer], contract: type[Layer]) -> None:
    """Wrap the passes that a user's class defines, so that their arguments are read-only.

    Parameters
    ----------
    cls : type
    contract : type
        `Layer`; its default record is the inputs.
    """
    if is_of_the_package(cls):
        return
    own = vars(cls)
    # A layer may overwrite a record that it made itself.
    of_record = ("inputs", "grad_output") if cls.record is contract.record else ("grad_output",)
    names = {
        "forward_pass": ("inputs",),
        "record": ("inputs",),
        "backward_pass": ("inputs", "grad_output"),
        "backward_from": of_record,
        "parameter_gradients": of_record,
    }
    for name in names.keys() & own.keys():
        formula = own[name]
        if name == "record":
            formula = with_read_only_outputs(formula)
        first = 1 if names[name] == ("grad_output",) else 0
        setattr(cls, name, with_read_only_arguments(formula, names[name], first))


@contextmanager
def writable_arguments() -> Iterator[None]:
    """Context in which the passes of users' classes get writable arguments."""
    token = _guards_arguments.set(False)
    try:
        yield
    finally:
        _guards_arguments.reset(token)


def is_read_only_error(error: BaseException) -> bool:
    """Return whether an error is NumPy's for writing to a read-only array."""
    return type(error) is ValueError and "read-only" in str(error)


def overwrite_error(who: str, names: tuple[str, ...]) -> ValueError:
    """Return the error for a method that writes to its arguments."""
    return ValueError(
        f"{who} wrote to its {' or '.join(names)}, which is read again afterwards. Write to a copy, as by "
        f"{names[0]} = {names[0]}.copy()."
    )
