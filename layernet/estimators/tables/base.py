"""Base class of the estimators for tables: the path of a fit from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags, _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, _check_y, check_consistent_length, check_is_fitted

from layernet.engine.choice import ENGINES, check_engine
from layernet.engine.threads import only_one_thread
from layernet.estimators.folds import (
    Fold,
    checked_groups,
    folds_of_distinct_rows,
    given_folds,
    keys_of_folds,
    random_folds,
)
from layernet.estimators.numeric_data import NotNumericError, require_numbers
from layernet.estimators.rollback import restored_on_error
from layernet.estimators.samples import (
    MISSING_CLASSES,
    as_dense_targets,
    refuse_ragged_labels,
    without_nullable_type,
)
from layernet.estimators.tables.budget import TimeLimit
from layernet.estimators.tables.columns import WHO
from layernet.estimators.tables.encoder import TableEncoder
from layernet.estimators.tables.ensemble import Ensemble, train_members
from layernet.estimators.tables.equal_rows import find_distinct_rows
from layernet.estimators.tables.importance import HeldOutSample
from layernet.estimators.tables.links import Link
from layernet.estimators.tables.member import STOPPED_BY_LIMIT, EncodedTable, Member
from layernet.estimators.tables.progress import progress_of
from layernet.estimators.tables.recipe import PRESETS, choose_recipe
from layernet.estimators.tables.report import ComponentReport, FitReport, NetworkReport, counted
from layernet.estimators.targets import Targets
from layernet.losses.loss import bounded
from layernet.training.callback import Callback, as_callbacks

# Rows that are encoded and predicted at a time: their encoded columns take a few megabytes.
ROWS_OF_BLOCK = 16_384


class TabularEstimator(CallbackSupportMixin, BaseEstimator):
    """Base class of the estimators for tables."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(PRESETS))],
        "categories": ["array-like", None],
        "cv": ["cv_object"],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
        "callbacks": ["array-like", Callback],
        "engine": [StrOptions(set(ENGINES))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _y_is_numeric: ClassVar[bool]

    # --- defined by the two estimators ---

    def _make_targets(self, y: np.ndarray, sample_weight: np.ndarray | None) -> Targets:
        """Return the conversion of y to the networks' targets and back."""
        raise NotImplementedError

    def _make_link(self, targets: np.ndarray) -> Link:
        """Return the conversion of raw outputs to predictions."""
        raise NotImplementedError

    def _decode(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions in the labels or the units of y."""
        raise NotImplementedError

    def _present(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions as `oof_predictions_` has them: probabilities, or numbers in the units of y."""
        raise NotImplementedError

    def _score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the accuracy or R2 of predictions."""
        raise NotImplementedError

    def _takes_linear(self, targets: np.ndarray) -> bool:
        """Return whether a linear model can be mixed with the networks."""
        raise NotImplementedError

    def _keep_residuals(self, table: EncodedTable) -> None:
        """Keep what prediction intervals need."""

    # --- the same for both ---

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Encode the table, train the networks, and mix them.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
            Columns of any type, with missing values; see `TableEncoder`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Of a classifier: labels of any type; for several labels a sample, a column of 0 and 1 for each
            label. Of a regressor: numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0. A sample with weight k counts as k equal samples, unless samples with the same values
            have several targets.
        groups : array-like of shape (n_samples,), default=None
            Samples of a group stay in one fold: measurements of one patient, for example.

        Returns
        -------
        estimator
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If an argument is not valid; an earlier fit stays usable.
        """
        start = time.monotonic()
        self._validate_params()
        context = self._init_callback_context(max_subtasks=None)
        with restored_on_error(self):
            self._fit(X, y, sample_weight, groups, start, context)
            context.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=lambda: {"ensemble_": self.ensemble_}
            )
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, start: float, context: Any) -> None:
        # Check the parameters and the data.
        check_engine(self.engine)
        callbacks = as_callbacks(self.callbacks)
        who = type(self).__name__
        y_given, y = y, self._checked_y(y)
        if getattr(X, "ndim", 2) == 2 and hasattr(X, "shape"):
            check_consistent_length(X, y, sample_weight, groups)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
            sample_weight = bounded(sample_weight)[0]
        with errors_of(who):
            encoder = TableEncoder(self.categories).set_output(transform="default")  # an array, in any setting
            self.encoder_ = encoder.fit(X, sample_weight=sample_weight)
            inputs = self.encoder_.transform(X)
        check_consistent_length(inputs, y, groups)
        self.n_features_in_ = self.encoder_.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        self._targets = self._make_targets(y, sample_weight)
        weights = self._targets.sample_weights(y, sample_weight)
        folds: list[Fold] | None = None
        keys = checked_groups(groups, len(y), who)
        is_random = self.cv is None or isinstance(self.cv, Integral)
        if not is_random:
            folds = given_folds(self.cv, X, y, groups, who)
            keys = keys_of_folds(folds, len(y))
        # The scale of the targets is computed from the distinct rows, in their order: sums in another order
        # would have other last digits.
        numbers = y if self._y_is_numeric else self._targets.encode(y, np.dtype(np.float32))
        distinct = find_distinct_rows(inputs, numbers, weights, keys)
        inputs, labels, weights = inputs[distinct.rows], y[distinct.rows], distinct.weights
        if weights is not None and len(weights):
            weights = weights / weights.mean()  # linear models compare weights with their penalty
        self._targets.fit_scale(labels, weights)
        targets = self._targets.encode(labels, np.dtype(np.float32))
        layout, has_classes = self.encoder_.layout_, not self._y_is_numeric
        table = EncodedTable(
            inputs, layout, targets, weights, self._targets.loss, self._targets.n_outputs, has_classes
        )
        seconds = {"encoding": time.monotonic() - start}

        # Train a network for each fold and representation.
        recipe = choose_recipe(self.preset, len(inputs), layout.n_numbers, has_classes)
        seed = int(check_random_state(self.random_state).randint(2**31))
        if folds is None:
            is_stratified = has_classes and targets.ndim == 1
            keys = None if keys is None else keys[distinct.rows]
            folds = random_folds(self.cv, recipe.n_folds, labels, keys, is_stratified, seed, who)
        else:
            folds = folds_of_distinct_rows(folds, distinct.inverse, self.cv, who)
        if self.cv is not None and self.preset != "fast":
            recipe = replace(recipe, n_trained_folds=len(folds))
        limit = TimeLimit(self.time_limit, start)
        recipe, folds = limit.reduced(recipe, table, folds, self.n_jobs, self.engine)
        n_networks = len(recipe.representations) * min(recipe.n_trained_folds, len(folds))
        link = self._make_link(targets)

        def fitted_attributes(members: list[Member]) -> dict[str, Any]:
            return {"ensemble_": Ensemble(table, link, folds, members, with_linear=False)}

        with progress_of(n_networks, self.verbose, self, context, X, y_given, fitted_attributes) as on_member:
            members = train_members(
                table,
                recipe,
                folds,
                seed,
                self.n_jobs,
                callbacks,
                self.engine,
                limit.end_of_networks,
                on_member,
            )
        seconds["networks"] = time.monotonic() - start - sum(seconds.values())

        # Mix them with a linear model.
        has_linear = self._takes_linear(targets) and not limit.is_over()
        with only_one_thread():  # sums over rows have the same last digits in every process
            self.ensemble_ = Ensemble(table, link, folds, members, has_linear)
            self._keep_residuals(table)
        n_used = sum(len(each.members) for each in self.ensemble_.components)
        if n_used < n_networks:
            limit.left_out.append(f"{n_networks - n_used} of {n_networks} networks are left out.")
        if limit.is_over():
            n_late = sum(member.history.stop_message == STOPPED_BY_LIMIT for member in members)
            if n_late:
                limit.left_out.append(f"The last epochs of {counted(range(n_late), 'network')} are left out.")
        if self._takes_linear(targets) and not has_linear:
            limit.left_out.append("The linear model is left out.")
        out_of_fold = self.ensemble_.out_of_fold
        out_of_fold = np.where(distinct.inverse[:, None] >= 0, out_of_fold[distinct.inverse], np.nan)
        self._keep_out_of_fold(out_of_fold, y, sample_weight)
        self._sample = HeldOutSample(table, folds, self.ensemble_, seed)
        self._importances: np.ndarray | None = None
        seconds["mixture"] = time.monotonic() - start - sum(seconds.values())
        self.report_ = self._make_report(len(y), table, folds, seconds, limit.left_out)

    def _checked_y(self, y: Any) -> np.ndarray:
        who = type(self).__name__
        refuse_ragged_labels(y)
        if y is None:
            raise ValueError(f"This {who} estimator requires y to be passed, but the target y is None.")
        if self._y_is_numeric:
            try:
                y = require_numbers(y, "y")
            except NotNumericError as error:
                raise NotNumericError(f"{who}: {error} For labels, use TabularClassifier.") from None
        entries = np.asarray(y)
        if entries.dtype == object and entries.ndim and len(entries):
            is_missing = [type(each).__name__ in MISSING_CLASSES or each != each for each in entries.ravel()]
            if any(is_missing):
                raise ValueError(
                    f"{who}: Input y contains NaN or None: {sum(is_missing)} missing values, the first in row "
                    f"{is_missing.index(True) // (entries.size // len(entries))}. Drop these rows."
                )
        elif entries.dtype.kind == "f" and not np.isfinite(entries).all():
            n_missing, row = int(np.isnan(entries).sum()), int(np.argwhere(~np.isfinite(entries))[0][0])
            found = f"NaN: {n_missing} missing values" if n_missing else "infinity"
            raise ValueError(f"{who}: Input y contains {found}, the first in row {row}. Drop these rows.")
        y = _check_y(without_nullable_type(y), multi_output=True, y_numeric=self._y_is_numeric, estimator=self)
        return as_dense_targets(y, who, accept_sparse=not self._y_is_numeric)

    def _keep_out_of_fold(self, predictions: np.ndarray, y: np.ndarray, sample_weight: Any) -> None:
        """Store `oof_predictions_` and `oof_score_`."""
        rows = np.flatnonzero(~np.isnan(predictions[:, 0]))
        self.oof_predictions_ = self._present(predictions)
        weights = None if sample_weight is None else sample_weight[rows]
        self.oof_score_ = self._score(y[rows], predictions[rows], weights)

    def _predictions(self, X: Any) -> np.ndarray:
        """Return the mixture's predictions, before they are decoded."""
        check_is_fitted(self)
        return self._compute(self.ensemble_.predict, X)

    def _compute(self, function: Callable[[np.ndarray], np.ndarray], X: Any) -> np.ndarray:
        """Return a function of encoded rows, computed for some rows at a time to bound the memory."""
        with errors_of(type(self).__name__):
            return np.concatenate([function(self.encoder_.transform(rows)) for rows in blocks_of_rows(X)])

    def _make_report(
        self,
        n_rows: int,
        table: EncodedTable,
        folds: list[Fold],
        seconds: dict[str, float],
        left_out: list[str],
    ) -> FitReport:
        ensemble = self.ensemble_
        n_scored_rows = int(np.isfinite(self.oof_predictions_.reshape(n_rows, -1)[:, 0]).sum())
        components = [
            ComponentReport(each.name, each.weight, each.loss, each.temperature) for each in ensemble.components
        ]
        components.append(ComponentReport("linear", ensemble.linear_weight, ensemble.linear_loss, 1.0))
        networks = []
        for component in ensemble.components:
            for member in component.members:
                rows = folds[member.fold].held_out_rows
                predictions = ensemble.link.predictions(member.outputs, component.temperature)
                loss = ensemble.link.mean_loss(predictions, table.targets[rows], table.weights_of(rows))
                networks.append(
                    NetworkReport(
                        component.name, member.fold, loss, member.best_epoch,
                        len(member.history["loss"]), member.seconds, member.history["criterion"],
                    )
                )  # fmt: skip
        return FitReport(
            self.preset, n_rows, len(table.inputs), n_scored_rows, self.encoder_.columns_, components, networks,
            "R2" if self._y_is_numeric else "accuracy", self.oof_score_, ensemble.loss, seconds, left_out,
        )  # fmt: skip

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importance of each column of the table: the increase of the loss if its values are permuted.

        Each network predicts rows that it was not trained on, at most 1,000 in all. Computed when it is first
        read, as an array of shape (n_features,) with sum 1.
        """
        check_is_fitted(self)
        if self._importances is None:
            outputs = [column.outputs for column in self.encoder_.columns_]
            self._importances = self._sample.importances(self.ensemble_, outputs)
        return self._importances

    @property
    def partial_fit(self) -> Any:
        """Not available: scales, folds and epochs are chosen from all rows."""
        other = "NetworkRegressor" if self._y_is_numeric else "NetworkClassifier"
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit: its scales, folds and epochs are chosen from all rows. "
            f"Fit it anew on all of them, or use {other}.partial_fit with a network of your own."
        )

    def _html_repr(self) -> str:
        parameters = super()._html_repr()
        return parameters + self.report_._repr_html_() if self.__sklearn_is_fitted__() else parameters

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and self.__sklearn_is_fitted__():
            svg = self.report_.svg()
            bundle |= {"image/svg+xml": svg} if svg else {}
        return bundle

    def __sklearn_is_fitted__(self) -> bool:
        return "ensemble_" in vars(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


@contextmanager
def errors_of(who: str) -> Iterator[None]:
    """Let errors of the encoder name the estimator that the user has called."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = tuple(each.replace(WHO, who) if isinstance(each, str) else each for each in error.args)
        raise


def blocks_of_rows(X: Any) -> Iterator[Any]:
    """Yield the rows of a table in blocks of equal size, or the table itself if it has few rows."""
    n_rows = X.shape[0] if len(getattr(X, "shape", ())) == 2 else 0
    if n_rows <= ROWS_OF_BLOCK:
        yield X
        return
    X = X.tocsr() if issparse(X) else X
    ends = np.linspace(0, n_rows, 1 + math.ceil(n_rows / ROWS_OF_BLOCK)).astype(int).tolist()
    for start, end in pairwise(ends):
        yield _safe_indexing(X, slice(start, end))
