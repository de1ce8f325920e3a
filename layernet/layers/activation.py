"""Base class of activations whose backward pass needs only their outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.guards.inputs import forward_unchecked
from layernet.layer import Layer


class Activation(Layer, abstract=True):
    """Activation whose derivative is a function of its outputs, which are its record.

    A subclass defines `forward_pass(inputs)` and `backward_from(outputs, grad_output)`.
    """

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        outputs = forward_unchecked(self, inputs)
        return outputs, outputs
