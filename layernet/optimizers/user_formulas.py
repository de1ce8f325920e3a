"""Checks of optimizers that users write, and undoing a step that fails in their formulas."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from layernet.optimizers.optimizer import Optimizer


def require_places_for_slots(optimizer: Optimizer) -> None:
    """Raise a TypeError if `move` does not take a vector for each slot."""
    slots = tuple(optimizer.slots)
    try:
        inspect.signature(optimizer.move).bind(None, None, None, *slots)
    except TypeError:
        who, names = type(optimizer).__name__, ", ".join(("parameters", "gradients", "learning_rate", *slots))
        raise TypeError(
            f"{who}.slots names {list(slots)}, so its move must take a vector for each: move(self, {names})."
        ) from None


def require_step_with_factors(optimizer: Optimizer) -> None:
    """Raise a TypeError if a user's `step` takes no factors of the learning rate, and a layer has some."""
    parameters = inspect.signature(optimizer.step).parameters.values()
    if not any(each.name == "learning_rate_factors" or each.kind is each.VAR_KEYWORD for each in parameters):
        who = type(optimizer).__name__
        raise TypeError(
            f"{who}.step takes no learning_rate_factors, and a layer of the network gives a parameter a rate. "
            "Write step(self, parameters, gradients, decay_mask=None, learning_rate_factors=None), or define "
            "move, whose learning_rate is then an array."
        )


@contextmanager
def unchanged_on_failure(optimizer: Optimizer, parameters: np.ndarray) -> Iterator[None]:
    """Context that restores the parameters and the optimizer if an error occurs."""
    before = dict(vars(optimizer))
    memory = (optimizer._memory or {}).values()
    arrays = [parameters, *memory, *(value for value in before.values() if isinstance(value, np.ndarray))]
    copies = [array.copy() for array in arrays]
    try:
        yield
    except BaseException:
        for array, copy in zip(arrays, copies, strict=True):
            array[...] = copy
        vars(optimizer).clear()
        vars(optimizer).update(before)
        raise
