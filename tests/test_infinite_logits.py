"""Infinite outputs, of masked classes for instance, and many classes: formulas, kernels, estimators."""

import math
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from layernet import (
    SGD,
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    HingeLoss,
    Layer,
    LogLoss,
    LogSoftmax,
    MLPClassifier,
    NetworkClassifier,
    PoissonLoss,
    Softmax,
)
from layernet.losses import HalfPoissonDeviance
from layernet.training import evaluate

pytestmark = pytest.mark.slow

INF = math.inf
LOG = math.log1p(math.exp(-1))  # log(1 + exp(-1)): logits 1 apart, the larger one right


def rows(*values):
    return np.array(values, float)


# (loss, outputs, targets, loss of each sample, gradient of each sample's loss)
CASES = {
    "a masked class": (
        CrossEntropy(), rows([1, 0, -INF], [0, 1, -INF]), np.array([0, 0]),
        [LOG, 1 + LOG],
        [[-1 / (1 + math.e), 1 / (1 + math.e), 0], [-1 / (1 + 1 / math.e), 1 / (1 + 1 / math.e), 0]],
    ),
    "the right class is masked": (
        CrossEntropy(), rows([0, 0, -INF]), np.array([2]), [INF], [[0.5, 0.5, -1]],
    ),
    "as probabilities": (
        CrossEntropy(), rows([0, 0, -INF], [0, 0, -INF]), rows([0.5, 0.5, 0], [0, 0.5, 0.5]),
        [math.log(2), INF], [[0, 0, 0], [0.5, 0, -0.5]],
    ),
    "as a row of one 1": (
        CrossEntropy(), rows([1, 0, -INF]), rows([1, 0, 0]), [LOG], [[-1 / (1 + math.e), 1 / (1 + math.e), 0]],
    ),
    "smoothed": (
        CrossEntropy(0.3), rows([0, 0, -INF]), np.array([0]), [INF], [[0.5 - 0.8, 0.5 - 0.1, -0.1]],
    ),
    "nothing but masked classes": (
        CrossEntropy(), rows([-INF, -INF]), np.array([0]), [math.nan], [[math.nan, math.nan]],
    ),
    "labels": (
        BinaryCrossEntropy(), rows([-INF, INF], [INF, -INF], [-INF, 0]), rows([0, 1], [0, 1], [0.5, 0]),
        [0, INF, INF], [[0, 0], [0.5, -0.5], [-0.25, 0.25]],
    ),
    "labels together": (
        LogLoss(), rows([-INF, INF], [0, -INF]), rows([0, 1], [0, 1]),
        [0, INF], [[0, 0], [0.5, -1]],
    ),
    "weighted labels": (
        LogLoss(pos_weight=[2, 0], neg_weight=[3, 4]), rows([-INF, -INF], [INF, INF]), rows([0, 1], [0, 0]),
        [0, INF], [[0, 0], [3, 4]],
    ),
    "smoothed labels": (
        LogLoss(label_smoothing=0.2), rows([-INF]), rows([0]), [INF], [[-0.1]],
    ),
    "scores": (
        HingeLoss(), rows([0, -INF, 0.5], [-INF, 0, 0]), np.array([0, 0]), [1.5, INF], [[-1, 0, 1], [-2, 1, 1]],
    ),
    "an infinite right score": (HingeLoss(), rows([INF, 5]), np.array([0]), [0], [[0, 0]]),
    "one score": (HingeLoss(), rows([INF], [-INF]), rows([1], [1]), [0, INF], [[0], [-1]]),
    "counts": (PoissonLoss(), rows([-INF], [-INF]), rows([0], [1]), [0, INF], [[0], [-1]]),
    "counts together": (HalfPoissonDeviance(), rows([-INF]), rows([0]), [0], [[0]]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_infinite_outputs_by_formulas(case, dtype):
    loss, outputs, targets, expected, gradients = CASES[case]
    outputs = outputs.astype(dtype)
    prepared = loss.prepare(targets, outputs.shape[1:], outputs.dtype)
    assert_allclose(loss.losses(outputs, prepared), expected, rtol=1e-6)
    assert_allclose(loss.record(outputs, prepared)[0], expected, rtol=1e-6)
    assert_allclose(loss.gradient(outputs, prepared), gradients, rtol=1e-6, atol=1e-7)
    bound = loss.bind(targets)
    assert_allclose(bound.forward_pass(outputs), np.mean(expected), rtol=1e-6)
    assert loss.losses(outputs, prepared).dtype == dtype


class Answer(Layer):
    """Outputs that were given before, and the gradient that comes back."""

    def __init__(self, outputs):
        self.given = outputs

    def create_parameters(self, input_shape):
        self.add_parameter("shift", input_shape, "zeros")

    def forward_pass(self, inputs):
        row = inputs[:, 0].astype(int)
        return np.asarray(self.given, inputs.dtype)[row] + 0 * self.shift

    def backward_pass(self, inputs, grad_output):
        self.grad_shift = grad_output.sum(axis=0)
        return np.zeros_like(inputs)


def one_step(engine, loss, outputs, targets, dtype):
    """The loss of a batch and the gradient of each output, by a step of training."""
    values, gradients = [], []
    for row in range(len(outputs)):
        X = np.full((1, outputs.shape[1]), row, dtype)
        network = Answer(outputs.tolist()).build(outputs.shape[1], dtype=dtype)
        history = network.fit(X, targets[row : row + 1], loss, SGD(1.0), epochs=1, engine=engine)
        values.append(history["loss"][0])
        gradients.append(-network.shift)
    return values, np.array(gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", [name for name, (*_, losses, _) in CASES.items() if np.isfinite(losses).any()])
@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_infinite_outputs_in_training(case, engine, dtype):
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    loss, outputs, targets, expected, gradients = CASES[case]
    finite = np.isfinite(expected)
    values, found = one_step(engine, loss, outputs[finite], targets[finite], dtype)
    assert_allclose(values, np.array(expected)[finite], rtol=1e-5, atol=1e-7)
    assert_allclose(found, np.array(gradients)[finite], rtol=1e-5, atol=1e-7)


def test_softmax_of_masked_classes():
    inputs = rows([0, -INF, 0], [-INF, 5, -INF])
    assert_array_equal(Softmax().forward_pass(inputs), [[0.5, 0, 0.5], [0, 1, 0]])
    assert_array_equal(LogSoftmax().forward_pass(inputs), [[-math.log(2), -INF, -math.log(2)], [-INF, 0, -INF]])
    gradient = rows([1, 0, 0], [0, 1, 0])
    assert_array_equal(Softmax().backward_pass(inputs, gradient), [[0.25, 0, -0.25], [0, 0, 0]])
    assert_array_equal(LogSoftmax().backward_pass(inputs, gradient), [[0.5, 0, -0.5], [0, 0, 0]])
    for layer in (Softmax(), LogSoftmax()):  # long rows take another way to their maximum
        wide = np.full((2, 1000), -INF)
        wide[:, 7] = 3
        assert layer.forward_pass(wide)[0, 7] == (1 if isinstance(layer, Softmax) else 0)
        assert np.isnan(layer.forward_pass(np.full((1, 3), -INF))).all()


# --- many classes ---


def memory_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["numbers", "probabilities"])
def test_the_loss_of_many_classes_equals_its_formula(kind, smoothing):
    """In blocks of rows and at once, with the class by its number and as a row of probabilities."""
    random = np.random.default_rng(0)
    outputs, classes = random.standard_normal((700, 2000)), random.integers(0, 2000, 700)
    targets = np.zeros((700, 2000))
    targets[np.arange(700), classes] = 1
    smoothed = (1 - smoothing) * targets + smoothing / 2000
    logarithms = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    expected = -(smoothed * logarithms).sum(axis=1)
    loss, given = CrossEntropy(smoothing), classes if kind == "numbers" else targets
    assert_allclose(loss.losses(outputs, given), expected)
    assert_allclose(loss.record(outputs, given)[0], expected)
    assert_allclose(loss.gradient(outputs, given), np.exp(logarithms) - smoothed, atol=1e-15)
    assert_allclose(float(loss.bind(given).forward_pass(outputs)), expected.mean())
    assert_array_equal(HingeLoss().losses(outputs, classes), HingeLoss().record(outputs, classes)[0])


@pytest.mark.parametrize("n_classes", [10_000, 200_000])
@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_training_with_many_classes_needs_memory_for_a_few_batches(engine, n_classes):
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    random = np.random.default_rng(0)
    X, y = random.standard_normal((16, 2)).astype(np.float32), random.integers(0, n_classes, 16)
    network = Dense(n_classes).build(2, random_state=0, dtype=np.float32)

    def train():
        network.fit(X, y, "cross_entropy", SGD(0.1), epochs=1, batch_size=8, engine=engine)

    train()  # what loading the kernels takes is no concern here
    logits_of_a_batch, parameters = 4 * 8 * n_classes, 4 * 3 * n_classes
    assert memory_of(train) < 8 * logits_of_a_batch + 4 * parameters

    def judge():
        evaluate(network, X, y, loss="cross_entropy", metrics="accuracy", engine=engine)

    judge()
    # Kernels write into a buffer of each thread before the outputs are put together.
    batches = 8 if engine == "formulas" else 12
    assert memory_of(judge) < batches * logits_of_a_batch


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_an_estimator_with_many_classes_needs_memory_for_a_few_batches(loss):
    """No square matrix of classes (100 MB): not for targets, nor for the loss of guessing."""
    X = np.random.default_rng(0).standard_normal((10_000, 2)).astype(np.float32)
    y = np.tile(np.arange(5_000), 2)
    model = NetworkClassifier(
        lambda shape, n_outputs: Dense(n_outputs), loss=loss, max_iter=1, random_state=0, engine="formulas"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is not enough, and predictions are asked for all the same
        assert memory_of(lambda: model.fit(X, y)) < 60e6
    assert memory_of(lambda: model.predict(X)) < 60e6


def test_targets_of_one_against_the_rest_need_no_square_matrix():
    y = np.arange(5_000)
    model = NetworkClassifier(Dense(5_000), loss=BinaryCrossEntropy())
    targets = model._make_targets(np.tile(y, 2), None, None, False, None)
    wanted = [3, 4_999]
    encoded = targets.encode(wanted, np.dtype(np.float32))
    assert_array_equal(np.argwhere(encoded), [[0, 3], [1, 4_999]])
    assert memory_of(lambda: targets.encode(wanted, np.dtype(np.float32))) < 1e6


def test_many_classes_are_learned():
    X = np.tile(np.eye(60), (2, 1))
    y = np.tile(np.arange(60), 2)
    model = MLPClassifier((), learning_rate_init=0.3, max_iter=40, random_state=0, tol=0.0).fit(X, y)
    assert model.score(X, y) == 1
