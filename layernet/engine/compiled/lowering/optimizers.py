"""From optimizers to instructions: how a step moves the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels import optimizers as kernels
from layernet.engine.compiled.program import Program
from layernet.engine.compiled.settings import NotASettingError
from layernet.engine.threads import MANY_WEIGHTS, share
from layernet.optimizers import SGD, Adagrad, Adam, AdamW, Lion, NAdam, Optimizer, RMSProp


class Update(NamedTuple):
    """How an optimizer's formula is carried out.

    Attributes
    ----------
    kernel : Kernel
        Of (parameters, gradients, table, *slots).
    columns : callable
        Of (learning rates, numbers of the steps), arrays with an entry for each step of a run; returns the
        columns of the table, each an array or a number.
    remember : callable
        Called after a run with the number of its steps, for what the optimizer keeps beside its vectors.
    """

    kernel: Kernel
    columns: Callable[[np.ndarray, np.ndarray], tuple]
    remember: Callable[[int], None] = lambda n_steps: None


def of_sgd(sgd: SGD) -> Update:
    """With or without momentum."""
    if not sgd.momentum:
        return Update(kernels.descend, lambda rates, steps: (rates,))
    return Update(
        kernels.descend_with_momentum,
        lambda rates, steps: (rates * (1 - sgd.dampening), sgd.momentum, float(sgd.nesterov)),
    )


def of_adam(adam: Adam) -> Update:
    """With its averages corrected in the learning rate and in epsilon, as in `Adam.move`."""

    def columns(rates, steps):
        root = np.sqrt(1 - adam.beta_2**steps)
        epsilon = adam.epsilon * root if adam.correct_epsilon else adam.epsilon
        corrected = rates * root / (1 - adam.beta_1**steps)
        return corrected, epsilon, adam.beta_1, 1 - adam.beta_1, adam.beta_2, 1 - adam.beta_2

    return Update(kernels.adam_of_largest if adam.amsgrad else kernels.adam, columns)


def of_nadam(nadam: NAdam) -> Update:
    """With its products of momenta worked out step by step."""
    of_run: list[tuple[int, float]] = []

    def columns(rates, steps):
        now = np.array([nadam._momentum(step) for step in steps])
        ahead = np.array([nadam._momentum(step + 1) for step in steps])
        product = np.array(nadam.momentum_products(int(steps[0]), len(steps)))
        of_run[:] = zip(steps.tolist(), product.tolist(), strict=True)
        of_gradient = rates * (1 - now) / (1 - product)
        of_mean = rates * ahead / (1 - product * ahead)
        correction = 1 / (1 - nadam.beta_2**steps)
        return of_gradient, of_mean, correction, nadam.epsilon, 1 - nadam.beta_1, 1 - nadam.beta_2

    def remember(n_steps):
        nadam._product = of_run[n_steps - 1]

    return Update(kernels.nadam, columns, remember)


UPDATES: dict[type[Optimizer], Callable[[Optimizer], Update]] = {
    SGD: of_sgd,
    Adam: of_adam,
    AdamW: of_adam,
    NAdam: of_nadam,
    RMSProp: lambda rmsprop: Update(
        kernels.rmsprop, lambda rates, steps: (rates, rmsprop.epsilon, 1 - rmsprop.rho)
    ),
    Adagrad: lambda adagrad: Update(kernels.adagrad, lambda rates, steps: (rates, adagrad.epsilon)),
    Lion: lambda lion: Update(
        kernels.lion, lambda rates, steps: (rates, lion.beta_1, 1 - lion.beta_1, 1 - lion.beta_2)
    ),
}


def has_kernel(optimizer: Optimizer, program: Program) -> bool:
    """Whether there is a kernel that can use all settings of an optimizer, which are watched then."""
    if type(optimizer) not in UPDATES or "move" in vars(optimizer) or "step" in vars(optimizer):
        return False
    try:
        for name in optimizer.configuration():
            if name != "learning_rate":  # looked up anew before every run of steps
                program.setting(optimizer, name)
    except NotASettingError:
        return False
    return True


def add_update(
    optimizer: Optimizer,
    program: Program,
    parameters: np.ndarray,
    decay_mask: np.ndarray | None,
    parts: list[slice],
    longest_run: int,
) -> Callable[[int], None]:
    """Add the instructions that move some of the parameters.

    Parameters
    ----------
    optimizer : Optimizer
    program : Program
    parameters : ndarray of shape (n_parameters,)
    decayed : ndarray of shape (n_parameters,) or None
        1 where weight decay applies; None for everywhere.
    parts : list of slice
        Of the parameters: what this worker moves.
    longest_run : int
        Steps that are done in one go at the most.

    Returns
    -------
    callable
        Of the number of steps of a run that is about to begin: fills the table.
    """
    gradients = program.team.gradients[0]
    has_other_memory = any(slot.dtype != parameters.dtype for slot in optimizer._memory_for(parameters))
    if not has_kernel(optimizer, program) or has_other_memory:
        sharing = share if len(parameters) > MANY_WEIGHTS else None
        program.do_in_python(lambda rows: optimizer.move_all(parameters, gradients, decay_mask, None, sharing))
        return lambda n_steps: None
    kernel, columns, remember = UPDATES[type(optimizer)](optimizer)
    coupled = 0.0 if optimizer.decoupled else optimizer.weight_decay
    limits = [math.inf if limit is None else limit for limit in (optimizer.clip_value, optimizer.clip_norm)]
    is_prepared = coupled or any(limit < math.inf for limit in limits)
    lengths, constants = program.shared(1), program.constants(*limits, coupled)
    if optimizer.clip_norm is not None:
        program.do(kernels.start_measuring, lengths)
        for part in parts:
            program.do(kernels.measure, program.vector(gradients[part]), lengths, constants)
        program.meet()
    slots = [program.watch(lambda name=name: (optimizer._memory or {}).get(name)) for name in optimizer.slots]
    decays = program.fixed(longest_run, 1)
    table = program.fixed(longest_run, len(columns(np.ones(1), np.ones(1, np.int64))))
    for part in parts:
        values, pushes = program.vector(parameters[part]), program.vector(gradients[part])
        where = program.vector(
            np.ones_like(parameters[part]) if decay_mask is None else decay_mask[part].astype(parameters.dtype)
        )
        if is_prepared:
            prepared = program.fixed(*pushes.shape)
            program.do(kernels.prepare, pushes, values, where, prepared, lengths, constants)
            pushes = prepared
        if optimizer.decoupled and optimizer.weight_decay:
            program.do(kernels.decay_parameters, values, where, decays)
        program.do(kernel, values, pushes, table, *(program.vector(slot[part]) for slot in slots))
    rates = np.zeros(longest_run)

    def begin(n_steps):
        done = optimizer.steps
        rate = optimizer.learning_rate
        rates[:n_steps] = [rate(done + i) for i in range(n_steps)] if callable(rate) else rate
        steps = np.arange(done + 1, done + n_steps + 1)
        decays[:n_steps, 0] = rates[:n_steps] * optimizer.weight_decay
        for index, column in enumerate(columns(rates[:n_steps], steps)):
            table[:n_steps, index] = column

    def end(n_steps):
        if n_steps:
            optimizer.steps += n_steps
            remember(n_steps)
            optimizer.last_learning_rate = float(rates[n_steps - 1])

    program.after_a_run(end)
    return begin
