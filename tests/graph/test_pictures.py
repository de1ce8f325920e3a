"""Pictures of graphs: SVG, DOT, and the steps for a notebook."""

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from html_page import Page

from layernet import (
    Dense,
    Dropout,
    Flatten,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Tanh,
    computation_graph,
    lecture_graph,
)
from layernet.graph.equations import TINTS
from layernet.graph.layout import MAX_SHOWN_NEURONS, NODE_HEIGHT, NODE_WIDTH, lay_out


@pytest.fixture(scope="module")
def large():
    network = Sequential([Dense(32), ReLU(), Dense(10)]).build(64, random_state=0)
    return computation_graph(network, np.linspace(0, 1, 64), 3, "cross_entropy")


def groups(svg, kind):
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    return [g for g in root.iter(f"{space}g") if g.get("class") == kind]


def test_a_file_has_every_node_and_edge_with_its_numbers():
    graph = lecture_graph(target=1)
    svg = graph.svg()
    nodes, edges = groups(svg, "node"), groups(svg, "edge")
    assert [g.get("data-node") for g in nodes] == [node.name for node in graph.nodes]
    assert sorted(g.get("data-edge") for g in edges) == sorted(f"{e.start}-{e.end}" for e in graph.edges)
    for group, node in zip(nodes, graph.nodes, strict=True):
        texts = [element.text for element in group if element.text]
        assert texts[-2] == f"{float(f'{node.value:.3g}'):g}".replace("-", "\u2212")
        assert texts[-1] == f"∂ {float(f'{node.gradient:.3g}'):g}".replace("-", "\u2212")
    assert "prefers-color-scheme: dark" in svg


def test_edges_are_coloured_by_what_flows_back():
    graph = lecture_graph(target=1)
    colors = {g.get("data-edge"): g for g in groups(graph.svg(), "edge")}
    widths = {}
    for edge in graph.edges:
        flow = graph.node(edge.end).gradient * edge.derivative
        line = colors[f"{edge.start}-{edge.end}"].find("{http://www.w3.org/2000/svg}line")
        assert line.get("stroke") == ("#d55e00" if flow > 0 else "#0072b2")
        widths[abs(flow)] = float(line.get("stroke-width"))
    in_order = [widths[flow] for flow in sorted(widths)]
    assert in_order == sorted(in_order)
    assert in_order[-1] == 5


def test_what_is_written_on_edges_and_above_columns():
    graph = lecture_graph(target=1)
    found = {g.get("data-edge"): g for g in groups(graph.svg(), "edge")}
    space = "{http://www.w3.org/2000/svg}"
    for edge in graph.edges:
        group = found[f"{edge.start}-{edge.end}"]
        written = group.find(f"{space}text").text.replace("\u2212", "-")
        assert float(written) == pytest.approx(edge.derivative, rel=5e-3)
        hint = group.find(f"{space}title").text
        weight = "" if edge.weight is None else f"weight {edge.weight:g}, ".replace("-", "\u2212")
        assert hint.startswith(f"{edge.start} to {edge.end}: {weight}d{edge.end}/d{edge.start} = ")
    svg = graph.svg()
    assert ">inputs</text>" in svg
    assert svg.count(">Dense, Sigmoid</text>") == 3
    assert ">MeanSquaredError</text>" in svg


def test_the_legend_names_the_colours_as_they_are():
    html = lecture_graph(target=1)._repr_html_()
    assert re.search(r'solid #d55e00">Orange</span> edges add a positive number', html)
    assert re.search(r'solid #0072b2">blue</span> edges with a bar a negative one', html)


def test_a_bar_says_what_takes_away():
    graph = lecture_graph(target=1)
    flows = {f"{e.start}-{e.end}": graph.node(e.end).gradient * e.derivative for e in graph.edges}
    assert 0 < sum(flow < 0 for flow in flows.values()) < len(flows)
    for group in groups(graph.svg(), "edge"):
        bars = [part for part in group if part.get("class") == "minus"]
        assert len(bars) == (flows[group.get("data-edge")] < 0)


def large_text(svg):
    root = ElementTree.fromstring(svg)
    return [root.find(f"{{http://www.w3.org/2000/svg}}{name}").text for name in ("title", "desc")]


