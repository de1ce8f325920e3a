"""Parameters of a graph by name: "h2.w1" is the first weight of h2, "h2.b" its bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layernet.containers import Concat, chain_of, keeps_passes_of
from layernet.graph.structure import (
    Column,
    connections,
    is_elementwise,
)
from layernet.graph.symbols import Symbol
from layernet.layer import Layer
from layernet.layers import Dense


@dataclass(frozen=True)
class ParameterPosition:
    """Position of a parameter in the graph and in its layer's arrays.

    Attributes
    ----------
    column, neuron : int
        Column and index of the parameter's neuron; the index is None if it acts on several neurons.
    array : str
        Name of the layer's array.
    index : tuple of int
        Index in that array.
    symbol : Symbol
        Symbol in formulas: w1, or b.
    """

    column: int
    neuron: int | None
    array: str
    index: tuple[int, ...]
    symbol: Symbol


def parameter_positions(columns: list[Column]) -> dict[str, ParameterPosition]:
    """Return the positions of all parameters that act on a single neuron, by name.

    Parameters
    ----------
    columns : list of Column

    Returns
    -------
    dict of str to ParameterPosition
    """
    places = {}
    for k, column in enumerate(columns):
        arrays = per_neuron_arrays(column)
        dense = dense_layers_of_neurons(column)
        for j, neuron in enumerate(column.symbols):
            if j in dense:
                layer, prefix, local = dense[j]
                for i in range(len(column.inputs)):
                    places[f"{neuron}.w{i + 1}"] = ParameterPosition(
                        k, j, f"{prefix}weights", (i, local), Symbol("w", i + 1)
                    )
                if layer.use_bias:
                    places[f"{neuron}.b"] = ParameterPosition(k, j, f"{prefix}bias", (local,), Symbol("b"))
            for name in arrays:
                places[f"{neuron}.{name}"] = ParameterPosition(k, j, name, (j,), Symbol(name))
    return places


def shared_parameter_positions(
    columns: list[Column], own: dict[str, ParameterPosition]
) -> dict[str, ParameterPosition]:
    """Return the positions of all parameters that act on several neurons, by name: "h.factor[0]".

    Parameters
    ----------
    columns : list of Column
    own : dict of str to ParameterPosition
        Positions of parameters that act on single neurons.

    Returns
    -------
    dict of str to ParameterPosition
    """
    places = {}
    taken = {(place.column, place.array) for place in own.values()}
    for k, column in enumerate(columns):
        for name, array in parameters_of(column).items():
            if (k, name) in taken:
                continue
            for index in np.ndindex(array.shape):
                entry = f"{name}[{', '.join(map(str, index))}]"
                position = ParameterPosition(k, None, name, index, Symbol(entry))
                places[f"{column.symbols[0].column}.{entry}"] = position
    return places


def parameters_of(column: Column) -> dict[str, np.ndarray]:
    """Return the arrays of a column's first layer, the only layer with parameters."""
    return dict(column.layers[0].parameters) if column.layers else {}


def dense_layers_of_neurons(column: Column) -> dict[int, tuple[Dense, str, int]]:
    """For each neuron that is a weighted sum return its layer, the prefix of its array names, and its index.

    These are all neurons of a dense column, and those of dense layers in a `Concat`, with or without
    activations.
    """
    if column.dense is not None:
        return {j: (column.dense, "", j) for j in range(len(column.symbols))}
    found: dict[int, tuple[Dense, str, int]] = {}
    first = 0
    concat = column.layers[0] if column.layers and keeps_passes_of(column.layers[0], Concat) else None
    for number, branch in enumerate(concat.layers if concat else []):
        dense, *others = chain_of(branch)
        n_neurons = (branch.output_shape or ())[0]
        if (
            isinstance(dense, Dense)
            and keeps_passes_of(dense, Dense)
            and are_elementwise(others, np.ones(dense.units, column.values.dtype))
        ):
            prefix = f"{number}."
            while branch is not dense:
                branch, prefix = branch.layers[0], f"{prefix}0."
            found |= {first + j: (dense, prefix, j) for j in range(n_neurons)}
        first += n_neurons
    return found


def are_elementwise(layers: list[Layer], row: np.ndarray) -> bool:
    """Return whether layers have no parameters and are elementwise."""
    for layer in layers:
        if layer.has_parameters or not is_elementwise(connections(layer, row)):
            return False
        row = layer.forward_pass(row[None])[0]
    return True


def per_neuron_arrays(column: Column) -> list[str]:
    """Return the names of a layer's arrays with one entry for each neuron that acts on this neuron alone."""
    if not column.layers or column.dense is not None or column.layers[0].layers:
        return []
    layer: Layer = column.layers[0]
    names = [name for name, array in layer.parameters.items() if array.shape == column.values.shape]
    if not names:
        return []
    others = {name: np.zeros((len(column.values), len(column.values)), bool) for name in names}
    outputs = Column([layer]).forward(column.inputs[None])
    for j in range(len(column.values)):
        layer.backward_pass(column.inputs[None], one_hot(outputs.shape, j, outputs.dtype))
        for name in names:
            others[name][j] = layer.gradients[name] != 0
            others[name][j, j] = False
    return [name for name in names if not others[name].any()]


def layers_with_shared_parameters(columns: list[Column], shared: dict[str, ParameterPosition]) -> list[str]:
    """Return the layers with parameters that act on several neurons."""
    return [repr(columns[k].layers[0]) for k in dict.fromkeys(place.column for place in shared.values())]


def one_hot(shape: tuple[int, ...], index: int, dtype: np.dtype) -> np.ndarray:
    """Return an array with 1 at one flat index, and 0 elsewhere."""
    gradient = np.zeros(shape, dtype)
    gradient.flat[index] = 1
    return gradient
