"""The learning-rate range test: what it tries, what it leaves alone, what it suggests."""

import copy
import math
import sys

import matplotlib
import numpy as np
import pytest
from html_page import Page

from layernet import (
    SGD,
    Adam,
    Dense,
    DivergenceError,
    Layer,
    MeanSquaredError,
    OneCycleSchedule,
    ReLU,
    RMSProp,
    Sequential,
    Tanh,
)
from layernet.training import evaluate
from layernet.training.learning_rate import LearningRateSearch, find_learning_rate, suggest

pytestmark = pytest.mark.slow

matplotlib.use("Agg")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(240, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(float)


def network():
    return Sequential([Dense(16), Tanh(), Dense(1)])


def search(net=None, X=X, y=Y, loss="binary_cross_entropy", **options):
    options = {"random_state": 0, "engine": "formulas", **options}
    return find_learning_rate(network() if net is None else net, X, y, loss, **options)


def one_weight(**options):
    """A weight w that should be 3: the loss is (w - 3)**2, and a step multiplies w - 3 by 1 - 2 rate."""
    net = Dense(1, use_bias=False, weights_initializer="zeros")
    return search(net, np.ones((8, 1)), np.full(8, 3.0), "mean_squared_error", optimizer="sgd", **options)


def test_rates_and_losses_where_they_are_known():
    found = one_weight(min_learning_rate=1e-4, max_learning_rate=0.4, steps=50)
    assert np.allclose(found.rates, np.geomspace(1e-4, 0.4, 50))
    distances = 3 * np.cumprod([1.0, *(1 - 2 * found.rates[:-1])])
    assert np.allclose(found.losses, distances**2, rtol=1e-9)
    assert found.stop_message == (
        "All learning rates were tried. The range ended before the loss rose: raise max_learning_rate."
    )


def test_the_smoothed_loss_is_a_mean_of_those_before():
    found = search(steps=100)
    for t in (0, 1, 10, len(found.losses) - 1):
        weights = 0.9 ** np.arange(t, -1, -1)
        assert np.isclose(found.smoothed[t], np.average(found.losses[: t + 1], weights=weights))


def test_it_stops_where_the_loss_blows_up_and_suggests_less():
    # The distance from 3 grows in every step whose rate is above 1.
    found = one_weight(min_learning_rate=1e-4, max_learning_rate=1e4, steps=200)
    assert 1 < found.rates[-1] < 100
    assert "rose above its start" in found.stop_message
    assert found.rates[-1] == pytest.approx(1e-4 * 1e8 ** ((len(found.rates) - 1) / 199))
    assert 0.01 < found.suggestion < 0.5
    assert found.smoothed[-1] - found.smoothed.min() > found.smoothed[0]
    assert found.smoothed[-2] - found.smoothed.min() <= found.smoothed[0]


@pytest.mark.parametrize("steps", [40, 400])
def test_the_rule_of_the_suggestion(steps):
    rates = np.geomspace(1e-4, 10, steps)
    smoothed = np.where(rates < 1, 2 - rates, rates)  # falls from 2 to 1; nine tenths are done at 0.9
    lowest_rate_after = rates[rates >= 0.9].min()
    assert rates[rates < 0.9].max() / 4 == pytest.approx(suggest(rates, smoothed), rel=2e-3)
    assert suggest(rates, smoothed) < lowest_rate_after / 4
    assert suggest(rates, rates) is None


@pytest.mark.parametrize("built", [False, True])
def test_network_and_optimizer_are_left_alone(built):
    net, optimizer = network(), Adam(OneCycleSchedule(0.01, 50))
    if built:
        net.fit(X, Y, "binary_cross_entropy", optimizer, epochs=2, random_state=0)
        parameters, gradients = net.parameter_vector.copy(), net.gradient_vector.copy()
    schedule, before = optimizer.learning_rate, copy.deepcopy(vars(optimizer))
    search(net, optimizer=optimizer, steps=40)
    assert optimizer.learning_rate is schedule
    assert optimizer.steps == before.get("steps", 0)
    assert optimizer.last_learning_rate == before.get("last_learning_rate")
    if built:
        assert np.array_equal(net.parameter_vector, parameters)
        assert np.array_equal(net.gradient_vector, gradients)
        for name, memory in before["_memory"].items():
            assert np.array_equal(optimizer.state()[name], memory)
    else:
        assert net.input_shape is None
        assert optimizer.state() == Adam(OneCycleSchedule(0.01, 50)).state()


def test_it_starts_from_the_network_as_it_is():
    net = network()
    net.fit(X, Y, "binary_cross_entropy", "adam", epochs=5, random_state=0)
    loss = evaluate(net, X, Y, loss="binary_cross_entropy")["loss"]
    found = search(net, batch_size=len(X), steps=30)
    assert np.isclose(found.losses[0], loss)
    # All batches are all the data: the losses are those of a training from there, rate by rate.
    optimizer = Adam()
    for rate, seen in zip(found.rates[:10], found.losses[:10], strict=True):
        assert np.isclose(seen, evaluate(net, X, Y, loss="binary_cross_entropy")["loss"])
        optimizer.learning_rate = rate
        net.fit(X, Y, "binary_cross_entropy", optimizer, epochs=1, batch_size=len(X))


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_trained_network_is_neither_a_fall_nor_a_blow_up(seed):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(300, 4))
    targets = inputs @ [1.0, -2.0, 0.5, 0.0] + random.normal(size=300)
    net = Dense(1)
    net.fit(inputs, targets, "mean_squared_error", "adam", epochs=100, random_state=0)
    net.parameter_vector[:] = np.linalg.lstsq(np.c_[inputs, np.ones(300)], targets, rcond=None)[0]
    found = search(net, inputs, targets, "mean_squared_error", random_state=seed)
    assert found.suggestion is None
    assert "rose above its start" in found.stop_message
    assert found.rates[-1] > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_a_flat_curve_suggests_nothing_and_asks_for_higher_rates(seed):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(300, 4)).astype(np.float32)
    found = search(network(), inputs, 1e15 * random.normal(size=300), "mean_squared_error", random_state=seed)
    assert found.suggestion is None
    assert found.stop_message.endswith("The range ended before the loss rose: raise max_learning_rate.")
    low = search(min_learning_rate=1e-8, max_learning_rate=1e-6, random_state=seed)
    assert low.suggestion is None
    assert "raise max_learning_rate" in low.stop_message


