"""The same parameters give the same model as in scikit-learn: curves, scores and weights, to rounding."""

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose
from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MinMaxScaler

import layernet

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = X[:240] / 16, DIGIT[:240]
TARGETS = {
    "classes": DIGIT,
    "two classes": np.where(DIGIT > 4, "large", "small"),
    "labels": np.column_stack([DIGIT > 4, DIGIT % 2, DIGIT % 3 == 0]).astype(int),
    "numbers": DIGIT / 10,
    "two numbers": np.column_stack([DIGIT / 10, np.cos(DIGIT)]),
}
SETTINGS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "strong penalty, odd batches": {"alpha": 1.0, "batch_size": 37},
    "in order": {"shuffle": False},
}


def pair(kind, targets, **parameters):
    """An estimator of scikit-learn's and one of ours."""
    name = f"MLP{kind}"
    parameters = {"hidden_layer_sizes": (12, 8), "learning_rate_init": 0.02, "random_state": 1, **parameters}
    return getattr(neural_network, name)(**parameters), getattr(layernet, name)(**parameters)


def kind_of(targets):
    return "Regressor" if targets.endswith("numbers") else "Classifier"


def assert_same(theirs, ours, tolerance=1e-6):
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        assert_allclose(b, a, rtol=tolerance, atol=tolerance * np.abs(a).max())
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    assert ours.t_ == theirs.t_
    assert_allclose(ours.loss_, theirs.loss_, rtol=tolerance, atol=tolerance * 1e-3)
    if theirs.solver != "lbfgs":
        assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance, atol=tolerance * 1e-3)
        if theirs.early_stopping:
            assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=tolerance)
            assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, rtol=tolerance)
            assert ours.best_loss_ is theirs.best_loss_ is None
        else:
            assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=tolerance)
            assert ours.validation_scores_ is theirs.validation_scores_ is None


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_fit(solver, activation, schedule, targets, setting):
    # Rounding grows from step to step, fastest under a line search: it gets fewer.
    parameters = {"max_iter": 8 if solver == "lbfgs" else 14, **SETTINGS[setting]}
    if schedule == "adaptive":
        parameters.update(tol=0.05, n_iter_no_change=2)
    theirs, ours = pair(
        kind_of(targets), targets, solver=solver, activation=activation, learning_rate=schedule, **parameters
    )
    if targets == "two numbers" or schedule == "adaptive" or solver == "lbfgs":
        ours.set_params(exact_compatibility=True)  # rows of the table of differences
    y = TARGETS[targets]
    assert_same(theirs.fit(X, y), ours.fit(X, y))
    assert np.array_equal(ours.predict(X), theirs.predict(X)) or kind_of(targets) == "Regressor"
    assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-6)
    if kind_of(targets) == "Classifier":
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5, atol=1e-9)
        assert np.array_equal(ours.classes_, theirs.classes_)


@pytest.mark.parametrize("targets", ["classes", "numbers"])
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_inputs(container, solver, targets):
    theirs, ours = pair(kind_of(targets), targets, solver=solver, max_iter=8)
    sparse, y = container(X), TARGETS[targets]
    assert_same(theirs.fit(sparse, y), ours.fit(sparse, y))
    assert_allclose(ours.predict(sparse), theirs.predict(sparse), rtol=1e-6)


