"""Regressors on targets of any size: `target_scale="standard"`."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from layernet import Dense, MLPRegressor, NetworkRegressor, PoissonLoss, ReLU, Sequential

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning:sklearn")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((200, 4))
Y = 2 * X[:, 0] + X[:, 1]
QUIET = {"max_iter": 40, "tol": 0.0, "n_iter_no_change": np.inf, "random_state": 0}


def regressor(name, n_outputs=1, **parameters):
    parameters = {**QUIET, **parameters}
    if name == "MLPRegressor":
        return MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, **parameters)
    network = Sequential([Dense(20), ReLU(), Dense(n_outputs)])
    return NetworkRegressor(network, **parameters).set_params(optimizer__learning_rate=0.01)


def fitted(estimator, *data, **arguments):
    with pytest.warns() as caught:  # that max_iter was reached, and nothing else
        estimator.fit(*data, **arguments)
    assert {str(one.message)[:39] for one in caught} == {"Stochastic Optimizer: Maximum iteration"}
    return estimator


BOTH = ["MLPRegressor", "NetworkRegressor"]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("factor", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1e-3, 50.0), (1.0, -1e5), (1e-30, 0.0)]
)
@pytest.mark.parametrize("name", BOTH)
def test_targets_of_any_size_are_learned_alike(name, factor, shift, kind):
    rows = X.astype(kind)
    plain = fitted(regressor(name, target_scale="standard"), rows, Y)
    other = fitted(regressor(name, target_scale="standard"), rows, factor * Y + shift)
    assert plain.score(rows, Y) > 0.9
    assert other.score(rows, factor * Y + shift) > 0.9
    assert other.predict(rows).dtype == kind
    digits = 1e-3 if kind is np.float32 else 1e-6
    np.testing.assert_allclose(other.loss_curve_, plain.loss_curve_, rtol=digits)
    np.testing.assert_allclose(
        (other.predict(rows).astype(float) - shift) / factor, plain.predict(rows), rtol=0.01, atol=0.02
    )


@pytest.mark.parametrize("name", BOTH)
def test_it_is_scikit_learns_transformed_target(name):
    theirs = TransformedTargetRegressor(regressor(name), transformer=StandardScaler())
    with pytest.warns():
        theirs.fit(X, 300 * Y + 7)
    ours = fitted(regressor(name, target_scale="standard"), X, 300 * Y + 7)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert clone(ours).get_params()["target_scale"] == "standard"


@pytest.mark.parametrize("name", BOTH)
def test_each_of_several_outputs_has_its_own_scale(name):
    y = np.column_stack([1e6 * Y, 1e-6 * X[:, 2] + 5, np.full(200, 3.0)])
    estimator = fitted(regressor(name, 3, target_scale="standard"), X, y)
    predicted = estimator.predict(X)
    assert predicted.shape == (200, 3)
    for column in (0, 1):
        correlation = np.corrcoef(predicted[:, column], y[:, column])[0, 1]
        assert correlation > 0.9
    np.testing.assert_allclose(predicted[:, 2], 3, atol=0.5)
    targets = estimator._targets
    np.testing.assert_allclose(targets.mean, y.mean(axis=0))
    np.testing.assert_allclose(targets.standard_deviation, [*y.std(axis=0)[:2], 1])


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "mean_squared_error"])
def test_every_loss_but_that_of_counts(loss):
    estimator = fitted(
        MLPRegressor(loss, (20,), learning_rate_init=0.01, target_scale="standard", **QUIET), X, 1e5 * Y
    )
    assert estimator.score(X, 1e5 * Y) > 0.8


@pytest.mark.parametrize("loss", ["poisson", PoissonLoss()])
@pytest.mark.parametrize("name", BOTH)
def test_counts_are_refused(name, loss):
    with pytest.raises(ValueError, match=r"target_scale='standard' does not go with .*Poisson.*counts"):
        regressor(name, loss=loss, target_scale="standard").fit(X, abs(Y))
    with pytest.raises(ValueError, match="'target_scale' parameter"):
        regressor(name, target_scale="robust").fit(X, Y)


@pytest.mark.parametrize("name", BOTH)
def test_the_scale_is_that_of_the_first_data(name):
    estimator = regressor(name, target_scale="standard")
    for start in (0, 100):
        estimator.partial_fit(X[start : start + 100], 1e4 * Y[start : start + 100])
        np.testing.assert_allclose(estimator._targets.mean, 1e4 * Y[:100].mean())
    again = fitted(regressor(name, target_scale="standard", warm_start=True), X, 1e4 * Y)
    before = again.predict(X)
    restored = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(restored.predict(X), before)
    for each in (again, restored):
        fitted(each.set_params(max_iter=2), X[:50], 1e4 * Y[:50])
        np.testing.assert_allclose(each._targets.mean, 1e4 * Y.mean())
    np.testing.assert_array_equal(again.predict(X), restored.predict(X))
    with pytest.raises(ValueError, match="target_scale=None differs from the 'standard' that the network"):
        again.set_params(target_scale=None).fit(X, Y)
    # a fit that starts anew takes the scale of its own data
    again.set_params(target_scale="standard", warm_start=False, max_iter=20)
    fitted(again, X[:50], Y[:50])
    np.testing.assert_allclose(again._targets.mean, Y[:50].mean())


@pytest.mark.parametrize("name", BOTH)
def test_what_is_held_out_and_samples_of_weight_0_are_not_looked_at(name):
    y, weights = np.where(np.arange(200) < 150, 1e4 * Y, 1e9), (np.arange(200) < 150).astype(float)
    estimator = fitted(regressor(name, target_scale="standard"), X, y, sample_weight=weights)
    np.testing.assert_allclose(estimator._targets.mean, y[:150].mean())
    assert estimator.score(X[:150], y[:150]) > 0.9
    stopped = regressor(name, target_scale="standard", early_stopping=True, validation_fraction=0.25)
    fitted(stopped, X, 1e4 * Y + 3e4)
    assert max(stopped.validation_scores_) > 0.9  # in the units of y, or else R2 would be far below 0
    assert max(stopped.validation_loss_curve_) < 10
    assert not np.isclose(stopped._targets.mean, (1e4 * Y + 3e4).mean(), rtol=1e-9)
    own = regressor(name, target_scale="standard", early_stopping=True, scoring="neg_mean_absolute_error")
    fitted(own, X[:150], 1e4 * Y[:150], X_val=X[150:], y_val=1e4 * Y[150:])
    assert -1e4 < max(own.validation_scores_) < -100
    np.testing.assert_allclose(own._targets.mean, 1e4 * Y[:150].mean())


@pytest.mark.parametrize("name", BOTH)
def test_parameters_of_another_estimator_bring_their_scale(name):
    source = fitted(regressor(name, target_scale="standard"), X, 1e4 * Y + 5)
    standing_still = (
        {"learning_rate_init": 1e-12} if name == "MLPRegressor" else {"optimizer__learning_rate": 1e-12}
    )
    copied = regressor(name, target_scale="standard", max_iter=1).set_params(**standing_still)
    fitted(copied, X, 1e4 * Y + 5, init_from=source)
    np.testing.assert_allclose(copied.predict(X), source.predict(X), rtol=1e-6)
    fitted(copied, X[:50], 1e4 * Y[:50], init_from=source)
    np.testing.assert_allclose(copied.predict(X), source.predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match=r"init_from was trained with target_scale='standard'.*has None"):
        regressor(name).fit(X, Y, init_from=source)
    with pytest.raises(ValueError, match=r"init_from was trained with target_scale=None.*has 'standard'"):
        regressor(name, target_scale="standard").fit(X, Y, init_from=fitted(regressor(name), X, Y))


def test_lbfgs_and_both_ways_of_weighing():
    y = 1e5 * Y - 3e6
    estimator = MLPRegressor(
        hidden_layer_sizes=(10,), solver="lbfgs", target_scale="standard", max_iter=200, random_state=0
    ).fit(X, y)
    assert estimator.score(X, y) > 0.999
    weights = RANDOM.integers(0, 3, 200)
    one, two = (regressor("MLPRegressor", target_scale="standard") for _ in range(2))
    fitted(one, X, y, sample_weight=weights)
    fitted(two.set_params(batch_size=int(weights.sum())), np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-6)
