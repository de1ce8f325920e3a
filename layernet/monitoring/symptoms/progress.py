"""Symptoms in the course of the loss: nothing to learn, stopped too early, underfitting."""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import (
    MIN_SCORED_ROWS,
    MOSTLY_UNLEARNED,
    NOTHING_LEARNED,
    Evidence,
)
from layernet.monitoring.findings import Finding, counted

# z-score of the permutation test from which on inputs and targets count as related. For 120 rows with
# independent targets it exceeds 4 in 1 or 2 % of draws, as tests/monitoring/test_monitor.py counts. A network
# may memorize targets (Zhang et al., 2017, Understanding deep learning requires rethinking generalization) that
# are right; a lower z-score suffices there.
MIN_Z_SCORE = 4.0
MIN_Z_SCORE_MEMORIZED = 2.0
# A relative validation loss below this value shows that inputs and targets are related: chance changes it by
# less than 0.02.
USEFUL_VALIDATION_LOSS = 0.98
# If the targets of nearest neighbors agree more than this, a suitable network would learn them.
MIN_NEIGHBOR_AGREEMENT = 0.3

# The network is compared with a reference method that scores more than this.
MIN_REFERENCE_SCORE = 0.25
# The network must reach this part of the reference method's score.
MIN_PART_OF_REFERENCE = 0.7

# Update ratio * number of steps: an upper bound of the distance that the weights moved, in units of their norm.
# It is 1 or more in healthy training, even if the relative loss stays above 0.5.
SHORT_DISTANCE = 0.5

# Share of all progress that was made in the last quarter of training: 0.25 for a steady descent, below 0.05 at
# convergence.
STILL_FALLING_SHARE = 0.12
# Decrease in the last quarter / reducible loss. Means over a quarter of the steps vary by less.
MIN_FALL = 0.01
# Training that learned more than half is unfinished if its relative loss exceeds UNFINISHED_LOSS, and the loss
# falls nearly as fast as at the start, or the weights moved by less than a tenth of their norm.
UNFINISHED_LOSS = 0.25
STEEP_SHARE = 0.2
STEEP_FALL = 0.05
VERY_SHORT_DISTANCE = 0.1


def labels_shuffled(evidence: Evidence) -> list[Finding]:
    """The network trains at a healthy rate, and inputs and targets are unrelated."""
    data_profile, monitor = evidence.data_profile, evidence.monitor
    validation, z_score = evidence.validation_losses.tolist(), data_profile.z_score
    if evidence.relative(min(validation, default=math.inf)) < USEFUL_VALIDATION_LOSS:
        return []
    test_result = ""
    if z_score is None or not evidence.has_permutation_test:
        # The loss alone decides: it converged to the baseline.
        is_unrelated = NOTHING_LEARNED < evidence.relative_loss < 2 - NOTHING_LEARNED
        is_unrelated = is_unrelated and not is_still_falling(evidence)
    else:
        validation_is_useless = evidence.relative(min(validation, default=-math.inf)) > NOTHING_LEARNED
        memorized = validation_is_useless or (not validation and monitor.n_parameters > monitor.n_rows)
        threshold = MIN_Z_SCORE_MEMORIZED if memorized else -math.inf
        is_unrelated = z_score < (MIN_Z_SCORE if evidence.learned_little else threshold)
        test_result = (
            f" In {len(data_profile.inputs)} rows the inputs say no more about the targets than about permuted "
            f"ones (z-score {z_score:.1f}; {MIN_Z_SCORE:.0f} would be significant)."
        )
    if not is_unrelated:
        return []
    best = f" The validation loss was {min(validation):.3g} at best." if validation else ""
    measurement = (
        f"the loss ended at {evidence.final_loss:.4g}, and {evidence.baseline:.4g} is "
        f"{evidence.baseline_description}; updates were {evidence.update_ratio:.1g} of the weights (0.001 is "
        f"usual).{best}{test_result}"
    )
    if z_score is not None and len(data_profile.inputs) < MIN_SCORED_ROWS:
        advice = (
            "Add a hidden layer with an activation if the network has none. Then check the rows: they are too "
            "few to test whether inputs and targets belong together."
        )
        return [Finding("nothing was learned", None, measurement, advice)]
    advice = (
        "Check some rows with their targets: was one of the two reordered? If they are right, the inputs say "
        "nothing about the targets."
    )
    return [Finding("labels shuffled", None, measurement, advice)]


