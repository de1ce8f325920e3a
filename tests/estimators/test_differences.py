"""Where we differ from scikit-learn on purpose: each row of docs/scikit-learn.md, shown on both."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_digits

import layernet
from layernet.training import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = X[:200] / 16, DIGIT[:200]
BOTH = [neural_network, layernet]
PLAIN_DESCENT = {"solver": "sgd", "momentum": 0, "shuffle": False, "alpha": 0, "random_state": 0}


def weights_of(estimator):
    return np.concatenate([array.ravel() for array in estimator.coefs_ + estimator.intercepts_])


def set_weights(estimator, vector):
    start = 0
    for array in estimator.coefs_ + estimator.intercepts_:
        array[...] = vector[start : start + array.size].reshape(array.shape)
        start += array.size


def step(estimator, X, y, start, **options):
    """The loss at given weights, and how far one call of partial_fit moves them."""
    set_weights(estimator, start)
    estimator.partial_fit(X, y, **options)
    return estimator.loss_, weights_of(estimator) - start


@pytest.mark.parametrize(("module", "factor"), [(neural_network, 3), (layernet, 1)])
def test_several_numbers(module, factor):
    """scikit-learn's gradient is n_outputs times that of the loss that it reports."""
    y = np.column_stack([np.sin(DIGIT), np.cos(DIGIT), DIGIT / 10])
    rate = 1e-9
    options = {**PLAIN_DESCENT, "activation": "tanh", "batch_size": 200, "learning_rate_init": rate}
    estimator = module.MLPRegressor(hidden_layer_sizes=(4,), **options).partial_fit(X, y)
    start = weights_of(estimator)
    gradient = -step(estimator, X, y, start)[1] / rate
    for index in (0, 100, 260, len(start) - 1):
        nudge = np.zeros_like(start)
        nudge[index] = 1e-5
        slope = (step(estimator, X, y, start + nudge)[0] - step(estimator, X, y, start - nudge)[0]) / 2e-5
        assert_allclose(gradient[index], factor * slope, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("module", "cancels"), [(neural_network, True), (layernet, False)])
def test_weights_of_whole_batches(module, cancels):
    """A batch in which every sample weighs 100 moves scikit-learn's weights no more than any other."""
    weights = np.repeat([1.0, 100.0], 100)
    options = {**PLAIN_DESCENT, "batch_size": 100, "max_iter": 3}
    plain = module.MLPClassifier((5,), **options).fit(X, DIGIT)
    weighted = module.MLPClassifier((5,), **options).fit(X, DIGIT, sample_weight=weights)
    assert np.allclose(weights_of(plain), weights_of(weighted), rtol=1e-9) is cancels


def test_a_batch_without_weight():
    weights = np.repeat([1.0, 0.0], 100)
    options = {**PLAIN_DESCENT, "batch_size": 100, "max_iter": 3}
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        neural_network.MLPClassifier((5,), **options).fit(X, DIGIT, sample_weight=weights)
    ours = layernet.MLPClassifier((5,), **options).fit(X, DIGIT, sample_weight=weights)
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]


@pytest.mark.parametrize(("module", "repeats"), [(neural_network, True), (layernet, False)])
def test_the_order_of_rows_in_partial_fit(module, repeats):
    """From the same weights a second call goes the same way only if it sees the rows in the same order."""
    options = {**PLAIN_DESCENT, "shuffle": True, "batch_size": 20, "learning_rate_init": 0.1}
    estimator = module.MLPClassifier((5,), **options).partial_fit(X, DIGIT, classes=np.unique(DIGIT))
    start = weights_of(estimator)
    first, second = (step(estimator, X, DIGIT, start)[1] for _ in range(2))
    assert np.array_equal(first, second) is repeats


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("module", [neural_network, layernet])
def test_another_learning_rate_in_partial_fit(module, solver):
    """With a rate of almost 0 nothing moves, if it is the new one that counts."""
    options = {"random_state": 0, "solver": solver, "momentum": 0.0, "learning_rate_init": 0.01}
    estimator = module.MLPClassifier(**options).partial_fit(X, DIGIT, classes=np.unique(DIGIT))
    estimator.set_params(learning_rate_init=1e-12)
    moved = np.abs(step(estimator, X, DIGIT, weights_of(estimator))[1]).max()
    assert moved < 1e-9 if module is layernet else moved > 1e-4
    if module is layernet:
        exact = module.MLPClassifier(**options, exact_compatibility=True)
        exact.partial_fit(X, DIGIT, classes=np.unique(DIGIT)).set_params(learning_rate_init=1e-12)
        assert np.abs(step(exact, X, DIGIT, weights_of(exact))[1]).max() > 1e-4


def test_the_same_learning_rate_in_partial_fit():
    """What a schedule has made of the rate goes on from call to call."""
    options = {**PLAIN_DESCENT, "learning_rate": "invscaling", "learning_rate_init": 0.1}
    estimators = [layernet.MLPClassifier((5,), **options, exact_compatibility=exact) for exact in (False, True)]
    for estimator in estimators:
        for _ in range(3):
            estimator.partial_fit(X, DIGIT, classes=np.unique(DIGIT))
    assert np.allclose(*map(weights_of, estimators), rtol=1e-9)