@pytest.mark.parametrize("targets", ["classes", "two classes", "labels", "numbers"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_float32(solver, targets):
    theirs, ours = pair(kind_of(targets), targets, solver=solver, max_iter=8)
    single, y = X.astype(np.float32), TARGETS[targets]
    # 1e-7 is the rounding of one number of 24 bits; some hundred steps gather a thousand of them.
    assert_same(theirs.fit(single, y), ours.fit(single, y), tolerance=1e-3)
    assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype == np.float32


def test_float32_by_lbfgs():
    """scikit-learn computes in float64 and returns such weights; ours are rounded to the type of X."""
    theirs, ours = pair("Classifier", "classes", solver="lbfgs", max_iter=8)
    single = X.astype(np.float32)
    assert_same(theirs.fit(single, DIGIT), ours.fit(single, DIGIT), tolerance=1e-5)
    assert (theirs.coefs_[0].dtype, ours.coefs_[0].dtype) == (np.float64, np.float32)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_warm_start(solver, targets):
    theirs, ours = pair(kind_of(targets), targets, solver=solver, max_iter=4, warm_start=True)
    ours.set_params(exact_compatibility=True)
    for _ in range(3):
        assert_same(theirs.fit(X, TARGETS[targets]), ours.fit(X, TARGETS[targets]))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit(solver, targets, exact):
    theirs, ours = pair(kind_of(targets), targets, solver=solver, shuffle=exact)
    ours.set_params(exact_compatibility=exact or targets == "two numbers")
    y = TARGETS[targets]
    classes = np.arange(3) if targets == "labels" else np.unique(y)
    options = {"classes": classes} if kind_of(targets) == "Classifier" else {}
    for rows in (slice(0, 100), slice(100, 240), slice(0, 240), slice(50, 90)):
        theirs.partial_fit(X[rows], y[rows], **options)
        ours.partial_fit(X[rows], y[rows], **options)
        assert_same(theirs, ours)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_sample_weights_of_one_batch(solver):
    weights = np.random.default_rng(0).uniform(0, 3, len(X))
    theirs, ours = pair("Regressor", "numbers", solver=solver, batch_size=len(X), max_iter=8)
    theirs.fit(X, TARGETS["numbers"], sample_weight=weights)
    assert_same(theirs, ours.fit(X, TARGETS["numbers"], sample_weight=weights))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_sample_weights_of_many_batches(solver):
    weights = np.random.default_rng(0).uniform(0, 3, len(X))
    theirs, ours = pair("Classifier", "classes", solver=solver, batch_size=37, max_iter=8, early_stopping=True)
    ours.set_params(exact_compatibility=True)
    theirs.fit(X, DIGIT, sample_weight=weights)
    assert_same(theirs, ours.fit(X, DIGIT, sample_weight=weights))


@pytest.mark.parametrize("momentum", [0, 0.5, 1])
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(momentum, nesterov):
    options = {"momentum": momentum, "nesterovs_momentum": nesterov, "learning_rate_init": 0.002}
    theirs, ours = pair("Classifier", "classes", solver="sgd", max_iter=8, **options)
    assert_same(theirs.fit(X, DIGIT), ours.fit(X, DIGIT))


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_poisson_regression(solver):
    theirs, ours = pair("Regressor", "numbers", loss="poisson", solver=solver, max_iter=8)
    assert_same(theirs.fit(X, DIGIT), ours.fit(X, DIGIT))
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "score", "loss"),
    [
        ({"solver": "adam", "learning_rate_init": 0.01}, 0.991653, 0.045934),
        ({"solver": "sgd", "learning_rate_init": 0.2, "momentum": 0.9}, 0.993879, 0.042898),
        ({"solver": "sgd", "learning_rate_init": 0.2, "momentum": 0}, 0.956038, 0.243802),
    ],
    ids=["adam", "nesterov", "plain"],
)
def test_published_figures(parameters, score, loss):
    """scikit-learn's gallery, "Compare Stochastic learning strategies for MLPClassifier", on digits."""
    pixels, digit = load_digits(return_X_y=True)
    pixels = MinMaxScaler().fit_transform(pixels)
    classifier = layernet.MLPClassifier(max_iter=15, random_state=0, **parameters).fit(pixels, digit)
    assert round(classifier.score(pixels, digit), 6) == score
    assert round(classifier.loss_, 6) == loss


def test_the_same_parameters_in_the_same_order_with_the_same_defaults():
    for name in ("MLPClassifier", "MLPRegressor"):
        theirs, ours = getattr(neural_network, name)(), getattr(layernet, name)()
        names = list(theirs.get_params())
        own = ours.get_params(deep=False)
        assert set(names) <= set(own)
        assert {name: own[name] for name in names} == theirs.get_params()
        order = list(type(ours).__init__.__code__.co_varnames[1 : len(own) + 1])
        assert order[: len(names)] == list(type(theirs).__init__.__code__.co_varnames[1 : len(names) + 1])


def test_the_same_warnings():
    for module in (neural_network, layernet):
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            module.MLPClassifier(max_iter=1).fit(X, DIGIT)
        with pytest.warns(UserWarning, match="batch_size"):
            module.MLPClassifier((2,), max_iter=2, batch_size=500).fit(X, DIGIT)
