"""Stepper: an interactive drawing of the forward and the backward pass, neuron by neuron, in HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from layernet.display.drawing import as_image, mimebundle, without_inline_drawings
from layernet.graph.chain_rule import edges_to_target, equation_of
from layernet.graph.drawing import graph_svg, label_of, legend_html
from layernet.graph.equations import EQUATION_STYLE, as_factor
from layernet.graph.layout import Layout, lay_out
from layernet.graph.neurons import Link, NeuronGraph
from layernet.graph.symbols import number
from layernet.losses.loss import BoundLoss

MAX_NEURONS_ONE_BY_ONE = 40  # in larger graphs, a step shows a whole column
MAX_SHOWN_PRODUCTS = 6  # of a weighted sum

STEPPER_STYLE = """<style>
.layernet-stepper.ready .controls { display: flex; flex-wrap: wrap; gap: 0.4em; align-items: center;
  margin: 0.4em 0; }
.layernet-stepper button { font: inherit; color: inherit; background: none; border: 1px solid currentColor;
  border-radius: 0.4em; padding: 0.15em 0.7em; cursor: pointer; min-width: 2.4em; }
.layernet-stepper button:disabled { opacity: 0.4; cursor: default; }
.layernet-stepper button:focus-visible { outline: 2px solid #d55e00; outline-offset: 2px; }
.layernet-stepper .place { font-variant-numeric: tabular-nums; min-width: 7em; }
.layernet-stepper ol { margin: 0.3em 0; padding-left: 1.8em; }
.layernet-stepper.ready ol { list-style: none; padding: 0; min-height: 7.5em; }
.layernet-stepper.ready li { display: none; }
.layernet-stepper.ready li.now { display: block; }
.layernet-stepper.ready .edge { opacity: 0.15; }
.layernet-stepper.ready .edge text { opacity: 0; }
.layernet-stepper.ready .edge.past { opacity: 0.6; }
.layernet-stepper.ready .edge.now { opacity: 1; }
.layernet-stepper.ready .edge.back text { opacity: 1; }
.layernet-stepper.ready .edge:not(.back) line,
.layernet-stepper.ready .edge:not(.back) .skip { stroke: currentColor; stroke-width: 1.5px; }
.layernet-stepper.ready .edge:not(.back) .minus { opacity: 0; }
.layernet-stepper.ready .value, .layernet-stepper.ready .gradient { visibility: hidden; }
.layernet-stepper.ready .has-value .value,
.layernet-stepper.ready .has-gradient .gradient { visibility: visible; }
.layernet-stepper .node.now rect { fill: rgba(230, 159, 0, 0.45); }
.layernet-stepper .frac { font-family: Georgia, serif; }
</style>"""

# Starts every stepper of the page that is not started, so that steppers need no id. A step lists its nodes and
# edges. The drawing shows the values and gradients of all steps up to the current one.
SCRIPT = """<script>
(function () {
  function start(root) {
    root.classList.add("ready");
    root.querySelector(".controls").removeAttribute("hidden");
    var steps = Array.prototype.slice.call(root.querySelectorAll("li"));
    var buttons = root.querySelectorAll("button"), place = root.querySelector(".place");
    var now = 0, timer = null;
    function list(step, name) { return (step.getAttribute(name) || "").split(" ").filter(Boolean); }
    function mark(kind, key, css) {
      root.querySelectorAll("[data-" + kind + '="' + key + '"]').forEach(function (part) {
        part.classList.add(css);
      });
    }
    function show(index) {
      now = Math.max(0, Math.min(steps.length - 1, index));
      root.querySelectorAll(".node, .edge").forEach(function (part) {
        part.classList.remove("now", "past", "back", "has-value", "has-gradient");
      });
      steps.forEach(function (step, i) {
        step.classList.toggle("now", i === now);
        if (i > now) { return; }
        var back = step.getAttribute("data-pass") === "backward";
        list(step, "data-nodes").forEach(function (name) {
          mark("node", name, back ? "has-gradient" : "has-value");
          if (i === now) { mark("node", name, "now"); }
        });
        list(step, "data-edges").forEach(function (name) {
          mark("edge", name, i === now ? "now" : "past");
          if (back) { mark("edge", name, "back"); }
        });
      });
      var shown = root.querySelector(".node.now"), box = root.querySelector(".picture");
      if (shown && box) {
        var part = shown.getBoundingClientRect(), frame = box.getBoundingClientRect();
        box.scrollLeft += part.left + part.width / 2 - frame.left - frame.width / 2;
      }
      place.textContent = "step " + (now + 1) + " of " + steps.length;
      buttons[0].disabled = buttons[1].disabled = now === 0;
      buttons[3].disabled = buttons[4].disabled = now === steps.length - 1;
      if (now === steps.length - 1) { stop(); }
    }
    function stop() {
      if (timer !== null) { clearInterval(timer); timer = null; }
      buttons[2].textContent = "play";
    }
    function play() {
      if (timer !== null) { stop(); return; }
      if (now === steps.length - 1) { show(0); }
      buttons[2].textContent = "pause";
      timer = setInterval(function () { show(now + 1); }, 1400);
    }
    buttons[0].onclick = function () { stop(); show(0); };
    buttons[1].onclick = function () { stop(); show(now - 1); };
    buttons[2].onclick = play;
    buttons[3].onclick = function () { stop(); show(now + 1); };
    buttons[4].onclick = function () { stop(); show(steps.length - 1); };
    show(0);
  }
  document.querySelectorAll(".layernet-stepper:not(.ready)").forEach(start);
})();
</script>"""

CONTROLS = """<div class="controls" hidden>
<button type="button" aria-label="to the first step">|&lt;</button>
<button type="button" aria-label="one step back">&lt;</button>
<button type="button" aria-label="play or pause">play</button>
<button type="button" aria-label="one step on">&gt;</button>
<button type="button" aria-label="to the last step">&gt;|</button>
<span class="place" role="status"></span></div>"""


@dataclass(frozen=True)
class Step:
    """Step of a stepper: a part of the forward pass or the backward pass.

    Attributes
    ----------
    forward : bool
        Whether it belongs to the forward pass.
    nodes, edges : list of str
        Neurons whose value or gradient is computed, and the edges that it is computed from.
    html : str
        The calculation with its numbers.
    """

    forward: bool
    nodes: list[str]
    edges: list[str]
    html: str


class Stepper:
    """Interactive drawing of a graph that shows the forward and the backward pass step by step.

    Parameters
    ----------
    graph : NeuronGraph

    Attributes
    ----------
    steps : list of Step
        The forward pass first.

    Examples
    --------
    >>> from layernet.graph import lecture_graph
    >>> stepper = lecture_graph().steps()
    >>> len(stepper.steps), stepper.steps[0].nodes, stepper.steps[-1].nodes
    (13, ['x1', 'x2'], ['x2'])
    """

    def __init__(self, graph: NeuronGraph):
        self.graph = graph
        self.layout = lay_out(graph)
        last = graph.target_position[0]
        one_by_one = sum(len(column.symbols) for column in graph.columns) <= MAX_NEURONS_ONE_BY_ONE
        inputs = graph.columns[0]
        values = [f"{s.html} = {number(v)}" for s, v in zip(inputs.symbols, inputs.values, strict=True)]
        rest = ", ..." if len(values) > MAX_SHOWN_PRODUCTS else ""
        text = f"The inputs: {', '.join(values[:MAX_SHOWN_PRODUCTS])}{rest}"
        self.steps = [Step(True, node_names(graph, 0, range(len(inputs.symbols))), [], text)]
        for k in range(1, last + 1):
            for group in group_neurons(range(len(graph.columns[k].symbols)), one_by_one):
                self.steps.append(forward_step(graph, self.layout, k, group))
        target = graph.target_symbol.html
        start = f"The backward pass begins at the target: ∂{target}/∂{target} = 1"
        self.steps.append(Step(False, [graph.target], [], start))
        for k in range(last - 1, -1, -1):
            for group in group_neurons(graph.indices_on_paths(k), one_by_one):
                self.steps.append(backward_step(graph, self.layout, k, group))

    def _repr_html_(self) -> str:
        items = "".join(
            f'<li data-pass="{"forward" if step.forward else "backward"}" data-nodes="{" ".join(step.nodes)}" '
            f'data-edges="{" ".join(step.edges)}">{step.html}</li>\n'
            for step in self.steps
        )
        return without_inline_drawings(
            f'{EQUATION_STYLE}{STEPPER_STYLE}<div class="layernet-stepper layernet-derivation">{CONTROLS}'
            f'<div class="picture" style="overflow-x:auto">{graph_svg(self.graph, self.layout)}</div>'
            f"{as_image(self.svg(), label_of(self.graph))}"
            f"<ol>{items}</ol>{legend_html(self.graph)}</div>{SCRIPT}"
        )

    def svg(self) -> str:
        """Draw the graph after the last step, with all values and derivatives, as an SVG document.

        Returns
        -------
        str
        """
        return graph_svg(self.graph, self.layout, document=True)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return mimebundle(self, self.svg())

    def __repr__(self) -> str:
        forward = sum(step.forward for step in self.steps)
        return f"<Stepper: {forward} steps forward and {len(self.steps) - forward} back, of {self.graph!r}>"


def group_neurons(indices: Iterable[int], one_by_one: bool) -> list[list[int]]:
    """Return groups of one neuron each, or one group of all neurons."""
    indices = list(indices)
    return [[index] for index in indices] if one_by_one else [indices]


def node_names(graph: NeuronGraph, depth: int, indices: Iterable[int]) -> list[str]:
    """Return the names of some neurons of a column."""
    return [str(graph.columns[depth].symbols[i]) for i in indices]


def edges_of(graph: NeuronGraph, layout: Layout, edges: Iterable[tuple[Link, int, int]]) -> list[str]:
    """Return the names of edges that are drawn, without repetitions."""
    names = {
        f"{graph.columns[link.start].symbols[i]}-{graph.columns[link.end].symbols[j]}": None
        for link, i, j in edges
        if (link.start, i) in layout.centers and (link.end, j) in layout.centers
    }
    return list(names)


def forward_step(graph: NeuronGraph, layout: Layout, depth: int, neurons: list[int]) -> Step:
    """Return the step that computes the values of some neurons of a column."""
    into = [link for link in graph.links if link.end == depth]
    edges = [(link, int(i), j) for link in into for j in neurons for i in np.flatnonzero(link.connected[:, j])]
    text = (
        weighted_sum(graph, depth, neurons[0]) if len(neurons) == 1 else f"all {len(neurons)} neurons at once"
    )
    return Step(True, node_names(graph, depth, neurons), edges_of(graph, layout, edges), f"Forward: {text}")


def weighted_sum(graph: NeuronGraph, depth: int, neuron: int) -> str:
    """Format the calculation of a neuron's value: "z1 = Sigmoid(0.5 · 1 + 2 · 0.3 + 0.1) = 0.77"."""
    column, before = graph.columns[depth], graph.columns[depth - 1]
    layers = [layer.loss if isinstance(layer, BoundLoss) else layer for layer in column.layers]
    if column.dense is None:
        sources = [before.symbols[i].html for i in np.flatnonzero(column.connected[:, neuron])]
        inner = ", ".join(sources[:MAX_SHOWN_PRODUCTS]) + (", ..." if len(sources) > MAX_SHOWN_PRODUCTS else "")
        first = column.layers[0] if column.layers else None
        inner += f"; target {escape(format_targets(first))}" if isinstance(first, BoundLoss) else ""
    else:
        weights = column.dense.weights[:, neuron]
        pairs = list(zip(weights, before.values, strict=True))
        products = [f"{as_factor(weight)} · {as_factor(value)}" for weight, value in pairs[:MAX_SHOWN_PRODUCTS]]
        if len(weights) > MAX_SHOWN_PRODUCTS:
            products.append("...")
        if column.dense.use_bias:
            products.append(as_factor(column.dense.bias[neuron]))
        inner, layers = " + ".join(products), layers[1:]
    for layer in layers:
        inner = f"{type(layer).__name__}({inner})"
    if column.skip is not None:
        inner += f" + {graph.columns[column.skip].symbols[neuron].html}"
    return f"{column.symbols[neuron].html} = {inner} = <strong>{number(column.values[neuron])}</strong>"


def backward_step(graph: NeuronGraph, layout: Layout, depth: int, neurons: list[int]) -> Step:
    """Return the step that computes the gradients of some neurons from those of the level above."""
    edges = [(link, i, j) for i in neurons for link, j in edges_to_target(graph, depth, i)]
    if len(neurons) == 1:
        text = f"Backward: {equation_of(graph, depth, neurons[0]).html}"
    else:
        text = f"Backward: all {len(neurons)} derivatives of level {depth + 1}, from those of the level above"
    return Step(False, node_names(graph, depth, neurons), edges_of(graph, layout, edges), text)


def format_targets(loss: BoundLoss) -> str:
    """Format the targets of a loss."""
    targets = np.ravel(loss.targets)
    shown = ", ".join(number(target) for target in targets[:MAX_SHOWN_PRODUCTS])
    return shown + (", ..." if len(targets) > MAX_SHOWN_PRODUCTS else "")
