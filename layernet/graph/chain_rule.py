"""Chain rule on a graph: derivatives level by level, as sums over paths, and of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from layernet.graph.counting import path_counts
from layernet.graph.equations import Derivation, Equation, Factor, ParameterDerivation, as_factor
from layernet.graph.marks import mark_of, ordinary_marks
from layernet.graph.neurons import Link, NeuronGraph
from layernet.graph.parameters import ParameterPosition, one_hot
from layernet.graph.symbols import Derivative, number
from layernet.validation import require_number

MAX_WRITTEN_PATHS = 10_000  # more paths are only counted
SMALL_CHANGE = 0.01  # of a parameter, for a comparison with the first-order prediction
NOTE_ON_SKIPS = "skip: derivative along the skip connection of a Residual alone."

DerivationKind = TypeVar("DerivationKind", bound=Derivation)


def levels(graph: NeuronGraph) -> Derivation:
    """Derive all gradients level by level, from the target's level to the inputs."""
    groups = [
        (str(depth + 1), [equation_of(graph, depth, i) for i in graph.indices_on_paths(depth)])
        for depth in range(graph.target_position[0] - 1, -1, -1)
    ]
    above = "a" if graph.has_skips else "the"
    known = f"d{graph.target}/d... of {above} level above, computed once and used again."
    notes = [(f"In parentheses: {known}", f"Marked by a color and a line: {known}")] if len(groups) > 1 else []
    return with_note_on_skips(Derivation(groups, notes))


def equation_of(graph: NeuronGraph, depth: int, index: int) -> Equation:
    """Return the derivative of a neuron as a sum over the neurons after it, whose derivatives are known."""
    products = []
    for link, j in edges_to_target(graph, depth, index):
        local = factor_on(graph, link, index, j)
        is_last = link.end == graph.target_position[0]
        products.append([local] if is_last else [known_factor(graph, link.end, j), local])
    derivative = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    mark = mark_of(depth, index) if depth else None  # derivatives of inputs are not used again
    return Equation(derivative, float(graph.columns[depth].gradients[index]), products, mark)


def edges_to_target(graph: NeuronGraph, depth: int, index: int) -> list[tuple[Link, int]]:
    """Return the edges out of a neuron that lie on a path to the target: (link, end)."""
    return [
        (link, int(j))
        for link in graph.links_from(depth)
        for j in np.flatnonzero(link.connected[index] & graph.reaches_target[link.end])
    ]


def factor_on(graph: NeuronGraph, link: Link, i: int, j: int, mark: int | None = None) -> Factor:
    """Return the local derivative on an edge as a factor."""
    return Factor(graph.derivative_on(link, i, j), float(link.derivatives[i, j]), mark)


def known_factor(graph: NeuronGraph, depth: int, index: int) -> Factor:
    """Return the target's derivative with respect to a neuron, which the level above computed, as a factor."""
    column = graph.columns[depth]
    derivative = Derivative(graph.target_symbol, column.symbols[index])
    is_sum = len(edges_to_target(graph, depth, index)) > 1
    return Factor(derivative, float(column.gradients[index]), mark_of(depth, index), True, is_sum)


def paths(graph: NeuronGraph, name: str) -> Derivation:
    """Derive a gradient as the sum over all paths to the target."""
    depth, index = graph.position(name)
    last = graph.target_position[0]
    n_paths = int(path_counts(graph)[depth][index]) if depth < last else 0
    if n_paths == 0:
        raise ValueError(f"No path leads from {name} to {graph.target}: choose a node with a path to it.")
    if n_paths > MAX_WRITTEN_PATHS:
        raise ValueError(
            f"{n_paths:,} paths lead from {name} to {graph.target}, too many to write (more than "
            f"{MAX_WRITTEN_PATHS:,}). count() counts the work; levels() derives the gradient without them."
        )
    all_paths = list(iterate_paths(graph, depth, index))
    uses = Counter(edge for path in all_paths for edge in path)
    repeated = [edge for edge, times in uses.items() if times > 1]
    # An edge to the target has the mark of its neuron, as in the levels; the others take the remaining marks.
    marks = {edge: mark_of(edge[0].start, edge[1]) for edge in repeated if edge[0].end == last}
    taken = set(marks.values())
    free = (mark for mark in ordinary_marks() if mark not in taken)
    marks |= {edge: next(free) for edge in repeated if edge not in marks}
    products = [  # as on the slides, from the target to the neuron
        [factor_on(graph, *edge, marks.get(edge)) for edge in reversed(path)] for path in all_paths
    ]
    derivative = Derivative(graph.target_symbol, graph.columns[depth].symbols[index])
    value = float(sum(np.prod([factor.value for factor in product]) for product in products))
    n_factors = sum(len(product) for product in products)
    note = (
        f"{n_paths} path{'s' if n_paths != 1 else ''}, "
        f"{n_factors} factor{'s' if n_factors != 1 else ''}, {len(uses)} of them different"
        + (f": {len(repeated)} occur more than once." if repeated else ".")
    )
    return with_note_on_skips(Derivation([("", [Equation(derivative, value, products)])], [(note, note)]))


def iterate_paths(graph: NeuronGraph, depth: int, index: int) -> Iterator[list[tuple[Link, int, int]]]:
    """Yield each path from a neuron to the target, as edges (link, start, end)."""
    if (depth, index) == graph.target_position:
        yield []
        return
    if depth >= graph.target_position[0]:
        return
    for link, j in edges_to_target(graph, depth, index):
        for rest in iterate_paths(graph, link.end, j):
            yield [(link, index, j), *rest]


