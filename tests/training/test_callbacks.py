"""Callbacks and the history: early stopping, schedules, the progress bar, a callback of one's own."""

import io
import math
import sys

import numpy as np
import pytest

from layernet import (
    SGD,
    BatchNorm,
    Callback,
    CosineSchedule,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ProgressBar,
    ReduceOnPlateau,
    Sequential,
    StepSchedule,
    Tanh,
)

X = np.linspace(-1, 1, 40).reshape(20, 2)
Y = X[:, 0] * 2 - X[:, 1]


def fit(*callbacks, **options):
    net = Sequential([Dense(4), Tanh(), Dense(1)])
    options = {"loss": "mean_squared_error", "optimizer": SGD(0.1), "epochs": 6, "batch_size": 5, **options}
    return net, net.fit(X, Y, callbacks=callbacks, random_state=0, **options)


class Script(Callback):
    """Keeps the parameters of every epoch, and plays the values that an early stopping watches."""

    def __init__(self, values):
        self.values = values
        self.seen = []

    def on_epoch_end(self, run):
        self.seen.append(run.network.parameter_vector.copy())

    def __call__(self, network):
        return self.values[len(self.seen) - 1]


def test_early_stopping_gives_back_the_state_of_the_best_epoch():
    class States(Script):
        def on_epoch_end(self, run):
            super().on_epoch_end(run)
            self.states = [*getattr(self, "states", []), run.network.state()]

    script = States([3, 1, 2, 2, 2, 2])
    net = Sequential([Dense(4), BatchNorm(), Tanh(), Dropout(0.1), Dense(1)])
    callbacks = [script, EarlyStopping(script, patience=3)]
    net.fit(X, Y, loss="mean_squared_error", epochs=6, batch_size=5, callbacks=callbacks, random_state=0)
    best, last = script.states[1], script.states[-1]
    assert net.state().keys() == best.keys() == last.keys()
    for name, value in net.state().items():
        np.testing.assert_array_equal(value, best[name])
        assert name.endswith("seed") or not np.array_equal(value, last[name])


@pytest.mark.parametrize(
    ("values", "options", "best_epoch", "epochs"),
    [
        ([5, 4, 3, 3, 3, 3], {"patience": 2}, 3, 5),
        ([1, 2, 3, 4, 5, 6], {"patience": 3}, 1, 4),
        ([6, 5, 4, 3, 2, 1], {"patience": 1}, 6, 6),
        ([5, 4, 3.9, 3.8, 3.7, 3.6], {"patience": 2, "min_delta": 0.5}, 2, 4),
        ([0.1, 0.5, 0.4, 0.4, 0.9, 0.9], {"patience": 2, "larger_is_better": True}, 2, 4),
        ([math.nan, 2, math.nan, math.nan, 1, 1], {"patience": 2}, 2, 4),
        ([5, 3, 3, 4, 3, 3], {"patience": 9}, 2, 6),
        ([5, 3, 3, 4, 3, 4], {"patience": 9, "keep_last": True}, 5, 6),
        ([5, 3, 3, 3, 2, 2], {"patience": 2, "keep_last": True}, 4, 4),
        ([0.5, 0.9, 0.9, 0.8, 0.9, 0.8], {"patience": 9, "larger_is_better": True, "keep_last": True}, 5, 6),
        ([5, 3, 2.9, 3, 2.9, 2.9], {"patience": 9, "min_delta": 0.5, "keep_last": True}, 4, 6),
    ],
)
def test_early_stopping(values, options, best_epoch, epochs):
    script = Script(values)
    stopping = EarlyStopping(script, **options)
    net, history = fit(script, stopping)
    assert len(history["loss"]) == epochs
    assert stopping.best_epoch == best_epoch
    assert np.array_equal(net.parameter_vector, script.seen[best_epoch - 1])
    if epochs < 6:
        assert "has not improved" in history.stop_message


def test_early_stopping_without_restoring():
    script = Script([1, 2, 3, 4, 5, 6])
    net, _ = fit(script, EarlyStopping(script, patience=2, restore_best=False))
    assert np.array_equal(net.parameter_vector, script.seen[-1])


def test_early_stopping_watches_a_column_of_the_history():
    _, history = fit(EarlyStopping("val_loss", patience=1, min_delta=1e9), validation_data=(X, Y), epochs=9)
    assert history.stop_reason == "early_stopping"
    assert history.stop_message == "val_loss has not improved for 1 epochs; best was epoch 1."
    with pytest.raises(
        ValueError, match=r"monitor='val_loss' is not in the history, which has \['epoch', 'loss'"
    ):
        fit(EarlyStopping())
    with pytest.raises(ValueError, match="patience must be a whole number of at least 1, got 0"):
        EarlyStopping(patience=0)


