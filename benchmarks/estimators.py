"""How long estimators take, as ratios to scikit-learn's: predict, and fit on idle cores and on busy ones.

    python benchmarks/estimators.py

Both run in turn in one process, several rounds; printed are the minimum and the median of the ratios.
"""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Theirs

from layernet import MLPClassifier as Ours
from layernet.engine.choice import has_numba


def seconds(function: Callable[[], object], repetitions: int) -> float:
    """The mean time of a call."""
    began = time.perf_counter()
    for _ in range(repetitions):
        function()
    return (time.perf_counter() - began) / repetitions


def compare(name: str, ours: Callable, theirs: Callable, repetitions: int, rounds: int) -> None:
    """Print how long both take, and the ratio."""
    ours(), theirs()
    pairs = [(seconds(ours, repetitions), seconds(theirs, repetitions)) for _ in range(rounds)]
    ratios = [mine / other for mine, other in pairs]
    mine, other = (min(column) * 1e6 for column in zip(*pairs, strict=True))
    print(
        f"{name:32} {mine:12,.0f} {other:12,.0f} microseconds   "
        f"ratio {min(ratios):.2f} (median {statistics.median(ratios):.2f})"
    )


@contextmanager
def busy_cores() -> Iterator[None]:
    """Within this context another process computes on each core."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    ours, theirs = Ours(random_state=0).fit(X, y), Theirs(random_state=0).fit(X, y)
    compare("predict, 1 row", lambda: ours.predict(X[:1]), lambda: theirs.predict(X[:1]), 300, 9)
    compare("predict, 1,797 rows", lambda: ours.predict(X), lambda: theirs.predict(X), 50, 9)
    compare("predict_proba, 1,797 rows", lambda: ours.predict_proba(X), lambda: theirs.predict_proba(X), 50, 9)
    for engine in ("formulas", "compiled") if has_numba() else ("formulas",):
        ours.set_params(engine=engine)
        compare(f"fit, defaults, {engine}", lambda: ours.fit(X, y), lambda: theirs.fit(X, y), 1, 5)
    ours, theirs = Ours(random_state=0, max_iter=10), Theirs(random_state=0, max_iter=10)
    with busy_cores():
        compare("fit, 10 epochs, busy cores", lambda: ours.fit(X, y), lambda: theirs.fit(X, y), 1, 3)
    small = Ours(random_state=0, keep_optimizer=False).fit(X, y)
    size = len(pickle.dumps(small)) / small.network_.parameter_vector.nbytes
    print(f"{'pickle without the optimizer':32} {size:.3f} times the bytes of the parameters")


if __name__ == "__main__":
    main()
