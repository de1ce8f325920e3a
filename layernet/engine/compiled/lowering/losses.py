"""Lowering of losses: the loss of each sample, and the gradient with which the backward pass begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from layernet.engine.compiled.buffers import copy_samples
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels import losses as kernels
from layernet.engine.compiled.program import Program, current_batch
from layernet.engine.dependencies import LOSS_METHODS, NotASettingError, plain_values
from layernet.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    HalfPoissonDeviance,
    HalfSquaredError,
    HingeLoss,
    HuberLoss,
    LogLoss,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    PoissonLoss,
    QuantileLoss,
)
from layernet.losses.loss import weighted_gradient, weighted_rows

Setting: TypeAlias = Callable[..., Any]


def label_loss(
    setting: Setting, n_outputs: int, scale: float, smoothing: float
) -> tuple[Kernel, tuple[float, ...]]:
    """Return the kernel of a binary cross-entropy and its constants, with the weights of the labels."""
    constants = scale, 1 - smoothing, smoothing / 2
    positive, negative = (setting(name, plain_values) for name in ("pos_weight", "neg_weight"))
    if positive is None and negative is None:
        return kernels.binary_cross_entropy, constants
    weights = (1.0 if each is None else each for each in (positive, negative))
    of_each = (number for each in weights for number in np.broadcast_to(each, n_outputs).tolist())
    return kernels.weighted_binary_cross_entropy, (*constants, *of_each)


# Losses that are a sum over outputs. Each function returns the kernel and the constants of its formula, given
# a function that reads a setting by its name, and the number n of outputs. The first constant is the scale of
# the sum: 1 / n for a mean over outputs.
ELEMENTWISE_LOSSES: dict[type[Loss], Callable[[Setting, int], tuple[Kernel, tuple[float, ...]]]] = {
    MeanSquaredError: lambda setting, n: (kernels.squared_error, (1 / n,)),
    HalfSquaredError: lambda setting, n: (kernels.squared_error, (0.5,)),
    MeanAbsoluteError: lambda setting, n: (kernels.absolute_error, (1 / n,)),
    HuberLoss: lambda setting, n: (kernels.huber, (1 / n, setting("delta"))),
    QuantileLoss: lambda setting, n: (kernels.quantile, (1 / n, setting("quantile"))),
    PoissonLoss: lambda setting, n: (kernels.poisson, (1 / n,)),
    HalfPoissonDeviance: lambda setting, n: (kernels.poisson_deviance, (1.0,)),
    BinaryCrossEntropy: lambda setting, n: label_loss(setting, n, 1 / n, 0.0),
    LogLoss: lambda setting, n: label_loss(setting, n, 1.0, setting("label_smoothing")),
}  # fmt: skip


def emit_loss(
    loss: Loss,
    program: Program,
    outputs: np.ndarray,
    output_shape: tuple[int, ...],
    targets: np.ndarray,
    factors: np.ndarray,
    losses: np.ndarray,
) -> np.ndarray:
    """Add the instructions that compute the loss of each sample, and its gradient.

    Parameters
    ----------
    loss : Loss
    program : Program
    outputs : ndarray of shape (batch_size, n_outputs)
        The buffer of the network's outputs.
    output_shape : tuple of int
        Of one sample.
    targets : ndarray of shape (batch_size, width)
        The buffer of targets; of int64 for class numbers.
    factors : ndarray of shape (batch_size, 1)
        The buffer of the number that each sample's loss is multiplied by.
    losses : ndarray of shape (batch_size, 1)
        The buffer that the losses are written to.

    Returns
    -------
    ndarray of shape (batch_size, n_outputs)
        The buffer of the gradient with respect to the outputs.
    """
    grad_output = program.sample_buffer(outputs.shape[1])
    if not any(name in vars(loss) for name in LOSS_METHODS):
        program.dependencies.add_plain_settings(loss)
        with suppress(NotASettingError):
            if emit_kernel(loss, program, outputs, output_shape, targets, factors, losses, grad_output):
                return grad_output
    emit_methods(loss, program, outputs, output_shape, factors, losses, grad_output)
    return grad_output


def emit_kernel(
    loss: Loss,
    program: Program,
    outputs: np.ndarray,
    output_shape: tuple[int, ...],
    targets: np.ndarray,
    factors: np.ndarray,
    losses: np.ndarray,
    grad_output: np.ndarray,
) -> bool:
    """Add the kernel of a loss; return whether there is one."""
    n_outputs, setting = outputs.shape[1], partial(program.setting, loss)
    are_classes = targets.dtype == np.int64
    # Formulas that sum over outputs take them in one axis, and refuse others.
    takes_any_shape = not isinstance(loss, (HalfSquaredError, HalfPoissonDeviance, LogLoss))
    is_known = type(loss) in ELEMENTWISE_LOSSES and (takes_any_shape or len(output_shape) == 1)
    if is_known and not are_classes:
        kernel, constants = ELEMENTWISE_LOSSES[type(loss)](setting, n_outputs)
        terms = program.sample_buffer(n_outputs)
        program.emit(
            kernel, outputs, targets, factors, losses, grad_output, terms, program.constants(*constants)
        )
    elif type(loss) is CrossEntropy:
        smoothing = setting("label_smoothing")
        numbers = program.constants(1 - smoothing, smoothing / n_outputs)
        kernel = kernels.cross_entropy_of_classes if are_classes else kernels.cross_entropy_of_probabilities
        program.emit(kernel, outputs, targets, factors, losses, grad_output, numbers)
    elif type(loss) is HingeLoss and are_classes:
        numbers = program.constants(setting("margin"))
        program.emit(kernels.hinge_of_classes, outputs, targets, factors, losses, grad_output, numbers)
    elif type(loss) is HingeLoss:
        numbers, terms = program.constants(1.0, setting("margin")), program.sample_buffer(n_outputs)
        program.emit(kernels.hinge_of_signs, outputs, targets, factors, losses, grad_output, terms, numbers)
    else:
        return False
    return True


def emit_methods(
    loss: Loss,
    program: Program,
    outputs: np.ndarray,
    output_shape: tuple[int, ...],
    factors: np.ndarray,
    losses: np.ndarray,
    grad_output: np.ndarray,
) -> None:
    """Add a call of the loss's own methods, for a loss without a kernel."""

    def compute(rows: int) -> None:
        targets = current_batch(program).targets  # as the loss prepared them
        values, record = loss.record(copy_samples(outputs, rows, output_shape), targets)
        if np.shape(values) != (rows,):
            raise ValueError(
                f"A loss's losses(outputs, targets) must be one number for each sample, got {np.shape(values)}."
            )
        of_rows = factors[:rows, 0]
        losses[:rows, 0] = weighted_rows(values, of_rows)
        gradient = weighted_gradient(loss, record, targets, of_rows, (rows, *output_shape))
        grad_output[:rows] = gradient.reshape(rows, -1)

    program.emit_python(compute)
