"""The work for a gradient, by paths and by back-propagation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.graph.neurons import Link, NeuronGraph

# Paths that are multiplied out at a time: an index for each edge of each of them is kept.
PATHS_AT_A_TIME = 1 << 14
MOST_WALKED = 2_000_000  # of more paths the numbers alone are found, without a walk


@dataclass(frozen=True, eq=False)
class Work:
    """What one way to the derivatives of all inputs takes.

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
        What came of it; of more than two million paths as back-propagation found it, for none is walked.
    """

    evaluations: int
    multiplications: int
    most_on_an_edge: int
    gradients: np.ndarray


@dataclass(frozen=True, eq=False)
class Count:
    """The work for the derivatives of all inputs, in two ways.

    Attributes
    ----------
    paths : int
        From all inputs to the target.
    edges : int
        On at least one of them.
    by_paths, by_back_propagation : Work

    Examples
    --------
    >>> from layernet.graph import lecture_graph
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

    def __init__(self, links: list[Link]):
        self.links = links
        self.evaluations = [np.zeros(link.derivatives.shape, int) for link in links]
        self.multiplications = 0

    def multiply(self, numbers: np.ndarray, link: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Numbers times the derivatives on edges (starts[n], ends[n]) of a link."""
        derivatives, evaluations = self.links[link].derivatives, self.evaluations[link]
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
    """What the derivatives of all inputs take in both ways.

    Up to two million paths are walked, which gives their sum as well. Of more paths the edges are counted
    without a walk: an edge lies on (paths from the inputs to its start) * (paths from its end to the target).
    """
    n_paths = int(numbers_of_paths(graph)[0].sum())
    by_back_propagation = back_propagate(graph)
    if n_paths <= MOST_WALKED:
        by_paths = sum_over_paths(graph)
    else:
        by_paths = work_of_paths(graph, by_back_propagation.gradients)
    n_edges = sum(int(connected.sum()) for _, connected in links_to_target(graph))
    return Count(n_paths, n_edges, by_paths, by_back_propagation)


def work_of_paths(graph: NeuronGraph, gradients: np.ndarray) -> Work:
    """What it would take to multiply out all paths, found without walking one."""
    to_target = numbers_of_paths(graph)
    from_inputs = [np.zeros(len(column.symbols), dtype=object) for column in graph.columns]
    from_inputs[0][:] = 1
    total, most = 0, 0
    for link, connected in links_to_target(graph):
        from_inputs[link.end] = from_inputs[link.end] + from_inputs[link.start] @ connected.astype(object)
        for i, j in np.argwhere(connected):
            times = int(from_inputs[link.start][i] * to_target[link.end][j])
            total, most = total + times, max(most, times)
    return Work(total, total, most, gradients)


def sum_over_paths(graph: NeuronGraph) -> Work:
    """Multiply out each path by itself, from its input to the target, and add up the products."""
    links = links_to_target(graph)
    tally, last = Tally([link for link, _ in links]), graph.target_place[0]
    gradients = np.zeros(len(graph.columns[0].symbols))
    inputs = np.array(graph.on_the_way(0), dtype=int)
    # Paths that have come as far as a column: where they are, where they began, and their edges so far.
    begun = [(0, inputs, inputs, [])]
    while begun:
        depth, nodes, origins, edges = begun.pop()
        if depth == last:
            products = np.ones(len(nodes))
            for link, starts, ends in reversed(edges):
                products = tally.multiply(products, link, starts, ends)
            gradients += np.bincount(origins, products, minlength=len(gradients))
        elif len(nodes) > PATHS_AT_A_TIME:
            for part in np.array_split(np.arange(len(nodes)), -(-len(nodes) // PATHS_AT_A_TIME)):
                so_far = [(link, starts[part], ends[part]) for link, starts, ends in edges]
                begun.append((depth, nodes[part], origins[part], so_far))
        else:
            for number, (link, connected) in enumerate(links):
                if link.start == depth:
                    which, ends = np.nonzero(connected[nodes])
                    so_far = [(n, starts[which], stops[which]) for n, starts, stops in edges]
                    begun.append((link.end, ends, origins[which], [*so_far, (number, nodes[which], ends)]))
    return tally.work(gradients)


def back_propagate(graph: NeuronGraph) -> Work:
    """Go column by column from the target, and use each column's sums for those before it."""
    links = links_to_target(graph)
    tally = Tally([link for link, _ in links])
    gradients = [np.zeros(len(column.symbols)) for column in graph.columns]
    last, index = graph.target_place
    gradients[last][index] = 1
    for number in range(len(links) - 1, -1, -1):
        link, connected = links[number]
        starts, ends = np.nonzero(connected)
        products = tally.multiply(gradients[link.end][ends], number, starts, ends)
        gradients[link.start] += np.bincount(starts, products, minlength=len(gradients[link.start]))
    return tally.work(gradients[0])


def links_to_target(graph: NeuronGraph) -> list[tuple[Link, np.ndarray]]:
    """The edges on at least one path from an input to the target: each link, and which of its edges are."""
    last = graph.target_place[0]
    kept, reached = [], [np.zeros(len(column.symbols), bool) for column in graph.columns]
    reached[0][:] = True
    for link in graph.links:
        if link.end <= last:
            connected = link.connected & graph.reaches[link.end] & reached[link.start][:, None]
            reached[link.end] |= connected.any(axis=0)
            kept.append((link, connected))
    return kept


def numbers_of_paths(graph: NeuronGraph) -> list[np.ndarray]:
    """How many paths lead from each neuron to the target, column by column up to its own; none is walked."""
    end, place = graph.target_place
    numbers = [np.zeros(len(column.symbols), dtype=object) for column in graph.columns[: end + 1]]
    numbers[end][place] = 1  # whole numbers of any size
    for link in reversed(graph.links):
        if link.end <= end:
            numbers[link.start] = numbers[link.start] + link.connected.astype(object) @ numbers[link.end]
    return numbers
