"""The comparison of a graph's gradients: by the layers, by edges, by paths, and by central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from layernet.containers import Sequential
from layernet.inspection.graph.counting import numbers_of_paths, sum_over_paths
from layernet.inspection.graph.neurons import NeuronGraph

TOLERANCE = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-4}
STEPS = (1.0, 0.1)  # of differences, in units of the cube root of the precision
# Differences are wrong by a few roundings of the target, divided by the step.
ROUNDINGS = 10
MOST_PATHS = 1_000_000  # that are walked to compare
MOST_PARAMETERS = 2_000  # that are moved, one by one; of more some are drawn


@dataclass(frozen=True)
class Difference:
    """How far two ways to the same gradients are apart, at their worst.

    Attributes
    ----------
    relative : float
        Divided by the largest gradient that was compared, or by the size of what it was computed from.
    place : str
        The node or the parameter where it is worst.
    at_kinks : int
        How many nodes or parameters could not be compared, having no derivative there, as a ReLU at 0.
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

    Central differences are taken in double precision. They cannot see gradients below the rounding of the
    target divided by the step, so that small differences are compared with what can be seen; at a kink they
    see nothing. Sums are compared with the largest sum of their terms' sizes, which may cancel.

    References
    ----------
    Step: Press et al. (2007), Numerical recipes, section 5.7.
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
    differences["central differences of every node"] = largest([of_nodes(graph, k) for k in range(last)])
    moved = of_parameters(graph)
    if moved is not None:
        differences["central differences of every parameter"] = moved
    return Verification(differences, TOLERANCE[graph.columns[0].values.dtype])


def of_nodes(graph: NeuronGraph, depth: int) -> Difference:
    """Compare the gradients of a column with differences: each neuron's value is moved."""
    column = graph.columns[depth]
    values = column.values.astype(np.float64)
    target = Target(graph, depth)

    def with_value(i: int) -> Callable[[float], float]:
        def moved(value):
            row = values.copy()
            row[i] = value
            return target(row)

        return moved

    pairs = zip(values, column.gradients, strict=True)
    slopes = [slope_near(gradient, with_value(i), value) for i, (value, gradient) in enumerate(pairs)]
    return compare_slopes(slopes, column.gradients, column.symbols)


def of_parameters(graph: NeuronGraph) -> Difference | None:
    """Compare the gradients of parameters with differences; None if there are none."""
    last = graph.target_place[0]
    gradients = []
    for column in graph.columns[1 : last + 1]:
        grad_output = column.gradients[None] if column.is_neurons else column.gradients[0]
        column.backward(column.inputs[None], grad_output)
        gradients += [layer.gradient_vector.copy() for layer in column.layers if layer.has_parameters]
    if not gradients:
        return None
    gradients = np.concatenate(gradients)
    target = Target(graph, 0)
    vector, names = target.network.parameter_vector, target.names
    inputs = graph.columns[0].values.astype(np.float64)

    def with_value(i: int) -> Callable[[float], float]:
        def moved(value):
            before = vector[i].copy()
            vector[i] = value
            try:
                return target(inputs)
            finally:
                vector[i] = before

        return moved

    which = np.arange(len(vector))
    if len(which) > MOST_PARAMETERS:
        which = np.sort(np.random.default_rng(0).choice(which, MOST_PARAMETERS, replace=False))
    slopes = [slope_near(gradients[i], with_value(i), vector[i]) for i in which]
    return compare_slopes(slopes, gradients[which], [names[i] for i in which])


class Target:
    """The target as a function of the values of a column, by the layers' forward passes, in float64."""

    def __init__(self, graph: NeuronGraph, depth: int):
        last, self.index = graph.target_place
        self.before = [column.values.astype(np.float64) for column in graph.columns[:depth]]
        columns = graph.columns[depth + 1 : last + 1]
        layers = copy.deepcopy([layer for column in columns for layer in column.layers])
        # One vector for all parameters; it is not passed through as a chain, for columns may have skips.
        network = Sequential(layers).build(graph.columns[depth].values.shape)
        self.network = network.astype(np.float64) if network.has_parameters else network
        layers = iter(self.network.layers)
        self.columns = [replace(column, layers=[next(layers) for _ in column.layers]) for column in columns]

    @property
    def names(self) -> list[str]:
        """A name for each entry of the parameter vector."""
        return [
            f"{name}{[int(i) for i in place]}"
            for name, array in self.network.parameters.items()
            for place in np.ndindex(array.shape)
        ]

    def __call__(self, row: np.ndarray) -> float:
        values = [*self.before, row]
        for column in self.columns:
            values.append(column.values_from(values))
        return float(values[-1][self.index])


@dataclass(frozen=True)
class Slope:
    """A slope by central differences.

    Attributes
    ----------
    value : float
    seen : float
        How large a slope would be seen for certain: rounding hides smaller ones.
    at_kink : bool
        Whether there is none, because the slopes on both sides differ.
    """

    value: float
    seen: float
    at_kink: bool


def slope_near(gradient: float, function: Callable[[float], float], at: float) -> Slope:
    """The slope of a function by central differences.

    Of two steps the one that comes nearer to the gradient counts: the larger suffers less from rounding, the
    smaller less from curvature. The slopes on both sides differ by less with the smaller one, unless there is a
    kink between them.
    """
    precision, here = np.finfo(np.float64).eps, function(at)
    slopes, bends = [], []
    for part in STEPS:
        step = part * np.cbrt(precision) * max(1.0, abs(float(at)))
        ahead, behind = function(at + step), function(at - step)
        slopes.append((ahead - behind) / (2 * step))
        bends.append(abs(ahead - 2 * here + behind) / step)
        rounding = ROUNDINGS * precision * max(1.0, abs(ahead), abs(behind)) / step
    at_kink = bends[1] > bends[0] / 2 and bends[1] > 10 * rounding
    value = min(slopes, key=lambda slope: abs(slope - gradient))
    return Slope(value, rounding / TOLERANCE[np.dtype(np.float64)], at_kink)


def compare_slopes(slopes: list[Slope], gradients: np.ndarray, places: list) -> Difference:
    """Gradients beside slopes, where there are any."""
    smooth = [i for i, slope in enumerate(slopes) if not slope.at_kink]
    found = np.array([slopes[i].value for i in smooth])
    seen = max((slope.seen for slope in slopes), default=0.0)
    difference = worst(found, gradients[smooth], [places[i] for i in smooth], seen)
    return replace(difference, at_kinks=len(slopes) - len(smooth))


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
