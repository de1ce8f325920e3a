"""The chain rule on a graph: derivatives level by level, as sums over paths, and of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from layernet.inspection.graph.counting import numbers_of_paths
from layernet.inspection.graph.equations import Derivation, Equation, Factor, ParameterDerivation, as_factor
from layernet.inspection.graph.neurons import NeuronGraph
from layernet.inspection.graph.parameters import Place, one_of
from layernet.inspection.graph.symbols import Derivative, number
from layernet.validation import require_number

MOST_PATHS = 10_000  # to write out; more are counted in no time, but nobody reads them


def levels(graph: NeuronGraph) -> Derivation:
    """The derivation of the lecture, from the target's level down to the inputs."""
    groups = [
        (str(depth + 1), [equation_of(graph, depth, i) for i in graph.on_the_way(depth)])
        for depth in range(graph.target_place[0] - 1, -1, -1)
    ]
    known = f"d{graph.target}/d... of the level above, worked out once and used again."
    notes = [(f"In parentheses: {known}", f"In colour: {known}")] if len(groups) > 1 else []
    return Derivation(groups, notes)


def equation_of(graph: NeuronGraph, depth: int, index: int) -> Equation:
    """The derivative of a neuron as the sum over the neurons behind it, whose derivatives are known."""
    products = []
    for j in ends_of(graph, depth, index):
        local = factor_on(graph, depth, index, j)
        is_last = depth + 1 == graph.target_place[0]
        products.append([local] if is_last else [known_factor(graph, depth + 1, j), local])
    wanted = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    mark = color_of(depth, index) if depth else None  # those of the inputs are not used again
    return Equation(wanted, float(graph.columns[depth].gradients[index]), products, mark)


def ends_of(graph: NeuronGraph, depth: int, index: int) -> list[int]:
    """The neurons of the next column that a neuron acts on; only the target where that is its column."""
    last, target = graph.target_place
    ends = [int(j) for j in np.flatnonzero(graph.columns[depth + 1].connected[index])]
    return [j for j in ends if j == target] if depth + 1 == last else ends


def factor_on(graph: NeuronGraph, depth: int, i: int, j: int, mark: int | None = None) -> Factor:
    """The local derivative on an edge from a column to the next."""
    before, column = graph.columns[depth], graph.columns[depth + 1]
    return Factor(Derivative(column.symbols[j], before.symbols[i]), float(column.derivatives[i, j]), mark)


def known_factor(graph: NeuronGraph, depth: int, index: int) -> Factor:
    """The target's derivative with respect to a neuron, as the level above has found it."""
    column = graph.columns[depth]
    derivative = Derivative(graph.target_symbol, column.symbols[index])
    is_sum = len(ends_of(graph, depth, index)) > 1
    return Factor(derivative, float(column.gradients[index]), color_of(depth, index), True, is_sum)


def color_of(depth: int, index: int) -> int:
    """A colour for a neuron's derivative, the same wherever it occurs, and another on the next level."""
    return index % 4 + 4 * (depth % 2)


def paths(graph: NeuronGraph, name: str) -> Derivation:
    """A derivative as the sum over all paths to the target."""
    depth, index = graph.place(name)
    last = graph.target_place[0]
    n_paths = int(numbers_of_paths(graph)[depth][index]) if depth < last else 0
    if n_paths == 0:
        raise ValueError(f"No path leads from {name} to {graph.target}: choose a node that acts on it.")
    if n_paths > MOST_PATHS:
        raise ValueError(
            f"{n_paths:,} paths lead from {name} to {graph.target}, too many to write out "
            f"(more than {MOST_PATHS:,}). count() counts the work; levels() shows how to do without."
        )
    ways = list(paths_from(graph, depth, index))
    uses = Counter(edge for way in ways for edge in way)
    repeated = [edge for edge, times in uses.items() if times > 1]
    # An edge to the target has its neuron's colour, as in the levels; the others have those that are left.
    marks = {(k, i, j): color_of(k, i) for k, i, j in repeated if k + 1 == last}
    free = [mark for mark in range(8) if mark not in marks.values()] or list(range(8))
    others = [edge for edge in repeated if edge not in marks]
    marks |= {edge: free[place % len(free)] for place, edge in enumerate(others)}
    products = [  # as on the slides, from the target to the neuron
        [factor_on(graph, k, i, j, marks.get((k, i, j))) for k, i, j in reversed(way)] for way in ways
    ]
    wanted = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    value = float(sum(np.prod([factor.value for factor in product]) for product in products))
    n_factors = sum(len(product) for product in products)
    note = (
        f"{n_paths} path{'s' if n_paths != 1 else ''}, {n_factors} factors, {len(uses)} of them different"
        + (f": {len(repeated)} occur more than once." if repeated else ".")
    )
    return Derivation([("", [Equation(wanted, value, products)])], [(note, note)])


