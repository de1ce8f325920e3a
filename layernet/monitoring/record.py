"""Record of a training run: norms of some steps, snapshots of activations, losses and figures of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layernet.monitoring.activations import OutputSummary
from layernet.monitoring.data_profile import DataProfile
from layernet.monitoring.trial import Trial
from layernet.training.history import History

# Bounds of the record, however long training is. A list that reaches its bound loses every second entry, and
# from then on grows half as fast.
MAX_RECORDED_STEPS = 512
MAX_SNAPSHOTS = 64
MAX_LOSSES = 2048


@dataclass(frozen=True)
class StepRecord:
    """Record of one step: norms for each layer with parameters.

    Attributes
    ----------
    step : int
        Counted from 1.
    gradients, weights, updates : tuple of float
        For each layer the norms of the gradient that the optimizer received, of the weights before the step,
        and of the update.
    decay_ratios : tuple of float
        For each layer the update by weight decay divided by the update by the loss; 0 without weight decay.
    learning_rate : float
    """

    step: int
    gradients: tuple[float, ...]
    weights: tuple[float, ...]
    updates: tuple[float, ...]
    decay_ratios: tuple[float, ...] = ()
    learning_rate: float = math.nan


@dataclass(frozen=True)
class ActivationSnapshot:
    """Summaries of all layers' outputs at one moment of training.

    Attributes
    ----------
    epoch : float
        Number of epochs done; 0 before the first step.
    loss : float or None
        Loss of the rows that were passed through the network, if their targets are known.
    outputs : dict of str to OutputSummary
        By the names of the layers.
    """

    epoch: float
    loss: float | None
    outputs: dict[str, OutputSummary]


class BlockMeans:
    """Weighted means of consecutive blocks of a series; the blocks grow so that their number stays bounded.

    Parameters
    ----------
    max_blocks : int
        When this many blocks are full, pairs of neighbors are merged and `block_length` doubles.

    Attributes
    ----------
    block_length : int
        Number of values in a full block.

    Examples
    --------
    >>> means = BlockMeans(max_blocks=4)
    >>> for value in [1.0, 3.0, 5.0, 5.0, 2.0, 4.0]:
    ...     means.add(value)
    >>> means.values(), means.block_length
    (array([2., 5., 3.]), 2)
    """

    def __init__(self, max_blocks: int):
        self.max_blocks = max_blocks
        self.block_length = 1
        self._blocks: list[tuple[float, float]] = []  # sum of weight * value, and sum of weights
        self._sum, self._weight, self._count = 0.0, 0.0, 0

    def add(self, value: float, weight: float = 1.0) -> None:
        """Append a value, with a weight greater than 0."""
        self._sum += weight * value
        self._weight += weight
        self._count += 1
        if self._count == self.block_length:
            self._blocks.append((self._sum, self._weight))
            self._sum, self._weight, self._count = 0.0, 0.0, 0
            if len(self._blocks) == self.max_blocks:
                pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
                self._blocks = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
                self.block_length *= 2

    def values(self) -> np.ndarray:
        """Return the means of the blocks; the last block may be shorter than the others."""
        rest = [(self._sum, self._weight)] if self._count else []
        return np.array([total / weight for total, weight in [*self._blocks, *rest]])


class TrainingRecord:
    """All figures of one training run that plots and diagnoses are made from; `Monitor` fills it.

    Attributes
    ----------
    layers : list of str
        Names of the layers with parameters.
    has_weights : list of bool
        For each of these layers, whether weight decay applies to some of its parameters.
    losses : BlockMeans
        The loss of every step, weighted by the rows of its batch, without an estimator's penalty.
    snapshots : list of ActivationSnapshot
        In order.
    data_profile : DataProfile or None
        None before training.
    trials : list of Trial
        Experiments on copies of the network, before and after training.
    between_batch_share : float or None
        Share of the targets' variance that lies between the batches of the first epoch: about 0 for shuffled
        rows, 1 for sorted ones.
    history : History
    diverged : str
        Where and why training diverged, in words; empty if it did not.
    kept_epoch : int or None
        The epoch whose parameters another callback restored; None if the last ones were kept.
    equal_units : list of str
        Layers whose units all have the same weights after training.
    output_activation_name : str
        Name of the first layer after the last one with parameters; empty if there is none.
    loss_name : str
    output_shape : tuple of int
    steps_done, rows_done, steps_per_epoch, n_rows, n_parameters : int
    learning_rate : float or None
        The learning rate of the last recorded step.
    has_weight_decay, decay_is_decoupled : bool
    """

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.has_weights: list[bool] = []
        self.losses = BlockMeans(MAX_LOSSES)
        self.snapshots: list[ActivationSnapshot] = []
        self.data_profile: DataProfile | None = None
        self.trials: list[Trial] = []
        self.between_batch_share: float | None = None
        self.history = History()
        self.diverged = ""
        self.kept_epoch: int | None = None
        self.equal_units: list[str] = []
        self.output_activation_name = ""
        self.loss_name = ""
        self.output_shape: tuple[int, ...] = ()
        self.steps_done = self.rows_done = self.steps_per_epoch = 0
        self.n_rows = self.n_parameters = 0
        self.learning_rate: float | None = None
        self.has_weight_decay = self.decay_is_decoupled = False
        self.step_records: list[StepRecord] = []

    @property
    def steps(self) -> np.ndarray:
        """Numbers of the recorded steps, counted from 1."""
        return np.array([each.step for each in self.step_records], dtype=int)

    @property
    def epochs(self) -> np.ndarray:
        """Number of epochs done before each recorded step, with fractions."""
        return (self.steps - 1) / max(self.steps_per_epoch, 1)

    @property
    def gradient_norms(self) -> np.ndarray:
        """Norm of each layer's gradient, of shape (n_steps, n_layers)."""
        return self._table([each.gradients for each in self.step_records])

    @property
    def weight_norms(self) -> np.ndarray:
        """Norm of each layer's weights before the step, of shape (n_steps, n_layers)."""
        return self._table([each.weights for each in self.step_records])

    @property
    def update_norms(self) -> np.ndarray:
        """Norm of each layer's update, of shape (n_steps, n_layers)."""
        return self._table([each.updates for each in self.step_records])

    @property
    def update_ratios(self) -> np.ndarray:
        """Norm of the update divided by that of the weights; NaN where the weights were 0."""
        weights = self.weight_norms
        ratios = np.full(weights.shape, np.nan)
        return np.divide(self.update_norms, weights, out=ratios, where=weights > 0)

    @property
    def decay_ratios(self) -> np.ndarray:
        """Update by weight decay divided by the update by the loss, of shape (n_steps, n_layers)."""
        return self._table([each.decay_ratios for each in self.step_records])

    @property
    def learning_rates(self) -> np.ndarray:
        """Learning rate of each recorded step."""
        return np.array([each.learning_rate for each in self.step_records], dtype=float)

    def _table(self, rows: list[tuple[float, ...]]) -> np.ndarray:
        return np.array(rows, dtype=float).reshape(-1, len(self.layers))
