"""Graphs as text in the DOT language, for Graphviz and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layernet.inspection.graph.symbols import number

if TYPE_CHECKING:
    from layernet.inspection.graph.chain import LayerGraph
    from layernet.inspection.graph.computation import ComputationGraph


def dot(graph: ComputationGraph) -> str:
    """A neuron a node, with value and gradient; a derivative an edge.

    Parameters
    ----------
    graph : ComputationGraph

    Returns
    -------
    str
    """
    lines = ["digraph network {", "  rankdir=LR;", "  node [shape=circle];"]
    for column in graph.columns:
        names = " ".join(f'"{symbol}";' for symbol in column.symbols)
        lines.append(f"  {{ rank=same; {names} }}")
    for node in graph.nodes:
        label = f"{node.name}\\n{number(node.value)}\\nd{graph.target}/d{node.name} = {number(node.gradient)}"
        lines.append(f'  "{node.name}" [label="{label}"];')
    lines += [f'  "{edge.start}" -> "{edge.end}" [label="{number(edge.derivative)}"];' for edge in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def chain_dot(graph: LayerGraph) -> str:
    """A layer a node.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    str
    """
    lines = ["digraph network {", "  node [shape=box];"]
    for index, node in enumerate(graph.nodes):
        name = node.name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  {index} [label="{name}\\n{node.shape}"];')
    lines += [f"  {index} -> {index + 1};" for index in range(len(graph.nodes) - 1)]
    return "\n".join([*lines, "}"]) + "\n"
