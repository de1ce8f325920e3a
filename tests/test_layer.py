"""The contract and its guards: building, parameters as views, copies, modes, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layernet
from layernet import (
    SGD,
    BatchNorm,
    Concat,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    MeanSquaredError,
    NotBuiltError,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    check_gradients,
    check_layer,
)
from layernet.engine import choice, inference
from layernet.owner import Owner


def small_net(**options):
    return Sequential([Dense(4), ReLU(), Dense(2)]).build(3, random_state=0, **options)


# --- one vector ---


def test_parameters_are_views_into_one_vector():
    net = small_net()
    assert list(net.parameters) == ["0.weights", "0.bias", "2.weights", "2.bias"]
    assert net.parameter_vector.size == 3 * 4 + 4 + 4 * 2 + 2
    net.parameter_vector[:] = np.arange(26)
    assert net[0].weights.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert net[2].bias.tolist() == [24, 25]
    net[0].bias[1] = -1
    assert net.parameter_vector[13] == -1
    assert net.decay_mask.tolist() == [1] * 12 + [0] * 4 + [1] * 8 + [0] * 2


def test_assignment_copies_into_the_view():
    net = small_net()
    given = np.ones((3, 4))
    net[0].weights = given
    given[:] = 7
    assert net.parameter_vector[:12].tolist() == [1] * 12
    net[0].weights += 1
    assert net.parameter_vector[:12].tolist() == [2] * 12
    net[0].bias = [1, 2, 3, 4]
    assert net[0].bias.dtype == np.float64


@pytest.mark.parametrize("wrong", [np.ones((4, 3)), np.ones(12), 1.0, np.ones((1, 3, 4))])
def test_assignment_of_another_shape_is_refused(wrong):
    net = small_net()
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match=r"Dense\(4\)\.weights has the shape \(3, 4\), got an array of shape"):
        net[0].weights = wrong
    assert np.array_equal(net.parameter_vector, before)


def test_values_assigned_before_building_are_the_initial_ones():
    dense = Dense(2)
    dense.weights = [[1.0, 2.0], [3.0, 4.0]]
    assert dense.forward_pass([[1.0, 1.0]]).tolist() == [[4.0, 6.0]]
    dense = Dense(2)
    dense.weights = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"weights has the shape \(2, 2\)"):
        dense.forward_pass([[1.0, 1.0]])


def test_the_vector_survives_copies():
    net = Sequential([Flatten(), Dense(4), BatchNorm(), Residual(Sequential([Dense(4), Tanh()])), Dense(1)])
    net.build((3, 1), random_state=0)
    net[2].running_mean = np.arange(4.0)
    X = np.random.default_rng(0).standard_normal((5, 3, 1))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.astype(np.float64)):
        assert np.array_equal(twin.forward_pass(X), net.forward_pass(X))
        assert not np.shares_memory(twin.parameter_vector, net.parameter_vector)
        twin.parameter_vector[:] = 0
        assert all(not array.any() for array in twin.parameters.values())
        assert np.array_equal(twin[2].running_mean, np.arange(4.0))
    assert net.parameter_vector.any()
    half = net.astype(np.float32)
    assert half.forward_pass(X).dtype == np.float32
    assert half[2].running_mean.dtype == np.float32


def test_a_shallow_copy_leaves_the_original_whole():
    net = small_net()
    twin = copy.copy(net)
    assert np.shares_memory(twin.parameter_vector, net.parameter_vector)


def test_a_pickle_is_little_more_than_its_parameters():
    net = Sequential([Dense(300), ReLU(), Dense(10)]).build(100)
    net.backward_pass(np.ones((2, 100)), np.ones((2, 10)))
    assert len(pickle.dumps(net)) < 1.05 * net.parameter_vector.nbytes


def test_slices_share_the_network_and_its_parameters():
    net = small_net()
    part = net[1:]
    assert repr(part) == "Sequential([ReLU(), Dense(2)])"
    assert np.shares_memory(part.parameter_vector, net.parameter_vector)
    X = np.ones((2, 3))
    assert np.array_equal(part.forward_pass(net[:1].forward_pass(X)), net.forward_pass(X))
    part.parameter_vector[:] = 0
    assert not net[2].weights.any()
    assert net[0].weights.any()
    assert net[-1] is net.layers[2]
    assert list(net) == net.layers
    assert len(net) == 3


def test_layers_of_another_network_are_refused_and_both_stay_whole():
    net = small_net()
    with pytest.raises(ValueError, match=r"already part of another network.*copy.deepcopy"):
        Sequential([*net[:2], Dense(5)]).build(3)
    assert net.parameter_vector.size == 26
    new_head = Sequential([*copy.deepcopy(net[:2]), Dense(5)]).build(3, random_state=1)
    assert np.array_equal(new_head[0].weights, net[0].weights)
    assert not np.shares_memory(new_head.parameter_vector, net.parameter_vector)


def test_a_built_network_can_become_part_of_a_larger_one():
    net = small_net()
    before = net.parameter_vector.copy()
    larger = Sequential([net, Dense(5)]).build(3, random_state=1)
    assert np.array_equal(larger.parameter_vector[:26], before)
    assert np.shares_memory(net.parameter_vector, larger.parameter_vector)
    SGD(1.0).update(larger)
    assert larger.parameter_vector.size == 26 + 15


def test_a_built_network_keeps_its_gradients_in_a_larger_one():
    net = small_net()
    net.backward_pass(np.ones((2, 3)), np.ones((2, 2)))
    before = net.gradient_vector.copy()
    assert before.any()
    larger = Sequential([net, Dense(5)]).build(3)
    assert np.array_equal(larger.gradient_vector[:26], before)
    assert not larger.gradient_vector[26:].any()


def test_parts_of_two_types_get_the_type_of_the_first():
    first = Dense(3).build(3, random_state=0, dtype=np.float32)
    second = Sequential([BatchNorm(), Dense(2)]).build(3, random_state=1)
    values = second[1].weights.copy()
    net = Sequential([first, second]).build(3)
    assert {layer.dtype for layer in net.walk()} == {np.dtype(np.float32)}
    assert {array.dtype for array in net.parameters.values()} == {np.dtype(np.float32)}
    assert second[0].running_mean.dtype == np.float32
    np.testing.assert_allclose(second[1].weights, values, rtol=1e-6)


@pytest.mark.parametrize("order", [(0, 2), (1, 0)])
def test_parts_of_a_network_that_do_not_follow_each_other_are_refused(order):
    net = Sequential([Dense(3), Dense(3), Dense(3)]).build(3)
    with pytest.raises(ValueError, match="already part of another network"):
        Sequential([net[index] for index in order]).build(3)
    assert net.parameter_vector.size == 36


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_without_parameters_has_empty_vectors_of_its_type(dtype):
    net = Sequential([ReLU()]).build(3, dtype=dtype)
    for vector in (net.parameter_vector, net.gradient_vector):
        assert vector.shape == (0,)
        assert vector.dtype == dtype
    assert net.decay_mask.shape == (0,)


def test_factors_of_the_learning_rate_lie_where_their_parameters_do():
    net = Sequential([Dense(1), Dense(1, weights_rate=2), Dense(1, bias_rate=0.5)]).build(1)
    assert net.learning_rate_factors.tolist() == [1, 1, 2, 1, 1, 0.5]
    assert Dense(1, weights_rate=1).build(1).learning_rate_factors is None


def test_an_owner_is_one_network_and_no_part_or_copy():
    net, other = small_net(), small_net()
    owner = Owner(net)
    assert owner.is_known
    assert owner.is_network(net)
    for another in (other, copy.deepcopy(net), net[:1], net[1:]):
        assert not owner.is_network(another)
    for unknown in (Owner(), copy.deepcopy(owner), pickle.loads(pickle.dumps(owner))):
        assert not unknown.is_known
        assert not unknown.is_network(net)
    del other
    net.build(3)
    assert not owner.is_network(net)


# --- building ---


def test_shapes_are_inferred_and_random_values_come_from_one_state():
    net = Sequential([Reshape((2, 8)), Flatten(), Dense(4), Residual(Dense(4)), Concat([ReLU(), Dense(3)])])
    net.build(16, random_state=5)
    assert net.output_shape == (7,)
    again = copy.deepcopy(net).build(16, random_state=np.random.default_rng(5))
    assert np.array_equal(net.parameter_vector, again.parameter_vector)
    other = copy.deepcopy(net).build(16, random_state=6)
    assert not np.array_equal(net.parameter_vector, other.parameter_vector)
    Sequential([Dense(2)]).build(3, random_state=np.random.RandomState(0))


def test_the_shape_of_outputs_may_be_asked_for_other_inputs():
    flatten = Flatten().build((2, 3))
    assert flatten.infer_output_shape((2, 3)) == flatten.output_shape == (6,)
    assert flatten.infer_output_shape((4, 5)) == (20,)


def test_building_anew_starts_anew_for_another_shape():
    net = small_net()
    net.build(6, random_state=0)
    assert net[0].weights.shape == (6, 4)
    assert net.parameter_vector.size == 6 * 4 + 4 + 8 + 2


def test_the_first_inputs_build():
    net = Sequential([Dense(4), Dropout(0.5), Dense(2)])
    assert net.forward_pass(np.zeros((5, 3), np.float32)).dtype == np.float32
    assert net.dtype == np.float32
    assert net.input_shape == (3,)


def test_a_failed_build_changes_nothing():
    inner = Dense(4)
    net = Sequential([inner, Reshape((3, 3)), Dense(2)])
    with pytest.raises(ValueError, match="cannot hold the 4 values") as failure:
        net.build(3)
    assert failure.value.__notes__ == ["Raised by layer 1 of a Sequential of 3 layers, after Dense(4)."]
    assert net.input_shape is None
    assert inner.input_shape is None
    built = small_net()
    vector = built.parameter_vector
    with pytest.raises(ValueError, match="input_shape must be a positive integer"):
        built.build(0)
    with pytest.raises(ValueError, match="Flatten"):
        built.build((3, 3))
    assert built.parameter_vector is not None
    assert np.shares_memory(built.parameter_vector, vector)
    assert built.input_shape == (3,)


@pytest.mark.parametrize("attribute", ["weights", "parameter_vector", "parameters", "gradients", "grad_bias"])
def test_an_unbuilt_layer_says_so(attribute):
    with pytest.raises(NotBuiltError, match=r"is not built yet.*build"):
        getattr(Dense(3), attribute)
    with pytest.raises(NotBuiltError, match="is not built yet"):
        Sequential([Dense(3)]).parameter_vector
    assert not hasattr(Dense(3), "weights")
    with pytest.raises(AttributeError, match="Dense has no attribute 'wieghts'"):
        Dense(3).build(2).wieghts


def test_an_unbuilt_layer_has_no_type_to_change():
    with pytest.raises(NotBuiltError, match="Dense is not built yet, so it has no type"):
        Dense(3).astype(np.float32)


def test_a_layer_that_occurs_twice_is_refused_by_build_too():
    relu = ReLU()
    net = Sequential([relu])
    net.layers.append(relu)
    with pytest.raises(ValueError, match=r"ReLU\(\) occurs twice in one network"):
        net.build(3)


def test_a_layer_without_parameters_is_built_anew_for_another_width():
    used, new = Dropout(0.5).build(3, random_state=7), Dropout(0.5)
    nets = [Sequential([dropout]).build(5, random_state=0) for dropout in (used, new)]
    assert nets[0].state() == nets[1].state()
    assert used.input_shape == used.output_shape == (5,)


def test_a_layer_built_for_another_width_is_refused():
    with pytest.raises(ValueError, match="was built for 3 features and would get 5 features here"):
        Sequential([Dense(5), Dense(2).build(3)]).build(3)


# --- what is refused ---


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (
            np.zeros((2, 4)),
            ValueError,
            r"expects inputs of shape \(n_samples, 3\), got \(2, 4\). It was built for",
        ),
        (np.zeros(3), ValueError, r"got \(3,\)"),
        (np.zeros((2, 3, 1)), ValueError, r"got \(2, 3, 1\)"),
        (5.0, ValueError, "got a single number"),
        ([["a", "b", "c"]], TypeError, "must be numbers, got an array of type"),
        (np.zeros((2, 3), complex), TypeError, "complex128"),
        (np.array([[1, 2, None]]), TypeError, "object"),
    ],
)
def test_inputs_that_do_not_fit(inputs, error, message):
    net = small_net()
    for layer in (net, net[0]):
        with pytest.raises(error, match=message):
            layer.forward_pass(inputs)
        with pytest.raises(error, match=message):
            layer.backward_pass(inputs, np.zeros((2, 2)))


def test_integers_booleans_and_lists_are_converted():
    net = small_net()
    expected = net.forward_pass(np.array([[1.0, 0.0, 1.0]]))
    for inputs in ([[1, 0, 1]], np.array([[True, False, True]]), np.array([[1, 0, 1]], np.int8)):
        assert np.array_equal(net.forward_pass(inputs), expected)
    assert Sigmoid().forward_pass([[0]]).dtype == np.float64
    assert small_net(dtype=np.float32).forward_pass(np.ones((1, 3))).dtype == np.float32


@pytest.mark.parametrize("layer", [Dense(2).build(3), Sigmoid(), small_net()], ids=["Dense", "Sigmoid", "net"])
def test_gradients_that_do_not_fit(layer):
    outputs = layer.forward_pass(np.ones((4, 3)))
    for wrong in (np.ones((3, outputs.shape[1])), np.ones(outputs.shape[1]), 1.0, np.ones((4, 1, 1))):
        with pytest.raises(ValueError, match="expects grad_output of the shape of its outputs"):
            layer.backward_pass(np.ones((4, 3)), wrong)


def test_what_a_container_refuses():
    with pytest.raises(TypeError, match="layer 1 must be a Layer or the name of one, got int"):
        Sequential([Dense(2), 3])
    with pytest.raises(TypeError, match=r"layer 0 is the class ReLU, not an object of it: write ReLU\(...\)"):
        Sequential([ReLU])
    with pytest.raises(TypeError, match="Sequential layer 0 must be a Layer or the name of one, got list"):
        Sequential([Dense(2)], ReLU())
    with pytest.raises(TypeError, match="Residual takes one layer, its body, got a list"):
        Residual([Dense(2)])
    with pytest.raises(ValueError, match="An empty Sequential computes nothing"):
        Sequential([]).build(3)
    with pytest.raises(ValueError, match="An empty Concat computes nothing"):
        Concat([]).build(3)
    relu = ReLU()
    with pytest.raises(ValueError, match=r"ReLU\(\) occurs twice in one network"):
        Sequential([relu, Sequential([relu])])
    with pytest.raises(ValueError, match="adds the outputs of its body to its inputs"):
        Residual(Dense(2)).build(3)
    with pytest.raises(ValueError, match="joins outputs along the last axis"):
        Concat([Flatten(), ReLU()]).build((2, 3))


def test_append_before_build_and_not_after():
    net = Sequential([])
    net.append(Dense(3))
    net.append(ReLU())
    assert net.build(2).output_shape == (3,)
    with pytest.raises(
        ValueError, match=r"A built Sequential cannot grow. Make a new one: Sequential\(\[\*net"
    ):
        net.append(ReLU())
    dense = Dense(3)
    unbuilt = Sequential([dense])
    with pytest.raises(ValueError, match="occurs twice"):
        unbuilt.append(dense)
    assert len(unbuilt) == 1


# --- mode and state ---


def test_training_mode_holds_inside_and_comes_back_after_an_error():
    net = Sequential([Dropout(0.5), Residual(Dropout(0.5))]).build(3)
    with net.training_mode():
        assert all(layer.training for layer in net.walk())
        with net[0].training_mode():
            pass
        assert net[0].training
    assert not any(layer.training for layer in net.walk())
    with pytest.raises(RuntimeError, match="stop"), net.training_mode():
        raise RuntimeError("stop")
    assert not any(layer.training for layer in net.walk())
    with net.training_mode():
        assert not copy.deepcopy(net).training


def test_all_layers_end_their_step_even_if_some_fail():
    class FailsToEnd(Identity):
        def __init__(self, name):
            self.name = name

        def end_step(self):
            raise RuntimeError(self.name)

    net = Sequential([FailsToEnd("first"), Dropout(0.5), FailsToEnd("second"), Dropout(0.5)]).build(3)
    with pytest.raises(RuntimeError, match="first"):
        net.end_step()
    assert net.state()["1.step"] == net.state()["3.step"] == 1


def test_state_by_name():
    net = Sequential([Dense(2), BatchNorm(), Residual(Dropout(0.5))]).build(3, random_state=0)
    state = net.state()
    assert list(state) == ["1.running_mean", "1.running_variance", "2.0.seed", "2.0.step"]
    net.end_step()
    net[1].running_mean[:] = 5
    assert net.state()["2.0.step"] == 1
    net.load_state(state)
    assert net.state()["2.0.step"] == 0
    assert not net[1].running_mean.any()
    with pytest.raises(ValueError, match="Load a state of the same network"):
        net.load_state({"1.running_mean": np.zeros(2)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_shares_no_memory_with_the_network(dtype):
    """Neither a returned nor a loaded state changes with the network, and neither changes the network."""
    net = Sequential([Dense(2), BatchNorm()]).build(3, random_state=0, dtype=dtype)
    returned = net.state()
    loaded = {"1.running_mean": np.array([1, 2], dtype), "1.running_variance": np.array([3, 4], dtype)}
    kept = {name: value.copy() for name, value in loaded.items()}
    net.load_state(loaded)
    net[1].running_mean[:] = 7
    assert not returned["1.running_mean"].any()
    for name, value in kept.items():
        np.testing.assert_array_equal(loaded[name], value)
    loaded["1.running_variance"][:] = 9
    np.testing.assert_array_equal(net[1].running_variance, [3, 4])
    assert net[1].running_variance.dtype == dtype


def test_a_state_of_whole_numbers_shares_no_memory_either():
    class Counts(Identity):
        def create_parameters(self, input_shape):
            self.add_state("counts", np.zeros(input_shape, np.int64))

    layer, counts = Counts().build(2), np.array([1, 2])
    layer.load_state({"counts": counts})
    counts[:] = 5
    assert layer.counts.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_unpickled_type_is_numpys_own_object(dtype):
    """An unpickled type equals NumPy's own type without being the same object; `is` would tell them apart."""
    net = pickle.loads(pickle.dumps(Sequential([Dense(2), BatchNorm()]).build(3, dtype=dtype)))
    for layer in net.walk():
        assert layer.dtype is np.dtype(dtype)


