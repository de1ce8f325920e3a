"""Layers that change the shape of their inputs: Flatten, Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernet.layer import Layer


class Flatten(Layer):
    """Reshape every sample to one row of features, as Dense expects it.

    Outputs have the shape (n_samples, features).

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().forward_pass(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        features = math.prod(inputs.shape[1:])
        return np.array(inputs.reshape(len(inputs), features)), inputs.shape

    def backward_from(self, input_shape: tuple[int, ...], grad_output: np.ndarray) -> np.ndarray:
        return np.array(grad_output.reshape(input_shape))


class Reshape(Layer):
    """Reshape every sample.

    Parameters
    ----------
    shape : sequence of int
        Without the batch axis. One size may be -1, which is inferred.

    Examples
    --------
    >>> import numpy as np
    >>> Reshape((8, -1)).forward_pass(np.zeros((5, 64))).shape
    (5, 8, 8)
    """

    def __init__(self, shape: Sequence[int]) -> None:
        def is_size(size: Any) -> bool:
            return isinstance(size, (int, np.integer)) and bool(size == -1 or size > 0)

        if np.ndim(shape) != 1 or not all(map(is_size, shape)) or list(shape).count(-1) > 1:
            raise ValueError(f"Reshape: shape must be positive sizes, one of which may be -1, got {shape!r}.")
        self.shape = tuple(map(int, shape))

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.array(inputs.reshape(len(inputs), *self.sizes_for(inputs.shape[1:]))), inputs.shape

    def backward_from(self, input_shape: tuple[int, ...], grad_output: np.ndarray) -> np.ndarray:
        return np.array(grad_output.reshape(input_shape))

    def sizes_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape with its -1 replaced; needs no samples."""
        values = math.prod(input_shape)
        known = math.prod(size for size in self.shape if size != -1)
        sizes = tuple(values // known if size == -1 else size for size in self.shape)
        if math.prod(sizes) != values:
            raise ValueError(
                f"{self!r} cannot hold the {values} values of a sample of shape {input_shape}. "
                "Choose sizes whose product is that."
            )
        return sizes
