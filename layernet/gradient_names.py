"""Refusal of gradients that belong to no parameter: `grad_x` where there is no parameter `x`."""

from __future__ import annotations

import dis
import inspect
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.representation import is_of_the_package

if TYPE_CHECKING:
    from layernet.parameters import ParameterContainer

# Gradients of the contract that belong to no parameter.
_GRADIENTS_OF_PASSES = frozenset({"grad_input", "grad_inputs", "grad_output", "grad_outputs"})


def require_parameter_of_gradient(layer: ParameterContainer, name: str, value: Any) -> None:
    """Raise an AttributeError for a gradient without a parameter: training would ignore it.

    Parameters
    ----------
    layer : ParameterContainer
        Before `build`, any attribute is accepted: it may be an argument of the constructor.
    name : str
        Name of the attribute; it begins with `grad_`.
    value : object
        Value of the attribute. Only arrays and NumPy's scalars are gradients.
    """
    if layer.input_shape is None or not isinstance(value, (np.ndarray, np.generic)):
        return
    parameter = name.removeprefix("grad_")
    if name in _GRADIENTS_OF_PASSES or parameter in layer.parameter_shapes:
        return
    names = list(layer.parameter_shapes)
    existing = f"It has the parameters {names}" if names else "It has no parameters"
    raise AttributeError(
        f"{type(layer).__name__}.{name} is the gradient of no parameter: training would leave {parameter!r} "
        f"as it is. {existing}. Create one by self.add_parameter({parameter!r}, shape) in "
        "create_parameters(self, input_shape)."
    )


def require_parameters_of_all_gradients(layer: ParameterContainer) -> None:
    """Raise an AttributeError if a layer that is being built has a gradient without a parameter.

    `grad_x` is one if `x` is a number or an array, but no parameter. It may be an attribute of the layer, or be
    assigned in a pass. The check reads the code of the passes, because training never runs the backward pass of
    layers before the first one with parameters.
    """
    if is_of_the_package(type(layer)):
        return
    attributes = vars(layer)
    for name in {name for name in attributes if name.startswith("grad_")} | assigned_gradients(type(layer)):
        value = attributes.get(name.removeprefix("grad_"))
        if isinstance(value, (np.ndarray, numbers.Real)) and not isinstance(value, bool):
            require_parameter_of_gradient(layer, name, np.asarray(value))


def assigned_gradients(cls: type[ParameterContainer]) -> set[str]:
    """Return the names of attributes beginning with `grad_` that the backward passes of a class assign."""
    codes = [
        getattr(inspect.unwrap(getattr(cls, name)), "__code__", None)
        for name in ("backward_pass", "backward_from", "parameter_gradients")
    ]
    return {
        instruction.argval
        for code in codes
        if code is not None
        for instruction in dis.get_instructions(code)
        if instruction.opname == "STORE_ATTR" and instruction.argval.startswith("grad_")
    }
