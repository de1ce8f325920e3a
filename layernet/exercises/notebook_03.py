"""Checks of the exercises in notebook 3: back-propagation level by level, and on any graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.exercises.grading import Grader
from layernet.exercises.registry import exercise

NAMES = [
    "dz1/dx1",
    "dz1/dx2",
    "dz2/dx1",
    "dz2/dx2",
    "dh1/dz1",
    "dh1/dz2",
    "dh2/dz1",
    "dh2/dz2",
    "dp/dh1",
    "dp/dh2",
]

# Graphs as lists of edges (start, end, derivative). Every edge comes after all edges that end at its start.
Edges = list[tuple[str, str, float]]
CHAIN = [("x", "a", 2.0), ("a", "b", -3.0), ("b", "p", 0.5)]
DIAMOND = [("x", "a", 2.0), ("x", "b", 3.0), ("a", "p", 5.0), ("b", "p", -7.0)]
SHORTCUT = [
    ("x", "a", 2.0),
    ("a", "b", 3.0),
    ("x", "b", 0.5),
    ("a", "p", 4.0),
    ("b", "p", 10.0),
    ("x", "p", 1.0),
]
SIDE_TRACK = [("x", "a", 2.0), ("x", "b", 3.0), ("a", "p", 5.0), ("b", "q", 100.0)]
# Node c appears before node a, although an edge leads from a to c.
LATE: Edges = [("x", "c", 2), ("x", "a", 3), ("a", "c", 5), ("c", "p", 7)]
# Two edges from x to a, and two from a to p: four paths.
PARALLEL = [("x", "a", 2.0), ("x", "a", -5.0), ("a", "p", 3.0), ("a", "p", 4.0)]


def random_graph(seed: int, n_nodes: int = 8, n_edges: int = 16) -> tuple[Edges, list[str]]:
    """Draw a random graph with parallel edges and dead ends; return its edges, and its nodes in order.

    The order of the edges is random among those that exercise 3.3 allows: every edge comes after all edges
    that end at its start. So the derivatives cannot be found in the order in which nodes appear.
    """
    random = np.random.default_rng(seed)
    names = [f"{letter}{index}" for letter in "abn" for index in range(n_nodes)]
    nodes = [str(name) for name in random.permutation(names)[:n_nodes]]
    pairs = [tuple(sorted(random.choice(n_nodes, 2, replace=False))) for _ in range(n_edges)]
    pairs += pairs[:3]
    waiting = [(nodes[i], nodes[j], float(random.uniform(-2, 2))) for i, j in pairs]
    edges: Edges = []
    while waiting:
        ends = {end for _, end, _ in waiting}
        ready = [edge for edge in waiting if edge[0] not in ends]
        edges.append(ready[random.integers(len(ready))])
        waiting.remove(edges[-1])
    return edges, [name for name in nodes if any(name in edge[:2] for edge in edges)]


def ladder(rungs: int) -> Edges:
    """Return a chain of diamonds, one for each rung: 2**rungs paths, but only 4 * rungs edges."""
    random = np.random.default_rng(0)
    edges = []
    for rung in range(rungs):
        start, end = f"n{rung}", f"n{rung + 1}"
        left_in, right_in, left_out, right_out = random.uniform(0.4, 0.9, 4)
        edges += [(start, f"l{rung}", left_in), (start, f"r{rung}", right_in)]
        edges += [(f"l{rung}", end, left_out), (f"r{rung}", end, right_out)]
    return edges


def back_propagated(edges: Edges, target: str) -> dict[str, float]:
    """Return the derivative of the target with respect to each node, by back-propagation."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += gradients[end] * derivative
    return gradients


