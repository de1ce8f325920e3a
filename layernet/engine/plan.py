"""Interface of a plan: what training needs to carry out steps, whichever engine computes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np


class NotFiniteError(ArithmeticError):
    """Raised when the loss or a gradient of a step is not finite; the parameters are unchanged."""


class Steps(NamedTuple):
    """Results of consecutive steps of an epoch.

    Attributes
    ----------
    losses : list of float
        The loss of each step.
    sizes : list of int
        The number of rows of each step.
    targets, outputs : ndarray or None
        Of a single step, if steps are yielded one by one.
    """

    losses: list[float]
    sizes: list[int]
    targets: np.ndarray | None
    outputs: np.ndarray | None


class DataSource(Protocol):
    """The data of a training, as a plan reads them; `layernet.training.data.TrainingData` is one.

    Attributes
    ----------
    n_samples : int
    inputs : ndarray, csr_array or any object with rows
    targets : ndarray of shape (n_samples, ...)
        As the loss prepared them.
    weights : ndarray of shape (n_samples,) or None
    mean_weight : float
        The mean of the weights; 1 without weights.
    sample_numbers : ndarray of shape (n_samples,) or None
        A number for each sample, which seeds the noise of its row; None to number the rows of each batch.
    normalize_each_batch : bool
        Whether each batch divides by its own total weight.
    has_sparse_batches : bool
        Whether the network is given sparse rows.
    version : int
        Counts how often something of this was replaced.
    """

    n_samples: int
    mean_weight: float
    sample_numbers: np.ndarray | None
    normalize_each_batch: bool
    version: int

    @property
    def inputs(self) -> Any: ...

    @property
    def targets(self) -> np.ndarray: ...

    @property
    def weights(self) -> np.ndarray | None: ...

    @property
    def has_sparse_batches(self) -> bool: ...

    def batch(self, rows: np.ndarray | slice) -> tuple[Any, ...]:
        """Return the inputs, targets, weights, normalizer and sample numbers of some rows."""

    def in_one_piece(self, name: str, dtype: np.dtype) -> np.ndarray | None:
        """Return an array of a type whose rows follow each other in memory; None if there is none."""


class Plan(Protocol):
    """Steps of training for one network, loss, optimizer and training data.

    Attributes
    ----------
    engine : {"formulas", "compiled"}
    """

    engine: str

    @property
    def batch_size(self) -> int:
        """Rows of a full batch: all rows of the data, if these are fewer than were asked for."""

    def ready(self) -> AbstractContextManager[None]:
        """Return the context in which `epoch` is called. It holds threads, and BLAS's limit of threads."""

    def epoch(self, order: np.ndarray | None, step_by_step: bool) -> Iterator[Steps]:
        """Do the steps of one epoch.

        Parameters
        ----------
        order : ndarray of shape (n_rows,), int64, or None
            Numbers of the rows, from 0 to n_samples - 1, in the order in which they are used; None for all rows
            in the order of the data.
        step_by_step : bool
            Whether to yield after every step. If not, a plan may do several steps between two yields.

        Yields
        ------
        Steps

        Raises
        ------
        NotFiniteError
            If a loss or a gradient is not finite, after the steps before it were yielded.
        """

    def after_steps(self, n_steps: int, n_rows: int) -> None:
        """Do nothing; training replaces this method on the object, to count steps.

        A plan calls it when steps are done, before a signal may interrupt.

        Parameters
        ----------
        n_steps : int
            The number of steps that were done.
        n_rows : int
            The number of rows of the last of them.
        """
