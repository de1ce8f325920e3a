"""Layers against values from elsewhere: SciPy, closed forms, statistics of noise, averages by hand."""

import contextlib
import copy
import math

import numpy as np
import pytest
from arguments import (
    AT_LEAST_0,
    CLOSED_UNIT,
    COUNT,
    LARGE,
    POSITIVE,
    SWITCH,
    TINY,
    UNIT,
    check_argument,
    numbers_and_switches,
)
from numpy.testing import assert_allclose
from scipy import special, stats

from layernet import (
    ELU,
    GELU,
    SELU,
    SGD,
    BatchNorm,
    CategoryEmbedding,
    Dense,
    Dropout,
    FeatureScale,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    ReLU,
    Reshape,
    RMSNorm,
    SelectFeatures,
    Sequential,
    Sigmoid,
    SiLU,
    SmoothClip,
    Softmax,
    Softplus,
    Tanh,
)
from layernet.initializers import Orthogonal
from layernet.layers.dense import row_of_ones
from layernet.layers.noise import random_bits
from layernet.layers.softmax import LONG_ROW

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
        (
            SELU(),
            lambda x: 1.0507009873554805 * (x * (x > 0) + 1.6732632423543772 * np.expm1(x) * (x <= 0)),
            lambda x: 1.0507009873554805 * np.where(x > 0, 1, 1.6732632423543772 * np.exp(x)),
        ),
        (
            SiLU(),
            lambda x: x * special.expit(x),
            lambda x: (1 + np.exp(-x) + x * np.exp(-x)) / (1 + np.exp(-x)) ** 2,
        ),
        (Softplus(), lambda x: np.log1p(np.exp(x)), special.expit),
        # With e = exp(x) Misra's functions are quotients of polynomials.
        (
            Mish(),
            lambda x: x * ((1 + np.exp(x)) ** 2 - 1) / ((1 + np.exp(x)) ** 2 + 1),
            lambda x: (
                np.exp(x)
                * (4 * (x + 1) + 4 * np.exp(2 * x) + np.exp(3 * x) + np.exp(x) * (4 * x + 6))
                / (2 * np.exp(x) + np.exp(2 * x) + 2) ** 2
            ),
        ),
        (HardSigmoid(), lambda x: np.minimum(np.maximum((x + 3) / 6, 0), 1), lambda x: (abs(x) < 3) / 6),
        # With a gradient of 2 in every output the probabilities, whose sum is 1, cannot move.
        (Softmax(), lambda x: special.softmax(x, axis=-1), np.zeros_like),
        (
            LogSoftmax(),
            lambda x: special.log_softmax(x, axis=-1),
            lambda x: 1 - 5 * special.softmax(x, axis=-1),
        ),
    ],
    ids=lambda value: repr(value) if not callable(value) else "",
)
def test_activations_against_scipy_and_closed_forms(layer, function, derivative):
    assert_allclose(layer.forward_pass(X), function(X), rtol=1e-12, atol=1e-15)
    assert_allclose(layer.backward_pass(X, np.full_like(X, 2.0)), 2 * derivative(X), rtol=1e-9, atol=1e-13)


def test_softmax_gradients_are_products_with_the_jacobian():
    gradient = np.random.default_rng(0).standard_normal(X.shape)
    for row, p, g in zip(X, special.softmax(X, axis=1), gradient, strict=True):
        jacobian = np.diag(p) - np.outer(p, p)
        assert_allclose(Softmax().backward_pass(row[None], g[None])[0], jacobian @ g, rtol=1e-9, atol=1e-15)
        expected = (np.eye(5) - p).T @ g
        assert_allclose(LogSoftmax().backward_pass(row[None], g[None])[0], expected, rtol=1e-9, atol=1e-15)


def test_long_rows_and_rows_with_axes():
    for shape in ((2, LONG_ROW + 44), (2, 3, 4), (2, 3, LONG_ROW + 1)):
        inputs = np.random.default_rng(0).standard_normal(shape)
        assert_allclose(Softmax().forward_pass(inputs), special.softmax(inputs, axis=-1), rtol=1e-12)
        assert_allclose(LogSoftmax().forward_pass(inputs), special.log_softmax(inputs, axis=-1), rtol=1e-12)


