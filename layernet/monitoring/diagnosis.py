"""Diagnosis of a training run from its record: which symptoms are looked for, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable

from layernet.checking.gradients import GradientReport
from layernet.monitoring.evidence import Evidence
from layernet.monitoring.findings import Diagnosis, Finding, counted, listed
from layernet.monitoring.monitor import Monitor
from layernet.monitoring.record import TrainingRecord
from layernet.monitoring.symptoms import (
    data,
    generalization,
    gradients,
    learning_rate,
    outputs,
    progress,
    regularization,
    units,
)
from layernet.monitoring.symptoms.notes import notes_on


def diagnose(monitor: Monitor) -> Diagnosis:
    """Find the problems of a training run that a monitor has recorded.

    Parameters
    ----------
    monitor : Monitor
        After a training run, also one that ended in a `DivergenceError`.

    Returns
    -------
    Diagnosis
        True if the run is healthy.

    Raises
    ------
    ValueError
        If the monitor has recorded no step.
    TypeError
        If it is no monitor.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import SGD, Dense, Monitor, ReLU, Sequential
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> net, monitor = Sequential([Dense(16), ReLU(), Dense(2)]), Monitor()
    >>> history = net.fit(X, y, loss="cross_entropy", optimizer=SGD(1e-6), callbacks=[monitor], random_state=0)
    >>> [finding.symptom for finding in diagnose(monitor)]
    ['learning rate too low']
    """
    require_recorded_steps(monitor)
    evidence = Evidence(monitor)
    findings = findings_of_divergence(evidence) if monitor.diverged else findings_of_training(evidence)
    findings += generalization.validation_of_another_range(evidence)
    return Diagnosis(findings, describe_run(evidence, bool(findings)), notes_on(evidence, findings))


def findings_of_divergence(evidence: Evidence) -> list[Finding]:
    """Explain a run that diverged: by a measured cause, or else by a learning rate that is too high."""
    causes = constant_data(evidence) or measured_causes(evidence)
    diverged = learning_rate.diverged(evidence)
    return [*causes, diverged] if causes else [diverged, learning_rate.rate_that_diverged(evidence)]


def findings_of_training(evidence: Evidence) -> list[Finding]:
    """Explain a run that did not diverge; the first step that finds something decides.

    1. Constant inputs or targets: nothing can be learned.
    2. Causes that were measured on data, weights, passes and settings. Stuck units may follow from them.
    3. A learning rate that is too high, by the course of the loss and the largest update.
    4. Stuck units: saturated activations, dead rectifiers, outputs at a bound.
    5. Explanations from the course of the loss alone, the most specific first.
    """
    if constant := constant_data(evidence):
        return constant

    stuck = stuck_units(evidence)
    stuck_at_start = [each for each in stuck if evidence.was_present_before_training(each)]
    causes = [*measured_causes(evidence), *limits_of_training(evidence)]
    if not stuck_at_start:
        # The loss does not move units that are stuck from the start, so that any weight decay exceeds it.
        causes += regularization.weight_decay_too_strong(evidence)
    if causes:
        return [*causes, *stuck]

    if too_high := learning_rate.rate_too_high(evidence):
        vanishing = gradients.vanishing_gradients(evidence) if evidence.vanishes_at_start else []
        stuck_later = [each for each in stuck if each not in stuck_at_start]
        return [*stuck_at_start, *vanishing, *too_high, *stuck_later]

    return stuck or explanation_of_loss(evidence)


def constant_data(evidence: Evidence) -> list[Finding]:
    """Look for constant inputs or targets, beside which nothing else matters."""
    return [*data.constant_targets(evidence), *data.constant_inputs(evidence)]


def measured_causes(evidence: Evidence) -> list[Finding]:
    """Look for causes in passes, weights, output activation, scales and noise."""
    unscaled = data.inputs_not_scaled(evidence) or data.informative_feature_too_small(evidence)
    unscaled += data.targets_not_scaled(evidence)
    noise = regularization.too_much_noise(evidence)
    return [
        *gradients.wrong_gradients(evidence),
        *units.symmetric_weights(evidence),
        *(noise if unscaled else []),
        *(outputs.unreachable_targets(evidence) or outputs.stuck_at_unsuitable_bound(evidence)),
        # Large inputs make everything large, and so does noise: both come before exploding gradients.
        *(unscaled or noise or gradients.exploding_gradients(evidence)),
    ]


def limits_of_training(evidence: Evidence) -> list[Finding]:
    """Look for what kept a run that reached its end from learning more."""
    return [
        *data.rows_in_order(evidence),
        *data.contradictory_rows(evidence),
        *learning_rate.schedule_ended_early(evidence),
    ]


def stuck_units(evidence: Evidence) -> list[Finding]:
    """Look for units that get no gradient: in activations, or in outputs at a bound."""
    found = [*units.saturated_activations(evidence), *units.dead_rectifiers(evidence)]
    if not any(each.layer == evidence.monitor.output_activation_name for each in found):
        found += outputs.stuck_at_suitable_bound(evidence)
    return found


def explanation_of_loss(evidence: Evidence) -> list[Finding]:
    """Return the first explanation of the loss that applies."""
    explanations: list[Callable[[Evidence], list[Finding]]] = [
        gradients.vanishing_gradients,
        gradients.zero_gradient,
        learning_rate.rate_too_low,
        progress.labels_shuffled,
        progress.stopped_too_early,
        outputs.harmful_bounded_outputs,
        generalization.no_generalization,
        progress.underfitting,
        generalization.overfitting,
        progress.little_was_learned,
    ]
    if evidence.has_permutation_test and not learning_rate.rate_too_low(evidence):
        # If the rows show that inputs and targets are unrelated, small gradients are a consequence.
        explanations.insert(0, progress.labels_shuffled)
    for look_for in explanations:
        if found := look_for(evidence):
            return found
    return []


def require_recorded_steps(monitor: Monitor) -> None:
    """Raise an error unless this is a monitor with a recorded step."""
    if not isinstance(monitor, Monitor):
        raise TypeError(f"diagnose expects the Monitor that fit had as a callback, got {monitor!r}.")
    if not (monitor.steps_done or monitor.diverged):
        hint = (
            "L-BFGS does none: use another optimizer, or train longer than to the first step."
            if monitor.snapshots
            else "Pass it to fit first: callbacks=[monitor]."
        )
        raise ValueError(f"diagnose: this monitor has recorded no training step. {hint}")


def describe_run(evidence: Evidence, has_findings: bool) -> str:
    """Describe the course of the loss, and the gradient checks, in words."""
    monitor = evidence.monitor
    words = "no step was done"
    if monitor.steps_done:
        steps = counted(monitor.steps_done, "step")
        words = f"the loss went from {evidence.initial_loss:.3g} to {evidence.final_loss:.3g} in {steps}"
    if evidence.data_profile.targets is None:
        words = f"{words}; targets were not seen."
    # A healthy run may still have learned little: the relative loss lets the reader judge.
    elif has_findings or not math.isfinite(evidence.relative_loss):
        words = f"{words}."
    else:
        words = f"{words}, {evidence.relative_loss:.0%} of {evidence.baseline_description}."
    return f"{words}{_describe_checks(monitor)}"


def _describe_checks(monitor: TrainingRecord) -> str:
    """Describe the gradient checks of the user's layers; empty without such layers."""
    reports: dict[str, GradientReport] = {}
    unchecked: dict[str, str] = {}
    for trial in monitor.trials:
        reports |= {name: report for name, report in trial.gradients.items() if reports.get(name, True)}
        unchecked |= trial.unchecked
    words = ""
    if reports and all(reports.values()):
        worst = max(report.worst.error for report in reports.values())
        names = list(reports)
        which = listed(names) if len(names) < 5 else f"{names[0]} to {names[-1]} ({len(names)} of your own)"
        words = f" The gradients of {which} were checked and are right, to {worst:.0e}."
    missing = [name for name in unchecked if name not in reports]
    if missing:
        words += f" The gradients of {listed(missing)} could not be checked: {unchecked[missing[0]]}."
    return words
