"""Optimizers against loops written from the papers, and the laws that all of them keep."""

import inspect
import math
import pickle
import re

import numpy as np
import pytest
from arguments import (
    AT_LEAST_0,
    CLOSED_UNIT,
    POSITIVE,
    POSITIVE_OR_NONE,
    SWITCH,
    UNIT,
    check_argument,
    numbers_and_switches,
    public_classes,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from layernet import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    CosineSchedule,
    Dense,
    Lion,
    NAdam,
    Optimizer,
    ReduceOnPlateau,
    RMSProp,
    Sequential,
    StepSchedule,
)
from layernet.optimizers.optimizer import BLOCK_SIZE

ALL = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, dampening=0.5),
    SGD(0.1, momentum=0.9, nesterov=True),
    Adam(0.1),
    Adam(0.1, amsgrad=True),
    AdamW(0.1),
    NAdam(0.1),
    RMSProp(0.1),
    Adagrad(0.1),
    Adagrad(0.1, initial_sum=0.5),
    Lion(0.1),
]


def again(optimizer):
    return type(optimizer)(**optimizer.configuration())


def gradients_for(n_steps, size=7, seed=0):
    return np.random.default_rng(seed).standard_normal((n_steps, size))


def run(optimizer, gradients, start=None, decay_mask=None):
    parameters = np.linspace(-1, 1, gradients.shape[1]) if start is None else start.copy()
    for gradient in gradients:
        optimizer.step(parameters, gradient, decay_mask)
    return parameters


# --- each formula, one number at a time ---


def sgd(w, gradients, a, m=0.0, dampening=0.0, nesterov=False):
    v = 0.0
    for g in gradients:
        v = m * v - a * (1 - dampening) * g
        w += m * v - a * (1 - dampening) * g if nesterov else v
    return w


def adam(w, gradients, a, b1=0.9, b2=0.999, epsilon=1e-8, amsgrad=False, decay=0.0):
    m = v = largest = 0.0
    for t, g in enumerate(gradients, start=1):
        w -= a * decay * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = max(largest, v)
        m_hat, v_hat = m / (1 - b1**t), (largest if amsgrad else v) / (1 - b2**t)
        w -= a * m_hat / (math.sqrt(v_hat) + epsilon)
    return w


def nadam(w, gradients, a, b1=0.9, b2=0.999, epsilon=1e-8, decay=0.004):
    m = v = 0.0
    product = 1.0
    for t, g in enumerate(gradients, start=1):
        now = b1 * (1 - 0.5 * 0.96 ** (t * decay))
        ahead = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * decay))
        product *= now
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        step = (1 - now) * g / (1 - product) + ahead * m / (1 - product * ahead)
        w -= a * step / (math.sqrt(v / (1 - b2**t)) + epsilon)
    return w


def rmsprop(w, gradients, a, rho=0.99, epsilon=1e-8):
    v = 0.0
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        w -= a * g / (math.sqrt(v) + epsilon)
    return w


def adagrad(w, gradients, a, s=0.0, epsilon=1e-10):
    for g in gradients:
        s += g**2
        w -= a * g / (math.sqrt(s) + epsilon)
    return w


def lion(w, gradients, a, b1=0.9, b2=0.99, decay=0.0):
    m = 0.0
    for g in gradients:
        w -= a * decay * w
        direction = b1 * m + (1 - b1) * g
        w -= a * math.copysign(1, direction)
        m = b2 * m + (1 - b2) * g
    return w


