"""Notes: remarks on a network that are no problems of the training run."""

from __future__ import annotations

from layernet.monitoring.evidence import Evidence
from layernet.monitoring.findings import Finding
from layernet.monitoring.symptoms import outputs


def notes_on(evidence: Evidence, findings: list[Finding]) -> list[Finding]:
    """Return the notes on a network and its training run.

    Parameters
    ----------
    evidence : Evidence
    findings : list of Finding
        Findings of the diagnosis. A finding on the output activation replaces the note on it.

    Returns
    -------
    list of Finding
    """
    notes = no_activation_between(evidence)
    if not any(finding.layer == evidence.monitor.output_activation_name for finding in findings):
        notes += outputs.bounded_outputs(evidence)
    return notes


def no_activation_between(evidence: Evidence) -> list[Finding]:
    """Two layers with weights follow each other without an activation between them."""
    trials = evidence.monitor.trials
    pairs = trials[0].affine_pairs if trials else []
    if not pairs:
        return []
    first = pairs[0]
    n_in, n_between, n_out = first.sizes
    others = [f"{pair.first} and {pair.second}" for pair in pairs[1:3]]
    more = f" The same holds for {'; '.join(others)}{'; ...' if len(pairs) > 3 else ''}." if others else ""
    measurement = (
        f"{first.first} and {first.second} ({n_in} to {n_between} to {n_out} numbers) have no nonlinear layer "
        f"between them: in prediction they compute what one layer from {n_in} to {n_out} computes.{more}"
    )
    advice = "Put an activation between them (ReLU), or leave one of them out."
    return [Finding("no activation between layers", first.first, measurement, advice)]
