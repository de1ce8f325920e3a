"""Notes: what is worth a remark in a network, and makes no training ill."""

from __future__ import annotations

from layernet.monitoring.evidence import Evidence, Finding
from layernet.monitoring.symptoms import obstacles


def notes_on(evidence: Evidence, findings: list[Finding]) -> list[Finding]:
    """The remarks on a network and its training.

    Parameters
    ----------
    evidence : Evidence
    findings : list of Finding
        What ails it. A bounded end that does harm is one of these, and no note.

    Returns
    -------
    list of Finding
    """
    notes = no_activation_between(evidence)
    if not any(finding.layer == evidence.monitor.end_name for finding in findings):
        notes += obstacles.bounded_end(evidence)
    return notes


def no_activation_between(evidence: Evidence) -> list[Finding]:
    """Two layers follow each other with nothing between them that bends."""
    trials = evidence.monitor.trials
    pairs = trials[0].straight_pairs if trials else []
    if not pairs:
        return []
    first = pairs[0]
    n_in, n_between, n_out = first.sizes
    others = [f"{pair.first} and {pair.second}" for pair in pairs[1:3]]
    more = f" The same holds for {'; '.join(others)}{'; ...' if len(pairs) > 3 else ''}." if others else ""
    figure = (
        f"{first.first} and {first.second} ({n_in} to {n_between} to {n_out} numbers) have nothing between "
        f"them that bends: in prediction they compute what one layer from {n_in} to {n_out} computes.{more}"
    )
    advice = "Put an activation between them (ReLU), or leave one of them out."
    return [Finding("no activation between layers", first.first, figure, advice)]
