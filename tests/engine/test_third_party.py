"""Kernels of other people: mistakes are found where a kernel is put into a program, not by the processor."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from layernet import SGD, Callback, Dense, Flatten, Layer, Reshape, Sequential

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import assert_same_training, passes_by_kernels, run, train

from layernet.engine.compiled.buffers import matrix_shape
from layernet.engine.compiled.intrinsics import GEMM_ADDRESS
from layernet.engine.compiled.kernel import inline, int64_matrix, kernel, matrices, matrix_product
from layernet.engine.compiled.kernels import losses, products, structure
from layernet.engine.compiled.lowering.layers import lowers
from layernet.engine.compiled.lowering.registry import _lowerings
from layernet.engine.compiled.program import Program
from layernet.engine.compiled.trial import try_kernel

FLOAT = np.dtype(np.float64)
X = np.random.default_rng(0).standard_normal((45, 6))


class Mix(Layer):
    """outputs = inputs * factor + shift, with parameters of the samples' shape."""

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones")
        self.add_parameter("shift", input_shape, "zeros")
        self.scale = np.array([2.0])

    def forward_pass(self, inputs):
        return self.scale * inputs * self.factor + self.shift

    def backward_pass(self, inputs, grad_output):
        self.grad_factor = (self.scale * inputs * grad_output).sum(axis=0)
        self.grad_shift = grad_output.sum(axis=0)
        return self.scale * grad_output * self.factor


@kernel
def mix(control, operands, sizes):
    inputs, scale, factor, shift, outputs = matrices(control, operands, sizes, 5)
    width = factor.shape[1]
    for row in range(len(inputs)):
        for i in range(len(factor)):
            for j in range(width):
                product = scale[0, 0] * inputs[row, i * width + j] * factor[i, j]
                outputs[row, i * width + j] = product + shift[i, j]


@kernel
def mix_backward(control, operands, sizes):
    """Adds to the gradients, and sets nothing to zero."""
    inputs, scale, factor, gradient, grad_factor = matrices(control, operands, sizes, 5)
    width = factor.shape[1]
    for row in range(len(inputs)):
        for i in range(len(factor)):
            for j in range(width):
                grad_factor[i, j] += scale[0, 0] * inputs[row, i * width + j] * gradient[row, i * width + j]


@kernel
def mix_shift_backward(control, operands, sizes):
    scale, factor, gradient, grad_shift = matrices(control, operands, sizes, 4)
    width = factor.shape[1]
    for row in range(len(gradient)):
        for i in range(len(factor)):
            for j in range(width):
                grad_shift[i, j] += gradient[row, i * width + j]
                gradient[row, i * width + j] *= scale[0, 0] * factor[i, j]


@lowers(Mix)
def lower_mix(layer, program, inputs):
    factor, shift = program.as_matrix(layer.factor), program.as_matrix(layer.shift)
    scale = program.as_matrix(layer.scale)
    outputs = program.sample_buffer(inputs.shape[1])
    program.emit(mix, inputs, scale, factor, shift, outputs)

    def backward(grad_output, wanted):
        grad_factor, grad_shift = program.gradient(layer.grad_factor), program.gradient(layer.grad_shift)
        program.emit(mix_backward, inputs, scale, factor, grad_output, grad_factor)
        program.emit(mix_shift_backward, scale, factor, grad_output, grad_shift)
        return grad_output

    return outputs, backward


def network_with(*layers):
    return Sequential([Dense(6), *layers, Flatten(), Dense(2)]).build(6, random_state=0)


@pytest.fixture
def lowered():
    """Says how layers of a type are lowered, in this test only."""
    kinds = []

    def say(kind, lowering):
        kinds.append(kind)
        lowers(kind)(lowering)

    yield say
    for kind in kinds:
        del _lowerings[kind]


# --- parameters of two axes, and gradients that are added to ---


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 6), (6, 1), (1, 2, 3)])
@pytest.mark.parametrize("n_workers", [1, 3])
def test_parameters_of_all_shapes_train_as_by_formulas(shape, n_workers):
    network = network_with(Reshape(shape), Mix())
    options = {"loss": "mean_squared_error", "optimizer": SGD(0.02), "epochs": 6}
    assert_same_training(network, X, X[:, :2], n_workers=(n_workers,), **options)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (6, 1), (1, 2, 3)])
def test_a_parameter_and_its_gradient_are_matrices_of_one_shape(shape):
    layer = Mix().build(shape)
    program = Program(FLOAT, 4, layer.gradient_vector)
    parameter, gradient = program.as_matrix(layer.factor), program.gradient(layer.grad_factor)
    assert parameter.shape == gradient.shape == matrix_shape(layer.factor)
    assert np.shares_memory(parameter, layer.factor)
    assert np.shares_memory(gradient, layer.grad_factor)


