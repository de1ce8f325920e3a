"""TabularClassifier, TabularRegressor: scikit-learn's checks in three configurations each, none excused."""

from dataclasses import replace

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from layernet import TabularClassifier, TabularRegressor
from layernet.estimators.tables import base
from layernet.estimators.tables.recipe import choose_recipe

ESTIMATORS = [
    TabularClassifier("fast", n_jobs=1),
    TabularRegressor("fast", n_jobs=1),
    TabularClassifier("fast", class_weight="balanced", cv=2, n_jobs=1),
    TabularRegressor("fast", loss="absolute_error", n_jobs=1),
    TabularClassifier("balanced", engine="formulas", cv=2, n_jobs=1),
    TabularRegressor("best", engine="formulas", cv=2, n_jobs=1),
]
# Nearly all time of the checks is epochs. These are enough for the scores that the checks ask for.
N_EPOCHS = 15


def each_check():
    for number, estimator in enumerate(ESTIMATORS):
        for same, check in estimator_checks_generator(estimator):
            name = check.func.__name__
            if name == "check_array_api_input":
                continue  # for classes that declare support of the array API; needs an environment variable
            is_quick = number < 2 and "train" not in name and "sparse" not in name
            marks = [] if is_quick else [pytest.mark.slow]
            yield pytest.param(same, check, id=f"{number}-{type(estimator).__name__}-{name}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(each_check()))
def test_check(estimator, check, monkeypatch):
    monkeypatch.setattr(base, "choose_recipe", lambda *size: replace(choose_recipe(*size), n_epochs=N_EPOCHS))
    check(estimator)


def test_nothing_is_claimed_that_would_excuse_a_check():
    for estimator in ESTIMATORS:
        tags = estimator.__sklearn_tags__()
        assert not tags.non_deterministic
        assert not tags.no_validation
        assert not tags._skip_test
        for of_kind in (tags.classifier_tags, tags.regressor_tags):
            assert of_kind is None or not of_kind.poor_score
        assert tags.input_tags.sparse
        assert tags.input_tags.allow_nan
        assert tags.target_tags.required
