"""Computation graph of a network, neuron by neuron, and back-propagation on it, step by step."""

from layernet.graph.builders import computation_graph, lecture_graph
from layernet.graph.chain import LayerGraph
from layernet.graph.computation import ComputationGraph

__all__ = ["ComputationGraph", "LayerGraph", "computation_graph", "lecture_graph"]