def test_the_tanh_form_of_gelu_has_its_own_derivative():
    inner = math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * X**2)
    expected = (1 + np.tanh(inner)) / 2 + X / 2 / np.cosh(inner) ** 2 * slope
    found = GELU(approximate=True).backward_pass(X, np.ones_like(X))
    assert_allclose(found, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("layer", "below", "slope_below", "above", "slope_above"),
    [
        (Identity(), lambda x: -x, 1, lambda x: x, 1),
        (ReLU(), 0, 0, lambda x: x, 1),
        (LeakyReLU(0.25), lambda x: -x / 4, 0.25, lambda x: x, 1),
        (ELU(0.5), -0.5, 0, lambda x: x, 1),
        (SELU(), -SELU.scale * SELU.alpha, 0, lambda x: SELU.scale * x, SELU.scale),
        (GELU(), 0, 0, lambda x: x, 1),
        (GELU(approximate=True), 0, 0, lambda x: x, 1),
        (SiLU(), 0, 0, lambda x: x, 1),
        (Mish(), 0, 0, lambda x: x, 1),
        (Softplus(), 0, 0, lambda x: x, 1),
        (Sigmoid(), 0, 0, 1, 0),
        (Tanh(), -1, 0, 1, 0),
        (HardSigmoid(), 0, 0, 1, 0),
    ],
    ids=lambda value: repr(value) if isinstance(value, Layer) else "",
)
def test_activations_reach_their_limits(layer, below, slope_below, above, slope_above, dtype):
    for size in (1e3, 1e4, 1e30):
        x = np.array([[-size, size]], dtype)
        limits = [limit(size) if callable(limit) else limit for limit in (below, above)]
        assert_allclose(layer.forward_pass(x), [limits], rtol=2e-7, atol=1e-30)
        slopes = layer.backward_pass(x, np.full_like(x, 3.0))
        assert_allclose(slopes, [[3 * slope_below, 3 * slope_above]], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (LeakyReLU(np.float64(0.1)), 4),
        (ELU(np.float64(0.5)), 4),
        (Dropout(np.float64(0.3)), 4),
        (GaussianNoise(np.float64(0.3)), 4),
        (BatchNorm(np.float64(0.5), np.float64(1e-3)), 4),
        (LayerNorm(np.float64(1e-3)), 4),
        (RMSNorm(np.float64(1e-3)), 4),
        (Dense(2, weights_initializer=Orthogonal(np.float64(2))), 4),
    ],
    ids=repr,
)
def test_arguments_that_are_numpy_numbers_leave_float32_as_it_is(layer, input_shape):
    """Grids of hyperparameters are made of them, and NumPy's float64 widens what Python's float does not."""
    layer.build(input_shape, random_state=0, dtype=np.float32)
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    for mode in (contextlib.nullcontext(), layer.training_mode()):
        with mode:
            outputs = layer.forward_pass(x)
            assert outputs.dtype == np.float32
            assert layer.backward_pass(x, np.ones_like(outputs)).dtype == np.float32


@pytest.mark.parametrize("layer", [Softmax(), LogSoftmax()], ids=repr)
def test_a_softmax_of_samples_without_features_is_refused(layer):
    """Along the last axis it would run over the samples, and no row would stand alone."""
    with pytest.raises(ValueError, match="features"):
        layer.forward_pass(np.zeros(4))


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


def test_bounds_of_outputs_are_their_limits():
    bounded = [layer for layer in ACTIVATIONS if layer.output_bounds is not None]
    assert [type(layer) for layer in bounded] == [Sigmoid, Tanh, HardSigmoid]
    for layer in bounded:
        assert_allclose(layer.forward_pass([[-1e4, 1e4]]), [layer.output_bounds])


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


def test_the_tail_of_gelu_keeps_its_relative_precision():
    """1 + erf(x) is all rounding below -5, and 0 below -9; its complement is exact there."""
    x = np.array([[-3.0, -5.0, -8.0, -12.0, -30.0]])
    outputs = GELU().forward_pass(x)
    assert_allclose(outputs, x * special.ndtr(x), rtol=1e-12)
    slopes = GELU().backward_pass(x, np.ones_like(x))
    assert_allclose(slopes, special.ndtr(x) + x * normal_density(x), rtol=1e-12)
    single = GELU().forward_pass(x[:, :3].astype(np.float32))
    assert_allclose(single, outputs[:, :3], rtol=1e-4)


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