def test_a_gradient_is_set_to_zero_once_a_step_and_only_for_kernels_of_others():
    layer = Dense(3).build(2)
    program = Program(FLOAT, 4, layer.gradient_vector)
    weights, bias = program.gradient(layer.grad_weights), program.gradient(layer.grad_bias)
    ones = np.ones((2, 3))
    program.emit(structure.copy, ones, weights)
    program.emit(add_ones, weights)  # what the package has written stays
    program.emit(add_ones, bias)
    program.emit(add_ones, bias)
    layer.gradient_vector[:] = 7
    for _ in range(2):
        run(program)
        assert_array_equal(layer.grad_weights, 2 * ones)
        assert_array_equal(layer.grad_bias, [2, 2, 2])


@kernel
def add_ones(control, operands, sizes):
    (values,) = matrices(control, operands, sizes, 1)
    for row in range(len(values)):
        for unit in range(values.shape[1]):
            values[row, unit] += 1


def test_passes_do_not_add_to_the_gradients_of_the_step_before():
    layer = Mix().build((2, 3))
    found = [passes_by_kernels(layer, X[:8].reshape(8, 2, 3), X[8:16].reshape(8, 2, 3)) for _ in range(2)]
    for first, second in zip(*found, strict=True):
        assert_array_equal(first, second)


class Replace(Callback):
    """Gives a layer another array after every epoch."""

    def on_epoch_end(self, run):
        run.network[2].scale = np.array([0.5 + run.epoch / 4])


def test_an_array_of_a_layer_that_is_replaced_is_noticed():
    network = network_with(Reshape((2, 3)), Mix())
    options = {"loss": "mean_squared_error", "optimizer": SGD(0.01), "epochs": 3, "callbacks": [Replace()]}
    assert_same_training(network, X, X[:, :2], **options)


# --- what a kernel would misread ---


def program_for(n_rows=4):
    return Program(FLOAT, n_rows, np.zeros(0))


@pytest.mark.parametrize("values", [np.zeros((3, 2)).T, np.zeros(6)[::2], [1.0, 2.0], 0.5])
def test_a_vector_shares_memory_or_is_refused(values):
    with pytest.raises(ValueError, match=r"program\.as_matrix expects a contiguous array"):
        program_for().as_matrix(values)


@pytest.mark.parametrize("view", [lambda b: b[:], lambda b: b.reshape(2, 6), lambda b: b[:2]])
def test_a_view_of_a_buffer_of_samples_is_refused(view):
    """A kernel would see all its rows, those of an earlier batch among them."""
    program = program_for()
    with pytest.raises(ValueError, match="got a view of one, of shape"):
        program.emit(add_ones, view(program.sample_buffer(3)))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_operands_of_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match="expects contiguous matrices of float64 or int64"):
        program_for().emit(add_ones, np.zeros((2, 2), dtype))


@pytest.mark.parametrize(
    ("operand", "message"),
    [
        ([1.0, 2.0], r"got a list\. Use program\.constants"),
        (np.zeros(3), r"got an array of shape \(3,\)\. Use program\.as_matrix"),
        (np.zeros((2, 2), np.float32), r"got an array of type float32\. Use program\.constants"),
        (np.zeros((2, 3)).T, r"got an array of shape \(3, 2\) and strides \(8, 24\)\. Give it the array"),
    ],
)
def test_the_error_says_what_is_wrong_with_an_operand(operand, message):
    with pytest.raises(
        ValueError, match=f"add_ones> expects contiguous matrices of float64 or int64, {message}"
    ):
        program_for().emit(add_ones, operand)


def test_only_kernels_are_emitted():
    with pytest.raises(
        TypeError, match=r"expects a kernel, got <function .*Decorate the function with @kernel"
    ):
        program_for().emit(add_ones.formula, np.zeros((2, 2)))


def test_a_gradient_must_be_one_of_the_network():
    layer = Dense(3).build(2)
    program = Program(FLOAT, 4, layer.gradient_vector)
    with pytest.raises(ValueError, match=r"part of the network's gradient vector, got .* of shape \(2, 3\)"):
        program.gradient(layer.weights)


@pytest.mark.parametrize("decorate", [kernel, inline])
def test_a_kernel_that_raises_is_refused(decorate):
    def with_error(control, operands, sizes):
        if sizes[0] == 0:
            raise ValueError("No rows.")

    def with_assert(control, operands, sizes):
        assert sizes[0] > 0

    for function in (with_error, with_assert):
        with pytest.raises(NotImplementedError, match=rf"{function.__name__} raises an error, which nobody"):
            decorate(function)


@pytest.mark.parametrize("kinds", [(), (lambda layer, program, inputs: None,), (Dense(3),), (Mix, int)])
def test_lowerings_are_for_types_of_layers(kinds):
    before = dict(_lowerings)
    with pytest.raises(TypeError, match=r"lowers expects types of layers, as in @lowers\(Square\), got "):
        lowers(*kinds)
    assert _lowerings == before


