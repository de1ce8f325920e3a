"""Monitoring: what a training looks like from inside, what is wrong with it, and what was learned."""

from layernet.monitoring.boundaries import BoundaryRecorder, draw_boundary
from layernet.monitoring.diagnosis import Diagnosis, diagnose
from layernet.monitoring.evidence import Finding
from layernet.monitoring.monitor import Monitor

__all__ = ["BoundaryRecorder", "Diagnosis", "Finding", "Monitor", "diagnose", "draw_boundary"]
