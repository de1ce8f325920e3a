"""The validation score of early stopping: which scorers get weights, and which rows they see."""

import functools
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    check_scoring,
    f1_score,
    get_scorer,
    make_scorer,
    max_error,
    mean_absolute_error,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV

from layernet import Dense, MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor, ReLU, Sequential

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((120, 4))
LABELS = (X[:, 0] + X[:, 1] > 0.5).astype(int)
NUMBERS = X[:, 0] * 2 + X[:, 1]
WEIGHTS = RANDOM.uniform(0.1, 3, 120)
NAMES = ["a", "b", "c", "d"]

OPTIONS = {"early_stopping": True, "max_iter": 4, "random_state": 0}
CLASSIFIERS = {
    "MLPClassifier": MLPClassifier((4,), **OPTIONS),
    "NetworkClassifier": NetworkClassifier(Sequential([Dense(4), ReLU(), Dense(1)]), **OPTIONS),
}
REGRESSORS = {
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(4,), **OPTIONS),
    "NetworkRegressor": NetworkRegressor(Sequential([Dense(4), ReLU(), Dense(1)]), **OPTIONS),
}
ALL = CLASSIFIERS | REGRESSORS
classifiers = pytest.mark.parametrize("name", CLASSIFIERS)
regressors = pytest.mark.parametrize("name", REGRESSORS)
estimators = pytest.mark.parametrize("name", ALL)


def targets_of(name):
    return LABELS if name in CLASSIFIERS else NUMBERS


def fitted(name, weights=WEIGHTS, **parameters):
    """An estimator that is validated on every third row, and the value that its last score must have."""
    y = targets_of(name)
    estimator = clone(ALL[name]).set_params(**parameters)
    return estimator.fit(X, y, WEIGHTS, X_val=X[::3], y_val=y[::3], sample_weight_val=weights[::3])


def negative_error(estimator, X, y):
    return -np.abs(estimator.predict(X) - y).mean()


def weighted_error(estimator, X, y, sample_weight=None):
    return -np.average(np.abs(estimator.predict(X) - y), weights=sample_weight)


# --- weights ---


@classifiers
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 3}])
def test_a_scorer_of_a_function_without_weights_is_given_none(name, class_weight):
    scorer = make_scorer(lambda true, predicted: float((true == predicted).mean()))
    estimator = fitted(name, scoring=scorer, class_weight=class_weight)
    assert estimator.best_validation_score_ == accuracy_score(LABELS[::3], estimator.predict(X[::3]))
    by_itself = clone(ALL[name]).set_params(scoring=scorer, class_weight=class_weight).fit(X, LABELS)
    assert len(by_itself.validation_scores_) == 4


@estimators
def test_plain_functions_get_weights_if_they_take_them(name):
    without = fitted(name, scoring=negative_error)
    assert without.best_validation_score_ == negative_error(without, X[::3], targets_of(name)[::3])
    with_weights = fitted(name, scoring=weighted_error)
    expected = weighted_error(with_weights, X[::3], targets_of(name)[::3], WEIGHTS[::3])
    assert with_weights.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    of_a_part = fitted(name, scoring=functools.partial(weighted_error))
    assert of_a_part.validation_scores_ == with_weights.validation_scores_


@regressors
def test_scorers_by_name_get_weights_if_their_metric_takes_them(name):
    worst = fitted(name, scoring="neg_max_error")
    assert worst.best_validation_score_ == -max_error(NUMBERS[::3], worst.predict(X[::3]))
    mean = fitted(name, scoring="neg_mean_absolute_error")
    expected = -mean_absolute_error(NUMBERS[::3], mean.predict(X[::3]), sample_weight=WEIGHTS[::3])
    assert mean.best_validation_score_ == pytest.approx(expected, rel=1e-12)


# These two score orders and contingencies without weights of samples.
@pytest.mark.parametrize("scoring", ["adjusted_rand_score", "rand_score"])
def test_scorers_of_clusters_take_no_weights(scoring):
    estimator = fitted("MLPClassifier", scoring=scoring)
    assert estimator.best_validation_score_ == get_scorer(scoring)(estimator, X[::3], LABELS[::3])


