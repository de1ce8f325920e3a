"""Multiplications for all derivatives, by paths and by back-propagation, counted by doing both.

    python benchmarks/work.py --draw docs/work.svg

For networks of 1 to 12 hidden layers of 2, 3 and 4 neurons, with one input and one output. It counts and does
not time, so the figures are the same on every machine; the largest network has 16,777,216 paths.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from layernet import Dense, Sequential, Tanh, computation_graph

DEPTHS, WIDTHS = range(1, 13), (2, 3, 4)
COLORS = {2: "#56b4e9", 3: "#1f8fd0", 4: "#d55e00"}
GREY = "#7f7f7f"


def count(depth: int, width: int) -> tuple[int, int]:
    """Multiplications by paths, and by back-propagation."""
    layers = [layer for _ in range(depth) for layer in (Dense(width), Tanh())]
    network = Sequential([*layers, Dense(1)]).build(1, random_state=0)
    work = computation_graph(network, [1.0]).count()
    return work.by_paths.multiplications, work.by_back_propagation.multiplications


def draw(counts: dict[int, list[tuple[int, int]]], file: Path) -> None:
    """Both over the depth, on a logarithmic scale."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    colored = ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"]
    style = {"svg.fonttype": "none", "svg.hashsalt": "layernet", "font.family": "sans-serif", "font.size": 10}
    with rc_context(style | dict.fromkeys(colored, GREY)):
        figure = Figure(figsize=(7.5, 3.6), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        for width, pairs in counts.items():
            by_paths, by_reuse = zip(*pairs, strict=True)
            axes.semilogy(DEPTHS, by_paths, color=COLORS[width], marker="o", markersize=3)
            axes.semilogy(DEPTHS, by_reuse, color=COLORS[width], marker="o", markersize=3, linestyle="--")
            axes.text(12.2, by_paths[-1], f"{width} neurons a layer", color=COLORS[width], va="center")
        axes.text(8, 1.2e6, "sum over paths", rotation=29, ha="right", va="bottom")
        axes.text(12.2, 60, "back-propagation", va="center")
        axes.set(xlabel="hidden layers", ylabel="multiplications", xlim=(0.7, 15.2), xticks=DEPTHS)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines["bottom"].set_bounds(1, 12)
        figure.savefig(file, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw the curves as SVG")
    options = parser.parse_args()
    counts = {width: [count(depth, width) for depth in DEPTHS] for width in WIDTHS}
    print("hidden layers   " + "".join(f"{f'{width} neurons: paths, reuse':>30}" for width in WIDTHS))
    for row, depth in enumerate(DEPTHS):
        pairs = (counts[width][row] for width in WIDTHS)
        print(f"{depth:13}   " + "".join(f"{by_paths:>22,}{by_reuse:>8,}" for by_paths, by_reuse in pairs))
    if options.draw:
        draw(counts, options.draw)


if __name__ == "__main__":
    main()
