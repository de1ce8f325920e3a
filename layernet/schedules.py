"""Schedules: the learning rate as a function of time.

A schedule is a function of time, which counts from 0: in steps where it is an optimizer's `learning_rate`, in
epochs (or in steps, as you say) where the callback `LearningRateScheduler` carries it out.
"""

from __future__ import annotations

import math
from typing import Any

from layernet.holder import ParameterContainer
from layernet.parameters import Owner
from layernet.representation import Configurable, require_method
from layernet.validation import require_number


class Schedule(Configurable):
    """A learning rate as a function of time: call it with the time, an integer of at least 0.

    A subclass defines `__call__(time)`, and stores what it needs in the constructor.
    """

    _owner = Owner()

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not abstract:
            require_method(cls, Schedule, ["__call__"], "returns the learning rate at a time")

    def __call__(self, time: int) -> float:
        """The learning rate at a time.

        Parameters
        ----------
        time : int
            Steps or epochs done before, at least 0.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """A copy of all that changes over time beside the time itself: nothing, for most."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that `state()` returned."""
        if state:
            raise ValueError(f"{self!r} has no state, got {sorted(state)}. Load a state of the same schedule.")

    def reset(self) -> None:
        """Forget all that `state()` holds, as if the schedule were new."""
        if self.state():
            self.__init__(**self.configuration())

    def begin_training(self, network: ParameterContainer, is_new: bool) -> None:
        """Keep the state for the network that it belongs to, and start anew for another; `fit` calls this.

        Parameters
        ----------
        network : Layer
            Built.
        is_new : bool
            Whether the training begins with an optimizer that has done no step, so that a state of which nobody
            knows whose it is (a copy's, for instance) is of another training.
        """
        if not self._owner.is_network(network) and (self._owner.is_known or is_new):
            self.reset()
        self._owner = Owner(network)


class ConstantSchedule(Schedule):
    """The same learning rate for ever.

    Parameters
    ----------
    learning_rate : float
    """

    def __init__(self, learning_rate: float):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)

    def __call__(self, time):
        return self.learning_rate


