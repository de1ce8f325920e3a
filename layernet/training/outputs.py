"""Outputs of a network for many rows, computed in blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.inference import InferencePlans
from layernet.layer import Layer
from layernet.sparse import as_sparse_rows, is_sparse
from layernet.training.storage import dense_rows, is_memory_mapped, stays_sparse

EVALUATION_BATCH_SIZE = 1024
# Largest count of input numbers in a block of more than one row: 64 MB of float32.
EVALUATION_BATCH_NUMBERS = 2**24


def outputs_in_blocks(
    network: Layer,
    inputs: Any,
    decode: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    engine: str = "auto",
    plans: InferencePlans | None = None,
    check: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Return the outputs of a network for many rows, in inference mode, computed in blocks.

    Parameters
    ----------
    network : Layer
    inputs : ndarray, sparse matrix or SelectedRows of shape (n_samples, ...)
        Inputs of another type than the network's are converted block by block.
    decode : callable, default=None
        Function of the outputs of a block, whose results are returned instead; None returns the outputs.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        As in `inference_engine`.
    plans : InferencePlans, default=None
        Plans of this network, which keep their memory between calls.
    check : callable, default=None
        Called with each block of inputs, to raise an error for invalid ones.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    stay_sparse = is_sparse(inputs) and stays_sparse(network, inputs)
    if is_sparse(inputs):
        inputs = as_sparse_rows(inputs, network.dtype, False, "X")

    def read_block(rows: slice) -> Any:
        block = inputs[rows] if stay_sparse else dense_rows(inputs[rows])
        if check is not None:
            check(block)
        return block

    if network.input_shape is None:
        inputs = network.validate_inputs(dense_rows(inputs))  # builds the network
    if plans is None or plans.network is not network:
        plans = InferencePlans(network)
    n_rows = inputs.shape[0]
    # The user may close or delete a mapped file after the return.
    waits = n_rows > 1 and is_memory_mapped(getattr(inputs, "array", inputs))
    plan = plans.select_plan(n_rows, "formulas" if stay_sparse else engine)
    if n_rows == 1 and not plan.is_compiled and not network.training:  # microseconds count
        outputs = network.forward_pass(read_block(slice(1)))
        return outputs if decode is None else decode(outputs)
    block_size = rows_in_a_block(inputs) if stay_sparse else None
    return plan.compute_outputs(inputs, decode, read_block, waits, block_size)


def rows_in_a_block(inputs: Any) -> int:
    """Return the number of rows of a block of inputs, outside of training steps."""
    return max(1, min(EVALUATION_BATCH_SIZE, EVALUATION_BATCH_NUMBERS // max(1, math.prod(inputs.shape[1:]))))
