"""One network of an ensemble: trained on the rows of a fold, and judged on the others after every epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from layernet.containers import Sequential
from layernet.engine.inference import InferencePlan
from layernet.engine.threads import only_one_thread
from layernet.estimators.tables.criterion import Criterion, MeanLoss, RefinedLogLoss
from layernet.estimators.tables.encoder import Layout
from layernet.estimators.tables.network import make_network
from layernet.estimators.tables.recipe import CYCLE_ENDS, Recipe
from layernet.layer import Layer
from layernet.losses import Loss
from layernet.optimizers import Adam
from layernet.schedules import LogCosineSchedule
from layernet.training.callback import Callback
from layernet.training.callbacks import EarlyStopping
from layernet.training.history import History
from layernet.training.run import Run


@dataclass(frozen=True)
class EncodedTable:
    """Rows of a table as networks take them, shared by all members of an ensemble.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, n_columns), float32
    layout : Layout
    targets : ndarray of shape (n_rows, ...)
        As the loss takes them.
    weights : ndarray of shape (n_rows,) or None
    loss : Loss
    n_outputs : int
    is_classification : bool
    """

    inputs: np.ndarray
    layout: Layout
    targets: np.ndarray
    weights: np.ndarray | None
    loss: Loss
    n_outputs: int
    is_classification: bool

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weights of some rows; None if all are 1."""
        return None if self.weights is None else self.weights[rows]

    def criterion(self, rows: np.ndarray) -> Criterion:
        """Return the criterion that chooses the epoch by the outputs for some rows."""
        targets, weights = self.targets[rows], self.weights_of(rows)
        if self.is_classification:
            return RefinedLogLoss(targets, weights)
        return MeanLoss(self.loss, targets, weights)


@dataclass
class Member:
    """A trained network of an ensemble.

    Attributes
    ----------
    network : Sequential
    plan : InferencePlan
        Of the network.
    representation : str
    fold : int
        Its number; the network was trained on the rows outside of the fold.
    outputs : ndarray of shape (n_held_out_rows, n_outputs)
        Raw outputs for the rows of the fold.
    history : History
        With a column "criterion", by which the epoch was chosen; NaN for epochs that were not judged.
    best_epoch : int
    seconds : float
        Time of the training.
    """

    network: Sequential
    plan: InferencePlan = field(repr=False)
    representation: str
    fold: int
    outputs: np.ndarray
    history: History = field(repr=False)
    best_epoch: int
    seconds: float

    def __post_init__(self) -> None:
        self._predict_in_double: InferencePlan | None = None

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the raw outputs for encoded rows, in the precision of these; of shape (n_rows, n_outputs)."""
        if inputs.dtype == np.float32:
            return self.plan(inputs)
        if self._predict_in_double is None:
            self._predict_in_double = InferencePlan(self.network.astype(np.float64), self.plan.engine)
        return self._predict_in_double(inputs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_predict_in_double": None}


def train_member(
    table: EncodedTable,
    recipe: Recipe,
    representation: str,
    fold: int,
    training_rows: np.ndarray,
    held_out_rows: np.ndarray,
    seed: np.random.SeedSequence,
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    deadline: float | None = None,
) -> Member:
    """Train a network on some rows of a table, and keep the epoch that is best for others.

    Parameters
    ----------
    table : EncodedTable
    recipe : Recipe
    representation : {"plain", "periodic", "pieces"}
    fold : int
    training_rows, held_out_rows : ndarray of int
        Row numbers. The rows of the table are read in place.
    seed : numpy.random.SeedSequence
    callbacks : sequence of Callback, default=()
    engine : {"auto", "compiled", "formulas"}, default="auto"
    deadline : float, default=None
        Value of `time.monotonic()` at which training stops, after one epoch at least.

    Returns
    -------
    Member
    """
    start = time.perf_counter()
    random = np.random.default_rng(seed)
    with only_one_thread():
        network = make_network(
            recipe, representation, table.layout, table.n_outputs, table.inputs, training_rows, random
        )
        batch_size = min(recipe.batch_size, len(training_rows))
        n_steps = recipe.n_epochs * -(-len(training_rows) // batch_size)
        schedule = LogCosineSchedule(recipe.learning_rate, n_steps, cycles=len(CYCLE_ENDS))
        # Kernels wherever Numba is installed: what other trainings have loaded must not change the last digits.
        plan = InferencePlan(network, engine)
        best = KeepBestEpoch(
            plan, table.inputs[held_out_rows], table.criterion(held_out_rows), recipe.n_epochs, deadline
        )
        history = network.fit(
            table.inputs,
            table.targets,
            loss=table.loss,
            optimizer=Adam(schedule, beta_1=0.9, beta_2=0.95),
            epochs=recipe.n_epochs,
            batch_size=batch_size,
            shuffle=lambda n_rows: random.permutation(training_rows),
            sample_weight=table.weights,
            callbacks=[best, *copy.deepcopy(list(callbacks))],
            random_state=random,
            engine=engine,
        )
        outputs = plan(table.inputs[held_out_rows])
    history["criterion"] = best.values
    seconds = time.perf_counter() - start
    kept_epoch = best.best_epoch or len(history["loss"])  # an interrupted training may have judged none
    return Member(network, plan, representation, fold, outputs, history, kept_epoch, seconds)


STOPPED_BY_LIMIT = "The time limit was reached."


class KeepBestEpoch(EarlyStopping):
    """Keep the last of the best epochs, and stop after a cycle of the learning rate that brought nothing.

    Only epochs of the second half of a cycle are judged. In the first half the learning rate is high, and the
    more epochs are judged, the more the best one owes to chance.

    Parameters
    ----------
    plan : InferencePlan
        Computes the outputs of the network.
    inputs : ndarray of shape (n_rows, n_columns)
        Held-out rows.
    criterion : callable
    n_epochs : int
    deadline : float or None
        Value of `time.monotonic()` at which training stops.
    """

    def __init__(
        self,
        plan: InferencePlan,
        inputs: np.ndarray,
        criterion: Criterion,
        n_epochs: int,
        deadline: float | None,
    ) -> None:
        super().__init__(self.judge, patience=n_epochs, keep_last=True)
        self.plan = plan
        self.inputs = inputs
        self.criterion = criterion
        self.deadline = deadline
        self.values: list[float] = []

    def judge(self, network: Layer) -> float:
        """Return the criterion for the network as it is now."""
        self.values.append(self.criterion(self.plan(self.inputs)))
        return self.values[-1]

    def on_epoch_end(self, run: Run) -> None:
        is_late = self.deadline is not None and time.monotonic() + run.history["seconds"][-1] > self.deadline
        ends = [0, *(math.ceil(end / CYCLE_ENDS[-1] * run.epochs) for end in CYCLE_ENDS)]
        start, end = next((start, end) for start, end in pairwise(ends) if run.epoch <= end)
        if run.epoch > (start + end) / 2 or is_late:
            super().on_epoch_end(run)
        else:
            self.values.append(math.nan)
        if is_late:
            run.stop(STOPPED_BY_LIMIT)
        elif run.epoch == end and end < run.epochs and 0 < self.best_epoch <= start:
            run.stop("A cycle of the learning rate brought nothing.")