def stopped_too_early(evidence: Evidence) -> list[Finding]:
    """The loss was high at the end and still falling, or the weights had not moved far."""
    relative_loss = evidence.relative_loss
    distance = evidence.update_ratio * evidence.monitor.steps_done
    falls = is_still_falling(evidence)
    not_converged = falls or distance < SHORT_DISTANCE or relative_loss > 2 - NOTHING_LEARNED
    share, fall = last_quarter(evidence)
    unfinished = (share > STEEP_SHARE and fall > STEEP_FALL) or distance < VERY_SHORT_DISTANCE
    if not ((evidence.learned_little and not_converged) or (unfinished and relative_loss > UNFINISHED_LOSS)):
        return []
    part = f", {min(share, 1):.0%} of its decrease in the last quarter" if falls else ""
    measurement = (
        f"the loss went from {evidence.initial_loss:.3g} to {evidence.final_loss:.3g} in "
        f"{counted(evidence.monitor.steps_done, 'step')}{part}; {evidence.baseline:.3g} is "
        f"{evidence.baseline_description}."
    )
    advice = "Train for more epochs, or with a larger learning rate."
    return [Finding("not trained long enough", None, measurement, advice)]


def underfitting(evidence: Evidence) -> list[Finding]:
    """Little was learned, although a reference method shows that inputs and targets are related."""
    agreement = evidence.data_profile.neighbor_agreement or 0
    compared = evidence.network_and_reference_scores()
    if evidence.relative_loss > NOTHING_LEARNED and agreement > MIN_NEIGHBOR_AGREEMENT:
        contrast = f"targets of nearest neighbors agree ({agreement:.2f}; 0 is chance, 1 is equal)"
    elif (
        compared is not None
        and compared[1] > MIN_REFERENCE_SCORE
        and compared[0] < MIN_PART_OF_REFERENCE * compared[1]
    ):
        contrast = (
            f"nearest neighbors or a linear method score {compared[1]:.2f} on these rows, and the network "
            f"{compared[0]:.2f} (0 is guessing, 1 is perfect)"
        )
    else:
        return []
    measurement = (
        f"the loss ended at {evidence.final_loss:.4g}, and {evidence.baseline:.4g} is "
        f"{evidence.baseline_description}; yet {contrast}."
    )
    advice = (
        "Increase the network's capacity: a hidden layer with an activation, more units, less Dropout. Then "
        "try more epochs, and other learning rates."
    )
    return [Finding("underfitting", None, measurement, advice)]


def little_was_learned(evidence: Evidence) -> list[Finding]:
    """The loss is still near the baseline, and no other symptom explains it."""
    if not evidence.relative_loss > MOSTLY_UNLEARNED:
        return []
    compared, contrast = evidence.network_and_reference_scores(), ""
    if compared is not None:
        contrast = (
            f" Nearest neighbors or a linear method score {max(compared[1], 0):.2f} on these rows, and the "
            f"network {max(compared[0], 0):.2f} (0 is guessing, 1 is perfect)."
        )
    measurement = (
        f"the loss went from {evidence.initial_loss:.3g} to {evidence.final_loss:.4g}, "
        f"{evidence.relative_loss:.0%} of {evidence.baseline_description}, "
        f"and no other symptom was found.{contrast}"
    )
    advice = (
        "The inputs may say little about the targets: compare with another model. Or the network is "
        "unsuitable: try more units, a hidden layer, other learning rates, more epochs."
    )
    return [Finding("little was learned", None, measurement, advice)]


def is_still_falling(evidence: Evidence) -> bool:
    """Return whether the loss fell in the last quarter by a large part of its whole decrease, not by noise."""
    share, fall = last_quarter(evidence)
    return share > STILL_FALLING_SHARE and fall > MIN_FALL


def last_quarter(evidence: Evidence) -> tuple[float, float]:
    """Return the decrease of the loss in the last quarter of training.

    Returns
    -------
    share : float
        Decrease / decrease over all of training.
    fall : float
        Decrease / reducible loss.
    """
    curve = evidence.curve
    quarter = len(curve) // 4
    if not quarter:
        return 0.0, 0.0
    before, after = curve[-2 * quarter : -quarter].mean(), curve[-quarter:].mean()
    progress, fall = float(np.fmax(evidence.initial_loss, curve[0]) - after), float(before - after)
    return (fall / progress if progress > 0 else 0.0), fall / evidence.reducible_loss
