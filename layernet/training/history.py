"""The history of a training: a table with a row for every epoch."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Literal, get_args

import numpy as np

from layernet.hints import suggest_name
from layernet.interrupts import uninterrupted
from layernet.optional_dependencies import pyplot

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


class History(dict):
    """A list for each column of the table, with an entry for each finished epoch.

    Always there: `epoch` (from 1), `loss` (the mean over the epoch's batches, each before its update),
    `learning_rate` (of the epoch's last step) and `seconds` (of the epoch). With validation data also
    `val_loss`; with metrics also these, and with `val_` before their names those on the validation data.

    Attributes
    ----------
    stop_reason : str or None
        Why training ended, one of `STOP_REASONS`: "epochs_done", "evaluations_done", "converged", "no_descent",
        "early_stopping", "callback", "interrupted" or "diverged". None while it lasts, and after another error.
    stop_message : str
        The same for people: a sentence, with figures. Its text may change; programs read `stop_reason`.
    directions : dict of str to bool
        Whether larger values are better, for each column that is no loss and whose metric declares it by an
        attribute `larger_is_better`.

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
        # Columns that `add` has written, and those whose last value stands for one that may still come.
        self._added: set[str] = set()
        self._open: set[str] = set()

    def __missing__(self, name: str) -> Any:
        instead = suggest_name(name, self, {"acc": "Accuracy is a metric: fit(..., metrics='accuracy')."})
        raise KeyError(f"{name!r} is not a column. {instead}")

    def add(self, **row: Any) -> None:
        """Add a row, or further values to the row of the epoch under way.

        Columns that were added before and have no value in a row have a NaN there.

        Parameters
        ----------
        **row : number, or array for a column of arrays
            A value for each column. With `epoch` among them a new row begins, unless training has begun it.
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
        """Begin the row of the next epoch, so that values added before its end belong to it."""
        self._n_rows, self._open = len(self.get("epoch", ())) + 1, set()

    def larger_is_better(self, name: str) -> bool:
        """Whether larger values of a column are better.

        Parameters
        ----------
        name : str
            A column. Of `loss`, and of names that end in `_loss`, smaller values are better; of other columns
            what `directions` says.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If nothing says it.
        """
        if name in self.directions:
            return self.directions[name]
        if name == "loss" or name.endswith("_loss"):
            return False
        raise ValueError(
            f"{name!r} is not a loss, and nothing says whether larger or smaller values are better. Give "
            "larger_is_better=True or False, or give the metric function an attribute of that name."
        )

    def best(self, name: str = "loss", larger_is_better: bool | None = None) -> int:
        """The first epoch, counting from 1, with the best value of a column; NaN is never the best.

        Parameters
        ----------
        name : str, default="loss"
        larger_is_better : bool, default=None
            None for what `larger_is_better(name)` says.

        Returns
        -------
        int

        Raises
        ------
        KeyError
            If there is no such column.
        ValueError
            If no value of the column is a number, the column has not one number for each epoch, or nothing says
            whether larger or smaller values are better.
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

    def plot(self, axes=None):
        """Draw the losses, and the metrics if there are any, over the epochs.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Where to draw the losses alone; None makes a new figure.

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
            figure, places = plt.subplots(1, len(groups), figsize=(5 * len(groups), 3.5), squeeze=False)
            figure.set_layout_engine("constrained")
            places = places[0]
        else:
            figure, places = axes.figure, [axes]
        for place, names in zip(places, groups, strict=True):
            for name in names:
                values = self._numbers(name)
                # A line would have no segment at all between values that stand alone among NaN.
                marker = "." if len(values) < 30 or np.isnan(values).any() else ""
                dashes = "--" if name.startswith("val_") else "-"
                place.plot(self["epoch"], values, label=name, linestyle=dashes, marker=marker)
            place.set_xlabel("epoch")
            if names:
                place.set_ylabel(names[0])
                place.legend(frameon=False)
            place.spines[["top", "right"]].set_visible(False)
        return figure

    def _numbers(self, name):
        """A column as floats, or None if it has not one number for each epoch."""
        try:
            values = np.array([math.nan if value is None else value for value in self[name]], float)
        except (TypeError, ValueError):  # arrays, or words
            return None
        return values if values.shape == (len(self.get("epoch", ())),) else None

    def _curves(self):
        plain = [n for n in self if not n.startswith("val_") and n not in ("epoch", "learning_rate", "seconds")]
        groups = [[name, *([f"val_{name}"] if f"val_{name}" in self else [])] for name in plain]
        drawn = [[name for name in names if self._numbers(name) is not None] for names in groups]
        return [names for names in drawn if names] or [[]]

    def _table(self):
        """The columns with an entry for each epoch, as text; and the names of those that have not."""
        epochs = len(self.get("epoch", ()))
        # A callback may have values of the last epochs only, or add them to the list itself.
        shown = {name: values for name, values in self.items() if len(values) == epochs}
        columns = [[as_text(name, value) for value in values] for name, values in shown.items()]
        others = [f"{name} ({len(values)} values)" for name, values in self.items() if name not in shown]
        return list(shown), list(zip(*columns, strict=True)), others

    def _remarks(self):
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
        cell = 'style="padding:1px 10px;text-align:right;font-variant-numeric:tabular-nums"'
        head = "".join(f"<th {cell}>{escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td {cell}>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
        )
        return (
            f"<details open><summary>History of {epochs} epoch{'' if epochs == 1 else 's'}. "
            f'{escape(" ".join(self._remarks()))}</summary><div style="max-height:20em;overflow:auto">'
            f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div></details>"
        )


FORMATS = {"epoch": "d", "learning_rate": ".3g", "seconds": ".2f"}


def as_text(name: str, value: Any) -> str:
    """A value of a column as it is printed: nothing for a missing one, arrays by their first numbers."""
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
