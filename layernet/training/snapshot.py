"""Snapshot of a network: a copy of its parameters and its state."""

from __future__ import annotations

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.layer import Layer


class Snapshot:
    """Copy of a network's parameters and state, which `restore` gives back to it."""

    def __init__(self, network: Layer):
        self.network = network
        self.parameters = np.empty_like(network.parameter_vector)
        self.take()

    def take(self) -> None:
        """Copy the current parameters and state; overwrites the earlier copy."""
        self.parameters[:] = self.network.parameter_vector
        self.state = self.network.state()

    def restore(self) -> None:
        """Give the network the parameters and the state of the snapshot."""
        with uninterrupted:
            self.network.parameter_vector[:] = self.parameters
            self.network.load_state(self.state)
