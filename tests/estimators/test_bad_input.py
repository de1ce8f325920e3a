"""What is refused, how, and that a failed fit changes nothing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from layernet import (
    CrossEntropy,
    Dense,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)
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


def four(**parameters):
    """The four estimators, small, and the y that each takes."""
    parameters = {"max_iter": 2, "random_state": 0, **parameters}

    def network(input_shape, n_outputs):
        return Sequential([Dense(3), ReLU(), Dense(n_outputs)])

    return {
        "MLPClassifier": (MLPClassifier((3,), **parameters), Y),
        "NetworkClassifier": (NetworkClassifier(network, **parameters), Y),
        "MLPRegressor": (MLPRegressor(hidden_layer_sizes=(3,), **parameters), X[:, 0]),
        "NetworkRegressor": (NetworkRegressor(network, **parameters), X[:, 0]),
    }


FOUR = list(four())
KINDS_OF_ROWS = {
    "dense": np.array,
    "Fortran": np.asfortranarray,
    "every second": lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
    "object": lambda rows: rows.astype(object),
    "list": lambda rows: rows.tolist(),
    "CSR": sparse.csr_array,
    "CSC": sparse.csc_matrix,
    "pandas": pd.DataFrame,
    "polars": lambda rows: pl.DataFrame(rows, schema=list("abcd")),
}
TOO_LARGE = r"^Input X contains infinity or a value too large for dtype\('float32'\)\.$"


@pytest.mark.parametrize("kind", KINDS_OF_ROWS)
@pytest.mark.parametrize("name", FOUR)
def test_numbers_too_large_for_the_type_of_the_network(name, kind):
    """Whoever meets them says what `fit` says: scikit-learn's error, and no warning of NumPy's."""
    rows = KINDS_OF_ROWS[kind]
    large = X.copy()
    large[3, 2] = -1e39  # finite in float64 only
    estimator, y = four(dtype="float32")[name]
    with pytest.raises(ValueError, match=TOO_LARGE):
        estimator.fit(rows(large), y)
    estimator.fit(rows(X), y)
    calls = [
        lambda: estimator.predict(rows(large)),
        lambda: estimator.predict(rows(large[3:4])),
        lambda: estimator.score(rows(large), y),
        lambda: estimator.transform(rows(large)),
        lambda: estimator.hidden_activations(rows(large)),
        lambda: estimator.partial_fit(rows(large), y),
        lambda: estimator.fit(rows(X), y, X_val=rows(large), y_val=y),
    ]
    more = (
        getattr(estimator, name, None) for name in ("predict_proba", "predict_log_proba", "decision_function")
    )
    calls += [lambda method=method: method(rows(large)) for method in more if method is not None]
    for call in calls:
        with pytest.raises(ValueError, match=TOO_LARGE):
            call()


@pytest.mark.parametrize("kind", [np.array, sparse.csr_array])
@pytest.mark.parametrize("name", FOUR)
def test_numbers_too_large_for_the_type_that_the_network_took_from_x(name, kind):
    estimator, y = four(warm_start=True)[name]
    narrow = X.astype(np.float32)
    estimator.fit(kind(narrow), y)
    for call in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=TOO_LARGE):
            call(kind(X * 1e39), y)
    with pytest.raises(ValueError, match=TOO_LARGE):
        four()[name][0].fit(kind(narrow), y, X_val=kind(X * 1e39), y_val=y)
    # the largest float32, and what is rounded to it, are not too large
    limit = float(np.finfo(np.float32).max)
    rows = np.zeros((2, 4))
    rows[:, 0] = limit * (1 + 1e-9), -limit
    with np.errstate(all="ignore"):
        assert len(estimator.predict(kind(rows))) == 2


@pytest.mark.parametrize("name", ["MLPRegressor", "NetworkRegressor"])
def test_targets_and_parameters_too_large_for_the_type_of_the_network(name):
    estimator, y = four()[name]
    narrow, large = X.astype(np.float32), np.where(y > 0, y, 1e39)
    for arguments in ({"y": large}, {"y": y, "X_val": X, "y_val": large}):
        with pytest.raises(ValueError, match=r"Input y contains .* too large for dtype\('float32'\)"):
            estimator.fit(narrow, **arguments)
    start = Sequential([Dense(3), ReLU(), Dense(1)]).build(4)
    start[0].weights[0, 1] = 1e39
    with pytest.raises(ValueError, match=r"init_from must be finite, got 1e\+39, too large for float32"):
        estimator.fit(narrow, y, init_from=start)


@pytest.mark.parametrize("which", ["X", "y"])
def test_numbers_too_large_for_the_type_of_a_network_in_its_own_fit(which):
    network = Dense(1).build(4, dtype=np.float32)
    data = {"X": X, "y": X[:, :1], which: X[:, : 4 if which == "X" else 1] * 1e39}
    with pytest.raises(ValueError, match=r"must be finite, got -?inf at"):
        network.fit(**data, loss="mean_squared_error", epochs=1)


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
    with pytest.raises(ValueError, match="Call fit with warm_start=False"):
        estimator.fit(X, Y)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        small(warm_start=True).fit(X, Y).fit(X, Y % 2)


@pytest.mark.parametrize(
    "estimator", [small(), MLPRegressor(), NetworkClassifier(lambda _, n_outputs: Dense(n_outputs))]
)
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_targets_are_refused_with_what_to_do(estimator, kind):
    for columns, advice in [(1, r"y\.toarray\(\)\.ravel\(\)"), (2, r"y\.toarray\(\)\.$")]:
        if columns == 2 and not isinstance(estimator, MLPRegressor):
            continue  # these are two labels
        y = kind((X[:, :columns] > 0).astype(int))
        message = (
            rf"{type(estimator).__name__}: y must be a dense array, .* of shape \(60, {columns}\). Use {advice}"
        )
        with pytest.raises(TypeError, match=message):
            clone(estimator).fit(X, y)
        with pytest.raises(TypeError, match=message):
            clone(estimator).fit(X, y.toarray().ravel() if columns == 1 else y.toarray(), X_val=X, y_val=y)


@pytest.mark.parametrize("estimator", [small(), MLPRegressor()])
def test_sparse_targets_of_one_dimension_are_refused(estimator):
    with pytest.raises(TypeError, match=r"a sparse csr_array of shape \(60,\)\. Use y\.toarray\(\)\.$"):
        clone(estimator).fit(X, sparse.csr_array(Y))


@pytest.mark.parametrize("loss", ["cross_entropy", CrossEntropy(), "hinge"])
def test_one_hot_targets_of_a_loss_of_classes_are_refused_with_what_to_do(loss):
    one_hot = np.eye(3)[Y]
    for estimator in (small(loss=loss), NetworkClassifier(Dense(3), loss)):
        for rows in (
            one_hot,
            one_hot.astype(int),
            one_hot == 1,
            pd.DataFrame(one_hot),
            sparse.csr_array(one_hot),
        ):
            with pytest.raises(ValueError, match=r"one-hot encoding: give class numbers, y\.argmax\(axis=1\)"):
                clone(estimator).fit(X, rows)
        with pytest.raises(ValueError, match=r"one-hot encoding: give class numbers, y\.argmax\(axis=1\)"):
            clone(estimator).partial_fit(X, one_hot)
        several = np.maximum(one_hot, np.eye(3)[0])
        with pytest.raises(ValueError, match=r"y has 3 labels a sample\. Use loss='log_loss'"):
            clone(estimator).fit(X, several)
        clone(estimator).set_params(max_iter=1).fit(X, one_hot.argmax(axis=1))


def test_counts_below_zero():
    with pytest.raises(ValueError, match="counts of at least 0"):
        MLPRegressor(loss="poisson").fit(X, Y - 1.0)
