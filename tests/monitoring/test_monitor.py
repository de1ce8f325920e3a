"""The monitor: it sees what the optimizer saw, keeps little, and changes nothing."""

import math
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Callback,
    Concat,
    CrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    HingeLoss,
    Identity,
    Layer,
    MeanAbsoluteError,
    MeanSquaredError,
    MLPClassifier,
    PoissonLoss,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)
from layernet.engine.choice import has_numba
from layernet.monitoring.activations import summarize_activations
from layernet.monitoring.data_profile import baseline_loss, permutation_test
from layernet.monitoring.diagnosis import diagnose
from layernet.monitoring.monitor import Monitor
from layernet.monitoring.plot import shares_in, spread
from layernet.monitoring.record import MAX_RECORDED_STEPS, MAX_SNAPSHOTS, BlockMeans
from layernet.monitoring.symptoms.progress import MIN_Z_SCORE
from layernet.monitoring.watched_layers import named_layers, norm_of

pytestmark = pytest.mark.slow

ENGINES = [
    "formulas",
    pytest.param("compiled", marks=pytest.mark.skipif(not has_numba(), reason="Numba is not installed")),
]
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((150, 6))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def network():
    inner = Sequential([Dense(8), Tanh(), Dropout(0.2), Dense(8)])
    return Sequential(
        [Dense(8), BatchNorm(), ReLU(), Residual(inner), Concat([Sigmoid(), Identity()]), Dense(3)]
    )


def watch(net, *, X=X, y=Y, monitor=None, loss="cross_entropy", **options):
    monitor = Monitor(X, y) if monitor is None else monitor
    options = {"epochs": 3, "batch_size": 16, "random_state": 0, **options}
    net.fit(X, y, loss=loss, callbacks=[monitor, *options.pop("callbacks", [])], **options)
    return monitor


class Double(Layer):
    """A layer of somebody, without a kernel, that keeps a note in training."""

    def forward_pass(self, inputs):
        return 2 * inputs

    def backward_pass(self, inputs, grad_output):
        return 2 * grad_output


class Rustle(Layer):
    """A layer of somebody that draws from a generator of its own, and counts in place."""

    def __init__(self):
        super().__init__()
        self.random, self.count = np.random.default_rng(0), np.zeros(1)

    def forward_pass(self, inputs):
        self.count += 1
        return inputs + self.random.normal(size=inputs.shape) if self.training else inputs

    def backward_pass(self, inputs, grad_output):
        return grad_output


class Diary(SGD):
    """A descent that writes down what it is given, and what it makes of it."""

    def __init__(self):
        super().__init__(0.1, momentum=0.5, clip_norm=0.2, weight_decay=0.01)
        self.pages = []

    def step(self, parameters, gradients, decay_mask=None):
        before = parameters.copy()
        super().step(parameters, gradients, decay_mask)
        self.pages.append((before, gradients.copy(), parameters - before))


# --- it changes nothing ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "make",
    [
        network,
        lambda: Sequential([Double(), Dense(5), Double(), ReLU(), Dense(3)]),
        lambda: Sequential([Dense(5), Rustle(), ReLU(), Dense(3)]),
    ],
)
def test_training_is_the_same_to_the_last_bit(engine, dtype, make):
    alone, watched = make(), make()
    options = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 3, "batch_size": 16, "random_state": 0}
    options |= {"validation_data": (X[:20].astype(dtype), Y[:20]), "engine": engine}
    history = alone.fit(X.astype(dtype), Y, **options)
    monitor = Monitor(X, Y, every=2)
    seen = watched.fit(X.astype(dtype), Y, callbacks=[monitor], **options)
    assert len(monitor.steps) > 10
    assert np.array_equal(watched.parameter_vector, alone.parameter_vector)
    assert seen["loss"] == history["loss"]
    assert seen["val_loss"] == history["val_loss"]
    assert watched.state().keys() == alone.state().keys()
    for name, value in alone.state().items():
        assert np.array_equal(watched.state()[name], value), name


