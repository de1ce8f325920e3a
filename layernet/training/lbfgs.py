"""Training by L-BFGS: all rows in every step, and a step size that a line search finds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from layernet.engine.formulas import FormulaPlan
from layernet.engine.plan import NotFiniteError
from layernet.training.callbacks import Callback, call
from layernet.training.data import TrainingData
from layernet.training.divergence import divergence
from layernet.training.given import may_write
from layernet.training.history import StopReason
from layernet.training.quasi_newton import minimize_many
from layernet.training.run import Run, note, note_end

# SciPy's L-BFGS-B gives scikit-learn's digits. With more parameters than this it takes a fifth of the time and
# more (20,000 one-hot rows, 50,000 parameters), for what it copies and reads beside the loss.
MANY_PARAMETERS = 30_000


def minimize(
    run: Run,
    plan: FormulaPlan,
    data: TrainingData,
    validate: Callable[[], dict[str, float]] | None,
    callbacks: list[Callback],
    max_evaluations: int,
    tol: float,
) -> None:
    """Move a network's parameters to a minimum of its loss on all data.

    Parameters
    ----------
    run : Run
        At most `run.epochs` iterations are done; the history gets a row for each, and why they ended.
    plan : FormulaPlan
        Without an optimizer; a network of float64, for a line search needs its digits.
    data : TrainingData
    validate : callable or None
        Called after every iteration; the columns that it returns are added to the history.
    callbacks : list of Callback
    max_evaluations : int
        How often the loss is computed at most.
    tol : float
        Training is done when no entry of the gradient is larger.

    Raises
    ------
    DivergenceError
        If a loss or a gradient is not finite.

    References
    ----------
    Byrd, Lu, Nocedal and Zhu (1995), A limited memory algorithm for bound constrained optimization.
    """
    note(run, data=data)
    batch = data.batch(slice(None))

    def loss_and_gradient():
        try:
            loss, _ = plan.gradients_of(*batch)
        except NotFiniteError as reason:
            raise divergence(reason, run, data) from None
        return loss, plan.gradients

    def end_iteration(loss):
        note(run, epoch=run.epoch + 1)
        with plan.network.inference_mode():
            run.history.begin_row()
            call(callbacks, "on_epoch_begin", run)
            if may_write(callbacks):
                data.given.refuse_changes()
            values = {} if validate is None else validate()
            run.history.add(epoch=run.epoch, loss=float(loss), **values)
            call(callbacks, "on_epoch_end", run)
        return run.stop_reason is not None

    with ExitStack() as stack:
        for callback in reversed(callbacks):
            stack.callback(callback.on_train_end, run)
        call(callbacks, "on_train_begin", run)
        with (
            plan.network.training_mode(),
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        ):
            how = minimize_many if len(plan.parameters) > MANY_PARAMETERS else minimize_by_scipy
            reason, message = how(plan, loss_and_gradient, end_iteration, run.epochs, max_evaluations, tol)
    note_end(run, message, reason)


def minimize_by_scipy(
    plan: FormulaPlan,
    loss_and_gradient: Callable[[], tuple[float, np.ndarray]],
    end_iteration: Callable[[float], bool],
    max_iterations: int,
    max_evaluations: int,
    tol: float,
) -> tuple[StopReason, str]:
    """What `minimize_many` does, with scikit-learn's digits; returns the reason for its end and a message."""
    import scipy.optimize

    # Weights first, then biases: the order changes nothing but the last digit of every sum over parameters,
    # which is then scikit-learn's.
    order = np.argsort(~plan.network.decay_mask, kind="stable")

    def function(parameters):
        plan.parameters[order] = parameters
        loss, gradient = loss_and_gradient()
        return loss, gradient[order]

    def callback(intermediate_result):
        plan.parameters[order] = intermediate_result.x
        if end_iteration(intermediate_result.fun):
            raise StopIteration

    result = scipy.optimize.minimize(
        function,
        plan.parameters[order],
        method="L-BFGS-B",
        jac=True,
        callback=callback,
        options={"maxiter": max_iterations, "maxfun": max_evaluations, "gtol": tol},
    )
    plan.parameters[order] = result.x
    limit: StopReason = "epochs_done" if result.nit >= max_iterations else "evaluations_done"
    reasons: dict[int, StopReason] = {0: "converged", 1: limit, 2: "no_descent"}
    # Any other status: `end_iteration` asked to stop.
    return reasons.get(int(result.status), "callback"), str(result.message)
