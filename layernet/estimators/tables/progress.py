"""Progress of a fit: a bar in a terminal or a notebook, and scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm

from layernet.estimators.tables.member import Member


@contextmanager
def progress_of(n_networks: int, context: Any, verbose: Any) -> Iterator[Callable[[Member], None]]:
    """Give a function that is called with each network once it is trained.

    Parameters
    ----------
    n_networks : int
    context : sklearn.callback.CallbackContext
        Each network is a task of it.
    verbose : bool or int
        Whether to show a bar.

    Yields
    ------
    callable
    """
    with tqdm(total=n_networks, desc="networks", disable=not verbose) as bar:

        def on_member(member: Member) -> None:
            bar.set_postfix({"fold": member.fold, "best epoch": member.best_epoch})
            bar.update()

        yield on_member
