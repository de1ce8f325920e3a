"""Programs: what they are made of, and how a plan carries them out, is stopped, and comes to the same again."""

import copy
import hashlib
import math
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from test_contract import CASES
from test_equivalence import LOSSES, N_ROWS, OPTIMIZERS, Shift, Wave, network_for

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Concat,
    Dense,
    DivergenceError,
    Dropout,
    GaussianNoise,
    Identity,
    Layer,
    LayerNorm,
    LogSoftmax,
    MeanSquaredError,
    ReLU,
    RMSNorm,
    Sequential,
    Softmax,
    Tanh,
)

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import assert_same_training, run_python, train, workers

from layernet.engine.compiled.buffers import aligned_zeros
from layernet.engine.compiled.kernels import structure
from layernet.engine.compiled.lowering.layers import lower
from layernet.engine.compiled.machine import Machine
from layernet.engine.compiled.plan import CompiledPlan, sections_of
from layernet.engine.compiled.program import Instruction, Program, PythonCall
from layernet.engine.compiled.workers import WorkerGroup, WorkerProgram, intersections, merge_adjacent
from layernet.training.data import TrainingData

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((300, 5))
CLASSES = RANDOM.integers(0, 3, 300)
NUMBERS = X[:, :1] - X[:, 1:2]


def plan_of(network, loss, optimizer, X, y, batch_size=8):
    """The compiled plan of a training."""
    return CompiledPlan(network, loss, optimizer, TrainingData(network, loss, X, y, None, None), batch_size)


def formulas_in(plan):
    """What of a plan's step Python does."""
    return [
        step for program in plan._programs for step in program.all_operations if isinstance(step, PythonCall)
    ]


# --- what there are kernels for ---

OF_THE_LAST_AXIS = (BatchNorm, LayerNorm, RMSNorm, Softmax, LogSoftmax, Concat)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda value: repr(value))
def test_every_layer_has_kernels_but_noise_and_what_looks_at_the_last_of_two_axes(layer, shape):
    network = Sequential([copy.deepcopy(layer)]).build(shape, random_state=0)
    program = Program(np.float64, 8, network.gradient_vector)
    _, backward = lower(network, program, program.sample_buffer(math.prod(network.input_shape)))
    backward(program.sample_buffer(math.prod(network.output_shape)), True)
    calls_python = isinstance(layer, GaussianNoise) or (
        isinstance(layer, OF_THE_LAST_AXIS) and np.size(shape) == 2
    )
    assert (program.all_operations == program.instructions) is not calls_python


@pytest.mark.parametrize("loss", [loss for loss, _ in LOSSES], ids=repr)
def test_every_loss_has_kernels_for_all_its_targets(loss):
    of_all = dict(LOSSES)[loss]
    for targets in of_all.values():
        network = network_for(targets).build(5, random_state=0)
        assert not formulas_in(plan_of(network, loss, SGD(), X[:N_ROWS], targets))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_has_a_kernel(optimizer):
    network = Dense(1).build(5, random_state=0)
    assert not formulas_in(plan_of(network, MeanSquaredError(), optimizer(), X, NUMBERS))


def test_what_has_no_kernel_is_called_between_the_kernels_of_the_others():
    network = Sequential([Dense(4), Wave(), Dense(4), Shift(), Dense(1)]).build(5, random_state=0)
    with workers(3):  # there is but one where Python has to be asked
        plan = plan_of(network, MeanSquaredError(), SGD(), X, NUMBERS)
    kinds = [
        "python" if callable(section) else "machine"
        for section in sections_of(plan._programs[0].all_operations)
    ]
    # Between the ways there and back the loss is looked at: no formula is to stumble over infinity.
    there_and_back = ["machine", "python"] * 5 + ["machine"]
    assert kinds == [*there_and_back, "python", "python"]  # and both layers end their step
    assert len(plan._programs) == 1


# --- segments of vectors ---

PLACES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6))).map(
    lambda pairs: [slice(start, start + size) for start, size in pairs]
)


def entries(segments):
    return [entry for segment in segments for entry in range(segment.start, segment.stop)]


