"""Evidence for a diagnosis: measurements that are computed once from the record of a training run."""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.activations import OutputSummary
from layernet.monitoring.data_profile import DataProfile
from layernet.monitoring.findings import Finding
from layernet.monitoring.output_activation import OutputActivationEffect
from layernet.monitoring.record import TrainingRecord
from layernet.monitoring.reference_scores import (
    predictions_as_columns,
    reference_predictions,
    scores,
    target_columns,
)

# Largest number of points of the loss curve, and of points for each epoch. A point is the mean of many batches,
# because losses of single batches are noisy.
MAX_CURVE_POINTS = 40
CURVE_POINTS_PER_EPOCH = 4

# Relative losses: 1 is the baseline, 0 the lowest possible loss. Above LEARNED_LITTLE, slow or stopped training
# is a problem. Above MOSTLY_UNLEARNED, the loss is a problem on its own. Above NOTHING_LEARNED, nothing was
# learned: the limit is below 1, because means over batches vary by a few hundredths.
LEARNED_LITTLE = 0.5
MOSTLY_UNLEARNED = 0.75
NOTHING_LEARNED = 0.95
# Below this relative loss, noise, weight decay or a schedule that ended early did not keep the network from
# learning.
LEARNED_ENOUGH = 0.25

# If a larger share of units was dead or saturated before training, training did not cause it.
STUCK_AT_START = 0.3

# A rise of the loss curve by fewer standard deviations counts as chance: by chance alone, the highest of 40
# points lies 2 or 3 standard deviations above their mean.
CHANCE_STDS = 4.0

# Gradient norm of the first layer divided by that of the last layer in the first step. Healthy networks have
# 0.1 to 10.
VANISHED_AT_START = 3e-3

# Number of recorded steps at the start of training. At a minimum, gradients and updates are near 0 in healthy
# training too, so their size is also measured in these steps.
FIRST_STEPS = 8

RECTIFIERS = ("ReLU",)

# A score or a permutation test needs at least this many rows.
MIN_SCORED_ROWS = 100


