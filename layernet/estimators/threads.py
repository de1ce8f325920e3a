"""How many threads matrix products get: for small ones a second thread costs more than it helps."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from layernet.layer import Layer

# Multiplications in the largest product of a step, below which one thread is as fast or faster: 200 x 64 x 100
# gains a tenth on two idle cores. On busy ones threads wait for each other, and a fit takes several times as
# long (benchmarks/estimators.py).
SMALL_PRODUCT = 4_000_000


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def suitable_threads(network: Layer, batch_size: int) -> AbstractContextManager:
    """A context in which a step's matrix products run on one thread, if all are small.

    Parameters
    ----------
    network : Layer
        Built.
    batch_size : int

    Returns
    -------
    context manager
    """
    sizes = [parameter.size for parameter in network.parameters.values()]
    if batch_size * max(sizes, default=0) > SMALL_PRODUCT:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")
