"""History of a training: a table with a row for every epoch."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from layernet.display.table import html_table
from layernet.hints import suggest_name
from layernet.interrupts import uninterrupted
from layernet.optional_dependencies import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Why training ended. Only L-BFGS gives "evaluations_done" (its limit on evaluations of the loss) and
# "no_descent" (its line search finds no lower loss).
StopReason = Literal[
    "epochs_done",
    "evaluations_done",
    "converged",
    "no_descent",
    "early_stopping",
    "callback",
    "interrupted",
    "diverged",
]
STOP_REASONS: tuple[StopReason, ...] = get_args(StopReason)


class History(dict[str, list[Any]]):
    """Table of a training: a list for each column, with an entry for each finished epoch.

    Every history has the columns `epoch` (from 1), `loss` (mean over the batches of the epoch, each before its
    update), `learning_rate` (of the last step) and `seconds` (duration of the epoch). Validation data add
    `val_loss`. Metrics add columns of their names, and with validation data also `val_` and their names.

    Attributes
    ----------
    stop_reason : str or None
        Why training ended, one of `STOP_REASONS`: "epochs_done", "evaluations_done", "converged", "no_descent",
        "early_stopping", "callback", "interrupted" or "diverged". None while it lasts, and after another error.
    stop_message : str
        The same for people: a sentence, with figures. Its text may change; programs read `stop_reason`.
    directions : dict of str to bool
        Whether larger values are better, for each column whose metric has the attribute `larger_is_better`.

    Examples
    --------
    >>> history = History()
    >>> history.add(epoch=1, loss=2.3)
    >>> history.add(epoch=2, loss=1.7)
    >>> history["loss"]
    [2.3, 1.7]
    >>> print(history)
    epoch    loss
        1  2.3000
        2  1.7000
    """

    def __init__(self, *arguments: Any, **columns: Any):
        super().__init__(*arguments, **columns)
        self.stop_reason: StopReason | None = None
        self.stop_message = ""
        self.directions: dict[str, bool] = {}
        self._n_rows = len(self.get("epoch", ()))
        # Columns that `add` has written, and those whose last entry is a NaN that a value may still replace.
        self._added: set[str] = set()
        self._open: set[str] = set()

    def __missing__(self, name: str) -> Any:
        instead = suggest_name(name, self, {"acc": "Accuracy is a metric: fit(..., metrics='accuracy')."})
        raise KeyError(f"{name!r} is not a column. {instead}")

    def add(self, **row: Any) -> None:
        """Add a row, or more values to the row of the current epoch.

        A known column without a value in a row gets NaN there.

        Parameters
        ----------
        **row : number, or array for a column of arrays
            A value for each column. `epoch` begins a new row, unless training has begun it.
        """
        if "epoch" in row and len(self.get("epoch", ())) >= self._n_rows:
            self.begin_row()
        with uninterrupted:
            for name, value in row.items():
                column = self.setdefault(name, [])
                if name in self._open:
                    column.pop()
                    self._open.remove(name)
                column += [math.nan] * (self._n_rows - 1 - len(column))
                column.append(value)
                self._added.add(name)
            if "epoch" in row:
                self._open = {name for name in self._added if len(self[name]) < self._n_rows}
                for name in self._open:
                    self[name] += [math.nan] * (self._n_rows - len(self[name]))

    def begin_row(self) -> None:
        """Begin the row of the next epoch; values that are added from now on belong to it."""
        self._n_rows, self._open = len(self.get("epoch", ())) + 1, set()

    def larger_is_better(self, name: str) -> bool:
        """Return whether larger values of a column are better.

        Parameters
        ----------
        name : str
            A column. `directions` has the answer; without an entry smaller values of `loss` and of names that
            end in `_loss` are better.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If the direction of the column is unknown.
        """
        if name in self.directions:
            return self.directions[name]
        if name == "loss" or name.endswith("_loss"):
            return False
        raise ValueError(
            f"{name!r} is not a loss, and nothing says whether larger or smaller values are better. Give "
            "larger_is_better=True or False, or set this attribute of the metric function."
        )

    def best(self, name: str = "loss", larger_is_better: bool | None = None) -> int:
        """Return the number of the first epoch with the best value of a column; NaN is never the best.

        Parameters
        ----------
        name : str, default="loss"
        larger_is_better : bool, default=None
            None for `larger_is_better(name)` of the history.

        Returns
        -------
        int

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If all values are NaN, an epoch has no number, or the direction of the column is unknown.
        """
        if name not in self:
            raise KeyError(f"History.best: {name!r} is not a column; there are {list(self)}.")
        larger = self.larger_is_better(name) if larger_is_better is None else larger_is_better
        values = self._numbers(name)
        if values is None:
            raise ValueError(f"History.best: the column {name!r} has not one number for each epoch.")
        if np.isnan(values).all():
            raise ValueError(f"History.best: no value of the column {name!r} is a number: all are NaN.")
        return self["epoch"][int(np.nanargmax(values) if larger else np.nanargmin(values))]

    def plot(self, axes: Axes | None = None) -> Figure:
        """Plot the losses and the metrics over the epochs.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Axes for the losses alone; None makes a new figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot("History.plot")
        groups = self._curves() if axes is None else self._curves()[:1]
        if axes is None:
            figure, all_axes = plt.subplots(1, len(groups), figsize=(5 * len(groups), 3.5), squeeze=False)
            figure.set_layout_engine("constrained")
            all_axes = all_axes[0]
        else:
            figure, all_axes = axes.figure, [axes]
        for each, names in zip(all_axes, groups, strict=True):
            for name in names:
                values = self._numbers(name)
                assert values is not None  # `_curves` leaves out other columns
                # A value between two NaN has no line to its neighbors, only a marker.
                marker = "." if len(values) < 30 or np.isnan(values).any() else ""
                dashes = "--" if name.startswith("val_") else "-"
                each.plot(self["epoch"], values, label=name, linestyle=dashes, marker=marker)
            each.set_xlabel("epoch")
            if names:
                each.set_ylabel(names[0])
                each.legend(frameon=False)
            each.spines[["top", "right"]].set_visible(False)
        return figure

    def _numbers(self, name: str) -> np.ndarray | None:
        """Return a column as floats, or None if an epoch has no number."""
        try:
            values = np.array([math.nan if value is None else value for value in self[name]], float)
        except (TypeError, ValueError):  # arrays, or words
            return None
        return values if values.shape == (len(self.get("epoch", ())),) else None

    def _curves(self) -> list[list[str]]:
        """Return the names of the columns to plot, one list for each axes."""
        plain = [n for n in self if not n.startswith("val_") and n not in ("epoch", "learning_rate", "seconds")]
        groups = [[name, *([f"val_{name}"] if f"val_{name}" in self else [])] for name in plain]
        drawn = [[name for name in names if self._numbers(name) is not None] for names in groups]
        return [names for names in drawn if names] or [[]]

    def _table(self) -> tuple[list[str], list[tuple[str, ...]], list[str]]:
        """Return names and rows of the columns with an entry for each epoch, and texts of the other columns."""
        epochs = len(self.get("epoch", ()))
        # A callback may append to a list itself, and not in every epoch.
        shown = {name: values for name, values in self.items() if len(values) == epochs}
        columns = [[as_text(name, value) for value in values] for name, values in shown.items()]
        others = [f"{name} ({len(values)} values)" for name, values in self.items() if name not in shown]
        return list(shown), list(zip(*columns, strict=True)), others

    def _remarks(self) -> list[str]:
        others = self._table()[2]
        return [
            *([self.stop_message] if self.stop_message else []),
            *([f"Not shown: {', '.join(others)}."] * bool(others)),
        ]

    def __str__(self) -> str:
        names, rows, _ = self._table()
        if not rows:
            return "\n".join(["History: no epoch is finished.", *self._remarks()[bool(self.stop_message) :]])
        rows = [tuple(names), *rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
        lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        epochs = len(self.get("epoch", []))
        names, rows, _ = self._table()
        table = html_table(rows, names, numeric=range(len(names)), max_height="20em")
        return (
            f"<details open><summary>History of {epochs} epoch{'' if epochs == 1 else 's'}. "
            f"{escape(' '.join(self._remarks()))}</summary>{table}</details>"
        )


FORMATS = {"epoch": "d", "learning_rate": ".3g", "seconds": ".2f"}


def as_text(name: str, value: Any) -> str:
    """Text of an entry of a column; "" for None, and the first and last numbers of a long array."""
    if value is None:
        return ""
    if np.ndim(value):
        return np.array2string(np.asarray(value), precision=4, threshold=6, edgeitems=2, separator=" ").replace(
            "\n", ""
        )
    try:
        return format(value, FORMATS.get(name, ".4f"))
    except (TypeError, ValueError):  # a word, or a type with formats of its own
        return str(value)