def bits_by_hand(seed, step, row, unit):
    """The formula of the docstring, with integers of any size."""

    def mix(x):
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    key = mix((mix(seed % 2**32) + step) % 2**32)
    of_row = mix((key + row * 0x9E3779B9) % 2**32)
    return mix((of_row + unit * 0x85EBCA6B) % 2**32)


@pytest.mark.parametrize(("seed", "step"), [(0, 0), (7, 3), (2**32 + 7, 2**32 + 3), (2**40 - 1, 2**33 - 1)])
@pytest.mark.parametrize("rows", [None, [5, 0, 2**32 - 1]])
def test_random_bits_are_those_of_the_formula(seed, step, rows):
    found = random_bits(seed, step, (3, 2, 2), None if rows is None else np.array(rows, np.uint32))
    expected = [[bits_by_hand(seed, step, row, unit) for unit in range(4)] for row in rows or range(3)]
    assert found.dtype == np.uint32
    assert found.reshape(3, 4).tolist() == expected


def test_noise_is_made_of_random_bits_by_the_formulas():
    inputs = np.random.default_rng(0).standard_normal((5, 4))
    dropout, noise = Dropout(0.25).build(4, random_state=0), GaussianNoise(0.7).build(4, random_state=0)
    for step in range(2):
        kept = random_bits(dropout.seed, step, (5, 4)) >= 2**30
        assert_allclose(in_training(dropout, inputs), inputs * kept / 0.75)
        first, second = (
            (random_bits(noise.seed, 2 * step + part, (5, 4)) + 0.5) / 4294967296 for part in (0, 1)
        )
        normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
        assert_allclose(in_training(noise, inputs), inputs + 0.7 * normal)
        dropout.end_step(), noise.end_step()


def test_a_unit_whose_number_equals_the_rate_is_kept():
    dropout = Dropout(0.5).build(8, random_state=0)
    bits = random_bits(dropout.seed, 0, (1, 8))[0]
    dropout.rate = float(bits[3]) / 2**32
    kept = in_training(dropout, np.ones((1, 8)))[0] != 0
    assert kept.tolist() == (bits >= bits[3]).tolist()


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


def test_noise_of_samples_with_axes_is_the_noise_of_their_units():
    for layer in (Dropout(0.5), GaussianNoise(1.0)):
        layer.build((2, 4), random_state=0)
        shaped = in_training(layer, np.ones((20, 2, 4)))
        state = layer.state()
        layer.build(8).load_state(state)
        assert np.array_equal(in_training(layer, np.ones((20, 8))), shaped.reshape(20, 8))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_pairs_of_units_rows_and_steps_are_dropped_independently(rate):
    """Kept or not, twice: the four counts of a pair are as often as products of probabilities say."""
    dropout = Dropout(rate).build(200, random_state=5)
    ones = np.ones((500, 200))
    kept = in_training(dropout, ones) != 0
    dropout.end_step()
    next_step = in_training(dropout, ones) != 0
    pairs = {
        "units": (kept[:, 0::2], kept[:, 1::2]),
        "rows": (kept[0::2], kept[1::2]),
        "halves": (kept[:, :100], kept[:, 100:]),
        "steps": (kept, next_step),
        "steps, a row on": (kept[1:], next_step[:-1]),
        "steps, a unit on": (kept[:, 1:], next_step[:, :-1]),
    }
    for name, (a, b) in pairs.items():
        counts = np.bincount((2 * a + b).ravel(), minlength=4)
        expected = np.array([rate**2, rate * (1 - rate), rate * (1 - rate), (1 - rate) ** 2]) * a.size
        assert stats.chisquare(counts, expected).pvalue > 1e-4, name


def test_gaussian_noise_has_the_moments_of_a_normal_variable_and_no_memory():
    noise = GaussianNoise(1.0).build(300, random_state=4)
    first = in_training(noise, np.zeros((400, 300)))
    noise.end_step()
    second = in_training(noise, np.zeros((400, 300)))
    root = math.sqrt(first.size)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((first**power).mean() - moment) < 5 * math.sqrt(variance) / root, power
    for other in (np.roll(first, 1, axis=0), np.roll(first, 1, axis=1), second):
        assert abs((first * other).mean()) < 5 / root
        assert abs(((first**2 - 1) * (other**2 - 1)).mean()) < 5 * 2 / root


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_noise_is_the_same_in_both_types(dtype):
    for layer in (Dropout(0.5), GaussianNoise(1.0)):
        layer.build(8, random_state=0, dtype=dtype)
        found = in_training(layer, np.ones((20, 8), dtype))
        layer.build(8, random_state=0)
        assert_allclose(found, in_training(layer, np.ones((20, 8))), rtol=1e-6, atol=1e-6)


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


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 100.1, 1000.1, -12345.678])
def test_inputs_without_variance_are_shifted_to_zero(value, dtype):
    """A mean that is off by one rounding is no zero: divided by sqrt(epsilon) it may be as large as 1."""
    for norm, shape in ((BatchNorm(), (100, 3)), (LayerNorm(), (3, 100))):
        norm.build(shape[1], dtype=dtype)
        assert_allclose(in_training(norm, np.full(shape, value, dtype)), 0, atol=1e-4)


