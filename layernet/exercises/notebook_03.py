"""Checks of the exercises on back-propagation."""

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

# Graphs as lists of (start, end, derivative); an edge stands behind all those that end where it starts.
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
# Here c appears before a, which leads to it.
LATE: Edges = [("x", "c", 2), ("x", "a", 3), ("a", "c", 5), ("c", "p", 7)]
# Two edges from x to a, and two from a to p: four paths.
PARALLEL = [("x", "a", 2.0), ("x", "a", -5.0), ("a", "p", 3.0), ("a", "p", 4.0)]


def drawn(seed: int, n_nodes: int = 8, n_edges: int = 16) -> tuple[Edges, list[str]]:
    """A graph drawn by a seed, with parallel edges and dead ends, and its nodes from first to last.

    The edges are in the order that exercise 3.3 promises, and in no other: which of those that may come next
    does come is drawn, so that nodes do not appear in the order in which their derivatives can be found.
    """
    random = np.random.default_rng(seed)
    names = [f"{letter}{place}" for letter in "abn" for place in range(n_nodes)]
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
    """So many diamonds in a row: 2**rungs paths, but only four edges for each."""
    random = np.random.default_rng(0)
    edges = []
    for rung in range(rungs):
        start, end = f"n{rung}", f"n{rung + 1}"
        left, right, a, b = random.uniform(0.4, 0.9, 4)
        edges += [(start, f"l{rung}", left), (start, f"r{rung}", right)]
        edges += [(f"l{rung}", end, a), (f"r{rung}", end, b)]
    return edges


def gradients_of(edges: Edges, target: str) -> dict[str, float]:
    """What back-propagation finds."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += gradients[end] * derivative
    return gradients


class Watched:
    """A number that notes every multiplication in which it, or what was computed from it, takes part.

    It is no float: NumPy would copy a float into an array of its own, whose multiplications nobody sees.

    Parameters
    ----------
    value : float
    products : list of (float, float)
        The two factors of every multiplication, shared by all numbers of a computation.
    """

    def __init__(self, value: float, products: list[tuple[float, float]]):
        self.value = float(value)
        self.products = products
        self.used = 0

    def _new(self, value: float) -> Watched:
        return Watched(value, self.products)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return self._with_each(other, lambda each: self * each)
        self.used += 1
        if isinstance(other, Watched):
            other.used += 1
        elif float(other) == 1.0:  # what a product begins with, as in math.prod, is no work
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
        for place in np.ndindex(array.shape):
            results[place] = operation(array[place])
        return results

    def __neg__(self) -> Watched:
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

    def __abs__(self) -> Watched:
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
        found = answer({name: Watched(value, products) for name, value in local.items()})
        if not grader.require_close(f"for the derivatives of example {number}", found, expected):
            return

    def multiplied(one: float, other: float) -> bool:
        """Whether two numbers were multiplied with each other."""
        return any(np.allclose(sorted(pair), sorted((one, other)), rtol=1e-12) for pair in products)

    n = len(products)
    unseen = (
        f"it saw {n}, and no right way has fewer than six: multiply the numbers in `local` as they are, for "
        "those of a float(...), or of an array with a dtype, are not seen"
    )
    if not grader.require("the check sees the multiplications", n >= 6, unseen):
        return
    how = f"yours takes {n}: multiply the sums dp/dz1 and dp/dz2, not each path"
    if not grader.require("six multiplications, and no more", n == 6, how):
        return
    forward = multiplied(local["dh1/dz1"], local["dz1/dx2"]) or multiplied(local["dh1/dz2"], local["dz2/dx2"])
    how = "dp/dz1 and dp/dz2 are not what you multiply by the edges from x2"
    if forward:
        how = (
            "yours begins at x2 and goes forward. That is right, and takes six multiplications as well, but it "
            "finds dh1/dx2 and dh2/dx2 on the way, which are of no use for dp/dx1; dp/dz1 and dp/dz2 would be"
        )
    level_2 = multiplied(z1, local["dz1/dx2"]) and multiplied(z2, local["dz2/dx2"])
    grader.require("dp/dz1 and dp/dz2 are found first", level_2, how)


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
        "on a graph in which c appears before a, which leads to it", answer(list(LATE), "x", "p"), 119.0
    )
    grader.require_close(
        "with two edges between the same nodes", answer(list(PARALLEL), "x", "p"), (2 - 5) * (3 + 4)
    )
    for seed in range(8):
        edges, nodes = drawn(seed)
        shuffled = [edges[i] for i in np.random.default_rng(seed).permutation(len(edges))]
        start, target = nodes[seed % 2], nodes[-1 - seed % 3]
        expected = gradients_of(edges, target)[start]
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
        "a graph in which c appears before a, which leads to it": (LATE, "p"),
        "a graph with two edges between the same nodes": (PARALLEL, "p"),
    }
    for name, (edges, target) in graphs.items():
        if not grader.require_entries(
            f"on {name}", answer(list(edges), target), gradients_of(edges, target), 1e-9
        ):
            return
    for seed in range(8):
        edges, nodes = drawn(seed)
        target = nodes[-1 - seed % 3]
        found, expected = answer(list(edges), target), gradients_of(edges, target)
        if not grader.require_entries(
            f"for {target} of graph {seed + 1} drawn at random", found, expected, 1e-9
        ):
            grader.require("that graph", False, f"is {[(s, e, round(d, 3)) for s, e, d in edges]}")
            return
    once_each(answer, "the ladder with 4,096 paths", ladder(12), "n12", grader)
    edges, nodes = drawn(3)
    once_each(answer, "graph 4 drawn at random", edges, nodes[-1], grader)


def once_each(answer: Callable[..., Any], name: str, edges: Edges, target: str, grader: Grader) -> None:
    """Whether the derivative of each edge is multiplied once; those that lead elsewhere need not be."""
    watched = [(start, end, Watched(derivative, [])) for start, end, derivative in edges]
    if not grader.require_entries(
        f"on {name}", answer(list(watched), target), gradients_of(edges, target), 1e-9
    ):
        return
    leads = {target}
    for start, end, _ in reversed(edges):
        if end in leads:
            leads.add(start)
    for start, end, derivative in watched:
        least = int(end in leads)
        if not least <= derivative.used <= 1:
            how = f"that from {start} to {end} is multiplied {derivative.used} times"
            if not derivative.used:
                how += ", as far as is seen; multiply it as it is, without float(...)"
            grader.require(f"each edge of {name} is multiplied exactly once", False, how)
            return
    grader.require(f"each edge of {name} is multiplied exactly once", True, "")
