"""The doctor: planted faults are named first, and sound trainings are left alone."""

import dataclasses
import re

import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
    make_classification,
)
from trainings import (
    diabetes,
    digits,
    mlp,
    moons,
    noise,
    shuffled,
    spiral,
    squares,
    table,
    train,
    train_a_part,
    with_variance,
)

from layernet import (
    ELU,
    GELU,
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    Callback,
    CrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    Identity,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Residual,
    RMSProp,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from layernet.initializers import Constant
from layernet.monitoring.diagnosis import diagnose
from layernet.monitoring.evidence import Evidence
from layernet.monitoring.findings import Diagnosis, Finding
from layernet.monitoring.monitor import Monitor
from layernet.monitoring.record import BlockMeans
from layernet.monitoring.symptoms.progress import last_quarter, stopped_too_early

pytestmark = pytest.mark.slow

FAULTY = {
    "deep sigmoids": (
        "vanishing gradients",
        lambda: train(digits(), mlp([32] * 7, Sigmoid, 10), SGD(0.1)),
    ),
    "deep sigmoids, Adam": (
        "vanishing gradients",
        lambda: train(table(load_wine), mlp([24] * 9, Sigmoid, 3), Adam(0.0003), epochs=20),
    ),
    "signals that fade": (
        "vanishing gradients",
        lambda: train(digits(), mlp([48] * 12, GELU, 10), SGD(0.03)),
    ),
    "biases far below zero": (
        "dead ReLUs",
        lambda: train(digits(), mlp([64], ReLU, 10, bias_initializer=Constant(-15.0)), SGD(0.05)),
    ),
    "a dead second layer": (
        "dead ReLUs",
        lambda: train(
            moons(),
            Sequential([Dense(32), ReLU(), Dense(32, bias_initializer=Constant(-9.0)), ReLU(), Dense(2)]),
            Adam(0.001),
        ),
    ),
    "tanh with large weights": (
        "saturated activations",
        lambda: train(digits(), mlp([48, 48], Tanh, 10, weights_initializer=with_variance(100)), SGD(0.01)),
    ),
    "sigmoids with large weights": (
        "saturated activations",
        lambda: train(
            table(load_breast_cancer),
            mlp([32], Sigmoid, 2, weights_initializer=with_variance(600)),
            Adam(0.001),
        ),
    ),
    "ReLUs with large weights": (
        "exploding gradients",
        lambda: train(digits(), mlp([48] * 8, ReLU, 10, weights_initializer=with_variance(18)), SGD(1e-5)),
    ),
    "ReLUs with large weights that diverge": (
        "exploding gradients",
        lambda: train(moons(), mlp([48] * 9, LeakyReLU, 2, weights_initializer=with_variance(20)), SGD(0.01)),
    ),
    "steps far too long": (
        "learning rate too high",
        lambda: train(digits(), mlp([32, 32], ReLU, 10), Adam(1.0)),
    ),
    "steps too long for tanh": (
        "learning rate too high",
        lambda: train(table(load_wine), mlp([32, 32], Tanh, 3), SGD(5.0, momentum=0.9)),
    ),
    "steps that lead away": (
        "training diverged",
        lambda: train(diabetes(), mlp([32], ReLU, 1), SGD(2.0), "mean_squared_error"),
    ),
    "tiny steps": (
        "learning rate too low",
        lambda: train(digits(), mlp([32], ReLU, 10), SGD(1e-5)),
    ),
    "tiny steps of Adam": (
        "learning rate too low",
        lambda: train(diabetes(), mlp([32, 16], Tanh, 1), Adam(3e-6), "mean_squared_error"),
    ),
    "pixels from 0 to 255": (
        "inputs not scaled",
        lambda: train((digits()[0] * 255, digits()[1]), mlp([32], Tanh, 10), Adam(0.001)),
    ),
    "wine as it comes": (
        "inputs not scaled",
        lambda: train(load_wine(return_X_y=True), mlp([32], ReLU, 3), SGD(0.001)),
    ),
    "diabetes as it comes": (
        "targets not scaled",
        lambda: train(
            (diabetes()[0], load_diabetes().target), mlp([32], ReLU, 1), Adam(0.001), "mean_squared_error"
        ),
    ),
    "shuffled digits": (
        "labels shuffled",
        lambda: train(shuffled(digits()), mlp([32], ReLU, 10), Adam(0.001)),
    ),
    "shuffled flowers, half learned by heart": (
        "labels shuffled",
        lambda: train(shuffled(table(load_iris)), mlp([32], Tanh, 3), Adam(0.01), epochs=20, batch_size=16),
    ),
    "shuffled numbers": (
        "labels shuffled",
        lambda: train(shuffled(diabetes()), mlp([8], ReLU, 1), SGD(0.01), "mean_squared_error"),
    ),
    "shuffled, learned by heart": (
        "labels shuffled",
        lambda: train_a_part(
            shuffled(noise()), 200, mlp([128], ReLU, 2), Adam(0.01), epochs=60, batch_size=16
        ),
    ),
    "equal weights": (
        "symmetric weights",
        lambda: train(
            digits(), mlp([16, 16], Tanh, 10, Constant(0.1), weights_initializer=Constant(0.1)), Adam(0.01)
        ),
    ),
    "weights of zero": (
        "symmetric weights",
        lambda: train(moons(), mlp([16], ReLU, 2, "zeros", weights_initializer="zeros"), Adam(0.01)),
    ),
    "three epochs": (
        "not trained long enough",
        lambda: train(digits(), mlp([32], ReLU, 10), SGD(0.01), epochs=3),
    ),
    "a line through four squares": (
        "underfitting",
        lambda: train(squares(), mlp([], ReLU, 2), SGD(0.1), epochs=30),
    ),
    "too many units, too few patients": (
        "overfitting",
        lambda: train_a_part(
            diabetes(), 120, mlp([128, 128], ReLU, 1), Adam(0.003), "mean_squared_error", epochs=80
        ),
    ),
}  # fmt: skip

SOUND = {
    "digits": lambda: train(digits(), mlp([64], ReLU, 10), Adam(0.003), epochs=15),
    "digits, descent": lambda: train(digits(), mlp([64, 32], Tanh, 10), SGD(0.1, momentum=0.9)),
    "digits, sigmoids": lambda: train(digits(), mlp([64], Sigmoid, 10), SGD(0.5, momentum=0.9), epochs=20),
    "digits, deep and normalized": lambda: train(
        digits(), mlp([48] * 8, Sigmoid, 10, normalize=True), Adam(0.003), epochs=15
    ),
    "digits, deep and rectified": lambda: train(
        digits(), mlp([48] * 8, ReLU, 10, weights_initializer="he_normal"), Adam(0.001), epochs=15
    ),
    "digits, residual, zeros to begin with": lambda: train(
        digits(),
        Sequential([Dense(32), *(Residual(mlp([32], ReLU, 32, "zeros")) for _ in range(3)), Dense(10)]),
        Adam(0.003),
        epochs=15,
    ),
    "digits, validated": lambda: train_a_part(digits(), 700, mlp([64], ReLU, 10), Adam(0.003)),
    "digits, smoothed labels": lambda: train(
        digits(), mlp([64], ELU, 10), RMSProp(0.001), CrossEntropy(label_smoothing=0.1), epochs=15
    ),
    "flowers, one at a time": lambda: train(
        table(load_iris), mlp([8], Tanh, 3), SGD(0.05), batch_size=1, epochs=15
    ),
    "flowers, all at once": lambda: train(
        table(load_iris), mlp([16], ReLU, 3), Adam(0.03), batch_size=150, epochs=100
    ),
    "wine": lambda: train(
        table(load_wine), mlp([16], ReLU, 3), SGD(0.05, momentum=0.9), batch_size=16, epochs=20
    ),
    "wine, normalized by the network": lambda: train(
        load_wine(return_X_y=True),
        Sequential([BatchNorm(), Dense(16), ReLU(), Dense(3)]),
        Adam(0.01),
        batch_size=16,
        epochs=40,
    ),
    "tumours, with dropout": lambda: train(
        table(load_breast_cancer),
        Sequential([Dense(32), ReLU(), Dropout(0.3), Dense(2)]),
        AdamW(0.003),
        epochs=20,
    ),
    "patients": lambda: train(diabetes(), mlp([32], ReLU, 1), Adam(0.003), "mean_squared_error", epochs=30),
    "patients, absolute errors": lambda: train(
        diabetes(), mlp([16, 16], Tanh, 1), SGD(0.02, momentum=0.9), "huber", epochs=30
    ),
    "moons": lambda: train(moons(), mlp([16, 16], ReLU, 2), Adam(0.01), epochs=60),
    "moons, saturated once learned": lambda: train(
        moons(), mlp([8, 8], Tanh, 2), SGD(0.3, momentum=0.9), epochs=80
    ),
    "spiral": lambda: train(spiral(), mlp([32, 32], LeakyReLU, 3), Adam(0.01), epochs=80),
    "hard classes": lambda: train(
        make_classification(800, 20, n_informative=8, n_classes=3, flip_y=0.1, random_state=0),
        mlp([48], ReLU, 3),
        Adam(0.003),
        epochs=30,
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_the_fault_is_named_first(name):
    symptom, train_with_fault = FAULTY[name]
    diagnosis = diagnose(train_with_fault())
    assert not diagnosis
    assert diagnosis.findings[0].symptom == symptom, diagnosis
    consequences = {"dead ReLUs", "saturated activations", "training diverged"}
    if symptom == "training diverged":
        consequences = {"learning rate too high"}
    assert {finding.symptom for finding in diagnosis.findings[1:]} <= consequences, diagnosis
    for finding in diagnosis:
        assert any(character.isdigit() for character in finding.measurement)
        assert finding.advice.endswith(".")
        for text in (finding.symptom, finding.measurement, finding.advice):
            # What diverged may be no number, and is said to be so; no figure of the doctor's own is.
            assert not re.search(r"\bnan\b", text.replace("the loss is nan", ""))


@pytest.mark.parametrize("name", SOUND)
def test_sound_trainings_are_healthy(name):
    diagnosis = diagnose(SOUND[name]())
    assert diagnosis, diagnosis
    assert diagnosis.findings == ()
    assert str(diagnosis).startswith("Healthy: the loss went from")


# --- figures are what was measured ---


def test_figures_of_dead_units():
    net = Sequential([Dense(8), ReLU(), Dense(2)]).build(2, random_state=0)
    net[0].bias = [-99.0] * 6 + [0.0] * 2
    (finding,) = diagnose(train(moons(), net, SGD(0.1), epochs=30))
    assert finding == Finding(
        "dead ReLUs",
        "1 ReLU",
        "6 of 8 units are 0 for all 256 rows; before training 6 were.",
        "Start with a bias of 0 and 'he_normal' weights, or use LeakyReLU.",
    )


def test_figures_of_shuffled_labels():
    monitor = train(shuffled(digits()), mlp([16], ReLU, 10), Adam(0.001), epochs=5)
    (finding,) = diagnose(monitor)
    assert f"the loss ended at {monitor.losses.values()[-29:].mean():.4g}" in finding.measurement
    assert "2.302 is what the shares of 10 classes alone give" in finding.measurement
    assert f"(z-score {monitor.data_profile.z_score:.1f}; 4 would be significant)" in finding.measurement


def test_figures_of_vanishing_gradients():
    monitor = train(digits(), mlp([32] * 6, Sigmoid, 10), SGD(0.1))
    (finding,) = diagnose(monitor)
    first, last = np.median(monitor.gradient_norms[:, [0, -1]], axis=0)
    assert finding.layer == "0 Dense(32)"
    assert (
        f"the gradient norm is {last:.1g} in 12 Dense(10) and {first:.1g} in 0 Dense(32)" in finding.measurement
    )


def nearly_noise():
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 5))
    return X, X[:, 0] + 2 * random.normal(size=500)


def line_through_a_parabola():
    x = np.random.default_rng(0).normal(size=(100, 1))
    return x, x[:, 0] ** 2


@pytest.mark.parametrize(
    ("data", "widths", "rate", "options"),
    [
        (nearly_noise(), [], 0.1, {"batch_size": 500, "epochs": 500}),
        (nearly_noise(), [4], 0.1, {"batch_size": 500, "epochs": 1000}),
        (line_through_a_parabola(), [], 0.05, {"epochs": 40}),
    ],
)
def test_what_came_to_rest_at_the_noise_is_not_slow_nor_jolted(data, widths, rate, options):
    diagnosis = diagnose(train(data, mlp(widths, Tanh, 1), SGD(rate), "mean_squared_error", **options))
    wrong = {"learning rate too low", "learning rate too high", "vanishing gradients"}
    assert wrong.isdisjoint(finding.symptom for finding in diagnosis), diagnosis


@pytest.mark.parametrize(
    ("y", "n_outputs", "loss"), [(np.zeros(100, int), 2, "cross_entropy"), (np.ones(100), 1, "huber")]
)
def test_equal_targets(y, n_outputs, loss):
    diagnosis = diagnose(train((diabetes()[0][:100], y), mlp([4], ReLU, n_outputs), Adam(), loss))
    assert diagnosis.findings[0].symptom == "constant targets"


def test_a_softmax_before_the_cross_entropy():
    # Training refuses such a network before the doctor could see it.
    net = Sequential([Dense(32), ReLU(), Dense(10), Softmax()])
    with pytest.raises(ValueError, match="applies their activation itself"):
        train(digits(), net, SGD(0.1))


# Where most of the loss of guessing is left, the doctor says so whatever the reason; but it accuses neither the
# labels nor the learning rate.
def test_a_weak_signal_of_use_on_other_rows_is_not_shuffled():
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 30))
    log_odds = 0.35 * X[:, 0] + 0.2 * X[:, 1] - 0.1 * X[:, 2]
    y = (random.uniform(size=20_000) < 1 / (1 + np.exp(-log_odds))).astype(int)
    (finding,) = diagnose(
        train_a_part((X, y), 16_000, mlp([16], ReLU, 2), Adam(0.001), epochs=3, batch_size=64)
    )
    assert finding.symptom == "little was learned"


