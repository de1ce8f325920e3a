"""Activations of hidden layers, of flat and of nested networks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from layernet import (
    Concat,
    Dense,
    Dropout,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((30, 4))
Y = np.arange(30) % 3

NESTED = {
    "flat": lambda: [Dense(5), ReLU(), Dropout(0.1), Dense(6), Tanh(), Dense(3)],
    "a Sequential first": lambda: [Sequential([Dense(5), ReLU(), Dense(6), Tanh()]), Dense(3)],
    "a Sequential last": lambda: [Dense(5), Sequential([ReLU(), Dense(6), Sequential([Tanh(), Dense(3)])])],
    "everything inside": lambda: [Sequential([Dense(5), ReLU(), Dense(6), Tanh(), Dense(3)])],
}


@pytest.mark.parametrize("layers", NESTED.values(), ids=NESTED)
def test_each_hidden_layer_is_found_however_networks_are_nested(layers):
    classifier = NetworkClassifier(Sequential(layers()), max_iter=2, random_state=0).fit(X, Y)
    first, _, second = (layer for layer in classifier.network_.walk() if isinstance(layer, Dense))
    of_first, of_second = classifier.hidden_activations(X)
    assert_array_equal(of_first, ReLU().forward_pass(first.forward_pass(X)))
    assert of_second.shape == (30, 6)
    assert_array_equal(second.forward_pass(of_second), classifier.decision_function(X))
    assert_array_equal(classifier.transform(X), of_second)
    assert len(classifier.get_feature_names_out()) == 6


def test_a_container_with_weights_is_one_layer():
    layers = [
        Concat([Dense(3), Dense(2)]),
        Tanh(),
        Residual(Sequential([Dense(5), ReLU(), Dense(5)])),
        Dense(1),
    ]
    regressor = NetworkRegressor(Sequential(layers), max_iter=2, random_state=0).fit(X, X[:, 0])
    concatenated, added = regressor.hidden_activations(X)
    network = regressor.network_
    # Kernels equal the formulas to rounding.
    assert_allclose(concatenated, np.tanh(network.layers[0].forward_pass(X)), rtol=0, atol=1e-14)
    assert_allclose(added, network.layers[2].forward_pass(concatenated), rtol=0, atol=1e-13)
    assert_array_equal(regressor.transform(X), added)


def test_a_network_without_hidden_layers_gives_its_outputs():
    classifier = NetworkClassifier(Dense(3), max_iter=2, random_state=0).fit(X, Y)
    assert classifier.hidden_activations(X) == []
    assert_array_equal(classifier.transform(X), classifier.decision_function(X))