def test_a_look_leaves_nothing_on_the_layers():
    net = Sequential([network(), Rustle()]).build(6, random_state=0)
    before, count = [(layer, dict(vars(layer))) for layer in net.walk()], net[1].count.copy()
    outputs, samples = summarize_activations(net, X)
    for layer, attributes in before:
        assert vars(layer) == attributes
    assert net[1].count == count
    assert outputs.shape == (150, 3)
    assert next(iter(samples)) == "0.0 Dense(8)"
    assert list(samples)[-2:] == ["0.5 Dense(3)", "1 Rustle"]
    with pytest.raises(ValueError, match="expects inputs of shape"):
        summarize_activations(net, X[:, :2])
    assert all(vars(layer) == attributes for layer, attributes in before)


# --- it sees what was done ---


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_and_updates_are_those_of_the_optimizer(engine):
    diary = Diary()
    net = network()
    monitor = watch(net, optimizer=diary, engine=engine, monitor=Monitor(X, Y, every=3))
    assert monitor.layers == [
        "0 Dense(8)", "1 BatchNorm", "3.0.0 Dense(8)", "3.0.3 Dense(8)", "5 Dense(3)",
    ]  # fmt: skip
    assert monitor.steps.tolist() == [1, 2, 4, 7, 8, 10, 13, 16, 19, 22, 25, 28]
    assert_allclose(monitor.epochs, (monitor.steps - 1) / 10)
    size = net.parameter_vector.size
    # The weights of the first layer come first, and those of the last end before its bias.
    places = {0: slice(0, 48), -1: slice(size - 3 - 48, size - 3)}
    for row, step in enumerate(monitor.steps):
        before, gradients, update = diary.pages[step - 1]
        for layer, place in places.items():
            assert_allclose(monitor.gradient_norms[row, layer], np.linalg.norm(gradients[place]), rtol=1e-12)
            assert_allclose(monitor.weight_norms[row, layer], np.linalg.norm(before[place]), rtol=1e-12)
            assert_allclose(monitor.update_norms[row, layer], np.linalg.norm(update[place]), rtol=1e-9)
    assert_allclose(monitor.update_ratios, monitor.update_norms / monitor.weight_norms)
    # Nothing of a normalization decays, so all of it counts: gamma and beta, 8 ones and 8 zeros.
    assert_allclose(monitor.weight_norms[0, 1], np.sqrt(8))


def test_an_epoch_that_begins_elsewhere_is_no_update():
    class Shift(Callback):
        def on_epoch_end(self, run):
            run.network.parameter_vector[:] += 1.0

    net = Sequential([Dense(3)])
    monitor = watch(net, optimizer=SGD(1e-9), monitor=Monitor(every=1), callbacks=[Shift()])
    assert monitor.update_ratios.max() < 1e-6


def test_losses_are_those_of_the_steps():
    losses = []

    class Listen(Callback):
        def on_batch_end(self, run):
            losses.append(run.batch_loss)

    monitor = watch(network(), callbacks=[Listen()])
    assert monitor.steps_done == len(losses) == 30
    assert_allclose(monitor.losses.values(), losses)
    assert len(monitor.history["loss"]) == 3


