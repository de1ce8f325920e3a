"""Kernels of losses: the weighted loss of each sample, and the gradient of the batch's loss; end of a step.

Losses and gradients are multiplied by the sample's factor. With a factor of 0 both are 0, even if the loss is
infinite or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from layernet.engine.compiled.intrinsics import (
    GRADIENT_NOT_FINITE,
    LOSS_NOT_FINITE,
    OK,
    STATUS,
    STEP,
    WORKER,
    cast_like,
    inline,
    int64_matrix,
    matrices,
    vectors,
)
from layernet.engine.compiled.kernel import Kernel, kernel
from layernet.engine.compiled.kernels.elementary import exponential, logistic, softplus


def elementwise_loss(name: str, loss_and_slope: Callable) -> Kernel:
    """Return the kernel of a loss that is a sum of terms, one for each output z with its target t.

    Parameters
    ----------
    name : str
    loss_and_slope : callable
        Returns a term and its derivative, given (z, t, constants). The kernel multiplies the sum by the first
        of the constants.

    Returns
    -------
    Kernel
        Operands (outputs, targets, factors, losses, grad_output, terms, constants).
    """
    loss_and_slope = inline(loss_and_slope)

    def of_outputs(control, operands, sizes):
        outputs, _, factors, losses, grad_output, terms, constants = matrices(control, operands, sizes, 7)
        z, t, _, _, slopes, each, _ = vectors(control, operands, sizes, 7)
        zero = cast_like(outputs, 0)
        for index in range(len(z)):
            each[index], slopes[index] = loss_and_slope(z[index], t[index], constants)
        for row in range(len(outputs)):
            factor = factors[row, 0] * constants[0, 0]
            total = zero
            for unit in range(outputs.shape[1]):
                total += terms[row, unit]
                grad_output[row, unit] = grad_output[row, unit] * factor if factor != zero else zero
            losses[row, 0] = total * factor if factor != zero else zero

    return Kernel(of_outputs, name)


@inline
def squared(z, t, c):
    """Term e**2 and derivative 2 e, where e = z - t."""
    return (z - t) * (z - t), cast_like(z, 2) * (z - t)


@inline
def sign(x):
    """Sign of x: -1, 0 or 1; NaN for NaN."""
    return cast_like(x, 1) if x > cast_like(x, 0) else (cast_like(x, -1) if x < cast_like(x, 0) else x)


@inline
def huber_term(z, t, c):
    """Term e**2 / 2 or delta (|e| - delta / 2), and derivative e clipped to ±delta."""
    e, delta = z - t, c[0, 1]
    near = delta if e > delta else (-delta if e < -delta else e)
    return near * near * cast_like(z, 0.5) + delta * (abs(e) - abs(near)), near


@inline
def quantile_term(z, t, c):
    """Term -e (q - 1[e > 0]) and derivative 1[e > 0] - q."""
    e, quantile = z - t, c[0, 1]
    slope = (cast_like(z, 1) - quantile) if e > cast_like(z, 0) else (-quantile if e < cast_like(z, 0) else e)
    return e * slope, slope


@inline
def poisson_term(z, t, c):
    """Term exp(z) - t z and derivative exp(z) - t."""
    rate = exponential(z)
    return rate - (t * z if t > cast_like(z, 0) else cast_like(z, 0)), rate - t


@inline
def poisson_deviance_term(z, t, c):
    """Term t log t - t z - t + exp(z) and derivative exp(z) - t."""
    rate = exponential(z)
    of_count = t * cast_like(z, math.log(t)) - t * z if t > cast_like(z, 0) else cast_like(z, 0)
    return of_count - t + rate, rate - t


@inline
def binary_cross_entropy_term(z, t, c):
    """Term log(1 + exp(z)) - t z and derivative p - t, with smoothed t."""
    t = c[0, 1] * t + c[0, 2]
    return softplus(-abs(z)) + linear_part(z, t, cast_like(z, 1) - t), logistic(z) - t


@inline
def linear_part(z, yes, no):
    """Part of the loss beside log(1 + exp(-|z|)): no * z above 0, -yes * z below; 0 * infinity is 0."""
    wrong = no if z > cast_like(z, 0) else yes
    return wrong * abs(z) if wrong > cast_like(z, 0) else cast_like(z, 0)


squared_error = elementwise_loss("squared_error", squared)
absolute_error = elementwise_loss("absolute_error", lambda z, t, c: (abs(z - t), sign(z - t)))
huber = elementwise_loss("huber", huber_term)
quantile = elementwise_loss("quantile", quantile_term)
poisson = elementwise_loss("poisson", poisson_term)
poisson_deviance = elementwise_loss("poisson_deviance", poisson_deviance_term)
binary_cross_entropy = elementwise_loss("binary_cross_entropy", binary_cross_entropy_term)


@kernel
def weighted_binary_cross_entropy(control, operands, sizes):
    """Terms (v t + w (1 - t)) log(1 + exp(z)) - v t z, and derivatives (v t + w (1 - t)) p - v t.

    t is smoothed. The constants are the scale, the two of the smoothing, v of each label, and w of each label.
    """
    outputs, targets, factors, losses, grad_output, terms, constants = matrices(control, operands, sizes, 7)
    z, _, _, _, slopes, each, _ = vectors(control, operands, sizes, 7)
    zero = cast_like(outputs, 0)
    n_labels = outputs.shape[1]
    for index in range(len(z)):
        each[index], slopes[index] = softplus(-abs(z[index])), logistic(z[index])
    for row in range(len(outputs)):
        factor = factors[row, 0] * constants[0, 0]
        total = zero
        for unit in range(n_labels):
            t = constants[0, 1] * targets[row, unit] + constants[0, 2]
            yes = constants[0, 3 + unit] * t
            no = constants[0, 3 + n_labels + unit] * (cast_like(outputs, 1) - t)
            both = yes + no
            total += both * terms[row, unit] + linear_part(outputs[row, unit], yes, no)
            slope = both * grad_output[row, unit] - yes
            grad_output[row, unit] = slope * factor if factor != zero else zero
        losses[row, 0] = total * factor if factor != zero else zero


@inline
def row_exponentials(outputs, exponentials, flat_exponentials):
    """exp(outputs - largest of the row). One loop over all entries is faster than a loop for each short row."""
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        for unit in range(1, outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
        for unit in range(outputs.shape[1]):
            exponentials[row, unit] = outputs[row, unit] - largest
    for index in range(len(flat_exponentials)):
        flat_exponentials[index] = exponential(flat_exponentials[index])


@kernel
def cross_entropy_of_classes(control, operands, sizes):
    """Loss log sum_k exp(z_k) - sum_k t_k z_k and gradient p - t, where t is a class label, smoothed."""
    outputs, _, factors, losses, grad_output, constants = matrices(control, operands, sizes, 6)
    _, _, _, _, flat, _ = vectors(control, operands, sizes, 6)
    classes = int64_matrix(control, operands, sizes, 1)
    right, others = (
        constants[0, 0],
        constants[0, 1],
    )  # 1 - s for the right class, and s / n_classes for every class
    zero = cast_like(outputs, 0)
    row_exponentials(outputs, grad_output, flat)
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        total, sum_of_outputs = zero, zero
        for unit in range(outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
            total += grad_output[row, unit]
            sum_of_outputs += outputs[row, unit]
        n_classes = cast_like(outputs, outputs.shape[1])
        score = right * (outputs[row, classes[row, 0]] - largest)
        if others > zero:
            score += others * (sum_of_outputs - n_classes * largest)
        factor = factors[row, 0]
        loss = cast_like(outputs, math.log(total)) - score
        losses[row, 0] = factor * loss if factor != zero else zero
        share = factor / total if factor != zero else zero
        for unit in range(outputs.shape[1]):
            probability = grad_output[row, unit] * share if factor != zero else zero
            grad_output[row, unit] = probability - factor * others
        grad_output[row, classes[row, 0]] -= factor * right


@kernel
def cross_entropy_of_probabilities(control, operands, sizes):
    """Loss log sum_k exp(z_k) - sum_k t_k z_k and gradient p - t, where t are probabilities, smoothed."""
    outputs, targets, factors, losses, grad_output, constants = matrices(control, operands, sizes, 6)
    _, _, _, _, flat, _ = vectors(control, operands, sizes, 6)
    right, others = constants[0, 0], constants[0, 1]
    zero = cast_like(outputs, 0)
    row_exponentials(outputs, grad_output, flat)
    for row in range(len(outputs)):
        largest = outputs[row, 0]
        for unit in range(1, outputs.shape[1]):
            largest = max(largest, outputs[row, unit])
        total, score = zero, zero
        for unit in range(outputs.shape[1]):
            total += grad_output[row, unit]
            share = right * targets[row, unit] + others
            # 0 times the -inf of a masked class would be NaN.
            score += share * (outputs[row, unit] - largest) if share > zero else zero
        factor = factors[row, 0]
        loss = cast_like(outputs, math.log(total)) - score
        losses[row, 0] = factor * loss if factor != zero else zero
        for unit in range(outputs.shape[1]):
            error = grad_output[row, unit] / total - (right * targets[row, unit] + others)
            grad_output[row, unit] = factor * error if factor != zero else zero


@kernel
def hinge_of_classes(control, operands, sizes):
    """Loss sum over k != c of max(0, s_k - s_c + margin).

    The gradient is 1 for each k with a term above 0, and minus their number for c.
    """
    outputs, _, factors, losses, grad_output, constants = matrices(control, operands, sizes, 6)
    classes = int64_matrix(control, operands, sizes, 1)
    zero = cast_like(outputs, 0)
    for row in range(len(outputs)):
        right = classes[row, 0]
        factor, total, count = factors[row, 0], zero, zero
        for unit in range(outputs.shape[1]):
            slack = outputs[row, unit] - outputs[row, right] + constants[0, 0]
            counts = unit != right and not slack <= zero  # NaN counts, so that the loss is NaN
            total += slack if counts else zero
            count += cast_like(outputs, 1) if counts else zero
            grad_output[row, unit] = factor if counts and slack > zero else zero
        grad_output[row, right] = -factor * count
        losses[row, 0] = factor * total if factor != zero else zero


@inline
def hinge_term(z, t, c):
    """Term max(0, margin - t z) for a target of -1 or 1, and its derivative."""
    slack = c[0, 1] - t * z
    return (slack, -t) if not slack <= cast_like(z, 0) else (cast_like(z, 0), cast_like(z, 0))


hinge_of_signs = elementwise_loss("hinge_of_signs", hinge_term)


@kernel
def sum_losses(control, operands, sizes):
    """totals[worker] = sum of the losses of this worker's samples; statuses[worker] = OK."""
    losses, totals, _ = vectors(control, operands, sizes, 3)
    statuses = int64_matrix(control, operands, sizes, 2)
    statuses[control[WORKER], 0] = OK
    value = cast_like(losses, 0)
    for row in range(len(losses)):
        value += losses[row]
    totals[control[WORKER]] = value


