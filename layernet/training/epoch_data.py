"""Data from a function that is called for each epoch: augmented, resampled or generated rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class EpochData:
    """Data of each epoch, from a function of the user.

    Parameters
    ----------
    function : callable
        Takes (epoch, random): the number of the epoch, from 1, and a random generator. Returns (X, y) or
        (X, y, sample_weight).
    random : numpy.random.Generator
        The second argument of the function, the same object in all epochs.

    Examples
    --------
    >>> data = EpochData(lambda epoch, random: ([[1.0 * epoch]], [2.0]), np.random.default_rng(0))
    >>> data(3)
    ([[3.0]], [2.0], None)
    """

    def __init__(
        self, function: Callable[[int, np.random.Generator], tuple[Any, ...]], random: np.random.Generator
    ):
        self.function = function
        self.random = random

    def __call__(self, epoch: int) -> tuple[Any, Any, Any]:
        """Return the data of an epoch.

        Parameters
        ----------
        epoch : int
            Counting from 1.

        Returns
        -------
        X, y
        sample_weight : array-like or None

        Raises
        ------
        TypeError
            If the function does not return a tuple of two or three items.
        """
        found = self.function(epoch, self.random)
        if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
            size = f" of {len(found)}" if isinstance(found, (tuple, list)) else ""
            raise TypeError(
                f"X is a function, so it must return the data of epoch {epoch} as a tuple (X, y) or "
                f"(X, y, sample_weight), got {type(found).__name__}{size}."
            )
        X, y, *weights = found
        return X, y, weights[0] if weights else None

    def renew(self, data: Any, epoch: int) -> None:
        """Replace training data by those of an epoch. A note on an error names the epoch.

        Parameters
        ----------
        data : TrainingData
        epoch : int
            Counting from 1.
        """
        try:
            data.replace(*self(epoch))
        except (TypeError, ValueError) as error:
            error.add_note(f"These are the data that the function X returned for epoch {epoch}.")
            raise


def function_of_epochs(X: Any, y: Any, sample_weight: Any, random: np.random.Generator) -> EpochData | None:
    """`EpochData` of the function that `fit` got as `X`, or None if `X` is no function.

    Raises
    ------
    ValueError
        If `X` is a function, and y or sample_weight are given too.
    """
    if not callable(X) or hasattr(X, "__array__"):
        return None
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"X is a function that returns the data of an epoch, so {name} must be None: let the function "
                "return (X, y) or (X, y, sample_weight)."
            )
    # A generator of its own, so that the order of the rows does not depend on what the function draws.
    return EpochData(X, random.spawn(1)[0])