def test_a_dead_output():
    net = Sequential([Dense(16), ReLU(), Dense(1, bias_initializer=Constant(-9.0)), ReLU()])
    X, y = table(load_breast_cancer)
    finding = diagnose(train((X, 1.0 * y), net, SGD(0.01), "mean_squared_error")).findings[0]
    assert (finding.symptom, finding.layer) == ("dead ReLUs", "3 ReLU")


def test_few_layers_are_not_to_be_fewer():
    net = mlp([8], Tanh, 10, with_variance(1e-12), weights_initializer=with_variance(1e-12))
    finding = diagnose(train(digits(), net, SGD(0.01))).findings[0]
    assert finding.symptom == "vanishing gradients"
    assert "larger learning rate" in finding.advice
    assert "fewer layers" not in finding.advice


def test_what_is_left_of_the_loss_is_said_of_the_healthy_too():
    diagnosis = diagnose(train(digits(), mlp([64], ReLU, 10), Adam(0.003)))
    assert str(diagnosis).endswith("% of what the shares of 10 classes alone give.")


# --- what it makes of less ---


def test_without_targets_the_loss_alone_speaks():
    monitor = Monitor(digits()[0])
    healthy = diagnose(train(digits(), mlp([32], ReLU, 10), Adam(0.003), monitor=monitor))
    assert healthy
    assert str(healthy).endswith("; targets were not seen.")
    faulty = diagnose(train(shuffled(digits()), mlp([16], ReLU, 10), SGD(0.05), monitor=monitor))
    assert faulty.findings[0].symptom == "labels shuffled"
    assert "2.303 is -ln(1/10), the loss of guessing" in faulty.findings[0].measurement
    low = diagnose(train(digits(), mlp([16], ReLU, 10), SGD(1e-5), monitor=monitor))
    assert low.findings[0].symptom == "learning rate too low"
    vanishing = diagnose(train(digits(), mlp([32] * 6, Sigmoid, 10), SGD(0.1), monitor=monitor))
    assert vanishing.findings[0].symptom == "vanishing gradients"


