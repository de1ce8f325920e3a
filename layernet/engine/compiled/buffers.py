"""Buffers of programs: how kernels see arrays, and how Python reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike


def matrix_shape(array: np.ndarray) -> tuple[int, int]:
    """Return the shape in which kernels see an array: an array without two axes becomes one row.

    Examples
    --------
    >>> [matrix_shape(np.zeros(shape)) for shape in [(2, 3), (4,), (2, 3, 4), ()]]
    [(2, 3), (1, 4), (1, 24), (1, 1)]
    """
    return (array.shape[0], array.shape[1]) if array.ndim == 2 else (1, array.size)


def copy_samples(buffer: np.ndarray, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of the first rows of a buffer, in the shape of the samples."""
    return buffer[:rows].reshape(rows, *shape).copy()


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array of zeros that begins at the start of a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array: np.ndarray = memory[start : start + size].view(dtype).reshape(shape)
    return array
