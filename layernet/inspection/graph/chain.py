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
    nodes : list of LayerNode
        The inputs first. The target is the loss, or the sum of all outputs where there is none.
    """

    def __init__(self, network: Layer, sample: np.ndarray, reason: str):
        self.network = network
        self.reason = reason
        chain, rows = list(chain_of(network)), [sample[None]]
        for layer in chain:
            rows.append(layer.forward_pass(rows[-1]))
        gradients = [np.ones_like(rows[-1])]
        for layer, inputs in zip(reversed(chain), reversed(rows[:-1]), strict=True):
            gradients.append(layer.backward_pass(inputs, gradients[-1]))
        names = ["inputs", *map(repr, chain)]
        sizes = [0, *(layer.parameter_vector.size if layer.has_parameters else 0 for layer in chain)]
        self.nodes = [
            LayerNode(name, np.shape(row)[1:], size, root_mean_square(row), root_mean_square(gradient))
            for name, row, size, gradient in zip(names, rows, sizes, reversed(gradients), strict=True)
        ]

    def __getattr__(self, name: str) -> Any:
        if name in ("levels", "paths", "parameter", "count", "verify", "steps", "node", "edges", "columns"):
            raise AttributeError(f"This graph shows whole layers and has no {name}, because {self.reason}.")
        raise AttributeError(f"LayerGraph has no attribute {name!r}.")

    def __str__(self) -> str:
        rows = [("layer", "output shape", "parameters", "value", "gradient")]
        rows += [
            (n.name, str(n.shape), f"{n.parameters:,}", number(n.value), number(n.gradient)) for n in self.nodes
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = []
        for name, *numbers in rows:
            columns = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *columns]))
        return "\n".join([f"Drawn layer by layer, because {self.reason}.", *lines])

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
