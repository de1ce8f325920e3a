"""Regret of the learning rates that `find_learning_rate` and other rules suggest.

    python benchmarks/learning_rates.py

Seven data sets, six networks and seven optimizers. Each is trained with the rate of every rule, and with 25
rates from 1e-5 to 10. What a rule costs is its regret,

    (loss reached - lowest loss of the 25 rates) / (initial loss - lowest loss),

0 for the best rate and 1 for learning nothing; a loss that blew up counts as three times the initial one. The
rules see the same range test. Losses are those of the training data after 5 and after 20 epochs. It takes
about ten minutes, and two with --quick, which leaves out the 20 epochs and every other rate of the grid.
"""

from __future__ import annotations

import argparse
import copy
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_moons
from sklearn.preprocessing import scale

from layernet import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    Dense,
    DivergenceError,
    Lion,
    ReLU,
    RMSProp,
    Sequential,
    Sigmoid,
    Tanh,
    find_learning_rate,
)
from layernet.training import evaluate

NETWORKS = {
    "linear": list,
    "sigmoid 32": lambda: [Dense(32), Sigmoid()],
    "ReLU 64": lambda: [Dense(64), ReLU()],
    "tanh 32-32": lambda: [Dense(32), Tanh(), Dense(32), Tanh()],
    "ReLU 32-32-32": lambda: [Dense(32), ReLU(), Dense(32), ReLU(), Dense(32), ReLU()],
    "BatchNorm 32-32": lambda: [Dense(32), BatchNorm(), ReLU(), Dense(32), BatchNorm(), ReLU()],
}

# With the rate that people take without thinking.
OPTIMIZERS = {
    "SGD": (SGD, {}, 0.01),
    "momentum": (SGD, {"momentum": 0.9}, 0.01),
    "Nesterov": (SGD, {"momentum": 0.9, "nesterov": True}, 0.01),
    "RMSProp": (RMSProp, {}, 0.001),
    "Adam": (Adam, {}, 0.001),
    "AdamW": (AdamW, {}, 0.001),
    "Lion": (Lion, {}, 0.0001),
}

# From the search (rates, smoothed losses up to the blow-up) and the usual rate to a rate.
RULES = {
    "the suggestion": lambda search, usual: search.suggestion,
    "a tenth of the rate at the lowest loss": lambda search, usual: at_lowest(search) / 10,
    "a third of it": lambda search, usual: at_lowest(search) / 3,
    "the rate at the lowest loss": lambda search, usual: at_lowest(search),
    "a thirtieth of the rate of the blow-up": lambda search, usual: search.rates[-1] / 30,
    "a tenth of it": lambda search, usual: search.rates[-1] / 10,
    "steepest descent": lambda search, usual: at_steepest(search),
    "the usual rate": lambda search, usual: usual,
}


def at_lowest(search) -> float:
    return search.rates[search.smoothed.argmin()]


def at_steepest(search) -> float:
    falling = search.smoothed[: search.smoothed.argmin() + 1]
    return search.rates[np.gradient(falling).argmin()] if len(falling) > 1 else search.rates[0]


def data_sets() -> dict:
    """Inputs, targets, number of outputs and loss, by name."""
    random = np.random.default_rng(9)
    digits, wine = load_digits(return_X_y=True), load_wine(return_X_y=True)
    cancer, diabetes = load_breast_cancer(return_X_y=True), load_diabetes(return_X_y=True)
    length, arm = 8 * np.sqrt(random.uniform(size=300)), np.arange(300) % 2
    around = np.column_stack([np.cos(length + np.pi * arm), np.sin(length + np.pi * arm)])
    spiral = length[:, None] * around / 4 + 0.1 * random.normal(size=(300, 2))
    moons = make_moons(300, noise=0.15, random_state=5)
    cube = random.uniform(-1, 1, (600, 5))
    bent = np.sin(np.pi * cube[:, 0] * cube[:, 1]) + 2 * (cube[:, 2] - 0.5) ** 2 + cube[:, 3] + cube[:, 4] / 2
    return {
        "digits": (digits[0] / 16, digits[1], 10, "cross_entropy"),
        "wine": (scale(wine[0]), wine[1], 3, "cross_entropy"),
        "cancer": (scale(cancer[0]), cancer[1], 1, "binary_cross_entropy"),
        "diabetes": (scale(diabetes[0]), scale(diabetes[1]), 1, "mean_squared_error"),
        "moons": (*moons, 1, "binary_cross_entropy"),
        "spiral": (spiral, arm, 1, "binary_cross_entropy"),
        "a bent surface": (cube, bent, 1, "mean_squared_error"),
    }


def loss_after(network, X, y, loss, optimizer, rate, epochs, worst) -> float:
    """Final loss of a training with a learning rate."""
    network, optimizer = copy.deepcopy(network), copy.deepcopy(optimizer)
    optimizer.learning_rate = float(rate)
    try:
        network.fit(X, y, loss=loss, optimizer=optimizer, epochs=epochs, random_state=5)
        with np.errstate(all="ignore"):
            reached = evaluate(network, X, y, loss=loss)["loss"]
    except DivergenceError:
        return worst
    return min(reached, worst) if np.isfinite(reached) else worst


def regrets(network, X, y, loss, optimizer, usual, grid, epochs) -> list[float]:
    """Regret of every rule in one case."""
    initial = evaluate(network, X, y, loss=loss)["loss"]
    search = find_learning_rate(network, X, y, loss, optimizer, random_state=3)
    case = (network, X, y, loss, optimizer)
    best = min(loss_after(*case, rate, epochs, 3 * initial) for rate in grid)
    rates = [rule(search, usual) for rule in RULES.values()]
    reached = [initial if r is None else loss_after(*case, r, epochs, 3 * initial) for r in rates]
    return [(loss - best) / (initial - best) for loss in reached]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 epochs only, and half the grid")
    quick = parser.parse_args().quick
    grid = np.logspace(-5, 1, 13 if quick else 25)
    for epochs in (5,) if quick else (5, 20):
        rows = []
        for name, (X, y, n_outputs, loss) in data_sets().items():
            print(f"{epochs} epochs, {name}", file=sys.stderr, flush=True)
            for layers in NETWORKS.values():
                network = Sequential([*layers(), Dense(n_outputs)]).build(X.shape[1], random_state=7)
                for kind, settings, usual in OPTIMIZERS.values():
                    rows.append(regrets(network, X, y, loss, kind(**settings), usual, grid, epochs))
        table = np.array(rows)
        print(f"\nRegret after {epochs} epochs, {len(table)} cases{'':12}  mean  median  90 % below")
        for name, column in zip(RULES, table.T, strict=True):
            shown = f"{column.mean():.3f}  {np.median(column):6.3f}  {np.quantile(column, 0.9):10.2f}"
            print(f"{name:42}  {shown}")


if __name__ == "__main__":
    main()
