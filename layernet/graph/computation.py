"""The computation graph of a network at one sample, with all that follows from it."""

from __future__ import annotations

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
    """A network at one sample, neuron by neuron; made by `computation_graph`.

    It has the derivation of the gradients, by levels and by paths and for each parameter, the count of the
    work, a check of the numbers, and pictures. What a graph is made of is in `NeuronGraph`.
    """

    # --- what follows from it ---

    def levels(self) -> Derivation:
        """Back-propagation as on the slides, level by level from the target down to the inputs.

        The derivative of each neuron is a sum over the neurons of the level above,

            dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1,

        whose own derivatives are known by then and are used again.

        Returns
        -------
        Derivation
            Print it, or let Jupyter show it; `latex()` for a slide.
        """
        return levels(self)

    def paths(self, name: str) -> Derivation:
        """The derivative with respect to one neuron, written out as the sum over all paths to the target.

        Parameters
        ----------
        name : str
            "x1".

        Returns
        -------
        Derivation
            Factors that occur in more than one path are marked.

        Raises
        ------
        KeyError
            If there is no neuron of this name.
        ValueError
            If there are too many paths to write out.
        """
        return paths(self, name)

    def parameter(self, name: str, learning_rate: float = 0.1) -> ParameterDerivation:
        """The derivative with respect to a weight or a bias, and with a loss the step of gradient descent.

        dL/dw1 = dL/dp dp/dh2 dh2/dw1, and w1 becomes w1 - learning_rate dL/dw1. Where the target is an output
        there is no step, for nobody says that it should be smaller.

        Parameters
        ----------
        name : str
            "h2.w1" is the first weight of h2, "h2.b" its bias; see `parameters` and `shared_parameters`.
        learning_rate : float, default=0.1
            Of no effect without a loss.

        Returns
        -------
        ParameterDerivation

        Raises
        ------
        KeyError
            If there is no parameter of this name; the message lists the near ones.
        """
        return parameter(self, name, learning_rate)

    def count(self) -> Count:
        """The work for the derivatives of all inputs, by paths and by back-propagation.

        Up to two million paths are walked; of more the numbers alone are found, whatever the depth.

        Returns
        -------
        Count
        """
        return count_work(self)

    def verify(self) -> Verification:
        """Compare the gradients with those by edges, by paths, and by central differences.

        Returns
        -------
        Verification
            True if all agree.
        """
        return verify(self)

    # --- pictures ---

    def svg(self) -> str:
        """The graph as an SVG document of its own, for a file or a slide.

        Returns
        -------
        str
        """
        return graph_svg(self, lay_out(self), document=True)

    def dot(self) -> str:
        """The graph in the DOT language, for Graphviz and its relatives.

        Returns
        -------
        str
        """
        return dot(self)

    def steps(self) -> Stepper:
        """The forward pass and then the backward pass, neuron by neuron, to step through in a notebook.

        Returns
        -------
        Stepper
            It needs no running kernel; where scripts are stripped it is a still picture and a list.
        """
        return Stepper(self)

    def _repr_html_(self) -> str:
        return figure_html(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return mimebundle(self, self.svg())
