"""Inference: the outputs of a network for new inputs, with as little as possible done beside the arithmetic."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import copy
from typing import Any

import numpy as np

from layernet.engine import choice
from layernet.engine.kernels.products import SHORTEST_PART
from layernet.engine.kernels.products import SMALL_PRODUCT as SMALL_PART
from layernet.engine.threads import SMALL_PRODUCT, blas_on_one_thread, n_workers_for
from layernet.guards import fits, with_samples
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss
from layernet.sparse import as_sparse_rows, is_sparse
from layernet.user_warnings import warn_user
from layernet.validation import FLOAT_TYPES

# Rows go through the buffers in blocks: as many as keep them in the cache, and so few that memory stays flat.
MOST_ROWS, FEWEST_ROWS, BYTES_OF_BUFFERS = 1024, 64, 2**22
# So many multiplications take half a millisecond or more. A thread is started within a tenth of that.
WORTH_A_THREAD = 20_000_000
# So many take a few microseconds, which is less than it may take to get Python's lock back.
SHORT = 50_000
# Arguments of layers that no kernel of inference depends on, once the layer is built.
WITHOUT_EFFECT = frozenset({"units", "rate", "deviation", "momentum"})


class InferencePlan:
    """A built network as a function: `outputs = plan(inputs)`, in inference mode whatever its layers are in.

    The outputs are those of `network.forward_pass(inputs)`, to rounding. What a single row costs beside the
    arithmetic is about a microsecond, if Numba is installed. Many rows go through buffers of one size, so that
    only the outputs take memory that grows with them; several threads share them if there is enough to do.

    Later changes of the network are seen: new values of parameters and state, other arguments of its layers,
    other layers in their place, and a network that is built anew.

    Parameters
    ----------
    network : Layer
        Built.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        `"formulas"`: the layers' own forward passes. `"compiled"`: kernels, and formulas where a layer has no
        kernel. `"auto"`: compiled if Numba is installed, unless the environment's LAYERNET_ENGINE says
        otherwise.

    Attributes
    ----------
    network, engine
        As given.
    is_compiled : bool

    Raises
    ------
    ValueError
        If there is no such engine, or the network has a loss in it.
    NotBuiltError
        If the network is not built.
    ImportError
        If compiled kernels are asked for and Numba is not installed.

    Notes
    -----
    Several threads may call one plan at the same time: each gets buffers of its own, which are made when they
    are first needed, and nobody waits for another. No thread may train the network meanwhile; but callbacks of
    a training may use a plan.

    A plan is pickled and copied as its network and its engine.

    Examples
    --------
    >>> from layernet import Dense, Dropout, Sequential
    >>> net = Sequential([Dense(2, weights_initializer="ones"), Dropout(0.5)]).build(3)
    >>> predict = InferencePlan(net, engine="formulas")
    >>> predict([[1, 2, 3], [4, 5, 6]])
    array([[ 6.,  6.],
           [15., 15.]])
    >>> net[0].bias = [10, 20]
    >>> predict([[1, 2, 3]])
    array([[16., 26.]])
    >>> predict
    <InferencePlan of Sequential([Dense(2, weights_initializer='ones'), Dropout(0.5)]), by formulas:
    (n_samples, 3) to (n_samples, 2), float64>
    """

    def __init__(self, network: Layer, engine: str = "auto"):
        asked_for = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
        choice.check_engine(asked_for)
        self.network = network
        self.engine = engine
        self.is_compiled = asked_for == "compiled" or (asked_for == "auto" and choice.has_numba())
        # Those that no thread is using. A list is taken from and added to in one step, so that nobody waits.
        self._idle: list[CompiledWorker | FormulaWorker] = []
        try:
            self._idle.append(self._draw_up())
        except ImportError as error:  # a Numba that does not go with this NumPy, for instance
            if asked_for == "compiled":
                raise
            warn_user(f"Inference goes on by formulas, for kernels need Numba: {error}")
            self.is_compiled = False
            self._idle.append(self._draw_up())

    def __call__(self, inputs: Any) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        inputs : array-like or sparse matrix of shape (n_samples, ...)
            Converted and checked as `forward_pass` does.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            The caller's.

        Raises
        ------
        TypeError, ValueError
            As from `forward_pass`, if these are no numbers or not of the right shape.
        """
        worker = self._take()
        try:
            if (
                inputs.__class__ is np.ndarray
                and inputs.dtype is worker.dtype
                and inputs.shape == worker.shape_of_one
            ):
                # A single row, for which everything is ready.
                worker.row[...] = inputs
                worker.run_row(*worker.arguments)
                return worker.outputs_of_row.copy()
            return self._outputs_of(inputs, worker)
        finally:
            self._idle.append(worker)

    def _take(self):
        """A worker that nobody else has, up to date."""
        try:
            worker = self._idle.pop()
        except IndexError:
            return self._draw_up()
        return worker if worker.is_up_to_date() else self._draw_up()

    def _draw_up(self):
        """A worker for the network as it is now."""
        self.network._require_built("plan for inference")
        if any(isinstance(layer, BoundLoss) for layer in self.network.walk()):
            raise ValueError(
                f"{self.network!r} has a loss in it, so its outputs are no rows. Compile the network without "
                "its loss."
            )
        return CompiledWorker(self.network) if self.is_compiled else FormulaWorker(self.network)

    def _outputs_of(self, inputs, worker):
        if is_sparse(inputs):  # blocks of them are given to the layers, which make them dense or not
            rows = as_sparse_rows(inputs, self.network.dtype, False, f"inputs of {type(self.network).__name__}")
            return FormulaWorker(self.network).outputs_of(rows)
        if not fits(worker, inputs):
            array = np.asarray(inputs)
            if not worker.takes(array):
                array = self.network.admit_inputs(inputs)  # raises what is to be raised
                if not worker.takes(array):  # a network without parameters takes all shapes, and both types
                    worker = FormulaWorker(self.network)
            inputs = array
        n_workers = worker.n_workers_for(len(inputs))
        return worker.outputs_of(inputs) if n_workers == 1 else self._share(inputs, worker, n_workers)

    def _share(self, inputs, worker, n_workers):
        """Have several workers take one block after the other, as long as there are any."""
        outputs = worker.empty_outputs(len(inputs))
        rows = min(worker.rows, -(-len(inputs) // n_workers))
        starts = list(range(0, len(inputs), rows))

        def work(worker):
            while starts:
                try:
                    start = starts.pop()
                except IndexError:  # another one took it in between
                    return
                worker.work(inputs[start : start + rows], outputs[start : start + rows])

        others = [self._take() for _ in range(n_workers - 1)]
        with blas_on_one_thread(), ThreadPoolExecutor(n_workers - 1, "layernet") as threads:
            waiting = [threads.submit(work, other) for other in others]
            try:
                work(worker)
            finally:  # Ctrl-C is heard here, and the others stop after the blocks that they are at
                starts.clear()
                for thread in waiting:
                    thread.result()
                self._idle += others
        return outputs

    def __reduce__(self):
        return type(self), (self.network, self.engine)

    def __repr__(self) -> str:
        network = self.network
        return (
            f"<{type(self).__name__} of {network!r}, {'compiled' if self.is_compiled else 'by formulas'}: "
            f"{with_samples(network.input_shape)} to {with_samples(network.output_shape)}, {network.dtype}>"
        )


class CompiledWorker:
    """What one thread needs to compute outputs by kernels, and by formulas where a layer has no kernel.

    Parameters
    ----------
    network : Layer
        Built.

    Attributes
    ----------
    dtype : float32 or float64
    input_shape : tuple of int
    rows : int
        How many rows the buffers hold.
    shape_of_one : tuple of int or None
        Of inputs that are a single row; None if a formula has a part in it.
    row, outputs_of_row : ndarray
        The buffers' first row, in the shape of a batch of one.
    run_row, arguments
        `run_row(*arguments)` computes one from the other.
    """

    shape_of_one: tuple[int, ...] | None = None

    def __init__(self, network: Layer):
        # The compiler's side is loaded by those alone who have something to compile.
        from layernet.engine.compiled_plan import segments_of
        from layernet.engine.machine import Machine, Pass
        from layernet.engine.program import Program, Team
        from layernet.engine.translation import translate

        self._network = network
        self.dtype, self.input_shape = network.dtype, network.input_shape
        sizes = [parameter.size for parameter in network.parameters.values()]
        self._multiplications, self._largest = sum(sizes), max(sizes, default=0)
        self.rows = rows_at_once(network)
        self._program = Program(self.dtype, Team(1, self.rows, np.zeros(0)), 0, is_training=False)
        inputs = self._program.for_samples(math.prod(network.input_shape))
        outputs, _ = translate(network, self._program, inputs)
        self._inputs = inputs.reshape(self.rows, *network.input_shape)
        self._outputs = outputs.reshape(self.rows, *network.output_shape)
        machine = Machine(self._program.instructions, self.dtype, 0, 1, self.rows)
        segments = segments_of(self._program.steps)
        self._has_formulas = any(callable(segment) for segment in segments)
        layers = list(network.walk())
        self._steps = [of_inference(layers, s) if callable(s) else Pass(machine, *s).run for s in segments]
        # Products in parts are too small for a second thread, but some cannot be done in parts.
        self._may_use_threads = self._largest * SHORTEST_PART > SMALL_PART
        self._owners, self._names, self._values = what_may_change(network)
        if not self._has_formulas:
            is_short = self._multiplications < SHORT
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
        return is_for(self._network, inputs) and (
            inputs.shape[1:] == self._network.input_shape
            and (self._network.has_parameters or inputs.dtype == self.dtype or inputs.dtype not in FLOAT_TYPES)
        )

    def n_workers_for(self, n_rows: int) -> int:
        """How many threads so many rows are worth."""
        if self._has_formulas or n_rows * self._multiplications < WORTH_A_THREAD:
            return 1  # formulas of other people may not be made for threads
        return n_workers_for(self._network, n_rows)

    def empty_outputs(self, n_rows: int) -> np.ndarray:
        """An array for the outputs of so many rows."""
        return np.empty((n_rows, *self._network.output_shape), self.dtype)

    def outputs_of(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs, a block after the other."""
        n_rows = len(inputs)
        if n_rows == 0:
            return self.empty_outputs(0)
        one_thread = self._may_use_threads and self._largest * n_rows <= SMALL_PRODUCT
        with blas_on_one_thread() if one_thread else nullcontext():
            if n_rows <= self.rows:
                self._compute(inputs, n_rows)
                return self._outputs[:n_rows].copy()
            outputs = self.empty_outputs(n_rows)
            for start in range(0, n_rows, self.rows):
                self.work(inputs[start : start + self.rows], outputs[start : start + self.rows])
        return outputs

    def work(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        """Compute the outputs of a block."""
        n_rows = len(inputs)
        self._compute(inputs, n_rows)
        outputs[...] = self._outputs[:n_rows]

    def _compute(self, inputs, n_rows):
        self._inputs[:n_rows] = inputs
        for step in self._steps:
            step(n_rows)


class FormulaWorker:
    """The same by the layers' own forward passes.

    Parameters
    ----------
    network : Layer
        Built.
    """

    dtype = shape_of_one = None  # nothing is ready for a single row

    def __init__(self, network: Layer):
        self._network = network
        layers = list(network.walk())
        self._inside = [(layer, copy(layer.layers)) for layer in layers]
        self._forward_pass = of_inference(layers, lambda inputs: network.forward_pass(inputs))

    def is_up_to_date(self) -> bool:
        """Whether the layers are the same; all else formulas look up as it is."""
        return all(layer.layers == inside for layer, inside in self._inside)

    def takes(self, inputs: np.ndarray) -> bool:
        """Whether the network takes such inputs."""
        return is_for(self._network, inputs)

    def n_workers_for(self, n_rows: int) -> int:
        """One: most of the time is spent under Python's lock."""
        return 1

    def outputs_of(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs, a block after the other."""
        forward_pass, rows = self._forward_pass, MOST_ROWS
        n_samples = inputs.shape[0]
        first = forward_pass(inputs[:rows])
        if n_samples <= rows:
            return first
        outputs = np.empty((n_samples, *first.shape[1:]), first.dtype)
        outputs[:rows] = first
        for start in range(rows, n_samples, rows):
            outputs[start : start + rows] = forward_pass(inputs[start : start + rows])
        return outputs


def is_for(network: Layer, inputs: np.ndarray) -> bool:
    """Whether inputs are numbers, and of a shape that the network takes."""
    return (
        inputs.dtype.kind in "biuf"
        and inputs.ndim > 0
        and (not network.has_parameters or inputs.shape[1:] == network.input_shape)
    )


def rows_at_once(network: Layer) -> int:
    """How many rows the buffers hold."""
    widths = [math.prod(network.input_shape), *(math.prod(layer.output_shape) for layer in network.walk())]
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


def of_inference(layers: list[Layer], function: Callable) -> Callable:
    """A function that has layers behave as in inference while it runs, also where they are trained."""

    def in_inference(argument):
        in_training = [layer for layer in layers if layer.training]
        if not in_training:
            return function(argument)
        try:
            for layer in in_training:
                layer.training = False
            return function(argument)
        finally:
            for layer in in_training:
                layer.training = True

    return in_inference
