"""Layers that add noise in training mode only: Dropout, GaussianNoise.

The noise is a function of (seed, step, row, unit) and not of the order of calls: a repeated pass has the same
noise, until `end_step` increments the step. Training may number the rows itself, so that the noise of a sample
does not depend on its position in the batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.sampling import LARGEST_SEED
from layernet.validation import require_number


class NoiseLayer(Layer, abstract=True):
    """Base class of layers with noise: a seed that `build` draws, and a step that `end_step` increments."""

    uses_batch_info = True
    draws_noise = True

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        self.add_state("seed", int(self._random.integers(LARGEST_SEED)))
        self.add_state("step", 0)

    def end_step(self) -> None:
        self.step += 1


class Dropout(NoiseLayer):
    """Dropout: set random units to 0 in training mode, so that no unit can rely on another.

    Training mode: outputs = inputs * mask / (1 - rate), with mask = 0 with probability rate, and 1 otherwise.
    The expected outputs are the inputs. grad_inputs = G * mask / (1 - rate), with G = grad_output.

    Inference mode: outputs = inputs, grad_inputs = G.

    Parameters
    ----------
    rate : float
        Probability that a unit is set to 0, at least 0 and less than 1.

    Attributes
    ----------
    seed, step : int
        State; together with the row and the unit, they determine the mask.

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

    def __init__(self, rate: float) -> None:
        self.rate = require_number(self, "rate", rate, at_least=0, below=1)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        if not self.training or self.rate == 0:
            return inputs.copy(), None
        keep = random_bits(self.seed, self.step, inputs.shape, self.batch_rows) >= np.uint32(self.rate * 2**32)
        mask = keep * inputs.dtype.type(1 / (1 - self.rate))
        return inputs * mask, mask

    def backward_from(self, mask: np.ndarray | None, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.copy() if mask is None else grad_output * mask


class GaussianNoise(NoiseLayer):
    """Add normal noise of mean 0 in training mode, a form of regularization.

    outputs = inputs + noise in training mode, outputs = inputs in inference mode; grad_inputs = grad_output in
    both.

    Parameters
    ----------
    standard_deviation : float
        In units of the inputs; at least 0.

    Attributes
    ----------
    seed, step : int
        State; together with the row and the unit, they determine the noise.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization. Normal numbers from uniform
    ones: Box and Muller (1958).
    """

    def __init__(self, standard_deviation: float) -> None:
        self.standard_deviation = require_number(self, "standard_deviation", standard_deviation, at_least=0)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        if not self.training or self.standard_deviation == 0:
            return inputs.copy()
        # 0.5 is added because the logarithm of 0 is infinite.
        first = (random_bits(self.seed, 2 * self.step, inputs.shape, self.batch_rows) + 0.5) / 2**32
        second = (random_bits(self.seed, 2 * self.step + 1, inputs.shape, self.batch_rows) + 0.5) / 2**32
        normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * math.pi * second)
        return inputs + self.standard_deviation * normal.astype(inputs.dtype)

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.copy()


def random_bits(seed: int, step: int, shape: tuple[int, ...], rows: np.ndarray | None = None) -> np.ndarray:
    """Return 32 random bits for each unit of each row, as a function of the arguments alone.

    bits(seed, step, row, unit) = mix(mix(key + row * odd_1) + unit * odd_2), where key = mix(mix(seed) + step)
    and mix is an invertible scrambling of 32 bits.

    Parameters
    ----------
    seed, step : int
        Only their lowest 32 bits are used.
    shape : tuple of int
        The first axis counts rows.
    rows : ndarray of shape (shape[0],), uint32, default=None
        Number of each row; None for 0, 1, 2, ... Rows with equal numbers get equal bits.

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
    """Hash 32 bits by an invertible function; each bit of the result depends on every bit of the input.

    Shifts and odd multipliers found by an automatic search for the least bias (Wellons, 2018, hash function
    prospector, "lowbias32").
    """
    bits = bits ^ (bits >> np.uint32(16))
    bits *= np.uint32(0x7FEB352D)
    bits ^= bits >> np.uint32(15)
    bits *= np.uint32(0x846CA68B)
    bits ^= bits >> np.uint32(16)
    return bits