def test_what_activations_are():
    net = Sequential([Dense(4), ReLU(), Dense(2), Sigmoid(), Dense(3)]).build(6, random_state=0)
    net[0].bias = [0.0, -100.0, 0.0, -100.0]  # two units are dead
    net[2].weights = 0 * net[2].weights
    net[2].bias = [50.0, 0.0]  # one unit is saturated for all rows, the other for none
    monitor = watch(net, optimizer=SGD(0.0), epochs=2)
    assert [snapshot.epoch for snapshot in monitor.snapshots] == [0, 1, 2]
    first = monitor.snapshots[0].outputs
    assert list(first) == ["0 Dense(4)", "1 ReLU", "2 Dense(2)", "3 Sigmoid", "4 Dense(3)"]
    relu, sigmoid = first["1 ReLU"], first["3 Sigmoid"]
    assert (relu.kind, relu.n_rows, relu.n_units, relu.zero_units) == ("ReLU", 150, 4, 2)
    assert relu.saturated is None
    assert sigmoid.saturated == 0.5
    assert sigmoid.counts.sum() == 300
    assert sigmoid.counts[0] == sigmoid.counts[-1] == 150
    assert_allclose([sigmoid.mean, sigmoid.std], [0.75, 0.25])
    assert_allclose(sigmoid.edges[[0, -1]], [0.5, 1.0])
    loss = (
        CrossEntropy()
        .bind(monitor.data_profile.targets)
        .forward_pass(net.forward_pass(monitor.data_profile.inputs))
    )
    assert_allclose(monitor.snapshots[0].loss, loss)


def test_a_sigmoid_of_ones_own_counts():
    class Sigmoid(Layer):  # as in the first notebook
        def forward_pass(self, inputs):
            return 1 / (1 + np.exp(-inputs))

        def backward_pass(self, inputs, grad_output):
            s = self.forward_pass(inputs)
            return grad_output * s * (1 - s)

    monitor = watch(Sequential([Dense(4), Sigmoid(), Dense(3)]))
    assert monitor.snapshots[0].outputs["1 Sigmoid"].saturated == 0.0


def test_names():
    names = [name for name, _ in named_layers(network())]
    assert names[:4] == ["Sequential", "0 Dense(8)", "1 BatchNorm", "2 ReLU"]
    assert "3.0.2 Dropout(0.2)" in names
    assert [name for name, _ in named_layers(Dense(4, weights_initializer="zeros"))] == ["Dense(4)"]


# --- it keeps little ---


def test_what_is_kept_is_bounded():
    rows, targets = X[:4], Y[:4]
    monitor = watch(Sequential([Dense(3)]), X=rows, y=targets, epochs=700, batch_size=1, engine="formulas")
    assert monitor.steps_done == 2800
    assert MAX_RECORDED_STEPS / 2 <= len(monitor.steps) <= MAX_RECORDED_STEPS
    assert monitor.steps[0] == 1
    assert monitor.steps[-1] > 2700
    assert len(monitor.losses.values()) <= 2048
    assert MAX_SNAPSHOTS / 2 <= len(monitor.snapshots) <= MAX_SNAPSHOTS + 1
    assert monitor.snapshots[0].epoch == 0
    assert monitor.snapshots[-1].epoch == 700
    assert_allclose(monitor.losses.values().mean(), np.mean(monitor.history["loss"]), rtol=1e-9)


def test_means():
    means = BlockMeans(max_blocks=4)
    assert means.values().tolist() == []
    for value in range(11):
        means.add(float(value))
    assert means.block_length == 4
    assert means.values().tolist() == [1.5, 5.5, 9.0]


def test_a_second_training_starts_anew():
    net, monitor = Sequential([Dense(3)]), Monitor(X, Y)
    watch(net, monitor=monitor, epochs=5)
    watch(net, monitor=monitor, epochs=2)
    assert monitor.steps_done == 20
    assert [snapshot.epoch for snapshot in monitor.snapshots] == [0, 1, 2]


# --- the data ---


def test_material():
    shifted = X * [1, 1, 1, 1, 1, 100.0] + 10
    monitor = watch(Sequential([Dense(3)]), X=shifted, monitor=Monitor(shifted, Y))
    data_profile = monitor.data_profile
    assert len(data_profile.inputs) == len(data_profile.targets) == 150
    assert_allclose(data_profile.rms, np.sqrt((shifted**2).mean(axis=0)))
    assert_allclose(data_profile.stds, shifted.std(axis=0))
    assert (data_profile.n_classes, data_profile.target_rms) == (3, None)
    assert data_profile.z_score > 4
    shares = np.bincount(Y) / len(Y)
    assert_allclose(data_profile.baseline, -(shares * np.log(shares)).sum())


