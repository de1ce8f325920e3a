"""The lecture's derivation: formulas as they stand on the slides, numbers against the network's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layernet import (
    Adam,
    BatchNorm,
    Dense,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softplus,
    Tanh,
    computation_graph,
    lecture_graph,
)
from layernet.graph.chain_rule import target_with
from layernet.graph.marks import mark_of, style_of
from layernet.graph.symbols import number

pytestmark = pytest.mark.slow

# As on the slides, with the indices that are garbled in the copies in circulation put right.
LEVELS = """\
dp/dh1
dp/dh2
dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1
dp/dz2 = dp/dh1 dh1/dz2 + dp/dh2 dh2/dz2
dp/dx1 = (dp/dz1) dz1/dx1 + (dp/dz2) dz2/dx1
dp/dx2 = (dp/dz1) dz1/dx2 + (dp/dz2) dz2/dx2"""

PATHS = {
    "h1": "dp/dh1",
    "z2": "dp/dz2 = dp/dh1 dh1/dz2 + dp/dh2 dh2/dz2",
    "x1": "dp/dx1 = dp/dh1 dh1/dz1 dz1/dx1 + dp/dh2 dh2/dz1 dz1/dx1 + "
    "dp/dh1 dh1/dz2 dz2/dx1 + dp/dh2 dh2/dz2 dz2/dx1",
    "x2": "dp/dx2 = dp/dh1 dh1/dz1 dz1/dx2 + dp/dh2 dh2/dz1 dz1/dx2 + "
    "dp/dh1 dh1/dz2 dz2/dx2 + dp/dh2 dh2/dz2 dz2/dx2",
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lecture_by_hand(graph):
    """All values and local derivatives of the 2-2-2-1 network from its weights, in plain formulas."""
    layers = [column.dense for column in graph.columns if column.dense]
    values = {"x": np.array([node.value for node in graph.nodes[:2]])}
    local = {}
    for before, name, dense in zip("xzh", "zhp", layers, strict=True):
        values[name] = sigmoid(values[before] @ dense.weights + dense.bias)
        slope = values[name] * (1 - values[name])
        for i in range(len(values[before])):
            for j in range(len(slope)):
                end = name if name == "p" else f"{name}{j + 1}"
                local[f"d{end}/d{before}{i + 1}"] = slope[j] * dense.weights[i, j]
    return values, local


def value_of(formula, known):
    """Work out the right side of a formula from the numbers of its derivatives."""
    right = formula.partition(" = ")[2] or formula
    products = [product.replace("(", "").replace(")", "").split() for product in right.split(" + ")]
    return sum(np.prod([known[factor] for factor in product]) for product in products)


def difference(graph, name, step=1e-5):
    """dp/dx1 or dp/dx2 by central differences of the whole network."""
    network = graph.network
    sample = graph.columns[0].values.copy()
    index = int(name[1]) - 1
    sample[index] += step
    ahead = network.forward_pass(sample[None])[0, 0]
    sample[index] -= 2 * step
    return (ahead - network.forward_pass(sample[None])[0, 0]) / (2 * step)


def test_levels_are_those_of_the_slides():
    levels = lecture_graph().levels()
    assert levels.symbolic == LEVELS
    assert [label for label, _ in levels.groups] == ["3", "2", "1"]


def test_every_formula_of_the_levels_has_the_right_number():
    graph = lecture_graph()
    values, known = lecture_by_hand(graph)
    for node in graph.nodes:
        name, index = node.name[0], int(node.name[1:] or 1) - 1
        assert node.value == pytest.approx(values[name][index], rel=1e-12)
    for edge in graph.edges:
        assert edge.derivative == pytest.approx(known[f"d{edge.end}/d{edge.start}"], rel=1e-12)
    for equation in graph.levels():  # from above: each puts in what the level above found
        name = str(equation.derivative)
        found = value_of(equation.symbolic, known)
        known[name] = found
        assert equation.value == pytest.approx(found, rel=1e-9)
        assert equation.value == pytest.approx(graph.node(name.rpartition("/d")[2]).gradient, rel=1e-12)
    by_layers = graph.network.backward_pass(graph.columns[0].values[None], [[1.0]])[0]
    for name, gradient in zip(("x1", "x2"), by_layers, strict=True):
        assert known[f"dp/d{name}"] == pytest.approx(gradient, rel=1e-9)
        assert known[f"dp/d{name}"] == pytest.approx(difference(graph, name), rel=1e-9)


@pytest.mark.parametrize("name", PATHS)
def test_sums_over_paths_are_those_of_the_slides(name):
    graph = lecture_graph()
    _, known = lecture_by_hand(graph)
    (equation,) = graph.paths(name)
    assert equation.symbolic == PATHS[name]
    assert equation.value == pytest.approx(value_of(PATHS[name], known), rel=1e-9)
    assert equation.value == pytest.approx(graph.node(name).gradient, rel=1e-9)
    assert sum(np.prod([f.value for f in product]) for product in equation.products) == pytest.approx(
        equation.value, rel=1e-12
    )


def test_repeated_factors_are_marked():
    derivation = lecture_graph().paths("x1")
    marked = {
        str(f.derivative) for e in derivation for product in e.products for f in product if f.mark is not None
    }
    assert marked == {"dp/dh1", "dp/dh2", "dz1/dx1", "dz2/dx1"}
    assert "4 paths, 12 factors, 8 of them different: 4 occur more than once." in str(derivation)
    assert "[dp/dh1] dh1/dz1 [dz1/dx1]" in str(derivation)
    assert "1 path, 1 factor, 1 of them different." in str(lecture_graph().paths("h1"))


def test_levels_use_what_the_level_above_has_worked_out():
    network = Sequential([Dense(2), BatchNorm(), Tanh(), Dense(2), BatchNorm()]).build(2, random_state=0)
    graph = computation_graph(network, [0.5, 1.0], of="p1")
    levels = graph.levels()
    known = {str(f.derivative) for e in levels for product in e.products for f in product if f.is_known}
    assert known == {"dp1/dh1", "dp1/dz1", "dp1/dz2", "dp1/dv1", "dp1/dv2"}
    assert known <= {str(equation.derivative) for equation in levels}


def test_the_same_derivative_has_the_same_mark_on_both_levels():
    equations = lecture_graph(target=1).levels()
    marks = {str(equation.derivative): equation.mark for equation in equations}
    for equation in equations:
        for product in equation.products:
            if len(product) == 2:
                known, local = product
                assert known.mark == marks[str(known.derivative)]
                assert known.value == equations[str(known.derivative)].value
                assert local.mark is None
    used = [mark for name, mark in marks.items() if not name.endswith(("x1", "x2"))]
    assert None not in used
    for equation in equations:
        inside = [known.mark for known, *_ in equation.products if known.is_known]
        assert len({equation.mark, *inside}) == 1 + len(inside)


def test_the_parameter_of_the_slides():
    graph = lecture_graph(target=1)
    derivation = graph.parameter("h2.w1", learning_rate=0.5)
    assert derivation.symbolic == "dL/dw1 = dL/dp dp/dh2 dh2/dw1"
    values, local = lecture_by_hand(graph)
    h2 = values["h"][1]
    known = {
        "dL/dp": 2 * (values["p"][0] - 1),
        "dp/dh2": local["dp/dh2"],
        "dh2/dw1": h2 * (1 - h2) * values["z"][0],
    }
    assert derivation.gradient == pytest.approx(value_of(derivation.symbolic, known), rel=1e-9)
    for factor in derivation.equations[0].products[0]:
        assert factor.value == pytest.approx(known[str(factor.derivative)], rel=1e-9)
    assert derivation.before == -1.0
    assert derivation.after == pytest.approx(-1.0 - 0.5 * derivation.gradient)
    assert derivation.target_after < derivation.target_before == graph.node("L").value


def test_every_parameter_against_the_network_and_differences():
    graph = lecture_graph(target=0.0)
    network = graph.network
    dense = [layer for layer in network.walk() if isinstance(layer, Dense)]
    sample = graph.columns[0].values[None]
    network.backward_pass(sample)
    assert len(graph.parameters) == network.parameter_vector.size == 15
    for name in graph.parameters:
        derivation, place = graph.parameter(name), graph.parameter_position(name)
        layer = dense[place.column - 1]
        assert derivation.gradient == pytest.approx(layer.gradients[place.array][place.index], rel=1e-12)
        array, step = layer.parameters[place.array], 1e-5
        before = array[place.index].copy()
        array[place.index] = before + step
        ahead = network.forward_pass(sample)
        array[place.index] = before - step
        behind = network.forward_pass(sample)
        array[place.index] = before
        assert derivation.gradient == pytest.approx((ahead - behind) / (2 * step), rel=1e-8)
        product = np.prod([factor.value for factor in derivation.equations[0].products[0]])
        assert product == pytest.approx(derivation.gradient, rel=1e-9)


def test_a_parameter_with_several_paths_says_where_its_neuron_got_its_derivative():
    derivation = lecture_graph(target=1).parameter("z1.w2")
    assert [equation.symbolic for equation in derivation] == [
        "dL/dw2 = (dL/dz1) dz1/dw2",
        "dL/dz1 = dL/dh1 dh1/dz1 + dL/dh2 dh2/dz1",
    ]


def test_a_bias_and_a_scale_have_names_too():
    network = Sequential([Dense(2), BatchNorm(), Tanh(), Dense(1)]).build(2, random_state=0)
    graph = computation_graph(network, [0.5, 1.0], 1.0, "mean_squared_error")
    assert graph.parameters[4:6] == ["z2.w2", "z2.b"]
    assert graph.parameters[6:8] == ["h1.gamma", "h1.beta"]
    network = graph.network
    network.backward_pass(graph.columns[0].values[None])
    expected = network.layers[0].layers[1].grad_gamma[0]
    assert graph.parameter("h1.gamma").gradient == pytest.approx(expected, rel=1e-12)
    assert graph.parameter("h1.gamma").symbolic == "dL/dgamma = dL/dp dp/dh1 dh1/dgamma"


def test_a_parameter_of_a_neuron_that_does_not_act_on_the_target():
    network = Sequential([Dense(2), Tanh(), Dense(3)]).build(3, random_state=0)
    for of, name in (("p1", "p2.w1"), ("h1", "p3.w1"), ("h1", "h2.w1"), ("h1", "p1.b")):
        derivation = computation_graph(network, [0.3, -0.7, 1.2], of=of).parameter(name)
        assert derivation.gradient == 0
        assert derivation.after == derivation.before
        assert derivation.target_after == derivation.target_before
        assert f"{name.partition('.')[0]} has no path to {of}." in str(derivation)
        assert f"d{of}/d{name.partition('.')[2]} = 0" in str(derivation)
    own = computation_graph(network, [0.3, -0.7, 1.2], of="h1").parameter("h1.w1")
    assert own.symbolic == "dh1/dw1"
    assert own.gradient != 0


def test_without_a_loss_there_is_a_slope_and_no_step():
    graph = lecture_graph()
    for name in graph.parameters:
        derivation = graph.parameter(name, learning_rate=0.5)
        assert derivation.gradient != 0
        assert derivation.after == derivation.before
        assert derivation.target_after == derivation.target_before == graph.node("p").value
        assert derivation.learning_rate == 0
        for text in (str(derivation), derivation._repr_html_()):
            assert "A step of gradient descent" not in text
            assert "p is an output, not a loss: for a step of gradient descent give a target" in text
    text = str(graph.parameter("h2.w1"))
    place = graph.parameter_position("h2.w1")
    moved = target_with(graph, place, -1.0 + 0.01) - graph.node("p").value
    assert f"Adding 0.01 to w1 of h2 alone changes p by {number(moved)}; the first-order prediction is" in text
    with_loss = computation_graph(graph.network, [1.0, -0.5], 1.0, "mean_squared_error", of="p")
    assert "not a loss" in str(with_loss.parameter("h2.w1"))


@pytest.mark.parametrize("units", [5, 6, 7, 8, 12, 40])
def test_no_mark_comes_twice_in_an_equation(units):
    body = Residual(Sequential([Dense(units), Tanh(), Dense(units), Tanh(), Dense(units)]))
    network = Sequential([Dense(units), Tanh(), body, Dense(units), Tanh(), Dense(2)]).build(2, random_state=0)
    graph = computation_graph(network, [0.5, -1.0], 1, "cross_entropy")
    derivations = [graph.levels()]
    if units == 5:
        small = Sequential([Dense(5), Tanh(), Dense(3), Tanh(), Dense(2)]).build(2, random_state=0)
        derivations.append(computation_graph(small, [0.5, -1.0], 1, "cross_entropy").paths("x1"))
    for derivation in derivations:
        for equation in derivation:
            styles = {}
            for factor in [f for product in equation.products for f in product]:
                if factor.mark is not None:
                    styles.setdefault(str(factor.derivative), set()).add(style_of(factor.mark))
            used = [style for each in styles.values() for style in each]
            used += [style_of(equation.mark)] if equation.mark is not None else []
            assert len(set(used)) == len(used) == len(styles) + (equation.mark is not None)


def test_marks_are_lines_as_well_as_colors():
    assert len({style_of(mark_of(depth, index)) for depth in range(10) for index in range(400)}) == 4000
    assert all("border-bottom" in style_of(mark_of(0, index)) for index in range(20))
    html = lecture_graph().levels()._repr_html_()
    assert "Marked by a color and a line" in html


def test_the_step_is_compared_with_the_first_order_prediction():
    derivation = lecture_graph(target=1).parameter("h2.w1", learning_rate=1e-3)
    predicted = -1e-3 * derivation.gradient**2
    assert derivation.target_after - derivation.target_before == pytest.approx(predicted, rel=1e-3)
    text = str(derivation).splitlines()[-1]
    assert text.count(f"{predicted:.4g}".split("e")[0].replace("-", "\u2212")) >= 1
    with pytest.raises(TypeError, match="ComputationGraph: learning_rate"):
        lecture_graph(target=1).parameter("h2.w1", learning_rate="fast")


def test_known_derivatives_are_underlined_in_latex_and_sums_are_broken():
    latex = lecture_graph().levels().latex()
    assert r"\underline{\frac{\partial p}{\partial h_{1}}} \, \frac{\partial h_{1}}{\partial z_{1}}" in latex
    paths = lecture_graph().paths("x1").latex()
    assert paths.count(r"&\quad +") == 2 * 3
    assert paths.count(r"\underline") == 0


def test_latex_has_every_formula_and_number():
    latex = lecture_graph().levels().latex()
    assert latex.startswith("\\begin{align*}")
    assert latex.endswith("\\end{align*}")
    assert r"\frac{\partial p}{\partial h_{1}} &= 0.3615" in latex
    first, second = (
        rf"\underline{{\left(\frac{{\partial p}}{{\partial z_{{{i}}}}}\right)}} \, "
        rf"\frac{{\partial z_{{{i}}}}}{{\partial x_{{1}}}}"
        for i in (1, 2)
    )
    assert rf"\frac{{\partial p}}{{\partial x_{{1}}}} &= {first} + {second} " in latex
    assert latex.count("{") == latex.count("}")


def test_verification_of_the_lecture_is_within_a_billionth():
    for graph in (lecture_graph(), lecture_graph(target=1), lecture_graph(target=0)):
        verification = graph.verify()
        assert len(verification.differences) == 4
        assert max(difference.relative for difference in verification.differences.values()) < 1e-9
        assert verification
        assert "agree" in str(verification)


@settings(max_examples=25)
@given(
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    activation=st.sampled_from([Sigmoid, Tanh, Softplus]),
    seed=st.integers(0, 1000),
    with_loss=st.booleans(),
)
def test_any_network_of_neurons_agrees_with_its_layers(widths, activation, seed, with_loss):
    *hidden, outputs = widths
    layers = [layer for units in hidden for layer in (Dense(units), activation())]
    network = Sequential([*layers, Dense(outputs)]).build(3, random_state=seed)
    sample = np.random.default_rng(seed).standard_normal(3)
    target = np.ones(outputs) if with_loss else None
    graph = computation_graph(network, sample, target, "mean_squared_error" if with_loss else None)
    assert graph.verify(), graph.verify()
    assert [str(e.derivative) for e in graph.levels()][-1] == f"d{graph.target}/dx3"
    for node in graph.nodes[:3]:
        assert graph.paths(node.name).equations[0].value == pytest.approx(node.gradient, rel=1e-9, abs=1e-14)


def test_a_wrong_layer_is_found_out():
    class Careless(Sigmoid):
        def backward_from(self, outputs, grad_output):
            return grad_output * outputs  # the factor 1 - outputs is missing

    network = Sequential([Dense(2), Careless(), Dense(1)]).build(2, random_state=0)
    verification = computation_graph(network, [1.0, 2.0]).verify()
    assert not verification
    assert "DO NOT AGREE" in str(verification)
    assert "central differences of every node, at x" in str(verification)
    assert str(verification).endswith("A backward pass of the network's layers is wrong.")
    assert verification.differences["level by level, over the edges"].relative < 1e-12
    assert verification.differences["central differences of every node"].relative > 0.05


def trained(hidden, epochs, rate):
    X, y = np.random.default_rng(0).normal(size=(200, 4)), np.arange(200) % 2
    X[:, 0] += 2 * y
    network = Sequential([*hidden, Dense(2)])
    network.fit(X, y, loss="cross_entropy", optimizer=Adam(rate), epochs=epochs, random_state=0)
    return network, X, y


@pytest.mark.parametrize(("epochs", "rate"), [(30, 0.01), (150, 0.05)])
def test_confident_networks_agree_too(epochs, rate):
    network, X, y = trained([Dense(8), Tanh()], epochs, rate)
    for row in range(0, 200, 10):
        assert computation_graph(network, X[row], y[row], "cross_entropy").verify()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_deep_and_badly_scaled_networks_agree_too(dtype):
    tower = Sequential([layer for _ in range(20) for layer in (Dense(4), Sigmoid())] + [Dense(1)])
    graph = computation_graph(tower.build(3, 0, dtype), [1, -2, 0.5], 0.0, "mean_squared_error")
    assert graph.verify()
    wide = Sequential([Dense(6), ReLU(), Dense(1)]).build(3, 0, dtype)
    assert computation_graph(wide, [50_000, 3, 1e6], 0.0, "mean_squared_error").verify()


class Ripple(Layer):
    """sin(1000 x) / 1000, whose differences are poor where the step is not small."""

    def forward_pass(self, inputs):
        return np.sin(1000 * inputs) / 1000

    def backward_pass(self, inputs, grad_output):
        return grad_output * np.cos(1000 * inputs)


class CopiedRipple(Ripple):
    """Its backward pass is a difference with the step of textbooks, the cube root of the precision."""

    def forward_pass(self, inputs):
        return super().forward_pass(inputs)

    def backward_pass(self, inputs, grad_output):
        step = np.cbrt(np.finfo(float).eps) * np.maximum(1, np.abs(inputs))
        ahead, behind = self.forward_pass(inputs + step), self.forward_pass(inputs - step)
        return grad_output * (ahead - behind) / (2 * step)


def test_differences_choose_their_step_without_a_look_at_the_gradient():
    right = Sequential([Dense(2), Ripple(), Dense(1)]).build(2, random_state=0)
    assert computation_graph(right, [1.0, -2.0]).verify()
    wrong = Sequential([Dense(2), CopiedRipple(), Dense(1)]).build(2, random_state=0)
    verification = computation_graph(wrong, [1.0, -2.0]).verify()
    assert not verification
    assert 1e-6 < verification.differences["central differences of every node"].relative < 1e-4


def test_at_a_kink_there_is_nothing_to_compare():
    network = Sequential([Dense(2), ReLU(), Dense(1)]).build(3, random_state=0)
    verification = computation_graph(network, [0.0, 0.0, 0.0]).verify()
    assert verification
    nodes = verification.differences["central differences of every node"]
    assert nodes.at_kinks == 3
    assert "central differences of every node; 3 at a kink have no derivative" in str(verification)
    assert "kink" not in str(lecture_graph().verify())


def test_a_wrong_gradient_of_a_parameter_alone_is_found():
    class Forgetful(Dense):
        def backward_from(self, inputs, grad_output):
            grad_inputs = super().backward_from(inputs, grad_output)
            self.grad_bias[...] = 0
            return grad_inputs

    network = Sequential([Forgetful(2), Tanh(), Dense(1)]).build(2, random_state=0)
    verification = computation_graph(network, [1.0, 2.0]).verify()
    wrong = [how for how, each in verification.differences.items() if each.relative > verification.tolerance]
    assert wrong == ["central differences of every parameter"]
    assert "every parameter, at h.bias[" in str(verification)


def test_relu_that_is_off_passes_nothing_back():
    network = Sequential([Dense(2, use_bias=False), ReLU(), Dense(1)]).build(1, random_state=0)
    network[0].weights = [[1.0, -1.0]]
    graph = computation_graph(network, [2.0])
    assert graph.node("h2").value == 0
    assert [edge.derivative for edge in graph.edges[:2]] == [1.0, 0.0]
    assert graph.parameter("h2.w1").gradient == 0
