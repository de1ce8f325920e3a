"""Search for a learning rate to begin with: a range test, and the rate that it suggests."""

from __future__ import annotations

import copy
import math
import numbers
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.optional_dependencies import pyplot
from layernet.schedules import ExponentialSchedule
from layernet.sparse import is_sparse
from layernet.training.callbacks import Callback, LearningRateScheduler
from layernet.training.divergence import DivergenceError
from layernet.training.fitting import fit
from layernet.training.storage import select_rows
from layernet.validation import as_count, as_generator

# The smoothed loss remembers about a tenth of the steps, whatever their number: with less of them noise would
# decide, with more it would lag behind the rate.
PARTS_OF_THE_RANGE = 10

# The suggestion: a quarter of the rate at which nine tenths of the fall are done.
PART_OF_THE_FALL = 0.9
SAFETY = 4

# By how many standard deviations a fall or a rise must exceed the noise. The lowest of a whole curve of nothing
# but noise lies about one below its beginning, and seldom three.
CLEAR = 4
NO_FALL = "the loss never fell by more than its noise"


@dataclass(repr=False, eq=False)
class LearningRateSearch:
    """What came of a learning-rate range test.

    Attributes
    ----------
    rates : ndarray of shape (n_steps,)
        The learning rate of each step, growing by the same factor all the time.
    losses : ndarray of shape (n_steps,)
        The loss of each step's batch, before its update.
    smoothed : ndarray of shape (n_steps,)
        Their exponential mean m_t = b m_{t-1} + (1 - b) loss_t, divided by 1 - b**t, which makes up for its
        beginning at 0; b = 1 - 10 / steps.
    suggestion : float or None
        The learning rate to begin with, see `find_learning_rate`; None if the loss never fell by more than its
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

    def plot(self, axes=None):
        """Draw the loss over the learning rate, and the suggestion.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

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
        # The blow-up would press all the rest into the lowest line.
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
        cell = 'style="text-align:left;padding:1px 12px 1px 0"'
        body = "".join(f"<tr><th {cell}>{name}</th><td {cell}>{text}</td></tr>" for name, text in rows.items())
        return (
            f"<div>Learning-rate range test. {escape(self.stop_message)}"
            f'<table style="border-collapse:collapse"><tbody>{body}</tbody></table></div>'
        )


