"""Time limit of a fit: the recipe is reduced until its networks fit into the time that is left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import joblib
import numpy as np

from layernet.estimators.folds import Fold
from layernet.estimators.tables.member import EncodedTable, train_member
from layernet.estimators.tables.recipe import CYCLE_ENDS, Recipe

# An epoch is measured on more and more rows, until it takes this share of the limit or has the last number of
# rows.
SHARE_OF_TRIAL = 0.02
FIRST_ROWS_OF_TRIAL, MOST_ROWS_OF_TRIAL = 1000, 20_000
# For so many epochs kernels are worth their loading, as they are for the networks. The trial ends after one.
EPOCHS_OF_TRIAL = 10_000
# Share of the limit that networks may take; the rest is for the mixture.
SHARE_OF_NETWORKS = 0.9
# Fewer epochs than the first are worth it before folds are left out, fewer than the second before rows are.
FEW_EPOCHS, FEWEST_EPOCHS = 2 * CYCLE_ENDS[-1], CYCLE_ENDS[-1]


class TimeLimit:
    """Time at which a fit should end.

    Parameters
    ----------
    seconds : float or None
        None for no limit.
    start : float
        `time.monotonic()` at the beginning.

    Attributes
    ----------
    end_of_networks : float or None
        Time at which networks stop training.
    left_out : list of str
        What did not fit into the time, as sentences.
    """

    def __init__(self, seconds: float | None, start: float) -> None:
        self.seconds = seconds
        self.end_of_networks = None if seconds is None else start + SHARE_OF_NETWORKS * seconds
        self.left_out: list[str] = []

    def is_over(self) -> bool:
        """Return whether networks have no time left."""
        return self.end_of_networks is not None and time.monotonic() > self.end_of_networks

    def reduced(
        self, recipe: Recipe, table: EncodedTable, folds: list[Fold], n_jobs: int | None, engine: str
    ) -> tuple[Recipe, list[Fold]]:
        """Return a recipe and folds whose networks take no longer than the time that is left.

        Representations, epochs, folds and training rows are reduced, in this order, as far as is necessary.

        Parameters
        ----------
        recipe : Recipe
        table : EncodedTable
        folds : list of Fold
        n_jobs : int or None
        engine : {"auto", "compiled", "formulas"}

        Returns
        -------
        recipe : Recipe
        folds : list of Fold
            With fewer rows if not even one short training for each job fits.
        """
        if self.end_of_networks is None:
            return recipe, folds
        seconds_per_row = self._measure(recipe, table, folds[0], engine)
        left = self.end_of_networks - time.monotonic()
        n_workers = joblib.effective_n_jobs(n_jobs)
        n_rows = max(len(fold.training_rows) for fold in folds)

        def fits(recipe: Recipe) -> bool:
            n_networks = len(recipe.representations) * recipe.n_trained_folds
            rounds = math.ceil(n_networks / n_workers)
            return rounds * recipe.n_epochs * n_rows * seconds_per_row <= left

        def reduce_while(is_possible: Callable[[Recipe], bool], **changes: Callable[[Recipe], Any]) -> None:
            nonlocal recipe
            while not fits(recipe) and is_possible(recipe):
                recipe = replace(recipe, **{name: change(recipe) for name, change in changes.items()})

        before = recipe = replace(recipe, n_trained_folds=min(recipe.n_trained_folds, len(folds)))
        reduce_while(lambda r: len(r.representations) > 1, representations=lambda r: r.representations[-1:])
        reduce_while(lambda r: r.n_epochs > FEW_EPOCHS, n_epochs=lambda r: r.n_epochs - CYCLE_ENDS[-1])
        reduce_while(lambda r: r.n_trained_folds > n_workers, n_trained_folds=lambda r: r.n_trained_folds - 1)
        reduce_while(lambda r: r.n_epochs > FEWEST_EPOCHS, n_epochs=lambda r: r.n_epochs - CYCLE_ENDS[-1])
        self._note(before, recipe)
        if not fits(recipe):
            share = left / (recipe.n_epochs * n_rows * seconds_per_row)
            n_kept = max(2 * recipe.batch_size, int(n_rows * max(share, 0.0)))
            if n_kept < n_rows:
                random = np.random.default_rng(0)
                share = n_kept / n_rows
                folds = [
                    Fold(*(random.permutation(rows)[: math.ceil(share * len(rows))] for rows in fold))
                    for fold in folds
                ]
                self.left_out.append(f"Each network is trained on {n_kept} of {n_rows} rows.")
        return recipe, folds

    def _measure(self, recipe: Recipe, table: EncodedTable, fold: Fold, engine: str) -> float:
        """Return the seconds that an epoch takes for each training row, with the held-out rows' share of it."""
        trial = replace(recipe, n_epochs=EPOCHS_OF_TRIAL)
        n_rows, has_kernels = FIRST_ROWS_OF_TRIAL, False
        while True:
            rows = fold.training_rows[:n_rows]
            n_held_out = math.ceil(len(rows) / len(fold.training_rows) * len(fold.held_out_rows))
            start = time.monotonic()
            train_member(
                table,
                trial,
                recipe.representations[-1],
                0,
                rows,
                fold.held_out_rows[:n_held_out],
                np.random.SeedSequence(0),
                engine=engine,
                deadline=start,
            )
            seconds = time.monotonic() - start
            if has_kernels:
                is_long = self.seconds is not None and seconds > SHARE_OF_TRIAL * self.seconds
                if is_long or len(rows) < n_rows or n_rows == MOST_ROWS_OF_TRIAL:
                    return seconds / len(rows)
                n_rows = min(4 * n_rows, MOST_ROWS_OF_TRIAL)
            has_kernels = True  # the first trial has loaded them

    def _note(self, before: Recipe, after: Recipe) -> None:
        """Add what was reduced to `left_out`."""
        if len(after.representations) < len(before.representations):
            self.left_out.append(f"The representation {before.representations[0]!r} of numbers is left out.")
        if after.n_trained_folds < before.n_trained_folds:
            counts = f"{after.n_trained_folds} of {before.n_trained_folds}"
            self.left_out.append(f"Networks are trained on {counts} folds.")
        if after.n_epochs < before.n_epochs:
            self.left_out.append(f"Networks are trained for {after.n_epochs} of {before.n_epochs} epochs.")
