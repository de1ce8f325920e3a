"""The plan for inference: what `forward_pass` computes, faster, and as the network is at every moment."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from test_contract import CASES, Scale, SlideSigmoid

from layernet import (
    GELU,
    BatchNorm,
    Concat,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    MeanSquaredError,
    NotBuiltError,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Tanh,
)
from layernet.engine import blocks, choice, cores, inference
from layernet.engine.inference import InferencePlan

TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}


def need_compiled():
    """Skip a test where kernels cannot be compiled."""
    pytest.importorskip("numba", reason="compiled kernels need Numba")
    if not choice.has_numba():
        pytest.skip("these tests are to do without Numba")


@pytest.fixture(params=["formulas", "compiled"])
def way(request):
    """Both engines; the compiled one where Numba is installed."""
    if request.param == "compiled":
        need_compiled()
    return request.param


@pytest.fixture
def compiled():
    """For tests of what only the compiled engine has."""
    need_compiled()


def small_network(dtype=np.float64, random_state=0):
    layers = [Dense(7), BatchNorm(), ReLU(), Dropout(0.5), Dense(3)]
    return Sequential(layers).build(5, random_state=random_state, dtype=dtype)


def samples(network, n_rows, seed=1):
    return np.random.default_rng(seed).standard_normal((n_rows, *network.input_shape)).astype(network.dtype)


def assert_agrees(predict, network, inputs):
    """The outputs are those of the forward pass, of the same shape and type, and the caller's own."""
    expected = network.forward_pass(inputs)
    outputs = predict(inputs)
    assert outputs.shape == expected.shape
    assert outputs.dtype == expected.dtype
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=TOLERANCE[expected.dtype] * scale(expected))
    assert outputs.flags.writeable
    assert outputs.base is None or not np.shares_memory(outputs, inputs)


def scale(values):
    return max(1.0, float(np.abs(values).max(initial=0)))


def train_a_little(network):
    """Move parameters and running averages."""
    X = samples(network, 40, seed=2) * 3 + 1
    targets = np.random.default_rng(3).standard_normal((40, *network.output_shape))
    network.fit(X, targets, loss="mean_squared_error", epochs=2, random_state=0, engine="formulas")


# --- the same as the forward pass ---


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("layer", "input_shape"), CASES, ids=lambda value: repr(value))
def test_every_layer_computes_what_its_forward_pass_does(layer, input_shape, dtype, way):
    network = copy.deepcopy(layer).build(input_shape, random_state=0, dtype=dtype)
    predict = network.compile_for_inference(way)
    for n_rows in (0, 1, 2, 33):
        assert_agrees(predict, network, samples(network, n_rows))


@pytest.mark.parametrize("input_shape", [4, (2, 3, 4)])
def test_batch_norm_uses_the_averages_that_training_moved(input_shape, way):
    network = Sequential([BatchNorm(momentum=0.5, epsilon=1e-3), Flatten(), Dense(2)]).build(input_shape, 0)
    predict = network.compile_for_inference(way)
    before = predict(samples(network, 4))
    train_a_little(network)
    assert np.abs(network[0].running_mean).min() > 0.1
    assert_agrees(predict, network, samples(network, 4))
    assert not np.allclose(predict(samples(network, 4)), before)


@pytest.mark.parametrize(
    "network",
    [
        Scale(),
        Sequential([Dense(6), SlideSigmoid(), Dense(2)]),
        Sequential([SlideSigmoid(), Scale(), Residual(Scale()), Softmax()]),
        Concat([Scale(), Sequential([Dense(3), SlideSigmoid()]), Identity()]),
    ],
    ids=lambda value: repr(value),
)
def test_layers_without_kernels_run_their_formulas(network, way):
    network = copy.deepcopy(network).build(4, random_state=0)
    predict = network.compile_for_inference(way)
    for n_rows in (0, 1, 5, 2500):
        assert_agrees(predict, network, samples(network, n_rows))


