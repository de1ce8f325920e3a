"""Symptoms in gradients: wrong, zero, exploding or vanishing."""

from __future__ import annotations

import math

from layernet.checking.gradients import GradientReport
from layernet.monitoring.evidence import NOTHING_LEARNED, Evidence
from layernet.monitoring.findings import Finding, listed, two_digits
from layernet.monitoring.user_gradients import CHECKED_ROWS

# Gradient norm * weight norm / reducible loss: 0.2 to 30 in healthy training that has something to learn.
MIN_RELATIVE_GRADIENT = 0.05

# Gradient norm of the first layer's weights / that of the last layer. Healthy networks have 0.1 to 10; sigmoids
# lose a factor of 4 or more in each layer (Hochreiter, 1991; Glorot and Bengio, 2010).
VANISHED_RATIO = 0.03
EXPLODED_RATIO = 1e3

# Loss before training / baseline. Healthy outputs start at about 1, and the loss near the baseline (Karpathy,
# 2019, A recipe for training neural networks). Weights that are too large by some factor make outputs too large
# by the factor to the power of the depth (He et al., 2015).
STARTS_TOO_HIGH = 50.0
# Standard deviation of the outputs. If it is smaller, the loss is that high because the targets are small.
OUTPUTS_TOO_LARGE = 10.0


def wrong_gradients(evidence: Evidence) -> list[Finding]:
    """A user's backward pass contradicts its forward pass."""
    wrong: dict[str, GradientReport] = {}
    for trial in evidence.monitor.trials:
        wrong = {name: report for name, report in trial.gradients.items() if not report} | wrong
    found = []
    for name, report in wrong.items():
        is_loss = name == evidence.monitor.loss_name
        backward, forward = ("gradient", "losses") if is_loss else ("backward_pass", "forward_pass")
        measurement = (
            f"{backward} of {name} contradicts {forward}: {_worst_error(report)} "
            f"(gradient check on {CHECKED_ROWS} rows of the data)."
        )
        advice = (
            f"Derive {backward} again. check_gradients(layer, inputs) shows which entries are wrong; this "
            "check used random directions."
        )
        found.append(Finding("wrong gradient", name, measurement, advice))
    return found


def _worst_error(report: GradientReport) -> str:
    worst = report.worst
    if worst.analytic == 0:
        values = f"it is exactly 0 where differences give a slope of {worst.numeric:.3g}"
    else:
        values = f"it is {worst.analytic:.3g} where differences give {worst.numeric:.3g}"
    wrong = [name for name, error in report.errors.items() if not error.error <= report.tolerance]
    return f"for {' and '.join(wrong)} {values}, a relative error of {worst.error:.2g}"


def zero_gradient(evidence: Evidence) -> list[Finding]:
    """The gradient of a layer is exactly 0 in every step: the layer never learns."""
    monitor = evidence.monitor
    layers = [index for index, has_weights in enumerate(monitor.has_weights) if has_weights]
    norms = monitor.gradient_norms[:, layers]
    if len(norms) < 2 or monitor.learning_rates.max(initial=0) == 0:
        return []
    names = [name for name, of_layer in zip(evidence.layer_names, norms.T, strict=True) if not of_layer.any()]
    if not names:
        return []
    others = [name for name in evidence.layer_names if name not in names]
    contrast = f"; that of {others[0]} was not" if others else ""
    measurement = (
        f"the gradient of the weights of {listed(names)} was exactly 0 in each of {len(norms)} steps{contrast}."
    )
    advice = (
        f"Check the layers between {names[-1]} and the loss: a backward pass that returns 0, an activation "
        "that is flat for all rows, weights of 0, or inputs that are all 0."
    )
    return [Finding("zero gradient", names[-1], measurement, advice)]


def exploding_gradients(evidence: Evidence) -> list[Finding]:
    """Activations, and with them gradients, grow from layer to layer before anything is learned."""
    advice = (
        "Draw smaller initial weights ('he_normal' for ReLU, 'glorot_uniform' for tanh), use BatchNorm, or "
        "clip gradients (clip_norm=1)."
    )
    if evidence.gradient_ratio > EXPLODED_RATIO:
        first, last = evidence.layer_names[0], evidence.layer_names[-1]
        norms = evidence.median_gradient_norms
        measurement = (
            f"the gradient norm is {norms[0]:.2g} in {first} and {norms[-1]:.2g} in {last}, where the backward "
            "pass begins."
        )
        return [Finding("exploding gradients", first, measurement, advice)]
    snapshots, gradient_norms = evidence.monitor.snapshots, evidence.monitor.gradient_norms
    spread = list(snapshots[0].outputs.values())[-1].std if snapshots else math.inf
    loss = snapshots[0].loss if snapshots else None
    overflowed = loss is not None and not math.isfinite(loss)
    starts_too_high = evidence.relative(evidence.initial_loss) > STARTS_TOO_HIGH
    if not overflowed and not (starts_too_high and spread > OUTPUTS_TOO_LARGE):
        return []
    outputs = f"outputs have a standard deviation of {two_digits(spread)}, " if snapshots else ""
    largest = (
        f"the largest gradient norm is {two_digits(gradient_norms[0].max())}, " if len(gradient_norms) else ""
    )
    measurement = (
        f"before training {outputs}{largest}and the loss is {two_digits(evidence.initial_loss)}; "
        f"{evidence.baseline:.3g} is {evidence.baseline_description}."
    )
    return [Finding("exploding gradients", None, measurement, advice)]


def vanishing_gradients(evidence: Evidence) -> list[Finding]:
    """Gradients shrink from layer to layer of the backward pass, or activations shrink in the forward pass."""
    if not evidence.learned_little or len(evidence.layer_names) < 2:
        return []
    first, last = evidence.layer_names[0], evidence.layer_names[-1]
    norms = evidence.median_gradient_norms
    # A gradient of exactly 0 did not vanish gradually: a layer blocks it.
    if 0 < evidence.gradient_ratio < VANISHED_RATIO:
        layer: str | None = first
        measurement = (
            f"the gradient norm is {norms[-1]:.1g} in {last} and {norms[0]:.1g} in {first}: over "
            f"{len(evidence.layer_names)} layers with weights it shrinks by a factor of "
            f"{evidence.gradient_ratio:.0e}."
        )
    # Only if nothing was learned: near a minimum, gradients are small in healthy training too.
    elif evidence.relative_loss > NOTHING_LEARNED and 0 < evidence.relative_gradient < MIN_RELATIVE_GRADIENT:
        layer = None
        measurement = (
            f"the median gradient norm is at most {max(norms):.1g} in any layer: if its weights moved by their "
            f"own norm, the loss would fall by about {evidence.relative_gradient:.1%} of "
            f"{evidence.reducible_loss:.3g}."
        )
    else:
        return []
    advice = (
        "Try ReLU with 'he_normal' weights, BatchNorm before the activations, Residual around pairs of layers, "
        "or fewer layers."
    )
    if len(evidence.layer_names) < 3:
        advice = "Try a larger learning rate, more epochs, or BatchNorm before the activations."
    return [Finding("vanishing gradients", layer, measurement, advice)]
