"""Plan by formulas: a step calls the methods of the layers, the loss and the optimizer.

It is the reference for every other plan.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import pairwise

import numpy as np

from layernet.engine.plan import DataSource, NotFiniteError, Steps
from layernet.engine.threads import blas_on_one_thread, has_small_products
from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.losses.loss import Loss, weight_factors, weighted_gradient, weighted_sum
from layernet.optimizers.optimizer import BLOCK_SIZE, Optimizer


class FormulaPlan:
    """Steps of training by the methods of the layers, the loss and the optimizer.

    Parameters
    ----------
    network : Layer
        Built, and in training mode while `step` runs.
    loss : Loss
    optimizer : Optimizer
        Moves the parameters in `step`; None if only `gradients_of` is called.
    data : DataSource, default=None
        The data of `epoch`.
    batch_size : int, default=None
        The number of rows of each step of `epoch`.
    penalty : float, default=0.0
        penalty / 2 * |weights|**2 is added to the sum of a batch's losses, before the division by the
        normalizer. Biases and the scales of normalizations are left out.
    """

    engine = "formulas"

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer | None,
        data: DataSource | None = None,
        batch_size: int | None = None,
        penalty: float = 0.0,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.data = data
        self._batch_size = batch_size
        self.penalty = penalty
        # Each of these properties walks through the whole network, so they are read once.
        self.parameters = network.parameter_vector
        self.gradients = network.gradient_vector
        self.decay_mask = network.decay_mask
        self.learning_rate_factors = network.learning_rate_factors
        self.penalized = slices_of_ones(network.decay_mask) if penalty else []
        self.layers_with_batch_info = [layer for layer in network.walk() if layer.uses_batch_info]

    @property
    def batch_size(self) -> int:
        """Rows of a full batch: all rows of the data, if these are fewer than were asked for."""
        data = self._required_data()
        return data.n_samples if self._batch_size is None else min(self._batch_size, data.n_samples)

    def _required_data(self) -> DataSource:
        if self.data is None:
            raise ValueError("This plan has no data. It computes gradients of batches that are given to it.")
        return self.data

    def ready(self) -> AbstractContextManager[None]:
        """Return the context of a training: BLAS has one thread within it if all products are small."""
        has_sparse_batches = self._required_data().has_sparse_batches
        return blas_on_one_thread(has_small_products(self.network, self.batch_size, has_sparse_batches))

    def epoch(self, order: np.ndarray | None, step_by_step: bool) -> Iterator[Steps]:
        """Do the steps of one epoch; as in `Plan`. Each step is yielded, whatever `step_by_step` says."""
        data, batch_size = self._required_data(), self.batch_size
        n_rows = data.n_samples if order is None else len(order)
        for start in range(0, n_rows, batch_size):
            stop = min(start + batch_size, n_rows)
            inputs, targets, *rest = data.batch(slice(start, stop) if order is None else order[start:stop])
            loss, outputs = self.step(inputs, targets, *rest)
            yield Steps([loss], [inputs.shape[0]], targets, outputs)

    def step(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
        normalizer: float | None = None,
        sample_numbers: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Compute the loss of a batch and its gradients, and move the parameters.

        Parameters and results are those of `gradients_of`.
        """
        value, outputs, scale = self._gradients_without_penalty(
            inputs, targets, weights, normalizer, sample_numbers
        )
        optimizer = self.optimizer
        if optimizer is None:
            raise ValueError("This plan has no optimizer: it computes gradients only.")
        complete_gradients = functools.partial(self._add_penalty, scale) if self.penalty else None
        if complete_gradients is not None and not supports_block_updates(optimizer):
            self._add_penalty(scale)
            complete_gradients = None
        with uninterrupted:
            optimizer.move_all(
                self.parameters,
                self.gradients,
                optimizer.effective_decay_mask(self.decay_mask),
                complete_gradients,
                self.learning_rate_factors,
            )
            try:
                self.network.end_step()
            finally:  # the step counts even if a layer's own end_step has failed
                self.after_steps(1, len(outputs))
        return value, outputs

    def after_steps(self, n_steps: int, n_rows: int) -> None:
        """Do nothing; training replaces this method. As in `Plan`."""

    def gradients_of(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
        normalizer: float | None = None,
        sample_numbers: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Compute the loss of a batch, and write its gradients into the network's gradient vector.

        Parameters
        ----------
        inputs : ndarray of shape (n_samples, ...)
            Of the network's type.
        targets : ndarray of shape (n_samples, ...)
            As `loss.prepare` returned them.
        weights : ndarray of shape (n_samples,), default=None
        normalizer : float, default=None
            The number that the weighted sum of losses is divided by; None for the total weight of the batch.
        sample_numbers : ndarray of shape (n_samples,), uint32, default=None
            A number for each sample, which seeds the noise of its row; None to number the rows of the batch.

        Returns
        -------
        loss : float
        outputs : ndarray
            Of the network.

        Raises
        ------
        NotFiniteError
            If the loss or a gradient is not finite; the parameters are unchanged.
        """
        value, outputs, scale = self._gradients_without_penalty(
            inputs, targets, weights, normalizer, sample_numbers
        )
        self._add_penalty(scale)
        return value, outputs

    def _gradients_without_penalty(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        normalizer: float | None,
        sample_numbers: np.ndarray | None,
    ) -> tuple[float, np.ndarray, float]:
        """Return the loss, the outputs, and the factor of the penalty: penalty / normalizer.

        The penalty's gradient, factor * weights, is finite wherever the loss is, because the loss contains
        the squares of the weights.
        """
        if self.layers_with_batch_info:
            mean_weight = None if self.data is None or weights is None else self.data.mean_weight
            full_rows = None if self.data is None else self.batch_size
            set_batch_info(self.layers_with_batch_info, weights, sample_numbers, full_rows, mean_weight)
        outputs, record = self.network.record(inputs)
        losses, loss_record = self.loss.record(outputs, targets)
        factors = weight_factors(weights, normalizer, len(outputs), outputs.dtype)
        value, scale = self._with_penalty(
            float(weighted_sum(losses, factors)), weights, normalizer, len(outputs)
        )
        if not math.isfinite(value):
            raise NotFiniteError(f"the loss is {value}")
        grad_output = weighted_gradient(self.loss, loss_record, targets, factors, outputs.shape)
        self.network.parameter_gradients(record, grad_output)
        if not all_finite(self.gradients):
            raise NotFiniteError("a gradient is not finite")
        return value, outputs, scale

    def _with_penalty(
        self, value: float, weights: np.ndarray | None, normalizer: float | None, n_samples: int
    ) -> tuple[float, float]:
        """Return the loss of a batch with the penalty, and the factor of the penalty."""
        if not self.penalty:
            return value, 0.0
        total = (n_samples if weights is None else weights.sum()) if normalizer is None else normalizer
        scale = self.penalty / total if total else 0.0
        weights_only = [self.parameters[run] for run in self.penalized]
        return value + scale / 2 * sum(float(np.vdot(part, part)) for part in weights_only), scale

    def _add_penalty(self, scale: float, block: slice | None = None) -> None:
        """Add the penalty's gradient to the gradients of a block of parameters, by default of all."""
        if block is None:
            for start in range(0, len(self.parameters) if self.penalty else 0, BLOCK_SIZE):
                self._add_penalty(scale, slice(start, start + BLOCK_SIZE))
            return
        for run in self.penalized:
            start, stop = max(run.start, block.start), min(run.stop, block.stop)
            if start < stop:
                self.gradients[start:stop] += scale * self.parameters[start:stop]


def supports_block_updates(optimizer: Optimizer) -> bool:
    """Return whether an optimizer can be given gradients that are completed block by block."""
    has_own_step = type(optimizer).step is not Optimizer.step or "step" in vars(optimizer)
    return optimizer.clip_norm is None and not has_own_step


def set_batch_info(
    layers: list[Layer],
    weights: np.ndarray | None,
    sample_numbers: np.ndarray | None,
    full_rows: int | None,
    mean_weight: float | None,
) -> None:
    """Set the attributes that tell layers with `uses_batch_info` about the batch; see `Layer`."""
    for layer in layers:
        layer.batch_weights, layer.batch_rows = weights, sample_numbers
        layer.batch_full_rows, layer.batch_mean_weight = full_rows, mean_weight


def slices_of_ones(mask: np.ndarray) -> list[slice]:
    """Return the runs of ones in a mask, as slices, which give views where indices would copy."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    ends = [0, *edges.tolist(), len(mask)]
    return [slice(start, stop) for start, stop in pairwise(ends) if start < stop and mask[start]]


def all_finite(vector: np.ndarray) -> bool:
    """Return whether every entry is finite.

    Tests the vector's dot product with itself, and the entries only if that overflows.
    """
    return math.isfinite(np.vdot(vector, vector)) or bool(np.isfinite(vector).all())


def require_finite_losses(losses: np.ndarray) -> None:
    """Raise an error for a loss that is not finite, before a layer's own backward pass is called with it."""
    total = float(losses.sum())
    if not math.isfinite(total):
        raise NotFiniteError(f"the loss is {total}")
