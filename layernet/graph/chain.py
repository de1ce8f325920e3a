"""Graph of a network layer by layer, for networks that cannot be drawn neuron by neuron."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from layernet.containers import Residual, chain_of, keeps_passes_of
from layernet.display.drawing import as_image, mimebundle, without_inline_drawings
from layernet.graph.drawing import FONT, note_on_mode, opening, short, svg_text, truncated
from layernet.graph.symbols import number
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss

LAYER_BOX = {"width": 330, "height": 50, "gap": 26}
LAYER_LANE = 14  # distance of skip connections
MAX_DESCRIBED_LAYERS = 20  # layers, in words

# Attributes of a `ComputationGraph` that need single neurons.
NEURON_GRAPH_ONLY = (
    "levels",
    "paths",
    "parameter",
    "parameters",
    "shared_parameters",
    "count",
    "verify",
    "steps",
    "node",
    "edges",
    "columns",
)


@dataclass(frozen=True)
class LayerNode:
    """Layer of the chain, with the sizes of its outputs and gradients for one sample.

    Attributes
    ----------
    name : str
        Representation of the layer; "inputs" for the first node.
    shape : tuple of int
        Shape of its outputs, without the batch axis.
    parameters : int
    value, gradient : float
        Root mean square of its outputs, and of the target's gradient with respect to them.
    skip : int or None
        For the sum at the end of a `Residual`: number of the node at its beginning, whose values are added.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    value: float
    gradient: float
    skip: int | None = None


@dataclass(frozen=True)
class ChainStep:
    """Step of the forward pass: a layer, or the sum at the end of a `Residual`.

    Attributes
    ----------
    name : str
    layer : Layer or None
        None for a sum.
    source : int or None
        For a sum: number of the node that is added to the values before the sum.
    """

    name: str
    layer: Layer | None = None
    source: int | None = None


class LayerGraph:
    """Chain of a network's layers; `computation_graph` returns it if single neurons cannot be drawn.

    Attributes
    ----------
    network : Layer
    reason : str
        Why the network is not drawn neuron by neuron.
    target : str
        The differentiated quantity: the loss, or without a loss the largest output.
    nodes : list of LayerNode
        The inputs first.
    """

    def __init__(self, network: Layer, sample: np.ndarray, reason: str):
        self.network = network
        self.reason = reason
        steps = chain_steps(network)
        rows = [sample[None]]
        for step in steps:
            if step.layer is not None:
                rows.append(step.layer.forward_pass(rows[-1]))
            else:
                rows.append(rows[step.source or 0] + rows[-1])
        outputs = rows[-1]
        self.target = "the loss" if np.ndim(outputs) == 0 else "the largest output"
        gradients: list[Any] = [0.0] * len(rows)
        gradients[-1] = np.zeros_like(outputs) if np.ndim(outputs) else np.ones_like(outputs)
        if np.ndim(outputs):
            gradients[-1].flat[np.argmax(outputs)] = 1
        for place in range(len(steps) - 1, -1, -1):
            step, gradient = steps[place], gradients[place + 1]
            if step.layer is None:
                source = step.source or 0
                gradients[source] = gradients[source] + gradient
            else:
                gradient = step.layer.backward_pass(rows[place], gradient)
            gradients[place] = gradients[place] + gradient
        self.nodes = [
            LayerNode(
                step.name,
                np.shape(row)[1:],
                step.layer.parameter_vector.size if step.layer is not None and step.layer.has_parameters else 0,
                root_mean_square(row),
                root_mean_square(gradient),
                step.source,
            )
            for step, row, gradient in zip([ChainStep("inputs"), *steps], rows, gradients, strict=True)
        ]

    def __getattr__(self, name: str) -> Any:
        if name in NEURON_GRAPH_ONLY:
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
        note = self.note
        return "\n".join([head, *lines, note] if note else [head, *lines])

    __repr__ = __str__

    @property
    def note(self) -> str:
        """Layers that behave differently in training, as a sentence; empty if there are none."""
        return note_on_mode([self.network])

    def svg(self) -> str:
        """Draw the chain as an SVG document.

        Returns
        -------
        str
        """
        return chain_svg(self, document=True)

    def dot(self) -> str:
        """Write the chain in the DOT language.

        Returns
        -------
        str
        """
        return chain_dot(self)

    def _repr_html_(self) -> str:
        return chain_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return mimebundle(self, self.svg())


def root_mean_square(array: np.ndarray) -> float:
    """Return the root mean square of an array."""
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if np.size(array) else 0.0