def paths_from(graph: NeuronGraph, depth: int, index: int) -> Iterator[list[tuple[int, int, int]]]:
    """Each path from a neuron to the target, as edges (column of the start, start, end)."""
    if (depth, index) == graph.target_place:
        yield []
        return
    if depth >= graph.target_place[0]:
        return
    for j in ends_of(graph, depth, index):
        for rest in paths_from(graph, depth + 1, j):
            yield [(depth, index, j), *rest]


def parameter(graph: NeuronGraph, name: str, learning_rate: float) -> ParameterDerivation:
    """A parameter's derivative by the chain rule, and the step of gradient descent."""
    place = graph.place_of_parameter(name)
    learning_rate = require_number("parameter", "learning_rate", learning_rate, at_least=0)
    column, target = graph.columns[place.column], graph.target_symbol
    layer, neuron = column.layers[0], column.symbols[place.neuron]
    asks = one_of((1, len(column.symbols)), place.neuron, column.values.dtype)
    column.backward(column.inputs[None], asks)
    last = Factor(Derivative(neuron, place.symbol), float(layer.gradients[place.array][place.index]))
    column.backward(column.inputs[None], column.gradients[None])
    gradient = float(layer.gradients[place.array][place.index])

    groups: list[tuple[str, list[Equation]]] = []
    notes = []
    if place.neuron not in graph.on_the_way(place.column):
        products = []
        notes.append(f"{neuron} does not act on {graph.target}.")
    elif numbers_of_paths(graph)[place.column][place.neuron] == 1:
        (way,) = paths_from(graph, place.column, place.neuron)
        products = [[*(factor_on(graph, k, i, j) for k, i, j in reversed(way)), last]]
    else:
        products = [[known_factor(graph, place.column, place.neuron), last]]
        groups.append(("", [equation_of(graph, place.column, place.neuron)]))
    groups.insert(0, ("", [Equation(Derivative(target, place.symbol), gradient, products)]))

    before = float(layer.parameters[place.array][place.index])
    target_column, target_index = graph.target_place
    derivation = ParameterDerivation(
        groups=groups,
        name=name,
        gradient=gradient,
        before=before,
        learning_rate=learning_rate,
        target_before=float(graph.columns[target_column].values[target_index]),
        target_after=target_with(graph, place, before - learning_rate * gradient),
    )
    change = derivation.target_after - derivation.target_before
    rate, slope = number(learning_rate), as_factor(gradient)
    promised = number(-learning_rate * gradient**2)
    notes += [
        f"A step of gradient descent: {number(before)} \u2212 {rate} · {slope} = {number(derivation.after)}.",
        f"With {place.symbol} of {neuron} alone moved, {graph.target} changes by {number(change)}; its slope "
        f"promises \u2212{rate} · {slope}² = {promised}.",
    ]
    derivation.notes = [(note, note) for note in notes]
    return derivation


def target_with(graph: NeuronGraph, place: Place, value: float) -> float:
    """What the target would be with one parameter at another value; the parameter is put back."""
    last, index = graph.target_place
    if place.column > last:
        return float(graph.columns[last].values[index])
    array = graph.columns[place.column].layers[0].parameters[place.array]
    before = array[place.index].copy()
    try:
        array[place.index] = value
        row = graph.columns[place.column].inputs[None]
        for column in graph.columns[place.column : last + 1]:
            row = np.atleast_2d(column.forward(row))
        return float(row[0, index])
    finally:
        array[place.index] = before
