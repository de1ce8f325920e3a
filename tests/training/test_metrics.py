"""Metrics: names, columns, directions, and which accuracy belongs to which loss."""

import functools
import math

import numpy as np
import pytest

from layernet import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    EarlyStopping,
    HingeLoss,
    LearningRateScheduler,
    LogLoss,
    MeanSquaredError,
    PoissonLoss,
    ReduceOnPlateau,
    Sequential,
)
from layernet.training import Callback, History, accuracy, evaluate

random = np.random.default_rng(0)
X = random.standard_normal((30, 3))
Y = X[:, :1]
CLASSES = np.arange(30) % 3
ENGINES = ["formulas", "auto"]


def fit(y=Y, loss="mean_squared_error", epochs=4, units=1, **options):
    network = Sequential([Dense(units)])
    return network.fit(X, y, loss=loss, epochs=epochs, optimizer="sgd", random_state=0, batch_size=8, **options)


# --- names ---


def test_a_metric_cannot_take_the_place_of_another_column():
    def loss(targets, outputs):
        return 100.0

    def val_error(targets, outputs):
        return 1.0

    def error(targets, outputs):
        return 2.0

    for metrics in (
        [loss],
        {"val_loss": error},
        {"epoch": error},
        {"seconds": error},
        {"learning_rate": error},
    ):
        with pytest.raises(ValueError, match="is that of a column that every history has"):
            fit(metrics=metrics)
    for metrics in ([error, error], [error, val_error], [val_error, error], [lambda t, o: 1, lambda t, o: 2]):
        with pytest.raises(ValueError, match=r"is that of another metric. Name metrics by a dict"):
            fit(metrics=metrics)
    with pytest.raises(ValueError, match="another metric"):
        fit(metrics=["accuracy", accuracy])
    history = fit(metrics={"first": lambda t, o: 1, "second": lambda t, o: 2})
    assert history["first"] == [1.0] * 4
    assert history["second"] == [2.0] * 4
    assert history["loss"] == fit()["loss"]


def test_names_of_partial_functions_and_objects():
    def worst(targets, outputs, power):
        return float((np.abs(targets - outputs) ** power).max())

    class Worst:
        def __call__(self, targets, outputs):
            return worst(targets, outputs, 1)

    history = fit(metrics=[functools.partial(worst, power=2), Worst()])
    assert list(history)[2:4] == ["worst", "Worst"]


@pytest.mark.parametrize("metrics", [3, [3], [None], {"a": 3}, {3: accuracy}])
def test_what_is_no_metric(metrics):
    with pytest.raises(TypeError, match="metrics"):
        fit(metrics=metrics)


def test_no_metrics_and_no_callbacks_may_be_none():
    assert list(fit(metrics=None, callbacks=None)) == list(fit())


# --- which accuracy ---


@pytest.mark.parametrize(
    ("loss", "targets", "outputs", "expected"),
    [
        (CrossEntropy(), [0, 1, 2], [[9.0, 1, 1], [1, 9, 1], [9, 1, 1]], [True, True, False]),
        (CrossEntropy(), [[0.9, 0.1], [0.4, 0.6]], [[-1.0, -2], [-1, -2]], [True, False]),
        (BinaryCrossEntropy(), [1, 0, 0], [[0.1], [0.1], [-0.1]], [True, False, True]),
        (BinaryCrossEntropy(), [[1, 1, 0], [0, 0, 0], [1, 0, 0]], [[1.0, 2, -1], [-1, -1, -1], [1, 1, -1]],
         [True, True, False]),
        (LogLoss(), [[1, 0], [0, 1]], [[1.0, 2.0], [-1.0, 2.0]], [False, True]),
        (HingeLoss(), [1, -1], [[0.2], [0.2]], [True, False]),
        (HingeLoss(), [0, 1], [[0.2], [0.2]], [False, True]),
        (HingeLoss(), [2, 0], [[0.0, 1, 2], [0, 1, 2]], [True, False]),
        (MeanSquaredError(), [0, 1, 1], [[0.4], [0.6], [0.4]], [True, True, False]),
        (MeanSquaredError(), [[0, 1], [1, 0]], [[0.1, 0.2], [0.1, 0.2]], [True, False]),
    ],
)  # fmt: skip
def test_the_loss_decides_which_accuracy(loss, targets, outputs, expected):
    outputs = np.array(outputs)
    prepared = loss.prepare(targets, outputs.shape[1:], outputs.dtype)
    assert loss.is_predicted(outputs, prepared).tolist() == expected
    assert accuracy(prepared, outputs, loss) == np.mean(expected)


