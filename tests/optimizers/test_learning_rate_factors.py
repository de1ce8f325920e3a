"""A factor of the learning rate for each parameter: every optimizer, both engines."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from layernet import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Dense,
    Layer,
    Lion,
    MeanSquaredError,
    NAdam,
    Optimizer,
    ReLU,
    RMSProp,
    Sequential,
)
from layernet.engine.choice import has_numba

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]
OPTIMIZERS = [
    lambda rate: SGD(rate),
    lambda rate: SGD(rate, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda rate: Adam(rate),
    lambda rate: Adam(rate, amsgrad=True, clip_value=0.1),
    lambda rate: AdamW(rate, weight_decay=0.1),
    lambda rate: NAdam(rate),
    lambda rate: RMSProp(rate),
    lambda rate: Adagrad(rate),
    lambda rate: Lion(rate),
]
names = [repr(make(0.02)) for make in OPTIMIZERS]


class Scale(Layer):
    """A factor for each feature, which learns six times as fast as other parameters."""

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones", rate=6)

    def forward_pass(self, inputs):
        return inputs * self.factor

    def backward_pass(self, inputs, grad_output):
        self.grad_factor = (inputs * grad_output).sum(axis=0)
        return grad_output * self.factor


def make_network():
    return Sequential([Scale(), Dense(8, weights_rate=0.25, bias_rate=0), ReLU(), Dense(3)])


@pytest.mark.parametrize("make", OPTIMIZERS, ids=names)
def test_each_part_moves_as_with_its_own_learning_rate(make, random):
    start, gradients = random.standard_normal(30_000), random.standard_normal((4, 30_000))
    factors = np.ones(30_000)
    factors[5_000:20_000], factors[20_000:] = 0.3, 4.0  # across the blocks of an update
    together, optimizer = start.copy(), make(0.02)
    for gradient in gradients:
        optimizer.step(together, gradient, learning_rate_factors=factors)
    for part, factor in ((slice(5_000), 1), (slice(5_000, 20_000), 0.3), (slice(20_000, None), 4.0)):
        alone, optimizer = start[part].copy(), make(0.02 * factor)
        for gradient in gradients:
            optimizer.step(alone, gradient[part])
        assert_allclose(together[part], alone, rtol=1e-12)


@pytest.mark.parametrize("make", OPTIMIZERS, ids=names)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.skipif(not has_numba(), reason="kernels need Numba")
def test_kernels_equal_formulas(make, dtype, random):
    X, y = random.standard_normal((300, 5)).astype(dtype), random.integers(0, 3, 300)
    vectors = []
    options = {"loss": "cross_entropy", "epochs": 4, "batch_size": 50, "random_state": 0}
    for engine in ("formulas", "compiled"):
        network = make_network().build(5, random_state=0, dtype=dtype)
        network.fit(X, y, optimizer=make(0.02), engine=engine, **options)
        vectors.append(network.parameter_vector.copy())
    assert vectors[0].dtype == dtype
    assert_allclose(
        *vectors, rtol=1e-3 if dtype == np.float32 else 1e-9, atol=1e-4 if dtype == np.float32 else 0
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rate_of_zero_freezes_a_parameter(engine, random):
    network = make_network().build(5, random_state=0)
    bias, weights = network[1].bias.copy(), network[1].weights.copy()
    X, y = random.standard_normal((60, 5)), random.integers(0, 3, 60)
    network.fit(X, y, loss="cross_entropy", optimizer=AdamW(weight_decay=0.1), epochs=3, engine=engine)
    assert_array_equal(network[1].bias, bias)
    assert (network[1].weights != weights).any()


def test_the_loop_by_hand_equals_fit(random):
    X, y = random.standard_normal((60, 5)), random.standard_normal((60, 3))
    first, second = (make_network().build(5, random_state=0) for _ in range(2))
    first.fit(X, y, loss="mean_squared_error", optimizer=Adam(), epochs=3, batch_size=60, shuffle=False)
    loss, optimizer = MeanSquaredError().bind(y), Adam()
    for _ in range(3):
        outputs, record = second.record(X)
        second.backward_from(record, loss.backward_pass(outputs, 1.0))
        optimizer.update(second)
    assert_allclose(first.parameter_vector, second.parameter_vector, rtol=1e-12)


def test_factors_stay_in_copies_slices_and_other_types():
    network = make_network().build(5)
    expected = [6.0] * 5 + [0.25] * 40 + [0.0] * 8 + [1.0] * 27
    for twin in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network)), network.build(5)):
        assert twin.learning_rate_factors.tolist() == expected
    assert network.astype("float32").learning_rate_factors.dtype == np.float32
    assert network[1:3].learning_rate_factors.tolist() == expected[5:53]
    assert network[3].learning_rate_factors.tolist() == [1.0] * 27


def test_a_network_without_rates_has_no_factors():
    assert Sequential([Dense(2), ReLU()]).build(3).learning_rate_factors is None


def test_wrong_rates_and_factors_are_refused(random):
    class Negative(Layer):
        def create_parameters(self, input_shape):
            self.add_parameter("factor", input_shape, rate=-1)

        def forward_pass(self, inputs):
            return inputs

        def backward_pass(self, inputs, grad_output):
            return grad_output

    with pytest.raises(ValueError, match="rate of factor"):
        Negative().build(3)
    with pytest.raises(ValueError, match="bias_rate"):
        Dense(2, bias_rate=-0.1)
    with pytest.raises(ValueError, match="learning_rate_factors"):
        SGD().step(np.ones(3), np.ones(3), learning_rate_factors=np.ones(2))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_of_ones_own_without_the_factors_is_refused(engine, random):
    class Own(Optimizer):
        def step(self, parameters, gradients, decay_mask=None):
            parameters -= self.learning_rate * gradients

    network = make_network().build(5, random_state=0)
    before = network.parameter_vector.copy()
    X, y = random.standard_normal((60, 5)), random.integers(0, 3, 60)
    with pytest.raises(TypeError, match=r"Own\.step takes no learning_rate_factors"):
        network.fit(X, y, loss="cross_entropy", optimizer=Own(0.1), epochs=1, engine=engine)
    assert_array_equal(network.parameter_vector, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_optimizer_with_its_own_step_is_told_the_factors(engine, random):
    class Own(Optimizer):
        def step(self, parameters, gradients, decay_mask=None, learning_rate_factors=1.0):
            parameters -= self.learning_rate * learning_rate_factors * gradients

    network = make_network().build(5, random_state=0)
    twin = copy.deepcopy(network)
    X, y = random.standard_normal((60, 5)), random.integers(0, 3, 60)
    for net, optimizer in ((network, Own(0.1)), (twin, SGD(0.1))):
        net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=3, random_state=0, engine=engine)
    assert_allclose(network.parameter_vector, twin.parameter_vector, rtol=1e-12)
