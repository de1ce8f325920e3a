"""Growth of the training time with the batch, the width, the depth and the number of rows.

    python benchmarks/growth.py

Each is doubled six times while the others stay. A sweep fails, and with it the program (status 1), if one
sample times one multiplication takes at the largest size over 1.5 times as long as at the cheapest size of
the sweep. A cost that grows faster than the work shows there: 1.5 is an exponent of 1.1 held over six
doublings. What small sizes lose to the calls of functions makes only them dearer, and fails nothing.

Other programs can only make a time longer, so that the minimum over the rounds is compared, and in a round the
sizes are measured in turn, so that a slow second falls on all. A sweep that would fail is measured again, twice
if need be, and the minima of all rounds count. Still, the machine should have nothing else to do: steps on
several threads suffer most from a core that is taken, and these are the large ones.

The exponent is that of the time of an epoch against its multiplications, over the last three doublings.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from peers import PEERS, Work, seconds_a_step

# What grows, and the work at each size. Multiplications are those of the matrix products.
SWEEPS = {
    "batch": {size: Work((64, 128, 128, 10), size) for size in (16, 32, 64, 128, 256, 512, 1024)},
    "width": {size: Work((size, size, size, 10), 512, 4) for size in (16, 32, 64, 128, 256, 512, 1024)},
    "depth": {size: Work((32, *[32] * size, 10), 32) for size in (1, 2, 4, 8, 16, 32, 64)},
    "rows": {size: Work((64, 128, 10), 64, size // 64) for size in (512, 1024, 2048, 4096, 8192, 16384, 32768)},
}
ENGINES = {"formulas": PEERS["formulas"], "compiled": PEERS["layernet"]}
LIMIT = 1.5
ATTEMPTS = 3
DOUBLINGS_FITTED = 3


def prepare(function: Callable, work: Work, seconds: float) -> tuple[Callable, Work]:
    """Number of epochs that take about the given seconds, after a warm-up."""
    start = function(work)
    seconds_a_step(start, work)
    an_epoch = work.steps_per_epoch * seconds_a_step(start, work)
    work = replace(work, epochs=int(np.clip(seconds / an_epoch, 1, 100)))
    return function(work), work


def measure(prepared: list[tuple[Callable, Work]], rounds: int, seconds: float) -> np.ndarray:
    """Minimum time of a step at each size, over rounds of all sizes in turn."""
    return np.min([[seconds_a_step(*pair, seconds) for pair in prepared] for _ in range(rounds)], axis=0)


def sweep(name: str, engine: str, rounds: int, seconds: float) -> bool:
    """Measure and print one sweep; return whether its time grew no faster than its work."""
    sizes = SWEEPS[name]
    prepared = [prepare(ENGINES[engine].function, work, seconds) for work in sizes.values()]
    steps = np.full(len(sizes), np.inf)
    for _ in range(ATTEMPTS):
        steps = np.minimum(steps, measure(prepared, rounds, seconds))
        each = steps / [work.multiplications for work in sizes.values()]
        growth = each[-1] / each.min()
        if growth <= LIMIT:
            break
    print(f"\n{name}, {engine}")
    print(f"{'size':>8}{'a step, us':>14}{'a sample, us':>14}{'a sample and multiplication, ps':>34}")
    for size, work, step, one in zip(sizes, sizes.values(), steps, each, strict=True):
        print(f"{size:8}{1e6 * step:14,.1f}{1e6 * step / work.batch_size:14,.3f}{1e12 * one:34,.2f}")
    epochs = [work.steps_per_epoch for work in sizes.values()] * np.array([steps, steps / each])
    time, work = np.log(epochs[:, -DOUBLINGS_FITTED - 1 :])
    exponent = np.polyfit(work, time, 1)[0]
    print(
        f"exponent {exponent:.2f}; the largest costs {growth:.2f} times the cheapest, at most {LIMIT} is fine"
    )
    return growth <= LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=list(ENGINES))
    parser.add_argument("--sweep", choices=SWEEPS, nargs="+", default=list(SWEEPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a measurement, about")
    parser.add_argument("--quick", action="store_true", help="two rounds of 0.03 seconds")
    options = parser.parse_args()
    rounds, seconds = (2, 0.03) if options.quick else (options.rounds, options.seconds)
    failed = []
    for engine in options.engine:
        peer = ENGINES[engine]
        if importlib.util.find_spec(peer.module) is None:
            print(f"{engine} is left out: pip install {peer.package}")
            continue
        failed += [f"{name}, {engine}" for name in options.sweep if not sweep(name, engine, rounds, seconds)]
    if failed:
        sys.exit("\ntime grows faster than the work: " + "; ".join(failed))


if __name__ == "__main__":
    main()