@pytest.mark.parametrize(("module", "goes_on"), [(neural_network, False), (layernet, True)])
def test_the_optimizers_memory_in_a_warm_start(module, goes_on):
    """Two fits of two epochs equal one of four only if Adam's averages are kept."""
    options = {"hidden_layer_sizes": (5,), "shuffle": False, "random_state": 0}
    whole = module.MLPClassifier(max_iter=4, **options).fit(X, DIGIT)
    halves = module.MLPClassifier(max_iter=2, warm_start=True, **options).fit(X, DIGIT).fit(X, DIGIT)
    assert np.array_equal(weights_of(whole), weights_of(halves)) is goes_on


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(
    ("kind", "data"), [("Classifier", (X, DIGIT)), ("Regressor", load_diabetes(return_X_y=True))]
)
def test_a_fit_that_diverged(kind, data, activation):
    options = {"learning_rate_init": 1e6, "max_iter": 10, "activation": activation, "random_state": 0}
    assert getattr(neural_network, f"MLP{kind}")(**options).fit(*data).loss_ > 1e6
    estimator = getattr(layernet, f"MLP{kind}")(**options)
    with pytest.raises(DivergenceError, match="smaller learning rate"):
        estimator.fit(*data)
    assert not hasattr(estimator, "network_")


@pytest.mark.parametrize("weighted", [False, True])
def test_rare_or_late_large_targets_are_no_divergence(weighted):
    """What a network that has learned nothing would lose is asked of all targets, not of the first."""
    many = np.tile(X, (3, 1))
    y = np.zeros(len(many))
    y[-3:] = 1e4
    weights = {"sample_weight": np.where(y > 0, 50.0, 1.0)} if weighted else {}
    regressor = layernet.MLPRegressor(hidden_layer_sizes=(5,), random_state=0)
    assert regressor.partial_fit(many, y, **weights).loss_ > 1e5


def test_a_score_that_is_no_number():
    """scikit-learn takes NaN for an improvement and goes on to the last epoch."""
    options = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 12, "random_state": 0}

    class Theirs(neural_network.MLPClassifier):
        def _score(self, X, y, sample_weight=None):
            return math.nan

    assert Theirs((5,), **options).fit(X, DIGIT).n_iter_ == 12
    ours = layernet.MLPClassifier((5,), scoring=lambda *_: math.nan, **options).fit(X, DIGIT)
    assert ours.n_iter_ == 3


def test_one_lucky_epoch_under_the_adaptive_schedule():
    """After the rate has fallen, a loss that falls steadily is progress, whatever luck there was before."""
    losses = [1.0, 0.1, *np.linspace(0.9, 0.5, 18)]
    options = {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "n_iter_no_change": 2,
        "max_iter": len(losses),
        "random_state": 0,
    }

    class Theirs(neural_network.MLPClassifier):
        def _update_no_improvement_count(self, *arguments):
            self.loss_curve_[-1] = losses[self.n_iter_ - 1]
            super()._update_no_improvement_count(*arguments)

    theirs = Theirs((5,), **options).fit(X, DIGIT)
    assert theirs._optimizer.learning_rate < 1e-6

    class TheseLosses(layernet.Callback):
        def __init__(self, convergence):
            self.convergence = convergence

    rates = {}
    for exact in (False, True):
        ours = layernet.MLPClassifier((5,), exact_compatibility=exact, **options)
        rates[exact] = learning_rate_after(ours, losses)
    assert_allclose(rates[True], theirs._optimizer.learning_rate)
    assert rates[False] == 0.001 / 5


def learning_rate_after(estimator, losses):
    """What the rule makes of the learning rate if these are the epochs' losses."""
    from layernet.estimators.convergence import Convergence
    from layernet.training import Run

    network = layernet.Dense(1).build(1)
    run = Run(network, layernet.MeanSquaredError(), layernet.SGD(0.001), len(losses), 1)
    rule = Convergence(
        1e-4, 2, False, "adaptive", 0.001, 0.5, estimator.exact_compatibility, samples_per_epoch=1
    )
    rule.on_train_begin(run)
    for loss in losses:
        run.history.add(loss=loss)
        rule.on_epoch_end(run)
    return run.optimizer.learning_rate


def test_early_stopping_by_any_score():
    options = {"early_stopping": True, "max_iter": 8, "random_state": 0}
    assert "scoring" not in neural_network.MLPClassifier().get_params()
    by_loss = layernet.MLPClassifier((5,), scoring="loss", **options).fit(X, DIGIT > 4)
    by_scorer = layernet.MLPClassifier((5,), scoring="neg_log_loss", **options).fit(X, DIGIT > 4)
    assert_allclose(by_loss.validation_scores_, by_scorer.validation_scores_)


def test_the_log_loss_of_what_was_held_impossible():
    """scikit-learn's log loss of one sample never exceeds 36.04, while its gradient goes on."""
    inputs, y = np.array([[1.0], [-1.0]]), np.array([0, 1])
    options = {**PLAIN_DESCENT, "learning_rate_init": 1e-12}
    for module, loss in ((neural_network, -math.log(np.finfo(float).eps)), (layernet, 1000.0)):
        estimator = module.MLPClassifier(hidden_layer_sizes=(), **options)
        estimator.partial_fit(inputs, y, classes=[0, 1])
        assert_allclose(step(estimator, inputs, y, np.array([1000.0, 0.0]))[0], loss)


def test_a_single_class():
    assert neural_network.MLPClassifier((2,), max_iter=2).fit(X[:20], np.zeros(20)).n_iter_ == 2
    with pytest.raises(ValueError, match="only one class"):
        layernet.MLPClassifier((2,), max_iter=2).fit(X[:20], np.zeros(20))


def test_dates_and_text():
    days = np.datetime64("2020-01-01") + np.arange(20).reshape(-1, 1)
    for rows in (days, X[:20].astype(str), X[:20].astype(str).astype(object)):
        assert neural_network.MLPClassifier((2,), max_iter=2).fit(rows, DIGIT[:20]).n_iter_ == 2
        with pytest.raises(ValueError, match="must be numbers"):
            layernet.MLPClassifier((2,), max_iter=2, exact_compatibility=True).fit(rows, DIGIT[:20])
