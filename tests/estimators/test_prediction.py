"""Outputs in blocks: the same by both engines and for every way to ask; a bad number in any is refused."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from layernet import (
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ReLU,
    Sequential,
)
from layernet.engine import blocks, choice, inference
from layernet.engine.threads import blas_on_one_thread, threads_allowed
from layernet.estimators.class_targets import ClassTargets
from layernet.training import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((3000, 6))
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
ESTIMATORS = [
    MLPClassifier((8,), max_iter=2, random_state=0),
    MLPRegressor(hidden_layer_sizes=(8,), max_iter=2, random_state=0),
    NetworkClassifier(Sequential([Dense(8), Dropout(0.5), ReLU(), Dense(3)]), max_iter=2, random_state=0),
    NetworkRegressor(Sequential([Dense(8), ReLU(), Dense(1)]), max_iter=2, random_state=0),
]


@pytest.fixture(params=["formulas", "compiled"])
def engine(request):
    if request.param == "compiled" and not choice.has_numba():
        pytest.skip("compiled kernels need Numba")
    return request.param


@pytest.fixture(autouse=True)
def several_threads(monkeypatch):
    """Few rows are shared too."""
    monkeypatch.setattr(inference, "MIN_MULTIPLICATIONS_FOR_HELPERS", 0)
    monkeypatch.setattr(blocks, "threads_allowed", lambda: 2)


def fitted(estimator, dtype="float64", **options):
    estimator = copy.deepcopy(estimator).set_params(**options)
    y = CLASSES if hasattr(estimator, "predict_proba") else X[:, 1]
    return estimator.fit(X[:300].astype(dtype), y[:300])


def asked(estimator):
    """What there is to ask an estimator for."""
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
    return [getattr(estimator, name) for name in names if hasattr(estimator, name)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_rows_come_to_the_same_wherever_they_stand(estimator, dtype, engine):
    estimator = fitted(estimator, dtype, engine="formulas")
    rows, tolerance = X.astype(dtype), 1e-5 if dtype == "float32" else 1e-12
    expected = [
        np.concatenate([ask(rows[i : i + 100]) for i in range(0, 3000, 100)]) for ask in asked(estimator)
    ]
    estimator.set_params(engine=engine)
    for given in (rows, np.asfortranarray(rows), rows[::-1][::-1], rows.astype("float64")):
        for ask, values in zip(asked(estimator), expected, strict=True):
            found = ask(given)
            assert found.shape == values.shape
            assert found.dtype == values.dtype
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found, values, rtol=0, atol=tolerance * max(1, abs(values).max()))
            else:
                assert np.mean(found == values) > 0.999  # a tie may go either way


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
@pytest.mark.parametrize(("bad", "dtype"), [(np.nan, "float64"), (-np.inf, "float64"), (1e39, "float32")])
def test_a_bad_number_in_the_last_block_is_refused_as_in_the_first(estimator, bad, dtype, engine):
    estimator = fitted(estimator, dtype, engine=engine)
    before = estimator.predict(X)
    for place in (0, 2999):
        spoiled = X.copy()
        spoiled[place, 3] = bad
        for ask in asked(estimator):
            with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
                ask(spoiled)
    np.testing.assert_array_equal(estimator.predict(X), before)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_data_frames_and_scores(estimator, engine):
    estimator = fitted(estimator, engine=engine)
    y = CLASSES if hasattr(estimator, "predict_proba") else X[:, 1]
    plain, score = estimator.predict(X), estimator.score(X, y)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    estimator.fit(frame[:300], y[:300])
    np.testing.assert_array_equal(estimator.predict(frame), plain)
    assert estimator.score(frame, y) == score


def test_another_engine_or_network_counts_at_once(engine):
    classifier = fitted(ESTIMATORS[0], engine=engine)
    other = fitted(ESTIMATORS[0], engine=engine, random_state=1)
    classifier.network_ = other.network_
    np.testing.assert_array_equal(classifier.predict_proba(X), other.predict_proba(X))
    classifier.network_.parameter_vector[:] = 0
    np.testing.assert_allclose(classifier.predict_proba(X), 1 / 3)


def test_copies_have_a_network_of_their_own(engine):
    classifier = fitted(ESTIMATORS[0], engine=engine)
    expected = classifier.predict_proba(X)
    twins = [pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)]
    classifier.network_.parameter_vector[:] = 0
    for twin in twins:
        assert twin._plans.network is twin.network_
        np.testing.assert_array_equal(twin.predict_proba(X), expected)


def test_evaluation_and_validation_in_both_engines(engine):
    network = Sequential([Dense(8), Dropout(0.5), ReLU(), Dense(3)])
    history = network.fit(
        X, CLASSES, "cross_entropy", epochs=2, batch_size=500, validation_data=(X, CLASSES), metrics="accuracy",
        random_state=0, engine=engine,
    )  # fmt: skip
    options = {"loss": "cross_entropy", "metrics": "accuracy"}
    found = evaluate(network, X, CLASSES, engine=engine, **options)
    assert found["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-12)
    assert found["accuracy"] == history["val_accuracy"][-1]
    with network.training_mode():
        assert evaluate(network, X, CLASSES, engine=engine, **options) == found
    losses = network.forward_pass(X)
    losses = np.log(np.exp(losses).sum(axis=1)) - losses[np.arange(3000), CLASSES]
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-10)
    with pytest.raises(ValueError, match="engine must be one of"):
        evaluate(network, X, CLASSES, engine="fast", **options)


def test_auto_depends_on_the_network_and_the_rows(monkeypatch):
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)
    plans = inference.InferencePlans(Sequential([Dense(50), ReLU(), Dense(3)]).build(20, random_state=0))
    assert not plans.select_plan(1000, "auto").is_compiled
    assert plans.select_plan(10_000_000, "auto").is_compiled == choice.has_numba()
    assert not plans.select_plan(10_000_000, "formulas").is_compiled


@pytest.mark.skipif(not choice.has_numba(), reason="compiled kernels need Numba")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_auto_goes_on_with_the_kernels_of_the_training(estimator, monkeypatch):
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)

    def engines_of(estimator):
        """Which plans there are after a prediction."""
        estimator.set_params(engine="auto").predict(X)
        return list(estimator._plans._plans)

    assert engines_of(fitted(estimator, engine="formulas")) == ["formulas"]
    by_kernels = fitted(estimator, engine="compiled")
    assert engines_of(by_kernels) == ["auto"]
    expected = by_kernels.predict(X)
    for twin in (pickle.loads(pickle.dumps(by_kernels)), copy.deepcopy(by_kernels)):
        np.testing.assert_array_equal(twin.predict(X), expected)
        assert engines_of(twin) == ["auto"]
    monkeypatch.setattr(choice, "kernels_are_loaded", lambda: False)  # as in a new process
    assert engines_of(pickle.loads(pickle.dumps(by_kernels))) == ["formulas"]


def test_a_layer_that_is_spied_on_is_called_by_the_caller_alone(engine):
    classifier = fitted(ESTIMATORS[2], engine=engine)
    expected, layer = classifier.decision_function(X), classifier.network_[0]
    forward_pass, seen = layer.forward_pass, []

    def spy(inputs):
        seen.append((threading.get_ident(), len(inputs)))
        return forward_pass(inputs)

    layer.forward_pass = spy
    np.testing.assert_allclose(classifier.decision_function(X), expected, atol=1e-12)
    assert {ident for ident, _ in seen} == {threading.get_ident()}
    assert sum(n_rows for _, n_rows in seen) == len(X)
    del layer.forward_pass
    seen.clear()
    np.testing.assert_allclose(classifier.decision_function(X), expected, atol=1e-12)
    assert not seen


class Refusing(Layer):
    """Refuses large inputs."""

    def forward_pass(self, inputs):
        if np.abs(inputs).max(initial=0) > 1e6:
            raise OverflowError("too large for me")
        return inputs.copy()

    def backward_pass(self, inputs, grad_output):
        return grad_output.copy()


def test_an_error_of_a_layer_reaches_the_caller(engine):
    classifier = NetworkClassifier(
        Sequential([Refusing(), Dense(3)]), max_iter=1, random_state=0, engine=engine
    )
    classifier.fit(X[:300], CLASSES[:300])
    large = X.copy()
    large[2500, 2] = 1e7
    with pytest.raises(OverflowError, match="too large for me") as caught:
        classifier.predict(large)
    assert "forward_pass" in [entry.name for entry in caught.traceback]


def test_all_that_limits_blas_limits_our_threads():
    before = threads_allowed()
    with threadpool_limits(1):
        assert threads_allowed() == 1
        with blas_on_one_thread():
            assert threads_allowed() == 1
    with blas_on_one_thread():
        assert threads_allowed() == before
    assert threads_allowed() == before


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_arrays_without_the_names_of_features_get_a_warning(estimator):
    rows = X[:60]
    estimator = copy.deepcopy(estimator).fit(pd.DataFrame(rows, columns=list("abcdef")), CLASSES[:60])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        nameless = estimator.predict(rows)
    named = estimator.predict(pd.DataFrame(rows, columns=list("abcdef")))
    np.testing.assert_array_equal(nameless, named)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(pd.DataFrame(rows, columns=list("abcdeg")))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classes_that_are_all_impossible_are_equally_probable(dtype):
    """Of outputs of -1e4 every probability of a class by itself is 0, and so is their sum."""
    targets = ClassTargets(np.array(["a", "b", "c"]), BinaryCrossEntropy())
    outputs = np.array([[-1e4, -1e4, -1e4], [-1e4, 0, -1e4]], dtype)
    np.testing.assert_array_equal(targets.probabilities(outputs), np.array([[1 / 3] * 3, [0, 1, 0]], dtype))
