"""Callbacks after a training: they keep nothing that is open, and can be copied, pickled and searched over."""

import copy
import io
import pickle
import threading

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

import layernet
from layernet import (
    BoundaryRecorder,
    Callback,
    Dense,
    EarlyStopping,
    LearningRateScheduler,
    MLPClassifier,
    MLPRegressor,
    Monitor,
    NetworkClassifier,
    NetworkRegressor,
    ProgressBar,
    ReduceOnPlateau,
    Sequential,
    StepSchedule,
    Tanh,
)
from layernet.layer import Layer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((60, 2))
LABELS = (X[:, 0] > X[:, 1]).astype(int)

CALLBACKS = {
    "EarlyStopping": lambda: EarlyStopping("loss", patience=2),
    "LearningRateScheduler": lambda: LearningRateScheduler(StepSchedule(0.1, every=1, factor=0.5)),
    "LearningRateScheduler that observes": lambda: LearningRateScheduler(ReduceOnPlateau(0.1), monitor="loss"),
    "ProgressBar": lambda: ProgressBar(file=io.StringIO()),
    "ProgressBar on the standard error": lambda: ProgressBar(leave=False),
    "BoundaryRecorder": lambda: BoundaryRecorder(X, LABELS, epochs=(0, 1), resolution=4),
    "Monitor": lambda: Monitor(X, LABELS),
    "Monitor of the training's rows": lambda: Monitor(),
}
callbacks = pytest.mark.parametrize("name", CALLBACKS)
ESTIMATORS = {
    "MLPClassifier": MLPClassifier((3,), max_iter=3, random_state=0),
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(3,), max_iter=3, random_state=0),
    "NetworkClassifier": NetworkClassifier(
        Sequential([Dense(3), Tanh(), Dense(1)]), max_iter=3, random_state=0
    ),
    "NetworkRegressor": NetworkRegressor(Sequential([Dense(3), Tanh(), Dense(1)]), max_iter=3, random_state=0),
}


def test_every_shipped_callback_is_here():
    public = {getattr(layernet, name) for name in layernet.__all__}
    shipped = {each for each in public if isinstance(each, type) and issubclass(each, Callback)} - {Callback}
    assert {type(make()) for make in CALLBACKS.values()} == shipped


def copies_of(thing):
    """The same by every way in which copies are made."""
    stored = io.BytesIO()
    joblib.dump(thing, stored)
    stored.seek(0)
    return [copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing)), joblib.load(stored)]


def layers_in(thing):
    """The layers that a pickle of something would hold."""
    found = []

    class Looking(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Layer):
                found.append(value)

    Looking(io.BytesIO()).dump(thing)
    return found


@callbacks
@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_a_callback_can_be_copied_after_a_training(name, engine):
    callback = CALLBACKS[name]()
    network = Sequential([Dense(3), Tanh(), Dense(1)])
    options = {"loss": "binary_cross_entropy", "epochs": 3, "batch_size": 20, "engine": engine}
    history = network.fit(X, LABELS, callbacks=[callback], random_state=0, **options)
    assert not layers_in(callback)
    for twin in copies_of(callback):
        assert type(twin) is type(callback)
        again = Sequential([Dense(3), Tanh(), Dense(1)])
        assert again.fit(X, LABELS, callbacks=[twin], random_state=0, **options)["loss"] == history["loss"]


@callbacks
def test_a_callback_can_be_copied_while_a_network_is_trained(name):
    callback = CALLBACKS[name]()
    made = []

    class Copies(Callback):
        def on_batch_end(self, run):
            made.append(copies_of(callback))

    network = Sequential([Dense(3), Tanh(), Dense(1)])
    network.fit(X, LABELS, loss="binary_cross_entropy", epochs=2, callbacks=[callback, Copies()])
    assert len(made) == 4


def every_callback():
    """All of them at once; but not the one that ends a training early."""
    return [make() for name, make in CALLBACKS.items() if name != "EarlyStopping"]


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_with_callbacks_is_pickled_cloned_and_searched(kind):
    estimator = clone(ESTIMATORS[kind]).set_params(callbacks=every_callback()).fit(X, LABELS)
    said = estimator.predict(X)
    for twin in copies_of(estimator):
        assert np.array_equal(twin.predict(X), said)
    fresh = clone(estimator)
    assert not hasattr(fresh, "network_")
    assert fresh.fit(X, LABELS).n_iter_ == estimator.n_iter_
    assert [type(each) for each in fresh.callbacks] == [type(each) for each in estimator.callbacks]
    search = GridSearchCV(estimator, {"alpha": [0.1, 0.2]}, cv=2, error_score="raise").fit(X, LABELS)
    assert all(np.array_equal(twin.predict(X), search.predict(X)) for twin in copies_of(search))
    cross_validate(estimator, X, LABELS, cv=2, return_estimator=True, error_score="raise")


