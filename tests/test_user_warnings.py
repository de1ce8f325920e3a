"""Warnings show a line of the user's file, whatever stands between that line and the package."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import layernet
from layernet import Dense, MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from layernet.user_warnings import warn_user

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).standard_normal((40, 3))
COLUMN = (X[:, :1] > 0).astype(int)
ESTIMATORS = {
    "MLPClassifier": MLPClassifier((3,), max_iter=2, random_state=0),
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0),
    "NetworkClassifier": NetworkClassifier(Dense(1), max_iter=2, random_state=0),
    "NetworkRegressor": NetworkRegressor(Dense(1), max_iter=2, random_state=0),
}


class OfTheUser(MLPClassifier):
    """An estimator whose `fit` calls the package's."""

    def fit(self, X, y):
        return super().fit(X, y)  # the user's line


def lines_shown(category, call):
    """The lines of this file that the warnings of a kind show; a warning elsewhere is an error."""
    with open(__file__) as file:
        lines = file.read().splitlines()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    of_this_kind = [each for each in caught if each.category is category]
    assert {each.filename for each in of_this_kind} == {__file__}
    return {lines[each.lineno - 1].strip() for each in of_this_kind}


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=list(ESTIMATORS))
def test_a_warning_about_y_shows_the_line_that_passed_it(estimator):
    def fit():
        estimator.fit(X, COLUMN)  # a fit

    def fit_a_pipeline():
        make_pipeline(StandardScaler(), estimator).fit(X, COLUMN)  # a pipeline

    def partial_fit():
        classes = {} if "Regressor" in type(estimator).__name__ else {"classes": [0, 1]}
        estimator.partial_fit(X, COLUMN, **classes)  # a partial fit

    def fit_with_validation_data():
        estimator.fit(X, COLUMN.ravel(), X_val=X, y_val=COLUMN)  # validation data

    for call, marker in [
        (fit, "# a fit"),
        (fit_a_pipeline, "# a pipeline"),
        (partial_fit, "# a partial fit"),
        (fit_with_validation_data, "# validation data"),
    ]:
        (line,) = lines_shown(DataConversionWarning, call)
        assert line.endswith(marker)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=list(ESTIMATORS))
def test_a_warning_about_convergence_shows_the_line_that_started_the_training(estimator):
    def search():
        GridSearchCV(estimator, {"alpha": [0.1]}, cv=2).fit(X, COLUMN.ravel())  # a search

    def validate():
        cross_val_score(estimator, X, COLUMN.ravel(), cv=2)  # a cross-validation

    for call, marker in [(search, "# a search"), (validate, "# a cross-validation")]:
        (line,) = lines_shown(ConvergenceWarning, call)
        assert line.endswith(marker)


def test_other_ways_into_the_package():
    def lbfgs():
        MLPClassifier((3,), solver="lbfgs", max_iter=1, random_state=0).fit(X, COLUMN.ravel())  # by L-BFGS

    def subclass():
        OfTheUser((3,), max_iter=1).fit(X, COLUMN.ravel())

    def clipped():
        MLPClassifier((3,), batch_size=99, max_iter=1).fit(X, COLUMN.ravel())  # a large batch

    def transformed():
        regressor = TransformedTargetRegressor(MLPRegressor(max_iter=1), transformer=StandardScaler())
        regressor.fit(X, X[:, 0])  # a target transformed

    for category, call, marker in [
        (ConvergenceWarning, lbfgs, "# by L-BFGS"),
        (ConvergenceWarning, subclass, "# the user's line"),
        (UserWarning, clipped, "# a large batch"),
        (ConvergenceWarning, transformed, "# a target transformed"),
    ]:
        (line,) = lines_shown(category, call)
        assert line.endswith(marker)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_warning_in_a_worker_shows_a_file_of_this_package_or_of_the_user(backend, capfd):
    estimator = ESTIMATORS["MLPClassifier"]
    with warnings.catch_warnings(record=True) as caught, joblib.parallel_config(backend, n_jobs=2):
        warnings.simplefilter("always")
        GridSearchCV(estimator, {"alpha": [0.1, 0.2]}, cv=2).fit(X, COLUMN.ravel())
    files = {each.filename for each in caught}
    files |= {
        line.split(":")[0] for line in capfd.readouterr().err.splitlines() if "ConvergenceWarning" in line
    }
    package = os.path.dirname(layernet.__file__)
    assert files
    assert all(file == __file__ or file.startswith(package) for file in files), files


def test_a_warning_in_a_thread_shows_a_file_of_this_package():
    estimator = ESTIMATORS["MLPRegressor"]
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        pool.submit(estimator.fit, X, X[:, 0]).result()
    package = os.path.dirname(layernet.__file__)
    assert caught
    assert all(each.filename.startswith(package) for each in caught), [each.filename for each in caught]


def test_frames_are_told_apart_by_their_package_and_not_by_their_file():
    code = compile("def inside():\n    warn_user('a warning')\n\ninside()", "<generated>", "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(code, {"__name__": "layernet.anything", "warn_user": warn_user})
        exec(code, {"__name__": "layernetwork", "warn_user": warn_user})
    assert [each.filename for each in caught] == [__file__, "<generated>"]
    assert [each.category for each in caught] == [UserWarning, UserWarning]
