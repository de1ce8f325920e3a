"""The methods that a training calls of a callback, and the refusal of those that nobody would call."""

from __future__ import annotations

import difflib
import inspect
from types import FunctionType
from typing import Any

from layernet.hints import CALLBACK_HINTS, suggest_name
from layernet.representation import is_method

HOOKS = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end")

# What callbacks of other packages are given in the place of a run, or beside it.
GIVEN_ELSEWHERE = frozenset({"epoch", "batch", "step", "logs", "trainer", "pl_module", "model"})


def refuse_what_nobody_calls(cls: type) -> None:
    """Raise an error for a method that looks like a hook and is none, or that cannot be called as one.

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
            if isinstance(value, FunctionType):  # others cannot be asked what they take
                refuse_other_arguments(cls, name, value)
        elif name not in cls.other_hooks:
            instead = suggest_name(name, HOOKS, CALLBACK_HINTS)
            raise TypeError(
                f"{cls.__name__}.{name} would never be called. {instead} If others "
                f"call it, declare it in the class: other_hooks = ({name!r},)."
            )


def refuse_misspelled(callback: Any) -> None:
    """Raise an error for a function that was assigned to a callback under nearly the name of a hook.

    Other attributes that begin with `on_` are the callback's own.

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


def refuse_other_arguments(cls: type, name: str, function: FunctionType) -> None:
    """Raise an error for a method that takes an epoch and its logs, or anything else, in the place of a run."""
    signature = inspect.signature(function)
    try:
        signature.bind("self", "run")
        is_right = not GIVEN_ELSEWHERE & signature.parameters.keys()
    except TypeError:
        is_right = False
    if not is_right:
        raise TypeError(
            f"{cls.__name__}.{name} is called with the run alone, got {name}{signature}. Define "
            f"{name}(self, run), and read run.epoch, run.batch and run.history."
        )
