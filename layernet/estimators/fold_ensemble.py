"""Ensembles of one estimator over folds: FoldEnsembleClassifier, FoldEnsembleRegressor."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, _safe_indexing, check_random_state, get_tags, indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_method_params,
    _check_y,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from layernet.engine.threads import only_one_thread
from layernet.estimators.folds import Fold, checked_groups, given_folds, random_folds
from layernet.estimators.rollback import restored_on_error
from layernet.estimators.samples import without_nullable_type
from layernet.estimators.tables.links import ClassProbabilities, LabelProbabilities, Link

N_FOLDS = 5
MISSING_TARGET = "This {} estimator requires y to be passed, but the target y is None."
# The logarithm of 0 is no logit.
LEAST_PROBABILITY = 1e-12


class Member(NamedTuple):
    """Fitted estimator and its predictions for the fold that it was not trained on."""

    estimator: Any
    predictions: np.ndarray


class FoldEnsemble(MetaEstimatorMixin, BaseEstimator):
    """Base class of the ensembles over folds."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any, cv: Any = None, n_jobs: int | None = None, random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    # --- defined by the two ensembles ---

    def _checked_targets(self, y: Any) -> np.ndarray:
        """Return y as an array."""
        raise NotImplementedError

    def _require_classes(self, folds: list[Fold], y: np.ndarray) -> None:
        """Raise a ValueError if a fold leaves a class without training rows."""

    def _predict_one(self, estimator: Any, X: Any) -> np.ndarray:
        """Return what the ensemble averages: probabilities or numbers."""
        raise NotImplementedError

    def _keep_out_of_fold(self, predictions: np.ndarray, y: np.ndarray, rows: np.ndarray, weights: Any) -> None:
        """Store `oof_predictions_` and `oof_score_`; `rows` have predictions."""
        raise NotImplementedError

    # --- the same for both ---

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator to the training rows of each fold.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
            As the estimator takes it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Given to the estimator's `fit`; `temperature_` and `oof_score_` count it too.
        groups : array-like of shape (n_samples,), default=None
            Samples of a group stay in one fold: those of one patient, or copies of one row.
        **fit_params : dict
            Further arguments of the estimator's `fit`. Those with an entry for each sample are split as `X` is.
            Of a pipeline, the weights are those of a step, such as `ridge__sample_weight`.

        Returns
        -------
        estimator
            This ensemble, fitted.

        Raises
        ------
        ValueError, TypeError
            If a fold has no rows, or no training rows of a class, or an argument is not valid; an earlier fit
            stays usable.
        """
        self._validate_params()
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        for name in fit_params.keys() & {"X_val", "y_val", "sample_weight_val"}:
            raise TypeError(
                f"{type(self).__name__}.fit takes no {name}: each member is validated on its held-out fold."
            )
        with restored_on_error(self):
            self._fit(X, y, groups, fit_params)
        return self

    def _fit(self, X: Any, y: Any, groups: Any, fit_params: dict[str, Any]) -> None:
        who = type(self).__name__
        y = self._checked_targets(y)
        X, y = indexable(X, y)
        group_numbers = checked_groups(groups, len(y), who)
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31))
        if self.cv is None or isinstance(self.cv, Integral):
            n_folds = None if self.cv is None else int(self.cv)
            is_stratified = isinstance(self, ClassifierMixin) and y.ndim == 1
            folds = random_folds(n_folds, N_FOLDS, y, group_numbers, is_stratified, seed, who)
        else:
            folds = given_folds(self.cv, X, y, groups, who)
        self._require_classes(folds, y)
        seeds = [int(each) for each in random.randint(2**31, size=len(folds))]
        members = joblib.Parallel(self.n_jobs, prefer="threads")(
            joblib.delayed(self._fit_member)(X, y, fold, fit_params, own)
            for fold, own in zip(folds, seeds, strict=True)
        )
        self.estimators_ = [member.estimator for member in members]
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.estimators_[0], name):
                setattr(self, name, getattr(self.estimators_[0], name))

        # Mean of the predictions of all members that a row was held out from.
        sums = np.zeros((len(y), *members[0].predictions.shape[1:]))
        counts = np.zeros(len(y))
        for fold, member in zip(folds, members, strict=True):
            sums[fold.held_out_rows] += member.predictions
            counts[fold.held_out_rows] += 1
        rows = np.flatnonzero(counts)
        out_of_fold = np.full_like(sums, np.nan)
        out_of_fold[rows] = sums[rows] / counts[rows].reshape(-1, *[1] * (sums.ndim - 1))
        weights = next(
            (value for name, value in fit_params.items() if name.rpartition("__")[2] == "sample_weight"), None
        )
        self._keep_out_of_fold(out_of_fold, y, rows, None if weights is None else np.asarray(weights, float))

    def _fit_member(self, X: Any, y: np.ndarray, fold: Fold, fit_params: dict[str, Any], seed: int) -> Member:
        estimator = clone(self.estimator)
        names = [name for name in estimator.get_params() if name.rpartition("__")[2] == "random_state"]
        estimator.set_params(**dict.fromkeys(names, seed))
        arguments = _check_method_params(X, fit_params, indices=fold.training_rows)
        held_out = _safe_indexing(X, fold.held_out_rows)
        if has_fit_parameter(estimator, "X_val"):
            arguments |= {"X_val": held_out, "y_val": y[fold.held_out_rows]}
            if fit_params.get("sample_weight") is not None:
                weights = _check_method_params(X, fit_params, indices=fold.held_out_rows)["sample_weight"]
                arguments["sample_weight_val"] = weights
        with only_one_thread():  # sums have the same last digits for any number of jobs
            estimator.fit(_safe_indexing(X, fold.training_rows), y[fold.training_rows], **arguments)
            return Member(estimator, self._predict_one(estimator, held_out))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.target_tags = own.target_tags
        if tags.classifier_tags is not None and own.classifier_tags is not None:
            tags.classifier_tags = own.classifier_tags
        if tags.regressor_tags is not None and own.regressor_tags is not None:
            tags.regressor_tags = own.regressor_tags
        return tags


class FoldEnsembleClassifier(ClassifierMixin, FoldEnsemble):
    """Classifier that averages clones of a classifier, each trained on all folds but one.

    p(x) = mean over folds of p_k(x)^(1 / T), scaled to sum 1, where T is the temperature that gives the
    out-of-fold probabilities their least log loss. It is at most 1.

    A classifier of this package gets the fold that it is not trained on as `X_val` and `y_val`. So with
    `early_stopping=True` it keeps the epoch that is best for rows which it has not seen, and no row is lost for
    training: each is seen by all members but one. A classifier within a pipeline does not get it. Members are
    fitted on one thread each.

    Parameters
    ----------
    estimator : classifier with `predict_proba`
        For example a `NetworkClassifier`, or a pipeline.
    cv : int, splitter or iterable, default=None
        The number of folds, at random and stratified; 5 by default, fewer if there are fewer rows or groups. Or
        a splitter of scikit-learn, or pairs of training and held-out rows.
    n_jobs : int, default=None
        Members that are fitted at a time, as in joblib. The result is bitwise the same for any number.
    random_state : int, RandomState or None, default=None
        Seeds the folds and the members: each gets a seed of its own in every parameter `random_state`.

    Attributes
    ----------
    estimators_ : list of classifier
        One for each fold.
    classes_ : ndarray of shape (n_classes,)
    temperature_ : float
    oof_predictions_ : ndarray of shape (n_samples, n_classes)
        Probabilities by members that the row was held out from; NaN for a row that was always trained on.
    oof_score_ : float
        Accuracy of these.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    References
    ----------
    Breiman (1996), Bagging predictors. Krogh and Vedelsby (1995), Neural network ensembles, cross validation,
    and active learning, who leave out a part of the rows for each member and judge it by these.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from layernet import Adam, Dense, NetworkClassifier, Sequential
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NetworkClassifier(
    ...     Sequential([Dense(16), "tanh", Dense(3)]), optimizer=Adam(0.01), batch_size=16, early_stopping=True
    ... )
    >>> ensemble = FoldEnsembleClassifier(network, random_state=0).fit(X, y)
    >>> len(ensemble.estimators_), ensemble.oof_score_ > 0.9
    (5, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **FoldEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"])],
    }

    def _checked_targets(self, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError(MISSING_TARGET.format(type(self).__name__))
        y = _check_y(without_nullable_type(y), multi_output=True, y_numeric=False, estimator=self)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._is_multilabel = type_of_target(y) == "multilabel-indicator"
        if y.ndim == 2 and not self._is_multilabel:
            raise ValueError(
                f"{type(self).__name__}: y must have one column of classes, or a column of 0 and 1 for each "
                f"label, got {y.shape[1]} columns of classes. Fit an ensemble to each column."
            )
        self.classes_ = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
        return y

    def _require_classes(self, folds: list[Fold], y: np.ndarray) -> None:
        if y.ndim == 2:
            return
        for index, fold in enumerate(folds):
            missing = np.setdiff1d(self.classes_, y[fold.training_rows])
            if len(missing):
                raise ValueError(
                    f"{type(self).__name__}: fold {index} has no training rows of class {missing[0]!r}, so its "
                    "member could not know the class. Each class needs rows in two folds or more: drop the "
                    "class, join it with another, or give other folds by cv=."
                )

    def _predict_one(self, estimator: Any, X: Any) -> np.ndarray:
        probabilities = estimator.predict_proba(X)
        if isinstance(probabilities, list):  # a pair of columns for each label
            both = zip(probabilities, estimator.classes_, strict=True)
            probabilities = np.column_stack([each @ (known == 1) for each, known in both])
        return np.asarray(probabilities, np.float64)

    @property
    def _link(self) -> Link:
        return LabelProbabilities() if self._is_multilabel else ClassProbabilities()

    def _logits(self, probabilities: np.ndarray) -> np.ndarray:
        logits = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
        if self._is_multilabel:
            logits -= np.log(np.maximum(1 - probabilities, LEAST_PROBABILITY))
        return logits

    def _calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        return self._link.predictions(self._logits(probabilities), self.temperature_)

    def _keep_out_of_fold(self, predictions: np.ndarray, y: np.ndarray, rows: np.ndarray, weights: Any) -> None:
        targets = y[rows] if self._is_multilabel else np.searchsorted(self.classes_, y[rows])
        weights = None if weights is None else weights[rows]
        self.temperature_ = self._link.fit_temperature(self._logits(predictions[rows]), targets, weights)
        self.oof_predictions_ = predictions
        self.oof_predictions_[rows] = self._calibrated(predictions[rows])
        decided = self._decide(self.oof_predictions_[rows])
        self.oof_score_ = float(accuracy_score(y[rows], decided, sample_weight=weights))

    def _decide(self, probabilities: np.ndarray) -> np.ndarray:
        if self._is_multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class; for several labels a sample, of each label.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return np.mean(
            [self._calibrated(self._predict_one(estimator, X)) for estimator in self.estimators_], axis=0
        )

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample; for several labels a sample, 0 or 1 for each.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._decide(self.predict_proba(X))


class FoldEnsembleRegressor(RegressorMixin, FoldEnsemble):
    """Regressor that averages clones of a regressor, each trained on all folds but one.

    prediction(x) = mean over folds of prediction_k(x).

    A regressor of this package gets the fold that it is not trained on as `X_val` and `y_val`; see
    `FoldEnsembleClassifier`.

    Parameters
    ----------
    estimator : regressor
        For example a `NetworkRegressor`, or a pipeline.
    cv : int, splitter or iterable, default=None
        The number of folds, at random; 5 by default, fewer if there are fewer rows or groups. Or a splitter of
        scikit-learn, or pairs of training and held-out rows.
    n_jobs : int, default=None
        Members that are fitted at a time, as in joblib. The result is bitwise the same for any number.
    random_state : int, RandomState or None, default=None
        Seeds the folds and the members: each gets a seed of its own in every parameter `random_state`.

    Attributes
    ----------
    estimators_ : list of regressor
        One for each fold.
    oof_predictions_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predictions by members that the row was held out from; NaN for a row that was always trained on.
    oof_score_ : float
        R2 of these.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from layernet import Adam, Dense, NetworkRegressor, Sequential
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = NetworkRegressor(
    ...     Sequential([Dense(16), "tanh", Dense(1)]),
    ...     optimizer=Adam(0.01),
    ...     batch_size=16,
    ...     target_scale="standard",
    ...     early_stopping=True,
    ... )
    >>> ensemble = FoldEnsembleRegressor(network, random_state=0).fit(X, y)
    >>> len(ensemble.estimators_), ensemble.oof_score_ > 0.4
    (5, True)
    """

    def _checked_targets(self, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError(MISSING_TARGET.format(type(self).__name__))
        return _check_y(y, multi_output=True, y_numeric=True, estimator=self)

    def _predict_one(self, estimator: Any, X: Any) -> np.ndarray:
        return np.asarray(estimator.predict(X), np.float64)

    def _keep_out_of_fold(self, predictions: np.ndarray, y: np.ndarray, rows: np.ndarray, weights: Any) -> None:
        self.oof_predictions_ = predictions
        weights = None if weights is None else weights[rows]
        self.oof_score_ = float(r2_score(y[rows], predictions[rows], sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        return np.mean([self._predict_one(estimator, X) for estimator in self.estimators_], axis=0)
