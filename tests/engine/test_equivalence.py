"""The compiled plan equals the formulas: every layer, loss and optimizer, and networks drawn at random."""

import copy
import inspect
import math
import tempfile

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_contract import CASES

import layernet
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
    CosineSchedule,
    CrossEntropy,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    GaussianNoise,
    HalfPoissonDeviance,
    HalfSquaredError,
    HardSigmoid,
    HingeLoss,
    HuberLoss,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    LearningRateScheduler,
    Lion,
    LogLoss,
    LogSoftmax,
    MeanAbsoluteError,
    MeanSquaredError,
    Mish,
    NAdam,
    PoissonLoss,
    QuantileLoss,
    ReduceOnPlateau,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    RMSProp,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    StepSchedule,
    Tanh,
)
from layernet.losses import Loss
from layernet.optimizers import Optimizer

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import assert_close, assert_same_training, run_python

RANDOM = np.random.default_rng(0)
N_ROWS = 45  # batches of 8, and one of 5: with three workers the last of them then gets no row
X = RANDOM.standard_normal((N_ROWS, 5))
NUMBERS = RANDOM.standard_normal((N_ROWS, 2))


# --- layers ---


def around(layer, shape, place):
    """A network with a layer in it, and the shape of its inputs."""
    shape = (shape,) if isinstance(shape, int) else shape
    layer = copy.deepcopy(layer)
    # No bias in front of BatchNorm: its gradient is rounding and nothing else.
    before = {
        "first": [],
        "behind a dense layer": [Dense(math.prod(shape), use_bias=False)],
        "behind another layer": [Dense(math.prod(shape), use_bias=False), Reshape(shape)],
    }[place]
    return Sequential([*before, layer, Flatten(), Dense(2)]), shape if place == "first" else 5


PLACES = ["first", "behind a dense layer", "behind another layer"]


@pytest.mark.parametrize(
    ("place", "dtype"), [*((place, np.float64) for place in PLACES), ("behind a dense layer", np.float32)]
)
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda value: repr(value))
def test_every_layer(layer, shape, place, dtype):
    network, input_shape = around(layer, shape, place)
    network.build(input_shape, random_state=0, dtype=dtype)
    inputs = np.random.default_rng(1).standard_normal((N_ROWS, *network.input_shape)).astype(dtype)
    assert_same_training(
        network, inputs, NUMBERS, loss="mean_squared_error", optimizer=SGD(0.05), epochs=35, n_workers=(1, 3)
    )


# --- losses ---

ONE, GRID = RANDOM.standard_normal(N_ROWS), RANDOM.standard_normal((N_ROWS, 2, 3))
COUNTS = RANDOM.poisson(1.5, (N_ROWS, 2))
CLASSES = RANDOM.integers(0, 3, N_ROWS)
PROBABILITIES = RANDOM.dirichlet(np.ones(3), N_ROWS)
LABELS = RANDOM.integers(0, 2, (N_ROWS, 2))
BETWEEN = RANDOM.uniform(0, 1, (N_ROWS, 2))

