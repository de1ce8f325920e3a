"""FoldEnsembleClassifier, FoldEnsembleRegressor: what they train on, average, calibrate and refuse."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, TimeSeriesSplit, cross_validate, train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from layernet import (
    Dense,
    FoldEnsembleClassifier,
    FoldEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    Sequential,
    TabularRegressor,
)

# Few epochs are enough for what these tests ask.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHECKED = [
    FoldEnsembleClassifier(LogisticRegression(), random_state=0),
    FoldEnsembleRegressor(LinearRegression(), random_state=0),
    FoldEnsembleClassifier(MLPClassifier((8,), max_iter=60, learning_rate_init=0.03), cv=2, random_state=0),
    FoldEnsembleRegressor(
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, learning_rate_init=0.1), cv=2, random_state=0
    ),
]


def each_check():
    for number, estimator in enumerate(CHECKED):
        for same, check in estimator_checks_generator(estimator):
            if check.func.__name__ != "check_array_api_input":  # needs an environment variable
                yield pytest.param(same, check, id=f"{number}-{check.func.__name__}")


@pytest.mark.parametrize(("estimator", "check"), list(each_check()))
def test_check(estimator, check):
    check(estimator)


def test_a_member_is_trained_without_its_fold_and_predicts_it():
    X, y = load_diabetes(return_X_y=True)
    folds = [(np.arange(100, 442), np.arange(100)), (np.arange(342), np.arange(342, 442))]
    ensemble = FoldEnsembleRegressor(LinearRegression(), cv=folds).fit(X, y)
    members = [LinearRegression().fit(X[rows], y[rows]) for rows, _ in folds]
    assert_allclose(ensemble.oof_predictions_[:100], members[0].predict(X[:100]))
    assert_allclose(ensemble.oof_predictions_[342:], members[1].predict(X[342:]))
    assert np.isnan(ensemble.oof_predictions_[100:342]).all()
    assert_allclose(ensemble.predict(X), (members[0].predict(X) + members[1].predict(X)) / 2)


def test_a_network_keeps_the_epoch_that_is_best_for_its_fold():
    X, y = load_breast_cancer(return_X_y=True)
    network = NetworkClassifier(Sequential([Dense(16), "relu", Dense(1)]), early_stopping=True, max_iter=30)
    X = StandardScaler().fit_transform(X)
    folds = [(np.arange(0, 569, 2), np.arange(1, 569, 2))]
    ensemble = FoldEnsembleClassifier(network, cv=folds, random_state=0).fit(X, y)
    (member,) = ensemble.estimators_
    assert member.best_validation_score_ == pytest.approx(member.score(X[1::2], y[1::2]))
    assert len(member.validation_scores_) > 1


def test_an_estimator_of_another_package_is_fitted_to_the_training_rows_alone():
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert FoldEnsembleClassifier(pipeline, cv=2, random_state=0).fit(X, y).oof_score_ > 0.9


def test_the_mean_of_all_members_is_better_than_one_and_calibrated():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
    network = NetworkClassifier(
        Sequential([Dense(32), "relu", Dense(1)]), early_stopping=True, max_iter=60, random_state=0
    )
    ensemble = FoldEnsembleClassifier(network, cv=8, random_state=0).fit(X, y)
    losses = [log_loss(y_test, member.predict_proba(X_test)) for member in ensemble.estimators_]
    assert log_loss(y_test, ensemble.predict_proba(X_test)) < np.mean(losses)
    assert 0 < ensemble.temperature_ <= 1
    assert_allclose(ensemble.predict_proba(X_test).sum(axis=1), 1)
    assert ensemble.oof_score_ == pytest.approx(np.mean(ensemble.oof_predictions_.argmax(axis=1) == y))


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_jobs_do_not_change_the_bits(n_jobs):
    X, y = load_diabetes(return_X_y=True)
    network = NetworkRegressor(
        Sequential([Dense(16), "tanh", Dense(1)]), target_scale="standard", early_stopping=True, max_iter=10
    )
    first = FoldEnsembleRegressor(network, random_state=0).fit(X, y)
    second = clone(first).set_params(n_jobs=n_jobs).fit(X, y)
    assert_array_equal(first.predict(X), second.predict(X))
    assert_array_equal(first.oof_predictions_, second.oof_predictions_)


def test_weights_reach_the_members_and_the_scores():
    X, y = load_diabetes(return_X_y=True)
    weights = np.where(np.arange(442) % 3 == 0, 5.0, 1.0)
    folds = [(np.arange(100, 442), np.arange(100))]
    ensemble = FoldEnsembleRegressor(LinearRegression(), cv=folds).fit(X, y, sample_weight=weights)
    expected = LinearRegression().fit(X[100:], y[100:], sample_weight=weights[100:])
    assert_allclose(ensemble.predict(X), expected.predict(X))
    assert ensemble.oof_score_ == pytest.approx(expected.score(X[:100], y[:100], weights[:100]))


def test_weights_of_a_step_of_a_pipeline_count_and_weights_are_routed():
    X, y = load_diabetes(return_X_y=True)
    weights = np.where(np.arange(442) % 3 == 0, 5.0, 1.0)
    folds = [(np.arange(100, 442), np.arange(100))]
    direct = FoldEnsembleRegressor(Ridge(), cv=folds).fit(X, y, sample_weight=weights)
    piped = FoldEnsembleRegressor(make_pipeline(Ridge()), cv=folds).fit(X, y, ridge__sample_weight=weights)
    assert piped.oof_score_ == direct.oof_score_
    with config_context(enable_metadata_routing=True):
        ensemble = FoldEnsembleRegressor(Ridge(), cv=3).set_fit_request(sample_weight=True)
        ensemble.set_score_request(sample_weight=True)
        scores = cross_validate(ensemble, X, y, params={"sample_weight": weights}, cv=2, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_groups_stay_in_one_fold(random):
    groups = np.repeat(np.arange(12), 5)
    y = random.standard_normal(12)[groups]
    X = groups[:, None] * 1.0
    apart = FoldEnsembleRegressor(KNeighborsRegressor(1), random_state=0).fit(X, y)
    together = FoldEnsembleRegressor(KNeighborsRegressor(1), random_state=0).fit(X, y, groups=groups)
    assert apart.oof_score_ == 1
    assert together.oof_score_ < 0.5


@pytest.mark.parametrize(
    "estimator", [FoldEnsembleRegressor(Ridge()), TabularRegressor("fast", engine="formulas", n_jobs=1)]
)
def test_a_splitter_gets_the_labels_of_the_groups(estimator, random):
    class Split(GroupKFold):
        def split(self, X, y=None, groups=None):
            given.append(groups)
            return super().split(X, y, groups)

    given, labels = [], np.repeat(["x", "y", "z"], 8)
    X = random.standard_normal((24, 2))
    estimator.set_params(cv=Split(3)).fit(X, X[:, 0], groups=labels)
    assert_array_equal(given[0], labels)


def test_labels_of_an_estimator_that_returns_a_pair_of_columns_for_each(random):
    X = random.standard_normal((60, 3))
    labels = (X > 0).astype(int)
    ensemble = FoldEnsembleClassifier(RandomForestClassifier(10), cv=3, random_state=0).fit(X, labels)
    assert ensemble.predict_proba(X).shape == (60, 3)
    assert ensemble.oof_score_ > 0.3
    assert (ensemble.predict(X) == labels).mean() > 0.9


def test_groups_splitters_frames_sparse_rows_and_several_outputs(random):
    X = pd.DataFrame(random.standard_normal((60, 3)), columns=["a", "b", "c"])
    y = X[["a", "b"]].to_numpy() @ [[1.0, 0], [0, 2.0]]
    groups = np.repeat(np.arange(12), 5)
    ensemble = FoldEnsembleRegressor(LinearRegression(), cv=4, random_state=0).fit(X, y, groups=groups)
    assert ensemble.predict(X).shape == (60, 2)
    assert_array_equal(ensemble.feature_names_in_, ["a", "b", "c"])
    for cv in (GroupKFold(3), TimeSeriesSplit(3)):
        own = groups if isinstance(cv, GroupKFold) else None
        FoldEnsembleRegressor(LinearRegression(), cv=cv).fit(csr_array(X.to_numpy()), y, groups=own)
    labels = (random.standard_normal((60, 3)) > 0).astype(int)
    network = NetworkClassifier(Sequential([Dense(3)]), max_iter=2)
    several = FoldEnsembleClassifier(network, cv=2, random_state=0).fit(X.to_numpy(), labels)
    assert several.predict_proba(X.to_numpy()).shape == (60, 3)
    assert set(np.unique(several.predict(X.to_numpy()))) <= {0, 1}


def test_bad_input_is_refused_and_changes_nothing(random):
    X, y = random.standard_normal((20, 2)), np.arange(20) % 2
    ensemble = FoldEnsembleClassifier(LogisticRegression(), cv=4, random_state=0).fit(X, y)
    before = ensemble.predict_proba(X)
    rare = np.where(np.arange(20) == 3, 7, y)
    with pytest.raises(ValueError, match=r"no training rows of class .*7.*two folds or more"):
        ensemble.fit(X, rare)
    with pytest.raises(ValueError, match="cv must be from 2 to the number of different rows, 20, got 30"):
        ensemble.set_params(cv=30).fit(X, y)
    with pytest.raises(TypeError, match="takes no X_val: each member is validated on its held-out fold"):
        ensemble.set_params(cv=4).fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="must have a label for each of the 20 rows, got the shape \\(3,\\)"):
        ensemble.fit(X, y, groups=[0, 1, 2])
    for missing in (None, np.nan, pd.NA):
        with pytest.raises(ValueError, match="no missing labels, as in row 1"):
            ensemble.fit(X, y, groups=["a", missing, *"b" * 18])
    with pytest.raises(ValueError, match=r"fold 0 of cv has no held-out rows"):
        ensemble.set_params(cv=[(np.arange(20), [])]).fit(X, y)
    with pytest.raises(ValueError, match=r"fold 0 of cv must have row numbers, or a mask with 20 entries"):
        ensemble.set_params(cv=[(np.arange(19), [0.7])]).fit(X, y)
    with pytest.raises(ValueError, match=r"must have row numbers, or a mask with 20 entries.* shape \(3,\)"):
        ensemble.set_params(cv=[(np.arange(19), [True, False, True])]).fit(X, y)
    for cannot in (SVC(), LinearRegression()):
        with pytest.raises(ValueError, match="'estimator' parameter"):
            FoldEnsembleClassifier(cannot).fit(X, y)
    with pytest.raises(ValueError, match="Fit an ensemble to each column"):
        ensemble.set_params(cv=4).fit(X, np.column_stack([y + 1, y + 3, y]))
    assert_array_equal(ensemble.predict_proba(X), before)
