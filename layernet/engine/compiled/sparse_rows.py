"""Inputs that are sparse rows, as a program reads them: in the data themselves, and not in a buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class SparseRows(NamedTuple):
    """The inputs of a network that is given sparse rows: where these lie in the data, in the place of a buffer.

    Attributes
    ----------
    values : ndarray of shape (1, n_entries)
    columns : ndarray of int32, of shape (1, n_entries)
    starts : ndarray of int64, of shape (1, n_rows + 1)
        Where the entries of each row begin, and those of the last one end.
    order : ndarray of int64, of shape (1, n_samples)
        The rows of the data in the order of the epoch.
    width : int
        How many features there are.
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    order: np.ndarray
    width: int

    @classmethod
    def of(cls, rows: Any, order: np.ndarray) -> SparseRows:
        """The rows of a `csr_array`; a copy is made of what is of another type, which its values are not."""
        return cls(
            np.ascontiguousarray(rows.data).reshape(1, -1),
            np.ascontiguousarray(rows.indices, np.int32).reshape(1, -1),
            rows.indptr.astype(np.int64).reshape(1, -1),
            order,
            rows.shape[1],
        )

    @property
    def operands(self) -> tuple[np.ndarray, ...]:
        """What kernels take."""
        return self.values, self.columns, self.starts, self.order
