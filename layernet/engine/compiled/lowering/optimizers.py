"""Lowering of optimizers: the instructions that update the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels import optimizers as kernels
from layernet.engine.compiled.program import Program
from layernet.engine.dependencies import NotASettingError
from layernet.optimizers import SGD, Adagrad, Adam, AdamW, Lion, NAdam, Optimizer, RMSProp


class Update(NamedTuple):
    """Kernel of an optimizer, and the numbers that it needs in each step.

    Attributes
    ----------
    kernel : Kernel
        Its operands are (parameters, gradients, table, *slots). The table has a row for each step of a call of
        the machine.
    columns : callable
        Returns the columns of the table, each an array or a number. Its arguments are the learning rates and
        the numbers of the steps: arrays with an entry for each step of the call.
    store_state : callable
        Stores the state that the optimizer keeps besides its vectors, after each call of the machine. Its
        argument is the number of steps of the call.
    """

    kernel: Kernel
    columns: Callable[[np.ndarray, np.ndarray], tuple[Any, ...]]
    store_state: Callable[[int], None] = lambda n_steps: None


def sgd_update(sgd: SGD) -> Update:
    """Return the update of SGD, with or without momentum."""
    if not sgd.momentum:
        return Update(kernels.sgd, lambda rates, steps: (rates,))
    return Update(
        kernels.sgd_momentum,
        lambda rates, steps: (rates * (1 - sgd.dampening), sgd.momentum, float(sgd.nesterov)),
    )


def adam_update(adam: Adam) -> Update:
    """Return the update of Adam and AdamW. The rate and epsilon contain the bias correction."""

    def columns(rates: np.ndarray, steps: np.ndarray) -> tuple[Any, ...]:
        root = np.sqrt(1 - adam.beta_2**steps)
        epsilon = adam.epsilon * root if adam.correct_epsilon else adam.epsilon
        corrected = rates * root / (1 - adam.beta_1**steps)
        return corrected, epsilon, adam.beta_1, 1 - adam.beta_1, adam.beta_2, 1 - adam.beta_2

    return Update(kernels.amsgrad if adam.amsgrad else kernels.adam, columns)


def nadam_update(nadam: NAdam) -> Update:
    """Return the update of NAdam, with the product of its momenta for each step."""
    products: list[tuple[int, float]] = []  # (step, product) for the steps of the last call

    def columns(rates: np.ndarray, steps: np.ndarray) -> tuple[Any, ...]:
        momentum = np.array([nadam._momentum(step) for step in steps])
        next_momentum = np.array([nadam._momentum(step + 1) for step in steps])
        product = np.array(nadam.momentum_products(int(steps[0]), len(steps)))
        products[:] = zip(steps.tolist(), product.tolist(), strict=True)
        gradient_rate = rates * (1 - momentum) / (1 - product)
        mean_rate = rates * next_momentum / (1 - product * next_momentum)
        correction = 1 / (1 - nadam.beta_2**steps)
        return gradient_rate, mean_rate, correction, nadam.epsilon, 1 - nadam.beta_1, 1 - nadam.beta_2

    def store_state(n_steps: int) -> None:
        nadam._momentum_product = products[n_steps - 1]

    return Update(kernels.nadam, columns, store_state)


# For each optimizer with a kernel a function that returns its update.
UPDATES: dict[type[Optimizer], Callable[[Any], Update]] = {
    SGD: sgd_update,
    Adam: adam_update,
    AdamW: adam_update,
    NAdam: nadam_update,
    RMSProp: lambda rmsprop: Update(
        kernels.rmsprop, lambda rates, steps: (rates, rmsprop.epsilon, 1 - rmsprop.rho)
    ),
    Adagrad: lambda adagrad: Update(kernels.adagrad, lambda rates, steps: (rates, adagrad.epsilon)),
    Lion: lambda lion: Update(
        kernels.lion, lambda rates, steps: (rates, lion.beta_1, 1 - lion.beta_1, 1 - lion.beta_2)
    ),
}


def has_kernel(optimizer: Optimizer, program: Program) -> bool:
    """Return whether a kernel can use all settings of an optimizer. The program then depends on them."""
    if type(optimizer) not in UPDATES or "move" in vars(optimizer) or "step" in vars(optimizer):
        return False
    try:
        for name in optimizer.configuration():
            if name != "learning_rate":  # read again before every call of the machine
                program.setting(optimizer, name)
    except NotASettingError:
        return False
    return True


def emit_update(
    optimizer: Optimizer,
    program: Program,
    parameters: np.ndarray,
    decay_mask: np.ndarray | None,
    learning_rate_factors: np.ndarray | None,
    segments: list[slice],
    max_steps: int,
) -> Callable[[int], None]:
    """Add the instructions that update some of the parameters.

    Parameters
    ----------
    optimizer : Optimizer
    program : Program
    parameters : ndarray of shape (n_parameters,)
    decay_mask : ndarray of shape (n_parameters,) or None
        1 where weight decay applies; None for everywhere.
    learning_rate_factors : ndarray of shape (n_parameters,) or None
        Factors of the learning rate; None for 1.
    segments : list of slice
        The parameters that this worker updates.
    max_steps : int
        Largest number of steps in a call of the machine.

    Returns
    -------
    callable
        Fills the tables before a call of the machine; its argument is the call's number of steps.
    """
    gradients = program.gradients
    slots_differ_in_type = any(slot.dtype != parameters.dtype for slot in optimizer._memory_for(parameters))
    if not has_kernel(optimizer, program) or slots_differ_in_type:
        program.emit_python(
            lambda rows: optimizer.move_all(
                parameters, gradients, decay_mask, learning_rate_factors=learning_rate_factors
            )
        )
        return lambda n_steps: None
    kernel, columns, store_state = UPDATES[type(optimizer)](optimizer)
    coupled_decay = 0.0 if optimizer.decoupled else optimizer.weight_decay
    limits = [math.inf if limit is None else limit for limit in (optimizer.clip_value, optimizer.clip_norm)]
    changes_gradients = coupled_decay or any(limit < math.inf for limit in limits)
    norms, constants = program.worker_rows(1), program.constants(*limits, coupled_decay)
    if optimizer.clip_norm is not None:
        program.emit(kernels.reset_norms, norms)
        for segment in segments:
            program.emit(kernels.measure_norm, program.as_matrix(gradients[segment]), norms, constants)
        program.barrier()
    memory = program.dependencies.add_object(optimizer, "_memory") or {}
    slots = [memory[name] for name in optimizer.slots]
    # A row for each step of a call, and a table for each factor of the learning rate.
    n_columns = len(columns(np.ones(1), np.ones(1, np.int64)))
    tables: dict[float, tuple[np.ndarray, np.ndarray]] = {}
    for segment, factor in parts_of_equal_factor(segments, learning_rate_factors):
        if factor not in tables:
            tables[factor] = program.zeros(max_steps, n_columns), program.zeros(max_steps, 1)
        table, decays = tables[factor]
        values, step_gradients = program.as_matrix(parameters[segment]), program.as_matrix(gradients[segment])
        mask = program.as_matrix(
            np.ones_like(parameters[segment])
            if decay_mask is None
            else decay_mask[segment].astype(parameters.dtype)
        )
        if changes_gradients:
            prepared = program.zeros(*step_gradients.shape)
            program.emit(kernels.clip_and_decay, step_gradients, values, mask, prepared, norms, constants)
            step_gradients = prepared
        if optimizer.decoupled and optimizer.weight_decay:
            program.emit(kernels.decay_parameters, values, mask, decays)
        program.emit(
            kernel, values, step_gradients, table, *(program.as_matrix(slot[segment]) for slot in slots)
        )
    rates = np.zeros(max_steps)

    def begin_call(n_steps: int) -> None:
        steps_done = optimizer.steps
        rate = optimizer.learning_rate
        rates[:n_steps] = [rate(steps_done + i) for i in range(n_steps)] if callable(rate) else rate
        steps = np.arange(steps_done + 1, steps_done + n_steps + 1)
        for factor, (table, decays) in tables.items():
            own_rates = factor * rates[:n_steps]
            decays[:n_steps, 0] = own_rates * optimizer.weight_decay
            for index, column in enumerate(columns(own_rates, steps)):
                table[:n_steps, index] = column

    def end_call(n_steps: int) -> None:
        if n_steps:
            optimizer.steps += n_steps
            store_state(n_steps)
            optimizer.last_learning_rate = float(rates[n_steps - 1])

    program.after_call(end_call)
    return begin_call


def parts_of_equal_factor(segments: list[slice], factors: np.ndarray | None) -> Iterator[tuple[slice, float]]:
    """Iterate over (part, factor): the parts of the segments in which all factors are equal."""
    for segment in segments:
        if factors is None:
            yield segment, 1.0
            continue
        own_factors = factors[segment]
        changes = np.flatnonzero(own_factors[1:] != own_factors[:-1]) + 1
        for start, stop in pairwise([0, *changes.tolist(), len(own_factors)]):
            if start < stop:
                yield slice(segment.start + start, segment.start + stop), float(own_factors[start])
