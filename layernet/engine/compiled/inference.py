"""Inference by kernels: `CompiledWorker` has the program and the buffers of one thread."""

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

# Rows of the buffers: as many as make all buffers fit into a core's own cache, within these bounds.
MAX_BUFFER_ROWS, MIN_BUFFER_ROWS, TARGET_BUFFER_BYTES = 1024, 64, 2**21
# A call of fewer multiplications, which take a few microseconds, keeps Python's global lock (GIL): releasing it
# and getting it back may take longer.
MAX_MULTIPLICATIONS_WITH_GIL = 50_000
# Arguments that have no effect on the outputs of a built layer in inference.
ARGUMENTS_WITHOUT_EFFECT = frozenset({"units", "rate", "standard_deviation", "momentum"})


class CompiledWorker(InferenceWorker):
    """Worker that runs a program of kernels; a layer without kernels is called in Python.

    Parameters
    ----------
    network : Layer
        Built.

    Attributes
    ----------
    dtype : float32 or float64
    single_row_shape : tuple of int or None
        The shape of a batch of one row; None if a layer is called in Python.
    single_row_inputs, single_row_outputs : ndarray
        The first row of the buffers, as a batch of one row.
    compute_single_row, single_row_arguments
        `compute_single_row(*single_row_arguments)` computes `single_row_outputs` from `single_row_inputs`.
    """

    def __init__(self, network: Layer) -> None:
        super().__init__(network, rows_in_buffers(network))
        self.dtype = network.dtype
        part_rows = UNPACKED_PRODUCT // max(1, self.largest_product)
        self.rows_per_product = part_rows if part_rows >= MIN_PART_ROWS else self.block_size
        program = Program(self.dtype, self.block_size, np.zeros(0), is_training=False)
        inputs = program.sample_buffer(math.prod(network.input_shape))
        outputs, _ = lower(network, program, inputs)
        self._add_dependencies(program.dependencies)
        self._inputs = inputs.reshape(self.block_size, *network.input_shape)
        self._outputs = outputs.reshape(self.block_size, *network.output_shape)
        machine = Machine(program.instructions, self.dtype, 0, 1, self.block_size)
        sections = sections_of(program.operations)
        calls_python = any(callable(section) for section in sections)
        self.is_thread_safe = not calls_python
        self._calls = [
            section if callable(section) else InstructionCall(machine, *section).run for section in sections
        ]
        # The places in the machine with the address of the inputs. `compute` writes the address of the caller's
        # array there, which saves a copy. Empty if kernels need the buffer.
        self._address_of_buffer = inputs.ctypes.data
        self._input_locations = [] if calls_python or outputs is inputs else machine.address_locations(inputs)
        if not calls_python:
            keeps_gil = sum(parameter_sizes(network)) < MAX_MULTIPLICATIONS_WITH_GIL
            self._single_row_call = InstructionCall(machine, 0, machine.n_instructions, keeps_gil)
            self._single_row_call.set_rows(1)
            self.single_row_shape = (1, *network.input_shape)
            self.single_row_inputs, self.single_row_outputs = self._inputs[:1], self._outputs[:1]
            self.compute_single_row = self._single_row_call.function
            self.single_row_arguments = self._single_row_call.arguments

    def _add_dependencies(self, dependencies: Dependencies) -> None:
        """Add the dependencies that no lowering adds: the layers, their parameters, and their arguments."""
        network = self.network
        if not network.has_parameters:
            for name in ("input_shape", "dtype"):
                dependencies.add_equal(network, name)
        dependencies.add_structure(network)
        for layer in network.walk():
            for name, value in layer.configuration().items():
                if isinstance(value, (int, float, Layer)) and name not in ARGUMENTS_WITHOUT_EFFECT:
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
            self._input_locations
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
        for call in self._calls if n_rows else ():
            call(n_rows)

    def _read_inputs_at(self, address: int) -> None:
        for addresses, index in self._input_locations:
            addresses[index] = address


def rows_in_buffers(network: Layer) -> int:
    """Return the number of rows of the buffers."""
    layers = [layer for layer in network.walk() if not layer.layers]
    widths = [math.prod(network.input_shape), *(math.prod(layer.output_shape) for layer in layers)]
    bytes_per_row = max(1, sum(widths) * network.dtype.itemsize)
    return min(max(TARGET_BUFFER_BYTES // bytes_per_row, MIN_BUFFER_ROWS), MAX_BUFFER_ROWS)
