"""What callbacks and metrics see: a network in inference mode; and which of their methods are called."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from layernet import (
    BatchNorm,
    Callback,
    Dense,
    Dropout,
    GaussianNoise,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    Sequential,
)
from layernet.training import evaluate

X = np.random.default_rng(0).standard_normal((40, 5))
Y = X[:, 0] * 2 - X[:, 1]


@pytest.fixture(params=["formulas", "compiled"])
def engine(request):
    if request.param == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    return request.param


def noisy_network():
    return Sequential([Dense(8), BatchNorm(), Dropout(0.8), Dense(1)]).build(5, random_state=0)


@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 40)], ids=["alike", "weighted"])
def test_callbacks_and_metrics_see_the_network_in_inference_mode(engine, weights):
    seen = []

    class Look(Callback):
        def look(self, run):
            network = run.network
            assert not any(layer.training for layer in network.walk())
            few = X[:3]  # fewer rows than the batch, whose weights belong to others
            twin = copy.deepcopy(network)
            expected = twin.forward_pass(X)
            assert_array_equal(network.forward_pass(few), twin.forward_pass(few))
            assert_array_equal(network.forward_pass(X), expected)
            found = evaluate(network, X, Y, loss="mean_squared_error")["loss"]
            assert found == pytest.approx(np.mean((expected[:, 0] - Y) ** 2))
            with network.training_mode():  # asked for, it is as in training, for rows of any number
                assert network.forward_pass(few).shape == (3, 1)
            seen.append(found)

        on_train_begin = on_epoch_begin = on_batch_end = on_epoch_end = on_train_end = look

    def metric(targets, outputs):
        return float(network.training)

    network = noisy_network()
    arguments = {"epochs": 2, "batch_size": 10, "random_state": 0, "engine": engine}
    history = network.fit(
        X, Y, "mean_squared_error", sample_weight=weights, callbacks=[Look()], metrics=metric, **arguments
    )
    assert len(seen) == 14
    assert history["metric"] == [0, 0]
    plain = noisy_network()
    plain.fit(X, Y, "mean_squared_error", sample_weight=weights, **arguments)
    assert_array_equal(network.parameter_vector, plain.parameter_vector)  # looking has changed nothing
    for name, value in plain.state().items():
        assert_array_equal(network.state()[name], value)


def test_a_fit_inside_training_mode_validates_in_inference_mode(engine):
    arguments = {"epochs": 2, "validation_data": (X, Y), "random_state": 0, "engine": engine}
    outside, inside = noisy_network(), noisy_network()
    expected = outside.fit(X, Y, "mean_squared_error", **arguments)
    with inside.training_mode():
        history = inside.fit(X, Y, "mean_squared_error", **arguments)
        assert all(layer.training for layer in inside.walk())
        in_inference = evaluate(inside, X, Y, loss="mean_squared_error")["loss"]
    assert not any(layer.training for layer in inside.walk())
    assert history["val_loss"] == expected["val_loss"]
    assert in_inference == expected["val_loss"][-1]
    assert_array_equal(inside.parameter_vector, outside.parameter_vector)


def test_modes_are_put_back_as_they_were():
    network = noisy_network()
    weights = network[1].batch_weights = np.ones(3)
    with network.training_mode():
        assert network[1].batch_weights is None
        network[1].batch_weights = np.ones(2)
        with network.inference_mode():
            assert not network.training
            assert network[1].batch_weights is None
        assert network.training
        assert_array_equal(network[1].batch_weights, np.ones(2))
    assert not network.training
    assert network[1].batch_weights is weights


@pytest.mark.parametrize(
    ("hook", "calls"),
    [
        ("on_train_begin", 1),
        ("on_epoch_begin", 2),
        ("on_batch_end", 8),
        ("on_epoch_end", 2),
        ("on_train_end", 1),
    ],
)
def test_a_method_that_is_assigned_to_a_callback_is_called(hook, calls, engine):
    on_object, on_subclass, on_class = [], [], []
    callback, overruled = Callback(), type("Own", (Callback,), {hook: lambda self, run: on_class.append(run)})()
    setattr(callback, hook, on_object.append)
    setattr(overruled, hook, on_subclass.append)
    noisy_network().fit(
        X, Y, "mean_squared_error", epochs=2, batch_size=10, callbacks=[callback, overruled], engine=engine
    )
    assert [len(on_object), len(on_subclass), len(on_class)] == [calls, calls, 0]
    assert on_object[0].network is not None


ESTIMATORS = {
    "MLPClassifier": lambda **options: MLPClassifier(hidden_layer_sizes=(8,), dropout=0.5, **options),
    "MLPRegressor": lambda **options: MLPRegressor(
        hidden_layer_sizes=(8,), dropout=0.5, normalization="batch", **options
    ),
    "NetworkClassifier": lambda **options: NetworkClassifier(
        Sequential(Dense(8), GaussianNoise(1.0), Dense(1)), **options
    ),
    "NetworkRegressor": lambda **options: NetworkRegressor(
        Sequential(Dense(8), Dropout(0.8), Dense(1)), **options
    ),
    "lbfgs": lambda **options: MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", **options),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_callbacks_of_estimators_see_the_network_in_inference_mode(name, engine):
    seen = []

    class Look(Callback):
        def look(self, run):
            assert not any(layer.training for layer in run.network.walk())
            outputs = run.network.forward_pass(X[:3].astype(run.network.dtype))
            expected = copy.deepcopy(run.network).forward_pass(X[:3].astype(run.network.dtype))
            assert_array_equal(outputs, expected)
            seen.append(outputs)

        on_train_begin = on_epoch_begin = on_batch_end = on_epoch_end = on_train_end = look

    y = (Y > 0).astype(int) if "Classifier" in name else Y
    model = ESTIMATORS[name](max_iter=2, random_state=0, callbacks=[Look()], engine=engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs are not enough
        model.fit(X, y, sample_weight=np.linspace(1, 2, 40))
    assert len(seen) >= 6
