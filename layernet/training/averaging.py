"""A running average of the parameters, which often predicts better than where the last step led."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from layernet.layer import Layer


class WeightAverage:
    """An exponential moving average of a network's parameters over the steps of training.

    After every step, average = d average + (1 - d) parameters, with d = min(decay, t / (t + 9)) in step
    t = 1, 2, ..., so that the first steps are soon forgotten. Training goes on from the parameters
    themselves; the network is validated, and left, with the average.

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
        self.steps = 0
        self.average: np.ndarray | None = None
        self.parameters: np.ndarray | None = None

    def take_over(self, earlier: WeightAverage) -> None:
        """Go on from another one, which is left as it is."""
        self.steps, self.parameters = earlier.steps, earlier.parameters
        self.average = earlier.average.copy()

    def begin(self, network: Layer) -> None:
        """Start, or go on from the parameters that the training before ended with."""
        if self.parameters is not None:
            network.parameter_vector[:] = self.parameters
        if self.average is None:
            self.average = network.parameter_vector.copy()

    def add(self, parameters: np.ndarray) -> None:
        """Take in the parameters after a step."""
        self.steps += 1
        share = 1 - min(self.decay, self.steps / (self.steps + 9))
        self.average += parameters.dtype.type(share) * (parameters - self.average)

    @contextmanager
    def in_place(self, network: Layer) -> Iterator[None]:
        """Within this context the network has the averaged parameters."""
        vector = network.parameter_vector
        parameters = vector.copy()
        vector[:] = self.average
        try:
            yield
        finally:
            vector[:] = parameters

    def end(self, network: Layer) -> None:
        """Leave the network with the average, and remember where training was."""
        self.parameters = network.parameter_vector.copy()
        network.parameter_vector[:] = self.average
