"""What is refused, how, and that a failed fit changes nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from layernet import Dense, MLPClassifier, MLPRegressor, NetworkClassifier, Sequential
from layernet.training import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((60, 4))
Y = np.arange(60) % 3


def small(**parameters):
    return MLPClassifier((3,), max_iter=3, random_state=0, **parameters)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "transform", "hidden_activations"]
)
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(small(), method)(X)
    with pytest.raises(AttributeError, match="before fit"):
        _ = small().coefs_


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({"activation": "cube"}, {}, "'activation' parameter of MLPClassifier must be .*'relu'"),
        (
            {"activation": ["relu", "tanh"]},
            {},
            "one value or one for each of 1 hidden layers",
        ),
        ({"solver": "newton"}, {}, "'solver' parameter of MLPClassifier must be .*'adamw'"),
        ({"loss": "mse"}, {}, "'loss' parameter of MLPClassifier must be .*'log_loss'"),
        ({"loss": "hinge", "label_smoothing": 0.1}, {}, "label_smoothing=0.1 needs loss='log_loss'"),
        ({"dropout": 1.0}, {}, "'dropout' parameter"),
        ({"dropout": [0.1, 0.2]}, {}, "dropout must be one value or one for each of 1"),
        ({"normalization": "group"}, {}, "'normalization' parameter .*'batch'"),
        ({"alpha": -1}, {}, "'alpha' parameter"),
        ({"hidden_layer_sizes": (3, 0)}, {}, "hidden_layer_sizes must be > 0, got"),
        ({"dtype": "float16"}, {}, "'dtype' parameter .*'float32'"),
        ({"scoring": "acuracy", "early_stopping": True}, {}, "acuracy"),
        ({"validation_fraction": 0.01, "early_stopping": True}, {}, "validation set is too small"),
        ({"solver": "lbfgs", "dropout": 0.1}, {}, "solver='lbfgs' needs a loss that does not change"),
        ({"callbacks": [print]}, {}, "callbacks must be layernet's"),
        ({}, {"sample_weight": np.ones(59)}, r"sample_weight.shape == \(59,\)"),
        ({}, {"sample_weight": -np.ones(60)}, "Negative values in data passed to `sample_weight`"),
        ({}, {"sample_weight": np.zeros(60)}, "nothing to train on|zero"),
        ({}, {"X_val": X}, "X_val and y_val must be given together"),
        ({}, {"X_val": X[:, :2], "y_val": Y}, "X has 2 features, but MLPClassifier is expecting 4"),
        ({}, {"X_val": X, "y_val": Y + 1}, "`y` has classes not in `self.classes_`"),
        ({}, {"X_val": X, "y_val": Y, "sample_weight_val": np.ones(3)}, "sample_weight.shape"),
        ({}, {"init_from": Dense(3).build(4)}, "init_from has parameters of the shapes"),
        ({}, {"init_from": "a model"}, "init_from must be a fitted estimator"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(parameters, arguments, message):
    fresh = small().set_params(**parameters)
    with pytest.raises((ValueError, TypeError), match=message):
        fresh.fit(X, Y, **arguments)
    assert not hasattr(fresh, "network_")
    assert not hasattr(fresh, "n_features_in_")
    fitted = small().fit(X, Y)
    before, attributes = fitted.predict_proba(X), set(vars(fitted))
    fitted.set_params(**parameters)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.fit(X, Y, **arguments)
    assert np.array_equal(fitted.predict_proba(X), before)
    assert set(vars(fitted)) == attributes


def test_a_fit_that_fails_on_the_way_leaves_an_earlier_one_usable():
    for warm_start in (False, True):
        fitted = small(warm_start=warm_start).fit(X, Y)
        before = fitted.predict_proba(X)
        fitted.set_params(solver="sgd", learning_rate_init=1e30)
        with pytest.raises(DivergenceError):
            fitted.fit(X * 1e3, Y)
        assert np.array_equal(fitted.predict_proba(X), before)
        assert fitted.n_iter_ == 3


def test_partial_fit():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        small().partial_fit(X, Y)
    estimator = small().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`\."):
        estimator.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="not the same as on last call"):
        estimator.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        small(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="class_weight='balanced' is not supported for partial_fit"):
        small(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    assert not hasattr(small(solver="lbfgs"), "partial_fit")


def test_names_of_features():
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = small().fit(frame, Y)
    assert list(estimator.feature_names_in_) == list("abcd")
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        estimator.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_no_numbers(value):
    bad = X.copy()
    bad[3, 2] = value
    estimator = small().fit(X, Y)
    for call in (lambda: small().fit(bad, Y), lambda: estimator.predict(bad)):
        with pytest.raises(ValueError, match="Input X contains"):
            call()


def test_a_network_that_does_not_fit():
    with pytest.raises(ValueError, match=r"outputs of shape \(5,\), and NetworkClassifier needs 3"):
        NetworkClassifier(Dense(5)).fit(X, Y)
    with pytest.raises(TypeError, match="network must be a Layer or return one, got int"):
        NetworkClassifier(lambda input_shape, n_outputs: 3).fit(X, Y)
    with pytest.raises(ValueError, match="'network' parameter"):
        NetworkClassifier(3).fit(X, Y)
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        NetworkClassifier(Sequential([Dense(3)])).set_params(network__0__rate=1)
    with pytest.raises(ValueError, match="Invalid parameter 'net'"):
        NetworkClassifier(Dense(3)).set_params(net__0__units=1)


def test_another_network_in_a_warm_start():
    estimator = small(warm_start=True).fit(X, Y).set_params(hidden_layer_sizes=(7,))
    with pytest.raises(ValueError, match="Use warm_start=False to train another one"):
        estimator.fit(X, Y)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        small(warm_start=True).fit(X, Y).fit(X, Y % 2)


def test_counts_below_zero():
    with pytest.raises(ValueError, match="counts of at least 0"):
        MLPRegressor(loss="poisson").fit(X, Y - 1.0)
