"""Plots of a training record with matplotlib: gradients, updates and activations over training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.monitoring.record import ActivationSnapshot, TrainingRecord
from layernet.optional_dependencies import pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Karpathy (2016, CS231n lecture notes) recommends update ratios near 1e-3.
USUAL_RATIOS = (3e-4, 3e-3)
GRAY = "#555555"
# Number of histograms beside each other. Of more layers, some at equal distances are drawn.
MAX_PANELS = 6
LABEL_POINTS = 8.5  # font size of the layers' names
# Upper end of the colormap's part that is dark enough for thin lines on white.
LIGHTEST_COLOR = 0.72
# Layers without parameters whose outputs repeat the distribution of their inputs.
NO_ACTIVATIONS = ("Dropout", "Flatten", "GaussianNoise", "Identity", "Reshape")


def draw(record: TrainingRecord, axes: Any = None) -> Figure:
    """Draw gradient norms, update ratios and histograms of activations, or the gradient norms alone.

    Parameters
    ----------
    record : TrainingRecord
    axes : matplotlib.axes.Axes, default=None
        Axes for the gradient norms alone; None draws everything on a new figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    plt = pyplot("Monitor.plot")
    if len(record.steps) == 0:
        raise ValueError(
            "Monitor.plot: no training step was recorded. Pass the monitor to fit first: callbacks=[monitor]."
        )
    if axes is not None:
        draw_over_layers(axes, record, record.gradient_norms, "gradient norm of the weights")
        figure: Figure = axes.figure
        return figure
    names = activations_to_draw(record)
    heights = [3.6, 2.6] if names else [3.6]
    figure = plt.figure(figsize=(10, sum(heights)), layout="constrained")
    rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    left, right = rows[0].subgridspec(1, 2).subplots(squeeze=False)[0]
    draw_over_layers(left, record, record.gradient_norms, "gradient norm of the weights")
    draw_over_layers(right, record, record.update_ratios, "update / weights (gray: usual)", USUAL_RATIOS)
    if names:
        panels = rows[1].subgridspec(1, len(names)).subplots(squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            draw_histograms(panel, record.snapshots, name)
        panels[0].set_ylabel("outputs")
    return figure


def draw_over_layers(
    axes: Any, record: TrainingRecord, values: np.ndarray, label: str, usual: tuple[float, float] | None = None
) -> None:
    """Draw a named line for each layer with weights, from dark for the first layer to light for the last.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : TrainingRecord
    values : ndarray of shape (n_steps, n_layers)
    label : str
        Label of the vertical axis, which is logarithmic.
    usual : tuple of float, default=None
        Lower and upper end of a gray band.
    """
    import matplotlib

    shown = [i for i, has in enumerate(record.has_weights) if has] or list(range(len(record.layers)))
    colors = matplotlib.colormaps["viridis"](np.linspace(0, LIGHTEST_COLOR, len(shown)))
    epochs, positive = record.epochs, np.where((values > 0) & np.isfinite(values), values, np.nan)
    axes.set_yscale("log")
    for index, color in zip(shown, colors, strict=True):
        marker = "." if np.isfinite(positive[:, index]).sum() < 10 else ""
        axes.plot(epochs, positive[:, index], color=color, linewidth=1.5, marker=marker, clip_on=False)
    # Show all of training: a line ends earlier if its gradient is exactly 0 from there on.
    axes.set(xlabel="epoch", ylabel=label, xlim=(0, epochs[-1] or 1))
    axes.spines[["top", "right"]].set_visible(False)
    if not np.isfinite(positive[:, shown]).any():
        axes.set(ylim=(1e-4, 1))
    if usual is not None:
        axes.axhspan(*usual, color=GRAY, alpha=0.15, linewidth=0, zorder=0)
    # Label a line that ends at 0 at the lower edge: a connector to its last positive value would look like
    # data.
    is_zero = [values[-1, index] == 0 for index in shown]
    ends = [
        (np.nan, np.nan) if zero else last_finite(epochs, positive[:, index])
        for index, zero in zip(shown, is_zero, strict=True)
    ]
    names = [record.layers[i] + (": 0" if zero else "") for i, zero in zip(shown, is_zero, strict=True)]
    name_ends(axes, ends, names, colors)


def name_ends(axes: Any, ends: list[tuple[float, float]], names: list[str], colors: Any) -> None:
    """Write names beside the ends of lines, moved apart where they would overlap.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With a logarithmic vertical axis.
    ends : list of tuple of float
        End of each line; NaN for a line that is labeled at the lower edge.
    names : list of str
    colors : sequence of colors
    """
    low, high = np.log(axes.get_ylim())
    axes.set_ylim(axes.get_ylim())
    points = axes.bbox.height / axes.figure.dpi * 72
    wanted = [0.0 if np.isnan(height) else (np.log(height) - low) / (high - low) for _, height in ends]
    places = spread(wanted, 1.2 * LABEL_POINTS / points)
    for end, place, name, color in zip(ends, places, names, colors, strict=True):
        line = {
            "arrowstyle": "-",
            "color": color,
            "linewidth": 0.7,
            "shrinkA": 2,
            "shrinkB": 2,
            "relpos": (0, 0.5),
        }
        is_there = not np.isnan(end[0])
        axes.annotate(
            name, end if is_there else (axes.get_xlim()[1], np.exp(low)),
            xytext=(1.05, place), textcoords="axes fraction", color=color, fontsize=LABEL_POINTS, va="center",
            annotation_clip=False, arrowprops=line if is_there else None,
        )  # fmt: skip


def spread(wanted: list[float], distance: float) -> list[float]:
    """Return positions near the wanted ones, in the same order, at least a distance apart.

    Parameters
    ----------
    wanted : list of float
    distance : float

    Returns
    -------
    list of float

    Examples
    --------
    >>> spread([0.5, 0.0, 0.5], 0.25)
    [0.375, 0.0, 0.625]
    """
    order = np.argsort(wanted, kind="stable")
    groups: list[tuple[float, int]] = []  # center and size of each group of touching labels
    for index in order:
        middle, count = float(wanted[index]), 1
        while groups and middle - groups[-1][0] < distance * (count + groups[-1][1]) / 2:
            other, others = groups.pop()
            middle, count = (middle * count + other * others) / (count + others), count + others
        groups.append((middle, count))
    places = [middle + distance * (i - (count - 1) / 2) for middle, count in groups for i in range(count)]
    found = [0.0] * len(wanted)
    for index, place in zip(order, places, strict=True):
        found[index] = place
    return found


def last_finite(times: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return time and value of the last finite value; two NaN if there is none."""
    finite = np.flatnonzero(np.isfinite(values))
    return (float(times[finite[-1]]), float(values[finite[-1]])) if finite.size else (np.nan, np.nan)


def activations_to_draw(record: TrainingRecord) -> list[str]:
    """Return the layers to draw: the activations, or all layers if there are none; at most `MAX_PANELS`."""
    if not record.snapshots:
        return []
    outputs = record.snapshots[-1].outputs
    plain = [name for name, sample in outputs.items() if sample.kind not in NO_ACTIVATIONS]
    names = [name for name in plain if name not in record.layers] or plain
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), MAX_PANELS)).round().astype(int))
    return [names[index] for index in chosen]


def draw_histograms(axes: Any, snapshots: list[ActivationSnapshot], name: str) -> None:
    """Draw histograms of a layer's outputs, one column for each snapshot: darker bins hold more outputs.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    snapshots : list of ActivationSnapshot
    name : str
        Name of the layer.
    """
    samples = [snapshot.outputs[name] for snapshot in snapshots]
    low, high = min(sample.edges[0] for sample in samples), max(sample.edges[-1] for sample in samples)
    low, high = samples[0].bounds or (low, high)
    edges = np.linspace(low, high, len(samples[0].edges))
    shares = np.array([shares_in(edges, sample.edges, sample.counts) for sample in samples])
    times = np.array([snapshot.epoch for snapshot in snapshots], dtype=float)
    between = (times[:-1] + times[1:]) / 2
    half = (times[-1] - between[-1], between[0] - times[0]) if len(between) else (0.5, 0.5)
    # Draw square roots of the shares: a peak at 0 would leave all other bins white.
    axes.pcolormesh(
        [times[0] - half[1], *between, times[-1] + half[0]], edges, np.sqrt(shares).T,
        cmap="Greys", vmin=0, rasterized=True,
    )  # fmt: skip
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("epoch")
    axes.spines[["top", "right"]].set_visible(False)


def shares_in(edges: np.ndarray, old_edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return a histogram in other bins, as shares; values are taken as evenly distributed in their old bins.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
    old_edges : ndarray of shape (n_old_bins + 1,)
    counts : ndarray of shape (n_old_bins,)

    Returns
    -------
    ndarray of shape (n_bins,)

    Examples
    --------
    >>> shares_in(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 2.0]), np.array([2, 2]))
    array([0.25, 0.25])
    """
    below = np.interp(edges, old_edges, np.concatenate([[0], np.cumsum(counts)]))
    return np.diff(below) / max(counts.sum(), 1)
