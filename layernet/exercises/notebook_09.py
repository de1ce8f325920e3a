"""Checks of the exercises in notebook 9: an activation, a layer with two parameters, and an attention layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet import Layer
from layernet.exercises.grading import Grader, NotAnsweredError, require_all_laws
from layernet.exercises.registry import exercise


@exercise("9.1", "the backward pass of the Snake")
def snake_backward(answer: Any, grader: Grader) -> None:
    """Check the backward pass of the Snake."""
    random = np.random.default_rng(81)
    cases = {
        "at 0, 1 and 2 with a = 1": (np.array([[0.0, 1.0, 2.0]]), np.ones((1, 3)), 1.0),
        "with a = 5": (np.array([[-1.0, 0.3, 0.7]]), np.ones((1, 3)), 5.0),
        "for a batch, and grad_output other than 1": (*random.standard_normal((2, 4, 4)), 0.4),
        "for rows that are images": (*random.standard_normal((2, 3, 2, 5)), 2.0),
        "with another a": (*random.standard_normal((2, 6, 3)), random.uniform(0.5, 3)),
    }
    for when, (inputs, grad_output, a) in cases.items():
        given = inputs.copy(), grad_output.copy()
        grader.require_close(when, answer(*given, a), grad_output * (1 + np.sin(2 * a * inputs)))
        unchanged = np.array_equal(given[0], inputs) and np.array_equal(given[1], grad_output)
        if not unchanged:
            grader.require("the arguments stay as they are", False, "your function writes to one of them")
            return


@exercise("9.2", "a layer of radial basis functions")
def radial_basis(answer: Any, grader: Grader) -> None:
    """Check a layer of radial basis functions."""
    random = np.random.default_rng(82)
    if not is_layer(answer(3), grader):
        return
    # In the last case all axes are of one length: a sum over the wrong one fits the shapes there.
    for case, (n, features, units) in {
        "one sample": (1, 2, 3),
        "a batch": (5, 2, 3),
        "4 samples, features and units": (4, 4, 4),
    }.items():
        layer = answer(units).build(features, random_state=0)
        layer.centers = random.standard_normal((units, features))
        layer.sharpness = random.uniform(0.2, 0.8, units)
        inputs, grad_output = random.standard_normal((n, features)), random.standard_normal((n, units))
        expected = radial_gradients(layer, inputs, grad_output)
        # As if another batch had come before: a gradient that is added up, not written, shows.
        layer.grad_centers, layer.grad_sharpness = np.ones((units, features)), np.ones(units)
        grad_inputs = run_backward(layer, inputs, grad_output, grader)
        got = {"grad_inputs": grad_inputs, **{f"grad_{n}": g.copy() for n, g in layer.gradients.items()}}
        for name, right in expected.items():
            grader.require_close(f"{name} for {case}", got[name], right)
    require_all_laws(answer(3), 2, grader)


def radial_gradients(layer: Layer, inputs: np.ndarray, grad_output: np.ndarray) -> dict[str, np.ndarray]:
    """Return the three gradients, one sample and one unit at a time."""
    grad_inputs = np.zeros_like(inputs)
    grad_centers, grad_sharpness = np.zeros_like(layer.centers), np.zeros_like(layer.sharpness)
    for n, x in enumerate(inputs):
        for u, (center, sharpness) in enumerate(zip(layer.centers, layer.sharpness, strict=True)):
            away = x - center
            slope = grad_output[n, u] * np.exp(-sharpness * (away @ away))
            grad_sharpness[u] -= slope * (away @ away)
            grad_centers[u] += slope * 2 * sharpness * away
            grad_inputs[n] -= slope * 2 * sharpness * away
    return {"grad_inputs": grad_inputs, "grad_centers": grad_centers, "grad_sharpness": grad_sharpness}


@exercise("9.3", "a layer that attends to the rows of an image")
def attention_pooling(answer: Any, grader: Grader) -> None:
    """Check a layer that attends to the rows of an image."""
    random = np.random.default_rng(83)
    if not is_layer(answer(), grader):
        return

    def built(n_tokens: int, width: int, query: np.ndarray) -> Layer:
        layer = answer().build((n_tokens, width), random_state=0)
        layer.query = query
        return layer

    tokens, query = random.standard_normal((5, 4, 3)), np.array([1.5, -1.0, 0.5])
    grader.require_close(
        "the mean of the tokens where the query is zero",
        built(4, 3, np.zeros(3)).forward_pass(tokens.copy()),
        tokens.mean(axis=1),
    )
    grader.require_close(
        "the outputs for a batch", built(4, 3, query).forward_pass(tokens.copy()), pooled(tokens, query)
    )
    square = random.standard_normal((4, 4, 4))
    query_4 = random.standard_normal(4)
    grader.require_close(
        "the outputs for 4 samples of 4 tokens of 4 numbers",
        built(4, 4, query_4).forward_pass(square.copy()),
        pooled(square, query_4),
    )
    grader.require_close(
        "the outputs for scores of ten thousand",
        built(4, 3, query).forward_pass(2e4 * tokens),
        pooled(2e4 * tokens, query),
    )
    for case, inputs, given in (("a batch", tokens, query), ("4 samples, tokens and numbers", square, query_4)):
        layer = built(inputs.shape[1], inputs.shape[2], given)
        grad_output = random.standard_normal((len(inputs), inputs.shape[2]))
        layer.grad_query = np.ones(len(given))
        grad_inputs = run_backward(layer, inputs, grad_output, grader)
        expected = central_differences(inputs, given, grad_output)
        grader.require_close(f"grad_inputs for {case}", grad_inputs, expected[0], tolerance=1e-6)
        grader.require_close(f"grad_query for {case}", layer.grad_query, expected[1], tolerance=1e-6)
    layer, far = built(4, 3, query), 2e4 * tokens
    grad_output = random.standard_normal((5, 3))
    grad_inputs = run_backward(layer, far, grad_output, grader)
    # One token of each sample has all the weight: its gradient is that of the outputs, and no score counts.
    grad_tokens = np.zeros_like(far)
    grad_tokens[np.arange(5), (far @ query).argmax(axis=1)] = grad_output
    grader.require_close("grad_inputs for scores of ten thousand", grad_inputs, grad_tokens)
    largest = np.abs(layer.grad_query).max()
    grader.require(
        "grad_query for scores of ten thousand", largest < 1e-6, f"yours has {largest:.3g}, 0 is right"
    )
    require_all_laws(answer(), (4, 3), grader)


def pooled(tokens: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the outputs of the attention, one sample at a time."""
    outputs = []
    for sample in tokens:
        scores = sample @ query / len(query) ** 0.5
        weights = np.exp(scores - scores.max())
        outputs.append(weights @ sample / weights.sum())
    return np.array(outputs)