def test_first_gradients_are_not_computed_in_training_but_parameters_are():
    calls = []

    class Counts(Dense):
        def backward_from(self, inputs, grad_output):
            calls.append("backward_from")
            return super().backward_from(inputs, grad_output)

    net = Sequential([Flatten(), Counts(3), ReLU(), Dense(1)]).build((2, 2), random_state=0)
    X, y = np.random.default_rng(0).standard_normal((8, 2, 2)), np.arange(8.0)
    loss = MeanSquaredError().bind(y)
    outputs, record = net.record(X)
    net.parameter_gradients(record, loss.backward_pass(outputs))
    assert calls == []
    found = net.gradient_vector.copy()
    net.backward_pass(X, loss.backward_pass(outputs))
    assert calls == ["backward_from"]
    assert np.array_equal(found, net.gradient_vector)


# --- laws over random networks ---

shapes_kept = st.sampled_from([ReLU, Tanh, Sigmoid, BatchNorm, lambda: Dropout(0.3)])
blocks = st.one_of(
    st.integers(1, 5).map(Dense),
    shapes_kept.map(lambda make: make()),
    shapes_kept.map(lambda make: Residual(make())),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda u: Concat([Dense(u[0]), Dense(u[1])])),
    st.integers(1, 3).map(lambda units: Sequential([Dense(units), Tanh()])),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(blocks, min_size=1, max_size=5), st.integers(1, 4), st.booleans(), st.integers(0, 100))
