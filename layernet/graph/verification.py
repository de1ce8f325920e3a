"""The comparison of a graph's gradients: by the layers, by edges, by paths, and by central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from layernet.checking.differences import Compared, Differences, Entries, random_directions, rounding_of
from layernet.graph.counting import numbers_of_paths, sum_over_paths
from layernet.graph.neurons import NeuronGraph

TOLERANCE = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-4}
STEP = 1e-5  # of differences, relative to the size of what is moved
MOST_PATHS = 1_000_000  # that are walked to compare
MOST_ENTRIES = 2_000  # of an array that are moved one by one; larger ones are moved along random directions


@dataclass(frozen=True)
class Difference:
    """How far two ways to the same gradients are apart, at their worst.

    Attributes
    ----------
    relative : float
        Divided by the largest gradient that was compared, or by the size of what it was computed from. In a
        comparison with differences a gradient counts times the size of its value, as in `check_gradients`.
    place : str
        The node or the parameter where it is worst.
    at_kinks : int
        How many nodes or parameters differ only because there is no derivative, as of a ReLU at 0.
    """

    relative: float
    place: str
    at_kinks: int = 0


@dataclass(frozen=True)
class Verification:
    """How far other ways to the gradients are from the layers' own; true if all agree.

    Attributes
    ----------
    differences : dict of str to Difference
        By the way.
    tolerance : float
        The largest relative difference that passes.
    """

    differences: dict[str, Difference]
    tolerance: float

    def __bool__(self) -> bool:
        # Written so that a NaN fails.
        return all(difference.relative <= self.tolerance for difference in self.differences.values())

    def __str__(self) -> str:
        verdict = "agree" if self else "DO NOT AGREE"
        lines = [f"The layers' gradients {verdict} with those found otherwise. Largest relative differences:"]
        for how, difference in self.differences.items():
            wrong = "" if difference.relative <= self.tolerance else f", at {difference.place}"
            kinks = f"; {difference.at_kinks} at a kink have none" if difference.at_kinks else ""
            lines.append(f"  {difference.relative:.1e}  {how}{wrong}{kinks}")
        if not self:
            lines.append("A backward pass of the network's layers is wrong.")
        return "\n".join(lines)

    __repr__ = __str__


def verify(graph: NeuronGraph) -> Verification:
    """Find the gradients in other ways, and compare.

    Central differences are those of `check_gradients`, in double precision. They cannot see gradients below the
    rounding of the target divided by the step, so that small differences are compared with what can be seen; at
    a kink they see nothing. Sums are compared with the largest sum of their terms' sizes, which may cancel.
    """
    last, index = graph.target_place
    links = [link for link in graph.links if link.end <= last]
    sums, sizes, all_terms = ([np.zeros(len(c.symbols)) for c in graph.columns[: last + 1]] for _ in range(3))
    all_terms[last][index] = 1
    for link in reversed(links):
        gradients = graph.columns[link.end].gradients
        sums[link.start] += link.derivatives @ gradients
        sizes[link.start] += np.abs(link.derivatives) @ np.abs(gradients)
        all_terms[link.start] += np.abs(link.derivatives) @ all_terms[link.end]
    by_edges = [
        worst(found, column.gradients, column.symbols, size.max())
        for found, size, column in zip(sums[:last], sizes, graph.columns, strict=False)
    ]
    differences = {"level by level, over the edges": largest(by_edges)}
    if numbers_of_paths(graph)[0].sum() <= MOST_PATHS:
        inputs = graph.columns[0]
        by_paths = sum_over_paths(graph).gradients
        differences["as sums over all paths"] = worst(
            by_paths, inputs.gradients, inputs.symbols, all_terms[0].max()
        )
    differences |= by_differences(graph)
    return Verification(differences, TOLERANCE[graph.columns[0].values.dtype])


def by_differences(graph: NeuronGraph) -> dict[str, Difference]:
    """Compare the gradients of all nodes, and of all parameters, with central differences."""
    twin = in_double_precision(graph)
    random = np.random.default_rng(0)
    last = graph.target_place[0]
    nodes = {
        k: beside_differences(twin, k, twin.columns[k].values, graph.columns[k].gradients) for k in range(last)
    }
    parameters = {}
    for k, column in enumerate(graph.columns[1 : last + 1], start=1):
        grad_output = column.gradients[None] if column.is_neurons else column.gradients[0]
        column.backward(column.inputs[None], grad_output)
        for layer, in_double in zip(column.layers, twin.columns[k].layers, strict=True):
            for name, array in in_double.parameters.items():
                if array.size:
                    parameters[k, name] = beside_differences(twin, k - 1, array, layer.gradients[name], random)
    dtype = graph.columns[0].values.dtype
    tolerance, rounding = TOLERANCE[dtype], rounding_of([*nodes.values(), *parameters.values()], dtype)

    def worst_of(compared: Compared, name: Callable[[tuple[int, ...] | None], str]) -> Difference:
        compared.refine(tolerance, rounding, leave_out_kinks=True)
        error, place, _, _ = compared.worst(tolerance, rounding)
        return Difference(error, name(place), int(compared.at_kink.sum()))

    def node_at(k: int) -> Callable[[tuple[int, ...]], str]:
        return lambda place: str(graph.columns[k].symbols[place[0]])

    def parameter_at(k: int, array: str) -> Callable[[tuple[int, ...] | None], str]:
        name = f"{graph.columns[k].symbols[0].column}.{array}"
        return lambda place: name if place is None else f"{name}{list(place)}"

    found = {"node": [worst_of(each, node_at(k)) for k, each in nodes.items()]}
    found["parameter"] = [worst_of(each, parameter_at(*place)) for place, each in parameters.items()]
    return {f"central differences of every {kind}": largest(each) for kind, each in found.items() if each}


def beside_differences(
    twin: NeuronGraph,
    depth: int,
    array: np.ndarray,
    gradient: np.ndarray,
    random: np.random.Generator | None = None,
) -> Compared:
    """The gradient of the target by an array beside differences.

    Parameters
    ----------
    twin : NeuronGraph
        In double precision.
    depth : int
        A column before all that depends on the array.
    array : ndarray of float64
        The values of that column, or parameters of the next; it is moved, and put back.
    gradient : ndarray of that shape
    random : numpy.random.Generator, default=None
        Draws the directions in which a large array is moved; None to move every entry on its own.
    """
    last, index = twin.target_place
    row = twin.columns[depth].values

    def target() -> float:
        return twin.values_with(depth, row)[last][index]

    is_large = random is not None and array.size > MOST_ENTRIES
    directions = random_directions(array.shape, random) if is_large else Entries(array.shape)
    return Differences(target, array, np.ones(()), STEP).beside(gradient, directions)


def in_double_precision(graph: NeuronGraph) -> NeuronGraph:
    """A graph of the same network with values and parameters in float64, which may be moved."""
    twin = copy.copy(graph)
    twin.columns = [
        replace(
            column,
            layers=[layer.astype(np.float64) for layer in column.layers],
            values=column.values.astype(np.float64),
        )
        for column in graph.columns
    ]
    return twin


def worst(found: np.ndarray, gradients: np.ndarray, places: list, size: float) -> Difference:
    """The largest difference, relative to the largest gradient or to the size of what was computed with."""
    if not len(found):
        return Difference(0.0, "")
    distance = np.abs(found - gradients)
    smallest = np.finfo(gradients.dtype).tiny / TOLERANCE[gradients.dtype]  # below numbers lose their digits
    scale = max(np.abs(found).max(), np.abs(gradients).max(), size, smallest)
    index = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
    return Difference(float(distance[index] / scale), str(places[index]))


def largest(differences: list[Difference]) -> Difference:
    """The worst of some, and how many of all are at kinks; NaN counts as the worst."""
    order = [np.inf if np.isnan(each.relative) else each.relative for each in differences]
    return replace(differences[int(np.argmax(order))], at_kinks=sum(each.at_kinks for each in differences))