# Each loss with its options, and the targets that it takes by what they are called in the names of the tests.
NUMBERS_OF_ALL_SHAPES = {"one number": ONE, "two numbers": NUMBERS, "a grid": GRID}
YES_OR_NO = {"one label": LABELS[:, 0], "two labels": LABELS, "probabilities of labels": BETWEEN}
OF_CLASSES = {
    "classes": CLASSES,
    "classes as bytes": CLASSES.astype(np.uint8),
    "classes as floats": CLASSES * 1.0,
}
LOSSES = [
    (MeanSquaredError(), NUMBERS_OF_ALL_SHAPES),
    (MeanAbsoluteError(), NUMBERS_OF_ALL_SHAPES),
    (HuberLoss(), NUMBERS_OF_ALL_SHAPES),
    (HuberLoss(0.3), {"two numbers": NUMBERS}),
    (QuantileLoss(0.8), NUMBERS_OF_ALL_SHAPES),
    (HalfSquaredError(), {"one number": ONE, "two numbers": NUMBERS}),
    (PoissonLoss(), {"a count": COUNTS[:, 0], "two counts": COUNTS, "a grid": np.abs(GRID)}),
    (HalfPoissonDeviance(), {"a count": COUNTS[:, 0], "two counts": COUNTS}),
    (BinaryCrossEntropy(), {**YES_OR_NO, "a grid": GRID > 0}),
    (BinaryCrossEntropy(pos_weight=3.0, neg_weight=0.5), {**YES_OR_NO, "a grid": GRID > 0}),
    (BinaryCrossEntropy(pos_weight=[0, 4]), {"two labels": LABELS, "probabilities of labels": BETWEEN}),
    (LogLoss(), YES_OR_NO),
    (LogLoss(0.2, pos_weight=[1, 4], neg_weight=[0.5, 2]), {"two labels": LABELS}),
    (LogLoss(label_smoothing=0.2), YES_OR_NO),
    (CrossEntropy(), {**OF_CLASSES, "probabilities": PROBABILITIES}),
    (CrossEntropy(label_smoothing=0.2), {"classes": CLASSES, "probabilities": PROBABILITIES}),
    (CrossEntropy(class_weight=[0.5, 2, 0]), {"classes": CLASSES, "probabilities": PROBABILITIES}),
    (CrossEntropy(0.1, class_weight={1: 3.0}), {"classes": CLASSES, "probabilities": PROBABILITIES}),
    (HingeLoss(), {**OF_CLASSES, "signs": LABELS[:, 0] * 2 - 1, "one label": LABELS[:, 0]}),
    (HingeLoss(margin=0.3), {"classes": CLASSES, "signs": LABELS[:, 0] * 2 - 1}),
]
WEIGHTS = {"no weights": None, "weights": RANDOM.uniform(0, 2, N_ROWS) * (RANDOM.uniform(size=N_ROWS) > 0.2)}


def of_all_kinds(package, base):
    """The classes that a package of losses or optimizers exports, but for what they are derived from."""
    classes = {getattr(package, name) for name in package.__all__}
    return {cls for cls in classes if issubclass(cls, base) and cls is not base}


def test_every_loss_is_compared():
    assert {type(loss) for loss, _ in LOSSES} == of_all_kinds(layernet.losses, Loss)


def network_for(targets):
    """A network whose outputs fit some targets."""
    is_class = targets.ndim == 1 and targets.max() == 2
    shape = targets.shape[1:] or ((3,) if is_class else (1,))
    return Sequential([Dense(6), Tanh(), Dense(math.prod(shape)), Reshape(shape)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        pytest.param(loss, targets, id=f"{loss!r}, {name}")
        for loss, all_targets in LOSSES
        for name, targets in all_targets.items()
    ],
)
def test_every_loss(loss, targets, weights, dtype):
    assert_same_training(
        network_for(targets).build(5, random_state=0, dtype=dtype),
        X,
        targets,
        loss=loss,
        optimizer=SGD(0.05),
        sample_weight=WEIGHTS[weights],
        epochs=20,
        n_workers=(1, 3),
    )


@pytest.mark.parametrize("loss", [HalfSquaredError(), HalfPoissonDeviance(), LogLoss()], ids=repr)
@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_a_sum_over_outputs_takes_them_in_one_axis_only(loss, engine):
    network = network_for(GRID).build(5, random_state=0)
    with pytest.raises(ValueError, match="must be one number for each sample"):
        network.fit(X, (GRID > 0) * 1.0, loss=loss, engine=engine)


# --- optimizers ---

