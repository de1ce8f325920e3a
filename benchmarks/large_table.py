"""Time and memory of TabularClassifier on a large table of numbers, made by a seed.

python benchmarks/large_table.py --rows 1000000
python benchmarks/large_table.py --rows 200000 --time-limit 10
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from layernet import TabularClassifier

N_COLUMNS, N_TEST_ROWS = 30, 20_000


def make_table(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of normal numbers, and classes that depend on five of the columns, with noise."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n_rows, N_COLUMNS))
    signal = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * (X[:, 3] > 0.3) - np.abs(X[:, 4]) + 0.5
    return X, (signal + 0.5 * random.standard_normal(n_rows) > 0).astype(int)


def peak_megabytes() -> float:
    """Return the largest memory that this process has had; Linux counts kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--preset", default="best")
    parser.add_argument("--time-limit", type=float, default=None)
    options = parser.parse_args()
    X, y = make_table(options.rows + N_TEST_ROWS)
    TabularClassifier("fast").fit(X[:300], y[:300])  # loads packages and kernels
    before, start = peak_megabytes(), time.perf_counter()
    classifier = TabularClassifier(options.preset, time_limit=options.time_limit, random_state=0)
    classifier.fit(X[: options.rows], y[: options.rows])
    seconds = time.perf_counter() - start
    print(f"{options.rows:,} rows: {seconds:.1f} s, {peak_megabytes() - before:.0f} MB beyond the data")
    print(f"accuracy of {N_TEST_ROWS:,} new rows: {classifier.score(X[-N_TEST_ROWS:], y[-N_TEST_ROWS:]):.4f}")
    print("\n".join(classifier.report_.left_out))


if __name__ == "__main__":
    main()
