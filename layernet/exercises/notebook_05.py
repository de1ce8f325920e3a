"""Checks of the exercises in notebook 5: a neuron's line, the folds of a network, and a range test."""

from __future__ import annotations

from typing import Any

import numpy as np

from layernet import SGD, CrossEntropy, Dense, Layer, MeanSquaredError, ReLU, Sequential, Tanh
from layernet.exercises.grading import Grader, NotAnsweredError
from layernet.exercises.registry import exercise


@exercise("5.1", "the distance of points from a neuron's line")
def distance(answer: Any, grader: Grader) -> None:
    """Check the distance of points from a neuron's line."""
    axis = answer(np.array([1.0, 0.0]), 0.0, np.array([[2.0, 5.0], [-3.0, 1.0]]))
    grader.require_close("for the line x1 = 0", axis, [2.0, -3.0])
    long = answer(np.array([3.0, 4.0]), 0.0, np.array([[3.0, 4.0], [4.0, -3.0], [-6.0, -8.0]]))
    grader.require_close("for weights of length 5, whatever their length", long, [5.0, 0.0, -10.0])
    shifted = answer(np.array([0.0, -2.0]), 6.0, np.array([[7.0, 3.0], [0.0, 0.0], [1.0, 4.0]]))
    grader.require_close("for a line that a bias has moved", shifted, [0.0, 3.0, -1.0])
    random = np.random.default_rng(0)
    weights, bias, points = random.normal(size=2), random.normal(), random.normal(size=(40, 2))
    before = weights.copy(), points.copy()
    foot = -bias * weights / (weights @ weights)
    expected = (points - foot) @ weights / np.sqrt(weights @ weights)
    grader.require_close(
        "for random weights, a random bias and 40 points", answer(weights, bias, points), expected
    )
    stays = np.array_equal(before[0], weights) and np.array_equal(before[1], points)
    grader.require("the arguments stay as they are", stays, "they were changed")


@exercise("5.2", "a square of four folds")
def square(answer: Any, grader: Grader) -> None:
    """Check a square of four folds."""
    network = answer()
    if network is None or network is ...:
        raise NotAnsweredError
    if not grader.require("it is a network", isinstance(network, Layer), f"yours is {type(network).__name__}"):
        return
    kinds = [type(layer) for layer in network.layers]
    right = kinds == [Dense, ReLU, Dense]
    names = ", ".join(kind.__name__ for kind in kinds)
    if not grader.require("its layers are Dense, ReLU, Dense", right, f"yours are {names or 'none'}"):
        return
    units = [layer.units for layer in (network.layers[0], network.layers[2])]
    if not grader.require("they have 4 units and 1", units == [4, 1], f"yours have {units}"):
        return
    coordinates = np.linspace(-4, 4, 161)
    points = np.column_stack([axis.ravel() for axis in np.meshgrid(coordinates, coordinates)])
    # Close to the edges, and far away in every direction, where a fold that was forgotten shows.
    random = np.random.default_rng(52)
    around = random.uniform(-1.2, 1.2, (4000, 2))
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    far = [radius * np.column_stack([np.cos(angles), np.sin(angles)]) for radius in (10.0, 100.0, 1e4)]
    points = np.concatenate([points, around, *far])
    reach = np.abs(points).max(axis=1)
    values = network.forward_pass(points)[:, 0]
    for name, rows, sign in (
        ("at the origin", (points == 0).all(axis=1), 1),
        ("all over the square", reach < 0.949, 1),
        ("right, left, above and below of it", (reach > 1.051) & (np.abs(points).min(axis=1) < 1), -1),
        ("beyond its corners", np.abs(points).min(axis=1) > 1.051, -1),
    ):
        wrong = rows & ~(sign * values > 0)
        first = points[wrong][0] if wrong.any() else None
        how = "" if first is None else (
            f"at ({first[0]:.2f}, {first[1]:.2f}) yours is {values[wrong][0]:.3g}"
        )  # fmt: skip
        grader.require(f"{'positive' if sign > 0 else 'negative'} {name}", not wrong.any(), how)


@exercise("5.3", "a learning-rate range test")
def range_test(answer: Any, grader: Grader) -> None:
    """Check a learning-rate range test."""
    # A weight w that should be 3: the loss is (w - 3)**2, and a step multiplies w - 3 by 1 - 2 rate.
    rates = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
    single = Dense(1, use_bias=False, weights_initializer="zeros").build(1)
    found = answer(single, np.ones((4, 1)), np.full(4, 3.0), MeanSquaredError(), rates)
    expected = 9 * np.cumprod([1.0, *(1 - 2 * rates[:-1])]) ** 2
    grader.require_close("for one weight, where it can be worked out by hand", found, expected)
    grader.require("that weight stays 0", single.weights[0, 0] == 0, f"it is {single.weights[0, 0]:.4g} now")

    random = np.random.default_rng(0)
    X, y = random.normal(size=(30, 2)), np.arange(30) % 3
    net = Sequential([Dense(5), Tanh(), Dense(3)]).build(2, random_state=0)
    before = net.parameter_vector.copy()
    rising = np.geomspace(0.01, 10, 12)
    for case, rates in {
        "a network with a hidden layer and three classes": rising,
        "rates that fall": rising[::-1],
        "rates in any order": random.permutation(rising),
        "a single rate": rising[:1],
    }.items():
        losses = losses_of(net, X, y, rates)
        given = X.copy(), y.copy(), rates.copy()
        found = answer(net, given[0], given[1], CrossEntropy(), given[2])
        changed = not np.array_equal(net.parameter_vector, before)
        net.parameter_vector[:] = before
        grader.require_close(f"for {case}", found, losses, tolerance=1e-6)
        if not grader.require(
            "the network that was given stays as it is", not changed, "its parameters have changed"
        ):
            return
        kept = all(np.array_equal(now, then) for now, then in zip(given, (X, y, rates), strict=True))
        if not grader.require("X, y and rates stay as they are", kept, "one of them was changed"):
            return


def losses_of(net: Sequential, X: np.ndarray, y: np.ndarray, rates: np.ndarray) -> list[float]:
    """Return the loss before each step; the network gets its parameters back."""
    before, bound, losses = net.parameter_vector.copy(), CrossEntropy().bind(y), []
    for rate in rates:
        outputs = net.forward_pass(X)
        losses.append(float(bound.forward_pass(outputs)))
        net.backward_pass(X, bound.backward_pass(outputs, np.array(1.0)))
        SGD(float(rate)).update(net)
    net.parameter_vector[:] = before
    return losses