@pytest.mark.parametrize(
    ("optimizer", "formula"),
    [
        (SGD(0.1), lambda w, g: sgd(w, g, 0.1)),
        (SGD(0.1, momentum=0.9), lambda w, g: sgd(w, g, 0.1, 0.9)),
        (SGD(0.1, momentum=0.9, dampening=0.5), lambda w, g: sgd(w, g, 0.1, 0.9, 0.5)),
        (SGD(0.1, momentum=0.9, nesterov=True), lambda w, g: sgd(w, g, 0.1, 0.9, nesterov=True)),
        (Adam(0.1), lambda w, g: adam(w, g, 0.1)),
        (Adam(0.1, 0.5, 0.6, 0.1), lambda w, g: adam(w, g, 0.1, 0.5, 0.6, 0.1)),
        (Adam(0.1, 0.5, 0.6, amsgrad=True), lambda w, g: adam(w, g, 0.1, 0.5, 0.6, amsgrad=True)),
        (AdamW(0.1, weight_decay=0.3), lambda w, g: adam(w, g, 0.1, decay=0.3)),
        (NAdam(0.1), lambda w, g: nadam(w, g, 0.1)),
        (NAdam(0.1, momentum_decay=0.5), lambda w, g: nadam(w, g, 0.1, decay=0.5)),
        (RMSProp(0.1, rho=0.8, epsilon=1e-3), lambda w, g: rmsprop(w, g, 0.1, 0.8, 1e-3)),
        (Adagrad(0.1), lambda w, g: adagrad(w, g, 0.1)),
        (Adagrad(0.1, initial_sum=0.5), lambda w, g: adagrad(w, g, 0.1, 0.5)),
        (Lion(0.1, weight_decay=0.2), lambda w, g: lion(w, g, 0.1, decay=0.2)),
    ],
    ids=lambda value: repr(value) if not callable(value) else "",
)
def test_formulas(optimizer, formula):
    gradients = gradients_for(12)
    expected = [formula(w, column) for w, column in zip(np.linspace(-1, 1, 7), gradients.T, strict=True)]
    assert_allclose(run(again(optimizer), gradients), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_float32_stays_float32(optimizer):
    gradients = gradients_for(3).astype(np.float32)
    optimizer = again(optimizer)
    parameters = run(optimizer, gradients, np.linspace(-1, 1, 7, dtype=np.float32))
    assert parameters.dtype == np.float32
    assert all(v.dtype == np.float32 for v in optimizer.state().values() if isinstance(v, np.ndarray))
    expected = run(again(optimizer), gradients.astype(float))
    assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_vector_is_moved_alike_in_blocks_and_in_parts(optimizer):
    gradients = gradients_for(3, size=2 * BLOCK_SIZE + 11)
    start = np.linspace(-1, 1, gradients.shape[1])
    whole = run(again(optimizer), gradients, start)
    parts = [slice(0, 100), slice(100, BLOCK_SIZE + 1), slice(BLOCK_SIZE + 1, None)]
    pieces = [run(again(optimizer), gradients[:, part], start[part]) for part in parts]
    assert np.array_equal(whole, np.concatenate(pieces))


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
@pytest.mark.parametrize("options", [{}, {"clip_value": 0.3}, {"clip_norm": 0.5}, {"weight_decay": 0.1}])
def test_gradients_are_left_as_they_are(optimizer, options):
    optimizer = type(optimizer)(**{**optimizer.configuration(), **options})
    gradients = gradients_for(3)
    before = gradients.copy()
    run(optimizer, gradients)
    assert np.array_equal(gradients, before)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
@pytest.mark.parametrize("schedule", [None, CosineSchedule(0.1, duration=8, warm_up=2)])
def test_a_loaded_state_goes_on_exactly(optimizer, schedule):
    options = {} if schedule is None else {"learning_rate": schedule}
    whole = type(optimizer)(**{**optimizer.configuration(), **options})
    gradients = gradients_for(9)
    expected = run(whole, gradients)
    first = type(optimizer)(**{**optimizer.configuration(), **options})
    parameters = run(first, gradients[:4])
    state = first.state()
    run(first, gradients[4:], parameters)  # the state is a copy: what comes later does not change it
    second = type(optimizer)(**{**optimizer.configuration(), **options})
    second.load_state(state)
    assert np.array_equal(run(second, gradients[4:], parameters), expected)
    assert second.steps == 9


def test_the_state_of_a_schedule_is_part_of_it():
    first = SGD(ReduceOnPlateau(1.0, patience=1))
    for value in (1.0, 2.0, 3.0):
        first.learning_rate.observe(value)
    second = SGD(ReduceOnPlateau(1.0, patience=1))
    second.load_state(first.state())
    assert second.current_learning_rate() == 0.25


def test_a_changed_learning_rate_is_part_of_the_state():
    first, second = SGD(0.1), SGD(0.1)
    first.learning_rate = 0.02
    second.load_state(first.state())
    assert second.learning_rate == 0.02


def test_a_state_of_another_optimizer_is_refused_and_changes_nothing():
    first, second = Adam(), SGD(momentum=0.9)
    run(first, gradients_for(2))
    run(second, gradients_for(2))
    before = second.state()
    with pytest.raises(ValueError, match=r"SGD remembers \['velocity'\], got a state with"):
        second.load_state(first.state())
    assert second.steps == 2
    assert np.array_equal(second.state()["velocity"], before["velocity"])


@pytest.mark.parametrize("wrong", ["no steps", "another number", "another vector", "one vector less"])
def test_a_state_with_other_names_is_refused(wrong):
    optimizer = Adam()
    run(optimizer, gradients_for(2))
    state = optimizer.state()
    if wrong == "no steps":
        del state["steps"]
    elif wrong == "one vector less":
        del state["mean"]
    else:
        state["other"] = 0.5 if wrong == "another number" else np.ones(7)
    with pytest.raises(ValueError, match=r"Adam remembers \['mean', 'mean_square'\], got a state with"):
        optimizer.load_state(state)
    assert optimizer.steps == 2
    assert set(optimizer.state()) == {"steps", "learning_rate", "mean", "mean_square"}


def test_another_networks_vector_is_refused():
    optimizer = Adam()
    run(optimizer, gradients_for(1, size=7))
    with pytest.raises(ValueError, match=r"moved 7 parameters before and was given 8 now. Use a new"):
        run(optimizer, gradients_for(1, size=8))


def test_a_state_goes_on_exactly_in_an_optimizer_that_has_moved_something_else():
    """What NAdam knows of its warm-up must come from the state, not from steps that it did before."""
    gradients = gradients_for(30)
    for optimizer in ALL:
        first = again(optimizer)
        parameters = run(first, gradients[:20])
        state, expected = first.state(), run(first, gradients[20:], parameters)
        used = again(optimizer)
        run(used, gradients[::-1][:6])
        used.load_state(state)
        assert np.array_equal(run(used, gradients[20:], parameters), expected), optimizer


def test_nadams_warm_up_is_multiplied_up_in_one_order():
    """One factor at a time from the first; in another order the last bit may differ, as it does for these."""
    for beta_1, momentum_decay, before, steps in (
        (0.8552203389830508, 0.004, 4, 10),
        (0.9482542372881355, 1.0, 7, 9),
    ):
        fresh, used = (NAdam(0.1, beta_1, momentum_decay=momentum_decay) for _ in range(2))
        run(used, gradients_for(before))
        for optimizer in (fresh, used):
            optimizer.load_state({"steps": steps, "mean": np.ones(7), "mean_square": np.ones(7)})
        start = np.zeros(7)
        assert np.array_equal(run(used, gradients_for(1), start), run(fresh, gradients_for(1), start))


def test_nadam_forgets_its_momenta_when_it_is_reset():
    used = NAdam(0.1)
    run(used, gradients_for(1))
    used.beta_1 = 0.5
    used.reset()
    assert np.array_equal(run(used, gradients_for(3)), run(NAdam(0.1, beta_1=0.5), gradients_for(3)))


def test_nadam_moves_all_blocks_of_a_step_alike():
    optimizer, parameters = NAdam(0.1), np.zeros(BLOCK_SIZE + 1)
    for beta_1 in (0.9, 0.9, 0.5):
        optimizer.beta_1 = beta_1
        optimizer.step(parameters, np.ones(BLOCK_SIZE + 1))
        assert parameters[-1] == parameters[0]


def test_nadams_products_of_earlier_steps_are_those_of_a_new_optimizer():
    used = NAdam(0.1)
    run(used, gradients_for(5))
    for first in (1, 2, 5, 6, 9):
        assert_allclose(used.momentum_products(first, 3), NAdam().momentum_products(first, 3), rtol=1e-14)


def test_the_state_of_another_kind_of_learning_rate_is_refused():
    scheduled, constant = SGD(ReduceOnPlateau(1.0)), SGD(0.1)
    for first, second in ((scheduled, constant), (constant, scheduled)):
        donor, taker = again(first), again(second)
        run(donor, gradients_for(2))
        with pytest.raises(ValueError, match="has the learning_rate"):
            taker.load_state(donor.state())
        assert repr(taker) == repr(second)
        assert taker.steps == 0


@pytest.mark.parametrize("size", [1, 6, 8, BLOCK_SIZE])
def test_gradients_of_another_size_are_refused(size):
    parameters = np.zeros(7)
    with pytest.raises(ValueError, match="gradients"):
        SGD(0.1).step(parameters, np.ones(size))
    assert not parameters.any()


def test_gradients_that_end_or_go_on_at_the_edge_of_a_block_are_refused():
    for n_parameters, n_gradients in ((2 * BLOCK_SIZE, BLOCK_SIZE + 1), (BLOCK_SIZE, BLOCK_SIZE + 5)):
        with pytest.raises(ValueError, match="gradients"):
            SGD(0.1).step(np.zeros(n_parameters), np.ones(n_gradients))


def test_decayed_of_another_size_is_refused():
    with pytest.raises(ValueError, match="decay_mask"):
        AdamW(0.1).step(np.ones(3), np.ones(3), np.ones(1))


@pytest.mark.parametrize("parameters", [np.zeros(3, int), [0.0, 0.0, 0.0]], ids=["integers", "list"])
def test_parameters_that_cannot_be_moved_in_place_are_refused(parameters):
    with pytest.raises((ValueError, TypeError), match="parameters"):
        SGD(0.1).step(parameters, np.ones(3))


@settings(max_examples=50)
@given(st.sampled_from(ALL), st.integers(1, 12), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_a_step_on_a_concatenation_is_the_concatenation_of_steps(optimizer, n_steps, cut, seed):
    gradients = gradients_for(n_steps, size=12, seed=seed)
    start = np.linspace(-1, 1, 12)
    left = run(again(optimizer), gradients[:, :cut], start[:cut])
    right = run(again(optimizer), gradients[:, cut:], start[cut:])
    # NumPy's vectorised loops may round the rest of a vector differently from its middle.
    whole = run(again(optimizer), gradients, start)
    assert_allclose(np.concatenate([left, right]), whole, rtol=1e-13, atol=1e-15)


# --- weight decay and clipping ---


@pytest.mark.parametrize(
    ("kind", "formula"), [(SGD, sgd), (Adam, adam), (NAdam, nadam), (RMSProp, rmsprop), (Adagrad, adagrad)]
)
def test_coupled_decay_over_many_steps(kind, formula):
    """The penalty's gradient goes through the whole memory of the optimizer, not only through the step."""
    gradients, start = gradients_for(8), np.linspace(-1, 1, 7)
    found = run(kind(0.05, weight_decay=0.4), gradients, start)
    for column, w in enumerate(start):
        seen = []
        for g in gradients[:, column]:
            now = formula(w, seen, 0.05)
            seen.append(g + 0.4 * now)
        assert_allclose(found[column], formula(w, seen, 0.05), rtol=1e-12, atol=1e-13)


def test_only_entries_marked_as_decayed_decay():
    marks = np.array([1.0, 0, 1, 0, 1, 0, 1])
    for kind in (SGD, AdamW):
        start, gradients = np.linspace(-1, 1, 7), gradients_for(3)
        found = run(kind(0.1, weight_decay=0.5), gradients, start, marks)
        with_decay = run(kind(0.1, weight_decay=0.5), gradients, start)
        without = run(kind(0.1, weight_decay=0.0), gradients, start)
        assert_allclose(found, np.where(marks, with_decay, without), rtol=1e-13)
        assert not np.allclose(with_decay, without)


def test_decay_is_added_after_clipping():
    start = np.array([100.0, 0.0])
    found = run(SGD(1.0, weight_decay=0.5, clip_norm=1.0), np.array([[3.0, 4.0]]), start)
    assert_allclose(found, [100 - 0.6 - 50, -0.8])


def test_decay_follows_the_schedule_of_the_learning_rate():
    optimizer = AdamW(StepSchedule(0.1, every=1, factor=0.5), weight_decay=0.2)
    found = run(optimizer, np.zeros((3, 1)), np.ones(1))
    assert_allclose(found, (1 - 0.1 * 0.2) * (1 - 0.05 * 0.2) * (1 - 0.025 * 0.2), rtol=1e-14)


@pytest.mark.parametrize("kind", [SGD, Adam, NAdam, RMSProp, Adagrad])
def test_coupled_decay_is_the_gradient_of_a_penalty(kind):
    gradients, start = gradients_for(1), np.linspace(-1, 1, 7)
    decay_mask = run(kind(0.1, weight_decay=0.3), gradients, start)
    assert_allclose(decay_mask, run(kind(0.1), gradients + 0.3 * start, start), rtol=1e-12)


@pytest.mark.parametrize("kind", [AdamW, Lion])
def test_decoupled_decay_does_not_look_at_gradients(kind):
    start = np.linspace(-1, 1, 7)
    kept = run(kind(0.1, weight_decay=0.3), np.zeros((1, 7)), start)
    assert_allclose(kept, (1 - 0.1 * 0.3) * start, rtol=1e-12)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, NAdam, RMSProp, Adagrad, Lion])
