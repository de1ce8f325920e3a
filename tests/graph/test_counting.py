"""The work by paths and by back-propagation, counted by doing both, and without a walk."""

import numpy as np
import pytest

from layernet import BatchNorm, Dense, Residual, Sequential, Tanh, computation_graph, lecture_graph
from layernet.graph import chain_rule, counting


class Counted(float):
    """A number that counts how often it is multiplied by another."""

    multiplications = 0

    def __mul__(self, other):
        Counted.multiplications += 1
        return Counted(float(self) * float(other))


def tower(depth, width, inputs=1):
    layers = [layer for _ in range(depth) for layer in (Dense(width), Tanh())]
    network = Sequential([*layers, Dense(1)]).build(inputs, random_state=depth)
    return computation_graph(network, np.linspace(-1, 1, inputs + 1)[1:])


def by_recursion(graph, name):
    """The sum over all paths from a neuron, walked one by one in plain Python: (sum, edges used, products)."""
    edges = {}
    for edge in graph.edges:
        edges.setdefault(edge.start, []).append(edge)

    def ways(node):
        if node == graph.target:
            yield []
        for edge in edges.get(node, []):
            for rest in ways(edge.end):
                yield [edge.derivative, *rest]

    Counted.multiplications = evaluated = 0
    total = 0.0
    for way in ways(name):
        product = Counted(1.0)
        for derivative in way:
            evaluated += 1
            product = product * derivative
        total += product
    return total, evaluated, Counted.multiplications


@pytest.mark.parametrize("width", [2, 3, 4])
def test_counts_for_depths_to_twelve(width):
    for depth in range(1, 13):
        graph = tower(depth, width)
        count = graph.count()
        n_edges = width + (depth - 1) * width**2 + width
        assert count.paths == width**depth
        assert count.edges == n_edges == len(graph.edges)
        assert count.by_paths.evaluations == count.by_paths.multiplications == width**depth * (depth + 1)
        assert count.by_paths.max_edge_evaluations == width ** (depth - 1)
        assert count.by_back_propagation.evaluations == n_edges
        assert count.by_back_propagation.multiplications == n_edges
        assert count.by_back_propagation.max_edge_evaluations == 1
        gradients = graph.columns[0].gradients
        np.testing.assert_allclose(count.by_paths.gradients, gradients, rtol=1e-9)
        np.testing.assert_allclose(count.by_back_propagation.gradients, gradients, rtol=1e-9)


@pytest.mark.parametrize(("depth", "width", "inputs"), [(1, 2, 1), (3, 2, 2), (2, 4, 3), (4, 3, 2)])
def test_counts_are_those_of_a_walk_in_plain_python(depth, width, inputs):
    graph = tower(depth, width, inputs)
    walks = [by_recursion(graph, f"x{i + 1}") for i in range(inputs)]
    work = graph.count().by_paths
    np.testing.assert_allclose(work.gradients, [total for total, _, _ in walks], rtol=1e-12)
    assert work.evaluations == sum(evaluated for _, evaluated, _ in walks)
    assert work.multiplications == sum(products for _, _, products in walks)


def test_edges_that_lead_nowhere_are_not_counted():
    network = Sequential([Dense(2), Tanh(), Dense(3)]).build(2, random_state=0)
    count = computation_graph(network, [1.0, 2.0], of="p2").count()
    assert count.edges == 4 + 2
    assert count.by_back_propagation.evaluations == 6
    assert count.paths == 4


def test_one_to_one_edges():
    network = Sequential([Dense(3), BatchNorm(), Dense(1)]).build(2, random_state=0)
    count = computation_graph(network, [1.0, 2.0]).count()
    assert count.edges == 6 + 3 + 3
    assert count.paths == 6
    assert count.by_paths.evaluations == 18


def test_the_table():
    assert str(lecture_graph(target=1).count()) == (
        "8 paths over 11 edges\n"
        "                     edges evaluated  multiplications  most for one edge\n"
        "sum over paths                    32               32                  8\n"
        "back-propagation                  11               11                  1"
    )


def test_many_paths_are_counted_and_none_is_walked(monkeypatch):
    def walk(*arguments):
        raise AssertionError("a path was walked")

    monkeypatch.setattr(counting, "sum_over_paths", walk)
    monkeypatch.setattr(chain_rule, "iterate_paths", walk)
    graph = tower(14, 8)
    count = graph.count()
    assert count.paths == 8**14 == 4_398_046_511_104
    assert count.by_paths.evaluations == count.by_paths.multiplications == 8**14 * 15
    assert count.by_paths.max_edge_evaluations == 8**13
    assert count.by_back_propagation.multiplications == count.edges == 8 + 13 * 64 + 8
    np.testing.assert_allclose(count.by_paths.gradients, graph.columns[0].gradients, rtol=1e-9)
    assert "4,398,046,511,104 paths over 848 edges" in str(count)
    with pytest.raises(ValueError, match="too many to write"):
        graph.paths("x1")
    assert graph.verify()


def test_numbers_beyond_64_bits():
    count = tower(60, 4).count()
    assert count.paths == 4**60
    assert count.by_paths.evaluations == 4**60 * 61
    assert count.by_paths.max_edge_evaluations == 4**59


def residuals(depth, inputs):
    blocks = [Residual(Sequential([Dense(3), Tanh(), Dense(inputs)])) for _ in range(depth)]
    network = Sequential([*blocks, BatchNorm(), Dense(2)]).build(inputs, random_state=depth)
    return computation_graph(network, np.linspace(-1, 1, inputs + 1)[1:], of="p2")


@pytest.mark.parametrize(("depth", "inputs"), [(1, 1), (1, 3), (2, 2), (3, 2)])
def test_skips_count_as_edges(depth, inputs):
    graph = residuals(depth, inputs)
    count = graph.count()
    walks = [by_recursion(graph, f"x{i + 1}") for i in range(inputs)]
    np.testing.assert_allclose(count.by_paths.gradients, [total for total, _, _ in walks], rtol=1e-12)
    assert count.by_paths.evaluations == sum(evaluated for _, evaluated, _ in walks)
    assert count.by_back_propagation.multiplications == count.edges
    found = counting.count_path_work(graph, graph.columns[0].gradients)
    assert (found.evaluations, found.multiplications, found.max_edge_evaluations) == (
        count.by_paths.evaluations,
        count.by_paths.multiplications,
        count.by_paths.max_edge_evaluations,
    )
    # Through each block go 1 path around it and 3 for each neuron that it ends in.
    assert count.paths == inputs * (1 + 3 * inputs) ** depth


@pytest.mark.parametrize("graph", [lecture_graph(target=1), tower(3, 4, 2), tower(1, 2)])
def test_the_recurrence_counts_what_the_walk_does(graph):
    walked = counting.sum_over_paths(graph)
    found = counting.count_path_work(graph, walked.gradients)
    assert (found.evaluations, found.multiplications, found.max_edge_evaluations) == (
        walked.evaluations,
        walked.multiplications,
        walked.max_edge_evaluations,
    )
