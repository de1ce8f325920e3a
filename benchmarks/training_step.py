"""Time of a compiled training step, as a ratio to other ways of doing the same work.

    python benchmarks/training_step.py

All peers of `peers.py` that are installed train the same network on the same random data, in turn, several
rounds. A time is that of whole trainings of several epochs, divided by their steps; they go on from one
that does not count, in which memory and threads are first used. Each peer lives in a process of its own, so
that none meets another's threads or settings.

Printed are minimum and median over the rounds, in microseconds, and layernet's as ratios to each peer's. The
peer "products" is a floor: the matrix products of the same steps, and nothing else. Goals are those of the
variant "relu"; a star marks a ratio that misses its goal.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from peers import PEERS, NotOffered, Work, seconds_a_step

# (units of each layer, batch size, ratios to be met)
CASES = [
    ((64, 32, 32, 10), 32, {"scikit-learn": 0.07, "torch": 0.05, "jax": 0.85, "products": 1.5}),
    ((64, 100, 10), 200, {"scikit-learn": 0.25, "torch": 0.27, "jax": 0.9, "products": 1.5}),
    ((28, 64, 64, 2), 256, {"scikit-learn": 0.22, "torch": 0.3, "jax": 0.85, "products": 1.4}),
    ((784, 256, 128, 10), 128, {"scikit-learn": 0.45, "torch": 0.75, "jax": 1.0, "products": 1.25}),
    ((784, 1024, 1024, 10), 1024, {"scikit-learn": 0.75, "torch": 0.85, "jax": 0.95, "products": 1.07}),
]
VARIANTS = {
    "relu": {},
    "tanh": {"activation": "tanh"},
    "momentum": {"optimizer": "momentum"},
    "float64": {"dtype": "float64"},
    "regularised": {"regularised": True},
}
# Neither is far from white or from black.
COLORS = {
    "layernet": "#d9480f",
    "formulas": "#b7791f",
    "scikit-learn": "#2b7fd4",
    "torch": "#8b5fd6",
    "torch.compile": "#c2559d",
    "jax": "#2a9070",
}
GREY = "#767676"


def draw_up(sizes: tuple[int, ...], batch_size: int, variant: str, seconds: float) -> Work:
    """Amount of work that takes a peer of average speed the given seconds; at least two epochs."""
    step = Work(sizes, batch_size, **VARIANTS[variant])
    steps = int(np.clip(seconds / (1e-4 + step.multiplications / 3e10), 20, 1000))
    steps_per_epoch = min(steps // 2, 50)
    return Work(sizes, batch_size, steps_per_epoch, steps // steps_per_epoch, **VARIANTS[variant])


class PeerProcess:
    """A process in which one peer waits for work.

    Raises
    ------
    NotOffered
        If a package is missing; from the methods, if the peer cannot do the work, or failed.
    """

    def __init__(self, name: str):
        peer = PEERS[name]
        if importlib.util.find_spec(peer.module) is None:
            raise NotOffered(f"not installed: pip install {peer.package}")
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=serve, args=(other_end, name), daemon=True)
        self.process.start()
        other_end.close()

    def prepare(self, work: Work) -> None:
        """Prepare the work and train once, so that everything is compiled and cached."""
        self._ask(work)

    def measure(self, seconds: float) -> float:
        """Mean time of a step of that work, in microseconds."""
        return 1e6 * self._ask(seconds)

    def end(self) -> None:
        self.connection.close()
        self.process.join(timeout=10)

    def _ask(self, request):
        try:
            self.connection.send(request)
            answer = self.connection.recv()
        except (EOFError, OSError):
            raise NotOffered("its process died") from None
        if isinstance(answer, str):
            raise NotOffered(answer)
        return answer


def serve(connection: multiprocessing.connection.Connection, name: str) -> None:
    """Main loop of a peer's process: answers with a number, or with a text if something failed."""
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            if isinstance(request, Work):
                work, seconds = request, 0.0
                start = PEERS[name].function(work)
            else:
                seconds = request
            connection.send(seconds_a_step(start, work, seconds))
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            connection.send(reason if isinstance(error, NotOffered) else f"{type(error).__name__}: {reason}")


def measure_case(processes: dict[str, PeerProcess], work: Work, rounds: int, seconds: float) -> dict:
    """Microseconds per step of every peer in every round, and the reasons of peers that cannot do the work."""
    times, left_out = {}, {}
    for name, process in processes.items():
        try:
            process.prepare(work)
            times[name] = []
        except NotOffered as reason:
            left_out[name] = str(reason)
    for _ in range(rounds):
        for name, values in times.items():
            time.sleep(0.1)  # until the threads of the peer before have gone to sleep
            values.append(processes[name].measure(seconds))
    return {"sizes": work.sizes, "batch_size": work.batch_size, "microseconds": times, "left_out": left_out}


def measure(options: argparse.Namespace) -> dict:
    """Measure and print every case of the requested variants."""
    processes, versions = {}, {}
    for name in options.peers:
        try:
            processes[name] = PeerProcess(name)
        except NotOffered as reason:
            print(f"{name} is {reason}")
    for package in ["layernet", "numpy", *(PEERS[name].package for name in processes)]:
        versions[package] = version(package)
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )
    results = []
    print_machine(machine, versions)
    for variant in options.variants:
        for sizes, batch_size, _ in options.cases:
            work = draw_up(sizes, batch_size, variant, options.seconds)
            result = measure_case(processes, work, options.rounds, options.seconds)
            results.append({"variant": variant, **result})
            print_case(results[-1])
    for process in processes.values():
        process.end()
    return {"machine": machine, "versions": versions, "results": results}


