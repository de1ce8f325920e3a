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

# So many multiplications take half a millisecond or more. To start a thread takes a tenth of that.
MIN_MULTIPLICATIONS_FOR_HELPERS = 20_000_000
# OpenBLAS computes smaller products on one thread anyway. To limit its threads takes 12 microseconds.
MIN_MULTIPLICATIONS_FOR_BLAS_THREADS = 2**18


class InferencePlan:
    """Built network as a function, `outputs = plan(inputs)`, always in inference mode.

    The outputs equal `network.forward_pass(inputs)` to rounding. With Numba, a call with a single row costs
    about a microsecond more than its arithmetic. Many rows are computed in blocks, so that only the outputs
    take memory that grows with the rows. Several threads share the blocks if there are enough
    multiplications.

    The plan follows later changes of the network: new values of parameters and state, other arguments of its
    layers, other layers in their place, and a new build.

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
    Several threads may call one plan at the same time. Each gets buffers of its own, which are made when they
    are first needed. No thread may train the network meanwhile, but callbacks of its training may call the
    plan.

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
        # Workers that no thread uses now. To pop from a list or to append is atomic, so no thread waits.
        self._idle: list[InferenceWorker] = []
        try:
            self._idle.append(self._make_worker())
        except ImportError as error:  # a Numba that does not go with this NumPy, for instance
            if asked_for == "compiled":
                raise
            warn_user(f"Inference goes on by formulas, for kernels need Numba: {error}")
            self.is_compiled = False
            self._idle.append(self._make_worker())

    def __call__(self, inputs: Any) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        inputs : array-like or sparse matrix of shape (n_samples, ...)
            Converted and checked as `forward_pass` does.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            A new array.

        Raises
        ------
        TypeError, ValueError
            As `forward_pass`, if the inputs are no numbers or have another shape.
        """
        worker = self._acquire()
        try:
            if (
                inputs.__class__ is np.ndarray
                and inputs.dtype is worker.dtype
                and inputs.shape == worker.shape_of_one
            ):
                # A single row, for which buffers and arguments are ready.
                worker.row[...] = inputs
                worker.run_row(*worker.arguments)
                return worker.outputs_of_row.copy()
            return self._outputs_of(inputs, worker)
        finally:
            self._idle.append(worker)

    def _acquire(self) -> InferenceWorker:
        """Return an idle worker that is up to date, or a new one."""
        try:
            worker = self._idle.pop()
        except IndexError:
            return self._make_worker()
        return worker if worker.dependencies.are_unchanged() else self._make_worker()

    def _acquire_with_hooks(self) -> InferenceWorker:
        """Return the same, made for the passes that are set on layer objects now, as a monitor does."""
        worker = self._acquire()
        return worker if worker.hooks.are_unchanged() else self._make_worker()

    def _make_worker(self) -> InferenceWorker:
        """Return a worker for the network as it is now."""
        self.network._require_built("plan for inference")
        if any(isinstance(layer, BoundLoss) for layer in self.network.walk()):
            raise ValueError(
                f"{self.network!r} has a loss in it, so its outputs are no rows. Compile the network without "
                "its loss."
            )
        if not self.is_compiled:
            return FormulaWorker(self.network)
        # Imported only by those who compile something.
        from layernet.engine.compiled.inference import CompiledWorker

        return CompiledWorker(self.network)

    def in_blocks(
        self,
        inputs: Any,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        block_of: Callable[[slice], Any] | None = None,
        wait_for_helpers: bool = False,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Compute outputs block by block, from inputs of any kind that can be read in blocks.

        Parameters
        ----------
        inputs : object with `shape`, `ndim` and `dtype`
            Numbers of a shape that the network takes.
        decode : callable, default=None
            Converts the outputs of each block; None for the outputs themselves.
        block_of : callable, default=None
            Returns the inputs of a slice of rows; None slices the inputs. This and `decode` may be called by
            several threads at once, and twice for the same rows.
        wait_for_helpers : bool, default=False
            Whether to return only when no thread reads the inputs any more.
        block_size : int, default=None
            The number of rows of a block; None for the number that suits the network.

        Returns
        -------
        ndarray of shape (n_rows, ...)
        """
        worker = self._acquire_with_hooks()
        try:
            if worker.accepts(inputs):
                block_of = block_of or inputs.__getitem__
                return self._in_blocks(worker, inputs.shape[0], block_of, decode, wait_for_helpers, block_size)
        finally:
            self._idle.append(worker)
        if not accepts_inputs(self.network, inputs):
            self.network.validate_inputs(inputs)  # raises the error that names the mistake
        # A network without parameters takes all shapes and both types, and kernels those that it was built for.
        return InferencePlan(self.network, "formulas").in_blocks(
            inputs, decode, block_of, wait_for_helpers, block_size
        )

    def _outputs_of(self, inputs: Any, worker: InferenceWorker) -> np.ndarray:
        if is_sparse(inputs):  # layers are given blocks of sparse rows, or of dense ones if they need these
            rows = as_sparse_rows(inputs, self.network.dtype, False, f"inputs of {type(self.network).__name__}")
            return InferencePlan(self.network, "formulas").in_blocks(rows, block_size=MAX_BLOCK_ROWS)
        if not is_ready_input(worker, inputs):
            array = as_array(inputs, f"inputs of {type(self.network).__name__}")
            if not worker.accepts(array):
                array = self.network.validate_inputs(inputs)  # raises the error that names the mistake
                if not worker.accepts(array):
                    return self.in_blocks(array)
            inputs = array
        return self._in_blocks(worker, len(inputs), inputs.__getitem__)

    def _in_blocks(
        self,
        worker: InferenceWorker,
        n_rows: int,
        block_of: Callable[[slice], Any],
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        wait_for_helpers: bool = False,
        block_size: int | None = None,
    ) -> np.ndarray:
        def compute_by(worker: InferenceWorker, rows: slice) -> np.ndarray:
            outputs = worker.compute(block_of(rows))
            return outputs if decode is None else decode(outputs)

        block_size = block_size or worker.rows
        is_shared = worker.is_for_threads and n_rows > block_size
        product = min(n_rows, worker.rows_of_product) * worker.largest_product
        # BLAS would use a second thread for products that are too small for it.
        one_thread = is_shared or (
            n_rows > 1 and MIN_MULTIPLICATIONS_FOR_BLAS_THREADS < product <= SMALL_MULTIPLICATIONS
        )
        in_training = [layer for layer in worker.layers if layer.training]
        if n_rows <= block_size and not one_thread and not in_training:
            return compute_by(worker, slice(0, n_rows))  # a few rows: all else would take longer
        compute_for_helper = None
        if is_shared and n_rows * worker.multiplications >= MIN_MULTIPLICATIONS_FOR_HELPERS:
            compute_for_helper = partial(self._compute_for_helper, compute_by)
        with in_inference(in_training), blas_on_one_thread(one_thread):
            return compute_in_blocks(
                n_rows, block_size, partial(compute_by, worker), compute_for_helper, wait_for_helpers
            )

    @contextmanager
    def _compute_for_helper(
        self, compute_by: Callable[[InferenceWorker, slice], np.ndarray]
    ) -> Iterator[Compute]:
        """Give a helper thread a worker of its own within this context."""
        worker = self._acquire_with_hooks()
        try:
            yield partial(compute_by, worker)
        finally:
            self._idle.append(worker)

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
    """Inference plans of one network, one for each engine, made when they are first needed.

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
    >>> plans.plan_for(n_rows=10, engine="formulas").is_compiled
    False
    """

    def __init__(self, network: Layer, trained_by: str = "formulas"):
        self.network, self.trained_by = network, trained_by
        self._multiplications = cost_of(network)[0]
        self._plans: dict[str, InferencePlan] = {}

    def plan_for(self, n_rows: int, engine: str) -> InferencePlan:
        """Return the plan for a number of rows.

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
def in_inference(in_training: list[Layer]) -> Iterator[None]:
    """Put layers that are in training mode into inference mode within this context."""
    try:
        for layer in in_training:
            layer.training = False
        yield
    finally:
        for layer in in_training:
            layer.training = True
