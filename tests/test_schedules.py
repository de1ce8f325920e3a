"""Schedules: known values, bounds, and the one that observes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernet import (
    SGD,
    ConstantSchedule,
    CosineSchedule,
    Dense,
    ExponentialSchedule,
    InverseScalingSchedule,
    LearningRateScheduler,
    LogCosineSchedule,
    NetworkRegressor,
    OneCycleSchedule,
    ReduceOnPlateau,
    Sequential,
    StepSchedule,
)
from layernet.engine.choice import has_numba

ENGINES = ["formulas", *(["compiled"] if has_numba() else [])]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (ConstantSchedule(0.3), {0: 0.3, 100: 0.3}),
        (StepSchedule(1.0, every=3, factor=0.1), {0: 1, 2: 1, 3: 0.1, 5: 0.1, 6: 0.01}),
        (ExponentialSchedule(2.0, factor=0.5), {0: 2, 1: 1, 3: 0.25}),
        (InverseScalingSchedule(1.0), {0: 1, 3: 0.5, 8: 1 / 3}),
        (InverseScalingSchedule(1.0, power=1.0), {0: 1, 1: 0.5, 9: 0.1}),
        (CosineSchedule(1.0, duration=10), {0: 1, 5: 0.5, 10: 0, 50: 0}),
        (CosineSchedule(1.0, duration=10, final_learning_rate=0.2), {0: 1, 5: 0.6, 10: 0.2}),
        (CosineSchedule(1.0, duration=14, warm_up=4), {0: 0.25, 1: 0.5, 3: 1, 4: 1, 9: 0.5, 14: 0}),
        (CosineSchedule(1.0, duration=4), {1: (1 + math.cos(math.pi / 4)) / 2}),
        (OneCycleSchedule(1.0, duration=10), {0: 0.04, 3: 1, 10: 4e-6, 99: 4e-6}),
        (
            OneCycleSchedule(1.0, 10, warm_up_fraction=0.5, start_divisor=4, final_divisor=2),
            {0: 0.25, 5: 1, 10: 0.125},
        ),
        # Cycles end at 1, 3, 7 and 15 of 15; the maximum lies where 1 + t is a power of two times its root.
        (
            LogCosineSchedule(2.0, duration=15),
            {0: 0, 1: 0, 3: 0, 7: 0, 15: 0, 2**0.5 - 1: 2, 2**3.5 - 1: 2, 99: 0},
        ),
        (LogCosineSchedule(1.0, duration=9, cycles=1), {9 * (2**0.25 - 1): 0.5, 9 * (2**0.5 - 1): 1}),
    ],
    ids=lambda value: repr(value) if not isinstance(value, dict) else "",
)
def test_known_values(schedule, values):
    for time, expected in values.items():
        assert schedule(time) == pytest.approx(expected, rel=1e-12, abs=1e-15)


rates = st.floats(1e-6, 10)


@given(rates, st.integers(1, 500), st.integers(0, 1000))
def test_falling_schedules_fall(rate, duration, time):
    for schedule in (
        StepSchedule(rate, every=duration),
        ExponentialSchedule(rate, factor=0.99),
        InverseScalingSchedule(rate),
        CosineSchedule(rate, duration),
    ):
        assert 0 <= schedule(time + 1) <= schedule(time) <= rate


@given(rates, st.integers(2, 300), st.data())
def test_warm_up_rises_to_the_highest_and_never_beyond(rate, duration, data):
    warm_up = data.draw(st.integers(1, duration - 1))
    schedule = CosineSchedule(rate, duration, warm_up)
    values = [schedule(time) for time in range(duration + 1)]
    assert values[:warm_up] == sorted(values[:warm_up])
    assert max(values) == pytest.approx(rate)
    assert values[warm_up:] == sorted(values[warm_up:], reverse=True)


@given(rates, st.integers(4, 300))
def test_one_cycle_is_a_rise_and_a_fall(rate, duration):
    schedule = OneCycleSchedule(rate, duration)
    values = [schedule(time) for time in range(duration + 1)]
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert max(values) <= rate * (1 + 1e-12)


@given(
    rates, st.integers(2, 200), st.floats(0.05, 0.95), st.floats(2, 100), st.floats(2, 1e5), st.integers(0, 500)
)
def test_one_cycle_stays_between_its_ends(rate, duration, warm_up_fraction, start_divisor, final_divisor, time):
    schedule = OneCycleSchedule(rate, duration, warm_up_fraction, start_divisor, final_divisor)
    assert schedule(0) == pytest.approx(rate / start_divisor)
    assert schedule(duration) == pytest.approx(rate / start_divisor / final_divisor)
    assert schedule(duration + time) == schedule(duration)
    assert schedule(duration) * (1 - 1e-9) <= schedule(time) <= rate * (1 + 1e-9)


@given(rates, st.integers(1, 300), st.floats(0, 1), st.integers(0, 600))
def test_cosine_falls_symmetrically_and_ends_at_the_final_rate(rate, duration, part, time):
    final = part * rate
    schedule = CosineSchedule(rate, duration, final_learning_rate=final)
    assert schedule(0) == pytest.approx(rate)
    assert schedule(duration + time) == pytest.approx(final, abs=1e-15 * rate)
    if time <= duration:
        assert schedule(time) + schedule(duration - time) == pytest.approx(rate + final)


def test_schedules_take_numpy_integers_for_a_time_and_return_one_number():
    for schedule in (
        ConstantSchedule(1.0),
        StepSchedule(1.0, 2),
        ExponentialSchedule(1.0, 0.5),
        InverseScalingSchedule(1.0),
        CosineSchedule(1.0, 9, 2),
        LogCosineSchedule(1.0, 9),
        OneCycleSchedule(1.0, 9),
        ReduceOnPlateau(1.0),
    ):
        for time in range(12):
            assert float(schedule(np.int64(time))) == schedule(time), schedule


def test_reduce_on_plateau_drops_after_patience_and_not_before():
    schedule = ReduceOnPlateau(1.0, factor=0.1, patience=2, threshold=0.0, min_learning_rate=0.02)
    rates = []
    for value in (3.0, 2.0, 2.0, 2.0, 1.0, 1.5, 1.5, 1.5, 1.5):
        schedule.observe(value)
        rates.append(schedule(0))
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02])


def test_reduce_on_plateau_takes_nan_for_no_progress():
    schedule = ReduceOnPlateau(1.0, patience=2)
    for value in (1.0, math.nan, math.nan):
        schedule.observe(value)
    assert schedule(0) == 0.5


@pytest.mark.parametrize("nothing", [math.nan, math.inf])
def test_reduce_on_plateau_begins_anew_after_values_that_say_nothing(nothing):
    schedule = ReduceOnPlateau(1.0, patience=3)
    for value in (nothing, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.4):
        schedule.observe(value)
        assert schedule(0) == 1.0, value
    schedule = ReduceOnPlateau(1.0, patience=3)
    for _ in range(6):
        schedule.observe(nothing)
    assert schedule(0) < 1.0


def test_reduce_on_plateau_asks_for_more_than_the_threshold():
    for best, better, not_enough in ((10.0, 8.9, 9.1), (-10.0, -11.1, -10.9)):
        for value, rate in ((better, 1.0), (not_enough, 0.5)):
            schedule = ReduceOnPlateau(1.0, patience=1, threshold=0.1)
            schedule.observe(best)
            schedule.observe(value)
            assert schedule(0) == rate


@given(st.lists(st.floats(-100, 100), max_size=60), st.integers(1, 5), st.floats(0.1, 0.9))
def test_reduce_on_plateau_never_rises_nor_falls_faster_than_its_patience(values, patience, factor):
    schedule = ReduceOnPlateau(1.0, factor, patience, min_learning_rate=0.05)
    rates = [schedule(0)]
    for value in values:
        schedule.observe(value)
        rates.append(schedule(0))
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] >= max(0.05, factor ** (len(values) // patience) * (1 - 1e-12))


@given(st.lists(st.floats(-10, 10), max_size=20), st.lists(st.floats(-10, 10), max_size=20))
def test_reduce_on_plateau_goes_on_from_its_state(before, after):
    first, second = (ReduceOnPlateau(1.0, patience=2) for _ in range(2))
    for value in before:
        first.observe(value)
    second.load_state(first.state())
    for value in after:
        first.observe(value)
        second.observe(value)
        assert first(0) == second(0)


def test_reduce_on_plateau_state():
    first, second = ReduceOnPlateau(1.0, patience=3), ReduceOnPlateau(1.0, patience=3)
    for value in (1.0, 2.0, 2.0):
        first.observe(value)
    second.load_state(first.state())
    for schedule in (first, second):
        schedule.observe(2.0)
        assert schedule(0) == 0.5


def test_a_state_of_another_schedule_is_refused():
    with pytest.raises(ValueError, match="has no state"):
        ConstantSchedule(1.0).load_state(ReduceOnPlateau(1.0).state())
    with pytest.raises(ValueError, match="has the state"):
        ReduceOnPlateau(1.0).load_state({})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepSchedule(1.0, every=0), "StepSchedule: every must be greater than 0"),
        (lambda: CosineSchedule(1.0, duration=5, warm_up=5), "warm_up must be at least 0 and less than"),
        (lambda: OneCycleSchedule(1.0, duration=0), "duration"),
        (lambda: OneCycleSchedule(1.0, 10, warm_up_fraction=1), "warm_up_fraction"),
        (lambda: ReduceOnPlateau(1.0, factor=1), "factor"),
        (lambda: ReduceOnPlateau(1.0, patience=0), "patience"),
        (lambda: ReduceOnPlateau(1.0, patience=math.nan), "patience"),
        (lambda: ReduceOnPlateau(1.0, threshold=-0.1), "threshold"),
        (lambda: ReduceOnPlateau(1.0, min_learning_rate=-0.1), "min_learning_rate"),
        (lambda: StepSchedule(1.0, every=2, factor=-1), "factor"),
        (lambda: ExponentialSchedule(1.0, factor=-0.5), "factor"),
        (lambda: CosineSchedule(1.0, duration=5, final_learning_rate=-1), "final_learning_rate"),
        (lambda: LogCosineSchedule(1.0, duration=0), "duration"),
        (lambda: LogCosineSchedule(-1.0, duration=9), "learning_rate"),
        (lambda: LogCosineSchedule(1.0, 9, cycles=0), "cycles"),
        (lambda: OneCycleSchedule(1.0, 10, start_divisor=0), "start_divisor"),
        (lambda: OneCycleSchedule(1.0, 10, final_divisor=0), "final_divisor"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda rate: ConstantSchedule(rate), "learning_rate"),
        (lambda rate: StepSchedule(rate, 3), "learning_rate"),
        (lambda rate: ExponentialSchedule(rate, 0.5), "learning_rate"),
        (lambda rate: InverseScalingSchedule(rate), "learning_rate"),
        (lambda rate: CosineSchedule(rate, 3), "learning_rate"),
        (lambda rate: OneCycleSchedule(rate, 3), "max_learning_rate"),
        (lambda rate: ReduceOnPlateau(rate), "learning_rate"),
    ],
    ids=["Constant", "Step", "Exponential", "InverseScaling", "Cosine", "OneCycle", "ReduceOnPlateau"],
)
def test_a_learning_rate_that_is_none_is_refused_as_an_optimizer_refuses_it(make, name, rate):
    with pytest.raises(ValueError, match=name):
        make(rate)


def test_an_optimizer_follows_a_schedule_step_by_step():
    optimizer, parameters = SGD(StepSchedule(1.0, every=1, factor=0.5)), np.zeros(1)
    moves = []
    for _ in range(3):
        before = parameters.copy()
        optimizer.step(parameters, np.ones(1))
        moves.append(float((before - parameters)[0]))
    assert moves == [1.0, 0.5, 0.25]
    assert optimizer.last_learning_rate == 0.25


# --- a plateau as an optimizer's own learning rate ---


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plateau_as_the_optimizers_own_rate_observes_the_training_loss(engine):
    X = np.random.default_rng(0).standard_normal((40, 3))
    by_callback, own = (Dense(1).build(3, random_state=0) for _ in range(2))
    options = {"loss": "mean_squared_error", "epochs": 12, "random_state": 0, "engine": engine}
    # A rate that is too high: the loss stops falling at once.
    schedules = [ReduceOnPlateau(0.5, patience=1, threshold=0.99) for _ in range(2)]
    expected = by_callback.fit(
        X, X[:, 0], optimizer=SGD(0.5), callbacks=[LearningRateScheduler(schedules[0])], **options
    )
    history = own.fit(X, X[:, 0], optimizer=SGD(schedules[1]), **options)
    assert history["learning_rate"] == expected["learning_rate"]
    assert history["learning_rate"][-1] < 0.5
    assert np.array_equal(own.parameter_vector, by_callback.parameter_vector)


def test_a_plateau_goes_on_from_its_state_in_a_second_training():
    X = np.random.default_rng(0).standard_normal((40, 3))
    net, optimizer = Dense(1), SGD(ReduceOnPlateau(0.5, patience=1, threshold=0.99))
    first = net.fit(X, X[:, 0], loss="mean_squared_error", optimizer=optimizer, epochs=5)
    second = net.fit(X, X[:, 0], loss="mean_squared_error", optimizer=optimizer, epochs=2)
    assert second["learning_rate"][0] <= first["learning_rate"][-1] < 0.5


def test_a_plateau_in_an_estimator():
    X = np.random.default_rng(0).standard_normal((40, 3))
    network = Sequential([Dense(4), Dense(1)])
    optimizer = SGD(ReduceOnPlateau(0.05, patience=1, threshold=0.99))
    regressor = NetworkRegressor(
        network, optimizer=optimizer, max_iter=10, random_state=0, n_iter_no_change=np.inf
    )
    with pytest.warns(match="Maximum iterations"):
        regressor.fit(X, X[:, 0])
    rates = regressor.history_["learning_rate"]
    assert rates[-1] < rates[0] == 0.05


def test_a_plateau_of_something_that_should_rise_is_refused_as_an_optimizers_own_rate():
    X = np.random.default_rng(0).standard_normal((40, 3))
    optimizer = SGD(ReduceOnPlateau(0.5, larger_is_better=True))
    with pytest.raises(ValueError, match="as an optimizer's own learning rate observes the training loss"):
        Dense(1).fit(X, X[:, 0], loss="mean_squared_error", optimizer=optimizer, epochs=5)
