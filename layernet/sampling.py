"""Monte Carlo dropout: outputs of several forward passes with different noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from layernet.interrupts import uninterrupted
from layernet.user_warnings import warn_user
from layernet.validation import as_generator

if TYPE_CHECKING:
    from layernet.layer import Layer

# Seeds of noise are below this number.
LARGEST_SEED = 2**32
# Largest number of rows of a block, and of numbers of a block with more than one row.
ROWS_OF_A_PASS, NUMBERS_OF_A_PASS = 1024, 2**24


def sample_passes(network: Layer, inputs: Any, n: int, random_state: Any = None) -> np.ndarray:
    """Compute the outputs of a network n times with new noise in each pass (Monte Carlo dropout).

    The mean of the outputs is the prediction, their standard deviation measures its uncertainty. Layers with
    `draws_noise` (Dropout, GaussianNoise) draw noise as in training mode, for each pass and each row. All other
    layers, such as BatchNorm, are in inference mode.

    In `training_mode`, repeated passes use the same noise until `end_step`; this function draws new noise.

    Parameters
    ----------
    network : Layer
        Built for these inputs if it is not built. Its parameters, state and mode do not change.
    inputs : array-like of shape (n_samples, ...)
    n : int
        Number of passes, at least 1.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        Draws the noise; None draws other noise in each call.

    Returns
    -------
    ndarray of shape (n, n_samples, ...)
        Outputs of each pass, of the network's type.

    Raises
    ------
    ValueError
        If n is not a whole number of at least 1, or the network ends in a loss.

    Warns
    -----
    UserWarning
        If no layer draws noise, so that all passes are equal.

    Examples
    --------
    >>> from layernet import Dropout
    >>> net = Dropout(0.5).build(4)
    >>> net.sample_passes([[1.0, 1.0, 1.0, 1.0]], n=3, random_state=0)
    array([[[2., 2., 2., 0.]],
    <BLANKLINE>
           [[0., 0., 0., 2.]],
    <BLANKLINE>
           [[2., 0., 2., 2.]]])

    References
    ----------
    Gal and Ghahramani (2016), Dropout as a Bayesian approximation: representing model uncertainty in deep
    learning.
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"sample_passes: n must be a whole number of at least 1, got {n!r}.")
    random = as_generator(random_state)
    inputs = network.validate_inputs(inputs)
    n_samples = inputs.shape[0]
    n_rows = max(1, min(ROWS_OF_A_PASS, NUMBERS_OF_A_PASS // max(1, math.prod(inputs.shape[1:]))))
    noisy = [layer for layer in network.walk() if layer.draws_noise]
    if not noisy:
        warn_user(
            "sample_passes: no layer of this network draws noise, so all passes are equal and say nothing of "
            "its uncertainty. Train it with Dropout."
        )
    seeded = [layer for layer in noisy if "seed" in layer.state()]
    before = [(layer, layer.state()) for layer in noisy]
    passes: np.ndarray | None = None
    try:
        with network.inference_mode():
            for layer in noisy:
                layer.training = True
            for index in range(n):
                for layer in seeded:
                    layer.seed = int(random.integers(LARGEST_SEED))
                for start in range(0, max(1, n_samples), n_rows):
                    rows = slice(start, min(start + n_rows, n_samples))
                    for layer in noisy:
                        layer.batch_rows = np.arange(rows.start, rows.stop, dtype=np.uint32)
                    outputs = network.forward_pass(inputs[rows])
                    if np.ndim(outputs) == 0:
                        raise ValueError(
                            f"sample_passes: {network!r} ends in a loss, so its outputs are no rows. Take the "
                            "network without its loss."
                        )
                    if passes is None:
                        passes = np.empty((n, n_samples, *outputs.shape[1:]), outputs.dtype)
                    passes[index, rows] = outputs
    finally:
        with uninterrupted:
            for layer, state in before:
                layer.load_state(state)
    assert passes is not None  # there was at least one pass
    return passes
