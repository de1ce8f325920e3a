"""Comparison of a fit with baselines: divergence is not confused with outliers, and a useless fit is named."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

from layernet import (
    SGD,
    Dense,
    MeanSquaredError,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)
from layernet.estimators.baselines import losses_of_constant, losses_of_network
from layernet.training import DivergenceError
from layernet.training.data import TrainingData

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((1000, 4))
FAR = X.copy()
FAR[751, 0] = 1e4
Y = X[:, 1].copy()
NETWORK = Sequential([Dense(20), ReLU(), Dense(1)])
HARMLESS = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def regressors(**parameters):
    parameters = {"random_state": 0, **parameters}
    return {
        "MLPRegressor": MLPRegressor(hidden_layer_sizes=(20,), **parameters),
        "NetworkRegressor": NetworkRegressor(NETWORK, **parameters),
    }


def all_four(**parameters):
    parameters = {"random_state": 0, **parameters}
    return {
        **regressors(**parameters),
        "MLPClassifier": MLPClassifier((20,), **parameters),
        "NetworkClassifier": NetworkClassifier(NETWORK, **parameters),
    }


@HARMLESS
@pytest.mark.parametrize("kind", [np.array, scipy.sparse.csr_array])
@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("name", all_four())
def test_a_row_far_from_the_others_is_no_divergence(name, epochs, kind):
    y = Y > 0 if "Classifier" in name else Y
    estimator = all_four(max_iter=epochs)[name].fit(kind(FAR), y)
    assert estimator.n_iter_ == epochs
    assert np.isfinite(estimator.loss_)


@HARMLESS
@pytest.mark.parametrize("name", regressors())
def test_a_fit_with_a_row_far_from_the_others_goes_on_to_learn(name):
    """Its first epoch's loss is far above that of outputs of 0; the network's own, on all rows, is as large."""
    first = regressors(max_iter=1)[name].fit(FAR, Y)
    assert first.loss_ > 100 * np.mean(Y**2) / 2
    later = regressors(max_iter=40)[name].fit(FAR, Y)
    assert later.loss_ < first.loss_ / 100
    streamed = regressors()[name]
    for _ in range(5):
        streamed.partial_fit(FAR, Y)
    assert streamed.loss_ < first.loss_
    healthy = regressors(max_iter=30)[name].fit(X, Y)
    healthy.partial_fit(FAR, Y).partial_fit(X, Y)
    assert healthy.score(X, Y) > 0


@HARMLESS
def test_a_row_far_from_the_others_costs_a_halving_search_no_candidates():
    search = HalvingGridSearchCV(
        MLPRegressor(hidden_layer_sizes=(5,), random_state=0),
        {"alpha": [0.0, 1e-3]},
        resource="max_iter",
        min_resources=1,
        max_resources=2,
        factor=2,
        cv=2,
        error_score="raise",
        random_state=0,
    )
    search.fit(FAR, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@HARMLESS
@pytest.mark.parametrize("name", all_four())
def test_what_diverged_is_refused_with_and_without_a_row_far_from_the_others(name):
    y = Y > 0 if "Classifier" in name else Y
    steep = {"optimizer": SGD(1e12)} if "Network" in name else {"solver": "sgd", "learning_rate_init": 1e12}
    for rows in (X, FAR):
        estimator = all_four(max_iter=3)[name].set_params(**steep)
        with pytest.raises(DivergenceError, match="Training diverged"):
            estimator.fit(rows, y)
        assert not hasattr(estimator, "network_")


USELESS = "the fit is as bad as or worse than predicting the mean of y for every sample"


def warnings_of(estimator, rows, y, **arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(rows, y, **arguments)
    assert all(issubclass(one.category, ConvergenceWarning) for one in caught)
    return [str(one.message) for one in caught if "worse than predicting the mean" in str(one.message)]


@pytest.mark.parametrize("kind", [np.array, scipy.sparse.csr_array])
@pytest.mark.parametrize("y", [1e-6 * Y, 1e6 * Y, Y + 1e5, np.column_stack([Y, -Y]) * 1e6])
@pytest.mark.parametrize("name", regressors())
def test_a_regression_that_is_useless_says_so_and_what_to_do(name, y, kind):
    estimator = regressors(max_iter=20)[name]
    if name == "NetworkRegressor" and y.ndim == 2:
        estimator.set_params(network=Dense(2))
    (message,) = warnings_of(estimator, kind(X[:200]), y[:200])
    what = USELESS if y.ndim == 1 else USELESS.partition(" y ")[0]
    assert message.startswith(f"{name}: {what}")
    assert message.endswith("a network learns targets of about 1: give target_scale='standard'.")


@pytest.mark.parametrize("name", regressors())
def test_a_useless_regression_of_targets_of_a_good_size_is_given_other_advice(name):
    steps = {"optimizer": SGD(1e-9)} if "Network" in name else {"learning_rate_init": 1e-9}
    (message,) = warnings_of(regressors(max_iter=2)[name].set_params(**steps), 30 * X, Y)
    assert f"inputs scaled to about 1 (the largest is {abs(30 * X).max():g})" in message


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson", "mean_squared_error"])
def test_every_loss_is_compared_with_that_of_the_mean(loss):
    y = np.exp(Y)
    useless = MLPRegressor(loss, hidden_layer_sizes=(5,), max_iter=2, learning_rate_init=1e-9, random_state=0)
    assert len(warnings_of(useless, 30 * X, y)) == 1
    good = MLPRegressor(loss, hidden_layer_sizes=(20,), max_iter=30, learning_rate_init=0.01, random_state=0)
    assert warnings_of(good, X, y) == []


@pytest.mark.parametrize("name", regressors())
def test_a_regression_that_is_of_use_says_nothing(name):
    def warned(rows, y, parameters, **arguments):
        estimator = regressors(**parameters)[name]
        estimator.set_params(
            **({"optimizer__learning_rate": 0.01} if "Net" in name else {"learning_rate_init": 0.01})
        )
        return warnings_of(estimator, rows, y, **arguments)

    assert warned(X, Y, {"max_iter": 20}) == []
    # a constant y has no variance to explain
    assert warned(X[:50], np.ones(50), {"max_iter": 2}) == []
    assert warned(X[:1], Y[:1], {"max_iter": 2}) == []
    # samples of weight 0 do not count
    weights = np.repeat([1.0, 0.0], 500)
    assert warned(X, np.where(weights > 0, Y, 1e3), {"max_iter": 20}, sample_weight=weights) == []
    # one call of partial_fit is the first of many
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressors()[name].partial_fit(X, 1e6 * Y)


@HARMLESS
def test_a_fit_is_judged_by_what_it_came_to_and_not_by_its_way():
    """The mean loss over the steps of the last epoch is above that of the mean, and the network's is below."""
    regressor = NetworkRegressor(Dense(1), optimizer=SGD(0.01), batch_size=10, max_iter=1, random_state=0)
    assert warnings_of(regressor, 10 * X, Y * 0.5) == []
    assert regressor.loss_ > np.var(Y * 0.5) / 2
    assert regressor.score(10 * X, Y * 0.5) > 0.5


