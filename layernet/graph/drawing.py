"""Graphs as pictures: SVG with values, gradients, and what flows back along each edge."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from itertools import pairwise

import numpy as np

from layernet.display.drawing import MINUS, PLUS, as_image, without_inline_drawings
from layernet.graph.layout import LANE, NODE_HEIGHT, NODE_WIDTH, Layout, lay_out
from layernet.graph.neurons import Link, NeuronGraph
from layernet.graph.structure import Column
from layernet.graph.symbols import Symbol, number
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss

ADDS, TAKES_AWAY, NEITHER = PLUS, MINUS, "#888888"

FONT = "system-ui, sans-serif"
LONGEST_NAME = 25  # letters above a column
LETTER_WIDTH = 7
MOST_DESCRIBED = 8  # neurons of a column, in words
BAR = 6  # half the length of the bar across an edge that takes away

# In a file of its own the picture cannot take the page's text color.
OWN_COLORS = """<style>
svg { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
</style>"""

LEGEND_WIDTH = 560
# What these layers do in inference mode.
IN_INFERENCE = {
    "BatchNorm": "takes its running averages",
    "Dropout": "lets everything pass",
    "GaussianNoise": "adds nothing",
}


def graph_svg(graph: NeuronGraph, layout: Layout, document: bool = False) -> str:
    """The graph as an SVG element that takes its text color from the page.

    Parameters
    ----------
    graph : NeuronGraph
    layout : Layout
    document : bool, default=False
        Whether it is to stand alone, with colors of its own.

    Returns
    -------
    str
    """
    notes = [legend_text(graph), *notes_on(graph)]
    height = layout.height + (12 + 16 * len(notes) if document else 0)
    width = max(layout.width, LEGEND_WIDTH) if document else layout.width
    parts = [opening(width, height, label_of(graph), document, description_of(graph))]
    parts += column_names(graph, layout)
    parts += draw_edges(graph, layout)
    parts += draw_nodes(graph, layout)
    for x, y, hidden in layout.folded.values():
        parts.append(svg_text(x, y - 10, "⋮", 18) + svg_text(x, y + 10, f"{hidden} with smaller ∂", 10.5))
    if document:
        for line, note in enumerate(reversed(notes)):
            parts.append(svg_text(width / 2, height - 12 - 16 * line, note, 11))
    return "\n".join([*parts, "</svg>"])


def opening(width: float, height: float, label: str, document: bool, description: str = "") -> str:
    """The start of an SVG element of a natural size, which shrinks a little where there is no room.

    Its label and its description are for those who do not see it.
    """
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if document else ""
    style = (
        ""
        if document
        else f' style="width:100%;height:auto;max-width:{width:.0f}px;min-width:{0.72 * width:.0f}px"'
    )
    words = f"<title>{escape(label)}</title>" + (f"<desc>{escape(description)}</desc>" if description else "")
    return (
        f'<svg{namespace} viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(label)}"{style}>' + words + (OWN_COLORS if document else "")
    )


def label_of(graph: NeuronGraph) -> str:
    """What the picture is, in a line: its alternative text."""
    sizes = [len(column.symbols) for column in graph.columns if column.is_neurons]
    skips = " with skip connections" if graph.has_skips else ""
    return (
        f"The graph of a network of {' - '.join(map(str, sizes))} neurons{skips}: values, and derivatives of "
        f"{graph.target}"
    )


def description_of(graph: NeuronGraph) -> str:
    """What is seen in the picture, in words."""
    said = []
    for column in graph.columns:
        rows = zip(column.symbols, column.values, column.gradients, strict=True)
        nodes = [f"{s} = {short(v)} (d{graph.target}/d{s} = {short(g)})" for s, v, g in rows]
        said.append(", ".join(nodes[:MOST_DESCRIBED]) + (", ..." if len(nodes) > MOST_DESCRIBED else ""))
    return "; ".join(said)


def column_names(graph: NeuronGraph, layout: Layout) -> list[str]:
    """What computes each column, above it."""
    names = ["inputs"]
    for before, column in pairwise(graph.columns):
        layers = [layer.loss if isinstance(layer, BoundLoss) else layer for layer in column.layers]
        name = ", ".join(type(layer).__name__ for layer in layers)
        if column.skip is not None:
            name = f"{before.symbols[0].column} + {graph.columns[column.skip].symbols[0].column}"
        names.append(f"{shortened(name, LONGEST_NAME - 1)}†" if depends_on_mode(column) else name)
    names = [shortened(name, LONGEST_NAME) for name in names]
    places = [
        next(x for (k, _), (x, _) in layout.centers.items() if k == column) for column in range(len(names))
    ]
    pairs = zip(names, names[1:], places, places[1:], strict=False)
    # Names at one height where they have room beside each other, and else at two in turn.
    crowded = any((len(a) + len(b)) / 2 * LETTER_WIDTH > right - left for a, b, left, right in pairs)
    return [
        svg_text(x, 31 if crowded and k % 2 else 16, name, 11)
        for k, (name, x) in enumerate(zip(names, places, strict=True))
    ]


def draw_edges(graph: NeuronGraph, layout: Layout) -> list[str]:
    """A line for every edge between neurons that are shown."""
    flows = {}
    for link in graph.links:
        gradients = graph.columns[link.end].gradients
        for i, j in np.argwhere(link.connected):
            if (link.start, i) in layout.centers and (link.end, j) in layout.centers:
                flows[link, int(i), int(j)] = float(gradients[j] * link.derivatives[i, j])
    largest = max(map(abs, flows.values()), default=0.0)
    parts = []
    for (link, i, j), flow in flows.items():
        start, end = graph.columns[link.start].symbols[i], graph.columns[link.end].symbols[j]
        derivative = float(link.derivatives[i, j])
        dense = None if link.is_skip else graph.columns[link.end].dense
        # By the root, for gradients of early layers are small: their lines would all be hairlines.
        width = 1 + 4 * math.sqrt(abs(flow) / largest) if largest else 1
        how = f"weight {number(dense.weights[i, j])}, " if dense is not None else ""
        how = "around the layers between, " if link.is_skip else how
        hint = (
            f"{start} to {end}: {how}{graph.derivative_on(link, i, j)} = {number(derivative)}; "
            f"d{graph.target}/d{end} times it is {number(flow)}"
        )
        label = short(derivative) if layout.has_edge_numbers else ""
        draw = skip_line if link.is_skip else straight_line
        line = draw(layout, link, i, j, flow, width, label)
        parts.append(f'<g class="edge" data-edge="{start}-{end}"><title>{escape(hint)}</title>{line}</g>')
    return parts


def stroke(flow: float, width: float) -> str:
    """How an edge is drawn, by the sign and the size of what flows back."""
    color = ADDS if flow > 0 else TAKES_AWAY if flow < 0 else NEITHER
    return f'stroke="{color}" stroke-width="{width:.1f}"' + ("" if flow else ' stroke-dasharray="3 4"')


def straight_line(layout: Layout, link: Link, i: int, j: int, flow: float, width: float, label: str) -> str:
    """An edge to the next column; one that takes away has a bar across, near its start."""
    (ax, ay), (bx, by) = layout.centers[link.start, i], layout.centers[link.end, j]
    ax, bx = ax + NODE_WIDTH / 2, bx - NODE_WIDTH / 2
    length, angle = math.hypot(bx - ax, by - ay), math.degrees(math.atan2(by - ay, bx - ax))
    turned = f"translate({ax:.1f} {ay:.1f}) rotate({angle:.1f})"
    line = f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" {stroke(flow, width)}/>'
    if flow < 0:
        reach = BAR + width / 2
        line += (
            f'<path class="minus" d="M{0.11 * length:.1f} {-reach:.1f}v{2 * reach:.1f}" '
            f'transform="{turned}" stroke="{TAKES_AWAY}" stroke-width="2"/>'
        )
    if label:
        # Along the line near its start, where the lines from one neuron have parted and others are far, but
        # behind those that go up there to lead around columns.
        ups = [beside(layout, lane) for (column, _, _), lane in layout.lanes.items() if column == link.start]
        place = max(0.16 * length, *(up + 5 for up in ups)) if ups else 0.16 * length
        line += svg_text(place, -3 - width / 2, label, 10.5, transform=turned, anchor="start")
    return line


def skip_line(layout: Layout, link: Link, i: int, j: int, flow: float, width: float, label: str) -> str:
    """An edge around columns: up between two columns, along above all neurons, and down again."""
    (ax, ay), (bx, by) = layout.centers[link.start, i], layout.centers[link.end, j]
    lane, width = layout.lanes[link.start, link.end, i], min(width, 2.0)
    away = NODE_WIDTH / 2 + beside(layout, lane)
    up, down = ax + away, bx - away
    path = f"M{ax + NODE_WIDTH / 2:.1f} {ay - 12:.1f}H{up:.1f}V{lane:.1f}H{down:.1f}V{by - 12:.1f}"
    line = (
        f'<path class="skip" d="{path}H{bx - NODE_WIDTH / 2:.1f}" fill="none" stroke-linejoin="round" '
        f"{stroke(flow, width)}/>"
    )
    if flow < 0:
        x, reach = ax + NODE_WIDTH / 2 + 5, BAR + width / 2 - 2
        line += (
            f'<path class="minus" d="M{x:.1f} {ay - 12 - reach:.1f}v{2 * reach:.1f}" '
            f'stroke="{TAKES_AWAY}" stroke-width="2"/>'
        )
    return line


def beside(layout: Layout, lane: float) -> int:
    """How far from a column the line of a lane goes up or down.

    Each has a place of its own, the outer ones nearer to the neurons, so that none cross.
    """
    return 12 + 4 * min(round((lane - min(layout.lanes.values())) / LANE), 5)


def draw_nodes(graph: NeuronGraph, layout: Layout) -> list[str]:
    """A shape for every neuron that is shown, with its name, value and gradient inside."""
    parts = []
    for (k, i), (x, y) in layout.centers.items():
        column = graph.columns[k]
        symbol, value, gradient = column.symbols[i], float(column.values[i]), float(column.gradients[i])
        is_target = (k, i) == graph.target_place
        hint = f"{symbol} = {number(value)}, d{graph.target}/d{symbol} = {number(gradient)}"
        parts.append(
            f'<g class="node" data-node="{symbol}"><title>{hint}</title>'
            f'<rect x="{x - NODE_WIDTH / 2:.1f}" y="{y - NODE_HEIGHT / 2:.1f}" width="{NODE_WIDTH}" '
            f'height="{NODE_HEIGHT}" rx="{NODE_HEIGHT / 2}" fill="none" stroke="currentColor" '
            f'stroke-width="{2.5 if is_target else 1.2}"/>'
            f"{node_label(x, y - 10, symbol)}"
            f"{svg_text(x, y + 6, short(value), 11, css='value')}"
            f"{svg_text(x, y + 20, f'∂ {short(gradient)}', 11, css='gradient')}</g>"
        )
    return parts


def node_label(x: float, y: float, symbol: Symbol) -> str:
    """A neuron's name, with its indices where they belong."""
    above = "" if symbol.layer is None else f'<tspan dy="-5" font-size="9">({symbol.layer})</tspan>'
    drop = 4 if symbol.layer is None else 9
    below = "" if symbol.index is None else f'<tspan dy="{drop}" font-size="10">{symbol.index}</tspan>'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="15" font-style="italic" '
        f'font-family="Georgia, serif" fill="currentColor">{symbol.letter}{above}{below}</text>'
    )


