"""Kernels of losses: the loss of each sample and the gradient of the batch's loss in one go, both weighted.

Losses and gradients are multiplied by each sample's factor; a factor of 0 silences a sample whatever its loss
is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from layernet.engine.compiled.intrinsics import (
    FINE,
    GRADIENT_NOT_FINITE,
    LOSS_NOT_FINITE,
    STATUS,
    STEP,
    WORKER,
    arrays,
    inline,
    number,
    vectors,
    whole_numbers,
)
from layernet.engine.compiled.kernel import Kernel, kernel
from layernet.engine.compiled.kernels.elementary import exponential, logistic, softplus


def of_each_output(name: str, loss_and_slope: Callable) -> Kernel:
    """The kernel of a loss that is a sum over outputs z with targets t, each with a loss and its derivative.

    Parameters
    ----------
    name : str
    loss_and_slope : callable
        Of (z, t, constants); the first of the constants is a scale that the kernel takes care of.

    Returns
    -------
    Kernel
        Of (outputs, targets, factors, losses, grad_output, terms, constants).
    """
    loss_and_slope = inline(loss_and_slope)

    def of_outputs(batch, operands, sizes):
        outputs, _, factors, losses, grad_output, terms, constants = arrays(batch, operands, sizes, 7)
        z, t, _, _, slopes, each, _ = vectors(batch, operands, sizes, 7)
        for place in range(len(z)):
            each[place], slopes[place] = loss_and_slope(z[place], t[place], constants)
        for row in range(len(outputs)):
            factor = factors[row, 0] * constants[0, 0]
            total = number(outputs, 0)
            for unit in range(outputs.shape[1]):
                total += terms[row, unit]
                grad_output[row, unit] = (
                    grad_output[row, unit] * factor if factor != number(outputs, 0) else number(outputs, 0)
                )
            losses[row, 0] = total * factor if factor != number(outputs, 0) else number(outputs, 0)

    return Kernel(of_outputs, name)


@inline
def squared(z, t, c):
    """e**2 and 2 e, times what the scale leaves."""
    return (z - t) * (z - t), number(z, 2) * (z - t)


@inline
def sign(x):
    """-1, 0 or 1."""
    return (
        number(x, 1) if x > number(x, 0) else (number(x, -1) if x < number(x, 0) else x)
    )  # NaN stays NaN, and 0 too


@inline
def huber_of_one(z, t, c):
    """e**2 / 2 or delta (|e| - delta / 2), and e clipped to ±delta."""
    e, delta = z - t, c[0, 1]
    near = delta if e > delta else (-delta if e < -delta else e)
    return near * near * number(z, 0.5) + delta * (abs(e) - abs(near)), near


@inline
def quantile_of_one(z, t, c):
    """-e (q - 1[e > 0]), and 1[e > 0] - q."""
    e = z - t
    slope = (number(z, 1) - c[0, 1]) if e > number(z, 0) else (-c[0, 1] if e < number(z, 0) else e)
    return e * slope, slope


@inline
def poisson_of_one(z, t, c):
    """exp(z) - t z, and exp(z) - t."""
    rate = exponential(z)
    return rate - (t * z if t > number(z, 0) else number(z, 0)), rate - t


@inline
def poisson_deviance_of_one(z, t, c):
    """t log t - t z - t + exp(z), and exp(z) - t."""
    rate = exponential(z)
    of_count = t * number(z, math.log(t)) - t * z if t > number(z, 0) else number(z, 0)
    return of_count - t + rate, rate - t


@inline
def binary_cross_entropy_of_one(z, t, c):
    """log(1 + exp(z)) - t z, and p - t, with smoothed t."""
    t = c[0, 1] * t + c[0, 2]
    return softplus(-abs(z)) + far_side(z, t, number(z, 1) - t), logistic(z) - t


@inline
def far_side(z, yes, no):
    """no z for z above 0 and -yes z below, which with log(1 + exp(-|z|)) is the loss; 0 times infinity is 0."""
    wrong = no if z > number(z, 0) else yes
    return wrong * abs(z) if wrong > number(z, 0) else number(z, 0)


squared_error = of_each_output("squared_error", squared)
absolute_error = of_each_output("absolute_error", lambda z, t, c: (abs(z - t), sign(z - t)))
huber = of_each_output("huber", huber_of_one)
quantile = of_each_output("quantile", quantile_of_one)
poisson = of_each_output("poisson", poisson_of_one)
poisson_deviance = of_each_output("poisson_deviance", poisson_deviance_of_one)
binary_cross_entropy = of_each_output("binary_cross_entropy", binary_cross_entropy_of_one)


@kernel
def weighted_binary_cross_entropy(batch, operands, sizes):
    """(v t + w (1 - t)) log(1 + exp(z)) - v t z, and (v t + w (1 - t)) p - v t, with smoothed t.

    The constants are the scale, the two of the smoothing, v of each label, and w of each label.
    """
    outputs, targets, factors, losses, grad_output, terms, constants = arrays(batch, operands, sizes, 7)
    z, _, _, _, slopes, each, _ = vectors(batch, operands, sizes, 7)
    n_labels = outputs.shape[1]
    for place in range(len(z)):
        each[place], slopes[place] = softplus(-abs(z[place])), logistic(z[place])
    for row in range(len(outputs)):
        factor = factors[row, 0] * constants[0, 0]
        total = number(outputs, 0)
        for unit in range(n_labels):
            t = constants[0, 1] * targets[row, unit] + constants[0, 2]
            yes = constants[0, 3 + unit] * t
            no = constants[0, 3 + n_labels + unit] * (number(outputs, 1) - t)
            both = yes + no
            total += both * terms[row, unit] + far_side(outputs[row, unit], yes, no)
            slope = both * grad_output[row, unit] - yes
            grad_output[row, unit] = slope * factor if factor != number(outputs, 0) else number(outputs, 0)
        losses[row, 0] = total * factor if factor != number(outputs, 0) else number(outputs, 0)


@inline
def softmax_of_rows(outputs, exponentials, flat_exponentials):
    """exp(outputs - largest of the row), in one loop over all entries, which short rows would break up."""
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        for unit in range(1, outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
        for unit in range(outputs.shape[1]):
            exponentials[row, unit] = outputs[row, unit] - largest
    for place in range(len(flat_exponentials)):
        flat_exponentials[place] = exponential(flat_exponentials[place])


@kernel
def cross_entropy_of_classes(batch, operands, sizes):
    """log sum_k exp(z_k) - sum_k t_k z_k and p - t, where t is a class number, smoothed."""
    outputs, _, factors, losses, grad_output, constants = arrays(batch, operands, sizes, 6)
    _, _, _, _, flat, _ = vectors(batch, operands, sizes, 6)
    classes = whole_numbers(batch, operands, sizes, 1)
    right, others = constants[0, 0], constants[0, 1]  # (1 - s), and s / n_classes that every class gets
    softmax_of_rows(outputs, grad_output, flat)
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        total, wanted = number(outputs, 0), number(outputs, 0)
        for unit in range(outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
            total += grad_output[row, unit]
            wanted += outputs[row, unit]
        n_classes = number(outputs, outputs.shape[1])
        score = right * (outputs[row, classes[row, 0]] - largest)
        if others > number(outputs, 0):
            score += others * (wanted - n_classes * largest)
        factor = factors[row, 0]
        loss = number(outputs, math.log(total)) - score
        losses[row, 0] = factor * loss if factor != number(outputs, 0) else number(outputs, 0)
        share = factor / total if factor != number(outputs, 0) else number(outputs, 0)
        for unit in range(outputs.shape[1]):
            probability = grad_output[row, unit] * share if factor != number(outputs, 0) else number(outputs, 0)
            grad_output[row, unit] = probability - factor * others
        grad_output[row, classes[row, 0]] -= factor * right


@kernel
def cross_entropy_of_probabilities(batch, operands, sizes):
    """The same where t is a row of probabilities, smoothed."""
    outputs, targets, factors, losses, grad_output, constants = arrays(batch, operands, sizes, 6)
    _, _, _, _, flat, _ = vectors(batch, operands, sizes, 6)
    right, others = constants[0, 0], constants[0, 1]
    softmax_of_rows(outputs, grad_output, flat)
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        for unit in range(1, outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
        total, score = number(outputs, 0), number(outputs, 0)
        for unit in range(outputs.shape[1]):
            total += grad_output[row, unit]
            share = right * targets[row, unit] + others
            # 0 times the -inf of a masked class would be NaN.
            score += (
                share * (outputs[row, unit] - largest) if share > number(outputs, 0) else number(outputs, 0)
            )
        factor = factors[row, 0]
        loss = number(outputs, math.log(total)) - score
        losses[row, 0] = factor * loss if factor != number(outputs, 0) else number(outputs, 0)
        for unit in range(outputs.shape[1]):
            error = grad_output[row, unit] / total - (right * targets[row, unit] + others)
            grad_output[row, unit] = factor * error if factor != number(outputs, 0) else number(outputs, 0)


@kernel
def hinge_of_classes(batch, operands, sizes):
    """Sum over k != c of max(0, s_k - s_c + margin), and 1 where that is above 0, minus their number for c."""
    outputs, _, factors, losses, grad_output, constants = arrays(batch, operands, sizes, 6)
    classes = whole_numbers(batch, operands, sizes, 1)
    for row in range(len(outputs)):
        right = classes[row, 0]
        factor, total, count = factors[row, 0], number(outputs, 0), number(outputs, 0)
        for unit in range(outputs.shape[1]):
            slack = outputs[row, unit] - outputs[row, right] + constants[0, 0]
            counts = unit != right and not slack <= number(outputs, 0)  # NaN counts, and shows
            total += slack if counts else number(outputs, 0)
            count += number(outputs, 1) if counts else number(outputs, 0)
            grad_output[row, unit] = factor if counts and slack > number(outputs, 0) else number(outputs, 0)
        grad_output[row, right] = -factor * count
        losses[row, 0] = factor * total if factor != number(outputs, 0) else number(outputs, 0)


@inline
def hinge_of_one(z, t, c):
    """max(0, margin - t z) for a target of -1 or 1, and its slope."""
    slack = c[0, 1] - t * z
    return (slack, -t) if not slack <= number(z, 0) else (number(z, 0), number(z, 0))


hinge_of_signs = of_each_output("hinge_of_signs", hinge_of_one)


@kernel
def sum_losses(batch, operands, sizes):
    """The losses of this worker's samples, beside those of the others; and no verdict yet."""
    losses, totals, _ = vectors(batch, operands, sizes, 3)
    verdicts = whole_numbers(batch, operands, sizes, 2)
    verdicts[batch[WORKER], 0] = FINE
    value = number(losses, 0)
    for row in range(len(losses)):
        value += losses[row]
    totals[batch[WORKER]] = value


