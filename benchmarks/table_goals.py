"""Summary of the results of `tables.py`: scores, ranks, ratios of times, the goals of the tabular estimators,
a plot.

A score is the mean over splits, and models are compared on the splits that all of them have. A ratio of times
compares fits to the same split with the same number of threads. Means of ratios are geometric.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import gmean, rankdata
from table_data import TABLES
from table_models import BASELINES, MODELS, PRESETS

METRICS = ("accuracy, R2", "log-loss, RMSE")
GREY = "#7f7f7f"
COLORS = dict.fromkeys(PRESETS, "#d9480f") | dict.fromkeys(("mlp", "mlp_es", "realmlp_td_s"), "#b7791f")
OTHER_COLOR = "#1f8fd0"


class Results:
    """Scores and times of splits, by table and model."""

    def __init__(self) -> None:
        # Score of a split: accuracy and log-loss, or R2 and RMSE.
        self.scores: dict[tuple[str, str], dict[int, tuple[float, float]]] = defaultdict(dict)
        # Seconds by the name of a column, table, model and number of threads, and then by split.
        self.seconds: dict[tuple[str, str, str, int], dict[int, float]] = defaultdict(dict)
        self.classify: dict[str, bool] = {}
        self.n_train: dict[str, int] = {}

    @classmethod
    def read(cls, files: Iterable[Path], scores_only: Iterable[Path] = ()) -> Results:
        """Read files of results. Of rows for the same thing, the last counts; `scores_only` come first."""
        results = cls()
        for path, timed in [*((path, False) for path in scores_only), *((path, True) for path in files)]:
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    if row["dataset"] in TABLES and row["fit_s"]:  # empty: the fit has failed
                        results.add(row, timed)
        return results

    def add(self, row: dict[str, str], timed: bool) -> None:
        table, model, seed = row["dataset"], row["model"], int(row["split"])
        self.classify[table] = bool(row["accuracy"])
        self.n_train[table] = int(row["n_train"])
        names = ("accuracy", "logloss") if self.classify[table] else ("r2", "rmse")
        self.scores[table, model][seed] = (float(row[names[0]]), float(row[names[1]]))
        if timed:
            for column in ("fit_s", "predict_10k_s"):
                if row[column]:
                    self.seconds[column, table, model, int(row["threads"])][seed] = float(row[column])

    def models(self, table: str | None = None) -> list[str]:
        """Names of the models that have scores, in the order of `MODELS` and then of the file."""
        present = [model for at, model in self.scores if table in (None, at)]
        return list(dict.fromkeys([name for name in MODELS if name in present] + present))

    def threads(self) -> list[int]:
        return sorted({threads for _, _, _, threads in self.seconds})

    def common_splits(self, table: str, models: Iterable[str]) -> list[int]:
        """Splits of a table that all of the models have."""
        return sorted(set.intersection(*(set(self.scores.get((table, model), ())) for model in models)))

    def mean_scores(self, table: str, model: str, splits: Sequence[int]) -> np.ndarray:
        return np.mean([self.scores[table, model][seed] for seed in splits], axis=0)

    def pairs(self, model: str, other: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean scores of two models, for each table on which they have a split in common."""
        pairs = {}
        for table in TABLES:
            if splits := self.common_splits(table, (model, other)):
                pairs[table] = tuple(self.mean_scores(table, name, splits) for name in (model, other))
        return pairs

    def gains(self, model: str, other: str) -> dict[str, float]:
        """Accuracy or R2 of the model, minus that of the other."""
        return {table: float(a[0] - b[0]) for table, (a, b) in self.pairs(model, other).items()}

    def loss_ratios(self, model: str, other: str) -> dict[str, float]:
        """Log-loss or RMSE of the model, as a ratio to that of the other."""
        return {table: float(a[1] / b[1]) for table, (a, b) in self.pairs(model, other).items()}

    def time_ratios(self, model: str, other: str, threads: int, column: str = "fit_s") -> dict[str, float]:
        ratios = {}
        for table in TABLES:
            ours = self.seconds.get((column, table, model, threads), {})
            theirs = self.seconds.get((column, table, other, threads), {})
            if splits := ours.keys() & theirs.keys():
                ratios[table] = float(gmean([ours[seed] / theirs[seed] for seed in splits]))
        return ratios

    def ranks(self, model: str) -> tuple[dict[str, np.ndarray], list[str]]:
        """Average ranks by both metrics of the baselines and one more model, and the tables that all have."""
        models = [*BASELINES, model]
        tables = [table for table in TABLES if self.common_splits(table, models)]
        ranks = []
        for table in tables:
            splits = self.common_splits(table, models)
            main, second = np.transpose([self.mean_scores(table, name, splits) for name in models])
            ranks.append(np.column_stack([rankdata(-main), rankdata(second)]))
        return (dict(zip(models, np.mean(ranks, axis=0), strict=True)) if ranks else {}), tables