def test_layers_in_training_mode_are_taken_as_in_inference(way):
    class Telling(Layer):
        def forward_pass(self, inputs):
            return inputs + self.training

        def backward_pass(self, inputs, grad_output):
            return grad_output.copy()

    network = Sequential([Dense(3), Dropout(0.5), GaussianNoise(1.0), BatchNorm(), Telling()]).build(4, 0)
    X = samples(network, 6)
    expected = network.forward_pass(X)
    predict = network.compile_for_inference(way)
    network.layers[1] = Dropout(0.9).build(3)
    with network.training_mode():
        np.testing.assert_allclose(predict(X), expected, atol=1e-12)
        np.testing.assert_allclose(network.compile_for_inference(way)(X[:1]), expected[:1], atol=1e-12)
        assert all(layer.training for layer in network.walk())
    assert network[-1].training is False


def test_a_pass_changes_nothing(way):
    network = small_network()
    predict = network.compile_for_inference(way)
    state, parameters = network.state(), network.parameter_vector.copy()
    X = samples(network, 10)
    before = X.copy()
    predict(X)
    predict(X[:1])
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(network.parameter_vector, parameters)
    assert all(np.array_equal(value, state[name]) for name, value in network.state().items())


# --- what comes in, and what goes out ---


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_kinds_of_inputs_are_taken(n_rows, dtype, way):
    network = small_network(dtype)
    predict = network.compile_for_inference(way)
    X = np.random.default_rng(0).integers(-3, 4, (n_rows, 5))
    read_only = X.astype(dtype)
    read_only.flags.writeable = False
    kinds = [
        X,
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        X > 0,
        X.astype(np.int8),
        X.astype(np.float16),
        X.astype(np.float32),
        X.astype(np.float64),
        X.astype(np.longdouble),
        X.astype(">f8"),
        np.asfortranarray(X.astype(dtype)),
        X.astype(dtype)[::-1, ::-1],
        np.repeat(X.astype(dtype), 2, axis=1)[:, ::2],
        np.broadcast_to(X.astype(dtype)[:1], (n_rows, 5)),
        read_only,
        np.ma.masked_array(X.astype(dtype)),
    ]
    for inputs in kinds:
        assert_agrees(predict, network, inputs)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((2, 4)),
        np.zeros((3000, 4)),
        np.zeros((1, 6)),
        np.zeros(5),
        np.zeros((1, 5, 1)),
        3.0,
        [],
        [["a", "b", "c", "d", "e"]],
        np.zeros((2, 5), complex),
        np.zeros((2, 5), object),
        [[1.0, 2.0], [3.0]],
    ],
    ids=lambda value: str(np.shape(value)) if isinstance(value, np.ndarray) else str(value),
)
def test_what_forward_pass_refuses_is_refused_in_the_same_words(inputs, way):
    network = small_network()
    predict = network.compile_for_inference(way)
    with pytest.raises((TypeError, ValueError)) as theirs:
        network.forward_pass(inputs)
    with pytest.raises(theirs.type) as ours:
        predict(inputs)
    assert str(ours.value) == str(theirs.value)
    assert_agrees(predict, network, samples(network, 2))  # an error leaves the plan as it was


@pytest.mark.parametrize("n_rows", [0, 1, 3, 2500])
@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array"])
@pytest.mark.parametrize("layers", [(), (Tanh(),)], ids=["accepted", "made dense"])
def test_a_sparse_matrix_gives_what_it_gives_in_dense_form(layers, form, n_rows, way):
    from scipy import sparse

    network = Sequential([*copy.deepcopy(layers), Dense(4), Tanh(), Dense(2)]).build(5, random_state=0)
    few = np.random.default_rng(0).standard_normal((n_rows, 5)).clip(0, 1)
    predict = network.compile_for_inference(way)
    outputs = predict(getattr(sparse, form)(few))
    assert outputs.shape == (n_rows, 2)
    np.testing.assert_allclose(outputs, predict(few), rtol=1e-12)
    with pytest.raises(ValueError, match="expects inputs of shape"):
        predict(getattr(sparse, form)(few[:, :4]))


@pytest.mark.parametrize("layer", [Tanh(), Sequential([Flatten(), ReLU()]), Residual(Softmax())])
def test_a_network_without_parameters_takes_all_shapes_and_both_types(layer, way):
    network = copy.deepcopy(layer).build(4)
    predict = network.compile_for_inference(way)
    for shape in ((3, 4), (3, 5), (1, 4), (1, 2, 3), (2500, 3)):
        for dtype in (np.float64, np.float32):
            assert_agrees(predict, network, np.random.default_rng(0).standard_normal(shape).astype(dtype))
    assert_agrees(predict, network, [[1, 2, 3, 4]])


