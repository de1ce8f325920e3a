"""Lowering of layers: each layer becomes instructions of a program, forward and backward.

The lowering of a layer is a function of the layer, the program and the buffer of its inputs. It adds the
instructions of the forward pass. It returns the buffer of the outputs, and a function that adds the
instructions of the backward pass: given the buffer of grad_output, it returns that of grad_inputs. Kernels
may write into grad_output, which no later instruction reads, but not into inputs and outputs.

    @lowers(Square)
    def lower_square(layer, program, inputs):
        outputs = program.sample_buffer(inputs.shape[1])
        program.emit(square, inputs, outputs)

        def backward(grad_output, needs_grad_inputs):
            program.emit(square_backward, inputs, grad_output)
            return grad_output

        return outputs, backward

A layer of a type that has no lowering is called through its own two passes. In inference there is no backward
pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from layernet.containers import Concat, Residual, Sequential
from layernet.engine.compiled.kernels import activations, structure
from layernet.engine.compiled.kernels.products import (
    gradient_of_inputs,
    gradient_of_weights,
    multiply,
    multiply_in_parts,
)
from layernet.engine.compiled.kernels.sparse import gradient_of_sparse, multiply_sparse
from layernet.engine.compiled.lowering import features as features  # registers its lowerings
from layernet.engine.compiled.lowering import normalization as normalization  # registers its lowerings
from layernet.engine.compiled.lowering.registry import (
    EmitBackward,
    call_lowering,
    lower_to_python,
    lowering_of,
    lowers,
)
from layernet.engine.compiled.program import Program
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.dependencies import LAYER_METHODS, NotASettingError
from layernet.layer import Layer
from layernet.layers import (
    ELU,
    GELU,
    SELU,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Reshape,
    Sigmoid,
    SiLU,
    SmoothClip,
    Softplus,
    Tanh,
)

ActivationFormula: TypeAlias = tuple[activations.ActivationKernels, tuple[float, ...]]
# For each activation a function that returns its kernels and the constants of its formula. The argument is a
# function that reads a setting by its name.
ACTIVATIONS: dict[type[Layer], Callable[[Callable[[str], Any]], ActivationFormula]] = {
    Identity: lambda setting: (activations.identity, ()),
    ReLU: lambda setting: (activations.relu, ()),
    LeakyReLU: lambda setting: (activations.leaky_relu, (setting("negative_slope"),)),
    ELU: lambda setting: (activations.elu, (setting("alpha"),)),
    SELU: lambda setting: (activations.selu, (setting("scale"), setting("scale") * setting("alpha"))),
    Sigmoid: lambda setting: (activations.sigmoid, ()),
    Tanh: lambda setting: (activations.tanh, ()),
    HardSigmoid: lambda setting: (activations.hard_sigmoid, ()),
    SmoothClip: lambda setting: (activations.smooth_clip, (setting("limit"),)),
    Softplus: lambda setting: (activations.softplus_activation, ()),
    SiLU: lambda setting: (activations.silu, ()),
    Mish: lambda setting: (activations.mish, ()),
    GELU: lambda setting: (activations.tanh_gelu if setting("approximate") else activations.gelu, ()),
}


def lower(layer: Layer, program: Program, inputs: np.ndarray | SparseRows) -> tuple[np.ndarray, EmitBackward]:
    """Add a layer, and all layers inside it, to a program.

    Parameters
    ----------
    layer : Layer
        Built.
    program : Program
    inputs : ndarray of shape (n_rows, width), or SparseRows

    Returns
    -------
    outputs : ndarray of shape (n_rows, width)
    backward : callable
        Adds the instructions of the backward pass, given the buffer of grad_output and whether grad_inputs is
        needed; returns the buffer of grad_inputs or None.
    """
    backwards: list[tuple[int, EmitBackward | None]] = []
    chain = chain_to_lower(layer)
    first_with_parameters = next((i for i, inner in enumerate(chain) if inner.has_parameters), len(chain))
    values: Any = inputs
    index = 0
    backward: EmitBackward | None
    while index < len(chain):
        inner, following = chain[index], chain[index + 1] if index + 1 < len(chain) else None
        has_activation = following is not None and is_exactly(following, *ACTIVATIONS)
        if isinstance(inner, Dense) and is_exactly(inner, Dense) and following is not None and has_activation:
            # If kernels cannot use a setting of the activation, the dense layer is lowered alone below.
            with suppress(NotASettingError):
                values, backward = dense(inner, program, values, kernels_of(following, program))
                backwards.append((index, backward))
                index += 2
                continue
        values, backward = lower_single_layer(inner, program, values)
        backwards.append((index, backward))
        index += 1

    def backward_of_chain(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        gradient: np.ndarray | None = grad_output
        for index, backward in reversed(backwards):
            if index < first_with_parameters and not needs_grad_inputs:
                break  # no layer before the first one with parameters needs a gradient
            if backward is not None and gradient is not None:
                gradient = backward(gradient, needs_grad_inputs or index > first_with_parameters)
        return gradient

    return values, backward_of_chain


def lower_single_layer(
    layer: Layer, program: Program, inputs: np.ndarray | SparseRows
) -> tuple[np.ndarray, EmitBackward | None]:
    """Add one layer to a program: by its lowering, or by a call of its passes.

    The passes are called if the layer has no lowering, or if kernels cannot use one of its settings.
    """
    # A subclass of Residual or Concat that keeps the passes is lowered as its parent.
    kind = next((kind for kind in (Residual, Concat) if computes_as(layer, kind)), type(layer))
    lowering = lowering_of(kind) if computes_as(layer, kind) else None
    if lowering is not None:
        if program.is_training:
            program.dependencies.add_plain_settings(layer)
        with suppress(NotASettingError):
            outputs, backward = call_lowering(lowering, layer, program, inputs)
            program.dependencies.add_arrays(layer)
            return outputs, backward
    return lower_to_python(layer, program, inputs)


def kernels_of(activation: Layer, program: Program) -> tuple[activations.ActivationKernels, np.ndarray]:
    """Return the kernels of an activation, and the constants of its formula."""
    kernels, constants = ACTIVATIONS[type(activation)](partial(program.setting, activation))
    return kernels, program.constants(*constants)


def is_exactly(layer: Layer, *kinds: type[Layer]) -> bool:
    """Return whether a layer is of one of these types, not of a subclass, with the methods of its class."""
    return type(layer) in kinds and not any(name in vars(layer) for name in LAYER_METHODS)


def computes_as(layer: Layer, kind: type[Layer]) -> bool:
    """Return whether a layer is of a type or of a subclass, with the methods of that type."""
    return isinstance(layer, kind) and not any(
        name in vars(layer) or getattr(type(layer), name) is not getattr(kind, name) for name in LAYER_METHODS
    )


def chain_to_lower(layer: Layer) -> list[Layer]:
    """Return the layers of a chain, with those of each inner `Sequential` in its place.

    A `Sequential` on which a method was set stays whole, because the program calls that method;
    `layernet.containers.chain_of` opens it.
    """
    if not computes_as(layer, Sequential):
        return [layer]
    return [link for inner in layer.layers for link in chain_to_lower(inner)]


@lowers(Dense)
def dense(
    layer: Dense,
    program: Program,
    inputs: np.ndarray | SparseRows,
    activation: tuple[activations.ActivationKernels, np.ndarray] | None = None,
) -> tuple[np.ndarray, EmitBackward]:
    """Multiply by the weights; then add the bias and apply the activation that follows, in one kernel."""
    kernels, constants = activation or (activations.identity, program.constants())
    values = program.sample_buffer(layer.units)
    bias = program.as_matrix(layer.bias) if layer.use_bias else program.zeros(1, layer.units)
    grad_bias = program.gradient(layer.grad_bias) if layer.use_bias else program.zeros(1, layer.units)
    if isinstance(inputs, SparseRows):
        program.emit(multiply_sparse, *inputs.operands, layer.weights, values)
    else:
        program.emit(multiply if program.is_training else multiply_in_parts, inputs, layer.weights, values)
    slopes = [program.sample_buffer(layer.units)] if kernels.keeps_slope else []
    if layer.use_bias or activation is not None:
        program.emit(kernels.forward, values, *slopes, bias, constants)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        if layer.use_bias or activation is not None:
            program.emit(kernels.backward, *(slopes or [values]), grad_output, grad_bias, constants)

        def emit_gradient_of_weights() -> None:
            grad_weights, first_feature = program.owned_gradient(layer.grad_weights)
            operands = program.whole_batch(grad_output), grad_weights, np.array([[first_feature]], np.int64)
            if isinstance(inputs, SparseRows):
                program.emit(gradient_of_sparse, *inputs.operands, *operands)
            else:
                program.emit(gradient_of_weights, program.whole_batch(inputs), *operands)

        program.after_backward_barrier(emit_gradient_of_weights)
        if not needs_grad_inputs or isinstance(inputs, SparseRows):
            return None
        grad_inputs = program.sample_buffer(inputs.shape[1])
        program.emit(gradient_of_inputs, grad_output, layer.weights, grad_inputs)
        return grad_inputs

    return values, backward


@lowers(*(kind for kind in ACTIVATIONS if kind is not Identity))
def activation_alone(
    layer: Layer, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Apply an activation that does not follow a dense layer: on a copy, with a bias of 0."""
    kernels, constants = kernels_of(layer, program)
    width = inputs.shape[1]
    values = program.sample_buffer(width)
    zero_bias, unused_grad_bias = program.zeros(1, width), program.zeros(1, width)
    slopes = [program.sample_buffer(width)] if kernels.keeps_slope else []
    program.emit(structure.copy, inputs, values)
    program.emit(kernels.forward, values, *slopes, zero_bias, constants)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        program.emit(kernels.backward, *(slopes or [values]), grad_output, unused_grad_bias, constants)
        return grad_output

    return values, backward