def test_without_rows_of_its_own_it_looks_at_those_of_the_training():
    monitor, given = Monitor(), Monitor(X, Y)
    weights = np.arange(150.0)
    net = Sequential([Dense(3)])
    net.fit(X, Y, loss="cross_entropy", epochs=1, sample_weight=weights, callbacks=[monitor, given])
    assert np.array_equal(monitor.data_profile.inputs, given.data_profile.inputs)
    assert np.array_equal(monitor.data_profile.targets, given.data_profile.targets)
    shares = np.bincount(Y, weights) / weights.sum()
    assert_allclose(monitor.data_profile.baseline, -(shares * np.log(shares)).sum())


@pytest.mark.parametrize(
    ("loss", "targets", "expected"),
    [
        (CrossEntropy(), [0, 1, 2, 3], math.log(4)),
        (CrossEntropy(), [[0.5, 0.5], [1.0, 0.0]], -0.75 * math.log(0.75) - 0.25 * math.log(0.25)),
        (CrossEntropy(class_weight={0: 3}), [0, 1, 1, 1], math.log(2)),
        (BinaryCrossEntropy(), [0, 0, 0, 1], -0.75 * math.log(0.75) - 0.25 * math.log(0.25)),
        (BinaryCrossEntropy(pos_weight=3), [0, 0, 0, 1], 1.5 * math.log(2)),
        (HingeLoss(), [0, 1, 1], 2 / 3),
        (MeanSquaredError(), [1.0, 5.0, 9.0], 32 / 3),
        (MeanAbsoluteError(), [0.0, 1.0, 11.0], 11 / 3),
        (PoissonLoss(), [1, 3, 5], 3 - 3 * math.log(3)),
    ],
)
def test_the_loss_of_constant_outputs(loss, targets, expected):
    n_outputs = 4 if targets == [0, 1, 2, 3] else 2 if isinstance(loss, (CrossEntropy, HingeLoss)) else 1
    prepared = loss.prepare(np.array(targets), (n_outputs,), np.dtype(float))
    found = baseline_loss(loss, prepared, loss.sample_weights(prepared, None), (n_outputs,))
    assert_allclose(found, expected)


@pytest.mark.parametrize("kind", ["normal", "classes", "log-normal"])
def test_a_signal_by_chance_is_rare(kind):
    random = np.random.default_rng(0)
    draw = {
        "normal": lambda: random.normal(size=(120, 1)),
        "classes": lambda: np.eye(2)[random.integers(0, 2, 120)],
        "log-normal": lambda: np.exp(random.normal(size=(120, 1))),
    }[kind]
    signals = np.array([permutation_test(random.normal(size=(120, 6)), draw())[1] for _ in range(400)])
    assert np.mean(signals > MIN_Z_SCORE) < 0.04


def test_a_signal_is_told_from_none():
    random = np.random.default_rng(3)
    points = random.normal(size=(300, 4))
    straight, bent = points[:, :1], np.sign(points[:, :1] * points[:, 1:2])
    assert permutation_test(points, straight)[1] > 10
    assert permutation_test(points, bent)[1] > 4
    for _ in range(20):
        assert permutation_test(points, random.permutation(straight))[1] < 4
    assert permutation_test(points, np.ones((300, 1))) == (None, None)
    assert permutation_test(np.ones((300, 2)), straight) == (None, None)


def test_norms_at_any_size():
    vector = np.array([3.0, 4.0, 7.0])
    first = (slice(0, 2),)
    for scale in (1.0, 1e300, 1e-300):
        assert_allclose(norm_of(vector * scale, first), 5 * scale)
    assert_allclose(norm_of((vector * 1e30).astype(np.float32), first), 5e30, rtol=1e-6)
    assert norm_of(np.zeros(3), first) == 0
    assert norm_of(np.array([np.inf, 1.0, 1.0]), first) == np.inf


# --- how a training may end ---


