"""Outputs of a classifier on a grid over the plane of two inputs, read as class probabilities and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.containers import chain_of
from layernet.layer import Layer
from layernet.layers import Dropout, GaussianNoise, HardSigmoid, LogSoftmax, Sigmoid, Softmax
from layernet.layers.saturating import logistic
from layernet.validation import as_count, as_float_array, require_finite

# Colors that color-blind readers can distinguish (Okabe and Ito, 2008), and a marker for each.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

PADDING = 0.12  # distance of the points from the edges of the plane, relative to their range
STRONGEST_SHADE = 0.55  # share of a class's color, mixed with white, where the class has probability 1


def as_points(X: Any) -> np.ndarray:
    """Return points of a plane as an array of shape (n_samples, 2) of finite numbers, or raise an error."""
    points = as_float_array(X, None, True, "X")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(
            f"X must be points of a plane, of shape (n_samples, 2), got {points.shape}. Choose two columns, or "
            "two principal components."
        )
    require_finite(points, "X")
    return points


def as_targets(y: Any, n_points: int, owner: str) -> np.ndarray:
    """Return an array with one class for each point, or raise an error."""
    classes = np.asarray(y)
    if classes.ndim == 0 or len(classes) != n_points:
        raise ValueError(
            f"{owner}: y must have one class for each of {n_points} points, got "
            f"{len(classes) if classes.ndim else repr(y)}."
        )
    return classes


def classes_of(y: np.ndarray, output_shape: tuple[int, ...]) -> np.ndarray:
    """Return the class numbers of targets, as indices of a network's outputs.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
    output_shape : tuple of int

    Returns
    -------
    ndarray of shape (n_samples,), int
        For a single output 0 and 1.
    """
    if len(output_shape) != 1:
        raise ValueError(
            f"A boundary needs outputs of shape (n_samples, n_classes), got rows of {output_shape}."
        )
    n_outputs, plural = output_shape[0], "s" if output_shape[0] > 1 else ""
    if y.ndim == 2 and y.shape[1] == n_outputs > 1:
        return y.argmax(axis=1)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.ravel()
    are_numbers = y.ndim == 1 and y.dtype.kind in "biuf"
    if n_outputs == 1 and are_numbers and (np.isin(y, (0, 1)).all() or np.isin(y, (-1, 1)).all()):
        return (y > 0).astype(int)
    if n_outputs == 1 or not are_numbers or not np.isin(y, np.arange(n_outputs)).all():
        wanted = f"class numbers from 0 to {n_outputs - 1}, or rows of {n_outputs} probabilities,"
        raise ValueError(
            f"y must be {'0 and 1, or -1 and 1,' if n_outputs == 1 else wanted} for a network with {n_outputs} "
            f"output{plural}; got an array of shape {y.shape} and type {y.dtype}. Convert other labels "
            "first: labels, y = np.unique(y, return_inverse=True)."
        )
    return y.astype(int)


def grid_axes(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of a grid around points: those of the first input, and those of the second."""
    if as_count(resolution, "resolution") < 2:
        raise ValueError("resolution must be at least 2 points along either axis, got 1.")
    low, high = points.min(axis=0), points.max(axis=0)
    padding = PADDING * np.where(high > low, high - low, 1.0)
    horizontal, vertical = np.linspace(low - padding, high + padding, resolution).T
    return horizontal.copy(), vertical.copy()


def grid_points(horizontal: np.ndarray, vertical: np.ndarray) -> np.ndarray:
    """Return all points of a grid, of shape (n_points, 2); the first input varies fastest."""
    return np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2)


def neurons_and_outputs(network: Layer, points: np.ndarray) -> NeuronsAndOutputs:
    """Return the outputs of all hidden neurons, after their activation, and of the network at some points.

    The inputs of a layer with a weight matrix are the outputs of a hidden layer, except for the first such
    layer. A Residual or a Concat counts as one layer: the neurons inside it are left out.

    Parameters
    ----------
    network : Layer
        Built for two inputs.
    points : ndarray of shape (n_points, 2)
        In the network's type.

    Returns
    -------
    hidden : list of (ndarray of shape (n_points, n_neurons), tuple or None)
        Outputs of each hidden layer, with the bounds of its activation if there are any.
    outputs : ndarray of shape (n_points, n_outputs)
    """
    hidden: list[tuple[np.ndarray, tuple[float, float] | None]] = []
    values, bounds, follows_matrix = points, None, False
    for layer in chain_of(network):
        if has_weight_matrix(layer):
            if follows_matrix:
                hidden.append((values.reshape(len(values), -1), bounds))
            follows_matrix = True
        values = layer.forward_pass(values)
        if not isinstance(layer, (Dropout, GaussianNoise)):  # they do nothing in inference mode
            bounds = layer.output_bounds
    return hidden, values


