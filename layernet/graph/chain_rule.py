"""The chain rule on a graph: derivatives level by level, as sums over paths, and of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from layernet.graph.counting import numbers_of_paths
from layernet.graph.equations import Derivation, Equation, Factor, ParameterDerivation, as_factor
from layernet.graph.marks import mark_of, ordinary_marks
from layernet.graph.neurons import Link, NeuronGraph
from layernet.graph.parameters import Place, one_of
from layernet.graph.symbols import Derivative, number
from layernet.validation import require_number

MOST_PATHS = 10_000  # to write out; more are counted in no time, but nobody reads them
SMALL_CHANGE = 0.01  # of a parameter, to compare a slope with what it says
NOTE_ON_SKIPS = "skip: along the edge around the body of a Residual alone."

DerivationKind = TypeVar("DerivationKind", bound=Derivation)


def levels(graph: NeuronGraph) -> Derivation:
    """The derivation of the lecture, from the target's level down to the inputs."""
    groups = [
        (str(depth + 1), [equation_of(graph, depth, i) for i in graph.on_the_way(depth)])
        for depth in range(graph.target_place[0] - 1, -1, -1)
    ]
    above = "a" if graph.has_skips else "the"
    known = f"d{graph.target}/d... of {above} level above, worked out once and used again."
    notes = [(f"In parentheses: {known}", f"Marked by a color and a line: {known}")] if len(groups) > 1 else []
    return with_note_on_skips(Derivation(groups, notes))


def equation_of(graph: NeuronGraph, depth: int, index: int) -> Equation:
    """The derivative of a neuron as the sum over the neurons behind it, whose derivatives are known."""
    products = []
    for link, j in ends_of(graph, depth, index):
        local = factor_on(graph, link, index, j)
        is_last = link.end == graph.target_place[0]
        products.append([local] if is_last else [known_factor(graph, link.end, j), local])
    wanted = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    mark = mark_of(depth, index) if depth else None  # those of the inputs are not used again
    return Equation(wanted, float(graph.columns[depth].gradients[index]), products, mark)


def ends_of(graph: NeuronGraph, depth: int, index: int) -> list[tuple[Link, int]]:
    """The edges out of a neuron that lie on a path to the target: (link, end)."""
    return [
        (link, int(j))
        for link in graph.links_from(depth)
        for j in np.flatnonzero(link.connected[index] & graph.reaches[link.end])
    ]


def factor_on(graph: NeuronGraph, link: Link, i: int, j: int, mark: int | None = None) -> Factor:
    """The local derivative on an edge."""
    return Factor(graph.derivative_on(link, i, j), float(link.derivatives[i, j]), mark)


def known_factor(graph: NeuronGraph, depth: int, index: int) -> Factor:
    """The target's derivative with respect to a neuron, as the level above has found it."""
    column = graph.columns[depth]
    derivative = Derivative(graph.target_symbol, column.symbols[index])
    is_sum = len(ends_of(graph, depth, index)) > 1
    return Factor(derivative, float(column.gradients[index]), mark_of(depth, index), True, is_sum)


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
    # An edge to the target has its neuron's mark, as in the levels; the others have those that are left.
    marks = {edge: mark_of(edge[0].start, edge[1]) for edge in repeated if edge[0].end == last}
    taken = set(marks.values())
    free = (mark for mark in ordinary_marks() if mark not in taken)
    marks |= {edge: next(free) for edge in repeated if edge not in marks}
    products = [  # as on the slides, from the target to the neuron
        [factor_on(graph, *edge, marks.get(edge)) for edge in reversed(way)] for way in ways
    ]
    wanted = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    value = float(sum(np.prod([factor.value for factor in product]) for product in products))
    n_factors = sum(len(product) for product in products)
    note = (
        f"{n_paths} path{'s' if n_paths != 1 else ''}, "
        f"{n_factors} factor{'s' if n_factors != 1 else ''}, {len(uses)} of them different"
        + (f": {len(repeated)} occur more than once." if repeated else ".")
    )
    return with_note_on_skips(Derivation([("", [Equation(wanted, value, products)])], [(note, note)]))


def paths_from(graph: NeuronGraph, depth: int, index: int) -> Iterator[list[tuple[Link, int, int]]]:
    """Each path from a neuron to the target, as edges (link, start, end)."""
    if (depth, index) == graph.target_place:
        yield []
        return
    if depth >= graph.target_place[0]:
        return
    for link, j in ends_of(graph, depth, index):
        for rest in paths_from(graph, link.end, j):
            yield [(link, index, j), *rest]


