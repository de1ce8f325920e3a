"""From losses to instructions: the loss of each sample, and where the way back begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels import losses as kernels
from layernet.engine.compiled.program import Program, copy_of
from layernet.engine.compiled.settings import NotASettingError, plain_values
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


def of_labels(
    setting: Callable, n_outputs: int, scale: float, smoothing: float
) -> tuple[Kernel, tuple[float, ...]]:
    """The kernel of a loss of labels and the constants in its formula, the labels' weights among them."""
    constants = scale, 1 - smoothing, smoothing / 2
    positive, negative = (setting(name, plain_values) for name in ("pos_weight", "neg_weight"))
    if positive is None and negative is None:
        return kernels.binary_cross_entropy, constants
    weights = (1.0 if each is None else each for each in (positive, negative))
    of_each = (number for each in weights for number in np.broadcast_to(each, n_outputs).tolist())
    return kernels.weighted_binary_cross_entropy, (*constants, *of_each)


# For losses that are a sum over outputs: the kernel, and the constants in its formula, given a function that
# reads a setting by name and the number of outputs. A loss that averages over n outputs has the scale 1 / n,
# one that sums 1.
OF_EACH_OUTPUT: dict[type[Loss], Callable] = {
    MeanSquaredError: lambda setting, n: (kernels.squared_error, (1 / n,)),
    HalfSquaredError: lambda setting, n: (kernels.squared_error, (0.5,)),
    MeanAbsoluteError: lambda setting, n: (kernels.absolute_error, (1 / n,)),
    HuberLoss: lambda setting, n: (kernels.huber, (1 / n, setting("delta"))),
    QuantileLoss: lambda setting, n: (kernels.quantile, (1 / n, setting("quantile"))),
    PoissonLoss: lambda setting, n: (kernels.poisson, (1 / n,)),
    HalfPoissonDeviance: lambda setting, n: (kernels.poisson_deviance, (1.0,)),
    BinaryCrossEntropy: lambda setting, n: of_labels(setting, n, 1 / n, 0.0),
    LogLoss: lambda setting, n: of_labels(setting, n, 1.0, setting("label_smoothing")),
}  # fmt: skip

# What somebody may have put on a loss in the place of its class's own.
FORMULAS = ("losses", "gradient", "record", "gradient_from")


def add_loss(
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
        The buffer of what each sample's loss is multiplied by.
    losses : ndarray of shape (batch_size, 1)
        The buffer that the losses go to.

    Returns
    -------
    ndarray of shape (batch_size, n_outputs)
        The buffer of the gradient with respect to the outputs.
    """
    grad_output = program.for_samples(outputs.shape[1])
    if not any(name in vars(loss) for name in FORMULAS):
        program.watch_numbers(loss)
        with suppress(NotASettingError):
            if add_kernel(loss, program, outputs, output_shape, targets, factors, losses, grad_output):
                return grad_output
    add_formula(loss, program, outputs, output_shape, factors, losses, grad_output)
    return grad_output


def add_kernel(loss, program, outputs, output_shape, targets, factors, losses, grad_output):
    """The kernel of a loss; whether there is one."""
    n_outputs, setting = outputs.shape[1], partial(program.setting, loss)
    are_classes = targets.dtype == np.int64
    # Formulas that sum over outputs take them in one axis, and refuse others.
    takes_any_shape = not isinstance(loss, (HalfSquaredError, HalfPoissonDeviance, LogLoss))
    is_known = type(loss) in OF_EACH_OUTPUT and (takes_any_shape or len(output_shape) == 1)
    if is_known and not are_classes:
        kernel, constants = OF_EACH_OUTPUT[type(loss)](setting, n_outputs)
        terms = program.for_samples(n_outputs)
        program.do(kernel, outputs, targets, factors, losses, grad_output, terms, program.constants(*constants))
    elif type(loss) is CrossEntropy:
        smoothing = setting("label_smoothing")
        constants = program.constants(1 - smoothing, smoothing / n_outputs)
        kernel = kernels.cross_entropy_of_classes if are_classes else kernels.cross_entropy_of_probabilities
        program.do(kernel, outputs, targets, factors, losses, grad_output, constants)
    elif type(loss) is HingeLoss and are_classes:
        constants = program.constants(setting("margin"))
        program.do(kernels.hinge_of_classes, outputs, targets, factors, losses, grad_output, constants)
    elif type(loss) is HingeLoss:
        constants, terms = program.constants(1.0, setting("margin")), program.for_samples(n_outputs)
        program.do(kernels.hinge_of_signs, outputs, targets, factors, losses, grad_output, terms, constants)
    else:
        return False
    return True


def add_formula(loss, program, outputs, output_shape, factors, losses, grad_output):
    """A loss that there is no kernel for: its own formulas."""

    def forward(rows):
        wanted = program.batch.targets  # as the loss prepared them
        values, record = loss.record(copy_of(outputs, rows, output_shape), wanted)
        if np.shape(values) != (rows,):
            raise ValueError(
                f"A loss's losses(outputs, targets) must be one number for each sample, got {np.shape(values)}."
            )
        of_rows = factors[:rows, 0]
        losses[:rows, 0] = weighted_rows(values, of_rows)
        gradient = weighted_gradient(loss, record, wanted, of_rows, (rows, *output_shape))
        grad_output[:rows] = gradient.reshape(rows, -1)

    program.do_in_python(forward)
