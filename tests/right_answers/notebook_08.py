"""Right answers to the exercises of notebook 8, in unusual forms."""

import numpy as np


def by_interpolation(step, highest, duration, warm_up, cool_down):
    rising = 1.0 if step >= warm_up else (step + 1) / warm_up
    part = np.interp(step, [duration - cool_down, duration], [0, np.pi])
    return highest * rising * np.cos(part / 2) ** 2


def backwards(step, highest, duration, warm_up, cool_down):
    left = duration - step
    if left <= 0:
        return 0
    if left < cool_down:
        return np.float64(highest * np.sin(np.pi / 2 * left / cool_down) ** 2)
    return min(highest, highest * (step + 1) / warm_up) if warm_up else highest


exercise_1 = [by_interpolation, backwards]


def by_running_minima(losses, patience):
    values = np.where(np.isnan(losses), np.inf, losses)
    for last in range(1, len(values) + 1):
        best = values[:last].argmin() + 1
        if last - best >= patience:
            return np.array([best, last])
    return np.array([values.argmin() + 1, len(values)])


def by_a_counter(losses, patience):
    best, waited, epoch = 1, 0, 0
    while epoch < len(losses) and waited < patience:
        epoch += 1
        if epoch == 1 or losses[epoch - 1] < losses[best - 1]:
            best, waited = epoch, 0
        else:
            waited += 1
    return [best, epoch]


exercise_2 = [by_running_minima, by_a_counter]


def by_second_moments(inputs, targets, weights, rate):
    moments = inputs[:, :, None] * inputs[:, None, :]
    moments = moments * (1 + np.eye(len(weights)) * rate / (1 - rate))
    quadratic = np.einsum("i,nij,j->n", weights, moments, weights)
    return float(np.mean(quadratic - 2 * targets * (inputs @ weights) + targets**2) / 2)


def row_by_row(inputs, targets, weights, rate):
    total = 0.0
    for x, y in zip(inputs, targets, strict=True):
        total += (x @ weights - y) ** 2 + sum((w * v) ** 2 for w, v in zip(weights, x, strict=True)) / (
            1 - rate
        )
        total -= sum((w * v) ** 2 for w, v in zip(weights, x, strict=True))
    return total / 2 / len(inputs)


exercise_3 = [by_second_moments, row_by_row]
