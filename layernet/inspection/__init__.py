"""Looking at networks: are the gradients right, are the laws kept, what is inside, how does it learn."""

from layernet.inspection.contract import ContractReport, check_layer
from layernet.inspection.gradients import GradientReport, check_gradients
from layernet.inspection.graph import ComputationGraph, LayerGraph, computation_graph, lecture_graph

__all__ = [
    "ComputationGraph",
    "ContractReport",
    "GradientReport",
    "LayerGraph",
    "check_gradients",
    "check_layer",
    "computation_graph",
    "lecture_graph",
]
