"""Training data: inputs, targets and weights, validated once and read batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet.guards.read_only import read_only
from layernet.layer import Layer
from layernet.losses.loss import Loss, as_weights, bounded
from layernet.sparse import as_sparse_rows, is_sparse
from layernet.training.batches import Rows, batches, rows_of
from layernet.training.data_validation import check_targets, prepare_inputs
from layernet.training.outputs import rows_in_a_block
from layernet.training.storage import SelectedRows, dense_rows, stays_on_disk, stays_sparse
from layernet.training.watched_arrays import WatchedArrays


class TrainingData:
    """Inputs, targets and weights of a training, validated once for all batches.

    A sparse `X` stays sparse. Its batches are sparse rows if the network accepts them and they have so few
    entries that this is faster; otherwise batches are arrays.

    A memory-mapped `X` stays on disk if its copy in the network's type would exceed `IN_MEMORY_LIMIT`. Each
    batch then reads and converts its own rows. The targets may be a copy of `y` in memory, in the type and the
    shape that the loss takes.

    Parameters
    ----------
    network : Layer
        A network that is not built yet is built with the shape and the type of `X`.
    loss : Loss
    X : array-like or sparse matrix of shape (n_samples, ...)
    y : array-like of shape (n_samples, ...)
    sample_weight : array-like of shape (n_samples,) or None
    random : numpy.random.Generator or None
        Draws the initial parameters of a network that is not built yet.

    Attributes
    ----------
    inputs : ndarray, csr_array or SelectedRows of shape (n_samples, ...)
        Of the network's type, unless it is a large array on disk. Arrays are read-only views. A callback
        replaces the whole array, `run.data.inputs = X + noise`; the new array is validated as the first one
        was, and the next step uses it, in both engines.
    dtype : numpy.dtype
        Type of the inputs of a batch.
    targets : ndarray of shape (n_samples, ...)
        Returned by `loss.prepare`; read-only, and replaced as a whole.
    weights : ndarray of shape (n_samples,) or None
        Sample weights times class weights; read-only, and replaced as a whole.
    n_samples : int
    mean_weight : float
    watched_arrays : WatchedArrays
        The arrays of the user, which must not change during training.
    """

    # A number for each sample, which seeds the noise of its row. None: the position in the batch.
    sample_numbers: np.ndarray | None = None
    # Whether a batch divides its loss by its own total weight, as scikit-learn does.
    normalize_each_batch = False
    # Number of replacements, by which a plan that holds addresses notices them.
    version = 0
    # Contiguous copies of arrays that are not contiguous: by name, the array and its copy.
    _copies: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        X: Any,
        y: Any,
        sample_weight: Any,
        random: np.random.Generator | None,
    ):
        inputs = prepare_inputs(network, X, "X", random)
        if len(network.parameter_vector) == 0:
            raise ValueError(f"{network!r} has no parameters to train: add a Dense layer, for instance.")
        self.watched_arrays = WatchedArrays(X=X, y=y, sample_weight=sample_weight)
        self._inputs = read_only(inputs)
        self._add_targets(network, loss, y, sample_weight)

    @classmethod
    def of_checked(cls, network: Layer, loss: Loss, X: Any, y: Any, sample_weight: Any) -> TrainingData:
        """Training data whose inputs are validated already, and are converted batch by batch.

        Parameters
        ----------
        network : Layer
            Built.
        X : sparse matrix or SelectedRows of shape (n_samples, n_features)
            Finite numbers.
        """
        data = cls.__new__(cls)
        data.watched_arrays = WatchedArrays(X=X, y=y, sample_weight=sample_weight)
        data._inputs = X if isinstance(X, SelectedRows) else as_sparse_rows(X, network.dtype, True, "X")
        data._add_targets(network, loss, y, sample_weight)
        return data

    def _add_targets(self, network: Layer, loss: Loss, y: Any, sample_weight: Any) -> None:
        self.dtype = network.dtype
        self.network, self.loss = network, loss
        self.n_samples = self.inputs.shape[0]
        self._targets = read_only(check_targets(network, loss, y, self.n_samples, "y"))
        given = None if sample_weight is None else bounded(as_weights(sample_weight, self.n_samples))[0]
        self._set_weights(loss.sample_weights(self._targets, given))

    def _set_weights(self, weights: np.ndarray | None) -> None:
        mean = 1.0 if weights is None else float(weights.mean())
        if not mean > 0:
            raise ValueError("The sample weights (times the class weights) are all 0: nothing to train on.")
        self._weights, self.mean_weight = read_only(weights), mean

    # --- replacement during training ---

    @property
    def inputs(self) -> Any:
        """The inputs; assignment replaces them by others with the same number of rows."""
        return self._inputs

    @inputs.setter
    def inputs(self, X: Any) -> None:
        inputs = prepare_inputs(self.network, X, "run.data.inputs")
        if inputs.shape[0] != self.n_samples:
            raise ValueError(
                f"run.data.inputs must have as many rows as before, {self.n_samples}, got {inputs.shape[0]}. "
                "For another number of rows pass a function as X: fit(function, loss=...)."
            )
        self._inputs = read_only(inputs)
        self.watched_arrays.replace("X", X)
        self.version += 1

    @property
    def targets(self) -> np.ndarray:
        """The targets; assignment replaces them by others with the same number of rows."""
        return self._targets

    @targets.setter
    def targets(self, y: Any) -> None:
        targets = check_targets(self.network, self.loss, y, self.n_samples, "run.data.targets")
        self._targets = read_only(targets)
        self.watched_arrays.replace("y", y)
        self.version += 1

    @property
    def weights(self) -> np.ndarray | None:
        """Sample weights times class weights; assignment replaces them by others, or by None."""
        return self._weights

    @weights.setter
    def weights(self, weights: Any) -> None:
        self._set_weights(None if weights is None else bounded(as_weights(weights, self.n_samples))[0])
        self.watched_arrays.replace("sample_weight", weights)
        self.version += 1

    def replace(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace inputs, targets and weights by others, which may have another number of rows.

        Raises
        ------
        ValueError, TypeError
            As from the constructor; the data are unchanged then.
        """
        other = TrainingData(self.network, self.loss, X, y, sample_weight, None)
        other.normalize_each_batch, other.version = self.normalize_each_batch, self.version + 1
        vars(self).clear()
        vars(self).update(vars(other))

    def widen(self) -> None:
        """Make batches of float64, whose precision a line search needs."""
        self.dtype = np.dtype(np.float64)
        if self._targets.dtype.kind == "f":
            self._targets = read_only(self._targets.astype(np.float64))
        self.version += 1

    # --- batches ---

    def batch(self, rows: Rows) -> tuple[Any, np.ndarray, np.ndarray | None, float | None, np.ndarray | None]:
        """Return the inputs, targets, weights, normalizer of the loss, and sample numbers of some rows."""
        inputs, targets = self._inputs_of(rows), self._targets[rows]
        numbers = None if self.sample_numbers is None else self.sample_numbers[rows]
        if self._weights is None:
            return inputs, targets, None, None, numbers
        normalizer = None if self.normalize_each_batch else inputs.shape[0] * self.mean_weight
        return inputs, targets, self._weights[rows], normalizer, numbers

    @property
    def has_sparse_batches(self) -> bool:
        """Whether batches are sparse rows."""
        return is_sparse(self.inputs) and stays_sparse(self.network, self.inputs)

    def in_one_piece(self, name: str, dtype: np.dtype) -> np.ndarray | None:
        """Return the `inputs` or the `targets` in the form that kernels read: contiguous, of a given type.

        Parameters
        ----------
        name : {"inputs", "targets"}
        dtype : numpy.dtype

        Returns
        -------
        ndarray or None
            The array itself if possible, otherwise a copy, which is made once. None for an array that stays on
            disk, or has no numbers.
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
        """Largest absolute value of the inputs, computed in blocks of rows."""
        if is_sparse(self.inputs):
            return float(abs(self.inputs.data).max(initial=0))
        block_size = rows_in_a_block(self.inputs)
        return max(float(abs(self._inputs_of(rows)).max()) for rows in batches(self.n_samples, block_size))

    def _inputs_of(self, rows: Rows) -> Any:
        inputs = self._inputs
        if isinstance(inputs, np.ndarray) and inputs.dtype == self.dtype:
            return rows_of(inputs, rows)
        inputs = inputs if isinstance(rows, slice) and rows == slice(None) else inputs[rows]
        return (inputs if self.has_sparse_batches else dense_rows(inputs)).astype(self.dtype, copy=False)