def test_random_networks_have_right_gradients(layers, width, training, seed):
    net = Sequential(copy.deepcopy(layers)).build(width, random_state=seed)
    X = np.random.default_rng(seed).standard_normal((3, width))
    # A batch norm over three rows may divide by a variance close to 0, where differences lose digits.
    report = check_gradients(net, X, training=training, tolerance=1e-6, random_state=seed)
    assert report, report
    known = {name: getattr(layernet, name) for name in layernet.__all__}
    again = eval(repr(net), known).build(width, random_state=seed)
    assert np.array_equal(again.parameter_vector, net.parameter_vector)


def test_a_layer_of_ones_own_is_one_class():
    class Twice(Layer):
        def forward_pass(self, inputs):
            return 2 * inputs

        def backward_pass(self, inputs, grad_output):
            return 2 * grad_output

    net = Sequential([Dense(3), Twice(), Dense(1)])
    history = net.fit(np.eye(4), np.arange(4.0), loss="mean_squared_error", epochs=30, random_state=0)
    assert history["loss"][-1] < history["loss"][0]


def test_a_spy_put_on_a_layer_is_called(monkeypatch):
    net, seen = small_net(), []
    original = Dense.forward_pass

    def spy(self, inputs):
        seen.append(inputs.shape)
        return original(self, inputs)

    monkeypatch.setattr(Dense, "forward_pass", spy)
    net.record(np.ones((2, 3)))
    assert seen == [(2, 3), (2, 4)]


