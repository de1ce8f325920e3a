"""Network for an encoded table, with initial parameters that depend on some of its rows."""

from __future__ import annotations

import copy
import math

import numpy as np

from layernet.containers import Concat, Sequential
from layernet.estimators.tables.encoder import Layout
from layernet.estimators.tables.recipe import Recipe
from layernet.initializers import Normal
from layernet.layer import Layer
from layernet.layers import (
    SELU,
    CategoryEmbedding,
    Dense,
    FeatureScale,
    Mish,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    SelectFeatures,
)
from layernet.layers.number_embeddings import quantile_edges

# Factors of the learning rate, as Holzmüller, Grinsztajn and Steinwart (2024) tuned them.
BIAS_RATE = 0.1
SCALE_RATE = 6.0
EMBEDDING_RATE = 0.1

# Rows from which the initial biases and the scales of the initial weights are computed.
N_ROWS_OF_INITIAL_VALUES = 1024

# Of the pieces: at the median of a feature their sum is about 0, as that of the other features is.
LOWEST = -1.0

ACTIVATIONS = {"selu": SELU, "mish": Mish}


def make_network(
    recipe: Recipe,
    representation: str,
    layout: Layout,
    n_outputs: int,
    inputs: np.ndarray,
    training_rows: np.ndarray,
    random: np.random.Generator,
) -> Sequential:
    """Return a built network for encoded rows.

    Parameters
    ----------
    recipe : Recipe
    representation : {"plain", "periodic", "pieces"}
    layout : Layout
        What the columns of the rows are.
    n_outputs : int
    inputs : ndarray of shape (n_rows, n_columns), float32
    training_rows : ndarray of int
        Row numbers. Initial values and the edges of pieces are computed from at most 1,024 of these rows.
    random : numpy.random.Generator

    Returns
    -------
    Sequential
        Embeddings, a scale for each feature, hidden layers, and an output layer that is zero at first.
    """
    if len(training_rows) > N_ROWS_OF_INITIAL_VALUES:
        training_rows = random.choice(training_rows, N_ROWS_OF_INITIAL_VALUES, replace=False)
    rows = inputs[training_rows]
    encodings = make_encodings(recipe, representation, layout, rows)
    n_inputs = number_of_outputs(encodings, rows)
    layers: list[Layer] = [] if encodings is None else [encodings]
    layers.append(FeatureScale(rate=SCALE_RATE))
    for _ in range(recipe.n_hidden_layers):
        initial_weights, rate = Normal(1 / math.sqrt(n_inputs)), 1 / math.sqrt(n_inputs)
        layers.append(
            Dense(recipe.width, weights_initializer=initial_weights, weights_rate=rate, bias_rate=BIAS_RATE)
        )
        layers.append(ACTIVATIONS[recipe.activation]())
        n_inputs = recipe.width
    rate = 1 / math.sqrt(n_inputs)
    layers.append(Dense(n_outputs, weights_initializer="zeros", weights_rate=rate, bias_rate=BIAS_RATE))
    network = Sequential(layers).build(rows.shape[1], random, np.float32)
    set_initial_values(network, rows, random)
    return network


def make_encodings(recipe: Recipe, representation: str, layout: Layout, rows: np.ndarray) -> Layer | None:
    """Return the layers that encode numbers and categories; None if there are flags alone."""
    n_numbers, end_of_flags = layout.n_numbers, layout.n_numbers + layout.n_flags
    if representation == "plain":
        n_numbers = 0  # passed on with the flags
    branches: list[Layer] = []
    if n_numbers:
        embedding = PeriodicEmbedding(recipe.n_frequencies, recipe.embedding_width, rate=EMBEDDING_RATE)
        branches.append(Sequential([SelectFeatures(0, n_numbers), embedding]))
        if representation == "pieces":
            edges = [edges_of(column, recipe.n_pieces) for column in rows.T[:n_numbers]]
            pieces = PiecewiseLinearEncoding(edges, LOWEST)
            branches.append(Sequential([SelectFeatures(0, n_numbers), pieces]))
    if end_of_flags > n_numbers:
        branches.append(SelectFeatures(n_numbers, end_of_flags))
    if layout.n_levels:
        vectors = CategoryEmbedding(layout.n_levels, recipe.category_width)
        branches.append(Sequential([SelectFeatures(end_of_flags), vectors]))
    if not n_numbers and not layout.n_levels:
        return None
    return branches[0] if len(branches) == 1 else Concat(branches)


def edges_of(column: np.ndarray, n_pieces: int) -> list[float]:
    """Return the edges of a column's pieces; one piece for a column that is constant in these rows."""
    edges = quantile_edges(column, n_pieces)
    return edges.tolist() if len(edges) > 1 else [edges[0], edges[0] + 1]


def number_of_outputs(encodings: Layer | None, rows: np.ndarray) -> int:
    """Return the number of features that the encodings make of a row."""
    if encodings is None:
        return rows.shape[1]
    return copy.deepcopy(encodings).build(rows.shape[1], 0, np.float32).output_shape[0]


def set_initial_values(network: Sequential, rows: np.ndarray, random: np.random.Generator) -> None:
    """Scale the weights of hidden layers, and choose their biases, by the inputs that the rows give.

    Each unit's pre-activations have a standard deviation of 1 before its bias, and its bias puts their zero at
    a mixture of five rows, as in Steinwart (2019), A sober look at neural network initializations.
    """
    values = rows
    *layers_to_last_hidden, _, _ = network  # without the last activation and the output layer
    for layer in layers_to_last_hidden:
        if isinstance(layer, Dense):
            products = values @ layer.weights
            scale = 1 / np.maximum(products.std(axis=0), 1e-3)
            layer.weights = layer.weights * scale
            products *= scale
            n_units = products.shape[1]
            shares = random.dirichlet(np.ones(5), size=n_units)
            chosen = random.integers(0, len(rows), (n_units, 5))
            layer.bias = -(products[chosen, np.arange(n_units)[:, None]] * shares).sum(axis=1)
        values = layer.forward_pass(values)