class Goal(NamedTuple):
    text: str
    figure: str
    met: bool
    n_tables: int


def at_most(
    text: str, bound: float, values: dict[str, float], combine: Callable[[list[float]], float] = gmean
) -> Goal:
    """Goal for a figure of several tables, their geometric mean by default."""
    if not values:
        return Goal(f"{text}: at most {bound:g}", "", False, 0)
    value = float(combine(list(values.values())))
    worst = max(values, key=values.__getitem__)
    figure = f"{value:.3f}" + (f" ({worst})" if combine is max else f"; highest {values[worst]:.3f} ({worst})")
    return Goal(f"{text}: at most {bound:g}", figure, value <= bound, len(values))


def no_worse(text: str, allowed: int, losses: dict[str, float], n_tables: int) -> Goal:
    """Goal for the number of comparisons in which a model is worse; `losses` says by how much."""
    figure = f"{len(losses)}" + "".join(f"; {name} by {loss:.4f}" for name, loss in losses.items())
    return Goal(f"{text}: at most {allowed}", figure, len(losses) <= allowed, n_tables)


def rank_goals(results: Results, preset: str, bounds: tuple[float, float]) -> Iterator[Goal]:
    ranks, tables = results.ranks(preset)
    for index, (metric, bound) in enumerate(zip(METRICS, bounds, strict=True)):
        figure = f"{ranks[preset][index]:.2f}" if tables else ""
        met = bool(tables) and ranks[preset][index] <= bound + 1e-9
        yield Goal(f"{preset}: average rank of nine by {metric}: at most {bound}", figure, met, len(tables))


def time_goal(results: Results, preset: str, other: str, threads: int, bound: float) -> Goal:
    ratios = results.time_ratios(preset, other, threads)
    plural = "s" if threads > 1 else ""
    return at_most(f"{preset}: time of a fit / {other}'s, {threads} thread{plural}", bound, ratios)


def ahead_on_average(results: Results, preset: str, other: str) -> Iterator[Goal]:
    gains, ratios = results.gains(preset, other), results.loss_ratios(preset, other)
    mean = float(np.mean(list(gains.values()))) if gains else math.nan
    yield Goal(
        f"{preset}: mean gain in accuracy, R2 over {other}: above 0", f"{mean:+.4f}", mean > 0, len(gains)
    )
    mean = float(gmean(list(ratios.values()))) if ratios else math.nan
    yield Goal(f"{preset}: log-loss, RMSE / {other}'s: below 1", f"{mean:.3f}", mean < 1, len(ratios))


def goals(results: Results) -> Iterator[Goal]:
    """Goals of the three presets, each with what was measured."""
    yield from rank_goals(results, "best", (1.9, 1.6))
    ratios = results.loss_ratios("best", "catboost")
    worse = {table: ratio - 1 for table, ratio in ratios.items() if ratio >= 1}
    yield no_worse("best: tables with a log-loss, RMSE not below catboost's", 1, worse, len(ratios))
    yield at_most("best: highest log-loss, RMSE / catboost's", 1.02, ratios, max)
    yield time_goal(results, "best", "realmlp_td_s", 2, 0.4)
    yield time_goal(results, "best", "catboost", 2, 0.7)
    yield time_goal(results, "best", "catboost", 1, 0.9)
    for other in ("bagged_catboost", "bagged_lgbm"):
        yield from ahead_on_average(results, "best", other)
    yield from rank_goals(results, "balanced", (2.4, 2.0))
    for threads in (1, 2):
        yield time_goal(results, "balanced", "best", threads, 0.5)
    for threads in (1, 2):
        yield time_goal(results, "fast", "catboost", threads, 0.15)
    simple = ("linear", "mlp", "mlp_es")
    gains = {(name, table): gain for name in simple for table, gain in results.gains("fast", name).items()}
    ratios = {(name, table): x for name in simple for table, x in results.loss_ratios("fast", name).items()}
    n_tables = min(len(results.pairs("fast", name)) for name in simple)
    worse = {f"{name} on {table}": -gain for (name, table), gain in gains.items() if gain < 0}
    text = "fast: {} worse than those of linear, mlp, mlp_es"
    yield no_worse(text.format("accuracy, R2"), 0, worse, n_tables)
    worse = {f"{name} on {table}": ratio - 1 for (name, table), ratio in ratios.items() if ratio > 1}
    yield no_worse(text.format("log-loss, RMSE"), 0, worse, n_tables)
    yield from ahead_on_average(results, "fast", "hgb")
    for preset in PRESETS:
        for threads in (1, 2):
            ratios = results.time_ratios(preset, "lgbm", threads, "predict_10k_s")
            plural = "s" if threads > 1 else ""
            yield at_most(f"{preset}: prediction of 10,000 rows / lgbm's, {threads} thread{plural}", 3, ratios)