def svg_text(
    x: float,
    y: float,
    content: str,
    size: float,
    css: str = "",
    transform: str = "",
    anchor: str = "middle",
) -> str:
    """A line of text at a point, in the page's color."""
    more = (f' class="{css}"' if css else "") + (f' transform="{transform}"' if transform else "")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-family="{FONT}" '
        f'fill="currentColor"{more}>{escape(content)}</text>'
    )


def short(value: float) -> str:
    """A number in three digits, which have room in a neuron."""
    return number(float(f"{value:.3g}"))


def shortened(words: str, length: int) -> str:
    """Words cut to a length, with a sign that they were."""
    return words if len(words) <= length else words[: length - 1] + "…"


def depends_on_mode(column: Column) -> bool:
    """Whether a layer of a column does something else in training."""
    return any(inner.uses_batch_info for layer in column.layers for inner in layer.walk())


def notes_on(graph: NeuronGraph) -> list[str]:
    """What else has to be said of a picture, a sentence each: that some layers are not as in training."""
    layers = [layer for column in graph.columns for layer in column.layers]
    note = note_on_mode(layers)
    return [f"† {note}"] if note else []


def note_on_mode(layers: Iterable[Layer]) -> str:
    """Which of some layers are in inference mode, where they do something else than in training."""
    kinds = dict.fromkeys(type(inner) for layer in layers for inner in layer.walk() if inner.uses_batch_info)
    names = [f"{kind.__name__} {IN_INFERENCE.get(kind.__name__, 'as in prediction')}" for kind in kinds]
    return f"In inference mode, not as in training: {'; '.join(names)}." if names else ""


