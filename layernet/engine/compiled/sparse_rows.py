"""Sparse rows as the inputs of a program, which reads them from the data and not from a buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class SparseRows(NamedTuple):
    """CSR matrix of all rows, and the order of the epoch: the operands from which kernels read a batch.

    Attributes
    ----------
    values : ndarray of shape (1, n_entries)
    columns : ndarray of int32, of shape (1, n_entries)
    starts : ndarray of int64, of shape (1, n_rows + 1)
        The index of each row's first entry, and after the last row the number of entries.
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
    def of(cls, rows: Any, order: np.ndarray) -> SparseRows:
        """Make the operands from a `csr_array`; its indices are copied if they have another type."""
        return cls(
            np.ascontiguousarray(rows.data).reshape(1, -1),
            np.ascontiguousarray(rows.indices, np.int32).reshape(1, -1),
            rows.indptr.astype(np.int64).reshape(1, -1),
            order,
            rows.shape[1],
        )

    @property
    def operands(self) -> tuple[np.ndarray, ...]:
        """The first four operands of the kernels of sparse rows."""
        return self.values, self.columns, self.starts, self.order
