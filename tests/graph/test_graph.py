"""Graphs of networks: what becomes a neuron, names, and what is text of bad input."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse

from layernet import (
    BatchNorm,
    Concat,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LayerNorm,
    MeanSquaredError,
    MLPRegressor,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    computation_graph,
    lecture_graph,
)
from layernet.graph import LayerGraph
from layernet.layer import NotBuiltError

pytestmark = pytest.mark.slow


def graph_of(*layers, inputs=2, **options):
    network = Sequential(list(layers)).build(inputs, random_state=0)
    return computation_graph(network, np.arange(1.0, inputs + 1), **options)


def test_the_lecture_has_the_names_of_the_slides():
    assert [node.name for node in lecture_graph().nodes] == ["x1", "x2", "z1", "z2", "h1", "h2", "p"]
    assert [node.name for node in lecture_graph(target=1).nodes][-1] == "L"
    assert lecture_graph().node("p").gradient == 1
    assert len(lecture_graph().edges) == 10


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ([Dense(2), Sigmoid(), Dense(1)], ["x1", "x2", "h1", "h2", "p"]),
        ([Dense(1), Dense(2)], ["x1", "x2", "h1", "p1", "p2"]),
        ([Sequential([Dense(1), Tanh()]), Sequential([Dense(1)])], ["x1", "x2", "h1", "p"]),
        ([Tanh(), Dense(1)], ["x1", "x2", "h1", "h2", "p"]),
        ([Dense(2), Softmax()], ["x1", "x2", "h1", "h2", "p1", "p2"]),
        ([Residual(Tanh()), Dense(1)], ["x1", "x2", "z1", "z2", "h1", "h2", "p"]),
    ],
)
def test_names(layers, names):
    assert [node.name for node in graph_of(*layers).nodes] == names


def test_an_activation_belongs_to_the_neurons_before_it():
    class Cube(Layer):
        def forward_pass(self, inputs):
            return inputs**3

        def backward_pass(self, inputs, grad_output):
            return grad_output * 3 * inputs**2

    graph = graph_of(Dense(2), Cube(), Dropout(0.5), Dense(1))
    assert [[type(layer).__name__ for layer in column.layers] for column in graph.columns] == [
        [],
        ["Dense", "Cube", "Dropout"],
        ["Dense"],
    ]
    assert graph.verify()


def test_what_mixes_neurons_is_a_column_of_its_own():
    graph = graph_of(Dense(3), LayerNorm(), Tanh(), BatchNorm(), Dense(2), Softmax())
    assert [len(column.layers) for column in graph.columns] == [0, 1, 2, 1, 1, 1]
    n_edges = [int(column.connected.sum()) for column in graph.columns[1:]]
    assert n_edges == [6, 9, 3, 6, 4]
    assert graph.verify()


def test_deep_networks_number_their_layers():
    graph = graph_of(*[layer for _ in range(7) for layer in (Dense(2), Tanh())], Dense(1))
    assert [node.name for node in graph.nodes][2:5] == ["h1_1", "h1_2", "h2_1"]
    assert graph.columns[3].symbols[1].latex == "h^{(3)}_{2}"
    assert graph.verify()


def test_a_dense_layer_with_passes_of_its_own_has_no_weights_on_its_edges():
    class Absolute(Dense):
        def forward_pass(self, inputs):
            return inputs @ np.abs(self.weights) + self.bias

        def record(self, inputs):
            return self.forward_pass(inputs), inputs

        def backward_pass(self, inputs, grad_output):
            return self.backward_from(inputs, grad_output)

        def backward_from(self, inputs, grad_output):
            self.grad_weights[...] = inputs.T @ grad_output * np.sign(self.weights)
            self.grad_bias[...] = grad_output.sum(axis=0)
            return grad_output @ np.abs(self.weights).T

    graph = graph_of(Absolute(2), Tanh(), Concat([Absolute(1), Dense(1)]), Dense(1))
    assert all(edge.weight is None for edge in graph.edges if edge.end[0] in "zh")
    step = next(step for step in graph.steps().steps if step.nodes == ["z1"])
    assert "z<sub>1</sub> = Tanh(Absolute(x<sub>1</sub>, x<sub>2</sub>)) = " in step.html
    assert graph.parameters == ["z1.bias", "z2.bias", "h2.w1", "h2.w2", "h2.b", "p.w1", "p.w2", "p.b"]
    assert {name.partition("[")[0] for name in graph.shared_parameters} == {
        "z.weights", "h.0.weights", "h.0.bias",
    }  # fmt: skip
    assert graph.verify()


def test_names_of_ones_own():
    graph = graph_of(Dense(2), Tanh(), Dense(1), names=["u", "hid", "y"])
    assert [node.name for node in graph.nodes] == ["u1", "u2", "hid1", "hid2", "y"]
    for names in (["u", "y"], ["a", "a", "y"], ["a1", "b", "c"], [1, 2, 3], ["x", "h", "probability"], 3):
        with pytest.raises(ValueError, match="names must be 3 different words of up to 6 letters"):
            graph_of(Dense(2), Tanh(), Dense(1), names=names)


def test_the_target_is_the_loss_or_an_output():
    layers = [Dense(3), Tanh(), Dense(3)]
    graph = graph_of(*layers, target=2, loss="cross_entropy")
    assert graph.target == "L"
    logits = graph.columns[-2].values
    expected = np.exp(logits) / np.exp(logits).sum() - [0, 0, 1]
    np.testing.assert_allclose(graph.columns[-2].gradients, expected, rtol=1e-12)
    plain = graph_of(*copy.deepcopy(layers))
    assert plain.target == f"p{np.argmax(plain.columns[-1].values) + 1}"
    assert graph_of(*copy.deepcopy(layers), of="p1").node("p1").gradient == 1
    inner = graph_of(*copy.deepcopy(layers), of="h2")
    assert inner.node("h2").gradient == 1
    assert inner.node("p1").gradient == 0
    assert inner.verify()
    assert str(inner.levels()["dh2/dx1"].derivative) == "dh2/dx1"


@pytest.mark.parametrize("target", [2, [2], np.array([2])])
def test_a_class_comes_as_a_number_or_in_a_batch(target):
    graph = graph_of(Dense(3), target=target, loss="cross_entropy")
    assert graph.node("p3").gradient < 0 < graph.node("p1").gradient


@pytest.mark.parametrize("target", [1.0, [1.0], [[1.0]]])
def test_targets_come_as_numbers_and_as_rows(target):
    graph = graph_of(Dense(1), target=target, loss=MeanSquaredError())
    assert graph.node("L").value == pytest.approx((graph.node("p").value - 1) ** 2)


def test_a_network_with_its_loss_inside():
    network = Sequential([Dense(2), Tanh(), Dense(3)]).build(2, random_state=0)
    whole = Sequential([network, CrossEntropy().bind([1])])
    whole.forward_pass(np.ones((1, 2)))
    graph = computation_graph(whole, [1.0, 2.0])
    assert graph.target == "L"
    assert graph.verify()


def test_the_network_is_left_as_it_is():
    network = Sequential([Dense(2), Tanh(), Dense(1)]).build(2, random_state=0)
    network.backward_pass(np.ones((1, 2)), [[1.0]])
    parameters, gradients = network.parameter_vector.copy(), network.gradient_vector.copy()
    graph = computation_graph(network, [1.0, 2.0], 0.0, "mean_squared_error")
    graph.levels(), graph.parameter("h1.w1"), graph.count(), graph.verify(), graph.steps(), graph.svg()
    assert np.array_equal(network.parameter_vector, parameters)
    assert np.array_equal(network.gradient_vector, gradients)
    before = graph.node("h1")
    network.parameter_vector[:] = 0
    assert graph.node("h1") == before


def test_the_graph_is_of_its_moment():
    network = Sequential([Dense(2), Tanh(), Dense(1)]).build(2, random_state=0)
    X, y = np.array([[1.0, 2.0]]), np.array([[0.5]])
    graph = computation_graph(network, X[0], y[0], "mean_squared_error")
    X[:], y[:] = 99, 99
    copied = graph.network
    copied.parameter_vector[:] = 0
    assert graph.node("x1").value == 1
    assert graph.verify()
    again = pickle.loads(pickle.dumps(graph))
    assert [node.gradient for node in copy.deepcopy(again).nodes] == [node.gradient for node in graph.nodes]


def test_single_precision():
    network = Sequential([Dense(4), Tanh(), Dense(1)]).build(2, random_state=0, dtype=np.float32)
    graph = computation_graph(network, [1, 2], 1.0, "mean_squared_error")
    assert all(column.values.dtype == np.float32 for column in graph.columns)
    assert graph.verify()


def test_single_precision_without_parameters():
    network = Sequential([Tanh(), Softmax()]).build(2, dtype=np.float32)
    graph = computation_graph(network, [1, 2])
    assert graph.network.dtype == np.float32
    assert graph.verify()


def test_a_sample_may_be_sparse():
    network = Sequential([Dense(2), Tanh(), Dense(1)]).build(3, random_state=0)
    row = np.array([[0.0, 2.0, 0.0]])
    expected = str(computation_graph(network, row[0]))
    for kind in (scipy.sparse.csr_array, scipy.sparse.csr_matrix, scipy.sparse.coo_array):
        assert str(computation_graph(network, kind(row))) == expected


def test_an_unbuilt_network_says_to_build_it():
    with pytest.raises(NotBuiltError, match=r"call build\(2\) or train it first"):
        computation_graph(Sequential([Dense(2)]), [1.0, 2.0])
    with pytest.raises(NotBuiltError, match=r"call build\(\(2, 3\)\)"):
        computation_graph(Sequential([Flatten(), Dense(2)]), np.ones((2, 3)))


def test_what_is_no_network_is_refused():
    for thing in (None, [Dense(2)], np.ones(3)):
        with pytest.raises(TypeError, match="draws a layer or a network, got"):
            computation_graph(thing, [1.0])
    estimator = MLPRegressor(hidden_layer_sizes=(2,), n_iter_no_change=1, tol=1).fit(np.eye(3), [1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="Pass its attribute network_"):
        computation_graph(estimator, [1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([1.0], r"sample must be one row of shape \(2,\), got \(1,\)"),
        (np.ones((5, 2)), r"Give X\[0\], not X"),
        ([1.0, np.nan], "finite"),
    ],
)
def test_samples_that_do_not_fit(sample, message):
    network = Sequential([Dense(1)]).build(2, random_state=0)
    with pytest.raises(ValueError, match=message):
        computation_graph(network, sample)


@pytest.mark.parametrize("sample", [None, ["a", "b"], [1j, 2], object()])
def test_samples_that_are_no_numbers(sample):
    with pytest.raises(TypeError, match="sample must be numbers, got"):
        computation_graph(Sequential([Dense(1)]).build(2, random_state=0), sample)


def test_a_loss_needs_a_target_and_a_target_a_loss():
    with pytest.raises(ValueError, match="a loss and no target"):
        graph_of(Dense(1), loss="mean_squared_error")
    with pytest.raises(ValueError, match="a target and no loss"):
        graph_of(Dense(1), target=1.0)
    whole = Sequential([Dense(1), MeanSquaredError().bind([[1.0]])])
    whole.forward_pass(np.ones((1, 2)))
    with pytest.raises(ValueError, match="ends in its loss already"):
        computation_graph(whole, [1.0, 2.0], 1.0, "mean_squared_error")
    with pytest.raises(ValueError, match="classes from 0 to 1"):
        graph_of(Dense(2), target=2, loss="cross_entropy")


@pytest.mark.parametrize(
    ("name", "near"), [("h2.w9", "h2.w1"), ("h2w1", "h2.w1"), ("w1", "h2.w1"), ("bias", "z1.b"), ("", "z1.w1")]
)
def test_an_unknown_parameter_lists_near_ones(name, near):
    with pytest.raises(KeyError, match=rf"There is no parameter '{name}'.*{near}"):
        lecture_graph().parameter(name)


def test_an_unknown_node_lists_near_ones():
    graph = lecture_graph()
    for ask in (graph.node, graph.paths):
        with pytest.raises(KeyError, match=r"There is no node 'z3' in this graph\. Similar names are .*z1"):
            ask("z3")
    with pytest.raises(KeyError, match="node to derive 'q1'"):
        graph_of(Dense(1), of="q1")
    with pytest.raises(ValueError, match="No path leads from p to p"):
        graph.paths("p")
    with pytest.raises(KeyError, match=r"There is no equation for 'dp/dq1'\. There are dp/dh1"):
        graph.levels()["dp/dq1"]


class Roll(Layer):
    """Each factor acts on the neuron distance_of_vertical its own."""

    def create_parameters(self, input_shape):
        self.add_parameter("factor", input_shape, "ones")

    def forward_pass(self, inputs):
        return np.roll(inputs * self.factor, 1, axis=1)

    def backward_pass(self, inputs, grad_output):
        back = np.roll(grad_output, -1, axis=1)
        self.grad_factor = (back * inputs).sum(axis=0)
        return back * self.factor


def test_parameters_of_no_single_neuron_are_named_when_one_is_asked_for():
    graph = graph_of(Dense(2), Roll(), Dense(1))
    assert graph.parameters == ["z1.w1", "z1.w2", "z1.b", "z2.w1", "z2.w2", "z2.b", "p.w1", "p.w2", "p.b"]
    assert graph.shared_parameters == ["h.factor[0]", "h.factor[1]"]
    with pytest.raises(KeyError, match=r"Those of Roll\(\) act on several neurons: use h.factor\[0\]"):
        graph.parameter("h1.factor")
    assert graph.parameter("h.factor[0]").symbolic == "dp/dfactor[0] = dp/dh2 dh2/dfactor[0]"
    assert graph.verify()


class Halved(Residual):
    """Not a plain sum: its body counts for half."""

    def record(self, inputs):
        outputs, record = self.body.record(inputs)
        return inputs + outputs / 2, record

    def backward_from(self, record, grad_output):
        return grad_output + self.body.backward_from(record, grad_output / 2)


def block(*layers):
    return Residual(Sequential(list(layers)))


NESTED = {
    "one": [Dense(3), Tanh(), block(Dense(4), Tanh(), Dense(3)), Dense(1)],
    "of one layer": [Residual(Dense(2)), Dense(1)],
    "of an activation": [Dense(3), Residual(Tanh()), Dense(2)],
    "of a Residual": [Dense(2), Residual(Residual(Residual(Tanh()))), ReLU(), Dense(1)],
    "and nothing else": [Residual(Residual(Tanh()))],
    "ends in an activation": [block(Dense(3), Tanh(), Dense(2), Sigmoid()), Tanh(), Dense(1)],
    "in another": [block(Dense(3), Tanh(), block(Dense(4), Tanh(), Dense(3)), Dense(2)), Dense(1)],
    "two that end together": [block(Dense(2), Tanh(), block(Dense(3), Dense(2))), Dense(1)],
    "one after the other": [Dense(2), block(Dense(2), Tanh()), block(Tanh(), Dense(2)), Dense(1)],
    "first and last": [block(Dense(3), Tanh(), Dense(2)), Dense(2), block(Dense(1), Dense(2))],
    "around a Concat": [Residual(Concat([Dense(1), Sequential([Dense(3), Tanh(), Dense(1)])])), Dense(1)],
    "not a plain sum": [Dense(2), Halved(Sequential([Dense(3), Tanh(), Dense(2)])), Dense(1)],
}


@pytest.mark.parametrize("with_loss", [False, True])
@pytest.mark.parametrize("case", NESTED)
def test_residuals_are_drawn_with_their_skips_and_bodies(case, with_loss):
    layers = copy.deepcopy(NESTED[case])
    given = {"target": 0.5, "loss": "mean_squared_error"} if with_loss else {}
    network = Sequential(layers).build(2, random_state=3)
    if with_loss and network.output_shape[0] != 1:
        given["target"] = [0.5] * network.output_shape[0]
    graph = computation_graph(network, [0.7, -0.4], **given)
    assert graph.verify(), graph.verify()

    whole = graph.network
    last = graph.columns[graph.target_position[0]]
    outputs = whole.forward_pass(graph.columns[0].values[None])
    np.testing.assert_allclose(np.ravel(outputs), last.values, rtol=1e-12)
    unit_gradient = None if with_loss else np.eye(len(last.symbols))[[graph.target_position[1]]]
    grad_inputs = whole.backward_pass(graph.columns[0].values[None], *([] if with_loss else [unit_gradient]))
    np.testing.assert_allclose(graph.columns[0].gradients, grad_inputs[0], rtol=1e-12)

    # Back-propagation over the edges, by hand.
    gradients = dict.fromkeys((node.name for node in graph.nodes), 0.0)
    gradients[graph.target] = 1.0
    for edge in reversed(graph.edges):
        gradients[edge.start] += gradients[edge.end] * edge.derivative
    for node in graph.nodes:
        assert gradients[node.name] == pytest.approx(node.gradient, rel=1e-9, abs=1e-15)
    for equation in graph.levels():
        total = sum(np.prod([factor.value for factor in product]) for product in equation.products)
        assert total == pytest.approx(equation.value, rel=1e-9, abs=1e-15)

    # An edge has a name of its own, and a symbol one value, however it is written.
    assert len({(edge.start, edge.end) for edge in graph.edges}) == len(graph.edges)
    before = [str(c.symbols[i]) for k, c in enumerate(graph.columns) for i in graph.indices_on_paths(k)]
    derivations = [graph.levels(), *(graph.paths(name) for name in before if name != graph.target)]
    for written in (str, lambda derivative: derivative.latex, lambda derivative: derivative.html):
        values = {}
        for equation in (equation for derivation in derivations for equation in derivation):
            factors = [factor for product in equation.products for factor in product]
            for each in (equation, *factors):
                first = values.setdefault(written(each.derivative), each.value)
                assert each.value == pytest.approx(first, rel=1e-9, abs=1e-15)
    assert graph.paths("x1").equations[0].value == pytest.approx(graph.node("x1").gradient, rel=1e-9)

    # Every parameter can be asked for, and its derivative is the network's.
    names = graph.parameters + graph.shared_parameters
    assert len(names) == len(set(names)) == network.parameter_vector.size
    found = [graph.parameter(name).gradient for name in names]
    np.testing.assert_allclose(np.sort(found), np.sort(whole.gradient_vector), rtol=1e-9, atol=1e-15)
    for name in names:
        equation = graph.parameter(name).equations[0]
        total = sum(np.prod([factor.value for factor in product]) for product in equation.products)
        assert total == pytest.approx(equation.value, rel=1e-9, abs=1e-15)


def test_a_skip_is_an_edge_of_slope_1_around_the_body():
    graph = graph_of(Dense(2), Tanh(), block(Dense(3), Tanh(), Dense(2)), Dense(1))
    assert [len(column.symbols) for column in graph.columns] == [2, 2, 3, 2, 2, 1]
    into_the_sum = [edge for edge in graph.edges if edge.end[0] == "h"]
    assert [(edge.start, edge.end, edge.derivative, edge.weight) for edge in into_the_sum] == [
        ("z1", "h1", 1.0, None),
        ("z2", "h2", 1.0, None),
        ("u1", "h1", 1.0, None),
        ("u2", "h2", 1.0, None),
    ]
    assert graph.levels()["dp/du1"].symbolic == (
        "dp/du1 = (dp/dv1) dv1/du1 + (dp/dv2) dv2/du1 + (dp/dv3) dv3/du1 + dp/dh1 dh1/du1^skip"
    )
    assert "v2.w1" in graph.parameters
    svg = graph.svg()
    assert svg.count('class="skip"') == 2
    assert "with skip connections" in svg
    assert ">z + u</text>" in svg
    assert "u1 to h1: skip connection, dh1/du1^skip = 1; " in svg
    steps = graph.steps().steps
    summed = next(step for step in steps if step.nodes == ["h1"] and step.forward)
    assert summed.edges == ["z1-h1", "u1-h1"]
    assert "h<sub>1</sub> = z<sub>1</sub> + u<sub>1</sub> = " in summed.html
    back = next(step for step in steps if step.nodes == ["u1"] and not step.forward)
    assert back.edges == ["u1-v1", "u1-v2", "u1-v3", "u1-h1"]
    assert "<span>∂u<sub>1</sub></span></span><sup>skip</sup>" in back.html
    assert graph.dot().count("->") == len(graph.edges)


def test_the_way_through_a_body_and_the_way_around_it_have_two_symbols():
    graph = graph_of(Dense(2), block(Tanh()), Dense(1))
    levels = graph.levels()
    assert levels["dp/dv1"].symbolic == "dp/dv1 = dp/dz1 dz1/dv1 + dp/dh1 dh1/dv1^skip"
    assert graph.paths("v1").symbolic == "dp/dv1 = dp/dh1 dh1/dz1 dz1/dv1 + dp/dh1 dh1/dv1^skip"
    assert graph.parameter("v1.b").symbolic == "dp/db = (dp/dv1) dv1/db"
    assert r"\frac{\partial h_{1}}{\partial v_{1}}^{\text{skip}}" in levels.latex()
    for derivation in (levels, graph.paths("v1"), graph.parameter("v1.b")):
        assert "skip: derivative along the skip connection of a Residual alone." in str(derivation)
        assert "skip: derivative along" in derivation._repr_html_()
    for derivation in (graph.paths("h1"), graph.parameter("p.b"), lecture_graph().levels()):
        assert "skip" not in str(derivation)
    # Where the target is the sum, its whole derivative and that along the skip have the same two names.
    ends = graph_of(block(Tanh()), of="p1")
    assert ends.levels()["dp1/dx1"].symbolic == "dp1/dx1 = dp1/dh1 dh1/dx1 + dp1/dx1^skip"


def test_columns_of_numbered_layers_are_told_apart_in_a_sum():
    graph = graph_of(*[Residual(Tanh()) for _ in range(4)], Dense(1))
    assert ">h7 + h6</text>" in graph.svg()


def test_what_is_not_a_plain_sum_stays_one_column():
    graph = graph_of(Dense(2), Halved(Sequential([Dense(3), Tanh(), Dense(2)])), Dense(1))
    assert [len(column.symbols) for column in graph.columns] == [2, 2, 2, 1]
    assert not graph.has_skips
    assert "h.0.2.weights[2, 1]" in graph.shared_parameters


class Doubled(Sequential):
    """A chain that does more than its layers do."""

    def record(self, inputs):
        outputs, record = super().record(inputs)
        return 2 * outputs, record

    def forward_pass(self, inputs):
        return 2 * super().forward_pass(inputs)

    def backward_from(self, record, grad_output):
        return super().backward_from(record, 2 * grad_output)


class Named(Sequential):
    """A chain with a name of its own, and nothing else."""


def test_a_chain_with_passes_of_its_own_is_not_taken_apart():
    graph = graph_of(Dense(2), Doubled([Dense(3), Tanh(), Dense(2)]), Named([Tanh(), Dense(1)]))
    assert [len(column.symbols) for column in graph.columns] == [2, 2, 2, 1]
    assert graph.node("p").value == pytest.approx(graph.network.forward_pass([[1.0, 2.0]])[0, 0])
    assert graph.verify()
    whole = Doubled([Dense(3), Tanh(), Dense(1)]).build(2, random_state=0)
    graph = computation_graph(whole, [1.0, 2.0])
    assert graph.node("p").value == pytest.approx(whole.forward_pass([[1.0, 2.0]])[0, 0])
    assert len(graph.shared_parameters) + len(graph.parameters) == whole.parameter_vector.size
    rows = Sequential([Reshape((2, 1)), Doubled([Tanh(), Sigmoid()]), Flatten(), Dense(2)]).build(
        2, random_state=0
    )
    layers = computation_graph(rows, [1.0, 2.0], 1, "cross_entropy")
    gradient = layers.network.backward_pass(np.array([[1.0, 2.0]]))
    assert layers.nodes[0].gradient == pytest.approx(np.sqrt(np.mean(gradient**2)))


def test_neurons_beside_each_other_have_their_parameters():
    sides = Concat(
        [Sequential([Dense(2), Tanh()]), Dense(1, use_bias=False), Sequential([Dense(2), Softmax()])]
    )
    graph = graph_of(sides, Dense(1))
    assert [name for name in graph.parameters if name.startswith("h")] == [
        "h1.w1", "h1.w2", "h1.b", "h2.w1", "h2.w2", "h2.b", "h3.w1", "h3.w2",
    ]  # fmt: skip
    # The softmax mixes its neurons.
    shared = [name.partition("[")[0] for name in graph.shared_parameters]
    assert shared == ["h.2.0.weights"] * 4 + ["h.2.0.bias"] * 2


def test_layers_that_differ_in_training_are_said_to_be_in_inference_mode():
    plain = graph_of(Dense(2), Tanh(), Dense(1))
    for text in (plain.svg(), plain._repr_html_()):
        assert "inference" not in text
    note = "In inference mode, not as in training: BatchNorm uses its running averages; Dropout drops nothing."
    graph = graph_of(Dense(2), BatchNorm(), Tanh(), Dropout(0.5), block(Dense(2), Dropout(0.1)), Dense(1))
    for text in (graph.svg(), graph._repr_html_(), graph.steps()._repr_html_()):
        assert f"† {note}" in text
        assert ">BatchNorm, Tanh, Dropout†</text>" in text
    layers = graph_of(Reshape((2, 3)), block(BatchNorm(), Dropout(0.5)), Flatten(), Dense(1), inputs=6)
    for text in (layers.svg(), layers._repr_html_(), str(layers)):
        assert "In inference mode" in " ".join(text.split())


def test_layers_with_more_axes_have_their_skips_too():
    network = Sequential([Reshape((2, 3)), block(Tanh(), block(Sigmoid())), Flatten(), Dense(2)])
    network.build(6, random_state=0)
    graph = computation_graph(network, np.arange(6.0) / 6, 1, "cross_entropy")
    assert isinstance(graph, LayerGraph)
    assert [node.skip for node in graph.nodes] == [None] * 4 + [2, 1] + [None] * 3
    gradient = graph.network.backward_pass(np.arange(6.0)[None] / 6)
    assert graph.nodes[0].gradient == pytest.approx(np.sqrt(np.mean(gradient**2)))
    inside = network[0].forward_pass(np.arange(6.0)[None] / 6)
    assert graph.nodes[2].value == pytest.approx(np.sqrt(np.mean(np.tanh(inside) ** 2)))
    assert graph.svg().count('class="skip"') == 2
    assert graph.dot().count("->") == len(graph.nodes) - 1 + 2


def test_edges_are_where_something_acts():
    side_by_side = Concat([Identity(), Tanh()])
    graph = graph_of(Dense(2), side_by_side, Dense(1))
    assert graph.columns[2].connected.tolist() == [[True, False, True, False], [False, True, False, True]]
    assert graph.count().paths == 2 * 2 * 2
    assert graph.verify()
    swapped = graph_of(Roll(), Dense(1))
    assert swapped.columns[1].connected.tolist() == [[False, True], [True, False]]


def test_a_saturated_softmax_is_not_taken_for_elementwise():
    steep = Sequential([Dense(3), Softmax()]).build(2, random_state=0)
    steep[0].weights = 1e4 * steep[0].weights
    graph = computation_graph(steep, [1.0, 2.0])
    assert [len(column.symbols) for column in graph.columns] == [2, 3, 3]
    assert graph.columns[2].connected.all()


def test_an_activation_that_cannot_be_tried_everywhere():
    class Root(Layer):
        def forward_pass(self, inputs):
            return np.sqrt(inputs)

        def backward_pass(self, inputs, grad_output):
            return grad_output / (2 * np.sqrt(inputs))

    graph = graph_of(Dense(2), Sigmoid(), Root(), Dense(1))
    assert [node.name for node in graph.nodes] == ["x1", "x2", "h1", "h2", "p"]
    assert graph.verify()


def test_names_of_neurons_are_refused_where_there_are_none():
    layers = [Reshape((2, 3)), Flatten(), Dense(2)]
    with pytest.raises(ValueError, match="of='p1' refers to single neurons, but the outputs of Reshape"):
        graph_of(*layers, inputs=6, of="p1")
    with pytest.raises(ValueError, match=r"names=\['a'\] refers to single neurons"):
        graph_of(*copy.deepcopy(layers), inputs=6, names=["a"])


def test_without_a_loss_layers_are_derived_by_the_largest_output():
    graph = graph_of(Reshape((2, 3)), Flatten(), Dense(4), inputs=6)
    unit_gradient = np.zeros((1, 4))
    unit_gradient[0, np.argmax(graph.network.forward_pass(np.arange(1.0, 7)[None]))] = 1
    gradient = graph.network.backward_pass(np.arange(1.0, 7)[None], unit_gradient)
    assert graph.nodes[0].gradient == pytest.approx(np.sqrt(np.mean(gradient**2)))
    assert "Derivatives are those of the largest output." in str(graph)
    assert "derivatives of the largest output" in graph._repr_html_()
    row = str(graph).splitlines()[2].split()
    assert row[-2:] == [f"{graph.nodes[0].value:.4g}", f"{graph.nodes[0].gradient:.4g}"]


def test_a_large_network_names_near_parameters_and_stores_short_latex():
    network = Sequential([Dense(200), Tanh(), Dense(10)]).build(300, random_state=0)
    graph = computation_graph(network, np.ones(300))
    with pytest.raises(KeyError, match=r"Similar names are .*h20\.w"):
        graph.parameter("h20.w301")
    assert len(graph.levels()._repr_latex_()) < 20_000


@pytest.mark.parametrize(
    ("layers", "inputs", "reason"),
    [
        ([Reshape((2, 3)), Tanh(), Flatten(), Dense(2)], 6, r"Reshape\(\(2, 3\)\) have the shape \(2, 3\)"),
        ([Dense(1200), ReLU(), Dense(2)], 6, "more than 1000 neurons"),
    ],
)
def test_what_is_not_neurons_is_drawn_layer_by_layer(layers, inputs, reason):
    graph = graph_of(*layers, inputs=inputs, target=1, loss="cross_entropy")
    assert isinstance(graph, LayerGraph)
    for text in (str(graph), graph.reason, graph._repr_html_()):
        assert reason.replace("\\", "")[:20] in text
    with pytest.raises(AttributeError, match=f"has no levels, because .*{reason}"):
        graph.levels()
    with pytest.raises(AttributeError, match="has no shared_parameters, because"):
        _ = graph.shared_parameters
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = graph.other
    assert [node.name for node in graph.nodes][:2] == ["inputs", repr(layers[0])]
    assert graph.nodes[-1].gradient == 1
    assert graph.nodes[-1].shape == ()
    gradient = graph.network.backward_pass(np.arange(1.0, inputs + 1)[None])
    assert graph.nodes[0].gradient == pytest.approx(np.sqrt(np.mean(gradient**2)))
    assert sum(node.parameters for node in graph.nodes) == graph.network.parameter_vector.size
    assert graph.dot().count("->") == len(graph.nodes) - 1
    assert graph.svg().count('class="layer"') == len(graph.nodes)


def test_more_than_one_axis_of_inputs_is_drawn_layer_by_layer():
    network = Sequential([Flatten(), Dense(2)]).build((2, 2), random_state=0)
    graph = computation_graph(network, np.ones((2, 2)))
    assert isinstance(graph, LayerGraph)
    assert "inputs have the shape (2, 2)" in graph.reason