RATE = CosineSchedule(0.02, duration=200, warm_up=20)
OF_ALL = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decay_biases": True},
    {"clip_value": 0.02},
    {"clip_norm": 0.05},
    {"clip_value": 0.02, "clip_norm": 0.05, "weight_decay": 0.1},
    {"learning_rate": RATE, "weight_decay": 0.1},
]
# Of each optimizer a learning rate that gets somewhere, and the options that it has beside those of all.
OPTIMIZERS = {
    SGD: (
        0.05,
        [
            {"momentum": 0.9},
            {"momentum": 0.9, "dampening": 0.4, "clip_norm": 0.05},
            {"momentum": 0.9, "nesterov": True, "learning_rate": RATE},
            {"momentum": 0.9, "nesterov": True, "dampening": 0.4, "weight_decay": 0.1},
        ],
    ),
    Adam: (
        0.01,
        [
            {"amsgrad": True, "weight_decay": 0.1},
            {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-4},
            {"correct_epsilon": False, "epsilon": 1e-4},
        ],
    ),
    AdamW: (0.01, [{"amsgrad": True}, {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-4}]),
    NAdam: (0.01, [{"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-4}, {"momentum_decay": 0.1}]),
    RMSProp: (0.01, [{"rho": 0.7, "epsilon": 1e-4}]),
    Adagrad: (0.05, [{"initial_sum": 0.1, "epsilon": 1e-4}]),
    Lion: (0.001, [{"beta_1": 0.7, "beta_2": 0.9}]),
}


def test_every_optimizer_is_compared_with_all_its_options():
    assert OPTIMIZERS.keys() == of_all_kinds(layernet.optimizers, Optimizer)
    for cls, (_, own) in OPTIMIZERS.items():
        tried = {"learning_rate"}.union(*OF_ALL, *own)
        assert tried >= inspect.signature(cls).parameters.keys()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "optimizer",
    [
        cls(**{"learning_rate": rate, **options})
        for cls, (rate, own) in OPTIMIZERS.items()
        for options in [*OF_ALL, *own]
    ],
    ids=repr,
)
def test_every_optimizer(optimizer, dtype):
    # Smooth, and without normalisation: weight decay takes weights to 0, and dividing by them enlarges
    # rounding.
    network = Sequential([Dense(6), Tanh(), Dense(3)]).build(5, random_state=0, dtype=dtype)
    assert_same_training(
        network, X, CLASSES, loss="cross_entropy", optimizer=optimizer, epochs=35, n_workers=(1, 2)
    )


# --- what people define themselves ---


class Wave(Layer):
    """Ten lines with the two passes alone."""

    def forward_pass(self, inputs):
        return np.sin(inputs)

    def backward_pass(self, inputs, grad_output):
        return grad_output * np.cos(inputs)


class Shift(Layer):
    """A layer with a parameter."""

    def create_parameters(self, input_shape):
        self.add_parameter("shift", input_shape, "ones")

    def forward_pass(self, inputs):
        return inputs + self.shift

    def backward_pass(self, inputs, grad_output):
        self.grad_shift = grad_output.sum(axis=0)
        return grad_output.copy()


class Numbered(Layer):
    """A layer that sees the batch: each sample is scaled by its number and by its weight."""

    uses_batch_info = True

    def record(self, inputs):
        scale = np.ones(len(inputs))
        if self.training:
            rows = np.arange(len(inputs)) if self.batch_rows is None else self.batch_rows
            scale += rows % 3
            if self.batch_weights is not None:
                scale += self.batch_weights
        scale = (scale / 2).astype(inputs.dtype).reshape(-1, *[1] * (inputs.ndim - 1))
        return inputs * scale, scale

    def backward_from(self, scale, grad_output):
        return grad_output * scale


class Centred(Layer):
    """A layer with a state that moves on when a step ends."""

    def create_parameters(self, input_shape):
        self.add_state("centre", np.zeros(input_shape))
        self.add_state("step", 0)

    def forward_pass(self, inputs):
        if self.training:
            self._mean = inputs.mean(axis=0)
        return inputs - self.centre

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()

    def end_step(self):
        self.centre += 0.1 * (self._mean - self.centre)
        self.step += 1


class Doubled(ReLU):
    """A subclass that overrides a formula that there is a kernel for."""

    def forward_pass(self, inputs):
        return 2 * super().forward_pass(inputs)

    def backward_from(self, outputs, grad_output):
        return 2 * super().backward_from(outputs, grad_output)


class Twice(Layer):
    """A container that nobody knows, with layers that see the batch and have a state."""

    def __init__(self, body):
        self.body = body
        self.layers = [body]

    def create_parameters(self, input_shape):
        self.build_inside(self.body, input_shape)

    def record(self, inputs):
        outputs, record = self.body.record(inputs)
        return 2 * outputs, record

    def backward_from(self, record, grad_output):
        return self.body.backward_from(record, 2 * grad_output)


class LogCosh(Loss):
    def losses(self, outputs, targets):
        return np.log(np.cosh(outputs - targets)).mean(axis=1)

    def gradient(self, outputs, targets):
        return np.tanh(outputs - targets) / outputs.shape[1]


class YesOrNo(Loss):
    """A loss whose targets are neither numbers of the network's type nor class numbers."""

    def prepare(self, targets, output_shape, dtype):
        return np.asarray(targets) > 0

    def losses(self, outputs, targets):
        return np.where(targets, -outputs, outputs).sum(axis=1)

    def gradient(self, outputs, targets):
        return np.where(~targets, 1.0, -1.0).astype(outputs.dtype)


class ScaledError(MeanSquaredError):
    """A subclass of a loss that there is a kernel for."""

    def losses(self, outputs, targets):
        return 3 * super().losses(outputs, targets)

    def gradient(self, outputs, targets):
        return 3 * super().gradient(outputs, targets)


class SignDescent(Optimizer):
    slots = ("calls",)

    def move(self, parameters, gradients, learning_rate, calls):
        calls += 1
        parameters -= learning_rate * np.arctan(gradients) / calls


class LazyAdam(Adam):
    """A subclass of an optimizer that there is a kernel for."""

    def move(self, parameters, gradients, learning_rate, *slots):
        super().move(parameters, gradients, learning_rate / 2, *slots)


def with_another_gradient(loss):
    """A loss, one of whose formulas was replaced."""
    loss.gradient = lambda outputs, targets: np.tanh(outputs - targets)
    return loss


def with_another_way_back(layer):
    """A layer, one of whose passes was replaced."""
    layer.backward_from = lambda outputs, grad_output: -type(layer).backward_from(layer, outputs, grad_output)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        Wave(),
        Shift(),
        Numbered(),
        Centred(),
        Doubled(),
        Twice(Centred()),
        Twice(Dropout(0.3)),
        with_another_way_back(ReLU()),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("place", ["first", "behind a dense layer"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_layers_of_ones_own(layer, place, weights):
    network, input_shape = around(layer, 5, place)
    assert_same_training(
        network.build(input_shape, random_state=0),
        X,
        NUMBERS,
        loss="mean_squared_error",
        optimizer=SGD(0.05),
        sample_weight=WEIGHTS[weights],
        epochs=20,
        n_workers=(1, 2),
    )


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_what_a_network_does_at_the_end_of_a_step_may_be_replaced(engine):
    network = Sequential([Dense(6), Tanh(), Dense(2)]).build(5, random_state=0)
    network.end_step = lambda: network.parameter_vector.clip(-0.1, 0.1, out=network.parameter_vector)
    network.fit(X, NUMBERS, loss="mean_squared_error", engine=engine)
    assert np.abs(network.parameter_vector).max() <= 0.1


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        (LogCosh(), SGD(0.05)),
        (YesOrNo(), SGD(0.05)),
        (ScaledError(), SGD(0.05)),
        (with_another_gradient(MeanSquaredError()), SGD(0.05)),
        (MeanSquaredError(), SignDescent(0.1, weight_decay=0.1, clip_norm=0.3)),
        (MeanSquaredError(), LazyAdam(0.01)),
        (LogCosh(), SignDescent(CosineSchedule(0.1, 100))),
    ],
    ids=repr,
)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_losses_and_optimizers_of_ones_own(loss, optimizer, weights):
    assert_same_training(
        Sequential([Dense(6), Tanh(), Dense(2)]).build(5, random_state=0),
        X,
        NUMBERS,
        loss=loss,
        optimizer=optimizer,
        sample_weight=WEIGHTS[weights],
        epochs=20,
        n_workers=(1, 2),
    )


# --- data of all kinds ---


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_mapped(array):
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    return mapped


FORMS = {
    "lists": lambda array: array.tolist(),
    "Fortran's order": np.asfortranarray,
    "every other row": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[::-1],
    "read-only": read_only,
    "single precision": lambda array: array.astype(np.float32),
    "other byte order": lambda array: array.astype(">f8"),
    "small whole numbers": lambda array: (array * 10).astype(np.int16),
    "memory-mapped": memory_mapped,
    "memory-mapped in single precision": lambda array: memory_mapped(array.astype(np.float32)),
}


@pytest.mark.parametrize("stays_on_disk", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_inputs_in_any_form(form, stays_on_disk, monkeypatch):
    if stays_on_disk:
        if not form.startswith("memory"):
            pytest.skip("only a file stays on disk")
        monkeypatch.setattr("layernet.training.storage.IN_MEMORY_LIMIT", 0)
    assert_same_training(
        Sequential([Dense(6), Tanh(), Dropout(0.2), Dense(2)]).build(5, random_state=0),
        FORMS[form](X),
        NUMBERS,
        loss="mean_squared_error",
        optimizer=SGD(0.05),
        sample_weight=WEIGHTS["weights"],
        epochs=5,
        n_workers=(1, 2),
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64, np.uint64, np.float32, bool])
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "mean_squared_error"])
def test_targets_of_any_type(dtype, loss):
    targets = (CLASSES > 0).astype(dtype)
    network = Sequential([Dense(6), Tanh(), Dense(1 if loss == "mean_squared_error" else 2)])
    assert_same_training(network.build(5, random_state=0), X, targets, loss=loss, optimizer=SGD(0.05), epochs=5)


