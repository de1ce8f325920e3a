"""Positions of neurons in a drawing: columns from left to right, of which long ones are folded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from layernet.graph.neurons import NeuronGraph

# A column with more neurons is folded: only the seven with the largest gradients are drawn.
MAX_SHOWN_NEURONS = 8
NODE_WIDTH, NODE_HEIGHT = 82, 56  # size of a neuron, with its name, value and gradient inside
SIDE_MARGIN, TOP_MARGIN, BOTTOM_MARGIN = 34, 42, 10
# Distances between the centers of neighboring neurons, without and with a number on every edge.
ROW_DISTANCE, ROW_DISTANCE_WITH_NUMBERS = 74, 104
COLUMN_DISTANCE, COLUMN_DISTANCE_WITH_NUMBERS = 160, 204
LANE_DISTANCE = 7  # between skip connections, which run above all neurons
MAX_NEURONS_WITH_EDGE_NUMBERS = 2  # neurons of a column; with more, the numbers would overlap


@dataclass
class Layout:
    """Positions in a drawing, in pixels.

    Attributes
    ----------
    width, height : int
    has_edge_numbers : bool
        Whether there is room for the derivative on every edge.
    centers : dict of (int, int) to (float, float)
        Centers of the drawn neurons, by column and index.
    folded : dict of int to (float, float, int)
        For a folded column the position of its label, and the number of its neurons that are not drawn.
    lanes : dict of (int, int, int) to float
        Vertical position of each skip connection, by its first column, its last column, and the neuron.
    """

    width: int
    height: int
    has_edge_numbers: bool
    centers: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    folded: dict[int, tuple[float, float, int]] = field(default_factory=dict)
    lanes: dict[tuple[int, int, int], float] = field(default_factory=dict)


def lay_out(graph: NeuronGraph) -> Layout:
    """Compute the position of every drawn neuron.

    Parameters
    ----------
    graph : NeuronGraph

    Returns
    -------
    Layout
    """
    shown = [neurons_to_show(graph, k) for k in range(len(graph.columns))]
    # A folded column has one row more, for its label.
    n_rows = [len(s) + (len(s) < len(c.symbols)) for s, c in zip(shown, graph.columns, strict=True)]
    has_edge_numbers = max(n_rows) <= MAX_NEURONS_WITH_EDGE_NUMBERS
    across = COLUMN_DISTANCE_WITH_NUMBERS if has_edge_numbers else COLUMN_DISTANCE
    down = ROW_DISTANCE_WITH_NUMBERS if has_edge_numbers else ROW_DISTANCE
    lanes = assign_lanes(graph, shown)
    top = TOP_MARGIN + (LANE_DISTANCE * (1 + max(lanes.values())) if lanes else 0)
    height = top + (max(n_rows) - 1) * down + NODE_HEIGHT + BOTTOM_MARGIN
    layout = Layout(2 * SIDE_MARGIN + (len(shown) - 1) * across + NODE_WIDTH, height, has_edge_numbers)
    layout.lanes = {edge: TOP_MARGIN + LANE_DISTANCE * lane for edge, lane in lanes.items()}
    middle = top + NODE_HEIGHT / 2 + (max(n_rows) - 1) * down / 2
    for k, neurons in enumerate(shown):
        x = SIDE_MARGIN + NODE_WIDTH / 2 + k * across
        first_y = middle - (n_rows[k] - 1) * down / 2
        for row, neuron in enumerate(neurons):
            layout.centers[k, neuron] = (x, first_y + row * down)
        n_omitted = len(graph.columns[k].symbols) - len(neurons)
        if n_omitted:
            layout.folded[k] = (x, first_y + (n_rows[k] - 1) * down, n_omitted)
    return layout


def assign_lanes(graph: NeuronGraph, shown: list[list[int]]) -> dict[tuple[int, int, int], int]:
    """Assign a lane to every skip connection, so that none overlap. Lane 0 is the uppermost.

    Parameters
    ----------
    graph : NeuronGraph
    shown : list of list of int
        Drawn neurons of each column.

    Returns
    -------
    dict of (int, int, int) to int
        Lane by the first column, the last column, and the neuron.
    """
    lanes: dict[tuple[int, int, int], int] = {}
    # The longest first, so that they enclose the others.
    skips = sorted((link for link in graph.links if link.is_skip), key=lambda link: link.start - link.end)
    for link in skips:
        others = [lane for (start, end, _), lane in lanes.items() if start < link.end and link.start < end]
        first = max(others, default=-1) + 1
        both = [i for i in shown[link.start] if i in shown[link.end]]
        lanes |= {(link.start, link.end, neuron): first + index for index, neuron in enumerate(both)}
    return lanes


def neurons_to_show(graph: NeuronGraph, column_index: int) -> list[int]:
    """Return the neurons of a column that are drawn: all, or those with the largest gradients, in order."""
    column = graph.columns[column_index]
    if len(column.symbols) <= MAX_SHOWN_NEURONS:
        return list(range(len(column.symbols)))
    largest = np.argsort(-np.abs(column.gradients), kind="stable")[: MAX_SHOWN_NEURONS - 1]
    return sorted(int(i) for i in largest)