def test_summary_in_words_and_in_html():
    net = Sequential([Dense(4), Residual(Sequential([Dense(4), ReLU()])), Dense(2)])
    assert "not built" in net.summary()
    net.build(3)
    lines = net.summary().splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters"]
    assert "Dense(4)" in lines[3]
    assert lines[3].split()[-1] == "16"
    assert "46 parameters (float64), inputs of shape (n, 3)." in lines[-1]
    html = net._repr_html_()
    assert html.startswith("<details open><summary>Sequential: 46 parameters")
    assert html.count("<tr>") == 1 + len(lines) - 3
    assert "<script" not in html


def test_sizes_may_be_numbers_of_numpy():
    for units in np.array([2, 4]):
        assert Dense(units).build(np.int64(3)).weights.shape == (3, units)

    class Scale(Layer):
        def create_parameters(self, input_shape):
            self.add_parameter("factor", np.int32(input_shape[0]), "ones")

        def forward_pass(self, inputs):
            return inputs * self.factor

        def backward_pass(self, inputs, grad_output):
            self.grad_factor = (inputs * grad_output).sum(axis=0)
            return grad_output * self.factor

    assert check_layer(Scale(), 3)


def test_layers_can_be_given_by_name():
    network = Sequential([Dense(4), "relu", Residual("tanh"), Concat("identity", Dense(1)), "log_softmax"])
    assert repr(network) == (
        "Sequential([Dense(4), ReLU(), Residual(Tanh()), Concat([Identity(), Dense(1)]), LogSoftmax()])"
    )
    network = Sequential(Dense(2), "ReLU")
    network.append("softmax")
    assert repr(network) == "Sequential([Dense(2), ReLU(), Softmax()])"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Sequential(["reul"]),
            ValueError,
            r"Sequential layer 0='reul' is not known\. Did you mean 'ReLU'",
        ),
        (lambda: Concat("relu", "dropout"), ValueError, r"Concat layer 1='dropout' needs \['rate'\]"),
        (lambda: Residual("bound_loss"), ValueError, "is not known"),
        (lambda: Sequential(["activation"]), ValueError, "is not known"),
        (lambda: Sequential(["layer"]), ValueError, "is not known"),
        (lambda: Dense(64, "relu"), TypeError, r"Sequential\(\[Dense\(64\), 'relu'\]\)"),
        (
            lambda: Dense(64, weights_initializer="glorot"),
            ValueError,
            "weights_initializer='glorot' is not known",
        ),
        (lambda: Dense(64, bias_initializer="zero"), ValueError, "bias_initializer='zero' is not known"),
        (lambda: Dense(64, use_bias="no"), TypeError, "use_bias must be True or False, got 'no'"),
    ],
)
def test_names_and_settings_that_mean_nothing_are_refused_at_once(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_predict_gives_the_outputs_in_inference_mode():
    network = Sequential([Dense(8), "tanh", Dropout(0.5), Dense(2)]).build(3, random_state=0)
    inputs = np.random.default_rng(0).standard_normal((3000, 3))
    with network.training_mode():
        found = network.predict(inputs)
    np.testing.assert_allclose(found, network.forward_pass(inputs), rtol=1e-12, atol=1e-12)
    assert network.predict(inputs[:0]).shape == (0, 2)
    assert network.predict(inputs[:2].tolist()).shape == (2, 2)
    with pytest.raises(NotBuiltError):
        Dense(2).predict(inputs)
    with pytest.raises(ValueError, match="contains a loss"):
        Sequential([network, MeanSquaredError().bind(np.zeros((3000, 2)))]).build(3).predict(inputs)


def test_predict_loads_kernels_only_for_rows_that_are_worth_it(monkeypatch):
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)
    asked, network = [], Dense(2).build(3)
    monkeypatch.setattr(inference, "InferencePlan", lambda net, engine: asked.append(engine) or np.asarray)
    network.predict(np.zeros((4, 3)))
    monkeypatch.setattr(choice, "MIN_MULTIPLICATIONS_OF_INFERENCE", 1)
    network.predict(np.zeros((4, 3)))
    network.predict(np.zeros((4, 3)), engine="formulas")
    assert asked == ["formulas", "auto", "formulas"]
