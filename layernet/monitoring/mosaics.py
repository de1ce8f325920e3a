"""Maps of neurons over a plane, side by side as one picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.display.drawing import MINUS, PLUS
from layernet.monitoring.planes import as_rgb

MAPS_IN_A_ROW = 4
LEAST_SIGNED = 0.3  # smaller values, relative to the largest shown value, get no sign
SIGN_MARGIN = 0.12  # distance of a sign from the edges of a map, relative to its size


def mosaic(maps: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Draw maps of neurons side by side as one picture: blue is low, orange is high, white is halfway.

    Parameters
    ----------
    maps : ndarray of shape (height, width, n_neurons)
    bounds : tuple of float or None
        Values of the darkest blue and orange; None for plus and minus each neuron's largest absolute value.

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
        # A frame, and the map inside it.
        picture[top - edge : top + height + edge, left - edge : left + width + edge] = 0.7
        picture[top : top + height, left : left + width] = blue_to_orange(maps[::-1, :, number], bounds)
    return picture


def corners_of_maps(maps: np.ndarray) -> np.ndarray:
    """Return row and column of the upper left pixel of each map in a mosaic, of shape (n_neurons, 2)."""
    height, width, n_maps = maps.shape
    edge, gap = max(1, width // 40), max(1, width // 12)
    rows, columns = np.divmod(np.arange(n_maps), min(n_maps, MAPS_IN_A_ROW))
    return edge + np.column_stack([rows * (height + 2 * edge + gap), columns * (width + 2 * edge + gap)])


def write_signs(axes: Any, maps: np.ndarray, bounds: tuple[float, float] | None) -> None:
    """Write a plus at the highest point of each map of a mosaic, and a minus at the lowest.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that show the mosaic.
    maps : ndarray of shape (height, width, n_neurons)
    bounds : tuple of float or None
        As of the mosaic. Nothing is written where a map is nearly white.
    """
    height, width = maps.shape[:2]
    maps = np.nan_to_num(maps[::-1])
    margin = SIGN_MARGIN * np.array([height, width])
    for number, corner in enumerate(corners_of_maps(maps)):
        parts = scaled_to_bounds(maps[:, :, number], bounds)
        for sign, best in (("+", parts.argmax()), ("\u2212", parts.argmin())):
            if abs(parts.flat[best]) < LEAST_SIGNED or (parts.flat[best] > 0) != (sign == "+"):
                continue
            place = np.unravel_index(best, (height, width))
            y, x = corner + np.clip(place, margin, (height, width) - margin)
            axes.text(x, y, sign, ha="center", va="center", fontsize=6, clip_on=True)


def blue_to_orange(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Return colors of values as red, green and blue from 0 to 1: blue is low, orange is high."""
    part = scaled_to_bounds(values, bounds)[..., None]
    return 1 + np.abs(part) * (np.where(part > 0, as_rgb(PLUS), as_rgb(MINUS)) - 1)


def scaled_to_bounds(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Scale values to -1 for the lowest shown value, and 1 for the highest."""
    if bounds is None:
        middle, half_width = 0.0, np.abs(values).max() or 1.0
    else:
        middle, half_width = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
    return np.clip((values - middle) / half_width, -1, 1)
