"""Progress of a fit: a bar in a terminal or a notebook, and scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from layernet.estimators.tables.member import Member
from layernet.training.callbacks import progress_bar


@contextmanager
def progress_of(
    n_networks: int,
    verbose: Any,
    estimator: Any,
    context: Any,
    X: Any,
    y: Any,
    fitted_attributes: Callable[[list[Member]], dict[str, Any]],
) -> Iterator[Callable[[Member], bool]]:
    """Give a function that is called with each network once it is trained.

    Parameters
    ----------
    n_networks : int
    verbose : bool or int
        Whether to show a bar.
    estimator : TabularEstimator
    context : sklearn.callback.CallbackContext
        Of the whole fit. Each network is a task of it; the tasks follow each other in the order of the
        networks, also if several networks are trained at a time.
    X, y
        The data, as they were given to `fit`.
    fitted_attributes : callable
        Function of the networks that are trained. Returns what scikit-learn's callbacks need to make a fitted
        estimator of them.

    Yields
    ------
    callable
        Returns whether a callback asked to stop.
    """
    has_callbacks = bool(context._callbacks)
    members: list[Member] = []
    task: Any = None

    def begin_task() -> None:
        nonlocal task
        task = context.subcontext(task_name="network")
        task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def on_member(member: Member) -> bool:
        bar.set_postfix({"fold": member.fold, "best epoch": member.best_epoch})
        bar.update()
        if not has_callbacks:
            return False
        members.append(member)
        stops = task.call_on_fit_task_end(
            estimator=estimator, X=X, y=y, reconstruction_attributes=lambda: fitted_attributes(members)
        )
        if not stops and len(members) < n_networks:
            begin_task()
        return bool(stops)

    context.max_subtasks = n_networks
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    if has_callbacks:
        begin_task()
    with progress_bar(total=n_networks, desc="networks", disable=not verbose) as bar:
        yield on_member
