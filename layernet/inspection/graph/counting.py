"""The work for a gradient, by paths and by back-propagation: counted by doing both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layernet.inspection.graph.neurons import NeuronGraph

# Paths that are multiplied out at a time: an index for each edge of each of them is kept.
PATHS_AT_A_TIME = 1 << 14
MOST_PATHS = 100_000_000  # to walk; more would take minutes


@dataclass(frozen=True, eq=False)
class Work:
    """What one way to the derivatives of all inputs did.

    Products begin with 1, so that an edge is one multiplication, as the lecture counts.

    Attributes
    ----------
    evaluations : int
        How often the derivative on an edge was looked up.
    multiplications : int
        How often a number was multiplied by it.
    most_on_an_edge : int
        How often that was done for the edge that was used most.
    gradients : ndarray of shape (n_inputs,)
        What came of it.
    """

    evaluations: int
    multiplications: int
    most_on_an_edge: int
    gradients: np.ndarray


@dataclass(frozen=True, eq=False)
class Count:
    """The work for the derivatives of all inputs, done in two ways.

    Attributes
    ----------
    paths : int
        From all inputs to the target.
    edges : int
        On at least one of them.
    by_paths, by_back_propagation : Work

    Examples
    --------
    >>> from layernet.inspection.graph import lecture_graph
    >>> print(lecture_graph().count())
    8 paths over 10 edges
                         edges evaluated  multiplications  most for one edge
    sum over paths                    24               24                  4
    back-propagation                  10               10                  1
    """

    paths: int
    edges: int
    by_paths: Work
    by_back_propagation: Work

    def __str__(self) -> str:
        lines = [
            f"{self.paths:,} path{'s' if self.paths != 1 else ''} over {self.edges:,} edges",
            f"{'':18}  {'edges evaluated':>16}  {'multiplications':>15}  {'most for one edge':>17}",
        ]
        for name, work in (("sum over paths", self.by_paths), ("back-propagation", self.by_back_propagation)):
            counts = f"{work.evaluations:>16,}  {work.multiplications:>15,}  {work.most_on_an_edge:>17,}"
            lines.append(f"{name:18}  {counts}")
        return "\n".join(lines)

    __repr__ = __str__


class Tally:
    """The local derivatives of a graph, handed out with a note of how often each was asked for."""

    def __init__(self, graph: NeuronGraph):
        self.derivatives = [column.derivatives for column in graph.columns[1:]]
        self.evaluations = [np.zeros(derivatives.shape, int) for derivatives in self.derivatives]
        self.multiplications = 0

    def multiply(self, numbers: np.ndarray, level: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Numbers times the derivatives on edges (starts[n], ends[n]) from one column to the next."""
        derivatives, evaluations = self.derivatives[level], self.evaluations[level]
        edges = starts * derivatives.shape[1] + ends
        evaluations += np.bincount(edges, minlength=derivatives.size).reshape(derivatives.shape)
        self.multiplications += len(numbers)
        return numbers * derivatives.ravel()[edges]

    def work(self, gradients: np.ndarray) -> Work:
        """The account, with what came of the work."""
        most = max((int(count.max(initial=0)) for count in self.evaluations), default=0)
        total = int(sum(count.sum() for count in self.evaluations))
        return Work(total, self.multiplications, most, gradients)


def count_work(graph: NeuronGraph) -> Count:
    """Work out the derivatives of all inputs in both ways, and say what each took.

    Raises
    ------
    ValueError
        If there are so many paths that walking them would take minutes.
    """
    n_paths = int(numbers_of_paths(graph)[0].sum())
    if n_paths > MOST_PATHS:
        raise ValueError(
            f"{n_paths:,} paths lead to {graph.target}, more than {MOST_PATHS:,}: walking them all would take "
            "minutes. Count on a smaller network."
        )
    by_paths, by_back_propagation = sum_over_paths(graph), back_propagate(graph)
    n_edges = sum(int(starts.size) for _, starts, _ in edges_to_target(graph))
    return Count(n_paths, n_edges, by_paths, by_back_propagation)


def sum_over_paths(graph: NeuronGraph) -> Work:
    """Multiply out each path from its one end to the other, and add up the products."""
    tally, last = Tally(graph), graph.target_place[0]
    gradients = np.zeros(len(graph.columns[0].symbols))
    for nodes in all_paths(graph):
        products = np.ones(nodes.shape[1])
        for level in range(last - 1, -1, -1):
            products = tally.multiply(products, level, nodes[level], nodes[level + 1])
        gradients += np.bincount(nodes[0], products, minlength=len(gradients))
    return tally.work(gradients)


def back_propagate(graph: NeuronGraph) -> Work:
    """Go level by level from the target, and use each level's sums for the next."""
    tally = Tally(graph)
    gradients = np.zeros(len(graph.columns[graph.target_place[0]].symbols))
    gradients[graph.target_place[1]] = 1
    for level, starts, ends in edges_to_target(graph):
        products = tally.multiply(gradients[ends], level, starts, ends)
        gradients = np.bincount(starts, products, minlength=len(graph.columns[level].symbols))
    return tally.work(gradients)


def edges_to_target(graph: NeuronGraph) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The edges on at least one path, as (column of the starts, starts, ends), from the target's on."""
    for level in range(graph.target_place[0] - 1, -1, -1):
        connected = np.zeros_like(graph.columns[level + 1].connected)
        ends = graph.on_the_way(level + 1)
        connected[:, ends] = graph.columns[level + 1].connected[:, ends]
        yield level, *np.nonzero(connected)


def all_paths(graph: NeuronGraph) -> Iterator[np.ndarray]:
    """All paths from the inputs to the target, some at a time: a column a path, a row a level's neurons."""
    last, target = graph.target_place
    begun = [np.arange(len(graph.columns[0].symbols))[None]]
    while begun:
        paths = begun.pop()
        level, n_paths = len(paths) - 1, paths.shape[1]
        if level == last:
            yield paths[:, paths[-1] == target]
        elif n_paths > PATHS_AT_A_TIME:
            begun += np.array_split(paths, -(-n_paths // PATHS_AT_A_TIME), axis=1)
        else:
            which, ends = np.nonzero(graph.columns[level + 1].connected[paths[-1]])
            begun.append(np.concatenate([paths[:, which], ends[None]]))


def numbers_of_paths(graph: NeuronGraph) -> list[np.ndarray]:
    """How many paths lead from each neuron to the target, column by column up to its own; none is walked."""
    end, place = graph.target_place
    ways = np.zeros(len(graph.columns[end].symbols), dtype=object)  # whole numbers of any size
    ways[place] = 1
    numbers = [ways]
    for column in graph.columns[end:0:-1]:
        ways = column.connected.astype(object) @ ways
        numbers.append(ways)
    return numbers[::-1]
