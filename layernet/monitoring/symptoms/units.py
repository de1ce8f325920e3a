"""Symptoms in units: equal weights, saturated activations, dead rectifiers."""

from __future__ import annotations

from layernet.monitoring.evidence import Evidence
from layernet.monitoring.findings import Finding, listed

# Share of saturated outputs of a sigmoid or tanh. Well-scaled initial weights leave less than 5 %; above 30 %,
# gradients are multiplied by almost 0 from the start (Glorot and Bengio, 2010).
SATURATED_AT_START = 0.3
# Trained units may be saturated where they are certain: more are needed, and little learned.
SATURATED_AT_END = 0.5

# Share of a layer's units that are 0 for all rows. Healthy training leaves at most 0.4, with a single input;
# Karpathy (2016, CS231n lecture notes) names 40 % as a possible effect of a high learning rate.
MAX_DEAD_SHARE = 0.5


def symmetric_weights(evidence: Evidence) -> list[Finding]:
    """All units of a layer have the same weights: all learn the same."""
    names = evidence.monitor.equal_units
    if not names:
        return []
    return [
        Finding(
            "symmetric weights",
            names[0],
            f"all units of {listed(names)} have equal weights at the end of training, up to rounding.",
            "Draw the initial weights at random (weights_initializer='glorot_uniform'): equal units get equal "
            "gradients and stay equal.",
        )
    ]


def saturated_activations(evidence: Evidence) -> list[Finding]:
    """Outputs of bounded activations lie near the bounds, where the derivative is almost 0."""
    start, end = evidence.saturated_shares(0), evidence.saturated_shares(-1)
    if start and start[0][0] > SATURATED_AT_START:
        (share, name, sample), moment = start[0], "before training"
        advice = "Draw smaller initial weights ('glorot_uniform'), or scale the inputs."
    elif end and end[0][0] > SATURATED_AT_END and evidence.learned_little:
        (share, name, sample), moment = end[0], "after training"
        advice = "Try a smaller learning rate, BatchNorm before the activation, or ReLU."
    else:
        return []
    measurement = f"{share:.0%} of its outputs are within 1% of its bounds {moment}, for {sample.n_rows} rows."
    return [Finding("saturated activations", name, measurement, advice)]


def dead_rectifiers(evidence: Evidence) -> list[Finding]:
    """Units of a rectifier are 0 for all rows: no row gives them a gradient."""
    start, end = evidence.dead_shares(0), evidence.dead_shares(-1)
    if not end or max(start[0][0], end[0][0]) <= MAX_DEAD_SHARE:
        return []
    _, name, sample = end[0] if end[0][0] > MAX_DEAD_SHARE else start[0]
    before = next(each.zero_units for _, other, each in start if other == name)
    if before > MAX_DEAD_SHARE * sample.n_units:
        advice = "Start with a bias of 0 and 'he_normal' weights, or use LeakyReLU."
    else:
        advice = "Try a smaller learning rate, BatchNorm before the ReLU, or LeakyReLU."
    measurement = (
        f"{sample.zero_units} of {sample.n_units} units are 0 for all {sample.n_rows} rows; before training "
        f"{before} were."
    )
    return [Finding("dead ReLUs", name, measurement, advice)]