class Evidence:
    """Measurements of a training run, from which symptoms are recognized.

    An unknown measurement is NaN, so every comparison with it is false.

    Parameters
    ----------
    monitor : TrainingRecord
        The monitor of a training run, as its record.

    Attributes
    ----------
    monitor : TrainingRecord
    data_profile : DataProfile
    baseline : float
        Loss of the best constant outputs. If the targets are unknown: for the cross entropy the loss of equal
        probabilities, for other losses the loss before training.
    baseline_description : str
        A phrase for messages, such as "what the shares of 10 classes alone give".
    irreducible_loss : float
        The lowest possible loss: 0 for most losses, more for smoothed labels.
    reducible_loss : float
        baseline - irreducible_loss; NaN if it is 0.
    curve : ndarray of shape (n_points,)
        The loss curve: means of the loss over many batches.
    initial_loss, final_loss, best_loss, worst_loss : float
        The loss before the first step, the loss at the end, and the lowest and highest values of the curve.
    chance_rise : float
        The largest rise of the curve that counts as chance. Its points vary, because rows have different
        irreducible losses.
    relative_loss : float
        (final_loss - irreducible_loss) / reducible_loss: 1 if nothing was learned, 0 if everything was.
    relative_loss_of_sample : float
        The relative loss of the sample of rows after training; `relative_loss` if their loss is unknown.
    learned_little : bool
        Whether `relative_loss` exceeds `LEARNED_LITTLE`.
    layer_names : list of str
        The layers with weights.
    update_ratio : float
        Update norm / weight norm in the layer with the largest ratio: the upper quartile over all recorded
        steps or over the first ones, whichever is larger.
    largest_update : float
        The largest update norm of any step, divided by the weight norm before the step or at the start,
        whichever is larger. Layers whose weights start at 0 do not count.
    largest_update_layer : str or None
        The layer of `largest_update`.
    relative_gradient : float
        Gradient norm * weight norm / reducible_loss in the layer where it is largest, in the median step of all
        steps or of the first ones, whichever is larger. It estimates how much of the reducible loss is gained
        if the weights move by their own norm.
    median_gradient_norms : list of float
        The median gradient norm of each layer with weights.
    gradient_ratio : float
        Gradient norm of the first layer with weights / that of the last one, in the median step.
    vanishes_at_start : bool
        Whether `gradient_ratio` of the first step, before any update, is below `VANISHED_AT_START`.
    """

    def __init__(self, monitor: TrainingRecord):
        if monitor.data_profile is None:
            raise ValueError("Evidence: this record has no data profile. Pass the monitor to fit first.")
        self.monitor = monitor
        self.data_profile: DataProfile = monitor.data_profile
        self._read_losses()
        self._read_steps()

    def _read_losses(self) -> None:
        monitor = self.monitor
        losses = monitor.losses.values()
        epochs = monitor.steps_done / max(monitor.steps_per_epoch, 1)
        n_points = min(MAX_CURVE_POINTS, math.ceil(CURVE_POINTS_PER_EPOCH * epochs), len(losses))
        pieces = np.array_split(losses, n_points) if n_points else []
        with np.errstate(over="ignore", invalid="ignore"):
            self.curve = np.array([piece.mean() for piece in pieces])
            # The mean over the last epoch if there were several, because a mean over fewer rows depends on the
            # choice of rows.
            epoch = math.ceil(monitor.steps_per_epoch / monitor.losses.block_length)
            last = losses[-min(epoch, math.ceil(len(losses) / 4)) :] if len(losses) else losses
            self.final_loss = float(last.mean()) if len(last) else math.nan
        self.best_loss = float(self.curve.min(initial=math.inf)) if len(losses) else math.nan
        self.worst_loss = float(self.curve.max(initial=-math.inf)) if len(losses) else math.nan
        before = monitor.snapshots[0].loss if monitor.snapshots else None
        self.initial_loss = before if before is not None else float(losses[0]) if len(losses) else math.nan
        self.baseline, self.baseline_description = self._baseline()
        self.irreducible_loss = self.data_profile.irreducible_loss
        self.reducible_loss = self.baseline - self.irreducible_loss
        rows_of_point = max(monitor.rows_done, 1) / max(len(self.curve), 1)
        self.chance_rise = CHANCE_STDS * self.data_profile.irreducible_std / math.sqrt(rows_of_point)
        if not self.reducible_loss > 1e-9 * abs(self.baseline):
            self.reducible_loss = math.nan
        self.relative_loss = self.relative(self.final_loss)
        after = monitor.snapshots[-1].loss if monitor.snapshots else None
        self.relative_loss_of_sample = self.relative_loss if after is None else self.relative(after)
        self.learned_little = self.relative_loss > LEARNED_LITTLE

    def _baseline(self) -> tuple[float, str]:
        """Return the baseline, and a phrase that describes it."""
        known = self.data_profile.baseline
        words = "the loss of the best constant outputs"
        if known is not None and self.data_profile.n_classes is not None:
            words = f"what the shares of {self.data_profile.n_classes} classes alone give"
        if known is None and self.monitor.loss_name == "CrossEntropy":
            n_classes = self.monitor.output_shape[0]
            known, words = math.log(n_classes), f"-ln(1/{n_classes}), the loss of guessing"
        if known is None:
            known, words = self.initial_loss, "the loss before training"
        return (known, words) if math.isfinite(known) else (math.nan, words)

    def relative(self, loss: float) -> float:
        """Return (loss - irreducible_loss) / reducible_loss: 1 for the baseline, 0 for the lowest loss."""
        return float((loss - self.irreducible_loss) / self.reducible_loss)

    def _read_steps(self) -> None:
        monitor = self.monitor
        layers = [i for i, has in enumerate(monitor.has_weights) if has]
        self.layer_names = [monitor.layers[i] for i in layers]
        ratios, norms = monitor.update_ratios[:, layers], monitor.gradient_norms[:, layers]
        upper_quartiles = [quantile(column, 0.75) for column in (*ratios.T, *ratios[:FIRST_STEPS].T)]
        self.update_ratio = max((each for each in upper_quartiles if not math.isnan(each)), default=math.nan)
        # Every update is large relative to weights of 0. So weights that start at 0 do not count, and others
        # are compared with their initial norm if that is larger.
        weights, updates = monitor.weight_norms[:, layers], monitor.update_norms[:, layers]
        counts = np.isfinite(ratios) & (weights[:1] > 0)
        relative_updates = np.divide(
            updates, np.maximum(weights, weights[:1]), out=np.full(ratios.shape, -1.0), where=counts
        )
        self.largest_update = float(relative_updates.max(initial=-1.0))
        self.largest_update_layer: str | None = None
        if self.largest_update >= 0:
            self.largest_update_layer = self.layer_names[int(relative_updates.max(axis=0).argmax())]
        with np.errstate(over="ignore", invalid="ignore"):
            strongest = (norms * weights).max(axis=1, initial=0.0)
        median = float(np.fmax(quantile(strongest, 0.5), quantile(strongest[:FIRST_STEPS], 0.5)))
        self.relative_gradient = median / self.reducible_loss
        self.median_gradient_norms = [quantile(column, 0.5) for column in norms.T]
        self.gradient_ratio, self.vanishes_at_start = math.nan, False
        if len(layers) > 1 and len(norms):
            with np.errstate(all="ignore"):
                gradient_ratios = norms[:, 0] / norms[:, -1]
                self.gradient_ratio = quantile(gradient_ratios, 0.5)
                self.vanishes_at_start = bool(0 < gradient_ratios[0] < VANISHED_AT_START)

    def network_and_reference_scores(self) -> tuple[float, float] | None:
        """Return the scores of the network and of the better of two reference methods, on the sample.

        Returns
        -------
        tuple (network, reference), or None
            Scores of `reference_scores.scores`. The reference methods need no training: they predict each row
            from the others. Classes have two scores; the result is the pair in which the reference leads less.
            None if the outputs of this loss are not predictions, or the rows are too few.
        """
        targets, inputs, trials = self.data_profile.targets, self.data_profile.inputs, self.monitor.trials
        if not trials or targets is None or len(inputs) < MIN_SCORED_ROWS:
            return None
        features = inputs.reshape(len(inputs), -1).astype(np.float64)
        predictions = [
            self._as_predictions(outputs, targets)
            for outputs in (trials[-1].outputs, trials[-1].outputs_in_training)
        ]
        known = [each for each in predictions if each is not None]
        if len(known) < len(predictions) or not (features.std(axis=0) > 0).any():
            return None
        network = max(scores(*each) for each in known)
        _, columns, are_classes = known[0]
        reference = max(scores(each, columns, are_classes) for each in reference_predictions(features, columns))
        return min(zip(network, reference, strict=True), key=lambda pair: pair[1] - pair[0])

    def training_and_validation_scores(self) -> tuple[float, float] | None:
        """Return the scores of the network on the samples of training rows and of validation rows.

        Returns
        -------
        tuple (training, validation), or None
            First scores of `reference_scores.scores`: the accuracy for classes. None if one of them is unknown.
        """
        validation, targets, trials = (
            self.data_profile.validation,
            self.data_profile.targets,
            self.monitor.trials,
        )
        if validation is None or len(trials) < 2 or targets is None:
            return None
        outputs = trials[-1].validation_outputs
        on_training = self._as_predictions(trials[-1].outputs, targets)
        on_validation = None if outputs is None else self._as_predictions(outputs, validation.targets)
        if on_training is None or on_validation is None:
            return None
        return scores(*on_training)[0], scores(*on_validation)[0]

    def _as_predictions(
        self, outputs: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, bool] | None:
        """Return predictions, targets as columns, and whether the targets are classes; None if unknown."""
        predicted = predictions_as_columns(outputs, targets, self.monitor.loss_name)
        columns = target_columns(targets)
        if predicted is None or not np.isfinite(predicted).all():
            return None
        if predicted.shape[1] > columns.shape[1]:
            low = columns <= columns.min()
            return predicted, np.column_stack([low, ~low]).astype(float), True
        return predicted, columns, self.data_profile.n_classes is not None

    @property
    def validation_losses(self) -> np.ndarray:
        """Validation loss of each epoch; empty if the validation rows have another range."""
        if self.validation_is_shifted:
            return np.array([])
        return np.array(self.monitor.history.get("val_loss", []), dtype=float)

    @property
    def validation_is_shifted(self) -> bool:
        """Whether inputs or targets have another range in the validation rows than in the training rows."""
        validation = self.data_profile.validation
        return validation is not None and bool(validation.input_shift or validation.target_shift)

    @property
    def output_activation_effect(self) -> OutputActivationEffect | None:
        """Effect of the output activation, after training."""
        trials = self.monitor.trials
        return trials[-1].output_activation_effect if len(trials) > 1 else None

    @property
    def has_permutation_test(self) -> bool:
        """Whether there is a permutation test with enough rows for a relation of inputs and targets."""
        return self.data_profile.z_score is not None and len(self.data_profile.inputs) >= MIN_SCORED_ROWS

    def outputs(self, snapshot: int) -> list[tuple[str, OutputSummary]]:
        """Return the outputs of all layers in the first snapshot (0) or the last one (-1)."""
        return list(self.monitor.snapshots[snapshot].outputs.items()) if self.monitor.snapshots else []

    def dead_shares(self, snapshot: int) -> list[tuple[float, str, OutputSummary]]:
        """Return the share of units that are 0 for all rows, for each rectifier, the largest first."""
        found = [
            (each.zero_units / each.n_units, name, each)
            for name, each in self.outputs(snapshot)
            if each.kind in RECTIFIERS
        ]
        return sorted(found, key=lambda each: -each[0])

    def saturated_shares(self, snapshot: int) -> list[tuple[float, str, OutputSummary]]:
        """Return the share of saturated outputs, for each hidden bounded activation, the largest first."""
        found = [
            (each.saturated, name, each)
            for name, each in self.outputs(snapshot)[:-1]
            if each.saturated is not None
        ]
        return sorted(found, key=lambda each: -each[0])

    def was_present_before_training(self, finding: Finding) -> bool:
        """Return whether units of the finding's layer were dead or saturated before the first step."""
        shares = {name: share for share, name, _ in [*self.dead_shares(0), *self.saturated_shares(0)]}
        return finding.layer is not None and shares.get(finding.layer, 0.0) > STUCK_AT_START


def quantile(values: np.ndarray, share: float) -> float:
    """Return a quantile of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if finite.size else math.nan
