"""Initializers, functions that draw initial values of parameters: GlorotUniform, HeNormal, Orthogonal, ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.registry import find_by_name
from layernet.representation import Configurable, require_method
from layernet.validation import require_number

# Type of a function that draws initial values for a shape, from a random generator.
InitialValues = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


class Initializer(Configurable):
    """Function of a shape and a random generator that returns initial values; base class of initializers.

    Any callable with the same two arguments can be used in its place.
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
            Source of random numbers.

        Returns
        -------
        ndarray of shape `shape`, float64
        """
        raise NotImplementedError


class Zeros(Initializer):
    """Zeros, for biases. With weights of zero, all units of a layer would stay equal.

    Examples
    --------
    >>> import numpy as np
    >>> Zeros()((2,), np.random.default_rng(0))
    array([0., 0.])
    """

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return np.zeros(shape)


class Ones(Initializer):
    """Ones, for the scales of normalizations."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return np.ones(shape)


class Constant(Initializer):
    """Constant value for all entries.

    Parameters
    ----------
    value : float
    """

    def __init__(self, value: float) -> None:
        self.value = require_number(self, "value", value)

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return np.full(shape, float(self.value))


class Normal(Initializer):
    """Normal distribution with mean 0 and a given standard deviation, for all shapes.

    Parameters
    ----------
    standard_deviation : float, default=1.0
        At least 0.
    """

    def __init__(self, standard_deviation: float = 1.0) -> None:
        self.standard_deviation = require_number(self, "standard_deviation", standard_deviation, at_least=0)

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return _normal(shape, random, self.standard_deviation**2)


class Uniform(Initializer):
    """Uniform distribution between ±bound, for all shapes.

    Parameters
    ----------
    bound : float
        At least 0.
    """

    def __init__(self, bound: float) -> None:
        self.bound = require_number(self, "bound", bound, at_least=0)

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return random.uniform(-self.bound, self.bound, shape)


class GlorotUniform(Initializer):
    """Uniform distribution between ±sqrt(6 / (fan_in + fan_out)), of variance 2 / (fan_in + fan_out).

    fan_in is the number of inputs of a unit, and fan_out the number of units that read an input. With this
    variance, outputs keep their scale from layer to layer in the forward pass, and gradients in the backward
    pass, if the activation is linear around zero (Glorot and Bengio, 2010).
    """

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        return _uniform(shape, random, 2 / (fan_in + fan_out))


class GlorotNormal(Initializer):
    """Normal distribution of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        return _normal(shape, random, 2 / (fan_in + fan_out))


class HeUniform(Initializer):
    """Uniform distribution of variance 2 / fan_in, as ReLU is 0 for half of its inputs (He et al., 2015)."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return _uniform(shape, random, 2 / fans(shape)[0])


class HeNormal(Initializer):
    """Normal distribution of variance 2 / fan_in, as ReLU is 0 for half of its inputs (He et al., 2015)."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return _normal(shape, random, 2 / fans(shape)[0])


class LeCunUniform(Initializer):
    """Uniform distribution of variance 1 / fan_in (LeCun et al., 1998)."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return _uniform(shape, random, 1 / fans(shape)[0])


class LeCunNormal(Initializer):
    """Normal distribution of variance 1 / fan_in (LeCun et al., 1998); for SELU (Klambauer et al., 2017)."""

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return _normal(shape, random, 1 / fans(shape)[0])


class Orthogonal(Initializer):
    """Random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., 2014).

    Parameters
    ----------
    gain : float, default=1.0
        Factor of the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> weights = Orthogonal()((3, 2), np.random.default_rng(0))
    >>> np.allclose(weights.T @ weights, np.eye(2))
    True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = require_number(self, "gain", gain)

    def __call__(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = random.standard_normal((max(rows, columns), min(rows, columns)))
        orthonormal, triangle = np.linalg.qr(normal)
        # QR alone prefers some rotations; these signs make all equally likely (Mezzadri, 2007).
        orthonormal *= np.where(np.diag(triangle) < 0, -1.0, 1.0)
        matrix = orthonormal if rows >= columns else orthonormal.T
        return self.gain * matrix.reshape(shape)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of inputs of each output, and the number of outputs of each input.

    Parameters
    ----------
    shape : tuple of int
        The last axis counts outputs: `(inputs, units)`.

    Returns
    -------
    fan_in, fan_out : int
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    return math.prod(shape[:-1]), shape[-1]


def as_initializer(value: Any, argument: str) -> InitialValues:
    """Return an initializer from its name, or the callable itself."""
    if callable(value) and not isinstance(value, type):
        return value
    return find_by_name(Initializer, value, argument)


def _uniform(shape: tuple[int, ...], random: np.random.Generator, variance: float) -> np.ndarray:
    limit = math.sqrt(3 * variance)
    return random.uniform(-limit, limit, shape)


def _normal(shape: tuple[int, ...], random: np.random.Generator, variance: float) -> np.ndarray:
    return random.normal(0.0, math.sqrt(variance), shape)
