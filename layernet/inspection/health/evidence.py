"""What the numbers of a monitor say together: how far the loss came, how fast the weights moved, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layernet.inspection.health.listening import OutputSample
from layernet.inspection.health.monitor import Monitor

# The curve of losses is told in at most so many means, and at most so many an epoch: single batches are noise.
CURVE_POINTS = 40
POINTS_AN_EPOCH = 4

# The loss as a part of the baseline. Above LITTLE too little was learned to be content; above NOTHING nothing
# was: means over batches vary by a few hundredths.
LITTLE = 0.5
NOTHING = 0.95

# A share of dead or saturated units that training is not to blame for.
BORN_SO = 0.3

# So many of the steps that were looked at are the beginning: at a minimum gradients and updates are 0 by
# nature, so how large they were is also asked of the time before it.
BEGINNING = 8

RECTIFIERS = ("ReLU",)


@dataclass(frozen=True)
class Finding:
    """An illness that was found, or something that may well be one.

    Attributes
    ----------
    illness : str
        Its name: "dead ReLUs".
    layer : str or None
        The layer where it shows most, by the name that the monitor gives it; None if it is in none.
    figure : str
        What was measured, with its number.
    advice : str
        What to try.
    """

    illness: str
    layer: str | None
    figure: str
    advice: str

    def __str__(self) -> str:
        place = f", in {self.layer}" if self.layer else ""
        return f"{self.illness}{place}: {self.figure} {self.advice}"


class Evidence:
    """The figures that symptoms are read off, worked out once.

    Figures that are not known are NaN, so that no comparison with them holds.

    Parameters
    ----------
    monitor : Monitor
        That has seen a training.

    Attributes
    ----------
    baseline : float
        The loss of those who know nothing but the targets; where these are not known either, and the loss is
        not the cross entropy, the loss before training.
    curve : ndarray of shape (n_points,)
        The loss over training, in means of many batches.
    start, end, best, worst : float
        The loss before the first step, and the curve's last, lowest and highest values.
    level : float
        end / baseline: 1 for nothing learned, 0 for all.
    learned_little : bool
        Whether more than half of the baseline is left.
    pace : float
        The update ratio of the layer that moved most, in the steps in which it did: the upper quartile over
        all of training or over its beginning, whichever is larger.
    jolt : float
        The largest update of any step, divided by the weights before it or at the start, whichever were larger,
        in the layers that did not begin at 0.
    push : float
        The gradient norm times the weight norm, as a part of the baseline, in the layer where it is largest and
        in the median step, of all or of the beginning, whichever is larger: about how much the loss would fall
        if the weights moved by their own size.
    profile : float
        The gradient norm of the first layer with weights divided by that of the last, in the median step.
    """

    def __init__(self, monitor: Monitor):
        self.monitor = monitor
        self.material = monitor.material
        losses = monitor.losses.values()
        epochs = monitor.steps_done / max(monitor.steps_per_epoch, 1)
        n_points = min(CURVE_POINTS, math.ceil(POINTS_AN_EPOCH * epochs), len(losses))
        pieces = np.array_split(losses, n_points) if n_points else []
        with np.errstate(over="ignore", invalid="ignore"):
            self.curve = np.array([piece.mean() for piece in pieces])
            # As much as an epoch if there were several: the mean over fewer rows depends on which they are.
            epoch = math.ceil(monitor.steps_per_epoch / monitor.losses.stretch)
            last = losses[-min(epoch, math.ceil(len(losses) / 4)) :] if len(losses) else losses
            self.end = float(last.mean()) if len(last) else math.nan
        self.best = float(self.curve.min(initial=math.inf)) if len(losses) else math.nan
        self.worst = float(self.curve.max(initial=-math.inf)) if len(losses) else math.nan
        looked = monitor.looks[0].loss if monitor.looks else None
        self.start = looked if looked is not None else float(losses[0]) if len(losses) else math.nan
        self.baseline, self.baseline_words = self._baseline()
        self.level = self.end / self.baseline
        self.learned_little = self.level > LITTLE
        self._read_steps()

    def _baseline(self):
        known = self.material.baseline
        words = "what the best constant outputs give"
        if known is not None and self.material.n_classes is not None:
            words = f"what the shares of {self.material.n_classes} classes alone give"
        if known is None and self.monitor.loss_name == "CrossEntropy":
            n_classes = self.monitor.output_shape[0]
            known, words = math.log(n_classes), f"-ln(1/{n_classes}), what guessing gives"
        if known is None:
            known, words = self.start, "where it began"
        return (known, words) if 0 < known < math.inf else (math.nan, words)

    def _read_steps(self):
        monitor = self.monitor
        layers = [i for i, has in enumerate(monitor.has_weights) if has]
        self.names = [monitor.layers[i] for i in layers]
        ratios, norms = monitor.update_ratios[:, layers], monitor.gradient_norms[:, layers]
        paces = [quantile(column, 0.75) for column in (*ratios.T, *ratios[:BEGINNING].T)]
        self.pace = max((pace for pace in paces if not math.isnan(pace)), default=math.nan)
        # Beside weights that began at 0 every update is large, and beside those that pass near 0 on their way.
        weights, updates = monitor.weight_norms[:, layers], monitor.update_norms[:, layers]
        grown = np.isfinite(ratios) & (weights[:1] > 0)
        moved = np.divide(
            updates, np.maximum(weights, weights[:1]), out=np.full(ratios.shape, -1.0), where=grown
        )
        self.jolt = float(moved.max(initial=-1.0))
        self.jolt_layer = self.names[int(moved.max(axis=0).argmax())] if self.jolt >= 0 else None
        with np.errstate(over="ignore", invalid="ignore"):
            strongest = (norms * weights).max(axis=1, initial=0.0)
        self.push = (
            float(np.fmax(quantile(strongest, 0.5), quantile(strongest[:BEGINNING], 0.5))) / self.baseline
        )
        self.norms = [quantile(column, 0.5) for column in norms.T]
        self.profile = math.nan
        if len(layers) > 1 and len(norms):
            with np.errstate(all="ignore"):
                self.profile = quantile(norms[:, 0] / norms[:, -1], 0.5)

    def outputs(self, moment: int) -> list[tuple[str, OutputSample]]:
        """The outputs of all layers, at the first look (0) or the last (-1)."""
        return list(self.monitor.looks[moment].outputs.items()) if self.monitor.looks else []

    def dead(self, moment: int) -> list[tuple[float, str, OutputSample]]:
        """Of each rectifier the share of units that are 0 for all rows, the largest first."""
        found = [(s.zero_units / s.n_units, n, s) for n, s in self.outputs(moment) if s.kind in RECTIFIERS]
        return sorted(found, key=lambda each: -each[0])

    def saturated(self, moment: int) -> list[tuple[float, str, OutputSample]]:
        """Of each hidden sigmoid or tanh the share of outputs near its ends, the largest first."""
        found = [(s.saturated, n, s) for n, s in self.outputs(moment)[:-1] if s.saturated is not None]
        return sorted(found, key=lambda each: -each[0])

    def was_there_before_training(self, finding: Finding) -> bool:
        """Whether units of a layer were dead or saturated before the first step already."""
        shares = {name: share for share, name, _ in [*self.dead(0), *self.saturated(0)]}
        return shares.get(finding.layer, 0.0) > BORN_SO


def quantile(values: np.ndarray, share: float) -> float:
    """A quantile of the values that are finite; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else math.nan


def counted(number: int, what: str) -> str:
    """A number of things: 1 step, 2 steps."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
