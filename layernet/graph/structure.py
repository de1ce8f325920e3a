"""Columns of neurons of a network, with the derivative of each neuron with respect to each neuron before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from layernet.containers import Residual, chain_of, keeps_passes_of
from layernet.graph.symbols import Symbol
from layernet.layer import Layer
from layernet.layers import Dense
from layernet.losses.loss import BoundLoss

# Letters of hidden columns; n columns take the last n: one is h, two are z and h as on the slides.
HIDDEN_LETTERS = ["q", "r", "u", "v", "z", "h"]

MAX_NAME_LETTERS = 6

MAX_NEURONS = 1000


class NotNeuronsError(ValueError):
    """Raised when a network cannot be drawn neuron by neuron; the message is the reason."""


@dataclass
class Column:
    """Neurons that are computed together, and the layers that compute them.

    Attributes
    ----------
    layers : list of Layer
        In order; empty for the inputs and for a sum.
    symbols : list of Symbol
        Name of each neuron.
    inputs, values : ndarray of shape (n_before,), ndarray of shape (n_neurons,)
        Inputs of the layers, and outputs of the neurons.
    gradients : ndarray of shape (n_neurons,)
        Derivative of the graph's target with respect to each neuron, from the layers' backward passes.
    derivatives : ndarray of shape (n_before, n_neurons)
        Local derivative on each edge, from the same passes.
    connected : ndarray of bool, of that shape
        Whether there is an edge.
    skip : int or None
        For the sum at the end of a `Residual`: index of the column at its beginning, whose values are added to
        those of the column before the sum.
    """

    layers: list[Layer]
    symbols: list[Symbol] = field(default_factory=list)
    inputs: np.ndarray = field(default_factory=partial(np.empty, 0))
    values: np.ndarray = field(default_factory=partial(np.empty, 0))
    gradients: np.ndarray = field(default_factory=partial(np.empty, 0))
    derivatives: np.ndarray = field(default_factory=partial(np.empty, 0))
    connected: np.ndarray = field(default_factory=partial(np.empty, 0))
    skip: int | None = None

    @property
    def dense(self) -> Dense | None:
        """The layer whose weights belong to the edges, if the column has one."""
        first = self.layers[0] if self.layers else None
        return first if isinstance(first, Dense) and keeps_passes_of(first, Dense) else None

    def forward(self, rows: np.ndarray) -> np.ndarray:
        """Pass rows through the column's layers."""
        for layer in self.layers:
            rows = layer.forward_pass(rows)
        return rows

    def values_from(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values of the neurons, given the values of all columns before this one."""
        outputs = np.reshape(self.forward(values[-1][None]), -1)
        return outputs if self.skip is None else outputs + values[self.skip]

    def backward(self, rows: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        """Pass a gradient back through the column's layers, by their own backward passes."""
        if not self.layers:  # a sum
            return grad_output
        entering = [rows]
        for layer in self.layers[:-1]:
            entering.append(layer.forward_pass(entering[-1]))
        for layer, inputs in zip(reversed(self.layers), reversed(entering), strict=True):
            grad_output = layer.backward_pass(inputs, grad_output)
        return grad_output

    def jacobian(self, row: np.ndarray) -> np.ndarray:
        """Return d values[j] / d inputs[i] for one row of inputs; row j of a batch computes column j."""
        n_outputs = self.forward(row[None]).shape[1] if self.is_neurons else 1
        rows = np.repeat(row[None], n_outputs, axis=0)
        if not self.is_neurons:
            return self.backward(rows, np.array(1.0, row.dtype)).T
        return self.backward(rows, np.eye(n_outputs, dtype=row.dtype)).T

    @property
    def is_neurons(self) -> bool:
        """Whether the column consists of neurons; False for the loss."""
        return not (self.layers and isinstance(self.layers[-1], BoundLoss))


def columns_of(network: Layer, sample: np.ndarray, names: Sequence[str] | None = None) -> list[Column]:
    """Return the columns of a network for a sample, with values and local derivatives, without gradients.

    Parameters
    ----------
    network : Layer
        Built; the columns refer to its layers.
    sample : ndarray of shape (n_features,)
    names : sequence of str, default=None
        A letter for each column, the inputs first; None for x, ..., z, h, p, and L for a loss.

    Returns
    -------
    list of Column
        The inputs first; their column has no layers.

    Raises
    ------
    NotNeuronsError
        If a layer's inputs or outputs are not a vector of neurons, or there are too many.
    """
    if sample.ndim != 1:
        raise NotNeuronsError(f"the inputs have the shape {sample.shape} and are not a row")
    columns = [Column([], values=sample)]
    add_columns(columns, network, 1)
    for column in columns[1:]:
        column.derivatives = column.jacobian(column.inputs)
    name_columns(columns, names)
    return columns


def add_columns(columns: list[Column], network: Layer, n_closed: int) -> int:
    """Add the columns of a network to those before it.

    Parameters
    ----------
    columns : list of Column
        The inputs first; new columns are appended.
    network : Layer
        The body of a `Residual` becomes columns of its own, and the sum one more.
    n_closed : int
        An activation cannot join the first `n_closed` columns: it follows a sum, or begins a body.

    Returns
    -------
    int
        The new number of closed columns.
    """
    for layer in chain_of(network):
        if isinstance(layer, Residual) and keeps_passes_of(layer, Residual):
            source = len(columns) - 1
            add_columns(columns, layer.body, len(columns))
            # The sum is a separate column, so that two neurons share one edge with one derivative.
            body = columns[-1].values
            same_place = np.eye(len(body), dtype=bool)
            outputs = body + columns[source].values
            columns.append(Column([], inputs=body, values=outputs, connected=same_place, skip=source))
            require_few_neurons(columns)
            n_closed = len(columns)
        else:
            add_layer(columns, layer, n_closed)
    return n_closed


def add_layer(columns: list[Column], layer: Layer, n_closed: int) -> None:
    """Add a layer as a column, or to the last column if it is an elementwise activation."""
    row = columns[-1].values
    outputs = layer.forward_pass(row[None])
    is_loss = isinstance(layer, BoundLoss)
    if outputs.ndim != 2 and not is_loss:
        shape = outputs.shape[1:]
        raise NotNeuronsError(f"the outputs of {layer!r} have the shape {shape} and are not a row of neurons")
    connected = np.ones((len(row), 1), bool) if is_loss else connections(layer, row)
    joins = not (is_loss or layer.has_parameters or len(columns) <= n_closed)
    if joins and is_elementwise(connected):
        columns[-1].layers.append(layer)  # the activation of the last column's neurons
    else:
        columns.append(Column([layer], inputs=row, connected=connected))
    columns[-1].values = np.reshape(outputs, -1)
    require_few_neurons(columns)


def require_few_neurons(columns: list[Column]) -> None:
    """Raise an error if there are more neurons than a drawing can show."""
    if sum(len(column.values) for column in columns) > MAX_NEURONS:
        raise NotNeuronsError(f"it has more than {MAX_NEURONS} neurons")


def connections(layer: Layer, row: np.ndarray) -> np.ndarray:
    """Return which inputs affect which outputs of a layer.

    Every input of a dense layer affects every output. Of any other layer an input affects an output if the
    derivative is not 0 at the row, near it, or at a few random points: at a single point it may be 0 by chance,
    as of a ReLU with a negative input.

    Parameters
    ----------
    layer : Layer
    row : ndarray of shape (n_inputs,)

    Returns
    -------
    ndarray of bool, of shape (n_inputs, n_outputs)
    """
    if keeps_passes_of(layer, Dense):
        return np.ones(layer.weights.shape, bool)
    random = np.random.default_rng(0)
    noise = random.standard_normal((5, len(row)))
    points = [row, *(row * (1 + 0.1 * noise[:2])), *noise[2:]]
    with np.errstate(all="ignore"):  # a logarithm, for instance, is not defined everywhere
        tried = [Column([layer]).jacobian(point.astype(row.dtype)) for point in points]
    tried = [jacobian for jacobian in tried if np.isfinite(jacobian).all()] or tried[:1]
    connected = np.logical_or.reduce([jacobian != 0 for jacobian in tried])
    # A neuron without effect at all points is taken as connected to the neuron at its own index.
    return connected | np.eye(len(connected), dtype=bool) if is_elementwise(connected) else connected


def is_elementwise(connected: np.ndarray) -> bool:
    """Return whether neurons have edges only to the neuron at their own index."""
    square = connected.shape[0] == connected.shape[1]
    return square and not connected[~np.eye(len(connected), dtype=bool)].any()


def name_columns(columns: list[Column], names: Sequence[str] | None) -> None:
    """Set the symbol of every neuron."""
    has_loss = not columns[-1].is_neurons
    n_hidden = len(columns) - 2 - has_loss
    numbered = names is None and n_hidden > len(HIDDEN_LETTERS)
    if names is not None:
        names = list(names) if isinstance(names, Iterable) else [names]
    if names is None:
        hidden = ["h"] * n_hidden if numbered else HIDDEN_LETTERS[len(HIDDEN_LETTERS) - n_hidden :]
        names = ["x", *hidden, "p", *(["L"] if has_loss else [])]
    elif len(names) != len(columns) or len(set(names)) != len(names) or not all(map(is_short_word, names)):
        raise ValueError(
            f"names must be {len(columns)} different words of up to {MAX_NAME_LETTERS} letters, one for each "
            f"column with the inputs {'first and the loss last' if has_loss else 'first'}, got {names}."
        )
    for number, (column, letter) in enumerate(zip(columns, names, strict=True)):
        layer = number if numbered and 0 < number <= n_hidden else None
        is_single_output = len(column.values) == 1 and number > n_hidden
        column.symbols = [
            Symbol(letter, None if is_single_output else index, layer)
            for index in range(1, len(column.values) + 1)
        ]


def is_short_word(name: object) -> bool:
    """Return whether this is a name for a column that fits into the shape of a neuron."""
    return isinstance(name, str) and name.isalpha() and len(name) <= MAX_NAME_LETTERS
