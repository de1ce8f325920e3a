"""Symptoms of too much regularization: noise that hides the signal, weight decay that outweighs the loss."""

from __future__ import annotations

import math

import numpy as np

from layernet.monitoring.evidence import LEARNED_ENOUGH, Evidence, quantile
from layernet.monitoring.findings import Finding

# Share of signal in the outputs of a layer with noise: 0.5 to 0.9 for the usual dropout rates (Srivastava et
# al., 2014), 0.05 for a rate of 0.95, 0.01 for noise of ten times the signal.
MIN_SIGNAL_SHARE = 0.1

# Update by weight decay / update by the loss. Usual decays (1e-4 for SGD, 0.01 for AdamW) give 0.001 to 0.05.
# At a minimum both updates are equal with coupled decay, however small the decay: a high ratio counts only if
# the weights shrank to half. With decoupled decay, or a very high ratio, the weights must have shrunk at all,
# because the smallest decay exceeds the gradient where the loss is flat.
HIGH_DECAY_RATIO = 0.5
VERY_HIGH_DECAY_RATIO = 3.0
# Weight norm at the end / at the start.
HALVED_WEIGHTS = 0.5
SHRUNK_WEIGHTS = 0.9
COLLAPSED_WEIGHTS = 1e-3


def too_much_noise(evidence: Evidence) -> list[Finding]:
    """Dropout or noise leaves too little of the signal to learn from."""
    trials = evidence.monitor.trials
    if not trials or not trials[-1].signal_shares:
        return []
    shares, share_of_outputs = trials[-1].signal_shares, trials[-1].signal_share
    name = min(shares, key=lambda each: shares[each])
    one_layer = shares[name] < MIN_SIGNAL_SHARE and evidence.relative_loss > LEARNED_ENOUGH
    # The noise of several layers adds up.
    together = max(math.prod(shares.values()), share_of_outputs)
    all_layers = together < MIN_SIGNAL_SHARE and evidence.learned_little
    if not (one_layer or all_layers):
        return []
    outputs = "" if math.isnan(share_of_outputs) else f", and {share_of_outputs:.0%} of the network's outputs"
    measurement = (
        f"{shares[name]:.1%} of the outputs of {name} is signal{outputs}; the rest differs from one draw of "
        f"the noise to the next. The loss ended at {evidence.final_loss:.3g}, {evidence.relative_loss:.0%} of "
        f"{evidence.baseline_description}."
    )
    advice = (
        "Reduce the noise: usual are dropout rates of 0.1 to 0.5, and noise of 0.1 to 0.5 standard deviations "
        "of the inputs. Train without noise first."
    )
    return [Finding(f"too much {'dropout' if 'Dropout' in name else 'noise'}", name, measurement, advice)]


def weight_decay_too_strong(evidence: Evidence) -> list[Finding]:
    """Weight decay pulls the weights of a layer to 0 faster than the loss moves them away."""
    monitor = evidence.monitor
    if not (monitor.has_weight_decay and evidence.relative_loss > LEARNED_ENOUGH and len(monitor.steps)):
        return []
    late = monitor.steps > monitor.steps_done / 2
    ratios = monitor.decay_ratios[late] if late.any() else monitor.decay_ratios
    worst: tuple[float, str, float, float, float] | None = None
    for index, (name, has) in enumerate(zip(monitor.layers, monitor.has_weights, strict=True)):
        start, end = map(float, monitor.weight_norms[[0, -1], index])
        ratio, shrunk = quantile(ratios[:, index], 0.5), end / start if start > 0 else 1.0
        is_high = ratio > HIGH_DECAY_RATIO
        outweighs_loss = ratio > VERY_HIGH_DECAY_RATIO or (monitor.decay_is_decoupled and is_high)
        too_strong = (
            (outweighs_loss and shrunk < SHRUNK_WEIGHTS)
            or (is_high and shrunk < HALVED_WEIGHTS)
            or shrunk < COLLAPSED_WEIGHTS
        )
        if has and too_strong and (worst is None or shrunk < worst[0]):
            worst = shrunk, name, ratio, start, end
    if worst is None:
        return []
    _, name, ratio, start, end = worst
    compared = (
        f"moves the weights {ratio:.2g} times as much as the loss" if np.isfinite(ratio) else "acts alone"
    )
    measurement = (
        f"weight decay {compared} in the median step of the second half (0.001 to 0.05 is usual), and the norm "
        f"of the weights of {name} went from {start:.3g} to {end:.2g}; the loss ended at "
        f"{evidence.final_loss:.3g}, {evidence.relative_loss:.0%} of {evidence.baseline_description}."
    )
    advice = "Divide the weight decay (alpha, in an estimator) by 100, or train without: weight_decay=0."
    return [Finding("weight decay too strong", name, measurement, advice)]
