"""The gradient check on values of any size: right networks pass, wrong ones do not; parts may be left out."""

import numpy as np
import pytest

from layernet import (
    GELU,
    BatchNorm,
    BinaryCrossEntropy,
    Concat,
    CrossEntropy,
    Dense,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    check_gradients,
    check_layer,
)

pytestmark = pytest.mark.slow

R = np.random.default_rng(0)
SCALES = [1e-9, 2e-6, 1e-3, 1.0, 1e3, 2e6, 1e9]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(), Identity()], ids=repr)
def test_rectifiers_of_large_and_small_inputs_are_right(layer, scale, dtype):
    inputs = (scale * R.standard_normal((5, 4))).astype(dtype)
    for method in ("auto", "entries", "directions"):
        report = check_gradients(layer, inputs, method=method)
        assert report, str(report)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", SCALES[1:])
@pytest.mark.parametrize("activation", [ReLU, GELU, Tanh], ids=lambda kind: kind.__name__)
def test_right_networks_on_unscaled_data_are_right(activation, scale, dtype):
    net = Sequential([Dense(6), activation(), Dense(3)]).build(4, random_state=0, dtype=dtype)
    report = check_gradients(net, (scale * R.standard_normal((5, 4))).astype(dtype))
    assert report, str(report)


@pytest.mark.parametrize("first", [BatchNorm, LayerNorm, Identity], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_columns_of_different_sizes(first, seed):
    X = np.random.default_rng(seed).standard_normal((8, 4)) * [1e6, 1.0, 1e-3, 1e-6] + [1e6, 0, 1, 0]
    net = Sequential([first(), Dense(6), ReLU(), Dense(1)]).build(4, random_state=seed)
    for training in (False, True):
        report = check_gradients(net, X, training=training)
        assert report, str(report)


@pytest.mark.parametrize(
    "loss", [MeanSquaredError(), BinaryCrossEntropy(), CrossEntropy()], ids=lambda loss: type(loss).__name__
)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_losses_at_any_scale(loss, scale):
    outputs = scale * R.standard_normal((4, 3))
    targets = {"MeanSquaredError": scale * R.standard_normal((4, 3)), "BinaryCrossEntropy": np.eye(4)[:, :3]}
    report = check_gradients(loss.bind(targets.get(type(loss).__name__, np.array([0, 1, 2, 0]))), outputs)
    assert report, str(report)


def test_right_networks_whose_loss_is_nearly_0_are_right():
    # The outputs are many times the loss, and so is their rounding. With these seeds two differences agreed by
    # chance, and the check gave a false alarm.
    for seed in (3, 5, 9, 13, 30, 49, 57, 84, 107, 188):
        net = Sequential([Dense(8), Tanh(), Dense(2)]).build(4, random_state=seed)
        net[2].weights = net[2].weights * 8
        X = np.random.default_rng(seed).standard_normal((1, 4))
        whole = Sequential([net, CrossEntropy().bind([int(net.forward_pass(X).argmax())])])
        assert whole.forward_pass(X) < 1e-4
        report = check_gradients(whole, X)
        assert report, str(report)


class Wrong(Layer):
    """A factor whose gradients are off by a part."""

    def __init__(self, off_inputs, off_factor):
        self.off_inputs = off_inputs
        self.off_factor = off_factor

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones")

    def forward_pass(self, inputs):
        return np.maximum(inputs * self.factor, 0)

    def backward_pass(self, inputs, grad_output):
        inner = grad_output * (inputs * self.factor > 0)
        self.grad_factor = (inner * inputs).sum(axis=0) * (1 + self.off_factor)
        return inner * self.factor * (1 + self.off_inputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("off", [0.001, -1.0, 0.5, np.nan, np.inf])
def test_wrong_gradients_of_large_and_small_values_are_wrong(scale, off, dtype):
    inputs = (scale * (1 + R.random((5, 4)))).astype(dtype)
    report = check_gradients(Wrong(off, 0.0), inputs)
    assert not report
    assert report.worst.name == "inputs"
    report = check_gradients(Wrong(0.0, off), inputs)
    assert not report
    assert report.worst.name == "factor"


def test_the_numbers_in_the_report_are_derivatives():
    report = check_gradients(Wrong(1.0, 0.0), [[2e6, 3e6]], np.array([[1.0, 5.0]]))
    error = report.errors["inputs"]
    assert error.place == (0, 1)
    assert error.analytic == 10
    assert error.numeric == pytest.approx(5, rel=1e-9)


def test_a_kink_is_still_no_derivative():
    assert not check_gradients(ReLU(), [[0.0, 1.0]])


# --- what is left out ---


class Embedding(Layer):
    """A row of numbers for each class: its inputs have no gradient."""

    def create_parameters(self, input_shape):
        self.add_parameter("table", (8, 2), "glorot_uniform")

    def forward_pass(self, inputs):
        return self.table[inputs[:, 0].astype(int) % 8]

    def backward_pass(self, inputs, grad_output):
        self.grad_table = np.zeros_like(self.table)
        np.add.at(self.grad_table, inputs[:, 0].astype(int) % 8, grad_output)
        return np.full_like(inputs, 7.0)  # nobody may use it


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("leave_out", ["inputs", ["inputs"], ("inputs",)], ids=repr)
def test_the_inputs_may_be_left_out(leave_out, dtype):
    layer = Embedding().build(1, random_state=0, dtype=dtype)
    inputs = np.array([[3], [5], [3]], dtype)
    assert not check_gradients(layer, inputs)
    report = check_gradients(layer, inputs, leave_out=leave_out)
    assert report, str(report)
    assert list(report.errors) == ["table"]


def test_parameters_may_be_left_out():
    wrong = Wrong(0.0, 1.0).build(3)
    assert not check_gradients(wrong, np.ones((2, 3)))
    assert check_gradients(wrong, np.ones((2, 3)), leave_out="factor")
    net = Sequential([Dense(2), Concat([Wrong(0.0, 1.0), Sigmoid()])]).build(3, random_state=0)
    report = check_gradients(net, R.standard_normal((4, 3)), leave_out=["1.0.factor", "inputs"])
    assert report, str(report)
    assert list(report.errors) == ["0.weights", "0.bias"]


def test_what_is_left_out_must_exist_and_leave_something():
    with pytest.raises(ValueError, match=r"leave_out='input' is no gradient of .*, which has \['inputs', "):
        check_gradients(Dense(2), np.ones((2, 3)), leave_out="input")
    with pytest.raises(ValueError, match="leave_out='inputs' leaves no gradient of ReLU"):
        check_gradients(ReLU(), np.ones((2, 3)), leave_out="inputs")


def test_check_layer_leaves_them_out_too():
    with pytest.raises(AssertionError, match="BROKEN The gradients of inputs and parameters"):
        check_layer(Wrong(1.0, 0.0), 4)
    assert check_layer(Wrong(1.0, 0.0), 4, leave_out="inputs")
    with pytest.raises(AssertionError, match="BROKEN The gradients of inputs and parameters"):
        check_layer(Wrong(1.0, 1.0), 4, leave_out="inputs")
