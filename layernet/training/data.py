"""Data as the steps of training take them: dense, sparse or on disk, checked once for all batches."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.inference import InferencePlans
from layernet.guards.read_only import read_only
from layernet.layer import Layer
from layernet.losses.loss import Loss, as_weights, bounded
from layernet.sparse import (
    as_sparse_rows,
    is_sparse,
    is_worth_keeping_sparse,
    require_finite_entries,
)
from layernet.training.batches import batches, rows_of
from layernet.training.given import GivenArrays
from layernet.validation import FLOAT_TYPES, as_array, as_float_array, require_dense, require_finite

# Bytes. A memory-mapped array whose copy in the network's type would be larger stays on disk, and each batch
# converts its own rows: whoever maps a file of this size may well do it because it does not fit into memory. A
# smaller one is converted once, which is faster than once an epoch, and 256 MB are there on any machine. Nobody
# copies an array that has the network's type already, whatever its size.
IN_MEMORY_LIMIT = 256 * 2**20

EVALUATION_BATCH_SIZE = 1024
# How many numbers go into a network at once at most, where that is more than one row: 64 MB of float32.
EVALUATION_BATCH_NUMBERS = 2**24


class TrainingData:
    """Inputs, targets and weights as the steps of training take them, checked once for all batches.

    A sparse `X` stays sparse. Batches are sparse rows if the network accepts them and so little is in them that
    this is faster, and arrays if not.

    A memory-mapped `X` that would be larger than `IN_MEMORY_LIMIT` in the network's type is left on disk; its
    rows are read, and converted, a batch at a time. Of `y` there may be a copy in memory, in the type and the
    shape that the loss takes.

    Parameters
    ----------
    network : Layer
        Built with the shape and the type of the inputs if it is not built yet.
    loss : Loss
    X : array-like or sparse matrix of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,) or None
    random : numpy.random.Generator or None
        To build the network with.

    Attributes
    ----------
    inputs : ndarray, csr_array or SelectedRows of shape (n_samples, ...)
        Of the network's type, unless it is a large array on disk. Arrays are read-only views: a callback
        replaces a whole array by another, `run.data.inputs = X + noise`, which is checked as the first one was.
        The steps that come after it see it, in both engines.
    dtype : numpy.dtype
        What the inputs of each batch are converted to if they are not of it.
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them; read-only, and replaced as a whole.
    weights : ndarray of shape (n_samples,) or None
        Class weights among them; read-only, and replaced as a whole.
    n_samples : int
    mean_weight : float
    given : GivenArrays
        What the data were made of.
    """

    # A number for each row, for layers with noise; None counts the rows of a batch.
    rows: np.ndarray | None = None
    # Whether each batch divides by its own total weight: a weight then means less beside heavy ones.
    normalize_each_batch = False
    # Counts replacements, so that a plan which holds addresses notices them.
    version = 0
    # Of arrays whose rows do not lie one after the other: by name, the array and its copy.
    _copies: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __init__(self, network: Layer, loss: Loss, X, y, sample_weight, random):
        inputs = check_inputs(network, X, "X")
        if network.input_shape is None:
            dtype = inputs.dtype if inputs.dtype in FLOAT_TYPES else np.dtype(np.float64)
            network.build(inputs.shape[1:], random, dtype)
        if len(network.parameter_vector) == 0:
            raise ValueError(f"{network!r} has no parameters to train: add a Dense layer, for instance.")
        self.given = GivenArrays(X=X, y=y, sample_weight=sample_weight)
        self._inputs = read_only(validate_inputs(network, inputs))
        self._add_targets(network, loss, y, sample_weight)

    @classmethod
    def of_checked(cls, network: Layer, loss: Loss, X, y, sample_weight) -> TrainingData:
        """Data whose inputs are checked already: each batch makes an array of its own rows, and no more.

        Parameters
        ----------
        network : Layer
            Built.
        X : sparse matrix or SelectedRows of shape (n_samples, n_features)
            Finite numbers.
        """
        data = cls.__new__(cls)
        data.given = GivenArrays(X=X, y=y, sample_weight=sample_weight)
        data._inputs = X if isinstance(X, SelectedRows) else as_sparse_rows(X, network.dtype, True, "X")
        data._add_targets(network, loss, y, sample_weight)
        return data

    def _add_targets(self, network, loss, y, sample_weight):
        self.dtype = network.dtype
        self.network, self.loss = network, loss
        self.n_samples = self.inputs.shape[0]
        self._targets = read_only(check_targets(network, loss, y, self.n_samples, "y"))
        given = None if sample_weight is None else bounded(as_weights(sample_weight, self.n_samples))[0]
        self._set_weights(loss.sample_weights(self._targets, given))

    def _set_weights(self, weights):
        mean = 1.0 if weights is None else float(weights.mean())
        if not mean > 0:
            raise ValueError("The sample weights (times the class weights) are all 0: nothing to train on.")
        self._weights, self.mean_weight = read_only(weights), mean

    # --- replacing them while a network trains ---

    @property
    def inputs(self) -> Any:
        """The inputs, which may be replaced by others of as many rows."""
        return self._inputs

    @inputs.setter
    def inputs(self, X: Any) -> None:
        inputs = validate_inputs(self.network, check_inputs(self.network, X, "run.data.inputs"))
        if inputs.shape[0] != self.n_samples:
            raise ValueError(
                f"run.data.inputs must have as many rows as before, {self.n_samples}, got {inputs.shape[0]}. "
                "For another number of rows give fit a function in the place of X: fit(function, loss=...)."
            )
        self._inputs = read_only(inputs)
        self.given.replace("X", X)
        self.version += 1

    @property
    def targets(self) -> np.ndarray:
        """The targets, which may be replaced by others of as many rows."""
        return self._targets

    @targets.setter
    def targets(self, y: Any) -> None:
        targets = check_targets(self.network, self.loss, y, self.n_samples, "run.data.targets")
        self._targets = read_only(targets)
        self.given.replace("y", y)
        self.version += 1

    @property
    def weights(self) -> np.ndarray | None:
        """The weights, class weights among them, which may be replaced by others, or by None."""
        return self._weights

    @weights.setter
    def weights(self, weights: Any) -> None:
        self._set_weights(None if weights is None else bounded(as_weights(weights, self.n_samples))[0])
        self.given.replace("sample_weight", weights)
        self.version += 1

    def replace(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace everything by other data, which may have another number of rows.

        Raises
        ------
        ValueError, TypeError
            As from the constructor; nothing is changed then.
        """
        other = TrainingData(self.network, self.loss, X, y, sample_weight, None)
        other.normalize_each_batch, other.version = self.normalize_each_batch, self.version + 1
        vars(self).clear()
        vars(self).update(vars(other))

    def widen(self) -> None:
        """Have batches made in float64, which a line search needs."""
        self.dtype = np.dtype(np.float64)
        if self._targets.dtype.kind == "f":
            self._targets = read_only(self._targets.astype(np.float64))
        self.version += 1

    # --- what steps take ---

    def batch(self, rows):
        """Inputs, targets, weights, the normalizer and the numbers of some rows."""
        inputs, targets = self._inputs_of(rows), self._targets[rows]
        numbers = None if self.rows is None else self.rows[rows]
        if self._weights is None:
            return inputs, targets, None, None, numbers
        normalizer = None if self.normalize_each_batch else inputs.shape[0] * self.mean_weight
        return inputs, targets, self._weights[rows], normalizer, numbers

    @property
    def has_sparse_batches(self) -> bool:
        """Whether batches are sparse rows."""
        return is_sparse(self.inputs) and stays_sparse(self.network, self.inputs)

    def in_one_piece(self, name: str, dtype: np.dtype) -> np.ndarray | None:
        """The `inputs` or the `targets` as kernels read them: in a type, and one row after the other in memory.

        Parameters
        ----------
        name : {"inputs", "targets"}
        dtype : numpy.dtype

        Returns
        -------
        ndarray or None
            The array itself if it is like that, or else a copy, which is made once. None for an array that
            stays on disk, or holds no numbers.
        """
        array = getattr(self, name)
        if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
            return array
        if array.dtype.kind not in "biuf" or stays_on_disk(array, dtype):
            return None
        source, copy = self._copies.get(name, (None, None))
        if source is not array:
            copy = np.array(array, dtype, order="C")
            self._copies = {**self._copies, name: (array, copy)}
        return copy

    def largest_input(self) -> float:
        """The largest absolute value among the inputs, found a block at a time."""
        if is_sparse(self.inputs):
            return float(abs(self.inputs.data).max(initial=0))
        block_size = rows_in_a_block(self.inputs)
        return max(float(abs(self._inputs_of(rows)).max()) for rows in batches(self.n_samples, block_size))

    def _inputs_of(self, rows):
        inputs = self._inputs
        if isinstance(inputs, np.ndarray) and inputs.dtype == self.dtype:
            return rows_of(inputs, rows)
        inputs = inputs if isinstance(rows, slice) and rows == slice(None) else inputs[rows]
        return (inputs if self.has_sparse_batches else dense_rows(inputs)).astype(self.dtype, copy=False)


