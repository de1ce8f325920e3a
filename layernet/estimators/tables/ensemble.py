"""Ensemble of networks, each trained on all folds but one, mixed with a linear model by out-of-fold loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from layernet.estimators.folds import Fold
from layernet.estimators.tables.linear import LinearModel, fit_to_folds
from layernet.estimators.tables.links import Link
from layernet.estimators.tables.member import EncodedTable, Member, train_member
from layernet.estimators.tables.mixture import best_weights, mix, without_margin
from layernet.estimators.tables.recipe import Recipe
from layernet.training.callback import Callback

# In splits by time, networks of early splits know little. On tables whose relations drift, the mean of all
# networks of 5 splits has an error that is larger by 11 to 16 percent than that of the last two.
LEAST_SHARE = 0.75

# So many rows are predicted in double precision. In single precision, the last digits of a row's prediction
# depend on the rows beside it.
FEW_ROWS = 256


@dataclass
class Component:
    """Networks of one representation.

    Attributes
    ----------
    name : str
    members : list of Member
    predictors : list of Member
        Those that predict new rows: trained on at least `LEAST_SHARE` of the rows that another was trained on.
    temperature : float
        Divisor of the outputs.
    weight : float
        In the mixture.
    out_of_fold : ndarray of shape (n_rows, n_outputs)
        Predictions for each row by networks that were not trained on it; NaN for a row that no network was
        held out from.
    loss : float
        Mean loss of these predictions.
    """

    name: str
    members: list[Member]
    predictors: list[Member]
    temperature: float
    weight: float
    out_of_fold: np.ndarray
    loss: float


class Ensemble:
    """Mixture of networks' predictions and a linear model's.

    A representation that a time limit or a callback has left without a network for some fold of the first
    representation is left out: the mixture's weights need predictions of the same rows.

    Attributes
    ----------
    components : list of Component
    linear : object or None
        Linear model, fitted to all rows; None if its weight is 0.
    linear_weight, linear_loss : float
    out_of_fold : ndarray of shape (n_rows, n_outputs)
        Predictions of the mixture for rows that its networks were not trained on.
    """

    def __init__(
        self,
        table: EncodedTable,
        link: Link,
        folds: Sequence[Fold],
        members: Sequence[Member],
        with_linear: bool,
    ) -> None:
        self.link = link
        names = list(dict.fromkeys(member.representation for member in members))
        by_name = {name: [each for each in members if each.representation == name] for name in names}
        needed = {member.fold for member in by_name[names[0]]}
        complete = [name for name in names if needed <= {member.fold for member in by_name[name]}]
        self.components = [self._make_component(name, by_name[name], table, folds) for name in complete]
        held_out = np.logical_and.reduce([~np.isnan(each.out_of_fold[:, 0]) for each in self.components])
        self._choose_weights(table, folds, held_out, with_linear)

    def _make_component(
        self, name: str, members: list[Member], table: EncodedTable, folds: Sequence[Fold]
    ) -> Component:
        n_rows = len(table.inputs)
        sums, counts = np.zeros((n_rows, table.n_outputs)), np.zeros(n_rows)
        for member in members:
            rows = folds[member.fold].held_out_rows
            sums[rows] += member.outputs
            counts[rows] += 1
        rows = np.flatnonzero(counts)
        outputs = sums[rows] / counts[rows, None]
        targets, weights = table.targets[rows], table.weights_of(rows)
        temperature = self.link.fit_temperature(outputs, targets, weights)
        out_of_fold = np.full((n_rows, table.n_outputs), np.nan)
        out_of_fold[rows] = self.link.predictions(outputs, temperature)
        loss = self.link.mean_loss(out_of_fold[rows], targets, weights)
        sizes = [len(folds[member.fold].training_rows) for member in members]
        predictors = [
            each for each, size in zip(members, sizes, strict=True) if size >= LEAST_SHARE * max(sizes)
        ]
        return Component(name, members, predictors, temperature, 1.0, out_of_fold, loss)

    def _choose_weights(
        self, table: EncodedTable, folds: Sequence[Fold], held_out: np.ndarray, with_linear: bool
    ) -> None:
        rows = np.flatnonzero(held_out)
        targets, weights = table.targets[rows], table.weights_of(rows)
        predictions = [component.out_of_fold[rows] for component in self.components]
        self.linear: LinearModel | None = None
        self.linear_weight, self.linear_loss = 0.0, np.nan
        self._linear_of_fold: dict[int, LinearModel] = {}
        fitted = None
        if with_linear:
            used = sorted({member.fold for each in self.components for member in each.members})
            fitted = fit_to_folds(
                table, [folds[index] for index in used], self.link, self.components[0].out_of_fold
            )
        if fitted is not None:
            models, linear = fitted
            self._linear_of_fold = dict(zip(used, models, strict=True))
            predictions.append(linear[rows])
            self.linear_loss = self.link.mean_loss(linear[rows], targets, weights)
        shares = best_weights(
            len(predictions), lambda shares: self.link.mean_loss(mix(shares, predictions), targets, weights)
        )
        if fitted is not None:
            shares = without_margin(shares, max(len(each.predictors) for each in self.components))
            self.linear_weight = float(shares[-1])
            self.linear = LinearModel(table, slice(None)) if self.linear_weight else None
        for component, share in zip(self.components, shares, strict=False):
            component.weight = float(share)
        self.out_of_fold = np.full_like(self.components[0].out_of_fold, np.nan)
        self.out_of_fold[rows] = mix(shares, predictions)
        self.loss = self.link.mean_loss(self.out_of_fold[rows], targets, weights)

    def loss_of_fold(
        self, fold: int, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """Return the mean loss of the models that were not trained on the held-out rows of a fold.

        Parameters
        ----------
        fold : int
        inputs : ndarray of shape (n_rows, n_columns)
            Encoded rows.
        targets : ndarray of shape (n_rows, ...)
        weights : ndarray of shape (n_rows,) or None

        Returns
        -------
        float
        """
        shares, predictions = [], []
        if self.linear is not None:
            shares.append(self.linear_weight)
            predictions.append(self._linear_of_fold[fold].predictions(inputs))
        for component in self.components:
            members = [member for member in component.members if member.fold == fold]
            if members and component.weight:
                outputs = np.mean([member.predict(inputs) for member in members], axis=0)
                predictions.append(self.link.predictions(outputs, component.temperature))
                shares.append(component.weight)
        return self.link.mean_loss(mix(np.array(shares) / np.sum(shares), predictions), targets, weights)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the predictions of the mixture for encoded rows.

        Parameters
        ----------
        inputs : ndarray of shape (n_rows, n_columns), float32

        Returns
        -------
        ndarray of shape (n_rows, n_outputs), float64
        """
        if len(inputs) <= FEW_ROWS:
            inputs = inputs.astype(np.float64)
        total: Any = 0.0
        for component in self.components:
            if not component.weight:
                continue
            for member in component.predictors:
                outputs = member.predict(inputs)
                share = component.weight / len(component.predictors)
                total = total + share * self.link.predictions(outputs, component.temperature)
        if self.linear is not None:
            total = total + self.linear_weight * self.linear.predictions(inputs)
        return self.link.limited(total)