def test_a_suggestion_lies_in_the_range():
    assert suggest(np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 0.9])) == 1.0
    assert suggest(np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.5, 2.0]), noise=1.1) is None


def test_an_unbuilt_network_gets_the_parameters_that_fit_would_draw():
    found = search(batch_size=len(X), steps=20)
    built = network().build(2, random_state=0)
    assert np.isclose(found.losses[0], evaluate(built, X, Y, loss="binary_cross_entropy")["loss"])


def test_the_same_random_state_finds_the_same():
    first, second, other = (search(random_state=seed, steps=60) for seed in (1, 1, 2))
    assert np.array_equal(first.losses, second.losses)
    assert first.suggestion == second.suggestion
    assert not np.array_equal(first.losses[:20], other.losses[:20])


@pytest.mark.parametrize(
    "optimizer", [SGD(), SGD(momentum=0.9), Adam(), RMSProp()], ids=["sgd", "momentum", "adam", "rmsprop"]
)
def test_the_suggestion_trains_well(optimizer):
    found = search(optimizer=optimizer)
    losses = []
    for rate in (found.suggestion / 100, found.suggestion, found.suggestion * 1000):
        net, mine = network(), copy.deepcopy(optimizer)
        mine.learning_rate = rate
        try:
            net.fit(X, Y, "binary_cross_entropy", mine, epochs=20, random_state=1)
            losses.append(evaluate(net, X, Y, loss="binary_cross_entropy")["loss"])
        except DivergenceError:
            losses.append(math.inf)
    slow, right, fast = losses
    assert right < 0.35 < 0.5 < min(slow, fast)


class Breaks(MeanSquaredError):
    """Is no number any more after some steps."""

    def __init__(self, after):
        self.after = after
        self.calls = 0

    def record(self, outputs, targets):
        self.calls += 1
        losses, record = super().record(outputs, targets)
        return losses + (math.nan if self.calls > self.after else 0), record


def test_a_loss_that_is_not_finite_ends_the_test_and_not_the_program():
    found = search(loss=Breaks(after=25), steps=50)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 25
    assert found.stop_message == "The loss or a gradient was not finite."
    assert found.rates[-1] == pytest.approx(1e-6 * 1e7 ** (24 / 49))
    with pytest.raises(DivergenceError):
        search(loss=Breaks(after=0))


def test_no_suggestion_where_the_loss_never_falls():
    found = search(Dense(1, weights_initializer="zeros"), X, np.zeros(len(X)), "mean_squared_error", steps=20)
    assert found.suggestion is None
    assert "none, the loss never fell" in repr(found)
    assert "never fell" in found._repr_html_()
    assert len(found.plot().axes[0].lines) == 2


class Counts(Layer):
    """Lets everything pass, and writes down which rows."""

    rows = []

    def forward_pass(self, inputs):
        Counts.rows.append(inputs[:, 0].copy())
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


