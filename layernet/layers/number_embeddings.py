"""Several features in the place of each number: PeriodicEmbedding, PiecewiseLinearEncoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from layernet.initializers import Normal, Uniform
from layernet.layer import Layer
from layernet.layers.features import require_features
from layernet.validation import require_integer, require_number


class PeriodicEmbedding(Layer):
    """Replace each feature by the feature itself and learned mixes of cosines of it.

    With frequencies f_k, phases p_k, weights w_ek and biases b_e of a feature x, its outputs are

        x, and h_e = b_e + sum_k w_ek cos(a_k) with a_k = 2 pi f_k x + p_k, for e = 1, ..., width.

    With G_e the gradient of h_e, and A_k = -sin(a_k) sum_e G_e w_ek that of a_k: grad_w_ek = sum G_e cos(a_k),
    grad_b_e = sum G_e, grad_f_k = sum 2 pi x A_k and grad_p_k = sum A_k, where the sums without an index are
    over the batch; grad_x = G_x + sum_k 2 pi f_k A_k.

    A network computes functions of x that change fast, such as steps of a target along a feature, much more
    easily from cosines than from x.

    Parameters
    ----------
    n_frequencies : int, default=16
        Cosines for each feature.
    width : int, default=3
        Mixes of them for each feature.
    standard_deviation : float, default=0.1
        Of the initial frequencies, in periods for each unit of x. Scale the features to a deviation of about 1.
    rate : float, default=1.0
        Factor of the optimizer's learning rate.

    Attributes
    ----------
    frequencies, phases : ndarray of shape (features, n_frequencies)
        Phases in radians, at first uniform between -pi and pi.
    weights : ndarray of shape (features * width, n_frequencies)
        Row i * width + e has the weights of mix e of feature i; at first uniform between
        ±1 / sqrt(n_frequencies).
    bias : ndarray of shape (features * width,)
        At first as the weights.

    Examples
    --------
    >>> embedding = PeriodicEmbedding(n_frequencies=2, width=1).build(1)
    >>> embedding.frequencies, embedding.phases = [[1, 0.5]], [[0, 0]]
    >>> embedding.weights, embedding.bias = [[1, 10]], [100]
    >>> embedding.forward_pass([[0.0], [1.0]])
    array([[  0., 111.],
           [  1.,  91.]])

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), On embeddings for numerical features in tabular deep learning.
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data, who add the bias and the feature itself.
    """

    def __init__(
        self,
        n_frequencies: int = 16,
        width: int = 3,
        standard_deviation: float = 0.1,
        rate: float = 1.0,
    ) -> None:
        self.n_frequencies = require_integer(self, "n_frequencies", n_frequencies, at_least=1)
        self.width = require_integer(self, "width", width, at_least=1)
        self.standard_deviation = require_number(self, "standard_deviation", standard_deviation, at_least=0)
        self.rate = require_number(self, "rate", rate, at_least=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        require_features(self, input_shape)
        n_features = input_shape[0]
        bound = 1 / math.sqrt(self.n_frequencies)
        each, mixes = (n_features, self.n_frequencies), n_features * self.width

        frequencies = Normal(self.standard_deviation)
        self.add_parameter("frequencies", each, frequencies, decay=False, rate=self.rate)
        self.add_parameter("phases", each, Uniform(math.pi), decay=False, rate=self.rate)
        self.add_parameter("weights", (mixes, self.n_frequencies), Uniform(bound), rate=self.rate)
        self.add_parameter("bias", mixes, Uniform(bound), decay=False, rate=self.rate)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        n_samples, n_features = inputs.shape
        angles = 2 * math.pi * inputs[:, :, None] * self.frequencies + self.phases
        cosines = np.cos(angles)
        mixes = np.einsum("nik,iek->nie", cosines, self._weights_of_features())
        mixes += self.bias.reshape(n_features, self.width)
        outputs = np.concatenate([inputs[:, :, None], mixes], axis=2)
        return outputs.reshape(n_samples, n_features * (self.width + 1)), (inputs, cosines, np.sin(angles))

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        inputs, cosines, sines = record
        n_samples, n_features = inputs.shape
        gradient = grad_output.reshape(n_samples, n_features, self.width + 1)
        grad_mixes = gradient[:, :, 1:]
        self.grad_weights = np.einsum("nie,nik->iek", grad_mixes, cosines).reshape(self.weights.shape)
        self.grad_bias = grad_mixes.sum(axis=0).reshape(-1)
        grad_angles = -sines * np.einsum("nie,iek->nik", grad_mixes, self._weights_of_features())
        self.grad_frequencies = 2 * math.pi * np.einsum("nik,ni->ik", grad_angles, inputs)
        self.grad_phases = grad_angles.sum(axis=0)
        return gradient[:, :, 0] + 2 * math.pi * (grad_angles * self.frequencies).sum(axis=2)

    def _weights_of_features(self) -> np.ndarray:
        return self.weights.reshape(-1, self.width, self.n_frequencies)


class PiecewiseLinearEncoding(Layer):
    """Replace each feature by how far it has come in each of some intervals.

    With edges e_0 < e_1 < ... < e_m of a feature x, its outputs for i = 0, ..., m - 1 are

        min(max(lowest + slope_i (x - e_i), lowest), 1) with slope_i = (1 - lowest) / (e_{i+1} - e_i):

    1 for the intervals below x, a number between `lowest` and 1 for that of x, and `lowest` for those above.
    grad_inputs is the sum of slope_i * grad_output over the intervals that x lies in. A linear function of the
    outputs is a continuous, piecewise linear function of x.

    Parameters
    ----------
    edges : sequence of sequences of float
        For each feature, at least two increasing numbers; `quantile_edges` computes them from rows.
    lowest : float, default=0.0
        Output of an interval above x, less than 1. With -1, the outputs at the median sum to about 0.

    Attributes
    ----------
    features : ndarray of int, of shape (outputs,)
        The feature of each output.
    starts, slopes : ndarray of shape (outputs,)
        e_i and slope_i of each output.

    Raises
    ------
    ValueError
        If edges do not increase, `lowest` is 1 or more, or inputs have another number of features.

    Examples
    --------
    >>> PiecewiseLinearEncoding([[0, 1, 3]]).forward_pass([[0.5], [2.0], [9.0]])
    array([[0.5, 0. ],
           [1. , 0.5],
           [1. , 1. ]])

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), On embeddings for numerical features in tabular deep learning.
    """

    def __init__(self, edges: Sequence[Sequence[float]], lowest: float = 0.0) -> None:
        self.edges = tuple(tuple(float(edge) for edge in of_feature) for of_feature in edges)
        if not self.edges:
            raise ValueError(
                "PiecewiseLinearEncoding: edges must have some numbers for each feature, got none."
            )
        for index, of_feature in enumerate(self.edges):
            if len(of_feature) < 2 or not np.isfinite(of_feature).all() or (np.diff(of_feature) <= 0).any():
                raise ValueError(
                    f"PiecewiseLinearEncoding: edges[{index}] must be two or more increasing finite numbers, "
                    f"got {of_feature}. Leave out a constant feature."
                )
        self.lowest = require_number(self, "lowest", lowest, below=1)

    @classmethod
    def from_rows(cls, rows: np.ndarray, n_pieces: int = 16, lowest: float = 0.0) -> Self:
        """Return an encoding whose edges are quantiles of the rows; see `quantile_edges`.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, features)
            NaN is left out.
        n_pieces : int, default=16
            The largest number of intervals of a feature.
        lowest : float, default=0.0

        Returns
        -------
        PiecewiseLinearEncoding
        """
        rows = np.asarray(rows, float)
        return cls([quantile_edges(column, n_pieces).tolist() for column in rows.T], lowest)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        require_features(self, input_shape)
        if input_shape[0] != len(self.edges):
            raise ValueError(
                f"{type(self).__name__} has edges of {len(self.edges)} features, got {input_shape[0]}."
            )
        lengths = np.concatenate([np.diff(of_feature) for of_feature in self.edges])
        numbers = [len(of_feature) - 1 for of_feature in self.edges]
        self.add_state("features", np.repeat(np.arange(len(self.edges)), numbers))
        self.add_state("starts", np.concatenate([of_feature[:-1] for of_feature in self.edges]))
        self.add_state("slopes", (1 - self.lowest) / lengths)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return np.clip((inputs[:, self.features] - self.starts) * self.slopes + self.lowest, self.lowest, 1)

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        outputs = self.forward_pass(inputs)
        gradients = grad_output * self.slopes * ((outputs > self.lowest) & (outputs < 1))
        first_outputs = np.searchsorted(self.features, np.arange(len(self.edges)))
        return np.add.reduceat(gradients, first_outputs, axis=1)


def quantile_edges(values: np.ndarray, n_pieces: int) -> np.ndarray:
    """Return edges of intervals that hold about the same number of values.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        NaN is left out.
    n_pieces : int
        The largest number of intervals. The edges of a feature with few distinct values are these values.

    Returns
    -------
    ndarray of shape (n_edges,)
        Increasing; fewer than two for a feature without two distinct values.

    Examples
    --------
    >>> quantile_edges(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2)
    array([1., 3., 5.])
    >>> quantile_edges(np.array([0.0, 1.0, 0.0, 1.0]), 8)
    array([0., 1.])
    """
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if len(distinct) <= n_pieces + 1:
        return distinct
    return np.unique(np.quantile(values, np.linspace(0, 1, n_pieces + 1)))
