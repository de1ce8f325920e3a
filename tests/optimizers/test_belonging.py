"""Whose the state of an optimizer or a schedule is: only training of the same network goes on from it."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from layernet import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Callback,
    Dense,
    LearningRateScheduler,
    Lion,
    MLPClassifier,
    NAdam,
    NetworkRegressor,
    ReduceOnPlateau,
    ReLU,
    RMSProp,
    Sequential,
    StepSchedule,
    find_learning_rate,
)

X = np.random.default_rng(0).standard_normal((60, 4))
Y = X @ np.arange(4.0)
OPTIMIZERS = {
    "momentum": lambda: SGD(0.01, momentum=0.9),
    "adam": lambda: Adam(0.01),
    "amsgrad": lambda: Adam(0.01, amsgrad=True),
    "adamw": lambda: AdamW(0.01),
    "nadam": lambda: NAdam(0.01),
    "rmsprop": lambda: RMSProp(0.01),
    "adagrad": lambda: Adagrad(0.1),
    "lion": lambda: Lion(0.001),
    "a schedule of steps": lambda: SGD(StepSchedule(0.1, every=5)),
}


def network(seed=0):
    return Sequential([Dense(5), ReLU(), Dense(1)]).build(4, random_state=seed)


def train(net, optimizer, **options):
    options = {"loss": "mean_squared_error", "epochs": 4, "batch_size": 16, "random_state": 0, **options}
    return net.fit(X, Y, optimizer=optimizer, **options)["loss"]


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_folds_are_equal(name, engine):
    """An optimizer that has trained one network starts anew with another, of the same size or not."""
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    optimizer = OPTIMIZERS[name]()
    folds = [train(network(), optimizer, engine=engine) for _ in range(3)]
    assert folds[0] == folds[1] == folds[2]
    assert optimizer.steps == 16
    smaller = Sequential([Dense(1)]).build(4, random_state=0)
    expected = train(Sequential([Dense(1)]).build(4, random_state=0), OPTIMIZERS[name](), engine=engine)
    assert train(smaller, optimizer, engine=engine) == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_network_goes_on(name):
    at_once, in_parts = network(), network()
    orders = [np.random.default_rng(i).permutation(60) for i in range(4)]
    optimizer = OPTIMIZERS[name]()
    train(at_once, OPTIMIZERS[name](), shuffle=lambda n, left=iter(orders): next(left))
    left = iter(orders)
    for _ in range(2):
        train(in_parts, optimizer, epochs=2, shuffle=lambda n: next(left))
    assert_array_equal(in_parts.parameter_vector, at_once.parameter_vector)
    assert optimizer.steps == 16


def test_a_network_that_is_built_again_is_another():
    net, optimizer = network(), Adam(0.01)
    first = train(net, optimizer)
    net.build(4, random_state=0)
    assert train(net, optimizer) == first


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "load_state"])
def test_copies_go_on_together(how):
    """A training that is saved and loaded is the one that was not."""
    net, optimizer = network(), Adam(0.01)
    train(net, optimizer)
    if how == "deepcopy":
        twin, its_optimizer = copy.deepcopy(net), copy.deepcopy(optimizer)
    elif how == "pickle":
        twin, its_optimizer = pickle.loads(pickle.dumps(net)), pickle.loads(pickle.dumps(optimizer))
    else:
        twin, its_optimizer = copy.deepcopy(net), Adam(0.01)
        its_optimizer.load_state(optimizer.state())
    assert train(twin, its_optimizer) == train(net, optimizer)
    assert its_optimizer.steps == 32


def test_by_hand_another_network_is_refused():
    optimizer, first, second = Adam(0.01), network(0), network(1)
    for net in (first, second):
        net.backward_pass(X, np.ones((60, 1)))
    optimizer.update(first)
    optimizer.update(first)
    before, memory = second.parameter_vector.copy(), optimizer.state()
    with pytest.raises(ValueError, match="This Adam remembers 2 steps of another network"):
        optimizer.update(second)
    assert_array_equal(second.parameter_vector, before)
    assert_array_equal(optimizer.state()["mean"], memory["mean"])
    optimizer.reset()
    assert optimizer.state() == {"steps": 0, "learning_rate": 0.01}
    optimizer.update(second)
    assert optimizer.steps == 1
    scheduled = SGD(StepSchedule(0.1, every=5))  # its rate depends on the steps
    scheduled.update(first)
    with pytest.raises(ValueError, match="This SGD remembers 1 steps of another network"):
        scheduled.update(second)
    loaded = Adam(0.01)
    loaded.load_state(optimizer.state())
    loaded.update(first)  # a loaded state belongs to the next network
    with pytest.raises(ValueError, match="This Adam remembers 2 steps of another network"):
        loaded.update(second)
    plain = SGD(0.1)  # remembers nothing, so it may move any network
    plain.update(first)
    plain.update(second)


def test_a_copied_schedule_goes_on_only_with_its_optimizer():
    """A schedule that belongs to no network is reset in the first step of an optimizer, and in no later one."""
    net = network()
    for steps in (0, 1):
        schedule = ReduceOnPlateau(0.1, patience=1)
        for value in (1.0, 2.0, 3.0):
            schedule.observe(value)
        optimizer = SGD(schedule)
        optimizer.steps = steps
        optimizer.begin_training(net)
        assert (schedule(0) == 0.1) == (steps == 0)


def test_a_failed_fit_resets_nothing():
    optimizer = Adam(0.01)
    train(network(), optimizer)
    with pytest.raises(ValueError, match="y must have one target"):
        network().fit(X, Y[:5], "mean_squared_error", optimizer=optimizer)
    assert optimizer.steps == 16


class Halve(Callback):
    def on_epoch_end(self, run):
        run.optimizer.learning_rate /= 2


def test_a_learning_rate_that_training_has_changed_is_the_first_again_for_another_network():
    optimizer = SGD(0.1)
    first = train(network(), optimizer, callbacks=[Halve()])
    assert optimizer.learning_rate == 0.1 / 16
    assert train(network(), optimizer, callbacks=[Halve()]) == first
    net = network()
    train(net, optimizer, callbacks=[Halve()])
    train(net, optimizer, callbacks=[Halve()])
    assert optimizer.learning_rate == 0.1 / 256  # the same network goes on
    assert train(network(), optimizer, callbacks=[Halve()]) == first
    optimizer.learning_rate = 0.05  # somebody's own wish stays
    train(network(), optimizer)
    assert optimizer.learning_rate == 0.05


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_a_schedule_that_has_observed_another_network_starts_anew(engine):
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    schedule = ReduceOnPlateau(0.1, patience=1, threshold=0.99)

    def rates(net):
        callback = LearningRateScheduler(schedule)
        options = {"callbacks": [callback], "random_state": 0, "engine": engine, "epochs": 4}
        return net.fit(X, Y, "mean_squared_error", SGD(0.1), **options)["learning_rate"]

    net = network()
    first = rates(net)
    assert first[-1] < first[0] == 0.1
    assert rates(network()) == first
    net = network()
    assert rates(net) == first
    assert rates(net)[0] < 0.1  # the same network goes on
    schedule.reset()
    assert schedule(0) == 0.1
    assert schedule.state() == ReduceOnPlateau(0.1).state()


@pytest.mark.parametrize("refit", ["again", "clone"])
def test_estimators_start_with_schedules_and_optimizers_as_new(refit):
    """Fits, clones and grid searches share callbacks and optimizers, but no state of an earlier fit."""
    callback = LearningRateScheduler(ReduceOnPlateau(0.1, patience=1, threshold=0.99))
    optimizer = SGD(0.1, momentum=0.5)
    train(Sequential([Dense(1)]).build(4, random_state=3), optimizer)  # used before, elsewhere
    model = NetworkRegressor(Dense(1), optimizer=optimizer, max_iter=4, callbacks=[callback], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = model.fit(X, Y).history_["learning_rate"]
        expected = model.loss_curve_
        new = NetworkRegressor(**{**model.get_params(deep=False), "optimizer": SGD(0.1, momentum=0.5)}).fit(
            X, Y
        )
        model = model if refit == "again" else clone(model)
        assert model.fit(X, Y).history_["learning_rate"] == first
    assert first[-1] < first[0]
    assert model.loss_curve_ == expected == new.loss_curve_


def test_the_solver_of_an_mlp_starts_as_new():
    solver, y = Adam(0.01), (Y > 0).astype(int)
    train(Sequential([Dense(5), Dense(1)]).build(4, random_state=3), solver)
    arguments = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        used = MLPClassifier(solver=solver, **arguments).fit(X, y)
        new = MLPClassifier(solver=Adam(0.01), **arguments).fit(X, y)
    assert used.loss_curve_ == new.loss_curve_
    assert solver.steps == 16


def test_a_search_for_a_rate_leaves_out_the_steps_of_another_network():
    optimizer = SGD(0.1, momentum=0.9)
    train(Sequential([Dense(1)]).build(4, random_state=3), optimizer)
    arguments = {"loss": "mean_squared_error", "steps": 100, "random_state": 0}
    net = Sequential([Dense(1)]).build(4, random_state=0)
    found = find_learning_rate(net, X, Y, optimizer=optimizer, **arguments)
    expected = find_learning_rate(net, X, Y, optimizer=SGD(0.1, momentum=0.9), **arguments)
    assert_array_equal(found.losses, expected.losses)
    assert optimizer.steps == 16