def test_biases_and_scales_do_not_decay_unless_asked(kind):
    for decay_biases in (False, True):
        net = Sequential([Dense(3, bias_initializer="ones"), BatchNorm(), Dense(2)]).build(4, random_state=0)
        net.gradient_vector[:] = 0
        before = {name: array.copy() for name, array in net.parameters.items()}
        kind(0.1, weight_decay=0.5, decay_biases=decay_biases).update(net)
        for name, array in net.parameters.items():
            moved = not np.array_equal(before[name], array)
            is_weights = name.endswith("weights")
            assert moved == (is_weights or (decay_biases and bool(before[name].any()))), name


def test_update_ends_the_networks_step():
    net = Sequential([BatchNorm(momentum=0.5)]).build(1)
    with net.training_mode():
        net.forward_pass([[2.0], [4.0]])
    SGD().update(net)
    assert net[0].running_mean == [1.5]


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_clip_norm_never_lengthens_and_keeps_the_direction(gradient, clip_norm):
    gradient = np.array(gradient)
    start = np.zeros_like(gradient)
    moved = -run(SGD(1.0, clip_norm=clip_norm), gradient[None], start)
    length = np.linalg.norm(gradient)
    assert np.linalg.norm(moved) <= min(clip_norm, length) * (1 + 1e-9) + 1e-300
    if length > 0:
        assert_allclose(moved, gradient * min(1, clip_norm / length), rtol=1e-9)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.1, 5))