def legend_text(graph: NeuronGraph) -> str:
    """What the lines mean, in a line."""
    return f"Orange edges add to the derivative of {graph.target} at their start; blue ones (barred) subtract."


def legend_html(graph: NeuronGraph) -> str:
    """What is seen, for a page."""
    target = graph.target_symbol.html
    numbers = ", on each edge its local derivative" if lay_out(graph).has_edge_numbers else ""
    orange, blue = (
        f'<span style="border-bottom:3px solid {color}">{name}</span>'
        for color, name in ((ADDS, "Orange"), (TAKES_AWAY, "blue"))
    )
    skips = ""
    if graph.has_skips:
        skips = (
            " An edge that leads around columns is a skip connection. It ends in a sum; the local derivative "
            "of both edges into a sum is 1."
        )
    notes = "".join(f"<br>{escape(note)}" for note in notes_on(graph))
    return (
        f'<div style="font:0.85em/1.4 {FONT};max-width:48em">In each neuron: its value, and after ∂ the '
        f"derivative of {target} with respect to it{numbers}. What flows back along an edge, the derivative "
        "at its end times its own, is a part of the derivative at its start. "
        f"{orange} edges add to it, {blue} ones take away from it (a bar lies across); the wider, the more."
        f"{skips}{notes}</div>"
    )


def figure_html(graph: NeuronGraph) -> str:
    """The picture with its legend, for Jupyter; it scrolls where it is wider than the page.

    Parameters
    ----------
    graph : NeuronGraph

    Returns
    -------
    str
    """
    layout = lay_out(graph)
    image = as_image(graph_svg(graph, layout, document=True), label_of(graph))
    return without_inline_drawings(
        f'<div class="layernet-graph"><div style="overflow-x:auto">{graph_svg(graph, layout)}</div>'
        f"{image}{legend_html(graph)}</div>"
    )
