"""Verification of a graph's gradients by sums over edges, sums over paths, and central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layernet.checking.differences import Compared, Differences, Entries, random_directions, rounding_of
from layernet.graph.counting import path_counts, sum_over_paths
from layernet.graph.neurons import NeuronGraph

TOLERANCES = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-4}
DIFFERENCE_STEP = 1e-5  # of central differences, relative to the size of the changed value
MAX_VERIFIED_PATHS = 1_000_000  # of more paths no sum is compared
MAX_SINGLE_ENTRIES = 2_000  # larger arrays are changed along random directions


@dataclass(frozen=True)
class Difference:
    """Largest difference of gradients that were computed by two methods.

    Attributes
    ----------
    relative : float
        Divided by the largest compared gradient, or by the size of the terms that it was computed from. In a
        comparison with central differences gradients are multiplied by the size of their values, as in
        `check_gradients`.
    where : str
        Node or parameter of the largest difference.
    at_kinks : int
        Number of nodes or parameters without derivative, as of a ReLU at 0.
    """

    relative: float
    where: str
    at_kinks: int = 0


@dataclass(frozen=True)
class Verification:
    """Comparison of the layers' gradients with other methods; true if all agree.

    Attributes
    ----------
    differences : dict of str to Difference
        By the method.
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
        lines = [f"The layers' gradients {verdict} with other methods. Largest relative differences:"]
        for how, difference in self.differences.items():
            wrong = "" if difference.relative <= self.tolerance else f", at {difference.where}"
            kinks = f"; {difference.at_kinks} at a kink have no derivative" if difference.at_kinks else ""
            lines.append(f"  {difference.relative:.1e}  {how}{wrong}{kinks}")
        if not self:
            lines.append("A backward pass of the network's layers is wrong.")
        return "\n".join(lines)

    __repr__ = __str__


def verify(graph: NeuronGraph) -> Verification:
    """Compute the gradients by other methods, and compare.

    Central differences are those of `check_gradients`, in double precision. They cannot resolve gradients below
    the rounding of the target divided by the step, so that errors below this resolution do not count; at a kink
    they are not used. Errors of sums are relative to the largest sum of absolute terms, because terms may
    cancel.
    """
    last, index = graph.target_position
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
    if path_counts(graph)[0].sum() <= MAX_VERIFIED_PATHS:
        inputs = graph.columns[0]
        by_paths = sum_over_paths(graph).gradients
        differences["as sums over all paths"] = worst(
            by_paths, inputs.gradients, inputs.symbols, all_terms[0].max()
        )
    differences |= by_differences(graph)
    return Verification(differences, TOLERANCES[graph.columns[0].values.dtype])


def by_differences(graph: NeuronGraph) -> dict[str, Difference]:
    """Compare the gradients of all nodes and parameters with central differences."""
    twin = in_double_precision(graph)
    random = np.random.default_rng(0)
    last = graph.target_position[0]
    nodes = {
        k: compare_with_differences(twin, k, twin.columns[k].values, graph.columns[k].gradients)
        for k in range(last)
    }
    parameters = {}
    for k, column in enumerate(graph.columns[1 : last + 1], start=1):
        grad_output = column.gradients[None] if column.is_neurons else column.gradients[0]
        column.backward(column.inputs[None], grad_output)
        for layer, in_double in zip(column.layers, twin.columns[k].layers, strict=True):
            for name, array in in_double.parameters.items():
                if array.size:
                    parameters[k, name] = compare_with_differences(
                        twin, k - 1, array, layer.gradients[name], random
                    )
    dtype = graph.columns[0].values.dtype
    tolerance, rounding = TOLERANCES[dtype], rounding_of([*nodes.values(), *parameters.values()], dtype)

    def worst_of(compared: Compared, name: Callable[[tuple[int, ...] | None], str]) -> Difference:
        compared.refine(tolerance, rounding, leave_out_kinks=True)
        error, where, _, _ = compared.worst(tolerance, rounding)
        return Difference(error, name(where), int(compared.at_kink.sum()))

    def node_at(k: int) -> Callable[[tuple[int, ...] | None], str]:
        return lambda where: str(graph.columns[k].symbols[where[0] if where else 0])

    def parameter_at(k: int, array: str) -> Callable[[tuple[int, ...] | None], str]:
        name = f"{graph.columns[k].symbols[0].column}.{array}"
        return lambda where: name if where is None else f"{name}{list(where)}"

    found = {"node": [worst_of(each, node_at(k)) for k, each in nodes.items()]}
    found["parameter"] = [worst_of(each, parameter_at(*where)) for where, each in parameters.items()]
    return {f"central differences of every {kind}": largest(each) for kind, each in found.items() if each}


def compare_with_differences(
    twin: NeuronGraph,
    depth: int,
    array: np.ndarray,
    gradient: np.ndarray,
    random: np.random.Generator | None = None,
) -> Compared:
    """Compare the gradient of the target with respect to an array with central differences.

    Parameters
    ----------
    twin : NeuronGraph
        In double precision.
    depth : int
        The column whose values, with the array, determine the columns after it.
    array : ndarray of float64
        Values of that column, or parameters of the next one; it is changed and restored.
    gradient : ndarray of that shape
    random : numpy.random.Generator, default=None
        Draws the directions for a large array; None changes every entry separately.
    """
    last, index = twin.target_position
    row = twin.columns[depth].values

    def target() -> np.ndarray:
        value: np.ndarray = twin.values_with_changed_column(depth, row)[last][index]
        return value

    directions: Any = Entries(array.shape)  # an array is a sequence of directions too, but not in NumPy's types
    if random is not None and array.size > MAX_SINGLE_ENTRIES:
        directions = random_directions(array.shape, random)
    return Differences(target, array, np.ones(()), DIFFERENCE_STEP).beside(gradient, directions)


def in_double_precision(graph: NeuronGraph) -> NeuronGraph:
    """Return a copy of a graph with values and parameters in float64."""
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
    """Return the largest difference, relative to the largest gradient or to a given size."""
    if not len(found):
        return Difference(0.0, "")
    distance = np.abs(found - gradients)
    smallest = (
        np.finfo(gradients.dtype).tiny / TOLERANCES[gradients.dtype]
    )  # subnormal numbers have fewer digits
    scale = max(np.abs(found).max(), np.abs(gradients).max(), size, smallest)
    index = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
    return Difference(float(distance[index] / scale), str(places[index]))


def largest(differences: list[Difference]) -> Difference:
    """Return the largest of some differences, with the total number at kinks; NaN counts as the largest."""
    order = [np.inf if np.isnan(each.relative) else each.relative for each in differences]
    return replace(differences[int(np.argmax(order))], at_kinks=sum(each.at_kinks for each in differences))