def test_images(digits):
    images, classes = digits
    network = Sequential([Flatten(), Dense(16), ReLU(), Dense(10)]).build((8, 8), random_state=0)
    assert_same_training(
        network,
        images[:300].reshape(-1, 8, 8),
        classes[:300],
        loss="cross_entropy",
        optimizer=Adam(),
        epochs=3,
        validation_data=(images[300:400].reshape(-1, 8, 8), classes[300:400]),
        metrics="accuracy",
        n_workers=(1, 2),
    )


@pytest.mark.parametrize("n_rows", [41, 42])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_averages_where_the_last_batch_is_small(n_rows, weights, dtype):
    assert_same_training(
        around(BatchNorm(0.7), 5, "behind a dense layer")[0].build(5, random_state=0, dtype=dtype),
        X[:n_rows],
        NUMBERS[:n_rows],
        loss="mean_squared_error",
        optimizer=SGD(0.05),
        sample_weight=None if WEIGHTS[weights] is None else WEIGHTS[weights][:n_rows],
        epochs=5,
        n_workers=(1, 2, 3),
    )


@pytest.mark.parametrize("factor", [1e-300, 1e-44, 1e-20, 1e20, 1e39, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [Identity(), BatchNorm()], ids=repr)
def test_only_the_proportions_of_weights_count(layer, factor, dtype):
    """Weights may be numbers that the network's type does not have: what each means is its part of all."""
    assert_same_training(
        around(layer, 5, "behind a dense layer")[0].build(5, random_state=0, dtype=dtype),
        X,
        (CLASSES > 0) * 1,
        loss="cross_entropy",
        optimizer=SGD(0.1),
        sample_weight=np.random.default_rng(0).uniform(0.5, 2, N_ROWS) * factor,
        epochs=3,
        n_workers=(1, 2),
    )


# --- the order of the rows ---


class MoreAndMore:
    """Another number of rows in every epoch."""

    def __init__(self):
        self.n_rows = 5

    def __call__(self, n):
        self.n_rows += 26
        return np.random.default_rng(self.n_rows).integers(0, n, self.n_rows)


ORDERS = {
    "as they stand": False,
    "backwards": lambda n: np.arange(n)[::-1],
    "drawn with replacement": lambda n: np.random.default_rng(0).integers(0, n, n),
    "counted from the end": lambda n: np.arange(-n, 0),
    "a list": lambda n: list(range(n)),
    "small whole numbers": lambda n: np.arange(n, dtype=np.uint8),
    "without the last batch": lambda n: np.arange(n)[: n - n % 8],
    "one batch": lambda n: np.arange(3, 11),
    "less than a batch": lambda n: [5, 2, 9],
    "each row twice": lambda n: np.repeat(np.arange(n), 2),
    "more and more rows": MoreAndMore(),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "callbacks", [(), [LearningRateScheduler(StepSchedule(0.05, 10), per="step")]], ids=len
)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_orders_of_the_rows(order, weights, callbacks):
    assert_same_training(
        Sequential([Dense(6), BatchNorm(), Tanh(), Dropout(0.2), Dense(2)]).build(5, random_state=0),
        X,
        NUMBERS,
        loss="mean_squared_error",
        optimizer=SGD(0.05),
        epochs=3,
        sample_weight=WEIGHTS[weights],
        callbacks=callbacks,
        n_workers=(1, 2),
        shuffle=ORDERS[order],
        metrics=lambda targets, outputs: np.abs(targets - outputs).mean(),
    )


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize(
    "order", ["np.arange(n) + 1", "np.arange(n) - n - 1", "np.full(n, 10**12)", "np.arange(n) * 1.0"]
)
def test_row_numbers_that_there_are_not_are_refused(order, engine):
    """In a process of its own, for reading what is not there may end it."""
    script = f"""
import numpy as np
from layernet import Dense
X = np.ones((9, 3))
try:
    Dense(3).fit(X, X, "mean_squared_error", shuffle=lambda n: {order}, engine="{engine}")
except IndexError:
    print("refused")
"""
    assert run_python(script) == "refused\n"


# --- callbacks that change the course ---


class Watch(Callback):
    """Looks on after every batch, so that steps are done one by one."""

    def on_batch_end(self, run):
        assert run.batch >= 1


class At(Callback):
    """Does something at the end of every epoch, or of the third batch of each."""

    def __init__(self, moment, change):
        self.moment, self.change = moment, change

    def on_train_begin(self, run):
        self.start = run.network.state(), run.optimizer.state()

    def on_epoch_end(self, run):
        if self.moment == "epoch":
            self.change(self, run)


class AtBatches(At):
    def on_batch_end(self, run):
        if self.moment == "batch" and run.batch == 3:
            self.change(self, run)


def network_to_change():
    return Sequential([Dense(6, use_bias=False), BatchNorm(), Tanh(), Dropout(0.3), Dense(3)])


def set_on(find, name, value):
    """A change of an attribute of something that a run has."""
    return lambda callback, run: setattr(find(run), name, value)


CHANGES = {
    "learning rate": lambda callback, run: setattr(
        run.optimizer, "learning_rate", run.optimizer.learning_rate * 0.7
    ),
    "a schedule for a rate": set_on(lambda run: run.optimizer, "learning_rate", lambda step: 0.1 / (step + 1)),
    "weight decay": set_on(lambda run: run.optimizer, "weight_decay", 0.5),
    "clipping by norm": set_on(lambda run: run.optimizer, "clip_norm", 0.01),
    "clipping by value": set_on(lambda run: run.optimizer, "clip_value", 0.01),
    "momentum": set_on(lambda run: run.optimizer, "momentum", 0.5),
    "dropout's rate": set_on(lambda run: run.network[3], "rate", 0.6),
    "label smoothing": set_on(lambda run: run.loss, "label_smoothing", 0.3),
    "parameters": lambda callback, run: run.network.parameter_vector.fill(0.1),
    "the first state": lambda callback, run: run.network.load_state(callback.start[0]),
    "the optimizer's first state": lambda callback, run: run.optimizer.load_state(callback.start[1]),
    "the optimizer's own state": lambda callback, run: run.optimizer.load_state(run.optimizer.state()),
}


@pytest.mark.parametrize("moment", [At("epoch", None), AtBatches("batch", None)], ids=["epoch", "batch"])
@pytest.mark.parametrize("change", CHANGES)
def test_callbacks_may_change(change, moment):
    assert_same_training(
        network_to_change().build(5, random_state=0),
        X,
        CLASSES,
        loss=CrossEntropy(),
        optimizer=SGD(0.1, momentum=0.9),
        callbacks=[type(moment)(moment.moment, CHANGES[change])],
        epochs=4,
        n_workers=(1, 2),
    )


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("val_loss", patience=2)],
        [EarlyStopping("loss", patience=1, min_delta=1.0, restore_best=True)],
        [LearningRateScheduler(StepSchedule(0.1, every=2))],
        [LearningRateScheduler(CosineSchedule(0.1, 30, warm_up=5), per="step")],
        [LearningRateScheduler(ReduceOnPlateau(0.5, patience=1, threshold=0.1), monitor="val_loss")],
    ],
    ids=repr,
)
def test_callbacks_of_the_package(callbacks):
    assert_same_training(
        network_to_change().build(5, random_state=0),
        X[:30],
        CLASSES[:30],
        loss="cross_entropy",
        optimizer=SGD(0.5, momentum=0.9),
        callbacks=callbacks,
        epochs=10,
        validation_data=(X[30:], CLASSES[30:]),
        metrics="accuracy",
        n_workers=(1, 2),
    )


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (lambda network: network, 1e-12),
        (lambda network: network.build(5, random_state=1), 1e-12),
        (lambda network: network.astype(np.float32), 1e-5),
    ],
    ids=["the same network", "built again", "in single precision"],
)
def test_an_optimizer_goes_on_with_its_memory_in_a_second_training(change, tolerance):
    found = []
    for engine in ("formulas", "compiled"):
        network, optimizer = Sequential([Dense(6), Tanh(), Dense(3)]).build(5, random_state=0), Adam(0.01)
        options = {"loss": "cross_entropy", "optimizer": optimizer, "epochs": 3, "random_state": 0}
        network.fit(X, CLASSES, engine=engine, **options)
        network = change(network)
        network.fit(X, CLASSES, engine=engine, **options)
        found.append({"parameters": network.parameter_vector, "steps": optimizer.steps})
    assert_close(found[1], found[0], tolerance, "second training")


