"""`check_kernel`: kernels that are right pass, and each kind of mistake breaks the law that it should."""

import numpy as np
import pytest

from layernet import (
    ELU,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    LayerNorm,
    Residual,
    Sequential,
    Tanh,
    check_kernel,
)

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from layernet.checking import kernels
from layernet.engine.compiled.kernel import cast_like, kernel, matrices
from layernet.engine.compiled.lowering.layers import lowers
from layernet.engine.compiled.lowering.registry import _lowerings


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dense(3), 4),
        (BatchNorm(), 3),
        (LayerNorm(), 4),
        (Dropout(0.4), 5),
        (ELU(0.5), (2, 3)),
        (Residual(Sequential([Dense(3), Tanh()])), 3),
    ],
    ids=repr,
)
def test_layers_of_the_package_keep_all_laws(layer, shape):
    report = check_kernel(layer, shape, n_samples=4)
    assert report
    assert str(report).startswith(f"{layer!r} keeps all 5 laws of a kernel.")
    assert layer.input_shape is None  # copies were built


def test_a_layer_without_kernels_breaks_the_first_law_only():
    with pytest.raises(
        AssertionError, match=r"breaks 1 of 5 laws of a kernel\.\n  BROKEN All layers inside have"
    ):
        check_kernel(GaussianNoise(0.1), 3, n_samples=3)


class Scale(Layer):
    """outputs = slope * inputs * factor."""

    def __init__(self, slope=1.5):
        self.slope = slope

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones")
        self.add_state("seen", np.zeros(input_shape))

    def forward_pass(self, inputs):
        return self.slope * inputs * self.factor

    def backward_pass(self, inputs, grad_output):
        self.grad_factor = self.slope * (inputs * grad_output).sum(axis=0)
        return self.slope * grad_output * self.factor


@kernel
def scale(control, operands, sizes):
    inputs, factor, slope, outputs = matrices(control, operands, sizes, 4)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            outputs[row, unit] = slope[0, 0] * inputs[row, unit] * factor[0, unit]


@kernel
def scale_backward(control, operands, sizes):
    inputs, factor, slope, gradient, grad_factor, grad_inputs = matrices(control, operands, sizes, 6)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            grad_factor[0, unit] += slope[0, 0] * inputs[row, unit] * gradient[row, unit]
            grad_inputs[row, unit] = slope[0, 0] * gradient[row, unit] * factor[0, unit]


@kernel
def adding_backward(control, operands, sizes):
    """Adds to the gradient of the inputs, which nobody sets to zero."""
    inputs, factor, slope, gradient, grad_factor, grad_inputs = matrices(control, operands, sizes, 6)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            grad_factor[0, unit] += slope[0, 0] * inputs[row, unit] * gradient[row, unit]
            grad_inputs[row, unit] += slope[0, 0] * gradient[row, unit] * factor[0, unit]


@kernel
def overwriting_backward(control, operands, sizes):
    """Overwrites the inputs, which the layer before reads."""
    inputs, factor, slope, gradient, grad_factor, grad_inputs = matrices(control, operands, sizes, 6)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            grad_factor[0, unit] += slope[0, 0] * inputs[row, unit] * gradient[row, unit]
            grad_inputs[row, unit] = slope[0, 0] * gradient[row, unit] * factor[0, unit]
            inputs[row, unit] = cast_like(inputs, 0)


@kernel
def last_row_backward(control, operands, sizes):
    """Keeps the gradient of the last row in the place of the sum over rows."""
    inputs, factor, slope, gradient, grad_factor, grad_inputs = matrices(control, operands, sizes, 6)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            grad_factor[0, unit] = slope[0, 0] * inputs[row, unit] * gradient[row, unit]
            grad_inputs[row, unit] = slope[0, 0] * gradient[row, unit] * factor[0, unit]


@kernel
def few_rows(control, operands, sizes):
    """Ends after the fifth row."""
    inputs, factor, slope, outputs = matrices(control, operands, sizes, 4)
    for row in range(min(5, len(inputs))):
        for unit in range(inputs.shape[1]):
            outputs[row, unit] = slope[0, 0] * inputs[row, unit] * factor[0, unit]


@kernel
def few_rows_backward(control, operands, sizes):
    """Ends after the fifth row, in training only."""
    inputs, factor, slope, gradient, grad_factor, grad_inputs = matrices(control, operands, sizes, 6)
    for row in range(min(5, len(inputs))):
        for unit in range(inputs.shape[1]):
            grad_factor[0, unit] += slope[0, 0] * inputs[row, unit] * gradient[row, unit]
            grad_inputs[row, unit] = slope[0, 0] * gradient[row, unit] * factor[0, unit]


