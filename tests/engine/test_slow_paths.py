"""What makes kernels slow is done where it is needed only: one step at a time, and copies of the data."""

import io

import numpy as np
import pytest

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from layernet import (
    SGD,
    Callback,
    CosineSchedule,
    Dense,
    Dropout,
    EarlyStopping,
    LearningRateScheduler,
    MLPRegressor,
    ReduceOnPlateau,
    ReLU,
    Sequential,
    StepSchedule,
)
from layernet.engine.compiled.plan import CompiledPlan
from layernet.training import ProgressBar
from layernet.training.data import TrainingData

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((100, 5))
Y = X[:, 0].copy()


class EveryBatch(Callback):
    def on_batch_end(self, run):
        self.seen = [*getattr(self, "seen", []), run.batch]


class NowAndThen(EveryBatch):
    """Does not mind if batches are done many at a time."""

    every_batch = False


class Epochs(Callback):
    def on_epoch_end(self, run):
        pass


class OwnSchedule(LearningRateScheduler):
    """A subclass that looks at batches where its base does not."""

    def on_batch_end(self, run):
        super().on_batch_end(run)


class OwnBar(ProgressBar):
    def on_batch_end(self, run):
        super().on_batch_end(run)


def with_own_method(callback):
    callback.on_batch_end = lambda run: None
    return callback


@pytest.fixture
def runs(monkeypatch):
    """The number of steps of each call of the machine."""
    counts = []
    original = CompiledPlan._call
    monkeypatch.setattr(
        CompiledPlan,
        "_call",
        lambda self, start, n_steps: counts.append(n_steps) or original(self, start, n_steps),
    )
    return counts


ONE_BY_ONE, TOGETHER = [1] * 20, [10, 10]


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (Epochs(), TOGETHER),
        (EveryBatch(), ONE_BY_ONE),
        (NowAndThen(), TOGETHER),
        (with_own_method(Epochs()), ONE_BY_ONE),
        (with_own_method(NowAndThen()), ONE_BY_ONE),
        (LearningRateScheduler(StepSchedule(0.01, 1)), TOGETHER),
        (LearningRateScheduler(ReduceOnPlateau(0.01)), TOGETHER),
        (LearningRateScheduler(CosineSchedule(0.01, 20), per="step"), ONE_BY_ONE),
        (OwnSchedule(StepSchedule(0.01, 1)), ONE_BY_ONE),
        (with_own_method(LearningRateScheduler(StepSchedule(0.01, 1))), ONE_BY_ONE),
        (EarlyStopping("loss"), TOGETHER),
        (ProgressBar, TOGETHER),
        (OwnBar, ONE_BY_ONE),
    ],
    ids=repr,
)
def test_steps_are_done_one_by_one_only_where_somebody_looks_on(callback, expected, runs):
    callback = callback(file=io.StringIO()) if isinstance(callback, type) else callback
    net = Sequential([Dense(4), ReLU(), Dense(1)])
    net.fit(
        X,
        Y,
        "mean_squared_error",
        optimizer=SGD(0.01),
        epochs=2,
        batch_size=10,
        engine="compiled",
        callbacks=[callback],
    )
    assert runs == expected
    if type(callback) is EveryBatch:
        assert callback.seen == [*range(1, 11)] * 2
    elif type(callback) is NowAndThen and "on_batch_end" not in vars(callback):
        assert callback.seen == [10, 10]


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_a_progress_bar_counts_all_steps(engine):
    class Counts(ProgressBar):
        def on_train_end(self, run):
            self.total = self._bar.n
            super().on_train_end(run)

    progress = Counts(file=io.StringIO())
    net = Sequential([Dense(4), ReLU(), Dense(1)])
    net.fit(X, Y, "mean_squared_error", epochs=3, batch_size=30, engine=engine, callbacks=[progress])
    assert progress.total == 12


# --- copies of the data ---

WIDE = RANDOM.standard_normal((100, 12))
DATA = {
    "a slice": (WIDE[:, 2:7], Y),
    "in Fortran's order": (np.asfortranarray(X), Y),
    "backwards": (X[::-1], Y[::-1]),
    "targets of a slice": (X, WIDE[:, 3]),
    "targets in columns": (X, WIDE[:, 3:4]),
    "both of slices": (WIDE[::2, 1:6], WIDE[::2, 0]),
    "more axes": (np.moveaxis(WIDE.reshape(100, 4, 3), 1, 2), WIDE[:, 1]),
}


@pytest.fixture
def copies(monkeypatch):
    """How often rows were copied from the data in Python, and how often a whole array was."""
    counts = {"batches": 0, "arrays": 0}
    of_batch, whole = TrainingData.batch, TrainingData.in_one_piece

    def count_batches(self, rows):
        counts["batches"] += 1
        return of_batch(self, rows)

    def count_arrays(self, name, dtype):
        before = len(self._copies)
        found = whole(self, name, dtype)
        counts["arrays"] += len(self._copies) - before
        return found

    monkeypatch.setattr(TrainingData, "batch", count_batches)
    monkeypatch.setattr(TrainingData, "in_one_piece", count_arrays)
    return counts


@pytest.mark.parametrize("data", DATA)
def test_data_whose_rows_are_scattered_are_copied_once(data, copies):
    inputs, targets = DATA[data]
    expected, found = (Sequential([Dense(4), ReLU(), Dense(1)]) for _ in range(2))
    if inputs.ndim > 2:
        from layernet import Flatten

        expected, found = (Sequential([Flatten(), Dense(4), ReLU(), Dense(1)]) for _ in range(2))

    class ChangeRate(Callback):
        """So that programs are made anew, for the same data."""

        def on_epoch_end(self, run):
            run.optimizer.momentum = 0.5

    options = {"optimizer": SGD(0.01, momentum=0.9), "epochs": 3, "batch_size": 10, "random_state": 0}
    options = {"loss": "mean_squared_error", "callbacks": [ChangeRate()], **options}
    expected.fit(inputs, targets, engine="formulas", **options)
    options["optimizer"] = SGD(0.01, momentum=0.9)
    copies.update(batches=0, arrays=0)
    found.fit(inputs, targets, engine="compiled", **options)
    assert copies["batches"] == 0
    assert 1 <= copies["arrays"] <= 2
    np.testing.assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # three epochs learn little
def test_targets_in_columns_of_a_table_are_copied_once_in_an_estimator(copies):
    regressor = MLPRegressor(
        hidden_layer_sizes=(4,), max_iter=3, batch_size=10, engine="compiled", n_iter_no_change=np.inf
    )
    regressor.fit(WIDE[:, :5], WIDE[:, 5:7])
    assert copies["batches"] < 5  # of 30 steps; those are blocks that losses are measured on
    assert copies["arrays"] <= 2


def test_data_in_order_are_not_copied(copies):
    Sequential([Dense(4), Dropout(0.2), Dense(1)]).fit(X, Y, "mean_squared_error", epochs=2, engine="compiled")
    assert copies["arrays"] == 0