def test_outputs_are_the_callers(way):
    network = small_network()
    predict = network.compile_for_inference(way)
    for n_rows in (1, 4, 1500):
        X = samples(network, n_rows)
        first = predict(X)
        kept = first.copy()
        predict(X + 1)
        np.testing.assert_array_equal(first, kept)
        first[...] = np.nan
        np.testing.assert_array_equal(predict(X), kept)
    identity = Identity().build(3)
    X = np.ones((1, 3))
    assert not np.shares_memory(identity.compile_for_inference(way)(X), X)


# --- many rows ---


@pytest.mark.parametrize("n_rows", [1023, 1024, 1025, 2048, 5001])
def test_blocks_of_rows_come_to_the_same(n_rows, way):
    network = small_network()
    predict = network.compile_for_inference(way)
    X = samples(network, n_rows)
    assert_agrees(predict, network, X)
    assert_agrees(predict, network, X.astype(np.float32))
    assert_agrees(predict, network, np.asfortranarray(X))


@pytest.mark.parametrize("sizes", [(5, 7, 3), (300, 600, 200)])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_threads_share_the_blocks(sizes, n_workers, monkeypatch, way):
    monkeypatch.setattr(inference, "MIN_MULTIPLICATIONS_FOR_HELPERS", 0)
    monkeypatch.setattr(blocks, "threads_allowed", lambda: n_workers)
    network = Sequential([Dense(sizes[1]), GELU(), LayerNorm(), Dense(sizes[2])]).build(sizes[0], 0)
    predict = network.compile_for_inference(way)
    for n_rows in (0, 2, 3, 50, 1025, 3000):
        assert_agrees(predict, network, samples(network, n_rows))
    blocks._wait_for_all()
    assert 1 <= len(predict._idle_workers) <= n_workers


def test_memory_stays_flat(way):
    network = Sequential([Dense(100), ReLU(), Dense(10)]).build(64, random_state=0)
    X = np.zeros((100_000, 64), np.float32)  # converted on the way, a block after the other
    predict = network.compile_for_inference(way)
    predict(X[:3000])
    tracemalloc.start()
    outputs = predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= outputs.nbytes + 5e6


# --- the network changes ---


def test_new_values_of_parameters_are_seen(way):
    network = small_network()
    predict = network.compile_for_inference(way)
    X = samples(network, 3)
    network[0].weights = np.random.default_rng(5).standard_normal((5, 7))
    assert_agrees(predict, network, X)
    network.parameter_vector[:] *= 0.5
    assert_agrees(predict, network, X[:1])
    train_a_little(network)
    assert_agrees(predict, network, X)


def test_a_loaded_state_is_seen(way):
    network = small_network()
    predict = network.compile_for_inference(way)
    X = samples(network, 3)
    state = network.state()
    train_a_little(network)
    moved = predict(X)
    network.load_state(state)
    assert_agrees(predict, network, X)
    assert_agrees(predict, network, X[:1])
    assert not np.allclose(predict(X), moved)
    network[1].running_variance = np.full(7, 4.0)
    assert_agrees(predict, network, X)


def build_for_other_inputs(network):
    network.build(4, random_state=1)


def build_again(network):
    network.build(5, random_state=1)


def build_in_another_type(network):
    network.build(5, random_state=1, dtype=np.float32)


def put_into_another_network(network):
    Sequential([Dense(5), *network]).build(5, random_state=1)
    network.parameter_vector[:] += 1


def change_an_argument(network):
    network[2].negative_slope = 0.5


def change_a_layer(network):
    network.layers[2] = Tanh().build(7)


def change_a_layer_inside(network):
    network.layers[3].layers[0] = network.layers[3].body = Tanh().build(7)


def leave_out_the_bias(network):
    network[0].use_bias = False


