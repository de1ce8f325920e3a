"""A step of training, as a ratio to scikit-learn's MLPClassifier doing the same work.

    python benchmarks/training_step.py

Both train the same network (float32, ReLU, Adam, no weight decay) on the same random data, in turn, several
rounds in one process; a time is that of a whole `fit` divided by its steps. The matrix products of the same
step, on arrays of the same shapes and nothing else, are the floor.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from itertools import pairwise

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from layernet import Adam, Dense, ReLU, Sequential

# (units of each layer, batch size, the ratio to scikit-learn that must be met)
CASES = [
    ((64, 32, 32, 10), 32, 0.35),
    ((64, 100, 10), 200, 0.45),
    ((28, 64, 64, 2), 256, 0.5),
    ((784, 256, 128, 10), 128, 0.8),
    ((784, 1024, 1024, 10), 1024, 0.95),
]


def make_data(sizes, batch_size, seconds):
    """Random data for about so many seconds of training, in whole batches, and the epochs it takes."""
    multiplications = 3 * batch_size * sum(a * b for a, b in pairwise(sizes))
    steps = int(np.clip(seconds / (2e-4 + multiplications / 3e10), 4, 2000))
    steps_per_epoch = min(steps, 50)
    random = np.random.default_rng(0)
    X = random.standard_normal((steps_per_epoch * batch_size, sizes[0])).astype(np.float32)
    y = np.arange(len(X)) % sizes[-1]
    return X, y, max(1, steps // steps_per_epoch), steps_per_epoch


def time_layernet(X, y, sizes, batch_size, epochs):
    hidden = [layer for units in sizes[1:-1] for layer in (Dense(units), ReLU())]
    net = Sequential([*hidden, Dense(sizes[-1])]).build(sizes[0], random_state=0, dtype=np.float32)
    began = time.perf_counter()
    history = net.fit(X, y, loss="cross_entropy", optimizer=Adam(), epochs=epochs, batch_size=batch_size)
    elapsed = time.perf_counter() - began
    assert len(history["loss"]) == epochs
    assert net.dtype == np.float32
    return elapsed


def time_scikit_learn(X, y, sizes, batch_size, epochs):
    model = MLPClassifier(
        sizes[1:-1],
        alpha=0.0,
        batch_size=batch_size,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.perf_counter()
        model.fit(X, y)
        elapsed = time.perf_counter() - began
    assert model.n_iter_ == epochs
    assert model.coefs_[0].dtype == np.float32
    return elapsed


def time_products(sizes, batch_size, steps):
    """The matrix products of as many steps: forward, for the weights, and for the inputs but the first."""
    random = np.random.default_rng(0)
    shapes = list(pairwise(sizes))
    inputs = [random.standard_normal((batch_size, a)).astype(np.float32) for a, _ in shapes]
    weights = [random.standard_normal((a, b)).astype(np.float32) for a, b in shapes]
    gradients = [random.standard_normal((batch_size, b)).astype(np.float32) for _, b in shapes]
    began = time.perf_counter()
    for _ in range(steps):
        for i, (x, w, g) in enumerate(zip(inputs, weights, gradients, strict=True)):
            x @ w
            x.T @ g
            if i:
                g @ w.T
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.7, help="of training, about, in each round")
    options = parser.parse_args()
    print("microseconds a step: minimum (median); ratio of the medians, and the one to be met")
    header = f"{'case':>24} {'layernet':>16} {'scikit-learn':>16} {'products':>16} {'ratio':>6} {'limit':>6}"
    print(header)
    for sizes, batch_size, limit in CASES:
        X, y, epochs, steps_per_epoch = make_data(sizes, batch_size, options.seconds)
        steps = epochs * steps_per_epoch
        times = {"layernet": [], "scikit-learn": [], "products": []}
        for turn in range(options.rounds + 1):
            measured = {
                "layernet": time_layernet(X, y, sizes, batch_size, epochs),
                "scikit-learn": time_scikit_learn(X, y, sizes, batch_size, epochs),
                "products": time_products(sizes, batch_size, steps),
            }
            if turn:  # the first warms up
                for name, seconds in measured.items():
                    times[name].append(1e6 * seconds / steps)
        medians = {name: statistics.median(values) for name, values in times.items()}
        ratio = medians["layernet"] / medians["scikit-learn"]
        shown = [f"{min(values):8.0f} ({medians[name]:.0f})" for name, values in times.items()]
        case = f"{'-'.join(map(str, sizes))}, batch {batch_size}"
        print(f"{case:>24} " + " ".join(f"{text:>16}" for text in shown) + f" {ratio:6.2f} {limit:6.2f}")


if __name__ == "__main__":
    main()
