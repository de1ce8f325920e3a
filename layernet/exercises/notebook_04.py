"""Checks of the exercises in notebook 4: backward passes of layers, without a Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.exercises.grading import Grader, NotAnsweredError, as_numbers, peak_memory
from layernet.exercises.registry import exercise


@exercise("4.1", "the gradients of a layer whose samples have weights")
def weighted_gradients(answer: Any, grader: Grader) -> None:
    """Check the gradients of a layer whose samples have weights."""
    random = np.random.default_rng(41)
    inputs, grad_output = random.standard_normal((5, 4)), random.standard_normal((5, 3))
    names = ("grad_weights", "grad_bias")
    ones, weights = np.ones(5), np.array([0.5, 2.0, 1.0, 0.0, 3.0])

    got = arrays_returned(answer, (inputs, grad_output, ones), names, grader)
    if got is None:
        return
    grader.require_close("grad_weights where all samples weigh 1", got[0], inputs.T @ grad_output)
    grader.require_close("grad_bias where all samples weigh 1", got[1], grad_output.sum(axis=0))

    got = arrays_returned(answer, (inputs, grad_output, weights), names, grader)
    if got is None:
        return
    expected = sum_over_samples(inputs, grad_output, weights)
    grader.require_close("grad_weights where each sample has another weight", got[0], expected[0])
    grader.require_close("grad_bias where each sample has another weight", got[1], expected[1])

    # With as many samples as units, weights along the wrong axis raise no error, but give wrong numbers.
    square = random.standard_normal((5, 5))
    got = arrays_returned(answer, (inputs, square, weights), names, grader)
    if got is None:
        return
    expected = sum_over_samples(inputs, square, weights)
    grader.require_close("grad_weights for as many samples as units", got[0], expected[0])
    grader.require_close("grad_bias for as many samples as units", got[1], expected[1])

    once = arrays_returned(answer, (inputs[:2], grad_output[:2], np.array([2.0, 1.0])), names, grader)
    twice = arrays_returned(answer, (inputs[[0, 0, 1]], grad_output[[0, 0, 1]], np.ones(3)), names, grader)
    if once is None or twice is None:
        return
    grader.require_close("a sample of weight 2 counts as the same sample twice", once[0], twice[0])


def sum_over_samples(
    inputs: np.ndarray, grad_output: np.ndarray, sample_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of the weights and of the bias, summed sample by sample."""
    grad_weights = np.zeros((inputs.shape[1], grad_output.shape[1]))
    grad_bias = np.zeros(grad_output.shape[1])
    for row, gradient, weight in zip(inputs, grad_output, sample_weight, strict=True):
        grad_weights += weight * np.outer(row, gradient)
        grad_bias += weight * gradient
    return grad_weights, grad_bias


@exercise("4.2", "the backward pass of a layer of low rank")
def low_rank_backward(answer: Any, grader: Grader) -> None:
    """Check the backward pass of a layer of low rank."""
    random = np.random.default_rng(42)
    names = ("grad_inputs", "grad_U", "grad_V")
    # In the second case all sizes are equal, so a forgotten transpose raises no error, but gives wrong numbers.
    for case, (n, n_inputs, rank, units) in {"5 -> 2 -> 3": (4, 5, 2, 3), "3 -> 3 -> 3": (3, 3, 3, 3)}.items():
        inputs, U = random.standard_normal((n, n_inputs)), random.standard_normal((n_inputs, rank))
        V, grad_output = random.standard_normal((rank, units)), random.standard_normal((n, units))
        got = arrays_returned(answer, (inputs, U, V, grad_output), names, grader)
        if got is None:
            return
        # The outputs are linear in each of the three arrays.
        expected = (
            gradient_of_linear(lambda changed, U=U, V=V, G=grad_output: np.sum(G * (changed @ U @ V)), inputs),
            gradient_of_linear(lambda changed, X=inputs, V=V, G=grad_output: np.sum(G * (X @ changed @ V)), U),
            gradient_of_linear(lambda changed, X=inputs, U=U, G=grad_output: np.sum(G * (X @ U @ changed)), V),
        )
        for name, value, right in zip(names, got, expected, strict=True):
            grader.require_close(f"{name} of a layer {case}", value, right)

    wide = [random.standard_normal(shape) for shape in ((3, 500), (500, 2), (2, 600), (3, 600))]
    used = peak_memory(answer, *wide)
    grader.require(
        "no array of shape (inputs, units) is formed on the way",
        used < 8 * 500 * 600 / 3,
        f"a layer 500 -> 2 -> 600 took {used / 1e6:.1f} MB on the way; U @ V has 2.4 MB, and so has X.T @ G",
    )


