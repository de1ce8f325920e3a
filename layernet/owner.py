"""Reference to the network that a state belongs to: an optimizer's slots, a schedule's count."""

from __future__ import annotations

import weakref

from layernet.parameters import ParameterContainer, ParameterVector, segment_of


class Owner:
    """Reference to the network that a state belongs to; a copy or a pickle of it refers to no network.

    Parameters
    ----------
    network : ParameterContainer, default=None
        Built network; None for no network.
    """

    def __init__(self, network: ParameterContainer | None = None):
        self._vector: weakref.ref[ParameterVector] | None = None
        if network is not None:
            segment = segment_of(network)
            self._vector, self._bounds = weakref.ref(segment.vector), (segment.start, segment.stop)

    @property
    def is_known(self) -> bool:
        """Whether the reference has been set to a network."""
        return self._vector is not None

    def is_network(self, network: ParameterContainer) -> bool:
        """Return whether the reference is to this network."""
        segment = segment_of(network)
        return (
            self._vector is not None
            and self._vector() is segment.vector
            and self._bounds == (segment.start, segment.stop)
        )

    def __reduce__(self) -> tuple:
        return type(self), ()
