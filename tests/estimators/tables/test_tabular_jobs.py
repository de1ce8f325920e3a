"""TabularClassifier, TabularRegressor: the same bits for any number of jobs, and for equal seeds."""

import dataclasses

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from layernet import TabularClassifier, TabularRegressor

KINDS = [TabularClassifier, TabularRegressor]


def results_of(estimator, X):
    """Return everything that a fit gives, but the times."""
    report = dataclasses.asdict(estimator.report_)
    del report["seconds"]
    for network in report["networks"]:
        del network["seconds"]
    predict = getattr(estimator, "predict_proba", estimator.predict)
    return {
        "predictions": predict(X),
        "out of fold": estimator.oof_predictions_,
        "importances": estimator.feature_importances_,
        **{name: repr(part) for name, part in report.items()},
    }


def assert_same(results, others):
    for name, result in results.items():
        if isinstance(result, str):
            assert result == others[name]
        else:
            np.testing.assert_array_equal(result, others[name], err_msg=name)


@pytest.mark.parametrize("engine", ["formulas", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("few_epochs")
def test_every_number_of_jobs_gives_the_same_bits(kind, engine, table):
    if engine == "compiled":
        pytest.importorskip("numba")
    X, classes, numbers = table
    y = classes if kind is TabularClassifier else numbers
    results = [
        results_of(kind("best", cv=3, n_jobs=n_jobs, engine=engine, random_state=3).fit(X, y), X)
        for n_jobs in (1, 2, -1, None)
    ]
    with joblib.parallel_config("loky", n_jobs=2):
        estimator = kind("best", cv=3, n_jobs=None, engine=engine, random_state=3).fit(X, y)
    results.append(results_of(estimator, X))
    for others in results[1:]:
        assert_same(results[0], others)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_jobs_of_a_search_give_the_same_bits(kind, table):
    X, classes, numbers = table
    X, y = X.iloc[:40], (classes if kind is TabularClassifier else numbers)[:40]
    estimator = kind("fast", random_state=0, n_jobs=-1)
    searches = [
        GridSearchCV(estimator, {"cv": [2, 3]}, cv=2, n_jobs=n_jobs, refit=False).fit(X, y) for n_jobs in (1, 2)
    ]
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(*(search.cv_results_[name] for search in searches))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("few_epochs")
def test_seeds(kind, table):
    X, classes, numbers = table
    y = classes if kind is TabularClassifier else numbers

    def results(random_state, rows=slice(None)):
        return results_of(kind("fast", n_jobs=1, random_state=random_state).fit(X[rows], y[rows]), X)

    once = results(5)
    assert_same(once, results(5))
    assert_same(results(np.random.RandomState(5)), results(np.random.RandomState(5)))
    assert once["networks"] != results(6)["networks"]
    state = np.random.RandomState(5)
    first, second = results(state), results(state)
    assert first["networks"] != second["networks"]  # the object goes on
    # The order of the rows does not matter.
    reversed_rows = results(5, slice(None, None, -1))
    np.testing.assert_array_equal(reversed_rows["predictions"], once["predictions"])
    np.testing.assert_array_equal(reversed_rows["out of fold"][::-1], once["out of fold"])
