"""Symptoms of the learning rate: divergence, too large or too small steps, a schedule that ends early."""

from __future__ import annotations

import numpy as np

from layernet.monitoring.evidence import LEARNED_ENOUGH, NOTHING_LEARNED, Evidence
from layernet.monitoring.findings import Finding, counted, relative_to_weights

# Update ratios: 1e-3 is recommended (Karpathy, 2016, CS231n lecture notes). Healthy training lies between 3e-4
# and 3e-2 while there is something to learn.
MIN_UPDATE_RATIO = 2e-4

# The learning rate is too high if a mean over at least a quarter of an epoch exceeds the initial loss and the
# baseline by this factor. With a suitable rate the loss falls below both within a few steps.
LOSS_JUMP = 4.0
# ... unless nearly everything was learned afterwards.
RECOVERED_LOSS = 0.1
# A final loss above the initial loss and the baseline by this factor shows harm, if the updates were of some
# size. Means over few rows vary by as much.
LOSS_ABOVE_START = 1.2
HARMLESS_UPDATE = 0.01
# Part of the reducible loss that was gained and lost again, with updates of more than a tenth of the weights.
# With small updates only the means over batches vary.
LOSS_REGAINED = 0.25
LARGE_UPDATE = 0.1
# Largest update * relative loss at the end. Training survives an update as large as the weights if it learns
# something; healthy training has 0.1.
MAX_UPDATE_TIMES_LOSS = 0.25

# A learning rate below this part of the largest one moves nothing. A schedule that ends at 0 gets there in the
# last tenth.
NEGLIGIBLE_RATE = 0.01
MOST_OF_TRAINING = 0.5

SMALLER_RATE = "Divide the learning rate by 10, or let find_learning_rate suggest one."


def diverged(evidence: Evidence) -> Finding:
    """The loss, a gradient or a parameter became infinite or NaN."""
    monitor = evidence.monitor
    norms, growth = monitor.gradient_norms, ""
    if len(norms) > 1:
        growth = f" The largest gradient norm went from {norms[0].max():.2g} to {norms[-1].max():.2g}."
    return Finding(
        "training diverged",
        None,
        f"{monitor.diverged.removesuffix('.')}, after {counted(monitor.steps_done, 'step')}.{growth}",
        "The finding beside this one names the cause. The network keeps its last finite parameters.",
    )


def rate_that_diverged(evidence: Evidence) -> Finding:
    """Inputs, targets and initial weights are of healthy size: the steps led to divergence."""
    measurement = "the first step gave a value that is not finite."
    if evidence.monitor.steps_done:
        measurement = (
            f"the loss began at {evidence.initial_loss:.3g}, and the largest update was "
            f"{relative_to_weights(evidence.largest_update)} (0.001 of them is usual)."
        )
    return Finding("learning rate too high", evidence.largest_update_layer, measurement, SMALLER_RATE)


def rate_too_high(evidence: Evidence) -> list[Finding]:
    """The steps are so large that the loss rises, or does not stay low."""
    relative_loss, update = evidence.relative_loss, evidence.largest_update
    start = float(np.fmax(evidence.relative(evidence.initial_loss), 1.0))
    jumped = evidence.relative(evidence.worst_loss) > LOSS_JUMP * start and not relative_loss < RECOVERED_LOSS
    moved_far = update * relative_loss > MAX_UPDATE_TIMES_LOSS and relative_loss > NOTHING_LEARNED
    regained = evidence.final_loss - evidence.best_loss - evidence.chance_rise
    lost_again = regained > LOSS_REGAINED * evidence.reducible_loss and update > LARGE_UPDATE
    did_harm = relative_loss > LOSS_ABOVE_START * start and update > HARMLESS_UPDATE
    if not (jumped or moved_far or lost_again or did_harm):
        return []
    course = f", rose to {evidence.worst_loss:.3g}" if evidence.worst_loss > evidence.initial_loss else ""
    if lost_again and evidence.best_loss < evidence.initial_loss:
        course += f", fell to {evidence.best_loss:.3g}"
    measurement = (
        f"the loss was {evidence.initial_loss:.3g} at the start{course} and ended at "
        f"{evidence.final_loss:.3g}; the largest update was {relative_to_weights(update)} (0.001 of them is "
        "usual)."
    )
    return [Finding("learning rate too high", evidence.largest_update_layer, measurement, SMALLER_RATE)]


def rate_too_low(evidence: Evidence) -> list[Finding]:
    """The weights hardly move, and the loss has hardly fallen."""
    # With a gradient of 0 no learning rate moves a weight.
    has_gradient = max(evidence.median_gradient_norms, default=0.0) > 0
    if not (evidence.learned_little and evidence.update_ratio < MIN_UPDATE_RATIO and has_gradient):
        return []
    measurement = (
        f"updates are {evidence.update_ratio:.1g} of the weights (0.001 is usual), and the loss went from "
        f"{evidence.initial_loss:.3g} to {evidence.final_loss:.3g} in "
        f"{counted(evidence.monitor.steps_done, 'step')}."
    )
    advice = "Multiply the learning rate by 10, or let find_learning_rate suggest one."
    return [Finding("learning rate too low", None, measurement, advice)]


def schedule_ended_early(evidence: Evidence) -> list[Finding]:
    """A schedule brought the learning rate to 0 long before the end of training."""
    monitor = evidence.monitor
    rates, steps = monitor.learning_rates, monitor.steps
    if not len(rates) or not np.isfinite(rates).all() or not evidence.relative_loss > LEARNED_ENOUGH:
        return []
    largest, name = float(rates.max()), "learning rate fell to 0"
    if largest == 0:
        name = "learning rate is 0"
        measurement = f"the learning rate was 0 in all {len(rates)} recorded steps: no weight moved."
    else:
        last = int(steps[np.flatnonzero(rates > NEGLIGIBLE_RATE * largest)[-1]])
        rest = 1 - last / monitor.steps_done
        if not rest > MOST_OF_TRAINING:
            return []
        measurement = (
            f"the learning rate was {largest:.2g} at most, and below a hundredth of it in the last {rest:.0%} "
            f"of {monitor.steps_done:,} steps ({rates[-1]:.1g} at the end); the loss ended at "
            f"{evidence.final_loss:.3g}, {evidence.relative_loss:.0%} of {evidence.baseline_description}."
        )
    advice = (
        "Let the schedule fall more slowly: set its length to the number of steps or epochs of training, or "
        "leave it out."
    )
    return [Finding(name, None, measurement, advice)]
