"""Planted obstacles: wrong gradients, outputs out of reach, noise, decay, schedules, rows."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from trainings import diabetes, digits, mlp, noise, table, train, train_a_part

from layernet import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Layer,
    LayerNorm,
    LearningRateScheduler,
    Loss,
    MLPClassifier,
    MLPRegressor,
    Monitor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
    diagnose,
)
from layernet.engine.choice import has_numba
from layernet.losses import BinaryCrossEntropy, MeanAbsoluteError, MeanSquaredError, PoissonLoss
from layernet.monitoring.output_range import lowest_loss, range_of_outputs
from layernet.monitoring.row_statistics import share_between_batches, share_of_contradictions
from layernet.schedules import CosineSchedule, ExponentialSchedule

pytestmark = pytest.mark.slow

ENGINES = [
    "formulas",
    pytest.param("compiled", marks=pytest.mark.skipif(not has_numba(), reason="Numba is not installed")),
]
MSE = "mean_squared_error"
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.standard_normal((400, 6))


def logistic_layer(slope):
    """A sigmoid of somebody's, whose backward pass multiplies by `slope(outputs)`."""

    class OwnSigmoid(Layer):
        def forward_pass(self, inputs):
            return 1 / (1 + np.exp(-inputs))

        def backward_pass(self, inputs, grad_output):
            return grad_output * slope(self.forward_pass(inputs))

    return OwnSigmoid()


SLOPES = {
    "right": lambda s: s * (1 - s),
    "forgetful": lambda s: s,
    "zero": lambda s: 0 * s,
    "negative": lambda s: -s * (1 - s),
    "twice": lambda s: 2 * s * (1 - s),
}


class OwnDense(Layer):
    """A weighted sum of somebody's, whose gradients can be spoiled."""

    def __init__(self, units, spoil):
        self.units, self.spoil = units, spoil

    def create_parameters(self, input_shape):
        self.add_parameter("weights", (*input_shape, self.units))
        self.add_parameter("bias", self.units, "zeros")

    def forward_pass(self, inputs):
        return inputs @ self.weights + self.bias

    def backward_pass(self, inputs, grad_output):
        self.grad_weights = inputs.T @ grad_output
        self.grad_bias = grad_output.sum(axis=0)
        if self.spoil == "bias":
            self.grad_bias = grad_output.mean(axis=0)
        if self.spoil == "weights":
            self.grad_weights = np.zeros_like(self.weights)
        return grad_output @ self.weights.T * (-1 if self.spoil == "inputs" else 1)


class Absolute(Loss):
    """An absolute error of somebody's, whose gradient has a sign to choose."""

    def __init__(self, sign):
        self.sign = sign

    def losses(self, outputs, targets):
        return np.abs(outputs - targets).mean(axis=1)

    def gradient(self, outputs, targets):
        return self.sign * np.sign(outputs - targets) / outputs.shape[1]


def found_symptoms(monitor):
    return [finding.symptom for finding in diagnose(monitor)]


# --- the gradient check ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("slope", SLOPES)
def test_a_wrong_backward_pass_is_found_in_its_layer(slope, dtype, engine):
    X, y = digits()
    net = Sequential([Dense(32), logistic_layer(SLOPES[slope]), Dense(16), Tanh(), Dense(10)])
    monitor = train((X.astype(dtype), y), net, Adam(0.005), engine=engine, epochs=15)
    (name,) = monitor.trials[0].gradients
    assert name == "1 OwnSigmoid"
    if slope == "right":
        diagnosis = diagnose(monitor)
        assert diagnosis, diagnosis
        assert "The gradients of 1 OwnSigmoid were checked and are right, to" in str(diagnosis)
        return
    finding = diagnose(monitor).findings[0]
    assert (finding.symptom, finding.layer) == ("wrong gradient", "1 OwnSigmoid")
    error = {"forgetful": None, "zero": 1.0, "negative": 2.0, "twice": 0.5}[slope]
    if error is not None:
        assert monitor.trials[0].gradients[name].worst.error == pytest.approx(error, rel=0.01)
    assert ("it is exactly 0 where differences give" in finding.measurement) == (slope == "zero")


