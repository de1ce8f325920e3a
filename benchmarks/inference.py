"""Time of the outputs of a trained 64-100-10 network, compared with other packages.

    python benchmarks/inference.py

All compute in turn in one process, several rounds; printed are minimum and median over the rounds, in
microseconds a call, and for 100,000 rows a row. scikit-learn's `predict_proba` and torch are given the same
weights; theirs is a softmax more.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from layernet import Dense, ReLU, Sequential
from layernet.engine.choice import has_numba

ROWS = (1, 32, 1000, 100_000)


def of_layernet(network: Sequential) -> dict[str, Callable]:
    """The plans of layernet, and the functions of other packages."""
    functions = {"compiled": network.compile_for_inference("compiled")} if has_numba() else {}
    return {
        **functions,
        "formulas": network.compile_for_inference("formulas"),
        "forward_pass": network.forward_pass,
    }


def of_scikit_learn(network: Sequential, classes: np.ndarray) -> Callable:
    """`MLPClassifier.predict_proba` with the network's weights."""
    from sklearn.neural_network import MLPClassifier

    X = np.zeros((len(classes), 64), network.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is not meant to converge
        classifier = MLPClassifier((100,), max_iter=1).fit(X, classes)
    dense = [network[0], network[2]]
    classifier.coefs_ = [layer.weights.copy() for layer in dense]
    classifier.intercepts_ = [layer.bias.copy() for layer in dense]
    return classifier.predict_proba


def of_torch(network: Sequential) -> Callable:
    """A torch module in inference mode, as a function of arrays."""
    import torch

    def linear(layer):
        twin = torch.nn.Linear(*layer.weights.shape)
        twin.weight.data = torch.from_numpy(layer.weights.T.copy())
        twin.bias.data = torch.from_numpy(layer.bias.copy())
        return twin

    model = torch.nn.Sequential(linear(network[0]), torch.nn.ReLU(), linear(network[2])).eval()

    def predict(inputs):
        with torch.inference_mode():
            return model(torch.from_numpy(inputs)).numpy()

    return predict


def microseconds(function: Callable, inputs: np.ndarray, seconds: float) -> float:
    """Mean time of a call."""
    calls, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for _ in range(max(1, 200 // len(inputs))):
            function(inputs)
            calls += 1
    return 1e6 * passed / calls


def compare(functions: dict[str, Callable], inputs: np.ndarray, rounds: int, seconds: float) -> None:
    """Print a line for each function."""
    n_rows = len(inputs)
    times = {name: [] for name in functions}
    for function in functions.values():
        function(inputs)
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(0.02)  # until the threads of the one before have gone to sleep
            microseconds(function, inputs, seconds / 10)
            times[name].append(microseconds(function, inputs, seconds) / (n_rows if n_rows > 1000 else 1))
    print(f"\n{n_rows:,} rows, {inputs.dtype}, microseconds a {'row' if n_rows > 1000 else 'call'}")
    for name, values in times.items():
        print(f"  {name:14}{min(values):12,.3f}  (median {statistics.median(values):,.3f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a measurement, about")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"load before: {os.getloadavg()[0]:.2f}; NumPy {version('numpy')}")
    for dtype in (np.float64, np.float32):
        network = Sequential([Dense(100), ReLU(), Dense(10)]).build(64, random_state=0, dtype=dtype)
        functions = of_layernet(network)
        functions["scikit-learn"] = of_scikit_learn(network, np.arange(10).repeat(2))
        try:
            functions["torch"] = of_torch(network)
        except ImportError as error:
            print(f"torch is left out: {error}")
        for n_rows in ROWS:
            inputs = np.random.default_rng(0).standard_normal((n_rows, 64)).astype(dtype)
            compare(functions, inputs, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
