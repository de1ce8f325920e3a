"""The graph of a network layer by layer, for networks that cannot be drawn neuron by neuron."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from layernet.containers import chain_of
from layernet.inspection.graph.drawing import FONT, opening, short, shortened, svg_text
from layernet.inspection.graph.symbols import number
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss

CHAIN_BOX = {"width": 330, "height": 50, "gap": 26}

# What a graph of neurons has, and this one cannot have.
OF_NEURONS = (
    "levels",
    "paths",
    "parameter",
    "parameters",
    "count",
    "verify",
    "steps",
    "node",
    "edges",
    "columns",
)


@dataclass(frozen=True)
class LayerNode:
    """A layer in the chain, with what passes it for one sample.

    Attributes
    ----------
    name : str
        The layer as it is written; "inputs" for the first.
    shape : tuple of int
        Of its outputs, without the batch axis.
    parameters : int
    value, gradient : float
        Root mean square of its outputs, and of the target's derivatives with respect to them.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    value: float
    gradient: float


class LayerGraph:
    """A network as a chain of layers; `computation_graph` makes it where single neurons cannot be shown.

    Attributes
    ----------
    network : Layer
    reason : str
        Why it is not drawn neuron by neuron.
    target : str
        What is derived: the loss, or without one the largest output.
    nodes : list of LayerNode
        The inputs first.
    """

    def __init__(self, network: Layer, sample: np.ndarray, reason: str):
        self.network = network
        self.reason = reason
        chain, rows = list(chain_of(network)), [sample[None]]
        for layer in chain:
            rows.append(layer.forward_pass(rows[-1]))
        outputs = rows[-1]
        self.target = "the loss" if np.ndim(outputs) == 0 else "the largest output"
        asks = np.zeros_like(outputs)
        asks.flat[np.argmax(outputs)] = 1
        gradients = [asks if np.ndim(outputs) else np.ones_like(outputs)]
        for layer, inputs in zip(reversed(chain), reversed(rows[:-1]), strict=True):
            gradients.append(layer.backward_pass(inputs, gradients[-1]))
        names = [
            "inputs",
            *(repr(layer.loss) if isinstance(layer, BoundLoss) else repr(layer) for layer in chain),
        ]
        sizes = [0, *(layer.parameter_vector.size if layer.has_parameters else 0 for layer in chain)]
        self.nodes = [
            LayerNode(name, np.shape(row)[1:], size, root_mean_square(row), root_mean_square(gradient))
            for name, row, size, gradient in zip(names, rows, sizes, reversed(gradients), strict=True)
        ]

    def __getattr__(self, name: str) -> Any:
        if name in OF_NEURONS:
            raise AttributeError(f"This graph shows whole layers and has no {name}, because {self.reason}.")
        raise AttributeError(f"LayerGraph has no attribute {name!r}.")

    def __str__(self) -> str:
        rows = [("layer", "output shape", "parameters", "value", "gradient")]
        rows += [
            (n.name, str(n.shape), f"{n.parameters:,}", number(n.value), number(n.gradient)) for n in self.nodes
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = []
        for name, *cells in rows:
            columns = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *columns]))
        head = f"Drawn layer by layer, because {self.reason}. Derivatives are those of {self.target}."
        return "\n".join([head, *lines])

    __repr__ = __str__

    def svg(self) -> str:
        """The chain as an SVG document of its own.

        Returns
        -------
        str
        """
        return chain_svg(self, document=True)

    def dot(self) -> str:
        """The chain in the DOT language.

        Returns
        -------
        str
        """
        return chain_dot(self)

    def _repr_html_(self) -> str:
        return chain_html(self)


def root_mean_square(array: np.ndarray) -> float:
    """The size of a typical entry."""
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if np.size(array) else 0.0


def chain_svg(graph: LayerGraph, document: bool = False) -> str:
    """Layers as boxes from top to bottom, with shapes, parameters, and sizes of values and gradients."""
    width, height, gap = CHAIN_BOX["width"], CHAIN_BOX["height"], CHAIN_BOX["gap"]
    total = len(graph.nodes) * (height + gap) - gap + 4
    middle = width / 2 + 2
    parts = [opening(width + 4, total, "The layers of a network", document)]
    for index, node in enumerate(graph.nodes):
        y = 2 + index * (height + gap)
        if index:
            parts.append(
                f'<path d="M{middle} {y - gap}V{y - 3}m-4 -6l4 6l4 -6" fill="none" stroke="currentColor"/>'
            )
        shape = " by ".join(map(str, node.shape)) or "one number"
        count = f", {node.parameters:,} parameters" if node.parameters else ""
        sizes = f"{shape}{count}; values {short(node.value)}, ∂ {short(node.gradient)}"
        parts.append(
            f'<g class="layer"><title>{escape(node.name)}</title><rect x="2" y="{y}" width="{width}" '
            f'height="{height}" rx="7" fill="none" stroke="currentColor" stroke-width="1.3"/>'
            f"{svg_text(middle, y + 20, shortened(node.name, 44), 13)}{svg_text(middle, y + 39, sizes, 11)}</g>"
        )
    return "\n".join([*parts, "</svg>"])


def chain_html(graph: LayerGraph) -> str:
    """The chain with the reason why it is one, for Jupyter."""
    return (
        f'<div class="layernet-graph"><div style="font:0.85em/1.4 {FONT};max-width:46em">Drawn layer by layer, '
        f"because {escape(graph.reason)}. Values, and derivatives of {escape(graph.target)} after ∂, are root "
        "mean squares for one sample.</div>"
        f'<div style="overflow-x:auto">{chain_svg(graph)}</div></div>'
    )


def chain_dot(graph: LayerGraph) -> str:
    """A layer a node.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    str
    """
    lines = ["digraph network {", "  node [shape=box];"]
    for index, node in enumerate(graph.nodes):
        name = node.name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  {index} [label="{name}\\n{node.shape}"];')
    lines += [f"  {index} -> {index + 1};" for index in range(len(graph.nodes) - 1)]
    return "\n".join([*lines, "}"]) + "\n"