@pytest.mark.parametrize("spoil", ["bias", "weights", "inputs"])
def test_wrong_gradients_of_parameters_are_found(spoil):
    net = Sequential([Dense(16), ReLU(), OwnDense(10, spoil)])
    finding = diagnose(train(digits(), net, Adam(0.005), epochs=3)).findings[0]
    assert (finding.symptom, finding.layer) == ("wrong gradient", "2 OwnDense(10)")
    assert f"for {spoil} it" in finding.measurement


def test_a_wrong_layer_inside_others_is_named_and_not_those_around_it():
    class Around(Layer):
        def __init__(self, inner):
            self.inner, self.layers = inner, [inner]

        def create_parameters(self, input_shape):
            self.build_inside(self.inner, input_shape)

        def record(self, inputs):
            return self.inner.record(inputs)

        def backward_from(self, record, grad_output):
            return self.inner.backward_from(record, grad_output)

    for slope, wrong in (("forgetful", ["1.0.0.1 OwnSigmoid"]), ("right", [])):
        inner = Sequential([Dense(16), logistic_layer(SLOPES[slope])])
        net = Sequential([Dense(16), Residual(Around(inner)), Dense(10)])
        monitor = train(digits(), net, Adam(0.005), epochs=3)
        found = [finding.layer for finding in diagnose(monitor) if finding.symptom == "wrong gradient"]
        assert found == wrong
        assert ("1.0 Around" in monitor.trials[0].gradients) == (slope == "right")


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_the_gradient_of_ones_own_loss_is_checked(sign):
    monitor = train(diabetes(), mlp([16], ReLU, 1), Adam(0.003), Absolute(sign), epochs=20)
    found = [finding for finding in diagnose(monitor) if finding.symptom == "wrong gradient"]
    assert [finding.layer for finding in found] == ([] if sign == 1 else ["Absolute"])


def test_a_layer_at_its_kink_or_with_noise_of_its_own_is_not_called_wrong():
    class Rectifier(Layer):
        def forward_pass(self, inputs):
            return np.maximum(inputs, 0)

        def backward_pass(self, inputs, grad_output):
            return grad_output * (inputs > 0)

    class Rustle(Layer):
        def __init__(self):
            self.random = np.random.default_rng(0)

        def forward_pass(self, inputs):
            return inputs + 0.1 * self.random.normal(size=inputs.shape)

        def backward_pass(self, inputs, grad_output):
            return grad_output.copy()

    X, y = digits()  # most pixels are exactly 0
    net = Sequential([Rectifier(), Dense(32), Rectifier(), Rustle(), Dense(10)])
    monitor = train((X, y), net, Adam(0.003))
    diagnosis = diagnose(monitor)
    assert diagnosis, diagnosis
    assert set(monitor.trials[0].gradients) == {"0 Rectifier", "2 Rectifier"}
    assert "3 Rustle could not be checked: its outputs differ from one pass to the next" in str(diagnosis)


@pytest.mark.parametrize("scale", [1e6, 1.0, 1e-6])
def test_the_gradient_check_holds_at_any_size_of_inputs(scale):
    class Rectifier(Layer):
        def forward_pass(self, inputs):
            return np.maximum(inputs, 0)

        def backward_pass(self, inputs, grad_output):
            return grad_output * (inputs > 0)

    monitor = train((scale * ROWS, ROWS[:, 0]), Sequential([Rectifier(), Dense(1)]), Adam(1e-3), MSE, epochs=1)
    assert monitor.trials[0].gradients["0 Rectifier"]


# --- the other obstacles ---


def steep_end():
    class Squash(Layer):  # between -2 and 2
        def forward_pass(self, inputs):
            return 2 * np.tanh(inputs)

        def backward_pass(self, inputs, grad_output):
            return grad_output * 2 * (1 - np.tanh(inputs) ** 2)

    return Squash()


def ending_in(*end, outputs=1):
    return Sequential([Dense(32), ReLU(), Dense(outputs), *end])


def sorted_by_target(data):
    X, y = data
    order = np.argsort(y, kind="stable")
    return X[order], y[order]