# --- networks drawn at random ---


ACTIVATIONS = [
    ELU(), ELU(0.3), GELU(), GELU(approximate=True), HardSigmoid(), Identity(), LeakyReLU(), LeakyReLU(0),
    LogSoftmax(), Mish(), ReLU(), SELU(), SiLU(), Sigmoid(), Softmax(), Softplus(), Tanh(),
]  # fmt: skip
# Normalisations with a large epsilon: where all inputs are the same only rounding is left, which each would
# enlarge by 1 / sqrt(epsilon).
SHAPELESS = st.sampled_from(
    [
        *ACTIVATIONS, BatchNorm(epsilon=0.1), BatchNorm(0.5, 0.01), LayerNorm(0.1), RMSNorm(0.1), Dropout(0),
        Dropout(0.4), GaussianNoise(0.1), Wave(), Shift(), Numbered(), Centred(),
    ]
).map(copy.deepcopy)  # fmt: skip
WIDTHS = st.integers(1, 5)


@st.composite
def chains(draw, n_inputs, n_outputs=None, depth=2):
    """A Sequential for rows of so many features, that puts out any number of features or a given one."""
    layers, width = [], n_inputs
    for kind in draw(st.lists(st.sampled_from(["shapeless", *KINDS]), min_size=1, max_size=5)):
        if kind == "shapeless" or depth == 0:
            layers.append(draw(SHAPELESS))
        else:
            layer, width = draw(KINDS[kind](width, depth))
            layers.append(layer)
    if n_outputs is not None:  # from bounded numbers: exponentials of large outputs leave no digits to compare
        layers += [Tanh(), Dense(n_outputs)]
    return Sequential(layers), (width if n_outputs is None else n_outputs)


