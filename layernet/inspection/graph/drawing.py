"""Graphs as pictures: SVG with values, gradients, and what flows back along each edge."""

from __future__ import annotations

import math
from html import escape

from layernet.inspection.graph.layout import NODE_HEIGHT, NODE_WIDTH, Layout, lay_out
from layernet.inspection.graph.neurons import NeuronGraph
from layernet.inspection.graph.symbols import Symbol, number
from layernet.losses.loss import BoundLoss

# Two colours that most colour-blind readers tell apart, and that show on white and on black.
ADDS, TAKES_AWAY, NEITHER = "#d55e00", "#0072b2", "#888888"

FONT = "system-ui, sans-serif"
LONGEST_NAME = 25  # letters above a column
LETTER_WIDTH = 7

# In a file of its own the picture cannot take the page's text colour.
OWN_COLORS = """<style>
svg { color: #1f2328; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
</style>"""

LEGEND_WIDTH = 560


def graph_svg(graph: NeuronGraph, layout: Layout, document: bool = False) -> str:
    """The graph as an SVG element that takes its text colour from the page.

    Parameters
    ----------
    graph : NeuronGraph
    layout : Layout
    document : bool, default=False
        Whether it is to stand alone, with colours of its own.

    Returns
    -------
    str
    """
    height = layout.height + (28 if document else 0)
    width = max(layout.width, LEGEND_WIDTH) if document else layout.width
    parts = [opening(width, height, f"The graph of a network: {graph!r}"[:120], document)]
    parts += column_names(graph, layout)
    parts += draw_edges(graph, layout)
    parts += draw_nodes(graph, layout)
    for x, y, hidden in layout.folded.values():
        parts.append(svg_text(x, y - 10, "⋮", 18) + svg_text(x, y + 10, f"{hidden} with smaller ∂", 10.5))
    if document:
        parts.append(svg_text(width / 2, height - 12, legend_text(graph), 11))
    return "\n".join([*parts, "</svg>"])


def opening(width: float, height: float, label: str, document: bool) -> str:
    """The start of an SVG element of a natural size, which shrinks a little where there is no room."""
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if document else ""
    style = (
        ""
        if document
        else f' style="width:100%;height:auto;max-width:{width:.0f}px;min-width:{0.72 * width:.0f}px"'
    )
    return (
        f'<svg{namespace} viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(label)}"{style}>' + (OWN_COLORS if document else "")
    )


def column_names(graph: NeuronGraph, layout: Layout) -> list[str]:
    """What computes each column, above it."""
    names = ["inputs"]
    for column in graph.columns[1:]:
        layers = [layer.loss if isinstance(layer, BoundLoss) else layer for layer in column.layers]
        names.append(", ".join(type(layer).__name__ for layer in layers))
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
    for k, j in layout.centers:
        if k == 0:
            continue
        column = graph.columns[k]
        for i in range(len(graph.columns[k - 1].symbols)):
            if column.connected[i, j] and (k - 1, i) in layout.centers:
                flows[k, i, j] = float(column.gradients[j] * column.derivatives[i, j])
    largest = max(map(abs, flows.values()), default=0.0)
    parts = []
    for (k, i, j), flow in flows.items():
        column, start, end = graph.columns[k], graph.columns[k - 1].symbols[i], graph.columns[k].symbols[j]
        derivative = float(column.derivatives[i, j])
        color = ADDS if flow > 0 else TAKES_AWAY if flow < 0 else NEITHER
        # By the root, for gradients of early layers are small: their lines would all be hairlines.
        width = 1 + 4 * math.sqrt(abs(flow) / largest) if largest else 1
        (ax, ay), (bx, by) = layout.centers[k - 1, i], layout.centers[k, j]
        ax, bx = ax + NODE_WIDTH / 2, bx - NODE_WIDTH / 2
        weight = "" if column.dense is None else f"weight {number(column.dense.weights[i, j])}, "
        hint = (
            f"{start} to {end}: {weight}d{end}/d{start} = {number(derivative)}; "
            f"d{graph.target}/d{end} times it is {number(flow)}"
        )
        dashes = "" if flow else ' stroke-dasharray="3 4"'
        label = ""
        if layout.has_edge_numbers:
            angle = math.degrees(math.atan2(by - ay, bx - ax))
            # Along the line near its start, where the lines from one neuron have parted and others are far.
            turned = f"translate({ax:.1f} {ay:.1f}) rotate({angle:.1f})"
            label = svg_text(
                0.16 * math.hypot(bx - ax, by - ay),
                -3 - width / 2,
                short(derivative),
                10.5,
                transform=turned,
                anchor="start",
            )
        parts.append(
            f'<g class="edge" data-edge="{start}-{end}"><title>{escape(hint)}</title>'
            f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" '
            f'stroke="{color}" stroke-width="{width:.1f}"{dashes}/>{label}</g>'
        )
    return parts


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
    """A line of text at a point, in the page's colour."""
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


def legend_text(graph: NeuronGraph) -> str:
    """What the lines mean, in a line."""
    return f"Orange edges add to the derivative of {graph.target} at their start, blue ones take away from it."


def legend_html(graph: NeuronGraph) -> str:
    """What is seen, for a page."""
    target = graph.target_symbol.html
    numbers = ", on each edge its local derivative" if lay_out(graph).has_edge_numbers else ""
    orange, blue = (
        f'<span style="border-bottom:3px solid {color}">{name}</span>'
        for color, name in ((ADDS, "Orange"), (TAKES_AWAY, "blue"))
    )
    return (
        f'<div style="font:0.85em/1.4 {FONT};max-width:48em">In each neuron: its value, and after ∂ the '
        f"derivative of {target} with respect to it{numbers}. What flows back along an edge, the derivative "
        "at its end times its own, is a part of the derivative at its start. "
        f"{orange} edges add to it, {blue} ones take away from it; the wider, the more.</div>"
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
    picture = graph_svg(graph, lay_out(graph))
    return f'<div class="layernet-graph"><div style="overflow-x:auto">{picture}</div>{legend_html(graph)}</div>'
