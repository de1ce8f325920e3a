"""A kernel: a formula over buffers in a few loops, which becomes machine code when a plan first needs it.

A kernel is a Python function of three arguments, which tell it where its arrays lie:

    @kernel
    def add(batch, operands, sizes):
        inputs, outputs = arrays(batch, operands, sizes, 2)
        for row in range(len(outputs)):
            for unit in range(outputs.shape[1]):
                outputs[row, unit] += inputs[row, unit]

All arrays are matrices in the plan's type: what belongs to samples has a row for each sample of the batch, and
a vector is a matrix of one row. Where several workers share a batch, each has its own rows. Kernels are Python
as Numba understands it, and none of these modules imports Numba: `compiler` does, when something has to be
compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.compiled.fingerprint import fingerprint
from layernet.engine.compiled.intrinsics import (
    IN_ORDER,
    arrays,
    inline,
    is_single,
    matrix_product,
    number,
    power_of_two,
    vectors,
    whole_numbers,
)
from layernet.engine.compiled.machine_code import machine_code

__all__ = [
    "IN_ORDER",
    "Kernel",
    "arrays",
    "inline",
    "is_single",
    "kernel",
    "matrix_product",
    "number",
    "power_of_two",
    "vectors",
    "whole_numbers",
]


class Kernel:
    """A function as machine code, for float32 and for float64.

    Parameters
    ----------
    formula : callable
        Of (batch, operands, sizes); see the module.
    name : str, default=None
        Unique among the kernels of its module; None for the function's own.
    """

    def __init__(self, formula: Callable[[Any, Any, Any], None], name: str | None = None):
        self.formula = formula
        self.name = f"{formula.__module__}.{name or formula.__qualname__}"
        self.__doc__ = formula.__doc__
        self._addresses: dict[tuple[np.dtype, bool], int] = {}

    def address(self, dtype: np.dtype, is_checked: bool = False) -> int:
        """Where the machine code for a type lies; made, or loaded from the cache, when first asked for.

        With checks it is another function, of which `trial` knows how it is called.
        """
        key = dtype, is_checked
        if key not in self._addresses:
            self._addresses[key] = machine_code(
                self.formula, self.name, dtype, fingerprint(self.formula), is_checked
            )
        return self._addresses[key]

    @property
    def is_own(self) -> bool:
        """Whether it is one of this package."""
        return self.formula.__module__.startswith("layernet.")

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


def kernel(formula: Callable[[Any, Any, Any], None]) -> Kernel:
    """Make a kernel of a function; a decorator.

    Examples
    --------
    >>> @kernel
    ... def double(batch, operands, sizes):
    ...     (values,) = arrays(batch, operands, sizes, 1)
    ...     for row in range(len(values)):
    ...         for unit in range(values.shape[1]):
    ...             values[row, unit] += values[row, unit]
    >>> double
    <kernel layernet.engine.compiled.kernel.double>
    """
    return Kernel(formula)
