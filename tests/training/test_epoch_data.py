"""Data that change while a network trains: a function that returns those of an epoch, and callbacks."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Dense,
    Dropout,
    Flatten,
    NetworkClassifier,
    ReLU,
    Sequential,
)
from layernet.engine.choice import has_numba

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((64, 5))
Y = RANDOM.integers(0, 3, 64)
NUMBERS = RANDOM.standard_normal((64, 2))
WEIGHTS = RANDOM.uniform(0.5, 2, 64)


def network():
    return Sequential([Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)]).build(5, random_state=1)


def assert_same_networks(found, expected):
    # A bias in front of BatchNorm has no gradient but rounding.
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-9, atol=1e-11)
    for name, value in expected.state().items():
        assert_allclose(found.state()[name], value, rtol=1e-9, err_msg=name)


# --- a function of the epoch ---


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("with_weights", [False, True])
def test_each_epoch_is_trained_on_the_data_that_the_function_returns(with_weights, engine):
    """Equal to a training of one epoch after the other."""

    def of_epoch(epoch, random):
        rows = np.arange(0, 64, epoch)  # ever fewer
        data = X[rows] + epoch, Y[rows]
        return (*data, WEIGHTS[rows] * epoch) if with_weights else data

    options = {"loss": "cross_entropy", "batch_size": 16, "shuffle": False, "engine": engine}
    found, expected = network(), network()
    optimizer = SGD(0.1, momentum=0.9)
    history = found.fit(of_epoch, optimizer=SGD(0.1, momentum=0.9), epochs=4, **options)
    for epoch in range(1, 5):
        inputs, targets, *weights = of_epoch(epoch, None)
        sample_weight = weights[0] if weights else None
        one = expected.fit(
            inputs, targets, optimizer=optimizer, epochs=1, sample_weight=sample_weight, **options
        )
        assert_allclose(history["loss"][epoch - 1], one["loss"][0], rtol=1e-9)
    assert_same_networks(found, expected)


def noisy(epoch, random):
    rows = random.choice(64, size=int(random.integers(20, 60)), replace=True)
    return X[rows] + 0.1 * random.standard_normal((len(rows), 5)), Y[rows]


@pytest.mark.parametrize("callbacks", [(), "every batch"])
def test_both_engines_draw_the_same_data(callbacks):
    class Look(Callback):
        def on_batch_end(self, run):
            pass

    callbacks = [Look()] if callbacks else ()
    options = {
        "loss": "cross_entropy",
        "epochs": 5,
        "batch_size": 16,
        "random_state": 3,
        "callbacks": callbacks,
    }
    nets = [network() for _ in ENGINES]
    for net, engine in zip(nets, ENGINES, strict=True):
        net.fit(noisy, optimizer=SGD(0.1), engine=engine, **options)
    assert_same_networks(nets[-1], nets[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_gives_the_same_numbers(engine):
    found = []
    for seed in (3, 3, 4):
        net = Sequential([Dense(8), ReLU(), Dense(3)])
        net.fit(noisy, loss="cross_entropy", epochs=3, random_state=seed, engine=engine)
        found.append(net.parameter_vector)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_what_the_function_draws_does_not_change_the_order_of_the_rows():
    orders = []

    class Note(Callback):
        def on_batch_end(self, run):
            orders[-1].append(run.order.copy())

    for draws in (0, 100):
        orders.append([])

        def of_epoch(epoch, random, draws=draws):
            random.standard_normal(draws)
            return X, Y

        network().fit(of_epoch, loss="cross_entropy", epochs=2, random_state=0, callbacks=[Note()])
    assert np.array_equal(orders[0], orders[1])


def test_a_function_that_returns_the_same_data_is_training_on_them():
    found, expected = network(), network()
    options = {
        "loss": "cross_entropy",
        "epochs": 3,
        "random_state": 0,
        "engine": "formulas",
        "optimizer": Adam(),
    }
    options_again = {**options, "optimizer": Adam()}
    history = found.fit(lambda epoch, random: (X, Y), **options)
    same = expected.fit(X, Y, **options_again)
    assert np.array_equal(found.parameter_vector, expected.parameter_vector)
    assert history["loss"] == same["loss"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_is_built_from_the_data_of_the_first_epoch(engine):
    net = Sequential([Flatten(), Dense(3)])
    calls = []

    def of_epoch(epoch, random):
        calls.append(epoch)
        return X.astype(np.float32).reshape(64, 5, 1), Y

    net.fit(of_epoch, loss="cross_entropy", epochs=3, engine=engine)
    assert net.input_shape == (5, 1)
    assert net.dtype == np.float32
    assert calls == [1, 2, 3]


@pytest.mark.parametrize("engine", ENGINES)
def test_callbacks_see_the_data_of_their_epoch(engine):
    class Note(Callback):
        seen = ()

        def on_epoch_begin(self, run):
            self.seen = (*self.seen, (run.epoch, float(run.data.inputs[0, 0]), run.data.n_samples))

    note = Note()
    Dense(3).fit(
        lambda epoch, random: (np.full((epoch * 10, 5), float(epoch)), Y[: epoch * 10]), loss="cross_entropy",
        epochs=3, callbacks=[note], engine=engine,
    )  # fmt: skip
    assert note.seen == ((1, 1.0, 10), (2, 2.0, 20), (3, 3.0, 30))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_function_may_return_sparse_rows(engine):
    found, expected = (Dense(3).build(5, random_state=0) for _ in range(2))
    some = X * (RANDOM.uniform(size=X.shape) > 0.7)
    options = {"loss": "cross_entropy", "epochs": 3, "shuffle": False, "engine": engine}
    found.fit(lambda epoch, random: (sparse.csr_array(some * epoch), Y), **options)
    expected.fit(lambda epoch, random: (some * epoch, Y), **options)
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-9, atol=1e-12)


def test_augmented_data_make_a_network_that_does_not_mind():
    """Rows are shifted at random: with as many epochs a network that saw them unshifted does worse."""
    random = np.random.default_rng(0)
    inputs = random.standard_normal((200, 2))
    classes = (inputs[:, 0] > 0).astype(int)
    shifted = inputs + [0, 1] * random.uniform(-20, 20, (200, 1))
    accuracies = []
    for X_or_function, y in (
        (inputs, classes),
        (lambda epoch, random: (inputs + [0, 1] * random.uniform(-20, 20, (200, 1)), classes), None),
    ):
        net = Sequential([Dense(8), ReLU(), Dense(2)])
        history = net.fit(
            X_or_function, y, loss="cross_entropy", optimizer=Adam(0.01), epochs=30, random_state=0,
            validation_data=(shifted, classes), metrics="accuracy",
        )  # fmt: skip
        accuracies.append(history["val_accuracy"][-1])
    assert accuracies[1] > accuracies[0] + 0.03


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (X, TypeError, r"X is a function, so it must return the data of epoch 1 as a tuple \(X, y\)"),
        ((X,), TypeError, "got tuple of 1"),
        ((X, Y, WEIGHTS, 1), TypeError, "got tuple of 4"),
        (None, TypeError, "got NoneType"),
        ((X, Y[:5]), ValueError, "y must have one target for each of 64 samples, got 5"),
        ((np.full((4, 5), np.nan), Y[:4]), ValueError, "X must be finite"),
        ((X, Y, -WEIGHTS), ValueError, "sample_weight must not be negative"),
        ((X[:0], Y[:0]), ValueError, "at least one sample"),
        ((X[:, :3], Y), ValueError, r"expects inputs of shape \(n_samples, 5\), got \(64, 3\)"),
    ],
)
def test_what_a_function_must_return(returned, error, message, engine):
    net = network()
    before = net.parameter_vector.copy()
    with pytest.raises(error, match=message):
        net.fit(lambda epoch, random: returned, loss="cross_entropy", engine=engine)
    assert np.array_equal(net.parameter_vector, before)
    unbuilt = Sequential([Dense(5), Dense(3)])
    if "expects inputs" not in message:
        with pytest.raises(error, match=message):
            unbuilt.fit(lambda epoch, random: returned, loss="cross_entropy", engine=engine)
        assert unbuilt.input_shape is None


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_of_a_later_epoch_says_which(engine):
    def of_epoch(epoch, random):
        return X, Y if epoch < 3 else Y + 7

    with pytest.raises(ValueError, match="classes from 0 to 2") as caught:
        network().fit(of_epoch, loss="cross_entropy", epochs=5, engine=engine)
    assert caught.value.__notes__ == ["These are the data that the function X returned for epoch 3."]


@pytest.mark.parametrize(("name", "value"), [("y", Y), ("sample_weight", WEIGHTS)])
def test_a_function_brings_its_targets_and_weights_itself(name, value):
    with pytest.raises(
        ValueError, match=f"X is a function that returns the data of an epoch, so {name} must be None"
    ):
        network().fit(lambda epoch, random: (X, Y), loss="cross_entropy", **{name: value})


@pytest.mark.parametrize("engine", ENGINES)
def test_an_epoch_of_one_row_is_refused_where_rows_are_normalized(engine):
    def of_epoch(epoch, random):
        return (X, Y) if epoch != 2 else (X[:1], Y[:1])

    net = network()
    # After larger batches one row is one row: it moves the averages by its share.
    net.fit(of_epoch, loss="cross_entropy", epochs=3, engine=engine)
    with pytest.raises(ValueError, match="expects batches of at least 2 rows"):
        network().fit(lambda epoch, random: (X[:1], Y[:1]), loss="cross_entropy", epochs=3, engine=engine)


# --- what callbacks assign to the data ---


class Replace(Callback):
    """Replaces some of the data: before every epoch, or after the second batch of each."""

    def __init__(self, in_batches=False, **arrays):
        self.in_batches, self.arrays = in_batches, arrays

    def on_epoch_begin(self, run):
        if not self.in_batches:
            self.replace(run)

    def replace(self, run):
        for name, of_epoch in self.arrays.items():
            setattr(run.data, name, of_epoch(run.epoch))


class ReplaceInBatches(Replace):
    def on_batch_end(self, run):
        if run.batch == 2:
            self.replace(run)


REPLACEMENTS = {
    "inputs": lambda epoch: np.roll(X, epoch, axis=1) + epoch,
    "targets": lambda epoch: (Y + epoch) % 3,
    "weights": lambda epoch: np.where(np.arange(64) < 16 * epoch, 0.0, WEIGHTS * epoch),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "names", [["inputs"], ["targets"], ["weights"], ["inputs", "weights", "targets"]], ids=str
)
@pytest.mark.parametrize("has_weights", [False, True])
def test_data_that_a_callback_replaces_are_trained_on(names, has_weights, engine):
    """As by a function that returns the same."""
    arrays = {name: REPLACEMENTS[name] for name in names}

    def of_epoch(epoch, random):
        defaults = {"inputs": X, "targets": Y, "weights": WEIGHTS if has_weights else None}
        found = {name: arrays[name](epoch) if name in arrays else value for name, value in defaults.items()}
        return found["inputs"], found["targets"], found["weights"]

    options = {"loss": "cross_entropy", "epochs": 3, "batch_size": 16, "random_state": 0, "engine": engine}
    found, expected = network(), network()
    history = found.fit(
        X, Y, sample_weight=WEIGHTS if has_weights else None, callbacks=[Replace(**arrays)], optimizer=SGD(0.1),
        **options,
    )  # fmt: skip
    same = expected.fit(of_epoch, optimizer=SGD(0.1), **options)
    assert_same_networks(found, expected)
    assert_allclose(history["loss"], same["loss"], rtol=1e-9)


@pytest.mark.parametrize(
    "names", [["inputs"], ["targets"], ["weights"], ["inputs", "weights", "targets"]], ids=str
)
def test_data_that_are_replaced_within_an_epoch(names):
    arrays = {name: REPLACEMENTS[name] for name in names}
    nets = []
    for engine in ENGINES:
        net = network()
        net.fit(
            X, Y, "cross_entropy", optimizer=SGD(0.1), epochs=3, batch_size=16, random_state=0, engine=engine,
            sample_weight=WEIGHTS, callbacks=[ReplaceInBatches(True, **arrays)],
        )  # fmt: skip
        nets.append(net)
    assert_same_networks(nets[-1], nets[0])
    plain = network()
    plain.fit(
        X, Y, "cross_entropy", optimizer=SGD(0.1), epochs=3, batch_size=16, random_state=0, engine="formulas",
        sample_weight=WEIGHTS,
    )  # fmt: skip
    assert np.abs(plain.parameter_vector - nets[0].parameter_vector).max() > 1e-4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("form", "convert"),
    [
        ("lists", lambda array: array.tolist()),
        ("float32", lambda array: array.astype(np.float32)),
        ("Fortran's order", np.asfortranarray),
        ("whole numbers", lambda array: array.round().astype(int)),
        ("sparse rows", sparse.csr_array),
    ],
)
def test_what_is_assigned_is_converted_as_what_was_given(form, convert, engine):
    found, expected = (Dense(3).build(5, random_state=0) for _ in range(2))
    options = {"loss": "cross_entropy", "epochs": 2, "shuffle": False, "engine": engine}
    found.fit(X, Y, callbacks=[Replace(inputs=lambda epoch: convert(X + epoch))], **options)
    expected.fit(lambda epoch, random: (convert(X + epoch), Y), **options)
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("inputs", X[:5], ValueError, "run.data.inputs must have as many rows as before, 64, got 5"),
        ("inputs", X[:, :3], ValueError, r"expects inputs of shape \(n_samples, 5\), got \(64, 3\)"),
        ("inputs", np.full_like(X, np.nan), ValueError, "run.data.inputs must be finite"),
        ("inputs", "rows", TypeError, "run.data.inputs must be numbers"),
        ("targets", Y[:5], ValueError, "run.data.targets must have one target for each of 64 samples, got 5"),
        ("targets", Y + 5, ValueError, "classes from 0 to 2"),
        ("weights", WEIGHTS[:5], ValueError, r"sample_weight must have the shape \(64,\)"),
        ("weights", -WEIGHTS, ValueError, "must not be negative"),
        ("weights", 0 * WEIGHTS, ValueError, "are all 0"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(name, value, error, message, engine):
    class Try(Callback):
        def on_epoch_end(self, run):
            before = run.data.inputs, run.data.targets, run.data.weights, run.data.mean_weight, run.data.version
            with pytest.raises(error, match=message):
                setattr(run.data, name, value)
            after = run.data.inputs, run.data.targets, run.data.weights, run.data.mean_weight, run.data.version
            assert all(one is other or one == other for one, other in zip(after, before, strict=True))

    network().fit(X, Y, "cross_entropy", epochs=2, callbacks=[Try()], engine=engine, sample_weight=WEIGHTS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["inputs", "targets", "weights"])
def test_numbers_in_the_arrays_cannot_be_overwritten(name, engine):
    given = {"inputs": X.copy(), "targets": NUMBERS.copy(), "weights": WEIGHTS.copy()}
    before = copy.deepcopy(given)

    class Write(Callback):
        def on_epoch_end(self, run):
            with pytest.raises(ValueError, match="read-only"):
                getattr(run.data, name)[:8] = 0

    Dense(2).fit(
        given["inputs"], given["targets"], "mean_squared_error", sample_weight=given["weights"], epochs=2,
        callbacks=[Write()], engine=engine,
    )  # fmt: skip
    for key, array in given.items():
        assert np.array_equal(array, before[key])
        assert array.flags.writeable


@pytest.mark.parametrize("engine", ENGINES)
def test_data_are_replaced_in_estimators_too(engine):
    classifiers = [
        NetworkClassifier(
            Sequential([Dense(6), ReLU(), Dropout(0.3), Dense(3)]), random_state=0, max_iter=3, engine=engine,
            callbacks=callbacks, n_iter_no_change=np.inf, shuffle=False, batch_size=16,
        )
        for callbacks in ([Replace(inputs=lambda epoch: X + 1)], [])
    ]  # fmt: skip
    with pytest.warns(match="Maximum iterations"):
        classifiers[0].fit(X, Y)
    with pytest.warns(match="Maximum iterations"):
        classifiers[1].fit(X, Y)
    assert classifiers[0].loss_ != classifiers[1].loss_


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_may_be_removed_and_added(engine):
    class Toggle(Callback):
        def on_epoch_begin(self, run):
            run.data.weights = None if run.data.weights is not None else WEIGHTS

    nets = [network() for _ in range(2)]
    options = {"loss": "cross_entropy", "epochs": 4, "batch_size": 16, "random_state": 0, "engine": engine}
    nets[0].fit(X, Y, callbacks=[Toggle()], optimizer=SGD(0.1), **options)
    nets[1].fit(lambda epoch, random: (X, Y, WEIGHTS if epoch % 2 else None), optimizer=SGD(0.1), **options)
    assert_same_networks(*nets)
