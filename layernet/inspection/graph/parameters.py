"""The parameters of a graph by name: "h2.w1" is the first weight of h2, "h2.b" its bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.inspection.graph.structure import Column
from layernet.inspection.graph.symbols import Symbol
from layernet.layer import Layer


@dataclass(frozen=True)
class Place:
    """Where a parameter is.

    Attributes
    ----------
    column, neuron : int
        The neuron that it belongs to.
    array : str
        The layer's name for the array that it is in.
    index : tuple of int
        Where in that array.
    symbol : Symbol
        How it is written beside its neuron: w1, or b.
    """

    column: int
    neuron: int
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
        for j, neuron in enumerate(column.symbols):
            if column.dense is not None:
                for i in range(len(column.inputs)):
                    places[f"{neuron}.w{i + 1}"] = Place(k, j, "weights", (i, j), Symbol("w", i + 1))
                if column.dense.use_bias:
                    places[f"{neuron}.b"] = Place(k, j, "bias", (j,), Symbol("b"))
            for name in arrays:
                places[f"{neuron}.{name}"] = Place(k, j, name, (j,), Symbol(name))
    return places


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


def layers_with_other_parameters(columns: list[Column]) -> list[str]:
    """The layers with parameters that belong to no single neuron, and so have no name here."""
    others = []
    for column in columns:
        if column.dense is None:
            named = set(own_arrays(column))
            others += [repr(layer) for layer in column.layers if set(layer.parameters) - named]
    return others


def one_of(shape: tuple[int, ...], index: int, dtype: np.dtype) -> np.ndarray:
    """A gradient that asks for one neuron: 1 in its place, and 0 elsewhere."""
    gradient = np.zeros(shape, dtype)
    gradient.flat[index] = 1
    return gradient
