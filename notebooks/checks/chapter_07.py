"""The checks of notebook 7: Nesterov's momentum, a schedule with a plateau, and an optimizer of one's own."""

from __future__ import annotations

import math

import numpy as np

from checks import NotAnswered, as_numbers, exercise
from layernet import Optimizer

PARAMETERS = np.array([1.0, -2.0, 0.5])
GRADIENTS = np.array([0.3, -4.0, 0.0])
VELOCITY = np.array([-0.2, 0.1, 0.4])


@exercise("7.1", "a step with Nesterov's momentum")
def nesterov(answer, test):
    """The formula from rest and in motion, over steps whose rate changes, and the arguments left alone."""

    def step(parameters, gradients, velocity, rate, momentum):
        velocity = momentum * velocity - rate * gradients
        return parameters + momentum * velocity - rate * gradients, velocity

    def compare(when, mine, *arguments):
        if mine is None or mine is ...:
            raise NotAnswered
        if not test.that(
            f"two arrays are returned {when}", isinstance(mine, tuple | list) and len(mine) == 2, "they are not"
        ):
            return False
        expected = step(*arguments)
        test.close(f"the velocity {when}", mine[1], expected[1])
        test.close(f"the parameters {when}", mine[0], expected[0])
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
        if not test.that("the arguments are left as they are", unchanged, "one of the arrays was changed"):
            return

    # On |w|**2 / 2, whose gradient is w, with a rate that falls.
    mine = expected = PARAMETERS, np.zeros(3)
    for rate in (0.3, 0.2, 0.1, 0.05):
        arrays = np.array(mine[0], dtype=float), np.array(mine[1], dtype=float)
        mine = answer(arrays[0].copy(), arrays[0].copy(), arrays[1].copy(), rate, 0.9)
        expected = step(expected[0], expected[0], expected[1], rate, 0.9)
    test.close("the parameters after four steps with a falling rate", mine[0], expected[0])


@exercise("7.2", "a learning rate with warm-up, plateau and cool-down")
def plateau(answer, test):
    """Each of the parts and their borders, without a warm-up and without a plateau, and beyond the end."""

    def rates(steps, **settings):
        values = [answer(step, *settings.values()) for step in steps]
        if all(value is None or value is ... for value in values):
            raise NotAnswered
        return values

    long = {"highest": 0.2, "duration": 100, "warm_up": 10, "cool_down": 40}
    test.close("in the warm-up", rates((0, 1, 4), **long), [0.02, 0.04, 0.1])
    test.close("where the warm-up ends", rates((9, 10, 11), **long), [0.2, 0.2, 0.2])
    test.close("on the plateau", rates((30, 59, 60), **long), [0.2, 0.2, 0.2])
    falling = [0.1 * (1 + math.cos(math.pi * part)) for part in (0.025, 0.25, 0.5, 0.975)]
    test.close("in the cool-down", rates((61, 70, 80, 99), **long), falling)
    _close_to_zero(test, "at the end and after it", rates((100, 101, 140, 1000), **long))
    short = {"highest": 3.0, "duration": 8, "warm_up": 4, "cool_down": 4}
    expected = [0.75, 1.5, 2.25, 3.0, *(1.5 * (1 + math.cos(math.pi * i / 4)) for i in range(4))]
    test.close("without a plateau", rates(range(8), **short), expected)
    cold = {"highest": 1.0, "duration": 20, "warm_up": 0, "cool_down": 10}
    test.close("without a warm-up", rates((0, 1, 9, 15), **cold), [1.0, 1.0, 1.0, 0.5])
    random = np.random.default_rng(72)
    for number in (1, 2, 3):
        warm_up, flat, cool_down = (int(length) for length in random.integers(1, 12, 3))
        duration, highest = warm_up + flat + cool_down, random.uniform(0.01, 2)
        drawn = {"highest": highest, "duration": duration, "warm_up": warm_up, "cool_down": cool_down}
        expected = [highest * (step + 1) / warm_up for step in range(warm_up)] + [highest] * flat
        expected += [highest * (1 + math.cos(math.pi * i / cool_down)) / 2 for i in range(cool_down)]
        name = f"every step of drawing {number}: {warm_up} up, {flat} flat, {cool_down} down"
        if not test.close(name, rates(range(duration), **drawn), expected):
            return
        _close_to_zero(test, "and 0 afterwards", rates(range(duration, duration + 30), **drawn))


@exercise("7.3", "the optimizer Adamax")
def adamax(answer, test):
    """Steps by the formula, with other constants, a schedule, many parameters and a memory handed on."""
    is_optimizer = isinstance(answer, type) and issubclass(answer, Optimizer)
    if not test.that(
        "it is a subclass of Optimizer", is_optimizer, "hand over the class itself, derived from Optimizer"
    ):
        return
    first = np.ones(3)
    answer(learning_rate=0.1).step(first, np.array([0.001, -1000.0, 0.0]))
    if np.array_equal(first, np.ones(3)) and not answer.slots:
        raise NotAnswered
    test.that("a step changes the parameters in place", (first[:2] != 1).all(), "they are as they were before")
    test.close("the first step has the size of the learning rate", first, [0.9, 1.1, 1.0], tolerance=1e-4)

    random = np.random.default_rng(0)
    gradients = random.normal(size=(6, 40)) * [[5.0], [1.0], [0.2], [0.0], [1.0], [0.1]]
    for when, settings in {
        "six steps": {"learning_rate": 0.1},
        "six steps with other constants": {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.3},
        "six steps with a schedule": {"learning_rate": lambda step: 0.1 / (step + 1)},
    }.items():
        _compare(test, when, answer(**settings), gradients, settings)
    lent = gradients[0].copy()
    answer().step(np.ones(40), lent)
    test.that("the gradients are left as they are", np.array_equal(lent, gradients[0]), "they were changed")

    many = random.normal(size=(3, 40_000))
    _compare(
        test,
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
    test.close(
        "three steps, and three by an optimizer that was given the memory", parameters, _walk(gradients, 0.1)
    )


def _compare(test, when, optimizer, gradients, settings):
    parameters = np.ones(gradients.shape[1])
    for gradient in gradients:
        optimizer.step(parameters, gradient.copy())
    test.close(when, parameters, _walk(gradients, **settings))


def _walk(gradients, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Where Adamax gets from ones with these gradients, one after the other."""
    parameters = np.ones(gradients.shape[1])
    mean = largest = np.zeros_like(parameters)
    for steps_before, gradient in enumerate(gradients):
        rate = learning_rate(steps_before) if callable(learning_rate) else learning_rate
        mean = beta_1 * mean + (1 - beta_1) * gradient
        largest = np.maximum(beta_2 * largest, np.abs(gradient))
        parameters = parameters - rate / (1 - beta_1 ** (steps_before + 1)) * mean / (largest + epsilon)
    return parameters


def _close_to_zero(test, name, values):
    numbers, problem = as_numbers(values)
    if problem or numbers.ndim != 1:
        test.that(name, False, problem or "yours is an array, a number is expected")
        return
    worst = max(numbers, key=lambda value: math.inf if math.isnan(value) else abs(value))
    test.that(name, abs(worst) < 1e-12, f"yours is {worst:.6g}, 0 is right")


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value
