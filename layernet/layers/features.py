"""Layers that look at single features of a table: SelectFeatures, FeatureScale, CategoryEmbedding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernet.initializers import InitialValues, as_initializer
from layernet.layer import Layer
from layernet.validation import require_integer, require_number


class SelectFeatures(Layer):
    """Return some neighboring features: outputs = inputs[:, start:stop].

    grad_inputs is grad_output in these columns, and 0 elsewhere. With `Concat`, different layers compute
    different features of a table.

    Parameters
    ----------
    start : int
        The first feature, counting from 0.
    stop : int, default=None
        The first feature after them; None for all that follow.

    Raises
    ------
    ValueError
        If the inputs have no such features.

    Examples
    --------
    >>> from layernet import Concat, Dense, Sequential
    >>> SelectFeatures(1).forward_pass([[1.0, 2.0, 3.0]])
    array([[2., 3.]])
    >>> net = Concat([SelectFeatures(0, 1), Sequential([SelectFeatures(1), Dense(5)])]).build(3)
    >>> net.output_shape
    (6,)
    """

    def __init__(self, start: int, stop: int | None = None) -> None:
        self.start = require_integer(self, "start", start, at_least=0)
        self.stop = require_integer(self, "stop", stop, at_least=self.start + 1, or_none=True)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        require_features(self, input_shape)
        last = self.start + 1 if self.stop is None else self.stop
        if input_shape[0] < last:
            raise ValueError(f"{self!r} expects at least {last} features, got {input_shape[0]}.")

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs[:, self.start : self.stop].copy()

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        grad_inputs = np.zeros_like(inputs)
        grad_inputs[:, self.start : self.stop] = grad_output
        return grad_inputs


class FeatureScale(Layer):
    """Multiply each feature by a factor of its own, which is learned.

    outputs = inputs * factor. With G = grad_output: grad_factor = sum over the batch of inputs * G, and
    grad_inputs = G * factor. In front of a network it lets training weigh the features of a table.

    Parameters
    ----------
    rate : float, default=1.0
        Factor of the optimizer's learning rate.

    Attributes
    ----------
    factor, grad_factor : ndarray of shape (features,)
        Ones at first. Weight decay does not apply.

    Examples
    --------
    >>> scale = FeatureScale().build(2)
    >>> scale.factor = [1, 10]
    >>> scale.forward_pass([[1.0, 2.0]])
    array([[ 1., 20.]])

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data.
    """

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = require_number(self, "rate", rate, at_least=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        require_features(self, input_shape)
        self.add_parameter("factor", input_shape, "ones", decay=False, rate=self.rate)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs * self.factor

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        self.grad_factor = (inputs * grad_output).sum(axis=0)
        return grad_output * self.factor


class CategoryEmbedding(Layer):
    """Learned vector for each level of each category.

    Inputs are level numbers c_j = 0, 1, ..., n_levels_j - 1, one column for each category. The outputs are the
    rows offset_j + c_j of `weights`, side by side, where offset_j is the number of levels of the categories
    before. grad_weights of a row is the sum of grad_output over the samples of its level; grad_inputs is 0.
    A number that is no level, such as -1 or NaN, gives zeros: use it for unknown and missing levels.

    Parameters
    ----------
    n_levels : sequence of int
        The number of levels of each category.
    width : int, default=8
        Numbers in the vector of a level.
    weights_initializer : str or callable, default="normal"
    rate : float, default=1.0
        Factor of the optimizer's learning rate.

    Attributes
    ----------
    weights, grad_weights : ndarray of shape (sum of n_levels, width)

    Examples
    --------
    >>> embedding = CategoryEmbedding([3, 2], width=1).build(2)
    >>> embedding.weights = [[1], [2], [3], [10], [20]]
    >>> embedding.forward_pass([[0, 1], [2, 0], [2, -1]])
    array([[ 1., 20.],
           [ 3., 10.],
           [ 3.,  0.]])

    References
    ----------
    Guo and Berkhahn (2016), Entity embeddings of categorical variables.
    """

    def __init__(
        self,
        n_levels: Sequence[int],
        width: int = 8,
        weights_initializer: str | InitialValues = "normal",
        rate: float = 1.0,
    ) -> None:
        if np.ndim(n_levels) != 1 or len(n_levels) == 0:
            raise ValueError(
                f"CategoryEmbedding: n_levels must have a number for each category, got {n_levels!r}."
            )
        self.n_levels = tuple(require_integer(self, "n_levels", number, at_least=1) for number in n_levels)
        self.width = require_integer(self, "width", width, at_least=1)
        as_initializer(weights_initializer, "CategoryEmbedding: weights_initializer")
        self.weights_initializer = weights_initializer
        self.rate = require_number(self, "rate", rate, at_least=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        require_features(self, input_shape)
        if input_shape[0] != len(self.n_levels):
            raise ValueError(
                f"{self!r} has {len(self.n_levels)} categories, got {input_shape[0]} columns. Give n_levels a "
                "number for each column, or select the columns by SelectFeatures."
            )
        shape = sum(self.n_levels), self.width
        self.add_parameter("weights", shape, self.weights_initializer, rate=self.rate)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        rows, is_level = self.rows_of(inputs)
        vectors = self.weights[rows]
        vectors[~is_level] = 0
        return vectors.reshape(len(inputs), len(self.n_levels) * self.width), (rows, is_level)

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        rows, is_level = record
        gradients = grad_output.reshape(*rows.shape, self.width)
        self.grad_weights = np.zeros_like(self.weights)
        np.add.at(self.grad_weights, rows[is_level], gradients[is_level])
        return np.zeros(rows.shape, grad_output.dtype)

    def rows_of(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of `weights` for each input, 0 where it is no level, and whether it is one."""
        is_level = (inputs >= 0) & (inputs < np.array(self.n_levels))
        offsets = np.array([0, *itertools.accumulate(self.n_levels[:-1])])
        levels = np.where(is_level, inputs, 0).astype(np.intp)
        return np.where(is_level, levels + offsets, 0), is_level


def require_features(layer: Layer, input_shape: tuple[int, ...]) -> None:
    """Raise a ValueError if a sample is not one row of features."""
    if len(input_shape) != 1:
        raise ValueError(
            f"{layer!r} expects inputs of shape (n_samples, features), got samples of shape {input_shape}. "
            "Put Flatten() before it, or reshape the data."
        )
