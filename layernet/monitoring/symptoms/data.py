"""Symptoms in the data: constant or unscaled features and targets, contradictory or sorted rows."""

from __future__ import annotations

import numpy as np

from layernet.monitoring.evidence import LEARNED_ENOUGH, Evidence
from layernet.monitoring.findings import Finding
from layernet.monitoring.reference_scores import LOSSES_IN_TARGET_UNITS
from layernet.monitoring.trial import Trial

# Initial weights are made for inputs near 0 with a standard deviation near 1 (LeCun, Bottou, Orr and Mueller,
# 1998, Efficient BackProp), and outputs start at about 1. If the root mean square of a feature or of the
# targets is ten times larger, the first steps only compensate for that.
MAX_RMS = 10.0
# A root mean square ten times smaller slows training down; it is reported if the loss stayed high.
MIN_RMS = 0.1

# A feature is ignored if permuting it changes less than this share of the outputs' variance.
MIN_FEATURE_EFFECT = 0.1

# Share of the targets' variance between rows with equal inputs: 1 for labels drawn independently, 0.36 for two
# classes of which one label in ten is wrong.
MAX_CONTRADICTION_SHARE = 0.4

# Share of the targets' variance between batches: about 0 for shuffled rows, above 0.8 for sorted rows.
ORDERED_SHARE = 0.5
# Numerical targets that only drift with the row number stay below this share.
SORTED_SHARE = 0.9
# Below this relative loss, the order did no harm.
LEARNED_DESPITE_ORDER = 0.1


def constant_targets(evidence: Evidence) -> list[Finding]:
    """All targets are equal: only a constant can be learned."""
    if not evidence.data_profile.targets_are_constant:
        return []
    return [
        Finding(
            "constant targets",
            None,
            f"0 rows differ from the first one in their target; the loss ended at {evidence.final_loss:.3g}.",
            "Check how the targets were made: only a constant can be learned from them.",
        )
    ]


def constant_inputs(evidence: Evidence) -> list[Finding]:
    """All rows are equal: nothing can be predicted from them."""
    data_profile = evidence.data_profile
    if not data_profile.inputs_are_constant:
        return []
    measurement = (
        f"all {len(data_profile.means)} features are constant over {len(data_profile.inputs)} rows: their "
        f"largest standard deviation is {data_profile.stds.max():.1g}, at values of up to "
        f"{data_profile.rms.max():.3g}."
    )
    advice = (
        "Check how the inputs were made: nothing can be predicted from equal rows. If the rows differ in their "
        "last digits, subtract the mean of each feature and divide by its standard deviation."
    )
    return [Finding("constant inputs", None, measurement, advice)]


def inputs_not_scaled(evidence: Evidence) -> list[Finding]:
    """A feature is ten times too large, or all are ten times too small and little was learned."""
    data_profile, trials = evidence.data_profile, evidence.monitor.trials
    largest = int(data_profile.rms.argmax())
    if not _is_out_of_scale(float(data_profile.rms[largest]), evidence):
        return []
    # The scale at the first layer with weights decides: a layer before it may normalize the features.
    if trials and _are_scaled(trials[0], evidence):
        return []
    advice = "Scale every feature to mean 0 and standard deviation 1, computed from the training rows."
    if data_profile.stds[largest] <= 1e-6 * data_profile.rms[largest]:
        advice = f"Feature {largest} is constant: leave it out. {advice}"
    return [
        Finding(
            "inputs not scaled",
            None,
            f"feature {largest}, the largest, has the mean {data_profile.means[largest]:.3g} and the standard "
            f"deviation {data_profile.stds[largest]:.3g}; the median of all standard deviations is "
            f"{np.median(data_profile.stds):.3g}.",
            advice,
        )
    ]


def _are_scaled(trial: Trial, evidence: Evidence) -> bool:
    """Return whether the features are scaled at the first layer with weights, or their scale did no harm."""
    varying = trial.stds[trial.stds > 0]
    if not varying.size or trial.rms.max() > MAX_RMS:
        return False
    return bool(np.median(varying) > MIN_RMS) or not evidence.learned_little


def informative_feature_too_small(evidence: Evidence) -> list[Finding]:
    """The feature that explains the targets best is far smaller than others, and the network ignores it."""
    data_profile, trials = evidence.data_profile, evidence.monitor.trials
    small = trials[-1].small_feature if trials else None
    if small is None or not (evidence.learned_little or small.effect < MIN_FEATURE_EFFECT):
        return []
    return [
        Finding(
            "inputs not scaled",
            None,
            f"feature {small.index} explains {small.explained_share:.0%} of the variance of the targets on "
            "its own, more than any larger feature, and has a standard deviation of "
            f"{data_profile.stds[small.index]:.2g}; the largest one is {data_profile.stds.max():.2g}.",
            "Scale every feature to mean 0 and standard deviation 1, computed from the training rows: "
            "gradients are proportional to the size of the inputs.",
        )
    ]


def targets_not_scaled(evidence: Evidence) -> list[Finding]:
    """Numerical targets are far larger than the initial outputs, or far smaller and little was learned."""
    rms = evidence.data_profile.target_rms
    if rms is None or evidence.monitor.loss_name not in LOSSES_IN_TARGET_UNITS:
        return []
    if not _is_out_of_scale(rms, evidence):
        return []
    return [
        Finding(
            "targets not scaled",
            None,
            f"targets have a root mean square of {rms:.3g}, and outputs start at about 1.",
            "Subtract their mean and divide by their standard deviation; undo both on predictions.",
        )
    ]


def _is_out_of_scale(rms: float, evidence: Evidence) -> bool:
    return rms > MAX_RMS or (rms < MIN_RMS and evidence.learned_little)


def contradictory_rows(evidence: Evidence) -> list[Finding]:
    """Rows with equal inputs have different targets."""
    share = evidence.data_profile.contradiction_share
    if not (share > MAX_CONTRADICTION_SHARE and evidence.relative_loss > LEARNED_ENOUGH):
        return []
    measurement = (
        f"rows with equal inputs have different targets: {min(share, 1):.0%} of the variance of the targets "
        f"lies between such rows, and no network can explain it; the loss ended at {evidence.final_loss:.3g}."
    )
    advice = (
        "Check some of these rows for wrong labels, a missing column, or rounded numbers. If the targets are "
        "random for these inputs, this loss is the best possible."
    )
    return [Finding("equal rows with different targets", None, measurement, advice)]


def rows_in_order(evidence: Evidence) -> list[Finding]:
    """Each batch holds rows of one class, or of similar targets: each step undoes the one before."""
    share, data_profile = evidence.monitor.between_batch_share, evidence.data_profile
    if share is None or not share > ORDERED_SHARE:
        return []
    are_classes = data_profile.n_classes is not None
    harmless_loss = LEARNED_DESPITE_ORDER if are_classes or share > SORTED_SHARE else LEARNED_ENOUGH
    if not evidence.relative_loss_of_sample > harmless_loss:
        return []
    snapshots = evidence.monitor.snapshots
    loss = snapshots[-1].loss if snapshots else None
    measurement = (
        f"{share:.0%} of the variance of the targets lies between the batches of an epoch (0% for shuffled "
        f"rows); after training the loss is {'unknown' if loss is None else f'{loss:.3g}'} for rows of all "
        f"batches together, and {evidence.final_loss:.3g} in the batches."
    )
    advice = (
        "Shuffle the rows: shuffle=True, which is the default. Steps on one kind of rows undo those on others."
    )
    return [Finding(f"rows sorted by {'class' if are_classes else 'target'}", None, measurement, advice)]