@inline
def put(values, column, value):
    values[0, column] = value


@kernel
def copy_first(control, operands, sizes):
    source, target = matrices(control, operands, sizes, 2)
    for unit in range(source.shape[1]):
        put(target, unit, source[0, unit])


@kernel
def multiply(control, operands, sizes):
    first, second, total = matrices(control, operands, sizes, 3)
    matrix_product(control[GEMM_ADDRESS], first, second, total, 0, False)


@kernel
def take_numbers(control, operands, sizes):
    (values,) = matrices(control, operands, sizes, 1)
    numbers = int64_matrix(control, operands, sizes, 1)
    values[0, 0] = numbers[0, 0]


@kernel
def read_by_sample(control, operands, sizes):
    inputs, table = matrices(control, operands, sizes, 2)
    for row in range(len(inputs)):
        inputs[row, 0] += table[row, 0]


def filled_matrices(*shapes):
    return [np.ones(shape) for shape in shapes]


RIGHT = [
    (copy_first, filled_matrices((1, 3), (1, 3))),
    (copy_first, filled_matrices((2, 3), (1, 4))),
    (multiply, filled_matrices((2, 3), (3, 4), (2, 4))),
    (take_numbers, [np.ones((1, 1)), np.ones((1, 1), np.int64)]),
]
WRONG_NUMBERS = [
    (copy_first, filled_matrices((1, 3)), "takes 2 operands, got 1"),
    (copy_first, filled_matrices((1, 3), (1, 3), (1, 3)), "takes 2 operands, got 3"),
    (multiply, filled_matrices((2, 3), (3, 4)), "takes 3 operands, got 2"),
    (take_numbers, filled_matrices((1, 1)), "takes 2 operands, got 1"),
    (copy_first, [], "takes 2 operands, got 0"),
]
WRONG_SHAPES = [
    (copy_first, filled_matrices((1, 3), (1, 2))),
    (copy_first, filled_matrices((0, 3), (1, 3))),
    (multiply, filled_matrices((2, 3), (3, 4), (3, 4))),
    (multiply, filled_matrices((2, 3), (2, 4), (2, 4))),
    (multiply, filled_matrices((2, 3), (3, 4), (2, 5))),
    (take_numbers, filled_matrices((1, 1), (1, 1))),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("tried", "operands"), RIGHT)
def test_operands_that_fit(tried, operands, dtype):
    program = Program(dtype, 4, np.zeros(0))
    operands = [array if array.dtype == np.int64 else array.astype(dtype) for array in operands]
    before = [array.copy() for array in operands]
    program.emit(tried, *operands)
    assert len(program.operations) == 1
    for array, copy in zip(operands, before, strict=True):  # a trial runs on copies
        assert_array_equal(array, copy)


@pytest.mark.parametrize(("tried", "operands", "message"), WRONG_NUMBERS)
def test_another_number_of_operands_is_refused(tried, operands, message):
    tried.address(FLOAT)  # without checks, in whose code the trial must not end up
    program = program_for()
    with pytest.raises(ValueError, match=message):
        program.emit(tried, *operands)
    assert not program.operations


@pytest.mark.parametrize(("tried", "operands"), WRONG_SHAPES)
def test_operands_of_other_shapes_are_refused(tried, operands):
    tried.address(FLOAT)
    program = program_for()
    with pytest.raises(
        ValueError, match=r"> reads or writes outside of its operands, which have the shapes \("
    ):
        program.emit(tried, *operands)
    assert not program.operations


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_operands_must_have_a_row_for_each_sample_where_a_kernel_reads_one(n_rows):
    program = program_for(4)
    inputs, table = program.sample_buffer(1), np.ones((n_rows, 1))
    if n_rows == 4:
        program.emit(read_by_sample, inputs, table)
        return
    with pytest.raises(ValueError, match="outside of its operands"):
        program.emit(read_by_sample, inputs, table)


def test_kernels_of_the_package_stay_within_their_operands():
    """Some that index by more than their own rows and columns."""
    for own, operands in (
        (losses.add_gradients, filled_matrices((1, 5), (1, 5))),
        (products.multiply, filled_matrices((4, 3), (3, 2), (4, 2))),
        (structure.add, filled_matrices((4, 3), (4, 3), (4, 3))),
    ):
        try_kernel(own, operands, [len(each) for each in operands], FLOAT, 4, 4)
    with pytest.raises(ValueError, match="outside of its operands"):
        try_kernel(structure.add, filled_matrices((4, 3), (4, 2), (4, 3)), [4, 4, 4], FLOAT, 4, 4)