def test_of_large_data_only_what_is_needed_is_seen():
    many = np.arange(5000.0)[:, None] / 5000
    Counts.rows.clear()
    net = Sequential([Counts(), Dense(1)])
    found = search(net, many, many[:, 0], "mean_squared_error", steps=20, batch_size=10, max_learning_rate=0.01)
    seen = np.concatenate([rows for rows in Counts.rows if len(rows) == 10])
    assert len(found.rates) == 20
    assert len(seen) == len(np.unique(seen)) == 200
    assert seen.max() - seen.min() > 0.8  # from everywhere


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"min_learning_rate": 1.0, "max_learning_rate": 0.1},
            "min_learning_rate must be less than max_learning_rate, got 1.0 and 0.1",
        ),
        (
            {"min_learning_rate": 0.1, "max_learning_rate": 0.1},
            "min_learning_rate must be less than max_learning_rate",
        ),
        ({"min_learning_rate": 0}, "min_learning_rate must be a number greater than 0, got 0"),
        ({"min_learning_rate": "small"}, "min_learning_rate must be a number"),
        ({"max_learning_rate": math.inf}, "max_learning_rate must be a number"),
        ({"max_learning_rate": math.nan}, "max_learning_rate must be a number"),
        ({"steps": 19}, "steps must be at least 20, got 19"),
        ({"steps": 40.5}, "steps must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"loss": "unknown"}, "is not known"),
        ({"optimizer": "unknown"}, "is not known"),
        ({"engine": "steam"}, "engine must be one of"),
        ({"y": None}, "one target for each sample, got None"),
        ({"y": 1.0}, "one target for each sample, got 1.0"),
        ({"y": Y[:-1]}, "y must have one target for each"),
        ({"X": X[:0], "y": Y[:0]}, "at least one sample"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(options, said):
    net = network()
    with pytest.raises(ValueError, match=said):
        search(net, **options)
    assert net.input_shape is None


@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array"])
def test_sparse_data_give_what_they_give_in_dense_form(form):
    sparse = pytest.importorskip("scipy.sparse")
    few = np.where(np.abs(X) > 1, X, 0)
    of_sparse, of_dense = search(X=getattr(sparse, form)(few)), search(X=few)
    np.testing.assert_allclose(of_sparse.losses, of_dense.losses, rtol=1e-9)
    assert of_sparse.suggestion == of_dense.suggestion


def test_what_it_says_of_itself():
    found = search()
    assert repr(found) == (
        f"LearningRateSearch: suggestion {found.suggestion:.2g}; "
        f"tried 1e-06 to {found.rates[-1]:.2g} in {len(found.rates)} steps"
    )
    page = Page.read(found._repr_html_())
    assert len(page.all("tr")) == 3
    assert f"{found.suggestion:.3g}" in page.text
    assert found.stop_message in page.text


def test_plot():
    import matplotlib.pyplot as plt

    found = search()
    figure = found.plot()
    (axes,) = figure.axes
    raw, smoothed, suggestion = axes.lines
    assert axes.get_xscale() == "log"
    assert np.array_equal(raw.get_xdata(), found.rates)
    assert np.array_equal(raw.get_ydata(), found.losses)
    assert np.array_equal(smoothed.get_ydata(), found.smoothed)
    assert suggestion.get_xdata()[0] == found.suggestion
    own, place = plt.subplots()
    assert found.plot(axes=place) is own
    plt.close("all")


@pytest.mark.parametrize(
    ("losses", "smoothed", "limits"),
    [
        ([4.0, 3.0, 9.0], [4.0, 3.5, 5.0], (2.9, 4.4)),  # the rise at the end is not in the range
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0], (1.8, 2.8)),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], (-0.1, 0.4)),
    ],
)
def test_the_range_of_the_plot(losses, smoothed, limits):
    import matplotlib.pyplot as plt

    found = LearningRateSearch(np.array([0.1, 0.2, 0.4]), np.array(losses), np.array(smoothed), 0.05, "Done.")
    figure = found.plot()
    assert figure.axes[0].get_ylim() == pytest.approx(limits)
    assert figure.get_size_inches().tolist() == [6, 3.5]
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["each batch", "smoothed", "suggestion: 0.05"]
    plt.close("all")


def test_the_text_of_a_search():
    rates, losses = np.array([0.123456, 0.2, 0.456789]), np.array([4.0, 3.0, 9.0])
    found = LearningRateSearch(rates, losses, np.array([4.0, 3.54321, 5.0]), 0.0123456, "Done.")
    assert repr(found) == "LearningRateSearch: suggestion 0.012; tried 0.12 to 0.46 in 3 steps"
    text = Page.read(found._repr_html_()).text
    assert "0.0123" in text
    assert "0.123 to 0.457, in 3 steps" in text
    assert "4 at first, 3.54 at its lowest, where the rate was 0.2" in text


def test_plotting_without_matplotlib_names_the_pip_command(monkeypatch):
    found = search(steps=20)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        found.plot()


def test_deep_networks_and_several_classes():
    net = Sequential([Dense(16), ReLU(), Dense(16), ReLU(), Dense(4)])
    classes = (X[:, 0] > 0) + 2 * (X[:, 1] > 0)
    found = search(net, X.astype(np.float32), classes, "cross_entropy")
    assert 1e-4 < found.suggestion < 1
