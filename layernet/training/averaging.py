"""A running average of the parameters, which often predicts better than where the last step led."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.layers.normalization import LAST_BATCHES


class WeightAverage:
    """An exponential moving average of a network's parameters over the steps of training.

    After every step, average = average + s (1 - d) (parameters - average), with d = min(decay, t / (t + 9))
    after t steps, so that the first steps are soon forgotten. A step counts in t and in the average by its
    share s: the rows of its batch, divided by those of the largest of the last 20 batches (or by the training's
    batch size, if that is larger). Training goes on from the parameters themselves; the network is validated,
    and left, with the average.

    Parameters
    ----------
    decay : float
        At least 0 and less than 1; about 1 / (1 - decay) steps count.

    References
    ----------
    Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging. The warm-up of the decay
    as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay must be at least 0 and less than 1, got {decay!r}.")
        self.decay = decay
        self.steps = 0.0
        self._last_rows: list[int] = []
        self.average: np.ndarray | None = None
        # Those that training goes on from, while the network has the average.
        self.parameters: np.ndarray | None = None

    def take_over(self, earlier: WeightAverage) -> None:
        """Go on from another one, which is left as it is."""
        self.steps, self.parameters = earlier.steps, earlier.parameters
        self._last_rows = list(earlier._last_rows)
        self.average = earlier.average.copy()

    def begin(self, network: Layer) -> None:
        """Start, or go on from the parameters that the training before ended with."""
        self._take_out_of_place(network)
        if self.average is None:
            self.average = network.parameter_vector.copy()

    def add(self, parameters: np.ndarray, n_rows: int = 1, full_rows: int = 1) -> None:
        """Take in the parameters after a step.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
        n_rows : int, default=1
            Of the step's batch.
        full_rows : int, default=1
            The training's batch size.
        """
        self._last_rows = [*self._last_rows[1 - LAST_BATCHES :], n_rows]
        share = n_rows / max(full_rows, *self._last_rows)
        self.steps += share
        move = share * (1 - min(self.decay, self.steps / (self.steps + 9)))
        self.average += parameters.dtype.type(move) * (parameters - self.average)

    @contextmanager
    def in_place(self, network: Layer) -> Iterator[None]:
        """Within this context the network has the averaged parameters."""
        try:
            self.end(network)
            yield
        finally:
            self._take_out_of_place(network)

    def end(self, network: Layer) -> None:
        """Leave the network with the average, and remember where training was."""
        with uninterrupted:
            if self.parameters is None:  # or else an interruption has left the network with the average
                self.parameters = network.parameter_vector.copy()
            network.parameter_vector[:] = self.average

    def _take_out_of_place(self, network):
        with uninterrupted:
            if self.parameters is not None:
                network.parameter_vector[:] = self.parameters
                self.parameters = None
