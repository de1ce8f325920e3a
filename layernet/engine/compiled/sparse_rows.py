"""Operands of kernels that read sparse rows from the training data, without copying them to a buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class SparseRows(NamedTuple):
    """Inputs of a program: a CSR matrix of all rows, and the order in which the epoch uses them.

    Attributes
    ----------
    values : ndarray of shape (1, n_entries)
    columns : ndarray of int32, of shape (1, n_entries)
    starts : ndarray of int64, of shape (1, n_rows + 1)
        The index of each row's first entry, followed by the number of entries: `indptr` of the matrix.
    order : ndarray of int64, of shape (1, n_samples)
        The numbers of the rows, in the order of the epoch.
    width : int
        The number of features.
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    order: np.ndarray
    width: int

    @classmethod
    def from_csr(cls, matrix: Any, order: np.ndarray) -> SparseRows:
        """Make the operands from a `csr_array`. Indices of another type are copied."""
        return cls(
            np.ascontiguousarray(matrix.data).reshape(1, -1),
            np.ascontiguousarray(matrix.indices, np.int32).reshape(1, -1),
            matrix.indptr.astype(np.int64).reshape(1, -1),
            order,
            matrix.shape[1],
        )

    @property
    def operands(self) -> tuple[np.ndarray, ...]:
        """The first four operands of every kernel that reads sparse rows."""
        return self.values, self.columns, self.starts, self.order