class CountingNumber:
    """Number that records its multiplications, and those of the numbers that are computed from it.

    It is not a float, because NumPy would copy floats into an array and multiply there, without a record.

    Parameters
    ----------
    value : float
    products : list of (float, float)
        The two factors of every multiplication. All numbers of a computation share this list.

    Attributes
    ----------
    n_products : int
        The number of multiplications with this number as a factor.
    """

    def __init__(self, value: float, products: list[tuple[float, float]]):
        self.value = float(value)
        self.products = products
        self.n_products = 0

    def _new(self, value: float) -> CountingNumber:
        return CountingNumber(value, self.products)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return self._with_each(other, lambda each: self * each)
        self.n_products += 1
        if isinstance(other, CountingNumber):
            other.n_products += 1
        elif float(other) == 1.0:  # the start of a product, as in math.prod, does not count
            return self._new(self.value)
        self.products.append((self.value, float(other)))
        return self._new(self.value * float(other))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return self._with_each(other, lambda each: self + each)
        return self._new(self.value + float(other))

    __radd__ = __add__

    def _with_each(self, array: np.ndarray, operation: Callable[[Any], Any]) -> np.ndarray:
        results = np.empty(array.shape, dtype=object)
        for index in np.ndindex(array.shape):
            results[index] = operation(array[index])
        return results

    def __neg__(self) -> CountingNumber:
        return self._new(-self.value)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, other: Any) -> Any:
        return self * (1.0 / float(other))

    def __rtruediv__(self, other: Any) -> Any:
        return self._new(1.0 / self.value) * other

    def __pow__(self, exponent: Any) -> Any:
        return self * self if exponent == 2 else self * float(self) ** (float(exponent) - 1)

    def __abs__(self) -> CountingNumber:
        return self._new(abs(self.value))

    def __float__(self) -> float:
        return self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        return self.value == other

    def __lt__(self, other: Any) -> bool:
        return self.value < float(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > float(other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr(self.value)

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)


@exercise("3.1", "dp/dx2 level by level")
def level_by_level(answer: Any, grader: Grader) -> None:
    """Check dp/dx2 level by level."""
    random = np.random.default_rng(1)
    for number in (1, 2, 3):
        local = dict(zip(NAMES, random.uniform(-2, 2, 10), strict=True))
        z1 = local["dp/dh1"] * local["dh1/dz1"] + local["dp/dh2"] * local["dh2/dz1"]
        z2 = local["dp/dh1"] * local["dh1/dz2"] + local["dp/dh2"] * local["dh2/dz2"]
        expected = z1 * local["dz1/dx2"] + z2 * local["dz2/dx2"]
        products: list[tuple[float, float]] = []
        found = answer({name: CountingNumber(value, products) for name, value in local.items()})
        if not grader.require_close(f"for the derivatives of example {number}", found, expected):
            return

    def multiplied(one: float, other: float) -> bool:
        """Return whether the answer multiplied two numbers with each other."""
        return any(np.allclose(sorted(pair), sorted((one, other)), rtol=1e-12) for pair in products)

    n = len(products)
    explanation = (
        f"it saw {n}, but every right answer has at least six: multiply the numbers in `local` as they are. "
        "Copies by float(...), or in an array with a dtype, are not counted"
    )
    if not grader.require("the check sees the multiplications", n >= 6, explanation):
        return
    how = f"yours takes {n}: multiply the sums dp/dz1 and dp/dz2, not each path"
    if not grader.require("six multiplications, and no more", n == 6, how):
        return
    forward = multiplied(local["dh1/dz1"], local["dz1/dx2"]) or multiplied(local["dh1/dz2"], local["dz2/dx2"])
    how = "yours multiplies the edges from x2 by other numbers than dp/dz1 and dp/dz2"
    if forward:
        how = (
            "yours begins at x2 and goes forward. That is right, and takes six multiplications as well. But it "
            "computes dh1/dx2 and dh2/dx2, which do not help with dp/dx1, where dp/dz1 and dp/dz2 do"
        )
    level_2 = multiplied(z1, local["dz1/dx2"]) and multiplied(z2, local["dz2/dx2"])
    grader.require("dp/dz1 and dp/dz2 are computed first", level_2, how)


@exercise("3.2", "the sum over all paths of any graph")
def sum_over_paths(answer: Any, grader: Grader) -> None:
    """Check the sum over all paths of any graph."""
    grader.require_close("on a chain, which has one path", answer(list(CHAIN), "x", "p"), -3.0)
    grader.require_close("on a diamond, which has two", answer(list(DIAMOND), "x", "p"), 2 * 5 - 3 * 7)
    grader.require_close(
        "on paths of different lengths", answer(list(SHORTCUT), "x", "p"), 1 + 2 * 4 + 0.5 * 10 + 2 * 3 * 10
    )
    grader.require_close("on a graph with an edge that leads nowhere", answer(list(SIDE_TRACK), "x", "p"), 10.0)
    grader.require_close("from a node in the middle", answer(list(SHORTCUT), "a", "p"), 4 + 3 * 10)
    grader.require_close("to a node in the middle", answer(list(SHORTCUT), "x", "b"), 0.5 + 2 * 3)
    grader.require_close("of the target itself, dp/dp", answer(list(SHORTCUT), "p", "p"), 1.0)
    grader.require_close("where no path leads", answer(list(SIDE_TRACK), "b", "p"), 0.0, tolerance=0)
    grader.require_close(
        "where the target lies before the start", answer(list(SHORTCUT), "p", "x"), 0.0, tolerance=0
    )
    grader.require_close(
        "on a graph in which c appears before a, although an edge leads from a to c",
        answer(list(LATE), "x", "p"),
        119.0,
    )
    grader.require_close(
        "with two edges between the same nodes", answer(list(PARALLEL), "x", "p"), (2 - 5) * (3 + 4)
    )
    for seed in range(8):
        edges, nodes = random_graph(seed)
        shuffled = [edges[i] for i in np.random.default_rng(seed).permutation(len(edges))]
        start, target = nodes[seed % 2], nodes[-1 - seed % 3]
        expected = back_propagated(edges, target)[start]
        name = f"from {start} to {target} of graph {seed + 1} drawn at random, its edges in any order"
        if not grader.require_close(name, answer(shuffled, start, target), expected, 1e-9):
            grader.require("that graph", False, f"is {[(s, e, round(d, 3)) for s, e, d in shuffled]}")
            return


@exercise("3.3", "back-propagation on any graph")
def back_propagation(answer: Any, grader: Grader) -> None:
    """Check back-propagation on any graph."""
    graphs: dict[str, tuple[Edges, str]] = {
        "a chain": (CHAIN, "p"),
        "a diamond": (DIAMOND, "p"),
        "a graph with shortcuts": (SHORTCUT, "p"),
        "a graph with shortcuts, for a target in the middle": (SHORTCUT, "b"),
        "a graph with a side track": (SIDE_TRACK, "p"),
        "a graph in which c appears before a, although an edge leads from a to c": (LATE, "p"),
        "a graph with two edges between the same nodes": (PARALLEL, "p"),
    }
    for name, (edges, target) in graphs.items():
        if not grader.require_entries(
            f"on {name}", answer(list(edges), target), back_propagated(edges, target), 1e-9
        ):
            return
    for seed in range(8):
        edges, nodes = random_graph(seed)
        target = nodes[-1 - seed % 3]
        found, expected = answer(list(edges), target), back_propagated(edges, target)
        if not grader.require_entries(
            f"for {target} of graph {seed + 1} drawn at random", found, expected, 1e-9
        ):
            grader.require("that graph", False, f"is {[(s, e, round(d, 3)) for s, e, d in edges]}")
            return
    require_each_edge_once(answer, "the ladder with 4,096 paths", ladder(12), "n12", grader)
    edges, nodes = random_graph(3)
    require_each_edge_once(answer, "graph 4 drawn at random", edges, nodes[-1], grader)


def require_each_edge_once(
    answer: Callable[..., Any], name: str, edges: Edges, target: str, grader: Grader
) -> None:
    """Require that an answer multiplies by the derivative of each edge once.

    Edges that do not lead to the target may be left out.
    """
    counting_edges = [(start, end, CountingNumber(derivative, [])) for start, end, derivative in edges]
    if not grader.require_entries(
        f"on {name}", answer(list(counting_edges), target), back_propagated(edges, target), 1e-9
    ):
        return
    sources = {target}  # nodes from which a path leads to the target
    for start, end, _ in reversed(edges):
        if end in sources:
            sources.add(start)
    for start, end, derivative in counting_edges:
        at_least = int(end in sources)
        if not at_least <= derivative.n_products <= 1:
            how = f"that from {start} to {end} is multiplied {derivative.n_products} times"
            if not derivative.n_products:
                how += ", as far as the check counts; multiply it as it is, without float(...)"
            grader.require(f"each edge of {name} is multiplied exactly once", False, how)
            return
    grader.require(f"each edge of {name} is multiplied exactly once", True, "")