def test_the_estimators_own_score_as_a_scorer_gets_weights():
    own = check_scoring(MLPClassifier(), None)
    estimator = fitted("MLPClassifier", scoring=own)
    expected = accuracy_score(LABELS[::3], estimator.predict(X[::3]), sample_weight=WEIGHTS[::3])
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    assert estimator.validation_scores_ == fitted("MLPClassifier").validation_scores_


@estimators
def test_with_metadata_routing_scorers_get_the_weights_that_they_request(name):
    y = targets_of(name)[::3]
    with sklearn.config_context(enable_metadata_routing=True):
        plain = make_scorer(mean_absolute_error, greater_is_better=False)
        requesting = make_scorer(mean_absolute_error, greater_is_better=False).set_score_request(
            sample_weight=True
        )
        refusing = make_scorer(mean_absolute_error, greater_is_better=False).set_score_request(
            sample_weight=False
        )
        for scorer, weights in [(requesting, WEIGHTS[::3]), (refusing, None), (plain, None), ("r2", None)]:
            if scorer == "r2" and name in CLASSIFIERS:
                continue
            estimator = fitted(name, scoring=scorer)
            if scorer == "r2":
                expected = sklearn.metrics.r2_score(y, estimator.predict(X[::3]))
            else:
                expected = -mean_absolute_error(y, estimator.predict(X[::3]), sample_weight=weights)
            assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-12)
        assert fitted(name, scoring=negative_error).n_iter_ == 4


def test_several_metrics_at_once_are_refused():
    several = check_scoring(MLPClassifier(), ["accuracy", "f1"])
    for scoring in (several, lambda *_: {"accuracy": 0.5}, lambda *_: [0.5, 0.6], lambda *_: None):
        estimator = clone(CLASSIFIERS["MLPClassifier"]).set_params(scoring=scoring)
        with pytest.raises(ValueError, match="must return one number, which early stopping compares"):
            estimator.fit(X, LABELS)
        assert not hasattr(estimator, "network_")
    with pytest.raises(ValueError, match="'scoring' parameter of MLPClassifier"):
        MLPClassifier(scoring=["accuracy", "f1"]).fit(X, LABELS)


def test_a_scorer_may_return_any_kind_of_one_number():
    for value in (1, np.float32(1), np.bool_(True), np.array(1.0), np.array([1.0])):
        estimator = clone(CLASSIFIERS["MLPClassifier"]).set_params(scoring=lambda *_, value=value: value)
        assert estimator.fit(X, LABELS).validation_scores_ == [1.0] * 4


# --- the rows ---


def table(kind, rows=X, names=NAMES):
    columns = dict(zip(names, rows.T, strict=True))
    return (
        pd.DataFrame(columns, index=np.arange(len(rows))[::-1] * 7)
        if kind == "pandas"
        else pl.DataFrame(columns)
    )


kinds = pytest.mark.parametrize("kind", ["pandas", "polars"])


@kinds
@estimators
def test_a_scorer_sees_the_columns_of_a_data_frame(kind, name):
    seen = []

    def scorer(estimator, X, y):
        assert list(X.columns) == NAMES
        seen.append((np.asarray(X["a"]), np.asarray(X), np.asarray(y)))
        return negative_error(estimator, X, y)

    y = targets_of(name)
    estimator = clone(ALL[name]).set_params(scoring=scorer)
    given = clone(estimator).fit(table(kind), y, X_val=table(kind, X[::3]), y_val=y[::3])
    assert np.array_equal(seen[-1][0], X[::3, 0])
    assert np.array_equal(seen[-1][2], y[::3])
    assert given.validation_scores_[-1] == negative_error(given, table(kind, X[::3]), y[::3])
    split = clone(estimator).fit(table(kind), y)
    first, rows, targets = seen[-1]
    assert len(rows) == 12
    assert np.array_equal(rows[:, 0], first)
    # These are rows of X, each with its own target.
    places = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]
    assert np.array_equal(targets, y[places])
    from_array = clone(ALL[name]).set_params(scoring=negative_error).fit(X, y)
    assert split.validation_scores_ == from_array.validation_scores_