@given(st.lists(st.integers(0, 5)), st.randoms(use_true_random=False))
def test_merged_segments_hold_the_same_in_fewer_slices(sizes, random):
    ends = np.cumsum([0, *sizes])
    segments = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    kept = [segment for segment in segments if random.random() < 0.7]
    random.shuffle(kept)
    whole = merge_adjacent(kept)
    assert entries(whole) == sorted(entries(kept))
    assert all(a.stop < b.start for a, b in pairwise(whole))


@given(PLACES, PLACES)
def test_intersections(first, second):
    assert set(entries(intersections(first, second))) == set(entries(first)) & set(entries(second))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40)), min_size=1, max_size=4), st.integers(1, 5))
def test_every_parameter_is_moved_by_one_worker(shapes, n_workers):
    """Of weights each worker computes its own part; what else there is they share out."""
    network = Sequential([Dense(units) for _, units in shapes]).build(shapes[0][0], random_state=0)
    group = WorkerGroup(n_workers, 8, network.gradient_vector)
    for worker in range(n_workers):
        program = WorkerProgram(np.float64, group, worker)
        for layer in network:
            rows, first = program.owned_gradient(layer.grad_weights)
            assert np.shares_memory(rows, layer.grad_weights) or not rows.size
            assert_array_equal(rows, layer.grad_weights[first : first + len(rows)])
    owned = [entry for worker in range(n_workers) for entry in entries(group.updated_segments(worker))]
    assert sorted(owned) == list(range(network.parameter_vector.size))
    assert sorted(entries(group.unowned_segments())) == sorted(
        entry for layer in network for entry in entries([program._segment_in_vector(layer.grad_bias)])
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (0, 4), (5, 0)])
def test_buffers_begin_where_a_cache_line_does(shape, dtype):
    buffer = aligned_zeros(shape, dtype)
    assert buffer.shape == shape
    assert buffer.dtype == dtype
    assert not buffer.any()
    assert buffer.size == 0 or buffer.ctypes.data % 64 == 0


def test_workers_share_what_they_ask_for_in_turn():
    group = WorkerGroup(2, 5, np.zeros(0))
    first, second = (WorkerProgram(np.float64, group, worker) for worker in range(2))
    mine, others = first.sample_buffer(2), second.sample_buffer(2)
    assert mine.shape == others.shape == (3, 2)  # half of five rows, rounded up
    assert first.whole_batch(mine) is second.whole_batch(others)
    mine[:], others[:] = 1, 2
    assert_array_equal(first.whole_batch(mine)[:, 0], [1, 1, 1, 2, 2, 2])
    assert first.worker_rows(4) is second.worker_rows(4)


# --- instructions ---


@pytest.mark.parametrize(
    "operand",
    [
        np.zeros(3),
        np.zeros((2, 3, 4)),
        np.zeros((3, 2)).T,
        np.zeros((4, 4))[:, :2],
        np.zeros((2, 2), np.float32),
    ],
    ids=["a vector", "three axes", "columns first", "some columns", "another type"],
)
def test_operands_that_a_kernel_would_misread_are_refused(operand):
    program = Program(np.float64, 4, np.zeros(0))
    with pytest.raises(ValueError, match=r"copy> expects contiguous matrices of float64 or int64"):
        program.emit(structure.copy, operand, np.zeros((2, 2)))


def test_a_program_is_out_of_date_when_a_piece_of_state_was_replaced():
    program, layer = Program(np.float64, 4, np.zeros(0)), BatchNorm().build(3)
    assert np.shares_memory(program.state(layer, "running_mean"), layer.running_mean)
    layer.running_mean[:] = 1
    assert program.dependencies.are_unchanged()
    vars(layer)["running_mean"] = layer.running_mean.copy()
    assert not program.dependencies.are_unchanged()


def test_sections_alternate_between_the_machine_and_python():
    def python(rows):
        pass

    machine = Instruction(structure.copy, [], [])
    steps = [machine, machine, PythonCall(python), PythonCall(python), machine]
    assert sections_of(steps) == [(0, 2), python, python, (2, 3)]
    assert sections_of([]) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_machine_sees_the_rows_of_its_worker(dtype):
    """Three workers of four rows each, and a batch of six: four, two and none of them."""
    seen = []
    for worker in range(3):
        source, target = np.ones((4, 2), dtype), np.zeros((4, 2), dtype)
        copying = (structure.copy, [source, target], [-1, -1])
        machine = Machine([copying], np.dtype(dtype), worker, 3, 4)
        machine.run(0, 1, 0, 1, 6, 20)
        seen.append(int(target[:, 0].sum()))
        assert (machine.steps_done, machine.status) == (1, 0)
    assert seen == [4, 2, 0]


