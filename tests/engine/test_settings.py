"""Settings that a callback changes while kernels train: whatever type the new value has, as by formulas."""

import copy
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from layernet import (
    ELU,
    GELU,
    SELU,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    BinaryCrossEntropy,
    Callback,
    Concat,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    HingeLoss,
    HuberLoss,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Lion,
    LogLoss,
    MeanSquaredError,
    NAdam,
    QuantileLoss,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    RMSProp,
    Sequential,
    Sigmoid,
    Tanh,
)
from layernet.losses import Loss

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import assert_same_training

from layernet.engine.compiled.kernel import kernel, matrices
from layernet.engine.compiled.lowering.layers import lowers
from layernet.engine.compiled.lowering.registry import _lowerings
from layernet.engine.dependencies import NotASettingError, has_value, plain_value

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((45, 5))
NUMBERS = RANDOM.standard_normal((45, 2))
CLASSES = RANDOM.integers(0, 3, 45)
SIGNS = RANDOM.integers(0, 2, (45, 2))
WEIGHTS = RANDOM.uniform(0.1, 2, 45)


class Rate(float):
    """Somebody's own kind of number."""


KINDS = {
    "a number of Python": float,
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "an array without axes": np.array,
    "a subclass of float": Rate,
}


class ChangeSettings(Callback):
    """Sets an attribute to one value after the other, at the end of epochs, or of the second batch of each."""

    def __init__(self, find, name, values, in_place=False):
        self.find, self.name, self.values, self.in_place = find, name, values, in_place

    def on_epoch_end(self, run):
        self.change(run)

    def change(self, run):
        owner, value = self.find(run), self.values[(run.epoch - 1) % len(self.values)]
        before = getattr(owner, self.name)
        if self.in_place and isinstance(before, np.ndarray):
            before[...] = value
        else:
            setattr(owner, self.name, value)


class ChangeSettingsInBatches(ChangeSettings):
    def on_epoch_end(self, run):
        pass

    def on_batch_end(self, run):
        if run.batch == 2:
            self.change(run)


def layer_of(run):
    """The layer that a test is about."""
    return next(layer for layer in run.network.walk() if getattr(layer, "is_it", False))


def marked(layer):
    layer = copy.deepcopy(layer)
    layer.is_it = True
    return layer


def assert_changes_are_seen(
    network, targets, loss, optimizer, find, name, values, in_place=False, tolerance=None
):
    """Formulas and kernels give the same, and another result than without the change."""
    network.build(5, random_state=0)
    for callback in (ChangeSettings, ChangeSettingsInBatches):
        options = {"loss": loss, "optimizer": optimizer, "epochs": 4, "sample_weight": WEIGHTS}
        changed, _ = assert_same_training(
            network, X, targets, n_workers=(1, 2), tolerance=tolerance,
            callbacks=[callback(find, name, values, in_place)], **options,
        )  # fmt: skip
        plain, _ = assert_same_training(network, X, targets, **options)
        assert np.abs(changed.network.parameter_vector - plain.network.parameter_vector).max() > 1e-7


