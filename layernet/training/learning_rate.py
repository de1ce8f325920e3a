"""Learning-rate range test: search for the learning rate to start a training with."""

from __future__ import annotations

import copy
import math
import numbers
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.display.table import html_table
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.optional_dependencies import pyplot
from layernet.schedules import ExponentialSchedule
from layernet.sparse import is_sparse
from layernet.training.callback import Callback
from layernet.training.callbacks import LearningRateScheduler
from layernet.training.divergence import DivergenceError
from layernet.training.fitting import fit
from layernet.training.run import Run
from layernet.training.storage import select_rows
from layernet.validation import as_count, as_generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# The smoothed loss averages over about a tenth of the steps, whatever their number: over fewer, noise would
# decide; over more, it would lag behind the learning rate.
PARTS_OF_THE_RANGE = 10

# The suggestion: a quarter of the learning rate at which nine tenths of the fall are done.
PART_OF_THE_FALL = 0.9
SAFETY = 4

# A fall or a rise must exceed the noise by this number of standard deviations. The minimum of a curve of
# nothing but noise lies about one standard deviation below its start, and seldom three.
CLEAR = 4
NO_FALL = "the loss never fell by more than its noise"


@dataclass(repr=False, eq=False)
class LearningRateSearch:
    """Result of a learning-rate range test.

    Attributes
    ----------
    rates : ndarray of shape (n_steps,)
        The learning rate of each step; each is the one before times a constant factor.
    losses : ndarray of shape (n_steps,)
        The loss of each step's batch, before its update.
    smoothed : ndarray of shape (n_steps,)
        Exponential moving average of the losses, m_t = b m_{t-1} + (1 - b) loss_t, divided by 1 - b**t to
        correct for m_0 = 0; b = 1 - 10 / steps.
    suggestion : float or None
        The learning rate to start with, see `find_learning_rate`. None if the loss never fell by more than its
        noise.
    stop_message : str
        Why the test ended, as a sentence.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float | None
    stop_message: str

    def __repr__(self) -> str:
        found = f"none, {NO_FALL}" if self.suggestion is None else f"{self.suggestion:.2g}"
        tried = f"{self.rates[0]:.2g} to {self.rates[-1]:.2g} in {len(self.rates)} steps"
        return f"LearningRateSearch: suggestion {found}; tried {tried}"

    def plot(self, axes: Axes | None = None) -> Figure | SubFigure:
        """Plot the loss over the learning rate, and the suggestion.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Axes to draw into; None makes a new figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot("LearningRateSearch.plot")
        if axes is None:
            axes = plt.subplots(figsize=(6, 3.5), layout="constrained")[1]
        axes.semilogx(self.rates, self.losses, color="#bbbbbb", linewidth=0.8, label="each batch")
        axes.semilogx(self.rates, self.smoothed, color="#0072B2", label="smoothed")
        if self.suggestion is not None:
            axes.axvline(
                self.suggestion, color="#D55E00", linestyle="--", label=f"suggestion: {self.suggestion:.2g}"
            )
        # With the final rise in the range, the rest of the curve would be flat.
        low, high = self.losses.min(), self.smoothed[: self.smoothed.argmin() + 1].max()
        span = (high - low) or abs(high) or 1.0
        axes.set(xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * span, high + 0.4 * span))
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        return axes.figure

    def _repr_html_(self) -> str:
        lowest = int(self.smoothed.argmin())
        rows = {
            "suggestion": f"none: {NO_FALL}" if self.suggestion is None else f"{self.suggestion:.3g}",
            "tried": f"{self.rates[0]:.3g} to {self.rates[-1]:.3g}, in {len(self.rates)} steps",
            "smoothed loss": f"{self.smoothed[0]:.3g} at first, {self.smoothed[lowest]:.3g} at its lowest, "
            f"where the rate was {self.rates[lowest]:.3g}",
        }
        table = html_table(list(rows.items()), row_headings=True)
        return f"<div>Learning-rate range test. {escape(self.stop_message)}{table}</div>"


