"""Layers that add noise in training only: Dropout, GaussianNoise.

The noise is a function of (seed, step, row in the batch, unit) and not of the order of calls: a pass that is
computed again sees the same noise, until `end_step` moves on to the next. Training may number the samples
itself, so that a sample has its noise wherever in the batch it stands.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.layer import Layer
from layernet.sampling import LARGEST_SEED
from layernet.validation import require_number


class NoiseLayer(Layer, abstract=True):
    """What layers with noise share: a seed drawn at `build`, and a step that `end_step` counts."""

    uses_batch_info = True
    draws_noise = True

    def create_parameters(self, input_shape):
        self.add_state("seed", int(self._random.integers(LARGEST_SEED)))
        self.add_state("step", 0)

    def end_step(self):
        self.step += 1


class Dropout(NoiseLayer):
    """Silence units at random in training, so that none can rely on another.

    outputs = inputs * mask / (1 - rate) in training, with mask = 0 with probability rate and 1 otherwise, so
    that the expected outputs are the inputs; outputs = inputs in inference. grad_inputs = G * mask /
    (1 - rate).

    Parameters
    ----------
    rate : float
        The probability that a unit is silenced, at least 0 and less than 1.

    Attributes
    ----------
    seed, step : int
        State: the mask of a step depends on both, and on the row and the unit.

    Examples
    --------
    >>> dropout = Dropout(0.5).build(6, random_state=0)
    >>> dropout.forward_pass([[1.0] * 6])
    array([[1., 1., 1., 1., 1., 1.]])
    >>> with dropout.training_mode():
    ...     dropout.forward_pass([[1.0] * 6])
    array([[2., 2., 2., 0., 0., 2.]])

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), Dropout: a simple way to prevent
    neural networks from overfitting.
    """

    def __init__(self, rate: float):
        self.rate = require_number(self, "rate", rate, at_least=0, below=1)

    def record(self, inputs):
        if not self.training or self.rate == 0:
            return inputs.copy(), None
        keep = random_bits(self.seed, self.step, inputs.shape, self.batch_rows) >= np.uint32(self.rate * 2**32)
        mask = keep * inputs.dtype.type(1 / (1 - self.rate))
        return inputs * mask, mask

    def backward_from(self, mask, grad_output):
        return grad_output.copy() if mask is None else grad_output * mask


class GaussianNoise(NoiseLayer):
    """Add normal noise in training, so that the network learns to shrug it off.

    outputs = inputs + e with e normal of mean 0 in training; outputs =
    inputs in inference. grad_inputs = G in both.

    Parameters
    ----------
    standard_deviation : float
        In units of the inputs; at least 0.

    Attributes
    ----------
    seed, step : int
        State: the noise of a step depends on both, and on the row and the unit.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization. Normal numbers from uniform
    ones: Box and Muller (1958).
    """

    def __init__(self, standard_deviation: float):
        self.standard_deviation = require_number(self, "standard_deviation", standard_deviation, at_least=0)

    def forward_pass(self, inputs):
        if not self.training or self.standard_deviation == 0:
            return inputs.copy()
        # Halves keep both away from 0, where the logarithm is infinite.
        first = (random_bits(self.seed, 2 * self.step, inputs.shape, self.batch_rows) + 0.5) / 2**32
        second = (random_bits(self.seed, 2 * self.step + 1, inputs.shape, self.batch_rows) + 0.5) / 2**32
        normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * math.pi * second)
        return inputs + self.standard_deviation * normal.astype(inputs.dtype)

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


def random_bits(seed: int, step: int, shape: tuple[int, ...], rows: np.ndarray | None = None) -> np.ndarray:
    """32 random bits for each unit of each row, the same whenever and wherever they are computed.

    bits(seed, step, row, unit) = mix(mix(key + row * odd_1) + unit * odd_2), where key = mix(mix(seed) + step)
    and mix is an invertible scrambling of 32 bits.

    Parameters
    ----------
    seed, step : int
        Their lowest 32 bits count.
    shape : tuple of int
        Rows first.
    rows : ndarray of shape (shape[0],), uint32, default=None
        The number of each row; None counts them from 0. Rows of one number get the same bits.

    Returns
    -------
    ndarray of shape `shape`, uint32
    """
    units = math.prod(shape[1:])
    key = mix(mix(np.array([seed % 2**32], np.uint32)) + np.uint32(step % 2**32))
    if rows is None:
        rows = np.arange(shape[0], dtype=np.uint32)
    rows = mix(key + rows * np.uint32(0x9E3779B9))
    columns = np.arange(units, dtype=np.uint32) * np.uint32(0x85EBCA6B)
    return mix(rows[:, None] + columns).reshape(shape)


def mix(bits: np.ndarray) -> np.ndarray:
    """Scramble 32 bits so that each bit of the result depends on every bit given, without loss.

    Shifts and odd multipliers found by an automatic search for the least bias (Wellons, 2018, hash function
    prospector, "lowbias32").
    """
    bits = bits ^ (bits >> np.uint32(16))
    bits *= np.uint32(0x7FEB352D)
    bits ^= bits >> np.uint32(15)
    bits *= np.uint32(0x846CA68B)
    bits ^= bits >> np.uint32(16)
    return bits
