"""An activation after the last weights: outputs that are stuck, and notes on bounds that did no harm."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from trainings import diabetes, digits, table, train

from layernet import (
    ELU,
    GELU,
    SGD,
    Adam,
    CrossEntropy,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    diagnose,
)
from layernet.monitoring.output_activation import effect_of_output_activation, slopes_of
from layernet.monitoring.output_range import range_of_outputs

pytestmark = pytest.mark.slow

BOUNDED_OUTPUTS = "bounded output activation"


def ending_in(*end, outputs=10):
    return Sequential([Dense(32), ReLU(), Dense(outputs), *end])


class Downward(Layer):
    """Between -infinity and 0: a rectifier of somebody's, turned round."""

    def forward_pass(self, inputs):
        return -np.maximum(inputs, 0)

    def backward_pass(self, inputs, grad_output):
        return -grad_output * (inputs > 0)


@pytest.mark.parametrize("end", [ReLU, GELU, SiLU, Downward])
def test_logits_that_an_activation_holds_are_found(end):
    X, y = digits()
    net = ending_in(end(), Flatten()).build(64, random_state=0)
    net[2].bias = np.where(np.arange(10) == 3, -60.0, 0.0)
    finding = diagnose(train((X, y), net, Adam(0.003), epochs=15)).findings[0]
    assert (finding.symptom, finding.layer) == (BOUNDED_OUTPUTS, f"3 {end.__name__}")
    assert f"Leave out {end.__name__}" in finding.advice
    numbers = finding.measurement.split("(")[1].split(")")[0]
    stuck = [int(number) for number in numbers.replace(" and ", ", ").split(", ")]
    assert finding.measurement.startswith(f"{len(stuck)} of 10 outputs")
    assert 3 in stuck
    outputs = net.forward_pass(X)
    assert np.abs(outputs[:, 3]).max() < 1e-6


@pytest.mark.parametrize("end", [Softplus, ELU])
def test_a_bound_that_did_no_harm_is_noted(end):
    diagnosis = diagnose(train(table(load_iris), ending_in(end(), outputs=3), Adam(0.01), epochs=30))
    assert diagnosis, diagnosis
    (note,) = diagnosis.notes
    assert (note.symptom, note.layer) == (BOUNDED_OUTPUTS, f"3 {end.__name__}")
    # Of the logits of 3 classes 2 are to be as low as they can.
    assert "CrossEntropy decreases beyond it for 67% of them" in note.measurement


@pytest.mark.parametrize("end", [[], [LeakyReLU()], [Flatten()]])
def test_ends_without_a_bound_are_not_noted(end):
    diagnosis = diagnose(train(table(load_iris), ending_in(*end, outputs=3), Adam(0.01), epochs=30))
    assert diagnosis, diagnosis
    assert diagnosis.notes == ()


def test_a_bound_that_targets_do_not_pass_is_not_noted():
    X, y = diabetes()
    diagnosis = diagnose(
        train(
            (X, y - y.min() + 0.5),
            ending_in(Softplus(), outputs=1),
            Adam(0.01),
            "mean_squared_error",
            epochs=40,
        )
    )
    assert diagnosis, diagnosis
    assert diagnosis.notes == ()


def test_one_dead_output_of_three_is_found():
    X, y = diabetes()
    targets = np.column_stack([y, y**2, -y]) + 6
    net = ending_in(ReLU(), outputs=3).build(X.shape[1], random_state=0)
    net[2].bias = [5.0, -400.0, 5.0]
    diagnosis = diagnose(train((X, targets), net, Adam(0.003), "mean_squared_error", epochs=60))
    finding = next(finding for finding in diagnosis if finding.symptom == BOUNDED_OUTPUTS)
    assert (finding.layer, finding.measurement[:24]) == ("3 ReLU", "1 of 3 outputs (1) lies ")
    assert "bias" in finding.advice


def test_slopes_are_those_of_each_output_alone():
    net = Sequential([Dense(3), GELU(), Flatten()]).build(3, random_state=0)
    inputs = np.random.default_rng(0).normal(size=(5, 3))
    small = 1e-6
    differences = (GELU().forward_pass(inputs + small) - GELU().forward_pass(inputs - small)) / (2 * small)
    np.testing.assert_allclose(slopes_of(net[1:].layers, inputs), differences, atol=1e-8)
    assert slopes_of([Softmax().build(3)], inputs) is None


def test_rows_that_are_right_at_a_saturated_end_are_not_stuck():
    net = Sequential([Dense(1), Sigmoid()]).build(1, random_state=0)
    net[0].weights, net[0].bias = [[50.0]], [0.0]
    rows = np.array([[-1.0], [-2.0], [-3.0], [1.0], [2.0], [3.0]])
    right = (rows > 0).astype(float)
    ranges = range_of_outputs(net)
    assert effect_of_output_activation(net, MeanSquaredError(), rows, right, *ranges).stuck_outputs == []
    assert effect_of_output_activation(net, MeanSquaredError(), rows, 1 - right, *ranges).stuck_outputs == [0]


def test_an_end_is_not_blamed_for_a_divergence():
    net = ending_in(ReLU())
    diagnosis = diagnose(train((digits()[0] * 1e150, digits()[1]), net, SGD(1e3)))
    assert BOUNDED_OUTPUTS not in [finding.symptom for finding in diagnosis]


def test_losses_without_bounds_have_no_end():
    net = Sequential([Dense(2)]).build(1, random_state=0)
    rows = np.ones((4, 1))
    assert (
        effect_of_output_activation(net, CrossEntropy(), rows, np.zeros(4, int), *range_of_outputs(net)) is None
    )
