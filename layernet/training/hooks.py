"""Hooks of callbacks, and errors for methods that look like hooks and would never be called."""

from __future__ import annotations

import difflib
import inspect
from types import FunctionType
from typing import Any

from layernet.hints import CALLBACK_HINTS, suggest_name
from layernet.representation import is_method

HOOKS = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end")

# Parameters of hooks in other packages.
FOREIGN_PARAMETERS = frozenset({"epoch", "batch", "step", "logs", "trainer", "pl_module", "model"})


def refuse_uncalled_hooks(cls: type[Any]) -> None:
    """Raise an error for a method that looks like a hook and is none, or takes other arguments.

    Parameters
    ----------
    cls : type
        A subclass of `Callback`.

    Raises
    ------
    TypeError
        If there is such a method.
    """
    for name, value in vars(cls).items():
        if not name.startswith("on_") or not is_method(value):
            continue
        if name in HOOKS:
            if isinstance(value, FunctionType):  # other callables may have no signature
                refuse_other_arguments(cls, name, value)
        elif name not in cls.other_hooks:
            instead = suggest_name(name, HOOKS, CALLBACK_HINTS)
            raise TypeError(
                f"{cls.__name__}.{name} would never be called. {instead} If others "
                f"call it, declare it in the class: other_hooks = ({name!r},)."
            )


def refuse_misspelled(callback: Any) -> None:
    """Raise an error for a function that is assigned to a callback under a misspelled name of a hook.

    Other attributes that begin with `on_` are allowed.

    Parameters
    ----------
    callback : Callback
    """
    for name, value in vars(callback).items():
        if not name.startswith("on_") or not is_method(value) or name in HOOKS or name in callback.other_hooks:
            continue
        if name in CALLBACK_HINTS or difflib.get_close_matches(name, HOOKS, 1, 0.9):
            instead = suggest_name(name, HOOKS, CALLBACK_HINTS)
            raise TypeError(
                f"{type(callback).__name__}.{name} is a function that would never be called. {instead}"
            )


def refuse_other_arguments(cls: type[Any], name: str, function: FunctionType) -> None:
    """Raise an error for a hook that takes other arguments than the run, such as an epoch and logs."""
    signature = inspect.signature(function)
    try:
        signature.bind("self", "run")
        is_right = not FOREIGN_PARAMETERS & signature.parameters.keys()
    except TypeError:
        is_right = False
    if not is_right:
        raise TypeError(
            f"{cls.__name__}.{name} is called with the run alone, got {name}{signature}. Define "
            f"{name}(self, run), and read run.epoch, run.batch and run.history."
        )