@st.composite
def dense(draw, width, depth):
    units = draw(WIDTHS)
    return Dense(units, use_bias=draw(st.booleans())), units


@st.composite
def grids(draw, width, depth):
    """A detour through samples of two axes."""
    layers = draw(st.lists(SHAPELESS, min_size=1, max_size=2))
    shape = draw(st.sampled_from([(width, 1), (1, width), (-1, width)]))
    return Sequential([Reshape(shape), *layers, Flatten()]), width


@st.composite
def residuals(draw, width, depth):
    body, _ = draw(chains(width, width, depth - 1))
    return Residual(body), width


@st.composite
def concats(draw, width, depth):
    parts = [draw(chains(width, depth=depth - 1)) for _ in range(draw(st.integers(1, 3)))]
    return Concat([layer for layer, _ in parts]), sum(units for _, units in parts)


KINDS = {
    "dense": dense,
    "grid": grids,
    "residual": residuals,
    "concat": concats,
    "nested": lambda width, depth: chains(width, depth=depth - 1),
}
# An epsilon far above rounding: a gradient that is 0 but for rounding (of a bias in front of BatchNorm, say)
# would otherwise be divided by itself. No Lion, whose steps are the sign of it.
RANDOM_OPTIMIZERS = st.sampled_from(
    [
        SGD(0.05, clip_norm=1.0),
        SGD(0.02, momentum=0.9, nesterov=True, clip_norm=1.0),
        Adam(0.01, epsilon=1e-3, weight_decay=0.1),
        Adam(0.01, epsilon=1e-3, amsgrad=True, clip_value=0.1),
        AdamW(0.01, epsilon=1e-3),
        NAdam(CosineSchedule(0.01, 30), epsilon=1e-3),
        RMSProp(0.01, epsilon=1e-3),
        Adagrad(0.05, epsilon=1e-3),
    ]
)