def find_learning_rate(
    network: Layer,
    X: Any,
    y: Any,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    min_learning_rate: float = 1e-6,
    max_learning_rate: float = 10.0,
    steps: int = 400,
    batch_size: int = 32,
    random_state: Any = None,
    engine: str = "auto",
) -> LearningRateSearch:
    """Find a learning rate by a range test: train a copy of the network while the learning rate grows.

    In step t = 0, 1, ... the learning rate is min_learning_rate * r**t, with
    r = (max_learning_rate / min_learning_rate)**(1 / (steps - 1)). The loss is flat at first, then falls, and
    finally rises. The test stops when the smoothed loss has risen above its minimum by the loss at the start,
    which is the mean of the first tenth of the steps.

    The suggestion is a quarter of the learning rate at which the smoothed loss has done nine tenths of its
    fall, and at least `min_learning_rate`. The minimum itself is a poor landmark: the curve is flat there, so
    noise decides where it is; and smaller learning rates did most of the fall before it. The steepest descent
    often lies in the noise of the first batches. Nothing is suggested if the loss never fell by more than its
    noise, as for a trained network. A fall or a rise counts from four standard deviations of the noise in the
    first tenth of the steps.

    Parameters
    ----------
    network : Layer
        Built or not. The network and the optimizer are unchanged: copies are trained.
    X : array-like or sparse matrix of shape (n_samples, ...)
        If it has more rows than the test needs, a random subset is used.
    y : array-like of shape (n_samples, ...)
        Targets in the form that the loss takes.
    loss : str or Loss
    optimizer : str or Optimizer, default="adam"
        Its own learning rate has no effect.
    min_learning_rate, max_learning_rate : float, default=1e-6 and 10.0
        The range of the test; greater than 0.
    steps : int, default=400
        Number of updates of the parameters; at least 20.
    batch_size : int, default=32
        Use that of the later training: larger batches allow larger learning rates. An epoch omits the rows that
        do not fill a batch, because the loss of a small batch would count as much as that of a full one.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        As in `layernet.training.fit`.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        As in `layernet.training.fit`.

    Returns
    -------
    LearningRateSearch

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    DivergenceError
        If the first step, at the smallest learning rate, gives no finite loss.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import SGD, Dense, Sequential, Tanh
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> net = Sequential([Dense(8), Tanh(), Dense(1)])
    >>> search = find_learning_rate(net, X, y, "mean_squared_error", optimizer="sgd", random_state=0)
    >>> 0.003 < search.suggestion < 0.3
    True
    >>> optimizer = SGD(search.suggestion)

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks, section 3.3.
    """
    for name, value in (("min_learning_rate", min_learning_rate), ("max_learning_rate", max_learning_rate)):
        if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < math.inf:
            raise ValueError(f"find_learning_rate: {name} must be a number greater than 0, got {value!r}.")
    if min_learning_rate >= max_learning_rate:
        raise ValueError(
            "find_learning_rate: min_learning_rate must be less than max_learning_rate, got "
            f"{min_learning_rate!r} and {max_learning_rate!r}. A range of several powers of ten is usual."
        )
    steps, batch_size = as_count(steps, "find_learning_rate: steps"), as_count(batch_size, "batch_size")
    if steps < 2 * PARTS_OF_THE_RANGE:
        raise ValueError(
            f"find_learning_rate: steps must be at least {2 * PARTS_OF_THE_RANGE}, got {steps}. Fewer losses "
            "cannot be smoothed; some hundreds are usual."
        )
    if np.ndim(y) == 0:
        raise ValueError(
            f"find_learning_rate: y must have one target for each sample, got {y!r}. For an "
            "autoencoder, whose targets are its inputs, write y=X."
        )
    random = as_generator(random_state)
    X, y = enough_rows(X, y, steps * batch_size, random)
    batches_an_epoch = max(1, len(y) // batch_size)
    test = RangeTest(steps)
    trial = copy.deepcopy(optimizer)
    if isinstance(trial, Optimizer) and isinstance(optimizer, Optimizer) and optimizer.is_of_another(network):
        trial.reset()
    schedule = ExponentialSchedule(
        min_learning_rate, (max_learning_rate / min_learning_rate) ** (1 / (steps - 1))
    )
    try:
        fit(
            copy.deepcopy(network),
            X,
            y,
            loss=loss,
            optimizer=trial,
            epochs=-(-steps // batches_an_epoch),
            batch_size=batch_size,
            shuffle=lambda n_rows: random.permutation(n_rows)[: batches_an_epoch * batch_size],
            callbacks=[LearningRateScheduler(schedule, per="step"), test],
            random_state=random,
            engine=engine,
        )
    except DivergenceError:
        if not test.losses:
            raise
        test.stop_message = test.stop_message or "The loss or a gradient was not finite."
    rates, losses, smoothed = np.array(test.rates), np.array(test.losses), np.array(test.smoothed)
    return LearningRateSearch(rates, losses, smoothed, test.suggestion(), test.stop_message)


class RangeTest(Callback):
    """Records the learning rate and the loss of every step, and stops training when the loss has risen."""

    def __init__(self, steps: int):
        self.steps = steps
        # Fewer than ten losses do not show their noise.
        self.n_first = max(10, steps // PARTS_OF_THE_RANGE)

    def on_train_begin(self, run: Run) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.stop_message = ""
        self._mean, self._minimum = 0.0, math.inf

    def on_batch_end(self, run: Run) -> None:
        if self.stop_message:  # training ends with the epoch, not with this batch
            return
        keep = 1 - PARTS_OF_THE_RANGE / self.steps
        self._mean = keep * self._mean + (1 - keep) * run.batch_loss
        rate = run.optimizer.last_learning_rate
        assert rate is not None  # a step has been done
        self.rates.append(rate)
        self.losses.append(run.batch_loss)
        done = len(self.losses)
        self.smoothed.append(self._mean / (1 - keep**done))
        if done == self.n_first:
            self._start, self._noise = start_and_noise(np.array(self.losses), keep)
            self._minimum = self._start
        elif done > self.n_first:
            self._observe(self.smoothed[-1], done)
        if self.stop_message:
            run.stop(self.stop_message)

    def _observe(self, last: float, done: int) -> None:
        self._minimum = min(self._minimum, last)
        rise = last - self._minimum
        if done == self.steps:
            self.stop_message = "All learning rates were tried."
            if rise <= self._noise:
                self.stop_message += " The range ended before the loss rose: raise max_learning_rate."
        elif rise > max(abs(self._start), abs(self._minimum), self._noise):
            self.stop_message = f"The loss rose above its start, at a learning rate of {self.rates[-1]:.2g}."

    def suggestion(self) -> float | None:
        """The suggested learning rate; None if the loss did not fall or the test was too short."""
        if len(self.losses) <= self.n_first:
            return None
        # The first averages are over few batches, and have more noise than the others.
        smoothed = np.array(self.smoothed)
        smoothed[: self.n_first] = self._start
        return suggest(np.array(self.rates), smoothed, self._noise)


def start_and_noise(losses: np.ndarray, keep: float) -> tuple[float, float]:
    """Start of a smoothed loss, and the difference from it that is more than noise.

    Differences of successive losses are mostly noise, so their median size estimates it: the standard deviation
    of one loss is 1.4826 / sqrt(2) times the median, as for normal noise. The variance of a mean of n losses is
    1 / n of that of one loss; that of an exponential moving average is (1 - b) / (1 + b) of it.

    Parameters
    ----------
    losses : ndarray of shape (n_first,)
        Losses of the first batches.
    keep : float
        The b of the exponential moving average.

    Returns
    -------
    start : float
        Mean of the losses.
    noise : float
        Four standard deviations of the difference between the exponential moving average and the start.

    Examples
    --------
    >>> start, noise = start_and_noise(np.array([3.0, 1.0, 3.0, 1.0]), keep=0.6)
    >>> start, bool(np.isclose(noise, 4 * 1.4826 * np.sqrt(2 * (1 / 4 + 1 / 4))))
    (2.0, True)
    """
    variance = (1.4826 * np.median(np.abs(np.diff(losses)))) ** 2 / 2
    deviation = math.sqrt(variance * (1 / len(losses) + (1 - keep) / (1 + keep)))
    return float(losses.mean()), CLEAR * deviation


def suggest(rates: np.ndarray, smoothed: np.ndarray, noise: float = 0.0) -> float | None:
    """Return a quarter of the learning rate at which nine tenths of the fall are done; None without a fall.

    Parameters
    ----------
    rates, smoothed : ndarray of shape (n_steps,)
    noise : float, default=0.0
        A smaller fall does not count.

    Returns
    -------
    float or None
        At least the first learning rate.

    Examples
    --------
    >>> suggest(np.array([0.1, 0.2, 0.4, 0.8, 1.6]), np.array([5.0, 4.0, 2.0, 1.0, 9.0]))
    0.1
    """
    lowest = int(smoothed.argmin())
    fall = smoothed[0] - smoothed[lowest]
    if fall <= noise:
        return None
    not_yet = np.flatnonzero(smoothed[: lowest + 1] > smoothed[0] - PART_OF_THE_FALL * fall)
    return float(max(rates[not_yet[-1]] / SAFETY, rates[0]))


def enough_rows(X: Any, y: Any, n_needed: int, random: np.random.Generator) -> tuple[Any, Any]:
    """Return the data, or a random subset of the needed number of rows."""
    X = X.tocsr() if is_sparse(X) else np.asarray(X)
    n_rows = X.shape[0] if X.ndim else 0
    if n_rows <= n_needed or len(y) != n_rows:
        return X, y
    # From a generator of its own, so that `fit` draws the same initial parameters from the random state.
    rows = random.spawn(1)[0].choice(n_rows, n_needed, replace=False)
    return select_rows(X, rows), np.asarray(y)[rows]