@kinds
@classifiers
def test_no_warning_about_feature_names(kind, name):
    frame = table(kind)
    for scoring in ("roc_auc", "neg_log_loss", make_scorer(f1_score)):
        estimator = clone(ALL[name]).set_params(scoring=scoring)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
            estimator.fit(frame, LABELS)
            estimator.fit(frame, LABELS, X_val=table(kind, X[:30]), y_val=LABELS[:30])
            GridSearchCV(estimator, {"alpha": [0.1]}, cv=2).fit(frame, LABELS)
    estimator = clone(ALL[name]).set_params(scoring="roc_auc")
    estimator.fit(frame, LABELS, X_val=table(kind, X[:30]), y_val=LABELS[:30])
    scores = estimator.predict_proba(table(kind, X[:30]))[:, 1]
    assert max(estimator.validation_scores_) == pytest.approx(roc_auc_score(LABELS[:30], scores), rel=1e-12)


@pytest.mark.parametrize("of_both", [(pd.DataFrame(X, columns=NAMES), X), (X, pd.DataFrame(X, columns=NAMES))])
def test_names_in_one_of_training_and_validation_data_are_warned_of_once(of_both):
    estimator = clone(CLASSIFIERS["MLPClassifier"]).set_params(scoring="roc_auc")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(of_both[0], LABELS, X_val=of_both[1], y_val=LABELS)
    assert sum("feature names" in str(each.message) for each in caught) == 1


@kinds
def test_targets_in_a_table_keep_their_columns(kind):
    two = table(kind, X[:, :2], ["first", "second"])

    def scorer(estimator, X, y):
        assert list(y.columns) == ["first", "second"]
        return -np.abs(estimator.predict(X)[:, 0] - np.asarray(y["first"])).mean()

    regressor = clone(REGRESSORS["MLPRegressor"]).set_params(scoring=scorer)
    assert len(regressor.fit(X, two).validation_scores_) == 4
    assert len(regressor.fit(X, two, X_val=X, y_val=two).validation_scores_) == 4


@pytest.mark.parametrize(
    "convert", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix, np.ndarray.tolist]
)
def test_other_data_come_as_arrays_or_sparse_rows(convert):
    shapes = []

    def scorer(estimator, X, y):
        shapes.append(X.shape)
        return negative_error(estimator, X, y)

    estimator = clone(CLASSIFIERS["MLPClassifier"]).set_params(scoring=scorer)
    estimator.fit(convert(X), LABELS)
    estimator.fit(convert(X), LABELS, X_val=convert(X[::3]), y_val=LABELS[::3])
    assert set(shapes) == {(12, 4), (40, 4)}


# --- the part that is held out ---


@estimators
def test_a_fraction_that_holds_out_nothing_or_everything_is_refused(name):
    for fraction, held_out in [(0.0, 0), (0.999, 120)]:
        estimator = clone(ALL[name]).set_params(validation_fraction=fraction)
        message = f"validation_fraction={fraction} holds out {held_out} of 120 samples"
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, targets_of(name))
        assert not hasattr(estimator, "network_")
        estimator.fit(X, targets_of(name), X_val=X, y_val=targets_of(name))  # needs no fraction
        estimator.set_params(early_stopping=False).fit(X, targets_of(name))


@pytest.mark.parametrize("is_given", [False, True], ids=["held out", "given"])
@estimators
def test_a_scorer_gets_the_weight_of_each_row(name, is_given):
    """Weights are a function of the rows, so that those of other rows, or none, are noticed."""
    calls = []

    def score(estimator, X, y, sample_weight=None):
        calls.append((X, sample_weight))
        return 0.0

    weights, y = 1 + X[:, 0] ** 2, targets_of(name)
    validation = {"X_val": X[::3], "y_val": y[::3], "sample_weight_val": weights[::3]} if is_given else {}
    clone(ALL[name]).set_params(scoring=score).fit(X, y, weights, **validation)
    assert len(calls) == 4
    for rows, given in calls:
        np.testing.assert_allclose(given, 1 + rows[:, 0] ** 2)
