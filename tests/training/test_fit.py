"""The training loop: it does what a loop by hand does, and ends well however it ends."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    CrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Flatten,
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
)
from layernet.engine.choice import has_numba
from layernet.training import batches, evaluate

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((70, 5))
Y = RANDOM.integers(0, 3, 70)


def network():
    return Sequential([Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)])


def test_fit_gives_the_numbers_of_a_loop_by_hand():
    fitted = network().build(5, random_state=1)
    by_hand = copy.deepcopy(fitted)
    # By formulas: kernels give the same to rounding, and this is to the last bit.
    history = fitted.fit(
        X,
        Y,
        loss="cross_entropy",
        optimizer=Adam(0.01),
        epochs=3,
        batch_size=16,
        random_state=7,
        engine="formulas",
    )

    random, optimizer, losses = np.random.default_rng(7), Adam(0.01), []
    for _ in range(3):
        total = 0.0
        with by_hand.training_mode():
            for rows in batches(len(X), 16, random):
                loss = CrossEntropy().bind(Y[rows])
                outputs = by_hand.forward_pass(X[rows])
                total += float(loss.forward_pass(outputs)) * len(rows)
                by_hand.backward_pass(X[rows], loss.backward_pass(outputs))
                optimizer.update(by_hand)
        losses.append(total / len(X))

    assert np.array_equal(fitted.parameter_vector, by_hand.parameter_vector)
    assert history["loss"] == losses
    for name, value in by_hand.state().items():
        assert np.array_equal(fitted.state()[name], value), name


def test_weights_give_the_numbers_of_a_loop_by_hand():
    weights = RANDOM.uniform(0, 2, 70)
    fitted = network().build(5, random_state=1)
    by_hand = copy.deepcopy(fitted)
    options = {"epochs": 1, "shuffle": False, "sample_weight": weights, "engine": "formulas"}
    fitted.fit(X, Y, loss="cross_entropy", optimizer=SGD(0.1), **options)
    optimizer = SGD(0.1)
    with by_hand.training_mode():
        for rows in batches(70, 32):
            w = by_hand[1].batch_weights = weights[rows]
            loss = CrossEntropy().bind(Y[rows], w, normalizer=len(w) * weights.mean())
            by_hand.backward_pass(X[rows], loss.backward_pass(by_hand.forward_pass(X[rows])))
            optimizer.update(by_hand)
    assert np.array_equal(fitted.parameter_vector, by_hand.parameter_vector)


def test_a_weight_means_the_same_in_every_batch():
    """One step over all data equals the sum of small steps over its parts, from the same parameters."""
    weights = np.where(np.arange(64) < 32, 1.0, 5.0)
    net = Sequential([Dense(1)]).build(5, random_state=0)
    start = net.parameter_vector.copy()

    class Restart(Callback):
        moves = np.zeros(0)

        def on_batch_end(self, run):
            self.moves = np.append(self.moves, run.network.parameter_vector - start)
            run.network.parameter_vector[:] = start

    restart = Restart()
    options = {"loss": "mean_squared_error", "epochs": 1, "shuffle": False, "sample_weight": weights}
    net.fit(X[:64], X[:64, 0], optimizer=SGD(0.1), batch_size=32, callbacks=[restart], **options)
    net.parameter_vector[:] = start
    net.fit(X[:64], X[:64, 0], optimizer=SGD(0.1), batch_size=64, **options)
    halves = restart.moves.reshape(2, -1)
    assert_allclose(halves.mean(axis=0), net.parameter_vector - start, rtol=1e-10)


def test_equal_weights_change_nothing():
    plain, weighted = (network().build(5, random_state=1) for _ in range(2))
    plain.fit(X, Y, loss="cross_entropy", epochs=2, random_state=0)
    weighted.fit(X, Y, loss="cross_entropy", epochs=2, random_state=0, sample_weight=np.full(70, 3.0))
    # The bias before BatchNorm has no gradient but rounding, and Adam's first steps enlarge what there is.
    assert_allclose(weighted.parameter_vector, plain.parameter_vector, rtol=1e-9, atol=1e-10)


def test_zero_weights_leave_a_sample_out_of_its_batch():
    weights = np.ones(70)
    weights[::2] = 0
    net = Sequential([Dense(3)]).build(5, random_state=0)
    changed = copy.deepcopy(net)
    other = X.copy()
    other[::2] = 99
    net.fit(X, Y, loss="cross_entropy", epochs=2, random_state=0, sample_weight=weights)
    changed.fit(other, Y, loss="cross_entropy", epochs=2, random_state=0, sample_weight=weights)
    assert_allclose(changed.parameter_vector, net.parameter_vector)


@given(st.integers(1, 50), st.integers(1, 60), st.one_of(st.none(), st.integers(0, 5)))
def test_batches_hold_every_row_once(n_samples, batch_size, seed):
    random = None if seed is None else np.random.default_rng(seed)
    rows = [np.arange(n_samples)[batch] for batch in batches(n_samples, batch_size, random)]
    assert sorted(np.concatenate(rows)) == list(range(n_samples))
    assert all(len(batch) == batch_size for batch in rows[:-1])
    assert 1 <= len(rows[-1]) <= batch_size


@settings(max_examples=10)
@given(st.integers(1, 100))
def test_the_last_smaller_batch_is_trained_on(batch_size):
    class CountRows(Layer):
        rows = 0

        def forward_pass(self, inputs):
            if self.training:
                CountRows.rows += len(inputs)
            return inputs.copy()

        def backward_pass(self, inputs, grad_output):
            return grad_output.copy()

    net = Sequential([CountRows(), Dense(3)])
    net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=batch_size)
    assert CountRows.rows == 140


def test_same_random_state_same_network():
    nets = [network(), network(), network()]
    for net, seed in zip(nets, (3, 3, 4), strict=True):
        net.fit(X, Y, loss="cross_entropy", epochs=2, random_state=seed)
    assert np.array_equal(nets[0].parameter_vector, nets[1].parameter_vector)
    assert not np.array_equal(nets[0].parameter_vector, nets[2].parameter_vector)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_data_is_the_type_of_the_network(dtype):
    net = network()
    net.fit(X.astype(dtype), Y, loss="cross_entropy", epochs=1, validation_data=(X, Y))
    assert net.parameter_vector.dtype == dtype
    assert net.gradient_vector.dtype == dtype
    assert all(v.dtype == dtype for k, v in net.state().items() if "running" in k)


def test_training_goes_on_where_it_was():
    """Two trainings of one epoch, with one optimizer, are one of two epochs."""
    whole, parts = (network().build(5, random_state=1) for _ in range(2))
    whole.fit(X, Y, loss="cross_entropy", optimizer=Adam(), epochs=2, shuffle=False)
    optimizer = Adam()
    for _ in range(2):
        parts.fit(X, Y, loss="cross_entropy", optimizer=optimizer, epochs=1, shuffle=False)
    assert np.array_equal(whole.parameter_vector, parts.parameter_vector)


def test_the_vector_is_shared_after_fit():
    net = network()
    net.fit(X, Y, loss="cross_entropy", epochs=1)
    assert np.array_equal(np.concatenate([p.ravel() for p in net.parameters.values()]), net.parameter_vector)


def test_history_and_evaluation_agree():
    net = network()
    held_out = RANDOM.standard_normal((2500, 5)), RANDOM.integers(0, 3, 2500)
    history = net.fit(X, Y, loss="cross_entropy", epochs=3, validation_data=held_out, metrics="accuracy")
    assert list(history) == [
        "epoch",
        "loss",
        "accuracy",
        "learning_rate",
        "seconds",
        "val_loss",
        "val_accuracy",
    ]
    assert history["epoch"] == [1, 2, 3]
    found = evaluate(net, *held_out, loss="cross_entropy", metrics="accuracy")
    assert found == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}
    expected = CrossEntropy().bind(held_out[1]).forward_pass(net.forward_pass(held_out[0]))
    assert found["loss"] == pytest.approx(float(expected))
    assert (history.stop_reason, history.stop_message) == ("epochs_done", "All 3 epochs are done.")


def test_weighted_validation_data():
    net, weights = network(), RANDOM.uniform(0, 1, 70)
    history = net.fit(X, Y, loss="cross_entropy", epochs=1, validation_data=(X, Y, weights))
    expected = CrossEntropy().bind(Y, weights).forward_pass(net.forward_pass(X))
    assert history["val_loss"][0] == pytest.approx(float(expected))


def test_digits_are_learnt(digits):
    images, classes = digits
    net = Sequential([Flatten(), Dense(64), ReLU(), Dense(10)])
    history = net.fit(
        images[:1400].reshape(-1, 8, 8),
        classes[:1400],
        loss="cross_entropy",
        epochs=30,
        random_state=0,
        validation_data=(images[1400:].reshape(-1, 8, 8), classes[1400:]),
        metrics="accuracy",
    )
    assert history["val_accuracy"][-1] > 0.9


# --- how it ends ---


class Stop(Callback):
    def __init__(self, epoch, batch, action):
        self.epoch, self.batch, self.action = epoch, batch, action

    def on_batch_end(self, run):
        if (run.epoch, run.batch) == (self.epoch, self.batch):
            self.action()


def interrupt():
    raise KeyboardInterrupt


def test_an_interruption_ends_training_cleanly():
    net = network()
    history = net.fit(
        X, Y, loss="cross_entropy", epochs=9, batch_size=10, callbacks=[Stop(3, 4, interrupt)], random_state=0
    )
    assert history["epoch"] == [1, 2]
    assert history.stop_reason == "interrupted"
    assert history.stop_message == "Interrupted in epoch 3 of 9, after batch 4."
    assert not any(layer.training for layer in net.walk())
    assert np.isfinite(net.forward_pass(X)).all()
    net.fit(X, Y, loss="cross_entropy", epochs=1)


def test_divergence_is_an_error_that_says_where_and_what_to_try():
    net = Sequential([Dense(8), ReLU(), Dense(1)])
    with pytest.raises(
        DivergenceError, match=r"diverged in epoch \d+, batch \d+: .*smaller learning rate \(it is"
    ) as e:
        net.fit(X, 1e3 * X[:, 0], loss="mean_squared_error", optimizer=SGD(1e6), epochs=50, random_state=0)
    assert np.isfinite(net.parameter_vector).all()
    assert not any(layer.training for layer in net.walk())
    history = e.value.history
    assert history.stop_reason == "diverged"
    assert str(e.value).startswith(f"{history.stop_message} The network keeps its last finite parameters.")
    assert e.value.epoch == len(history["loss"] if history else []) + 1
    assert e.value.batch >= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", [SGD(1e30), SGD(1e300), SGD(1e30, momentum=0.99), Adam(1e300)], ids=repr)
def test_a_diverged_network_keeps_finite_parameters(optimizer, dtype):
    optimizer = type(optimizer)(**optimizer.configuration())
    net = Sequential([Dense(8), ReLU(), BatchNorm(), Dense(8), ReLU(), Dense(1)])
    data = X.astype(dtype)
    with pytest.raises(DivergenceError):
        net.fit(data, data[:, 0], loss="mean_squared_error", optimizer=optimizer, epochs=200, random_state=0)
    assert np.isfinite(net.parameter_vector).all()
    assert all(np.isfinite(value).all() for value in net.state().values())


def test_an_infinite_gradient_of_a_finite_loss_diverges_too():
    class InfiniteGradient(Sigmoid):
        def backward_from(self, outputs, grad_output):
            return grad_output * np.inf

    net = Sequential([Dense(2), InfiniteGradient(), Dense(3)]).build(5, random_state=0)
    before = net.parameter_vector.copy()
    with pytest.raises(DivergenceError, match="epoch 1, batch 1: a gradient is not finite"):
        net.fit(X, Y, loss="cross_entropy", random_state=0)
    assert np.array_equal(net.parameter_vector, before)


# --- what is refused, and changes nothing ---


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.where(X > 2, np.nan, X)}, ValueError, r"X must be finite, got nan at \(\d+, \d\).*Impute"),
        ({"X": np.where(X > 2, np.inf, X)}, ValueError, "X must be finite, got inf"),
        ({"X": X[:0]}, ValueError, r"X must have at least one sample, got the shape \(0, 5\)"),
        ({"X": X.astype(object)}, TypeError, "X must be numbers, got an array of type object"),
        ({"X": X[:, 0]}, ValueError, r"expects inputs of shape \(n_samples, features\)"),
        ({"y": Y[:-1]}, ValueError, "y must have one target for each of 70 samples, got 69"),
        ({"y": csr_array(np.eye(3)[Y])}, TypeError, r"y must be a dense array, got the sparse csr_array"),
        (
            {"validation_data": (X, csr_array(np.eye(3)[Y]))},
            TypeError,
            r"y of validation_data must be a dense array, .* Use \.toarray\(\)",
        ),
        ({"y": Y + 1}, ValueError, "classes from 0 to 2, one for each output"),
        ({"y": Y + 0.5}, ValueError, "not whole numbers"),
        (
            {"loss": "cross"},
            ValueError,
            r"loss='cross' is not known\. Did you mean 'CrossEntropy'\? Known are: .*BinaryCrossEntropy, ",
        ),
        (
            {"loss": CrossEntropy},
            TypeError,
            r"loss is the class CrossEntropy, not an object of it. Write Cross",
        ),
        ({"loss": 3}, TypeError, "loss must be a Loss or the name of one, got int"),
        (
            {"optimizer": "adamm"},
            ValueError,
            r"optimizer='adamm' is not known\. Did you mean 'Adam'\? Known are: .*Adagrad, .*Adam, .*AdamW",
        ),
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be a whole number"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True, False or a function of the number of rows"),
        ({"shuffle": None}, TypeError, "shuffle must be True, False or a function of the number of rows"),
        ({"verbose": "no"}, TypeError, "verbose must be 0 or 1, got 'no'"),
        ({"metrics": "f1"}, ValueError, r"metrics: 'f1' is not known. Known are \['accuracy'\]"),
        ({"sample_weight": np.ones(3)}, ValueError, r"sample_weight must have the shape \(70,\)"),
        ({"sample_weight": -np.ones(70)}, ValueError, "sample_weight must not be negative"),
        ({"sample_weight": np.zeros(70)}, ValueError, "are all 0: nothing to train on"),
        ({"validation_data": X}, ValueError, r"validation_data must be a tuple \(X, y\)"),
        (
            {"validation_data": (X[:, :3], Y)},
            ValueError,
            r"expects inputs of shape \(n_samples, 5\), got \(70, 3\)",
        ),
        ({"validation_data": (X, Y + 9)}, ValueError, "classes from 0 to 2"),
        (
            {"validation_data": (X, Y[:5])},
            ValueError,
            "y of validation_data must have one target for each of 70",
        ),
        ({"random_state": "seed"}, TypeError, "random_state must be None, an integer"),
    ],
)
@pytest.mark.parametrize("built", [False, True])
def test_bad_arguments_change_nothing(change, error, message, built):
    net = network()
    if built:
        net.build(5, random_state=0)
        before = net.parameter_vector.copy()
    arguments = {"X": X, "y": Y, "loss": "cross_entropy", "random_state": 0, **change}
    if built and change.keys() == {"X"} and np.ndim(change["X"]) == 1:
        message = r"expects inputs of shape \(n_samples, 5\)"
    with pytest.raises(error, match=message):
        net.fit(**arguments)
    if built:
        assert np.array_equal(net.parameter_vector, before)
    else:
        assert all(layer.input_shape is None for layer in net.walk())


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ValueError, match="has no parameters to train"):
        Sequential([ReLU()]).fit(X, X, loss="mean_squared_error")


def test_a_failing_callback_leaves_the_network_usable():
    def fail():
        raise RuntimeError("a callback failed")

    net = network()
    with pytest.raises(RuntimeError, match="a callback failed"):
        net.fit(X, Y, loss="cross_entropy", callbacks=[Stop(1, 2, fail)])
    assert not any(layer.training for layer in net.walk())
    assert np.isfinite(net.forward_pass(X)).all()


def test_a_callback_that_fails_at_the_start_is_the_error_that_is_seen():
    class Fails(Callback):
        def on_train_begin(self, run):
            raise RuntimeError("at the start")

    with pytest.raises(RuntimeError, match="at the start"):
        network().fit(X, Y, loss="cross_entropy", callbacks=[Fails(), EarlyStopping("loss")], verbose=1)


def test_a_single_layer_can_be_fitted():
    dense = Dense(1)
    dense.fit(X, 3 * X[:, 0] + 1, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=100, random_state=0)
    assert_allclose(dense.weights.ravel(), [3, 0, 0, 0, 0], atol=1e-3)
    assert_allclose(dense.bias, 1, atol=1e-3)


@pytest.mark.parametrize("convert", [np.asarray, csr_array], ids=["array", "sparse"])
def test_a_divergence_names_the_largest_absolute_values(convert):
    """The largest input and target are negative; the largest positive ones would mislead."""
    inputs, targets = np.abs(X), np.abs(X[:, :2])
    inputs[3, 1], targets[5, 0] = -400, -3000
    net = Sequential([Dense(2)])
    with pytest.raises(DivergenceError, match=r"\(the largest is 400\), and targets \(the largest is 3000\)"):
        net.fit(convert(inputs), targets, loss="mean_squared_error", optimizer=SGD(1e300), random_state=0)


def test_early_stopping_restores_after_an_interruption_too():
    net = network()
    stopping = EarlyStopping("loss", patience=50)
    history = net.fit(
        X, Y, loss="cross_entropy", epochs=9, callbacks=[stopping, Stop(4, 1, interrupt)], random_state=0
    )
    assert stopping.best_epoch == history.best("loss")


# --- which rows an epoch sees ---

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "rows", [range(64), [5, 2, 9], np.repeat(np.arange(70), 2), np.arange(-7, 0), [3] * 200], ids=len
)
def test_an_epoch_of_some_rows_or_of_repeated_ones_is_one_on_these_rows(rows, engine):
    options = {"loss": "cross_entropy", "epochs": 3, "batch_size": 16, "metrics": "accuracy", "engine": engine}
    found, expected = (Sequential([Dense(8), ReLU(), Dense(3)]).build(5, random_state=0) for _ in range(2))
    history = found.fit(X, Y, shuffle=lambda n: rows, **options)
    rows = np.array(rows)
    of_these = expected.fit(X[rows], Y[rows], shuffle=False, **options)
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-9)
    for column in ("loss", "accuracy"):
        assert_allclose(history[column], of_these[column], rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_knows_the_steps_of_its_epoch(engine):
    class Note(Callback):
        steps = ()

        def on_epoch_end(self, run):
            self.steps = (*self.steps, (run.batch, run.steps_per_epoch))

    note, sizes = Note(), iter([70, 64, 10, 130])
    options = {"loss": "cross_entropy", "epochs": 4, "batch_size": 16, "engine": engine, "callbacks": [note]}
    Dense(3).fit(X, Y, shuffle=lambda n: np.arange(next(sizes)) % n, **options)
    assert note.steps == ((5, 5), (4, 4), (1, 1), (9, 9))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], ValueError, r"shuffle must return the numbers of the rows of an epoch, .* shape \(0,\)"),
        (np.zeros((2, 3), int), ValueError, r"shuffle must return the numbers .* shape \(2, 3\)"),
        (5, ValueError, r"shuffle must return the numbers .* shape \(\)"),
        ([0.5, 1.0], IndexError, "shuffle must return whole numbers, got an array of type float64"),
        (np.ones(70, bool), IndexError, r"type bool. Use np.flatnonzero\(mask\) for a mask"),
        ([0, 70], IndexError, "shuffle must return numbers of 70 rows, got 0 to 70. Count from 0"),
    ],
)
def test_rows_that_there_are_not_are_refused(rows, error, message, engine):
    net = Dense(3).build(5, random_state=0)
    before = net.parameter_vector.copy()
    with pytest.raises(error, match=message):
        net.fit(X, Y, loss="cross_entropy", shuffle=lambda n: rows, engine=engine)
    assert np.array_equal(net.parameter_vector, before)
