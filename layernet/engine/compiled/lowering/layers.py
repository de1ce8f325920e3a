"""From layers to instructions: what each layer does to a program, forwards and on the way back.

A layer is translated by a function of the layer, the program and the buffer of its inputs. It adds the
instructions of the way forward, and returns the buffer of the outputs together with another function, which
adds those of the way back when it is given the buffer of grad_output, and returns that of grad_inputs. It may
write into grad_output, which nobody reads after it, and must leave inputs and outputs as they are.

    @translates(Square)
    def square(layer, program, inputs):
        outputs = program.for_samples(inputs.shape[1])
        program.do(square_forward, inputs, outputs)

        def way_back(grad_output, wanted):
            program.do(square_backward, inputs, grad_output)
            return grad_output

        return outputs, way_back

A layer that is of no known type is called through its own two methods. In inference there is no way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import numpy as np

from layernet.containers import Concat, Residual, Sequential
from layernet.engine.compiled.kernels import activations, structure
from layernet.engine.compiled.kernels.products import (
    gradient_of_inputs,
    gradient_of_weights,
    multiply,
    multiply_parts,
)
from layernet.engine.compiled.kernels.sparse import gradient_of_sparse, multiply_sparse
from layernet.engine.compiled.lowering import normalization as normalization  # registers its translations
from layernet.engine.compiled.lowering.registry import PASSES, WayBack, _translations, by_formula, translates
from layernet.engine.compiled.program import Program
from layernet.engine.compiled.settings import NotASettingError
from layernet.engine.compiled.sparse_rows import SparseRows
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
    Softplus,
    Tanh,
)

# An activation's kernels, and the constants in its formula, given a function that reads a setting by name.
ACTIVATIONS: dict[
    type[Layer], Callable[[Callable], tuple[activations.ActivationKernels, tuple[float, ...]]]
] = {
    Identity: lambda setting: (activations.identity, ()),
    ReLU: lambda setting: (activations.relu, ()),
    LeakyReLU: lambda setting: (activations.leaky_relu, (setting("negative_slope"),)),
    ELU: lambda setting: (activations.elu, (setting("alpha"),)),
    SELU: lambda setting: (activations.selu, (setting("scale"), setting("scale") * setting("alpha"))),
    Sigmoid: lambda setting: (activations.sigmoid, ()),
    Tanh: lambda setting: (activations.tanh, ()),
    HardSigmoid: lambda setting: (activations.hard_sigmoid, ()),
    Softplus: lambda setting: (activations.softplus_activation, ()),
    SiLU: lambda setting: (activations.silu, ()),
    Mish: lambda setting: (activations.mish, ()),
    GELU: lambda setting: (activations.tanh_gelu if setting("approximate") else activations.gelu, ()),
}


def translate(layer: Layer, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, WayBack]:
    """Add a layer, and all layers inside it, to a program.

    Parameters
    ----------
    layer : Layer
        Built.
    program : Program
    inputs : ndarray of shape (batch_size, width)

    Returns
    -------
    outputs : ndarray of shape (batch_size, width)
    way_back : callable
        Of the buffer of grad_output, and whether that of grad_inputs is wanted; adds the instructions of the
        way back.
    """
    ways_back = []
    chain = list(flattened(layer))
    first = next((i for i, inner in enumerate(chain) if inner.has_parameters), len(chain))
    index = 0
    while index < len(chain):
        one, following = chain[index], chain[index + 1 : index + 2]
        if known_as(one, Dense) and following and known_as(following[0], *ACTIVATIONS):
            with suppress(NotASettingError):
                inputs, way_back = dense(one, program, inputs, kernels_of(following[0], program))
                ways_back.append((index, way_back))
                index += 2
                continue
        inputs, way_back = translate_alone(one, program, inputs)
        ways_back.append((index, way_back))
        index += 1

    def back(grad_output, wanted):
        for index, way_back in reversed(ways_back):
            if index < first and not wanted:
                break  # nothing before the first layer with parameters asks for a gradient
            grad_output = way_back(grad_output, wanted or index > first)
        return grad_output

    return inputs, back


def translate_alone(layer: Layer, program: Program, inputs: np.ndarray) -> tuple[np.ndarray, WayBack]:
    """Add one layer by its kernels; by its formula if it has none, or a setting that no kernel can use."""
    kind = next((kind for kind in (Residual, Concat) if computes_as(layer, kind)), type(layer))
    translation = _translations.get(kind) if computes_as(layer, kind) else None
    if translation is not None:
        if program.is_training:
            program.watch_numbers(layer)
        with suppress(NotASettingError):
            translated = translation(layer, program, inputs)
            program.watch_arrays(layer)
            return translated
    return by_formula(layer, program, inputs)


def kernels_of(activation: Layer, program: Program) -> tuple[activations.ActivationKernels, np.ndarray]:
    """The kernels of an activation, and the constants in them."""
    kernels, constants = ACTIVATIONS[type(activation)](partial(program.setting, activation))
    return kernels, program.constants(*constants)


def known_as(layer: Layer, *kinds: type[Layer]) -> bool:
    """Whether a layer is of one of these very types, with the passes of its class."""
    return type(layer) in kinds and not any(name in vars(layer) for name in PASSES)


def computes_as(layer: Layer, kind: type[Layer]) -> bool:
    """Whether a layer is of a type, or of one derived from it, with the passes of that type."""
    return isinstance(layer, kind) and not any(
        name in vars(layer) or getattr(type(layer), name) is not getattr(kind, name) for name in PASSES
    )


def flattened(layer: Layer) -> Iterator[Layer]:
    """The layers of a chain, those of chains inside it in their place."""
    if computes_as(layer, Sequential):
        for inner in layer.layers:
            yield from flattened(inner)
    else:
        yield layer


@translates(Dense)
def dense(layer, program, inputs, activation=None):
    """A dense layer, with the kernels and the constants of the activation after it, if there is one."""
    kernels, constants = activation or (activations.identity, program.constants())
    values = program.for_samples(layer.units)
    bias = program.vector(layer.bias) if layer.use_bias else program.fixed(1, layer.units)
    grad_bias = program.gradient(layer.grad_bias) if layer.use_bias else program.fixed(1, layer.units)
    if isinstance(inputs, SparseRows):
        program.do(multiply_sparse, *inputs.operands, layer.weights, values)
    else:
        program.do(multiply if program.is_training else multiply_parts, inputs, layer.weights, values)
    slopes = program.for_samples(layer.units) if kernels.keeps_slope else None
    kept = [] if slopes is None else [slopes]
    if layer.use_bias or activation is not None:
        program.do(kernels.forward, values, *kept, bias, constants)

    def way_back(grad_output, wanted):
        if layer.use_bias or activation is not None:
            program.do(kernels.backward, *(kept or [values]), grad_output, grad_bias, constants)

        def add_gradient_of_weights():
            grad_weights, first = program.gradient_for_all(layer.grad_weights)
            grad_of_all, first = program.of_all(grad_output), np.array([[first]], np.int64)
            if isinstance(inputs, SparseRows):
                program.do(gradient_of_sparse, *inputs.operands, grad_of_all, grad_weights, first)
            else:
                program.do(gradient_of_weights, program.of_all(inputs), grad_of_all, grad_weights, first)

        program.when_all_are_back(add_gradient_of_weights)
        if not wanted:
            return None
        grad_inputs = program.for_samples(inputs.shape[1])
        program.do(gradient_of_inputs, grad_output, layer.weights, grad_inputs)
        return grad_inputs

    return values, way_back


@translates(*(kind for kind in ACTIVATIONS if kind is not Identity))
def activation_alone(layer, program, inputs):
    """An activation that does not follow a dense layer: the same kernels, on a copy and without a bias."""
    kernels, constants = kernels_of(layer, program)
    width = inputs.shape[1]
    values = program.for_samples(width)
    no_bias, unused = program.fixed(1, width), program.fixed(1, width)
    slopes = program.for_samples(width) if kernels.keeps_slope else None
    kept = [] if slopes is None else [slopes]
    program.do(structure.copy, inputs, values)
    program.do(kernels.forward, values, *kept, no_bias, constants)

    def way_back(grad_output, wanted):
        program.do(kernels.backward, *(kept or [values]), grad_output, unused, constants)
        return grad_output

    return values, way_back


@translates(Identity, Flatten, Reshape)
def nothing(layer, program, inputs):
    """A buffer has a row for each sample whatever the shape of a sample is."""
    return inputs, lambda grad_output, wanted: grad_output


@translates(Dropout)
def dropout(layer, program, inputs):
    """A mask that the kernel works out as the layer does."""
    if not program.is_training:
        return nothing(layer, program, inputs)
    rate = program.setting(layer, "rate")
    if rate == 0:
        program.after_a_run(lambda steps: setattr(layer, "step", layer.step + steps))
        return inputs, lambda grad_output, wanted: grad_output
    outputs, mask = program.for_samples(inputs.shape[1]), program.for_samples(inputs.shape[1])
    state = np.zeros((1, 3), np.int64)
    state[0, 2] = int(np.uint32(rate * 2**32))

    def begin():
        state[0, :2] = layer.seed % 2**32, layer.step % 2**32

    program.before_a_run(begin)
    program.after_a_run(lambda steps: setattr(layer, "step", layer.step + steps))
    kept = program.constants(1 / (1 - rate))
    program.do(structure.dropout, inputs, outputs, mask, kept, program.row_numbers, state)

    def way_back(grad_output, wanted):
        program.do(structure.times, mask, grad_output)
        return grad_output

    return outputs, way_back


@translates(GaussianNoise)
def gaussian_noise(layer, program, inputs):
    """Normal numbers are left to the formula."""
    return (by_formula if program.is_training else nothing)(layer, program, inputs)


@translates(Residual)
def residual(layer, program, inputs):
    """The body, and a way around it."""
    of_body, back_through_body = translate(layer.body, program, inputs)
    outputs = program.for_samples(inputs.shape[1])
    program.do(structure.add, inputs, of_body, outputs)

    def way_back(grad_output, wanted):
        own = program.for_samples(inputs.shape[1])
        program.do(structure.copy, grad_output, own)
        through_body = back_through_body(own, wanted)
        if not wanted:
            return None
        program.do(structure.add, through_body, grad_output, grad_output)
        return grad_output

    return outputs, way_back


@translates(Concat)
def concat(layer, program, inputs):
    """Layers side by side; only where they put out one row of features a sample."""
    if any(len(inner.output_shape) != 1 for inner in layer.layers):
        return by_formula(layer, program, inputs)
    widths = [inner.output_shape[0] for inner in layer.layers]
    firsts = [np.array([[first]], np.int64) for first in np.cumsum([0, *widths[:-1]])]
    outputs = program.for_samples(sum(widths))
    ways_back = []
    for inner, first in zip(layer.layers, firsts, strict=True):
        part, way_back = translate(inner, program, inputs)
        program.do(structure.copy_into_columns, part, outputs, first)
        ways_back.append(way_back)

    def way_back(grad_output, wanted):
        total = program.for_samples(inputs.shape[1]) if wanted else None
        for index, (width, first, back) in enumerate(zip(widths, firsts, ways_back, strict=True)):
            part = program.for_samples(width)
            program.do(structure.copy_from_columns, part, grad_output, first)
            grad_inputs = back(part, wanted)
            if not wanted:
                continue
            if index == 0:
                program.do(structure.copy, grad_inputs, total)
            else:
                program.do(structure.add, total, grad_inputs, total)
        return total

    return outputs, way_back
