"""Laws: functions that raise an error if a property does not hold, and a report of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ContractReport:
    """Result of a check: the laws that a layer keeps, and those that it breaks. True if it keeps all.

    Attributes
    ----------
    layer : str
    laws : str
        Words for the laws in the report.
    kept : list of str
        The laws that hold.
    broken : dict of str to str
        For each broken law, how it is broken.
    """

    layer: str
    laws: str = "laws of a layer"
    kept: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        verdict = f"breaks {len(self.broken)} of" if self.broken else "keeps all"
        lines = [f"{self.layer} {verdict} {len(self.kept) + len(self.broken)} {self.laws}."]
        before = None
        for law, how in self.broken.items():
            text = how.replace("\n", f"\n{' ' * 9}") if how != before else "As before."
            lines.append(f"  BROKEN {law}\n{' ' * 9}{text}")
            before = how
        return "\n".join([*lines, *(f"  kept   {law}" for law in self.kept)])

    __repr__ = __str__


def try_laws(
    report: ContractReport,
    laws: Iterable[Callable[[Any], None]],
    cases: Callable[[], Iterable[tuple[str, Callable[[], Any]]]],
) -> ContractReport:
    """Test each law in all cases, up to the first case in which it does not hold.

    Parameters
    ----------
    report : ContractReport
        Empty.
    laws : iterable of callable
        Called with a case. The first line of the docstring states the law.
    cases : callable
        Returns pairs: a description, and a function that makes the case.

    Returns
    -------
    ContractReport
        The same object, filled.

    Raises
    ------
    AssertionError
        If a law is broken; the message is the report.
    """
    for law in laws:
        text = (law.__doc__ or law.__name__).splitlines()[0]
        where = "before the first case"
        try:
            for description, make in cases():
                where = description
                law(make())
            report.kept.append(text)
        except AssertionError as error:
            report.broken[text] = f"{where}: {error}"
        except Exception as error:
            report.broken[text] = f"{where}, an error was raised: {type(error).__name__}: {error}"
    if report.broken:
        raise AssertionError(str(report))
    return report
