"""Ctrl-C and exceptions at any moment: a step of training is done wholly or not at all."""

import contextlib
import os
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import layernet.interrupts as interrupts
from layernet import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Dense,
    Dropout,
    EarlyStopping,
    Layer,
    NetworkRegressor,
    Sequential,
    Tanh,
)
from layernet.interrupts import _state, signals_can_wait, uninterrupted

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).standard_normal((24, 5))
Y = X @ np.arange(5.0)


@pytest.fixture(params=["formulas", "compiled"])
def engine(request):
    if request.param == "compiled":
        pytest.importorskip("numba", reason="Numba, which makes the kernels, is not installed")
    return request.param


class Counting(Layer):
    """A layer with a state of its own, which no kernel knows."""

    def create_parameters(self, input_shape):
        self.add_state("count", 0)

    def forward_pass(self, inputs):
        return inputs * 0.5

    def backward_pass(self, inputs, grad_output):
        return grad_output * 0.5

    def end_step(self):
        self.count += 1


class OneByOne(SGD):
    """An optimizer that no kernel knows."""

    def move(self, parameters, gradients, learning_rate, velocity):
        velocity *= self.momentum
        velocity -= learning_rate * gradients
        parameters += velocity


NETWORKS = {
    "kernels": lambda: Sequential([Dense(4), BatchNorm(), Dropout(0.3), Tanh(), Dense(1)]),
    "formulas too": lambda: Sequential([Dense(4), BatchNorm(), Counting(), Dropout(0.3), Tanh(), Dense(1)]),
}
OPTIMIZERS = [Adam(0.01), OneByOne(0.01, momentum=0.9)]


def everything(estimator):
    """All that a step changes."""
    average, optimizer = estimator._training_state.average, estimator._training_state.optimizer
    return {
        "average": average.average,
        "steps of the average": average.steps,
        "parameters": average.parameters,
        **estimator.network_.state(),
        **{f"optimizer {name}": value for name, value in optimizer.state().items()},
    }


def train(network, optimizer, engine, callbacks=()):
    return NetworkRegressor(
        network, optimizer=optimizer, batch_size=8, max_iter=3, tol=0.0, weight_averaging=0.9, random_state=0,
        engine=engine, callbacks=callbacks,
    ).fit(X, Y)  # fmt: skip


class StopAfter(Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_batch_end(self, run):
        if run.optimizer.steps == self.steps:
            raise KeyboardInterrupt


@contextlib.contextmanager
def signal_at(event):
    """Send Ctrl-C at an event of the package's code, counted from 0; yields how many there were so far."""
    seen = [0]

    def trace(frame, what, argument):
        if "layernet/" not in frame.f_code.co_filename or frame.f_code.co_filename.endswith("interrupts.py"):
            return None
        if what == "line":
            seen[0] += 1
            if seen[0] == event + 1:
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["Adam", "own"])
@pytest.mark.parametrize("network", NETWORKS)
def test_ctrl_c_at_any_moment_leaves_whole_steps(network, optimizer, engine):
    make = NETWORKS[network]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = {0: None}
        for steps in range(1, 10):
            after[steps] = everything(train(make(), optimizer, engine, [StopAfter(steps)]))
        with signal_at(-1) as seen:
            train(make(), optimizer, engine)
        moments = np.random.default_rng(0).integers(seen[0], size=30)
        found = set()
        for moment in moments:
            try:
                with signal_at(moment):
                    interrupted = train(make(), optimizer, engine)
            except KeyboardInterrupt:  # before the first epoch or after the last, where there is no half step
                continue
            now = everything(interrupted)
            steps = now["optimizer steps"]
            found.add(steps)
            if steps:
                for name, value in after[steps].items():
                    assert_array_equal(now[name], value, f"{name} at event {moment}, after {steps} steps")
    assert len(found) > 3  # of the signals, many came during the training


# --- exceptions of other people's code ---


class Failing(Counting):
    """Raises an error in one of its methods, in the fifth step."""

    def __init__(self, method):
        self.method = method

    def forward_pass(self, inputs):
        self.fail_if("forward_pass")
        return inputs * 0.5

    def backward_pass(self, inputs, grad_output):
        self.fail_if("backward_pass")
        return grad_output * 0.5

    def end_step(self):
        self.count += 1
        self.fail_if("end_step")

    def fail_if(self, method):
        if self.training and method == self.method and self.count == (5 if method == "end_step" else 4):
            raise RuntimeError(f"{method} failed")


