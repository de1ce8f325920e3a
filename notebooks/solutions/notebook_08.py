"""Solutions to the exercises of notebook 8, schedules and regularization."""

import math

import numpy as np


def exercise_1(step, highest, duration, warm_up, cool_down):
    """Each part asks only whether its time has come, in the order of time.

    With `step + 1` the first step already moves, and the last of the warm-up has the highest rate. Without a
    warm-up the first question is never true, so that nothing is divided by zero. The progress through the
    cool-down is limited to 1, for a cosine would come up again.
    """
    if step < warm_up:
        return highest * (step + 1) / warm_up
    if step < duration - cool_down:
        return highest
    progress = min(1.0, (step - (duration - cool_down)) / cool_down)
    return highest * (1 + math.cos(math.pi * progress)) / 2


def exercise_2(losses, patience):
    """The comparison is "less than the best so far", so that an equal loss and NaN are no improvement.

    The epochs since the best one are counted by a difference, which cannot get out of step as a counter can.
    """
    best_loss, best_epoch = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best_loss:
            best_loss, best_epoch = loss, epoch
        elif epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(losses)


def exercise_3(inputs, targets, weights, rate):
    """The expectation of a square is the square of the mean plus the variance.

    A kept input is divided by 1 - rate, so the mean of an output is the output without dropout. Each input adds
    (w_j x_j)**2 rate / (1 - rate) to the variance, because inputs are dropped independently. The second term is
    an L2 penalty in which each weight counts by the mean square of its input.
    """
    errors = inputs @ weights - targets
    penalty = rate / (1 - rate) * (inputs**2 @ weights**2)
    return np.mean(errors**2 + penalty) / 2
