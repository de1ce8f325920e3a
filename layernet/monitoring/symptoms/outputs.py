"""Symptoms of an output activation that does not suit the targets or the loss."""

from __future__ import annotations

import numpy as np

from layernet.monitoring.evidence import LEARNED_ENOUGH, Evidence
from layernet.monitoring.findings import Finding, counted, listed
from layernet.monitoring.output_activation import OutputActivationEffect

# Part of the reducible loss that outputs within their range cannot remove: 0 for a range that suits the
# targets, 0.15 for standardized targets after tanh, 0.5 after a rectifier.
MAX_UNREACHABLE_PART = 0.05

# With all outputs at a bound, share of the outputs whose loss decreases beyond it: (k - 1) / k for logits of k
# classes after a rectifier, 0 for targets within the bounds.
MAX_BEYOND_BOUND = 0.05

SYMPTOM = "bounded output activation"


def unreachable_targets(evidence: Evidence) -> list[Finding]:
    """Targets lie outside the range of the outputs."""
    data_profile, monitor = evidence.data_profile, evidence.monitor
    lowest, low, high = data_profile.lowest_reachable_loss, data_profile.output_low, data_profile.output_high
    if lowest is None or low is None or high is None:
        return []
    share = evidence.relative(lowest)
    if not share > MAX_UNREACHABLE_PART:
        return []
    activation, targets = _activation(evidence), ""
    if data_profile.n_classes is None and data_profile.targets is not None:
        values = data_profile.targets
        outside = ((values < low) | (values > high)).mean()
        targets = f", and targets from {values.min():.3g} to {values.max():.3g} ({outside:.0%} of them outside)"
    measurement = (
        f"after {activation} outputs lie between {_bound(low.min())} and {_bound(high.max())}{targets}: the "
        f"loss cannot fall below {lowest:.3g}, {share:.0%} of {evidence.baseline_description}; it ended at "
        f"{evidence.final_loss:.3g}."
    )
    advice = (
        f"Leave out {activation}, so that the network ends in a layer with weights; or scale the targets into "
        "the range of the outputs."
    )
    return [Finding("outputs cannot reach the targets", monitor.output_activation_name, measurement, advice)]


def stuck_at_unsuitable_bound(evidence: Evidence) -> list[Finding]:
    """Outputs are stuck at a bound beyond which the loss of other outputs decreases: a rectifier on logits."""
    effect = evidence.output_activation_effect
    if effect is None or not effect.beyond_bound > MAX_BEYOND_BOUND:
        return []
    return _stuck_outputs(evidence, effect, _leave_out(evidence))


def stuck_at_suitable_bound(evidence: Evidence) -> list[Finding]:
    """Outputs are stuck at a bound that suits the targets."""
    effect = evidence.output_activation_effect
    if effect is None or effect.beyond_bound > MAX_BEYOND_BOUND:
        return []
    advice = (
        "Start with a bias that keeps outputs off the bound, use a smaller learning rate, or leave out "
        f"{_activation(evidence)}."
    )
    return _stuck_outputs(evidence, effect, advice)


def _stuck_outputs(evidence: Evidence, effect: OutputActivationEffect, advice: str) -> list[Finding]:
    stuck = effect.stuck_outputs
    if not stuck:
        return []
    numbers = [str(index) for index in stuck[:5]] + (["others"] if len(stuck) > 5 else [])
    measurement = (
        f"{len(stuck)} of {counted(effect.n_outputs, 'output')} ({listed(numbers)}) "
        f"{'lies' if len(stuck) == 1 else 'lie'} where the slope of {_activation(evidence)} is 0, for most of "
        f"the rows where {evidence.monitor.loss_name} would decrease off that bound; the loss ended at "
        f"{evidence.final_loss:.3g}, {evidence.relative_loss:.0%} of {evidence.baseline_description}."
    )
    return [Finding(SYMPTOM, evidence.monitor.output_activation_name, measurement, advice)]


def bounded_outputs(evidence: Evidence) -> list[Finding]:
    """The output activation has a bound beyond which the loss decreases; reported as a note."""
    effect, data_profile = evidence.output_activation_effect, evidence.data_profile
    low, high = data_profile.output_low, data_profile.output_high
    if effect is None or low is None or high is None or not effect.beyond_bound > MAX_BEYOND_BOUND:
        return []
    measurement = (
        f"after {_activation(evidence)} outputs lie between {_bound(low.min())} and {_bound(high.max())}; "
        f"with all outputs at that bound, {evidence.monitor.loss_name} decreases beyond it for "
        f"{effect.beyond_bound:.0%} of them."
    )
    return [Finding(SYMPTOM, evidence.monitor.output_activation_name, measurement, _leave_out(evidence))]


def harmful_bounded_outputs(evidence: Evidence) -> list[Finding]:
    """The output activation has such a bound, and much of the loss is left; reported as a finding."""
    return bounded_outputs(evidence) if evidence.relative_loss > LEARNED_ENOUGH else []


def _leave_out(evidence: Evidence) -> str:
    loss = evidence.monitor.loss_name
    return f"Leave out {_activation(evidence)}: {loss} accepts unbounded outputs of a layer with weights."


def _activation(evidence: Evidence) -> str:
    """Return the output activation's name without its position."""
    return evidence.monitor.output_activation_name.split(" ", 1)[-1]


def _bound(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else ("infinity" if value > 0 else "-infinity")
