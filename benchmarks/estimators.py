"""Times of estimators as ratios to scikit-learn's: fits and predictions, on idle cores and on busy ones.

    python benchmarks/estimators.py
    python benchmarks/estimators.py predictions --quick
    python benchmarks/estimators.py sparse

Both run in turn in one process, several rounds; printed are the minimum and the median of the ratios, and for
predictions the geometric mean of the medians over shapes and numbers of rows. Before each prediction is a
pause, in which the threads of the previous one go to sleep. Cores are busy with processes that this script
starts and ends.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.preprocessing import OneHotEncoder

from layernet import MLPClassifier as Ours
from layernet.engine.choice import has_numba

ENGINES = ("formulas", "compiled") if has_numba() else ("formulas",)
# Features, hidden layers, classes.
SHAPES = (
    (10, (32, 32, 32), 2),
    (30, (64, 64), 2),
    (50, (100,), 2),
    (64, (100,), 10),
    (100, (200, 50), 5),
    (784, (128,), 10),
)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
MOST_NUMBERS = 50_000_000  # of the inputs: 400 MB
# After a product, OpenBLAS's second thread occupies its core for 27 milliseconds (2**26 ticks of the clock),
# while it waits for the next product. A core on which such a thread waits is not idle.
SECONDS_UNTIL_IDLE = 0.04


def seconds(function: Callable[[], object], repetitions: int) -> float:
    """Mean time of a call."""
    began = time.perf_counter()
    for _ in range(repetitions):
        function()
    return (time.perf_counter() - began) / repetitions


def compare(name: str, ours: Callable, theirs: Callable, repetitions: int, rounds: int) -> None:
    """Print both times and their ratio."""
    ours(), theirs()
    pairs = [(seconds(ours, repetitions), seconds(theirs, repetitions)) for _ in range(rounds)]
    ratios = [mine / other for mine, other in pairs]
    mine, other = (min(column) * 1e6 for column in zip(*pairs, strict=True))
    print(
        f"{name:32} {mine:12,.0f} {other:12,.0f} microseconds   "
        f"ratio {min(ratios):.2f} (median {statistics.median(ratios):.2f})"
    )


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Context in which a number of other processes keep the cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        if others:
            time.sleep(0.2)  # until they run
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def predictions(quick: bool, busy: list[int]) -> None:
    """Measure `predict` and `score` beside various numbers of busy processes."""
    rng = np.random.default_rng(0)
    cases = []
    for n_features, hidden, n_classes in SHAPES:
        most = max(n for n in ROWS if n * n_features <= MOST_NUMBERS and (n <= 10_000 or not quick))
        X = rng.standard_normal((most, n_features))
        y = rng.integers(0, n_classes, most)
        theirs = Theirs(hidden, max_iter=1, random_state=0).fit(X[:500], y[:500])
        ours = {
            engine: Ours(hidden, max_iter=1, random_state=0, engine=engine).fit(X[:500], y[:500])
            for engine in ENGINES
        }
        shape = "-".join(map(str, (n_features, *hidden, n_classes)))
        cases += [(shape, X[:n], y[:n], ours, theirs) for n in ROWS if n <= most]
    for n_busy in busy:
        with busy_cores(n_busy):
            print(
                f"\n{n_busy} busy of {os.cpu_count()} cores; milliseconds, and the median ratio to scikit-learn"
            )
            for name in ("predict", "score"):
                logarithms: dict[str, list[float]] = {engine: [] for engine in ENGINES}
                for shape, X, y, ours, theirs in cases if name == "predict" else cases[:: len(ROWS) - 1]:
                    arguments = (X,) if name == "predict" else (X, y)
                    functions = {engine: getattr(ours[engine], name) for engine in ENGINES}
                    ratios = compare_three(
                        f"{name} {shape}", functions, getattr(theirs, name), arguments, quick
                    )
                    for engine, ratio in ratios.items():
                        logarithms[engine].append(np.log(ratio))
                for engine, values in logarithms.items():
                    print(
                        f"{name}, {n_busy} busy, {engine}: geometric mean {np.exp(np.mean(values)):.2f}",
                        flush=True,
                    )


def compare_three(
    name: str, ours: dict[str, Callable], theirs: Callable, arguments: tuple, quick: bool
) -> dict[str, float]:
    """Print and return the median ratio of each engine, measured in turn."""
    functions = {**ours, "scikit-learn": theirs}
    times: dict[str, list[float]] = {key: [] for key in functions}
    for function in functions.values():
        function(*arguments)
    began, rounds = time.perf_counter(), 0
    while rounds < 5 or (time.perf_counter() - began < (0.5 if quick else 2) and rounds < 50):
        for key, function in functions.items():
            time.sleep(SECONDS_UNTIL_IDLE)
            times[key].append(seconds(partial(function, *arguments), 1))
        rounds += 1
    base = times["scikit-learn"]
    ratios = {key: statistics.median(a / b for a, b in zip(times[key], base, strict=True)) for key in ours}
    columns = "  ".join(f"{key} {1e3 * statistics.median(times[key]):9.2f}" for key in functions)
    shown = "  ".join(f"{ratio:.2f}" for ratio in ratios.values())
    print(f"{name:26} {len(arguments[0]):10,}   {columns}   {shown}", flush=True)
    return ratios


def fits() -> None:
    """Measure predictions and fits of digits, with default parameters."""
    X, y = load_digits(return_X_y=True)
    ours, theirs = Ours(random_state=0).fit(X, y), Theirs(random_state=0).fit(X, y)
    compare("predict, 1 row", lambda: ours.predict(X[:1]), lambda: theirs.predict(X[:1]), 300, 9)
    compare("predict, 1,797 rows", lambda: ours.predict(X), lambda: theirs.predict(X), 50, 9)
    compare("predict_proba, 1,797 rows", lambda: ours.predict_proba(X), lambda: theirs.predict_proba(X), 50, 9)
    for engine in ENGINES:
        ours.set_params(engine=engine)
        compare(f"fit, defaults, {engine}", lambda: ours.fit(X, y), lambda: theirs.fit(X, y), 1, 5)
    ours, theirs = Ours(random_state=0, max_iter=10), Theirs(random_state=0, max_iter=10)
    with busy_cores(os.cpu_count() or 1):
        compare("fit, 10 epochs, busy cores", lambda: ours.fit(X, y), lambda: theirs.fit(X, y), 1, 3)
    small = Ours(random_state=0, keep_optimizer=False).fit(X, y)
    size = len(pickle.dumps(small)) / small.network_.parameter_vector.nbytes
    print(f"{'pickle without the optimizer':32} {size:.3f} times the bytes of the parameters")


def one_hot_columns() -> tuple[Any, np.ndarray]:
    """20,000 rows of 12 categories with 40 values each, as `OneHotEncoder` returns them, and three classes."""
    rng = np.random.default_rng(0)
    X = OneHotEncoder().fit_transform(rng.integers(0, 40, (20_000, 12)))
    return X, np.digitize(X @ rng.standard_normal(X.shape[1]), [-1, 1])


def words_of_texts() -> tuple[Any, np.ndarray]:
    """6,000 rows of 100 words of 40,000, with frequencies by Zipf's law and tf-idf weights; three classes."""
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, 40_001)
    words = rng.choice(40_000, (6_000, 100), p=frequencies / frequencies.sum())
    counts = scipy.sparse.csr_matrix((np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, 100)))
    counts.sum_duplicates()
    X = TfidfTransformer().fit_transform(counts)
    return X, np.digitize(X @ rng.standard_normal(X.shape[1]), [-0.3, 0.3])


