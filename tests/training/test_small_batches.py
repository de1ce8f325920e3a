"""A small batch counts less than a large one: in running averages, averaged weights, losses and metrics."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_regression

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Dense,
    Flatten,
    Identity,
    MeanSquaredError,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Reshape,
    Sequential,
    find_learning_rate,
)
from layernet.engine.choice import has_numba
from layernet.training import batches
from layernet.training.averaging import WeightAverage

pytestmark = pytest.mark.slow

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]
RANDOM = np.random.default_rng(0)
X = 3 + 2 * RANDOM.standard_normal((65, 4))
Y = X[:, 0] - X[:, 1]


def layers():
    return [Dense(6), BatchNorm(), ReLU(), Dense(1)]


def normalized_estimators(**options):
    """All estimators, each with a network that has a BatchNorm."""
    options = {"random_state": 0, **options}
    mlp = {"hidden_layer_sizes": (6,), "normalization": "batch", **options}
    network = Sequential(layers())
    return [
        MLPClassifier(**mlp),
        MLPRegressor(**mlp),
        NetworkClassifier(copy.deepcopy(network), **options),
        NetworkRegressor(copy.deepcopy(network), **options),
    ]


def targets_for(estimator, y):
    return (y > 0).astype(int) if "Classifier" in type(estimator).__name__ else y


# --- the running averages ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("n", "expected"), [(200, 0.868), (201, 0.868), (203, 0.868), (400, 0.933), (401, 0.933)]
)
def test_a_small_last_batch_does_not_spoil_the_averages(n, expected, engine):
    inputs, targets = make_regression(n_samples=n + 1000, n_features=10, noise=1, random_state=0)
    targets /= targets.std()
    regressor = MLPRegressor(
        hidden_layer_sizes=(50, 50), normalization="batch", random_state=0, max_iter=100,
        n_iter_no_change=np.inf, engine=engine,
    )  # fmt: skip
    with pytest.warns(match="Maximum iterations"):
        regressor.fit(inputs[:n], targets[:n])
    # Steps on other batches lead to other weights, which cost up to 0.06: with the exact averages of all rows
    # R2 is the same to 0.004.
    assert regressor.score(inputs[n:], targets[n:]) > expected - 0.07


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unowned_segments", [1, 2, 3])
@pytest.mark.parametrize("index", range(4))
def test_the_averages_are_those_of_all_rows_in_every_estimator(index, unowned_segments, engine):
    estimator = normalized_estimators(batch_size=16, max_iter=60, n_iter_no_change=np.inf, engine=engine)[index]
    rows = slice(48 + unowned_segments)
    with pytest.warns(match="Maximum iterations"):
        estimator.fit(X[rows], targets_for(estimator, Y)[rows])
    dense, norm = estimator.network_[:2]
    hidden = dense.forward_pass(X[rows])
    # The averages store_state some ten batches of 16, each of which scatters by a quarter of the deviation.
    assert_allclose(norm.running_mean, hidden.mean(axis=0), atol=0.25 * hidden.std(axis=0).max())
    assert_allclose(norm.running_variance, hidden.var(axis=0), rtol=0.3)


def moves_of_averages(n_rows_of_each, weights=None, mean_weight=None, full_rows=None, shape=(2,), momentum=0.9):
    """The averages after some batches by hand, and their own statistics."""
    norm = BatchNorm(momentum).build(shape)
    random = np.random.default_rng(0)
    seen = []
    for index, n_rows in enumerate(n_rows_of_each):
        batch = 5 + random.standard_normal((n_rows, *shape))
        with norm.training_mode():
            norm.batch_full_rows, norm.batch_mean_weight = full_rows, mean_weight
            norm.batch_weights = None if weights is None else weights[index]
            norm.forward_pass(batch)
            norm.end_step()
        axes = tuple(range(batch.ndim - 1))
        weight = None if weights is None else weights[index]
        mean = np.average(batch, axis=axes, weights=weight) if len(shape) == 1 else batch.mean(axis=axes)
        variance = (
            np.average((batch - mean) ** 2, axis=axes, weights=weight) if len(shape) == 1 else batch.var(axes)
        )
        seen.append((mean, variance))
    return norm, seen


def test_a_batch_moves_the_averages_by_its_share_of_rows():
    norm, ((mean_1, variance_1), (mean_2, variance_2)) = moves_of_averages([10, 4])
    mean = 0.1 * mean_1
    variance = 0.9 + 0.1 * variance_1
    part = (1 - 1 / 4) / (1 - 1 / 10)
    assert_allclose(norm.running_mean, mean + 0.1 * 0.4 * (mean_2 - mean))
    assert_allclose(norm.running_variance, variance + 0.1 * 0.4 * (variance_2 - part * variance))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_one_row_moves_the_mean_by_its_share_and_the_variance_not_at_all(momentum):
    norm, ((mean_1, variance_1), (mean_2, _)) = moves_of_averages([20, 1], momentum=momentum)
    mean = (1 - momentum) * mean_1
    assert_allclose(norm.running_mean, mean + (1 - momentum) / 20 * (mean_2 - mean))
    assert_allclose(norm.running_variance, momentum + (1 - momentum) * variance_1)


def test_a_batch_counts_by_the_largest_batch_known():
    """The batch size of the training, and the largest of the last 20 batches."""
    norm, ((mean_1, _),) = moves_of_averages([4], full_rows=16)
    assert_allclose(norm.running_mean, 0.1 * 4 / 16 * mean_1)
    for n_batches, full in ((20, 8), (21, 2)):  # the last batch included
        norm, seen = moves_of_averages([8, *[2] * (n_batches - 1)])
        before, _ = moves_of_averages([8, *[2] * (n_batches - 2)])
        move = 0.1 * 2 / full
        assert_allclose(norm.running_mean, before.running_mean + move * (seen[-1][0] - before.running_mean))


def test_no_batch_moves_the_averages_beyond_its_own():
    norm, ((mean, variance),) = moves_of_averages([8], [np.full(8, 100.0)], mean_weight=1.0)
    assert_allclose(norm.running_mean, mean)
    assert_allclose(norm.running_variance, variance)


def test_one_row_may_follow_two():
    norm, ((mean_1, _), (mean_2, _)) = moves_of_averages([2, 1])
    assert_allclose(norm.running_mean, 0.1 * mean_1 + 0.05 * (mean_2 - 0.1 * mean_1))


def test_a_layer_that_does_not_know_its_last_batches_counts_from_the_next():
    """As one from a pickle of an earlier version."""
    norm = BatchNorm().build(4)
    norm._last_rows = None
    with norm.training_mode():
        norm.forward_pass(X[:16])
        norm.end_step()
        norm.forward_pass(X[16:24])
        norm.end_step()
    mean = 0.1 * X[:16].mean(axis=0)
    assert_allclose(norm.running_mean, mean + 0.05 * (X[16:24].mean(axis=0) - mean))


def test_more_axes_than_one_make_more_numbers_a_row():
    norm, ((_, variance_1), (_, variance_2)) = moves_of_averages([4, 1], shape=(3, 2))
    variance = 0.9 + 0.1 * variance_1
    part = (1 - 1 / 3) / (1 - 1 / 12)
    assert_allclose(norm.running_variance, variance + 0.1 / 4 * (variance_2 - part * variance))


def test_with_weights_the_share_is_one_of_weight():
    weights = [np.full(8, 0.5), np.full(8, 1.5)]
    norm, ((mean_1, _), (mean_2, _)) = moves_of_averages([8, 8], weights, mean_weight=1.0, full_rows=8)
    mean = 0.05 * mean_1
    assert_allclose(norm.running_mean, mean + 0.15 * (mean_2 - mean))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_without_weight_moves_no_average(engine):
    net = Sequential([BatchNorm(), Dense(1)])
    weights = np.where(np.arange(64) < 32, 1.0, 0.0)
    options = {"loss": "mean_squared_error", "epochs": 1, "shuffle": False, "batch_size": 32, "engine": engine}
    net.fit(X[:64], Y[:64], sample_weight=weights, **options)
    assert_allclose(net[0].running_mean, 0.2 * X[:32].mean(axis=0))  # the only batch with weight has all of it


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_heavier_batches_move_the_averages_further(engine, factor):
    net = Sequential([BatchNorm(), Dense(1)])
    weights = factor * np.where(np.arange(64) < 32, 0.5, 1.5)
    options = {"loss": "mean_squared_error", "epochs": 1, "shuffle": False, "batch_size": 32, "engine": engine}
    net.fit(X[:64], Y[:64], sample_weight=weights, **options)
    first, second = X[:32].mean(axis=0), X[32:64].mean(axis=0)
    assert_allclose(net[0].running_mean, 0.05 * first + 0.15 * (second - 0.05 * first))


def test_a_loop_by_hand_moves_the_averages_as_fit_does():
    fitted = Sequential(layers()).build(4, random_state=1)
    by_hand = copy.deepcopy(fitted)
    fitted.fit(
        X, Y, loss="mean_squared_error", optimizer=Adam(0.01), epochs=3, batch_size=16, random_state=7,
        engine="formulas",
    )  # fmt: skip
    random, optimizer = np.random.default_rng(7), Adam(0.01)
    for _ in range(3):
        with by_hand.training_mode():
            for rows in batches(len(X), 16, random):  # the last has one row
                loss = MeanSquaredError().bind(Y[rows])
                outputs = by_hand.forward_pass(X[rows])
                by_hand.backward_pass(X[rows], loss.backward_pass(outputs))
                optimizer.update(by_hand)
    assert np.array_equal(fitted[1].running_mean, by_hand[1].running_mean)
    assert np.array_equal(fitted[1].running_variance, by_hand[1].running_variance)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("between", [lambda estimator: estimator, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_chunk_of_one_row_after_larger_ones(between, engine):
    """Each call of partial_fit is one batch here, and the last one counts as one row."""
    regressor = MLPRegressor(hidden_layer_sizes=(6,), normalization="batch", random_state=0, engine=engine)
    for _ in range(30):
        regressor.partial_fit(X[:64], Y[:64])
    regressor = between(regressor)
    before = regressor.network_.state()
    regressor.partial_fit(X[64:], Y[64:])
    after = regressor.network_.state()
    hidden = regressor.network_[0].forward_pass(X)
    assert np.abs(after["1.running_mean"] - before["1.running_mean"]).max() < 0.1 / 64 * np.ptp(hidden) * 1.5
    assert np.array_equal(after["1.running_variance"], before["1.running_variance"])


@pytest.mark.parametrize("engine", ENGINES)
def test_smaller_batches_in_a_second_training_are_soon_full_ones(engine):
    net = Sequential([BatchNorm(), Dense(1)])
    options = {"loss": "mean_squared_error", "optimizer": SGD(1e-3), "engine": engine}
    net.fit(np.tile(X, (20, 1)), np.tile(Y, 20), batch_size=1300, epochs=3, **options)
    net.fit(X[:64] + 100, Y[:64], batch_size=16, epochs=20, **options)
    assert_allclose(net[0].running_mean, X[:64].mean(axis=0) + 100, rtol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_averages_of_grids_with_a_small_last_batch(engine):
    """One row of a grid has several numbers for each feature; by formulas in both engines."""
    net = Sequential([Reshape((4, 1)), BatchNorm(), Flatten(), Dense(1)])
    options = {"loss": "mean_squared_error", "optimizer": SGD(1e-4), "engine": engine, "random_state": 0}
    net.fit(X, Y, batch_size=16, epochs=40, **options)
    assert_allclose(net[1].running_mean, X.mean(), rtol=0.05)
    assert_allclose(net[1].running_variance, X.var(), rtol=0.15)


# --- batches of one row ---

ONE_ROW = r"BatchNorm\(\) expects batches of at least 2 rows in training, got batches of 1 row \(batch_size=1\)"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("n_rows", "batch_size"), [(65, 1), (1, 32), (1, 1)])
@pytest.mark.parametrize("inside", [lambda norm: norm, lambda norm: Sequential([Identity(), norm])])
def test_fit_refuses_batches_of_one_row(n_rows, batch_size, inside, engine):
    net = Sequential([Dense(6), inside(BatchNorm()), Dense(1)])
    with pytest.raises(ValueError, match=ONE_ROW):
        net.fit(X[:n_rows], Y[:n_rows], loss="mean_squared_error", batch_size=batch_size, engine=engine)
    assert all(layer.input_shape is None for layer in net.walk())


@pytest.mark.parametrize("index", range(4))
def test_estimators_refuse_batches_of_one_row(index):
    estimator = normalized_estimators(batch_size=1)[index]
    with pytest.raises(ValueError, match=ONE_ROW):
        estimator.fit(X, targets_for(estimator, Y))
    estimator = normalized_estimators()[index]
    classes = {"classes": [0, 1]} if "Classifier" in type(estimator).__name__ else {}
    with pytest.raises(ValueError, match=ONE_ROW):
        estimator.partial_fit(X[:1], targets_for(estimator, Y)[:1], **classes)
    assert not hasattr(estimator, "network_")


def test_a_loop_by_hand_over_single_rows_is_refused():
    net = Sequential(layers()).build(4, random_state=0)
    optimizer = SGD(0.01)
    with net.training_mode():
        net.backward_pass(X[:1], np.ones((1, 1)))
        with pytest.raises(ValueError, match=ONE_ROW):
            optimizer.update(net)


def test_single_rows_of_several_positions_are_trained_on():
    net = Sequential([Reshape((4, 1)), BatchNorm(), Flatten(), Dense(1)])
    history = net.fit(
        X, Y, loss="mean_squared_error", batch_size=1, epochs=3, optimizer=Adam(0.01), random_state=0
    )
    assert history["loss"][-1] < history["loss"][0]


# --- other places where batches are averaged ---


def test_a_step_counts_in_the_averaged_weights_by_its_rows():
    net = Dense(1, use_bias=False).build(1)
    net.weights = [[0.0]]
    average = WeightAverage(0.5)
    average.begin(net)
    expected, time = 0.0, 0.0
    for n_rows, full, weight in [(10, 10, 1.0), (5, 10, 4.0), (20, 10, -2.0), (1, 1, 3.0)]:
        share = n_rows / max(full, 20 if n_rows == 1 else n_rows)
        time += share
        expected += share * (1 - min(0.5, time / (time + 9))) * (weight - expected)
        average.add(np.array([weight]), n_rows, full)
    assert_allclose(average.average, [expected])


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_and_metrics_of_an_epoch_are_means_over_rows(engine):
    """With steps of size 0 each row has the loss of the network as it is, in whatever batch it stands."""
    net = Sequential([Dense(1)]).build(4, random_state=0)
    errors = (net.forward_pass(X)[:, 0] - Y) ** 2

    def squares(targets, outputs):
        return ((targets - outputs) ** 2).mean()

    history = net.fit(
        X,
        Y,
        loss="mean_squared_error",
        optimizer=SGD(0.0),
        epochs=1,
        batch_size=16,
        metrics=squares,
        engine=engine,
    )
    assert_allclose([history["loss"][0], history["squares"][0]], errors.mean())


@pytest.mark.parametrize("engine", ENGINES)
def test_callbacks_are_told_how_many_rows_a_batch_had(engine):
    class Note(Callback):
        def on_batch_end(self, run):
            self.rows = [*getattr(self, "rows", []), run.batch_rows]

    note = Note()
    Dense(1).fit(X, Y, loss="mean_squared_error", epochs=1, batch_size=30, callbacks=[note], engine=engine)
    assert note.rows == [30, 30, 5]


def test_the_search_for_a_learning_rate_sees_full_batches_only():
    seen = []

    class Noted(MeanSquaredError):
        def losses(self, outputs, targets):
            seen.append(len(outputs))
            return super().losses(outputs, targets)

        def gradient(self, outputs, targets):
            return super().gradient(outputs, targets)

    found = find_learning_rate(Dense(1), X, Y, Noted(), optimizer="sgd", steps=40, batch_size=16)
    assert set(seen) == {16}
    assert len(found.losses) <= 40