@pytest.mark.parametrize(
    ("loss", "targets", "threshold"),
    [
        (None, [1.0, 0.0], 0),
        (BinaryCrossEntropy(), [1, 0], 0),
        (LogLoss(), [1, 0], 0),
        (HingeLoss(), [1, -1], 0),
        (MeanSquaredError(), [1, 0], 0.5),
    ],
)
def test_the_label_1_is_predicted_from_the_threshold_on(loss, targets, threshold):
    for output, expected in ((threshold + 1e-6, [True, False]), (threshold - 1e-6, [False, True])):
        outputs = np.full((2, 1), output)
        prepared = np.array(targets) if loss is None else loss.prepare(targets, (1,), outputs.dtype)
        alone = [accuracy(prepared[i : i + 1], outputs[i : i + 1], loss) for i in range(2)]
        assert alone == expected


@pytest.mark.parametrize("loss", [None, BinaryCrossEntropy()])
def test_a_probability_above_one_half_is_the_label_1(loss):
    targets = np.array([[0.51, 0.49, 0.49], [0.49, 0.51, 0.51]])  # whose rows do not add up to 1
    assert accuracy(targets, np.where(targets > 0.5, 1e-6, -1e-6), loss) == 1
    assert accuracy(targets, np.where(targets > 0.5, -1e-6, 1e-6), loss) == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "log_loss"])
@pytest.mark.parametrize("metric", ["accuracy", accuracy])
def test_a_perfect_network_for_several_labels_has_accuracy_1(loss, metric, engine):
    labels = (X > 0).astype(float)
    network = Sequential([Dense(3)]).build(3)
    network.parameters["0.weights"] = 50 * np.eye(3)
    network.parameters["0.bias"] = np.zeros(3)
    history = network.fit(
        X,
        labels,
        loss=loss,
        optimizer="sgd",
        epochs=1,
        metrics=metric,
        validation_data=(X, labels),
        engine=engine,
    )
    assert history["accuracy"] == history["val_accuracy"] == [1.0]
    assert evaluate(network, X, labels, loss=loss, metrics=metric)["accuracy"] == 1.0


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber", "quantile", "poisson",
                                  "half_squared_error", "half_poisson_deviance"])  # fmt: skip
def test_accuracy_of_numbers_is_refused(loss):
    with pytest.raises(ValueError, match="accuracy is for classes"):
        fit(np.abs(Y), loss, metrics="accuracy")
    with pytest.raises(ValueError, match="accuracy is for classes"):
        PoissonLoss().is_predicted(np.zeros((1, 1)), np.ones((1, 1)))


def test_accuracy_of_labels_by_a_squared_error_is_refused():
    with pytest.raises(ValueError, match="expects one 1 in each row"):
        fit((X > 0).astype(float), units=3, metrics="accuracy")


# --- which rows ---


def r_squared(targets, outputs):
    return float(1 - ((targets - outputs) ** 2).sum() / ((targets - targets.mean()) ** 2).sum())


def mean_error(targets, outputs):
    return float(np.abs(targets - outputs).mean())