def central_differences(
    tokens: np.ndarray, query: np.ndarray, grad_output: np.ndarray, step: float = 1e-5
) -> list[np.ndarray]:
    """Return the gradients of tokens and query by central differences."""
    gradients = []
    for moved in (0, 1):
        arrays = [tokens.copy(), query.copy()]
        gradient = np.zeros_like(arrays[moved])
        for index in np.ndindex(gradient.shape):
            before = arrays[moved][index]
            arrays[moved][index] = before + step
            ahead = pooled(*arrays)
            arrays[moved][index] = before - step
            behind = pooled(*arrays)
            arrays[moved][index] = before
            gradient[index] = np.sum(grad_output * (ahead - behind)) / (2 * step)
        gradients.append(gradient)
    return gradients


def is_layer(made: Any, grader: Grader) -> bool:
    """Require that the answer is a class of layers."""
    if made is None or made is ...:
        raise NotAnsweredError
    how = f"calling it made {type(made).__name__}; pass the class itself, derived from Layer"
    return isinstance(made, Layer) or grader.require("it is a class of layers", False, how)


def run_backward(layer: Layer, inputs: np.ndarray, grad_output: np.ndarray, grader: Grader) -> np.ndarray:
    """Return what the backward pass returns, and require that it leaves its arguments as they are."""
    given = inputs.copy(), grad_output.copy()
    grad_inputs: np.ndarray = layer.backward_pass(*given)
    if not (np.array_equal(given[0], inputs) and np.array_equal(given[1], grad_output)):
        grader.require("the arguments stay as they are", False, "your backward pass writes to one of them")
    return grad_inputs
