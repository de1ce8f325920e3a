"""Graphs of neurons as text in the DOT language, for Graphviz and its relatives."""

from __future__ import annotations

from layernet.graph.neurons import NeuronGraph
from layernet.graph.symbols import number


def dot(graph: NeuronGraph) -> str:
    """Write a graph in DOT: nodes with value and gradient, edges with derivatives.

    Parameters
    ----------
    graph : NeuronGraph

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
