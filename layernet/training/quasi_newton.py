"""L-BFGS for many parameters: two passes over the memory in each step, and no copies beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layernet.engine.threads import blas_on_one_thread
from layernet.training.history import StopReason
from layernet.training.line_search import LONGEST_STEP, Point, search

N_PAIRS = 10
# Training is done when an iteration lowers the loss by less than this part of it.
SMALLEST_GAIN = 2.220446049250313e-09
BLOCK = 2**14


class Memory:
    """The last changes s of the parameters and y of the gradient, and all of their products that are needed.

    Parameters
    ----------
    size : int
        Of a vector.
    """

    def __init__(self, size: int):
        # Zeros take memory when they are overwritten: a short training has no more pairs than it made.
        self.vectors = np.zeros((2 * N_PAIRS, size))
        self.products = np.zeros((2 * N_PAIRS, 2 * N_PAIRS))  # of row i and row j, where j is a y
        self.places: list[int] = []  # of the pairs, from the oldest on

    def forget(self) -> None:
        """Start anew from the gradient's direction."""
        self.places = []

    def add(self, step: float, direction: np.ndarray, change: np.ndarray) -> None:
        """Take in a pair, s = step * direction and y = change, in the place of the oldest."""
        place = self.places.pop(0) if len(self.places) == N_PAIRS else len(self.places)
        self.places.append(place)
        np.multiply(direction, step, out=self.vectors[2 * place])
        self.vectors[2 * place + 1] = change
        self._newest = 2 * place + 1

    @blas_on_one_thread()  # what takes time is to read the memory, and a second thread waits for it as well
    def direction(self, gradient: np.ndarray, out: np.ndarray) -> None:
        """out = -H gradient, H being the inverse Hessian that the pairs make of a multiple of the identity."""
        if not self.places:
            np.negative(gradient, out=out)
            return
        used = 2 * len(self.places)
        along = np.zeros((2 * N_PAIRS, 2))  # products of all vectors with the gradient and the newest y
        newest = self.vectors[self._newest]
        for start in range(0, len(gradient), BLOCK):
            block = slice(start, start + BLOCK)
            vectors = self.vectors[:used, block]
            along[:used, 0] += vectors @ gradient[block]
            along[:used, 1] += vectors @ newest[block]
        self.products[:, self._newest] = self.products[self._newest, :] = along[:, 1]
        own, shares = self._combination(along[:, 0])
        for start in range(0, len(gradient), BLOCK):
            block = slice(start, start + BLOCK)
            np.multiply(gradient[block], -own, out=out[block])
            out[block] -= shares[:used] @ self.vectors[:used, block]

    def _combination(self, along):
        """H gradient = own * gradient + shares @ vectors, by Nocedal's two loops over products alone."""
        products, shares = self.products, np.zeros(2 * N_PAIRS)
        for place in reversed(self.places):
            s, y = 2 * place, 2 * place + 1
            shares[y] = -(along[s] + products[s] @ shares) / products[s, y]
        s, y = self._newest - 1, self._newest
        own = products[s, y] / products[y, y]
        shares *= own
        for place in self.places:
            s, y = 2 * place, 2 * place + 1
            alpha = -shares[y] / own
            # Of the changes s only those of older pairs have shares yet: all products with y are known.
            shares[s] = alpha - (own * along[y] + products[y] @ shares) / products[s, y]
        return own, shares


def minimize_many(
    plan: Any,
    loss_and_gradient: Callable[[], tuple[float, np.ndarray]],
    end_iteration: Callable[[float], bool],
    max_iterations: int,
    max_evaluations: int,
    tol: float,
) -> tuple[StopReason, str]:
    """Minimize a function of many parameters, as SciPy's L-BFGS-B does where there are no bounds, to rounding.

    Each iteration reads the memory twice, while SciPy's reads it several times as often and copies every vector
    that it is given. For a network of 4 million weights it takes a third of the time, and half of the memory.

    Parameters
    ----------
    plan : FormulaPlan
        Whose `parameters`, of float64, are moved.
    loss_and_gradient : callable
        Returns the loss and the gradient at the plan's parameters; it may use the gradient's array again.
    end_iteration : callable
        Of the loss, after every iteration, when the parameters are those that it came to; returns whether to
        stop. Parameters that it changes are put back.
    max_iterations, max_evaluations : int
    tol : float
        Training is done when no entry of the gradient is larger.

    Returns
    -------
    reason : str
        "converged" if a minimum was found, "epochs_done" or "evaluations_done" at a limit, "no_descent" if no
        step was found that lowers the loss, "callback" if `end_iteration` asked to stop.
    message : str

    References
    ----------
    Liu and Nocedal (1989), On the limited memory BFGS method for large scale optimization.
    """
    parameters = plan.parameters
    memory = Memory(len(parameters))
    loss, gradient = loss_and_gradient()
    gradient, direction, start = gradient.copy(), np.empty_like(parameters), parameters.copy()
    n_evaluations, n_iterations, found = 1, 0, None
    if largest(gradient) <= tol:
        return "converged", "CONVERGENCE: NORM OF GRADIENT <= TOL"

    def along(step):
        nonlocal n_evaluations, found
        np.multiply(direction, step, out=parameters)
        parameters[:] += start
        value, slopes = loss_and_gradient()
        n_evaluations += 1
        found = slopes
        return value, float(slopes @ direction)

    reason: StopReason | None = None
    message = ""
    while reason is None:
        memory.direction(gradient, direction)
        slope = float(gradient @ direction)
        first = min(1 / float(np.linalg.norm(direction)), LONGEST_STEP) if n_iterations == 0 else 1.0
        reached = search(along, Point(0.0, loss, slope), first) if slope < 0 else None
        if reached is None and memory.places:
            memory.forget()
            continue
        if reached is None:
            reason, message = "no_descent", "ABNORMAL: no step lowers the loss"
            break
        change = found - gradient
        gradient[:], start[:] = found, parameters
        before, loss = loss, reached.value
        n_iterations += 1
        if end_iteration(loss):
            reason = "callback"
            break
        if n_iterations >= max_iterations:
            reason, message = "epochs_done", "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
        elif n_evaluations > max_evaluations:
            reason, message = "evaluations_done", "STOP: TOTAL NO. OF F,G EVALUATIONS EXCEEDS LIMIT"
        elif largest(gradient) <= tol:
            reason, message = "converged", "CONVERGENCE: NORM OF GRADIENT <= TOL"
        elif before - loss <= SMALLEST_GAIN * max(abs(before), abs(loss), 1.0):
            reason, message = "converged", "CONVERGENCE: RELATIVE REDUCTION OF THE LOSS <= 2.2e-09"
        curvature = (reached.slope - slope) * reached.step
        if curvature > np.finfo(float).eps * -slope * reached.step:
            memory.add(reached.step, direction, change)
    parameters[:] = start
    return reason, message


def largest(vector: np.ndarray) -> float:
    """The largest absolute value of a vector, without a copy of it."""
    return max(float(vector.max()), -float(vector.min()))
