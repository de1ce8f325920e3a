"""The graph of a network layer by layer, for networks that cannot be drawn neuron by neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.containers import chain_of
from layernet.inspection.graph.dot import chain_dot
from layernet.inspection.graph.drawing import chain_document, chain_html
from layernet.inspection.graph.symbols import number
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss

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
        return chain_document(self)

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