def test_a_training_that_diverges():
    monitor = Monitor(X, X[:, :3])
    with pytest.raises(DivergenceError):
        watch(Sequential([Dense(3)]), y=X[:, :3], loss="mean_squared_error", optimizer=SGD(50.0), epochs=80,
              monitor=monitor)  # fmt: skip
    assert monitor.diverged.startswith("Training diverged in epoch")
    assert "It diverged" in repr(monitor)
    assert len(monitor.steps) > 5
    assert monitor.gradient_norms[-1, 0] > monitor.gradient_norms[0, 0]
    # Who trains again while handling the error has not diverged again.
    try:
        raise DivergenceError("an older one")
    except DivergenceError:
        watch(Sequential([Dense(3)]), y=X[:, :3], loss="mean_squared_error", monitor=monitor)
    assert monitor.diverged == ""


def test_an_interrupted_training_has_not_diverged():
    class Interrupt(Callback):
        def on_batch_end(self, run):
            raise KeyboardInterrupt

    monitor = Monitor(X, Y)
    try:
        raise DivergenceError("somebody else's")
    except DivergenceError:
        watch(Sequential([Dense(3)]), monitor=monitor, callbacks=[Interrupt()])
    assert monitor.diverged == ""
    assert monitor.steps_done == 1


def test_a_callback_that_fails_is_no_divergence():
    class Fail(Callback):
        def on_batch_end(self, run):
            raise RuntimeError("no more")

    monitor = Monitor(X, Y)
    with pytest.raises(RuntimeError):
        watch(Sequential([Dense(3)]), monitor=monitor, callbacks=[Fail()])
    assert monitor.diverged == ""
    assert len(monitor.steps) == 1


@pytest.mark.parametrize("loss", ["cross_entropy", CrossEntropy(label_smoothing=0.1)])
def test_without_targets_no_loss_is_known(loss):
    without_targets = watch(network(), monitor=Monitor(X), loss=loss)
    assert without_targets.data_profile.baseline is None
    assert without_targets.snapshots[0].loss is None


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_estimator_can_be_watched(solver):
    monitor = Monitor(X, Y > 0)
    model = MLPClassifier((5,), solver=solver, max_iter=3, callbacks=[monitor], tol=0.0, n_iter_no_change=9)
    with pytest.warns(match=r"Stochastic|iterations|limit|converge"):
        model.fit(X, Y > 0)
    assert len(monitor.snapshots) > 1
    assert (len(monitor.steps) > 0) == (solver == "adam")  # L-BFGS does no steps of batches
    if solver == "lbfgs":
        with pytest.raises(ValueError, match="L-BFGS does none: use another optimizer"):
            diagnose(monitor)


# --- how it shows itself ---


def test_representations():
    monitor = Monitor(X, Y)
    assert repr(monitor) == "Monitor: no training step was recorded"
    assert monitor._repr_html_() == repr(monitor)
    watch(network(), monitor=monitor)
    assert repr(monitor) == "Monitor: 5 layers in 12 of 30 steps, activations at 4 moments"
    page = monitor._repr_html_()
    assert page.count("<tr>") == 6
    assert "3.0.0 Dense(8)" in page
    assert len(page) < 3000


