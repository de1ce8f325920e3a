"""State that a warm start and `partial_fit` resume: learning rates, random numbers, running averages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier as TheirClassifier

from layernet import (
    Adam,
    BatchNorm,
    Dense,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    Sequential,
)
from layernet.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((50, 4))
Y = (X[:, 0] > 0).astype(int)


class HalvesRate(Callback):
    """Halves the learning rate after every epoch."""

    def on_epoch_end(self, run):
        run.optimizer.learning_rate /= 2


class Fails(Callback):
    """Raises an error after an epoch, when rows have been drawn and parameters moved."""

    def on_epoch_end(self, run):
        raise RuntimeError("that is enough")


class KeepsStart(Callback):
    """Keeps the state of the network before the first step."""

    def on_train_begin(self, run):
        self.state = {name: np.copy(value) for name, value in run.network.state().items()}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_warm_start_begins_with_the_learning_rate_that_is_asked_for(solver):
    model = MLPClassifier((3,), solver=solver, max_iter=3, warm_start=True, random_state=0)
    model.set_params(callbacks=[HalvesRate()], learning_rate_init=0.08)
    for _ in range(2):
        assert_allclose(model.fit(X, Y).history_["learning_rate"], [0.08, 0.04, 0.02])
    model.set_params(learning_rate_init=0.4)
    assert_allclose(model.fit(X, Y).history_["learning_rate"], [0.4, 0.2, 0.1])


def test_partial_fit_goes_on_with_its_learning_rate_unless_another_is_asked_for():
    model = MLPClassifier((3,), callbacks=[HalvesRate()], learning_rate_init=0.08, random_state=0)
    rates = [model.partial_fit(X, Y, classes=[0, 1]).history_["learning_rate"][0] for _ in range(3)]
    assert_allclose(rates, [0.08, 0.04, 0.02])
    model.set_params(learning_rate_init=0.4)
    rates = [model.partial_fit(X, Y).history_["learning_rate"][0] for _ in range(2)]
    assert_allclose(rates, [0.4, 0.2])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_call_that_failed_draws_no_random_numbers(method):
    """The next call sees the rows in the order in which it would have seen them without the failure."""
    options = {"max_iter": 2, "batch_size": 7, "warm_start": True, "random_state": 0}
    undisturbed, disturbed = (MLPClassifier((3,), **options).fit(X, Y) for _ in range(2))
    with pytest.raises(RuntimeError, match="enough"):
        getattr(disturbed.set_params(callbacks=[Fails()]), method)(X, Y)
    disturbed.set_params(callbacks=())
    for model in (undisturbed, disturbed):
        getattr(model, method)(X, Y)
    assert_array_equal(disturbed.network_.parameter_vector, undisturbed.network_.parameter_vector)
    assert disturbed.loss_curve_ == undisturbed.loss_curve_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_random_state_of_the_user_is_drawn_from_as_scikit_learn_draws(early_stopping, shuffle):
    """Initial parameters, held-out rows and the rows of each epoch come from it, and nothing else does."""
    states = []
    for kind in (TheirClassifier, MLPClassifier):
        random = np.random.RandomState(0)
        kind((3,), max_iter=3, early_stopping=early_stopping, shuffle=shuffle, random_state=random).fit(X, Y)
        states.append(random.get_state(legacy=False)["state"])
    assert states[0]["pos"] == states[1]["pos"]
    assert_array_equal(states[0]["key"], states[1]["key"])


def test_init_from_copies_running_averages():
    def model(**parameters):
        network = Sequential([Dense(3), BatchNorm(), Dense(1)])
        return NetworkClassifier(network, max_iter=2, random_state=0, **parameters)

    source = model().fit(3 * X + 5, Y)
    averages = {name: np.copy(value) for name, value in source.network_.state().items()}
    assert any(np.ndim(value) for value in averages.values())
    for given in (source, source.network_):
        start = KeepsStart()
        model(callbacks=[start]).fit(X, Y, init_from=given)
        assert start.state.keys() == averages.keys()
        for name, value in averages.items():
            assert_array_equal(start.state[name], value)


def test_lbfgs_computes_single_precision_data_in_double_precision():
    class KeepsTypes(Callback):
        def on_epoch_end(self, run):
            self.types = {run.network.dtype, run.data.dtype, run.data.targets.dtype}  # of batches
            self.parameters = run.network.parameter_vector.copy()

    seen = KeepsTypes()
    model = MLPClassifier((3,), solver="lbfgs", max_iter=4, random_state=0)
    with pytest.warns(UserWarning, match="lbfgs failed to converge"):
        model.set_params(callbacks=seen).fit(X.astype(np.float32), Y)
    assert model.network_.dtype == np.float32
    assert seen.types == {np.dtype(np.float64)}
    assert seen.parameters.dtype == np.float64
    assert_array_equal(model.network_.parameter_vector, seen.parameters.astype(np.float32))


@pytest.mark.parametrize("averaging", [None, 0.9])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_two_fits_with_a_warm_start_are_one_fit_of_all_epochs(solver, averaging):
    """Parameters, the optimizer's memory, the running average and all counts are resumed."""
    options = {"solver": solver, "weight_averaging": averaging, "shuffle": False, "warm_start": True}
    once, twice = (MLPClassifier((3,), max_iter=n, random_state=0, **options) for n in (4, 2))
    once.fit(X, Y)
    twice.fit(X, Y).fit(X, Y)
    assert_array_equal(twice.network_.parameter_vector, once.network_.parameter_vector)
    assert twice.loss_curve_ == once.loss_curve_
    assert (twice.t_, twice.best_loss_) == (once.t_, once.best_loss_)


def test_epochs_without_improvement_are_counted_over_warm_starts():
    model = MLPClassifier((3,), tol=10.0, n_iter_no_change=3, max_iter=3, warm_start=True, random_state=0)
    assert [model.fit(X, Y).n_iter_ for _ in range(2)] == [3, 2]
    assert model.history_.stop_reason == "converged"


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_optimizer_that_has_trained_another_network_starts_without_memory(method):
    optimizer = Adam(0.1)
    kinds = [
        lambda: MLPRegressor(hidden_layer_sizes=(3,), solver=optimizer, max_iter=2, random_state=0),
        lambda: NetworkRegressor(Dense(1), optimizer=optimizer, max_iter=2, random_state=0),
    ]
    fresh = [getattr(make(), method)(X, Y).network_.parameter_vector for make in kinds]
    Sequential([Dense(1)]).fit(X, Y, "mean_squared_error", optimizer, epochs=2)
    for make, expected in zip(kinds, fresh, strict=True):
        assert_array_equal(getattr(make(), method)(X, Y).network_.parameter_vector, expected)