def show(results: Results) -> None:
    """Print scores and times of each table, average ranks, comparisons with each baseline, and goals."""
    for table in TABLES:
        if table in results.n_train:
            show_table(results, table)
    show_ranks(results)
    for preset in PRESETS:
        if preset in results.models():
            show_comparisons(results, preset)
    print("\nGoals")
    for goal in goals(results):
        verdict = "not measured" if not goal.n_tables else "met" if goal.met else "missed"
        some = f"{goal.n_tables} of {len(TABLES)} tables" if 0 < goal.n_tables < len(TABLES) else ""
        figure = goal.figure if goal.n_tables else ""
        print(f"  {verdict:14}{some:15}{goal.text:77}{figure}".rstrip())


def show_ranks(results: Results) -> None:
    """Print average ranks of nine models, which are the baselines and one preset at a time."""
    ranks = {preset: results.ranks(preset) for preset in PRESETS if results.ranks(preset)[0]}
    if not ranks:
        return
    print("\nAverage ranks of nine models: the baselines and one preset")
    print(
        " " * 19
        + "".join(f"{f'with {preset}, {len(tables)} tables':>32}" for preset, (_, tables) in ranks.items())
    )
    print(" " * 19 + "".join(f"{METRICS[0]:>15}{METRICS[1]:>17}" for _ in ranks))
    for name in (*BASELINES, "the preset"):
        line = ""
        for preset, (values, _) in ranks.items():
            main, second = values[preset if name == "the preset" else name]
            line += f"{main:15.2f}{second:17.2f}"
        print(f"  {name:17}{line}")


def show_table(results: Results, table: str) -> None:
    """Print the scores on the splits that the baselines and presets have, and mean times of all splits."""
    models = results.models(table)
    shared = results.common_splits(table, [name for name in models if name in (*BASELINES, *PRESETS)] or models)
    metrics = ("accuracy", "log-loss") if results.classify[table] else ("R2", "RMSE")
    rows = {}
    for name in models:
        own = results.common_splits(table, [name])
        splits = [seed for seed in shared if seed in own] or own
        rows[name] = (*results.mean_scores(table, name, splits), splits)
    names = ", ".join(map(str, shared)) or "none in common"
    print(f"\n{table}: {results.n_train[table]:,} training rows; splits {names}")
    heads = "".join(f"{f'{threads} thread' + 's' * (threads > 1):>12}" for threads in results.threads())
    print(f"  {'':17}{metrics[0]:>10}{metrics[1]:>12}{heads}" + ("  (seconds of a fit)" if heads else ""))
    for name, (main, second, splits) in sorted(rows.items(), key=lambda item: item[1][1]):
        line = f"  {name:17}{main:10.4f}" + (f"{second:12.4f}" if second < 1000 else f"{second:12,.0f}")
        for threads in results.threads():
            times = results.seconds.get(("fit_s", table, name, threads))
            line += f"{np.mean(list(times.values())):12.2f}" if times else " " * 12
        line += "" if splits == shared else f"  only splits {', '.join(map(str, splits))}"
        print(line.rstrip())


def show_comparisons(results: Results, preset: str) -> None:
    """Print one preset against every other model: gains, ratios of losses, and ratios of times."""
    counts = results.threads()
    heads = "".join(f"{f'fit, {n} thread' + 's' * (n > 1):>17}" for n in counts)
    print(f"\n{preset} against each model: mean gain, and geometric means of ratios (tables)")
    print(f"  {'':17}{METRICS[0]:>16}{METRICS[1]:>17}{heads}")
    for other in results.models():
        gains, ratios = results.gains(preset, other), results.loss_ratios(preset, other)
        if other != preset and gains:
            losses = f"{gmean(list(ratios.values())):.3f} ({len(ratios)})"
            line = f"  {other:17}{np.mean(list(gains.values())):+16.4f}{losses:>17}"
            for threads in counts:
                times = results.time_ratios(preset, other, threads)
                line += f"{f'{gmean(list(times.values())):.3f} ({len(times)})' if times else '':>17}"
            print(line.rstrip())


