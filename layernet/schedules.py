"""Schedules: the learning rate as a function of time.

Time counts from 0. An optimizer calls the schedule that is its `learning_rate` with the number of steps done.
The callback `LearningRateScheduler` calls a schedule with the number of epochs, or of steps.
"""

from __future__ import annotations

import math
from typing import Any

from layernet.owner import Owner
from layernet.parameters import ParameterContainer
from layernet.representation import Configurable, require_method
from layernet.validation import require_bool, require_integer, require_number

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "ExponentialSchedule",
    "InverseScalingSchedule",
    "LogCosineSchedule",
    "OneCycleSchedule",
    "ReduceOnPlateau",
    "Schedule",
    "StepSchedule",
]


class Schedule(Configurable):
    """Learning rate as a function of time; base class of schedules.

    A subclass defines `__call__(time)`, with the time an integer of at least 0.
    """

    _owner = Owner()

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not abstract:
            require_method(cls, Schedule, ["__call__"], "returns the learning rate at a time")

    def __call__(self, time: int) -> float:
        """Return the learning rate at a time.

        Parameters
        ----------
        time : int
            Number of steps or epochs done, at least 0.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return a copy of the schedule's state; empty where the rate depends on the time alone."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state that `state()` returned."""
        if state:
            raise ValueError(f"{self!r} has no state, got {sorted(state)}. Load a state of the same schedule.")

    def reset(self) -> None:
        """Return to the state of a new schedule."""
        if self.state():
            type(self).__init__(self, **self.configuration())

    def begin_training(self, network: ParameterContainer, is_new: bool) -> None:
        """Reset the schedule unless its state belongs to this network; `fit` calls this.

        Parameters
        ----------
        network : Layer
            Built.
        is_new : bool
            Whether the optimizer has done no step. A state without a known owner (of a copy, for instance) is
            then one of another training, and is reset too.
        """
        if not self._owner.is_network(network) and (self._owner.is_known or is_new):
            self.reset()
        self._owner = Owner(network)