def test_plot(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    monitor = watch(network(), epochs=6)
    figure = monitor.plot()
    figure.savefig(tmp_path / "monitor.png")
    gradients, ratios, *panels = figure.axes
    assert gradients.get_yscale() == ratios.get_yscale() == "log"
    assert len(gradients.lines) == 4  # the layers with weights
    assert_allclose(gradients.lines[0].get_ydata(), monitor.gradient_norms[:, 0])
    assert {text.get_text() for text in gradients.texts} == set(monitor.layers) - {"1 BatchNorm"}
    assert [panel.get_title() for panel in panels] == ["2 ReLU", "3.0.1 Tanh", "4.0 Sigmoid"]
    _, axes = plt.subplots()
    assert monitor.plot(axes) is axes.figure
    assert len(axes.lines) == 4
    plt.close("all")


def test_plot_of_what_is_all_zero(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    net = Sequential([Dense(4, weights_initializer="zeros"), ReLU(), Dense(3, weights_initializer="zeros")])
    figure = watch(net).plot()
    figure.savefig(tmp_path / "monitor.png")
    assert {text.get_text() for text in figure.axes[0].texts} == {"0 Dense(4): 0", "2 Dense(3): 0"}
    plt.close("all")


def test_plot_where_gradients_become_exactly_zero(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")

    class Kill(Callback):
        def on_epoch_end(self, run):
            run.network[0].bias = np.full(4, -1e3)

    net = Sequential([Dense(4), ReLU(), Dense(3)])
    monitor = watch(net, monitor=Monitor(every=1), optimizer=SGD(0.1), epochs=9, callbacks=[Kill()])
    assert monitor.gradient_norms[0].min() > 0
    assert monitor.gradient_norms[-1].max() == 0
    figure = monitor.plot()
    figure.savefig(tmp_path / "monitor.png")
    gradients = figure.axes[0]
    assert gradients.get_xlim() == (0, monitor.epochs[-1])
    assert {text.get_text() for text in gradients.texts} == {"0 Dense(4): 0", "2 Dense(3): 0"}


def test_plot_needs_a_training_and_matplotlib(monkeypatch):
    monitor = Monitor()
    with pytest.raises(ValueError, match="no training step was recorded"):
        monitor.plot()
    watch(network(), monitor=monitor)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        monitor.plot()


def test_labels_keep_their_distance():
    places = spread([0.5, 0.5, 0.52, 0.0], 0.1)
    assert np.diff(sorted(places)).min() >= 0.1 - 1e-12
    assert places[3] == 0.0
    assert_allclose(np.mean(places[:3]), np.mean([0.5, 0.5, 0.52]))


def test_histograms_in_other_bins_keep_their_shares():
    shares = shares_in(np.linspace(-1, 3, 9), np.array([0.0, 1.0, 2.0]), np.array([1, 3]))
    assert_allclose(shares.sum(), 1)
    assert_allclose(shares, [0, 0, 0.125, 0.125, 0.375, 0.375, 0, 0])


# --- what it refuses ---


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"every": 2.5}, TypeError, "every must be None or a whole number, got 2.5"),
        ({"y": Y}, ValueError, "give both, or X alone"),
        ({"X": X, "y": Y[:7]}, ValueError, "X has 150 rows and y 7"),
    ],
)
def test_bad_arguments(options, error, words):
    with pytest.raises(error, match=words):
        Monitor(**options)


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        (Monitor(X[:, :2]), "expects inputs of shape"),
        (Monitor(np.where(X > 2, np.nan, X)), "X of Monitor must be finite"),
        (Monitor(X, Y + 5), "expects classes from 0 to 2"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_the_first_step(monitor, words):
    net = Sequential([Dense(3)]).build(6, random_state=0)
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match=words):
        watch(net, monitor=monitor, optimizer=Adam())
    assert np.array_equal(net.parameter_vector, before)


class Squash(Layer):
    """A bounded layer of somebody; `SquashDeclared` says where its bounds are."""

    def forward_pass(self, inputs):
        return inputs / (1 + np.abs(inputs))

    def backward_pass(self, inputs, grad_output):
        return grad_output / (1 + np.abs(inputs)) ** 2


class SquashDeclared(Squash):
    output_bounds = (-1.0, 1.0)


def test_bounds_that_a_layer_declares_are_those_of_its_summary():
    rows = np.array([[-1e6], [-1.0], [0.5], [1e6]])
    for layer in (SquashDeclared(), Tanh()):
        _, summaries = summarize_activations(Sequential([layer]).build(1), rows)
        (summary,) = summaries.values()
        assert (summary.bounds, summary.saturated) == ((-1.0, 1.0), 0.5)
    _, summaries = summarize_activations(Sequential([ReLU()]).build(1), rows)
    assert [(each.bounds, each.saturated) for each in summaries.values()] == [(None, None)]
