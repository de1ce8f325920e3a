"""What the README says of its code is true."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from layernet import Dense, ReLU, Sequential
from layernet.training import batches

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def by_hand():
    """All that the README's loop by hand defines."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (loop,) = (block for block in blocks if "for epoch in range" in block)
    data = next(block for block in blocks if "load_digits" in block).partition("\n\nnet =")[0]
    names = {"np": np, "Sequential": Sequential, "Dense": Dense, "ReLU": ReLU}
    exec(data + "\n" + loop, names)
    return names


def network():
    return Sequential([Dense(64), ReLU(), Dense(10)])


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
def test_the_loop_by_hand_is_a_fit_of_a_network_that_is_not_built(by_hand, engine):
    if engine == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    net = network()
    arguments = {"loss": "cross_entropy", "epochs": 10, "engine": engine}
    net.fit(by_hand["X"], by_hand["y"], random_state=0, **arguments)
    same = assert_array_equal if engine == "formulas" else lambda a, b: assert_allclose(a, b, atol=1e-6)
    same(net.parameter_vector, by_hand["net"].parameter_vector)
    # Of a network that is built `fit` draws no parameters: the same generator goes on with the orders.
    random = np.random.default_rng(0)
    built = network().build(64, random)
    built.fit(by_hand["X"], by_hand["y"], random_state=random, **arguments)
    same(built.parameter_vector, by_hand["net"].parameter_vector)


def test_a_fit_of_a_network_that_is_built_draws_the_orders_only(by_hand):
    net = network().build(64, random_state=0)
    orders = []

    def shuffle(n_rows):
        orders.append(np.random.default_rng(0).permutation(n_rows))
        return orders[-1]

    first = network().build(64, random_state=0)
    arguments = {"loss": "cross_entropy", "epochs": 1, "engine": "formulas"}
    first.fit(by_hand["X"], by_hand["y"], random_state=0, **arguments)
    net.fit(by_hand["X"], by_hand["y"], shuffle=shuffle, **arguments)
    assert len(orders) == 1
    assert_array_equal(
        np.concatenate(list(batches(len(by_hand["X"]), 32, np.random.default_rng(0)))), orders[0]
    )
    assert_array_equal(first.parameter_vector, net.parameter_vector)
