"""Illnesses of data, weights and signals: each function looks for the signs of one.

Every threshold lies inside the gap between what sound trainings show and what sick ones do; the comment beside
it says what is usual on either side.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import LOSSES_WITH_UNITS, NO_PUSH, NOTHING, Evidence, Finding, listed

# Initial weights are made for inputs near 0 with a spread near 1 (LeCun, Bottou, Orr and Mueller, 1998,
# Efficient BackProp), and outputs begin at about 1. Ten times more, in the root mean square of a feature or of
# the targets, and the first steps only deal with that.
TOO_LARGE = 10.0
# Ten times less slows training down; it is named where the loss stayed high.
TOO_SMALL = 0.1

# How much of the variance of the outputs goes with a feature that says most about the targets.
HEEDED = 0.1

# A share of outputs near the ends of a sigmoid or tanh. Initial weights of a sound size leave less than 5 %
# there; where it is more, gradients are multiplied by almost 0 from the start (Glorot and Bengio, 2010).
SATURATED_AT_START = 0.3
# Trained units may well be saturated, on what they are sure of: more, and only where little was learned.
SATURATED_AT_END = 0.5

# A share of the units of a layer that are 0 for all rows. Sound trainings come to 0.4 at the worst, with a
# single input; Karpathy (2016, CS231n lecture notes) counts 40 % as what a high learning rate may do.
DEAD = 0.5

# The gradient norm of the first layer's weights divided by that of the last. Sound trainings lie between 0.1
# and 10; sigmoids lose a factor of 4 or more a layer (Hochreiter, 1991; Glorot and Bengio, 2010).
VANISHED = 0.03
EXPLODED = 1e3

# The loss before training, as a multiple of the baseline. At a sound start outputs are about 1 in size and the
# loss is about that of guessing (Karpathy, 2019, A recipe for training neural networks); weights that are too
# large by some factor make outputs too large by that factor to the power of the depth (He et al., 2015).
STARTS_TOO_HIGH = 50.0
# ... and outputs have to be as large, or it is only the targets that are small.
OUTPUTS_TOO_LARGE = 10.0


def symmetric_weights(evidence: Evidence) -> list[Finding]:
    """All units of a layer have the same weights, so that all learn the same."""
    names = evidence.monitor.equal_units
    if not names:
        return []
    return [
        Finding(
            "symmetric weights",
            names[0],
            f"all units of {listed(names)} have equal weights at the end of training, to the last digits.",
            "Draw the initial weights at random (weights_initializer='glorot_uniform'): equal units get equal "
            "gradients and stay equal.",
        )
    ]


def equal_targets(evidence: Evidence) -> list[Finding]:
    """There is nothing to be learned but a constant, and no loss to measure it by."""
    if not evidence.material.targets_are_equal:
        return []
    return [
        Finding(
            "all targets are the same",
            None,
            f"0 rows have another target than the first one; the loss ended at {evidence.end:.3g}.",
            "Look at how the targets were made: a constant is all that can be learned from them.",
        )
    ]


def inputs_not_scaled(evidence: Evidence) -> list[Finding]:
    """A feature is ten times too large, or all are ten times too small and little was learned."""
    material, trials = evidence.material, evidence.monitor.trials
    largest = int(material.sizes.argmax())
    if not _is_out_of_scale(material.sizes[largest], evidence):
        return []
    # What counts is how features come to the first weights: a layer before them may scale them.
    if trials and _are_scaled(trials[0], evidence):
        return []
    advice = "Bring every feature to mean 0 and standard deviation 1, with the figures of the training rows."
    if material.deviations[largest] <= 1e-6 * material.sizes[largest]:
        advice = f"Feature {largest} does not vary: leave it out. {advice}"
    return [
        Finding(
            "inputs not scaled",
            None,
            f"feature {largest}, the largest, has the mean {material.means[largest]:.3g} and the standard "
            f"deviation {material.deviations[largest]:.3g}; the median of all deviations is "
            f"{np.median(material.deviations):.3g}.",
            advice,
        )
    ]


def _are_scaled(trial, evidence):
    """Whether features come to the first weights in a sound size, or at least did no harm."""
    varying = trial.deviations[trial.deviations > 0]
    if not varying.size or trial.sizes.max() > TOO_LARGE:
        return False
    return bool(np.median(varying) > TOO_SMALL) or not evidence.learned_little


def small_feature_matters(evidence: Evidence) -> list[Finding]:
    """The feature that says most about the targets is far smaller than others, and not heeded."""
    material, trials = evidence.material, evidence.monitor.trials
    small = trials[-1].small_feature if trials else None
    if small is None or not (evidence.learned_little or small.heeded < HEEDED):
        return []
    return [
        Finding(
            "inputs not scaled",
            None,
            f"feature {small.index} explains {small.share:.0%} of the variance of the targets on its own, "
            "more than any larger one, and has a standard deviation of "
            f"{material.deviations[small.index]:.2g}; the largest is {material.deviations.max():.2g}.",
            "Bring every feature to mean 0 and standard deviation 1, with the figures of the training rows: "
            "gradients are proportional to the size of the inputs.",
        )
    ]


def targets_not_scaled(evidence: Evidence) -> list[Finding]:
    """Numbers to be predicted are far from the size that outputs have at the start."""
    size = evidence.material.target_size
    if size is None or evidence.monitor.loss_name not in LOSSES_WITH_UNITS:
        return []
    if not _is_out_of_scale(size, evidence):
        return []
    return [
        Finding(
            "targets not scaled",
            None,
            f"targets have a root mean square of {size:.3g}, and outputs begin at about 1.",
            "Subtract their mean and divide by their standard deviation; undo both on predictions.",
        )
    ]


def _is_out_of_scale(size, evidence):
    return size > TOO_LARGE or (size < TOO_SMALL and evidence.learned_little)


def saturated_activations(evidence: Evidence) -> list[Finding]:
    """Sigmoids or tanhs lie near their ends, where their derivative is almost 0."""
    start, end = evidence.saturated(0), evidence.saturated(-1)
    if start and start[0][0] > SATURATED_AT_START:
        (share, name, sample), when = start[0], "before training"
        advice = "Draw smaller initial weights ('glorot_uniform'), or scale the inputs."
    elif end and end[0][0] > SATURATED_AT_END and evidence.learned_little:
        (share, name, sample), when = end[0], "after training"
        advice = "Try a smaller learning rate, BatchNorm before the activation, or ReLU."
    else:
        return []
    figure = f"{share:.0%} of its outputs are within 1% of its ends {when}, for {sample.n_rows} rows."
    return [Finding("saturated activations", name, figure, advice)]


def dead_rectifiers(evidence: Evidence) -> list[Finding]:
    """Units of a rectifier are 0 for all rows, and so get no gradient from any."""
    start, end = evidence.dead(0), evidence.dead(-1)
    if not end or max(start[0][0], end[0][0]) <= DEAD:
        return []
    _, name, sample = end[0] if end[0][0] > DEAD else start[0]
    before = next(each.zero_units for _, other, each in start if other == name)
    if before > DEAD * sample.n_units:
        advice = "Start with a bias of 0 and 'he_normal' weights, or use LeakyReLU."
    else:
        advice = "Try a smaller learning rate, BatchNorm before the ReLU, or LeakyReLU."
    figure = (
        f"{sample.zero_units} of {sample.n_units} units are 0 for all {sample.n_rows} rows; before training "
        f"{before} were."
    )
    return [Finding("dead ReLUs", name, figure, advice)]


def exploding_gradients(evidence: Evidence) -> list[Finding]:
    """Signals, and gradients with them, grow from layer to layer before anything is learned."""
    advice = (
        "Draw smaller initial weights ('he_normal' for ReLU, 'glorot_uniform' for tanh), use BatchNorm, or "
        "clip gradients (clip_norm=1)."
    )
    if evidence.profile > EXPLODED:
        first, last = evidence.names[0], evidence.names[-1]
        figure = (
            f"the gradient norm is {evidence.norms[0]:.2g} in {first} and {evidence.norms[-1]:.2g} in {last}, "
            f"where the way back begins."
        )
        return [Finding("exploding gradients", first, figure, advice)]
    looks, norms = evidence.monitor.looks, evidence.monitor.gradient_norms
    spread = list(looks[0].outputs.values())[-1].deviation if looks else math.inf
    overflowed = bool(looks) and looks[0].loss is not None and not math.isfinite(looks[0].loss)
    starts_too_high = evidence.part(evidence.start) > STARTS_TOO_HIGH
    if not overflowed and not (starts_too_high and spread > OUTPUTS_TOO_LARGE):
        return []
    outputs = f"outputs have a standard deviation of {finite(spread)}, " if looks else ""
    largest = f"the largest gradient norm is {finite(norms[0].max())}, " if len(norms) else ""
    figure = (
        f"before training {outputs}{largest}and the loss is {finite(evidence.start)}; {evidence.baseline:.3g} "
        f"is {evidence.baseline_words}."
    )
    return [Finding("exploding gradients", None, figure, advice)]


def vanishing_gradients(evidence: Evidence) -> list[Finding]:
    """The gradient becomes tiny on its way back, or signals did on their way forward, and it with them."""
    if not evidence.learned_little or len(evidence.names) < 2:
        return []
    first, last = evidence.names[0], evidence.names[-1]
    # Where all is exactly 0 nothing vanished on the way: something cut it off.
    if 0 < evidence.profile < VANISHED:
        layer = first
        figure = (
            f"the gradient norm is {evidence.norms[-1]:.1g} in {last} and {evidence.norms[0]:.1g} in {first}: "
            f"over {len(evidence.names)} layers with weights it shrinks to {evidence.profile:.0e} of itself."
        )
    # Where something was learned gradients are small because there is nothing left.
    elif evidence.level > NOTHING and 0 < evidence.push < NO_PUSH:
        layer = None
        figure = (
            f"the median gradient norm is at most {max(evidence.norms):.1g} in any layer: if its weights moved "
            f"by all their size, the loss would fall by about {evidence.push:.1%} of {evidence.gap:.3g}."
        )
    else:
        return []
    advice = (
        "Try ReLU with 'he_normal' weights, BatchNorm before the activations, Residual around pairs of layers, "
        "or fewer layers."
    )
    if len(evidence.names) < 3:
        advice = "Try a larger learning rate, more epochs, or BatchNorm before the activations."
    return [Finding("vanishing gradients", layer, figure, advice)]


def finite(value: float) -> str:
    """A number with two digits, or that it is none."""
    return f"{value:.2g}" if math.isfinite(value) else "no finite number"
