"""Drawings of graphs as SVG, with values, gradients, and the contribution of each edge to a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from itertools import pairwise

import numpy as np

from layernet.display.drawing import MINUS, PLUS, as_image, without_inline_drawings
from layernet.graph.layout import LANE_DISTANCE, NODE_HEIGHT, NODE_WIDTH, Layout, lay_out
from layernet.graph.neurons import Link, NeuronGraph
from layernet.graph.structure import Column
from layernet.graph.symbols import Symbol, number
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss

POSITIVE_COLOR, NEGATIVE_COLOR, ZERO_COLOR = PLUS, MINUS, "#888888"

FONT = "system-ui, sans-serif"
MAX_TITLE_LETTERS = 25  # letters above a column
LETTER_WIDTH = 7
MAX_DESCRIBED_NEURONS = 8  # neurons of a column, in words
BAR_LENGTH = 6  # half the length of the bar across an edge with a negative contribution

# A separate file cannot inherit the page's text color.
OWN_COLORS = """<style>
svg { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
</style>"""

LEGEND_WIDTH = 560
# Behavior of these layers in inference mode.
BEHAVIOR_IN_INFERENCE = {
    "BatchNorm": "uses its running averages",
    "Dropout": "drops nothing",
    "GaussianNoise": "adds nothing",
}


def graph_svg(graph: NeuronGraph, layout: Layout, document: bool = False) -> str:
    """Draw a graph as an SVG element that inherits its text color from the page.

    Parameters
    ----------
    graph : NeuronGraph
    layout : Layout
    document : bool, default=False
        Whether to draw a separate document with its own colors.

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
    for x, y, n_omitted in layout.folded.values():
        parts.append(svg_text(x, y - 10, "⋮", 18) + svg_text(x, y + 10, f"{n_omitted} with smaller ∂", 10.5))
    if document:
        for line, note in enumerate(reversed(notes)):
            parts.append(svg_text(width / 2, height - 12 - 16 * line, note, 11))
    return "\n".join([*parts, "</svg>"])


def opening(width: float, height: float, label: str, document: bool, description: str = "") -> str:
    """Return the opening tag of an SVG element, which may shrink a little, with label and description.

    Screen readers read the label and the description.
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
    """Return the alternative text of the drawing."""
    sizes = [len(column.symbols) for column in graph.columns if column.is_neurons]
    skips = " with skip connections" if graph.has_skips else ""
    return (
        f"The graph of a network of {' - '.join(map(str, sizes))} neurons{skips}: values, and derivatives of "
        f"{graph.target}"
    )


def description_of(graph: NeuronGraph) -> str:
    """Describe the drawing in words."""
    columns = []
    for column in graph.columns:
        rows = zip(column.symbols, column.values, column.gradients, strict=True)
        nodes = [f"{s} = {short(v)} (d{graph.target}/d{s} = {short(g)})" for s, v, g in rows]
        columns.append(
            ", ".join(nodes[:MAX_DESCRIBED_NEURONS]) + (", ..." if len(nodes) > MAX_DESCRIBED_NEURONS else "")
        )
    return "; ".join(columns)


def column_names(graph: NeuronGraph, layout: Layout) -> list[str]:
    """Draw the names of each column's layers above the column."""
    names = ["inputs"]
    for before, column in pairwise(graph.columns):
        layers = [layer.loss if isinstance(layer, BoundLoss) else layer for layer in column.layers]
        name = ", ".join(type(layer).__name__ for layer in layers)
        if column.skip is not None:
            name = f"{before.symbols[0].column} + {graph.columns[column.skip].symbols[0].column}"
        names.append(f"{truncated(name, MAX_TITLE_LETTERS - 1)}†" if depends_on_mode(column) else name)
    names = [truncated(name, MAX_TITLE_LETTERS) for name in names]
    places = [
        next(x for (k, _), (x, _) in layout.centers.items() if k == column) for column in range(len(names))
    ]
    pairs = zip(names, names[1:], places, places[1:], strict=False)
    # Names at one height if they fit beside each other, else at two heights in turn.
    crowded = any((len(a) + len(b)) / 2 * LETTER_WIDTH > right - left for a, b, left, right in pairs)
    return [
        svg_text(x, 31 if crowded and k % 2 else 16, name, 11)
        for k, (name, x) in enumerate(zip(names, places, strict=True))
    ]


def draw_edges(graph: NeuronGraph, layout: Layout) -> list[str]:
    """Draw a line for every edge between drawn neurons."""
    flows: dict[tuple[Link, int, int], float] = {}
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
        # Widths grow with the square root: gradients of early layers are small, and their lines would be too
        # thin.
        width = 1 + 4 * math.sqrt(abs(flow) / largest) if largest else 1
        how = f"weight {number(dense.weights[i, j])}, " if dense is not None else ""
        how = "skip connection, " if link.is_skip else how
        hint = (
            f"{start} to {end}: {how}{graph.derivative_on(link, i, j)} = {number(derivative)}; "
            f"times d{graph.target}/d{end} it is {number(flow)}"
        )
        label = short(derivative) if layout.has_edge_numbers else ""
        draw = skip_line if link.is_skip else straight_line
        line = draw(layout, link, i, j, flow, width, label)
        parts.append(f'<g class="edge" data-edge="{start}-{end}"><title>{escape(hint)}</title>{line}</g>')
    return parts


def stroke(flow: float, width: float) -> str:
    """Return the stroke of an edge, by sign and size of its contribution to the gradient."""
    color = POSITIVE_COLOR if flow > 0 else NEGATIVE_COLOR if flow < 0 else ZERO_COLOR
    return f'stroke="{color}" stroke-width="{width:.1f}"' + ("" if flow else ' stroke-dasharray="3 4"')


def straight_line(layout: Layout, link: Link, i: int, j: int, flow: float, width: float, label: str) -> str:
    """Draw an edge to the next column; a negative contribution has a bar across, near its start."""
    (ax, ay), (bx, by) = layout.centers[link.start, i], layout.centers[link.end, j]
    ax, bx = ax + NODE_WIDTH / 2, bx - NODE_WIDTH / 2
    length, angle = math.hypot(bx - ax, by - ay), math.degrees(math.atan2(by - ay, bx - ax))
    turned = f"translate({ax:.1f} {ay:.1f}) rotate({angle:.1f})"
    line = f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" {stroke(flow, width)}/>'
    if flow < 0:
        reach = BAR_LENGTH + width / 2
        line += (
            f'<path class="minus" d="M{0.11 * length:.1f} {-reach:.1f}v{2 * reach:.1f}" '
            f'transform="{turned}" stroke="{NEGATIVE_COLOR}" stroke-width="2"/>'
        )
    if label:
        # Along the line near its start, where the lines of one neuron have separated, but behind the vertical
        # parts of skip connections.
        ups = [
            distance_of_vertical(layout, lane)
            for (column, _, _), lane in layout.lanes.items()
            if column == link.start
        ]
        place = max(0.16 * length, *(up + 5 for up in ups)) if ups else 0.16 * length
        line += svg_text(place, -3 - width / 2, label, 10.5, transform=turned, anchor="start")
    return line


def skip_line(layout: Layout, link: Link, i: int, j: int, flow: float, width: float, label: str) -> str:
    """Draw a skip connection: up between two columns, along above all neurons, and down again."""
    (ax, ay), (bx, by) = layout.centers[link.start, i], layout.centers[link.end, j]
    lane, width = layout.lanes[link.start, link.end, i], min(width, 2.0)
    away = NODE_WIDTH / 2 + distance_of_vertical(layout, lane)
    up, down = ax + away, bx - away
    path = f"M{ax + NODE_WIDTH / 2:.1f} {ay - 12:.1f}H{up:.1f}V{lane:.1f}H{down:.1f}V{by - 12:.1f}"
    line = (
        f'<path class="skip" d="{path}H{bx - NODE_WIDTH / 2:.1f}" fill="none" stroke-linejoin="round" '
        f"{stroke(flow, width)}/>"
    )
    if flow < 0:
        x, reach = ax + NODE_WIDTH / 2 + 5, BAR_LENGTH + width / 2 - 2
        line += (
            f'<path class="minus" d="M{x:.1f} {ay - 12 - reach:.1f}v{2 * reach:.1f}" '
            f'stroke="{NEGATIVE_COLOR}" stroke-width="2"/>'
        )
    return line


def distance_of_vertical(layout: Layout, lane: float) -> int:
    """Return the distance of a lane's vertical parts from the column.

    Outer lanes are nearer to the neurons, so that no lines cross.
    """
    return 12 + 4 * min(round((lane - min(layout.lanes.values())) / LANE_DISTANCE), 5)


def draw_nodes(graph: NeuronGraph, layout: Layout) -> list[str]:
    """Draw every shown neuron, with its name, value and gradient inside."""
    parts = []
    for (k, i), (x, y) in layout.centers.items():
        column = graph.columns[k]
        symbol, value, gradient = column.symbols[i], float(column.values[i]), float(column.gradients[i])
        is_target = (k, i) == graph.target_position
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
    """Draw a neuron's name with its indices."""
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
    """Draw a line of text at a point, in the page's color."""
    more = (f' class="{css}"' if css else "") + (f' transform="{transform}"' if transform else "")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-family="{FONT}" '
        f'fill="currentColor"{more}>{escape(content)}</text>'
    )