@kernel
def whole_blocks(control, operands, sizes):
    """Takes eight rows at a time from nine rows on, and forgets those that are left over."""
    inputs, factor, slope, outputs = matrices(control, operands, sizes, 4)
    for row in range(len(inputs) if len(inputs) < 9 else len(inputs) // 8 * 8):
        for unit in range(inputs.shape[1]):
            outputs[row, unit] = slope[0, 0] * inputs[row, unit] * factor[0, unit]


def lowering_with(backward_kernel=scale_backward, slope=None, parameter=None, forward_kernel=scale):
    """The lowering of a scale, with one mistake."""

    def lowering(layer, program, inputs):
        of_layer = program.setting(layer, "slope") if slope is None else slope(layer)
        factor = program.as_matrix(layer.factor if parameter is None else parameter(layer))
        constants, outputs = program.constants(of_layer), program.sample_buffer(inputs.shape[1])
        program.emit(forward_kernel, inputs, factor, constants, outputs)

        def backward(grad_output, wanted):
            grad_inputs, gradient = program.sample_buffer(inputs.shape[1]), program.gradient(layer.grad_factor)
            program.emit(backward_kernel, inputs, factor, constants, grad_output, gradient, grad_inputs)
            return grad_inputs

        return outputs, backward

    return lowering


INFERENCE, STEP, TRAINING, CHANGES = (law.__doc__.splitlines()[0] for law in kernels.LAWS[1:])
MISTAKES = {
    "none": (lowering_with(), set()),
    "adds to grad_inputs": (lowering_with(adding_backward), {STEP, TRAINING, CHANGES}),
    "overwrites inputs": (lowering_with(overwriting_backward), {STEP, TRAINING, CHANGES}),
    "the last row": (lowering_with(last_row_backward), {STEP, TRAINING, CHANGES}),
    "another slope": (lowering_with(slope=lambda layer: 1.4), {INFERENCE, STEP, TRAINING, CHANGES}),
    "five rows": (lowering_with(forward_kernel=few_rows), {INFERENCE, STEP, TRAINING, CHANGES}),
    "five rows backward": (lowering_with(few_rows_backward), {STEP, TRAINING, CHANGES}),
    "whole blocks": (lowering_with(forward_kernel=whole_blocks), {INFERENCE, STEP, TRAINING, CHANGES}),
    "a copy": (lowering_with(parameter=lambda layer: layer.factor.copy()), {TRAINING, CHANGES}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_breaks_the_laws_that_it_should(mistake):
    lowering, broken = MISTAKES[mistake]
    lowers(Scale)(lowering)
    try:
        if not broken:
            assert check_kernel(Scale(), 3, n_samples=4)
            return
        with pytest.raises(AssertionError) as error:
            check_kernel(Scale(), 3, n_samples=4)
    finally:
        del _lowerings[Scale]
    lines = str(error.value).splitlines()
    assert {line.removeprefix("  BROKEN ") for line in lines if line.startswith("  BROKEN ")} == broken
    assert "differ by up to" in str(error.value)


def test_an_operand_that_does_not_fit_is_in_the_report():
    lowers(Scale)(lowering_with(parameter=lambda layer: layer.factor[:2]))
    try:
        with pytest.raises(AssertionError, match=r"scale> reads or writes outside of its operands"):
            check_kernel(Scale(), 3, n_samples=4)
    finally:
        del _lowerings[Scale]


@kernel
def misspelled(control, operands, sizes):
    values = matrices(control, operands, sizes, 4)
    values[3][0, 0] = value[0][0, 0]  # noqa: F821


def test_a_kernel_that_does_not_compile_is_named_once_in_the_report():
    lowers(Scale)(lowering_with(forward_kernel=misspelled))
    try:
        with pytest.raises(AssertionError, match="breaks 5 of 5 laws") as error:
            check_kernel(Scale(), 3, n_samples=4)
    finally:
        del _lowerings[Scale]
    lines = str(error.value).splitlines()
    named = [line for line in lines if "Numba cannot compile <kernel test_check_kernel.misspelled>" in line]
    assert len(named) == 1
    assert lines.count(f"{' ' * 9}As before.") == 4
    assert all(line.startswith("  ") for line in lines[1:])
