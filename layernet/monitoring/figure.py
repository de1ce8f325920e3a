"""The picture of what a monitor saw: gradients, updates and activations over training, with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.monitoring.activations import ENDS
from layernet.monitoring.monitor import ActivationSnapshot, Monitor
from layernet.optional_dependencies import pyplot

# Around the update ratio of 1e-3, which Karpathy (2016, CS231n lecture notes) calls about right.
USUAL_RATIOS = (3e-4, 3e-3)
GREY = "#555555"
# Panels of activations beside each other; of more layers some are chosen.
PANELS = 6
LABEL_POINTS = 8.5
# Of the colours from dark to light those that are dark enough for a thin line on white.
LIGHTEST = 0.72
# Layers without parameters whose outputs say nothing new.
NO_ACTIVATIONS = ("Dropout", "Flatten", "GaussianNoise", "Identity", "Reshape")


def draw(monitor: Monitor, axes: Any = None):
    """Draw all that a monitor saw, or the gradient norms alone.

    Parameters
    ----------
    monitor : Monitor
    axes : matplotlib.axes.Axes, default=None
        Where to draw the gradient norms alone; None makes a new figure with all.

    Returns
    -------
    matplotlib.figure.Figure
    """
    plt = pyplot("Monitor.plot")
    if len(monitor.steps) == 0:
        raise ValueError(
            "Monitor.plot: no step of a training was seen. Give it to fit first: callbacks=[monitor]."
        )
    if axes is not None:
        draw_over_layers(axes, monitor, monitor.gradient_norms, "gradient norm of the weights")
        return axes.figure
    names = activations_to_draw(monitor)
    heights = [3.6, 2.6] if names else [3.6]
    figure = plt.figure(figsize=(10, sum(heights)), layout="constrained")
    rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    left, right = rows[0].subgridspec(1, 2).subplots()
    draw_over_layers(left, monitor, monitor.gradient_norms, "gradient norm of the weights")
    draw_over_layers(right, monitor, monitor.update_ratios, "update / weights (grey: usual)", USUAL_RATIOS)
    if names:
        panels = rows[1].subgridspec(1, len(names)).subplots(squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            draw_histograms(panel, monitor.looks, name)
        panels[0].set_ylabel("outputs")
    return figure


def draw_over_layers(
    axes: Any, monitor: Monitor, values: np.ndarray, what: str, usual: tuple[float, float] | None = None
) -> None:
    """Draw a line for each layer with weights, from dark for the first to light for the last, named at its end.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    monitor : Monitor
    values : ndarray of shape (n_steps, n_layers)
    what : str
        The label of the vertical axis, which is logarithmic.
    usual : tuple of float, default=None
        A band to mark.
    """
    import matplotlib

    shown = [i for i, has in enumerate(monitor.has_weights) if has] or list(range(len(monitor.layers)))
    colors = matplotlib.colormaps["viridis"](np.linspace(0, LIGHTEST, len(shown)))
    epochs, positive = monitor.epochs, np.where((values > 0) & np.isfinite(values), values, np.nan)
    axes.set_yscale("log")
    for index, color in zip(shown, colors, strict=True):
        marker = "." if np.isfinite(positive[:, index]).sum() < 10 else ""
        axes.plot(epochs, positive[:, index], color=color, linewidth=1.5, marker=marker, clip_on=False)
    # All of training, also where lines end before it, because the gradient is exactly 0 from there on.
    axes.set(xlabel="epoch", ylabel=what, xlim=(0, epochs[-1] or 1))
    axes.spines[["top", "right"]].set_visible(False)
    if not np.isfinite(positive[:, shown]).any():
        axes.set(ylim=(1e-4, 1))
    if usual is not None:
        axes.axhspan(*usual, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    # What is 0 in the end is named at the foot: a line across to where it was last more would look like values.
    is_zero = [values[-1, index] == 0 for index in shown]
    ends = [
        (np.nan, np.nan) if zero else last_finite(epochs, positive[:, index])
        for index, zero in zip(shown, is_zero, strict=True)
    ]
    names = [monitor.layers[i] + (": 0" if zero else "") for i, zero in zip(shown, is_zero, strict=True)]
    name_ends(axes, ends, names, colors)


def name_ends(axes: Any, ends: list[tuple[float, float]], names: list[str], colors: Any) -> None:
    """Write names beside the ends of lines, moved apart where they would overlap.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With a logarithmic vertical axis.
    ends : list of tuple of float
        Where each line ends; NaN for one that is named at the foot.
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
    """Places near the wanted ones, in the same order, none nearer to another than a distance.

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
    groups: list[tuple[float, int]] = []  # the middle of each heap of labels, and how many they are
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
    """The last value that is a number, after its time; two NaN if there is none."""
    finite = np.flatnonzero(np.isfinite(values))
    return (float(times[finite[-1]]), float(values[finite[-1]])) if finite.size else (np.nan, np.nan)


def activations_to_draw(monitor: Monitor) -> list[str]:
    """The layers whose outputs are drawn: activations if there are any, and of many some at equal distances."""
    if not monitor.looks:
        return []
    outputs = monitor.looks[-1].outputs
    plain = [name for name, sample in outputs.items() if sample.kind not in NO_ACTIVATIONS]
    names = [name for name in plain if name not in monitor.layers] or plain
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), PANELS)).round().astype(int))
    return [names[index] for index in chosen]


def draw_histograms(axes: Any, looks: list[ActivationSnapshot], name: str) -> None:
    """Draw how the outputs of a layer are distributed, a column for each look: the darker, the more.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    looks : list of Look
    name : str
        Of the layer.
    """
    samples = [look.outputs[name] for look in looks]
    low, high = min(sample.edges[0] for sample in samples), max(sample.edges[-1] for sample in samples)
    low, high = ENDS.get(samples[0].kind, (low, high))
    edges = np.linspace(low, high, len(samples[0].edges))
    shares = np.array([shares_in(edges, sample.edges, sample.counts) for sample in samples])
    times = np.array([look.epoch for look in looks], dtype=float)
    between = (times[:-1] + times[1:]) / 2
    half = (times[-1] - between[-1], between[0] - times[0]) if len(between) else (0.5, 0.5)
    # The root, or a heap at 0 would leave all else white.
    axes.pcolormesh(
        [times[0] - half[1], *between, times[-1] + half[0]], edges, np.sqrt(shares).T,
        cmap="Greys", vmin=0, rasterized=True,
    )  # fmt: skip
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("epoch")
    axes.spines[["top", "right"]].set_visible(False)


def shares_in(edges: np.ndarray, old_edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A histogram in other bins, as shares: values count as evenly spread within the bins that they were in.

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
