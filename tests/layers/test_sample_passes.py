"""Monte Carlo dropout: forward passes with new noise in each, and a network that stays as it is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from layernet import (
    BatchNorm,
    Concat,
    Dense,
    Dropout,
    GaussianNoise,
    Identity,
    Layer,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    sampling,
)

X = np.random.default_rng(0).standard_normal((50, 6))

NETWORKS = {
    "dropout": lambda: Sequential([Dense(8), ReLU(), Dropout(0.4), Dense(3)]),
    "noise": lambda: Sequential([Dense(8), GaussianNoise(0.5), Dense(3)]),
    "both, in containers": lambda: Sequential(
        [
            Dense(6),
            Residual(Sequential([Dropout(0.3), Dense(6)])),
            Concat([GaussianNoise(1.0), Identity()]),
            Dense(3),
        ]
    ),
    "with batch normalization": lambda: Sequential([BatchNorm(), Dropout(0.5), Dense(3)]),
    "more axes": lambda: Sequential([Reshape((2, 3)), Dropout(0.5)]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_pass_has_noise_of_its_own_and_nothing_changes(name, dtype):
    network = NETWORKS[name]().build(6, random_state=0, dtype=dtype)
    data = X.astype(dtype)
    parameters, state = network.parameter_vector.copy(), network.state()
    before = network.forward_pass(data)
    with network.training_mode():
        as_in_training = network.forward_pass(data)
    passes = network.sample_passes(data, 20, random_state=0)
    assert passes.shape == (20, 50, *network.output_shape)
    assert passes.dtype == dtype
    assert len({each.tobytes() for each in passes}) == 20
    assert_array_equal(network.sample_passes(data, 20, random_state=0), passes)
    assert not np.array_equal(network.sample_passes(data, 20, random_state=1), passes)
    assert not np.array_equal(network.sample_passes(data, 2), network.sample_passes(data, 2))
    generator = np.random.default_rng(0)
    assert_array_equal(network.sample_passes(data, 20, random_state=generator), passes)
    assert not np.array_equal(
        network.sample_passes(data, 20, random_state=generator), passes
    )  # it has moved on
    # Parameters, state and mode are as they were; the next step of a training draws what it would have drawn.
    assert_array_equal(network.parameter_vector, parameters)
    for key, value in state.items():
        assert_array_equal(network.state()[key], value)
    assert not any(layer.training for layer in network.walk())
    assert_array_equal(network.forward_pass(data), before)
    with network.training_mode():
        assert_array_equal(network.sample_passes(data, 20, random_state=0), passes)
        assert all(layer.training for layer in network.walk())
        assert_array_equal(network.forward_pass(data), as_in_training)


def test_equal_rows_have_noise_of_their_own():
    passes = Dropout(0.5).build(40).sample_passes(np.ones((3, 40)), 2, random_state=0)
    assert len({row.tobytes() for each in passes for row in each}) == 6


def test_two_layers_draw_noise_of_their_own():
    both = Concat([Dropout(0.5), Dropout(0.5)]).build(200, random_state=0)
    (outputs,) = both.sample_passes(np.ones((1, 200)), 1, random_state=0)
    assert not np.array_equal(outputs[0, :200], outputs[0, 200:])


def test_the_noise_is_that_of_training():
    """Masks silence at the layer's rate, scale what is left, and are right on average."""
    passes = Dropout(0.3).build(50).sample_passes(np.full((40, 50), 2.0), 30, random_state=0)
    assert_allclose(np.unique(passes), [0, 2 / 0.7])
    assert abs((passes == 0).mean() - 0.3) < 0.01
    deviations = GaussianNoise(0.25).build(50).sample_passes(np.ones((40, 50)), 30, random_state=0) - 1
    assert abs(deviations.std() - 0.25) < 0.01
    assert abs(deviations.mean()) < 0.01
    linear = Sequential([Dropout(0.5), Dense(1)]).build(6, random_state=0)
    mean = linear.sample_passes(X, 4000, random_state=0).mean(axis=0)
    assert_allclose(mean, linear.forward_pass(X), atol=0.1)


def test_batch_normalization_stays_in_inference():
    network = Sequential([BatchNorm(), GaussianNoise(0.0)]).build(6)
    network[0].running_mean = np.arange(6.0)
    passes = network.sample_passes(X[:2], 3)
    assert_array_equal(passes, np.broadcast_to(network.forward_pass(X[:2]), (3, 2, 6)))


def test_blocks_of_rows_make_no_difference(monkeypatch):
    network = NETWORKS["both, in containers"]().build(6, random_state=0)
    at_once = network.sample_passes(X, 4, random_state=0)
    monkeypatch.setattr(sampling, "ROWS_OF_A_PASS", 7)
    assert_allclose(network.sample_passes(X, 4, random_state=0), at_once, rtol=1e-12, atol=1e-13)


def test_other_inputs():
    network = NETWORKS["dropout"]()
    assert network.sample_passes(X.tolist(), 2).shape == (2, 50, 3)  # built by them
    assert network.sample_passes(X[:0], 2).shape == (2, 0, 3)
    plain = Dense(2).build(6)
    with pytest.warns(UserWarning, match="no layer of this network draws noise"):
        assert_array_equal(plain.sample_passes(X, 2), [plain.forward_pass(X)] * 2)


class Jitter(Layer):
    """Noise of somebody's own, that keeps its own count."""

    draws_noise = True

    def create_parameters(self, input_shape):
        self.add_state("drawn", 0)

    def forward_pass(self, inputs):
        self.drawn += self.training
        return inputs + self.drawn * self.training

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


def test_a_layer_of_ones_own_may_draw_noise():
    network = Sequential([Jitter(), Dropout(0.5)]).build(6)
    passes = network.sample_passes(np.full((2, 6), 1.0), 3, random_state=0)
    assert [each.max() for each in passes] == [4, 6, 8]
    assert network[0].drawn == 0


def test_what_is_refused():
    network = NETWORKS["dropout"]().build(6, random_state=0)
    for wrong in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match="n must be a whole number of at least 1, got"):
            network.sample_passes(X, wrong)
    with pytest.raises(ValueError, match=r"expects inputs of shape \(n_samples, 6\), got \(50, 5\)"):
        network.sample_passes(X[:, :5], 2)
    from layernet import MeanSquaredError

    state = network.state()
    with_loss = Sequential([*network, MeanSquaredError().bind(np.zeros((50, 3)))]).build(6)
    with pytest.raises(ValueError, match="ends in a loss, so its outputs are no rows"):
        with_loss.sample_passes(X, 2)
    assert network.state() == state
    assert not network[2].training
