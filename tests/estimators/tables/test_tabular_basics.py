"""The estimators for tables on small tables: what they learn, report and repeat."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from layernet import TabularClassifier, TabularRegressor


def test_a_frame_with_columns_of_all_kinds(table):
    X, _, y = table
    classifier = TabularClassifier("fast", random_state=0).fit(X, y > 2)
    assert classifier.oof_score_ > 0.75
    assert [column.kind for column in classifier.report_.columns] == [
        "number",
        "number",
        "category",
        "date",
        "category",
    ]
    regressor = TabularRegressor("fast", random_state=0).fit(X, y)
    assert regressor.oof_score_ > 0.5
    assert np.isfinite(regressor.predict(X)).all()


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_copy_and_a_pickle_predict_the_same(kind):
    X, y = load_iris(return_X_y=True)
    estimator = kind("fast", random_state=0).fit(X, y)
    expected = estimator.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict(X), expected)
    np.testing.assert_array_equal(clone(estimator).fit(X, y).predict(X), expected)


def test_the_mixture_is_no_worse_than_its_components_out_of_fold():
    X, y = load_diabetes(return_X_y=True)
    report = TabularRegressor("balanced", random_state=0).fit(X, y).report_
    assert report.loss <= min(each.loss for each in report.components if each.weight) * (1 + 1e-3)
    assert sum(each.weight for each in report.components) == pytest.approx(1)
    assert {each.fold for each in report.networks} == set(range(5))