@pytest.mark.parametrize(
    "change",
    [
        build_for_other_inputs,
        build_again,
        build_in_another_type,
        put_into_another_network,
        change_an_argument,
        change_a_layer,
        change_a_layer_inside,
        leave_out_the_bias,
    ],
)
@pytest.mark.parametrize("norm", [BatchNorm, LayerNorm])
def test_a_network_that_is_another_now_is_noticed(change, norm, way):
    layers = [Dense(7), norm(), LeakyReLU(0.1), Residual(SlideSigmoid()), Dense(3)]
    network = Sequential(layers).build(5, random_state=0)
    network[0].bias = np.arange(7)
    predict = network.compile_for_inference(way)
    before = predict(samples(network, 2))
    change(network)
    for n_rows in (1, 2, 40):
        assert_agrees(predict, network, samples(network, n_rows))
    if network.input_shape == (5,):
        assert not np.allclose(predict(samples(network, 2)), before)


def test_a_network_without_parameters_that_is_built_anew_is_noticed(way):
    network = Sequential([Flatten(), Tanh()]).build(4)
    predict = network.compile_for_inference(way)
    network.build(4, dtype=np.float32)
    assert_agrees(predict, network, [[1, 2, 3, 4], [5, 6, 7, 8]])
    network.build((2, 3), dtype=np.float32)
    assert_agrees(predict, network, samples(network, 2))


def test_nothing_is_made_anew_without_need(compiled):
    network = small_network()
    predict = network.compile_for_inference("compiled")
    (worker,) = predict._idle_workers
    train_a_little(network)
    for n_rows in (0, 1, 2, 1500):
        predict(samples(network, n_rows))
    with pytest.raises(ValueError, match="expects inputs of shape"):
        predict([[1.0]])
    assert predict._idle_workers == [worker]


# --- engines, threads, copies ---


def test_auto_is_compiled_where_numba_is(monkeypatch):
    network = small_network()
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)
    monkeypatch.setattr(choice, "has_numba", lambda: False)
    predict = network.compile_for_inference()
    assert isinstance(predict, InferencePlan)
    assert not predict.is_compiled
    assert_agrees(predict, network, samples(network, 3))
    monkeypatch.undo()
    need_compiled()
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)
    assert network.compile_for_inference().is_compiled
    assert not network.compile_for_inference("formulas").is_compiled
    monkeypatch.setenv("LAYERNET_ENGINE", "formulas")
    assert not network.compile_for_inference().is_compiled
    assert network.compile_for_inference("compiled").is_compiled


def test_a_numba_that_cannot_be_imported_is_done_without(monkeypatch, compiled):
    class Broken:
        def __init__(self, network):
            raise ImportError("Numba needs NumPy 2.4 or less")

    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)
    monkeypatch.setattr("layernet.engine.compiled.inference.CompiledWorker", Broken)
    network = small_network()
    may_end = "uses formulas, because kernels need Numba: Numba needs NumPy 2.4"
    with pytest.warns(UserWarning, match=may_end) as caught:
        predict = network.compile_for_inference()
    assert caught[0].filename == __file__
    assert not predict.is_compiled
    assert_agrees(predict, network, samples(network, 3))
    with pytest.raises(ImportError, match="Numba needs NumPy"):
        network.compile_for_inference("compiled")


def test_what_cannot_be_compiled_is_refused(monkeypatch):
    network = small_network()
    with pytest.raises(ValueError, match="engine must be one of 'auto', 'compiled', 'formulas', got 'fast'"):
        network.compile_for_inference("fast")
    with pytest.raises(NotBuiltError, match="is not built yet, so it has no plan for inference"):
        Sequential([Dense(2)]).compile_for_inference()
    loss = MeanSquaredError().bind(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"contains a loss.*without its loss"):
        Sequential([*network, loss]).build(5).compile_for_inference()
    monkeypatch.setattr(choice, "has_numba", lambda: False)
    with pytest.raises(ImportError, match="engine='compiled' needs Numba"):
        network.compile_for_inference("compiled")


def test_it_says_what_it_is(way):
    text = repr(small_network(np.float32).compile_for_inference(way))
    assert text.startswith(
        "<InferencePlan of Sequential([Dense(7), BatchNorm(), ReLU(), Dropout(0.5), Dense(3)])"
    )
    assert text.endswith(": (n_samples, 5) to (n_samples, 3), float32>")
    assert ("compiled" if way == "compiled" else "by formulas") in text


