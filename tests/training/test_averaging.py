"""The running average of the weights: its formula, and that training goes on from the weights themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from layernet import Dense
from layernet.training.averaging import WeightAverage


def test_the_average_by_hand():
    net = Dense(1, use_bias=False).build(1)
    net.weights = [[1.0]]
    average = WeightAverage(0.5)
    average.begin(net)
    expected = 1.0
    for step, weight in enumerate([2.0, -1.0, 4.0, 0.5, 3.0], start=1):
        net.weights = [[weight]]
        average.add(net.parameter_vector)
        decay = min(0.5, step / (step + 9))
        expected = decay * expected + (1 - decay) * weight
    with average.in_place(net):
        assert_allclose(net.weights, [[expected]])
    assert net.weights == [[3.0]]
    average.end(net)
    assert_allclose(net.weights, [[expected]])
    average.begin(net)
    assert net.weights == [[3.0]]


def test_one_that_takes_over_leaves_the_other_as_it_was():
    net = Dense(2).build(3, random_state=0)
    first, second = WeightAverage(0.9), WeightAverage(0.9)
    first.begin(net)
    first.end(net)
    second.take_over(first)
    before = first.average.copy()
    second.add(net.parameter_vector + 1)
    assert np.array_equal(first.average, before)
    assert not np.array_equal(second.average, before)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decays_out_of_range(decay):
    with pytest.raises(ValueError, match="WeightAverage: decay must be at least 0 and less than 1"):
        WeightAverage(decay)
