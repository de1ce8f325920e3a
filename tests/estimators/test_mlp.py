"""The first cut of the estimators: they fit, predict, score, clone, and stand in a pipeline."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from layernet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_digits_by_name(digits):
    X, y = digits
    names = np.array(
        [["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]]
    ).ravel()[y]
    classifier = MLPClassifier((50,), max_iter=100, random_state=0).fit(X[:1400], names[:1400])
    assert classifier.score(X[1400:], names[1400:]) > 0.9
    probabilities = classifier.predict_proba(X[1400:])
    assert probabilities.shape == (397, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert classifier.n_iter_ == len(classifier.loss_curve_) <= 100


def test_two_classes_in_a_pipeline_and_a_search():
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=30, random_state=0))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.95
    search = GridSearchCV(pipeline, {"mlpclassifier__activation": ["relu", "tanh"]}, cv=2).fit(X, y)
    assert search.best_estimator_[-1].network_.output_shape == (1,)
    probabilities = search.predict_proba(X)
    assert probabilities.shape == (569, 2)
    assert np.array_equal(probabilities.argmax(axis=1), search.predict(X))


def test_regression_with_one_and_with_two_outputs():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y = (y - y.mean()) / y.std()
    regressor = MLPRegressor(hidden_layer_sizes=(20,), max_iter=100, random_state=0).fit(X, y)
    assert regressor.score(X, y) > 0.5
    assert regressor.predict(X).shape == (442,)
    two = MLPRegressor(hidden_layer_sizes=(20,), max_iter=100, random_state=0).fit(X, np.column_stack([y, -y]))
    assert two.predict(X).shape == (442, 2)
    assert two.score(X, np.column_stack([y, -y])) > 0.5


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_solvers_and_activations(digits, solver, activation):
    X, y = digits[0][:300], digits[1][:300]
    classifier = MLPClassifier(
        (30,), activation, solver=solver, learning_rate_init=0.01, batch_size=30, max_iter=20, random_state=0
    )
    curve = classifier.fit(X, y).loss_curve_
    assert curve[-1] < 0.98 * curve[0]


def test_same_random_state_same_model_and_a_clone_is_unfitted(digits):
    X, y = digits[0][:200], digits[1][:200]
    classifier = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    again = clone(classifier)
    with pytest.raises(NotFittedError):
        again.predict(X)
    assert np.array_equal(again.fit(X, y).predict_proba(X), classifier.predict_proba(X))
    restored = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(restored.predict_proba(X), classifier.predict_proba(X))


def test_float32_stays_float32(digits):
    X, y = digits[0][:200].astype(np.float32), digits[1][:200]
    assert MLPClassifier(max_iter=2).fit(X, y).predict_proba(X).dtype == np.float32


def test_strong_penalties_make_small_weights(digits):
    X, y = digits[0][:300], digits[1][:300]
    sizes = [
        np.abs(
            MLPClassifier((10,), alpha=alpha, max_iter=50, random_state=0).fit(X, y).network_[0].weights
        ).mean()
        for alpha in (1e-5, 100.0)
    ]
    assert sizes[1] < 0.9 * sizes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "softmax"}, "'activation' parameter of MLPClassifier must be a str among .*'gelu'"),
        ({"solver": "newton"}, "'solver' parameter of MLPClassifier must be a str among .*'adamw'"),
        ({"loss": "mse"}, "'loss' parameter of MLPClassifier must be a str among .*'log_loss'"),
        ({"activation": ["softmax"]}, "activation must be one of .*'gelu'"),
    ],
)
def test_unknown_names_list_the_known_ones(digits, change, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((5,), max_iter=2, **change).fit(*digits)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="at least 2 classes"):
        MLPClassifier().fit([[0.0], [1.0]], [1, 1])