class FailingOptimizer(Adam):
    """Raises an error in the fifth step, when a part of the parameters has moved."""

    def __init__(self, learning_rate, method):
        super().__init__(learning_rate)
        self.method = method

    def move(self, *arguments):
        super().move(*arguments)
        self.fail_if("move")

    def step(self, *arguments):
        super().step(*arguments)
        self.fail_if("step")

    def fail_if(self, method):
        if method == self.method and self.steps == 5:
            raise RuntimeError(f"{method} failed")


class FailingCallback(Callback):
    def __init__(self, method):
        setattr(self, method, self.fail)
        self.method = method

    def fail(self, run):
        if run.optimizer.steps >= (0 if self.method.endswith("begin") else 5):
            raise RuntimeError(f"{self.method} failed")


def state_of(network, optimizer):
    memory = {f"optimizer {name}": value for name, value in optimizer.state().items()}
    own = {name: value for name, value in network.state().items() if not name.endswith("count")}
    return {"parameters": network.parameter_vector.copy(), **own, **memory}


def four_layers(layer=None):
    layer = layer or Counting()
    # More parameters than an optimizer moves at a time.
    layers = [Dense(150), BatchNorm(), layer, Dropout(0.3), Tanh(), Dense(150), BatchNorm(), Dense(1)]
    return Sequential(layers).build(5, random_state=0)