# --- how a training ends ---


class Orders:
    """The orders of the rows in the epochs to come: the last row, which is bad, is in the second one only."""

    def __init__(self, place):
        self.place = place
        self.epoch = 0

    def __call__(self, n_rows):
        self.epoch += 1
        order = np.arange(n_rows) % (n_rows - 1)
        if self.epoch == 2:
            order[self.place] = n_rows - 1
        return order


def rows_but_one(bad):
    """Forty numbers of about 1, the last of which is bad."""
    numbers = RANDOM.uniform(1, 2, (40, 1))
    numbers[-1] = bad
    return numbers


@pytest.mark.parametrize("between", [Identity(), Wave()], ids=["all kernels", "a formula between kernels"])
@pytest.mark.parametrize("place", [0, 7, 8, 21, 39])
def test_a_loss_that_is_not_finite_ends_training_in_its_batch(place, between):
    network = Sequential([Dense(4, use_bias=False), BatchNorm(), between, Tanh(), Dropout(0.2), Dense(1)])
    _, by_kernels = assert_same_training(
        network.build(1, random_state=0),
        rows_but_one(1.0),
        rows_but_one(1e200),  # whose square is no number any more
        loss="mean_squared_error",
        optimizer=Adam(),
        epochs=5,
        shuffle=Orders(place),
        n_workers=(1, 2),
    )
    assert f"diverged in epoch 2, batch {place // 8 + 1}: the loss is inf. The network keeps" in str(
        by_kernels.error
    )
    assert by_kernels.optimizer.steps == by_kernels.network[4].step == 5 + place // 8


@pytest.mark.parametrize("between", [Identity(), Wave()], ids=["all kernels", "a formula between kernels"])
@pytest.mark.parametrize("place", [0, 13])
def test_a_gradient_that_is_not_finite_ends_training_in_its_batch(place, between):
    """Of a finite loss, with an infinite product on the way back."""
    network = Sequential([Dense(1), Dense(1), between]).build(1, random_state=0)
    network.parameter_vector[:] = 1e-150, 0, 1e150, 0
    _, by_kernels = assert_same_training(
        network,
        rows_but_one(1e200),
        rows_but_one(1.0),
        loss="mean_absolute_error",
        optimizer=SGD(0.0),
        epochs=5,
        shuffle=Orders(place),
        n_workers=(1, 2),
    )
    assert f"epoch 2, batch {place // 8 + 1}: a gradient is not finite" in str(by_kernels.error)


class SquaredTwice(MeanSquaredError):
    """Formulas whose gradients are infinite where the loss is."""

    def gradient(self, outputs, targets):
        return super().gradient(outputs, targets) * (outputs - targets) ** 2


class Careful(Layer):
    """Refuses gradients that are not finite, as SciPy's functions do."""

    def forward_pass(self, inputs):
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        if not np.isfinite(grad_output).all():
            raise ValueError("array must not contain infs or NaNs")
        return grad_output.copy()


def test_where_a_loss_is_not_finite_nobody_is_asked_for_gradients():
    _, by_kernels = assert_same_training(
        Sequential([Dense(2), Careful(), Dense(1)]).build(1, random_state=0),
        rows_but_one(1.0),
        rows_but_one(1e200),
        loss=SquaredTwice(),
        optimizer=SGD(),
        shuffle=Orders(13),
        epochs=3,
    )
    assert "epoch 2, batch 2: the loss is inf" in str(by_kernels.error)


@pytest.mark.parametrize(
    "optimizer",
    [SGD(1e-26), SGD(1e-26, momentum=0.9), SGD(1e-22, clip_value=1e20), SGD(0.01, clip_norm=1.0)],
    ids=repr,
)
def test_gradients_whose_squares_overflow_are_finite(optimizer):
    network = Dense(1).build(1, random_state=0, dtype=np.float32)
    _, by_kernels = assert_same_training(
        network,
        rows_but_one(1e25).astype(np.float32),
        rows_but_one(1.0),
        loss="mean_absolute_error",
        optimizer=optimizer,
        epochs=3,
        n_workers=(1, 2),
    )
    assert by_kernels.error is None
    assert not np.allclose(by_kernels.network.parameter_vector, network.parameter_vector, rtol=1e-3)


