"""Inference by kernels: what one thread needs to compute the outputs of a network."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np

from layernet.engine.compiled.kernels.products import SHORTEST_PART
from layernet.engine.compiled.kernels.products import SMALL_PRODUCT as SMALL_PARTS
from layernet.engine.compiled.lowering.layers import translate
from layernet.engine.compiled.machine import Machine, Pass
from layernet.engine.compiled.program import Program, Team, segments_of
from layernet.engine.inference import cost_of, has_own_pass, is_for, size_of_parameters
from layernet.layer import Layer
from layernet.validation import FLOAT_TYPES

# Rows go through the buffers in blocks: as many as keep the buffers in a core's own cache.
MOST_ROWS, FEWEST_ROWS, BYTES_OF_BUFFERS = 1024, 64, 2**21
# So many multiplications take a few microseconds, which is less than it may take to get Python's lock back.
SHORT = 50_000
# Arguments of layers that no kernel of inference depends on, once the layer is built.
WITHOUT_EFFECT = frozenset({"units", "rate", "standard_deviation", "momentum"})


class CompiledWorker:
    """What one thread needs to compute outputs by kernels, and by formulas where a layer has no kernel.

    Parameters
    ----------
    network : Layer
        Built.

    Attributes
    ----------
    layers : list of Layer
        All that take part.
    has_own : list of bool
        Of each, whether a pass was put on it.
    dtype : float32 or float64
    input_shape : tuple of int
    rows : int
        How many rows the buffers hold.
    multiplications, largest : int
        What a row costs, and its largest product.
    rows_of_product : int
        How many rows are given to BLAS at once.
    is_for_threads : bool
        Whether several threads may share the rows: not where a formula of other people has a part.
    shape_of_one : tuple of int or None
        Of inputs that are a single row; None if a formula has a part in it.
    row, outputs_of_row : ndarray
        The buffers' first row, in the shape of a batch of one.
    run_row, arguments
        `run_row(*arguments)` computes one from the other.
    """

    shape_of_one: tuple[int, ...] | None = None

    def __init__(self, network: Layer):
        self.network, self.layers = network, list(network.walk())
        self.has_own = [has_own_pass(layer) for layer in self.layers]
        self.dtype, self.input_shape = network.dtype, network.input_shape
        self.rows = rows_in_buffers(network)
        self.multiplications, self.largest = cost_of(network)
        rows_of_part = SMALL_PARTS // max(1, self.largest)
        self.rows_of_product = rows_of_part if rows_of_part >= SHORTEST_PART else self.rows
        self._program = Program(self.dtype, Team(1, self.rows, np.zeros(0)), 0, is_training=False)
        inputs = self._program.for_samples(math.prod(network.input_shape))
        outputs, _ = translate(network, self._program, inputs)
        self._inputs = inputs.reshape(self.rows, *network.input_shape)
        self._outputs = outputs.reshape(self.rows, *network.output_shape)
        machine = Machine(self._program.instructions, self.dtype, 0, 1, self.rows)
        segments = segments_of(self._program.steps)
        has_formulas = any(callable(segment) for segment in segments)
        self.is_for_threads = not has_formulas
        self._steps = [s if callable(s) else Pass(machine, *s).run for s in segments]
        self._owners, self._names, self._values = what_may_change(network)
        # Where kernels find the inputs, if they may find them in the caller's array as well as in the buffer.
        self._address = inputs.ctypes.data
        self._places = [] if has_formulas or outputs is inputs else machine.places_of(inputs)
        if not has_formulas:
            is_short = sum(size_of_parameters(network)) < SHORT
            self._of_one = Pass(machine, 0, machine.n_instructions, is_short)
            self._of_one.set_rows(1)
            self.shape_of_one = (1, *network.input_shape)
            self.row, self.outputs_of_row = self._inputs[:1], self._outputs[:1]
            self.run_row, self.arguments = self._of_one.function, self._of_one.arguments

    def is_up_to_date(self) -> bool:
        """Whether the network is the one that the instructions were made for."""
        same_settings = self._program.is_up_to_date()
        return same_settings and [*map(getattr, self._owners, self._names)] == self._values

    def takes(self, inputs: np.ndarray) -> bool:
        """Whether inputs can be put into the buffers, which converts them."""
        return is_for(self.network, inputs) and (
            inputs.shape[1:] == self.network.input_shape
            and (self.network.has_parameters or inputs.dtype == self.dtype or inputs.dtype not in FLOAT_TYPES)
        )

    def compute(self, block: Any) -> np.ndarray:
        """The outputs of a block of inputs."""
        n_rows = block.shape[0]
        if (
            self._places
            and block.__class__ is np.ndarray
            and block.dtype is self.dtype
            and block.flags.c_contiguous
            and block.flags.aligned
        ):
            self._find_inputs_at(block.ctypes.data)
            try:
                self._run(n_rows)
            finally:
                self._find_inputs_at(self._address)
        else:
            self._inputs[:n_rows] = block.toarray() if hasattr(block, "toarray") else block
            self._run(n_rows)
        return self._outputs[:n_rows].copy()

    def _run(self, n_rows):
        for step in self._steps if n_rows else ():
            step(n_rows)

    def _find_inputs_at(self, address):
        for addresses, index in self._places:
            addresses[index] = address


def rows_in_buffers(network: Layer) -> int:
    """How many rows the buffers hold."""
    layers = [layer for layer in network.walk() if not layer.layers]
    widths = [math.prod(network.input_shape), *(math.prod(layer.output_shape) for layer in layers)]
    bytes_of_a_row = max(1, sum(widths) * network.dtype.itemsize)
    return min(max(BYTES_OF_BUFFERS // bytes_of_a_row, FEWEST_ROWS), MOST_ROWS)


def what_may_change(network: Layer) -> tuple[list[Any], list[str], list[Any]]:
    """What instructions depend on beside the numbers in arrays: (owners, names, values) of attributes."""
    attributes = [] if network.has_parameters else [(network, "input_shape"), (network, "dtype")]
    for layer in network.walk():
        if layer.parameter_shapes:
            attributes.append((layer, "segment"))
        if layer.layers:
            attributes.append((layer, "layers"))
        attributes += [
            (layer, name)
            for name, value in layer.configuration().items()
            if isinstance(value, (int, float, Layer)) and name not in WITHOUT_EFFECT
        ]
    values = [
        copy(getattr(owner, name)) if name == "layers" else getattr(owner, name) for owner, name in attributes
    ]
    return [owner for owner, _ in attributes], [name for _, name in attributes], values
