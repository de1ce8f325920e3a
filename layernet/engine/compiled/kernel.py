"""Kernel: a Python function over matrices that becomes machine code when a program first needs it.

Its three arguments are the control block, the addresses of its operands, and their sizes:

    @kernel
    def add(control, operands, sizes):
        inputs, outputs = matrices(control, operands, sizes, 2)
        for row in range(len(outputs)):
            for unit in range(outputs.shape[1]):
                outputs[row, unit] += inputs[row, unit]

All operands are matrices in the plan's type; a vector is a matrix of one row. A buffer of samples has a row
for each sample of the batch, or of the worker's part of it. Kernels are written in the part of Python that
Numba compiles. Their modules do not import Numba: only `compiler` does, when a kernel must be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.compiled.fingerprint import fingerprint
from layernet.engine.compiled.intrinsics import (
    IN_ORDER,
    cast_like,
    inline,
    int64_matrix,
    is_single,
    matrices,
    matrix_product,
    power_of_two,
    refuse_errors,
    vectors,
)
from layernet.engine.compiled.machine_code import machine_code

__all__ = [
    "IN_ORDER",
    "Kernel",
    "cast_like",
    "inline",
    "int64_matrix",
    "is_single",
    "kernel",
    "matrices",
    "matrix_product",
    "power_of_two",
    "vectors",
]


class Kernel:
    """Function that is compiled to machine code, for float32 and for float64.

    Parameters
    ----------
    formula : callable
        A function of (control, operands, sizes); see the module.
    name : str, default=None
        A name that is unique in its module; None for the function's own.
    """

    def __init__(self, formula: Callable[[Any, Any, Any], None], name: str | None = None):
        refuse_errors(formula)
        self.formula = formula
        self.name = f"{formula.__module__}.{name or formula.__qualname__}"
        self.__doc__ = formula.__doc__
        self._addresses: dict[tuple[np.dtype, bool], int] = {}

    def address(self, dtype: np.dtype, is_checked: bool = False) -> int:
        """Return the address of the machine code for a type; the first call loads or compiles it.

        With checks it is another function, with the arguments that `trial` gives it.
        """
        key = dtype, is_checked
        if key not in self._addresses:
            self._addresses[key] = machine_code(
                self.formula, self.name, dtype, fingerprint(self.formula), is_checked
            )
        return self._addresses[key]

    @property
    def is_of_package(self) -> bool:
        """Whether the kernel is one of this package."""
        return self.formula.__module__.startswith("layernet.")

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


def kernel(formula: Callable[[Any, Any, Any], None]) -> Kernel:
    """Make a kernel from a function; a decorator.

    Examples
    --------
    >>> @kernel
    ... def double(control, operands, sizes):
    ...     (values,) = matrices(control, operands, sizes, 1)
    ...     for row in range(len(values)):
    ...         for unit in range(values.shape[1]):
    ...             values[row, unit] += values[row, unit]
    >>> double
    <kernel layernet.engine.compiled.kernel.double>
    """
    return Kernel(formula)