def test_figures_are_images_as_well(large):
    layers = Sequential([Reshape((2, 2)), Residual(Tanh()), Flatten(), Dense(2)]).build(4, random_state=0)
    chain = computation_graph(layers, np.ones(4), 1, "cross_entropy")
    graph = lecture_graph(target=1)
    for figure in (graph, large, chain, graph.steps(), large.steps()):
        bundle = figure._repr_mimebundle_(include=None, exclude=None)
        assert list(bundle) == ["text/plain", "text/html", "image/svg+xml"]
        assert bundle["text/plain"] == repr(figure)
        assert bundle["text/html"] == figure._repr_html_()
        title, description = large_text(bundle["image/svg+xml"])
        assert "network" in title
        assert len(description) > 40
        # Where drawings are taken out of HTML, and style sheets with them, an image is left that says the same.
        assert "<style>.layernet-image { display: none; }</style>" in bundle["text/html"]
        stripped = re.sub(r"<(svg|style|script)\b.*?</\1>", "", bundle["text/html"], flags=re.DOTALL)
        (image,) = Page.read(stripped).all("img")
        assert "network" in image["alt"]
        kind, _, content = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(content).decode() == bundle["image/svg+xml"]
    assert "x1 = 1 (dL/dx1 = " in large_text(graph.svg())[1]


def test_jupyter_stores_both_and_shows_the_html():
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(lecture_graph())
    assert "<svg" in data["text/html"]
    assert data["image/svg+xml"] == lecture_graph().svg()


def test_tables_and_equations_need_no_image():
    graph = lecture_graph(target=1)
    network = Sequential([Dense(3), Dropout(0.1), Dense(1)]).build(2, random_state=0)
    history = network.fit(np.ones((4, 2)), np.ones((4, 1)), loss="mean_squared_error", epochs=2, random_state=0)
    for shown in (graph.levels(), graph.paths("x1"), graph.parameter("h1.b"), network, history):
        assert "<svg" not in shown._repr_html_()


def test_numbers_stand_clear_of_the_lines_that_lead_around_columns():
    network = Sequential([Dense(2), Residual(Residual(Tanh())), Dense(1)]).build(2, random_state=0)
    svg = computation_graph(network, [0.5, -1.0]).svg()
    found = {g.get("data-edge"): g for g in groups(svg, "edge")}
    space = "{http://www.w3.org/2000/svg}"
    ups = [
        float(re.search(r"M([\d.]+) [\d.]+H([\d.]+)V", found[edge].find(f"{space}path").get("d"))[2])
        for edge in ("u1-z1", "u2-z2", "u1-h1", "u2-h2")
    ]
    assert len(set(ups)) == 4
    for edge in ("u1-v1", "u2-v2"):
        start = float(found[edge].find(f"{space}line").get("x1"))
        assert start + float(found[edge].find(f"{space}text").get("x")) > max(ups)


def test_legends_fit_into_small_files():
    svg = computation_graph(Sequential([Dense(1)]).build(1, random_state=0), [1.0]).svg()
    assert float(re.search(r'viewBox="0 0 (\d+)', svg)[1]) >= 560


def test_what_nothing_flows_through_is_dashed():
    network = Sequential([Dense(2, use_bias=False), ReLU(), Dense(1)]).build(1, random_state=0)
    network[0].weights = [[1.0, -1.0]]
    svg = computation_graph(network, [2.0]).svg()
    assert len(re.findall("stroke-dasharray", svg)) == 1


@pytest.mark.parametrize("units", [1, 2, 3, 8])
def test_nothing_lies_on_another(units):
    layers = [layer for _ in range(6) for layer in (Dense(units), Tanh())]
    network = Sequential([*layers, Dense(units)]).build(units, random_state=0)
    layout = lay_out(computation_graph(network, np.ones(units)))
    assert len(layout.centers) == 8 * units
    places = list(layout.centers.values())
    for number, (x, y) in enumerate(places):
        assert NODE_WIDTH / 2 <= x <= layout.width - NODE_WIDTH / 2
        assert NODE_HEIGHT / 2 <= y <= layout.height - NODE_HEIGHT / 2
        for other_x, other_y in places[:number]:
            assert abs(x - other_x) > NODE_WIDTH or abs(y - other_y) > NODE_HEIGHT
    assert not layout.folded


def test_large_columns_are_folded_to_the_largest_gradients(large):
    layout = lay_out(large)
    assert {k: hidden for k, (_, _, hidden) in layout.folded.items()} == {0: 57, 1: 25, 2: 3}
    shown = [i for k, i in layout.centers if k == 0]
    assert len(shown) == MAX_SHOWN_NEURONS - 1
    gradients = np.abs(large.columns[0].gradients)
    assert gradients[shown].min() >= np.delete(gradients, shown).max()
    for k, (x, y, _) in layout.folded.items():
        below = max(center for (column, _), (_, center) in layout.centers.items() if column == k)
        assert y - below >= NODE_HEIGHT
        assert x == next(place for (column, _), (place, _) in layout.centers.items() if column == k)
    svg = large.svg()
    assert "57 with smaller ∂" in svg
    assert len(svg) < 60_000


