"""Base class of activations whose backward pass needs nothing but their outputs."""

from __future__ import annotations

from layernet.guards.inputs import forward_unchecked
from layernet.layer import Layer


class Activation(Layer, abstract=True):
    """An activation whose derivative follows from its outputs alone, so these are its record.

    A subclass defines `forward_pass(inputs)` and `backward_from(outputs, grad_output)`.
    """

    def record(self, inputs):
        outputs = forward_unchecked(self, inputs)
        return outputs, outputs
