"""The chain rule on a graph: derivatives level by level, as sums over paths, and of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from layernet.inspection.graph.counting import number_of_paths
from layernet.inspection.graph.equations import (
    Derivation,
    Equation,
    Factor,
    ParameterDerivation,
    in_parentheses_if_negative,
)
from layernet.inspection.graph.symbols import Derivative, Symbol, number

if TYPE_CHECKING:
    from layernet.inspection.graph.computation import ComputationGraph

MOST_PATHS = 10_000  # to write out; more are counted in no time, but nobody reads them


def levels(graph: ComputationGraph) -> Derivation:
    """The derivation of the lecture, from the target's level down to the inputs."""
    groups = [
        (str(depth + 1), [equation_of(graph, depth, i) for i in graph.on_the_way(depth)])
        for depth in range(graph.target_place[0] - 1, -1, -1)
    ]
    note = f"In parentheses: d{graph.target}/d... of the level above, worked out once and used again."
    return Derivation(groups, [note] if len(groups) > 1 else [])


def equation_of(graph: ComputationGraph, depth: int, index: int) -> Equation:
    """The derivative of a neuron as the sum over the neurons behind it, whose derivatives are known."""
    column, target = graph.columns[depth + 1], graph.target_symbol
    wanted = graph.columns[depth].symbols[index]
    is_last = depth + 1 == graph.target_place[0]
    products = []
    for j in np.flatnonzero(column.connected[index]):
        if is_last and int(j) != graph.target_place[1]:
            continue
        local = Factor(Derivative(column.symbols[j], wanted), float(column.derivatives[index, j]))
        if is_last:
            products.append([local])
        else:
            known = Derivative(target, column.symbols[j])
            is_sum = depth + 2 < graph.target_place[0]
            mark = color_of(graph, depth + 1, int(j))
            products.append([Factor(known, float(column.gradients[j]), mark, True, is_sum), local])
    value = float(graph.columns[depth].gradients[index])
    return Equation(
        Derivative(target, wanted), value, products, color_of(graph, depth, index) if depth else None
    )


def color_of(graph: ComputationGraph, depth: int, index: int) -> int:
    """A colour for a neuron's derivative, the same wherever it occurs: they are counted from the target."""
    last = graph.target_place[0]
    return sum(len(column.symbols) for column in graph.columns[depth + 1 : last]) + index


def paths(graph: ComputationGraph, name: str) -> Derivation:
    """A derivative as the sum over all paths to the target."""
    depth, index = graph.place(name)
    end = graph.target_place[0]
    if depth >= end:
        raise ValueError(f"No path leads from {name} to {graph.target}: choose a node before it.")
    n_paths = number_of_paths(graph, depth, index)
    if n_paths > MOST_PATHS:
        raise ValueError(
            f"{n_paths:,} paths lead from {name} to {graph.target}, too many to write out "
            f"(more than {MOST_PATHS:,}). count() counts the work; levels() shows how to do without."
        )
    ways = list(paths_from(graph, depth, index))
    uses = Counter(edge for way in ways for edge in way)
    repeated = {edge: mark for mark, edge in enumerate(e for e, n in uses.items() if n > 1)}
    products = []
    for way in ways:
        factors = []
        for k, i, j in reversed(way):  # as on the slides, from the target to the neuron
            column = graph.columns[k + 1]
            derivative = Derivative(column.symbols[j], graph.columns[k].symbols[i])
            value = float(column.derivatives[i, j])
            factors.append(Factor(derivative, value, repeated.get((k, i, j))))
        products.append(factors)
    wanted = graph.columns[depth].symbols[index]
    value = float(sum(np.prod([factor.value for factor in product]) for product in products))
    n_factors = sum(len(product) for product in products)
    note = (
        f"{n_paths} path{'s' if n_paths != 1 else ''}, {n_factors} factors, {len(uses)} of them different"
        + (f": {len(repeated)} occur more than once." if repeated else ".")
    )
    return Derivation([("", [Equation(Derivative(graph.target_symbol, wanted), value, products)])], [note])


def paths_from(graph: ComputationGraph, depth: int, index: int) -> Iterator[list[tuple[int, int, int]]]:
    """Each path from a neuron to the target, as edges (column of the start, start, end)."""
    if (depth, index) == graph.target_place:
        yield []
        return
    if depth >= graph.target_place[0]:
        return
    for j in np.flatnonzero(graph.columns[depth + 1].connected[index]):
        for rest in paths_from(graph, depth + 1, int(j)):
            yield [(depth, index, int(j)), *rest]


def parameter(graph: ComputationGraph, name: str, learning_rate: float) -> ParameterDerivation:
    """A parameter's derivative by the chain rule, and the step of gradient descent."""
    depth, index, array, place = graph.place_of_parameter(name)
    column, target = graph.columns[depth], graph.target_symbol
    layer = column.layers[0]
    neuron = column.symbols[index]
    one = np.zeros((1, len(column.symbols)), dtype=column.values.dtype)
    one[0, index] = 1
    column.backward(column.inputs[None], one)
    local = float(layer.gradients[array][place])
    column.backward(column.inputs[None], column.gradients[None])
    gradient = float(layer.gradients[array][place])

    short = name.partition(".")[2]
    symbol = Symbol("w", int(short[1:])) if array == "weights" and column.dense else Symbol(short)
    last = Factor(Derivative(neuron, symbol), local)
    upwards = chain_to_target(graph, depth, index)
    groups: list[tuple[str, list[Equation]]] = []
    if upwards is not None:
        products = [[*upwards, last]]
    else:
        known = Factor(
            Derivative(target, neuron),
            float(column.gradients[index]),
            color_of(graph, depth, index),
            True,
            True,
        )
        products = [[known, last]]
        groups.append(("", [equation_of(graph, depth, index)]))
    groups.insert(0, ("", [Equation(Derivative(target, symbol), gradient, products)]))

    before = float(layer.parameters[array][place])
    after = before - learning_rate * gradient
    value = float(graph.columns[graph.target_place[0]].values[graph.target_place[1]])
    moved = value_with(graph, depth, array, place, after)
    change = f"{number(learning_rate)} · {in_parentheses_if_negative(number(gradient))}"
    step = (
        f"A step of gradient descent: {number(before)} \u2212 {change} = {number(after)}. "
        f"With {symbol} of {neuron} alone moved, {graph.target} goes from {value:.6g} to {moved:.6g}."
    )
    return ParameterDerivation(groups, [step], name, gradient, before, learning_rate, value, moved)


def chain_to_target(graph: ComputationGraph, depth: int, index: int) -> list[Factor] | None:
    """The factors on the only path from a neuron to the target; None if there are several, or none."""
    if number_of_paths(graph, depth, index) != 1 or depth > graph.target_place[0]:
        return None
    (way,) = paths_from(graph, depth, index)
    return [
        Factor(
            Derivative(graph.columns[k + 1].symbols[j], graph.columns[k].symbols[i]),
            float(graph.columns[k + 1].derivatives[i, j]),
        )
        for k, i, j in reversed(way)
    ]


def value_with(graph: ComputationGraph, depth: int, array: str, place: tuple, value: float) -> float:
    """What the target would be with one parameter at another value; the parameter is put back."""
    parameters = graph.columns[depth].layers[0].parameters[array]
    before = parameters[place].copy()
    try:
        parameters[place] = value
        row = graph.columns[depth].inputs[None]
        for column in graph.columns[depth : graph.target_place[0] + 1]:
            row = np.atleast_2d(column.forward(row))
        return float(row[0, graph.target_place[1]])
    finally:
        parameters[place] = before