def test_a_first_step_that_diverges():
    X, y = digits()
    monitor = Monitor(X, y)
    net = mlp([32] * 4, ReLU, 10, "he_normal", weights_initializer=with_variance(1e20))
    with pytest.raises(DivergenceError):
        net.fit(X.astype(np.float32), y, loss="cross_entropy", callbacks=[monitor], random_state=0)
    assert monitor.steps_done == 0
    diagnosis = diagnose(monitor)
    assert [finding.symptom for finding in diagnosis] == ["exploding gradients", "training diverged"]
    assert "after 0 steps" in str(diagnosis)


def test_an_interrupted_training_is_diagnosed_by_what_was_seen():
    class Interrupt(Callback):
        def on_batch_end(self, run):
            if run.epoch == 2 and run.batch == 5:
                raise KeyboardInterrupt

    monitor = train(digits(), mlp([32], ReLU, 10), SGD(1e-5), callbacks=[Interrupt()])
    assert monitor.history.stop_reason == "interrupted"
    assert [finding.symptom for finding in diagnose(monitor)] == ["learning rate too low"]


def test_no_more_than_all_of_the_way_is_made_in_a_quarter():
    # The loss rises before it falls, so that the last quarter makes up for more than what was won in all.
    X = np.random.default_rng(0).normal(size=(100, 2))
    monitor = train((X, X[:, 0]), Sequential([Dense(1)]), SGD(1e-3), "huber", epochs=4, batch_size=10)
    monitor.losses = BlockMeans(max_blocks=2048)
    for value in [1.0] * 10 + [1.5] * 20 + [0.8] * 10:
        monitor.losses.add(value, 10)
    evidence = Evidence(monitor)
    assert last_quarter(evidence)[0] > 1
    (finding,) = stopped_too_early(evidence)
    assert "100% of its decrease in the last quarter" in finding.measurement