def sparse_data(quick: bool) -> None:
    """Measure fits and predictions on sparse data: seconds, median ratios to scikit-learn, and memory."""
    # Before this process is large: the peak of a new one begins with that of the process that starts it.
    for solver in ("adam", "sgd", "lbfgs"):
        print(f"peak memory, text, {solver}: {memory_of(solver, 'layernet')}, {memory_of(solver, 'sklearn')}")
    for name, make, epochs in (("one-hot", one_hot_columns, 5), ("text", words_of_texts, 3)):
        X, y = make()
        for solver in ("adam", "sgd", "lbfgs"):
            options = {
                "solver": solver,
                "max_iter": 2 * epochs if solver == "lbfgs" else epochs,
                "random_state": 0,
            }
            engines = ("auto", *ENGINES)
            models = {engine: Ours(engine=engine, **options) for engine in engines}
            models["scikit-learn"] = Theirs(**options)
            for method, rounds in (("fit", 1 if quick else 3), ("predict", 9)):
                times: dict[str, list[float]] = {key: [] for key in models}
                for model in models.values():
                    model.predict(X[:1]) if method == "predict" else model.fit(X[:400], y[:400])
                for _ in range(rounds):
                    for key, model in models.items():
                        arguments = (X, y) if method == "fit" else (X,)
                        times[key].append(seconds(partial(getattr(model, method), *arguments), 1))
                columns = "  ".join(f"{key} {statistics.median(times[key]):8.4f}" for key in models)
                base = times["scikit-learn"]
                ratios = "  ".join(
                    f"{statistics.median(a / b for a, b in zip(times[key], base, strict=True)):.2f}"
                    for key in engines
                )
                print(f"{method + ' ' + name + ', ' + solver:24} {columns}   {ratios}", flush=True)


def memory_of(solver: str, package: str) -> str:
    """Growth of the resident memory of a new process in a fit and a prediction of `words_of_texts`."""
    kind = {"layernet": "layernet", "sklearn": "sklearn.neural_network"}[package]
    code = f"""
import resource, sys, warnings
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from estimators import words_of_texts
from {kind} import MLPClassifier
warnings.simplefilter("ignore")
X, y = words_of_texts()
MLPClassifier((2,), solver={solver!r}, max_iter=1).fit(X[:100], y[:100]).predict(X[:100])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
MLPClassifier(solver={solver!r}, max_iter=3).fit(X, y).predict(X)
print((peak() - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return f"{package} {int(done.stdout)} MB"


SECTIONS = ("fits", "predictions", "sparse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and at most 10,000 rows")
    every = list(range((os.cpu_count() or 1) + 1))
    parser.add_argument("--busy", type=int, nargs="+", default=every, help="processes beside predictions")
    options = parser.parse_args()
    for section in options.sections:
        if section not in SECTIONS:
            parser.error(f"there is no section {section!r}; there are {', '.join(SECTIONS)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    sections = options.sections or SECTIONS
    if "fits" in sections:
        fits()
    if "predictions" in sections:
        predictions(options.quick, options.busy)
    if "sparse" in sections:
        sparse_data(options.quick)


if __name__ == "__main__":
    main()
