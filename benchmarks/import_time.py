"""Time of a process that runs `import layernet`, compared with `import numpy`.

    python benchmarks/import_time.py

The two are started in turn, after one start of each that is not counted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STATEMENTS = ["import numpy", "import layernet", "from layernet import Dense, ReLU, Sequential"]
ROUNDS = 15


def start(statement):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def main():
    times = {statement: [] for statement in STATEMENTS}
    for turn in range(ROUNDS + 1):
        for statement in STATEMENTS:
            seconds = start(statement)
            if turn:
                times[statement].append(seconds)
    base = statistics.median(times[STATEMENTS[0]])
    for statement, values in times.items():
        median = statistics.median(values)
        print(f"{1000 * median:6.0f} ms  {median / base:5.2f}  {statement}")


if __name__ == "__main__":
    main()