def chain_steps(network: Layer, n_before: int = 1) -> list[ChainStep]:
    """Return the steps of a network's forward pass; a `Residual` becomes the steps of its body and a sum.

    Parameters
    ----------
    network : Layer
    n_before : int, default=1
        Number of nodes before the network, at least one for the inputs.

    Returns
    -------
    list of ChainStep
    """
    steps: list[ChainStep] = []
    for layer in chain_of(network):
        if isinstance(layer, Residual) and keeps_passes_of(layer, Residual):
            source = n_before + len(steps) - 1
            steps += chain_steps(layer.body, n_before + len(steps))
            steps.append(ChainStep("Residual: the sum", None, source))
        else:
            steps.append(ChainStep(repr(layer.loss if isinstance(layer, BoundLoss) else layer), layer))
    return steps


def chain_svg(graph: LayerGraph, document: bool = False) -> str:
    """Draw layers as boxes from top to bottom, with shapes, parameters, and sizes of values and gradients."""
    width, height, gap = LAYER_BOX["width"], LAYER_BOX["height"], LAYER_BOX["gap"]
    n_lanes = sum(node.skip is not None for node in graph.nodes)
    note = graph.note if document else ""
    lines = textwrap.wrap(note, 58)
    end = len(graph.nodes) * (height + gap) - gap + 4
    middle = width / 2 + 2
    label = f"The layers of a network, with derivatives of {graph.target}"
    described = "; ".join(f"{node.name}: {size_of(node)}" for node in graph.nodes[:MAX_DESCRIBED_LAYERS])
    total_width = width + 4 + (LAYER_LANE * (n_lanes + 1) if n_lanes else 0)
    parts = [opening(total_width, end + 16 * len(lines), label, document, described)]
    lane = 0
    for index, node in enumerate(graph.nodes):
        y = 2 + index * (height + gap)
        if index:
            parts.append(
                f'<path d="M{middle} {y - gap}V{y - 3}m-4 -6l4 6l4 -6" fill="none" stroke="currentColor"/>'
            )
        if node.skip is not None:
            lane += 1
            top, x = 2 + node.skip * (height + gap) + height - 8, width + 2 + LAYER_LANE * lane
            parts.append(
                f'<path class="skip" d="M{width + 2} {top}H{x}V{y + 14}H{width + 5}m6 -4l-6 4l6 4" fill="none" '
                'stroke="currentColor"><title>a skip connection: added as it is</title></path>'
            )
        parts.append(
            f'<g class="layer"><title>{escape(node.name)}</title><rect x="2" y="{y}" width="{width}" '
            f'height="{height}" rx="7" fill="none" stroke="currentColor" stroke-width="1.3"/>'
            f"{svg_text(middle, y + 20, truncated(node.name, 44), 13)}"
            f"{svg_text(middle, y + 39, size_of(node), 11)}</g>"
        )
    for line_number, line in enumerate(lines, start=1):
        parts.append(svg_text(middle, end + 16 * line_number - 4, line, 11))
    return "\n".join([*parts, "</svg>"])


def size_of(node: LayerNode) -> str:
    """Describe a layer's shape, parameters, values and gradients in a line."""
    shape = " by ".join(map(str, node.shape)) or "one number"
    count = f", {node.parameters:,} parameters" if node.parameters else ""
    return f"{shape}{count}; values {short(node.value)}, ∂ {short(node.gradient)}"


def chain_html(graph: LayerGraph) -> str:
    """Return the drawing for Jupyter, with the reason why it shows layers and not neurons."""
    note = f"<br>{escape(graph.note)}" if graph.note else ""
    image = as_image(chain_svg(graph, document=True), f"The layers of a network: {graph.reason}")
    return without_inline_drawings(
        f'<div class="layernet-graph"><div style="font:0.85em/1.4 {FONT};max-width:46em">Drawn layer by layer, '
        f"because {escape(graph.reason)}. Values, and derivatives of {escape(graph.target)} after ∂, are root "
        f"mean squares for one sample.{note}</div>"
        f'<div style="overflow-x:auto">{chain_svg(graph)}</div>{image}</div>'
    )


def chain_dot(graph: LayerGraph) -> str:
    """Write a chain in DOT: one node for each layer.

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
    lines += [f"  {node.skip} -> {k};" for k, node in enumerate(graph.nodes) if node.skip is not None]
    return "\n".join([*lines, "}"]) + "\n"
