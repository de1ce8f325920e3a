"""Number of multiplications for a gradient, by sums over paths and by back-propagation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.graph.neurons import Link, NeuronGraph

# Paths in a block: an index is stored for each edge of each path.
PATHS_PER_BLOCK = 1 << 14
MAX_WALKED_PATHS = 2_000_000  # of more paths only the numbers are computed

# Edges of several paths: number of the link, and indices of the neurons at both ends.
Edges = list[tuple[int, np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Work:
    """Work of one method for the derivatives of all inputs.

    Products start with 1, so that each edge is one multiplication, as in the lecture.

    Attributes
    ----------
    evaluations : int
        Number of evaluations of local derivatives on edges.
    multiplications : int
        Number of multiplications by them.
    max_edge_evaluations : int
        Number of evaluations for the edge that was used most.
    gradients : ndarray of shape (n_inputs,)
        The result. For more than two million paths, which are not walked, the result of back-propagation.
    """

    evaluations: int
    multiplications: int
    max_edge_evaluations: int
    gradients: np.ndarray


@dataclass(frozen=True, eq=False)
class Count:
    """Work for the derivatives of all inputs by two methods.

    Attributes
    ----------
    paths : int
        Number of paths from all inputs to the target.
    edges : int
        Number of edges on at least one path.
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
            counts = f"{work.evaluations:>16,}  {work.multiplications:>15,}  {work.max_edge_evaluations:>17,}"
            lines.append(f"{name:18}  {counts}")
        return "\n".join(lines)

    __repr__ = __str__


class Tally:
    """Local derivatives of a graph, with counters of their evaluations."""

    def __init__(self, links: list[Link]):
        self.links = links
        self.evaluations = [np.zeros(link.derivatives.shape, int) for link in links]
        self.multiplications = 0

    def multiply(self, numbers: np.ndarray, link: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Multiply numbers by the derivatives on edges (starts[n], ends[n]) of a link."""
        derivatives, evaluations = self.links[link].derivatives, self.evaluations[link]
        edges = starts * derivatives.shape[1] + ends
        evaluations += np.bincount(edges, minlength=derivatives.size).reshape(derivatives.shape)
        self.multiplications += len(numbers)
        return numbers * derivatives.ravel()[edges]

    def work(self, gradients: np.ndarray) -> Work:
        """Return the counters, with the resulting gradients."""
        most = max((int(count.max(initial=0)) for count in self.evaluations), default=0)
        total = int(sum(count.sum() for count in self.evaluations))
        return Work(total, self.multiplications, most, gradients)


def count_work(graph: NeuronGraph) -> Count:
    """Count the work for the derivatives of all inputs by both methods.

    Up to two million paths are walked and summed. For more paths the evaluations are computed: an edge lies on
    (paths from the inputs to its start) * (paths from its end to the target) paths.
    """
    n_paths = int(path_counts(graph)[0].sum())
    by_back_propagation = back_propagate(graph)
    if n_paths <= MAX_WALKED_PATHS:
        by_paths = sum_over_paths(graph)
    else:
        by_paths = count_path_work(graph, by_back_propagation.gradients)
    n_edges = sum(int(connected.sum()) for _, connected in links_to_target(graph))
    return Count(n_paths, n_edges, by_paths, by_back_propagation)


def count_path_work(graph: NeuronGraph, gradients: np.ndarray) -> Work:
    """Compute the work of multiplying along all paths, without walking them."""
    to_target = path_counts(graph)
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
    """Multiply along each path separately, from its input to the target, and sum the products."""
    links = links_to_target(graph)
    tally, last = Tally([link for link, _ in links]), graph.target_position[0]
    gradients = np.zeros(len(graph.columns[0].symbols))
    inputs = np.array(graph.indices_on_paths(0), dtype=int)
    # Unfinished paths: their last column, last nodes, inputs, and edges so far.
    begun: list[tuple[int, np.ndarray, np.ndarray, Edges]] = [(0, inputs, inputs, [])]
    while begun:
        depth, nodes, origins, edges = begun.pop()
        if depth == last:
            products = np.ones(len(nodes))
            for number, starts, ends in reversed(edges):
                products = tally.multiply(products, number, starts, ends)
            gradients += np.bincount(origins, products, minlength=len(gradients))
        elif len(nodes) > PATHS_PER_BLOCK:
            for part in np.array_split(np.arange(len(nodes)), -(-len(nodes) // PATHS_PER_BLOCK)):
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
    """Compute gradients column by column from the target, each from those of the columns after it."""
    links = links_to_target(graph)
    tally = Tally([link for link, _ in links])
    gradients = [np.zeros(len(column.symbols)) for column in graph.columns]
    last, index = graph.target_position
    gradients[last][index] = 1
    for number in range(len(links) - 1, -1, -1):
        link, connected = links[number]
        starts, ends = np.nonzero(connected)
        products = tally.multiply(gradients[link.end][ends], number, starts, ends)
        gradients[link.start] += np.bincount(starts, products, minlength=len(gradients[link.start]))
    return tally.work(gradients[0])


def links_to_target(graph: NeuronGraph) -> list[tuple[Link, np.ndarray]]:
    """Return each link with a mask of its edges that lie on a path from an input to the target."""
    last = graph.target_position[0]
    kept, reached = [], [np.zeros(len(column.symbols), bool) for column in graph.columns]
    reached[0][:] = True
    for link in graph.links:
        if link.end <= last:
            connected = link.connected & graph.reaches_target[link.end] & reached[link.start][:, None]
            reached[link.end] |= connected.any(axis=0)
            kept.append((link, connected))
    return kept


def path_counts(graph: NeuronGraph) -> list[np.ndarray]:
    """Count the paths from each neuron to the target, column by column, without walking them."""
    end, place = graph.target_position
    numbers = [np.zeros(len(column.symbols), dtype=object) for column in graph.columns[: end + 1]]
    numbers[end][place] = 1  # object arrays hold integers of any size
    for link in reversed(graph.links):
        if link.end <= end:
            numbers[link.start] = numbers[link.start] + link.connected.astype(object) @ numbers[link.end]
    return numbers
