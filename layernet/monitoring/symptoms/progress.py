"""Illnesses that show in the course of the loss: each function looks for the signs of one.

Thresholds lie, as in `illnesses`, inside the gap between sound trainings and sick ones.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import ENOUGH_ROWS, MOST, NOTHING, Evidence, Finding, counted

# Update ratios: about 1e-3 is right (Karpathy, 2016, CS231n lecture notes). Sound trainings lie between 3e-4
# and 3e-2 while there is something to learn.
TOO_SLOW = 2e-4

# A mean over a quarter of an epoch or more that is so many times as high as the start and the baseline: with a
# rate that is not too high the loss goes below both within a few steps.
JUMPED = 4.0
# ... unless nearly all was learned after it.
RECOVERED = 0.1
# An end that is so much above the start and the baseline: the steps have done harm, if they were of some size.
# Means over few rows vary as much.
DID_HARM = 1.2
HARMLESS_UPDATE = 0.01
# How much of the baseline the loss had won and lost again in the end, with updates of more than a tenth of the
# weights among them: small ones lose nothing, it is only the means that vary.
LOST_AGAIN = 0.25
LARGE_UPDATE = 0.1
# The largest update ratio of all steps, times the part of the baseline that is left in the end. An update as
# large as the weights is a mishap that a training survives if it learns something; sound ones have 0.1.
JOLTED = 0.25

# Standard deviations by which the inputs say more about the targets than about shuffled ones. For 120 rows
# with independent targets it is more than 4 in 1 or 2 % of draws, as tests/monitoring/test_monitor.py
# counts. Targets that were learned by heart, to no use on others (Zhang et al., 2017, Understanding deep
# learning requires rethinking generalization), may still be right: these need less.
SIGNAL = 4.0
SIGNAL_OF_MEMORIZED = 2.0
# A validation loss that is so much below the baseline shows a signal, be it weak: it varies by less.
USEFUL = 0.98
# How much alike the targets of nearest neighbours are where a network of the right kind would learn from it.
NEIGHBOURS_KNOW = 0.3

# A score of a method without training that is worth a comparison, and the part of it that a network falls short
# of.
EASY = 0.25
FALLS_SHORT = 0.7

# How far the weights can have come, in units of their own size: update ratio times steps. Sound trainings that
# leave more than half of the baseline have 1 and more.
HARDLY_MOVED = 0.5

# The part of all progress that was made in the last quarter of training. A steady descent makes 0.25, one that
# comes to rest less than 0.05.
STILL_FALLING = 0.12
# ... and as a part of the baseline: means over a quarter vary by less.
FALL = 0.01
# A training that has learned more than half is not finished if so much is left, and the loss falls as steeply
# as in the beginning or the weights have not moved by a tenth of their size.
MORE_TO_COME = 0.25
STEEP = 0.2
STEEP_FALL = 0.05
UNMOVED = 0.1

SMALLER_RATE = "Divide the learning rate by 10, or let find_learning_rate look for one."


def diverged(evidence: Evidence) -> Finding:
    """The loss, a gradient or a parameter was no finite number any more."""
    monitor = evidence.monitor
    norms, grew = monitor.gradient_norms, ""
    if len(norms) > 1:
        grew = f" The largest gradient norm went from {norms[0].max():.2g} to {norms[-1].max():.2g}."
    return Finding(
        "training diverged",
        None,
        f"{monitor.diverged.removesuffix('.')}, after {counted(monitor.steps_done, 'step')}.{grew}",
        "Look for the cause in the finding beside this one; the network keeps its last finite parameters.",
    )


def rate_of_divergence(evidence: Evidence) -> Finding:
    """Inputs, targets and initial weights were of a sound size, so it was the steps that led away."""
    figure = "the first step led to no finite number."
    if evidence.monitor.steps_done:
        figure = (
            f"the loss began at {evidence.start:.3g}, and the largest update was "
            f"{beside_weights(evidence.jolt)} (0.001 of them is usual)."
        )
    return Finding("learning rate too high", evidence.jolt_layer, figure, SMALLER_RATE)


def rate_too_high(evidence: Evidence) -> list[Finding]:
    """The steps are so large that the loss goes up, or does not stay down."""
    reference = float(np.fmax(evidence.part(evidence.start), 1.0))
    jumped = evidence.part(evidence.worst) > JUMPED * reference and not evidence.level < RECOVERED
    jolted = evidence.jolt * evidence.level > JOLTED and evidence.level > NOTHING
    lost = evidence.end - evidence.best - evidence.by_chance
    lost_again = lost > LOST_AGAIN * evidence.gap and evidence.jolt > LARGE_UPDATE
    did_harm = evidence.level > DID_HARM * reference and evidence.jolt > HARMLESS_UPDATE
    if not (jumped or jolted or lost_again or did_harm):
        return []
    course = f", rose to {evidence.worst:.3g}" if evidence.worst > evidence.start else ""
    if lost_again and evidence.best < evidence.start:
        course += f", fell to {evidence.best:.3g}"
    figure = (
        f"the loss was {evidence.start:.3g} at the start{course} and ended at {evidence.end:.3g}; the largest "
        f"update was {beside_weights(evidence.jolt)} (0.001 of them is usual)."
    )
    return [Finding("learning rate too high", evidence.jolt_layer, figure, SMALLER_RATE)]


def rate_too_low(evidence: Evidence) -> list[Finding]:
    """The weights hardly move, and the loss has hardly fallen."""
    # Without any gradient no rate moves a weight.
    has_gradient = max(evidence.norms, default=0.0) > 0
    if not (evidence.learned_little and evidence.pace < TOO_SLOW and has_gradient):
        return []
    figure = (
        f"updates are {evidence.pace:.1g} of the weights (0.001 is usual), and the loss went from "
        f"{evidence.start:.3g} to {evidence.end:.3g} in {counted(evidence.monitor.steps_done, 'step')}."
    )
    advice = "Multiply the learning rate by 10, or let find_learning_rate look for one."
    return [Finding("learning rate too low", None, figure, advice)]


def labels_shuffled(evidence: Evidence) -> list[Finding]:
    """The network learns at a sound pace, and there is nothing to be learned."""
    material, validation = evidence.material, evidence.validation_losses.tolist()
    if evidence.part(min(validation, default=math.inf)) < USEFUL:
        return []
    if not evidence.knows_signal:
        # From the loss alone: it came to rest where it is when only the targets are known.
        says_nothing = NOTHING < evidence.level < 2 - NOTHING and not is_still_falling(evidence)
        words = ""
    else:
        of_no_use = evidence.part(min(validation, default=-math.inf)) > NOTHING
        by_heart = of_no_use or (not validation and evidence.monitor.n_parameters > evidence.monitor.n_rows)
        needed = SIGNAL if evidence.learned_little else SIGNAL_OF_MEMORIZED if by_heart else -math.inf
        says_nothing = material.signal < needed
        words = (
            f" In {len(material.inputs)} rows the inputs say no more about the targets than about shuffled "
            f"ones ({material.signal:.1f} standard deviations; {SIGNAL:.0f} would tell)."
        )
    if not says_nothing:
        return []
    best = f" The validation loss was {min(validation):.3g} at best." if validation else ""
    figure = (
        f"the loss ended at {evidence.end:.4g}, and {evidence.baseline:.4g} is {evidence.baseline_words}; "
        f"updates were {evidence.pace:.1g} of the weights (0.001 is usual).{best}{words}"
    )
    if material.signal is not None and len(material.inputs) < ENOUGH_ROWS:
        advice = (
            "Give the network a hidden layer with an activation if it has none. Then look at the rows: they "
            "are too few to say whether inputs and targets belong together."
        )
        return [Finding("nothing was learned", None, figure, advice)]
    advice = (
        "Look at some rows with their targets: was one of the two put into another order? If they are right, "
        "the inputs say nothing about the targets."
    )
    return [Finding("labels shuffled", None, figure, advice)]


def stopped_too_early(evidence: Evidence) -> list[Finding]:
    """The loss was still high when training ended, and on its way, or had had no time."""
    way, falls = evidence.pace * evidence.monitor.steps_done, is_still_falling(evidence)
    little = evidence.learned_little and (falls or way < HARDLY_MOVED or evidence.level > 2 - NOTHING)
    share, fall = last_quarter(evidence)
    unfinished = (share > STEEP and fall > STEEP_FALL) or way < UNMOVED
    if not (little or (unfinished and evidence.level > MORE_TO_COME)):
        return []
    part = f", {min(share, 1):.0%} of its way down in the last quarter" if falls else ""
    figure = (
        f"the loss went from {evidence.start:.3g} to {evidence.end:.3g} in "
        f"{counted(evidence.monitor.steps_done, 'step')}{part}; {evidence.baseline:.3g} is "
        f"{evidence.baseline_words}."
    )
    advice = "Train for more epochs, or with a larger learning rate."
    return [Finding("not trained long enough", None, figure, advice)]


def underfitting(evidence: Evidence) -> list[Finding]:
    """Little was learned, although neighbors or a linear method show that there is something."""
    likeness, compared = evidence.material.likeness or 0, evidence.compared_with_easy()
    if evidence.level > NOTHING and likeness > NEIGHBOURS_KNOW:
        shown = f"targets of nearest neighbors are alike ({likeness:.2f}; 0 is chance, 1 is equal)"
    elif compared is not None and compared[1] > EASY and compared[0] < FALLS_SHORT * compared[1]:
        shown = (
            f"nearest neighbors or a linear method, without training, score {compared[1]:.2f} on these rows, "
            f"and the network {compared[0]:.2f} (0 is guessing, 1 is perfect)"
        )
    else:
        return []
    figure = (
        f"the loss ended at {evidence.end:.4g}, and {evidence.baseline:.4g} is {evidence.baseline_words}; "
        f"yet {shown}."
    )
    advice = (
        "Let the network be able to bend: a hidden layer with an activation, more units, less Dropout. Then "
        "try more epochs, and other learning rates."
    )
    return [Finding("underfitting", None, figure, advice)]


def little_was_learned(evidence: Evidence) -> list[Finding]:
    """Most of the loss of guessing is left, and no reason for it was seen."""
    if not evidence.level > MOST:
        return []
    compared, course = evidence.compared_with_easy(), ""
    if compared is not None:
        course = (
            f" Nearest neighbors or a linear method score {max(compared[1], 0):.2f} on these rows, and the "
            f"network {max(compared[0], 0):.2f} (0 is guessing, 1 is perfect)."
        )
    figure = (
        f"the loss went from {evidence.start:.3g} to {evidence.end:.4g}, {evidence.level:.0%} of "
        f"{evidence.baseline_words}, and no other sign of an illness was found.{course}"
    )
    advice = (
        "Either the inputs say little about the targets, and this is all there is: compare with another "
        "model. Or the network does not see it: try more units, a hidden layer, other learning rates, more "
        "epochs."
    )
    return [Finding("little was learned", None, figure, advice)]


def is_still_falling(evidence: Evidence) -> bool:
    """Whether the last quarter of training made a part of all progress, and more than noise."""
    part, fall = last_quarter(evidence)
    return part > STILL_FALLING and fall > FALL


def last_quarter(evidence: Evidence) -> tuple[float, float]:
    """What the last quarter of training brought, as a part of all progress and as one of the baseline."""
    curve = evidence.curve
    quarter = len(curve) // 4
    if not quarter:
        return 0.0, 0.0
    before, after = curve[-2 * quarter : -quarter].mean(), curve[-quarter:].mean()
    progress, fall = float(np.fmax(evidence.start, curve[0]) - after), float(before - after)
    return (fall / progress if progress > 0 else 0.0), fall / evidence.gap


def beside_weights(ratio: float) -> str:
    """An update, beside the weights that it moved."""
    if not ratio >= 1:
        return f"{ratio:.2g} of the weights"
    return f"{ratio:.2g} times the weights" if ratio < 100 else f"{ratio:.0e} times the weights"