def test_early_stopping_can_watch_a_metric():
    def error(targets, outputs):
        return float(np.abs(targets - outputs).max())

    stopping = EarlyStopping("val_error", patience=2, larger_is_better=False)
    _, history = fit(stopping, validation_data=(X, Y), metrics=error, epochs=50)
    assert len(history["val_error"]) == len(history["loss"])


def test_learning_rate_schedule_by_epoch():
    _, history = fit(LearningRateScheduler(StepSchedule(0.1, every=2, factor=0.5)))
    assert history["learning_rate"] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_learning_rate_schedule_by_step_equals_the_optimizers_own():
    schedule = CosineSchedule(0.1, duration=24)
    by_callback, first = fit(LearningRateScheduler(schedule, per="step"))
    by_optimizer, second = fit(optimizer=SGD(schedule))
    assert first["learning_rate"] == second["learning_rate"]
    assert np.array_equal(by_callback.parameter_vector, by_optimizer.parameter_vector)
    with pytest.raises(ValueError, match="per must be 'epoch' or 'step', got 'batch'"):
        LearningRateScheduler(schedule, per="batch")


def test_reduce_on_plateau_is_told_the_loss():
    script = Script([1.0] * 6)
    schedule = ReduceOnPlateau(0.1, patience=2, factor=0.5)
    _, history = fit(script, LearningRateScheduler(schedule, monitor=script))
    assert history["learning_rate"] == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025])


def test_a_callback_of_ones_own_is_called_at_the_right_times():
    calls = []

    class Log(Callback):
        def on_train_begin(self, run):
            calls.append("begin")

        def on_batch_end(self, run):
            assert not run.network.training
            assert math.isfinite(run.batch_loss)
            calls.append((run.epoch, run.batch))

        def on_epoch_end(self, run):
            assert not run.network.training
            calls.append(run.history["epoch"][-1])
            if run.epoch == 2:
                run.stop("Enough.")

        def on_train_end(self, run):
            calls.append("end")

    _, history = fit(Log())
    expected = ["begin", (1, 1), (1, 2), (1, 3), (1, 4), 1, (2, 1), (2, 2), (2, 3), (2, 4), 2, "end"]
    assert calls == expected
    assert (history.stop_reason, history.stop_message) == ("callback", "Enough.")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((True,), TypeError, "message must be a sentence"),
        (("Enough.", "enough"), ValueError, "one of epochs_done,"),
    ],
)
def test_stop_refuses_what_is_no_message_and_no_reason(arguments, error, message):
    class Stops(Callback):
        def on_epoch_end(self, run):
            run.stop(*arguments)

    with pytest.raises(error, match=rf"run\.stop: .*{message}"):
        fit(Stops())


def test_progress_bar():
    stream = io.StringIO()
    fit(ProgressBar(file=stream, mininterval=0))
    shown = stream.getvalue()
    assert "24/24" in shown
    assert "epoch=6/6" in shown
    assert "loss=" in shown
    assert repr(ProgressBar(leave=False)) == "ProgressBar(leave=False)"


def test_verbose_shows_a_bar_on_the_standard_error(capsys):
    fit(verbose=1)
    assert "24/24" in capsys.readouterr().err
    fit()
    assert capsys.readouterr() == ("", "")


# --- history ---


def test_history_as_a_table_and_as_html():
    _, history = fit(validation_data=(X, Y), epochs=2)
    lines = str(history).splitlines()
    assert lines[0].split() == ["epoch", "loss", "learning_rate", "seconds", "val_loss"]
    assert len(lines) == 4
    assert lines[-1] == "All 2 epochs are done."
    html = history._repr_html_()
    assert html.count("<tr>") == 3
    assert "All 2 epochs are done." in html
    assert str(History()) == "History: no epoch is finished."


def test_history_is_a_dict_and_knows_its_best_epoch():
    history = History(epoch=[1, 2, 3], loss=[3.0, 1.0, 2.0], accuracy=[0.1, 0.3, 0.9])
    assert dict(history)["loss"] == [3.0, 1.0, 2.0]
    assert history.best() == 2
    assert history.best("accuracy", larger_is_better=True) == 3


