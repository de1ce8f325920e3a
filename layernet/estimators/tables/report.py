"""Report of a fit: columns, networks, weights of the mixture, times, and what a time limit left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from layernet.display.drawing import as_image, curves, swatch
from layernet.display.table import html_table
from layernet.display.training import STYLE, as_document
from layernet.estimators.tables.encoder import Column


@dataclass(frozen=True)
class NetworkReport:
    """Training of one network.

    Attributes
    ----------
    representation : str
    fold : int
    loss : float
        Mean loss of its predictions for the rows of the fold, which it was not trained on.
    best_epoch, n_epochs : int
        The epoch that was kept, and the number of epochs trained.
    seconds : float
    criterion : list of float
        Learning curve: the criterion by which the epoch was chosen; NaN for epochs that were not judged.
    """

    representation: str
    fold: int
    loss: float
    best_epoch: int
    n_epochs: int
    seconds: float
    criterion: list[float] = field(repr=False)


@dataclass(frozen=True)
class ComponentReport:
    """Component of the mixture: the networks of one representation, or the linear model.

    Attributes
    ----------
    name : str
    weight : float
    loss : float
        Mean loss of its out-of-fold predictions; NaN for a linear model that was not needed.
    temperature : float
        Divisor of the networks' outputs, which calibrates probabilities.
    """

    name: str
    weight: float
    loss: float
    temperature: float


@dataclass(frozen=True)
class FitReport:
    """What a fit did and found.

    Attributes
    ----------
    preset : str
    n_rows, n_distinct_rows : int
    n_scored_rows : int
        Rows that have out-of-fold predictions: fewer than `n_rows` if only some folds have networks.
    columns : tuple of Column
    components : list of ComponentReport
    networks : list of NetworkReport
    metric : {"accuracy", "R2"}
    score, loss : float
        Score by this metric, and mean loss, of the out-of-fold predictions of the mixture. The loss of
        numbers is that of scaled targets, and half the square for the squared error.
    seconds : dict of str to float
        Time of each part of the fit.
    left_out : list of str
        What did not fit into the time limit.
    """

    preset: str
    n_rows: int
    n_distinct_rows: int
    n_scored_rows: int
    columns: tuple[Column, ...]
    components: list[ComponentReport]
    networks: list[NetworkReport]
    metric: str
    score: float
    loss: float
    seconds: dict[str, float]
    left_out: list[str]

    def __repr__(self) -> str:
        lines = [
            f"{self.n_rows} rows ({self.n_distinct_rows} distinct), {counted(self.columns, 'column')}; "
            f"preset {self.preset!r}",
            self._summary(),
            "",
            *text_table(COMPONENT_TITLES, self._component_rows()),
            "",
            *text_table(COLUMN_TITLES, self._column_rows()),
            "",
            "seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in self.seconds.items()),
        ]
        lines += [f"left out: {sentence}" for sentence in self.left_out]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return "".join(
            [
                STYLE,
                '<div class="layernet-fit">',
                f"<div>{self._summary()}; {sum(self.seconds.values()):.1f} seconds</div>",
                html_table(self._component_rows(), COMPONENT_TITLES, numeric={1, 2, 3, 4}),
                self._learning_curves_html(),
                f"<details><summary>{counted(self.networks, 'network')}</summary>",
                html_table(self._network_rows(), NETWORK_TITLES, numeric={1, 2, 3, 4, 5}),
                "</details>",
                f"<details><summary>{counted(self.columns, 'column')}</summary>",
                html_table(self._column_rows(), COLUMN_TITLES, numeric={4}),
                "</details>",
                *(f"<div>Left out: {escape(sentence)}</div>" for sentence in self.left_out),
                "</div>",
            ]
        )

    def _summary(self) -> str:
        scored = "" if self.n_scored_rows == self.n_rows else f" ({self.n_scored_rows} rows)"
        return f"Out of fold{scored}: {self.metric} {self.score:.4g}, loss {self.loss:.4g}"

    def _component_rows(self) -> list[tuple[str, ...]]:
        counts = {each.name: 0 for each in self.components}
        for network in self.networks:
            counts[network.representation] += 1
        return [
            (
                each.name,
                f"{each.weight:.2f}",
                "" if np.isnan(each.loss) else f"{each.loss:.4g}",
                str(counts[each.name] or 1),
                f"{each.temperature:.2f}",
            )
            for each in self.components
        ]

    def _network_rows(self) -> list[tuple[str, ...]]:
        return [
            (
                each.representation,
                str(each.fold),
                f"{each.loss:.4g}",
                str(each.best_epoch),
                str(each.n_epochs),
                f"{each.seconds:.2f}",
            )
            for each in self.networks
        ]

    def _column_rows(self) -> list[tuple[str, ...]]:
        return [
            (str(each.name), each.kind, each.encoding, each.reason, str(each.n_missing))
            for each in self.columns
        ]

    def learning_curves(self) -> dict[str, list[float]]:
        """Return the median of the networks' learning curves for each representation, of the same length.

        A network that has stopped counts with the value of the epoch that it kept.
        """
        lines = {}
        for name in dict.fromkeys(each.representation for each in self.networks):
            own = [each for each in self.networks if each.representation == name]
            longest = max((each.criterion for each in own), key=len)
            medians = []
            for epoch, value in enumerate(longest):
                values = [
                    each.criterion[epoch if epoch < len(each.criterion) else each.best_epoch - 1]
                    for each in own
                ]
                medians.append(float(np.median(values)) if np.isfinite(value) else np.nan)
            lines[name] = medians
        n_epochs = min(map(len, lines.values()), default=0)
        return {name: line[:n_epochs] for name, line in lines.items()}

    def svg(self) -> str | None:
        """Return the learning curves as an SVG document; None if there are fewer than two epochs."""
        drawing, names = self._drawing(), " (solid) and ".join(self.learning_curves())
        return None if drawing is None else as_document(drawing, f"criterion of the epoch: {names}")

    def _drawing(self) -> str | None:
        values = np.array(list(self.learning_curves().values()))
        judged = np.flatnonzero(np.isfinite(values).all(axis=0)) if values.size else values
        if len(judged) < 2:
            return None
        lines = dict(zip(self.learning_curves(), values[:, judged].tolist(), strict=True))
        return curves(lines, (judged + 1.0).tolist(), CURVES_TITLE, bool((values[:, judged] > 0).all()))

    def _learning_curves_html(self) -> str:
        drawing, svg = self._drawing(), self.svg()
        if drawing is None or svg is None:
            return ""
        lines = self.learning_curves()
        names = " and ".join(f"{swatch(number)}{name}" for number, name in enumerate(lines, start=1))
        return f"{drawing}{as_image(svg, CURVES_TITLE)}<div>{CURVES_TITLE}: {names}</div>"


CURVES_TITLE = "Criterion of the choice of the epoch, median of the networks"
COMPONENT_TITLES = ("component", "weight", "loss", "models", "temperature")
NETWORK_TITLES = ("representation", "fold", "loss", "best epoch", "epochs", "seconds")
COLUMN_TITLES = ("column", "kind", "encoding", "reason", "missing")


def counted(entries: Sequence[Any], name: str) -> str:
    """Return a number of entries with their name in the singular or the plural."""
    return f"{len(entries)} {name}" + ("" if len(entries) == 1 else "s")


def text_table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return the lines of a table in text."""
    cells = [tuple(titles), *(tuple(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]
