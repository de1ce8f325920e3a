"""Inference: outputs of a network for new inputs, in blocks of rows, by kernels or by formulas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from layernet.engine import choice
from layernet.engine.blocks import Compute, compute_in_blocks
from layernet.engine.inference_worker import (
    MAX_BLOCK_ROWS,
    FormulaWorker,
    InferenceWorker,
    accepts_inputs,
    cost_of,
)
from layernet.engine.threads import SMALL_MULTIPLICATIONS, blas_on_one_thread
from layernet.guards.inputs import format_batch_shape, is_ready_input
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss
from layernet.sparse import as_sparse_rows, is_sparse
from layernet.user_warnings import warn_user
from layernet.validation import as_array

# Helper threads start from this many multiplications, which take at least 0.5 milliseconds. Starting a thread
# takes a tenth of that.
MIN_MULTIPLICATIONS_FOR_HELPERS = 20_000_000
# OpenBLAS computes smaller products on one thread by itself. Limiting its threads takes 12 microseconds.
MIN_MULTIPLICATIONS_FOR_BLAS_THREADS = 2**18


class InferencePlan:
    """Function that computes a built network's outputs in inference mode: `outputs = plan(inputs)`.

    The outputs equal `network.forward_pass(inputs)` to rounding. With Numba, a call with a single row costs
    about a microsecond more than its arithmetic. Many rows are computed in blocks, so that only the outputs
    need memory in proportion to the number of rows. Several threads share the blocks if there are enough
    multiplications.

    The plan uses the network as it is at each call. The user may change parameters, state and arguments of
    layers, replace layers, and build the network again.

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
        If `engine` is none of these names, or the network contains a loss.
    NotBuiltError
        If the network is not built.
    ImportError
        If compiled kernels are asked for and Numba is not installed.

    Notes
    -----
    Several threads may call one plan at the same time. Each gets buffers of its own, which are made when they
    are first needed. No thread may train the network meanwhile, but callbacks of its training may call the
    plan.

    Pickling or copying a plan stores its network and its engine, and no buffers.

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
        requested = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
        choice.check_engine(requested)
        self.network = network
        self.engine = engine
        self.is_compiled = requested == "compiled" or (requested == "auto" and choice.has_numba())
        # Workers that no thread is using. `list.pop` and `list.append` are atomic, so this needs no lock.
        self._idle_workers: list[InferenceWorker] = []
        try:
            self._idle_workers.append(self._make_worker())
        except ImportError as error:  # for instance, if Numba does not support this NumPy
            if requested == "compiled":
                raise
            warn_user(f"Inference uses formulas, because kernels need Numba: {error}")
            self.is_compiled = False
            self._idle_workers.append(self._make_worker())

    def __call__(self, inputs: Any) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        inputs : array-like or sparse matrix of shape (n_samples, ...)
            Converted and validated as in `forward_pass`.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            A new array.

        Raises
        ------
        TypeError, ValueError
            If the inputs are not numbers or have the wrong shape, as in `forward_pass`.
        """
        worker = self._acquire_worker()
        try:
            if (
                inputs.__class__ is np.ndarray
                and inputs.dtype is worker.dtype
                and inputs.shape == worker.single_row_shape
            ):
                # The worker has made buffers and arguments for a single row in advance.
                worker.single_row_inputs[...] = inputs
                worker.compute_single_row(*worker.single_row_arguments)
                return worker.single_row_outputs.copy()
            return self._convert_and_compute(inputs, worker)
        finally:
            self._idle_workers.append(worker)

    def _acquire_worker(self) -> InferenceWorker:
        """Return an idle worker made for the current layers and settings, or a new one."""
        try:
            worker = self._idle_workers.pop()
        except IndexError:
            return self._make_worker()
        return worker if worker.dependencies.are_unchanged() else self._make_worker()

    def _acquire_worker_with_current_hooks(self) -> InferenceWorker:
        """Return a worker that also calls the passes that somebody, such as a monitor, set on layer objects."""
        worker = self._acquire_worker()
        return worker if worker.hooks.are_unchanged() else self._make_worker()

    def _make_worker(self) -> InferenceWorker:
        """Make a worker for the current layers and settings of the network."""
        self.network._require_built("plan for inference")
        if any(isinstance(layer, BoundLoss) for layer in self.network.walk()):
            raise ValueError(
                f"{self.network!r} contains a loss, so its output is one number. Compile the network without "
                "its loss."
            )
        if not self.is_compiled:
            return FormulaWorker(self.network)
        # Imported here, because formulas need nothing of the compiled engine.
        from layernet.engine.compiled.inference import CompiledWorker

        return CompiledWorker(self.network)

    def compute_outputs(
        self,
        inputs: Any,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        read_block: Callable[[slice], Any] | None = None,
        wait_for_helpers: bool = False,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Compute the outputs of many rows, block by block.

        Parameters
        ----------
        inputs : object with `shape`, `ndim` and `dtype`
            Numbers of a shape that the network accepts. They may lie on disk.
        decode : callable, default=None
            Converts the outputs of each block; None for the outputs themselves.
        read_block : callable, default=None
            Returns the inputs of a slice of rows; None slices the inputs. Several threads may call `read_block`
            and `decode` at once, and twice for the same rows.
        wait_for_helpers : bool, default=False
            Whether to wait until no thread reads the inputs.
        block_size : int, default=None
            Rows of a block; None for as many as fit into the cache with the network's values.

        Returns
        -------
        ndarray of shape (n_rows, ...)
        """
        worker = self._acquire_worker_with_current_hooks()
        try:
            if worker.accepts(inputs):
                read_block = read_block or inputs.__getitem__
                return self._compute_blocks(
                    worker, inputs.shape[0], read_block, decode, wait_for_helpers, block_size
                )
        finally:
            self._idle_workers.append(worker)
        if not accepts_inputs(self.network, inputs):
            self.network.validate_inputs(inputs)  # raises the error that names the mistake
        # A network without parameters accepts every shape and both types, but its kernels accept only those
        # that it was built for. Formulas compute the others.
        return InferencePlan(self.network, "formulas").compute_outputs(
            inputs, decode, read_block, wait_for_helpers, block_size
        )

    def _convert_and_compute(self, inputs: Any, worker: InferenceWorker) -> np.ndarray:
        """Convert and check inputs of the user, and compute their outputs."""
        if is_sparse(inputs):
            # Formulas read blocks of sparse rows, and convert them for layers that need arrays.
            rows = as_sparse_rows(inputs, self.network.dtype, False, f"inputs of {type(self.network).__name__}")
            return InferencePlan(self.network, "formulas").compute_outputs(rows, block_size=MAX_BLOCK_ROWS)
        if not is_ready_input(worker, inputs):
            array = as_array(inputs, f"inputs of {type(self.network).__name__}")
            if not worker.accepts(array):
                array = self.network.validate_inputs(inputs)  # raises the error that names the mistake
                if not worker.accepts(array):
                    return self.compute_outputs(array)
            inputs = array
        return self._compute_blocks(worker, len(inputs), inputs.__getitem__)

    def _compute_blocks(
        self,
        worker: InferenceWorker,
        n_rows: int,
        read_block: Callable[[slice], Any],
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        wait_for_helpers: bool = False,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Compute the outputs of valid inputs block by block, with helper threads if that saves time."""

        def compute_with(worker: InferenceWorker, rows: slice) -> np.ndarray:
            outputs = worker.compute(read_block(rows))
            return outputs if decode is None else decode(outputs)

        block_size = block_size or worker.block_size
        is_shared = worker.is_thread_safe and n_rows > block_size
        n_multiplications = min(n_rows, worker.rows_per_product) * worker.largest_product  # of one product
        # BLAS would use two threads for products of these sizes, which one thread computes faster.
        one_thread = is_shared or (
            n_rows > 1 and MIN_MULTIPLICATIONS_FOR_BLAS_THREADS < n_multiplications <= SMALL_MULTIPLICATIONS
        )
        in_training = [layer for layer in worker.layers if layer.training]
        if n_rows <= block_size and not one_thread and not in_training:
            return compute_with(worker, slice(0, n_rows))  # the contexts below would cost more time
        compute_for_helper = None
        if is_shared and n_rows * worker.multiplications >= MIN_MULTIPLICATIONS_FOR_HELPERS:
            compute_for_helper = partial(self._compute_for_helper, compute_with)
        with put_into_inference_mode(in_training), blas_on_one_thread(one_thread):
            return compute_in_blocks(
                n_rows, block_size, partial(compute_with, worker), compute_for_helper, wait_for_helpers
            )

    @contextmanager
    def _compute_for_helper(
        self, compute_with: Callable[[InferenceWorker, slice], np.ndarray]
    ) -> Iterator[Compute]:
        """Give a helper thread a worker of its own within this context."""
        worker = self._acquire_worker_with_current_hooks()
        try:
            yield partial(compute_with, worker)
        finally:
            self._idle_workers.append(worker)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.network, self.engine)

    def __repr__(self) -> str:
        network = self.network
        return (
            f"<{type(self).__name__} of {network!r}, {'compiled' if self.is_compiled else 'by formulas'}: "
            f"{format_batch_shape(network.input_shape)} to {format_batch_shape(network.output_shape)}, "
            f"{network.dtype}>"
        )


class InferencePlans:
    """Inference plans of one network: one for each engine, made on first use.

    Parameters
    ----------
    network : Layer
        Built.
    trained_by : {"compiled", "formulas"}, default="formulas"
        The engine that trained the network, as in `inference_engine`.

    Examples
    --------
    >>> from layernet import Dense
    >>> plans = InferencePlans(Dense(2).build(3))
    >>> plans.select_plan(n_rows=10, engine="formulas").is_compiled
    False
    """

    def __init__(self, network: Layer, trained_by: str = "formulas"):
        self.network, self.trained_by = network, trained_by
        self._multiplications = cost_of(network)[0]
        self._plans: dict[str, InferencePlan] = {}

    def select_plan(self, n_rows: int, engine: str) -> InferencePlan:
        """Return the plan for a number of rows, of the engine that `inference_engine` chooses.

        Parameters
        ----------
        n_rows : int
        engine : {"auto", "compiled", "formulas"}
            As in `inference_engine`.

        Returns
        -------
        InferencePlan
        """
        engine = choice.inference_engine(engine, n_rows * self._multiplications, self.trained_by)
        if engine not in self._plans:
            self._plans[engine] = InferencePlan(self.network, engine)
        return self._plans[engine]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.network, self.trained_by)


@contextmanager
def put_into_inference_mode(in_training: list[Layer]) -> Iterator[None]:
    """Put layers that are in training mode into inference mode within this context."""
    try:
        for layer in in_training:
            layer.training = False
        yield
    finally:
        for layer in in_training:
            layer.training = True
