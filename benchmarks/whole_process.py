"""Time from starting `python` to a fitted classifier of digits with default parameters, and scikit-learn's.

    python benchmarks/whole_process.py

Processes are started in turn, after one start of each that is not counted. "cold" starts with an empty folder
for compiled kernels every time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

SCRIPT = """
import warnings
from sklearn.datasets import load_digits
from {module} import MLPClassifier
warnings.simplefilter("ignore")
X, y = load_digits(return_X_y=True)
MLPClassifier(random_state=0{options}).fit(X, y)
"""
SCRIPTS = {
    "scikit-learn": SCRIPT.format(module="sklearn.neural_network", options=""),
    "layernet, formulas": SCRIPT.format(module="layernet", options=", engine='formulas'"),
    "layernet, compiled": SCRIPT.format(module="layernet", options=", engine='compiled'"),
    "layernet, compiled, cold": SCRIPT.format(module="layernet", options=", engine='compiled'"),
}
ROUNDS = 9


def start(name: str) -> float:
    """Seconds that a process takes."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, **({"NUMBA_CACHE_DIR": empty} if name.endswith("cold") else {})}
        began = time.perf_counter()
        command = [sys.executable, "-c", SCRIPTS[name]]
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for turn in range(ROUNDS + 1):
        for name, values in times.items():
            seconds = start(name)
            if turn:
                values.append(seconds)
    base = statistics.median(times["scikit-learn"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:26} {median:6.2f} s (minimum {min(values):.2f})   ratio {median / base:.2f}")


if __name__ == "__main__":
    main()
