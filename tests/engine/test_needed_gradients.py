"""Gradients that nothing needs are not computed: those of the inputs of the first layer with parameters."""

import numpy as np
import pytest

from layernet import SGD, Concat, Dense, Layer, LayerNorm, ReLU, Residual, SelectFeatures, Sequential
from layernet.engine.choice import has_numba

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((12, 3)), RANDOM.standard_normal((12, 2))


class Doubled(Layer):
    """A layer without parameters, which writes down that its backward pass was called."""

    def __init__(self, calls):
        self.calls = calls

    def forward_pass(self, inputs):
        return 2 * inputs

    def backward_pass(self, inputs, grad_output):
        self.calls.append("inputs")
        return 2 * grad_output


class Shifted(Layer):
    """A layer with a parameter, which writes down which gradients it was asked for."""

    def __init__(self, calls):
        self.calls = calls

    def create_parameters(self, input_shape):
        self.add_parameter("shift", input_shape, "zeros")

    def record(self, inputs):
        return inputs + self.shift, None

    def backward_from(self, record, grad_output):
        self.calls.append("inputs and parameters")
        self.grad_shift = grad_output.sum(axis=0)
        return grad_output.copy()

    def parameter_gradients(self, record, grad_output):
        self.calls.append("parameters")
        self.grad_shift = grad_output.sum(axis=0)


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (lambda calls: [Doubled(calls), Dense(2)], []),
        (lambda calls: [Doubled(calls), ReLU(), Sequential([Doubled(calls), Dense(2)])], []),
        (lambda calls: [Doubled(calls), LayerNorm(), Dense(2)], []),
        (lambda calls: [Concat([Doubled(calls), Dense(1)]), Dense(2)], []),
        (lambda calls: [Concat([Shifted(calls), Dense(1)]), Dense(2)], ["parameters"]),
        (lambda calls: [Dense(2), Concat([Doubled(calls), Dense(1)]), Dense(2)], ["inputs"]),
        (lambda calls: [Shifted(calls), Dense(2)], ["parameters"]),
        (lambda calls: [Doubled(calls), Shifted(calls), Dense(2)], ["parameters"]),
        (lambda calls: [Dense(2), Shifted(calls)], ["inputs and parameters"]),
        (lambda calls: [Dense(2), Doubled(calls), Shifted(calls)], ["inputs and parameters", "inputs"]),
        (lambda calls: [Dense(2), Residual(Doubled(calls))], ["inputs"]),
    ],
)
def test_a_step_asks_for_the_gradients_that_it_needs(layers, expected, engine):
    if engine == "compiled" and not has_numba():
        pytest.skip("kernels need Numba, which is not installed")
    calls = []
    net = Sequential(layers(calls)).build(3, random_state=0)
    calls.clear()
    options = {"optimizer": SGD(0.01), "epochs": 1, "batch_size": 12, "engine": engine, "random_state": 0}
    net.fit(X, Y, loss="mean_squared_error", **options)
    assert calls == expected


def test_a_branch_without_parameters_is_given_no_gradient_that_nothing_reads():
    pytest.importorskip("numba", reason="kernels need Numba, which is not installed")
    from layernet.engine.compiled.kernels.structure import copy_from_columns
    from layernet.engine.compiled.lowering.layers import lower
    from layernet.engine.compiled.program import Program

    net = Concat([SelectFeatures(0, 2), Dense(4)]).build(3, random_state=0)
    for needs_grad_inputs, n_copies in ((False, 1), (True, 2)):
        program = Program(net.dtype, 5, net.gradient_vector)
        _, backward = lower(net, program, program.sample_buffer(3))
        n_forward = len(program.instructions)
        backward(program.sample_buffer(6), needs_grad_inputs)
        kernels = [instruction.kernel for instruction in program.instructions[n_forward:]]
        assert kernels.count(copy_from_columns) == n_copies