def test_norms_of_float32_inputs_far_from_zero():
    """Times, counts and temperatures in kelvin: a large mean must not drown the variance."""
    x = (1000 + np.random.default_rng(0).standard_normal((512, 64)) / 10).astype(np.float32)
    for norm, axis in ((BatchNorm(), 0), (LayerNorm(), 1)):
        exact = x.astype(float) - x.mean(axis=axis, keepdims=True, dtype=float)
        exact /= np.sqrt(x.var(axis=axis, keepdims=True, dtype=float) + 1e-5)
        norm.build(64, dtype=np.float32)
        # Half a unit in the last place of 1000, in standard deviations of 0.1, and a little beside.
        assert_allclose(in_training(norm, x), exact, atol=1e-3)


def test_batch_norm_takes_only_the_last_batch_of_a_step():
    norm = BatchNorm(momentum=0.5).build(1)
    in_training(norm, [[100.0], [200.0]])
    norm.forward_pass([[7.0], [7.0]])  # inference is no batch of a step
    in_training(norm, [[2.0], [4.0]])
    norm.end_step()
    assert norm.running_mean.tolist() == [1.5]
    assert norm.running_variance.tolist() == [1.0]


def test_batch_norm_averages_over_all_axes_but_the_last():
    x = np.random.default_rng(0).standard_normal((6, 4, 3))
    norm, flat = BatchNorm().build((4, 3)), BatchNorm().build(3)
    outputs = in_training(norm, x)
    assert_allclose(outputs, in_training(flat, x.reshape(24, 3)).reshape(x.shape), rtol=1e-12)
    assert norm.gamma.shape == (3,)


