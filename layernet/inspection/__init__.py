"""Looking at networks: are the gradients right, are the laws kept, what is inside."""

from layernet.inspection.contract import ContractReport, check_layer
from layernet.inspection.gradients import GradientReport, check_gradients

__all__ = ["ContractReport", "GradientReport", "check_gradients", "check_layer"]