def test_each_of_several_outputs_is_looked_at():
    y = np.column_stack([Y, 1e-5 * Y, np.ones(len(Y))])
    regressor = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, max_iter=20, random_state=0)
    (message,) = warnings_of(regressor, X, y)
    assert f"{USELESS.replace(' y ', ' y[:, 1] ')}: its loss" in message
    assert np.corrcoef(regressor.predict(X)[:, 0], Y)[0, 1] > 0.9
    assert warnings_of(regressor, X, y[:, [0, 2]]) == []


@HARMLESS
@pytest.mark.parametrize("scale", [1e-4, 1e4])
@pytest.mark.parametrize("name", regressors())
def test_the_size_of_all_weights_changes_no_verdict(name, scale):
    """Losses are divided by the mean weight, those of the baselines too."""
    weights = np.full(len(X), scale)
    # Without the penalty: it does not shrink with the weights of the samples.
    good = regressors(max_iter=3, alpha=0)[name].fit(X, 1 + Y, weights)
    plain = regressors(max_iter=3, alpha=0)[name].fit(X, 1 + Y)
    np.testing.assert_allclose(good.loss_curve_, plain.loss_curve_, rtol=1e-9)
    parameter = "solver" if name == "MLPRegressor" else "optimizer"
    baselines = []
    for sample_weight in (None, weights):
        diverging = regressors(max_iter=3)[name].set_params(**{parameter: SGD(3.0, clip_norm=1e2)})
        with pytest.raises(DivergenceError, match="a network that has learned nothing") as caught:
            diverging.fit(X, 1 + Y, sample_weight)
        baselines.append(float(re.search(r"learned nothing has ([\d.e+-]+\d)", str(caught.value))[1]))
    assert baselines[0] == pytest.approx(baselines[1])


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_a_baseline_is_a_weighted_mean(scale):
    network = Dense(1).build(4, 0, np.float64)
    weights = RANDOM.uniform(0, 2, len(X))
    data = TrainingData(network, MeanSquaredError(), X, Y[:, None], scale * weights, None)
    found = losses_of_constant(0.5, network, MeanSquaredError(), data, [slice(None)])
    np.testing.assert_allclose(found, np.average((0.5 - Y) ** 2, weights=weights))
    found = losses_of_network(network, MeanSquaredError(), data, [slice(None)])
    np.testing.assert_allclose(found, np.average((network.forward_pass(X)[:, 0] - Y) ** 2, weights=weights))