def test_html_is_whole_and_needs_nothing_else(large):
    for graph in (lecture_graph(), lecture_graph(target=0), large):
        for shown in (graph, graph.levels(), graph.parameter(graph.parameters[0]), graph.steps()):
            html = shown._repr_html_()
            Page.read(re.sub("<script>.*</script>", "", html, flags=re.DOTALL))
            assert "http" not in html
    Page.read(lecture_graph().paths("x1")._repr_html_())


def test_without_tags_the_formulas_can_be_read():
    text = Page.read(lecture_graph().levels()._repr_html_()).text
    assert "∂p/∂z1 = ∂p/∂h1 ∂h1/∂z1 + ∂p/∂h2 ∂h2/∂z1" in text
    assert "= 0.3615 · 0.4601 + (\u22120.4819) · (\u22120.2485) = 0.2861" in text


def test_wide_sums_are_shown_in_part_and_whole_in_the_equations(large):
    levels = large.levels()
    assert len(levels["dL/dh1"].products) == 10
    assert "+ ... (7 smaller) = " in str(levels)
    assert "(7 smaller)" in levels._repr_html_()
    assert "... and 61 smaller ones" in str(levels)
    assert "smaller" not in levels["dL/dh1"].symbolic
    assert len(str(levels).splitlines()) < 40


def test_the_largest_are_shown_in_the_picture_and_in_the_text(large):
    gradients = large.columns[1].gradients
    largest = [f"h{i + 1}" for i in sorted(np.argsort(-np.abs(gradients))[:3])]
    shown = re.findall(r"dL/d(h\d+) = ", str(large.levels()))
    assert list(dict.fromkeys(shown)) == largest
    drawn = {f"h{i + 1}" for k, i in lay_out(large).centers if k == 1}
    assert set(largest) <= drawn


def test_tints_differ():
    assert len(set(TINTS)) == 8
    html = lecture_graph(target=1).levels()._repr_html_()
    assert len(set(re.findall(r"rgba\([\d,.]+\)", html))) >= 4


def test_dot_has_every_node_and_edge():
    graph = lecture_graph(target=1)
    dot = graph.dot()
    assert dot.startswith("digraph")
    assert dot.count("{") == dot.count("}")
    assert dot.count("->") == len(graph.edges)
    assert '"h2" -> "p" [label="\u22120.4819"];' in dot
    assert '"p" [label="p\\n0.595\\ndL/dp = \u22120.81"];' in dot


def test_steps_play_the_forward_pass_and_then_the_backward_pass():
    graph = lecture_graph(target=1)
    steps = graph.steps().steps
    forward = [step for step in steps if step.forward]
    backward = [step for step in steps if not step.forward]
    assert steps == forward + backward
    assert [name for step in forward for name in step.nodes] == [node.name for node in graph.nodes]
    names = [name for step in backward for name in step.nodes]
    assert names == ["L", "p", "h1", "h2", "z1", "z2", "x1", "x2"]
    for direction in (forward, backward):
        used = [edge for step in direction for edge in step.edges]
        assert sorted(used) == sorted(f"{e.start}-{e.end}" for e in graph.edges)
    assert (
        "z<sub>1</sub> = Sigmoid(1 · 1 + 1.5 · (\u22120.5) + 0.5) = <strong>0.6792</strong>" in forward[1].html
    )


def test_steps_of_large_graphs_go_column_by_column(large):
    steps = large.steps().steps
    assert len(steps) == 4 + 1 + 3
    assert [len(step.nodes) for step in steps] == [64, 32, 10, 1, 1, 10, 32, 64]


def test_where_scripts_are_stripped_every_step_can_be_read():
    stepper = lecture_graph().steps()
    html = re.sub("<script>.*</script>", "", stepper._repr_html_(), flags=re.DOTALL)
    page = Page.read(html)
    assert len(page.all("li")) == len(stepper.steps) == 13
    assert any("hidden" in attributes for attributes in page.all("div"))
    assert "<svg" in html
    assert "<Stepper: 6 steps forward and 7 back" in repr(stepper)


def test_text_shows_values_and_gradients(large):
    lines = str(lecture_graph()).splitlines()
    assert lines[0].split() == ["value", "dp/d..."]
    assert lines[-1].split() == ["p", "0.595", "1"]
    assert "... and 56 more" in str(large)
    assert repr(large) == "<ComputationGraph 64-32-10: derivatives of L>"
