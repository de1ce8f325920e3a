"""Classifiers of two inputs over the plane: a grid, how outputs are read there, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from layernet.containers import chain_of
from layernet.display.drawing import MINUS, PLUS
from layernet.layer import Layer
from layernet.layers import Dropout, GaussianNoise, HardSigmoid, LogSoftmax, Sigmoid, Softmax, Tanh
from layernet.layers.saturating import logistic
from layernet.validation import as_count, as_float_array, require_finite

# Colors that are told apart whatever one's eyes are like (Okabe and Ito, 2008), and a shape beside each.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Between what values a neuron of a bounded kind moves.
BOUNDS = {Sigmoid: (0.0, 1.0), HardSigmoid: (0.0, 1.0), Tanh: (-1.0, 1.0)}

MARGIN = 0.12  # how far the plane reaches beyond the points, as a part of their range
MAPS_IN_A_ROW = 4
LEAST_SIGNED = 0.3  # of a map's reach: what is nearer to white gets no sign
SIGN_MARGIN = 0.12  # of a map: how far a sign stays from its edges


def as_points(X: Any) -> np.ndarray:
    """Points of a plane: an array of shape (n_samples, 2) of finite numbers, or an error."""
    points = as_float_array(X, None, True, "X")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(
            f"X must be points of a plane, of shape (n_samples, 2), got {points.shape}. Choose two columns, or "
            "two principal components."
        )
    require_finite(points, "X")
    return points


def as_targets(y: Any, n_points: int, owner: str) -> np.ndarray:
    """An array of as many classes as there are points, or an error."""
    classes = np.asarray(y)
    if classes.ndim == 0 or len(classes) != n_points:
        raise ValueError(
            f"{owner}: y must have one class for each of {n_points} points, got "
            f"{len(classes) if classes.ndim else repr(y)}."
        )
    return classes


def classes_of(y: np.ndarray, output_shape: tuple[int, ...]) -> np.ndarray:
    """The class numbers behind targets, as they belong to a network's outputs.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
    output_shape : tuple of int

    Returns
    -------
    ndarray of shape (n_samples,), int
        0 and 1 for a single output.
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
    is_number = y.ndim == 1 and y.dtype.kind in "biuf"
    if n_outputs == 1 and is_number and (np.isin(y, (0, 1)).all() or np.isin(y, (-1, 1)).all()):
        return (y > 0).astype(int)
    if n_outputs == 1 or not is_number or not np.isin(y, np.arange(n_outputs)).all():
        wanted = f"class numbers from 0 to {n_outputs - 1}, or rows of {n_outputs} probabilities,"
        raise ValueError(
            f"y must be {'0 and 1, or -1 and 1,' if n_outputs == 1 else wanted} for a network with {n_outputs} "
            f"output{plural}; got an array of shape {y.shape} and type {y.dtype}. Of other labels make numbers "
            "first: labels, y = np.unique(y, return_inverse=True)."
        )
    return y.astype(int)


