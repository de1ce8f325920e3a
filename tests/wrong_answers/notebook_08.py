"""Plausible wrong answers to the exercises of notebook 8."""

import math

import numpy as np
from solutions.notebook_08 import exercise_2 as right_epochs


def schedule(rise=lambda step, warm_up: (step + 1) / warm_up, fall=None, from_zero=False, clipped=True):
    """The solution with one of its parts replaced."""

    def learning_rate(step, highest, duration, warm_up, cool_down):
        if step < warm_up:
            return highest * rise(step, warm_up)
        if step < duration - cool_down:
            return highest
        begin = warm_up if from_zero else duration - cool_down
        progress = (step - begin) / (duration - begin)
        progress = min(1.0, progress) if clipped else progress
        return highest * (fall(progress) if fall else (1 + math.cos(math.pi * progress)) / 2)

    return learning_rate


def divides_by_the_warm_up(step, highest, duration, warm_up, cool_down):
    if step >= duration:
        return 0.0
    rising = (step + 1) / warm_up  # zero where there is no warm-up
    falling = (1 + math.cos(math.pi * max(0.0, (step - duration + cool_down) / cool_down))) / 2
    return highest * min(1.0, rising) * falling


def a_plateau_for_ever(step, highest, duration, warm_up, cool_down):
    return highest * min(1.0, (step + 1) / max(1, warm_up))  # no cool-down


def too_late(step, highest, duration, warm_up, cool_down):
    return schedule()(max(0, step - 1), highest, duration, warm_up, cool_down)  # counts steps from 1


def nothing_in_the_cool_down(step, highest, duration, warm_up, cool_down):
    if step < duration - cool_down:  # the last branch is forgotten
        return schedule()(step, highest, duration, warm_up, cool_down)
    return None


def at_most_one_plateau(step, highest, duration, warm_up, cool_down):
    # The cool-down has the length that was seen in the text's picture.
    return schedule()(step, highest, duration, warm_up, min(cool_down, 40) if duration > 90 else duration // 2)


exercise_1 = [
    schedule(rise=lambda step, warm_up: step / warm_up),  # the first step does nothing
    schedule(fall=lambda progress: 1 - progress),  # a line in place of the cosine
    schedule(fall=lambda progress: math.cos(math.pi / 2 * progress)),  # a quarter of a cosine
    schedule(from_zero=True),  # the cosine begins where the warm-up ends, so the rate jumps
    schedule(clipped=False),  # comes up again after the end
    divides_by_the_warm_up,
    a_plateau_for_ever,
    too_late,
    nothing_in_the_cool_down,
    at_most_one_plateau,
]


def counted_from_0(losses, patience):
    best, last = right_epochs(losses, patience)
    return best - 1, last - 1


def an_epoch_too_late(losses, patience):
    return right_epochs(losses, patience + 1)  # as in: more than `patience` epochs without an improvement


def never_stops(losses, patience):
    return int(np.nanargmin(losses)) + 1, len(losses)


def equal_is_better(losses, patience):
    best, best_epoch = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss <= best:
            best, best_epoch = loss, epoch
        elif epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(losses)


def better_than_the_epoch_before(losses, patience):
    waited = 0
    for epoch in range(1, len(losses)):
        waited = waited + 1 if losses[epoch] >= losses[epoch - 1] else 0
        if waited >= patience:
            return int(np.argmin(losses[: epoch + 1])) + 1, epoch + 1
    return int(np.argmin(losses)) + 1, len(losses)


def counter_that_is_not_reset(losses, patience):
    best, best_epoch, waited = math.inf, 0, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best:
            best, best_epoch = loss, epoch
        else:
            waited += 1
            if waited >= patience:
                return best_epoch, epoch
    return best_epoch, len(losses)


def last_first(losses, patience):
    return right_epochs(losses, patience)[::-1]


def reverses_the_list(losses, patience):
    epochs = right_epochs(losses, patience)
    losses.reverse()
    return epochs


exercise_2 = [
    counted_from_0,
    an_epoch_too_late,
    never_stops,
    equal_is_better,
    better_than_the_epoch_before,
    counter_that_is_not_reset,
    last_first,
    reverses_the_list,
]


def without_a_penalty(inputs, targets, weights, rate):
    return np.mean((inputs @ weights - targets) ** 2) / 2


def not_scaled_up(inputs, targets, weights, rate):
    errors = (1 - rate) * inputs @ weights - targets  # dropout without the division by 1 - rate
    return np.mean(errors**2 + rate * (1 - rate) * (inputs**2 @ weights**2)) / 2


def penalty_of_plain_l2(inputs, targets, weights, rate):
    penalty = rate / (1 - rate) * weights @ weights  # the inputs' squares are left out
    return (np.mean((inputs @ weights - targets) ** 2) + penalty) / 2


def factor_of_the_kept_mask(inputs, targets, weights, rate):
    penalty = rate * (1 - rate) * (inputs**2 @ weights**2)  # the variance before the division
    return np.mean((inputs @ weights - targets) ** 2 + penalty) / 2


def square_of_the_sum(inputs, targets, weights, rate):
    outputs = inputs @ weights
    return (
        np.mean((outputs - targets) ** 2 + rate / (1 - rate) * outputs**2) / 2
    )  # as if all were dropped at once


def penalty_not_halved(inputs, targets, weights, rate):
    return without_a_penalty(inputs, targets, weights, rate) + rate / (1 - rate) * np.mean(
        inputs**2 @ weights**2
    )


def loss_not_halved(inputs, targets, weights, rate):
    return np.mean((inputs @ weights - targets) ** 2 + rate / (1 - rate) * (inputs**2 @ weights**2))


def one_random_mask(inputs, targets, weights, rate):
    mask = np.random.default_rng(0).random(inputs.shape) >= rate
    return np.mean((inputs * mask / (1 - rate) @ weights - targets) ** 2) / 2


exercise_3 = [
    without_a_penalty,
    not_scaled_up,
    penalty_of_plain_l2,
    factor_of_the_kept_mask,
    square_of_the_sum,
    penalty_not_halved,
    loss_not_halved,
    one_random_mask,
]
