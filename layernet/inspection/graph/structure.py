"""A network as columns of neurons, with the derivative of each neuron with respect to each one before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from layernet.containers import chain_of
from layernet.inspection.graph.symbols import Symbol
from layernet.layer import Layer
from layernet.layers import Dense
from layernet.losses.loss import BoundLoss

# Letters of hidden columns, the last ones first: one is h, two are z and h as on the slides.
HIDDEN_LETTERS = ["q", "r", "u", "v", "z", "h"]

MOST_NEURONS = 1000


class NotNeuronsError(ValueError):
    """A network cannot be drawn neuron by neuron; the message is the reason."""


@dataclass
class Column:
    """The neurons that are computed together, and the layers that compute them.

    Attributes
    ----------
    layers : list of Layer
        In order; none for the inputs.
    symbols : list of Symbol
        A name for each neuron.
    inputs, values : ndarray of shape (n_before,), ndarray of shape (n_neurons,)
        What goes into the layers, and what comes out.
    gradients : ndarray of shape (n_neurons,)
        The derivative of the graph's target with respect to each neuron, from the layers' backward passes.
    derivatives : ndarray of shape (n_before, n_neurons)
        The local derivative on each edge, from the same passes.
    connected : ndarray of bool, of that shape
        Where there is an edge.
    """

    layers: list[Layer]
    symbols: list[Symbol] = field(default_factory=list)
    inputs: np.ndarray | None = None
    values: np.ndarray | None = None
    gradients: np.ndarray | None = None
    derivatives: np.ndarray | None = None
    connected: np.ndarray | None = None

    @property
    def dense(self) -> Dense | None:
        """The layer whose weights lie on the edges, if the column has one."""
        return self.layers[0] if self.layers and isinstance(self.layers[0], Dense) else None

    def forward(self, rows: np.ndarray) -> np.ndarray:
        """Pass rows through the column's layers."""
        for layer in self.layers:
            rows = layer.forward_pass(rows)
        return rows

    def backward(self, rows: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        """Pass a gradient back through the column's layers, by their own backward passes."""
        entering = [rows]
        for layer in self.layers[:-1]:
            entering.append(layer.forward_pass(entering[-1]))
        for layer, inputs in zip(reversed(self.layers), reversed(entering), strict=True):
            grad_output = layer.backward_pass(inputs, grad_output)
        return grad_output

    def jacobian(self, row: np.ndarray) -> np.ndarray:
        """d values[j] / d inputs[i] for one row of inputs: row j of the batch asks for neuron j alone."""
        n_outputs = self.forward(row[None]).shape[1] if self.is_neurons else 1
        rows = np.repeat(row[None], n_outputs, axis=0)
        if not self.is_neurons:
            return self.backward(rows, np.array(1.0, row.dtype)).T
        return self.backward(rows, np.eye(n_outputs, dtype=row.dtype)).T

    @property
    def is_neurons(self) -> bool:
        """Whether the column is neurons, and not the loss."""
        return not (self.layers and isinstance(self.layers[-1], BoundLoss))


def columns_of(network: Layer, sample: np.ndarray, names: Sequence[str] | None = None) -> list[Column]:
    """The columns of a network for a sample, with values and local derivatives, and no gradients yet.

    Parameters
    ----------
    network : Layer
        Built; the columns hold its layers themselves.
    sample : ndarray of shape (n_features,)
    names : sequence of str, default=None
        A letter for each column, the inputs first; None for x, ..., z, h, p, and L for a loss.

    Returns
    -------
    list of Column
        The inputs first, which have no layers.

    Raises
    ------
    NotNeuronsError
        If a layer's inputs or outputs are not a vector of neurons, or there are too many.
    """
    if sample.ndim != 1:
        raise NotNeuronsError(f"the inputs have the shape {sample.shape} and are no row")
    columns = [Column([], values=sample)]
    n_neurons = len(sample)
    random = np.random.default_rng(0)
    for layer in chain_of(network):
        row = columns[-1].values
        if isinstance(layer, BoundLoss):
            columns.append(Column([layer]))
        else:
            shape = np.shape(layer.forward_pass(row[None]))[1:]
            if len(shape) != 1:
                raise NotNeuronsError(
                    f"the outputs of {layer!r} have the shape {shape} and are no row of neurons"
                )
            if len(columns) > 1 and joins_its_column(layer, row, random):
                columns[-1].layers.append(layer)
            else:
                columns.append(Column([layer]))
                n_neurons += shape[0]
        column = columns[-1]
        if column.inputs is None:
            column.inputs = row
        values = np.atleast_1d(layer.forward_pass(row[None]))
        column.values = values.reshape(-1)
        if n_neurons > MOST_NEURONS:
            raise NotNeuronsError(f"it has more than {MOST_NEURONS} neurons")
    for column in columns[1:]:
        column.derivatives = column.jacobian(column.inputs)
        column.connected = np.ones(column.derivatives.shape, bool)
        if column.is_neurons and is_elementwise(column.layers[0], column.inputs, random):
            column.connected = np.eye(len(column.values), dtype=bool)
    name_columns(columns, names)
    return columns


def joins_its_column(layer: Layer, row: np.ndarray, random: np.random.Generator) -> bool:
    """Whether a layer is the activation of the neurons before it, and not a column of its own."""
    return not layer.has_parameters and is_elementwise(layer, row, random)


def is_elementwise(layer: Layer, row: np.ndarray, random: np.random.Generator) -> bool:
    """Whether each output depends on the input in its own place alone, here and at a few other points."""
    if isinstance(layer, Dense):
        return False
    column = Column([layer])
    for point in (row, *random.standard_normal((3, len(row))).astype(row.dtype)):
        jacobian = column.jacobian(point)
        if jacobian.shape != (len(row), len(row)) or np.any(jacobian[~np.eye(len(row), dtype=bool)]):
            return False
    return True


def name_columns(columns: list[Column], names: Sequence[str] | None) -> None:
    """Give every neuron its symbol."""
    has_loss = not columns[-1].is_neurons
    n_hidden = len(columns) - 2 - has_loss
    numbered = names is None and n_hidden > len(HIDDEN_LETTERS)
    if names is None:
        hidden = ["h"] * n_hidden if numbered else HIDDEN_LETTERS[len(HIDDEN_LETTERS) - n_hidden :]
        names = ["x", *hidden, "p", *(["L"] if has_loss else [])]
    elif len(names) != len(columns) or len(set(names)) != len(names) or not all(n.isalpha() for n in names):
        raise ValueError(
            f"names must be {len(columns)} different words of letters, one for each column with the inputs "
            f"{'first and the loss last' if has_loss else 'first'}, got {list(names)}."
        )
    for number, (column, letter) in enumerate(zip(columns, names, strict=True)):
        layer = number if numbered and 0 < number <= n_hidden else None
        alone = len(column.values) == 1 and number > n_hidden
        column.symbols = [
            Symbol(letter, None if alone else index, layer) for index in range(1, len(column.values) + 1)
        ]
