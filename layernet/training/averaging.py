"""Running average of the parameters, which often predicts better than the parameters of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.layers.normalization import LAST_BATCHES


class WeightAverage:
    """Exponential moving average of a network's parameters over the steps of training.

    After every step t += s and average += s (1 - d) (parameters - average), with d = min(decay, t / (t + 9)),
    so that the first steps are soon forgotten. The share s of a step is the number of rows of its batch,
    divided by the largest of the last 20 batches (or by the batch size, if that is larger). Training continues
    from the parameters themselves. The network has the average during validation and after training.

    Parameters
    ----------
    decay : float
        At least 0 and less than 1. The average is over about 1 / (1 - decay) steps.

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
        # Parameters from which training continues, while the network has the average.
        self.parameters: np.ndarray | None = None

    def take_over(self, earlier: WeightAverage) -> None:
        """Continue the average of an earlier training, which is unchanged."""
        self.steps, self.parameters = earlier.steps, earlier.parameters
        self._last_rows = list(earlier._last_rows)
        self.average = None if earlier.average is None else earlier.average.copy()

    def begin(self, network: Layer) -> None:
        """Start an average, or continue from the last parameters of the earlier training."""
        self._restore_parameters(network)
        if self.average is None:
            self.average = network.parameter_vector.copy()

    def add(self, parameters: np.ndarray, n_rows: int = 1, full_rows: int = 1) -> None:
        """Add the parameters after a step to the average.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
        n_rows : int, default=1
            Rows of the step's batch.
        full_rows : int, default=1
            The batch size of the training.
        """
        self._last_rows = [*self._last_rows[1 - LAST_BATCHES :], n_rows]
        share = n_rows / max(full_rows, *self._last_rows)
        self.steps += share
        move = share * (1 - min(self.decay, self.steps / (self.steps + 9)))
        self.average += parameters.dtype.type(move) * (parameters - self.average)

    @contextmanager
    def in_place(self, network: Layer) -> Iterator[None]:
        """Context in which the network has the averaged parameters."""
        try:
            self.end(network)
            yield
        finally:
            self._restore_parameters(network)

    def end(self, network: Layer) -> None:
        """Give the network the average, and keep the parameters from which training continues."""
        with uninterrupted:
            if self.parameters is None:  # not None if an interruption left the network with the average
                self.parameters = network.parameter_vector.copy()
            network.parameter_vector[:] = self.average

    def _restore_parameters(self, network: Layer) -> None:
        with uninterrupted:
            if self.parameters is not None:
                network.parameter_vector[:] = self.parameters
                self.parameters = None