class SelectedRows:
    """Rows of an array in an order of their own, read from it when they are asked for.

    Parameters
    ----------
    array : ndarray of shape (n_rows, ...)
        Large, and on disk: `array[rows]` would be a copy in memory.
    rows : ndarray of int, of shape (n_samples,)

    Examples
    --------
    >>> selected = SelectedRows(np.array([[0.0], [1.0], [2.0]]), np.array([2, 0]))
    >>> selected.shape, selected[:1]
    ((2, 1), array([[2.]]))
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self.array = array
        self.rows = rows
        self.shape = (len(rows), *array.shape[1:])
        self.ndim = array.ndim
        self.dtype = array.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[self.rows[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # For those who want them all at once, as scikit-learn's scorers do.
        return self.array[self.rows].astype(dtype or self.dtype, copy=False)


def select_rows(array: Any, rows: np.ndarray) -> Any:
    """Some rows of an array or a sparse matrix: a copy, or for a large array on disk a `SelectedRows`."""
    return SelectedRows(array, rows) if stays_on_disk(array, array.dtype) else array[rows]


def stays_on_disk(array: Any, dtype: np.dtype | None) -> bool:
    """Whether an array is memory-mapped, and too large to be copied into memory in a type."""
    itemsize = 8 if dtype is None else dtype.itemsize  # float64 is what a network of no type yet makes of it
    return is_memory_mapped(array) and array.ndim > 0 and array.size * itemsize > IN_MEMORY_LIMIT


def is_memory_mapped(array: Any) -> bool:
    """Whether an array's numbers lie in a file that is mapped into memory: a `np.memmap`, or a view into one.

    Parameters
    ----------
    array : object

    Returns
    -------
    bool
        False for what is no array, and for copies, even those whose type is still `np.memmap`.
    """
    owner = array if isinstance(array, np.ndarray) else None
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return owner is not None


def outputs_in_blocks(
    network: Layer,
    inputs: Any,
    decode: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    engine: str = "auto",
    plans: InferencePlans | None = None,
    check: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """What a network makes of many rows, in inference mode, with memory for the values inside of a few blocks.

    Parameters
    ----------
    network : Layer
    inputs : ndarray, sparse matrix or SelectedRows of shape (n_samples, ...)
        Those of another type than the network's are converted a block at a time.
    decode : callable, default=None
        What to make of the outputs of each block; None leaves them.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        As in `inference_engine`.
    plans : InferencePlans, default=None
        Of this network, to use again what was made for an earlier call.
    check : callable, default=None
        Called with each block of inputs; may raise an error.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    stay_sparse = is_sparse(inputs) and stays_sparse(network, inputs)
    if is_sparse(inputs):
        inputs = as_sparse_rows(inputs, network.dtype, False, "X")

    def block_of(rows):
        block = inputs[rows] if stay_sparse else dense_rows(inputs[rows])
        if check is not None:
            check(block)
        return block

    if network.input_shape is None:
        inputs = network.validate_inputs(dense_rows(inputs))  # which builds it
    if plans is None or plans.network is not network:
        plans = InferencePlans(network)
    n_rows = inputs.shape[0]
    # A mapped file may be closed or deleted after the return.
    waits = n_rows > 1 and is_memory_mapped(getattr(inputs, "array", inputs))
    plan = plans.plan_for(n_rows, "formulas" if stay_sparse else engine)
    if n_rows == 1 and not plan.is_compiled and not network.training:  # microseconds count
        outputs = network.forward_pass(block_of(slice(1)))
        return outputs if decode is None else decode(outputs)
    block_size = rows_in_a_block(inputs) if stay_sparse else None
    return plan.in_blocks(inputs, decode, block_of, waits, block_size)


