"""Estimators by kernels: the same models as by formulas, whatever they are fitted on and however often."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from layernet import (
    SGD,
    Adam,
    Callback,
    Dense,
    DivergenceError,
    Dropout,
    GaussianNoise,
    LearningRateScheduler,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    QuantileLoss,
    Sequential,
    Tanh,
)
from layernet.engine.choice import has_numba
from layernet.schedules import StepSchedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_numba = pytest.mark.skipif(not has_numba(), reason="kernels need Numba, which is not installed")

X, CLASSES = load_digits(return_X_y=True)
X, CLASSES = X[:160] / 16, CLASSES[:160]
NUMBERS = np.stack([X[:, 20] + X[:, 30] ** 2, X[:, 21]], axis=1)
LABELS = np.stack([CLASSES % 2, CLASSES > 4, CLASSES % 3 == 0], axis=1)
WEIGHTS = np.random.default_rng(0).uniform(0, 2, 160) * (CLASSES != 3)

# Smooth activations, for which rounding stays rounding; and a large epsilon of Adam where there is
# normalisation: in front of it gradients may be rounding and nothing else.
COMMON = {"activation": "tanh", "max_iter": 6, "random_state": 0, "batch_size": 30}
NORMALIZED = {**COMMON, "epsilon": 1e-3}


def both(estimator, *arguments, fit="fit", **options):
    """An estimator fitted by formulas, and by kernels."""
    engines = "formulas", "compiled"
    return [
        getattr(clone(estimator).set_params(engine=engine), fit)(*arguments, **options) for engine in engines
    ]


def assert_same_model(found, expected, tolerance=1e-10):
    """Whether two fitted estimators have the same parameters, state and curves, but for rounding."""
    assert_allclose(
        found.network_.parameter_vector, expected.network_.parameter_vector, rtol=tolerance, atol=tolerance
    )
    states = found.network_.state(), expected.network_.state()
    assert states[0].keys() == states[1].keys()
    for name, value in states[1].items():
        assert_allclose(states[0][name], value, rtol=tolerance, atol=tolerance, err_msg=name)
    assert found.n_iter_ == expected.n_iter_
    assert found.t_ == expected.t_
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_"):
        assert hasattr(found, name) == hasattr(expected, name), name
        if getattr(expected, name, None) is not None:
            assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance * 100, err_msg=name)


# --- the parameter ---


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_the_engine_is_a_parameter_like_any_other(cls):
    assert cls().engine == "auto"
    estimator = cls(engine="formulas")
    assert clone(estimator).engine == "formulas"
    assert pickle.loads(pickle.dumps(estimator)).engine == "formulas"
    assert "engine='formulas'" in repr(estimator)
    assert estimator.set_params(engine="auto").get_params()["engine"] == "auto"


@pytest.mark.parametrize("estimator", [MLPClassifier(), NetworkClassifier(Sequential([Dense(10)]))], ids=repr)
@pytest.mark.parametrize("engine", ["fast", None, 1])
def test_an_unknown_engine_is_refused(estimator, engine):
    with pytest.raises(ValueError, match=r"The 'engine' parameter of .* must be a str among"):
        clone(estimator).set_params(engine=engine).fit(X, CLASSES)


def test_kernels_without_numba_are_an_error(monkeypatch):
    monkeypatch.setattr("layernet.engine.choice.has_numba", lambda: False)
    with pytest.raises(ImportError, match="engine='compiled' needs Numba"):
        MLPClassifier(engine="compiled").fit(X, CLASSES)


# --- the same models ---

CLASSIFIERS = [
    MLPClassifier((12,), **COMMON),
    MLPClassifier((12, 8), **COMMON, solver="sgd", learning_rate_init=0.1, alpha=0.1),
    MLPClassifier((12,), **COMMON, solver="sgd", learning_rate="invscaling", nesterovs_momentum=False),
    MLPClassifier(
        (8,), **{**COMMON, "max_iter": 40}, solver="sgd", learning_rate="adaptive", tol=0.1, n_iter_no_change=1
    ),
    MLPClassifier((12,), **COMMON, learning_rate=StepSchedule(0.01, every=2)),
    MLPClassifier((12,), **COMMON, early_stopping=True, validation_fraction=0.2),
    MLPClassifier((12,), **COMMON, early_stopping=True, scoring="loss", n_iter_no_change=2, tol=0.5),
    MLPClassifier((12,), **COMMON, weight_averaging=0.9),
    MLPClassifier((12,), **COMMON, dropout=0.3, label_smoothing=0.1),
    MLPClassifier((12,), **COMMON, class_weight="balanced", alpha=0),
    MLPClassifier((12,), **COMMON, loss="hinge", clip_norm=0.5, clip_value=0.1),
    MLPClassifier((12,), **COMMON, shuffle=False),
    MLPClassifier((12,), **COMMON, exact_compatibility=True),
    MLPClassifier((12,), **NORMALIZED, normalization="batch", dropout=0.2),
    MLPClassifier((12,), **NORMALIZED, normalization="layer", weight_averaging=0.9, early_stopping=True),
    MLPClassifier((12,), **NORMALIZED, normalization="rms", solver="nadam"),
    MLPClassifier((12,), **COMMON, callbacks=[LearningRateScheduler(StepSchedule(0.01, 2), per="step")]),
    NetworkClassifier(
        Sequential([Dense(12), Tanh(), GaussianNoise(0.1), Dropout(0.2), Dense(10)]),
        optimizer=SGD(0.1, momentum=0.9), max_iter=6, random_state=0,
    ),
]  # fmt: skip
REGRESSORS = [
    MLPRegressor(hidden_layer_sizes=(12,), **COMMON),
    MLPRegressor(hidden_layer_sizes=(12,), **COMMON, early_stopping=True, weight_averaging=0.5),
    MLPRegressor(hidden_layer_sizes=(12,), **COMMON, loss="poisson"),
    MLPRegressor(
        hidden_layer_sizes=(12,), **COMMON, loss=QuantileLoss(0.8), solver=Adam(0.01, weight_decay=0.1)
    ),
    MLPRegressor(hidden_layer_sizes=(12,), **COMMON, exact_compatibility=True),
    NetworkRegressor(Sequential([Dense(12), Tanh(), Dense(2)]), loss="huber", max_iter=6, random_state=0),
]


@needs_numba
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["no weights", "weights"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=repr)
def test_classifiers(estimator, weights):
    by_formulas, by_kernels = both(estimator, X, CLASSES, sample_weight=weights)
    assert_same_model(by_kernels, by_formulas)
    assert_array_equal(by_kernels.predict(X), by_formulas.predict(X))


@needs_numba
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["no weights", "weights"])
@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
def test_regressors(estimator, weights):
    by_formulas, by_kernels = both(estimator, X, NUMBERS, sample_weight=weights)
    assert_same_model(by_kernels, by_formulas)
    assert_allclose(by_kernels.predict(X), by_formulas.predict(X), rtol=1e-8, atol=1e-10)


@needs_numba
@pytest.mark.parametrize("targets", [LABELS, CLASSES > 4, np.array(list("abcdefghij"))[CLASSES]], ids=str)
@pytest.mark.parametrize("exact_compatibility", [False, True])
def test_labels_of_all_kinds(targets, exact_compatibility):
    estimator = MLPClassifier((12,), **COMMON, exact_compatibility=exact_compatibility)
    by_formulas, by_kernels = both(estimator, X, targets)
    assert_same_model(by_kernels, by_formulas)
    assert_array_equal(by_kernels.predict(X), by_formulas.predict(X))


@needs_numba
@pytest.mark.parametrize(
    "form",
    [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, lambda X: sparse.csr_array(X).astype(np.float32)],
    ids=["CSR matrix", "CSR", "CSC", "CSR in single precision"],
)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_sparse_inputs(form, dropout):
    inputs = form(np.where(X > 0.5, X, 0))
    estimator = MLPClassifier((12,), **COMMON, dropout=dropout)
    by_formulas, by_kernels = both(estimator, inputs, CLASSES, sample_weight=WEIGHTS)
    assert_same_model(by_kernels, by_formulas, 1e-4 if inputs.dtype == np.float32 else 1e-10)
    dense = inputs.toarray()
    of_dense = clone(estimator).set_params(engine="compiled").fit(dense, CLASSES, sample_weight=WEIGHTS)
    assert_array_equal(by_kernels.network_.parameter_vector, of_dense.network_.parameter_vector)


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_inputs_that_stay_on_disk(dtype, early_stopping, tmp_path, monkeypatch):
    monkeypatch.setattr("layernet.training.storage.IN_MEMORY_LIMIT", 0)
    mapped = np.memmap(tmp_path / "inputs", np.float64, "w+", shape=X.shape)
    mapped[:] = X
    estimator = MLPClassifier((12,), **COMMON, dtype=dtype, dropout=0.2, early_stopping=early_stopping)
    by_formulas, by_kernels = both(estimator, mapped, CLASSES)
    assert_same_model(by_kernels, by_formulas, 1e-4 if dtype == "float32" else 1e-10)


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", None])
@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_single_precision(dtype, activation):
    estimator = MLPClassifier((12,), **{**COMMON, "activation": activation}, dtype=dtype, dropout=0.2)
    by_formulas, by_kernels = both(estimator, X.astype(np.float32), CLASSES)
    assert by_kernels.network_.dtype == np.float32
    assert_same_model(by_kernels, by_formulas, 1e-4)


@needs_numba
def test_lbfgs_knows_no_engine():
    by_formulas, by_kernels = both(MLPClassifier((12,), solver="lbfgs", max_iter=5, random_state=0), X, CLASSES)
    assert_array_equal(by_kernels.network_.parameter_vector, by_formulas.network_.parameter_vector)


# --- one fit after the other ---

GOING_ON = [
    MLPClassifier((12,), **COMMON, dropout=0.2, weight_averaging=0.9),
    MLPClassifier((12,), **NORMALIZED, normalization="batch"),
    MLPClassifier((12,), **COMMON, solver="sgd", learning_rate="invscaling"),
    MLPClassifier((12,), **COMMON, exact_compatibility=True),
]


@needs_numba
@pytest.mark.parametrize("estimator", GOING_ON, ids=repr)
def test_warm_starts(estimator):
    models = both(clone(estimator).set_params(warm_start=True), X, CLASSES)
    for _ in range(2):
        for model in models:
            model.fit(X, CLASSES)
        assert_same_model(*reversed(models))


@needs_numba
@pytest.mark.filterwarnings("ignore:Got `?batch_size")
@pytest.mark.parametrize("estimator", GOING_ON, ids=repr)
def test_partial_fits_of_parts_of_several_sizes(estimator):
    models = both(estimator, X[:50], CLASSES[:50], classes=np.arange(10), fit="partial_fit")
    for rows in (slice(50, 51), slice(60, 160), slice(0, 7)):
        for model in models:
            model.partial_fit(X[rows], CLASSES[rows])
        assert_same_model(*reversed(models))


@needs_numba
def test_the_engine_may_change_between_fits():
    """The optimizer's memory and the random state go on from one engine to the other."""
    models = []
    for engines in (("formulas", "formulas"), ("formulas", "compiled"), ("compiled", "formulas")):
        model = MLPClassifier((12,), **COMMON, warm_start=True, dropout=0.2, weight_averaging=0.9)
        for engine in engines:
            model.set_params(engine=engine).fit(X, CLASSES)
        models.append(model)
    for model in models[1:]:
        assert_same_model(model, models[0])


