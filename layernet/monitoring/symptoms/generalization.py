"""Illnesses that show on the rows that are not trained on: each function looks for the signs of one.

Thresholds lie, as in `illnesses`, inside the gap between sound trainings and sick ones.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import NOTHING, Evidence, Finding
from layernet.monitoring.held_out_data import Apart

# How much the validation loss rose from its best, as a part of that; less may be noise (Prechelt, 1998, Early
# stopping - but when?).
TURNED = 0.2
# ... and as a part of the baseline: where nearly all is right, a loss three times as high is one row more.
ROSE = 0.1

# How much more of what there is to be learned was learned on the training rows than on the validation rows,
# where nothing was: overfitting alone first learns something of use.
OF_NO_USE = 0.25

# Rows were learned by heart if so much is left of the loss on the validation rows, and at most this part of it
# on the training rows.
NOT_KNOWN = 0.25
BY_HEART = 1 / 3
# ... and if the score on the training rows is so much better. By chance scores of n rows differ by 1 / sqrt(n).
# Sound trainings on noisy data come to 0.17, with 300 validation rows. Where no score is known what is left of
# the losses is compared.
SCORES_APART = 0.15
LOSSES_APART = 0.5


def validation_of_another_range(evidence: Evidence) -> list[Finding]:
    """Inputs or targets have another range in the validation rows than in those that are trained on."""
    held_out = evidence.material.held_out
    if held_out is None:
        return []
    found = []
    for kind, apart in (("feature", held_out.inputs_apart), ("target", held_out.targets_apart)):
        if apart is not None:
            found.append(_of_another_scale(kind, apart))
    return found


def _of_another_scale(kind: str, apart: Apart) -> Finding:
    (low, high), (low_held, high_held) = apart.trained, apart.validated
    times = (high_held - low_held) / (high - low) if high > low else math.inf
    many = f"{apart.n_apart} of {apart.n_columns} {kind}s have" if apart.n_columns > 1 else f"the {kind} has"
    which = "values other than 0 lie" if apart.index is None else f"{kind} {apart.index} lies"
    figure = (
        f"{many} another range in the validation rows: {which} between {low:.3g} and "
        f"{high:.3g} in the training rows, and between {low_held:.3g} and {high_held:.3g} in the others"
        f"{f', {times:.2g} times as wide' if 0 < times < math.inf else ''}. The validation loss says nothing."
    )
    advice = (
        f"Scale the {kind}s of the validation rows with the figures of the training rows: the same mean and "
        "standard deviation, or the same divisor."
    )
    return Finding("validation rows of another kind", None, figure, advice)


def validation_of_another_kind(evidence: Evidence) -> list[Finding]:
    """What was learned is of no use on the validation rows, from the first epoch on."""
    losses = evidence.validation_losses
    if not losses.size or not np.isfinite(losses).all():
        return []
    best, learned = evidence.part(float(losses.min())), evidence.part(evidence.monitor.history["loss"][-1])
    if not (best > NOTHING and best - learned > OF_NO_USE):
        return []
    figure = (
        f"the validation loss was never below {losses.min():.3g}, and {evidence.baseline:.3g} is "
        f"{evidence.baseline_words} of the training rows; the training loss fell to "
        f"{evidence.monitor.history['loss'][-1]:.3g}."
    )
    advice = (
        "Compare some validation rows with training rows. Scale both with the figures of the training rows, "
        "keep the order of columns and the numbers of classes, and make sure that inputs and targets belong "
        "together."
    )
    return [Finding("validation rows of another kind", None, figure, advice)]


def overfitting(evidence: Evidence) -> list[Finding]:
    """The validation loss turned round while the training loss went on falling, or never came near it."""
    # What comes after the epoch that is kept, as by EarlyStopping, ails nothing.
    losses = evidence.validation_losses[: evidence.monitor.kept_epoch]
    if len(losses) < 3:
        return []
    best = int(losses.argmin())
    # A single epoch may be high by accident, the last tenth is not.
    end = float(losses[-math.ceil(len(losses) / 10) :].mean())
    rise, training = end - losses[best], evidence.monitor.history["loss"][: len(losses)]
    turned = rise > TURNED * (losses[best] - evidence.lowest) and rise > ROSE * evidence.gap
    if not (turned and training[-1] < training[best]):
        return _learned_by_heart(evidence, end, training[-1])
    figure = (
        f"the validation loss was {losses[best]:.3g} at best, after epoch {best + 1}, and {end:.3g} at the "
        f"end; the training loss fell from {training[best]:.3g} to {training[-1]:.3g}."
    )
    advice = "Stop where it was best (EarlyStopping), or use Dropout, weight decay, fewer units, more data."
    return [Finding("overfitting", None, figure, advice)]


def _learned_by_heart(evidence: Evidence, validated: float, trained: float) -> list[Finding]:
    """Nearly all of the training rows was learned, and much less of the validation rows."""
    left, left_held = evidence.part(trained), evidence.part(validated)
    if not (left_held > NOT_KNOWN and left < BY_HEART * left_held):
        return []
    compared, held_out = evidence.scores_on_both(), evidence.material.held_out
    known = ""
    if compared is None:
        is_apart = left_held - left > LOSSES_APART
    else:
        is_apart = compared[0] - compared[1] > SCORES_APART + 1 / math.sqrt(len(held_out.inputs))
        known = (
            f"; the network scores {compared[0]:.2f} on the rows that it was trained on, and {compared[1]:.2f} "
            "on the others (0 is guessing, 1 is perfect)"
        )
    if not is_apart:
        return []
    figure = (
        f"the training loss fell to {trained:.3g} and the validation loss to {validated:.3g}, "
        f"{max(left, 0):.1%} and {left_held:.0%} of {evidence.baseline_words}{known}."
    )
    advice = (
        f"More data helps most: there were {evidence.monitor.n_rows:,} rows for "
        f"{evidence.monitor.n_parameters:,} parameters. Otherwise use Dropout, weight decay or fewer units."
    )
    return [Finding("overfitting", None, figure, advice)]
