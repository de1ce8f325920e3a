"""Checks of the exercises in notebook 1, and the faulty network of exercise 1.3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet import Dense, Layer, Sequential, Softplus, check_gradients
from layernet.exercises.grading import Grader, NotAnsweredError, peak_memory, require_all_laws
from layernet.exercises.registry import exercise


class Gate(Layer):
    """Multiply each input by its own sigmoid: y = x s(x), where s(x) = 1 / (1 + exp(-x))."""

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs / (1 + np.exp(-inputs))

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        s = 1 / (1 + np.exp(-inputs))
        return grad_output * (s + inputs * s * (1 - s))


class Center(Layer):
    """Subtract from each row its mean over the features: y_i = x_i - (x_1 + ... + x_d) / d."""

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs - inputs.mean(axis=1, keepdims=True)

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output - grad_output.mean(axis=1, keepdims=True)


class UnitLength(Layer):
    """Divide each row by its length: y_i = x_i / r, where r = sqrt(1e-6 + x_1**2 + ... + x_d**2).

    The 1e-6 prevents a division by zero for a row of zeros.
    """

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        return inputs / np.sqrt(1e-6 + (inputs**2).sum(axis=1, keepdims=True))

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        return grad_output / np.sqrt(1e-6 + (inputs**2).sum(axis=1, keepdims=True))


def suspects() -> Sequential:
    """Return a network for inputs of 4 features, in which one layer has a wrong backward pass."""
    layers = [Dense(6), Gate(), Dense(6), Center(), Dense(5), UnitLength(), Dense(4), Softplus(), Dense(3)]
    return Sequential(layers).build(4, random_state=0)


@exercise("1.1", "the backward pass of the softsign")
def softsign(answer: Any, grader: Grader) -> None:
    """Check the backward pass of the softsign."""
    x = np.array([[-2.0, 0.0, 3.0]])
    grader.require_close(
        "at the inputs -2, 0 and 3, with a grad_output of ones",
        answer(x, np.ones((1, 3))),
        [[1 / 9, 1, 1 / 16]],
    )
    random = np.random.default_rng(1)
    h = 1e-5
    for case, shape in {"five rows": (5, 4), "a single row": (1, 7), "a square batch": (6, 6)}.items():
        inputs, grad_output = random.standard_normal((2, *shape))
        ahead, behind = ((inputs + step) / (1 + np.abs(inputs + step)) for step in (h, -h))
        differences = grad_output * (ahead - behind) / (2 * h)
        given = inputs.copy(), grad_output.copy()
        grader.require_close(f"{case}, against finite differences", answer(*given), differences, 1e-7)
        grader.require(
            "the inputs are left as they were", np.array_equal(given[0], inputs), "they were changed"
        )
        kept = np.array_equal(given[1], grad_output)
        grader.require("grad_output is left as it was", kept, "it was changed")


@exercise("1.2", "the parametric rectifier")
def parametric_relu(answer: Any, grader: Grader) -> None:
    """Check the parametric rectifier."""
    if not grader.require(
        "it is a class of layers", is_layer_class(answer), "pass the class, without parentheses"
    ):
        return
    inputs = np.array([[-1.0, 2.0, -3.0], [4.0, -5.0, -6.0]])
    layer = build_layer(answer, 3)
    if not grader.require(
        "it has the parameter slope", "slope" in layer.parameters, f"it has {list(layer.parameters)}"
    ):
        return
    grader.require_close("slope begins with a zero for each feature", layer.slope, np.zeros(3))
    if layer.slope.shape != (3,):
        return
    layer.slope = np.array([0.5, 2.0, -1.0])
    grader.require_close(
        "outputs for slopes 0.5, 2 and -1", layer.forward_pass(inputs), [[-0.5, 2, 3], [4, -10, 6]]
    )
    grad_output = np.array([[1.0, 10.0, 100.0], [1.0, 10.0, 1000.0]])
    grad_inputs = layer.backward_pass(inputs, grad_output)
    grader.require_close("the gradient of the inputs", grad_inputs, [[0.5, 10, -100], [1, 20, -1000]])
    grader.require_close("the gradient of slope, for two rows", layer.grad_slope, [-1, -50, -6300])
    require_all_laws(answer(), 3, grader)


@exercise("1.3", "the corrected layer")
def corrected(answer: Any, grader: Grader) -> None:
    """Check the corrected layer."""
    if not grader.require(
        "it is a class of layers", is_layer_class(answer), "pass the class, without parentheses"
    ):
        return
    random = np.random.default_rng(2)
    inputs, grad_output = random.standard_normal((2, 6, 6))
    outputs = build_layer(answer, 6).forward_pass(inputs)
    if outputs is None:
        raise NotAnsweredError
    for index, suspect in enumerate(suspects().layers):
        if isinstance(suspect, Gate | Center | Softplus) and np.allclose(outputs, suspect.forward_pass(inputs)):
            grader.require(
                "it does what the faulty layer does", False, f"this is layer {index}, whose gradient is right"
            )
            return
    if not grader.require_close(
        "it does what the faulty layer does", outputs, UnitLength().forward_pass(inputs)
    ):
        return
    # Three rows so short that the 1e-6 changes their outputs, and a row of zeros.
    short = np.concatenate([1e-3 * random.standard_normal((3, 6)), np.zeros((1, 6))])
    expected = UnitLength().forward_pass(short)
    if not grader.require_close(
        "also to short rows and a row of zeros", build_layer(answer, 6).forward_pass(short), expected
    ):
        return
    grader.require_close(
        "the row (3, 4) with the grad_output (1, 0)",
        build_layer(answer, 2).backward_pass(np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])),
        [[0.128, -0.096]],
        1e-5,
    )
    verdict = check_gradients(build_layer(answer, 6), inputs, grad_output)
    grader.require("six rows, against finite differences", verdict, str(verdict.worst))
    zeros = build_layer(answer, 6).backward_pass(np.zeros((1, 6)), grad_output[:1])
    grader.require_close("a row of zeros, whose r is 0.001", zeros, 1000 * grad_output[:1])
    require_all_laws(answer(), 6, grader)
    wide = random.standard_normal((2, 1500))
    layer = build_layer(answer, 1500)
    relative_memory = peak_memory(layer.backward_pass, wide, wide) / wide.nbytes
    explanation = f"it took {relative_memory:.0f} times the memory of the inputs"
    grader.require("it forms no matrix of derivatives, for 1,500 features", relative_memory < 50, explanation)


def is_layer_class(answer: object) -> bool:
    """Return whether an answer is a class of layers, rather than a layer or something else."""
    return isinstance(answer, type) and issubclass(answer, Layer)


def build_layer(answer: Callable[..., Any], n_features: int) -> Layer:
    """Return a new layer of an answer's class, built for a number of features.

    Raises
    ------
    NotAnsweredError
        If its forward pass returns nothing yet.
    """
    layer = answer()
    if layer.forward_pass(np.ones((1, n_features))) is None:
        raise NotAnsweredError
    return layer