@needs_numba
def test_a_fit_that_diverges_leaves_the_one_before():
    model = MLPRegressor(hidden_layer_sizes=(8,), **COMMON, solver="sgd", engine="compiled").fit(X, NUMBERS)
    before = model.network_.parameter_vector.copy()
    with pytest.raises(DivergenceError):
        model.set_params(learning_rate_init=1e200).fit(X, NUMBERS)
    assert_array_equal(model.network_.parameter_vector, before)


class Interrupt(Callback):
    def on_batch_end(self, run):
        if (run.epoch, run.batch) == (3, 2):
            raise KeyboardInterrupt


@needs_numba
@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_ctrl_c_keeps_what_was_learned():
    by_formulas, by_kernels = both(MLPClassifier((12,), **COMMON, callbacks=[Interrupt()]), X, CLASSES)
    assert by_kernels.n_iter_ == 3
    assert by_kernels.history_.stop_message == by_formulas.history_.stop_message
    assert_same_model(by_kernels, by_formulas)


# --- the same again, wherever it runs ---

REPEATED = MLPClassifier(
    (12,), max_iter=8, random_state=3, dropout=0.2, normalization="batch", engine="compiled", batch_size=30
)


def bits(estimator):
    state = sorted(estimator.network_.state().items())
    return (
        estimator.network_.parameter_vector.tobytes()
        + repr(state).encode()
        + repr(estimator.loss_curve_).encode()
    )


@needs_numba
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_comes_to_the_same_bits(backend):
    expected = [bits(clone(REPEATED).set_params(random_state=seed).fit(X, CLASSES)) for seed in range(4)]
    fits = (delayed(clone(REPEATED).set_params(random_state=seed).fit)(X, CLASSES) for seed in range(4))
    assert [bits(model) for model in Parallel(2, backend=backend)(fits)] == expected


@needs_numba
def test_threads_come_to_the_same_bits():
    expected = bits(clone(REPEATED).fit(X, CLASSES))
    with ThreadPoolExecutor(4) as threads:
        models = threads.map(lambda _: clone(REPEATED).fit(X, CLASSES), range(8))
        assert {bits(model) for model in models} == {expected}


@needs_numba
def test_an_average_is_of_every_step():
    """Steps are done one by one for it, which changes nothing in the training itself."""
    plain, averaged = (clone(REPEATED).set_params(weight_averaging=decay) for decay in (None, 0.9))
    plain.fit(X, CLASSES)
    averaged.fit(X, CLASSES)
    assert_array_equal(averaged._training_state.average.parameters, plain.network_.parameter_vector)
    assert averaged.loss_curve_ == plain.loss_curve_