@kernel
def add_gradients(control, operands, sizes):
    """gradients = gradients + gradients of another worker, for some of the parameters."""
    gradients, of_other = vectors(control, operands, sizes, 2)
    for index in range(len(gradients)):
        gradients[index] += of_other[index]


@kernel
def add_penalty(control, operands, sizes):
    """Add a / 2 |w|**2 to the loss and a w to the gradients, where a = penalty / normalizer."""
    weights, gradients, totals, normalizer, penalty = vectors(control, operands, sizes, 5)
    scale = penalty[0] / normalizer[0] if normalizer[0] > 0 else cast_like(weights, 0)
    squares = cast_like(weights, 0)
    for index in range(len(weights)):
        squares += weights[index] * weights[index]
        gradients[index] += scale * weights[index]
    totals[control[WORKER]] += scale * cast_like(weights, 0.5) * squares


@kernel
def check_finite_gradients(control, operands, sizes):
    """statuses[worker] = GRADIENT_NOT_FINITE if one of some gradients is not finite."""
    gradients, _ = vectors(control, operands, sizes, 2)
    statuses = int64_matrix(control, operands, sizes, 1)
    squares = cast_like(gradients, 0)
    for index in range(len(gradients)):
        squares += gradients[index] * gradients[index]
    if math.isfinite(squares):
        return
    for index in range(len(gradients)):  # the squares may overflow where the gradients do not
        if not math.isfinite(gradients[index]):
            statuses[control[WORKER], 0] = GRADIENT_NOT_FINITE


@kernel
def finish_step(control, operands, sizes):
    """Store the loss of this step; set the status if the loss or a gradient is not finite."""
    totals, step_losses, _ = vectors(control, operands, sizes, 3)
    statuses = int64_matrix(control, operands, sizes, 2)
    value = cast_like(totals, 0)
    for worker in range(len(totals)):
        value += totals[worker]
        control[STATUS] = max(control[STATUS], statuses[worker, 0])
    step_losses[control[STEP]] = value
    if not math.isfinite(value):
        control[STATUS] = LOSS_NOT_FINITE
