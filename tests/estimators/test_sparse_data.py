"""Estimators on sparse data: the same model as on the same data in dense form, to rounding."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn import neural_network
from sklearn.base import clone

from layernet import (
    SGD,
    Dense,
    MLPClassifier,
    MLPRegressor,
    Monitor,
    NetworkClassifier,
    NetworkRegressor,
    Sequential,
    Tanh,
    diagnose,
)
from layernet.engine.choice import has_numba

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]
needs_numba = pytest.mark.skipif(not has_numba(), reason="kernels need Numba, which is not installed")
ENGINES = ["formulas", pytest.param("compiled", marks=needs_numba)]

RANDOM = np.random.default_rng(0)
X = np.where(RANDOM.random((120, 40)) < 0.1, RANDOM.standard_normal((120, 40)), 0)
X[4] = X[:, 9] = 0  # a sample and a feature without entries
CLASSES = RANDOM.integers(0, 3, 120)
NUMBERS = X[:, :2] @ [1.0, 2.0] + RANDOM.standard_normal(120)
LABELS = np.stack([CLASSES > 0, X[:, 1] > 0], axis=1).astype(int)
WEIGHTS = RANDOM.uniform(0, 2, 120)
COMMON = {"random_state": 0, "max_iter": 4, "batch_size": 30}


def network_of(input_shape, n_outputs):
    return Sequential([Dense(8), Tanh(), Dense(n_outputs)])


MLP = {"hidden_layer_sizes": (8,), "activation": "tanh", **COMMON}
ESTIMATORS = {
    "MLPClassifier": (MLPClassifier(**MLP), CLASSES),
    "MLPClassifier of labels": (MLPClassifier(**MLP), LABELS),
    "MLPRegressor": (MLPRegressor(**MLP), NUMBERS),
    "NetworkClassifier": (NetworkClassifier(network_of, **COMMON), CLASSES),
    "NetworkRegressor": (NetworkRegressor(network_of, **COMMON), NUMBERS),
}
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


def assert_same(found, expected, rows, tolerance=1e-9):
    """Whether two fitted estimators are the same model, and say the same of sparse rows and of an array."""
    vectors = found.network_.parameter_vector, expected.network_.parameter_vector
    assert_allclose(*vectors, rtol=tolerance, atol=tolerance)
    assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=tolerance)
    for method in METHODS:
        if hasattr(expected, method):
            of_sparse, of_dense = getattr(found, method)(rows), getattr(expected, method)(rows.toarray())
            assert_allclose(of_sparse, of_dense, rtol=10 * tolerance, atol=tolerance)


def assert_same_fits(estimator, y, tolerance=1e-9, form=sparse.csr_matrix, **options):
    """Whether an estimator is the same model whatever form the data have."""
    found = clone(estimator).fit(form(X), y, **options)
    expected = clone(estimator).fit(X, y, **{**options, **dense(options)})
    assert_same(found, expected, sparse.csr_array(X), tolerance)
    return found, expected


def dense(options):
    return {name: value.toarray() for name, value in options.items() if sparse.issparse(value)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator(name, engine):
    estimator, y = ESTIMATORS[name]
    found, expected = assert_same_fits(clone(estimator).set_params(engine=engine), y)
    assert found.score(sparse.csc_array(X), y) == pytest.approx(expected.score(X, y), rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "bsr_array"])
def test_every_form(form, engine):
    assert_same_fits(MLPClassifier(**MLP, engine=engine), CLASSES, form=getattr(sparse, form))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "change",
    [
        {"solver": "sgd"},
        {"solver": "sgd", "momentum": 0, "alpha": 0.0},
        {"solver": SGD(0.1, momentum=0.5, clip_norm=0.01)},
        {"solver": "lbfgs"},
        {"alpha": 1.0},
        {"alpha": 1.0, "clip_norm": 0.01},
        {"dropout": 0.3},
        {"normalization": "batch", "epsilon": 1e-3},
        {"early_stopping": True},
        {"class_weight": "balanced"},
        {"weight_averaging": 0.9},
        {"dtype": "float32"},
        {"hidden_layer_sizes": ()},
        {"shuffle": False, "batch_size": 200},
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:Got batch_size")
def test_every_parameter(change, engine):
    tolerance = 1e-4 if "dtype" in change else 1e-7 if "lbfgs" in change.values() else 1e-9
    assert_same_fits(MLPClassifier(**{**MLP, "engine": engine, **change}), CLASSES, tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_and_validation_data(engine):
    options = {"sample_weight": WEIGHTS, "X_val": sparse.csr_array(X[:30]), "y_val": NUMBERS[:30]}
    estimator = MLPRegressor(**MLP, engine=engine, early_stopping=True)
    found, expected = assert_same_fits(estimator, NUMBERS, **options)
    assert_allclose(found.validation_scores_, expected.validation_scores_, rtol=1e-8)
    assert_allclose(found.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_partial_fit_and_warm_start(engine):
    pairs = [MLPClassifier(**MLP, engine=engine) for _ in range(2)]
    for rows in (slice(0, 50), slice(50, 120)):
        for estimator, form in zip(pairs, (sparse.csr_matrix, np.asarray), strict=True):
            estimator.partial_fit(form(X[rows]), CLASSES[rows], classes=[0, 1, 2])
    assert_same(*pairs, sparse.csr_array(X))
    pairs = [MLPClassifier(**MLP, engine=engine, warm_start=True) for _ in range(2)]
    for _ in range(2):
        for estimator, form in zip(pairs, (sparse.csc_array, np.asarray), strict=True):
            estimator.fit(form(X), CLASSES)
    assert_same(*pairs, sparse.csr_array(X))


def test_sparse_rows_and_an_array_go_by_turns():
    pairs = [MLPClassifier(**MLP) for _ in range(2)]
    pairs[0].partial_fit(sparse.csr_array(X), CLASSES, classes=[0, 1, 2]).partial_fit(X, CLASSES)
    pairs[1].partial_fit(X, CLASSES, classes=[0, 1, 2]).partial_fit(sparse.csr_array(X), CLASSES)
    assert_same(*pairs, sparse.csr_array(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_model_is_that_of_scikit_learn(solver):
    # So many rows and features that a gradient is computed feature by feature.
    rows = sparse.random_array((60, 3000), density=0.01, format="csr", rng=np.random.default_rng(0))
    y = np.arange(60) % 3
    options = {"solver": solver, "random_state": 0, "max_iter": 3, "batch_size": 25}
    theirs = neural_network.MLPClassifier(**options).fit(rows, y)
    ours = MLPClassifier(**options).fit(rows, y)
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), rtol=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_nothing_of_the_size_of_the_dense_data_is_made(solver, engine):
    rows = sparse.random_array((2000, 20_000), density=0.001, format="csr", rng=np.random.default_rng(0))
    y = np.arange(2000) % 2
    estimator = MLPClassifier((4,), solver=solver, max_iter=2, random_state=0, engine=engine)
    estimator.fit(rows[:10], y[:10])  # what is imported and compiled is counted before
    tracemalloc.start()
    try:
        estimator.fit(rows, y).predict(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # SciPy's L-BFGS-B alone keeps 25 vectors, and copies what it is given. Dense data are 500 times a vector.
    vectors = 40 if solver == "lbfgs" else 12
    limit = 3e6 + vectors * estimator.network_.parameter_vector.nbytes
    assert peak < limit < 0.1 * 8 * 2000 * 20_000


def test_a_monitor_looks_on():
    monitors = Monitor(), Monitor()
    for monitor, form in zip(monitors, (sparse.csr_array, np.asarray), strict=True):
        MLPClassifier(**MLP, callbacks=[monitor]).fit(form(X), CLASSES)
    of_sparse, of_dense = (str(diagnose(monitor)) for monitor in monitors)
    assert of_sparse == of_dense