class StepSchedule(Schedule):
    """A learning rate that drops by a factor at regular times: a(t) = a factor**floor(t / every).

    Parameters
    ----------
    learning_rate : float
        a, the one at time 0.
    every : int
        Time between drops.
    factor : float, default=0.1

    Examples
    --------
    >>> schedule = StepSchedule(1.0, every=10, factor=0.5)
    >>> [schedule(time) for time in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, learning_rate: float, every: int, factor: float = 0.1):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.every = require_number(self, "every", every, above=0)
        self.factor = require_number(self, "factor", factor, at_least=0)

    def __call__(self, time):
        return self.learning_rate * self.factor ** (time // self.every)


class ExponentialSchedule(Schedule):
    """A learning rate that shrinks by the same factor all the time: a(t) = a factor**t.

    Parameters
    ----------
    learning_rate : float
    factor : float
        Just below 1.
    """

    def __init__(self, learning_rate: float, factor: float):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.factor = require_number(self, "factor", factor, at_least=0)

    def __call__(self, time):
        return self.learning_rate * self.factor**time


class InverseScalingSchedule(Schedule):
    """A learning rate that shrinks ever more slowly: a(t) = a / (t + 1)**power.

    Parameters
    ----------
    learning_rate : float
    power : float, default=0.5
        scikit-learn's `power_t`.

    Examples
    --------
    >>> InverseScalingSchedule(1.0)(3)
    0.5
    """

    def __init__(self, learning_rate: float, power: float = 0.5):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.power = require_number(self, "power", power)

    def __call__(self, time):
        return self.learning_rate / (time + 1) ** self.power


class CosineSchedule(Schedule):
    """A learning rate that warms up on a line and then falls on half a cosine.

    a(t) = a (t + 1) / warm_up for t < warm_up; then, with p = (t - warm_up) / (duration - warm_up), at most 1,
    a(t) = final + (a - final) (1 + cos(pi p)) / 2.

    Parameters
    ----------
    learning_rate : float
        a, the highest.
    duration : int
        Time until it reaches its end; it stays there.
    warm_up : int, default=0
        Time until the highest, less than the duration.
    final : float, default=0.0
        The one at the end.

    Examples
    --------
    >>> schedule = CosineSchedule(1.0, duration=12, warm_up=2)
    >>> [round(schedule(time), 3) for time in (0, 1, 2, 7, 12, 99)]
    [0.5, 1.0, 1.0, 0.5, 0.0, 0.0]

    References
    ----------
    Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts. Warm-up: Goyal et al.
    (2017).
    """

    def __init__(self, learning_rate: float, duration: int, warm_up: int = 0, final: float = 0.0):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.duration = require_number(self, "duration", duration, above=0)
        self.warm_up = require_number(self, "warm_up", warm_up, at_least=0, below=self.duration)
        self.final = require_number(self, "final", final, at_least=0)

    def __call__(self, time):
        if time < self.warm_up:
            return self.learning_rate * (time + 1) / self.warm_up
        progress = (time - self.warm_up) / (self.duration - self.warm_up)
        return half_cosine(self.learning_rate, self.final, progress)


class OneCycleSchedule(Schedule):
    """A learning rate that rises to a peak and falls far below where it began, each on half a cosine.

    From highest / start_factor to highest in the first part of the duration, and from there to highest /
    (start_factor * final_factor).

    Parameters
    ----------
    highest : float
    duration : int
        Time of the whole cycle; it stays at its end after that.
    rising : float, default=0.3
        The part of the duration that the rise takes, between 0 and 1.
    start_factor : float, default=25.0
    final_factor : float, default=10000.0

    Examples
    --------
    >>> schedule = OneCycleSchedule(1.0, duration=10)
    >>> [round(schedule(time), 3) for time in (0, 3, 10)]
    [0.04, 1.0, 0.0]

    References
    ----------
    Smith and Topin (2019), Super-convergence. With two half cosines as in PyTorch's OneCycleLR.
    """

    def __init__(
        self,
        highest: float,
        duration: int,
        rising: float = 0.3,
        start_factor: float = 25.0,
        final_factor: float = 1e4,
    ):
        self.highest = require_number(self, "highest", highest, at_least=0)
        self.duration = require_number(self, "duration", duration, above=0)
        self.rising = require_number(self, "rising", rising, above=0, below=1)
        self.start_factor = require_number(self, "start_factor", start_factor, above=0)
        self.final_factor = require_number(self, "final_factor", final_factor, above=0)

    def __call__(self, time):
        start = self.highest / self.start_factor
        peak = self.rising * self.duration
        if time < peak:
            return half_cosine(start, self.highest, time / peak)
        return half_cosine(self.highest, start / self.final_factor, (time - peak) / (self.duration - peak))


class ReduceOnPlateau(Schedule):
    """A learning rate that drops whenever a value has stopped becoming better.

    It needs to be told the value, by `observe`, once an epoch. As an optimizer's own learning rate it is told
    the training loss after every epoch of `fit`; the callback `LearningRateScheduler` tells it another column.
    In a loop by hand you tell it.

    Parameters
    ----------
    learning_rate : float
    factor : float, default=0.5
        What the learning rate is multiplied by, less than 1.
    patience : int, default=5
        So many observations in a row without a new best before it drops.
    threshold : float, default=1e-4
        A value is a new best if it is less than best - threshold * |best|, or, where larger values are better,
        greater than best + threshold * |best|.
    lowest : float, default=0.0
        It never drops below.
    larger_is_better : bool, default=None
        Whether the value should rise. None leaves it to the callback `LearningRateScheduler`, which goes by the
        column that it monitors; a value told to `observe` by hand should fall then.

    Examples
    --------
    >>> schedule = ReduceOnPlateau(1.0, patience=2)
    >>> for value in (5.0, 6.0, 6.0):
    ...     schedule.observe(value)
    >>> schedule(3)
    0.5
    """

    def __init__(
        self,
        learning_rate: float,
        factor: float = 0.5,
        patience: int = 5,
        threshold: float = 1e-4,
        lowest: float = 0.0,
        larger_is_better: bool | None = None,
    ):
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.factor = require_number(self, "factor", factor, above=0, below=1)
        self.patience = require_number(self, "patience", patience, above=0)
        self.threshold = require_number(self, "threshold", threshold, at_least=0)
        self.lowest = require_number(self, "lowest", lowest, at_least=0)
        self.larger_is_better = larger_is_better
        self._best = math.inf
        self._waited = 0
        self._drops = 0

    def __call__(self, time):
        return max(self.learning_rate * self.factor**self._drops, self.lowest)

    def observe(self, value: float) -> None:
        """Take note of a value, and drop the learning rate if there has been no new best for long.

        Parameters
        ----------
        value : float
            NaN is never a new best.
        """
        if self.larger_is_better:
            value = -value
        margin = self.threshold * abs(self._best) if math.isfinite(self._best) else 0.0
        if value < self._best - margin:  # never where the value is NaN
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._drops, self._waited = self._drops + 1, 0

    def state(self):
        return {"best": self._best, "waited": self._waited, "drops": self._drops}

    def load_state(self, state):
        if set(state) != set(self.state()):
            raise ValueError(f"{self!r} has the state {sorted(self.state())}, got {sorted(state)}.")
        self._best, self._waited, self._drops = state["best"], state["waited"], state["drops"]


def observing_schedule(learning_rate: Any) -> Any:
    """An optimizer's own learning rate if it observes the loss, as `ReduceOnPlateau` does; None otherwise.

    Parameters
    ----------
    learning_rate : float or callable

    Returns
    -------
    Schedule or None

    Raises
    ------
    ValueError
        If it wants to observe a value that should rise.
    """
    if not hasattr(learning_rate, "observe"):
        return None
    if getattr(learning_rate, "larger_is_better", False):
        raise ValueError(
            f"{learning_rate!r} as an optimizer's own learning rate observes the training loss, which should "
            "fall. Leave out larger_is_better, or use LearningRateScheduler(schedule, monitor=...)."
        )
    return learning_rate


def half_cosine(start: float, end: float, progress: float) -> float:
    """From start to end on half a cosine; progress beyond 1 stays at the end."""
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