def test_several_threads_may_call_one_plan(way):
    network = Sequential([Dense(50), Tanh(), SlideSigmoid(), Dense(3)]).build(5, random_state=0)
    simple = Sequential([Dense(50), Tanh(), Dense(3)]).build(5, random_state=0)
    for net in (network, simple):
        predict = net.compile_for_inference(way)
        inputs = [samples(net, n_rows, seed=n_rows) for n_rows in (1, 1, 7, 300, 1400)]
        expected = [predict(X) for X in inputs]
        wrong = []

        def work(offset, predict=predict, inputs=inputs, expected=expected, wrong=wrong):
            for turn in range(60):
                which = (turn + offset) % len(inputs)
                if not np.array_equal(predict(inputs[which]), expected[which]):
                    wrong.append(which)

        threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(predict._idle_workers) <= 5


def test_what_the_machine_points_to_stays(compiled):
    network = small_network()
    predict = network.compile_for_inference("compiled")
    X = samples(network, 3)
    expected = predict(X)
    for size in range(1, 200):  # whatever memory is free is written to
        _ = [np.full(size, 77) for _ in range(10)]
    np.testing.assert_allclose(predict(X[2:]), expected[2:], atol=1e-12)
    np.testing.assert_array_equal(predict(X), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))])
def test_a_copy_has_a_network_of_its_own(copied, way):
    network = small_network()
    train_a_little(network)
    predict = network.compile_for_inference(way)
    X = samples(network, 4)
    twin = copied(predict)
    assert twin.engine == way
    assert twin.network is not network
    np.testing.assert_array_equal(twin(X), predict(X))
    network.parameter_vector[:] = 0
    assert not np.allclose(twin(X), predict(X))


def test_what_is_not_finite_stays_so(way):
    network = Sequential([Dense(3), Tanh()]).build(4, random_state=0)
    X = samples(network, 2)
    X[0, 0] = np.nan
    outputs = network.compile_for_inference(way)(X)
    assert np.isnan(outputs[0]).all()
    assert np.isfinite(outputs[1]).all()


# --- blocks ---


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_row_is_computed_in_its_place(n_threads, monkeypatch):
    monkeypatch.setattr(blocks, "threads_allowed", lambda: n_threads)

    @contextmanager
    def lend():
        yield np.arange(1003)[:, np.newaxis].__getitem__

    for block_size in (1, 7, 1002, 1003, 2000):
        rows = blocks.compute_in_blocks(1003, block_size, np.arange(1003)[:, np.newaxis].__getitem__, lend)
        np.testing.assert_array_equal(rows[:, 0], np.arange(1003))


def test_nobody_waits_for_a_thread_that_does_not_get_on(monkeypatch):
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 2)
    # On a busy machine, helpers of the calls of earlier tests may still be there, and take the threads' places.
    blocks._wait_for(blocks._helpers, seconds=30.0)
    began, may_end = threading.Event(), threading.Event()

    def compute(rows):
        began.wait(10)
        return np.zeros(rows.stop - rows.start)

    def compute_in_vain(rows):
        began.set()
        may_end.wait(10)
        return np.ones(rows.stop - rows.start)

    @contextmanager
    def lend():
        yield compute_in_vain

    try:
        rows = blocks.compute_in_blocks(100, 10, compute, lend)
        assert began.is_set()
        assert not rows.any()
        assert len(blocks._helpers) == 1
    finally:
        may_end.set()
        blocks._wait_for_all()
    assert not rows.any()  # what comes too late is thrown away
    assert not blocks._helpers


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose the core alone")
def test_a_thread_starts_on_another_core():
    may_end, has_ended, found = threading.Event(), threading.Event(), []
    allowed = os.sched_getaffinity(0)

    def look():
        may_end.wait(10)
        found.append(os.sched_getaffinity(0))
        has_ended.set()

    cores.start_on_another_core(look)
    may_end.set()
    assert has_ended.wait(10)
    assert found[0] <= allowed
    assert len(found[0]) == max(1, len(allowed) - 1)
    assert os.sched_getaffinity(0) == allowed


