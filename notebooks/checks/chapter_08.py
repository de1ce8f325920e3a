"""The checks of notebook 8: an activation, a layer with two parameters, and a layer that attends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from checks import NotAnswered, Test, exercise
from layernet import Layer, check_layer


@exercise("8.1", "the backward pass of the Snake")
def snake_backward(answer: Callable, test: Test) -> None:
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
        test.close(when, answer(*given, a), grad_output * (1 + np.sin(2 * a * inputs)))
        unchanged = np.array_equal(given[0], inputs) and np.array_equal(given[1], grad_output)
        if not unchanged:
            test.that("the arguments stay as they are", False, "your function writes to one of them")
            return


@exercise("8.2", "a layer of radial basis functions")
def radial_basis(answer: Callable, test: Test) -> None:
    random = np.random.default_rng(82)
    if not is_layer(answer(3), test):
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
        grad_inputs = way_back(layer, inputs, grad_output, test)
        got = {"grad_inputs": grad_inputs, **{f"grad_{n}": g.copy() for n, g in layer.gradients.items()}}
        for name, right in expected.items():
            test.close(f"{name} for {case}", got[name], right)
    keeps_the_laws(answer(3), 2, test)


def radial_gradients(layer: Layer, inputs: np.ndarray, grad_output: np.ndarray) -> dict[str, np.ndarray]:
    """The three gradients, a sample and a unit at a time."""
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


@exercise("8.3", "a layer that attends to the rows of an image")
def attention_pooling(answer: Callable, test: Test) -> None:
    random = np.random.default_rng(83)
    if not is_layer(answer(), test):
        return

    def built(n_tokens, width, query):
        layer = answer().build((n_tokens, width), random_state=0)
        layer.query = query
        return layer

    tokens, query = random.standard_normal((5, 4, 3)), np.array([1.5, -1.0, 0.5])
    test.close(
        "the mean of the tokens where the query is zero",
        built(4, 3, np.zeros(3)).forward_pass(tokens.copy()),
        tokens.mean(axis=1),
    )
    test.close("the outputs for a batch", built(4, 3, query).forward_pass(tokens.copy()), pooled(tokens, query))
    square = random.standard_normal((4, 4, 4))
    query_4 = random.standard_normal(4)
    test.close(
        "the outputs for 4 samples of 4 tokens of 4 numbers",
        built(4, 4, query_4).forward_pass(square.copy()),
        pooled(square, query_4),
    )
    test.close(
        "the outputs for scores of ten thousand",
        built(4, 3, query).forward_pass(2e4 * tokens),
        pooled(2e4 * tokens, query),
    )
    for case, inputs, given in (("a batch", tokens, query), ("4 samples, tokens and numbers", square, query_4)):
        layer = built(*inputs.shape[1:], given)
        grad_output = random.standard_normal((len(inputs), inputs.shape[2]))
        layer.grad_query = np.ones(len(given))
        grad_inputs = way_back(layer, inputs, grad_output, test)
        expected = differences(inputs, given, grad_output)
        test.close(f"grad_inputs for {case}", grad_inputs, expected[0], tolerance=1e-6)
        test.close(f"grad_query for {case}", layer.grad_query, expected[1], tolerance=1e-6)
    layer, far = built(4, 3, query), 2e4 * tokens
    grad_output = random.standard_normal((5, 3))
    grad_inputs = way_back(layer, far, grad_output, test)
    # One token of each sample has all the weight: its gradient is that of the outputs, and no score counts.
    expected = np.zeros_like(far)
    expected[np.arange(5), (far @ query).argmax(axis=1)] = grad_output
    test.close("grad_inputs for scores of ten thousand", grad_inputs, expected)
    largest = np.abs(layer.grad_query).max()
    test.that("grad_query for scores of ten thousand", largest < 1e-6, f"yours has {largest:.3g}, 0 is right")
    keeps_the_laws(answer(), (4, 3), test)


def pooled(tokens: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The outputs of the attention, a sample at a time."""
    outputs = []
    for sample in tokens:
        scores = sample @ query / len(query) ** 0.5
        weights = np.exp(scores - scores.max())
        outputs.append(weights @ sample / weights.sum())
    return np.array(outputs)


def differences(tokens, query, grad_output, step=1e-5) -> list[np.ndarray]:
    """What central differences say of both gradients."""
    gradients = []
    for moved in (0, 1):
        arrays = [tokens.copy(), query.copy()]
        gradient = np.zeros_like(arrays[moved])
        for place in np.ndindex(gradient.shape):
            before = arrays[moved][place]
            arrays[moved][place] = before + step
            ahead = pooled(*arrays)
            arrays[moved][place] = before - step
            behind = pooled(*arrays)
            arrays[moved][place] = before
            gradient[place] = np.sum(grad_output * (ahead - behind)) / (2 * step)
        gradients.append(gradient)
    return gradients


def is_layer(made: Any, test: Test) -> bool:
    """Whether a class was handed over that makes layers."""
    if made is None or made is ...:
        raise NotAnswered
    how = f"calling it made {type(made).__name__}; hand over the class itself, derived from Layer"
    return isinstance(made, Layer) or test.that("it is a class of layers", False, how)


def way_back(layer: Layer, inputs: np.ndarray, grad_output: np.ndarray, test: Test) -> np.ndarray:
    """What the backward pass returns; a line in the verdict if it writes to its arguments."""
    given = inputs.copy(), grad_output.copy()
    grad_inputs = layer.backward_pass(*given)
    if not (np.array_equal(given[0], inputs) and np.array_equal(given[1], grad_output)):
        test.that("the arguments stay as they are", False, "your backward pass writes to one of them")
    return grad_inputs


def keeps_the_laws(layer: Layer, input_shape: int | tuple[int, ...], test: Test) -> None:
    """Try `check_layer`, and name the first law that is broken."""
    try:
        check_layer(layer, input_shape)
    except AssertionError as report:
        broken = [line.strip() for line in str(report).splitlines() if "BROKEN" in line]
        test.that("check_layer finds all laws kept", False, broken[0].removeprefix("BROKEN "))
    else:
        test.that("check_layer finds all laws kept", True, "")