def test_a_search_in_worker_processes():
    grid = {"alpha": [0.1, 0.2]}
    estimator = MLPClassifier((3,), max_iter=2, random_state=0, callbacks=every_callback()).fit(X, LABELS)
    search = GridSearchCV(estimator, grid, cv=2, n_jobs=2, error_score="raise").fit(X, LABELS)
    fresh = clone(estimator).set_params(callbacks=every_callback())
    here = GridSearchCV(fresh, grid, cv=2, error_score="raise").fit(X, LABELS)
    assert np.array_equal(search.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"])


def test_a_bar_keeps_nothing_open_when_a_training_fails():
    class Fails(Callback):
        def on_epoch_end(self, run):
            raise RuntimeError("on purpose")

    bar = ProgressBar(file=io.StringIO())
    network = Sequential([Dense(1)])
    with pytest.raises(RuntimeError, match="on purpose"):
        network.fit(X, LABELS, loss="mean_squared_error", epochs=1, callbacks=[bar, Fails()])
    assert bar._bar is None
    assert not hasattr(pickle.loads(pickle.dumps(bar)).file, "write")


def test_copies_of_a_bar_write_to_the_file_of_the_original():
    file = io.StringIO()
    bar = ProgressBar(file=file, mininterval=0)
    assert clone(MLPClassifier(callbacks=[bar])).callbacks[0].file is file
    MLPClassifier((3,), max_iter=2, callbacks=[copy.deepcopy(bar)]).fit(X, LABELS)
    assert "epoch=2/2" in file.getvalue()


# --- what cannot be copied ---


class HoldsALock(Callback):
    """Counts epochs, one at a time."""

    shared = ("lock",)

    def __init__(self, lock):
        self.lock = lock
        self.epochs = []

    def on_epoch_end(self, run):
        with self.lock:
            self.epochs.append(run.epoch)


class KeepsIt(Callback):
    """Holds what cannot be copied and does not say so."""

    def __init__(self, lock):
        self.lock = lock


class WithAStateOfItsOwn(Callback):
    """Leaves its lock out by itself, as any class may."""

    def __init__(self, lock):
        self.lock = lock

    def __getstate__(self):
        return ("a state",)

    def __setstate__(self, state):
        assert state == ("a state",)
        self.lock = "none"


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_copies_share_what_a_callback_declares(kind):
    lock = threading.Lock()
    estimator = clone(ESTIMATORS[kind]).set_params(callbacks=[HoldsALock(lock)]).fit(X, LABELS)
    for twin in (clone(estimator), copy.copy(estimator), copy.deepcopy(estimator)):
        assert twin.callbacks[0].lock is lock
    twin = clone(estimator).callbacks[0]
    assert twin.epochs == [1, 2, 3]
    twin.epochs.append(4)
    assert estimator.callbacks[0].epochs == [1, 2, 3]  # all else is copied
    GridSearchCV(estimator, {"alpha": [0.1, 0.2]}, cv=2, error_score="raise").fit(X, LABELS)
    stored = pickle.loads(pickle.dumps(estimator))
    assert stored.callbacks[0].lock is None
    assert stored.callbacks[0].epochs == [1, 2, 3]
    assert np.array_equal(stored.predict(X), estimator.predict(X))


def test_what_is_not_declared_is_named():
    estimator = MLPClassifier(callbacks=[KeepsIt(threading.Lock())])
    message = (
        r"KeepsIt: the attribute 'lock' cannot be copied: .* declare it in the class: shared = \('lock',\)"
    )
    for make in (clone, copy.deepcopy):
        with pytest.raises(TypeError, match=message):
            make(estimator)


def test_a_class_may_have_a_state_of_its_own():
    callback = WithAStateOfItsOwn(threading.Lock())
    for twin in copies_of(callback):
        assert twin.lock == "none"


def test_a_copy_of_a_callback_that_holds_itself():
    callback = HoldsALock(None)
    callback.myself = callback
    twin = copy.deepcopy(callback)
    assert twin.myself is twin
