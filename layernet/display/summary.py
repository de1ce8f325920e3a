"""Summary of a network: a table for the terminal, and one for Jupyter."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layernet.layer import Layer


def summary_text(network: Layer) -> str:
    """A table of a network's layers: what goes out of each, and how many parameters it has."""
    rows = [("layer", "output shape", "parameters"), *_rows(network, 0)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c.rjust(widths[2])}".rstrip() for a, b, c in rows]
    return "\n".join([lines[0], "-" * (sum(widths) + 4), *lines[1:], _total(network)])


def summary_html(network: Layer) -> str:
    """The same as a table that can be folded, with inline styles; readable as text where tags are stripped."""
    cell = 'style="text-align:left;padding:1px 12px 1px 0"'
    number = 'style="text-align:right;padding:1px 0 1px 12px;font-variant-numeric:tabular-nums"'
    body = "".join(
        f'<tr><td {cell}><code style="white-space:pre;background:none">{escape(name)}</code></td> '
        f"<td {cell}>{escape(shape)}</td> <td {number}>{escape(count)}</td></tr>\n"
        for name, shape, count in _rows(network, 0)
    )
    return (
        f"<details open><summary>{escape(type(network).__name__)}: {escape(_total(network))}</summary>\n"
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:4px 0 4px 1em">\n'
        f"<thead><tr><th {cell}>layer</th> <th {cell}>output shape</th> <th {number}>parameters</th></tr>"
        "</thead>\n"
        f"<tbody>\n{body}</tbody></table></div></details>"
    )


def _rows(layer: Layer, depth: int):
    if not layer.layers:
        yield "  " * depth + repr(layer), _shape(layer), _count(layer)
        return
    yield "  " * depth + type(layer).__name__, _shape(layer), ""
    for inner in layer.layers:
        yield from _rows(inner, depth + 1)


def _shape(layer: Layer) -> str:
    if layer.output_shape is None:
        return "not built"
    return "(" + ", ".join(["n", *map(str, layer.output_shape)]) + ")"


def _count(layer: Layer) -> str:
    return f"{layer.parameter_vector.size:,}" if layer.has_parameters else ""


def _total(network: Layer) -> str:
    if network.input_shape is None:
        return "not built; build(input_shape) creates the parameters."
    return (
        f"{network.parameter_vector.size:,} parameters ({network.dtype}), "
        f"inputs of shape (n, {', '.join(map(str, network.input_shape))})."
    )