@kernel
def add_gradients(batch, operands, sizes):
    """gradients = gradients + those of another worker, for some of the parameters."""
    gradients, of_other = vectors(batch, operands, sizes, 2)
    for place in range(len(gradients)):
        gradients[place] += of_other[place]


@kernel
def penalize(batch, operands, sizes):
    """With a = penalty / normalizer: a / 2 |w|**2 on the loss, and a w on the gradients."""
    weights, gradients, totals, normalizer, penalty = vectors(batch, operands, sizes, 5)
    scale = penalty[0] / normalizer[0] if normalizer[0] > 0 else number(weights, 0)
    squares = number(weights, 0)
    for place in range(len(weights)):
        squares += weights[place] * weights[place]
        gradients[place] += scale * weights[place]
    totals[batch[WORKER]] += scale * number(weights, 0.5) * squares


@kernel
def judge_gradients(batch, operands, sizes):
    """Whether some of the gradients are finite, for all workers to see."""
    gradients, _ = vectors(batch, operands, sizes, 2)
    verdicts = whole_numbers(batch, operands, sizes, 1)
    squares = number(gradients, 0)
    for place in range(len(gradients)):
        squares += gradients[place] * gradients[place]
    if math.isfinite(squares):
        return
    for place in range(len(gradients)):  # squares overflow where gradients do not
        if not math.isfinite(gradients[place]):
            verdicts[batch[WORKER], 0] = GRADIENT_NOT_FINITE


@kernel
def conclude(batch, operands, sizes):
    """Note down the loss of this step, and stop if it or a gradient is not finite."""
    totals, record, _ = vectors(batch, operands, sizes, 3)
    verdicts = whole_numbers(batch, operands, sizes, 2)
    value = number(totals, 0)
    for worker in range(len(totals)):
        value += totals[worker]
        batch[STATUS] = max(batch[STATUS], verdicts[worker, 0])
    record[batch[STEP]] = value
    if not math.isfinite(value):
        batch[STATUS] = LOSS_NOT_FINITE