class Wrong(Mix):
    """Written past its row: the shift is as wide as a row of the factor."""

    def forward_pass(self, inputs):
        return inputs * 1

    def backward_pass(self, inputs, grad_output):
        return grad_output * 1


def test_a_mistake_is_an_error_of_fit_which_changes_nothing(lowered):
    def lowering(layer, program, inputs):
        outputs = program.sample_buffer(inputs.shape[1])
        program.emit(
            mix, inputs, program.constants(1.0), program.as_matrix(layer.factor), program.zeros(1, 3), outputs
        )
        return outputs, lambda grad_output, wanted: grad_output

    lowered(Wrong, lowering)
    network = network_with(Reshape((2, 3)), Wrong())
    before = network.parameter_vector.copy()
    with pytest.raises(
        ValueError, match=r"mix> reads or writes outside of its operands, which have the shapes"
    ):
        network.fit(X, X[:, :2], "mean_squared_error", engine="compiled", random_state=0)
    assert_array_equal(network.parameter_vector, before)
    by_formulas = train("formulas", network, X, X[:, :2], loss="mean_squared_error", optimizer=SGD())
    assert by_formulas.error is None


# --- what a lowering returns ---


class Half(Layer):
    """Samples of half the width."""

    def forward_pass(self, inputs):
        return inputs[:, : inputs.shape[1] // 2] * 1

    def backward_pass(self, inputs, grad_output):
        return np.concatenate([grad_output, np.zeros_like(grad_output)], axis=1)


def lowering_that_returns(outputs_of=None, grad_inputs_of=None, whole=None):
    """The lowering of a `Half`, whose kernels do not matter here."""

    def lowering(layer, program, inputs):
        outputs = program.sample_buffer(3) if outputs_of is None else outputs_of(program, inputs)

        def backward(grad_output, wanted):
            return program.sample_buffer(6) if grad_inputs_of is None else grad_inputs_of(program, grad_output)

        return (outputs, backward) if whole is None else whole(outputs, backward)

    return lowering


WRONG_OUTPUTS = [
    (lambda program, inputs: inputs, r"got a buffer of shape \(32, 6\) and type float64"),
    (lambda program, inputs: program.sample_buffer(2), r"got a buffer of shape \(32, 2\)"),
    (
        lambda program, inputs: program.sample_buffer(3, np.int64),
        r"got a buffer of shape \(32, 3\) and type int64",
    ),
    (lambda program, inputs: np.zeros((32, 3)), "got an array that program.sample_buffer did not return"),
    (lambda program, inputs: inputs[:, :3], "got an array that program.sample_buffer did not return"),
]
WRONG_GRADIENTS = [
    (lambda program, gradient: None, "got NoneType"),
    (lambda program, gradient: gradient, r"got a buffer of shape \(32, 3\)"),
]
WRONG_RESULTS = [
    (lambda outputs, backward: None, "got NoneType"),
    (lambda outputs, backward: outputs, "got ndarray"),
    (lambda outputs, backward: (outputs, None), r"got \(ndarray, NoneType\)"),
    (lambda outputs, backward: [outputs, backward], "got list"),
]


@pytest.mark.parametrize(
    ("lowering", "message"),
    [
        *(
            (lowering_that_returns(outputs_of=of), rf"The lowering of Half\(\) must return a buffer.*{got}")
            for of, got in WRONG_OUTPUTS
        ),
        *(
            (
                lowering_that_returns(grad_inputs_of=of),
                rf"The function backward in .* a buffer.*\(32, 6\).*{got}",
            )
            for of, got in WRONG_GRADIENTS
        ),
        *(
            (lowering_that_returns(whole=of), rf"The lowering of Half\(\) must return the buffer.*{got}")
            for of, got in WRONG_RESULTS
        ),
    ],
)
def test_what_a_lowering_returns_is_validated(lowered, lowering, message):
    """A kernel behind it would read other numbers, or the weights before it would get no gradient."""
    lowered(Half, lowering)
    network = network_with(Half())
    before = network.parameter_vector.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        network.fit(X, X[:, :2], "mean_squared_error", engine="compiled", random_state=0)
    assert_array_equal(network.parameter_vector, before)


def test_a_gradient_that_nobody_reads_may_be_none(lowered):
    lowered(Half, lowering_that_returns(grad_inputs_of=lambda program, gradient: None))
    options = {"loss": "mean_squared_error", "engine": "compiled", "random_state": 0, "epochs": 1}
    history = Sequential([Half(), Dense(2)]).fit(X, X[:, :2], **options)
    assert np.isfinite(history["loss"]).all()


def test_in_inference_there_may_be_no_backward_function(lowered):
    lowered(Half, lowering_that_returns(whole=lambda outputs, backward: (outputs, None)))
    predict = network_with(Half()).compile_for_inference("compiled")
    assert predict(X).shape == (45, 2)
