"""Summary of a network as a table, in text and in HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from layernet.display.table import Html, html_table

if TYPE_CHECKING:
    from layernet.layer import Layer


def summary_text(network: Layer) -> str:
    """Return a table of the layers of a network, with the output shape and the number of parameters of each."""
    rows = [("layer", "output shape", "parameters"), *_rows(network, 0)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c.rjust(widths[2])}".rstrip() for a, b, c in rows]
    return "\n".join([lines[0], "-" * (sum(widths) + 4), *lines[1:], _total(network)])


def summary_html(network: Layer) -> str:
    """Return the summary as an HTML table that can be folded."""
    code = '<code style="white-space:pre;background:none">{}</code>'
    rows = [(Html(code.format(escape(name))), shape, count) for name, shape, count in _rows(network, 0)]
    table = html_table(rows, ("layer", "output shape", "parameters"), numeric={2})
    return (
        f"<details open><summary>{escape(type(network).__name__)}: {escape(_total(network))}</summary>\n"
        f'<div style="margin-left:1em">{table}</div></details>'
    )


def _rows(layer: Layer, depth: int) -> Iterator[tuple[str, str, str]]:
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
