"""Evidence from a monitor's numbers: how far the loss came, how fast the weights moved, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layernet.monitoring.activations import OutputSample
from layernet.monitoring.monitor import Monitor
from layernet.monitoring.row_statistics import easy_predictions, one_column_each, scores
from layernet.monitoring.symptoms.ends import End

# The curve of losses is told in at most so many means, and at most so many an epoch: single batches are noise.
CURVE_POINTS = 40
POINTS_AN_EPOCH = 4

# The loss as a part of the baseline. Above LITTLE too little was learned to be content; above MOST it is an
# illness even where nothing else is found; above NOTHING nothing was learned: means over batches vary by a few
# hundredths.
LITTLE = 0.5
MOST = 0.75
NOTHING = 0.95

# Gradient norm times weight norm, as a part of the baseline: 0.2 to 30 in sound trainings that have something
# to learn.
NO_PUSH = 0.05

# A share of dead or saturated units that training is not to blame for.
BORN_SO = 0.3

# Standard deviations that chance may make up for: the highest of 40 means is 2 or 3 above the mean.
CHANCE = 4.0

# The gradient norm of the first layer divided by that of the last in the first step: sound ones have 0.1 to 10.
FAR_VANISHED = 3e-3

# So many of the steps that were looked at are the beginning: at a minimum gradients and updates are 0 by
# nature, so how large they were is also asked of the time before it.
BEGINNING = 8

RECTIFIERS = ("ReLU",)

# Rows from which on a figure of them means something.
ENOUGH_ROWS = 100

# Losses that are in the units of the targets, or their squares; those whose outputs are log-odds, or margins;
# those whose outputs are logarithms.
LOSSES_WITH_UNITS = ("MeanSquaredError", "MeanAbsoluteError", "HuberLoss", "QuantileLoss", "HalfSquaredError")
LOSSES_OF_LOGITS = ("BinaryCrossEntropy", "LogLoss", "HingeLoss")
LOSSES_OF_LOG_RATES = ("PoissonLoss", "HalfPoissonDeviance")


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
    lowest : float
        The loss that cannot be beaten: 0 for most losses, more for smoothed labels.
    gap : float
        baseline - lowest: what there is to be learned.
    curve : ndarray of shape (n_points,)
        The loss over training, in means of many batches.
    start, end, best, worst : float
        The loss before the first step, and the curve's last, lowest and highest values.
    by_chance : float
        How much the curve may rise because its points are means over rows whose lowest losses differ, as those
        of counts do.
    level : float
        (end - lowest) / gap: 1 for nothing learned, 0 for all.
    level_of_sample : float
        The same for the sample of rows after training; `level` where no loss of theirs is known.
    learned_little : bool
        Whether more than half of the baseline is left.
    pace : float
        The update ratio of the layer that moved most, in the steps in which it did: the upper quartile over
        all of training or over its beginning, whichever is larger.
    jolt : float
        The largest update of any step, divided by the weights before it or at the start, whichever were larger,
        in the layers that did not begin at 0.
    push : float
        The gradient norm times the weight norm, as a part of the gap, in the layer where it is largest and
        in the median step, of all or of the beginning, whichever is larger: about how much the loss would fall
        if the weights moved by their own size.
    profile : float
        The gradient norm of the first layer with weights divided by that of the last, in the median step.
    vanishes_from_the_start : bool
        Whether that is far too small in the first step, when no update has done any harm.
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
        self.lowest = self.material.lowest
        self.gap = self.baseline - self.lowest
        rows_a_point = max(monitor.rows_done, 1) / max(len(self.curve), 1)
        self.by_chance = CHANCE * self.material.lowest_deviation / math.sqrt(rows_a_point)
        if not self.gap > 1e-9 * abs(self.baseline):
            self.gap = math.nan
        self.level = self.part(self.end)
        last = monitor.looks[-1].loss if monitor.looks else None
        self.level_of_sample = self.level if last is None else self.part(last)
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
        return (known, words) if math.isfinite(known) else (math.nan, words)

    def part(self, loss: float) -> float:
        """A loss as a part of what there is to be learned: 1 for the baseline, 0 for the lowest loss."""
        return float((loss - self.lowest) / self.gap)

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
        self.push = float(np.fmax(quantile(strongest, 0.5), quantile(strongest[:BEGINNING], 0.5))) / self.gap
        self.norms = [quantile(column, 0.5) for column in norms.T]
        self.profile, self.vanishes_from_the_start = math.nan, False
        if len(layers) > 1 and len(norms):
            with np.errstate(all="ignore"):
                profiles = norms[:, 0] / norms[:, -1]
                self.profile = quantile(profiles, 0.5)
                self.vanishes_from_the_start = bool(0 < profiles[0] < FAR_VANISHED)

    def compared_with_easy(self) -> tuple[float, float] | None:
        """How good the network is on the sample, and how good a method that needs no training is.

        Returns
        -------
        tuple (network, method), or None
            Scores as in `rows.scores`; the method is the better of those in `rows.easy_predictions`, which
            predict each row from the others. For classes there are two scores; where they disagree on who is
            better, those in which the network is nearer are returned. None if the loss is one whose outputs are
            not understood.
        """
        material, trials = self.material, self.monitor.trials
        if not trials or material.targets is None or len(material.inputs) < ENOUGH_ROWS:
            return None
        outputs = (trials[-1].outputs, trials[-1].outputs_in_training)
        found = [self._beside_targets(each, material.targets) for each in outputs]
        features = material.inputs.reshape(len(material.inputs), -1).astype(np.float64)
        if None in found or not (features.std(axis=0) > 0).any():
            return None
        network = max(scores(*each) for each in found)
        _, columns, are_classes = found[0]
        method = max(scores(each, columns, are_classes) for each in easy_predictions(features, columns))
        return min(zip(network, method, strict=True), key=lambda pair: pair[1] - pair[0])

    def scores_on_both(self) -> tuple[float, float] | None:
        """How good the network is on the sample of the training rows, and on that of the validation rows.

        Returns
        -------
        tuple (trained, validated), or None
            Scores as in `rows.scores`; the first of the two for classes. None if one of them is not known.
        """
        held_out, trials = self.material.held_out, self.monitor.trials
        if held_out is None or len(trials) < 2 or self.material.targets is None:
            return None
        trained = self._beside_targets(trials[-1].outputs, self.material.targets)
        validated = self._beside_targets(trials[-1].outputs_held_out, held_out.targets)
        if trained is None or validated is None:
            return None
        return scores(*trained)[0], scores(*validated)[0]

    def _beside_targets(self, outputs, targets):
        """Predictions, targets in as many columns, whether these are classes; None if it is not known how."""
        predicted, columns = as_columns(outputs, targets, self.monitor.loss_name), one_column_each(targets)
        if predicted is None or not np.isfinite(predicted).all():
            return None
        if predicted.shape[1] > columns.shape[1]:
            low = columns <= columns.min()
            return predicted, np.column_stack([low, ~low]).astype(float), True
        return predicted, columns, self.material.n_classes is not None

    @property
    def validation_losses(self) -> np.ndarray:
        """After each epoch; none where the validation rows have another range, for these say nothing."""
        if self.validation_is_apart:
            return np.array([])
        return np.array(self.monitor.history.get("val_loss", []), dtype=float)

    @property
    def validation_is_apart(self) -> bool:
        """Whether inputs or targets have another range in the validation rows than in those trained on."""
        held_out = self.material.held_out
        return held_out is not None and bool(held_out.inputs_apart or held_out.targets_apart)

    @property
    def end_after_training(self) -> End | None:
        """What the layers after the last weights did to the outputs in the end."""
        trials = self.monitor.trials
        return trials[-1].end if len(trials) > 1 else None

    @property
    def knows_signal(self) -> bool:
        """Whether enough rows were seen to say if their inputs tell anything of their targets."""
        return self.material.signal is not None and len(self.material.inputs) >= ENOUGH_ROWS

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


def as_columns(outputs: np.ndarray, targets: np.ndarray, loss_name: str) -> np.ndarray | None:
    """Outputs as predictions of the targets: a column for each class or number; None if it is not known how."""
    outputs = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        labels = np.unique(targets)
        return outputs[:, labels] if outputs.shape[1] > labels.max() else None
    if loss_name in LOSSES_OF_LOGITS and outputs.shape[1] == 1:
        return np.column_stack([-outputs, outputs]) if len(np.unique(targets)) == 2 else None
    if loss_name in LOSSES_OF_LOGITS:
        return 1 / (1 + np.exp(-np.clip(outputs, -50, 50)))
    if loss_name in LOSSES_OF_LOG_RATES:
        return np.exp(np.clip(outputs, -50, 50))
    return outputs if loss_name in LOSSES_WITH_UNITS else None


def quantile(values: np.ndarray, share: float) -> float:
    """A quantile of the values that are finite; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else math.nan


def counted(number: int, what: str) -> str:
    """A number of things: 1 step, 2 steps."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def listed(names: list[str]) -> str:
    """Names in a row of words."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
