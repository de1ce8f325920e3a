"""A plan: what one step of training does, for one network, loss and optimizer.

The training loop knows only a plan's `step`. This one calls the formulas of the layers, and is the reference
for any other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from layernet.engine.threads import MANY_WEIGHTS, blas_on_one_thread, has_small_products, share
from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.losses.loss import Loss, weight_factors, weighted_gradient, weighted_sum
from layernet.optimizers.optimizer import BLOCK_SIZE, Optimizer


class NotFiniteError(ArithmeticError):
    """The loss or a gradient of a step is no finite number; nothing was updated."""


class Steps(NamedTuple):
    """What some steps of an epoch, done one after the other, came to.

    Attributes
    ----------
    losses : list of float
        The loss of each step.
    sizes : list of int
        How many samples each saw.
    targets, outputs : ndarray or None
        Of a single step, if steps were to be done one by one.
    """

    losses: list[float]
    sizes: list[int]
    targets: np.ndarray | None
    outputs: np.ndarray | None


class FormulaPlan:
    """A step of training by the layers' own formulas.

    Parameters
    ----------
    network : Layer
        Built, and in training mode while `step` runs.
    loss : Loss
    optimizer : Optimizer
        What moves the parameters in `step`; None for one that is only asked for gradients.
    data : TrainingData, default=None
        What `epoch` goes through.
    batch_size : int, default=None
        How many rows each step of `epoch` sees.
    penalty : float, default=0.0
        penalty / 2 |weights|**2 is added to the sum of a batch's losses (before the division by the
        normalizer); biases and the scales of normalisations are left out.
    """

    engine = "formulas"

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer | None,
        data: Any = None,
        batch_size: int | None = None,
        penalty: float = 0.0,
    ):
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.data = data
        self._batch_size = batch_size
        self.penalty = penalty
        # Looked up once: finding them walks through the whole network.
        self.parameters = network.parameter_vector
        self.gradients = network.gradient_vector
        self.decay_mask = network.decay_mask
        self.penalized = runs_of_ones(network.decay_mask) if penalty else []
        self.layers_with_batch_info = [layer for layer in network.walk() if layer.uses_batch_info]

    @property
    def batch_size(self) -> int | None:
        """The rows of a full batch: all there are, if these are fewer than were asked for."""
        return self._batch_size if self.data is None else min(self._batch_size, self.data.n_samples)

    def ready(self) -> AbstractContextManager:
        """A context for all epochs of a training: matrix products get as many threads as suit them."""
        has_sparse_batches = self.data is not None and self.data.has_sparse_batches
        return blas_on_one_thread(has_small_products(self.network, self.batch_size, has_sparse_batches))

    def epoch(self, order: np.ndarray | None, step_by_step: bool) -> Iterator[Steps]:
        """See the rows of an epoch, a batch a step.

        Parameters
        ----------
        order : ndarray of shape (n_rows,), int64, or None
            Numbers of the rows in the order in which they are seen, from 0 to n_samples - 1; None for all rows
            in the order of the data.
        step_by_step : bool
            Whether somebody wants to look after every step. If not, a plan may do several in one go.

        Yields
        ------
        Steps

        Raises
        ------
        NotFiniteError
            As in `gradients_of`, after what was done before was yielded.
        """
        n_rows, batch_size = self.data.n_samples if order is None else len(order), self.batch_size
        for start in range(0, n_rows, batch_size):
            stop = min(start + batch_size, n_rows)
            inputs, targets, *rest = self.data.batch(slice(start, stop) if order is None else order[start:stop])
            loss, outputs = self.step(inputs, targets, *rest)
            yield Steps([loss], [inputs.shape[0]], targets, outputs)

    def step(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
        normalizer: float | None = None,
        rows: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Compute the loss of a batch and its gradients, and move the parameters.

        Takes and returns what `gradients_of` does.
        """
        value, outputs, scale = self._gradients_without_penalty(inputs, targets, weights, normalizer, rows)
        optimizer = self.optimizer
        complete = functools.partial(self._add_penalty, scale) if self.penalty else None
        if complete is not None and not takes_blocks(optimizer):
            self._add_penalty(scale)
            complete = None
        with uninterrupted:
            optimizer.move_all(
                self.parameters,
                self.gradients,
                optimizer.effective_decay_mask(self.decay_mask),
                complete,
                share if len(self.parameters) > MANY_WEIGHTS else None,
            )
            try:
                self.network.end_step()
            finally:  # all have moved, but for a layer whose own end_step has failed
                self.after_steps(1, len(outputs))
        return value, outputs

    def after_steps(self, n_steps: int, n_rows: int) -> None:
        """Called when steps were done, before anything may interrupt; training puts a function here.

        Parameters
        ----------
        n_steps : int
            How many were done.
        n_rows : int
            How many rows the last of them saw.
        """

    def gradients_of(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
        normalizer: float | None = None,
        rows: np.ndarray | None = None,
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
            What the weighted sum of losses is divided by; None for the total weight of the batch.
        rows : ndarray of shape (n_samples,), uint32, default=None
            A number for each sample, for layers with noise; None counts the rows of the batch.

        Returns
        -------
        loss : float
        outputs : ndarray
            Of the network.

        Raises
        ------
        NotFiniteError
            If the loss or a gradient is not finite; the parameters are left as they were.
        """
        value, outputs, scale = self._gradients_without_penalty(inputs, targets, weights, normalizer, rows)
        self._add_penalty(scale)
        return value, outputs

    def _gradients_without_penalty(self, inputs, targets, weights, normalizer, rows):
        """The loss, the outputs, and what the weights are multiplied by to give the penalty's gradient.

        That gradient is finite where the loss is, which has the squares of the weights in it.
        """
        if self.layers_with_batch_info:
            mean_weight = None if self.data is None or weights is None else self.data.mean_weight
            set_batch_info(self.layers_with_batch_info, weights, rows, self.batch_size, mean_weight)
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

    def _with_penalty(self, value, weights, normalizer, n_samples):
        """The loss of a batch with the penalty, and what the weights are multiplied by to give its gradient."""
        if not self.penalty:
            return value, 0.0
        total = (n_samples if weights is None else weights.sum()) if normalizer is None else normalizer
        scale = self.penalty / total if total else 0.0
        weights_only = [self.parameters[run] for run in self.penalized]
        return value + scale / 2 * sum(float(np.vdot(part, part)) for part in weights_only), scale

    def _add_penalty(self, scale, block=None):
        """Add the penalty's gradient to that of a block of parameters, or of all, a block at a time."""
        if block is None:
            for start in range(0, len(self.parameters) if self.penalty else 0, BLOCK_SIZE):
                self._add_penalty(scale, slice(start, start + BLOCK_SIZE))
            return
        for run in self.penalized:
            start, stop = max(run.start, block.start), min(run.stop, block.stop)
            if start < stop:
                self.gradients[start:stop] += scale * self.parameters[start:stop]


def takes_blocks(optimizer: Optimizer) -> bool:
    """Whether an optimizer can be given gradients that are completed block by block."""
    has_own_step = type(optimizer).step is not Optimizer.step or "step" in vars(optimizer)
    return optimizer.clip_norm is None and not has_own_step


def set_batch_info(
    layers: list[Layer],
    weights: np.ndarray | None,
    numbers: np.ndarray | None,
    full_rows: int | None,
    mean_weight: float | None,
) -> None:
    """Tell layers that see the batch what belongs to it and not to its inputs; see `Layer`."""
    for layer in layers:
        layer.batch_weights, layer.batch_rows = weights, numbers
        layer.batch_full_rows, layer.batch_mean_weight = full_rows, mean_weight


def runs_of_ones(mask: np.ndarray) -> list[slice]:
    """Where a mask of 0 and 1 has its ones, as slices: a few views where indices would be a copy."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    places = [0, *edges.tolist(), len(mask)]
    return [slice(start, stop) for start, stop in pairwise(places) if start < stop and mask[start]]


def all_finite(vector: np.ndarray) -> bool:
    """Whether all entries are finite, found by one product that only overflow makes us look at twice."""
    return math.isfinite(np.vdot(vector, vector)) or bool(np.isfinite(vector).all())


def refuse_not_finite(losses: np.ndarray) -> None:
    """Go no way back from a loss that is not finite, where a layer's own formula might stumble over it."""
    total = float(losses.sum())
    if not math.isfinite(total):
        raise NotFiniteError(f"the loss is {total}")