def draw(results: Results, threads: int, file: Path) -> None:
    """Average rank by log-loss and RMSE over the time of a fit, a point for each model.

    The rank of a baseline is among the baselines and the first preset that has results. The rank of every other
    model is among the baselines and itself.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    presets = [name for name in PRESETS if results.ranks(name)[0]]
    points = {}
    timed = {model for column, _, model, n in results.seconds if column == "fit_s" and n == threads}
    models = [name for name in results.models() if name in timed]
    tables = [
        table
        for table in TABLES
        if all(results.seconds.get(("fit_s", table, name, threads)) for name in models)
    ]
    for name in models:
        beside = presets[0] if presets and name in BASELINES else name
        ranks = results.ranks(beside)[0]
        if ranks and tables:
            times = [results.seconds["fit_s", table, name, threads] for table in tables]
            seconds = float(gmean([np.mean(list(each.values())) for each in times]))
            points[name] = (seconds, float(ranks[name][1]))
    if not points:
        raise SystemExit(f"Nothing to draw: no table has fits of all models with {threads} threads.")
    colored = ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"]
    style = {"svg.fonttype": "none", "svg.hashsalt": "layernet", "font.family": "sans-serif", "font.size": 10}
    with rc_context(style | dict.fromkeys(colored, GREY)):
        figure = Figure(figsize=(8, 4.4), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        ours = [points[name] for name in PRESETS if name in points]
        if ours:
            axes.plot(*zip(*sorted(ours), strict=True), color=COLORS["best"], linewidth=1.2, alpha=0.6)
        for name, (seconds, rank) in points.items():
            size = 60 if name in PRESETS else 32
            axes.scatter(seconds, rank, size, color=COLORS.get(name, OTHER_COLOR), linewidths=0, zorder=3)
        lowest, highest = (bound([seconds for seconds, _ in points.values()]) for bound in (min, max))
        axes.set_xscale("log")
        ticks = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
        axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.set_yticks(range(1, 10))
        axes.set_xlim(lowest / 1.6, highest * 1.6)
        axes.set_ylim(max(rank for _, rank in points.values()) + 0.8, 0.6)
        axes.minorticks_off()
        axes.grid(color=GREY, alpha=0.15, linewidth=0.8)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        plural = "s" if threads > 1 else ""
        axes.set_xlabel(f"seconds of a fit, {threads} thread{plural}, geometric mean of {len(tables)} tables")
        axes.set_ylabel("average rank of nine models\nby log-loss or RMSE; 1 is best")
        label(figure, axes, points)
        figure.savefig(file, format="svg", metadata={"Date": None})


def label(figure, axes, points: dict[str, tuple[float, float]]) -> None:
    """Name each point where the name covers no point and no other name: beside it, above it or below it."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    taken = []
    for place in points.values():
        x, y = axes.transData.transform(place)
        taken.append(Bbox.from_extents(x - 5, y - 5, x + 5, y + 5))
    aside = [(8, 0, "left", "center"), (-8, 0, "right", "center")]
    beyond = [(0, 8, "center", "bottom"), (0, -8, "center", "top")]
    corners = [
        (6, 7, "left", "bottom"),
        (6, -7, "left", "top"),
        (-6, 7, "right", "bottom"),
        (-6, -7, "right", "top"),
    ]
    for name, place in sorted(points.items(), key=lambda item: item[0] not in PRESETS):
        # The line that connects the presets rises to the right, so their names are first tried below it.
        for x, y, across, along in [*([corners[1]] if name in PRESETS else []), *aside, *beyond, *corners]:
            text = axes.annotate(
                MODELS[name].title if name in MODELS else name,
                place,
                (x, y),
                textcoords="offset points",
                ha=across,
                va=along,
                color=COLORS.get(name, OTHER_COLOR),
                fontweight="bold" if name in PRESETS else "normal",
            )
            box = text.get_window_extent()
            inside = figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:
            text = axes.annotate(name, place, (8, 0), textcoords="offset points", color=GREY)
            box = text.get_window_extent()
        taken.append(box)
