"""Inference: the outputs of a network for new inputs, in blocks of rows, by kernels or by formulas."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.engine import choice
from layernet.engine.blocks import computed_in_blocks
from layernet.engine.threads import SMALL_PRODUCT, blas_on_one_thread
from layernet.guards.inputs import format_batch_shape, is_ready_input
from layernet.layer import Layer
from layernet.losses.loss import BoundLoss
from layernet.sparse import as_sparse_rows, is_sparse
from layernet.user_warnings import warn_user
from layernet.validation import as_array

if TYPE_CHECKING:
    from layernet.engine.compiled.inference import CompiledWorker

# Formulas take as many rows at once as keep the values of two layers in a core's own cache, but so many that
# NumPy's calls are few, and so few that the allocator keeps the memory of a value for the next.
BYTES_IN_CACHE, FEWEST_ROWS, MOST_ROWS = 2**21, 64, 512
# Third-party layers get the blocks that they are used to.
ROWS_OF_THIRD_PARTIES = 1024
# So many multiplications take half a millisecond or more. A thread is started within a tenth of that.
WORTH_A_THREAD = 20_000_000
# An activation of one value takes as long as about so many multiplications.
MULTIPLICATIONS_OF_A_VALUE = 20
# OpenBLAS computes products of so many multiplications on one thread anyway. To tell it takes 12 microseconds.
LEAST_FOR_THREADS = 2**18


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

    def _take_heeding(self):
        """The same, which also heeds passes that were put on a layer in the place of its class's."""
        worker = self._take()
        return worker if worker.has_own == [has_own_pass(layer) for layer in worker.layers] else self._draw_up()

    def _draw_up(self):
        """A worker for the network as it is now."""
        self.network._require_built("plan for inference")
        if any(isinstance(layer, BoundLoss) for layer in self.network.walk()):
            raise ValueError(
                f"{self.network!r} has a loss in it, so its outputs are no rows. Compile the network without "
                "its loss."
            )
        if not self.is_compiled:
            return FormulaWorker(self.network)
        # The compiler's side is loaded by those alone who have something to compile.
        from layernet.engine.compiled.inference import CompiledWorker

        return CompiledWorker(self.network)

    def in_blocks(
        self,
        inputs: Any,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        block_of: Callable[[slice], Any] | None = None,
        waits: bool = False,
        block_size: int | None = None,
    ) -> np.ndarray:
        """Compute the outputs of inputs of any kind that are read a block at a time.

        Parameters
        ----------
        inputs : object with `shape`, `ndim` and `dtype`
            Numbers of a shape that the network takes.
        decode : callable, default=None
            What to make of the outputs of each block; None leaves them.
        block_of : callable, default=None
            Returns the inputs of a slice of rows; None slices the inputs. This and `decode` may be called by
            several threads at once, and twice for the same rows.
        waits : bool, default=False
            Whether nobody may use the inputs after the return.
        block_size : int, default=None
            How many rows formulas take at once; None for as many as suit the network.

        Returns
        -------
        ndarray of shape (n_rows, ...)
        """
        worker = self._take_heeding()
        try:
            if worker.takes(inputs):
                block_of = block_of or inputs.__getitem__
                return self._in_blocks(worker, inputs.shape[0], block_of, decode, waits, block_size)
        finally:
            self._idle.append(worker)
        if not is_for(self.network, inputs):
            self.network.validate_inputs(inputs)  # raises what is to be raised
        # A network without parameters takes all shapes and both types, and kernels those that it was built for.
        return InferencePlan(self.network, "formulas").in_blocks(inputs, decode, block_of, waits, block_size)

    def _outputs_of(self, inputs, worker):
        if is_sparse(inputs):  # blocks of them are given to the layers, which make them dense or not
            rows = as_sparse_rows(inputs, self.network.dtype, False, f"inputs of {type(self.network).__name__}")
            return InferencePlan(self.network, "formulas").in_blocks(rows, block_size=MOST_ROWS)
        if not is_ready_input(worker, inputs):
            array = as_array(inputs, f"inputs of {type(self.network).__name__}")
            if not worker.takes(array):
                array = self.network.validate_inputs(inputs)  # raises what is to be raised
                if not worker.takes(array):
                    return self.in_blocks(array)
            inputs = array
        return self._in_blocks(worker, len(inputs), inputs.__getitem__)

    def _in_blocks(self, worker, n_rows, block_of, decode=None, waits=False, block_size=None):
        def compute_by(worker, rows):
            outputs = worker.compute(block_of(rows))
            return outputs if decode is None else decode(outputs)

        block_size = block_size or worker.rows
        is_shared = worker.is_for_threads and n_rows > block_size
        product = min(n_rows, worker.rows_of_product) * worker.largest
        # BLAS would take a second thread for products that are not worth it.
        one_thread = is_shared or (n_rows > 1 and LEAST_FOR_THREADS < product <= SMALL_PRODUCT)
        in_training = [layer for layer in worker.layers if layer.training]
        if n_rows <= block_size and not one_thread and not in_training:
            return compute_by(worker, slice(0, n_rows))  # a few rows: nothing else is worth its time
        lend = None
        if is_shared and n_rows * worker.multiplications >= WORTH_A_THREAD:
            lend = partial(self._lend, compute_by)
        with in_inference(in_training), blas_on_one_thread(one_thread):
            return computed_in_blocks(n_rows, block_size, partial(compute_by, worker), lend, waits)

    @contextmanager
    def _lend(self, compute_by):
        """A helping thread's own function of a slice of rows."""
        worker = self._take_heeding()
        try:
            yield partial(compute_by, worker)
        finally:
            self._idle.append(worker)

    def __reduce__(self):
        return type(self), (self.network, self.engine)

    def __repr__(self) -> str:
        network = self.network
        return (
            f"<{type(self).__name__} of {network!r}, {'compiled' if self.is_compiled else 'by formulas'}: "
            f"{format_batch_shape(network.input_shape)} to {format_batch_shape(network.output_shape)}, "
            f"{network.dtype}>"
        )


