"""Graph of a network at one sample: neurons with values and gradients, edges with derivatives."""

from __future__ import annotations

import copy
import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from layernet.containers import Sequential
from layernet.graph.parameters import (
    ParameterPosition,
    layers_with_shared_parameters,
    parameter_positions,
    shared_parameter_positions,
)
from layernet.graph.structure import Column
from layernet.graph.symbols import Derivative, Symbol, number

MAX_COMPARED_NAMES = 2_000  # names that an unknown name is compared with


@dataclass(frozen=True)
class Node:
    """Neuron of a graph.

    Attributes
    ----------
    name : str
        "h2".
    value : float
        Output of the neuron.
    gradient : float
        The derivative of the graph's target with respect to it.
    """

    name: str
    value: float
    gradient: float


@dataclass(frozen=True)
class Edge:
    """Connection of two neurons.

    Attributes
    ----------
    start, end : str
        Names of the neurons.
    derivative : float
        d end / d start.
    weight : float or None
        Weight of the connection, if the layer is dense.
    """

    start: str
    end: str
    derivative: float
    weight: float | None


@dataclass(frozen=True, eq=False)
class Link:
    """All edges from one column to another.

    Attributes
    ----------
    start, end : int
        The two columns.
    connected : ndarray of bool, of shape (n_start, n_end)
    derivatives : ndarray of that shape
        d end[j] / d start[i].
    is_skip : bool
        Whether these are skip connections around the body of a `Residual`, with derivative 1.
    """

    start: int
    end: int
    connected: np.ndarray
    derivatives: np.ndarray
    is_skip: bool