def test_an_error_in_a_helper_reaches_the_caller(monkeypatch):
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 3)
    who = set()

    def refuse(rows):
        who.add(threading.get_ident())
        if rows.start == 500:
            raise ZeroDivisionError("block 50")
        return np.zeros(rows.stop - rows.start)

    @contextmanager
    def lend():
        yield refuse

    with pytest.raises(ZeroDivisionError, match="block 50") as caught:
        blocks.compute_in_blocks(1000, 10, refuse, lend)
    assert "refuse" in [entry.name for entry in caught.traceback]
    blocks._wait_for_all()
    assert blocks.compute_in_blocks(400, 10, refuse, lend).shape == (400,)


def test_ctrl_c_ends_a_call_and_its_helpers(monkeypatch):
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 2)
    done = []

    def compute(rows):
        raise KeyboardInterrupt

    def compute_slowly(rows):
        done.append(rows)
        threading.Event().wait(0.01)
        return np.zeros(1)

    @contextmanager
    def lend():
        yield compute_slowly

    with pytest.raises(KeyboardInterrupt):
        blocks.compute_in_blocks(1000, 1, compute, lend)
    blocks._wait_for_all()
    assert len(done) <= 3
    assert not blocks._helpers
    assert not blocks._calls


def test_calls_at_the_same_time_share_the_threads_that_are_allowed(monkeypatch):
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 2)
    most = []

    @contextmanager
    def lend():
        yield compute

    def compute(rows):
        most.append(len(blocks._helpers))
        return np.zeros(rows.stop - rows.start)

    def call():
        blocks.compute_in_blocks(1000, 10, compute, lend)

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 1


def test_numpy_is_as_strict_in_helpers_as_in_the_caller(monkeypatch, way):
    monkeypatch.setattr(inference, "MIN_MULTIPLICATIONS_FOR_HELPERS", 0)
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 2)
    seen = []
    predict = small_network().compile_for_inference(way)
    with np.errstate(divide="raise", over="ignore", under="warn"):
        expected = np.geterr()

        def decode(outputs):
            seen.append(np.geterr())
            return outputs

        predict.compute_outputs(np.zeros((5000, 5)), decode=decode)
    assert len(seen) >= 5
    assert all(state == expected for state in seen)


def test_third_party_layers_run_in_the_thread_of_the_caller(monkeypatch, way):
    monkeypatch.setattr(inference, "MIN_MULTIPLICATIONS_FOR_HELPERS", 0)
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 4)
    seen = []

    class Collecting(Layer):
        def forward_pass(self, inputs):
            seen.append((threading.get_ident(), len(inputs)))
            return inputs.copy()

        def backward_pass(self, inputs, grad_output):
            return grad_output.copy()

    network = Sequential([Dense(4), Collecting()]).build(3, random_state=0)
    seen.clear()
    assert_agrees(network.compile_for_inference(way), network, samples(network, 4000))
    assert {ident for ident, _ in seen} == {threading.get_ident()}
    assert sum(n_rows for _, n_rows in seen) == 2 * 4000  # every row once, and once in the forward pass


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_does_not_change_a_bit(dtype, monkeypatch, way):
    monkeypatch.setattr(inference, "MIN_MULTIPLICATIONS_FOR_HELPERS", 0)
    network = Sequential([Dense(40), Tanh(), BatchNorm(), Dense(3), Softmax()]).build(30, 0, dtype)
    X, predict = samples(network, 7000), network.compile_for_inference(way)
    outputs = []
    for n_threads in (1, 2, 4):
        monkeypatch.setattr(blocks, "threads_allowed", lambda n_threads=n_threads: n_threads)
        outputs += [predict(X), predict(np.asfortranarray(X))]
    assert all(np.array_equal(outputs[0], other) for other in outputs[2::2])
    assert all(np.array_equal(outputs[1], other) for other in outputs[3::2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_predicts(way):
    code = f"""
import os, numpy as np
from layernet import Dense, Sequential, Tanh
from layernet.engine import blocks, inference
inference.MIN_MULTIPLICATIONS_FOR_HELPERS, blocks.threads_allowed = 0, lambda: 2
network = Sequential([Dense(60), Tanh(), Dense(3)]).build(30, random_state=0)
predict, X = network.compile_for_inference({way!r}), np.ones((20_000, 30))
expected = predict(X)
for _ in range(5):
    predict(X)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(predict(X), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
