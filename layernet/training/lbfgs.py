"""Training by L-BFGS: every step uses all rows, and a line search finds its size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from layernet.engine.formulas import FormulaPlan
from layernet.engine.plan import NotFiniteError
from layernet.training.callback import Callback, call
from layernet.training.data import TrainingData
from layernet.training.divergence import divergence_error
from layernet.training.history import StopReason
from layernet.training.quasi_newton import minimize_many
from layernet.training.run import Run, note, note_end
from layernet.training.watched_arrays import may_write

# SciPy's L-BFGS-B gives the same digits as scikit-learn. With more parameters its own work takes a fifth of the
# time or more (20,000 one-hot rows, 50,000 parameters): it copies and rereads every vector.
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
    """Minimize the loss of a network on all data.

    Parameters
    ----------
    run : Run
        `run.epochs` limits the iterations. The history gets a row for each, and the reason why they ended.
    plan : FormulaPlan
        Plan without an optimizer, of a network of float64, whose precision a line search needs.
    data : TrainingData
    validate : callable or None
        Called after every iteration; the columns that it returns are added to the history.
    callbacks : list of Callback
    max_evaluations : int
        Limit on the evaluations of the loss.
    tol : float
        Converged if no entry of the gradient is larger in absolute value.

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

    def loss_and_gradient() -> tuple[float, np.ndarray]:
        try:
            loss, _ = plan.gradients_of(*batch)
        except NotFiniteError as reason:
            raise divergence_error(reason, run, data) from None
        return loss, plan.gradients

    def end_iteration(loss: float) -> bool:
        note(run, epoch=run.epoch + 1)
        with plan.network.inference_mode():
            run.history.begin_row()
            call(callbacks, "on_epoch_begin", run)
            if may_write(callbacks):
                data.watched_arrays.refuse_changes()
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
    """Do as `minimize_many` by SciPy's L-BFGS-B, which gives the same digits as scikit-learn."""
    import scipy.optimize

    # Weights first, then biases, as scikit-learn: the order affects the last digit of sums over parameters.
    order = np.argsort(~plan.network.decay_mask, kind="stable")

    def function(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        plan.parameters[order] = parameters
        loss, gradient = loss_and_gradient()
        return loss, gradient[order]

    def callback(intermediate_result: Any) -> None:
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