class NeuronGraph:
    """Neurons of a network at one sample, and the edges between them.

    A node is a neuron: an activation of a weighted sum. Values come from the layers' forward passes. Gradients
    and local derivatives on edges come from their backward passes.

    Attributes
    ----------
    network : Sequential
        A copy of the network with its loss, if there is one. Changing the copy does not change the graph.
    target : str
        The differentiated node: the loss L, or an output.
    target_symbol : Symbol
        Its symbol, for LaTeX and HTML.
    target_position : tuple of int
        Its column, and its index in the column.
    columns : list of Column
        Arrays of the neurons, inputs first.
    """

    def __init__(self, network: Sequential, columns: list[Column], target: Symbol):
        self._network = network
        self.columns = columns
        self.target = str(target)
        self.target_symbol = target
        self._positions = {str(s): (k, i) for k, c in enumerate(columns) for i, s in enumerate(c.symbols)}
        self.target_position = self._positions[self.target]
        self._fill_gradients()

    def _fill_gradients(self) -> None:
        """Compute all gradients by one backward pass through the layers, from the target to the inputs."""
        last, index = self.target_position
        for column in self.columns:
            column.gradients = np.zeros_like(column.values)
        self.columns[last].gradients[index] = 1
        for depth in range(last, 0, -1):
            column, before = self.columns[depth], self.columns[depth - 1]
            gradient = column.gradients[None] if column.is_neurons else column.gradients[0]
            before.gradients += column.backward(column.inputs[None], gradient)[0]
            if column.skip is not None:
                self.columns[column.skip].gradients += column.gradients

    # --- nodes, edges and parameters ---

    @property
    def network(self) -> Sequential:
        return copy.deepcopy(self._network)

    def node(self, name: str) -> Node:
        """Return a neuron by its name.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        column, index = self.position(name)
        values, gradients = self.columns[column].values, self.columns[column].gradients
        return Node(name, float(values[index]), float(gradients[index]))

    @property
    def nodes(self) -> list[Node]:
        """All neurons, the inputs first."""
        return [self.node(name) for name in self._positions]

    @property
    def edges(self) -> list[Edge]:
        """All edges, those from the inputs first."""
        edges = []
        for link in self.links:
            starts, ends = self.columns[link.start].symbols, self.columns[link.end].symbols
            dense = None if link.is_skip else self.columns[link.end].dense
            for i, j in np.argwhere(link.connected):
                weight = None if dense is None else float(dense.weights[i, j])
                edges.append(Edge(str(starts[i]), str(ends[j]), float(link.derivatives[i, j]), weight))
        return edges

    @cached_property
    def links(self) -> list[Link]:
        """The edges between columns, ordered by the columns where they end."""
        links = []
        for end, column in enumerate(self.columns[1:], start=1):
            links.append(Link(end - 1, end, column.connected, column.derivatives, False))
            if column.skip is not None:  # both edges into a sum have the derivative 1
                links.append(Link(column.skip, end, column.connected, column.derivatives, True))
        return links

    @property
    def has_skips(self) -> bool:
        """Whether there is a skip connection."""
        return any(column.skip is not None for column in self.columns)

    def derivative_on(self, link: Link, i: int, j: int) -> Derivative:
        """Return the symbol of the derivative on an edge of a link, from neuron `i` to neuron `j`."""
        of, to = self.columns[link.end].symbols[j], self.columns[link.start].symbols[i]
        return Derivative(of, to, is_skip=link.is_skip)

    def links_from(self, depth: int) -> list[Link]:
        """Return the links out of a column that end no later than the target's column."""
        return [link for link in self.links if link.start == depth and link.end <= self.target_position[0]]

    @property
    def parameters(self) -> list[str]:
        """The names of weights and biases: "h2.w1" is the first weight of h2, "h2.b" its bias.

        Parameters that act on several neurons are among the `shared_parameters`.
        """
        return list(self._parameter_positions)

    @property
    def shared_parameters(self) -> list[str]:
        """The names of parameters that act on several neurons: "h.factor[0]" is the first of h's `factor`.

        They belong to a layer that mixes its neurons, or to layers deep inside a `Concat`.
        """
        return list(self._shared_parameter_positions)

    @cached_property
    def _parameter_positions(self) -> dict[str, ParameterPosition]:
        return parameter_positions(self.columns)

    @cached_property
    def _shared_parameter_positions(self) -> dict[str, ParameterPosition]:
        return shared_parameter_positions(self.columns, self._parameter_positions)

    def position(self, name: str) -> tuple[int, int]:
        """Return column and index of a neuron.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        if name not in self._positions:
            raise KeyError(unknown_name_message("node", name, list(self._positions)))
        return self._positions[name]

    def parameter_position(self, name: str) -> ParameterPosition:
        """Return the position of a parameter.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        places = self._parameter_positions
        if name in places:
            return places[name]
        if name in self._shared_parameter_positions:
            return self._shared_parameter_positions[name]
        similar = near_parameters(str(name), list(self._positions), list(places))
        message = unknown_name_message("parameter", name, similar)
        others = layers_with_shared_parameters(self.columns, self._shared_parameter_positions)
        if others:
            example = next(iter(self._shared_parameter_positions))
            message += f" Those of {', '.join(others)} act on several neurons: use {example}, ..."
        raise KeyError(message)

    def __str__(self) -> str:
        widths = [max(len(str(s)) for c in self.columns for s in c.symbols), 12]
        lines = [f"{'':{widths[0]}}  {'value':>{widths[1]}}  {'d' + self.target + '/d...':>{widths[1]}}"]
        for column in self.columns:
            shown = list(zip(column.symbols, column.values, column.gradients, strict=True))[:8]
            for symbol, *numbers in shown:
                columns = "  ".join(number(value).rjust(widths[1]) for value in numbers)
                lines.append(f"{symbol!s:{widths[0]}}  {columns}")
            if len(column.symbols) > 8:
                lines.append(f"... and {len(column.symbols) - 8} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        sizes = "-".join(str(len(column.symbols)) for column in self.columns if column.is_neurons)
        return f"<{type(self).__name__} {sizes}: derivatives of {self.target}>"

    @cached_property
    def reaches_target(self) -> list[np.ndarray]:
        """For each column a mask of the neurons with a path to the target."""
        last, index = self.target_position
        reaches_target = [np.zeros(len(column.symbols), bool) for column in self.columns]
        reaches_target[last][index] = True
        for link in reversed(self.links):
            if link.end <= last:
                reaches_target[link.start] |= link.connected @ reaches_target[link.end]
        return reaches_target

    def indices_on_paths(self, depth: int) -> list[int]:
        """Return the indices of a column's neurons with a path to the target."""
        return [int(i) for i in np.flatnonzero(self.reaches_target[depth])]

    def values_with_changed_column(self, depth: int, row: np.ndarray) -> list[np.ndarray]:
        """Return the values of all columns up to the target's, for changed values of one column.

        Parameters
        ----------
        depth : int
        row : ndarray of shape (n_neurons,)
        """
        values = [*(column.values for column in self.columns[:depth]), row]
        for column in self.columns[depth + 1 : self.target_position[0] + 1]:
            values.append(column.values_from(values))
        return values


def unknown_name_message(kind: str, name: str, known: list[str]) -> str:
    """Write the message about an unknown name, with similar names or the first ones."""
    near = difflib.get_close_matches(str(name), known, n=5, cutoff=0.4)
    near += [other for other in known if str(name) in other.split(".") and other not in near][: 8 - len(near)]
    listed = ", ".join(near or known[:8]) or "none"
    return f"There is no {kind} {name!r} in this graph. {'Similar names are' if near else 'It has'} {listed}."


def near_parameters(name: str, neurons: list[str], known: list[str]) -> list[str]:
    """Return the parameters of neurons with similar names; comparing all parameters would take seconds."""
    if len(known) <= MAX_COMPARED_NAMES:
        return known
    near = difflib.get_close_matches(name.partition(".")[0], neurons, n=3, cutoff=0.4)
    return [other for other in known if other.partition(".")[0] in near][:MAX_COMPARED_NAMES] or known[:8]