@st.composite
def tasks(draw, n_rows):
    """A loss with targets that fit, and the number of outputs."""
    random = np.random.default_rng(draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["numbers", "counts", "labels", "classes"]))
    n_outputs = draw(st.integers(2, 4) if kind == "classes" else st.integers(1, 3))
    shape = (n_rows, n_outputs)
    if kind == "numbers":
        losses = [MeanSquaredError(), HalfSquaredError(), MeanAbsoluteError(), HuberLoss(), QuantileLoss(0.3)]
        targets = random.standard_normal(shape)
    elif kind == "counts":
        losses, targets = [PoissonLoss(), HalfPoissonDeviance()], random.poisson(1, shape)
    elif kind == "labels":
        losses, targets = [BinaryCrossEntropy(), LogLoss(0.1)], random.integers(0, 2, shape)
    else:
        losses = [CrossEntropy(), CrossEntropy(0.1, [2.0] * n_outputs), HingeLoss()]
        targets = random.integers(0, n_outputs, n_rows)
    return draw(st.sampled_from(losses)), targets, n_outputs


@settings(max_examples=200)
@given(st.data())
def test_networks_drawn_at_random(data):
    n_rows, batch_size, n_features = (data.draw(st.integers(1, most)) for most in (25, 12, 4))
    loss, targets, n_outputs = data.draw(tasks(n_rows))
    network, _ = data.draw(chains(n_features, n_outputs))
    if any(isinstance(layer, BatchNorm) for layer in network.walk()):
        assume(n_rows > 1 and batch_size > 1)  # which is refused
    random = np.random.default_rng(n_rows)
    network.build(n_features, random_state=0)
    # Biases too are no longer 0: where the input of a ReLU is 0 but for rounding, its slope is anything.
    network.parameter_vector[:] += 0.2 * random.standard_normal(network.parameter_vector.size)
    weights = data.draw(st.sampled_from(["none", "some", "some of 0", "none in a batch"]))
    sample_weight = None if weights == "none" else random.uniform(0.5, 2, n_rows)
    if weights == "some of 0":
        sample_weight[1::2] = 0
    elif weights == "none in a batch":
        sample_weight[1:][: 2 * batch_size] = 0
    assert_same_training(
        network,
        random.standard_normal((n_rows, n_features)),
        targets,
        loss=loss,
        optimizer=data.draw(RANDOM_OPTIMIZERS),
        sample_weight=sample_weight,
        epochs=data.draw(st.integers(1, 3)),
        batch_size=batch_size,
        shuffle=weights != "none in a batch",
        callbacks=data.draw(st.sampled_from([(), (Watch(),)])),
        n_workers=(data.draw(st.integers(1, 3)),),
        tolerance=1e-9,
    )
