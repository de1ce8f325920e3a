"""A callback that watches a training from inside: gradients, updates and activations, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.monitoring.activations import (
    OutputSample,
    equal_units,
    listen,
    named_layers,
    norm_of,
    watched_layers,
)
from layernet.monitoring.data_profile import DataProfile, profile_data
from layernet.monitoring.output_range import end_of
from layernet.monitoring.row_statistics import share_between_batches
from layernet.monitoring.trial import Trial, try_out
from layernet.training.callbacks import Callback
from layernet.training.history import History

# Steps of an epoch that are looked at unless `every` says otherwise. Beside them those with the numbers 1, 2,
# 4, 8, ...: what goes wrong at once goes wrong in the first steps.
STEPS_AN_EPOCH = 4
# How many of each are kept; when there are more, every second one goes, and from then on half as many come.
KEPT_STEPS = 512
KEPT_LOOKS = 64
KEPT_LOSSES = 2048
# Rows that pass through the network when its activations are looked at.
ACTIVATION_ROWS = 256


@dataclass(frozen=True)
class StepSample:
    """What a step did: norms for each layer with parameters, and the loss of its batch.

    Attributes
    ----------
    step : int
        Counting from 1.
    gradients, weights, updates : tuple of float
        The norm of the gradient as the optimizer got it, of the weights before the step, and of what the step
        added to them.
    pulls : tuple of float
        How much weight decay moved the weights, divided by how much the loss did; 0 without weight decay.
    learning_rate : float
    """

    step: int
    gradients: tuple[float, ...]
    weights: tuple[float, ...]
    updates: tuple[float, ...]
    pulls: tuple[float, ...] = ()
    learning_rate: float = math.nan


@dataclass(frozen=True)
class ActivationSnapshot:
    """The activations at one moment.

    Attributes
    ----------
    epoch : float
        How many epochs were done; 0 before the first step.
    loss : float or None
        Of the rows that were passed through, if their targets are known.
    outputs : dict of str to OutputSample
        By the names of the layers.
    """

    epoch: float
    loss: float | None
    outputs: dict[str, OutputSample]


class Means:
    """Numbers one after the other, kept as weighted means of stretches that grow with them.

    Examples
    --------
    >>> means = Means(at_most=4)
    >>> for value in [1.0, 3.0, 5.0, 5.0, 2.0, 4.0]:
    ...     means.add(value)
    >>> means.values(), means.stretch
    (array([2., 5., 3.]), 2)
    """

    def __init__(self, at_most: int):
        self.at_most = at_most
        self.stretch = 1
        self._sums: list[tuple[float, float]] = []  # of each stretch: of weight * value, and of the weights
        self._sum, self._weight, self._count = 0.0, 0.0, 0

    def add(self, value: float, weight: float = 1.0) -> None:
        """Take in one more number, with a weight greater than 0."""
        self._sum += weight * value
        self._weight += weight
        self._count += 1
        if self._count == self.stretch:
            self._sums.append((self._sum, self._weight))
            self._sum, self._weight, self._count = 0.0, 0.0, 0
            if len(self._sums) == self.at_most:
                pairs = zip(self._sums[::2], self._sums[1::2], strict=True)
                self._sums = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
                self.stretch *= 2

    def values(self) -> np.ndarray:
        """The means of the stretches; the last may be shorter than the others."""
        rest = [(self._sum, self._weight)] if self._count else []
        return np.array([total / weight for total, weight in [*self._sums, *rest]])


class Monitor(Callback):
    """Watch gradients, updates and activations of every layer while a network trains.

    It looks at a few steps of each epoch, and at the activations before training and after every epoch, and
    changes nothing: the trained parameters are the same to the last bit. What it keeps is bounded, however
    long the training. A new training starts it anew.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), default=None
        Rows to look at in the place of the training data. Some of them, drawn at random, show the activations
        and the scale of the inputs.
    y : array-like of shape (n_samples, ...), default=None
        Their targets, from which follows what loss can be had without a network.
    every : int, default=None
        How many steps lie between two that are looked at; None looks at up to four in an epoch. The steps 1,
        2, 4, 8, ... are looked at in any case.

    Attributes
    ----------
    layers : list of str
        The layers with parameters, by name.
    steps : ndarray of shape (n_steps,)
        Which steps were looked at, counting from 1.
    gradient_norms, weight_norms, update_norms, update_ratios : ndarray of shape (n_steps, n_layers)
        Of the weights of each layer (of all parameters where there are no weights, as in a BatchNorm): the
        gradient as the optimizer got it, the weights before the step, what the step added to them, and the
        quotient of the two.
    losses : Means
        The loss of every step, weighted by the rows of its batch, without an estimator's penalty.
    looks : list of Look
        The activations, in the order in which they were taken.
    decay_pulls : ndarray of shape (n_steps, n_layers)
        How much weight decay moved the weights of each layer, divided by how much the loss did.
    learning_rates : ndarray of shape (n_steps,)
    material : Material or None
        Figures of the data.
    trials : list of Trial
        What was tried on copies of the network, before training and after it: the gradient check of the layers
        that this package does not bring, the signal that survives noise, the outputs for the sample.
    batch_order : float or None
        How much of the targets' variance lies between the batches of the first epoch: about 0 for shuffled
        rows, 1 for rows in the order of their targets.
    history : History
    diverged : str
        Where and why training diverged, in words; empty if it did not.
    kept_epoch : int or None
        The epoch that another callback went back to in the end; None for the last one.

    Raises
    ------
    ValueError, TypeError
        If `every` is no whole number of at least 1, or X and y have different lengths.

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
        self._forget_training()

    def _forget_training(self):
        self.layers: list[str] = []
        self.has_weights: list[bool] = []
        self.losses = Means(KEPT_LOSSES)
        self.looks: list[ActivationSnapshot] = []
        self.material: DataProfile | None = None
        self.history = History()
        self.diverged, self.kept_epoch = "", None
        self.equal_units: list[str] = []
        self.trials: list[Trial] = []
        self.batch_order: float | None = None
        self.has_weight_decay = self.decay_is_decoupled = False
        self.end_name = ""
        self.steps_done = self.rows_done = self.steps_per_epoch = 0
        self.learning_rate: float | None = None
        self.loss_name, self.output_shape = "", ()
        self.n_parameters = self.n_rows = 0
        self._samples: list[StepSample] = []
        self._before: np.ndarray | None = None
        self._is_due = False
        self._epochs_between = 1

    # --- what fit calls ---

    def on_train_begin(self, run):
        self._forget_training()
        network = run.network
        self.steps_per_epoch = run.steps_per_epoch
        self._steps_between = self.every or -(-run.steps_per_epoch // STEPS_AN_EPOCH)
        self._watched = watched_layers(network)
        self.layers = [each.name for each in self._watched]
        self.has_weights = [each.has_weights for each in self._watched]
        self.history = run.history
        self.loss_name, self.output_shape = type(run.loss).__name__, network.output_shape
        self.n_parameters, self.n_rows = network.parameter_vector.size, run.data.n_samples
        self._loss = run.loss
        end = {id(layer) for layer in end_of(network)}
        self.end_name = next((name for name, layer in named_layers(network) if id(layer) in end), "")
        self._before = np.empty_like(network.parameter_vector)
        self.material = profile_data(run, self.X, self.y)
        self._look(network, 0)
        self._try_out(network)

    def on_epoch_begin(self, run):
        # Between two epochs others may have moved the parameters, so they are copied again.
        self._prepare(run.network)

    def on_batch_end(self, run):
        self.steps_done += 1
        self.rows_done += run.batch_rows
        self.losses.add(run.batch_loss - self._penalty_of(run), run.batch_rows)
        if self.steps_done == 1:
            self.batch_order = share_between_batches(run.data.targets, run.order, run.batch_rows)
        if self._is_due:
            self._take_step(run)
            self.learning_rate = run.optimizer.last_learning_rate
        self._prepare(run.network)

    def on_epoch_end(self, run):
        if run.epoch % self._epochs_between == 0:
            self._look(run.network, run.epoch)

    def on_train_end(self, run):
        done = len(run.history.get("epoch", []))
        self.diverged = run.stop_message if run.stop_reason == "diverged" else ""
        self.kept_epoch = run.kept_epoch
        if not self.diverged and done and (not self.looks or self.looks[-1].epoch < done):
            self._look(run.network, done)
        self.equal_units = equal_units(run.network)
        if self.steps_done and not self.diverged:
            self._try_out(run.network)
        self._before, self._is_due, self._loss = None, False, None

    # --- looking ---

    def _prepare(self, network):
        """Copy the parameters if the step that comes next is to be looked at."""
        step = self.steps_done + 1
        self._is_due = step & (step - 1) == 0 or (step - 1) % self._steps_between == 0
        if self._is_due:
            self._before[:] = network.parameter_vector

    def _take_step(self, run):
        before, network = self._before, run.network
        runs = [each.runs for each in self._watched]
        weights = tuple(norm_of(before, each) for each in runs)
        norms = tuple(norm_of(network.gradient_vector, each) for each in runs)
        pulls = self._pulls(run, before, norms, weights)
        with np.errstate(all="ignore"):
            np.subtract(network.parameter_vector, before, out=before)
        updates = tuple(norm_of(before, each) for each in runs)
        rate = run.optimizer.last_learning_rate
        rate = math.nan if rate is None else float(rate)
        self._samples.append(StepSample(self.steps_done, norms, weights, updates, pulls, rate))
        if len(self._samples) > KEPT_STEPS:
            self._samples = self._samples[::2]
            self._steps_between *= 2

    def _penalty_of(self, run):
        """The part of a batch's loss that is the penalty of an estimator: no outputs could save it."""
        if not run.penalty:
            return 0.0
        norms = (norm_of(run.network.parameter_vector, each.runs) for each in self._watched if each.has_weights)
        return run.penalty / run.batch_rows / 2 * sum(norm**2 for norm in norms)

    def _pulls(self, run, before, norms, weights):
        """For each layer the pull of weight decay, divided by that of the loss."""
        decay = float(getattr(run.optimizer, "weight_decay", 0.0) or 0.0)
        penalty = run.penalty / run.batch_rows
        self.has_weight_decay = decay + penalty > 0
        self.decay_is_decoupled = decay > 0 and bool(getattr(run.optimizer, "decoupled", False))
        if not self.has_weight_decay:
            return (0.0,) * len(weights)
        gradients, after = run.network.gradient_vector, run.network.parameter_vector
        runs = [each.runs for each in self._watched]
        with np.errstate(all="ignore"):
            if penalty:
                # The gradient that the optimizer got has the penalty's in it.
                by_loss = [norm_of(gradients - penalty * before, each) for each in runs]
            else:
                by_loss = norms
            by_decay = [(decay + penalty) * norm for norm in weights]
            if getattr(run.optimizer, "decoupled", False):
                shrink = float(run.optimizer.last_learning_rate or 0.0) * decay
                moved = after - (1 - shrink) * before
                by_loss, by_decay = [norm_of(moved, each) for each in runs], [shrink * norm for norm in weights]
            elif getattr(run.optimizer, "clip_norm", None):
                shrink = min(1.0, run.optimizer.clip_norm / max(norm_of(gradients, (slice(None),)), 1e-300))
                by_loss = [shrink * norm for norm in by_loss]
            return tuple(float(np.divide(a, b)) for a, b in zip(by_decay, by_loss, strict=True))

    def _try_out(self, network: Layer):
        first = next((each.name for each in self._watched if each.has_weights), None)
        self.trials.append(try_out(network, self._loss, self.material, first))

    def _look(self, network: Layer, epoch: float):
        rows = slice(ACTIVATION_ROWS)
        outputs, samples = listen(network, self.material.inputs[rows])
        loss = None
        if self.material.targets is not None:
            with np.errstate(all="ignore"):
                loss = float(self._loss.losses(outputs, self.material.targets[rows]).mean())
        self.looks.append(ActivationSnapshot(epoch, loss, samples))
        if len(self.looks) > KEPT_LOOKS:
            self.looks = self.looks[::2]
            self._epochs_between *= 2

    # --- what was seen ---

    @property
    def steps(self) -> np.ndarray:
        """Which steps were looked at, counting from 1."""
        return np.array([sample.step for sample in self._samples], dtype=int)

    @property
    def epochs(self) -> np.ndarray:
        """How many epochs were done before each of these steps, with fractions."""
        return (self.steps - 1) / max(self.steps_per_epoch, 1)

    @property
    def gradient_norms(self) -> np.ndarray:
        """The norm of each layer's gradient, of shape (n_steps, n_layers)."""
        return self._table("gradients")

    @property
    def weight_norms(self) -> np.ndarray:
        """The norm of each layer's weights before the step, of shape (n_steps, n_layers)."""
        return self._table("weights")

    @property
    def update_norms(self) -> np.ndarray:
        """The norm of what each step added to the weights of each layer, of shape (n_steps, n_layers)."""
        return self._table("updates")

    @property
    def update_ratios(self) -> np.ndarray:
        """The norm of the update, divided by that of the weights; NaN where the weights were 0."""
        weights = self.weight_norms
        ratios = np.full(weights.shape, np.nan)
        return np.divide(self.update_norms, weights, out=ratios, where=weights > 0)

    @property
    def decay_pulls(self) -> np.ndarray:
        """How much weight decay moved each layer beside the loss, of shape (n_steps, n_layers)."""
        return self._table("pulls")

    @property
    def learning_rates(self) -> np.ndarray:
        """The learning rate of each step that was looked at."""
        return np.array([sample.learning_rate for sample in self._samples], dtype=float)

    def _table(self, what):
        return np.array([getattr(each, what) for each in self._samples]).reshape(-1, len(self.layers))

    def plot(self, axes: Any = None):
        """Draw gradient norms, update ratios and activations over training.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Where to draw the gradient norms alone; None makes a new figure with all.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If no step of a training was seen.
        ImportError
            If matplotlib is not installed.
        """
        from layernet.monitoring.figure import draw

        return draw(self, axes)

    def __repr__(self) -> str:
        if not self._samples:
            return "Monitor: no step of a training was seen"
        looks = f", activations at {len(self.looks)} moments" if self.looks else ""
        end = " It diverged." if self.diverged else ""
        steps = f"{len(self._samples)} of {self.steps_done} steps"
        return f"Monitor: {len(self.layers)} layers in {steps}{looks}{end and '.'}{end}"

    def _repr_html_(self) -> str:
        if not self._samples:
            return escape(repr(self))
        cell = 'style="padding:1px 10px;text-align:right;font-variant-numeric:tabular-nums"'
        first, last = self._samples[0], self._samples[-1]
        ratios = self.update_ratios
        head = ("layer", "first gradient", "last gradient", "last update / weights")
        rows = "".join(
            f'<tr><td style="padding:1px 10px 1px 0;text-align:left">{escape(name)}</td>'
            f"<td {cell}>{first.gradients[index]:.2g}</td><td {cell}>{last.gradients[index]:.2g}</td>"
            f"<td {cell}>{ratios[-1, index]:.2g}</td></tr>"
            for index, name in enumerate(self.layers)
        )
        return (
            f'<details open><summary>{escape(repr(self))}</summary><table style="border-collapse:collapse">'
            f"<thead><tr>{''.join(f'<th {cell}>{escape(each)}</th>' for each in head)}</tr></thead>"
            f"<tbody>{rows}</tbody></table></details>"
        )
