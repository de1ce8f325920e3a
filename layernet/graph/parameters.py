"""The parameters of a graph by name: "h2.w1" is the first weight of h2, "h2.b" its bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.containers import Concat, chain_of, keeps_passes_of
from layernet.graph.structure import (
    Column,
    connections,
    is_at_most_one_to_one,
)
from layernet.graph.symbols import Symbol
from layernet.layer import Layer
from layernet.layers import Dense


@dataclass(frozen=True)
class Place:
    """Where a parameter is.

    Attributes
    ----------
    column, neuron : int
        The neuron that it belongs to; None for a neuron where it acts on several of the column.
    array : str
        The layer's name for the array that it is in.
    index : tuple of int
        Where in that array.
    symbol : Symbol
        How it is written beside its neuron: w1, or b.
    """

    column: int
    neuron: int | None
    array: str
    index: tuple[int, ...]
    symbol: Symbol


def places_of_parameters(columns: list[Column]) -> dict[str, Place]:
    """Every parameter that belongs to a single neuron, by name.

    Parameters
    ----------
    columns : list of Column

    Returns
    -------
    dict of str to Place
    """
    places = {}
    for k, column in enumerate(columns):
        arrays = own_arrays(column)
        dense = dense_of_neurons(column)
        for j, neuron in enumerate(column.symbols):
            if j in dense:
                layer, prefix, local = dense[j]
                for i in range(len(column.inputs)):
                    places[f"{neuron}.w{i + 1}"] = Place(
                        k, j, f"{prefix}weights", (i, local), Symbol("w", i + 1)
                    )
                if layer.use_bias:
                    places[f"{neuron}.b"] = Place(k, j, f"{prefix}bias", (local,), Symbol("b"))
            for name in arrays:
                places[f"{neuron}.{name}"] = Place(k, j, name, (j,), Symbol(name))
    return places


def places_of_shared_parameters(columns: list[Column], own: dict[str, Place]) -> dict[str, Place]:
    """Every parameter that acts on more than one neuron of a column, by name: "h.factor[0]".

    Parameters
    ----------
    columns : list of Column
    own : dict of str to Place
        Those that belong to single neurons.

    Returns
    -------
    dict of str to Place
    """
    places = {}
    taken = {(place.column, place.array) for place in own.values()}
    for k, column in enumerate(columns):
        for name, array in parameters_of(column).items():
            if (k, name) in taken:
                continue
            for index in np.ndindex(array.shape):
                entry = f"{name}[{', '.join(map(str, index))}]"
                places[f"{column.symbols[0].column}.{entry}"] = Place(k, None, name, index, Symbol(entry))
    return places


def parameters_of(column: Column) -> dict[str, np.ndarray]:
    """The arrays of a column's first layer, the only one that may have some."""
    return dict(column.layers[0].parameters) if column.layers else {}


def dense_of_neurons(column: Column) -> dict[int, tuple[Dense, str, int]]:
    """For each neuron that is a weighted sum: the layer, how its arrays are named, and its place in them.

    That is all neurons of a dense column, and those of dense layers that stand in a `Concat`, with activations
    or without.
    """
    if column.dense is not None:
        return {j: (column.dense, "", j) for j in range(len(column.symbols))}
    found, first = {}, 0
    concat = column.layers[0] if column.layers and keeps_passes_of(column.layers[0], Concat) else None
    for number, branch in enumerate(concat.layers if concat else []):
        dense, *others = chain_of(branch)
        n_neurons = branch.output_shape[0]
        if keeps_passes_of(dense, Dense) and act_one_to_one(others, np.ones(dense.units, column.values.dtype)):
            prefix = f"{number}."
            while branch is not dense:
                branch, prefix = branch.layers[0], f"{prefix}0."
            found |= {first + j: (dense, prefix, j) for j in range(n_neurons)}
        first += n_neurons
    return found


def act_one_to_one(layers: list[Layer], row: np.ndarray) -> bool:
    """Whether layers have no parameters, and hand on each neuron by itself."""
    for layer in layers:
        if layer.has_parameters or not is_at_most_one_to_one(connections(layer, row)):
            return False
        row = layer.forward_pass(row[None])[0]
    return True


def own_arrays(column: Column) -> list[str]:
    """The arrays of a column's layer that have one entry for each neuron, which acts on that neuron alone."""
    if not column.layers or column.dense is not None or column.layers[0].layers:
        return []
    layer: Layer = column.layers[0]
    names = [name for name, array in layer.parameters.items() if array.shape == column.values.shape]
    if not names:
        return []
    others = {name: np.zeros((len(column.values), len(column.values)), bool) for name in names}
    outputs = Column([layer]).forward(column.inputs[None])
    for j in range(len(column.values)):
        layer.backward_pass(column.inputs[None], one_of(outputs.shape, j, outputs.dtype))
        for name in names:
            others[name][j] = layer.gradients[name] != 0
            others[name][j, j] = False
    return [name for name in names if not others[name].any()]


def layers_with_shared_parameters(columns: list[Column], shared: dict[str, Place]) -> list[str]:
    """The layers with parameters that belong to no single neuron."""
    return [repr(columns[k].layers[0]) for k in dict.fromkeys(place.column for place in shared.values())]


def one_of(shape: tuple[int, ...], index: int, dtype: np.dtype) -> np.ndarray:
    """A gradient that asks for one neuron: 1 in its place, and 0 elsewhere."""
    gradient = np.zeros(shape, dtype)
    gradient.flat[index] = 1
    return gradient
