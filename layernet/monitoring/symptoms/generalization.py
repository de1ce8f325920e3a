"""Symptoms on validation rows: another range, no generalization, overfitting."""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import NOTHING_LEARNED, Evidence
from layernet.monitoring.findings import Finding
from layernet.monitoring.validation_shift import RangeShift

# Rise of the validation loss from its minimum, as a part of the minimum; less may be noise (Prechelt, 1998,
# Early stopping - but when?).
MIN_VALIDATION_RISE = 0.2
# ... and as a part of the reducible loss: if nearly all rows are right, one wrong row triples the loss.
MIN_RISE_OF_BASELINE = 0.1

# Relative loss on validation rows minus that on training rows, where nothing was learned on the validation
# rows. Overfitting alone first learns something that generalizes.
MIN_USELESS_PROGRESS = 0.25

# The training rows were memorized if this relative loss is left on the validation rows, and at most this part
# of it on the training rows.
UNKNOWN_VALIDATION_LOSS = 0.25
MEMORIZED_PART = 1 / 3
# ... and the score on the training rows is higher by this gap. By chance scores of n rows differ by 1 /
# sqrt(n). Healthy training on noisy data has a gap of 0.17, with 300 validation rows. Without scores, relative
# losses are compared.
MAX_SCORE_GAP = 0.15
MAX_LOSS_GAP = 0.5

DIFFERENT_ROWS = "validation rows differ from training rows"


def validation_of_another_range(evidence: Evidence) -> list[Finding]:
    """Inputs or targets of the validation rows have another range than those of the training rows."""
    validation = evidence.data_profile.validation
    if validation is None:
        return []
    shifts = (("feature", validation.input_shift), ("target", validation.target_shift))
    return [_shifted(kind, shift) for kind, shift in shifts if shift is not None]


def _shifted(kind: str, shift: RangeShift) -> Finding:
    (low, high), (validation_low, validation_high) = shift.training_range, shift.validation_range
    times = (validation_high - validation_low) / (high - low) if high > low else math.inf
    width = f", {times:.2g} times as wide" if 0 < times < math.inf else ""
    columns = (
        f"{shift.n_shifted} of {shift.n_columns} {kind}s have" if shift.n_columns > 1 else f"the {kind} has"
    )
    example = "values other than 0 lie" if shift.index is None else f"{kind} {shift.index} lies"
    measurement = (
        f"{columns} another range in the validation rows: {example} between {low:.3g} and {high:.3g} in the "
        f"training rows, and between {validation_low:.3g} and {validation_high:.3g} in the validation "
        f"rows{width}. The validation loss says nothing."
    )
    advice = (
        f"Scale the {kind}s of the validation rows with the figures of the training rows: the same mean and "
        "standard deviation, or the same divisor."
    )
    return Finding(DIFFERENT_ROWS, None, measurement, advice)


def no_generalization(evidence: Evidence) -> list[Finding]:
    """Nothing of what was learned holds for the validation rows, from the first epoch on."""
    losses = evidence.validation_losses
    if not losses.size or not np.isfinite(losses).all():
        return []
    training = evidence.monitor.history["loss"][-1]
    best = evidence.relative(float(losses.min()))
    if not (best > NOTHING_LEARNED and best - evidence.relative(training) > MIN_USELESS_PROGRESS):
        return []
    measurement = (
        f"the validation loss was never below {losses.min():.3g}, and {evidence.baseline:.3g} is "
        f"{evidence.baseline_description} of the training rows; the training loss fell to {training:.3g}."
    )
    advice = (
        "Compare some validation rows with training rows. Scale both with the figures of the training rows, "
        "keep the order of columns and the class numbers, and make sure that inputs and targets belong "
        "together."
    )
    return [Finding(DIFFERENT_ROWS, None, measurement, advice)]


def overfitting(evidence: Evidence) -> list[Finding]:
    """The validation loss rose while the training loss fell, or stayed far above the training loss."""
    # Epochs after the one whose parameters were restored, as by EarlyStopping, do not count.
    losses = evidence.validation_losses[: evidence.monitor.kept_epoch]
    if len(losses) < 3:
        return []
    best = int(losses.argmin())
    # A single epoch may be high by chance, the mean over the last tenth is not.
    end = float(losses[-math.ceil(len(losses) / 10) :].mean())
    rise, training = end - losses[best], evidence.monitor.history["loss"][: len(losses)]
    is_large = rise > MIN_VALIDATION_RISE * (losses[best] - evidence.irreducible_loss)
    rose = is_large and rise > MIN_RISE_OF_BASELINE * evidence.reducible_loss
    if not (rose and training[-1] < training[best]):
        return _memorization(evidence, end, training[-1])
    measurement = (
        f"the validation loss was {losses[best]:.3g} at best, after epoch {best + 1}, and {end:.3g} at the "
        f"end; the training loss fell from {training[best]:.3g} to {training[-1]:.3g}."
    )
    advice = "Stop at the best epoch (EarlyStopping), or use Dropout, weight decay, fewer units, more data."
    return [Finding("overfitting", None, measurement, advice)]


def _memorization(evidence: Evidence, validation_loss: float, training_loss: float) -> list[Finding]:
    """Nearly all of the training rows was learned, and much less of the validation rows."""
    left, left_on_validation = evidence.relative(training_loss), evidence.relative(validation_loss)
    if not (left_on_validation > UNKNOWN_VALIDATION_LOSS and left < MEMORIZED_PART * left_on_validation):
        return []
    compared, validation = evidence.training_and_validation_scores(), evidence.data_profile.validation
    words = ""
    if compared is None or validation is None:
        memorized = left_on_validation - left > MAX_LOSS_GAP
    else:
        memorized = compared[0] - compared[1] > MAX_SCORE_GAP + 1 / math.sqrt(len(validation.inputs))
        words = (
            f"; the network scores {compared[0]:.2f} on the training rows, and {compared[1]:.2f} on the "
            "validation rows (0 is guessing, 1 is perfect)"
        )
    if not memorized:
        return []
    measurement = (
        f"the training loss fell to {training_loss:.3g} and the validation loss to {validation_loss:.3g}, "
        f"{max(left, 0):.1%} and {left_on_validation:.0%} of {evidence.baseline_description}{words}."
    )
    advice = (
        f"More data helps most: there were {evidence.monitor.n_rows:,} rows for "
        f"{evidence.monitor.n_parameters:,} parameters. Otherwise use Dropout, weight decay or fewer units."
    )
    return [Finding("overfitting", None, measurement, advice)]