def has_weight_matrix(layer: Layer) -> bool:
    """Return whether a layer, or a layer inside it, has a weight matrix: a parameter of two dimensions."""
    return any(len(shape) == 2 for inner in layer.walk() for shape in inner.parameter_shapes.values())


# Outputs of each hidden layer with the bounds of its activation, and outputs of the network.
NeuronsAndOutputs = tuple[list[tuple[np.ndarray, tuple[float, float] | None]], np.ndarray]


@dataclass
class OutputReading:
    """Rule that turns a model's outputs into classes and their probabilities.

    Attributes
    ----------
    kind : str
        Kind of the outputs: "logits", "log-probabilities" or "probabilities".
    threshold : float
        A single output above it means the second of two classes.
    """

    kind: str
    threshold: float

    @classmethod
    def of(cls, network: Layer, threshold: float | None) -> OutputReading:
        """Return the rule for a network: its last layer tells the kind, and with it the default threshold."""
        *_, last = chain_of(network)
        if isinstance(last, (Sigmoid, HardSigmoid, Softmax)):
            return cls("probabilities", 0.5 if threshold is None else threshold)
        kind = "log-probabilities" if isinstance(last, LogSoftmax) else "logits"
        return cls(kind, 0.0 if threshold is None else threshold)

    def draw(
        self,
        axes: Any,
        horizontal: np.ndarray,
        vertical: np.ndarray,
        outputs: np.ndarray,
        X: np.ndarray,
        y: np.ndarray,
        marker_size: float,
    ) -> None:
        """Draw the plane in the classes' colors, the boundaries between them, and the points."""
        classes = classes_of(y, outputs.shape[2:])
        outputs = np.clip(np.nan_to_num(outputs), -1e30, 1e30)  # infinite or NaN shortly before divergence
        extent = (horizontal[0], horizontal[-1], vertical[0], vertical[-1])
        axes.imshow(class_colors(self.probabilities(outputs)), extent=extent, origin="lower", aspect="auto")
        for margin in self.margins(outputs):
            if margin.min() < 0 < margin.max():
                axes.contour(horizontal, vertical, margin, levels=[0], colors="black", linewidths=1)
        for k in np.unique(classes):
            # From the eighth class on, colors repeat with other markers.
            marker, color = MARKERS[(k + k // len(COLORS)) % len(MARKERS)], COLORS[k % len(COLORS)]
            edge = {"markeredgecolor": "white", "markeredgewidth": marker_size / 10}
            axes.plot(*X[classes == k].T, marker, color=color, markersize=marker_size, **edge)
        axes.set(xlim=extent[:2], ylim=extent[2:])

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes; a single output has two classes."""
        if outputs.shape[-1] == 1:
            second = outputs if self.kind == "probabilities" else logistic(outputs - self.threshold)
            return np.concatenate([1 - second, second], axis=-1)
        if self.kind == "probabilities":
            return outputs
        exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def margins(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return each class's output minus the largest other output; of two classes only the second's."""
        if outputs.shape[-1] == 1:
            return [outputs[..., 0] - self.threshold]
        columns = range(outputs.shape[-1])
        margins = [outputs[..., k] - np.delete(outputs, k, axis=-1).max(axis=-1) for k in columns]
        return margins[1:] if len(margins) == 2 else margins


def class_colors(probabilities: np.ndarray) -> np.ndarray:
    """Return the color of the most probable class at each point, paler for lower probability."""
    n_classes = probabilities.shape[-1]
    palette = np.array([as_rgb(COLORS[k % len(COLORS)]) for k in range(n_classes)])
    certainty = (probabilities.max(axis=-1, keepdims=True) - 1 / n_classes) / (1 - 1 / n_classes)
    return 1 + STRONGEST_SHADE * np.clip(certainty, 0, 1) * (palette[probabilities.argmax(axis=-1)] - 1)


def as_rgb(color: str) -> np.ndarray:
    """Return red, green and blue from 0 to 1, from "#rrggbb"."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