def test_a_state_takes_the_type_of_the_layer_and_is_refused_in_another_shape():
    norm = BatchNorm().build(4, dtype=np.float32)
    norm.load_state(BatchNorm().build(4).state())
    assert norm.forward_pass(np.ones((2, 4), np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match=r"running_variance of shape \(4,\), got \(9,\)"):
        norm.load_state({"running_mean": np.full(4, 7.0), "running_variance": np.ones(9)})
    assert norm.running_mean.tolist() == [0, 0, 0, 0]


def test_a_weight_in_batch_norm_is_so_many_equal_rows():
    """Outputs, gradients and running averages; a row without weight counts for nothing."""
    random = np.random.default_rng(0)
    x, g, counts = (
        random.standard_normal((5, 2, 3)),
        random.standard_normal((5, 2, 3)),
        np.array([1, 2, 0, 3, 1]),
    )
    weighted, repeated = BatchNorm().build((2, 3)), BatchNorm().build((2, 3))
    x_repeated, g_repeated = x.repeat(counts, axis=0), g.repeat(counts, axis=0)
    with weighted.training_mode(), repeated.training_mode():
        weighted.batch_weights = counts.astype(float)
        assert_allclose(weighted.forward_pass(x).repeat(counts, axis=0), repeated.forward_pass(x_repeated))
        found = weighted.backward_pass(x, g * counts[:, None, None])
        of_copies = repeated.backward_pass(x_repeated, g_repeated)
    copies = np.repeat(np.arange(5), counts)
    expected = np.array([of_copies[copies == row].sum(axis=0) for row in range(5)])
    assert_allclose(found, expected, atol=1e-14)
    assert_allclose(weighted.grad_gamma, repeated.grad_gamma)
    weighted.end_step(), repeated.end_step()
    assert_allclose(weighted.running_variance, repeated.running_variance)
    assert weighted.batch_weights is None


def test_noise_belongs_to_the_number_of_a_row():
    dropout = Dropout(0.5).build(50, random_state=0)
    with dropout.training_mode():
        dropout.batch_rows = np.array([7, 3, 7], np.uint32)
        first = dropout.forward_pass(np.ones((3, 50)))
        dropout.batch_rows = np.array([3, 9], np.uint32)
        second = dropout.forward_pass(np.ones((2, 50)))
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(first[1], second[0])
    assert not np.array_equal(first[0], first[1])


def test_a_single_number_in_training_is_its_own_mean():
    norm = BatchNorm().build(1)
    norm.beta = [5.0]
    assert in_training(norm, [[3.0]]).tolist() == [[5.0]]


@pytest.mark.parametrize("norm", [BatchNorm(), LayerNorm(), RMSNorm()], ids=repr)
def test_scales_and_shifts_of_norms_do_not_decay(norm):
    norm.build(3)
    assert norm.parameters.keys() == ({"gamma"} if isinstance(norm, RMSNorm) else {"gamma", "beta"})
    assert not norm.decay_mask.any()


def test_only_weights_of_layers_for_tables_decay():
    assert not FeatureScale().build(3).decay_mask.any()
    embedding = PeriodicEmbedding(4, 2).build(3)
    assert embedding.decay_mask.sum() == embedding.weights.size < embedding.decay_mask.size
    assert CategoryEmbedding([2, 3]).build(2).decay_mask.all()


def test_the_default_epsilon_of_each_norm_is_in_its_outputs():
    x = np.array([[0.001, -0.001]])  # variance and mean square 1e-6, so epsilon is ten times that
    expected = x / math.sqrt(1.1e-5)
    assert_allclose(LayerNorm().forward_pass(x), expected)
    assert_allclose(RMSNorm().forward_pass(x), expected)
    assert_allclose(in_training(BatchNorm().build(1), x.T), expected.T)


def test_layer_and_rms_norm_by_hand():
    x = np.array([[1.0, 2.0, 6.0]])  # mean 3, variance 14 / 3, mean square 41 / 3
    layer_norm, rms_norm = LayerNorm(epsilon=1 / 3).build(3), RMSNorm(epsilon=1 / 3).build(3)
    layer_norm.gamma, layer_norm.beta = [1.0, 2.0, 3.0], [0.0, 1.0, -1.0]
    rms_norm.gamma = [1.0, 2.0, 3.0]
    root = math.sqrt(5)
    assert_allclose(layer_norm.forward_pass(x), [[-2 / root, 1 - 2 / root, 9 / root - 1]])
    assert_allclose(rms_norm.forward_pass(x), np.array([[1.0, 4.0, 18.0]]) / math.sqrt(14))


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


def test_the_shared_row_of_ones_is_read_only():
    ones = row_of_ones(3, np.dtype(float))
    assert ones.tolist() == [1, 1, 1]
    assert not ones.flags.writeable


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
        (lambda: GaussianNoise(-1), "GaussianNoise: standard_deviation"),
        (lambda: BatchNorm(momentum=1.5), "momentum must be at least 0 and at most 1"),
        (lambda: LayerNorm(epsilon=0), "LayerNorm: epsilon must be greater than 0"),
        (lambda: LeakyReLU(-1), "negative_slope"),
        (lambda: ELU(0), "alpha"),
        (lambda: Reshape((0, 2)), "Reshape: shape"),
        (lambda: Reshape((-1, -1)), "one of which may be -1"),
        (lambda: Reshape(4), "Reshape: shape"),
        (lambda: Reshape((2.0, 2)), "Reshape: shape"),
        (lambda: Dense(True), "Dense: units must be a positive integer, got True"),
        (lambda: Dropout(-0.1), "Dropout: rate"),
        (lambda: Dropout(math.nan), "Dropout: rate"),
        (lambda: GaussianNoise(math.nan), "GaussianNoise: standard_deviation"),
        (lambda: BatchNorm(epsilon=-1e-5), "BatchNorm: epsilon must be greater than 0"),
        (lambda: RMSNorm(epsilon=math.nan), "RMSNorm: epsilon must be greater than 0"),
        (lambda: LeakyReLU(math.nan), "negative_slope"),
        (lambda: Reshape((3,)).forward_pass(np.zeros((1, 4))), r"cannot hold the 4 values of a sample"),
        (lambda: LayerNorm().forward_pass(np.zeros(4)), "reshape"),
        (
            lambda: Dense(2, weights_initializer="glorot").build(2),
            r"'glorot' is not known\. Did you mean 'GlorotNormal'\? Known are: .*Constant, ",
        ),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


ARGUMENTS = [
    (Dropout, "rate", *UNIT),
    (GaussianNoise, "standard_deviation", *AT_LEAST_0),
    (BatchNorm, "momentum", *CLOSED_UNIT),
    (BatchNorm, "epsilon", *POSITIVE),
    (LayerNorm, "epsilon", *POSITIVE),
    (RMSNorm, "epsilon", *POSITIVE),
    (LeakyReLU, "negative_slope", *AT_LEAST_0),
    (ELU, "alpha", *POSITIVE),
    (GELU, "approximate", *SWITCH),
    (Dense, "units", *COUNT),
    (Dense, "use_bias", *SWITCH),
    (Dense, "weights_rate", *AT_LEAST_0),
    (Dense, "bias_rate", *AT_LEAST_0),
    (SmoothClip, "limit", *POSITIVE),
    (FeatureScale, "rate", *AT_LEAST_0),
    (CategoryEmbedding, "rate", *AT_LEAST_0),
    (PeriodicEmbedding, "standard_deviation", *AT_LEAST_0),
    (PeriodicEmbedding, "rate", *AT_LEAST_0),
    (PeriodicEmbedding, "n_frequencies", *COUNT),
    (PeriodicEmbedding, "width", *COUNT),
    (CategoryEmbedding, "width", *COUNT),
    (PiecewiseLinearEncoding, "lowest", [-LARGE, -1, 0, 1 - TINY], [1]),
    (SelectFeatures, "start", [0, 7], [-1, 1.5]),
    (SelectFeatures, "stop", [None, 3, 7], [2, 2.5]),
]
REQUIRED_ARGUMENTS = {
    Dense: {"units": 2},
    CategoryEmbedding: {"n_levels": [2]},
    PiecewiseLinearEncoding: {"edges": [[0, 1]]},
    SelectFeatures: {"start": 2},
}


@pytest.mark.parametrize(("cls", "name", "accepted", "refused"), ARGUMENTS)
def test_arguments_are_accepted_up_to_their_bounds(cls, name, accepted, refused):
    check_argument(cls, name, accepted, refused, **REQUIRED_ARGUMENTS.get(cls, {}))


def test_every_number_and_switch_has_a_case():
    assert {(cls, name) for cls, name, *_ in ARGUMENTS} == numbers_and_switches(Layer)


def logistic_slope(x):
    return 1 / (1 + math.exp(-x))


def mish_slope(x):
    gate = math.tanh(math.log1p(math.exp(x)))
    return gate + x * (1 - gate * gate) * logistic_slope(x)


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("layer", "slope"),
    [
        (ELU(), math.exp),
        (ELU(0.5), lambda x: 0.5 * math.exp(x)),
        (SELU(), lambda x: SELU.scale * SELU.alpha * math.exp(x)),
        (Softplus(), logistic_slope),
        (Sigmoid(), lambda x: logistic_slope(x) * logistic_slope(-x)),
        (SiLU(), lambda x: logistic_slope(x) * (1 + x * logistic_slope(-x))),
        (Mish(), mish_slope),
        (SmoothClip(), lambda x: (1 + (x / 3) ** 2) ** -1.5),
        (SmoothClip(0.5), lambda x: (1 + (x / 0.5) ** 2) ** -1.5),
        (
            GELU(),
            lambda x: math.erfc(-x / math.sqrt(2)) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, Layer) else "",
)
def test_slopes_far_below_zero_keep_their_digits(layer, slope, dtype, engine):
    """They are no differences of numbers near 1: e(x) + alpha would be 0 for an ELU at -20 in float32."""
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    below = [-8.5, -9.25, -12.0] if isinstance(layer, GELU) else [-20.0, -30.5, -45.0, -80.0]
    if isinstance(layer, Mish):
        below = [-20.0, -30.5, -45.0]
    n = len(below)
    layer = copy.deepcopy(layer)
    network = Sequential([Dense(n), layer]).build(1, dtype=dtype)
    network[0].weights, network[0].bias = np.zeros((1, n)), below
    X = np.ones((1, 1), dtype)
    target = network.forward_pass(X) - 1  # the gradient of the outputs is 2 / n, to rounding
    network.fit(X, target, "mean_squared_error", SGD(0.0), epochs=1, engine=engine)
    expected = [2 / n * slope(x) for x in below]
    assert_allclose(network[0].grad_bias, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
