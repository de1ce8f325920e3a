"""Folds of the estimators for tables: every kind of cv, groups, and time."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from layernet import TabularClassifier, TabularRegressor
from layernet.estimators.folds import (
    Fold,
    folds_of_distinct_rows,
    given_folds,
    keys_of_folds,
    random_folds,
)

pytestmark = pytest.mark.usefixtures("few_epochs")


def folds_of(cv, y, groups=None, is_stratified=True):
    return random_folds(cv, 5, y, groups, is_stratified, 0, "Test")


@pytest.mark.parametrize("is_stratified", [True, False])
@pytest.mark.parametrize(("cv", "expected"), [(None, 5), (3, 3), (np.int64(4), 4)])
def test_random_folds_hold_out_every_row_once(cv, expected, is_stratified):
    y = np.array(["a"] * 20 + ["b"] * 9 + ["c"])
    folds = folds_of(cv, y, is_stratified=is_stratified)
    assert len(folds) == expected
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.held_out_rows for fold in folds])), range(30))
    for fold in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate(fold)), range(30))
        if is_stratified:
            assert abs((y[fold.held_out_rows] == "b").sum() - 9 / expected) < 1


@pytest.mark.parametrize("is_stratified", [True, False])
def test_groups_are_not_split(is_stratified):
    y = np.arange(30) % 3
    y[7] = 9  # a class of one row
    groups = np.repeat(np.arange(6), 5)
    folds = folds_of(None, y, groups, is_stratified=is_stratified)
    assert len(folds) == 5
    for fold in folds:
        assert not set(groups[fold.training_rows]) & set(groups[fold.held_out_rows])
    assert len(folds_of(None, y, groups > 2, is_stratified=is_stratified)) == 2  # no more than groups


def test_groups_of_very_different_sizes():
    groups = np.r_[np.zeros(50), [1, 2, 3]]
    folds = folds_of(None, np.arange(53) % 2, groups)
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.held_out_rows for fold in folds])), range(53))


def test_masks_are_row_numbers():
    mask = np.array([True, False, True, True])
    (fold,) = given_folds([(mask, ~mask)], np.zeros((4, 1)), np.arange(4), None, "Test")
    np.testing.assert_array_equal(fold.training_rows, [0, 2, 3])
    np.testing.assert_array_equal(fold.held_out_rows, [1])


def test_keys_tell_which_rows_are_in_the_same_parts():
    folds = [Fold(np.array([0, 1]), np.array([2, 3])), Fold(np.array([0, 1, 2]), np.array([3]))]
    keys = keys_of_folds(folds, 5)
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 4


def test_merged_rows_and_rows_of_weight_zero():
    folds = [Fold(np.array([0, 1]), np.array([2, 3])), Fold(np.array([1, 2, 3]), np.array([0]))]
    merged = folds_of_distinct_rows(folds, np.array([1, 0, 2, -1]), None, "Test")
    assert [[rows.tolist() for rows in fold] for fold in merged] == [[[0, 1], [2]], [[0, 2], [1]]]
    with pytest.raises(ValueError, match=r"Test: fold 0 of cv=None has no rows .* to hold out"):
        folds_of_distinct_rows(folds, np.array([1, 0, -1, -1]), None, "Test")


def test_the_fold_with_the_most_training_rows_is_first():
    folds = given_folds(TimeSeriesSplit(4), np.zeros((25, 1)), np.arange(25), None, "Test")
    merged = folds_of_distinct_rows(folds, np.arange(25), None, "Test")
    assert [len(fold.training_rows) for fold in merged] == [20, 15, 10, 5]


CV = {
    "int": 4,
    "KFold": KFold(4),
    "StratifiedKFold": StratifiedKFold(3, shuffle=True, random_state=0),
    "GroupKFold": GroupKFold(3),
    "StratifiedGroupKFold": StratifiedGroupKFold(3),
    "LeaveOneGroupOut": LeaveOneGroupOut(),
    "RepeatedKFold": RepeatedKFold(n_splits=2, n_repeats=3, random_state=0),
    "ShuffleSplit": ShuffleSplit(2, random_state=0),
    "TimeSeriesSplit": TimeSeriesSplit(3),
    "PredefinedSplit": PredefinedSplit(np.arange(90) % 2),
    "iterable": list(KFold(3).split(np.zeros(90))),
}


@pytest.mark.parametrize("name", list(CV))
@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_every_fold_of_a_splitter_is_trained(kind, name, table):
    X, classes, numbers = table
    y = np.where(classes == "low", "low", "high") if kind is TabularClassifier else numbers
    if name.startswith("Stratified") and kind is TabularRegressor:
        pytest.skip("needs classes")
    groups = np.arange(len(y)) // 30 if "Group" in name else None
    estimator = kind("balanced", cv=CV[name], n_jobs=1, random_state=0)
    estimator.fit(X, y, groups=groups)
    splitter = CV[name] if hasattr(CV[name], "split") else KFold(4 if name == "int" else 3)
    splits = list(splitter.split(X, y, groups))
    assert {network.fold for network in estimator.report_.networks} == set(range(len(splits)))
    held_out = np.unique(np.concatenate([part for _, part in splits]))
    has_predictions = np.isfinite(estimator.oof_predictions_.reshape(len(y), -1)).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(has_predictions), held_out)
    predicted = estimator.oof_predictions_[held_out]
    if kind is TabularClassifier:
        expected = accuracy_score(y[held_out], estimator.classes_[predicted.argmax(axis=1)])
    else:
        expected = r2_score(y[held_out], predicted)
    assert estimator.oof_score_ == pytest.approx(expected)


def test_fast_trains_on_the_largest_part(table):
    classifier = TabularClassifier("fast", cv=TimeSeriesSplit(3), n_jobs=1, random_state=0)
    classifier.fit(table[0], table[1])
    held_out = np.flatnonzero(~np.isnan(classifier.oof_predictions_[:, 0]))
    assert {network.fold for network in classifier.report_.networks} < {0, 1, 2}
    assert held_out.min() > 40  # the last splits
    assert held_out.max() == 89


def test_networks_of_early_splits_predict_no_new_rows(table):
    X, _, y = table
    regressor = TabularRegressor("balanced", cv=TimeSeriesSplit(5), loss="huber", n_jobs=1, random_state=0)
    regressor.fit(X, y)
    (component,) = regressor.ensemble_.components
    assert len(component.members) == 5
    assert component.predictors == component.members[:2]  # trained on 75 and 60 rows
    inputs = regressor.encoder_.transform(X).astype(np.float64)
    low, high = regressor.ensemble_.link.low, regressor.ensemble_.link.high
    outputs = [np.clip(member.predict(inputs), low, high) for member in component.members[:2]]
    np.testing.assert_allclose(
        regressor.predict(X), regressor._decode(np.mean(outputs, axis=0)), rtol=1e-6, atol=1e-6
    )


def test_a_splitter_sees_the_table_as_it_was_given(table):
    class ByYear:
        def split(self, X, y=None, groups=None):
            year = X["sold"].dt.year
            yield np.flatnonzero(year == 2024), np.flatnonzero(year > 2024)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    regressor = TabularRegressor("fast", cv=ByYear(), n_jobs=1, random_state=0).fit(table[0], table[2])
    has_predictions = ~np.isnan(regressor.oof_predictions_)
    np.testing.assert_array_equal(has_predictions, table[0]["sold"].dt.year > 2024)


@pytest.mark.parametrize("cv", [None, KFold(3)])
def test_a_network_predicts_the_rows_of_its_fold_out_of_fold(cv, table):
    X, _, y = table
    regressor = TabularRegressor("balanced", cv=cv, loss="absolute_error", n_jobs=1, random_state=0).fit(X, y)
    (component,) = regressor.ensemble_.components
    predictions = [member.predict(regressor.encoder_.transform(X)).ravel() for member in component.members]
    decoded = np.array([regressor._decode(each[:, None]) for each in predictions])
    distances = abs(decoded - regressor.oof_predictions_).min(axis=0)
    np.testing.assert_allclose(distances, 0, atol=1e-6)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_equal_rows_are_merged_within_their_parts(kind, table):
    """Rows and their copies in the same fold are the same as rows of weight 2."""
    X, classes, numbers = (each[:40] for each in table)
    y = classes if kind is TabularClassifier else numbers
    twice = np.r_[np.arange(40), np.arange(20)]
    is_in_first = np.r_[np.arange(40) < 20, np.ones(20, bool)]
    weights = np.r_[np.full(20, 2.0), np.ones(20)]
    alone = kind("balanced", cv=PredefinedSplit(np.arange(40) < 20), n_jobs=1, random_state=0)
    copied = kind("balanced", cv=PredefinedSplit(is_in_first), n_jobs=1, random_state=0)
    alone.fit(X, y, sample_weight=weights)
    copied.fit(X.iloc[twice], y[twice])
    np.testing.assert_array_equal(alone.predict(X), copied.predict(X))
    np.testing.assert_array_equal(alone.oof_predictions_, copied.oof_predictions_[:40])
