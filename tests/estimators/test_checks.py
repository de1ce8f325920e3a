"""Every check that scikit-learn has for estimators, on all of ours, in several configurations, none excused."""

import os
import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from layernet import (
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)


def plain(input_shape, n_outputs):
    return Sequential([Dense(100), ReLU(), Dense(n_outputs)])


def noisy(input_shape, n_outputs):
    # No bias before a batch norm, which takes it off again: its gradient is nothing but rounding, and divided
    # by its own size in Adam it moves by more than the checks allow.
    return Sequential([Dense(50, use_bias=False), BatchNorm(), ReLU(), Dropout(0.2), Dense(n_outputs)])


# Nearly all time of the checks is epochs. These are enough for the scores that the checks of training ask for;
# the two estimators that people use most train for as long as they do by default.
FEW = {"max_iter": 50}
ESTIMATORS = [
    MLPClassifier(),
    MLPClassifier(dropout=0.2, normalization="batch", **FEW),
    MLPClassifier(loss=BinaryCrossEntropy(), **FEW),
    # "balanced" is refused by `partial_fit`, which the checks call where there is one: L-BFGS has none.
    MLPClassifier(solver="lbfgs", class_weight="balanced", **FEW),
    MLPRegressor(),
    MLPRegressor(dropout=0.2, normalization="batch", **FEW),
    MLPRegressor(loss="huber", target_scale="standard", **FEW),
    NetworkClassifier(plain, **FEW),
    NetworkClassifier(noisy, **FEW),
    NetworkClassifier(plain, loss=BinaryCrossEntropy(), **FEW),
    NetworkRegressor(plain, **FEW),
    NetworkRegressor(noisy, **FEW),
    NetworkRegressor(plain, loss="absolute_error", target_scale="standard", **FEW),
]


def every_check():
    """Each with its estimator; but that of the array API, which needs an environment variable, is run below."""
    for number, estimator in enumerate(ESTIMATORS):
        for same, check in estimator_checks_generator(estimator):
            if check.func.__name__ == "check_array_api_input":
                continue
            check_name = check.func.__name__
            is_quick = number == 0 and "train" not in check_name and "sparse" not in check_name
            marks = [] if is_quick else [pytest.mark.slow]
            name = f"{number}-{type(estimator).__name__}-{check_name}"
            yield pytest.param(same, check, id=name, marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(every_check()))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_check(estimator, check):
    check(estimator)


SCRIPT = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
warnings.simplefilter("error")
warnings.simplefilter("ignore", ConvergenceWarning)
from estimators.test_checks import ESTIMATORS, FEW
from sklearn.utils.estimator_checks import check_estimator
sklearn.set_config(enable_metadata_routing=True)
for estimator in ESTIMATORS[int(sys.argv[2])::2]:
    results = check_estimator(clone(estimator).set_params(**FEW), on_fail="raise", on_skip=None)
    assert {result["status"] for result in results} == {"passed"}, results
    print(type(estimator).__name__, len(results))
"""


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_all_checks_with_metadata_routing_and_the_array_api(half):
    """Both settings at once: what either of them breaks fails, and the traceback names the check."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, os.path.dirname(os.path.dirname(__file__)), str(half)],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == len(ESTIMATORS[half::2])


def test_nothing_is_claimed_that_would_excuse_a_check():
    for estimator in ESTIMATORS:
        tags = estimator.__sklearn_tags__()
        assert not tags.non_deterministic
        assert not tags.no_validation
        assert not tags._skip_test
        for of_kind in (tags.classifier_tags, tags.regressor_tags):
            assert of_kind is None or not of_kind.poor_score
        assert tags.input_tags.sparse


def test_the_checks_find_a_slip():
    class Forgetful(MLPClassifier):
        def predict(self, X):
            self.last_ = X
            return super().predict(X)

    results = check_estimator(Forgetful(tol=0.1), on_fail=None, on_skip=None)
    assert "check_dict_unchanged" in {each["check_name"] for each in results if each["status"] == "failed"}
