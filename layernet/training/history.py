"""The history of a training: a table of what every epoch came to."""

from __future__ import annotations

from html import escape
from typing import Any

from layernet.extras import pyplot


class History(dict):
    """A list for each thing that was watched, with an entry for each finished epoch.

    Always there: `epoch` (from 1), `loss` (the mean over the epoch's batches, each before its update),
    `learning_rate` (of the epoch's last step) and `seconds` (of the epoch). With validation data also
    `val_loss`; with metrics also these, and with `val_` before their names those on the validation data.

    Attributes
    ----------
    stopped : str
        Why training ended, in words.

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
        self.stopped = ""

    def add(self, **row: Any) -> None:
        """Add what an epoch came to, a value for each column."""
        for name, value in row.items():
            self.setdefault(name, []).append(value)

    def best(self, name: str = "loss", larger_is_better: bool = False) -> int:
        """The epoch, counting from 1, in which a column was lowest (or highest)."""
        values = self[name]
        return self["epoch"][values.index(max(values) if larger_is_better else min(values))]

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
                place.plot(self["epoch"], self[name], label=name, marker="." if len(self["epoch"]) < 30 else "")
            place.set_xlabel("epoch")
            place.set_ylabel(names[0])
            place.legend(frameon=False)
            place.spines[["top", "right"]].set_visible(False)
        return figure

    def _curves(self):
        plain = [n for n in self if not n.startswith("val_") and n not in ("epoch", "learning_rate", "seconds")]
        return [[name, *([f"val_{name}"] if f"val_{name}" in self else [])] for name in plain] or [[]]

    def _rows(self):
        formats = {"epoch": "d", "learning_rate": ".3g", "seconds": ".2f"}
        columns = [[format(v, formats.get(name, ".4f")) for v in values] for name, values in self.items()]
        return list(zip(*columns, strict=True))

    def __str__(self) -> str:
        rows = [tuple(self), *self._rows()]
        if len(rows) == 1:
            return "History: no epoch is finished."
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, self.stopped] if self.stopped else lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        epochs = len(self.get("epoch", []))
        cell = 'style="padding:1px 10px;text-align:right;font-variant-numeric:tabular-nums"'
        head = "".join(f"<th {cell}>{escape(name)}</th>" for name in self)
        body = "".join(
            "<tr>" + "".join(f"<td {cell}>{escape(text)}</td>" for text in row) + "</tr>"
            for row in self._rows()
        )
        return (
            f"<details open><summary>History of {epochs} epoch{'' if epochs == 1 else 's'}. "
            f'{escape(self.stopped)}</summary><div style="max-height:20em;overflow:auto">'
            f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div></details>"
        )
