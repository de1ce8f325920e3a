"""Order of the rows in each epoch."""

from __future__ import annotations

import numpy as np


class RowShuffler:
    """Order of the rows in each epoch: a permutation of the order in the epoch before.

    Parameters
    ----------
    random : numpy.random.RandomState
        Rows are drawn as scikit-learn draws them.

    Examples
    --------
    >>> shuffler = RowShuffler(np.random.RandomState(0))
    >>> shuffler(4), shuffler(4)
    (array([2, 3, 1, 0]), array([2, 1, 3, 0]))
    """

    def __init__(self, random: np.random.RandomState):
        self.random = random
        self.rows: np.ndarray | None = None

    def __call__(self, n_samples: int) -> np.ndarray:
        order = np.arange(n_samples)
        self.random.shuffle(order)
        self.rows = order if self.rows is None else self.rows[order]
        return self.rows