def test_the_memory_of_an_optimizer_may_overflow():
    _, by_kernels = assert_same_training(
        Dense(1).build(1, random_state=0, dtype=np.float32),
        rows_but_one(1e25).astype(np.float32),
        rows_but_one(1.0),
        loss="mean_absolute_error",
        optimizer=Adam(),
        epochs=3,
    )
    assert "the square of a gradient is not finite" in str(by_kernels.error)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-2), (np.float64, 1e-6)])
@pytest.mark.parametrize(
    "optimizer", [SGD(1e3), SGD(1e30), SGD(1e300), SGD(1e30, momentum=0.99), Adam(1e300)], ids=repr
)
def test_an_explosion_leaves_the_last_finite_parameters(optimizer, dtype, tolerance):
    network = Sequential([Dense(8), ReLU(), BatchNorm(), Dense(8), ReLU(), Dense(1)])
    _, by_kernels = assert_same_training(
        network.build(5, random_state=0, dtype=dtype),
        X,
        NUMBERS,
        loss="mean_squared_error",
        optimizer=optimizer,
        epochs=200,
        tolerance=tolerance,
    )
    assert isinstance(by_kernels.error, DivergenceError)
    assert np.isfinite(by_kernels.network.parameter_vector).all()


class Interrupt(Callback):
    """Ctrl-C after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_batch_end(self, run):
        if run.optimizer.steps == self.steps:
            raise KeyboardInterrupt


def small_network():
    return Sequential([Dense(8, use_bias=False), BatchNorm(), ReLU(), Dropout(0.3), Dense(3)])


TRAINING = {"loss": "cross_entropy", "optimizer": SGD(0.01, momentum=0.9), "epochs": 100_000}


def test_ctrl_c_in_a_callback():
    _, by_kernels = assert_same_training(
        small_network().build(5, random_state=0), X, CLASSES, callbacks=[Interrupt(100)], **TRAINING
    )
    assert by_kernels.history.stop_message == "Interrupted in epoch 3 of 100000, after batch 24."
    assert by_kernels.optimizer.steps == 100


@pytest.mark.parametrize("n_workers", [1, 2])
def test_ctrl_c_while_kernels_run(n_workers):
    """Wherever it comes, what was done is counted, and nothing else."""
    rows = np.random.default_rng(0).integers(0, 300, 20_000)
    network = Sequential([Dense(64), ReLU(), Dropout(0.3), Dense(64), Tanh(), Dense(3)]).build(
        5, random_state=0
    )
    with workers(n_workers):
        train("compiled", network, X, CLASSES, **{**TRAINING, "epochs": 1})  # the kernels are loaded now
        timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        interrupted = train("compiled", network, X[rows], CLASSES[rows], **TRAINING)
        timer.join()
        steps = interrupted.optimizer.steps
        exactly = train("compiled", network, X[rows], CLASSES[rows], callbacks=[Interrupt(steps)], **TRAINING)
    assert interrupted.history.stop_message.startswith("Interrupted in epoch ")
    assert interrupted.network[2].step == steps > 0
    assert_array_equal(interrupted.network.parameter_vector, exactly.network.parameter_vector)


INTERRUPTED = """
import sys
import numpy as np
from layernet import SGD, Dense, Dropout, Sequential
from layernet.engine.compiled import plan as compiled_plan

moment, n_workers = sys.argv[1], int(sys.argv[2])
compiled_plan.n_workers_for, compiled_plan.MAX_STEPS_PER_CALL = lambda *arguments: n_workers, 20
calls, run = [], compiled_plan.CompiledPlan._run_machines

def interrupted(self, *arguments):
    # In the thread that signals reach; workers run in others.
    calls.append(arguments)
    if len(calls) == 3 and moment == "before":
        raise KeyboardInterrupt
    run(self, *arguments)
    if len(calls) == 3:
        raise KeyboardInterrupt

