"""Layers with weights and nothing between them that bends: which are noted, and which are left alone."""

import copy

import numpy as np
import pytest
from sklearn.datasets import load_iris
from trainings import table, train

from layernet import (
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Tanh,
    diagnose,
)
from layernet.monitoring.affine_pairs import find_affine_pairs, is_affine
from layernet.monitoring.findings import Diagnosis, Finding


class OwnDense(Layer):
    """A weighted sum of somebody's, which may bend."""

    def __init__(self, units, bends=False):
        self.units, self.bends = units, bends

    def create_parameters(self, input_shape):
        self.add_parameter("matrix", (self.units, *input_shape))

    def forward_pass(self, inputs):
        outputs = inputs @ self.matrix.T
        return np.maximum(outputs, 0) if self.bends else outputs

    def backward_pass(self, inputs, grad_output):
        grad_output = grad_output * (self.forward_pass(inputs) > 0) if self.bends else grad_output
        self.grad_matrix = grad_output.T @ inputs
        return grad_output @ self.matrix


def pairs(*layers, n_inputs=6, dtype=np.float64):
    return find_affine_pairs(Sequential(list(layers)).build(n_inputs, random_state=0, dtype=dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "between",
    [
        [],
        [Dropout(0.5)],
        [BatchNorm()],
        [GaussianNoise(0.1), Identity()],
        [Reshape((2, 3)), Flatten()],
        [Residual(Dropout(0.1))],
    ],
)
def test_what_does_not_bend_hides_nothing(between, dtype):
    (pair,) = pairs(Dense(6), *copy.deepcopy(between), Dense(3), dtype=dtype)
    assert (pair.first, pair.second) == ("0 Dense(6)", f"{len(between) + 1} Dense(3)")
    assert pair.sizes == (6, 6, 3)


@pytest.mark.parametrize("between", [[ReLU()], [Tanh()], [LeakyReLU(0.9)], [LayerNorm()], [Residual(ReLU())]])
def test_what_bends_parts_them(between):
    assert pairs(Dense(6), *between, Dense(3)) == []


def test_a_bottleneck_is_left_alone():
    assert pairs(Dense(2), Dense(6)) == []  # of rank 2: 24 weights in the place of 36
    assert len(pairs(Dense(3), Dense(3))) == 1
    assert [pair.sizes for pair in pairs(Dense(2), Dense(6), Dense(3))] == [(2, 6, 3)]


def test_what_one_layer_computes_is_computed_by_the_two():
    net = Sequential([Dense(7), BatchNorm(), Dense(4)]).build(5, random_state=0)
    rows = np.random.default_rng(0).normal(size=(40, 5))
    with_one = np.column_stack([rows, np.ones(40)])
    outputs = net.forward_pass(rows)
    weights = np.linalg.lstsq(with_one, outputs, rcond=None)[0]
    np.testing.assert_allclose(with_one @ weights, outputs, atol=1e-12)
    assert len(find_affine_pairs(net)) == 1


def test_layers_inside_others_and_of_ones_own():
    inner = Sequential([Dense(6), Dense(6)])
    assert [pair.first for pair in pairs(Residual(inner), ReLU(), Dense(2))] == ["0.0.0 Dense(6)"]
    nested = Sequential([Dropout(0.1), Sequential([Dense(4)])])
    assert [(p.first, p.second) for p in pairs(Dense(6), nested)] == [("0 Dense(6)", "1.1.0 Dense(4)")]
    assert len(pairs(OwnDense(6), OwnDense(3))) == 1
    assert pairs(OwnDense(6, bends=True), Dense(3)) == []


def test_a_layer_that_cannot_be_tried_is_not_straight():
    class Whole(Layer):
        def forward_pass(self, inputs):
            if (inputs != inputs.round()).any():
                raise ValueError("whole numbers only")
            return inputs

        def backward_pass(self, inputs, grad_output):
            return grad_output

    assert not is_affine(Whole().build(3))
    assert is_affine(Identity().build(3))


def test_a_note_leaves_a_training_healthy():
    net = Sequential(Dense(16), Dense(16), Dense(3))
    diagnosis = diagnose(train(table(load_iris), net, Adam(0.01), epochs=20))
    assert diagnosis, diagnosis
    (note,) = diagnosis.notes
    assert (note.symptom, note.layer) == ("no activation between layers", "0 Dense(16)")
    assert "(4 to 16 to 16 numbers)" in note.measurement
    assert (
        "what one layer from 4 to 16 computes. The same holds for 1 Dense(16) and 2 Dense(3)."
        in note.measurement
    )
    assert str(diagnosis).splitlines()[1] == "Note: no activation between layers, in 0 Dense(16)"


def test_representations_of_notes():
    note = Finding("a <note>", None, "one of 2.", "Leave it.")
    finding = Finding("dead ReLUs", "1 ReLU", "all 64 are 0.", "Use LeakyReLU.")
    both = Diagnosis([finding], "10 steps.", [note])
    assert not both
    assert list(both) == [finding]
    assert both.notes == (note,)
    assert str(both).splitlines() == [
        "1 finding: 10 steps.",
        "1. dead ReLUs, in 1 ReLU",
        "   All 64 are 0.",
        "   Use LeakyReLU.",
        "Note: a <note>",
        "   One of 2.",
        "   Leave it.",
    ]
    page = both._repr_html_()
    assert page.index("dead ReLUs") < page.index("a &lt;note&gt;")
    assert Diagnosis([], "10 steps.", [note])
    assert str(Diagnosis([], "10 steps.", [note])).startswith("Healthy: 10 steps.\nNote: ")
