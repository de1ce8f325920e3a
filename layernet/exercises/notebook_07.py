"""Checks of the exercises in notebook 7: Nesterov's momentum, the largest stable rate, and Adamax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet import Optimizer
from layernet.exercises.grading import Grader, NotAnsweredError
from layernet.exercises.registry import exercise

PARAMETERS = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([0.3, -4.0, 0.0])
VELOCITY = np.array([-0.2, 0.1, 0.4])


@exercise("7.1", "a step with Nesterov's momentum")
def nesterov(answer: Any, grader: Grader) -> None:
    """The formula from rest and in motion, over steps whose rate changes, and the arguments left alone."""

    def step(
        parameters: np.ndarray, gradients: np.ndarray, velocity: np.ndarray, rate: float, momentum: float
    ) -> tuple[np.ndarray, np.ndarray]:
        velocity = momentum * velocity - rate * gradients
        return parameters + momentum * velocity - rate * gradients, velocity

    def compare(when: str, mine: Any, *arguments: Any) -> bool:
        if mine is None or mine is ...:
            raise NotAnsweredError
        if not grader.require(
            f"two arrays are returned {when}", isinstance(mine, tuple | list) and len(mine) == 2, "they are not"
        ):
            return False
        expected = step(*arguments)
        grader.require_close(f"the velocity {when}", mine[1], expected[1])
        grader.require_close(f"the parameters {when}", mine[0], expected[0])
        return True

    at_rest = PARAMETERS, GRADIENTS, np.zeros(3), 0.1, 0.9
    random = np.random.default_rng(71)
    for when, given in {
        "from rest": at_rest,
        "in motion": (PARAMETERS, GRADIENTS, VELOCITY, 0.05, 0.6),
        "without momentum": (PARAMETERS, GRADIENTS, VELOCITY, 0.3, 0.0),
        "of ten parameters drawn at random": (*random.normal(size=(3, 10)), *random.uniform(0.1, 0.9, 2)),
    }.items():
        arguments = tuple(_copy(argument) for argument in given)
        if not compare(when, answer(*arguments), *given):
            return
        unchanged = all(np.array_equal(now, before) for now, before in zip(arguments, given, strict=True))
        if not grader.require("the arguments are left as they are", unchanged, "one of the arrays was changed"):
            return

    # On |w|**2 / 2, whose gradient is w, with a rate that falls.
    mine = expected = PARAMETERS, np.zeros(3)
    for rate in (0.3, 0.2, 0.1, 0.05):
        arrays = np.array(mine[0], dtype=float), np.array(mine[1], dtype=float)
        mine = answer(arrays[0].copy(), arrays[0].copy(), arrays[1].copy(), rate, 0.9)
        expected = step(expected[0], expected[0], expected[1], rate, 0.9)
    grader.require_close("the parameters after four steps with a falling rate", mine[0], expected[0])


@exercise("7.2", "the largest stable learning rate with momentum")
def stable_rate(answer: Any, grader: Grader) -> None:
    """Check the largest stable learning rate with momentum."""
    random = np.random.default_rng(72)
    line = np.array([[2.0], [0.0], [-2.0], [0.0]])  # one weight, whose second derivative is 2
    grader.require_close("one weight with second derivative 2, without momentum", answer(line.copy(), 0.0), 1.0)
    grader.require_close("the same with momentum 0.9", answer(line.copy(), 0.9), 1.9)
    for name, features, momentum in (
        (
            "five correlated columns, without momentum",
            random.normal(size=(40, 5)) @ random.normal(size=(5, 5)),
            0.0,
        ),
        ("columns of different units, momentum 0.5", random.normal(size=(60, 4)) * [0.1, 1, 10, 3], 0.5),
        ("more columns than rows, momentum 0.99", random.normal(size=(3, 7)), 0.99),
    ):
        given = features.copy()
        found = answer(given, momentum)
        if not grader.require_close(name, found, 2 * (1 + momentum) / _largest_curvature(features)):
            return
        if not grader.require(
            "the features stay as they are", np.array_equal(given, features), "they were changed"
        ):
            return
    # By experiment: descent converges a little below the rate, and diverges a little above it.
    features = random.normal(size=(30, 3))
    rate = float(answer(features.copy(), 0.8))
    below, above = (_norm_after_descent(features, share * rate, 0.8) for share in (0.98, 1.02))
    grader.require("descent at 0.98 times the rate converges", below < 1, f"the weights grow to {below:.2g}")
    grader.require("descent at 1.02 times the rate diverges", above > 1, f"the weights shrink to {above:.2g}")


def _largest_curvature(features: np.ndarray) -> float:
    """Return the largest eigenvalue of the Hessian X^T X / n."""
    return float(np.linalg.norm(features, 2) ** 2 / len(features))


def _norm_after_descent(features: np.ndarray, rate: float, momentum: float) -> float:
    """Return the norm of the weights after 2,000 steps for targets of 0, from weights of norm 1."""
    hessian = features.T @ features / len(features)
    weights = np.ones(len(hessian)) / np.sqrt(len(hessian))
    velocity = np.zeros_like(weights)
    for _ in range(2000):
        velocity = momentum * velocity - rate * hessian @ weights
        weights = weights + velocity
    return float(np.linalg.norm(weights))


@exercise("7.3", "the optimizer Adamax")
def adamax(answer: Any, grader: Grader) -> None:
    """Steps by the formula, with other constants, a schedule, many parameters and a memory handed on."""
    is_optimizer = isinstance(answer, type) and issubclass(answer, Optimizer)
    if not grader.require(
        "it is a subclass of Optimizer", is_optimizer, "pass the class itself, derived from Optimizer"
    ):
        return
    first = np.ones(3)
    answer(learning_rate=0.1).step(first, np.array([0.001, -1000.0, 0.0]))
    if np.array_equal(first, np.ones(3)) and not answer.slots:
        raise NotAnsweredError
    grader.require(
        "a step changes the parameters in place", (first[:2] != 1).all(), "they are as they were before"
    )
    grader.require_close(
        "the first step has the size of the learning rate", first, [0.9, 1.1, 1.0], tolerance=1e-4
    )

    random = np.random.default_rng(0)
    gradients = random.normal(size=(6, 40)) * [[5.0], [1.0], [0.2], [0.0], [1.0], [0.1]]
    cases: dict[str, dict[str, Any]] = {
        "six steps": {"learning_rate": 0.1},
        "six steps with other constants": {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.3},
        "six steps with a schedule": {"learning_rate": lambda step: 0.1 / (step + 1)},
    }
    for when, settings in cases.items():
        _compare(grader, when, answer(**settings), gradients, settings)
    lent = gradients[0].copy()
    answer().step(np.ones(40), lent)
    grader.require(
        "the gradients are left as they are", np.array_equal(lent, gradients[0]), "they were changed"
    )

    many = random.normal(size=(3, 40_000))
    _compare(
        grader,
        "three steps of 40,000 parameters, in blocks",
        answer(learning_rate=0.1),
        many,
        {"learning_rate": 0.1},
    )

    early, late, parameters = answer(learning_rate=0.1), answer(learning_rate=0.1), np.ones(40)
    for gradient in gradients[:3]:
        early.step(parameters, gradient.copy())
    late.load_state(early.state())
    for gradient in gradients[3:]:
        late.step(parameters, gradient.copy())
    grader.require_close(
        "three steps, and three by an optimizer that was given the memory", parameters, _walk(gradients, 0.1)
    )


def _compare(
    grader: Grader, when: str, optimizer: Optimizer, gradients: np.ndarray, settings: dict[str, Any]
) -> None:
    parameters = np.ones(gradients.shape[1])
    for gradient in gradients:
        optimizer.step(parameters, gradient.copy())
    grader.require_close(when, parameters, _walk(gradients, **settings))


def _walk(
    gradients: np.ndarray,
    learning_rate: float | Callable[[int], float],
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> np.ndarray:
    """Return the parameters after Adamax has moved ones by these gradients."""
    parameters = np.ones(gradients.shape[1])
    mean = largest = np.zeros_like(parameters)
    for steps_before, gradient in enumerate(gradients):
        rate = learning_rate(steps_before) if callable(learning_rate) else learning_rate
        mean = beta_1 * mean + (1 - beta_1) * gradient
        largest = np.maximum(beta_2 * largest, np.abs(gradient))
        parameters = parameters - rate / (1 - beta_1 ** (steps_before + 1)) * mean / (largest + epsilon)
    return parameters


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