def find_learning_rate(
    network: Layer,
    X: Any,
    y: Any,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 400,
    batch_size: int = 32,
    random_state: Any = None,
    engine: str = "auto",
) -> LearningRateSearch:
    """Look for a good learning rate by training a copy of a network while the rate grows step by step.

    In step t = 0, 1, ... the rate is lowest (highest / lowest)**(t / (steps - 1)). At first nothing happens,
    then the loss falls, and in the end it blows up. There the test stops: as soon as the smoothed loss is above
    its lowest by as much as it was at the start, the mean of the first tenth of the steps.

    The suggestion is a quarter of the rate at which the smoothed loss has done nine tenths of its fall. The
    lowest loss itself would be a poor landmark. The curve is flat there, so that noise says where it is; and
    the rate is too high by then, since what the loss shows was done by the smaller ones before it. Steepest
    descent is found in the noise of the first batches as often as not. Nothing is suggested below `lowest`, and
    nothing at all where the loss never fell by more than its noise, as for a network that is trained already:
    a fall or a rise counts from four standard deviations of the noise in the first tenth of the steps.

    Parameters
    ----------
    network : Layer
        Left as it is, built or not, and so is the optimizer: copies are trained.
    X : array-like of shape (n_samples, ...)
        Of more rows than the test needs, some are drawn.
    y : array-like of shape (n_samples, ...)
        Targets as the loss takes them.
    loss : str or Loss
    optimizer : str or Optimizer, default="adam"
        Its own learning rate plays no part.
    lowest, highest : float, default=1e-6 and 10.0
        The range, greater than 0.
    steps : int, default=400
        At least 20.
    batch_size : int, default=32
        As in the training that is to come: larger batches bear larger rates. Rows that are left over at the end
        of an epoch are left out of it: the loss of a small batch would count as much as that of a full one.
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
        If an argument does not fit.
    DivergenceError
        If the very first step at the lowest rate gives no finite loss.

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
    for name, value in (("lowest", lowest), ("highest", highest)):
        if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
            raise ValueError(f"find_learning_rate: {name} must be a number greater than 0, got {value!r}.")
    if lowest >= highest:
        raise ValueError(
            f"find_learning_rate: lowest must be less than highest, got {lowest!r} and {highest!r}. "
            "A range of several powers of ten is usual."
        )
    steps, batch_size = as_count(steps, "steps"), as_count(batch_size, "batch_size")
    if steps < 2 * PARTS_OF_THE_RANGE:
        raise ValueError(
            f"find_learning_rate: steps must be at least {2 * PARTS_OF_THE_RANGE}, got {steps}. With fewer the "
            "loss cannot be smoothed; some hundreds are usual."
        )
    if np.ndim(y) == 0:
        raise ValueError(
            f"find_learning_rate: y must have one target for each sample, got {y!r}. Where inputs are their "
            "own targets, as for an autoencoder, hand over X twice."
        )
    random = as_generator(random_state)
    X, y = enough_rows(X, y, steps * batch_size, random)
    batches_an_epoch = max(1, len(y) // batch_size)
    test = RangeTest(steps)
    trial = copy.deepcopy(optimizer)
    if isinstance(optimizer, Optimizer) and optimizer.is_of_another(network):
        trial.reset()
    schedule = ExponentialSchedule(lowest, (highest / lowest) ** (1 / (steps - 1)))
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
        test.stop_message = test.stop_message or "The loss or a gradient was not finite any more."
    rates, losses, smoothed = np.array(test.rates), np.array(test.losses), np.array(test.smoothed)
    return LearningRateSearch(rates, losses, smoothed, test.suggestion(), test.stop_message)


class RangeTest(Callback):
    """Writes down rates and losses step by step, and ends the training when it has seen enough."""

    def __init__(self, steps: int):
        self.steps = steps
        # Of fewer than ten losses nobody can tell how much they scatter.
        self.n_first = max(10, steps // PARTS_OF_THE_RANGE)

    def on_train_begin(self, run):
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.stop_message = ""
        self._mean, self._lowest = 0.0, math.inf

    def on_batch_end(self, run):
        if self.stop_message:  # `stop` lets the epoch come to its end
            return
        keep = 1 - PARTS_OF_THE_RANGE / self.steps
        self._mean = keep * self._mean + (1 - keep) * run.batch_loss
        self.rates.append(run.optimizer.last_learning_rate)
        self.losses.append(run.batch_loss)
        done = len(self.losses)
        self.smoothed.append(self._mean / (1 - keep**done))
        if done == self.n_first:
            self._start, self._noise = start_and_noise(np.array(self.losses), keep)
            self._lowest = self._start
        elif done > self.n_first:
            self._observe(self.smoothed[-1], done)
        if self.stop_message:
            run.stop(self.stop_message)

    def _observe(self, last, done):
        self._lowest = min(self._lowest, last)
        rise = last - self._lowest
        if done == self.steps:
            self.stop_message = "All rates were tried."
            if rise <= self._noise:
                self.stop_message = "All rates were tried. The range ended before the loss rose: raise highest."
        elif rise > max(abs(self._start), abs(self._lowest), self._noise):
            self.stop_message = f"The loss blew up, at a rate of {self.rates[-1]:.2g}."

    def suggestion(self) -> float | None:
        """What the test suggests; None too if it ended before the noise was known."""
        if len(self.losses) <= self.n_first:
            return None
        # The first means are those of a few batches, and scatter more than all the others.
        smoothed = np.array(self.smoothed)
        smoothed[: self.n_first] = self._start
        return suggest(np.array(self.rates), smoothed, self._noise)


def start_and_noise(losses: np.ndarray, keep: float) -> tuple[float, float]:
    """Where a smoothed loss begins, and by how much it must leave that to have moved.

    Neighbours differ by their noise alone, but for a few where a loss falls already; so the median tells. The
    deviation of one loss is 1.4826 / sqrt(2) of the median size of the differences, as for normal noise; the
    variance of a mean of n losses is 1 / n of that of one, of an exponential mean (1 - b) / (1 + b).

    Parameters
    ----------
    losses : ndarray of shape (n_first,)
        Those of the first batches.
    keep : float
        The b of the exponential mean.

    Returns
    -------
    start : float
        Their mean.
    noise : float
        Four standard deviations of the difference between the exponential mean and the start.

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
    """A quarter of the rate at which nine tenths of the fall are done; None where there is no fall.

    Parameters
    ----------
    rates, smoothed : ndarray of shape (n_steps,)
    noise : float, default=0.0
        A fall is what is greater.

    Returns
    -------
    float or None
        At least the first rate.

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
    """The data, or of large ones as many rows as are needed, drawn at random."""
    X = X.tocsr() if is_sparse(X) else np.asarray(X)
    n_rows = X.shape[0] if X.ndim else 0
    if n_rows <= n_needed or len(y) != n_rows:
        return X, y
    # By a generator of its own: the initial parameters are those that `fit` draws from the same random state.
    rows = random.spawn(1)[0].choice(n_rows, n_needed, replace=False)
    return select_rows(X, rows), np.asarray(y)[rows]
