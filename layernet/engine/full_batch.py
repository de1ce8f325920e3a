"""The gradients of all rows at once, computed in blocks of rows by several threads: for L-BFGS."""

from __future__ import annotations

import copy
import math
from contextlib import ExitStack

import numpy as np

from layernet.engine.formulas import FormulaPlan, NotFiniteError, all_finite
from layernet.engine.inference import is_own
from layernet.engine.threads import blas_on_one_thread, share, threads_allowed
from layernet.layer import Layer
from layernet.losses.loss import weight_factors, weighted_gradient, weighted_sum
from layernet.parameters import ParameterVector, Segment

# The values inside of so many rows of a hundred units stay in a core's own cache.
ROWS_OF_A_BLOCK = 512
# To add the gradients of a block to those before takes as long as a row for about so many parameters.
PARAMETERS_OF_A_ROW = 100
# Fewer rows are computed at once, as scikit-learn does: sums over them are its to the last digit.
MANY_ROWS = 2048


class FullBatchPlan(FormulaPlan):
    """`gradients_of` many rows, to rounding: each worker takes an equal part, block by block.

    The values inside the network are those of a block, and not of all rows, and fit into the cache. Each worker
    has gradients of its own, which are added up in the end. The number of workers is that of threads allowed at
    first, so that the bits depend on it, and on nothing else.

    Third-party layers and losses, and layers that somebody listens to, are given all rows at once.

    Parameters
    ----------
    network : Layer
        Built, and without layers that see the batch.
    loss : Loss
    penalty : float, default=0.0
        As in `FormulaPlan`.
    """

    def __init__(self, network: Layer, loss, penalty: float = 0.0):
        super().__init__(network, loss, None, penalty=penalty)
        self._workers: list[Layer] = []
        self._drawn_up_for = ""

    def _gradients_without_penalty(self, inputs, targets, weights, normalizer, rows):
        n_rows = inputs.shape[0]
        if n_rows <= MANY_ROWS or not self._can_be_shared():
            return super()._gradients_without_penalty(inputs, targets, weights, normalizer, rows)
        workers, dtype = self._up_to_date_workers(n_rows), self.network.dtype
        factors = weight_factors(weights, normalizer, n_rows, dtype)
        losses, outputs = np.empty(n_rows, dtype), np.empty((n_rows, *self.network.output_shape), dtype)
        ends = [n_rows * index // len(workers) for index in range(len(workers) + 1)]
        of_block = max(ROWS_OF_A_BLOCK, len(self.parameters) // PARAMETERS_OF_A_ROW)
        sums = [self.gradients] * len(workers)

        def work(index):
            worker, first, last = workers[index], ends[index], ends[index + 1]
            gradients = worker.gradient_vector if index else self.gradients
            for start in range(first, last, of_block):
                block = slice(start, min(start + of_block, last))
                outputs[block], record = worker.record(inputs[block])
                losses[block], loss_record = self.loss.record(outputs[block], targets[block])
                grad_output = weighted_gradient(
                    self.loss,
                    loss_record,
                    targets[block],
                    factors if np.ndim(factors) == 0 else factors[block],
                    outputs[block].shape,
                )
                worker.parameter_gradients(record, grad_output)
                if block.stop == last and start == first:
                    sums[index] = gradients
                elif start == first:
                    sums[index] = gradients.copy()
                else:
                    sums[index] += gradients

        with ExitStack() as stack:
            stack.enter_context(blas_on_one_thread())
            for worker in workers[1:]:
                stack.enter_context(worker.training_mode())
            share(work, range(len(workers)))
        value, scale = self._with_penalty(float(weighted_sum(losses, factors)), weights, normalizer, n_rows)
        if not math.isfinite(value):
            raise NotFiniteError(f"the loss is {value}")
        if sums[0] is not self.gradients:
            self.gradients[:] = sums[0]
        for others in sums[1:]:
            self.gradients += others
        if not all_finite(self.gradients):
            raise NotFiniteError("a gradient is not finite")
        return value, outputs, scale

    def _can_be_shared(self):
        is_of_the_package = type(self.loss).__module__.startswith("layernet.losses.")
        return is_of_the_package and all(map(is_own, self.network.walk()))

    def _up_to_date_workers(self, n_rows):
        """The network, and a twin of it for every other worker, as the network's settings are now."""
        now = repr(self.network)
        if not self._workers or self._drawn_up_for != now:
            n_workers = len(self._workers) or min(threads_allowed(), n_rows // ROWS_OF_A_BLOCK)
            self._workers = [self.network, *(twin_of(self.network) for _ in range(n_workers - 1))]
            self._drawn_up_for = now
        return self._workers


def twin_of(network: Layer) -> Layer:
    """A copy of a network that has the same parameters, in the same memory, and gradients of its own.

    Parameters
    ----------
    network : Layer
        Built.

    Examples
    --------
    >>> from layernet import Dense
    >>> layer = Dense(1).build(2)
    >>> twin = twin_of(layer)
    >>> layer.weights = [[1.0], [2.0]]
    >>> twin.weights
    array([[1.],
           [2.]])
    >>> np.shares_memory(twin.grad_weights, layer.grad_weights)
    False
    """
    twin = copy.deepcopy(network)
    vector = ParameterVector(0, network.dtype)
    vector.values, vector.decay_mask = network.parameter_vector, network.decay_mask
    vector.gradients = np.zeros(vector.values.shape, network.dtype)
    start = 0
    for owner in twin.walk():
        size = sum(math.prod(shape) for shape in owner.parameter_shapes.values())
        if size:
            owner.move_into(Segment(vector, start, start + size))
        start += size
    return twin
