"""Layers that change the shape and no value: Flatten, Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from layernet.layer import Layer


class Flatten(Layer):
    """Turn every sample into one row of features, as Dense expects it.

    Outputs have the shape (n_samples, features); the way back restores the shape of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().forward_pass(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def record(self, inputs):
        features = math.prod(inputs.shape[1:])
        return np.array(inputs.reshape(len(inputs), features)), inputs.shape

    def backward_from(self, input_shape, grad_output):
        return np.array(grad_output.reshape(input_shape))


class Reshape(Layer):
    """Give every sample another shape with the same number of values.

    Parameters
    ----------
    shape : sequence of int
        Without the batch axis. One of the sizes may be -1: what is left over.

    Examples
    --------
    >>> import numpy as np
    >>> Reshape((8, -1)).forward_pass(np.zeros((5, 64))).shape
    (5, 8, 8)
    """

    def __init__(self, shape: Sequence[int]):
        def is_size(size):
            return isinstance(size, (int, np.integer)) and (size == -1 or size > 0)

        if np.ndim(shape) != 1 or not all(map(is_size, shape)) or list(shape).count(-1) > 1:
            raise ValueError(f"Reshape: shape must be positive sizes, one of which may be -1, got {shape!r}.")
        self.shape = tuple(map(int, shape))

    def record(self, inputs):
        return np.array(inputs.reshape(len(inputs), *self.sizes_for(inputs.shape[1:]))), inputs.shape

    def backward_from(self, input_shape, grad_output):
        return np.array(grad_output.reshape(input_shape))

    def sizes_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape with its -1 worked out, also where there are no samples to work it out from."""
        values = math.prod(input_shape)
        known = math.prod(size for size in self.shape if size != -1)
        sizes = tuple(values // known if size == -1 else size for size in self.shape)
        if math.prod(sizes) != values:
            raise ValueError(
                f"{self!r} cannot hold the {values} values of a sample of shape {input_shape}. "
                "Choose sizes whose product is that."
            )
        return sizes
