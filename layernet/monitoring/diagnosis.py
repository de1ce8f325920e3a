"""The doctor: what ails a training, read off the numbers that a monitor has kept."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from layernet.monitoring.evidence import Evidence, Finding, counted, listed
from layernet.monitoring.monitor import Monitor
from layernet.monitoring.symptoms import generalization, obstacles, progress, signals
from layernet.monitoring.symptoms.notes import notes_on


class Diagnosis:
    """What was found in a training: true if it is healthy, and readable when printed.

    Attributes
    ----------
    findings : tuple of Finding
        The likely cause first; what may follow from it after that.
    training : str
        What was looked at, in words.
    notes : tuple of Finding
        Remarks on what is no illness, as two layers without an activation between them.
    """

    def __init__(self, findings: list[Finding], training: str, notes: Sequence[Finding] = ()):
        self.findings = tuple(findings)
        self.training = training
        self.notes = tuple(notes)

    def __bool__(self) -> bool:
        return not self.findings

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        lines = [f"{self._verdict()}: {self.training}"]
        numbered = [(f"{number}.", finding) for number, finding in enumerate(self.findings, start=1)]
        for mark, finding in [*numbered, *(("Note:", note) for note in self.notes)]:
            lines.append(f"{mark} {_headline(finding)}")
            lines += _wrapped(_sentence(finding.figure)) + _wrapped(finding.advice)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items, notes = ("".join(map(_as_item, each)) for each in (self.findings, self.notes))
        findings = f"<ol>{items}</ol>" if items else ""
        remarks = f"<p>Notes:</p><ul>{notes}</ul>" if notes else ""
        return f"<p><strong>{self._verdict()}</strong>: {escape(self.training)}</p>{findings}{remarks}"

    def _verdict(self):
        return "Healthy" if self else counted(len(self.findings), "finding")


def diagnose(monitor: Monitor) -> Diagnosis:
    """Say what ails a training that a monitor has watched, or that it is healthy.

    Parameters
    ----------
    monitor : Monitor
        After a training, also after one that ended in a `DivergenceError`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If the monitor has seen no training.
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
    >>> [finding.illness for finding in diagnose(monitor)]
    ['learning rate too low']
    """
    if not isinstance(monitor, Monitor):
        raise TypeError(f"diagnose expects the Monitor that fit had as a callback, got {monitor!r}.")
    if not (monitor.steps_done or monitor.diverged):
        hint = (
            "L-BFGS does none: use another optimizer, or train longer than to the first step."
            if monitor.looks
            else "Give it to fit first: callbacks=[monitor]."
        )
        raise ValueError(f"diagnose: this monitor has seen no step of a training. {hint}")
    evidence = Evidence(monitor)
    findings = _of_divergence(evidence) if monitor.diverged else _of_training(evidence)
    findings += generalization.validation_of_another_range(evidence)
    return Diagnosis(findings, _what_was_seen(evidence, bool(findings)), notes_on(evidence, findings))


def _of_divergence(evidence: Evidence) -> list[Finding]:
    """Why a training diverged: a cause that can be seen, or else the steps were too large."""
    causes = _nothing_to_learn(evidence) or _causes(evidence)
    diverged = progress.diverged(evidence)
    return [*causes, diverged] if causes else [diverged, progress.rate_of_divergence(evidence)]


def _of_training(evidence: Evidence) -> list[Finding]:
    """Causes before what may follow from them; guesses from the loss alone only where nothing else was seen."""
    if nothing_to_learn := _nothing_to_learn(evidence):
        return nothing_to_learn
    stuck_units = [*signals.saturated_activations(evidence), *signals.dead_rectifiers(evidence)]
    if not any(each.layer == evidence.monitor.end_name for each in stuck_units):
        stuck_units += obstacles.stuck_numbers(evidence)
    born_so = [each for each in stuck_units if evidence.was_there_before_training(each)]
    causes = [*_causes(evidence), *_brakes(evidence)]
    if not born_so:
        # Where units were stuck from the start the loss does not pull, and any decay pulls more.
        causes += obstacles.weight_decay_too_strong(evidence)
    if causes:
        return [*causes, *stuck_units]
    too_high = progress.rate_too_high(evidence)
    if too_high:
        if evidence.vanishes_from_the_start:
            too_high = [*signals.vanishing_gradients(evidence), *too_high]
        return [*born_so, *too_high, *(each for each in stuck_units if each not in born_so)]
    found = stuck_units
    # Where it is known of the rows themselves that they say nothing, no gradient is to blame.
    if evidence.knows_signal and not progress.rate_too_low(evidence):
        found = found or progress.labels_shuffled(evidence)
    others = (
        signals.vanishing_gradients,
        obstacles.no_gradient,
        progress.rate_too_low,
        progress.labels_shuffled,
        progress.stopped_too_early,
        obstacles.bounded_end_that_harms,
        generalization.validation_of_another_kind,
        progress.underfitting,
        generalization.overfitting,
        progress.little_was_learned,
    )
    for look_for in others:
        found = found or look_for(evidence)
    return found


def _nothing_to_learn(evidence: Evidence) -> list[Finding]:
    """Inputs or targets that are all the same, beside which nothing else matters."""
    return [*signals.equal_targets(evidence), *obstacles.inputs_do_not_vary(evidence)]


def _causes(evidence: Evidence) -> list[Finding]:
    """Facts about passes, data, weights and the network's end, from which the rest may follow."""
    inputs = signals.inputs_not_scaled(evidence) or signals.small_feature_matters(evidence)
    unscaled = [*inputs, *signals.targets_not_scaled(evidence)]
    noise = obstacles.too_much_noise(evidence)
    return [
        *obstacles.wrong_gradients(evidence),
        *signals.symmetric_weights(evidence),
        *(noise if unscaled else []),
        *(obstacles.unreachable_targets(evidence) or obstacles.stuck_logits(evidence)),
        # Inputs that are too large make everything large, and so does noise.
        *(unscaled or noise or signals.exploding_gradients(evidence)),
    ]


def _brakes(evidence: Evidence) -> list[Finding]:
    """What kept a training that came to its end from learning more."""
    looks = (
        obstacles.rows_in_order,
        obstacles.contradictory_rows,
        obstacles.learning_rate_gone,
    )
    return [finding for look in looks for finding in look(evidence)]


def _what_was_seen(evidence: Evidence, is_sick: bool) -> str:
    monitor = evidence.monitor
    words = "no step was done"
    if monitor.steps_done:
        steps = counted(monitor.steps_done, "step")
        words = f"the loss went from {evidence.start:.3g} to {evidence.end:.3g} in {steps}"
    if monitor.material.targets is None:
        words = f"{words}; targets were not seen."
    # What is healthy may still be little: how little, the reader may judge.
    elif is_sick or not math.isfinite(evidence.level):
        words = f"{words}."
    else:
        words = f"{words}, {evidence.level:.0%} of {evidence.baseline_words}."
    return f"{words}{_what_was_checked(monitor)}"


def _what_was_checked(monitor):
    """The result of the gradient check, where there were layers to check."""
    reports, unchecked = {}, {}
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


def _as_item(finding: Finding) -> str:
    return (
        f"<li><strong>{escape(_headline(finding))}</strong><br>{escape(_sentence(finding.figure))}<br>"
        f"<em>{escape(finding.advice)}</em></li>"
    )


def _headline(finding: Finding) -> str:
    return f"{finding.illness}, in {finding.layer}" if finding.layer else finding.illness


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="   ", subsequent_indent="   ")
