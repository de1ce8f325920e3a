"""Registry of lowerings: a function for each type of layer that adds its instructions to a program."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from layernet.engine.compiled.buffers import copy_samples
from layernet.engine.compiled.program import Program, current_batch
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.formulas import set_batch_info
from layernet.layer import Layer

# Adds the instructions of a backward pass, given the buffer of grad_output and whether grad_inputs is needed;
# returns the buffer of grad_inputs, or None.
EmitBackward: TypeAlias = Callable[[np.ndarray, bool], np.ndarray | None]
# Adds the instructions of a layer, given the layer, the program and the buffer of inputs; returns the buffer of
# outputs and the function above. In inference that function is not used and may be None.
Lowering: TypeAlias = Callable[[Any, Program, Any], tuple[Any, EmitBackward | None]]
AnyLowering = TypeVar("AnyLowering", bound=Lowering)

_lowerings: dict[type[Layer], Lowering] = {}


def lowers(*kinds: type[Layer]) -> Callable[[AnyLowering], AnyLowering]:
    """Register a function as the lowering of layers of these types, without their subclasses; a decorator.

    Raises
    ------
    TypeError
        If an argument is no type of layer, as in `@lowers` without parentheses.
    """
    for kind in kinds or (None,):
        if not (isinstance(kind, type) and issubclass(kind, Layer)):
            raise TypeError(f"lowers expects types of layers, as in @lowers(Square), got {kind!r}.")

    def register(lowering: AnyLowering) -> AnyLowering:
        for kind in kinds:
            _lowerings[kind] = lowering
        return lowering

    return register


def lowering_of(kind: type[Layer]) -> Lowering | None:
    """Return the lowering of a type of layer, or None."""
    return _lowerings.get(kind)


def call_lowering(
    lowering: Lowering, layer: Layer, program: Program, inputs: np.ndarray | SparseRows
) -> tuple[np.ndarray, EmitBackward | None]:
    """Add a layer by its lowering, and validate what that returns: the next kernels rely on it.

    Raises
    ------
    TypeError
        If the lowering does not return two things, or in training the second is no function.
    ValueError
        If a pass does not return a buffer of samples of the width that the layer's shapes give.
    """
    returned = lowering(layer, program, inputs)
    is_pair = isinstance(returned, tuple) and len(returned) == 2
    if not is_pair or (program.is_training and not callable(returned[1])):
        got = f"({', '.join(type(each).__name__ for each in returned)})" if is_pair else type(returned).__name__
        raise TypeError(
            f"The lowering of {layer!r} must return the buffer of outputs and a function, got {got}. End it "
            "with `return outputs, backward`."
        )
    outputs, backward = returned
    validate_buffer(outputs, math.prod(layer.output_shape), program, f"The lowering of {layer!r}")
    if backward is None or isinstance(inputs, SparseRows):
        return outputs, backward

    def validated_backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        grad_inputs = backward(grad_output, needs_grad_inputs)
        if needs_grad_inputs:
            width = math.prod(layer.input_shape)
            validate_buffer(grad_inputs, width, program, f"The function backward in the lowering of {layer!r}")
        return grad_inputs

    return outputs, validated_backward


def validate_buffer(buffer: Any, width: int, program: Program, who: str) -> None:
    """Raise an error if an object is no buffer of a program with a row of a width for each sample."""
    is_of_program = program.is_sample_buffer(buffer)
    if is_of_program and buffer.shape[1] == width and buffer.dtype == program.dtype:
        return
    got = type(buffer).__name__
    if isinstance(buffer, np.ndarray):
        origin = "a buffer" if is_of_program else "an array that program.sample_buffer did not return,"
        got = f"{origin} of shape {buffer.shape} and type {buffer.dtype}"
    raise ValueError(
        f"{who} must return a buffer of shape ({program.rows_per_worker}, {width}) and type {program.dtype}, "
        f"got {got}. Make it with program.sample_buffer({width})."
    )


def lower_to_python(
    layer: Layer, program: Program, inputs: np.ndarray | SparseRows
) -> tuple[np.ndarray, EmitBackward | None]:
    """Add calls of a layer's own passes, for a layer without kernels.

    The layer is given copies of the buffers, which hold other numbers in the next step: it may keep what it
    is given.
    """
    outputs = program.sample_buffer(math.prod(layer.output_shape))

    def samples(rows: int) -> Any:
        if isinstance(inputs, SparseRows):
            return current_batch(program).inputs
        return copy_samples(inputs, rows, layer.input_shape)

    if not program.is_training:

        def infer(rows: int) -> None:
            outputs[:rows] = layer.forward_pass(samples(rows)).reshape(rows, -1)

        program.emit_python(infer)
        return outputs, None

    record: Any = None
    layers_with_batch_info = [inner for inner in layer.walk() if inner.uses_batch_info]

    def call_forward(rows: int) -> None:
        nonlocal record
        batch = current_batch(program)
        set_batch_info(
            layers_with_batch_info, batch.weights, batch.sample_numbers, program.batch_size, batch.mean_weight
        )
        values, record = layer.record(samples(rows))
        outputs[:rows] = values.reshape(rows, -1)

    program.emit_python(call_forward)
    program.emit_python(lambda rows: layer.end_step(), after_update=True)

    def backward(grad_output: np.ndarray, needs_grad_inputs: bool) -> np.ndarray | None:
        width = inputs.width if isinstance(inputs, SparseRows) else inputs.shape[1]
        grad_inputs = program.sample_buffer(width) if needs_grad_inputs else None

        def call_backward(rows: int) -> None:
            gradient = copy_samples(grad_output, rows, layer.output_shape)
            if grad_inputs is not None:
                grad_inputs[:rows] = layer.backward_from(record, gradient).reshape(rows, -1)
            else:
                layer.parameter_gradients(record, gradient)

        program.emit_python(call_backward)
        return grad_inputs

    return outputs, backward
