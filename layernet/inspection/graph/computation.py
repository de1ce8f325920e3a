"""The computation graph of a network at one sample: every neuron with its value and its gradient."""

from __future__ import annotations

import copy
import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from layernet.containers import Sequential
from layernet.inspection.graph.chain_rule import levels, parameter, paths
from layernet.inspection.graph.counting import Count, count_work
from layernet.inspection.graph.dot import dot
from layernet.inspection.graph.drawing import figure_html, standalone
from layernet.inspection.graph.equations import Derivation, ParameterDerivation
from layernet.inspection.graph.parameters import Place, layers_with_other_parameters, places_of_parameters
from layernet.inspection.graph.stepper import Stepper
from layernet.inspection.graph.structure import Column
from layernet.inspection.graph.symbols import Symbol, number
from layernet.inspection.graph.verification import Verification, verify

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


class ComputationGraph:
    """A network at one sample, neuron by neuron; made by `computation_graph`.

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
        for before, column in zip(self.columns[last - 1 :: -1], self.columns[last:0:-1], strict=True):
            gradient = column.gradients[None] if column.is_neurons else column.gradients[0]
            before.gradients = column.backward(column.inputs[None], gradient)[0]

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
        for before, column in zip(self.columns, self.columns[1:], strict=False):
            for i, j in np.argwhere(column.connected):
                weight = None if column.dense is None else float(column.dense.weights[i, j])
                derivative = float(column.derivatives[i, j])
                edges.append(Edge(str(before.symbols[i]), str(column.symbols[j]), derivative, weight))
        return edges

    @property
    def parameters(self) -> list[str]:
        """The names of weights and biases: "h2.w1" is the first weight of h2, "h2.b" its bias.

        A parameter that belongs to no single neuron has no name here: one inside a `Residual`, for instance.
        """
        return list(self._parameter_places)

    @cached_property
    def _parameter_places(self) -> dict[str, Place]:
        return places_of_parameters(self.columns)

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
        if name not in places:
            message = unknown("parameter", name, near_parameters(str(name), list(self._places), list(places)))
            others = layers_with_other_parameters(self.columns)
            message += f" Those of {', '.join(others)} belong to no single neuron." if others else ""
            raise KeyError(message)
        return places[name]

    # --- what follows from it ---

    def levels(self) -> Derivation:
        """Back-propagation as on the slides, level by level from the target down to the inputs.

        The derivative of each neuron is a sum over the neurons of the level above,

            dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1,

        whose own derivatives are known by then and are used again.

        Returns
        -------
        Derivation
            Print it, or let Jupyter show it; `latex()` for a slide.
        """
        return levels(self)

    def paths(self, name: str) -> Derivation:
        """The derivative with respect to one neuron, written out as the sum over all paths to the target.

        Parameters
        ----------
        name : str
            "x1".

        Returns
        -------
        Derivation
            Factors that occur in more than one path are marked.

        Raises
        ------
        KeyError
            If there is no neuron of this name.
        ValueError
            If there are too many paths to write out.
        """
        return paths(self, name)

    def parameter(self, name: str, learning_rate: float = 0.1) -> ParameterDerivation:
        """The derivative with respect to a weight or a bias, and the step of gradient descent it leads to.

        dL/dw1 = dL/dp dp/dh2 dh2/dw1, and w1 becomes w1 - learning_rate dL/dw1.

        Parameters
        ----------
        name : str
            "h2.w1" is the first weight of h2, "h2.b" its bias; see `parameters`.
        learning_rate : float, default=0.1

        Returns
        -------
        ParameterDerivation

        Raises
        ------
        KeyError
            If there is no parameter of this name; the message lists the near ones.
        """
        return parameter(self, name, learning_rate)

    def count(self) -> Count:
        """The work for the derivatives of all inputs, by paths and by back-propagation, counted by doing both.

        Returns
        -------
        Count
        """
        return count_work(self)

    def verify(self) -> Verification:
        """Compare the gradients with those by edges, by paths, and by central differences.

        Returns
        -------
        Verification
            True if all agree.
        """
        return verify(self)

    # --- pictures ---

    def svg(self) -> str:
        """The graph as an SVG document of its own, for a file or a slide.

        Returns
        -------
        str
        """
        return standalone(self)

    def dot(self) -> str:
        """The graph in the DOT language, for Graphviz and its relatives.

        Returns
        -------
        str
        """
        return dot(self)

    def steps(self) -> Stepper:
        """The forward pass and then the backward pass, neuron by neuron, to step through in a notebook.

        Returns
        -------
        Stepper
            It needs no running kernel; where scripts are stripped it is a still picture and a list.
        """
        return Stepper(self)

    def _repr_html_(self) -> str:
        return figure_html(self)

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
        return f"<ComputationGraph {sizes}: derivatives of {self.target}>"

    def on_the_way(self, depth: int) -> list[int]:
        """The neurons of a column from which a path leads to the target, by their indices."""
        last, index = self.target_place
        if depth > last:
            return []
        reached = np.zeros(len(self.columns[last].symbols), bool)
        reached[index] = True
        for column in self.columns[last:depth:-1]:
            reached = column.connected @ reached
        return [int(i) for i in np.flatnonzero(reached)]


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