class InferencePlans:
    """The plans of one network, one for each engine, made when they are first needed.

    Parameters
    ----------
    network : Layer
        Built.
    trained_by : {"compiled", "formulas"}, default="formulas"
        Which engine trained it, as in `inference_engine`.

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
        """The plan that suits so many rows.

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

    def __reduce__(self):
        return type(self), (self.network, self.trained_by)


class FormulaWorker:
    """What one thread needs to compute outputs by the layers' own forward passes.

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
    rows : int
        How many rows are computed at once.
    multiplications, largest : int
        What a row costs, and its largest product.
    rows_of_product : int
        How many rows are given to BLAS at once.
    is_for_threads : bool
        Whether several threads may share the rows.
    """

    dtype = shape_of_one = None  # nothing is ready for a single row

    def __init__(self, network: Layer):
        self.network = network
        self.layers = list(network.walk())
        self.has_own = [has_own_pass(layer) for layer in self.layers]
        self._inside = [(layer, copy(layer.layers)) for layer in self.layers if layer.layers]
        self.is_for_threads = all(map(is_own, self.layers))
        self.rows = rows_in_cache(network) if self.is_for_threads else ROWS_OF_THIRD_PARTIES
        self.rows_of_product = self.rows
        self.multiplications, self.largest = cost_of(network)

    def is_up_to_date(self) -> bool:
        """Whether the layers are the same; all else formulas look up as it is."""
        return all(layer.layers == inside for layer, inside in self._inside)

    def takes(self, inputs: np.ndarray) -> bool:
        """Whether the network takes such inputs."""
        return is_for(self.network, inputs)

    def compute(self, block: Any) -> np.ndarray:
        """The outputs of a block of inputs."""
        return self.network.forward_pass(block)


def cost_of(network: Layer) -> tuple[int, int]:
    """What a row costs, in multiplications, and how many of them its largest product has."""
    sizes = size_of_parameters(network)
    n_values = sum(math.prod(layer.output_shape) for layer in network.walk() if not layer.layers)
    return sum(sizes) + MULTIPLICATIONS_OF_A_VALUE * n_values, max(sizes, default=0)


def size_of_parameters(network: Layer) -> list[int]:
    """The size of each parameter: how many multiplications a row needs for it."""
    return [math.prod(shape) for layer in network.walk() for shape in layer.parameter_shapes.values()]


def rows_in_cache(network: Layer) -> int:
    """How many rows formulas compute at once."""
    widest = max(math.prod(layer.output_shape) for layer in network.walk())
    bytes_of_a_row = (math.prod(network.input_shape) + 3 * widest) * network.dtype.itemsize
    return min(max(BYTES_IN_CACHE // bytes_of_a_row, FEWEST_ROWS), MOST_ROWS)


def is_own(layer: Layer) -> bool:
    """Whether a layer is of this package, with the passes of its class: it may run in several threads."""
    module = type(layer).__module__
    return module.startswith(("layernet.layers.", "layernet.containers")) and not has_own_pass(layer)


def has_own_pass(layer: Layer) -> bool:
    """Whether a way forward was put on a layer in the place of its class's, to look on for instance."""
    return "forward_pass" in vars(layer) or "record" in vars(layer)


def is_for(network: Layer, inputs: np.ndarray) -> bool:
    """Whether inputs are numbers, and of a shape that the network takes."""
    return (
        inputs.dtype.kind in "biuf"
        and inputs.ndim > 0
        and (not network.has_parameters or inputs.shape[1:] == network.input_shape)
    )


@contextmanager
def in_inference(in_training: list[Layer]) -> Iterator[None]:
    """Within this context layers that are in training mode behave as in inference."""
    try:
        for layer in in_training:
            layer.training = False
        yield
    finally:
        for layer in in_training:
            layer.training = True