def parameter(graph: NeuronGraph, name: str, learning_rate: float) -> ParameterDerivation:
    """A parameter's derivative by the chain rule, and with a loss the step of gradient descent."""
    place = graph.place_of_parameter(name)
    learning_rate = require_number(graph, "learning_rate", learning_rate, at_least=0)
    column = graph.columns[place.column]
    layer = column.layers[0]
    column.backward(column.inputs[None], column.gradients[None])
    gradient = float(layer.gradients[place.array][place.index])
    groups, notes = [], []
    if place.neuron is None:
        products = products_of_shared(graph, place)
    else:
        products, groups, notes = products_of_own(graph, place)
    wanted = Derivative(graph.target_symbol, place.symbol)
    groups.insert(0, ("", [Equation(wanted, gradient, products)]))

    before = float(layer.parameters[place.array][place.index])
    target_column, target_index = graph.target_place
    # A step of gradient descent makes a loss smaller; an output need not become smaller.
    has_loss = not graph.columns[target_column].is_neurons
    step = -learning_rate * gradient if has_loss else 0.0
    derivation = ParameterDerivation(
        groups=groups,
        name=name,
        gradient=gradient,
        before=before,
        after=before + step,
        learning_rate=learning_rate if has_loss else 0.0,
        target_before=float(graph.columns[target_column].values[target_index]),
        target_after=target_with(graph, place, before + step),
    )
    notes += notes_on_step(graph, place, derivation) if has_loss else notes_on_slope(graph, place, gradient)
    derivation.notes = [(note, note) for note in notes]
    return with_note_on_skips(derivation)


def with_note_on_skips(derivation: DerivationKind) -> DerivationKind:
    """Say what "skip" at a derivative means, if it stands in the formulas."""
    products = [product for equation in derivation for product in equation.products]
    if any(factor.derivative.is_skip for product in products for factor in product):
        derivation.notes.append((NOTE_ON_SKIPS, NOTE_ON_SKIPS))
    return derivation


def products_of_own(graph: NeuronGraph, place: Place) -> tuple[list, list, list[str]]:
    """Of a parameter of one neuron: the products of its derivative, further equations, and notes."""
    neuron = graph.columns[place.column].symbols[place.neuron]
    last = own_factor(graph, place, place.neuron)
    if place.neuron not in graph.on_the_way(place.column):
        return [], [], [f"{neuron} does not act on {graph.target}."]
    if numbers_of_paths(graph)[place.column][place.neuron] == 1:
        (way,) = paths_from(graph, place.column, place.neuron)
        return [[*(factor_on(graph, *edge) for edge in reversed(way)), last]], [], []
    equation = equation_of(graph, place.column, place.neuron)
    return [[known_factor(graph, place.column, place.neuron), last]], [("", [equation])], []


def products_of_shared(graph: NeuronGraph, place: Place) -> list[list[Factor]]:
    """Of a parameter that acts on several neurons: a product for each of them."""
    products = []
    for index in graph.on_the_way(place.column):
        factor = own_factor(graph, place, index)
        if factor.value:
            is_target = (place.column, index) == graph.target_place
            products.append([factor] if is_target else [known_factor(graph, place.column, index), factor])
    return products


def own_factor(graph: NeuronGraph, place: Place, index: int) -> Factor:
    """The derivative of a neuron with respect to a parameter, by the layer's backward pass."""
    column = graph.columns[place.column]
    asks = one_of((1, len(column.symbols)), index, column.values.dtype)
    column.backward(column.inputs[None], asks)
    value = float(column.layers[0].gradients[place.array][place.index])
    return Factor(Derivative(column.symbols[index], place.symbol), value)


def notes_on_step(graph: NeuronGraph, place: Place, derivation: ParameterDerivation) -> list[str]:
    """What a step of gradient descent does to the parameter, and to the loss."""
    change = derivation.target_after - derivation.target_before
    rate, slope = number(derivation.learning_rate), as_factor(derivation.gradient)
    promised = number(-derivation.learning_rate * derivation.gradient**2)
    before, after = number(derivation.before), number(derivation.after)
    return [
        f"A step of gradient descent: {before} \u2212 {rate} · {slope} = {after}.",
        f"With {words_for(graph, place)} alone moved, {graph.target} changes by {number(change)}; its slope "
        f"promises \u2212{rate} · {slope}² = {promised}.",
    ]


def notes_on_slope(graph: NeuronGraph, place: Place, gradient: float) -> list[str]:
    """What the derivative of an output says, where there is no loss that a step could lower."""
    value = graph.columns[graph.target_place[0]].values[graph.target_place[1]]
    layer = graph.columns[place.column].layers[0]
    moved = target_with(graph, place, float(layer.parameters[place.array][place.index]) + SMALL_CHANGE)
    change, promised = number(moved - float(value)), number(SMALL_CHANGE * gradient)
    return [
        f"With {words_for(graph, place)} alone {number(SMALL_CHANGE)} larger, {graph.target} changes by "
        f"{change}; its slope promises {promised}.",
        f"{graph.target} is an output and no loss: for a step of gradient descent give a target and a loss.",
    ]


def words_for(graph: NeuronGraph, place: Place) -> str:
    """A parameter in a sentence: "w1 of h2"."""
    if place.neuron is None:
        return str(place.symbol)
    return f"{place.symbol} of {graph.columns[place.column].symbols[place.neuron]}"


def target_with(graph: NeuronGraph, place: Place, value: float) -> float:
    """What the target would be with one parameter at another value; the parameter is put back."""
    last, index = graph.target_place
    if place.column > last:
        return float(graph.columns[last].values[index])
    array = graph.columns[place.column].layers[0].parameters[place.array]
    before = array[place.index].copy()
    try:
        array[place.index] = value
        row = graph.columns[place.column - 1].values
        return float(graph.values_with(place.column - 1, row)[last][index])
    finally:
        array[place.index] = before
