"""Inference workers: each has what one thread needs to compute outputs. `FormulaWorker` uses formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.dependencies import Dependencies
from layernet.layer import Layer

# A block of the formulas has as many rows as fit with the values of two layers into a core's own cache. With
# fewer than 64 rows, NumPy's calls cost more than the arithmetic; with more than 512, the allocator returns
# memory to the system.
BYTES_IN_CACHE, MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 2**21, 64, 512
# Blocks for third-party layers keep the size that they had in earlier versions.
THIRD_PARTY_BLOCK_ROWS = 1024
# An activation of one value takes as long as about this many multiplications.
MULTIPLICATIONS_PER_VALUE = 20
# Methods that may be set on a layer object to observe its forward pass.
FORWARD_METHODS = ("forward_pass", "record")


class InferenceWorker:
    """Everything that one thread needs to compute outputs.

    Parameters
    ----------
    network : Layer
        Built.
    block_size : int
        Rows of a block.

    Attributes
    ----------
    layers : list of Layer
        All layers of the network.
    input_shape : tuple of int
    dependencies : Dependencies
        The attributes that the worker was made from.
    hooks : Dependencies
        The forward passes of all layers, because somebody may set another pass on a layer object.
    multiplications, largest_product : int
        The multiplications of a row in all layers, and in the largest product.
    rows_per_product : int
        The number of rows that one call of BLAS multiplies.
    is_thread_safe : bool
        Whether several threads may compute blocks at the same time.
    """

    # Only kernels have buffers ready for a single row.
    dtype: np.dtype | None = None
    accepts_sparse = False  # sparse rows are given to layers, never to a worker
    single_row_shape: tuple[int, ...] | None = None
    single_row_inputs: np.ndarray
    single_row_outputs: np.ndarray
    compute_single_row: Callable[..., Any]
    single_row_arguments: tuple[Any, ...]

    dependencies: Dependencies
    rows_per_product: int
    is_thread_safe: bool

    def __init__(self, network: Layer, block_size: int) -> None:
        self.network = network
        self.layers: list[Layer] = list(network.walk())
        self.block_size = block_size
        self.input_shape = network.input_shape
        self.multiplications, self.largest_product = cost_of(network)
        self.hooks = Dependencies()
        for layer in self.layers:
            self.hooks.add_methods(layer, FORWARD_METHODS)

    def accepts(self, inputs: Any) -> bool:
        """Return whether the network takes inputs of this type and shape."""
        return accepts_inputs(self.network, inputs)

    def compute(self, block: Any) -> np.ndarray:
        """Return the outputs of a block of inputs."""
        return self.network.forward_pass(block)


class FormulaWorker(InferenceWorker):
    """Worker that calls the layers' own forward passes.

    Parameters
    ----------
    network : Layer
        Built.
    """

    def __init__(self, network: Layer) -> None:
        is_thread_safe = all(is_package_layer(layer) for layer in network.walk())
        super().__init__(network, rows_in_cache(network) if is_thread_safe else THIRD_PARTY_BLOCK_ROWS)
        self.is_thread_safe = is_thread_safe
        self.rows_per_product = self.block_size
        self.dependencies = Dependencies()
        for layer in self.layers:  # the passes read all other attributes at each call
            if layer.layers:
                self.dependencies.add_equal(layer, "layers")


def cost_of(network: Layer) -> tuple[int, int]:
    """Return the multiplications of a row in all layers, and in the largest product."""
    sizes = parameter_sizes(network)
    n_values = sum(math.prod(layer.output_shape) for layer in network.walk() if not layer.layers)
    return sum(sizes) + MULTIPLICATIONS_PER_VALUE * n_values, max(sizes, default=0)


def parameter_sizes(network: Layer) -> list[int]:
    """Return the size of each parameter, which is the number of multiplications of a row with it."""
    return [math.prod(shape) for layer in network.walk() for shape in layer.parameter_shapes.values()]


def rows_in_cache(network: Layer) -> int:
    """Return the number of rows of a block of the formulas."""
    widest = max(math.prod(layer.output_shape) for layer in network.walk())
    bytes_per_row = (math.prod(network.input_shape) + 3 * widest) * network.dtype.itemsize
    return int(min(max(BYTES_IN_CACHE // bytes_per_row, MIN_BLOCK_ROWS), MAX_BLOCK_ROWS))


def is_package_layer(layer: Layer) -> bool:
    """Return whether a layer is of this package, with its class's passes. Such a layer is thread-safe."""
    module = type(layer).__module__
    is_of_package = module.startswith(("layernet.layers.", "layernet.containers"))
    return is_of_package and not any(name in vars(layer) for name in FORWARD_METHODS)


def accepts_inputs(network: Layer, inputs: Any) -> bool:
    """Return whether inputs are numbers, and of a shape that the network takes."""
    return (
        inputs.dtype.kind in "biuf"
        and inputs.ndim > 0
        and (not network.has_parameters or inputs.shape[1:] == network.input_shape)
    )
