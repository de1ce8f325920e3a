"""Initial values of parameters: how large random weights must be for signals to keep their size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layernet.registry import find_by_name
from layernet.representation import Configurable, require_method


class Initializer(Configurable):
    """A function of a shape and a random generator that returns initial values.

    Any callable with the same two arguments does as well.
    """

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not abstract:
            require_method(cls, Initializer, ["__call__"], "draws initial values")

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        """Draw initial values.

        Parameters
        ----------
        shape : tuple of int
            `(inputs, units)` for the weights of a dense layer.
        random : numpy.random.Generator
            Where random numbers come from.

        Returns
        -------
        ndarray of shape `shape`, float64
        """
        raise NotImplementedError


class Zeros(Initializer):
    """Zeros: right for a bias, wrong for weights (all units of a layer would stay alike).

    Examples
    --------
    >>> import numpy as np
    >>> Zeros()((2,), np.random.default_rng(0))
    array([0., 0.])
    """

    def __call__(self, shape, random):
        return np.zeros(shape)


class Ones(Initializer):
    """Ones: the scale of a normalisation that starts by changing nothing."""

    def __call__(self, shape, random):
        return np.ones(shape)


class Constant(Initializer):
    """One value everywhere.

    Parameters
    ----------
    value : float
    """

    def __init__(self, value: float):
        self.value = value

    def __call__(self, shape, random):
        return np.full(shape, float(self.value))


class GlorotUniform(Initializer):
    """Uniform between ±sqrt(6 / (fan_in + fan_out)).

    The variance 2 / (fan_in + fan_out) keeps the size of signals on the way forward, and of gradients on the
    way back, for activations that are linear around zero (Glorot and Bengio, 2010).
    """

    def __call__(self, shape, random):
        fan_in, fan_out = fans(shape)
        return _uniform(shape, random, 2 / (fan_in + fan_out))


class GlorotNormal(Initializer):
    """Normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    def __call__(self, shape, random):
        fan_in, fan_out = fans(shape)
        return _normal(shape, random, 2 / (fan_in + fan_out))


class HeUniform(Initializer):
    """Uniform of variance 2 / fan_in: for ReLU, which silences half of its inputs (He et al., 2015)."""

    def __call__(self, shape, random):
        return _uniform(shape, random, 2 / fans(shape)[0])


class HeNormal(Initializer):
    """Normal of variance 2 / fan_in: for ReLU, which silences half of its inputs (He et al., 2015)."""

    def __call__(self, shape, random):
        return _normal(shape, random, 2 / fans(shape)[0])


class LeCunUniform(Initializer):
    """Uniform of variance 1 / fan_in (LeCun et al., 1998)."""

    def __call__(self, shape, random):
        return _uniform(shape, random, 1 / fans(shape)[0])


class LeCunNormal(Initializer):
    """Normal of variance 1 / fan_in (LeCun et al., 1998); what SELU asks for (Klambauer et al., 2017)."""

    def __call__(self, shape, random):
        return _normal(shape, random, 1 / fans(shape)[0])


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., 2014).

    Parameters
    ----------
    gain : float, default=1.0
        Factor on the whole matrix.

    Examples
    --------
    >>> import numpy as np
    >>> weights = Orthogonal()((3, 2), np.random.default_rng(0))
    >>> np.allclose(weights.T @ weights, np.eye(2))
    True
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape, random):
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = random.standard_normal((max(rows, columns), min(rows, columns)))
        orthonormal, triangle = np.linalg.qr(normal)
        # QR alone favours some rotations; the signs of the diagonal make all equally likely (Mezzadri, 2007).
        orthonormal *= np.where(np.diag(triangle) < 0, -1.0, 1.0)
        matrix = orthonormal if rows >= columns else orthonormal.T
        return self.gain * matrix.reshape(shape)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input has.

    Parameters
    ----------
    shape : tuple of int
        Outputs come last: `(inputs, units)`.

    Returns
    -------
    fan_in, fan_out : int
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    return math.prod(shape[:-1]), shape[-1]


def as_initializer(value, argument: str):
    """An initialiser from its name, or the callable itself."""
    if callable(value) and not isinstance(value, type):
        return value
    return find_by_name(Initializer, value, argument)


def _uniform(shape, random, variance):
    limit = math.sqrt(3 * variance)
    return random.uniform(-limit, limit, shape)


def _normal(shape, random, variance):
    return random.normal(0.0, math.sqrt(variance), shape)
