"""Checks of layers: gradients against finite differences, the laws of a layer, and kernels against formulas."""

from layernet.checking.contract import check_layer
from layernet.checking.gradients import GradientReport, check_gradients
from layernet.checking.kernels import check_kernel
from layernet.checking.laws import ContractReport

__all__ = ["ContractReport", "GradientReport", "check_gradients", "check_kernel", "check_layer"]