def tall_patients():
    X, y = diabetes()
    return X, 5 * y


def contradicting():
    rows = np.repeat(RANDOM.standard_normal((200, 5)), 2, axis=0)
    y = (rows[:, 0] > 0).astype(int)
    y[1::2] = 1 - y[::2]
    return rows, y


def one_useful_column(n_classes=2):
    X = RANDOM.standard_normal((500, 8))
    y = np.digitize(X[:, 3], [0] if n_classes == 2 else [-0.4, 0.4])
    X[:, 3] *= 1e-4
    return X, y


def of_another_kind():
    X, y = digits()
    return np.concatenate([X[:700], 1 - X[700:]]), y


def faded(epoch):
    return 0.05 * 0.1**epoch


FAULTY = {
    "dropout of 0.95": (
        "too much dropout",
        lambda: train(digits(), Sequential([Dense(48), ReLU(), Dropout(0.95), Dense(10)]), Adam(0.003)),
    ),
    "dropout of the inputs": (
        "too much dropout",
        lambda: train(table(load_wine), Sequential([Dropout(0.97), *mlp([32], ReLU, 3)]), Adam(0.01)),
    ),
    "noise of ten times the inputs": (
        "too much noise",
        lambda: train(diabetes(), Sequential([GaussianNoise(10.0), *mlp([32], Tanh, 1)]), Adam(0.003), MSE),
    ),
    "decoupled decay": (
        "weight decay too strong",
        lambda: train(digits(), mlp([32], ReLU, 10), AdamW(0.003, weight_decay=20.0)),
    ),
    "coupled decay": (
        "weight decay too strong",
        lambda: train(digits(), mlp([32], Tanh, 10), SGD(0.1, weight_decay=0.3)),
    ),
    "decay of Adam": (
        "weight decay too strong",
        lambda: train(table(load_wine), mlp([32], ReLU, 3), Adam(0.01, weight_decay=3.0), epochs=20),
    ),
    "sigmoid below its targets": (
        "outputs cannot reach the targets",
        lambda: train(diabetes(), ending_in(Sigmoid()), Adam(0.003), MSE, epochs=30),
    ),
    "hard sigmoid": (
        "outputs cannot reach the targets",
        lambda: train(diabetes(), ending_in(HardSigmoid()), Adam(0.003), "huber", epochs=30),
    ),
    "rectified outputs": (
        "outputs cannot reach the targets",
        lambda: train(diabetes(), ending_in(ReLU()), Adam(0.003), MSE, epochs=30),
    ),
    "tanh": (
        "outputs cannot reach the targets",
        lambda: train(tall_patients(), ending_in(Tanh()), Adam(0.003), "mean_absolute_error", epochs=30),
    ),
    "softplus, and a layer without parameters after it": (
        "outputs cannot reach the targets",
        lambda: train(diabetes(), ending_in(Softplus(), Flatten()), Adam(0.003), MSE, epochs=30),
    ),
    "an activation of one's own": (
        "outputs cannot reach the targets",
        lambda: train(tall_patients(), ending_in(steep_end()), Adam(0.003), MSE, epochs=30),
    ),
    "softmax of one output": (
        "outputs cannot reach the targets",
        lambda: train(diabetes(), ending_in(Softmax()), Adam(0.003), MSE, epochs=30),
    ),
    "logits between -1 and 1": (
        "outputs cannot reach the targets",
        lambda: train(digits(), ending_in(Tanh(), outputs=10), Adam(0.003)),
    ),
    "classes one after the other": (
        "rows sorted by class",
        lambda: train(sorted_by_target(digits()), mlp([48], ReLU, 10), Adam(0.003), shuffle=False),
    ),
    "flowers as they come": (
        "rows sorted by class",
        lambda: train(table(load_iris), mlp([16], Tanh, 3), Adam(0.01), shuffle=False, batch_size=10),
    ),
    "numbers in order": (
        "rows sorted by target",
        lambda: train(sorted_by_target(diabetes()), mlp([32], ReLU, 1), SGD(0.05), MSE, shuffle=False),
    ),
    "a schedule that ends too early": (
        "learning rate fell to 0",
        lambda: train(
            digits(), mlp([32], ReLU, 10), SGD(0.05), epochs=10, callbacks=[LearningRateScheduler(faded)]
        ),
    ),
    "a schedule in steps": (
        "learning rate fell to 0",
        lambda: train(digits(), mlp([32], ReLU, 10), SGD(ExponentialSchedule(0.05, 0.9)), epochs=10),
    ),
    "a rate of 0": ("learning rate is 0", lambda: train(digits(), mlp([32], ReLU, 10), SGD(0.0), epochs=3)),
    "constant inputs": (
        "constant inputs",
        lambda: train((np.full((300, 4), 37.5), ROWS[:300, 0]), mlp([16], ReLU, 1), Adam(0.003), MSE),
    ),
    "constant inputs, classes": (
        "constant inputs",
        lambda: train((np.zeros((300, 4), np.float32), digits()[1][:300]), mlp([16], ReLU, 10), Adam(0.003)),
    ),
    "equal rows with different labels": (
        "equal rows with different targets",
        lambda: train(contradicting(), mlp([32], ReLU, 2), Adam(0.003), epochs=20),
    ),
    "a useful column that is small": (
        "inputs not scaled",
        lambda: train(one_useful_column(), mlp([32], ReLU, 2), Adam(0.003), epochs=20),
    ),
    "a useful column that is small, all else learned by heart": (
        "inputs not scaled",
        lambda: train(one_useful_column(3), mlp([128], ReLU, 3), Adam(0.01), epochs=60),
    ),
    "validation of another kind": (
        "validation rows differ from training rows",
        lambda: train_a_part(of_another_kind(), 700, mlp([48], ReLU, 10), Adam(0.003)),
    ),
    "little to be learned": (
        "little was learned",
        lambda: train(noise(), mlp([8], ReLU, 2), Adam(0.003), epochs=15),
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_the_obstacle_is_named_first(name):
    symptom, train_with_fault = FAULTY[name]
    diagnosis = diagnose(train_with_fault())
    assert not diagnosis
    assert diagnosis.findings[0].symptom == symptom, diagnosis
    consequences = {"dead ReLUs", "saturated activations"}
    assert {finding.symptom for finding in diagnosis.findings[1:]} <= consequences, diagnosis
    for finding in diagnosis:
        assert any(character.isdigit() for character in finding.measurement)
        assert finding.advice.endswith(".")
        assert "nan" not in finding.measurement.split()


def targets_between(low, high):
    X, y = diabetes()
    return X, low + (high - low) * (y - y.min()) / (y.max() - y.min())


SOUND = {
    "sigmoid that reaches its targets": lambda: train(
        targets_between(0.05, 0.95), ending_in(Sigmoid()), Adam(0.01), MSE, epochs=60
    ),
    "rectifier that reaches its targets": lambda: train(
        targets_between(0, 2), ending_in(ReLU()), Adam(0.003), MSE, epochs=60
    ),
    "a norm of rows on raw rows": lambda: train(
        load_wine(return_X_y=True),
        Sequential([LayerNorm(), Dense(32), ReLU(), Dense(3)]),
        Adam(0.02),
        epochs=300,
    ),
    "smoothed labels": lambda: train(
        digits(), mlp([64], ReLU, 10), Adam(0.003), CrossEntropy(label_smoothing=0.4), epochs=15
    ),
    "rows that are shuffled already": lambda: train(
        table(load_wine), mlp([32], ReLU, 3), Adam(0.01), epochs=20, shuffle=lambda n: RANDOM.permutation(n)
    ),
    "sorted rows in one batch": lambda: train(
        table(load_wine), mlp([32], ReLU, 3), Adam(0.02), epochs=60, shuffle=False, batch_size=178
    ),
    "decay as usual": lambda: train(digits(), mlp([64], ReLU, 10), AdamW(0.003, weight_decay=0.1), epochs=15),
    "coupled decay as usual": lambda: train(
        digits(), mlp([64], ReLU, 10), SGD(0.1, momentum=0.9, weight_decay=1e-3), epochs=15
    ),
    "a schedule that ends at 0": lambda: train(
        digits(), mlp([64], ReLU, 10), SGD(CosineSchedule(0.2, 435)), epochs=15
    ),
    "dropout as usual": lambda: train(
        digits(), Sequential([Dense(64), ReLU(), Dropout(0.5), Dense(10)]), Adam(0.005), epochs=30
    ),
    "noise as usual": lambda: train(
        table(load_wine), Sequential([GaussianNoise(0.3), *mlp([32], ReLU, 3)]), Adam(0.01), epochs=30
    ),
    "some columns that do not vary": lambda: train(
        (np.column_stack([table(load_wine)[0], np.ones((178, 2))]), table(load_wine)[1]),
        mlp([32], ReLU, 3),
        Adam(0.01),
        epochs=20,
    ),
    "equal rows with equal labels": lambda: train(
        (np.repeat(ROWS, 2, axis=0), np.repeat(ROWS[:, 0] > 0, 2).astype(int)),
        mlp([32], ReLU, 2),
        Adam(0.01),
    ),
    "a small column that a norm scales": lambda: train(
        one_useful_column(), Sequential([BatchNorm(), *mlp([32], ReLU, 2)]), Adam(0.01), epochs=20
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_no_obstacle_is_left_alone(name):
    diagnosis = diagnose(SOUND[name]())
    assert diagnosis, diagnosis


def test_an_activation_of_ones_own_is_saturated_too():
    class Bend(Layer):
        def forward_pass(self, inputs):
            return 3 * np.tanh(inputs)

        def backward_pass(self, inputs, grad_output):
            return grad_output * 3 * (1 - np.tanh(inputs) ** 2)

    large = {"weights_initializer": lambda shape, random: random.normal(0, 10, shape)}
    net = Sequential([Dense(32, **large), Bend(), Dense(32, **large), Bend(), Dense(10)])
    finding = diagnose(train(digits(), net, SGD(0.01))).findings[0]
    assert (finding.symptom, finding.layer) == ("saturated activations", "3 Bend")


def test_counts_with_a_negative_loss_are_measured_from_the_lowest():
    random = np.random.default_rng(0)
    X = random.standard_normal((500, 3))
    y = random.poisson(np.exp(1.5 + X[:, 0]))
    diagnosis = diagnose(train((X, y), mlp([32], Tanh, 1), Adam(0.01), "poisson", epochs=30))
    assert diagnosis, diagnosis
    faulty = diagnose(train((X, y), mlp([32], Tanh, 1), SGD(1e-6), "poisson", epochs=3))
    assert [finding.symptom for finding in faulty] == ["learning rate too low"]


def test_figures_of_a_range():
    monitor = train(diabetes(), ending_in(Sigmoid()), Adam(0.003), MSE, epochs=5)
    finding, y = diagnose(monitor).findings[0], diabetes()[1]
    assert finding.layer == "3 Sigmoid"
    floor = np.mean((np.clip(y, 0, 1) - y) ** 2)
    assert "outputs lie between 0 and 1" in finding.measurement
    assert f"the loss cannot fall below {floor:.3g}, {floor:.0%} of the loss of the best" in finding.measurement


# --- estimators ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"])
def test_estimators_are_diagnosed(kind, engine):
    monitor = Monitor()
    X, y = table(load_wine)
    is_classifier = kind.endswith("Classifier")
    options = {"callbacks": [monitor], "max_iter": 10, "batch_size": 16, "random_state": 0, "tol": 0.0,
               "engine": engine, "n_iter_no_change": 1000}  # fmt: skip
    if kind.startswith("MLP"):
        kind_of_model = MLPClassifier if is_classifier else MLPRegressor
        model = kind_of_model(hidden_layer_sizes=(16,), alpha=100.0, **options)
        expected = "weight decay too strong"
    else:
        hidden = Sequential([Dense(16), logistic_layer(SLOPES["negative"]), Dense(3 if is_classifier else 1)])
        model = (NetworkClassifier if is_classifier else NetworkRegressor)(hidden, **options)
        expected = "wrong gradient"
    with pytest.warns(ConvergenceWarning):  # of the epochs, and of fits that are worse than the mean
        model.fit(X, y if is_classifier else X[:, 0] + X[:, 1])
    assert expected in found_symptoms(monitor)


def test_an_estimator_that_does_not_shuffle_is_told():
    monitor = Monitor()
    X, y = table(load_iris)
    model = MLPClassifier(
        (16,), shuffle=False, batch_size=10, max_iter=10, callbacks=[monitor], random_state=0, tol=0.0,
        n_iter_no_change=99,
    )  # fmt: skip
    with pytest.warns(match="Maximum iterations"):
        model.fit(X, y)
    assert found_symptoms(monitor)[0] == "rows sorted by class"


# --- the figures behind it ---


@pytest.mark.parametrize(
    ("end", "low", "high"),
    [
        ([], -np.inf, np.inf),
        ([Sigmoid()], 0, 1),
        ([Tanh()], -1, 1),
        ([ReLU()], 0, np.inf),
        ([Softplus()], 0, np.inf),
        ([Softmax()], 0, 1),
        ([Tanh(), Dropout(0.5)], -1, 1),
        ([Sequential([Sigmoid(), Tanh()])], 0, np.tanh(1)),
        ([steep_end()], -2, 2),
        ([Tanh(), BatchNorm()], -np.inf, np.inf),
    ],
)
def test_ranges(end, low, high):
    found = range_of_outputs(Sequential([Dense(3), *end]).build(4, random_state=0))
    np.testing.assert_allclose(found, [[low] * 3, [high] * 3], atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "targets", "low", "high", "expected"),
    [
        (MeanSquaredError(), [[-1.0], [3.0]], 0, np.inf, 0.5),
        (MeanAbsoluteError(), [[-1.0], [3.0]], 0, 1, 1.5),
        (CrossEntropy(), [0, 1], -1, 1, np.log1p(np.exp(-2))),
        (CrossEntropy(), [[0.3, 0.7]], -np.inf, np.inf, -0.3 * np.log(0.3) - 0.7 * np.log(0.7)),
        (
            CrossEntropy(label_smoothing=0.5),
            [0, 1],
            -np.inf,
            np.inf,
            -0.75 * np.log(0.75) - 0.25 * np.log(0.25),
        ),
        (BinaryCrossEntropy(), [[0.0], [1.0]], 0, np.inf, np.log(2) / 2),
        (PoissonLoss(), [[2.0], [0.0]], -np.inf, np.inf, (2 - 2 * np.log(2)) / 2),
    ],
)
def test_lowest_losses(loss, targets, low, high, expected):
    n_outputs = 2 if isinstance(loss, CrossEntropy) else 1
    found = lowest_loss(loss, np.array(targets), np.full(n_outputs, low), np.full(n_outputs, high))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize("as_numbers", [False, True])
def test_shares_between_batches(as_numbers):
    labels = np.repeat([0, 1, 2, 3], 80)
    targets = np.eye(4)[labels] if as_numbers else labels
    random = np.random.default_rng(0)
    assert share_between_batches(targets, None, 80) == pytest.approx(1)
    assert share_between_batches(targets, None, 1) == pytest.approx(1)  # 16 are taken together
    assert share_between_batches(targets, None, 320) is None
    shares = [share_between_batches(targets, random.permutation(320), 16) for _ in range(200)]
    assert abs(np.mean(shares)) < 0.01
    assert max(shares) < 0.1
    assert share_between_batches(np.zeros(320, int), None, 16) is None


def test_shares_of_contradictions():
    random = np.random.default_rng(0)
    rows = np.repeat(random.standard_normal((400, 3)), 2, axis=0)
    assert share_of_contradictions(ROWS, ROWS) == 0
    shares = [share_of_contradictions(rows, random.integers(0, 3, 800)) for _ in range(50)]
    assert np.mean(shares) == pytest.approx(1, abs=0.02)
    numbers = [share_of_contradictions(rows, random.standard_normal((800, 2))) for _ in range(50)]
    assert np.mean(numbers) == pytest.approx(1, abs=0.02)
    signed = np.array([[0.0], [-0.0]])
    assert share_of_contradictions(signed, np.array([0, 1])) > 1  # zeros are equal whatever their sign