def rows_in_a_block(inputs: Any) -> int:
    """How many rows of inputs are put through a network at once when it is not trained on them."""
    return max(1, min(EVALUATION_BATCH_SIZE, EVALUATION_BATCH_NUMBERS // max(1, math.prod(inputs.shape[1:]))))


def dense_rows(inputs: Any) -> np.ndarray:
    """Sparse rows, or selected ones, as an array; an array as it is."""
    if isinstance(inputs, np.ndarray):
        return inputs
    return np.asarray(inputs) if isinstance(inputs, SelectedRows) else inputs.toarray()


def stays_sparse(network: Layer, rows: Any) -> bool:
    """Whether batches of a sparse matrix are given to a network as they are: if it accepts them and it pays."""
    return network.accepts_sparse and is_worth_keeping_sparse(rows)


def check_inputs(network: Layer, X: Any, name: str) -> Any:
    """Inputs as an array, or as sparse rows, of finite numbers with at least one row.

    Parameters
    ----------
    network : Layer
    X : array-like or sparse matrix of shape (n_samples, ...)
    name : str
        What they are, for errors.

    Returns
    -------
    ndarray or csr_array
        Of the network's type, or of a float type if it has none yet; a large array on disk as it is.
    """
    if is_sparse(X):
        with np.errstate(over="ignore"):
            inputs = as_sparse_rows(X, network.dtype, network.has_parameters, name)
        if inputs.shape[0] == 0:
            raise ValueError(f"{name} must have at least one sample, got the shape {inputs.shape}.")
        require_finite_entries(inputs, name)
        return inputs
    if stays_on_disk(X, network.dtype):
        inputs = np.asarray(X)
        # No row of it: what the type is, or will be.
        dtype = as_float_array(inputs[:0], network.dtype, network.has_parameters, name).dtype
    else:
        with np.errstate(over="ignore"):  # what is too large for the type is in the error
            inputs = as_float_array(X, network.dtype, network.has_parameters, name)
        dtype = None
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"{name} must have at least one sample, got the shape {inputs.shape}.")
    require_finite(inputs, name, dtype)
    return inputs


def validate_inputs(network: Layer, inputs: Any) -> Any:
    """Checked inputs as a built network takes them; sparse rows and a large array on disk stay what they are.

    Raises
    ------
    ValueError
        If the shape is not the one that the network was built for.
    """
    if is_sparse(inputs):
        network.validate_inputs(np.broadcast_to(network.dtype.type(0), inputs.shape))
        return inputs.astype(network.dtype, copy=False)
    if stays_on_disk(inputs, network.dtype):
        network.validate_inputs(np.broadcast_to(network.dtype.type(0), inputs.shape))  # a shape without memory
        return inputs
    return network.validate_inputs(inputs)


def check_targets(network: Layer, loss: Loss, y: Any, n_samples: int, name: str) -> np.ndarray:
    """Targets as the loss takes them, one for each sample."""
    if y is None:
        raise ValueError(
            f"{name} is None, and training needs a target for each sample. An autoencoder's targets are its "
            "inputs: y=X."
        )
    require_dense(y, name)
    if as_array(y, name).ndim == 0:
        raise ValueError(f"{name} must have one target for each of {n_samples} samples, got {y!r} alone.")
    if len(y) != n_samples:
        raise ValueError(f"{name} must have one target for each of {n_samples} samples, got {len(y)}.")
    return loss.prepare(y, network.output_shape, network.dtype)
