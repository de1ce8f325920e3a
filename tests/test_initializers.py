"""Initialisers: variances, limits, and an orthogonal matrix that is one."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from layernet import Dense
from layernet.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Ones,
    Orthogonal,
    Uniform,
    Zeros,
    as_initializer,
    fans,
)

SHAPE = (300, 200)


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        (GlorotUniform(), 2 / 500),
        (GlorotNormal(), 2 / 500),
        (HeUniform(), 2 / 300),
        (HeNormal(), 2 / 300),
        (LeCunUniform(), 1 / 300),
        (LeCunNormal(), 1 / 300),
    ],
    ids=repr,
)
def test_variances(initializer, variance, random):
    values = initializer(SHAPE, random)
    assert values.shape == SHAPE
    # Five standard errors: the variance of the square is at most 2 variance**2.
    assert abs(values.var() / variance - 1) < 5 * math.sqrt(2 / values.size)
    assert abs(values.mean()) < 5 * math.sqrt(variance / values.size)
    if "Uniform" in type(initializer).__name__:
        limit = math.sqrt(3 * variance)
        assert 0.99 * limit < np.abs(values).max() <= limit


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4)])
def test_orthogonal(shape, random):
    matrix = Orthogonal(gain=2.0)(shape, random).reshape(-1, shape[-1]) / 2
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    assert_allclose(small, np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_not_biased_to_one_sign(random):
    """Without the signs of the triangle, the corner of a random orthogonal matrix has always the same sign."""
    corners = [Orthogonal()((3, 3), random)[0, 0] for _ in range(200)]
    assert 60 < np.sum(np.array(corners) > 0) < 140


@pytest.mark.parametrize("shape", [(400, 100), (100, 400)])
def test_he_keeps_signals_through_relu_and_glorot_keeps_gradients_both_ways(shape, random):
    """What the variances are for: the mean square of outputs, and of gradients, stays what it was."""
    fan_in, fan_out = shape
    x, g = random.standard_normal((500, fan_in)), random.standard_normal((500, fan_out))
    for he in (HeNormal(), HeUniform()):
        signal = np.maximum(random.standard_normal((500, fan_in)), 0)
        assert abs(((signal @ he(shape, random)) ** 2).mean() - 1) < 0.15
    for lecun in (LeCunNormal(), LeCunUniform()):
        assert abs(((x @ lecun(shape, random)) ** 2).mean() - 1) < 0.15
    for glorot in (GlorotNormal(), GlorotUniform()):
        weights = glorot(shape, random)
        forward, back = ((x @ weights) ** 2).mean(), ((g @ weights.T) ** 2).mean()
        assert abs((forward / fan_in + back / fan_out) * (fan_in + fan_out) / 4 - 1) < 0.15


@pytest.mark.parametrize("kind", [GlorotNormal, HeNormal, LeCunNormal])
def test_normal_values_are_normal(kind, random):
    values = kind()(SHAPE, random).ravel()
    assert stats.kstest(values / values.std(), "norm").pvalue > 1e-4


@pytest.mark.parametrize("kind", [GlorotUniform, HeUniform, LeCunUniform])
def test_uniform_values_are_uniform(kind, random):
    values = kind()(SHAPE, random).ravel()
    limit = np.abs(values).max()
    assert stats.kstest(values, "uniform", (-limit, 2 * limit)).pvalue > 1e-4


def test_the_same_random_state_gives_the_same_weights_in_both_types():
    for name in ("glorot_uniform", "he_normal", "orthogonal"):
        double = Dense(3, weights_initializer=name).build(4, random_state=7)
        single = Dense(3, weights_initializer=name).build(4, random_state=7, dtype=np.float32)
        assert single.weights.dtype == np.float32
        assert np.array_equal(single.weights, double.weights.astype(np.float32))
        assert not np.array_equal(
            double.weights, Dense(3, weights_initializer=name).build(4, random_state=8).weights
        )


def test_plain_values(random):
    assert Zeros()((2, 3), random).tolist() == [[0, 0, 0]] * 2
    assert Ones()((2,), random).tolist() == [1, 1]
    assert Constant(0.5)((2,), random).tolist() == [0.5, 0.5]


def test_distributions_that_do_not_depend_on_the_shape(random):
    for shape in ((20_000,), (100, 200)):
        assert Normal(0.3)(shape, random).std() == pytest.approx(0.3, rel=0.03)
        values = Uniform(0.3)(shape, random)
        assert np.abs(values).max() == pytest.approx(0.3, rel=0.01)
        assert values.std() == pytest.approx(0.3 / 3**0.5, rel=0.03)
    for make in (lambda: Normal(-1), lambda: Uniform(-1)):
        with pytest.raises(ValueError, match="at least 0"):
            make()


def test_fans():
    assert fans((3, 5)) == (3, 5)
    assert fans((7,)) == (7, 7)
    assert fans((2, 3, 5)) == (6, 5)
    assert fans(()) == (1, 1)


def test_names_and_callables(random):
    assert isinstance(as_initializer("he_normal", "weights"), HeNormal)
    assert as_initializer(np.zeros, "weights") is np.zeros
    with pytest.raises(
        ValueError, match=r"weights='magic' is not known. Known are: .*Constant, .*GlorotNormal"
    ):
        as_initializer("magic", "weights")
    with pytest.raises(ValueError, match=r"bias='constant' needs \['value'\]: give an object, Constant"):
        as_initializer("constant", "bias")
    with pytest.raises(TypeError, match="is the class HeNormal, not an object of it"):
        as_initializer(HeNormal, "weights")
    names = {kind.__name__: kind for kind in Initializer.__subclasses__()}
    assert eval(repr(Orthogonal(gain=2.0)), names).gain == 2.0