class OutputsOfEachStep(Callback):
    """Keeps what a network put out for each batch, from before the update."""

    def on_epoch_begin(self, run):
        self.outputs, self.targets = [], []
        self.before = run.network.forward_pass(X)

    def on_batch_end(self, run):
        rows = run.order[8 * (run.batch - 1) :][:8]
        self.outputs.append(self.before[rows])
        self.targets.append(Y[rows])
        self.before = run.network.forward_pass(X)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_function_is_computed_of_all_rows_of_an_epoch_at_once(engine):
    look = OutputsOfEachStep()
    history = fit(epochs=2, metrics=[r_squared], callbacks=look, engine=engine, validation_data=(X[:7], Y[:7]))
    expected = r_squared(np.concatenate(look.targets), np.concatenate(look.outputs))
    assert history["r_squared"][-1] == pytest.approx(expected, rel=1e-9)
    assert history["val_r_squared"][-1] == pytest.approx(r_squared(Y[:7], look.before[:7]), rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_last_batch_of_one_row_spoils_no_metric(engine):
    network = Sequential([Dense(1)])
    history = network.fit(
        X[:17], Y[:17], "mean_squared_error", batch_size=8, epochs=2, metrics=r_squared, random_state=0,
        engine=engine,
    )  # fmt: skip
    assert np.isfinite(history["r_squared"]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_metric_that_averages_rows_is_called_for_each_batch(engine):
    sizes = []

    def of_batches(targets, outputs):
        sizes.append(len(outputs))
        return mean_error(targets, outputs)

    of_batches.averages_rows = True
    partial = functools.partial(of_batches)
    history = fit(epochs=1, metrics={"one": mean_error, "two": partial}, engine=engine)
    assert sizes == [8, 8, 8, 6]
    assert history["two"] == pytest.approx(history["one"], rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("averages_rows", [False, True])
def test_the_error_of_a_metric_names_it(engine, averages_rows):
    def of_labels(targets, outputs):
        raise ValueError("a mix of multiclass and continuous-multioutput targets")

    of_labels.averages_rows = averages_rows
    with pytest.raises(ValueError, match="a mix of") as caught:
        fit(CLASSES, "cross_entropy", units=3, metrics=of_labels, engine=engine)
    (note,) = caught.value.__notes__
    assert "metric 'of_labels', called with targets of shape" in note
    assert 'metrics="accuracy"' in note


# --- metrics that return arrays ---


@pytest.mark.parametrize("engine", ENGINES)
def test_a_metric_may_return_an_array(engine):
    def recalls(targets, outputs):
        return np.array([0.25, 0.5, outputs.shape[1]])

    history = fit(
        CLASSES, "cross_entropy", units=3, metrics=recalls, validation_data=(X, CLASSES), engine=engine
    )
    assert np.allclose(history["recalls"], [[0.25, 0.5, 3]] * 4)
    assert np.allclose(history["val_recalls"], [[0.25, 0.5, 3]] * 4)
    assert "[0.25" in str(history)
    assert "[0.25" in history._repr_html_()
    assert len(history.plot().axes) == 1
    with pytest.raises(ValueError, match="has not one number for each epoch"):
        history.best("recalls", larger_is_better=True)
    with pytest.raises(ValueError, match="monitor='recalls' must be a number"):
        fit(metrics=recalls, callbacks=[EarlyStopping("recalls", larger_is_better=True)])


# --- directions ---


class Rising:
    """A metric with given values, one for each call."""

    larger_is_better = True
    __name__ = "skill"

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, targets, outputs):
        return next(self.values)


@pytest.mark.parametrize("engine", ENGINES)
def test_early_stopping_keeps_the_epoch_of_the_highest_accuracy(engine):
    stopping = EarlyStopping("val_accuracy", patience=3)
    history = fit(
        CLASSES, "cross_entropy", units=3, epochs=12, metrics="accuracy", validation_data=(X, CLASSES),
        callbacks=stopping, engine=engine,
    )  # fmt: skip
    assert stopping.best_value == max(history["val_accuracy"])
    assert stopping.best_epoch == history.best("val_accuracy")
    assert history["val_accuracy"][history.best("val_accuracy") - 1] == max(history["val_accuracy"])


def test_a_metric_declares_its_direction():
    values = [0.1, 0.2, 0.9, 0.3, 0.4, 0.5]
    stopping = EarlyStopping("val_skill", patience=2)
    # Once for the rows of an epoch, and once for the validation data.
    metric = Rising([value for value in values for _ in range(2)])
    history = fit(epochs=6, metrics=metric, validation_data=(X, Y), callbacks=[stopping])
    assert stopping.best_epoch == history.best("val_skill") == history.best("skill") == 3
    assert len(history["loss"]) == 5


def error(targets, outputs):
    return float(np.abs(targets - outputs).mean())


def test_a_column_without_a_known_direction_needs_one_before_the_first_step():
    for callback in (
        EarlyStopping("error"),
        EarlyStopping("learning_rate"),
        LearningRateScheduler(ReduceOnPlateau(0.1), monitor="error"),
    ):
        network = Sequential([Dense(1)]).build(3, 0)
        before = network.parameter_vector.copy()
        with pytest.raises(ValueError, match=r"is not a loss, and nothing says whether larger or smaller"):
            network.fit(X, Y, loss="mean_squared_error", metrics=error, callbacks=[callback])
        assert np.array_equal(network.parameter_vector, before)
    with pytest.raises(ValueError, match="nothing says whether larger or smaller"):
        fit(metrics=error).best("error")
    history = fit(metrics=error, callbacks=[EarlyStopping("error", larger_is_better=False)])
    assert history.best("error", larger_is_better=False) == 4
    stated = LearningRateScheduler(ReduceOnPlateau(0.1, larger_is_better=False), monitor="error")
    assert fit(metrics=error, callbacks=[stated])["learning_rate"] == [0.1] * 4


@pytest.mark.parametrize("engine", ENGINES)
def test_a_learning_rate_does_not_fall_while_the_accuracy_rises(engine):
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    for schedule in (ReduceOnPlateau(0.1, patience=1), ReduceOnPlateau(0.1, patience=1, larger_is_better=True)):
        history = fit(
            epochs=6, metrics=Rising(rising), engine=engine,
            callbacks=LearningRateScheduler(schedule, monitor="skill"),
        )  # fmt: skip
        assert history["learning_rate"] == [0.1] * 6
    falling = ReduceOnPlateau(0.1, patience=1, factor=0.5)
    history = fit(
        epochs=4, metrics=Rising(reversed(rising)), engine=engine,
        callbacks=LearningRateScheduler(falling, monitor="skill"),
    )  # fmt: skip
    assert history["learning_rate"] == pytest.approx([0.1, 0.1, 0.05, 0.025])


def test_a_plateau_of_values_that_should_rise():
    schedule = ReduceOnPlateau(1.0, patience=2, threshold=0.1, larger_is_better=True)
    for value in (1.0, 1.05, 1.2):  # the second is better by less than the threshold
        schedule.observe(value)
    assert schedule(0) == 1.0
    for value in (1.3, math.nan):
        schedule.observe(value)
    assert schedule(0) == 0.5
    assert repr(schedule) == "ReduceOnPlateau(1.0, patience=2, threshold=0.1, larger_is_better=True)"


def test_the_validation_score_of_an_estimator_should_rise():
    from layernet import MLPClassifier

    stopping = EarlyStopping("val_score", patience=2)
    classifier = MLPClassifier((4,), early_stopping=True, max_iter=30, random_state=0, callbacks=[stopping])
    classifier.fit(np.tile(X, (4, 1)), np.tile(CLASSES, 4))
    assert stopping.best_value == max(classifier.history_["val_score"][: stopping.best_epoch])


# --- history ---


class EverySecond(Callback):
    """Adds to the history in every second epoch, at a moment of one's choice."""

    def __init__(self, method):
        setattr(self, method, lambda run: run.epoch % 2 == 0 and run.history.add(extra=10.0 * run.epoch))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", ["on_epoch_begin", "on_epoch_end"])
def test_a_column_that_is_added_every_second_epoch_keeps_to_its_rows(method, engine):
    history = fit(callbacks=EverySecond(method), engine=engine)
    assert np.array_equal(history["extra"], [math.nan, 20, math.nan, 40], equal_nan=True)
    lines = str(history).splitlines()
    assert lines[2].endswith("20.0000")
    assert lines[3].endswith("nan")
    assert history._repr_html_().count("<tr>") == 5
    assert history.best("extra", larger_is_better=False) == 2
    assert len(history.plot().axes) == 2


@pytest.mark.parametrize("method", ["on_epoch_begin", "on_epoch_end"])
def test_a_column_that_was_added_has_an_entry_for_every_epoch(method):
    history = fit(epochs=5, callbacks=EverySecond(method))
    assert np.array_equal(history["extra"], [math.nan, 20, math.nan, 40, math.nan], equal_nan=True)
    assert {len(values) for values in history.values()} == {5}
    assert "Not shown" not in str(history)
    assert str(history).splitlines()[5].endswith("nan")


def test_values_of_a_row_may_come_one_after_the_other():
    history = History()
    for epoch in (1, 2, 3):
        history.add(epoch=epoch, loss=1.0 / epoch)
        history.add(norm=float(epoch))
    history.add(epoch=4)
    assert history == {
        "epoch": [1, 2, 3, 4],
        "loss": [1.0, 1 / 2, 1 / 3, pytest.approx(math.nan, nan_ok=True)],
        "norm": [1.0, 2.0, 3.0, pytest.approx(math.nan, nan_ok=True)],
    }
    assert history.best() == 3


class AppendsEverySecond(Callback):
    """Makes a column of its own, of which the history cannot know which epochs have a value."""

    def on_epoch_end(self, run):
        if run.epoch % 2 == 0:
            run.history.setdefault("extra", []).append(10.0 * run.epoch)


def test_a_column_that_has_other_values_is_named_below_the_table():
    history = fit(epochs=5, callbacks=AppendsEverySecond())
    assert history["extra"] == [20, 40]
    assert "Not shown: extra (2 values)." in str(history)
    assert "Not shown: extra (2 values)." in history._repr_html_()
    history.plot()
    history["words"] = ["one"] * 5
    history["notes"] = [None, 1, 2.5, "x", np.float32(3)]
    assert "one" in str(history)
    with pytest.raises(ValueError, match="has not one number for each epoch"):
        history.best("words", larger_is_better=True)


def test_the_best_epoch_is_never_one_without_a_number():
    history = History(epoch=[1, 2, 3], loss=[math.nan, 2.0, 1.0], score=[math.nan] * 3)
    assert history.best() == 3
    assert history.best("loss", larger_is_better=True) == 2
    with pytest.raises(ValueError, match="all are NaN"):
        history.best("score", larger_is_better=True)
    with pytest.raises(KeyError, match="'accuracy' is not a column"):
        history.best("accuracy")
