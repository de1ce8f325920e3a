"""The health of a training: a monitor records it from inside, and a doctor reads the record."""

from layernet.inspection.health.diagnosis import Diagnosis, diagnose
from layernet.inspection.health.evidence import Finding
from layernet.inspection.health.monitor import Monitor

__all__ = ["Diagnosis", "Finding", "Monitor", "diagnose"]
