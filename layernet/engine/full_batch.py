"""Gradients of all rows at once, for L-BFGS: computed in blocks of rows by several threads."""

from __future__ import annotations

import copy
import math
from contextlib import ExitStack

import numpy as np

from layernet.engine.dependencies import Dependencies
from layernet.engine.formulas import FormulaPlan, all_finite
from layernet.engine.inference_worker import is_package_layer
from layernet.engine.plan import NotFiniteError
from layernet.engine.threads import blas_on_one_thread, for_each_in_threads, threads_allowed
from layernet.layer import Layer
from layernet.losses.loss import Loss, weight_factors, weighted_gradient, weighted_sum
from layernet.parameters import ParameterVector, Segment

# The values of so many rows in layers of a hundred units fit into a core's own cache.
BLOCK_ROWS = 512
# To add up the gradients of about so many parameters takes as long as to compute a row.
PARAMETERS_PER_ROW = 100
# Fewer rows are computed at once, as scikit-learn does, so that sums agree with its own to the last digit.
MANY_ROWS = 2048


class FullBatchPlan(FormulaPlan):
    """Plan whose `gradients_of` shares many rows among workers; each computes an equal part, block by block.

    A block's values fit into the cache. Each worker has gradients of its own, which are added up at the end.
    The number of workers is that of the threads allowed at the first call, so the last digits depend on it
    alone.

    Third-party layers and losses, and layers on which a hook is set, are given all rows at once.

    Parameters
    ----------
    network : Layer
        Built, without layers that use batch info.
    loss : Loss
    penalty : float, default=0.0
        As in `FormulaPlan`.
    """

    def __init__(self, network: Layer, loss: Loss, penalty: float = 0.0) -> None:
        super().__init__(network, loss, None, penalty=penalty)
        self._workers: list[Layer] = []
        self._dependencies = Dependencies()

    def _gradients_without_penalty(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        normalizer: float | None,
        rows: np.ndarray | None,
    ) -> tuple[float, np.ndarray, float]:
        n_rows = inputs.shape[0]
        if n_rows <= MANY_ROWS or not self._can_be_shared():
            return super()._gradients_without_penalty(inputs, targets, weights, normalizer, rows)
        workers, dtype = self._up_to_date_workers(n_rows), self.network.dtype
        factors = weight_factors(weights, normalizer, n_rows, dtype)
        losses, outputs = np.empty(n_rows, dtype), np.empty((n_rows, *self.network.output_shape), dtype)
        ends = [n_rows * index // len(workers) for index in range(len(workers) + 1)]
        block_rows = max(BLOCK_ROWS, len(self.parameters) // PARAMETERS_PER_ROW)
        sums = [self.gradients] * len(workers)

        def compute_part(index: int) -> None:
            worker, first, last = workers[index], ends[index], ends[index + 1]
            gradients = worker.gradient_vector if index else self.gradients
            for start in range(first, last, block_rows):
                block = slice(start, min(start + block_rows, last))
                outputs[block], record = worker.record(inputs[block])
                losses[block], loss_record = self.loss.record(outputs[block], targets[block])
                grad_output = weighted_gradient(
                    self.loss,
                    loss_record,
                    targets[block],
                    factors[block] if isinstance(factors, np.ndarray) else factors,
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
            for_each_in_threads(compute_part, range(len(workers)))
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

    def _can_be_shared(self) -> bool:
        is_of_the_package = type(self.loss).__module__.startswith("layernet.losses.")
        return is_of_the_package and all(map(is_package_layer, self.network.walk()))

    def _up_to_date_workers(self, n_rows: int) -> list[Layer]:
        """Return the network, and a twin of it for every other worker, with the network's present settings."""
        if not self._workers or not self._dependencies.are_unchanged():
            n_workers = len(self._workers) or min(threads_allowed(), n_rows // BLOCK_ROWS)
            self._workers = [self.network, *(twin_of(self.network) for _ in range(n_workers - 1))]
            self._dependencies = Dependencies()
            self._dependencies.add_structure(self.network)
            for layer in self.network.walk():
                for name in layer.configuration():
                    self._dependencies.add_setting(layer, name, repr)
        return self._workers


def twin_of(network: Layer) -> Layer:
    """Return a copy of a network that shares its parameters and has gradients of its own.

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