FAILURES = {
    **{
        f"a layer's {method}": (lambda m=method: four_layers(Failing(m)), lambda: Adam(0.01), (), steps)
        for method, steps in (("forward_pass", 4), ("backward_pass", 4), ("end_step", 5))
    },
    **{
        f"an optimizer's {method}": (four_layers, lambda m=method: FailingOptimizer(0.01, m), (), 4)
        for method in ("move", "step")
    },
    **{
        f"a callback's {method}": (four_layers, lambda: Adam(0.01), method, steps)
        for method, steps in (
            ("on_train_begin", 0), ("on_epoch_begin", 0), ("on_batch_end", 5), ("on_epoch_end", 6),
            ("on_train_end", 9),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_an_exception_leaves_whole_steps(failure, engine):
    make_network, make_optimizer, method, steps = FAILURES[failure]
    network, optimizer = make_network(), make_optimizer()
    arguments = {
        "loss": "mean_squared_error",
        "epochs": 3,
        "batch_size": 8,
        "random_state": 0,
        "engine": engine,
    }
    callbacks = [FailingCallback(method)] if method else []
    with pytest.raises(RuntimeError, match=f"{failure.split()[-1]} failed"):
        network.fit(X, Y, optimizer=optimizer, callbacks=callbacks, **arguments)
    assert optimizer.steps == steps
    assert not network.training
    expected = four_layers()
    # The same formula in Python: kernels differ from it by rounding.
    reference = FailingOptimizer(0.01, "nowhere") if "optimizer" in failure else Adam(0.01)
    if steps:
        expected.fit(X, Y, optimizer=reference, callbacks=[StopAfter(steps)], **arguments)
    for name, value in state_of(expected, reference).items():
        assert_array_equal(state_of(network, optimizer)[name], value, name)


def test_a_step_by_hand_is_done_wholly_or_not_at_all():
    network, optimizer = four_layers(Failing("end_step")), FailingOptimizer(0.01, "move")
    with network.training_mode():
        for _ in range(4):
            network.backward_pass(X, np.ones((24, 1)))
            optimizer.update(network)
        before = state_of(network, optimizer)
        network.backward_pass(X, np.ones((24, 1)))
        with pytest.raises(RuntimeError, match="move failed"):
            optimizer.update(network)
        with pytest.raises(RuntimeError, match="move failed"):
            optimizer.step(network.parameter_vector, network.gradient_vector)
    for name, value in before.items():
        assert_array_equal(state_of(network, optimizer)[name], value, name)


def test_floating_point_errors_that_are_raised_undo_the_step():
    parameters, optimizer = np.ones(40_000), Adam(0.1)
    optimizer.step(parameters, np.ones(40_000))
    before, memory = parameters.copy(), optimizer.state()
    gradients = np.ones(40_000)
    gradients[-1] = 1e200
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        optimizer.step(parameters, gradients)
    assert_array_equal(parameters, before)
    assert optimizer.steps == 1
    for name, value in memory.items():
        assert_array_equal(optimizer.state()[name], value, name)


def test_all_callbacks_hear_of_the_end_even_if_one_fails(engine):
    heard = []

    class Hears(Callback):
        def on_train_end(self, run):
            heard.append(run.epoch)

    network = four_layers()
    best = EarlyStopping("loss", patience=3)
    with pytest.raises(RuntimeError, match="on_train_end failed"):
        network.fit(
            X, Y, loss="mean_squared_error", epochs=2, batch_size=8, engine=engine,
            callbacks=[Hears(), FailingCallback("on_train_end"), Hears(), best],
        )  # fmt: skip
    assert heard == [2, 2]
    assert best._snapshot is None  # it went back to the best epoch


# --- signals ---


def test_signals_are_handled_by_the_same_functions_afterwards(engine):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    network = four_layers()
    network.fit(X, Y, loss="mean_squared_error", epochs=1, engine=engine)
    Adam().update(network)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_handler_of_ones_own_is_called_between_two_steps():
    """Not within one, and not replaced by the package's: here it ends the training in its own way."""
    network, calls = four_layers(), []

    class Alarm(Exception):
        pass

    def handler(number, frame):
        calls.append(network[3].step)
        if len(calls) == 2:
            raise Alarm

    class SendInMove(SGD):
        def move(self, parameters, *rest):
            signal.raise_signal(signal.SIGINT)
            super().move(parameters, *rest)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(Alarm):
            network.fit(
                X, Y, loss="mean_squared_error", optimizer=SendInMove(0.01), batch_size=8, engine="formulas"
            )
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [1, 2]


def test_a_training_in_another_thread_touches_no_handler():
    errors = []

    def run():
        try:
            four_layers().fit(X, Y, loss="mean_squared_error", epochs=1, engine="formulas")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []


# --- signals at the edges of a block ---


@pytest.fixture
def raising():
    """SIGINT and SIGTERM have handlers that raise an exception, until the test is done."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handler(number, frame):
        raise InterruptedError(signal.Signals(number).name)

    for number in before:
        signal.signal(number, handler)
    yield handler
    for number, former in before.items():
        signal.signal(number, former)


def is_at_rest(handler):
    """Whether no block is under way, and all handlers have their places."""
    at_rest = (_state.users, _state.depth, _state.waiting, _state.in_place) == (0, 0, [], [])
    return at_rest and signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is handler


def signal_at_call(event, moments):
    """A profile function that sends SIGINT when the module makes its so many-th call: there Python looks."""

    def profile(frame, what, argument):
        if frame.f_code.co_filename == interrupts.__file__ and frame.f_code is not interrupts.handle.__code__:
            moments.append((what, frame.f_code.co_name, frame.f_lineno))
            if len(moments) == event + 1:
                signal.raise_signal(signal.SIGINT)

    return profile


def test_a_signal_at_any_call_within_a_block_leaves_no_trace(raising):
    for event in range(200):
        moments, was_raised = [], False
        former = sys.getprofile()
        try:
            sys.setprofile(signal_at_call(event, moments))
            with uninterrupted:
                pass
        except InterruptedError:
            was_raised = True
        finally:
            sys.setprofile(former)
        assert is_at_rest(raising), moments
        if len(moments) <= event:
            break
        assert was_raised, moments  # it is neither lost nor kept for later
    assert event > 10


def test_of_two_signals_that_waited_none_is_lost(raising):
    def send_three():
        with signals_can_wait, uninterrupted:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)

    with pytest.raises(InterruptedError, match="SIGTERM") as error:
        send_three()
    assert str(error.value.__context__) == "SIGINT"
    assert is_at_rest(raising)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_that_another_thread_makes_in_the_middle_of_a_block_hears_signals(raising):
    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0 if is_at_rest(raising) and _state.main_thread == threading.get_ident() else 1)
        statuses.append(os.waitpid(child, 0)[1])

    statuses = []
    with signals_can_wait, uninterrupted:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert statuses == [0]