def parameter(graph: NeuronGraph, name: str, learning_rate: float) -> ParameterDerivation:
    """Derive a parameter's gradient by the chain rule, and with a loss the step of gradient descent."""
    place = graph.parameter_position(name)
    learning_rate = require_number(graph, "learning_rate", learning_rate, at_least=0)
    column = graph.columns[place.column]
    layer = column.layers[0]
    column.backward(column.inputs[None], column.gradients[None])
    gradient = float(layer.gradients[place.array][place.index])
    groups: list[tuple[str, list[Equation]]] = []
    notes: list[str] = []
    if place.neuron is None:
        products = products_of_shared_parameter(graph, place)
    else:
        products, groups, notes = products_of_neuron_parameter(graph, place)
    derivative = Derivative(graph.target_symbol, place.symbol)
    groups.insert(0, ("", [Equation(derivative, gradient, products)]))

    before = float(layer.parameters[place.array][place.index])
    target_column, target_index = graph.target_position
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
    """Add a note on "skip" at a derivative, if the formulas contain it."""
    products = [product for equation in derivation for product in equation.products]
    if any(factor.derivative.is_skip for product in products for factor in product):
        derivation.notes.append((NOTE_ON_SKIPS, NOTE_ON_SKIPS))
    return derivation


def products_of_neuron_parameter(
    graph: NeuronGraph, place: ParameterPosition
) -> tuple[list[list[Factor]], list[tuple[str, list[Equation]]], list[str]]:
    """For a parameter of one neuron return the products of its derivative, further equations, and notes."""
    assert place.neuron is not None
    neuron = graph.columns[place.column].symbols[place.neuron]
    last = parameter_factor(graph, place, place.neuron)
    if place.neuron not in graph.indices_on_paths(place.column):
        return [], [], [f"{neuron} has no path to {graph.target}."]
    if path_counts(graph)[place.column][place.neuron] == 1:
        (path,) = iterate_paths(graph, place.column, place.neuron)
        return [[*(factor_on(graph, *edge) for edge in reversed(path)), last]], [], []
    equation = equation_of(graph, place.column, place.neuron)
    return [[known_factor(graph, place.column, place.neuron), last]], [("", [equation])], []


def products_of_shared_parameter(graph: NeuronGraph, place: ParameterPosition) -> list[list[Factor]]:
    """For a parameter that acts on several neurons return one product for each of them."""
    products = []
    for index in graph.indices_on_paths(place.column):
        factor = parameter_factor(graph, place, index)
        if factor.value:
            is_target = (place.column, index) == graph.target_position
            products.append([factor] if is_target else [known_factor(graph, place.column, index), factor])
    return products


def parameter_factor(graph: NeuronGraph, place: ParameterPosition, index: int) -> Factor:
    """Return the derivative of a neuron with respect to a parameter, by the layer's backward pass."""
    column = graph.columns[place.column]
    unit_gradient = one_hot((1, len(column.symbols)), index, column.values.dtype)
    column.backward(column.inputs[None], unit_gradient)
    value = float(column.layers[0].gradients[place.array][place.index])
    return Factor(Derivative(column.symbols[index], place.symbol), value)


def notes_on_step(graph: NeuronGraph, place: ParameterPosition, derivation: ParameterDerivation) -> list[str]:
    """Write what a step of gradient descent does to the parameter, and to the loss."""
    change = derivation.target_after - derivation.target_before
    rate, slope = number(derivation.learning_rate), as_factor(derivation.gradient)
    predicted = number(-derivation.learning_rate * derivation.gradient**2)
    before, after = number(derivation.before), number(derivation.after)
    return [
        f"A step of gradient descent: {before} \u2212 {rate} · {slope} = {after}.",
        f"Moving only {describe_parameter(graph, place)} changes {graph.target} by {number(change)}; the "
        f"first-order prediction is \u2212{rate} · {slope}² = {predicted}.",
    ]


def notes_on_slope(graph: NeuronGraph, place: ParameterPosition, gradient: float) -> list[str]:
    """Compare the derivative of an output with the effect of a small change of the parameter."""
    value = graph.columns[graph.target_position[0]].values[graph.target_position[1]]
    layer = graph.columns[place.column].layers[0]
    moved = target_with(graph, place, float(layer.parameters[place.array][place.index]) + SMALL_CHANGE)
    change, predicted = number(moved - float(value)), number(SMALL_CHANGE * gradient)
    return [
        f"Adding {number(SMALL_CHANGE)} to {describe_parameter(graph, place)} alone changes {graph.target} by "
        f"{change}; the first-order prediction is {predicted}.",
        f"{graph.target} is an output, not a loss: for a step of gradient descent give a target and a loss.",
    ]


def describe_parameter(graph: NeuronGraph, place: ParameterPosition) -> str:
    """Write a parameter in a sentence: "w1 of h2"."""
    if place.neuron is None:
        return str(place.symbol)
    return f"{place.symbol} of {graph.columns[place.column].symbols[place.neuron]}"


def target_with(graph: NeuronGraph, place: ParameterPosition, value: float) -> float:
    """Return the target's value for another value of one parameter; the parameter is restored."""
    last, index = graph.target_position
    if place.column > last:
        return float(graph.columns[last].values[index])
    array = graph.columns[place.column].layers[0].parameters[place.array]
    before = array[place.index].copy()
    try:
        array[place.index] = value
        row = graph.columns[place.column - 1].values
        return float(graph.values_with_changed_column(place.column - 1, row)[last][index])
    finally:
        array[place.index] = before
