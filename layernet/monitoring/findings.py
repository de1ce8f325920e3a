"""Findings and diagnoses as text and HTML, and the wording of numbers and names in them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Finding:
    """Problem of a training run, with the measurement that shows it.

    Attributes
    ----------
    symptom : str
        Name of the problem: "dead ReLUs".
    layer : str or None
        Name of the layer that shows it most; None if it belongs to no layer.
    measurement : str
        What was measured, with its value.
    advice : str
        What to try.
    """

    symptom: str
    layer: str | None
    measurement: str
    advice: str

    def __str__(self) -> str:
        place = f", in {self.layer}" if self.layer else ""
        return f"{self.symptom}{place}: {self.measurement} {self.advice}"


class Diagnosis:
    """Findings of a training run; true if the run is healthy, readable when printed.

    Attributes
    ----------
    findings : tuple of Finding
        The likely cause first; possible consequences after it.
    training : str
        The course of the loss, in words.
    notes : tuple of Finding
        Remarks that are no problems, as two layers without an activation between them.
    """

    def __init__(self, findings: Sequence[Finding], training: str, notes: Sequence[Finding] = ()):
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
            lines += _wrapped(_sentence(finding.measurement)) + _wrapped(finding.advice)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items, notes = ("".join(map(_as_item, each)) for each in (self.findings, self.notes))
        findings = f"<ol>{items}</ol>" if items else ""
        remarks = f"<p>Notes:</p><ul>{notes}</ul>" if notes else ""
        return f"<p><strong>{self._verdict()}</strong>: {escape(self.training)}</p>{findings}{remarks}"

    def _verdict(self) -> str:
        return "Healthy" if self else counted(len(self.findings), "finding")


def _as_item(finding: Finding) -> str:
    return (
        f"<li><strong>{escape(_headline(finding))}</strong><br>{escape(_sentence(finding.measurement))}<br>"
        f"<em>{escape(finding.advice)}</em></li>"
    )


def _headline(finding: Finding) -> str:
    return f"{finding.symptom}, in {finding.layer}" if finding.layer else finding.symptom


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="   ", subsequent_indent="   ")


def counted(number: int, noun: str) -> str:
    """Write a number of things: "1 step", "2 steps"."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: list[str]) -> str:
    """Write names as an enumeration: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def two_digits(value: float) -> str:
    """Write a number with two digits, or say that it is not finite."""
    return f"{value:.2g}" if math.isfinite(value) else "no finite number"


def relative_to_weights(ratio: float) -> str:
    """Write an update ratio: "0.01 of the weights", "3 times the weights"."""
    if not ratio >= 1:
        return f"{ratio:.2g} of the weights"
    return f"{ratio:.2g} times the weights" if ratio < 100 else f"{ratio:.0e} times the weights"
