"""The same random state gives bitwise the same model: twice, in another process, after clone and pickle."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from layernet import BatchNorm, Dense, Dropout, MLPClassifier, MLPRegressor, NetworkClassifier, ReLU, Sequential

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

X, Y = load_digits(return_X_y=True)
X, Y = X[:150] / 16, Y[:150]

ESTIMATORS = [
    MLPClassifier((9,), max_iter=4, random_state=3),
    MLPClassifier((9,), max_iter=4, random_state=3, dropout=0.3, normalization="batch", weight_averaging=0.9),
    MLPClassifier((9,), max_iter=4, random_state=3, early_stopping=True, dtype="float32"),
    MLPRegressor(hidden_layer_sizes=(9,), max_iter=4, random_state=3, solver="lbfgs"),
    NetworkClassifier(
        Sequential([Dense(9), BatchNorm(), ReLU(), Dropout(0.2), Dense(10)]), max_iter=4, random_state=3
    ),
]


def bits(estimator):
    state = estimator.network_.state()
    return estimator.network_.parameter_vector.tobytes() + repr(sorted(state.items())).encode()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_twice_and_after_clone(estimator):
    first = clone(estimator).fit(X, Y)
    assert bits(clone(first).fit(X, Y)) == bits(first)
    before = bits(first)
    assert bits(first.fit(X, Y)) == before
    assert bits(pickle.loads(pickle.dumps(first)).fit(X, Y)) == before


def test_in_another_process():
    script = (
        "import hashlib, sys, warnings; warnings.simplefilter('ignore'); sys.path.insert(0, sys.argv[1])\n"
        "from estimators.test_reproducible import *\n"
        "print([hashlib.sha256(bits(clone(each).fit(X, Y))).hexdigest() for each in ESTIMATORS])"
    )
    folder = __file__.rpartition("estimators")[0]
    command = [sys.executable, "-c", script, folder]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 64 * len(ESTIMATORS)


def test_partial_fit_after_pickle_goes_on_as_without():
    options = {"classes": np.unique(Y)}
    kept = MLPClassifier((9,), random_state=0, dropout=0.2, weight_averaging=0.9).partial_fit(X, Y, **options)
    restored = pickle.loads(pickle.dumps(kept))
    assert bits(restored.partial_fit(X, Y)) == bits(kept.partial_fit(X, Y))


def test_another_random_state_is_another_model():
    first, second = (MLPClassifier((9,), max_iter=2, random_state=seed).fit(X, Y) for seed in (0, 1))
    assert bits(first) != bits(second)