def test_history_plot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, history = fit(validation_data=(X, Y), metrics=lambda targets, outputs: 0.5)
    figure = history.plot()
    assert len(figure.axes) == 2
    assert [line.get_label() for line in figure.axes[0].lines] == ["loss", "val_loss"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == history["loss"]
    own, axes = plt.subplots()
    assert history.plot(axes=axes) is own
    plt.close("all")


@pytest.mark.parametrize(("n_epochs", "marker"), [(29, "."), (30, "")])
def test_lines_of_the_plot(n_epochs, marker):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    values = [1.0 / epoch for epoch in range(1, n_epochs + 1)]
    gaps = [math.nan, *values[1:]]
    columns = {"loss": values, "val_loss": values, "learning_rate": values, "seconds": values, "gaps": gaps}
    history = History(epoch=list(range(1, n_epochs + 1)), **columns, words=["one"] * n_epochs)
    figure = history.plot()
    assert figure.get_size_inches().tolist() == [10, 3.5]
    losses, others = figure.axes
    assert [(line.get_label(), line.get_linestyle(), line.get_marker()) for line in losses.lines] == [
        ("loss", "-", marker),
        ("val_loss", "--", marker),
    ]
    assert [(line.get_label(), line.get_marker()) for line in others.lines] == [("gaps", ".")]
    assert (losses.get_xlabel(), losses.get_ylabel(), others.get_ylabel()) == ("epoch", "loss", "gaps")
    assert losses.lines[0].get_xdata().tolist() == history["epoch"]
    assert len(History(epoch=[1], learning_rate=[0.1]).plot().axes[0].lines) == 0
    _, axes = plt.subplots()
    history.plot(axes=axes)
    assert [line.get_label() for line in axes.lines] == ["loss", "val_loss"]
    plt.close("all")


def test_the_text_of_a_history():
    history = History(
        epoch=[1, 10], loss=[0.123456, 12.0], learning_rate=[0.00123456, 0.1], seconds=[1.234, 10.0]
    )
    history["many"] = [np.arange(7) / 7, None]
    history["few"] = [np.arange(2) / 7, "x"]
    history["more"] = [1]
    assert str(history) == (
        "epoch     loss  learning_rate  seconds                               many              few\n"
        "    1   0.1235        0.00123     1.23  [0.     0.1429 ... 0.7143 0.8571]  [0.     0.1429]\n"
        "   10  12.0000            0.1    10.00                                                   x\n"
        "Not shown: more (1 values)."
    )
    assert "<summary>History of 2 epochs. Not shown" in history._repr_html_()
    history = History(epoch=[1], loss=[1.0])
    assert str(history) == repr(history) == "epoch    loss\n    1  1.0000"
    assert "<summary>History of 1 epoch. " in history._repr_html_()


def test_a_history_without_epochs_says_what_else_there_is():
    history = History(extra=[1, 2])
    history.stop_message = "Stopped."
    assert str(history) == "History: no epoch is finished.\nNot shown: extra (2 values)."


def test_plotting_without_matplotlib_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        History(epoch=[1], loss=[1.0]).plot()


# --- arguments ---


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping(patience="3"), ValueError, "EarlyStopping: patience must be a whole number"),
        (lambda: EarlyStopping(patience=2.5), ValueError, "EarlyStopping: patience must be a whole number"),
        (lambda: EarlyStopping(patience=True), ValueError, "EarlyStopping: patience must be a whole number"),
        (lambda: EarlyStopping(monitor=3), TypeError, "EarlyStopping: monitor must be a column"),
        (lambda: EarlyStopping(monitor=Script), TypeError, "EarlyStopping: monitor must be a column"),
        (lambda: EarlyStopping(min_delta="0.1"), TypeError, "EarlyStopping: min_delta must be a number"),
        (lambda: EarlyStopping(min_delta=-0.1), ValueError, "EarlyStopping: min_delta must be at least 0"),
        (lambda: EarlyStopping(min_delta=math.nan), ValueError, "EarlyStopping: min_delta must be"),
        (lambda: EarlyStopping(larger_is_better="max"), TypeError, "larger_is_better must be True or False or"),
        (lambda: EarlyStopping(restore_best="yes"), TypeError, "restore_best must be True or False, got 'yes'"),
        (lambda: LearningRateScheduler(0.1), TypeError, "schedule must be a Schedule or a function"),
        (lambda: LearningRateScheduler(abs, monitor=0), TypeError, "LearningRateScheduler: monitor must be"),
        (lambda: ProgressBar(file="log.txt"), TypeError, "ProgressBar: file must be a text file or None"),
        (lambda: ProgressBar(minintervall=1), TypeError, "ProgressBar: 'minintervall' is not an option"),
        (lambda: ProgressBar(total=3), TypeError, "ProgressBar: 'total' is not an option"),
    ],
)
def test_invalid_arguments_are_refused_by_the_constructor(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_callbacks_and_errors_have_before_a_training():
    assert Callback().every_batch is True
    assert Callback().other_hooks == Callback().shared == ()
    error = DivergenceError("message")
    assert (error.epoch, error.batch, len(error.history), str(error)) == (0, 0, 0, "message")


def test_numbers_of_numpy_are_arguments():
    stopping = EarlyStopping("loss", np.int64(2), np.float32(0.5), np.False_, np.True_)
    assert (stopping.patience, stopping.min_delta) == (2, 0.5)
    assert fit(stopping)[1].stop_reason == "early_stopping"