@exercise("4.3", "the backward pass of centred rows of length 1")
def unit_rows_backward(answer: Any, grader: Grader) -> None:
    """Check the backward pass of centered rows of length 1."""
    random = np.random.default_rng(43)
    # In the last case, rows and columns are equally many, so a mean over the wrong axis raises no error.
    for case, shape in {"one row": (1, 4), "a batch": (5, 3), "as many rows as columns": (4, 4)}.items():
        inputs, grad_output = 3 * random.standard_normal(shape) + 2, random.standard_normal(shape)
        (got,) = arrays_returned(answer, (inputs, grad_output), ("grad_inputs",), grader) or (None,)
        if got is None:
            return
        grader.require_close(f"for {case}", got, gradients_by_jacobians(inputs, grad_output))
        numbers, problem = as_numbers(got)
        if case == "a batch" and not problem and numbers.shape == shape:
            adds_up_to_0 = np.abs(numbers.sum(axis=1)).max() <= 1e-9 * max(np.abs(numbers).max(), 1e-300)
            why = "adding a constant to a row changes no output, so the gradient must add up to 0"
            grader.require("every row of the gradient adds up to 0", adds_up_to_0, f"yours does not; {why}")

    wide = [random.standard_normal((5, 400)) for _ in range(2)]
    used = peak_memory(answer, *wide)
    grader.require(
        "no Jacobian is formed, not even of one row",
        used < 8 * 400 * 400 / 2,
        f"5 rows of 400 numbers took {used / 1e6:.1f} MB on the way; the Jacobian of one row has 1.3 MB",
    )


def gradients_by_jacobians(inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
    """Return the gradients of rows by the Jacobian of each row: exact, but slow."""
    gradients = []
    for row, gradient in zip(inputs, grad_output, strict=True):
        centering = np.eye(len(row)) - 1 / len(row)
        centered = centering @ row
        length = np.sqrt(centered @ centered)
        scaling = (np.eye(len(row)) - np.outer(centered, centered) / length**2) / length
        gradients.append(gradient @ scaling @ centering)
    return np.array(gradients)


def arrays_returned(
    answer: Callable[..., Any], arguments: tuple[np.ndarray, ...], names: tuple[str, ...], grader: Grader
) -> list[Any] | None:
    """Call an answer and return its arrays; None if it returns anything else or writes to its arguments."""
    given = [argument.copy() for argument in arguments]
    returned: Any = answer(*given)
    if returned is None or returned is ...:
        raise NotAnsweredError
    unchanged = all(np.array_equal(now, before) for now, before in zip(given, arguments, strict=True))
    if not unchanged:
        grader.require("the arguments stay as they are", False, "your function writes to one of them")
        return None
    arrays = [returned] if len(names) == 1 else list(returned) if isinstance(returned, tuple | list) else []
    if len(arrays) != len(names):
        grader.require(f"{len(names)} arrays are returned", False, f"return {', '.join(names)}")
        return None
    if any(array is None or array is ... for array in arrays):
        raise NotAnsweredError
    return arrays


def gradient_of_linear(function: Callable[..., Any], like: np.ndarray) -> np.ndarray:
    """Return the gradient of a linear function of an array: its value for a single 1 at each entry."""
    gradient = np.zeros_like(like)
    for index in np.ndindex(like.shape):
        unit = np.zeros_like(like)
        unit[index] = 1.0
        gradient[index] = function(unit)
    return gradient