def test_one_step_is_enough_for_a_diagnosis():
    diagnosis = diagnose(train(digits(), mlp([8], ReLU, 10), Adam(), epochs=1, batch_size=2000))
    assert [finding.symptom for finding in diagnosis] == ["not trained long enough"]


# --- how it shows itself, and what it refuses ---


def test_representations():
    finding = Finding("dead ReLUs", "1 ReLU", "all <b>64</b> are 0.", "Use LeakyReLU.")
    other = Finding("learning rate too high", None, "it rose.", "Less.")
    faulty, healthy = Diagnosis([finding, other], "10 steps."), Diagnosis([], "10 steps.")
    assert bool(healthy)
    assert not faulty
    assert list(faulty) == [finding, other]
    assert str(healthy) == repr(healthy) == "Healthy: 10 steps."
    assert str(faulty) == repr(faulty)
    assert str(faulty).splitlines() == [
        "2 findings: 10 steps.",
        "1. dead ReLUs, in 1 ReLU",
        "   All <b>64</b> are 0.",
        "   Use LeakyReLU.",
        "2. learning rate too high",
        "   It rose.",
        "   Less.",
    ]
    assert "&lt;b&gt;64&lt;/b&gt;" in faulty._repr_html_()
    assert "<strong>Healthy</strong>" in healthy._repr_html_()
    assert str(finding) == "dead ReLUs, in 1 ReLU: all <b>64</b> are 0. Use LeakyReLU."
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.symptom = "none"


