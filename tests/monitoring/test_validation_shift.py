"""Rows that are validated on: their range beside that of the training rows, and what was learned by heart."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from trainings import diabetes, digits, mlp, shuffled, table, train

from layernet import (
    Adam,
    Callback,
    Dense,
    EarlyStopping,
    MLPRegressor,
    Monitor,
    ReLU,
    Sequential,
    Tanh,
    diagnose,
)
from layernet.monitoring.validation_shift import range_shift

pytestmark = pytest.mark.slow

KIND = "validation rows differ from training rows"
RANDOM = np.random.default_rng(0)


# --- ranges ---


@pytest.mark.parametrize(
    "draw",
    [
        lambda n: RANDOM.normal(size=(n, 30)),
        lambda n: RANDOM.standard_cauchy(size=(n, 30)),
        lambda n: np.exp(2 * RANDOM.normal(size=(n, 30))),
        lambda n: (RANDOM.uniform(size=(n, 100)) < 0.02).astype(float),
        lambda n: RANDOM.poisson(0.1, (n, 100)) * RANDOM.uniform(0, 10, (n, 100)),
        lambda n: np.full((n, 3), 7.0),
    ],
)
@pytest.mark.parametrize(("n_rows", "n_held_out"), [(512, 512), (60, 20), (20, 300)])
def test_rows_of_one_kind_are_not_apart(draw, n_rows, n_held_out):
    assert all(range_shift(draw(n_rows), draw(n_held_out)) is None for _ in range(30))


@pytest.mark.parametrize(
    "change", [lambda X: 16 * X, lambda X: X / 16, lambda X: X + 30, lambda X: X * [1, 1, 1, 100]]
)
def test_rows_of_another_range_are_apart(change):
    rows = RANDOM.normal(size=(150, 4))
    found = range_shift(rows[:100], change(rows[100:]))
    assert found.n_columns == 4
    assert found.n_shifted == (1 if np.array_equal(change(rows)[:, 0], rows[:, 0]) else 4)
    assert found.training_range == (rows[:100, found.index].min(), rows[:100, found.index].max())
    held = change(rows[100:])[:, found.index]
    assert found.validation_range == (held.min(), held.max())


@pytest.mark.parametrize("factor", [50, 1 / 50])
def test_rows_that_are_mostly_0_are_compared_by_what_is_not(factor):
    rows = RANDOM.uniform(size=(300, 40)) * (RANDOM.uniform(size=(300, 40)) < 0.05)
    assert range_shift(rows[:200], rows[200:]) is None
    found = range_shift(rows[:200], factor * rows[200:])
    assert (found.n_shifted, found.index) == (40, None)
    assert found.training_range == (rows[:200][rows[:200] > 0].min(), rows[:200].max())
    X, y = rows, (rows.sum(axis=1) > 1).astype(int)
    diagnosis = diagnose(fit((X[:200], y[:200]), (factor * X[200:], y[200:]), mlp([8], ReLU, 2), epochs=2))
    figure = next(finding.measurement for finding in diagnosis if finding.symptom == KIND)
    assert (
        "40 of 40 features have another range in the validation rows: values other than 0 lie between" in figure
    )


def test_few_rows_say_nothing():
    rows = RANDOM.normal(size=(19, 4))
    assert range_shift(rows, 100 * rows) is None


def of_digits(n_train, factor):
    X, y = digits()
    return (X[:n_train], y[:n_train]), (factor * X[n_train:], y[n_train:])


def fit(trained, held_out, net, *, epochs=10, loss="cross_entropy", monitor=None):
    monitor = Monitor() if monitor is None else monitor
    return train(trained, net, Adam(0.003), loss, monitor=monitor, validation_data=held_out, epochs=epochs)


@pytest.mark.parametrize("factor", [16, 1 / 16])
def test_validation_rows_that_were_not_scaled(factor):
    trained, held_out = of_digits(700, factor)
    diagnosis = diagnose(fit(trained, held_out, mlp([48], ReLU, 10)))
    (finding,) = diagnosis
    assert finding.symptom == KIND
    assert "of 64 features have another range in the validation rows: feature " in finding.measurement
    index = int(finding.measurement.split("rows: feature ")[1].split(" ")[0])
    own, others = trained[0][:, index], held_out[0][:, index]
    # A sample of 512 of the training rows is looked at, and all of the others.
    assert f"between 0 and {own.max():.3g} in the training rows" in finding.measurement
    assert f"between {others.min():.3g} and {others.max():.3g} in the validation rows" in finding.measurement


def test_validation_targets_that_were_not_scaled():
    X, y = diabetes()
    held_out = (X[300:], 77 * y[300:] + 150)
    diagnosis = diagnose(fit((X[:300], y[:300]), held_out, mlp([8], Tanh, 1), loss="mean_squared_error"))
    (finding,) = [finding for finding in diagnosis if finding.symptom == KIND]
    assert finding.measurement.startswith("the target has another range in the validation rows")


def test_what_ails_the_training_is_named_before():
    X, y = shuffled(digits())
    diagnosis = diagnose(fit((X[:700], y[:700]), (16 * X[700:], y[700:]), mlp([16], ReLU, 10), epochs=5))
    assert [finding.symptom for finding in diagnosis] == ["labels shuffled", KIND]


def test_an_estimators_validation_rows_are_seen():
    X, y = diabetes()
    monitor = Monitor()
    options = {"max_iter": 20, "random_state": 0, "tol": 0.0, "n_iter_no_change": 99}
    model = MLPRegressor(hidden_layer_sizes=(8,), callbacks=[monitor], **options)
    with pytest.warns(ConvergenceWarning):
        model.fit(X[:300], y[:300], X_val=30 * X[300:], y_val=y[300:])
    assert monitor.data_profile.validation.input_shift.n_shifted == 10
    assert KIND in [finding.symptom for finding in diagnose(monitor)]


# --- what callbacks are told ---


@pytest.mark.parametrize("weights", [[], [np.ones(50)]])
def test_a_run_knows_what_it_is_validated_on(weights):
    seen = []

    class ActivationSnapshot(Callback):
        def on_train_begin(self, run):
            seen.append(run.validation)

    X, y = table(load_iris)
    options = {"loss": "cross_entropy", "epochs": 1, "callbacks": [ActivationSnapshot()]}
    Sequential([Dense(3)]).fit(X, y, **options)
    Sequential([Dense(3)]).fit(X, y, validation_data=(X[:50], y[:50], *weights), **options)
    assert seen[0] is None
    inputs, targets, found = seen[1]
    assert np.array_equal(inputs, X[:50])
    assert np.array_equal(targets, y[:50])
    assert (found is None) == (not weights)


# --- learned by heart ---


def test_few_rows_that_are_learned_by_heart():
    trained, held_out = of_digits(60, 1)
    monitor = fit(trained, held_out, mlp([32], ReLU, 10), epochs=150)
    history = monitor.history
    assert history["val_loss"][-1] < 1.2 * min(history["val_loss"])  # it has not turned
    (finding,) = diagnose(monitor)
    assert finding.symptom == "overfitting"
    assert f"the training loss fell to {history['loss'][-1]:.3g}" in finding.measurement
    assert "the network scores 1.00 on the training rows" in finding.measurement
    assert "there were 60 rows for 2,410 parameters" in finding.advice


@pytest.mark.parametrize("n_train", [60, 90])
def test_few_rows_that_say_enough_are_left_alone(n_train):
    X, y = table(load_iris)
    order = np.random.default_rng(0).permutation(150)
    (train_rows, held_out) = order[:n_train], order[n_train:]
    monitor = fit((X[train_rows], y[train_rows]), (X[held_out], y[held_out]), mlp([16], ReLU, 3), epochs=300)
    assert monitor.history["loss"][-1] < 0.1
    diagnosis = diagnose(monitor)
    assert diagnosis, diagnosis


# --- epochs that are not kept ---


@pytest.mark.parametrize("stops_first", [True, False])
@pytest.mark.parametrize("restore_best", [True, False])
def test_what_comes_after_the_epoch_that_is_kept_is_no_overfitting(restore_best, stops_first):
    X, y = diabetes()
    monitor, stop = Monitor(), EarlyStopping(patience=30, restore_best=restore_best)
    mlp([128, 128], ReLU, 1).fit(
        X[:120],
        y[:120],
        loss="mean_squared_error",
        optimizer=Adam(0.003),
        epochs=80,
        batch_size=32,
        validation_data=(X[120:], y[120:]),
        callbacks=[stop, monitor] if stops_first else [monitor, stop],
        random_state=0,
    )
    losses = np.array(monitor.history["val_loss"])
    assert losses[-1] > 1.3 * losses.min()  # it has turned
    assert monitor.kept_epoch == (losses.argmin() + 1 if restore_best else None)
    assert ("overfitting" in [finding.symptom for finding in diagnose(monitor)]) == (not restore_best)


def test_an_estimator_that_stops_early_keeps_its_best_epoch():
    X, y = diabetes()
    monitor = Monitor()
    model = MLPRegressor(
        hidden_layer_sizes=(64,), early_stopping=True, max_iter=100, callbacks=[monitor], random_state=0
    )
    model.fit(X, y)
    assert monitor.kept_epoch == 1 + int(np.argmax(monitor.history["val_score"]))