def read(options: argparse.Namespace) -> dict:
    """Print the requested saved figures again."""
    figures = json.loads(options.saved.read_text())
    sizes = [list(case[0]) for case in options.cases]
    figures["results"] = [
        result
        for result in figures["results"]
        if result["variant"] in options.variants and result["sizes"] in sizes
    ]
    print_machine(figures["machine"], figures["versions"])
    for result in figures["results"]:
        print_case(result)
    return figures


def print_machine(machine: str, versions: dict[str, str]) -> None:
    print(machine)
    print(", ".join(f"{package} {number}" for package, number in versions.items()))


def title(result: dict) -> str:
    return f"{'-'.join(map(str, result['sizes']))}, batch {result['batch_size']}"


def print_case(result: dict) -> None:
    """Print a line for each peer: minimum, median, layernet's ratio to them, and the required ratio."""
    goals = {}
    if result["variant"] == "relu":
        goals = next((g for *case, g in CASES if case == [tuple(result["sizes"]), result["batch_size"]]), {})
    times = result["microseconds"]
    print(f"\n{title(result)}, {result['variant']}")
    print(f"  {'':14}{'microseconds a step':>22}{'layernet as a ratio':>26}")
    print(f"  {'':14}{'minimum':>11}{'median':>11}{'minimum':>14}{'median':>12}{'goal':>10}")
    for name, values in times.items():
        line = f"  {name:14}"
        for statistic in (min, statistics.median):
            line += f"{statistic(values):11,.1f}"
        if "layernet" in times and name != "layernet":
            line += "  "
            for statistic in (min, statistics.median):
                ratio = statistic(times["layernet"]) / statistic(values)
                line += f"{ratio:11.3f}" + ("*" if ratio > goals.get(name, ratio) else " ")
        line += f"{goals[name]:9.2f}" if name in goals else ""
        print(line.rstrip())
    for name, reason in result["left_out"].items():
        print(f"  {name:14}left out: {reason}")
    print(end="", flush=True)


def draw(results: list[dict], file: Path) -> None:
    """Bars of the ratio to the lower bound, by medians: a picture for each variant, a group for each case."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    variants = list(dict.fromkeys(result["variant"] for result in results))
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "layernet",
        "font.family": "sans-serif",
        "font.size": 9,
        **dict.fromkeys(
            ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], GREY
        ),
    }
    with rc_context(style):
        figure = Figure(figsize=(9, 3.6 * len(variants)), layout="constrained")
        figure.patch.set_alpha(0)
        for axes, variant in zip(figure.subplots(len(variants), squeeze=False)[:, 0], variants, strict=True):
            draw_variant(axes, variant, [result for result in results if result["variant"] == variant])
        figure.savefig(file, format="svg", metadata={"Date": None})


def draw_variant(axes, variant: str, results: list[dict]) -> None:
    names = [name for name in COLORS if any(name in result["microseconds"] for result in results)]
    width = 0.9 / max(1, len(names))
    ratios = []
    for place, name in enumerate(names):
        lefts, heights = [], []
        for group, result in enumerate(results):
            times = result["microseconds"]
            if name in times and "products" in times:
                lefts.append(group - 0.45 + place * width)
                heights.append(statistics.median(times[name]) / statistics.median(times["products"]))
        axes.bar(
            lefts,
            [height - 1 for height in heights],
            width * 0.9,
            1,
            align="edge",
            color=COLORS[name],
            label=name,
        )
        for left, height in zip(lefts, heights, strict=True):
            text = f"{height:.{0 if height >= 10 else 1 if height >= 2 else 2}f}"
            axes.text(left + width * 0.45, max(height, 1) * 1.04, text, ha="center", fontsize=7)
        ratios += heights
    axes.set_xlim(-0.52, len(results) - 0.48)
    axes.set_yscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200]
    axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(min([0.9, *ratios]) * 0.95, max([1, *ratios]) * 1.3)
    axes.axhline(1, color=GREY, linewidth=1)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks(range(len(results)), labels=[title(result).replace(", ", "\n") for result in results])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("time of a step, as a ratio to\nits matrix products alone")
    axes.set_title(f"A step of training, {variant}", loc="left", fontsize=10)
    axes.legend(frameon=False, ncols=len(names), loc="lower right", bbox_to_anchor=(1, 1), columnspacing=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=[*VARIANTS, "all"], help="default: relu; with --from, all")
    parser.add_argument("--case", type=int, choices=range(1, len(CASES) + 1), help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of a measurement, about")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--draw", type=Path, metavar="FILE.svg", help="bars of the ratio to the products")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="all figures of all rounds")
    parser.add_argument("--from", dest="saved", type=Path, metavar="FILE.json", help="measure nothing")
    options = parser.parse_args()
    if options.draw is not None and options.saved is None and "products" not in options.peers:
        parser.error("--draw needs the peer products.")
    options.variants = [options.variant or ("relu" if options.saved is None else "all")]
    if options.variants == ["all"]:
        options.variants = list(VARIANTS)
    options.cases = CASES if options.case is None else [CASES[options.case - 1]]
    figures = measure(options) if options.saved is None else read(options)
    if options.save is not None:
        options.save.write_text(json.dumps(figures, indent=1) + "\n")
    if options.draw is not None:
        draw(figures["results"], options.draw)
    if any({"layernet", "formulas"} & set(result["left_out"]) for result in figures["results"]):
        sys.exit("\nlayernet itself failed")


if __name__ == "__main__":
    main()
