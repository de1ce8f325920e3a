"""Is a training well: a monitor that watches it from inside, and a doctor who reads what it saw."""

from layernet.inspection.health.diagnosis import Diagnosis, diagnose
from layernet.inspection.health.evidence import Finding
from layernet.inspection.health.monitor import Monitor

__all__ = ["Diagnosis", "Finding", "Monitor", "diagnose"]