def plane_around(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of a grid around points, along the first input and along the second."""
    if as_count(resolution, "resolution") < 2:
        raise ValueError("resolution must be at least 2 points along either axis, got 1.")
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    horizontal, vertical = np.linspace(low - margin, high + margin, resolution).T
    return horizontal.copy(), vertical.copy()


def grid_points(horizontal: np.ndarray, vertical: np.ndarray) -> np.ndarray:
    """All points of a grid, of shape (n_points, 2): the first input runs fastest."""
    return np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2)


def neurons_and_outputs(network: Layer, points: np.ndarray) -> tuple[list[tuple], np.ndarray]:
    """What every hidden neuron makes of points, after its activation, and what the network does.

    A hidden layer is what a layer with a matrix of weights gets to see, if there is such a layer before it.
    What is inside a Residual or a Concat is seen by what comes out of it.

    Parameters
    ----------
    network : Layer
        Built for two inputs.
    points : ndarray of shape (n_points, 2)
        Of the network's type.

    Returns
    -------
    hidden : list of (ndarray of shape (n_points, n_neurons), tuple or None)
        With the bounds between which the neurons move, if they have some.
    outputs : ndarray of shape (n_points, n_outputs)
    """
    hidden, values, bounds, is_hidden = [], points, None, False
    for layer in chain_of(network):
        if has_a_matrix(layer):
            if is_hidden:
                hidden.append((values.reshape(len(values), -1), bounds))
            is_hidden = True
        values = layer.forward_pass(values)
        if not isinstance(layer, (Dropout, GaussianNoise)):  # these let all pass when nobody trains
            bounds = next((pair for kind, pair in BOUNDS.items() if isinstance(layer, kind)), None)
    return hidden, values


def has_a_matrix(layer: Layer) -> bool:
    """Whether a layer, or one inside it, weighs its inputs: one with a parameter of two dimensions."""
    return any(len(shape) == 2 for inner in layer.walk() for shape in inner.parameter_shapes.values())


@dataclass
class Ending:
    """How the outputs of a model are to be read: what they are, and where the second of two classes begins."""

    kind: str  # "logits", "log-probabilities" or "probabilities"
    threshold: float

    @classmethod
    def of(cls, network: Layer, threshold: float | None) -> Ending:
        """How a network's outputs are to be read."""
        *_, last = chain_of(network)
        if isinstance(last, (Sigmoid, HardSigmoid, Softmax)):
            return cls("probabilities", 0.5 if threshold is None else threshold)
        kind = "log-probabilities" if isinstance(last, LogSoftmax) else "logits"
        return cls(kind, 0.0 if threshold is None else threshold)

    def draw(self, axes, horizontal, vertical, outputs, X, y, size: float) -> None:
        """Draw the plane in the classes' colors, the boundaries between them, and the points."""
        classes = classes_of(y, outputs.shape[2:])
        outputs = np.clip(np.nan_to_num(outputs), -1e30, 1e30)  # for when training is about to diverge
        extent = (horizontal[0], horizontal[-1], vertical[0], vertical[-1])
        axes.imshow(shaded(self.probabilities(outputs)), extent=extent, origin="lower", aspect="auto")
        for margin in self.margins(outputs):
            if margin.min() < 0 < margin.max():
                axes.contour(horizontal, vertical, margin, levels=[0], colors="black", linewidths=1)
        for k in np.unique(classes):
            # From the eighth class on colors come again, each with another shape.
            marker, color = MARKERS[(k + k // len(COLORS)) % len(MARKERS)], COLORS[k % len(COLORS)]
            edge = {"markeredgecolor": "white", "markeredgewidth": size / 10}
            axes.plot(*X[classes == k].T, marker, color=color, markersize=size, **edge)
        axes.set(xlim=extent[:2], ylim=extent[2:])

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, two for a single output."""
        if outputs.shape[-1] == 1:
            yes = outputs if self.kind == "probabilities" else logistic(outputs - self.threshold)
            return np.concatenate([1 - yes, yes], axis=-1)
        if self.kind == "probabilities":
            return outputs
        exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def margins(self, outputs: np.ndarray) -> list[np.ndarray]:
        """By how much each class is ahead of the best other one; for two classes the second alone."""
        if outputs.shape[-1] == 1:
            return [outputs[..., 0] - self.threshold]
        columns = range(outputs.shape[-1])
        ahead = [outputs[..., k] - np.delete(outputs, k, axis=-1).max(axis=-1) for k in columns]
        return ahead[1:] if len(ahead) == 2 else ahead


def shaded(probabilities: np.ndarray) -> np.ndarray:
    """The color of the likeliest class at each point, the paler the less sure: white where all are alike."""
    n_classes = probabilities.shape[-1]
    palette = np.array([as_rgb(COLORS[k % len(COLORS)]) for k in range(n_classes)])
    sure = (probabilities.max(axis=-1, keepdims=True) - 1 / n_classes) / (1 - 1 / n_classes)
    return 1 + 0.55 * np.clip(sure, 0, 1) * (palette[probabilities.argmax(axis=-1)] - 1)


def mosaic(maps: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Maps of neurons side by side as one picture: blue is low, orange is high, white is halfway.

    Parameters
    ----------
    maps : ndarray of shape (height, width, n_neurons)
    bounds : tuple of float or None
        What is shown as the fullest blue and orange; None for each neuron's own largest value, both ways.

    Returns
    -------
    ndarray of shape (picture_height, picture_width, 3)
        Red, green and blue from 0 to 1; its first row is the upper edge.
    """
    height, width = maps.shape[:2]
    maps = np.nan_to_num(maps)
    edge = max(1, width // 40)
    corners = corners_of_maps(maps)
    bottom, right = corners.max(axis=0)
    picture = np.ones((bottom + height + edge, right + width + edge, 3))
    for number, (top, left) in enumerate(corners):
        # A frame around the map, and the map.
        picture[top - edge : top + height + edge, left - edge : left + width + edge] = 0.7
        picture[top : top + height, left : left + width] = blue_to_orange(maps[::-1, :, number], bounds)
    return picture


def corners_of_maps(maps: np.ndarray) -> np.ndarray:
    """Where the upper left pixel of each map is in a mosaic, of shape (n_neurons, 2): row and column."""
    height, width, n_maps = maps.shape
    edge, gap = max(1, width // 40), max(1, width // 12)
    rows, columns = np.divmod(np.arange(n_maps), min(n_maps, MAPS_IN_A_ROW))
    return edge + np.column_stack([rows * (height + 2 * edge + gap), columns * (width + 2 * edge + gap)])


def write_signs(axes: Any, maps: np.ndarray, bounds: tuple[float, float] | None) -> None:
    """Write a plus where a map of a mosaic is highest, and a minus where it is lowest.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With the mosaic.
    maps : ndarray of shape (height, width, n_neurons)
    bounds : tuple of float or None
        As the mosaic has them. Nothing is written where a map is nearly white.
    """
    height, width = maps.shape[:2]
    maps = np.nan_to_num(maps[::-1])
    margin = SIGN_MARGIN * np.array([height, width])
    for number, corner in enumerate(corners_of_maps(maps)):
        parts = part_of_reach(maps[:, :, number], bounds)
        for sign, best in (("+", parts.argmax()), ("\u2212", parts.argmin())):
            if abs(parts.flat[best]) < LEAST_SIGNED or (parts.flat[best] > 0) != (sign == "+"):
                continue
            place = np.unravel_index(best, (height, width))
            y, x = corner + np.clip(place, margin, (height, width) - margin)
            axes.text(x, y, sign, ha="center", va="center", fontsize=6, clip_on=True)


def blue_to_orange(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Colors for values, as rows of red, green and blue from 0 to 1: blue is low, orange is high."""
    part = part_of_reach(values, bounds)[..., None]
    return 1 + np.abs(part) * (np.where(part > 0, as_rgb(PLUS), as_rgb(MINUS)) - 1)


def part_of_reach(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Values from -1, the lowest that is shown, to 1, the highest."""
    if bounds is None:
        middle, reach = 0.0, np.abs(values).max() or 1.0
    else:
        middle, reach = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
    return np.clip((values - middle) / reach, -1, 1)


def as_rgb(color: str) -> np.ndarray:
    """Red, green and blue from 0 to 1, from "#rrggbb"."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
