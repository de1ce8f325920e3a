"""Layers against values from elsewhere: SciPy, closed forms, statistics of noise, averages by hand."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from layernet import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Reshape,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from layernet.layers.noise import random_bits

X = np.linspace(-6, 6, 25).reshape(5, 5)


def normal_density(x):
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(
    ("layer", "function", "derivative"),
    [
        (Identity(), lambda x: x, np.ones_like),
        (Sigmoid(), special.expit, lambda x: special.expit(x) * special.expit(-x)),
        (Tanh(), np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (ReLU(), lambda x: x * (x > 0), lambda x: 1.0 * (x > 0)),
        (LeakyReLU(0.2), lambda x: x * (x > 0) + 0.2 * x * (x <= 0), lambda x: np.where(x > 0, 1, 0.2)),
        (
            ELU(0.7),
            lambda x: x * (x > 0) + 0.7 * np.expm1(x) * (x <= 0),
            lambda x: np.where(x > 0, 1, 0.7 * np.exp(x)),
        ),
        (GELU(), lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * normal_density(x)),
        (SiLU(), lambda x: x * special.expit(x), None),
        (Softplus(), lambda x: np.log1p(np.exp(x)), special.expit),
        (Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x))), None),
        (HardSigmoid(), lambda x: np.minimum(np.maximum((x + 3) / 6, 0), 1), lambda x: (abs(x) < 3) / 6),
        (Softmax(), lambda x: special.softmax(x, axis=-1), None),
        (LogSoftmax(), lambda x: special.log_softmax(x, axis=-1), None),
    ],
    ids=lambda value: repr(value) if not callable(value) else "",
)
def test_activations_against_scipy_and_closed_forms(layer, function, derivative):
    assert_allclose(layer.forward_pass(X), function(X), rtol=1e-12, atol=1e-15)
    if derivative is not None:
        assert_allclose(layer.backward_pass(X, np.full_like(X, 2.0)), 2 * derivative(X), rtol=1e-9, atol=1e-13)


def test_published_constants():
    """Klambauer et al. give 1.0507 and 1.6733 for SELU; Hendrycks and Gimpel the tanh form of GELU."""
    assert SELU.scale == pytest.approx(1.0507, abs=1e-4)
    assert SELU.alpha == pytest.approx(1.6733, abs=1e-4)
    normal = np.random.default_rng(0).standard_normal((1, 1_000_000))
    outputs = SELU().forward_pass(normal)
    assert abs(outputs.mean()) < 0.005
    assert abs(outputs.std() - 1) < 0.005
    expected = 0.5 * X * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))
    assert_allclose(GELU(approximate=True).forward_pass(X), expected, rtol=1e-12, atol=1e-15)
    assert np.abs(expected - GELU().forward_pass(X)).max() < 5e-4


ACTIVATIONS = [
    Identity(),
    Sigmoid(),
    Tanh(),
    ReLU(),
    LeakyReLU(),
    ELU(),
    SELU(),
    GELU(),
    GELU(approximate=True),
    SiLU(),
    Mish(),
    Softplus(),
    HardSigmoid(),
    Softmax(),
    LogSoftmax(),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations_at_any_magnitude(layer, dtype):
    """No overflow, no NaN, no warning (warnings are errors), forward or backward."""
    sizes = np.array([1e-30, 1.0, 1e2, 1e3, 1e4, 1e8, 1e30])
    x = np.concatenate([-sizes[::-1], [0], sizes]).astype(dtype).reshape(3, 5)
    outputs = layer.forward_pass(x)
    assert outputs.dtype == dtype
    assert np.isfinite(outputs).all()
    assert np.isfinite(layer.backward_pass(x, np.ones_like(x))).all()


def test_tails_keep_their_relative_precision():
    x = np.array([[-40.0, -300.0, -700.0]])
    assert_allclose(Sigmoid().forward_pass(x), np.exp(x), rtol=1e-14)
    assert_allclose(Softplus().forward_pass(x), np.exp(x), rtol=1e-14)
    assert_allclose(Softplus().backward_pass(x, np.ones_like(x)), np.exp(x), rtol=1e-14)


# --- noise ---


def in_training(layer, x):
    with layer.training_mode():
        return layer.forward_pass(x)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expected_part_and_the_mean(rate):
    dropout = Dropout(rate).build(400, random_state=0)
    ones = np.ones((500, 400))
    outputs = in_training(dropout, ones)
    kept = outputs != 0
    assert_allclose(outputs[kept], 1 / (1 - rate))
    # Five standard deviations of a binomial share, over all, over every row and over every column.
    for share, count in ((kept.mean(), kept.size), (kept.mean(axis=1), 400), (kept.mean(axis=0), 500)):
        assert np.abs(share - (1 - rate)).max() < 5 * math.sqrt(rate * (1 - rate) / count)


def test_masks_of_neighbours_steps_and_seeds_are_independent():
    first = random_bits(7, 0, (1000, 400)) >= 2**31
    others = {
        "next row": np.roll(first, 1, axis=0),
        "next unit": np.roll(first, 1, axis=1),
        "next step": random_bits(7, 1, (1000, 400)) >= 2**31,
        "next seed": random_bits(8, 0, (1000, 400)) >= 2**31,
        "seed and step exchanged": random_bits(0, 7, (1000, 400)) >= 2**31,
    }
    for name, other in others.items():
        agreement = (first == other).mean()
        assert abs(agreement - 0.5) < 5 * 0.5 / math.sqrt(first.size), name


def test_random_bits_are_uniform():
    bits = random_bits(1, 2, (1000, 1000))
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((bits >> np.uint32(shift)) & np.uint32(255)).ravel(), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-4
    assert stats.kstest(bits.ravel()[:100_000] / 2**32, "uniform").pvalue > 1e-4
    # With 1e6 draws of 32 bits about 116 pairs collide; a broken combination of row and unit gives far more.
    assert bits.size - len(np.unique(bits)) < 200


def test_noise_depends_on_row_and_unit_and_not_on_the_rest_of_the_batch():
    for layer in (Dropout(0.5), GaussianNoise(1.0)):
        layer.build(8, random_state=0)
        whole = in_training(layer, np.ones((20, 8)))
        assert np.array_equal(in_training(layer, np.ones((5, 8))), whole[:5])


def test_a_step_moves_on_to_new_noise_and_a_state_comes_back_to_it():
    for layer in (Dropout(0.5), GaussianNoise(1.0)):
        layer.build(8, random_state=0)
        state, first = layer.state(), in_training(layer, np.ones((20, 8)))
        layer.end_step()
        assert not np.array_equal(in_training(layer, np.ones((20, 8))), first)
        layer.load_state(state)
        assert np.array_equal(in_training(layer, np.ones((20, 8))), first)


def test_two_layers_of_a_network_draw_different_noise():
    net = Sequential([Dropout(0.5), Dropout(0.5)]).build(50, random_state=0)
    masks = [in_training(layer, np.ones((50, 50))) for layer in net]
    assert not np.array_equal(*masks)


def test_gaussian_noise_is_normal():
    noise = GaussianNoise(2.0).build(300, random_state=3)
    values = in_training(noise, np.zeros((300, 300))).ravel() / 2
    assert abs(values.mean()) < 5 / math.sqrt(values.size)
    assert stats.kstest(values, "norm").pvalue > 1e-4


# --- normalization ---


def test_batch_norm_averages_once_a_step():
    norm = BatchNorm(momentum=0.8).build(2)
    mean, variance = np.zeros(2), np.ones(2)
    random = np.random.default_rng(0)
    for _ in range(3):
        batch = random.standard_normal((10, 2))
        for _ in range(2):  # a forward pass twice moves the averages once
            in_training(norm, batch)
        norm.end_step()
        norm.end_step()  # a step without a forward pass moves nothing
        mean, variance = 0.8 * mean + 0.2 * batch.mean(axis=0), 0.8 * variance + 0.2 * batch.var(axis=0)
    assert_allclose(norm.running_mean, mean)
    assert_allclose(norm.running_variance, variance)
    x = random.standard_normal((4, 2))
    assert_allclose(norm.forward_pass(x), (x - mean) / np.sqrt(variance + 1e-5))


@pytest.mark.parametrize("norm", [BatchNorm(), LayerNorm(), RMSNorm()], ids=repr)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_inputs_without_variance(norm, value):
    x = np.full((4, 3), value)
    norm.build(3)
    with norm.training_mode():
        assert np.isfinite(norm.forward_pass(x)).all()
        assert np.isfinite(norm.backward_pass(x, np.ones_like(x))).all()


def test_norms_ignore_the_scale_of_their_inputs():
    x = np.random.default_rng(0).standard_normal((6, 5))
    for norm in (LayerNorm(epsilon=1e-12), RMSNorm(epsilon=1e-12)):
        assert_allclose(norm.forward_pass(x), norm.forward_pass(1000 * x), rtol=1e-9)


# --- dense and shapes ---


def test_dense_is_an_affine_map():
    dense = Dense(2).build(3, random_state=0)
    dense.bias = [1.0, -1.0]
    x, g = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0], [3.0, 4.0]])
    assert_allclose(dense.forward_pass(x), np.einsum("ni,iu->nu", x, dense.weights) + dense.bias)
    assert_allclose(dense.backward_pass(x, g), np.einsum("nu,iu->ni", g, dense.weights))
    assert_allclose(dense.grad_weights, np.einsum("ni,nu->iu", x, g))
    assert_allclose(dense.grad_bias, [4, 6])


def test_reshape_undoes_flatten():
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    there_and_back = Sequential([Flatten(), Reshape((2, -1))])
    assert np.array_equal(there_and_back.forward_pass(x), x)
    assert Reshape((2, -1)).forward_pass(np.zeros((0, 8))).shape == (0, 2, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "Dense: units must be a positive integer, got 0"),
        (lambda: Dense(2.5), "units must be a positive integer"),
        (lambda: Dropout(1), "Dropout: rate must be at least 0 and less than 1"),
        (lambda: GaussianNoise(-1), "GaussianNoise: deviation"),
        (lambda: BatchNorm(momentum=1.5), "momentum must be between 0 and 1"),
        (lambda: LayerNorm(epsilon=0), "LayerNorm: epsilon must be greater than 0"),
        (lambda: LeakyReLU(-1), "negative_slope"),
        (lambda: ELU(0), "alpha"),
        (lambda: Reshape((0, 2)), "Reshape: shape"),
        (lambda: Reshape((-1, -1)), "one of which may be -1"),
        (lambda: Reshape((3,)).forward_pass(np.zeros((1, 4))), r"cannot hold the 4 values of a sample"),
        (lambda: LayerNorm().forward_pass(np.zeros(4)), "reshape"),
        (
            lambda: Dense(2, weights_initializer="glorot").build(2),
            "'glorot' is not known. Known are: Constant, ",
        ),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
