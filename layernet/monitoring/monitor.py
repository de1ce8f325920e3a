"""Callback that records gradients, updates and activations of every layer during training."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.display.table import html_table
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.activations import summarize_activations
from layernet.monitoring.data_profile import profile_data
from layernet.monitoring.output_range import output_activation_of
from layernet.monitoring.plot import draw
from layernet.monitoring.record import (
    MAX_RECORDED_STEPS,
    MAX_SNAPSHOTS,
    ActivationSnapshot,
    StepRecord,
    TrainingRecord,
)
from layernet.monitoring.row_statistics import share_between_batches
from layernet.monitoring.trial import run_trial
from layernet.monitoring.watched_layers import (
    WatchedLayer,
    layers_with_equal_units,
    named_layers,
    norm_of,
    watched_layers,
)
from layernet.training.callback import Callback
from layernet.training.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Recorded steps of an epoch, unless `every` is given. The steps 1, 2, 4, 8, ... are recorded as well, because
# training that fails at once fails in the first steps.
RECORDED_STEPS_PER_EPOCH = 4
# Rows that pass through the network for a snapshot of its activations.
SNAPSHOT_ROWS = 256


class Monitor(Callback, TrainingRecord):
    """Record gradients, updates and activations of every layer while a network trains.

    The monitor records some steps of each epoch, and takes a snapshot of the activations before training and
    after every epoch. Training is not changed: the trained parameters are the same to the last bit. The record
    has a bounded size, however long training is. A new training run replaces it.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), default=None
        Rows for the snapshots and the data profile in place of the training data. A random sample is used.
    y : array-like of shape (n_samples, ...), default=None
        Targets of X, from which the loss of the best constant outputs is computed.
    every : int, default=None
        Record every `every`-th step; None records up to four steps of an epoch. The steps 1, 2, 4, 8, ... are
        always recorded.

    Attributes
    ----------
    layers : list of str
        Names of the layers with parameters.
    steps : ndarray of shape (n_steps,)
        Numbers of the recorded steps, counted from 1.
    gradient_norms, weight_norms, update_norms, update_ratios : ndarray of shape (n_steps, n_layers)
        Norms of the gradient that the optimizer received, of the weights before the step, and of the update;
        and update_norms / weight_norms. They are those of the weights of a layer, or of all its parameters if
        it has no weights, as a BatchNorm.
    losses : BlockMeans
        The loss of every step, weighted by the rows of its batch, without an estimator's penalty.
    snapshots : list of ActivationSnapshot
        In order.
    decay_ratios : ndarray of shape (n_steps, n_layers)
        Update by weight decay divided by the update by the loss.
    learning_rates : ndarray of shape (n_steps,)
    data_profile : DataProfile or None
        Figures of the data.
    trials : list of Trial
        Experiments on copies of the network, before and after training: the gradient check of layers that
        users wrote, the share of the signal that noise leaves, and the outputs for the sample.
    between_batch_share : float or None
        Share of the targets' variance that lies between the batches of the first epoch: about 0 for shuffled
        rows, 1 for sorted ones.
    history : History
    diverged : str
        Where and why training diverged, in words; empty if it did not.
    kept_epoch : int or None
        The epoch whose parameters another callback restored; None if the last ones were kept.

    Raises
    ------
    ValueError, TypeError
        If `every` is not a whole number of at least 1, or X and y have different lengths.

    Examples
    --------
    >>> from layernet import Dense, Sequential, Tanh
    >>> X = np.random.default_rng(0).normal(size=(64, 3))
    >>> net = Sequential([Dense(8), Tanh(), Dense(1)])
    >>> monitor = Monitor()
    >>> history = net.fit(X, X[:, 0], loss="mean_squared_error", epochs=5, callbacks=[monitor], random_state=0)
    >>> monitor
    Monitor: 2 layers in 10 of 10 steps, activations at 6 moments
    >>> monitor.layers, monitor.update_ratios.shape
    (['0 Dense(8)', '2 Dense(1)'], (10, 2))
    """

    def __init__(self, X: Any = None, y: Any = None, every: int | None = None):
        if every is not None and (not isinstance(every, (int, np.integer)) or isinstance(every, bool)):
            raise TypeError(f"Monitor: every must be None or a whole number, got {every!r}.")
        if every is not None and every < 1:
            raise ValueError(f"Monitor: every must be at least 1, got {every!r}.")
        if y is not None and X is None:
            raise ValueError("Monitor: y are the targets of X, so give both, or X alone.")
        if X is not None and y is not None and np.shape(X)[0] != len(y):
            raise ValueError(
                f"Monitor: X has {np.shape(X)[0]} rows and y {len(y)}; give one target for each row."
            )
        self.X, self.y, self.every = X, y, every
        self._clear()

    def _clear(self) -> None:
        """Forget the run before this one."""
        TrainingRecord.__init__(self)
        self._watched: list[WatchedLayer] = []
        self._loss: Loss | None = None
        self._parameters_before = np.empty(0)
        self._records_next_step = False
        self._step_interval = self._snapshot_interval = 1

    # --- calls from fit ---

    def on_train_begin(self, run: Run) -> None:
        self._clear()
        network = run.network
        self.steps_per_epoch = run.steps_per_epoch
        self._step_interval = self.every or -(-run.steps_per_epoch // RECORDED_STEPS_PER_EPOCH)
        self._watched = watched_layers(network)
        self.layers = [each.name for each in self._watched]
        self.has_weights = [each.has_weights for each in self._watched]
        self.history = run.history
        self.loss_name, self.output_shape = type(run.loss).__name__, tuple(network.output_shape or ())
        self.n_parameters, self.n_rows = network.parameter_vector.size, run.data.n_samples
        self._loss = run.loss
        ends = {id(layer) for layer in output_activation_of(network)}
        self.output_activation_name = next(
            (name for name, layer in named_layers(network) if id(layer) in ends), ""
        )
        self._parameters_before = np.empty_like(network.parameter_vector)
        self.data_profile = profile_data(run, self.X, self.y)
        self._take_snapshot(network, 0)
        self._run_trial(network)

    def on_epoch_begin(self, run: Run) -> None:
        # Between two epochs another callback may have moved the parameters: copy them again.
        self._prepare_step(run.network)

    def on_batch_end(self, run: Run) -> None:
        self.steps_done += 1
        self.rows_done += run.batch_rows
        self.losses.add(run.batch_loss - self._penalty_of(run), run.batch_rows)
        if self.steps_done == 1:
            self.between_batch_share = share_between_batches(run.data.targets, run.order, run.batch_rows)
        if self._records_next_step:
            self._record_step(run)
            self.learning_rate = run.optimizer.last_learning_rate
        self._prepare_step(run.network)

    def on_epoch_end(self, run: Run) -> None:
        if run.epoch % self._snapshot_interval == 0:
            self._take_snapshot(run.network, run.epoch)

    def on_train_end(self, run: Run) -> None:
        done = len(run.history.get("epoch", []))
        self.diverged = run.stop_message if run.stop_reason == "diverged" else ""
        self.kept_epoch = run.kept_epoch
        if not self.diverged and done and (not self.snapshots or self.snapshots[-1].epoch < done):
            self._take_snapshot(run.network, done)
        self.equal_units = layers_with_equal_units(run.network)
        if self.steps_done and not self.diverged:
            self._run_trial(run.network)
        self._parameters_before, self._records_next_step, self._loss = np.empty(0), False, None

    # --- steps ---

    def _prepare_step(self, network: Layer) -> None:
        """Decide whether the next step is recorded, and copy the parameters if so."""
        step = self.steps_done + 1
        self._records_next_step = step & (step - 1) == 0 or (step - 1) % self._step_interval == 0
        if self._records_next_step:
            self._parameters_before[:] = network.parameter_vector

    def _record_step(self, run: Run) -> None:
        before, network = self._parameters_before, run.network
        slices = [each.slices for each in self._watched]
        weights = tuple(norm_of(before, each) for each in slices)
        gradients = tuple(norm_of(network.gradient_vector, each) for each in slices)
        decay_ratios = self._decay_ratios(run, before, gradients, weights)
        with np.errstate(all="ignore"):
            np.subtract(network.parameter_vector, before, out=before)
        updates = tuple(norm_of(before, each) for each in slices)
        rate = run.optimizer.last_learning_rate
        rate = math.nan if rate is None else float(rate)
        self.step_records.append(StepRecord(self.steps_done, gradients, weights, updates, decay_ratios, rate))
        if len(self.step_records) > MAX_RECORDED_STEPS:
            self.step_records = self.step_records[::2]
            self._step_interval *= 2

    def _penalty_of(self, run: Run) -> float:
        """Return the part of a batch's loss that is an estimator's penalty, which no outputs can reduce."""
        if not run.penalty:
            return 0.0
        vector = run.network.parameter_vector
        norms = (norm_of(vector, each.slices) for each in self._watched if each.has_weights)
        return run.penalty / run.batch_rows / 2 * sum(norm**2 for norm in norms)

    def _decay_ratios(
        self, run: Run, before: np.ndarray, gradients: tuple[float, ...], weights: tuple[float, ...]
    ) -> tuple[float, ...]:
        """For each layer divide the update by weight decay by the update by the loss.

        Parameters
        ----------
        run : Run
        before : ndarray of shape (n_parameters,)
            Parameters before the step.
        gradients, weights : tuple of float
            Norms for each layer.
        """
        optimizer, vector = run.optimizer, run.network.gradient_vector
        decay = float(getattr(optimizer, "weight_decay", 0.0) or 0.0)
        penalty = run.penalty / run.batch_rows
        is_decoupled = bool(getattr(optimizer, "decoupled", False))
        self.has_weight_decay = decay + penalty > 0
        self.decay_is_decoupled = decay > 0 and is_decoupled
        if not self.has_weight_decay:
            return (0.0,) * len(weights)
        slices = [each.slices for each in self._watched]
        clip_norm = getattr(optimizer, "clip_norm", None)
        with np.errstate(all="ignore"):
            by_loss = list(gradients)
            if penalty:
                # The gradient that the optimizer received contains the penalty's.
                by_loss = [norm_of(vector - penalty * before, each) for each in slices]
            by_decay = [(decay + penalty) * norm for norm in weights]
            if is_decoupled:
                shrinkage = float(optimizer.last_learning_rate or 0.0) * decay
                moved = run.network.parameter_vector - (1 - shrinkage) * before
                by_loss = [norm_of(moved, each) for each in slices]
                by_decay = [shrinkage * norm for norm in weights]
            elif clip_norm:
                factor = min(1.0, clip_norm / max(norm_of(vector, (slice(None),)), 1e-300))
                by_loss = [factor * norm for norm in by_loss]
            return tuple(float(np.divide(a, b)) for a, b in zip(by_decay, by_loss, strict=True))

    # --- snapshots and trials ---

    def _run_trial(self, network: Layer) -> None:
        assert self._loss is not None
        assert self.data_profile is not None
        first = next((each.name for each in self._watched if each.has_weights), None)
        self.trials.append(run_trial(network, self._loss, self.data_profile, first))

    def _take_snapshot(self, network: Layer, epoch: float) -> None:
        assert self._loss is not None
        assert self.data_profile is not None
        rows, targets = slice(SNAPSHOT_ROWS), self.data_profile.targets
        outputs, summaries = summarize_activations(network, self.data_profile.inputs[rows])
        loss = None
        if targets is not None:
            with np.errstate(all="ignore"):
                loss = float(self._loss.losses(outputs, targets[rows]).mean())
        self.snapshots.append(ActivationSnapshot(epoch, loss, summaries))
        if len(self.snapshots) > MAX_SNAPSHOTS:
            self.snapshots = self.snapshots[::2]
            self._snapshot_interval *= 2

    # --- pictures ---

    def plot(self, axes: Any = None) -> Figure:
        """Draw gradient norms, update ratios and activations over training.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Axes for the gradient norms alone; None draws everything on a new figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If no step was recorded.
        ImportError
            If matplotlib is not installed.
        """
        return draw(self, axes)

    def __repr__(self) -> str:
        if not self.step_records:
            return "Monitor: no training step was recorded"
        moments = f", activations at {len(self.snapshots)} moments" if self.snapshots else ""
        end = ". It diverged." if self.diverged else ""
        steps = f"{len(self.step_records)} of {self.steps_done} steps"
        return f"Monitor: {len(self.layers)} layers in {steps}{moments}{end}"

    def _repr_html_(self) -> str:
        if not self.step_records:
            return escape(repr(self))
        first, last = self.step_records[0], self.step_records[-1]
        ratios = self.update_ratios
        headings = ("layer", "first gradient", "last gradient", "last update / weights")
        rows = [
            (name, f"{first.gradients[index]:.2g}", f"{last.gradients[index]:.2g}", f"{ratios[-1, index]:.2g}")
            for index, name in enumerate(self.layers)
        ]
        table = html_table(rows, headings, numeric={1, 2, 3})
        return f"<details open><summary>{escape(repr(self))}</summary>{table}</details>"
