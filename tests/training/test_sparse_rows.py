"""Sparse rows: whatever takes them gives what it gives for the same rows as an array, to rounding."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from layernet import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Callback,
    Concat,
    Dense,
    Dropout,
    Identity,
    Layer,
    Lion,
    NAdam,
    ReLU,
    Residual,
    RMSProp,
    Sequential,
    Tanh,
    check_layer,
)
from layernet.engine.choice import has_numba
from layernet.sparse import DENSE_ENOUGH, NUMBERS_IN_CACHE, as_sparse_rows, write_weight_gradient
from layernet.training import evaluate

needs_numba = pytest.mark.skipif(not has_numba(), reason="kernels need Numba, which is not installed")
ENGINES = ["formulas", pytest.param("compiled", marks=needs_numba)]
FORMS = ["csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array", "lil_array"]

RANDOM = np.random.default_rng(0)
X = np.where(RANDOM.random((70, 30)) < 0.1, RANDOM.standard_normal((70, 30)), 0)
X[3] = X[:, 7] = 0
Y = RANDOM.integers(0, 3, 70)
WEIGHTS = RANDOM.uniform(0, 2, 70)


def network(dtype=np.float64):
    return Sequential([Dense(8), Tanh(), Dense(3)]).build(30, random_state=0, dtype=dtype)


def trained(net, inputs, engine, **options):
    """A network after a training, and its history."""
    net = copy.deepcopy(net)
    options = {"loss": "cross_entropy", "epochs": 3, "batch_size": 16, "random_state": 0, **options}
    return net, net.fit(inputs, Y, engine=engine, **options)


def assert_same_training(net, engine, tolerance=1e-10, form=sparse.csr_array, inputs=X, **options):
    """Whether sparse rows make the model that the same rows make as an array."""
    optimizer = options.pop("optimizer", Adam())
    found, curves = trained(net, form(inputs), engine, optimizer=copy.deepcopy(optimizer), **options)
    expected, wanted = trained(net, inputs, engine, optimizer=copy.deepcopy(optimizer), **options)
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=tolerance, atol=tolerance)
    assert curves.keys() == wanted.keys()
    for name in wanted.keys() - {"seconds"}:
        assert_allclose(curves[name], wanted[name], rtol=10 * tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", FORMS)
def test_the_passes_of_a_network(form, dtype):
    net, rows = network(dtype), getattr(sparse, form)(X)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    outputs = net.forward_pass(rows)
    assert outputs.dtype == dtype
    assert_allclose(outputs, net.forward_pass(X), rtol=tolerance, atol=tolerance)
    grad_inputs = net.backward_pass(X, outputs)
    expected = net.gradient_vector.copy()
    assert_allclose(net.backward_pass(rows, outputs), grad_inputs, rtol=tolerance, atol=tolerance)
    assert_allclose(net.gradient_vector, expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("values", [np.bool_, np.int8, np.int64, np.uint16, np.float32])
def test_numbers_of_every_type(values):
    few = (X > 0).astype(values)
    assert_allclose(network().forward_pass(sparse.csr_array(few)), network().forward_pass(few), rtol=1e-6)


@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_indices_of_both_types_unsorted_and_repeated(indices):
    rows = sparse.csr_array(X)

    def twice_each(entries):
        return np.concatenate([np.tile(of_row, 2) for of_row in np.split(entries, rows.indptr[1:-1])])

    parts = (
        twice_each(rows.data / 2),
        twice_each(rows.indices).astype(indices),
        (2 * rows.indptr).astype(indices),
    )
    twice = sparse.csr_array(parts, shape=rows.shape)
    assert not twice.has_canonical_format
    assert_allclose(network().forward_pass(twice), network().forward_pass(X), rtol=1e-12)
    found, _ = trained(network(), twice, "formulas")
    expected, _ = trained(network(), X, "formulas")
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-9)


@pytest.mark.parametrize("layer", [Tanh(), BatchNorm(), Dropout(0.5), Residual(Dense(30)), Identity()])
def test_a_layer_that_accepts_none_is_given_an_array(layer):
    layer = copy.deepcopy(layer).build(30, random_state=0)
    assert not layer.accepts_sparse
    assert np.array_equal(layer.forward_pass(sparse.csr_array(X)), layer.forward_pass(X))


def test_which_layers_accept_sparse_rows():
    assert Dense(2).accepts_sparse
    assert Sequential([Sequential([Dense(2), ReLU()])]).accepts_sparse
    assert not Sequential([Tanh(), Dense(2)]).accepts_sparse
    assert not Sequential([]).accepts_sparse
    assert Concat([Dense(2), Sequential([Dense(3), Tanh()])]).accepts_sparse
    assert not Concat([Dense(2), Identity()]).accepts_sparse
    with pytest.raises(AttributeError):
        Sequential([Dense(2)]).accepts_sparse = False


def test_a_pass_of_its_own_takes_the_declaration_back():
    class Absolute(Dense):
        def forward_pass(self, inputs):
            return np.abs(inputs) @ self.weights

        def parameter_gradients(self, inputs, grad_output):
            super().parameter_gradients(np.abs(inputs), grad_output)

    class Renamed(Dense):
        pass

    assert not Absolute(2).accepts_sparse
    assert Renamed(2).accepts_sparse
    layer = Absolute(2).build(30, random_state=0)
    assert_allclose(layer.forward_pass(sparse.csr_array(X)), layer.forward_pass(X))


class Embed(Layer):
    """A third party's layer: the mean of the weights' rows, where inputs are sparse rows or an array."""

    accepts_sparse = True
    seen: list = []

    def create_parameters(self, input_shape):
        self.add_parameter("weights", (input_shape[0], 4), "glorot_uniform")

    def forward_pass(self, inputs):
        self.seen.append(type(inputs).__name__)
        return inputs @ self.weights / inputs.shape[1]

    def backward_pass(self, inputs, grad_output):
        self.grad_weights = inputs.T @ grad_output / inputs.shape[1]
        return grad_output @ self.weights.T / inputs.shape[1]


def test_a_layer_of_a_third_party_is_given_sparse_rows():
    assert check_layer(Embed(), 6)
    net = Sequential([Embed(), Tanh(), Dense(3)]).build(30, random_state=0)
    Embed.seen.clear()
    trained(net, sparse.csr_array(X), "formulas")
    assert set(Embed.seen) == {"csr_array"}
    assert_same_training(net, "formulas")


def test_the_contract_finds_a_layer_that_declares_what_it_does_not_keep():
    class Doubled(Embed):
        accepts_sparse = True

        def forward_pass(self, inputs):
            outputs = inputs @ self.weights / inputs.shape[1]
            return outputs if isinstance(inputs, np.ndarray) else 2 * outputs

        def backward_pass(self, inputs, grad_output):
            return super().backward_pass(inputs, grad_output)

    with pytest.raises(AssertionError, match="outputs of sparse rows differ by up to"):
        check_layer(Doubled(), 6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        Adam(0.01),
        Adam(0.01, amsgrad=True, clip_norm=0.1),
        Adam(0.01, weight_decay=0.1, clip_value=0.01),
        AdamW(0.01, weight_decay=0.1),
        NAdam(0.01),
        RMSProp(0.01),
        Adagrad(0.1),
        Lion(0.001),
    ],
    ids=repr,
)
def test_every_optimizer(optimizer, engine):
    assert_same_training(network(), engine, optimizer=optimizer)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "layers",
    [
        [Dense(8), Dropout(0.3), Tanh(), Dense(3)],
        [Dense(8), BatchNorm(), Tanh(), Dense(3)],
        [Dense(3, use_bias=False)],
        [BatchNorm(), Dense(8), Tanh(), Dense(3)],
        [Dropout(0.2), Dense(3)],
        [Concat([Dense(3), Sequential([Dense(8), Tanh()])]), Dense(3)],
        [Concat([Dense(3), Identity()]), Dense(3)],
        [Sequential([Dense(8), Tanh()]), Residual(Sequential([Dense(8), Tanh()])), Dense(3)],
        [Embed(), Dense(3)],
    ],
    ids=repr,
)
def test_every_network(layers, engine):
    net = Sequential(copy.deepcopy(layers)).build(30, random_state=0)
    assert_same_training(net, engine, tolerance=1e-8 if "BatchNorm" in repr(net) else 1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form(form, engine):
    assert_same_training(network(), engine, form=getattr(sparse, form))


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_metrics_validation_and_a_callback_that_looks_at_every_step(engine):
    class Looking(Callback):
        def on_batch_end(self, run):
            run.network.gradient_vector.sum()

    held_out = sparse.csc_array(X[:20]), Y[:20], WEIGHTS[:20]
    options = {"sample_weight": WEIGHTS, "metrics": "accuracy", "callbacks": [Looking()]}
    found, curves = trained(network(), sparse.csr_array(X), engine, validation_data=held_out, **options)
    expected, wanted = trained(network(), X, engine, validation_data=(X[:20], *held_out[1:]), **options)
    assert_allclose(found.parameter_vector, expected.parameter_vector, rtol=1e-10)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert_allclose(curves[name], wanted[name], rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_single_precision(engine):
    assert_same_training(network(np.float32), engine, tolerance=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("density", [0.0, DENSE_ENOUGH - 0.05, DENSE_ENOUGH + 0.05, 1.0])
def test_results_do_not_depend_on_how_much_is_there(density, engine):
    random = np.random.default_rng(1)
    few = np.where(random.random((70, 30)) < density, random.standard_normal((70, 30)), 0)
    assert_same_training(network(), engine, inputs=few)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.floats(0, 1))
def test_random_sparsity(seed, n_rows, n_features, density):
    random = np.random.default_rng(seed)
    few = random.standard_normal((n_rows, n_features)) * (random.random((n_rows, n_features)) < density)
    layer = Dense(3).build(n_features, random_state=0)
    grad_output = random.standard_normal((n_rows, 3))
    assert_allclose(layer.forward_pass(sparse.csr_array(few)), layer.forward_pass(few), atol=1e-12)
    layer.backward_pass(few, grad_output)
    expected = layer.gradient_vector.copy()
    layer.backward_pass(sparse.csr_array(few), grad_output)
    assert_allclose(layer.gradient_vector, expected, atol=1e-11)


def test_a_gradient_too_large_for_the_cache(monkeypatch):
    random = np.random.default_rng(0)
    units = 40
    n_features = NUMBERS_IN_CACHE // units + 50
    rows = sparse.random_array((9, n_features), density=0.002, format="csr", rng=random)
    grad_output = random.standard_normal((9, units))
    gradient = np.full((n_features, units), np.nan)
    monkeypatch.setattr("layernet.sparse.NUMBERS_AT_ONCE", 7 * units)
    write_weight_gradient(rows, grad_output, gradient)
    assert_allclose(gradient, rows.T @ grad_output, atol=1e-12)
    write_weight_gradient(sparse.csr_array(rows.shape), grad_output, gradient)
    assert not gradient.any()


def test_evaluate_takes_what_fit_takes():
    net = network()
    expected = evaluate(net, X, Y, WEIGHTS, loss="cross_entropy", metrics="accuracy")
    for form in FORMS:
        found = evaluate(net, getattr(sparse, form)(X), Y, WEIGHTS, loss="cross_entropy", metrics="accuracy")
        assert found == pytest.approx(expected, rel=1e-12)


def test_what_is_refused():
    rows = sparse.csr_array(X)
    with pytest.raises(ValueError, match=r"inputs of shape \(n_samples, 30\), got \(70, 29\)"):
        network().forward_pass(rows[:, :29])
    with pytest.raises(ValueError, match=r"inputs of shape \(n_samples, 30\), got \(70, 29\)"):
        trained(network(), rows[:, :29], "formulas")
    with pytest.raises(TypeError, match="must be numbers, got a sparse csr_array of type complex128"):
        network().forward_pass(rows.astype(complex))
    with pytest.raises(ValueError, match="at least one sample"):
        network().fit(rows[:0], Y[:0], loss="cross_entropy")
    with pytest.raises(ValueError, match="one target for each of 70 samples, got 69"):
        network().fit(rows, Y[:-1], loss="cross_entropy")
    broken = rows.copy()
    broken.indices[5] = 30
    with pytest.raises(ValueError, match="indices"):
        trained(network(), broken, "formulas")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_entry_that_is_not_finite_is_named(value):
    wrong = X.copy()
    wrong[12, 5] = value
    with pytest.raises(ValueError, match=rf"X must be finite, got {value} at \(12, 5\) \(1 such values\)"):
        trained(network(), sparse.csc_array(wrong), "formulas")
    with pytest.raises(ValueError, match=r"X of validation_data must be finite"):
        trained(network(), X, "formulas", validation_data=(sparse.csr_array(wrong), Y))


def test_the_users_matrix_is_left_alone():
    rows = sparse.csr_matrix(X)
    before = rows.data.copy(), rows.indices.copy(), rows.indptr.copy()
    trained(network(), rows, "formulas")
    for array, was in zip((rows.data, rows.indices, rows.indptr), before, strict=True):
        assert np.array_equal(array, was)
    assert np.shares_memory(as_sparse_rows(rows, np.dtype(np.float64), True, "X").data, rows.data)