def pass_through(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
    """Return the gradient as it is; the backward pass of a layer that adds no instructions."""
    return grad_output


@lowers(Identity, Flatten, Reshape)
def no_instructions(
    layer: Layer, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Return the same buffer: it has a row for each sample, whatever the sample's shape."""
    return inputs, pass_through


@lowers(Dropout)
def dropout(layer: Dropout, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, EmitBackward | None]:
    """Multiply by the mask that the layer would draw: the kernel computes the same hash."""
    if not program.is_training:
        return inputs, pass_through

    def count_steps(n_steps: int) -> None:
        layer.step += n_steps

    rate = program.setting(layer, "rate")
    program.after_call(count_steps)
    if rate == 0:
        return inputs, pass_through
    outputs, mask = program.sample_buffer(inputs.shape[1]), program.sample_buffer(inputs.shape[1])
    state = np.zeros((1, 3), np.int64)  # seed, step, threshold: as the kernel reads them
    state[0, 2] = int(np.uint32(rate * 2**32))

    def store_seed_and_step() -> None:
        state[0, :2] = layer.seed % 2**32, layer.step % 2**32

    program.before_call(store_seed_and_step)
    scale = program.constants(1 / (1 - rate))
    program.emit(structure.dropout, inputs, outputs, mask, scale, program.sample_numbers, state)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        program.emit(structure.multiply_entries, mask, grad_output)
        return grad_output

    return outputs, backward


@lowers(GaussianNoise)
def gaussian_noise(
    layer: GaussianNoise, program: Program, inputs: np.ndarray
) -> tuple[np.ndarray, EmitBackward | None]:
    """Call the layer in training: only NumPy draws its normal numbers. Inference needs no instructions."""
    return lower_to_python(layer, program, inputs) if program.is_training else (inputs, pass_through)


@lowers(Residual)
def residual(layer: Residual, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, EmitBackward | None]:
    """Add the inputs to the outputs of the body."""
    body_outputs, backward_of_body = lower(layer.body, program, inputs)
    outputs = program.sample_buffer(inputs.shape[1])
    program.emit(structure.add, inputs, body_outputs, outputs)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        # A copy, because the body's kernels may write into its grad_output.
        body_grad_output = program.sample_buffer(inputs.shape[1])
        program.emit(structure.copy, grad_output, body_grad_output)
        body_grad_inputs = backward_of_body(body_grad_output, needs_grad_inputs)
        if not needs_grad_inputs or body_grad_inputs is None:
            return None
        program.emit(structure.add, body_grad_inputs, grad_output, grad_output)
        return grad_output

    return outputs, backward


@lowers(Concat)
def concat(layer: Concat, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, EmitBackward | None]:
    """Concatenate the outputs of several layers; by kernels only if the outputs of each have one axis."""
    if any(len(inner.output_shape) != 1 for inner in layer.layers):
        return lower_to_python(layer, program, inputs)
    widths = [inner.output_shape[0] for inner in layer.layers]
    first_columns = [np.array([[first]], np.int64) for first in np.cumsum([0, *widths[:-1]])]
    outputs = program.sample_buffer(sum(widths))
    backwards = []
    for inner, first_column in zip(layer.layers, first_columns, strict=True):
        part, backward_of_layer = lower(inner, program, inputs)
        program.emit(structure.copy_into_columns, part, outputs, first_column)
        backwards.append(backward_of_layer)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        total = program.sample_buffer(inputs.shape[1]) if needs_grad_inputs else None
        branches = zip(layer.layers, widths, first_columns, backwards, strict=True)
        for index, (inner, width, first_column, backward_of_layer) in enumerate(branches):
            if not needs_grad_inputs and not inner.has_parameters:
                continue
            part = program.sample_buffer(width)
            program.emit(structure.copy_from_columns, part, grad_output, first_column)
            grad_inputs = backward_of_layer(part, needs_grad_inputs)
            if total is None or grad_inputs is None:
                continue
            if index == 0:
                program.emit(structure.copy, grad_inputs, total)
            else:
                program.emit(structure.add, total, grad_inputs, total)
        return total

    return outputs, backward
