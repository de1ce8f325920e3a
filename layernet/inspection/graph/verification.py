"""The comparison of a graph's gradients: by the layers, by edges, by paths, and by central differences."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from layernet.containers import Sequential
from layernet.inspection.gradients import check_gradients
from layernet.inspection.graph.counting import back_propagate, number_of_paths, sum_over_paths

if TYPE_CHECKING:
    from layernet.inspection.graph.computation import ComputationGraph

STEP = 1e-5  # of central differences: their error is smallest near the cube root of the precision
MOST_PATHS = 1_000_000  # that are walked to compare
MOST_PARAMETERS = 2_000  # that are moved one by one; more are moved along directions


@dataclass(frozen=True)
class Verification:
    """How far other ways to the gradients are from the layers' own; true if all agree.

    Attributes
    ----------
    differences : dict of str to float
        By the way: the largest difference, relative to the largest gradient that it is compared with.
    tolerance : float
    """

    differences: dict[str, float]
    tolerance: float

    def __bool__(self) -> bool:
        # Written so that a NaN fails.
        return all(difference <= self.tolerance for difference in self.differences.values())

    def __str__(self) -> str:
        verdict = "agree" if self else "DO NOT AGREE"
        lines = [f"The layers' gradients {verdict} with those found otherwise. Largest relative differences:"]
        return "\n".join([*lines, *(f"  {value:.1e}  {how}" for how, value in self.differences.items())])

    __repr__ = __str__


def verify(graph: ComputationGraph) -> Verification:
    """Find the gradients in other ways, and compare.

    At a kink, an input of exactly 0 to ReLU for instance, differences see half a derivative.
    """
    last, index = graph.target_place
    differences = {
        "level by level, over the edges": distance(back_propagate(graph).gradients, graph.columns[0].gradients)
    }
    if sum(number_of_paths(graph, 0, i) for i in range(len(graph.columns[0].symbols))) <= MOST_PATHS:
        by_paths = sum_over_paths(graph).gradients
        differences["as sums over all paths"] = distance(by_paths, graph.columns[0].gradients)
    differences["central differences of every node"] = max(
        (distance(node_differences(graph, k), graph.columns[k].gradients) for k in range(last)), default=0.0
    )
    layers = copy.deepcopy([layer for column in graph.columns[1 : last + 1] for layer in column.layers])
    if any(layer.has_parameters for layer in layers):
        part = Sequential(layers).build(graph.columns[0].values.shape)
        asks = np.zeros((1, len(graph.columns[last].values)))
        asks[0, index] = 1
        method = "entries" if part.parameter_vector.size <= MOST_PARAMETERS else "directions"
        report = check_gradients(
            part.astype(np.float64),
            graph.columns[0].values.astype(np.float64)[None],
            asks if graph.columns[last].is_neurons else 1.0,
            method=method,
            step=STEP,
        )
        differences["central differences of every parameter"] = report.worst.error
    return Verification(differences, 1e-7 if graph.columns[0].values.dtype == np.float64 else 1e-4)


def node_differences(graph: ComputationGraph, depth: int) -> np.ndarray:
    """The derivative of the target with respect to each neuron of a column, by moving its value."""
    last, index = graph.target_place
    layers = copy.deepcopy([layer for column in graph.columns[depth + 1 : last + 1] for layer in column.layers])
    values = graph.columns[depth].values.astype(np.float64)
    rest = Sequential(layers).build(values.shape)
    rest = rest.astype(np.float64) if rest.has_parameters else rest

    def target_with(i: int, step: float) -> float:
        moved = values.copy()
        moved[i] += step
        return float(np.reshape(rest.forward_pass(moved[None]), -1)[index])

    return np.array([(target_with(i, STEP) - target_with(i, -STEP)) / (2 * STEP) for i in range(len(values))])


def distance(other: np.ndarray, gradients: np.ndarray) -> float:
    """The largest difference of two gradients, relative to the largest entry."""
    scale = max(np.abs(other).max(initial=0), np.abs(gradients).max(initial=0))
    return float(np.abs(other - gradients).max(initial=0) / scale) if scale else 0.0
