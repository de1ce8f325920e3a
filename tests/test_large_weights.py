"""Sample weights whose sum is too large for a number: only their ratios count, as for any others."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from layernet import (
    SGD,
    BatchNorm,
    CrossEntropy,
    Dense,
    Dropout,
    MeanSquaredError,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)
from layernet.losses.loss import bounded
from layernet.training import evaluate

R = np.random.default_rng(0)
X = R.standard_normal((60, 4))
NUMBERS = X @ np.arange(4.0)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
RATIOS = R.integers(1, 5, 60).astype(float)
LARGE = [1e200, 1e307]


def network(n_outputs):
    layers = [Dense(5), BatchNorm(), ReLU(), Dropout(0.2), Dense(n_outputs)]
    return Sequential(layers).build(4, random_state=0)


@pytest.fixture(params=["formulas", "compiled"])
def engine(request):
    if request.param == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    return request.param


@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("normalizer", [None, 3.0])
def test_a_loss_by_hand(large, normalizer):
    outputs = R.standard_normal((60, 1))
    expected = MeanSquaredError().bind(NUMBERS, RATIOS, normalizer)
    scaled = None if normalizer is None else normalizer * large
    loss = MeanSquaredError().bind(NUMBERS, RATIOS * large, scaled)
    assert_allclose(loss.forward_pass(outputs), expected.forward_pass(outputs))
    assert_allclose(loss.backward_pass(outputs), expected.backward_pass(outputs))


@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
def test_fit_and_its_validation(loss, large, engine):
    y, n_outputs = (NUMBERS, 1) if loss == "mean_squared_error" else (CLASSES, 3)
    results = []
    for factor in (1, large):
        net = network(n_outputs)
        weights = RATIOS * factor
        history = net.fit(
            X, y, loss, SGD(0.05), epochs=3, sample_weight=weights, engine=engine, random_state=0,
            validation_data=(X, y, weights),
        )  # fmt: skip
        results.append((net.parameter_vector.copy(), history["loss"], history["val_loss"]))
        results[-1] += (evaluate(net, X, y, weights, loss=loss)["loss"],)
    for usual, found in zip(*results, strict=True):
        assert_allclose(found, usual, rtol=1e-9, atol=1e-12)


def test_float32_weights_are_summed_in_double_precision(engine):
    usual, large = network(1), network(1)
    arguments = {"epochs": 2, "engine": engine, "random_state": 0}
    usual.fit(X, NUMBERS, "mean_squared_error", SGD(0.05), sample_weight=RATIOS, **arguments)
    weights = (RATIOS * 2.0**125).astype(np.float32)  # 60 of them are more than the largest float32
    large.fit(X, NUMBERS, "mean_squared_error", SGD(0.05), sample_weight=weights, **arguments)
    assert_allclose(large.parameter_vector, usual.parameter_vector)


@pytest.mark.parametrize("large", LARGE)
def test_class_weights_of_a_loss(large, engine):
    results = []
    for factor in (1, large):
        loss = CrossEntropy(class_weight=[factor, 2 * factor, 3 * factor])
        net = network(3)
        history = net.fit(
            X, CLASSES, loss, SGD(0.05), epochs=2, sample_weight=RATIOS * factor, engine=engine, random_state=0
        )
        results.append((net.parameter_vector.copy(), history["loss"]))
    for usual, found in zip(*results, strict=True):
        assert_allclose(found, usual, rtol=1e-9, atol=1e-12)


ESTIMATORS = {
    "MLPClassifier": lambda **options: MLPClassifier(hidden_layer_sizes=(5,), normalization="batch", **options),
    "MLPRegressor": lambda **options: MLPRegressor(hidden_layer_sizes=(5,), **options),
    "NetworkClassifier": lambda **options: NetworkClassifier(
        Sequential([Dense(5), ReLU(), Dense(3)]), **options
    ),
    "NetworkRegressor": lambda **options: NetworkRegressor(Sequential([Dense(5), ReLU(), Dense(1)]), **options),
}


@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(name, large, engine):
    """With a validation score, and class weights where there are classes."""
    is_classifier = "Classifier" in name
    y = CLASSES if is_classifier else NUMBERS
    options = {"early_stopping": True, "max_iter": 4, "random_state": 0, "engine": engine, "alpha": 0.0}
    results = []
    for factor in (1, large):
        if is_classifier:
            options["class_weight"] = {0: factor, 1: 2 * factor, 2: 3 * factor}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # four epochs are not enough
            model = ESTIMATORS[name](**options).fit(X, y, sample_weight=RATIOS * factor)
        results.append((model.loss_curve_, model.validation_loss_curve_, model.validation_scores_))
    for usual, found in zip(*results, strict=True):
        assert_allclose(found, usual, rtol=1e-9, atol=1e-12)


def test_the_penalty_is_nothing_beside_large_weights():
    """alpha is divided by the weight of a batch: beside 1e307 a penalty is as good as none."""
    models = []
    for factor, alpha in ((1, 0.0), (1e307, 10.0), (1, 10.0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPRegressor(hidden_layer_sizes=(5,), alpha=alpha, max_iter=3, random_state=0)
            models.append(model.fit(X, NUMBERS, sample_weight=np.full(60, factor, float)).loss_curve_)
    assert_allclose(models[1], models[0])
    assert not np.allclose(models[2], models[0])


def test_bounds_keep_the_ratios():
    for weights in ([1e307, 3e307], [0.0, 1e308], [1.7e308] * 1000, [5e-324, 1e300]):
        array = np.array(weights)
        scaled, factor = bounded(array)
        assert 0 < scaled.sum() <= 1e140
        assert scaled.max() * len(weights) > 1e140 / 2  # no smaller than they have to be
        assert factor == 2.0 ** round(np.log2(factor))
        assert_allclose(scaled / scaled.max(), array / array.max())
    for small in (np.array([1.0, 1e100]), np.array([9e139]), np.full(4, 2.4e139), np.zeros(0)):
        assert bounded(small)[0] is small
        assert bounded(small)[1] == 1
