"""Inference by kernels: the program and the buffers with which one thread computes outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layernet.engine.compiled.kernels.products import MIN_PART_ROWS, UNPACKED_PRODUCT
from layernet.engine.compiled.lowering.layers import lower
from layernet.engine.compiled.machine import InstructionCall, Machine
from layernet.engine.compiled.program import Program, sections_of
from layernet.engine.dependencies import Dependencies
from layernet.engine.inference_worker import InferenceWorker, accepts_inputs, parameter_sizes
from layernet.layer import Layer
from layernet.validation import FLOAT_TYPES

# A block has as many rows as keep the buffers in a core's own cache.
MAX_BUFFER_ROWS, MIN_BUFFER_ROWS, BYTES_OF_BUFFERS = 1024, 64, 2**21
# So many multiplications take a few microseconds. To release Python's lock and get it back may take longer.
MAX_MULTIPLICATIONS_WITH_LOCK = 50_000
# Arguments that have no effect on the outputs of a built layer in inference.
WITHOUT_EFFECT = frozenset({"units", "rate", "standard_deviation", "momentum"})


class CompiledWorker(InferenceWorker):
    """Program and buffers of one thread; a layer without kernels is called in Python.

    Parameters
    ----------
    network : Layer
        Built.

    Attributes
    ----------
    dtype : float32 or float64
    shape_of_one : tuple of int or None
        The shape of inputs that are a single row; None if a layer is called in Python.
    row, outputs_of_row : ndarray
        The first row of the buffers, in the shape of a batch of one.
    run_row, arguments
        `run_row(*arguments)` computes `outputs_of_row` from `row`.
    """

    def __init__(self, network: Layer) -> None:
        super().__init__(network, rows_in_buffers(network))
        self.dtype = network.dtype
        rows_of_part = UNPACKED_PRODUCT // max(1, self.largest_product)
        self.rows_of_product = rows_of_part if rows_of_part >= MIN_PART_ROWS else self.rows
        program = Program(self.dtype, self.rows, np.zeros(0), is_training=False)
        inputs = program.sample_buffer(math.prod(network.input_shape))
        outputs, _ = lower(network, program, inputs)
        self._add_dependencies(program.dependencies)
        self._inputs = inputs.reshape(self.rows, *network.input_shape)
        self._outputs = outputs.reshape(self.rows, *network.output_shape)
        machine = Machine(program.instructions, self.dtype, 0, 1, self.rows)
        sections = sections_of(program.steps)
        calls_python = any(callable(section) for section in sections)
        self.is_for_threads = not calls_python
        self._steps = [
            section if callable(section) else InstructionCall(machine, *section).run for section in sections
        ]
        # Where the machine keeps the address of the inputs, if kernels can read the caller's array instead.
        self._address_of_buffer = inputs.ctypes.data
        self._slots = [] if calls_python or outputs is inputs else machine.address_slots(inputs)
        if not calls_python:
            keeps_lock = sum(parameter_sizes(network)) < MAX_MULTIPLICATIONS_WITH_LOCK
            self._call_of_one = InstructionCall(machine, 0, machine.n_instructions, keeps_lock)
            self._call_of_one.set_rows(1)
            self.shape_of_one = (1, *network.input_shape)
            self.row, self.outputs_of_row = self._inputs[:1], self._outputs[:1]
            self.run_row, self.arguments = self._call_of_one.function, self._call_of_one.arguments

    def _add_dependencies(self, dependencies: Dependencies) -> None:
        """Depend on what no lowering has added: the layers, their parameters, and their arguments."""
        network = self.network
        if not network.has_parameters:
            for name in ("input_shape", "dtype"):
                dependencies.add_equal(network, name)
        dependencies.add_structure(network)
        for layer in network.walk():
            for name, value in layer.configuration().items():
                if isinstance(value, (int, float, Layer)) and name not in WITHOUT_EFFECT:
                    dependencies.add_equal(layer, name)
        self.dependencies = dependencies

    def accepts(self, inputs: Any) -> bool:
        """Return whether inputs can be copied into the buffers, which converts their type."""
        return accepts_inputs(self.network, inputs) and (
            inputs.shape[1:] == self.network.input_shape
            and (self.network.has_parameters or inputs.dtype == self.dtype or inputs.dtype not in FLOAT_TYPES)
        )

    def compute(self, block: Any) -> np.ndarray:
        """Return the outputs of a block of inputs."""
        n_rows = block.shape[0]
        if (
            self._slots
            and block.__class__ is np.ndarray
            and block.dtype is self.dtype
            and block.flags.c_contiguous
            and block.flags.aligned
        ):
            self._read_inputs_at(block.ctypes.data)
            try:
                self._run(n_rows)
            finally:
                self._read_inputs_at(self._address_of_buffer)
        else:
            self._inputs[:n_rows] = block.toarray() if hasattr(block, "toarray") else block
            self._run(n_rows)
        return self._outputs[:n_rows].copy()

    def _run(self, n_rows: int) -> None:
        for step in self._steps if n_rows else ():
            step(n_rows)

    def _read_inputs_at(self, address: int) -> None:
        for addresses, index in self._slots:
            addresses[index] = address


def rows_in_buffers(network: Layer) -> int:
    """Return the number of rows of the buffers."""
    layers = [layer for layer in network.walk() if not layer.layers]
    widths = [math.prod(network.input_shape), *(math.prod(layer.output_shape) for layer in layers)]
    bytes_per_row = max(1, sum(widths) * network.dtype.itemsize)
    return min(max(BYTES_OF_BUFFERS // bytes_per_row, MIN_BUFFER_ROWS), MAX_BUFFER_ROWS)
