"""Training that goes on: what the estimators have seen before counts, in `partial_fit` and in warm starts."""

import numpy as np
import pytest

from layernet.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = X[:, 0] - X[:, 1] ** 2
OPTIONS = {
    "hidden_layer_sizes": (4,),
    "solver": "sgd",
    "learning_rate_init": 0.01,
    "shuffle": False,
    "batch_size": 20,
    "random_state": 0,
    "engine": "formulas",
}


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": "invscaling", "power_t": 0.3},
        {"learning_rate": "adaptive", "tol": 1e3, "n_iter_no_change": 2},
    ],
    ids=["invscaling", "adaptive"],
)
def test_calls_of_partial_fit_are_the_epochs_of_one_fit(options):
    """Their learning rates, which depend on all losses and rows that were seen before, are the same."""
    n_epochs = 12
    whole = MLPRegressor(**OPTIONS, **options, max_iter=n_epochs).fit(X, Y)
    steps, rates = MLPRegressor(**OPTIONS, **options), []
    for _ in range(n_epochs):
        rates += steps.partial_fit(X, Y).history_["learning_rate"]
    assert len(set(rates)) > 1
    np.testing.assert_allclose(rates, whole.history_["learning_rate"], rtol=1e-12)
    np.testing.assert_allclose(steps.loss_curve_, whole.loss_curve_, rtol=1e-12)
    assert steps.best_loss_ == pytest.approx(min(whole.loss_curve_), rel=1e-12)
    assert steps.t_ == whole.t_ == n_epochs * len(X)


def test_the_best_loss_of_a_warm_start_is_that_of_all_epochs():
    regressor = MLPRegressor(**OPTIONS, warm_start=True, max_iter=5).fit(X, Y)
    first = regressor.best_loss_
    regressor.set_params(max_iter=1).fit(X, Y + 10)
    assert regressor.loss_curve_[-1] > first == regressor.best_loss_


def test_the_best_score_of_a_warm_start_is_that_of_all_epochs():
    classifier = MLPClassifier(**OPTIONS, warm_start=True, early_stopping=True, max_iter=5).fit(X, Y > 0)
    first = classifier.best_validation_score_
    classifier.set_params(max_iter=1, learning_rate_init=1e-6).fit(X, Y < 0)
    assert classifier.validation_scores_[-1] < first == classifier.best_validation_score_
