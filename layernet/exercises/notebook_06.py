"""Checks of the exercises in notebook 6: dead units, gradients through sigmoids, and the size of weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from layernet.exercises.grading import Grader, NotAnsweredError, as_numbers
from layernet.exercises.registry import exercise


@exercise("6.1", "the dead units of a layer")
def dead_units(answer: Any, grader: Grader) -> None:
    """Check the dead units of a layer."""
    some = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 3.0, 1.0, 0.0]])
    random = np.random.default_rng(61)
    drawn = np.maximum(random.standard_normal((9, 30)) - 1, 0)  # some units are dead, most are now and then 0
    cases = {
        "two of four units": (some, [0, 3]),
        "30 units drawn at random": (drawn, [j for j in range(30) if not any(drawn[:, j])]),
        "a unit that is 0 for the first sample only": (some[:, 1:3], []),
        "as many samples as units": (some[:, :3], [0]),
        "a unit that wakes for one sample of a thousand": (one_of_many(), [1]),
        "units that put out very little": (np.array([[1e-12, 0.0], [0.0, 0.0]]), [1]),
        "a single sample": (some[:1], [0, 2, 3]),
        "a layer that is all dead": (np.zeros((5, 3)), [0, 1, 2]),
    }
    for name, (outputs, expected) in cases.items():
        given = outputs.copy()
        got = answer(given)
        if got is None or got is ...:
            raise NotAnsweredError
        if np.ndim(got) != 1:
            grader.require(
                name, False, f"yours has the shape {np.shape(got)}; the numbers of the units are asked for"
            )
            return
        if np.asarray(got).dtype == bool:
            grader.require(
                name, False, "yours is true or false for each unit; the numbers of the units are asked for"
            )
            return
        grader.require_close(name, got, expected)
        if not np.array_equal(given, outputs):
            grader.require("the outputs are left as they were", False, "they were changed")
            return


def one_of_many() -> np.ndarray:
    """A unit that is positive for the last sample alone, one that never is, and one that always is."""
    outputs = np.zeros((1000, 3))
    outputs[-1, 0], outputs[:, 2] = 0.5, 1.0
    return outputs


@exercise("6.2", "the gradient norms of a chain of sigmoids")
def gradient_norms(answer: Any, grader: Grader) -> None:
    """Check the gradient norms of a chain of sigmoids."""
    random = np.random.default_rng(62)
    # In the second case all matrices are square: there shapes give no hint, and hide no forgotten transpose.
    for case, widths in {"4 -> 3 -> 5 -> 2": (4, 3, 5, 2), "3 -> 3 -> 3": (3, 3, 3), "6 -> 2": (6, 2)}.items():
        weights = [random.normal(size=shape) for shape in pairwise(widths)]
        inputs, grad_output = random.normal(size=(7, widths[0])), random.normal(size=(7, widths[-1]))
        given = [each.copy() for each in (*weights, inputs, grad_output)]
        got = answer(given[:-2], given[-2], given[-1])
        if not grader.require_close(f"for a chain {case}", got, by_complex_steps(weights, inputs, grad_output)):
            return
        kept = all(np.array_equal(a, b) for a, b in zip(given, (*weights, inputs, grad_output), strict=True))
        grader.require(f"the arguments of {case} are left as they were", kept, "they were changed")
    deep = [random.normal(scale=8**-0.5, size=(8, 8)) for _ in range(10)]
    inputs, grad_output = random.normal(size=(30, 8)), random.normal(size=(30, 8))
    got, problem = as_numbers(answer([each.copy() for each in deep], inputs.copy(), grad_output.copy()))
    expected = by_complex_steps(deep, inputs, grad_output)
    if problem or got.shape != (10,):
        grader.require(
            "for a chain of ten", False, problem or f"yours has the shape {got.shape}, (10,) is right"
        )
        return
    # As parts of the right ones, for the first norms are a tiny part of the last.
    grader.require_close("ten layers: each norm, divided by the right one", got / expected, np.ones(10), 1e-6)


def outputs_of(weights: list[np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a chain of sigmoid layers."""
    for matrix in weights:
        inputs = 1 / (1 + np.exp(-inputs @ matrix))
    return inputs


def by_complex_steps(
    weights: list[np.ndarray], inputs: np.ndarray, grad_output: np.ndarray, h: float = 1e-30
) -> np.ndarray:
    """Return the norms by the complex-step derivative: exact, and far too slow for training.

    L(w + ih) = L(w) + ih L'(w) - ..., so nothing is subtracted and no digits are lost.

    References
    ----------
    Squire and Trapp (1998), Using complex variables to estimate derivatives of real functions.
    """
    norms = []
    for place, matrix in enumerate(weights):
        gradient = np.zeros_like(matrix)
        for entry in np.ndindex(matrix.shape):
            moved = matrix.astype(complex)
            moved[entry] += 1j * h
            outputs = outputs_of([*weights[:place], moved, *weights[place + 1 :]], inputs)
            gradient[entry] = np.sum(grad_output * outputs.imag) / h
        norms.append(np.linalg.norm(gradient))
    return np.array(norms)


@exercise("6.3", "the variance that an activation needs")
def variance_factor(answer: Any, grader: Grader) -> None:
    """Check the variance that an activation needs."""
    cases: dict[str, Callable[..., Any]] = {
        "the identity: 1": lambda z: 1.0 * z,
        "the rectifier: 2": lambda z: np.maximum(z, 0),
        "a leaky rectifier with slope 0.2 below 0": lambda z: np.where(z > 0, z, 0.2 * z),
        "the absolute value: 1": np.abs,
        "a square, whose mean is not 0": np.square,
        "a cube, which grows fast": lambda z: z**3,
        "a fifth power": lambda z: z**5,
        "an eighth power": lambda z: z**8,
        "a twelfth power, most of whose second moment lies beyond 4": lambda z: z**12,
        "three times the rectifier": lambda z: 3 * np.maximum(z, 0),
        "a ten-thousandth of the rectifier": lambda z: 1e-4 * np.maximum(z, 0),
        "tanh": np.tanh,
        "a cosine, whose mean is not 0": np.cos,
        "a cosine that turns fast": lambda z: np.cos(30 * z),
        "a steep sigmoid about 1": lambda z: 1 / (1 + np.exp(-30 * (z - 1))),
        "a step from 0 to 1 near -1": lambda z: np.where(z > -1.005, 1.0, 0.0),
        "a rectifier that begins at 2": lambda z: np.maximum(z - 2, 0),
    }
    random = np.random.default_rng(63)
    for _ in range(6):
        begins, below, above = random.uniform(-2, 2.5), *random.uniform(-1.5, 1.5, 2)
        cases[f"{above:.2f} above {begins:.2f}, and {below:.2f} below, times the distance"] = bend(
            begins, below, above
        )
    for name, activation in cases.items():
        if not grader.require_close(name, answer(activation), 1 / second_moment(activation), tolerance=1e-3):
            return


def bend(begins: float, below: float, above: float) -> Callable[..., Any]:
    """Return a function of two straight lines that meet in zero at some place."""
    return lambda z: np.where(z > begins, above, below) * (z - begins)


def second_moment(activation: Callable[..., Any]) -> float:
    """E f(z)**2 for normal z, by a grid that is finer and longer than any of these functions needs."""
    z = np.linspace(-14, 14, 140_001)
    return float(np.sum(activation(z) ** 2 * np.exp(-(z**2) / 2)) * (z[1] - z[0]) / np.sqrt(2 * np.pi))
