"""Work that threads share: all of it is done, errors are raised, and an optimizer moves the same bits."""

import copy
import threading

import numpy as np
import pytest

from layernet import SGD, Adagrad, Adam, AdamW, Dense, Lion, NAdam, RMSProp, Sequential
from layernet.engine import threads
from layernet.engine.formulas import FormulaPlan
from layernet.losses import MeanSquaredError
from layernet.optimizers.optimizer import BLOCK_SIZE

RANDOM = np.random.default_rng(0)


@pytest.fixture(params=[1, 2, 5])
def n_threads(request, monkeypatch):
    monkeypatch.setattr(threads, "threads_allowed", lambda: request.param)
    return request.param


@pytest.mark.parametrize("n_items", [0, 1, 2, 50])
def test_every_item_is_done_once(n_items, n_threads):
    done = []
    threads.for_each_in_threads(done.append, range(n_items))
    assert sorted(done) == list(range(n_items))


def test_as_many_threads_as_are_allowed(n_threads):
    together = threading.Barrier(n_threads)  # which nobody passes alone
    threads.for_each_in_threads(lambda item: together.wait(timeout=60), range(n_threads))


def test_an_error_is_raised_when_nobody_is_at_work(n_threads):
    begun, ended = [], []

    def work(item):
        begun.append(item)
        if item == 3:
            raise ZeroDivisionError(item)
        ended.append(item)

    with pytest.raises(ZeroDivisionError):
        threads.for_each_in_threads(work, range(1000))
    assert sorted(begun) == sorted([*ended, 3])


def test_helpers_keep_the_error_state(n_threads):
    together = threading.Barrier(n_threads)

    def work(item):
        together.wait(timeout=60)
        assert np.geterr()["divide"] == "ignore"
        np.ones(3) / np.zeros(3)

    with np.errstate(divide="ignore"):
        threads.for_each_in_threads(work, range(n_threads))


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.9, nesterov=True),
        Adam(0.01, amsgrad=True, clip_norm=0.1),
        AdamW(0.01, weight_decay=0.1),
        NAdam(0.01, clip_value=0.5),
        RMSProp(0.01, weight_decay=0.1),
        Adagrad(0.1),
        Lion(0.001),
    ],
    ids=repr,
)
def test_optimizers_move_the_same_bits(optimizer, n_threads):
    size = 5 * BLOCK_SIZE + 7
    alone, shared = copy.deepcopy(optimizer), copy.deepcopy(optimizer)
    expected = RANDOM.standard_normal(size)
    found, decay_mask = expected.copy(), RANDOM.random(size) < 0.5
    for _ in range(3):
        gradients = RANDOM.standard_normal(size)
        alone.step(expected, gradients, decay_mask)
        shared.step(found, gradients, decay_mask, share=threads.for_each_in_threads)
        assert np.array_equal(found, expected)
    assert alone.steps == shared.steps
    for name, slot in alone.state().items():
        assert np.array_equal(shared.state()[name], slot)


def test_a_plan_shares_the_update_of_many_parameters(n_threads, monkeypatch):
    X, y = RANDOM.standard_normal((40, 300)), RANDOM.standard_normal((40, 2))
    net = Sequential([Dense(200), Dense(2)]).build(300, random_state=0)
    vectors = []
    for many in (10**9, 1000):
        monkeypatch.setattr("layernet.engine.formulas.MANY_WEIGHTS", many)
        twin = copy.deepcopy(net)
        plan = FormulaPlan(twin, MeanSquaredError(), Adam(0.01), penalty=0.3)
        with twin.training_mode():
            for _ in range(3):
                plan.step(X, y)
        vectors.append(twin.parameter_vector)
    assert np.array_equal(*vectors)
