"""All rows at once, in blocks shared by workers: the gradients that one pass over all rows gives."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from layernet import Concat, Dense, Identity, LayerNorm, LeakyReLU, ReLU, Residual, Sequential, Tanh
from layernet.engine import full_batch
from layernet.engine.formulas import FormulaPlan
from layernet.engine.full_batch import FullBatchPlan, twin_of
from layernet.engine.plan import NotFiniteError
from layernet.losses import CrossEntropy, Loss, MeanSquaredError

RANDOM = np.random.default_rng(0)
X = np.where(RANDOM.random((300, 12)) < 0.2, RANDOM.standard_normal((300, 12)), 0)
CLASSES, WEIGHTS = RANDOM.integers(0, 3, 300), RANDOM.uniform(0, 2, 300)


@pytest.fixture(params=[1, 2, 3])
def workers(request, monkeypatch):
    """So many workers, and blocks of 32 rows."""
    monkeypatch.setattr(full_batch, "MANY_ROWS", 100)
    monkeypatch.setattr(full_batch, "BLOCK_ROWS", 32)
    monkeypatch.setattr(full_batch, "threads_allowed", lambda: request.param)
    monkeypatch.setattr("layernet.engine.threads.threads_allowed", lambda: request.param)
    return request.param


def network(*layers):
    layers = layers or (Dense(8), Tanh(), Dense(3))
    return Sequential(copy.deepcopy(list(layers))).build(12, random_state=0)


def assert_same_gradients(net, inputs, targets=CLASSES, loss=None, plan=None, n_workers=1, **options):
    loss = CrossEntropy() if loss is None else loss
    twin = copy.deepcopy(net)
    expected = FormulaPlan(twin, loss, None, penalty=0.3)
    plan = FullBatchPlan(net, loss, penalty=0.3) if plan is None else plan
    for _ in range(2):
        found, wanted = (one.gradients_of(inputs, targets, *options.values()) for one in (plan, expected))
        assert found[0] == pytest.approx(wanted[0], rel=1e-12)
        assert_allclose(found[1], wanted[1], rtol=1e-12)
        assert_allclose(net.gradient_vector, twin.gradient_vector, rtol=1e-10, atol=1e-13)
        net.parameter_vector[:] += 0.01
        twin.parameter_vector[:] += 0.01
    assert len(plan._workers) == n_workers
    return plan


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "layers",
    [
        (),
        (Dense(3, use_bias=False),),
        (Dense(6), LayerNorm(), LeakyReLU(0.2), Residual(Dense(6)), Dense(3)),
        (Concat([Dense(4), Sequential([Dense(3), ReLU()])]), Dense(3)),
        (Concat([Dense(3), Identity()]), Dense(3)),
    ],
    ids=repr,
)
def test_every_network(layers, form, workers):
    assert_same_gradients(network(*layers), form(X), n_workers=workers)


def test_weights_and_their_normalizer(workers):
    assert_same_gradients(network(), X, weights=WEIGHTS, n_workers=workers)
    assert_same_gradients(network(), X, weights=WEIGHTS, normalizer=250.0, n_workers=workers)


def test_a_block_for_each_worker(workers, monkeypatch):
    monkeypatch.setattr(full_batch, "PARAMETERS_PER_ROW", 1)
    assert_same_gradients(network(), sparse.csr_array(X), n_workers=workers)


def test_targets_that_are_numbers(workers):
    targets = RANDOM.standard_normal((300, 3))
    assert_same_gradients(network(), X, targets, loss=MeanSquaredError(), n_workers=workers)


def test_few_rows_are_computed_at_once(workers):
    assert_same_gradients(network(), X[:100], CLASSES[:100], n_workers=0)


def test_the_same_bits_every_time(workers):
    nets = [network(), network()]
    for net in nets:
        FullBatchPlan(net, CrossEntropy()).gradients_of(X, CLASSES)
    assert np.array_equal(*(net.gradient_vector for net in nets))


def test_a_setting_that_changes_is_heeded(workers):
    net = network(Dense(8), LeakyReLU(0.2), Dense(3))
    plan = assert_same_gradients(net, X, n_workers=workers)
    net[1].negative_slope = 0.5
    assert_same_gradients(net, X, plan=plan, n_workers=workers)


def test_whoever_listens_hears_all_rows(workers):
    net, heard = network(), []
    own_pass = net[1].record

    def record(inputs):
        heard.append(len(inputs))
        return own_pass(inputs)

    net[1].record = record
    FullBatchPlan(net, CrossEntropy()).gradients_of(X, CLASSES)
    assert heard == [300]


def test_third_party_losses_see_all_rows(workers):
    class Own(Loss):
        seen: list = []

        def losses(self, outputs, targets):
            self.seen.append(len(outputs))
            return ((outputs - targets) ** 2).sum(axis=1)

        def gradient(self, outputs, targets):
            return 2 * (outputs - targets)

    FullBatchPlan(network(), Own()).gradients_of(X, RANDOM.standard_normal((300, 3)))
    assert set(Own.seen) == {300}


def test_what_is_not_finite_is_refused(workers):
    net = network()
    plan = FullBatchPlan(net, CrossEntropy())
    net.parameter_vector[0] = np.inf
    with np.errstate(invalid="ignore", over="ignore"), pytest.raises(NotFiniteError, match="the loss is nan"):
        plan.gradients_of(X, CLASSES)


def test_a_twin_shares_parameters_alone():
    net = network()
    twin = twin_of(net)
    net.parameter_vector[:] = np.arange(net.parameter_vector.size)
    assert np.shares_memory(twin.parameter_vector, net.parameter_vector)
    assert np.array_equal(twin[2].weights, net[2].weights)
    twin.backward_pass(X, np.ones((300, 3)))
    assert twin.gradient_vector.any()
    assert not net.gradient_vector.any()