def test_a_monitor_that_saw_nothing_is_refused():
    with pytest.raises(ValueError, match="has recorded no training step"):
        diagnose(Monitor())
    with pytest.raises(TypeError, match="diagnose expects the Monitor"):
        diagnose("monitor")


def test_a_network_that_cannot_bend_is_told_so_on_few_rows():
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    findings = diagnose(train((X, y), Sequential([Dense(2)]), SGD(0.5), epochs=300)).findings
    assert [finding.symptom for finding in findings] == ["nothing was learned"]
    assert "hidden layer with an activation" in findings[0].advice


@pytest.mark.parametrize("first", [[BatchNorm()], [Dropout(0.1), BatchNorm()], [Identity(), BatchNorm()]])
def test_a_batch_norm_scales_inputs(first):
    X, y = load_wine(return_X_y=True)
    net = Sequential([*first, Dense(16), ReLU(), Dense(3)])
    diagnosis = diagnose(train((X, y), net, Adam(0.003), epochs=40))
    assert "inputs not scaled" not in [finding.symptom for finding in diagnosis]


def test_a_norm_of_rows_does_not_scale_features():
    X, y = load_wine(return_X_y=True)
    diagnosis = diagnose(train((X, y), Sequential([LayerNorm(), Dense(16), ReLU(), Dense(3)]), Adam(0.003)))
    assert diagnosis.findings[0].symptom == "inputs not scaled"