def short(value: float) -> str:
    """Write a number with three digits, which fit into a neuron."""
    return number(float(f"{value:.3g}"))


def truncated(words: str, length: int) -> str:
    """Truncate words to a length, with an ellipsis."""
    return words if len(words) <= length else words[: length - 1] + "…"


def depends_on_mode(column: Column) -> bool:
    """Return whether a layer of a column behaves differently in training."""
    return any(inner.uses_batch_info for layer in column.layers for inner in layer.walk())


def notes_on(graph: NeuronGraph) -> list[str]:
    """Return notes on a drawing: a sentence about layers that behave differently in training."""
    layers = [layer for column in graph.columns for layer in column.layers]
    note = note_on_mode(layers)
    return [f"† {note}"] if note else []


def note_on_mode(layers: Iterable[Layer]) -> str:
    """Write which layers behave differently in training; empty if there are none."""
    kinds = dict.fromkeys(type(inner) for layer in layers for inner in layer.walk() if inner.uses_batch_info)
    names = [
        f"{kind.__name__} {BEHAVIOR_IN_INFERENCE.get(kind.__name__, 'behaves as in prediction')}"
        for kind in kinds
    ]
    return f"In inference mode, not as in training: {'; '.join(names)}." if names else ""


def legend_text(graph: NeuronGraph) -> str:
    """Explain the colors of the edges in one line."""
    return f"Orange edges add to the derivative of {graph.target} at their start; blue ones (barred) subtract."


def legend_html(graph: NeuronGraph) -> str:
    """Explain the drawing, as HTML."""
    target = graph.target_symbol.html
    numbers = ", on each edge its local derivative" if lay_out(graph).has_edge_numbers else ""
    orange, blue = (
        f'<span style="border-bottom:3px solid {color}">{name}</span>'
        for color, name in ((POSITIVE_COLOR, "Orange"), (NEGATIVE_COLOR, "blue"))
    )
    skips = ""
    if graph.has_skips:
        skips = (
            " A line around columns is a skip connection. It ends in a sum; the local derivative of both "
            "edges into a sum is 1."
        )
    notes = "".join(f"<br>{escape(note)}" for note in notes_on(graph))
    return (
        f'<div style="font:0.85em/1.4 {FONT};max-width:48em">In each neuron: its value, and after ∂ the '
        f"derivative of {target} with respect to it{numbers}. Each edge adds (derivative at "
        "its end) * (its local derivative) to the derivative at its start. "
        f"{orange} edges add a positive number, {blue} edges with a bar a negative one; wide edges add more."
        f"{skips}{notes}</div>"
    )


def figure_html(graph: NeuronGraph) -> str:
    """Return the drawing with its legend for Jupyter; wide drawings scroll.

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