def train_members(
    table: EncodedTable,
    recipe: Recipe,
    folds: Sequence[Fold],
    seed: int,
    n_jobs: int | None = None,
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    deadline: float | None = None,
    on_member: Callable[[Member], bool] = lambda member: False,
) -> list[Member]:
    """Train a network for each representation and fold.

    Each has its own random numbers and one thread, so the networks are the same for any number of jobs.

    Parameters
    ----------
    table : EncodedTable
    recipe : Recipe
    folds : sequence of Fold
    seed : int
    n_jobs : int, default=None
        As in joblib, with threads unless `joblib.parallel_config` says otherwise.
    callbacks : sequence of Callback, default=()
        Copied for each network.
    engine : {"auto", "compiled", "formulas"}, default="auto"
    deadline : float, default=None
        Value of `time.monotonic()` at which networks stop training; those that have not begun by then are left
        out, but for the first.
    on_member : callable
        Called with each network in turn. The networks after it are left out if it returns True.

    Returns
    -------
    list of Member
    """
    tasks = [
        (representation, index)
        for representation in reversed(recipe.representations)
        for index in range(min(recipe.n_trained_folds, len(folds)))
    ]
    seeds = np.random.SeedSequence(seed).spawn(len(tasks))
    members: list[Member] = []
    is_stopped = False
    with joblib.Parallel(n_jobs, prefer="threads", return_as="generator", pre_dispatch="n_jobs") as parallel:
        for member in parallel(
            joblib.delayed(train_member)(
                table, recipe, name, index, *folds[index], own_seed, callbacks, engine, deadline
            )
            for (name, index), own_seed in zip(tasks, seeds, strict=True)
            if not is_stopped and (deadline is None or (name, index) == tasks[0] or time.monotonic() < deadline)
        ):
            if not is_stopped:  # other jobs may have begun by then
                members.append(member)
                is_stopped = on_member(member)
    return members
