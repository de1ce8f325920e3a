"""Looking at networks: are the gradients right, are the laws kept, what is inside, how does it learn."""

from layernet.inspection.boundaries import BoundaryFilm, draw_boundary
from layernet.inspection.contract import check_layer
from layernet.inspection.gradients import GradientReport, check_gradients
from layernet.inspection.graph import ComputationGraph, LayerGraph, computation_graph, lecture_graph
from layernet.inspection.health import Diagnosis, Finding, Monitor, diagnose
from layernet.inspection.kernels import check_kernel
from layernet.inspection.laws import ContractReport
from layernet.inspection.learning_rate import LearningRateSearch, find_learning_rate

__all__ = [
    "BoundaryFilm",
    "ComputationGraph",
    "ContractReport",
    "Diagnosis",
    "Finding",
    "GradientReport",
    "LayerGraph",
    "LearningRateSearch",
    "Monitor",
    "check_gradients",
    "check_kernel",
    "check_layer",
    "computation_graph",
    "diagnose",
    "draw_boundary",
    "find_learning_rate",
    "lecture_graph",
]