OF_LAYERS = [
    (Dropout(0.5), "rate", [0.25, 0.75, 0.0]),
    (LeakyReLU(0.125), "negative_slope", [0.5, 0.25]),
    (ELU(), "alpha", [0.5, 0.25]),
    (SELU(), "alpha", [0.5, 0.25]),
    (SELU(), "scale", [0.5, 2.0]),
    (GELU(), "approximate", [1.0, 0.0]),
    (GaussianNoise(0.5), "standard_deviation", [0.25, 2.0, 0.0]),
    (BatchNorm(), "epsilon", [0.5, 2.0]),
    (BatchNorm(), "momentum", [0.5, 0.0]),
    (LayerNorm(), "epsilon", [0.5, 2.0]),
    (RMSNorm(), "epsilon", [0.5, 2.0]),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layer", "name", "values"), OF_LAYERS, ids=lambda value: str(value))
def test_settings_of_layers(layer, name, values, kind):
    if name == "momentum":
        pytest.skip("moves no parameter; see below")
    network = Sequential([Dense(6, use_bias=False), marked(layer), Dense(3)])
    values = [KINDS[kind](value) for value in values]
    assert_changes_are_seen(network, CLASSES, CrossEntropy(), SGD(0.1), layer_of, name, values)


@pytest.mark.parametrize("kind", KINDS)
def test_the_momentum_of_running_averages(kind):
    network = Sequential([Dense(6), marked(BatchNorm()), Dense(3)]).build(5, random_state=0)
    values = [KINDS[kind](value) for value in (0.5, 0.0, 1.0)]
    options = {"loss": "cross_entropy", "optimizer": SGD(0.1), "epochs": 4, "n_workers": (1, 2)}
    change = ChangeSettings(layer_of, "momentum", values)
    changed, _ = assert_same_training(network, X, CLASSES, callbacks=[change], **options)
    plain, _ = assert_same_training(network, X, CLASSES, **options)
    assert np.abs(changed.network[1].running_mean - plain.network[1].running_mean).max() > 1e-3


OF_LOSSES = [
    (CrossEntropy(), "label_smoothing", [0.25, 0.5], CLASSES, 3),
    (LogLoss(), "label_smoothing", [0.25, 0.5], SIGNS, 2),
    (BinaryCrossEntropy(), "pos_weight", [4.0, 0.5], SIGNS, 2),
    (HuberLoss(), "delta", [0.25, 0.125], NUMBERS, 2),
    (QuantileLoss(), "quantile", [0.25, 0.75], NUMBERS, 2),
    (HingeLoss(), "margin", [0.25, 4.0], CLASSES, 3),
    (HingeLoss(), "margin", [0.25, 4.0], SIGNS[:, 0] * 2 - 1, 1),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("loss", "name", "values", "targets", "n_outputs"), OF_LOSSES, ids=lambda value: str(value)[:20]
)
def test_settings_of_losses(loss, name, values, targets, n_outputs, kind):
    network = Sequential([Dense(6), Tanh(), Dense(n_outputs)])
    values = [KINDS[kind](value) for value in values]
    assert_changes_are_seen(network, targets, loss, SGD(0.1), lambda run: run.loss, name, values)


OF_OPTIMIZERS = [
    *(
        (optimizer, name, values)
        for optimizer in (
            SGD(0.1),
            Adam(0.01),
            AdamW(0.01),
            NAdam(0.01),
            RMSProp(0.01),
            Adagrad(0.1),
            Lion(0.001),
        )
        for name, values in {
            "weight_decay": [0.5, 0.25],
            "clip_value": [2.0**-6, 2.0**-8],
            "clip_norm": [2.0**-5, 2.0**-3],
            "learning_rate": [2.0**-5, 2.0**-10],
        }.items()
        if not (
            isinstance(optimizer, Lion) and name == "clip_norm"
        )  # the sign of a shorter gradient is the same
    ),
    (SGD(0.1, momentum=0.5), "momentum", [0.25, 0.75]),
    (SGD(0.1), "momentum", [0.875, 0.5]),
    (SGD(0.1, momentum=0.5), "momentum", [0.0, 0.875, 0.0]),
    (SGD(0.1, momentum=0.5), "dampening", [0.5, 0.25]),
    (SGD(0.1, momentum=0.5), "nesterov", [1.0, 0.0]),
    *((optimizer, "beta_1", [0.5, 0.75]) for optimizer in (Adam(0.01), AdamW(0.01), NAdam(0.01), Lion(0.001))),
    *((optimizer, "beta_2", [0.5, 0.75]) for optimizer in (Adam(0.01), AdamW(0.01), NAdam(0.01), Lion(0.001))),
    *(
        (optimizer, "epsilon", [0.5, 0.25])
        for optimizer in (Adam(0.01), NAdam(0.01), RMSProp(0.01), Adagrad(0.1))
    ),
    (NAdam(0.01), "momentum_decay", [0.5, 0.25]),
    (RMSProp(0.01), "rho", [0.5, 0.25]),
]


@pytest.mark.parametrize("kind", ["float64", "an array without axes", "a subclass of float"])
@pytest.mark.parametrize(("optimizer", "name", "values"), OF_OPTIMIZERS, ids=lambda value: str(value))
def test_settings_of_optimizers(optimizer, name, values, kind):
    network = Sequential([Dense(6), Tanh(), Dense(3)])
    values = [KINDS[kind](value) for value in values]
    assert_changes_are_seen(
        network, CLASSES, CrossEntropy(), optimizer, lambda run: run.optimizer, name, values
    )


@pytest.mark.parametrize(
    ("find", "name", "values"),
    [
        (layer_of, "rate", [0.5, 0.25, 0.75]),
        (lambda run: run.loss, "label_smoothing", [0.5, 0.25]),
        (lambda run: run.optimizer, "weight_decay", [0.5, 0.25]),
        (lambda run: run.optimizer, "clip_norm", [0.5, 0.25]),
        (lambda run: run.optimizer, "momentum", [0.5, 0.25]),
        (lambda run: run.optimizer, "learning_rate", [0.5, 0.25]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_whose_number_is_changed_in_place(find, name, values):
    network = Sequential([Dense(6), marked(Dropout(0.5)), Dense(3)])
    values = [np.array(0.125), *values]
    assert_changes_are_seen(
        network, CLASSES, CrossEntropy(), SGD(0.1, momentum=0.5), find, name, values, in_place=True
    )


# --- values that no kernel can use: the formula takes over ---

OF_EACH_UNIT = np.linspace(0.1, 0.6, 6)


@pytest.mark.parametrize(
    ("layer", "name", "values"),
    [
        (LeakyReLU(), "negative_slope", [OF_EACH_UNIT, 0.5, OF_EACH_UNIT / 2]),
        (ELU(), "alpha", [OF_EACH_UNIT, 0.5]),
        (BatchNorm(), "epsilon", [OF_EACH_UNIT, 0.5]),
        (Dropout(0.5), "rate", [Fraction(1, 4), 0.5]),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("before", [Dense(6), Sequential([Dense(6), Identity()])], ids=repr)
def test_a_number_for_each_unit(layer, name, values, before):
    network = Sequential([copy.deepcopy(before), marked(layer), Dense(3)])
    assert_changes_are_seen(network, CLASSES, CrossEntropy(), SGD(0.1), layer_of, name, values)


@pytest.mark.parametrize(
    ("loss", "name", "values"),
    [
        (HuberLoss(), "delta", [np.array([0.1, 0.5]), 0.2]),
        (HuberLoss(), "delta", [np.array([[0.1, 0.5]]), 0.2]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_number_for_each_output(loss, name, values):
    network = Sequential([Dense(6), Tanh(), Dense(2)])
    assert_changes_are_seen(network, NUMBERS, loss, SGD(0.1), lambda run: run.loss, name, values)


def test_a_weight_for_each_label_that_changes_in_place():
    network = Sequential([Dense(6), Tanh(), Dense(2)])
    values = [np.array([1.0, 1.0]), np.array([4.0, 1.0]), np.array([0.1, 3.0])]
    assert_changes_are_seen(
        network,
        SIGNS,
        BinaryCrossEntropy(),
        SGD(0.1),
        lambda run: run.loss,
        "pos_weight",
        values,
        in_place=True,
    )


def test_a_number_for_each_parameter():
    network = Sequential([Dense(6), Tanh(), Dense(3)]).build(5)
    epsilons = np.linspace(0.1, 1, network.parameter_vector.size)
    assert_changes_are_seen(
        network, CLASSES, CrossEntropy(), Adam(0.01), lambda run: run.optimizer, "epsilon", [epsilons, 0.5]
    )


def test_dropout_whose_rate_falls():
    """Five rates of NumPy's, one for each epoch."""

    class Fall(Callback):
        def on_epoch_begin(self, run):
            run.network[1].rate = np.array([0.9, 0.6, 0.3, 0, 0])[run.epoch - 1]

    network = Sequential([Dense(30), Dropout(0.9), Dense(1)]).build(5, random_state=0)
    assert_same_training(
        network, X, 4 * X[:, 0], loss="mean_squared_error", optimizer=SGD(0.01), callbacks=[Fall()], epochs=5,
        n_workers=(1, 2),
    )  # fmt: skip


# --- other things that may be exchanged ---


class Exchange(Callback):
    """Puts something else into a network, a loss or an optimizer after the first epoch."""

    def __init__(self, change):
        self.change = change

    def on_epoch_end(self, run):
        if run.epoch == 1:
            self.change(run)


def exchange_layer(run):
    other = Dropout(0.5).build(6, random_state=9)
    run.network.layers[1] = other


def exchange_pass(run):
    layer = run.network[2]
    layer.backward_from = lambda outputs, gradient: -type(layer).backward_from(layer, outputs, gradient)


def exchange_gradient(run):
    run.loss.gradient = lambda outputs, targets: np.tanh(outputs - targets)
    run.loss.record = lambda outputs, targets: (run.loss.losses(outputs, targets), outputs)
    run.loss.gradient_from = run.loss.gradient


def exchange_move(run):
    optimizer = run.optimizer
    optimizer.move = lambda parameters, gradients, rate: parameters.__isub__(rate * np.sign(gradients))


@pytest.mark.parametrize(
    "change",
    [exchange_layer, exchange_pass, exchange_gradient, exchange_move],
    ids=lambda change: change.__name__,
)
def test_what_is_exchanged_in_training(change):
    network = Sequential([Dense(6), Dropout(0.3), ReLU(), Dense(2)]).build(5, random_state=0)
    assert_same_training(
        network, X, NUMBERS, loss=MeanSquaredError(), optimizer=SGD(0.01), callbacks=[Exchange(change)],
        epochs=3, sample_weight=WEIGHTS, n_workers=(1, 2),
    )  # fmt: skip


class Scaled(Layer):
    """A layer with a kernel of its own, which reads a setting of the layer."""

    def __init__(self, options):
        self.options = options
        self.scale = options["scale"]

    def forward_pass(self, inputs):
        return self.scale * inputs

    def backward_pass(self, inputs, grad_output):
        return self.scale * grad_output


@kernel
def scale_backward(control, operands, sizes):
    gradient, constants = matrices(control, operands, sizes, 2)
    for row in range(len(gradient)):
        for unit in range(gradient.shape[1]):
            gradient[row, unit] *= constants[0, 0]


@kernel
def scale_forward(control, operands, sizes):
    inputs, outputs, constants = matrices(control, operands, sizes, 3)
    for row in range(len(inputs)):
        for unit in range(inputs.shape[1]):
            outputs[row, unit] = constants[0, 0] * inputs[row, unit]


@pytest.mark.parametrize("by_setting", [False, True], ids=["an attribute", "a setting"])
@pytest.mark.parametrize(
    "values", [[np.float64(2.0), np.float32(0.5)], [OF_EACH_UNIT, 2.0]], ids=["one", "many"]
)
def test_a_layer_with_a_kernel_of_its_own(by_setting, values):
    if not by_setting and np.ndim(values[0]):
        pytest.skip("an attribute that is read without asking must be a number")

    @lowers(Scaled)
    def lower_scaled(layer, program, inputs):
        constants = program.constants(program.setting(layer, "scale") if by_setting else layer.scale)
        outputs = program.sample_buffer(inputs.shape[1])
        program.emit(scale_forward, inputs, outputs, constants)

        def backward(grad_output, wanted):
            program.emit(scale_backward, grad_output, constants)
            return grad_output

        return outputs, backward

    try:
        network = Sequential([Dense(6), marked(Scaled({"scale": 1.0})), Dense(3)])
        assert_changes_are_seen(network, CLASSES, CrossEntropy(), SGD(0.1), layer_of, "scale", values)
    finally:
        del _lowerings[Scaled]


# --- containers that are carried out by their formula, and those that are opened up ---


class Block(Sequential):
    """A chain that only names its layers."""

    def __init__(self, units):
        super().__init__([Dense(units, use_bias=False), BatchNorm(), Tanh(), Dropout(0.3)])


class Doubled(Sequential):
    """A chain with a formula of its own."""

    def record(self, inputs):
        outputs, record = super().record(inputs)
        return 2 * outputs, record

    def forward_pass(self, inputs):
        return 2 * super().forward_pass(inputs)

    def backward_from(self, record, grad_output):
        return super().backward_from(record, 2 * grad_output)

    def parameter_gradients(self, record, grad_output):
        super().parameter_gradients(record, 2 * grad_output)


class Shortcut(Residual):
    """A residual that only names its body."""

    def __init__(self, units):
        super().__init__(Block(units))


class HalfShortcut(Residual):
    def record(self, inputs):
        outputs, record = self.body.record(inputs)
        return inputs + 0.5 * outputs, record

    def backward_from(self, record, grad_output):
        return grad_output + self.body.backward_from(record, 0.5 * grad_output)


class SideBySide(Concat):
    pass


def with_noise_and_averages():
    return [BatchNorm(), Dropout(0.3), GaussianNoise(0.1)]


CONTAINERS = [
    Block(5),
    Doubled([Dense(5), BatchNorm(), Dropout(0.3)]),
    Doubled([Doubled([Dense(5), *with_noise_and_averages()]), BatchNorm()]),
    Shortcut(5),
    HalfShortcut(Sequential([Dense(5), *with_noise_and_averages()])),
    SideBySide([Block(3), Sequential(with_noise_and_averages()), Identity()]),
    Sequential(
        [
            Reshape((5, 1)),
            Concat([BatchNorm(), Sequential([BatchNorm(), Tanh()])]),
            Flatten(),
        ]
    ),
    Sequential([Reshape((5, 1)), Residual(Sequential(with_noise_and_averages())), Flatten()]),
    Sequential([Reshape((5, 1)), Concat([Dropout(0.3), Doubled(with_noise_and_averages())]), Flatten()]),
    Sequential([Reshape((1, 5)), Concat([Identity(), Residual(Dropout(0.4))]), Flatten(), Block(4)]),
]


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["no weights", "weights"])
@pytest.mark.parametrize("place", ["first", "behind a dense layer"])
@pytest.mark.parametrize("container", CONTAINERS, ids=repr)
def test_containers(container, place, weights):
    before = [] if place == "first" else [Dense(5, use_bias=False)]
    network = Sequential([*before, copy.deepcopy(container), Dense(3)]).build(5, random_state=0)
    assert_same_training(
        network, X, CLASSES, loss="cross_entropy", optimizer=SGD(0.1), sample_weight=weights, epochs=6,
        n_workers=(1, 2), tolerance=1e-10,
    )  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS, ids=repr)
def test_numbers_of_the_samples_reach_the_noise_inside_containers(container):
    """Estimators number equal rows alike, so that the order of the data does not matter."""
    from layernet import NetworkRegressor

    network = Sequential([copy.deepcopy(container), Dense(1)])
    found = []
    for engine in ("formulas", "compiled"):
        regressor = NetworkRegressor(
            network, optimizer=SGD(0.01), max_iter=3, random_state=0, engine=engine, shuffle=False,
            batch_size=9, n_iter_no_change=np.inf,
        )  # fmt: skip
        with pytest.warns(ConvergenceWarning):
            regressor.fit(X, X[:, 0], sample_weight=WEIGHTS)
        found.append(regressor.network_)
    assert_allclose(found[1].parameter_vector, found[0].parameter_vector, rtol=1e-9, atol=1e-10)
    for name, value in found[0].state().items():
        assert_allclose(found[1].state()[name], value, rtol=1e-9, atol=1e-10, err_msg=name)


# --- layers, losses and metrics that keep what they were given ---


class Keeps(Layer):
    """Keeps every array that it gets, for somebody to look at after training."""

    def __init__(self):
        self.kept = []

    def forward_pass(self, inputs):
        self.kept.append((inputs, inputs.copy()))
        return np.sin(inputs)

    def backward_pass(self, inputs, grad_output):
        self.kept += [(inputs, inputs.copy()), (grad_output, grad_output.copy())]
        return grad_output * np.cos(inputs)


class KeepsOutputs(Loss):
    def __init__(self):
        self.kept = []

    def losses(self, outputs, targets):
        self.kept += [(outputs, outputs.copy()), (targets, targets.copy())]
        return ((outputs - targets) ** 2).mean(axis=1)

    def gradient(self, outputs, targets):
        self.kept += [(outputs, outputs.copy()), (targets, targets.copy())]
        return 2 * (outputs - targets) / outputs.shape[1]


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_what_a_layer_or_a_loss_was_given_stays_unchanged(engine, shuffle):
    first, inner, deep = Keeps(), Keeps(), Keeps()
    loss = KeepsOutputs()
    network = Sequential([first, Dense(6), inner, Residual(Sequential([Dense(6), deep])), Dense(2)])
    network.fit(X, NUMBERS, loss=loss, epochs=2, batch_size=8, engine=engine, shuffle=shuffle)
    for keeper in (first, inner, deep, loss):
        assert len(keeper.kept) > 12
        for given, at_that_time in keeper.kept:
            assert np.array_equal(given, at_that_time)


def test_what_a_layer_was_given_in_inference_stays_unchanged():
    layer = Keeps()
    predict = Sequential([Dense(6), layer, Dense(2)]).build(5, random_state=0).compile_for_inference("compiled")
    layer.kept.clear()
    for start in range(0, 40, 8):
        predict(X[start : start + 8])
    assert len(layer.kept) == 5
    assert all(np.array_equal(given, at_that_time) for given, at_that_time in layer.kept)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (LeakyReLU(), "negative_slope", np.float32(0.5)),
        (LeakyReLU(), "negative_slope", OF_EACH_UNIT),
        (ELU(), "alpha", np.array(0.5)),
        (SELU(), "alpha", np.float64(0.5)),
        (BatchNorm(), "epsilon", np.float32(0.5)),
        (LayerNorm(), "epsilon", np.array(0.5)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_settings_in_inference(layer, name, value):
    network = Sequential([Dense(6), copy.deepcopy(layer), Sigmoid(), Dense(2)]).build(5, random_state=0)
    predict = network.compile_for_inference("compiled")
    before = predict(X)
    setattr(network[1], name, value)
    assert_allclose(predict(X), network.forward_pass(X), rtol=1e-10)
    assert np.abs(predict(X) - before).max() > 1e-3
    if np.ndim(value) == 0 and isinstance(value, np.ndarray):
        value[...] = 2
        assert_allclose(predict(X), network.forward_pass(X), rtol=1e-10)


def test_a_value_that_is_no_setting_is_not_written_down():
    class Unprintable:
        def __repr__(self):
            raise AssertionError("the text of all weights of a layer takes milliseconds")

    with pytest.raises(NotASettingError, match="of type Unprintable"):
        plain_value(Unprintable())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (np.True_, 1.0),
        (2, 2.0),
        (np.float32(0.5), 0.5),
        ("sum", "sum"),
        (None, None),
    ],
)
def test_settings_of_kernels_are_numbers_switches_or_names(value, expected):
    """A switch stays a switch: a kernel is chosen by it, and 1.0 is no switch."""
    found = plain_value(value)
    assert found == expected
    assert type(found) is type(expected)


def test_a_switch_that_becomes_a_number_is_another_setting():
    optimizer = SGD(nesterov=True, momentum=0.5)
    assert has_value(optimizer, "nesterov", plain_value, True)
    assert not has_value(optimizer, "nesterov", plain_value, 1.0)
    assert not has_value(optimizer, "nesterov", plain_value, False)