class ConstantSchedule(Schedule):
    """A constant learning rate.

    Parameters
    ----------
    learning_rate : float
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)

    def __call__(self, time: int) -> float:
        return self.learning_rate


class StepSchedule(Schedule):
    """Step decay: a(t) = a factor**floor(t / every).

    Parameters
    ----------
    learning_rate : float
        a, the learning rate at time 0.
    every : int
        Time between two drops.
    factor : float, default=0.1

    Examples
    --------
    >>> schedule = StepSchedule(1.0, every=10, factor=0.5)
    >>> [schedule(time) for time in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, learning_rate: float, every: int, factor: float = 0.1) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.every = require_number(self, "every", every, above=0)
        self.factor = require_number(self, "factor", factor, at_least=0)

    def __call__(self, time: int) -> float:
        return self.learning_rate * self.factor ** (time // self.every)


class ExponentialSchedule(Schedule):
    """Exponential decay: a(t) = a factor**t.

    Parameters
    ----------
    learning_rate : float
    factor : float
        Just below 1.
    """

    def __init__(self, learning_rate: float, factor: float) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.factor = require_number(self, "factor", factor, at_least=0)

    def __call__(self, time: int) -> float:
        return self.learning_rate * self.factor**time


class InverseScalingSchedule(Schedule):
    """Inverse scaling: a(t) = a / (t + 1)**power.

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

    def __init__(self, learning_rate: float, power: float = 0.5) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.power = require_number(self, "power", power)

    def __call__(self, time: int) -> float:
        return self.learning_rate / (time + 1) ** self.power


class CosineSchedule(Schedule):
    """A linear warm-up, followed by a decay along half a cosine.

    a(t) = a (t + 1) / warm_up for t < warm_up; then, with p = (t - warm_up) / (duration - warm_up), at most 1,
    a(t) = b + (a - b) (1 + cos(pi p)) / 2.

    Parameters
    ----------
    learning_rate : float
        a, the maximum.
    duration : int
        Time of the whole schedule; the learning rate stays at b after that.
    warm_up : int, default=0
        Time until the maximum, less than the duration.
    final_learning_rate : float, default=0.0
        b, the learning rate at the end.

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

    def __init__(
        self, learning_rate: float, duration: int, warm_up: int = 0, final_learning_rate: float = 0.0
    ) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.duration = require_number(self, "duration", duration, above=0)
        self.warm_up = require_number(self, "warm_up", warm_up, at_least=0, below=self.duration)
        self.final_learning_rate = require_number(self, "final_learning_rate", final_learning_rate, at_least=0)

    def __call__(self, time: int) -> float:
        if time < self.warm_up:
            return self.learning_rate * (time + 1) / self.warm_up
        progress = (time - self.warm_up) / (self.duration - self.warm_up)
        return half_cosine(self.learning_rate, self.final_learning_rate, progress)


class LogCosineSchedule(Schedule):
    """Cycles between 0 and the maximum, each twice as long as the one before.

    With p = t / duration, at most 1: a(t) = a (1 - cos(2 pi log2(1 + (2**cycles - 1) p))) / 2. Cycle k ends at
    p = (2**k - 1) / (2**cycles - 1) with a learning rate of 0, where a network can be kept: training finds
    out early what a short training comes to, and goes on from there with large rates.

    Parameters
    ----------
    learning_rate : float
        a, the maximum.
    duration : int
        Time of all cycles; the learning rate stays 0 after that.
    cycles : int, default=4

    Examples
    --------
    >>> schedule = LogCosineSchedule(1.0, duration=30, cycles=4)
    >>> [round(schedule(time), 3) for time in (0, 1, 2, 4, 6, 10, 14, 22, 30, 99)]
    [0.0, 0.93, 0.0, 0.93, 0.0, 0.93, 0.0, 0.93, 0.0, 0.0]

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data, with four cycles.
    """

    def __init__(self, learning_rate: float, duration: int, cycles: int = 4) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.duration = require_number(self, "duration", duration, above=0)
        self.cycles = require_integer(self, "cycles", cycles, at_least=1)

    def __call__(self, time: int) -> float:
        progress = min(time / self.duration, 1)
        phase = math.log2(1 + (2**self.cycles - 1) * progress)
        return self.learning_rate * (1 - math.cos(2 * math.pi * phase)) / 2


class OneCycleSchedule(Schedule):
    """A rise to the maximum and a fall far below the start, each along half a cosine.

    The rate starts at max / start_divisor and reaches max after warm_up_fraction * duration. It then falls to
    max / (start_divisor * final_divisor), where max is max_learning_rate.

    Parameters
    ----------
    max_learning_rate : float
    duration : int
        Time of the whole cycle; the learning rate stays at its final value after that.
    warm_up_fraction : float, default=0.3
        Fraction of the duration that the rise takes, greater than 0 and less than 1.
    start_divisor : float, default=25.0
    final_divisor : float, default=10000.0

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
        max_learning_rate: float,
        duration: int,
        warm_up_fraction: float = 0.3,
        start_divisor: float = 25.0,
        final_divisor: float = 1e4,
    ) -> None:
        self.max_learning_rate = require_number(self, "max_learning_rate", max_learning_rate, at_least=0)
        self.duration = require_number(self, "duration", duration, above=0)
        self.warm_up_fraction = require_number(self, "warm_up_fraction", warm_up_fraction, above=0, below=1)
        self.start_divisor = require_number(self, "start_divisor", start_divisor, above=0)
        self.final_divisor = require_number(self, "final_divisor", final_divisor, above=0)

    def __call__(self, time: int) -> float:
        start = self.max_learning_rate / self.start_divisor
        peak = self.warm_up_fraction * self.duration
        if time < peak:
            return half_cosine(start, self.max_learning_rate, time / peak)
        return half_cosine(
            self.max_learning_rate, start / self.final_divisor, (time - peak) / (self.duration - peak)
        )


class ReduceOnPlateau(Schedule):
    """A learning rate that drops when a value has stopped improving.

    Call `observe` with the value once an epoch. `fit` does so with the training loss where the schedule is the
    optimizer's learning rate. The callback `LearningRateScheduler` does so with another column of the history.

    Parameters
    ----------
    learning_rate : float
    factor : float, default=0.5
        Factor of each drop, less than 1.
    patience : int, default=5
        Number of observations in a row without a new best before the learning rate drops.
    threshold : float, default=1e-4
        A value is a new best if it is less than best - threshold * |best|, or, where larger values are better,
        greater than best + threshold * |best|.
    min_learning_rate : float, default=0.0
        Lower bound of the learning rate.
    larger_is_better : bool, default=None
        Whether larger values are better. None: `LearningRateScheduler` decides by the column that it monitors;
        otherwise smaller values are better.

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
        min_learning_rate: float = 0.0,
        larger_is_better: bool | None = None,
    ) -> None:
        self.learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.factor = require_number(self, "factor", factor, above=0, below=1)
        self.patience = require_number(self, "patience", patience, above=0)
        self.threshold = require_number(self, "threshold", threshold, at_least=0)
        self.min_learning_rate = require_number(self, "min_learning_rate", min_learning_rate, at_least=0)
        self.larger_is_better = require_bool(self, "larger_is_better", larger_is_better, or_none=True)
        self._best = math.inf
        self._waited = 0
        self._drops = 0

    def __call__(self, time: int) -> float:
        return max(self.learning_rate * self.factor**self._drops, self.min_learning_rate)

    def observe(self, value: float) -> None:
        """Record a value; drop the learning rate after `patience` values without a new best.

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

    def state(self) -> dict[str, Any]:
        return {"best": self._best, "waited": self._waited, "drops": self._drops}

    def load_state(self, state: dict[str, Any]) -> None:
        if set(state) != set(self.state()):
            raise ValueError(f"{self!r} has the state {sorted(self.state())}, got {sorted(state)}.")
        self._best, self._waited, self._drops = state["best"], state["waited"], state["drops"]


def observing_schedule(learning_rate: Any) -> Any:
    """Return an optimizer's learning rate if it has a method `observe`, as `ReduceOnPlateau` has; else None.

    Parameters
    ----------
    learning_rate : float or callable

    Returns
    -------
    Schedule or None

    Raises
    ------
    ValueError
        If larger values are better for the schedule: the training loss should fall.
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
    """Return start at progress 0 and end from progress 1 on, with half a cosine between."""
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
