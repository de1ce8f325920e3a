"""A network at one sample as a graph of neurons: names, values, gradients, and derivatives on edges."""

from __future__ import annotations

import copy
import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from layernet.containers import Sequential
from layernet.graph.parameters import (
    Place,
    layers_with_shared_parameters,
    places_of_parameters,
    places_of_shared_parameters,
)
from layernet.graph.structure import Column
from layernet.graph.symbols import Derivative, Symbol, number

MOST_COMPARED = 2_000  # names that an unknown one is compared with


@dataclass(frozen=True)
class Node:
    """A neuron of a graph.

    Attributes
    ----------
    name : str
        "h2".
    value : float
        What it puts out.
    gradient : float
        The derivative of the graph's target with respect to it.
    """

    name: str
    value: float
    gradient: float


@dataclass(frozen=True)
class Edge:
    """A connection of two neurons.

    Attributes
    ----------
    start, end : str
        Names of the neurons.
    derivative : float
        d end / d start.
    weight : float or None
        What the value of `start` is multiplied by, where the layer is dense.
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
        Whether these lead around the body of a `Residual`: the derivative on each is 1.
    """

    start: int
    end: int
    connected: np.ndarray
    derivatives: np.ndarray
    is_skip: bool


class NeuronGraph:
    """The neurons of a network at one sample, and the edges between them.

    A node is a neuron: an activation of a weighted sum. Values come from the layers' forward passes,
    gradients from their backward passes, and so does the local derivative on every edge.

    Attributes
    ----------
    network : Sequential
        A new copy of the network as it was, with its loss if there is one: whatever is done with it, the graph
        stays as it is.
    target : str
        The node whose derivatives these are: the loss L, or an output.
    target_symbol : Symbol
        The same, to be written in LaTeX or in HTML.
    target_place : tuple of int
        Its column, and its index there.
    columns : list of Column
        The neurons as arrays, inputs first.
    """

    def __init__(self, network: Sequential, columns: list[Column], target: Symbol):
        self._network = network
        self.columns = columns
        self.target = str(target)
        self.target_symbol = target
        self._places = {str(s): (k, i) for k, c in enumerate(columns) for i, s in enumerate(c.symbols)}
        self.target_place = self._places[self.target]
        self._fill_gradients()

    def _fill_gradients(self):
        """One backward pass through the layers, from the target to the inputs."""
        last, index = self.target_place
        for column in self.columns:
            column.gradients = np.zeros_like(column.values)
        self.columns[last].gradients[index] = 1
        for depth in range(last, 0, -1):
            column, before = self.columns[depth], self.columns[depth - 1]
            gradient = column.gradients[None] if column.is_neurons else column.gradients[0]
            before.gradients += column.backward(column.inputs[None], gradient)[0]
            if column.skip is not None:
                self.columns[column.skip].gradients += column.gradients

    # --- what is in it ---

    @property
    def network(self) -> Sequential:
        return copy.deepcopy(self._network)

    def node(self, name: str) -> Node:
        """A neuron by its name.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        column, index = self.place(name)
        values, gradients = self.columns[column].values, self.columns[column].gradients
        return Node(name, float(values[index]), float(gradients[index]))

    @property
    def nodes(self) -> list[Node]:
        """All neurons, the inputs first."""
        return [self.node(name) for name in self._places]

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
        """The edges between columns, in the order of the columns where they end."""
        links = []
        for end, column in enumerate(self.columns[1:], start=1):
            links.append(Link(end - 1, end, column.connected, column.derivatives, False))
            if column.skip is not None:  # a sum: both of its edges have the derivative 1
                links.append(Link(column.skip, end, column.connected, column.derivatives, True))
        return links

    @property
    def has_skips(self) -> bool:
        """Whether an edge leads around columns."""
        return any(column.skip is not None for column in self.columns)

    def derivative_on(self, link: Link, i: int, j: int) -> Derivative:
        """The symbol of the derivative on an edge, from neuron `i` of the link's first column to `j`."""
        of, to = self.columns[link.end].symbols[j], self.columns[link.start].symbols[i]
        return Derivative(of, to, is_skip=link.is_skip)

    def links_from(self, depth: int) -> list[Link]:
        """The edges out of a column, as far as the target's."""
        return [link for link in self.links if link.start == depth and link.end <= self.target_place[0]]

    @property
    def parameters(self) -> list[str]:
        """The names of weights and biases: "h2.w1" is the first weight of h2, "h2.b" its bias.

        Parameters that belong to no single neuron are among the `shared_parameters`.
        """
        return list(self._parameter_places)

    @property
    def shared_parameters(self) -> list[str]:
        """The names of parameters that act on several neurons: "h.factor[0]" is the first of h's `factor`.

        Those of a layer that mixes its neurons, and those of layers deep inside a `Concat`.
        """
        return list(self._shared_places)

    @cached_property
    def _parameter_places(self) -> dict[str, Place]:
        return places_of_parameters(self.columns)

    @cached_property
    def _shared_places(self) -> dict[str, Place]:
        return places_of_shared_parameters(self.columns, self._parameter_places)

    def place(self, name: str) -> tuple[int, int]:
        """Column and index of a neuron.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        if name not in self._places:
            raise KeyError(unknown("node", name, list(self._places)))
        return self._places[name]

    def place_of_parameter(self, name: str) -> Place:
        """Where a parameter is.

        Raises
        ------
        KeyError
            If there is none of this name; the message lists the near ones.
        """
        places = self._parameter_places
        if name in places:
            return places[name]
        if name in self._shared_places:
            return self._shared_places[name]
        message = unknown("parameter", name, near_parameters(str(name), list(self._places), list(places)))
        others = layers_with_shared_parameters(self.columns, self._shared_places)
        if others:
            example = next(iter(self._shared_places))
            message += f" Those of {', '.join(others)} belong to no single neuron: ask for {example}, ..."
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
    def reaches(self) -> list[np.ndarray]:
        """Of each column, from which neurons a path leads to the target, as an array of truths."""
        last, index = self.target_place
        reaches = [np.zeros(len(column.symbols), bool) for column in self.columns]
        reaches[last][index] = True
        for link in reversed(self.links):
            if link.end <= last:
                reaches[link.start] |= link.connected @ reaches[link.end]
        return reaches

    def on_the_way(self, depth: int) -> list[int]:
        """The neurons of a column from which a path leads to the target, by their indices."""
        return [int(i) for i in np.flatnonzero(self.reaches[depth])]

    def values_with(self, depth: int, row: np.ndarray) -> list[np.ndarray]:
        """The values of all columns up to the target's, if those of one column were others.

        Parameters
        ----------
        depth : int
        row : ndarray of shape (n_neurons,)
        """
        values = [column.values for column in self.columns[:depth]] + [row]
        for column in self.columns[depth + 1 : self.target_place[0] + 1]:
            values.append(column.values_from(values))
        return values


def unknown(kind: str, name: str, known: list[str]) -> str:
    """What to say about a name that is not there: those that are near, or the first few."""
    near = difflib.get_close_matches(str(name), known, n=5, cutoff=0.4)
    near += [other for other in known if str(name) in other.split(".") and other not in near][: 8 - len(near)]
    listed = ", ".join(near or known[:8]) or "none"
    return f"There is no {kind} {name!r} in this graph. {'Near ones are' if near else 'It has'} {listed}."


def near_parameters(name: str, neurons: list[str], known: list[str]) -> list[str]:
    """Of many parameters those of neurons whose names are near: to compare all would take seconds."""
    if len(known) <= MOST_COMPARED:
        return known
    near = difflib.get_close_matches(name.partition(".")[0], neurons, n=3, cutoff=0.4)
    return [other for other in known if other.partition(".")[0] in near][:MOST_COMPARED] or known[:8]