compiled_plan.CompiledPlan._run_machines = interrupted
X = np.random.default_rng(0).standard_normal((300, 5))
net, optimizer = Sequential([Dense(8), Dropout(0.3), Dense(1)]), SGD()
history = net.fit(X, X.sum(axis=1), "mean_squared_error", optimizer, epochs=5, batch_size=8, engine="compiled")
print(history.stop_message, optimizer.steps, net[1].step)
"""


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize(("moment", "batch"), [("before", 0), ("after", 20)])
def test_ctrl_c_at_the_edges_of_a_run_of_steps(moment, batch, n_workers):
    """Python hears of it before the machine begins, or when it is back; here at the first run of epoch 2."""
    said = run_python(INTERRUPTED, moment, n_workers, timeout=30)
    assert said == f"Interrupted in epoch 2 of 5, after batch {batch}. {38 + batch} {38 + batch}\n"


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("target", [1.0, 1e200], ids=["a training that ends well", "one that diverges"])
def test_kernels_leave_the_processor_as_they_found_it(target, n_workers):
    """Within kernels numbers too small for full precision are 0; not in what comes after."""
    smallest = np.array([np.finfo(np.float64).smallest_subnormal])
    with workers(n_workers):
        result = train(
            "compiled", Dense(1).build(1), rows_but_one(1.0), rows_but_one(target), loss="mean_squared_error",
            optimizer=SGD(),
        )  # fmt: skip
    assert (result.error is None) is (target == 1)
    assert smallest * 1.0 > 0
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: smallest * 1.0).result() > 0


# --- the same again ---


class Watch(Callback):
    def on_batch_end(self, run):
        self.seen = run.batch


def bits(**options):
    """The bits of all that came of a training."""
    network = small_network()
    dtype = options.pop("dtype", np.float64)
    options = {"engine": "compiled", "epochs": 8, "optimizer": Adam(), "random_state": 3, **options}
    history = network.fit(X.astype(dtype), CLASSES, loss="cross_entropy", **options)
    found = network.parameter_vector, network.state(), options["optimizer"].state(), history["loss"]
    return hashlib.sha256(pickle.dumps(found)).hexdigest()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_the_same_seed_gives_the_same_bits(n_workers, dtype):
    weights = np.random.default_rng(0).uniform(0, 2, 300)
    with workers(n_workers):
        for options in ({}, {"sample_weight": weights}, {"batch_size": 7}):
            assert len({bits(dtype=dtype, **options) for _ in range(3)}) == 1


@pytest.mark.parametrize("n_workers", [1, 2])
def test_looking_on_changes_nothing(n_workers):
    with workers(n_workers):
        watched = bits(callbacks=[Watch()], metrics="accuracy", validation_data=(X, CLASSES))
        assert watched == bits()


def test_how_many_steps_are_done_in_one_go_changes_nothing(monkeypatch):
    expected = bits()
    for longest in (1, 5, 17):
        monkeypatch.setattr("layernet.engine.compiled.plan.MAX_STEPS_PER_CALL", longest)
        assert bits() == expected


def test_threads_that_train_at_once_do_not_disturb_each_other():
    alone = [bits(random_state=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda seed: bits(random_state=seed), range(8))) == alone


def test_threads_that_train_at_once_have_as_many_workers_as_alone(monkeypatch):
    """How many follows from how many threads BLAS may have, and each training limits these while it runs."""
    from threadpoolctl import threadpool_limits

    monkeypatch.setattr("layernet.engine.threads.SMALL_MULTIPLICATIONS", 0)
    monkeypatch.setattr("layernet.engine.threads.MIN_ROWS_PER_WORKER", 1)
    with threadpool_limits(2, user_api="blas"):
        alone = bits()
        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(lambda _: bits(), range(12))) == {alone}
    with threadpool_limits(1, user_api="blas"):
        assert bits() != alone


def test_other_processes_come_to_the_same_bits():
    script = """
import hashlib
import numpy as np
from layernet import Adam, BatchNorm, Dense, Dropout, ReLU, Sequential
X = np.random.default_rng(0).standard_normal((300, 5))
net = Sequential([Dense(8), BatchNorm(), ReLU(), Dropout(0.3), Dense(2)])
net.fit(X, X[:, :2] > 0, "binary_cross_entropy", Adam(), epochs=8, random_state=3, engine="compiled")
digest = hashlib.sha256(net.parameter_vector.tobytes()).hexdigest()
"""
    names = {}
    exec(script, names)
    elsewhere = [run_python(f"{script}print(digest)", PYTHONHASHSEED=seed).strip() for seed in ("1", "2")]
    assert elsewhere == [names["digest"]] * 2
