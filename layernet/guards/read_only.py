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

# Off while `check_layer` tries whether a layer leaves its arguments as they are.
_guards_arguments: ContextVar[bool] = ContextVar("_guards_arguments", default=True)


def read_only(array: Any) -> Any:
    """An array, or sparse rows, as a view that refuses to be written to; anything else as it is."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    elif are_sparse_rows(array):
        array = copy.copy(array)
        array.data = read_only(array.data)
    return array


def with_read_only_arguments(method: Callable, names: tuple[str, ...], first: int = 0) -> Callable:
    """A method of somebody else's class that cannot write to the arrays it is given.

    What it is given is read again: by the loss, by metrics, by the other engine, by the caller. An array that
    was overwritten would falsify all of these without a word.

    Parameters
    ----------
    method : callable
    names : tuple of str
        Of the arguments that are arrays to be read, which come one after the other.
    first : int, default=0
        The place of the first of them, not counting self.

    Returns
    -------
    callable
    """
    last = first + len(names)

    @functools.wraps(method)
    def guarded(self, *arguments, **named):
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


def with_read_only_outputs(record: Callable) -> Callable:
    """A `record` whose outputs, where they are kept for the way back, are read-only there."""

    @functools.wraps(record)
    def guarded(self, *arguments, **named):
        outputs, kept = record(self, *arguments, **named)
        if not _guards_arguments.get():
            return outputs, kept
        if type(kept) is tuple:
            return outputs, tuple(read_only(one) if one is outputs else one for one in kept)
        return outputs, read_only(kept) if kept is outputs else kept

    return guarded


def guard_passes(cls: type[Layer], contract: type[Layer]) -> None:
    """Give the passes that a class defines read-only arguments, if it is none of this package's.

    Parameters
    ----------
    cls : type
    contract : type
        `Layer`, whose own record is the inputs.
    """
    if is_of_the_package(cls):
        return
    own = vars(cls)
    # A record of its own is the layer's to overwrite.
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
    """Within this context, passes of somebody else's classes are given arrays as they are."""
    token = _guards_arguments.set(False)
    try:
        yield
    finally:
        _guards_arguments.reset(token)


def is_read_only_error(error: BaseException) -> bool:
    """Whether an error is NumPy's for an array that cannot be written to."""
    return type(error) is ValueError and "read-only" in str(error)


def overwrite_error(who: str, names: tuple[str, ...]) -> ValueError:
    """The error for somebody who writes to arguments."""
    return ValueError(
        f"{who} wrote to its {' or '.join(names)}, which others read after it. Write to a copy, as by "
        f"{names[0]} = {names[0]}.copy()."
    )
