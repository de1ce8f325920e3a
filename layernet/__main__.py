"""Demonstration, `python -m layernet`: train a network on handwritten digits, in a few seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from layernet import AdamW, CosineSchedule, Dense, Dropout, GaussianNoise, History, ReLU, Sequential
from layernet.report import digits_report

BATCH_SIZE = 32
HELD_OUT = 360


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print the results, and write the report that `--report` asks for.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Command-line arguments without the program's name; None for those of this process.

    Returns
    -------
    int
        The exit code: 0, or 1 if training was interrupted before its first epoch was done.
    """
    options = parse(arguments)
    images, classes = load_digits(return_X_y=True)
    X, X_held_out, y, y_held_out = train_test_split(
        images / 16, classes, test_size=HELD_OUT, stratify=classes, random_state=0
    )
    network = Sequential(
        [GaussianNoise(0.2), Dense(192), ReLU(), Dropout(0.4), Dense(10)],
    ).build(64, random_state=options.seed)
    print(f"{len(X)} handwritten digits of 8 by 8 pixels to train on, {HELD_OUT} others held out.\n")
    print(network.summary(), end="\n\n", flush=True)

    steps = options.epochs * -(-len(X) // BATCH_SIZE)
    history = network.fit(
        X,
        y,
        loss="cross_entropy",
        optimizer=AdamW(CosineSchedule(0.004, duration=steps), weight_decay=0.02),
        epochs=options.epochs,
        batch_size=BATCH_SIZE,
        validation_data=(X_held_out, y_held_out),
        metrics="accuracy",
        random_state=options.seed,
        verbose=1,
    )
    if history.stop_reason != "epochs_done":
        print(f"\n{history.stop_message}", file=sys.stderr)
    if not history:
        return 1
    print(f"\n{learning_curve(history)}\n")
    print(f"Accuracy on the held-out digits: {history['val_accuracy'][-1]:.4f}")
    if options.report:
        page = digits_report(network, history, X_held_out.reshape(-1, 8, 8), y_held_out)
        options.report.write_text(page, encoding="utf-8")
        print(f"Report: {options.report}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse arguments that would fail after training."""
    parser = argparse.ArgumentParser(prog="python -m layernet", description=__doc__)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report as an HTML page")
    parser.add_argument("--epochs", type=int, default=60, help="number of passes over the digits (60)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (0)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    if options.report and (reason := reason_not_writable(options.report)):
        parser.error(f"--report: {reason}")
    return options


def reason_not_writable(path: Path) -> str | None:
    """Why a file cannot be written; None if it can. Tries it, because permissions do not tell everything."""
    try:
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        if path.is_dir():
            return f"{path} is a folder; name a file"
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    return None


def learning_curve(history: History, rows: int = 8, width: int = 40) -> str:
    """Return the losses and accuracy over the epochs as text, with a bar for the accuracy on held-out data.

    The bar shows accuracies from 0.8 to 1, in a character that every terminal can print.
    """
    n_epochs = len(history["epoch"])
    shown = sorted({round(i * (n_epochs - 1) / max(rows - 1, 1)) for i in range(rows)})
    lines = ["epoch    loss  held-out loss  accuracy  0.8" + " " * (width - 7) + "1.0"]
    for i in shown:
        accuracy = history["val_accuracy"][i]
        bar = "#" * round(width * max(0.0, accuracy - 0.8) / 0.2)
        values = f"{history['epoch'][i]:5d}  {history['loss'][i]:6.4f}  {history['val_loss'][i]:13.4f}"
        lines.append(f"{values}  {accuracy:8.4f}  {bar}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
