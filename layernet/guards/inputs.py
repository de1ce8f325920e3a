"""Validation of the inputs and gradients of passes: converted, built for, or refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from layernet.sparse import are_sparse_rows, as_sparse_rows, is_sparse
from layernet.validation import as_float_array

if TYPE_CHECKING:
    from layernet.layer import Layer


def with_checked_inputs(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a forward pass so that its inputs are validated, and the layer is built on first use."""

    @functools.wraps(formula)
    def checked(self: Layer, inputs: Any) -> Any:
        return formula(self, inputs if is_ready_input(self, inputs) else self.validate_inputs(inputs))

    return checked


def with_checked_gradient(formula: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Wrap a backward pass so that its inputs and its gradient are validated; NumPy would broadcast them."""

    @functools.wraps(formula)
    def checked(self: Layer, inputs: Any, grad_output: Any) -> np.ndarray:
        inputs = inputs if is_ready_input(self, inputs) else self.validate_inputs(inputs)
        output_shape = (inputs.shape[0], *self.infer_output_shape(inputs.shape[1:]))
        return formula(self, inputs, self.validate_gradient(grad_output, output_shape, inputs.dtype))

    return checked


def forward_unchecked(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """Compute a layer's forward pass on inputs that are already validated."""
    formula = getattr(layer.forward_pass, "__wrapped__", None)
    # A pass that was assigned to the layer or its class afterwards, by a test for instance, is not wrapped.
    return layer.forward_pass(inputs) if formula is None else formula(layer, inputs)


class TakesInputs(Protocol):
    """A layer, or what stands for one where its inputs are validated."""

    @property
    def dtype(self) -> np.dtype | None: ...

    @property
    def input_shape(self) -> tuple[int, ...]: ...

    @property
    def accepts_sparse(self) -> bool: ...


def is_ready_input(layer: TakesInputs, inputs: Any) -> bool:
    """Return whether inputs need no validation: the common case, decided quickly."""
    if inputs.__class__ is np.ndarray:
        return inputs.dtype is layer.dtype and inputs.ndim > 1 and inputs.shape[1:] == layer.input_shape
    return (
        are_sparse_rows(inputs)
        and layer.accepts_sparse
        and inputs.dtype == layer.dtype
        and inputs.shape[1:] == layer.input_shape
    )


def as_valid_inputs(layer: Layer, inputs: Any) -> Any:
    """Convert and check inputs; see `Layer.validate_inputs`."""
    name = f"inputs of {type(layer).__name__}"
    if is_sparse(inputs):
        inputs = as_sparse_rows(inputs, layer.dtype, layer.has_parameters, name)
        if not layer.accepts_sparse:
            inputs = inputs.toarray()
    else:
        inputs = as_float_array(inputs, layer.dtype, layer.has_parameters, name)
    if inputs.ndim == 0:
        raise ValueError(f"{layer!r} expects inputs of shape (n_samples, ...), got a single number.")
    if layer.input_shape is None:
        layer.build(inputs.shape[1:], dtype=inputs.dtype)
        return inputs.astype(layer.dtype, copy=False) if layer.has_parameters else inputs
    if layer.has_parameters and inputs.shape[1:] != layer.input_shape:
        raise ValueError(
            f"{layer!r} expects inputs of shape {format_batch_shape(layer.input_shape)}, got {inputs.shape}. "
            f"It was built for {describe_shape(layer.input_shape)}; call build again or check the data."
        )
    return inputs


def describe_shape(shape: tuple[int, ...]) -> str:
    """Return a feature shape in words."""
    return f"{shape[0]} features" if len(shape) == 1 else f"features of shape {shape}"


def format_batch_shape(shape: tuple[int, ...]) -> str:
    """Return a feature shape with the batch axis in front, as docstrings write it: (n_samples, 3)."""
    return f"({', '.join(['n_samples', *map(str, shape)])})"
