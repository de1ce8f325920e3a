"""Checks of the exercises on back-propagation."""

import numpy as np

from checks import NotAnswered, Test, exercise

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


def ladder(rungs):
    """So many diamonds in a row: 2**rungs paths, but only four edges for each."""
    random = np.random.default_rng(0)
    edges = []
    for rung in range(rungs):
        start, end = f"n{rung}", f"n{rung + 1}"
        left, right, a, b = random.uniform(0.4, 0.9, 4)
        edges += [(start, f"l{rung}", left), (start, f"r{rung}", right)]
        edges += [(f"l{rung}", end, a), (f"r{rung}", end, b)]
    return edges


def gradients_of(edges, target):
    """What back-propagation finds."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += gradients[end] * derivative
    return gradients


class Watched(float):
    """A number that counts how often it is multiplied."""

    used = 0
    __array_ufunc__ = None  # NumPy's numbers leave the multiplication to this one, which counts it

    def __mul__(self, other):
        self.used += 1
        if isinstance(other, Watched):
            other.used += 1
        return float(self) * float(other)

    __rmul__ = __mul__


@exercise("3.1", "dp/dx2 level by level")
def level_by_level(answer, test: Test) -> None:
    random = np.random.default_rng(1)
    for number in (1, 2, 3):
        local = {name: Watched(value) for name, value in zip(NAMES, random.uniform(-2, 2, 10), strict=True)}
        z1 = local["dp/dh1"] * local["dh1/dz1"] + local["dp/dh2"] * local["dh2/dz1"]
        z2 = local["dp/dh1"] * local["dh1/dz2"] + local["dp/dh2"] * local["dh2/dz2"]
        expected = z1 * local["dz1/dx2"] + z2 * local["dz2/dx2"]
        counted = {name: Watched(value) for name, value in local.items()}
        test.close(f"for the derivatives of example {number}", answer(counted), expected)
    most = max(counted[name].used for name in ("dz1/dx2", "dz2/dx2"))
    how = f"a derivative on an edge from x2 is multiplied {most} times: multiply by the sum, not by each path"
    test.that("each edge from x2 is multiplied once", most <= 1, how)


@exercise("3.2", "the sum over all paths of any graph")
def sum_over_paths(answer, test: Test) -> None:
    test.close("on a chain, which has one path", answer(list(CHAIN), "x", "p"), -3.0)
    test.close("on a diamond, which has two", answer(list(DIAMOND), "x", "p"), 2 * 5 - 3 * 7)
    test.close(
        "on paths of different lengths", answer(list(SHORTCUT), "x", "p"), 1 + 2 * 4 + 0.5 * 10 + 2 * 3 * 10
    )
    test.close("on a graph with an edge that leads nowhere", answer(list(SIDE_TRACK), "x", "p"), 10.0)
    test.close("from a node in the middle", answer(list(SHORTCUT), "a", "p"), 4 + 3 * 10)
    test.close("of the target itself, dp/dp", answer(list(SHORTCUT), "p", "p"), 1.0)
    test.close("where no path leads", answer(list(SIDE_TRACK), "b", "p"), 0.0, tolerance=0)


@exercise("3.3", "back-propagation on any graph")
def back_propagation(answer, test: Test) -> None:
    graphs = {
        "a chain": CHAIN,
        "a diamond": DIAMOND,
        "a graph with shortcuts": SHORTCUT,
        "a graph with a side track": SIDE_TRACK,
    }
    for name, edges in graphs.items():
        found = answer(list(edges), "p")
        if found is None:
            raise NotAnswered
        if not test.that(
            f"on {name} it returns a dict", isinstance(found, dict), f"yours is {type(found).__name__}"
        ):
            return
        for node, expected in gradients_of(edges, "p").items():
            test.close(f"on {name}, dp/d{node}", found.get(node, float("nan")), expected, tolerance=1e-9)
    edges = [(start, end, Watched(derivative)) for start, end, derivative in ladder(12)]
    found = answer(edges, "n12")
    test.close(
        "on a ladder with 4,096 paths, dp/dn0",
        found.get("n0", float("nan")),
        gradients_of(ladder(12), "n12")["n0"],
    )
    used = [derivative.used for _, _, derivative in edges]
    how = f"one is multiplied {max(used)} times, and one {min(used)}"
    test.that("each edge of the ladder is multiplied exactly once", set(used) == {1}, how)
