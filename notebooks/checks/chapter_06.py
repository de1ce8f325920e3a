"""The checks of notebook 6: dead units, gradients on their way through sigmoids, and the size of weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from checks import NotAnswered, Test, exercise


@exercise("6.1", "the dead units of a layer")
def dead_units(answer: Callable, test: Test) -> None:
    some = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 3.0, 1.0, 0.0]])
    cases = {
        "two of four units": (some, [0, 3]),
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
            raise NotAnswered
        if np.ndim(got) != 1:
            test.that(
                name, False, f"yours has the shape {np.shape(got)}; the numbers of the units are asked for"
            )
            return
        if np.asarray(got).dtype == bool:
            test.that(
                name, False, "yours is true or false for each unit; the numbers of the units are asked for"
            )
            return
        test.close(name, got, expected)
    test.that("the outputs are left as they were", np.array_equal(given, outputs), "they were changed")


def one_of_many():
    """A unit that is positive for the last sample alone, one that never is, and one that always is."""
    outputs = np.zeros((1000, 3))
    outputs[-1, 0], outputs[:, 2] = 0.5, 1.0
    return outputs


@exercise("6.2", "the gradient norms of a chain of sigmoids")
def gradient_norms(answer: Callable, test: Test) -> None:
    random = np.random.default_rng(62)
    # In the second case all matrices are square: there shapes give no hint, and hide no forgotten transpose.
    for case, widths in {"4 -> 3 -> 5 -> 2": (4, 3, 5, 2), "3 -> 3 -> 3": (3, 3, 3), "6 -> 2": (6, 2)}.items():
        weights = [random.normal(size=shape) for shape in pairwise(widths)]
        inputs, grad_output = random.normal(size=(7, widths[0])), random.normal(size=(7, widths[-1]))
        given = [each.copy() for each in (*weights, inputs, grad_output)]
        got = answer(given[:-2], given[-2], given[-1])
        if not test.close(f"for a chain {case}", got, by_differences(weights, inputs, grad_output), 1e-6):
            return
        kept = all(np.array_equal(a, b) for a, b in zip(given, (*weights, inputs, grad_output), strict=True))
        test.that(f"the arguments of {case} are left as they were", kept, "they were changed")
    deep = [random.normal(scale=20**-0.5, size=(20, 20)) for _ in range(10)]
    inputs, grad_output = random.normal(size=(30, 20)), random.normal(size=(30, 20))
    got = answer(deep, inputs, grad_output)
    test.close("the last norm of a chain of ten", np.asarray(got)[-1], last_norm(deep, inputs, grad_output))
    falls = bool((np.diff(np.log(got)) > 1).all())
    test.that("ten layers: each norm is less than half of the next", falls, f"yours are {np.round(got, 8)}")


def outputs_of(weights, inputs):
    for matrix in weights:
        inputs = 1 / (1 + np.exp(-inputs @ matrix))
    return inputs


def by_differences(weights, inputs, grad_output, h=1e-5):
    """The norms by moving one weight at a time: exact to many digits, and far too slow."""
    norms = []
    for matrix in weights:
        gradient = np.zeros_like(matrix)
        for place in np.ndindex(matrix.shape):
            ends = []
            for step in (h, -h):
                value = matrix[place]
                matrix[place] = value + step
                ends.append(np.sum(grad_output * outputs_of(weights, inputs)))
                matrix[place] = value
            gradient[place] = (ends[0] - ends[1]) / (2 * h)
        norms.append(np.linalg.norm(gradient))
    return np.array(norms)


def last_norm(weights, inputs, grad_output):
    """The norm for the last matrix, of which the outputs are a function in one step."""
    before = outputs_of(weights[:-1], inputs)
    outputs = outputs_of(weights[-1:], before)
    return np.linalg.norm(before.T @ (grad_output * outputs * (1 - outputs)))


@exercise("6.3", "the variance that an activation needs")
def variance_factor(answer: Callable, test: Test) -> None:
    # E f(z)**2 for normal z, by a formula, or for tanh and the last by quadrature.
    cases = {
        "the identity: 1": (lambda z: 1.0 * z, 1.0),
        "the rectifier: 2": (lambda z: np.maximum(z, 0), 2.0),
        "a leaky rectifier with slope 0.2 below 0": (lambda z: np.where(z > 0, z, 0.2 * z), 2 / 1.04),
        "the absolute value: 1": (np.abs, 1.0),
        "a square, whose mean is not 0": (np.square, 1 / 3),
        "a cube, which grows fast": (lambda z: z**3, 1 / 15),
        "three times the rectifier": (lambda z: 3 * np.maximum(z, 0), 2 / 9),
        "tanh": (np.tanh, 1 / 0.3942945),
        "a cosine, whose mean is not 0": (np.cos, 2 / (1 + np.exp(-2.0))),
        "a rectifier that begins at 2": (lambda z: np.maximum(z - 2, 0), 1 / 0.005768727),
    }
    for name, (activation, expected) in cases.items():
        if not test.close(name, answer(activation), expected, tolerance=1e-3):
            return
