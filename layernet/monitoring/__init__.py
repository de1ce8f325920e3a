"""Monitoring of training runs: records, diagnoses, and pictures of decision boundaries."""

from layernet.monitoring.boundaries import BoundaryRecorder, draw_boundary
from layernet.monitoring.diagnosis import diagnose
from layernet.monitoring.findings import Diagnosis, Finding
from layernet.monitoring.monitor import Monitor

__all__ = ["BoundaryRecorder", "Diagnosis", "Finding", "Monitor", "diagnose", "draw_boundary"]
