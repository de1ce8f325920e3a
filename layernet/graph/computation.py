"""Computation graph of a network at one sample: derivations, counts, verification and drawings."""

from __future__ import annotations

from typing import Any

from layernet.display.drawing import mimebundle
from layernet.graph.chain_rule import levels, parameter, paths
from layernet.graph.counting import Count, count_work
from layernet.graph.dot import dot
from layernet.graph.drawing import figure_html, graph_svg
from layernet.graph.equations import Derivation, ParameterDerivation
from layernet.graph.layout import lay_out
from layernet.graph.neurons import NeuronGraph
from layernet.graph.stepper import Stepper
from layernet.graph.verification import Verification, verify


class ComputationGraph(NeuronGraph):
    """Graph of a network at one sample, neuron by neuron; made by `computation_graph`.

    It derives the gradients by levels, by paths and for each parameter, counts the work, verifies the numbers,
    and draws them. `NeuronGraph` has its nodes and edges.
    """

    # --- derivations ---

    def levels(self) -> Derivation:
        """Derive all gradients by back-propagation, level by level from the target to the inputs.

        The derivative of each neuron is a sum over the neurons of the level above,

            dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1,

        whose derivatives are already computed.

        Returns
        -------
        Derivation
            Print it, or display it in Jupyter; `latex()` for a slide.
        """
        return levels(self)

    def paths(self, name: str) -> Derivation:
        """Derive the gradient of one neuron as the sum over all paths to the target.

        Parameters
        ----------
        name : str
            "x1".

        Returns
        -------
        Derivation
            Factors of more than one path are marked.

        Raises
        ------
        KeyError
            If there is no neuron of this name.
        ValueError
            If there are too many paths to write.
        """
        return paths(self, name)

    def parameter(self, name: str, learning_rate: float = 0.1) -> ParameterDerivation:
        """Derive the gradient of a weight or a bias, and with a loss the step of gradient descent.

        dL/dw1 = dL/dp dp/dh2 dh2/dw1, and w1 becomes w1 - learning_rate dL/dw1. There is no step if the target
        is an output, because an output need not become smaller.

        Parameters
        ----------
        name : str
            "h2.w1" is the first weight of h2, "h2.b" its bias; see `parameters` and `shared_parameters`.
        learning_rate : float, default=0.1
            Without effect if there is no loss.

        Returns
        -------
        ParameterDerivation

        Raises
        ------
        KeyError
            If there is no parameter of this name; the message lists similar names.
        """
        return parameter(self, name, learning_rate)

    def count(self) -> Count:
        """Count the multiplications for the derivatives of all inputs, by paths and by back-propagation.

        Up to two million paths are walked; of more paths only the numbers are computed.

        Returns
        -------
        Count
        """
        return count_work(self)

    def verify(self) -> Verification:
        """Compare the gradients with sums over edges, sums over paths, and central differences.

        Returns
        -------
        Verification
            True if all agree.
        """
        return verify(self)

    # --- drawings ---

    def svg(self) -> str:
        """Draw the graph as an SVG document, for a file or a slide.

        Returns
        -------
        str
        """
        return graph_svg(self, lay_out(self), document=True)

    def dot(self) -> str:
        """Write the graph in the DOT language, as for Graphviz.

        Returns
        -------
        str
        """
        return dot(self)

    def steps(self) -> Stepper:
        """Step through the forward pass and the backward pass in a notebook, neuron by neuron.

        Returns
        -------
        Stepper
            It needs no running kernel. Without scripts it is a drawing and a list of all steps.
        """
        return Stepper(self)

    def _repr_html_(self) -> str:
        return figure_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return mimebundle(self, self.svg())