def test_clip_value_clips_every_entry(gradient, clip_value):
    moved = -run(SGD(1.0, clip_value=clip_value), np.array([gradient]), np.zeros(len(gradient)))
    assert_allclose(moved, np.clip(gradient, -clip_value, clip_value))


@pytest.mark.parametrize("options", [{"clip_value": 100.0}, {"clip_norm": 100.0}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_that_clips_nothing_changes_no_bit(options, dtype):
    gradients, start = gradients_for(3).astype(dtype), np.linspace(-1, 1, 7, dtype=dtype)
    assert np.array_equal(run(SGD(0.1, **options), gradients, start), run(SGD(0.1), gradients, start))


def test_clipping_by_value_comes_before_clipping_by_norm():
    moved = -run(SGD(1.0, clip_value=3.0, clip_norm=2.5), np.array([[100.0, 4.0, 0.0]]), np.zeros(3))
    clipped = np.array([3.0, 3.0, 0.0])
    assert_allclose(moved, clipped * 2.5 / np.linalg.norm(clipped))


def test_both_ways_of_clipping_in_single_precision():
    gradient = gradients_for(1).astype(np.float32)
    clipped = np.clip(gradient, np.float32(-0.3), np.float32(0.3))
    shrink = 0.5 / math.sqrt((clipped.astype(float) ** 2).sum())
    found = run(SGD(1.0, clip_value=0.3, clip_norm=0.5), gradient, np.zeros(7, np.float32))
    assert np.array_equal(found, -(clipped * shrink)[0])


def test_the_norm_of_large_float32_gradients_does_not_overflow():
    gradient = np.full((1, 4), 1e30, np.float32)
    moved = run(SGD(1.0, clip_norm=1.0), gradient, np.zeros(4, np.float32))
    assert_allclose(moved, -0.5, rtol=1e-6)


# --- arguments ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-1), "SGD: learning_rate must be at least 0, got -1"),
        (lambda: SGD(momentum=1.1), "momentum must be at least 0 and at most 1"),
        (lambda: SGD(nesterov=True), "momentum must be greater than 0 with nesterov=True"),
        (lambda: SGD(dampening=2), "dampening must be at least 0 and at most 1"),
        (lambda: Adam(beta_1=1), "beta_1"),
        (lambda: Adam(beta_2=-0.1), "beta_2"),
        (lambda: Adam(epsilon=0), "epsilon must be greater than 0"),
        (lambda: NAdam(beta_1=2), "beta_1"),
        (lambda: RMSProp(rho=1), "rho"),
        (lambda: Adagrad(initial_sum=-1), "initial_sum"),
        (lambda: Lion(beta_2=1), "beta_2"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay must be at least 0"),
        (lambda: Adam(clip_norm=0), "clip_norm must be None or greater than 0"),
        (lambda: Adam(clip_value=-1), "clip_value"),
        (lambda: Adam(learning_rate=float("nan")), "learning_rate"),
        (lambda: Adam(learning_rate=float("inf")), "learning_rate"),
        (lambda: SGD(learning_rate="fast"), "learning_rate"),
        (lambda: SGD(learning_rate=None), "learning_rate"),
        (lambda: SGD(CosineSchedule), "learning_rate"),
        (lambda: SGD(momentum="0.9"), "momentum"),
        (lambda: SGD(weight_decay=float("nan")), "weight_decay"),
        (lambda: SGD(weight_decay=float("inf")), "weight_decay"),
        (lambda: NAdam(momentum_decay=-1), "momentum_decay"),
        (lambda: NAdam(momentum_decay=float("nan")), "momentum_decay"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


OF_ALL = [
    ("learning_rate", *AT_LEAST_0),
    ("weight_decay", *AT_LEAST_0),
    ("decay_biases", *SWITCH),
    ("clip_value", *POSITIVE_OR_NONE),
    ("clip_norm", *POSITIVE_OR_NONE),
]
ARGUMENTS = [
    *((cls, *argument) for cls in public_classes(Optimizer) for argument in OF_ALL),
    *((cls, name, *UNIT) for cls in (Adam, AdamW, NAdam, Lion) for name in ("beta_1", "beta_2")),
    *((cls, "epsilon", *POSITIVE) for cls in (Adam, AdamW, NAdam, RMSProp, Adagrad)),
    (Adam, "amsgrad", *SWITCH),
    (AdamW, "amsgrad", *SWITCH),
    (Adam, "correct_epsilon", *SWITCH),
    (SGD, "momentum", *CLOSED_UNIT),
    (SGD, "dampening", *CLOSED_UNIT),
    (SGD, "nesterov", *SWITCH),
    (NAdam, "momentum_decay", *AT_LEAST_0),
    (RMSProp, "rho", *UNIT),
    (Adagrad, "initial_sum", *AT_LEAST_0),
]


@pytest.mark.parametrize(("cls", "name", "accepted", "refused"), ARGUMENTS)
def test_arguments_are_accepted_up_to_their_bounds(cls, name, accepted, refused):
    check_argument(cls, name, accepted, refused, **({"momentum": 0.5} if name == "nesterov" else {}))


def test_every_number_and_switch_has_a_case():
    assert {(cls, name) for cls, name, *_ in ARGUMENTS} == numbers_and_switches(Optimizer)


@pytest.mark.parametrize("cls", public_classes(Optimizer))
def test_what_is_not_stated_has_the_default_of_every_optimizer(cls):
    """`a, b` and then "See `Optimizer`"."""
    names = re.search(r"^(.+)\n    See `Optimizer`\.$", inspect.getdoc(cls), re.MULTILINE)[1].split(", ")
    assert {"decay_biases", "clip_value", "clip_norm"} <= set(names)
    own, general = inspect.signature(cls).parameters, inspect.signature(Optimizer).parameters
    assert [own[name].default for name in names] == [general[name].default for name in names]


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_repr_makes_it_again(optimizer):
    names = {kind.__name__: kind for kind in (SGD, Adam, AdamW, NAdam, RMSProp, Adagrad, Lion)}
    assert eval(repr(optimizer), names).configuration() == optimizer.configuration()


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(ALL), st.integers(0, 1000))
def test_a_bowl_is_descended(optimizer, seed):
    """Every optimizer, at a small learning rate, gets closer to the minimum of a convex function."""
    random = np.random.default_rng(seed)
    center, scale = random.standard_normal(5), random.uniform(0.5, 2, 5)
    optimizer = type(optimizer)(**{**optimizer.configuration(), "learning_rate": 0.01, "weight_decay": 0.0})
    parameters = center + 3
    before = np.sum(scale * (parameters - center) ** 2)
    for _ in range(50):
        optimizer.step(parameters, 2 * scale * (parameters - center))
    assert np.sum(scale * (parameters - center) ** 2) < before


def test_an_infinite_slot_is_noticed():
    optimizer = SGD(momentum=0.9)
    assert optimizer.memory_is_finite()
    run(optimizer, gradients_for(1))
    assert optimizer.memory_is_finite()
    run(optimizer, np.full((1, 7), np.inf))
    assert not optimizer.memory_is_finite()


# --- formulas of one's own ---


class Fails(Optimizer):
    """Moves everything that it can reach, and fails in its second step."""

    slots = ("seen",)

    def __init__(self):
        super().__init__(0.1)

    def move(self, parameters, gradients, learning_rate, seen):
        parameters -= learning_rate * gradients
        seen += gradients
        if self.steps == 2:
            self.new = True
            raise RuntimeError("stop")
        return parameters


def fail_in_place_of_a_formula(parameters, gradients, learning_rate, *slots):
    parameters[:] = 7
    raise RuntimeError("stop")


@pytest.mark.parametrize("kind", ["a class", "a function"])
def test_a_failing_formula_of_ones_own_changes_nothing(kind):
    optimizer, gradients = Fails() if kind == "a class" else Adam(0.1), gradients_for(2)
    parameters = run(optimizer, gradients[:1])
    before, state, names = parameters.copy(), optimizer.state(), set(vars(optimizer))
    if kind == "a function":
        optimizer.move = fail_in_place_of_a_formula
        names.add("move")
    with pytest.raises(RuntimeError, match="stop"):
        optimizer.step(parameters, gradients[1])
    assert np.array_equal(parameters, before)
    assert set(vars(optimizer)) == names
    for name, value in state.items():
        assert np.array_equal(optimizer.state()[name], value)


def test_an_overflow_that_is_raised_changes_nothing():
    optimizer, gradients = Adam(0.1), gradients_for(2)
    parameters = run(optimizer, gradients[:1])
    before, state = parameters.copy(), optimizer.state()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        optimizer.step(parameters, np.full(7, 1e200))
    assert np.array_equal(parameters, before)
    for name, value in state.items():
        assert np.array_equal(optimizer.state()[name], value)


def test_a_step_may_be_replaced_by_a_function():
    net, optimizer = Dense(1).build(1), SGD(0.1)
    optimizer.step = lambda parameters, gradients, decay_mask: parameters.fill(3.0)
    optimizer.update(net)
    assert net.parameter_vector.tolist() == [3, 3]


def test_a_formula_is_missing_where_only_a_step_is_defined():
    class Steps(Optimizer):
        def step(self, parameters, gradients, decay_mask=None):
            super().step(parameters, gradients, decay_mask)

    with pytest.raises(NotImplementedError):
        Steps(0.1).step(np.ones(3), np.ones(3))


# --- settings that change between steps ---


def test_a_momentum_that_was_0_begins_with_a_velocity_of_0():
    changed, expected = np.ones(3), np.ones(3)
    optimizer = SGD(0.1)
    for _ in range(3):
        optimizer.step(changed, changed.copy())
    expected[:] = changed
    optimizer.momentum = 0.9
    fresh = SGD(0.1, momentum=0.9)
    for _ in range(3):
        optimizer.step(changed, changed.copy())
        fresh.step(expected, expected.copy())
    assert_allclose(changed, expected, rtol=1e-12)
    optimizer.momentum = 0
    before = changed.copy()
    optimizer.step(changed, changed.copy())
    assert_allclose(changed, 0.9 * before)
    assert set(optimizer.state()) == {"steps", "learning_rate"}


def test_a_state_goes_with_the_slots_of_the_moment():
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.step(np.ones(3), np.ones(3))
    optimizer.momentum = 0.0
    optimizer.load_state(optimizer.state())
    optimizer.momentum = 0.9
    optimizer.step(np.ones(3), np.ones(3))
    assert set(optimizer.state()) == {"steps", "learning_rate", "velocity"}


def test_amsgrad_may_be_turned_on():
    optimizer, parameters = Adam(0.1), np.ones(3)
    optimizer.step(parameters, np.full(3, 2.0))
    optimizer.amsgrad = True
    optimizer.step(parameters, np.full(3, 1.0))
    state = optimizer.state()
    assert_allclose(state["largest_mean_square"], state["mean_square"])


@pytest.mark.parametrize("through", ["the same optimizer", "a state", "a pickle"])
@pytest.mark.parametrize(("name", "value"), [("beta_1", 0.5), ("momentum_decay", 0.5)])
def test_nadam_keeps_the_momenta_of_the_steps_before(name, value, through):
    optimizer, parameters, expected = NAdam(0.1), np.array([1.0]), 1.0
    mean = mean_square = 0.0
    product = 1.0
    for step in range(1, 9):
        if step == 5:
            setattr(optimizer, name, value)
            if through == "a state":
                earlier, optimizer = optimizer, NAdam(**optimizer.configuration())
                optimizer.load_state(earlier.state())
            elif through == "a pickle":
                optimizer = pickle.loads(pickle.dumps(optimizer))
        optimizer.step(parameters, np.array([np.sin(step) + parameters[0]]))
        beta, decay = optimizer.beta_1, optimizer.momentum_decay
        now, ahead = (beta * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
        gradient = np.sin(step) + expected
        mean = beta * mean + (1 - beta) * gradient
        mean_square = 0.999 * mean_square + 0.001 * gradient**2
        product *= now
        along = (1 - now) * gradient / (1 - product) + ahead * mean / (1 - product * ahead)
        expected -= 0.1 * along / (np.sqrt(mean_square / (1 - 0.999**step)) + 1e-8)
    assert_allclose(parameters, expected, rtol=1e-12)


def test_a_state_of_nadam_without_its_product_is_taken_too():
    optimizer, parameters = NAdam(0.1), np.ones(3)
    for _ in range(3):
        optimizer.step(parameters, np.ones(3))
    state = optimizer.state()
    del state["momentum_product"]
    other, copied = NAdam(0.1), parameters.copy()
    other.load_state(state)
    optimizer.step(parameters, np.ones(3))
    other.step(copied, np.ones(3))
    assert_allclose(copied, parameters, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [np.float16, np.float32, np.float64, np.longdouble])
def test_a_number_of_numpys_is_as_exact_as_pythons_own(number, dtype):
    found, expected = Adam(0.25), Adam(0.25)
    found.beta_1 = number(0.75)
    expected.beta_1 = 0.75
    vectors = np.ones(3, dtype), np.ones(3, dtype)
    for optimizer, parameters in zip((found, expected), vectors, strict=True):
        for _ in range(3):
            optimizer.step(parameters, np.array([0.1, -2, 3], dtype))
    assert np.array_equal(*vectors)
