"""What the estimators can do beyond scikit-learn's: each ability changes what it should, and nothing else."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, r2_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight
from threadpoolctl import threadpool_limits

from layernet import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    BinaryCrossEntropy,
    Callback,
    CosineSchedule,
    CrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    HingeLoss,
    HuberLoss,
    LayerNorm,
    LeakyReLU,
    MeanAbsoluteError,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    QuantileLoss,
    ReLU,
    RMSNorm,
    Sequential,
    StepSchedule,
    Tanh,
)
from layernet.losses import HalfPoissonDeviance, HalfSquaredError, LogLoss

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture
def quick():
    """A classifier that learns in a few epochs."""
    return MLPClassifier((10,), learning_rate_init=0.02, batch_size=30, max_iter=15, random_state=0)


@pytest.fixture
def line(random):
    """Numbers on a line, with noise: X, y."""
    X = random.uniform(-1, 1, (300, 1))
    return X, 2 * X[:, 0] + random.normal(0, 0.3, 300)


def same(one, other, X):
    """Whether two classifiers have the very same probabilities."""
    return np.array_equal(one.predict_proba(X), other.predict_proba(X))


class Recorder(Callback):
    """The parameters before training, and after every step."""

    def on_train_begin(self, run):
        self.parameters = [run.network.parameter_vector.copy()]

    def on_batch_end(self, run):
        self.parameters.append(run.network.parameter_vector.copy())


# --- the network ---


def test_one_dropout_rate_is_for_all_hidden_layers(iris):
    classifier = MLPClassifier((8, 6), dropout=0.25, max_iter=2, random_state=0).fit(*iris)
    kinds = [type(layer) for layer in classifier.network_]
    assert kinds == [Dense, ReLU, Dropout, Dense, ReLU, Dropout, Dense]
    assert [layer.rate for layer in classifier.network_ if isinstance(layer, Dropout)] == [0.25, 0.25]
    assert np.array_equal(classifier.predict_proba(iris[0]), classifier.predict_proba(iris[0]))


def test_a_dropout_rate_for_each_hidden_layer_and_none_where_it_is_0(iris):
    classifier = MLPClassifier((8, 6, 4), dropout=[0.5, 0, 0.1], max_iter=2, random_state=0).fit(*iris)
    kinds = [type(layer) for layer in classifier.network_]
    assert kinds == [Dense, ReLU, Dropout, Dense, ReLU, Dense, ReLU, Dropout, Dense]
    assert [layer.rate for layer in classifier.network_ if isinstance(layer, Dropout)] == [0.5, 0.1]
    with pytest.raises(ValueError, match="dropout must be one value or one for each of 2 hidden layers, got 3"):
        MLPClassifier((8, 6), dropout=[0.5, 0, 0.1]).fit(*iris)


def test_dropout_keeps_a_network_from_learning_noise_by_heart(random):
    X, y = random.normal(size=(100, 20)), random.integers(2, size=100)
    plain, silenced = (
        MLPClassifier((50,), dropout=rate, learning_rate_init=0.01, max_iter=100, random_state=0).fit(X, y)
        for rate in (0.0, 0.8)
    )
    assert plain.score(X, y) == 1
    assert log_loss(y, silenced.predict_proba(X)) > 2 * log_loss(y, plain.predict_proba(X))


def test_dropout_repeats_itself_from_the_same_random_state_only(iris, quick):
    one, two, other = (clone(quick).set_params(dropout=0.3, random_state=seed).fit(*iris) for seed in (0, 0, 1))
    assert same(one, two, iris[0])
    assert not same(one, other, iris[0])


@pytest.mark.parametrize(("name", "kind"), [("batch", BatchNorm), ("layer", LayerNorm), ("rms", RMSNorm)])
def test_normalization_stands_before_each_activation_and_learns(iris, quick, name, kind):
    quick.set_params(normalization=name, hidden_layer_sizes=(10, 8)).fit(*iris)
    assert [type(layer) for layer in quick.network_] == [Dense, kind, ReLU, Dense, kind, ReLU, Dense]
    assert quick.score(*iris) > 0.9
    assert [weights.shape for weights in quick.coefs_] == [(4, 10), (10, 8), (8, 3)]


def test_batch_normalization_bears_inputs_that_are_large(iris, quick):
    X, y = iris
    quick.set_params(activation="tanh", learning_rate_init=0.01, max_iter=40)
    plain, normalized = (
        clone(quick).set_params(normalization=name).fit(1e3 * X, y) for name in (None, "batch")
    )
    assert normalized.score(1e3 * X, y) > 0.95 > plain.score(1e3 * X, y)


def test_batch_normalization_predicts_each_sample_by_itself(iris, quick):
    X, y = iris
    quick.set_params(normalization="batch").fit(X, y)
    step_by_step = np.vstack([quick.predict_proba(X[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(quick.predict_proba(X[:10]), step_by_step, rtol=1e-12)


def test_an_activation_for_each_layer(iris):
    leaky = LeakyReLU(0.3)
    classifier = MLPClassifier((8, 6, 4), ["tanh", leaky, "gelu"], max_iter=2, random_state=0).fit(*iris)
    assert repr(classifier.network_) == (
        "Sequential([Dense(8), Tanh(), Dense(6), LeakyReLU(0.3), Dense(4), GELU(), Dense(3)])"
    )
    assert classifier.network_[3] is not leaky
    with pytest.raises(ValueError, match="activation must be one value or one for each of 2 hidden layers"):
        MLPClassifier((8, 6), ["tanh"]).fit(*iris)


def test_an_activation_by_name_and_as_a_layer_is_the_same(iris, quick):
    by_name, as_layer = (
        clone(quick).set_params(activation=activation).fit(*iris) for activation in ("tanh", Tanh())
    )
    assert same(by_name, as_layer, iris[0])


# --- losses ---


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("log_loss", CrossEntropy()),
        ("cross_entropy", CrossEntropy()),
        ("hinge", HingeLoss()),
        ("binary_cross_entropy", BinaryCrossEntropy()),
    ],
)
def test_a_classifiers_loss_by_name_and_as_an_object_is_the_same(iris, quick, name, loss):
    X, y = iris
    one, two = (clone(quick).set_params(loss=each).fit(X, y) for each in (name, loss))
    np.testing.assert_array_equal(one.decision_function(X), two.decision_function(X))
    assert one.score(X, y) > 0.85
    assert hasattr(one, "predict_proba") == (name != "hinge")


def test_two_classes_have_one_output_but_two_for_a_cross_entropy(iris, quick):
    X, y = iris[0][50:], iris[1][50:]
    for loss, n_outputs in (("log_loss", 1), (LogLoss(), 1), ("hinge", 1), (CrossEntropy(), 2)):
        classifier = clone(quick).set_params(loss=loss).fit(X, y)
        assert classifier.n_outputs_ == n_outputs
        assert classifier.decision_function(X).shape == (100,)
        np.testing.assert_array_equal(
            classifier.classes_[(classifier.decision_function(X) > 0).astype(int)], classifier.predict(X)
        )
        assert classifier.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("squared_error", HalfSquaredError()),
        ("absolute_error", MeanAbsoluteError()),
        ("poisson", HalfPoissonDeviance()),
        ("huber", HuberLoss()),
        ("quantile", QuantileLoss()),
    ],
)
def test_a_regressors_loss_by_name_and_as_an_object_is_the_same(line, name, loss):
    X, y = line[0], np.exp(line[1])
    one, two = (
        MLPRegressor(each, (8,), learning_rate_init=0.02, batch_size=30, max_iter=40, random_state=0).fit(X, y)
        for each in (name, loss)
    )
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert one.score(X, y) > 0.6
    assert (one.predict(X) > 0).all() or name != "poisson"


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_a_quantile_lies_above_its_part_of_the_targets(line, quantile):
    X, y = line
    regressor = MLPRegressor(
        QuantileLoss(quantile), (8,), learning_rate_init=0.01, batch_size=50, max_iter=150, random_state=0
    ).fit(X, y)
    assert np.mean(y < regressor.predict(X)) == pytest.approx(quantile, abs=0.04)
    assert np.corrcoef(regressor.predict(X), X[:, 0])[0, 1] > 0.95


def test_outliers_move_a_huber_loss_less_than_a_squared_error(line):
    X, y = line
    spoilt = y.copy()
    spoilt[::15] += 50
    errors = []
    for loss in ("squared_error", HuberLoss(0.5)):
        regressor = MLPRegressor(
            loss, (), learning_rate_init=0.05, batch_size=50, max_iter=60, random_state=0
        ).fit(X, spoilt)
        errors.append(np.abs(regressor.predict(X) - 2 * X[:, 0]).mean())
    assert errors[0] > 2
    assert errors[1] < 0.2


def test_smoothed_labels_make_a_classifier_less_confident(iris, quick):
    X, y = iris
    quick.set_params(max_iter=60)
    sharp, smooth = (clone(quick).set_params(label_smoothing=amount).fit(X, y) for amount in (0.0, 0.3))
    assert smooth.predict_proba(X).max(axis=1).mean() < sharp.predict_proba(X).max(axis=1).mean() - 0.1
    assert smooth.score(X, y) > 0.9
    loss = clone(quick).set_params(loss=CrossEntropy(label_smoothing=0.3)).fit(X, y)
    assert same(smooth, loss, X)
    with pytest.raises(ValueError, match=r"label_smoothing=0\.3 needs loss='log_loss'"):
        clone(quick).set_params(label_smoothing=0.3, loss="hinge").fit(X, y)


# --- weights ---


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("class_weight", [{"a": 5.0, "c": 0.5}, "balanced"])
def test_class_weights_are_sample_weights(iris, quick, class_weight, early_stopping):
    X, y = iris[0][:130], np.array(["a", "b", "c"])[iris[1][:130]]
    quick.set_params(early_stopping=early_stopping)
    of_classes = clone(quick).set_params(class_weight=class_weight).fit(X, y)
    of_samples = clone(quick).fit(X, y, sample_weight=compute_sample_weight(class_weight, y))
    assert same(of_classes, of_samples, X)
    assert of_classes.loss_curve_ == of_samples.loss_curve_
    assert not same(of_classes, clone(quick).fit(X, y), X)


def test_class_weights_multiply_sample_weights(iris, quick, random):
    X, y = iris
    weights = random.uniform(0.5, 2, 150)
    both = clone(quick).set_params(class_weight={0: 3.0}).fit(X, y, weights)
    assert same(both, clone(quick).fit(X, y, weights * np.where(y == 0, 3.0, 1.0)), X)


def test_class_weights_in_partial_fit_are_a_dict(iris, quick):
    X, y = iris
    of_classes = clone(quick).set_params(class_weight={2: 4.0})
    of_samples = clone(quick)
    for _ in range(3):
        of_classes.partial_fit(X, y, classes=[0, 1, 2])
        of_samples.partial_fit(X, y, np.where(y == 2, 4.0, 1.0), classes=[0, 1, 2])
    assert same(of_classes, of_samples, X)
    with pytest.raises(ValueError, match="class_weight='balanced' is not supported for partial_fit"):
        clone(quick).set_params(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


def test_a_weight_of_k_counts_as_k_equal_samples(iris, random):
    X, y = iris
    times = random.integers(0, 4, 150)
    together = {"alpha": 0.0, "shuffle": False, "learning_rate_init": 0.02, "max_iter": 15, "random_state": 0}
    weighted = MLPClassifier((10,), batch_size=150, **together).fit(X, y, times)
    repeated = MLPClassifier((10,), batch_size=times.sum(), **together).fit(X.repeat(times, 0), y.repeat(times))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


def test_samples_of_weight_0_do_not_count_in_partial_fit(iris, quick):
    X, y = iris
    weights = np.ones(150)
    weights[::3] = 0
    spoilt = np.where(weights == 0, (y + 1) % 3, y)
    one, two = clone(quick), clone(quick)
    for _ in range(3):
        one.partial_fit(X, y, weights, classes=[0, 1, 2])
        two.partial_fit(X, spoilt, weights, classes=[0, 1, 2])
    assert same(one, two, X)
    assert not same(one, clone(quick).partial_fit(X, y, classes=[0, 1, 2]), X)


def test_weights_pull_a_regression_towards_their_samples(random):
    X = np.zeros((100, 1))
    y = np.repeat([0.0, 1.0], 50)
    weights = np.repeat([1.0, 3.0], 50)
    for solver in ("adam", "lbfgs"):
        regressor = MLPRegressor(
            hidden_layer_sizes=(), solver=solver, learning_rate_init=0.05, max_iter=150, random_state=0
        ).fit(X, y, weights)
        assert regressor.predict(X[:1]) == pytest.approx(0.75, abs=0.01)


def test_weights_below_0_are_refused(iris, quick):
    with pytest.raises(ValueError, match="Negative values"):
        quick.fit(*iris, sample_weight=np.linspace(-1, 1, 150))


# --- solvers ---


def test_adamw_decays_weights_and_an_optimizer_object_is_the_same(iris, quick):
    X, y = iris
    optimizer = AdamW(0.02, epsilon=1e-8)
    by_name = clone(quick).set_params(solver="adamw").fit(X, y)
    as_object = clone(quick).set_params(solver=optimizer).fit(X, y)
    assert same(by_name, as_object, X)
    sizes = [
        np.abs(clone(quick).set_params(solver=AdamW(0.02, weight_decay=decay)).fit(X, y).coefs_[0]).mean()
        for decay in (0.01, 3.0)
    ]
    assert sizes[1] < 0.8 * sizes[0]


def test_an_optimizer_object_is_copied_for_every_fit(iris, quick):
    X, y = iris
    optimizer = SGD(0.1, momentum=0.5)
    quick.set_params(solver=optimizer)
    first = clone(quick).fit(X, y)
    before = pickle.dumps(optimizer)
    quick.fit(X, y)
    assert quick.solver is optimizer
    assert pickle.dumps(optimizer) == before
    assert same(first, quick, X)
    probabilities = quick.predict_proba(X)
    np.testing.assert_array_equal(quick.fit(X, y).predict_proba(X), probabilities)


def test_a_schedule_sets_the_learning_rate_of_every_epoch(iris, quick):
    for schedule in (
        CosineSchedule(0.05, duration=15),
        StepSchedule(0.05, every=4),
        lambda epoch: 0.1 / (1 + epoch),
    ):
        for solver in ("adam", "sgd", SGD(7.0)):
            classifier = clone(quick).set_params(solver=solver, learning_rate=schedule).fit(*iris)
            rates = [schedule(epoch) for epoch in range(classifier.n_iter_)]
            assert classifier.history_["learning_rate"] == rates


def test_a_schedule_goes_on_in_partial_fit(iris, quick):
    X, y = iris
    quick.set_params(learning_rate=StepSchedule(0.05, every=2))
    rates = []
    for _ in range(5):
        rates += quick.partial_fit(X, y, classes=[0, 1, 2]).history_["learning_rate"]
    assert rates == [quick.learning_rate(epoch) for epoch in range(5)]


def test_a_clipped_gradient_makes_a_step_of_that_length(iris):
    recorder = Recorder()
    classifier = MLPClassifier(
        (10,), solver="sgd", momentum=0.0, learning_rate_init=1.0, batch_size=150, max_iter=3, clip_norm=0.01
    )
    classifier.set_params(callbacks=[recorder], random_state=0).fit(*iris)
    steps = np.diff(recorder.parameters, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 0.01, rtol=1e-9)
    classifier.set_params(clip_norm=None, clip_value=0.001).fit(*iris)
    steps = np.diff(recorder.parameters, axis=0)
    assert np.abs(steps).max() == pytest.approx(0.001, rel=1e-9)


def test_averaged_parameters_predict_and_partial_fit_goes_on_from_the_others(iris, quick):
    X, y = iris
    decay = 0.8
    raw, averaged = Recorder(), Recorder()
    plain = clone(quick).set_params(callbacks=[raw])
    smooth = clone(quick).set_params(callbacks=[averaged], weight_averaging=decay)
    average, step = None, 0
    for _ in range(4):
        plain.partial_fit(X, y, classes=[0, 1, 2])
        smooth.partial_fit(X, y, classes=[0, 1, 2])
        np.testing.assert_array_equal(raw.parameters, averaged.parameters)
        average = raw.parameters[0].copy() if average is None else average
        for parameters in raw.parameters[1:]:
            step += 1
            d = min(decay, step / (step + 9))
            average = d * average + (1 - d) * parameters
        np.testing.assert_allclose(smooth.network_.parameter_vector, average, rtol=1e-12)
    assert not same(plain, smooth, X)


def test_the_validation_loss_is_that_of_the_averaged_parameters(iris, quick):
    X, y = iris
    quick.set_params(weight_averaging=0.9).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    expected = log_loss(y[1::2], quick.predict_proba(X[1::2]))
    assert quick.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_a_fit_without_averaging_forgets_the_average_of_the_fit_before(iris, quick):
    X, y = iris
    fresh = clone(quick).fit(X, y).partial_fit(X, y)
    again = clone(quick).set_params(weight_averaging=0.9).fit(X, y)
    again.set_params(weight_averaging=None).fit(X, y).partial_fit(X, y)
    assert same(fresh, again, X)


def test_a_partial_fit_that_fails_leaves_the_average_as_it_was(iris, quick):
    X, y = iris
    quick.set_params(weight_averaging=0.9, shuffle=False)
    one, two = clone(quick).fit(X, y), clone(quick).fit(X, y)
    with pytest.raises(DivergenceError):
        two.partial_fit(1e200 * X, y)
    assert same(one, two, X)
    assert same(one.partial_fit(X, y), two.partial_fit(X, y), X)


# --- validation ---


def test_validation_data_has_a_loss_for_each_epoch(iris, quick):
    X, y = iris
    weights = np.linspace(0.1, 2, 75)
    validation = {"X_val": X[1::2], "y_val": y[1::2], "sample_weight_val": weights}
    watched = clone(quick).fit(X[::2], y[::2], **validation)
    assert len(watched.validation_loss_curve_) == watched.n_iter_ == 15
    expected = log_loss(y[1::2], watched.predict_proba(X[1::2]), sample_weight=weights)
    assert watched.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)
    assert same(watched, clone(quick).fit(X[::2], y[::2]), X)  # and looking on changes nothing


def test_validation_data_have_a_loss_for_each_iteration_of_lbfgs(iris, quick):
    X, y = iris
    quick.set_params(solver="lbfgs", max_iter=5).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert len(quick.validation_loss_curve_) == quick.n_iter_
    expected = log_loss(y[1::2], quick.predict_proba(X[1::2]))
    assert quick.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_warm_start_goes_on_with_all_curves(iris, quick, early_stopping):
    X, y = iris
    quick.set_params(warm_start=True, early_stopping=early_stopping, max_iter=5)
    for n_epochs in (5, 10):
        quick.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        assert quick.n_iter_ == 5
        assert len(quick.loss_curve_) == n_epochs
        assert not early_stopping or len(quick.validation_scores_) == n_epochs
        assert len(quick.validation_loss_curve_) == n_epochs


def test_a_fit_without_validation_data_has_no_curve_of_the_fit_before(iris, quick):
    X, y = iris
    quick.fit(X, y, X_val=X, y_val=y)
    assert not hasattr(quick.fit(X, y), "validation_loss_curve_")


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 2, 75)])
def test_early_stopping_uses_the_validation_data_and_splits_nothing(iris, quick, weights):
    X, y = iris
    quick.set_params(early_stopping=True, n_iter_no_change=3, max_iter=60)
    quick.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2], sample_weight_val=weights)
    assert quick.t_ == 75 * quick.n_iter_  # all rows, in each epoch
    assert quick.n_iter_ < 60
    assert len(quick.validation_scores_) == quick.n_iter_
    assert quick.best_validation_score_ == max(quick.validation_scores_)
    assert quick.score(X[1::2], y[1::2], weights) == pytest.approx(quick.best_validation_score_, rel=1e-12)
    split = clone(quick).fit(X, y)
    assert split.t_ == 135 * split.n_iter_


def test_half_of_the_validation_data_is_refused(iris, quick):
    X, y = iris
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        quick.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="sample_weight_val was given without"):
        quick.fit(X, y, sample_weight_val=np.ones(150))


def test_the_validation_loss_can_be_the_score(iris, quick):
    X, y = iris
    quick.set_params(early_stopping=True, scoring="loss").fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert quick.validation_scores_ == [-loss for loss in quick.validation_loss_curve_]
    expected = log_loss(y[1::2], quick.predict_proba(X[1::2]))
    assert quick.best_validation_score_ == pytest.approx(-expected, rel=1e-9)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "balanced_accuracy", "roc_auc_ovr"])
def test_a_scorer_by_name_scores_the_validation_data(iris, quick, scoring):
    from sklearn.metrics import get_scorer

    X, y = iris
    quick.set_params(early_stopping=True, scoring=scoring).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    found = get_scorer(scoring)(quick, X[1::2], y[1::2])
    assert quick.best_validation_score_ == pytest.approx(found, rel=1e-12)


def test_a_function_scores_a_regressors_validation_data(line):
    X, y = line

    def worst_error(estimator, X, y):
        return -np.abs(estimator.predict(X) - y).max()

    regressor = MLPRegressor(hidden_layer_sizes=(8,), early_stopping=True, max_iter=30, random_state=0)
    regressor.set_params(scoring=worst_error).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert regressor.best_validation_score_ == worst_error(regressor, X[1::2], y[1::2])
    regressor.set_params(scoring=None).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert regressor.best_validation_score_ == pytest.approx(r2_score(y[1::2], regressor.predict(X[1::2])))


# --- data ---


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_float32_is_computed_in_on_data_in_float64(iris, quick, solver):
    X, y = iris
    quick.set_params(solver=solver, dropout=0.0)
    narrow, wide = (clone(quick).set_params(dtype=dtype).fit(X, y) for dtype in ("float32", None))
    assert X.dtype == np.float64
    assert narrow.network_.dtype == narrow.predict_proba(X).dtype == narrow.coefs_[0].dtype == np.float32
    assert narrow.transform(X).dtype == np.float32
    assert wide.predict_proba(X).dtype == np.float64
    np.testing.assert_allclose(narrow.predict_proba(X), wide.predict_proba(X), atol=1e-3)
    back = clone(quick).set_params(dtype="float64").fit(X.astype(np.float32), y)
    assert back.network_.dtype == back.predict_proba(X.astype(np.float32)).dtype == np.float64


def test_several_labels_a_sample(random):
    X, Y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    X = StandardScaler().fit_transform(X)
    classifier = MLPClassifier((20,), learning_rate_init=0.01, batch_size=50, max_iter=60, random_state=0)
    classifier.fit(X, Y)
    assert classifier.predict(X).shape == classifier.predict_proba(X).shape == (300, 4)
    assert np.mean(classifier.predict(X) == Y) > 0.85
    np.testing.assert_array_equal(classifier.predict(X), classifier.predict_proba(X) > 0.5)
    label = [log_loss(Y[:, i], classifier.predict_proba(X)[:, i]) for i in range(4)]
    steady = clone(classifier).set_params(max_iter=1, learning_rate_init=1e-12, alpha=0)
    assert steady.fit(X, Y, init_from=classifier).loss_ == pytest.approx(sum(label), rel=1e-6)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_labels_in_a_sparse_matrix_are_those_of_a_dense_one(early_stopping):
    X, Y = make_multilabel_classification(200, 10, n_classes=4, random_state=0)
    classifier = MLPClassifier((10,), early_stopping=early_stopping, max_iter=5, random_state=0)
    dense = clone(classifier).fit(X, Y)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csr_array):
        sparse = clone(classifier).fit(X, kind(Y))
        assert same(dense, sparse, X)
        assert dense.validation_scores_ == sparse.validation_scores_


def test_several_numbers_a_sample_in_partial_fit_too(random):
    X = random.normal(size=(200, 3))
    Y = X @ random.normal(size=(3, 2))
    regressor = MLPRegressor(hidden_layer_sizes=(), learning_rate_init=0.05, batch_size=20, random_state=0)
    for _ in range(20):
        regressor.partial_fit(X, Y)
    assert regressor.predict(X).shape == (200, 2)
    assert regressor.score(X, Y) > 0.99
    assert regressor.n_outputs_ == 2
    single = clone(regressor).fit(X, Y[:, 0])
    assert single.predict(X).shape == (200,)


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "lbfgs", "max_iter": 5},
        {"dropout": 0.3},
        {"normalization": "batch"},
        {"early_stopping": True},
        {"weight_averaging": 0.9, "class_weight": {1: 3.0}},
    ],
)
def test_sparse_data_give_what_dense_ones_give(random, kind, change):
    X = random.normal(size=(200, 30)) * (random.random((200, 30)) < 0.1)
    y = (X[:, :10].sum(axis=1) > 0).astype(int)
    sparse = getattr(scipy.sparse, kind)(X)
    classifier = MLPClassifier((10,), batch_size=50, max_iter=4, random_state=0).set_params(**change)
    one = clone(classifier).fit(X, y, X_val=X[:50], y_val=y[:50])
    two = clone(classifier).fit(sparse, y, X_val=sparse[:50], y_val=y[:50])
    # Sparse products add in another order than BLAS. A bias in front of BatchNorm has a gradient of nothing but
    # rounding, which Adam divides by its own size: it moves, though no output in training depends on it.
    atol = 1e-10 if "normalization" in change else 1e-12
    for data in (X, sparse):
        np.testing.assert_allclose(two.predict_proba(data), one.predict_proba(X), rtol=0, atol=1e-12)
        np.testing.assert_allclose(two.transform(data), one.transform(X), rtol=0, atol=atol)
    np.testing.assert_allclose(two.loss_curve_, one.loss_curve_, rtol=1e-12)
    if change.get("solver") != "lbfgs":
        np.testing.assert_allclose(two.validation_loss_curve_, one.validation_loss_curve_, rtol=1e-12)
        if not change.get("early_stopping"):
            one, two = one.partial_fit(X, y), two.partial_fit(sparse, y)
            np.testing.assert_allclose(two.predict_proba(X), one.predict_proba(X), rtol=0, atol=1e-12)


def test_sparse_data_for_a_network_of_ones_own(random):
    X = random.normal(size=(200, 30)) * (random.random((200, 30)) < 0.1)
    y = X[:, :10].sum(axis=1)
    regressor = NetworkRegressor(Sequential([Dense(10), Tanh(), Dense(1)]), max_iter=4, random_state=0)
    one, two = clone(regressor).fit(X, y), clone(regressor).fit(scipy.sparse.csr_matrix(X), y)
    np.testing.assert_allclose(two.predict(X), one.predict(X), rtol=0, atol=1e-12)


# --- what is hidden ---


@pytest.mark.parametrize("change", [{}, {"dropout": 0.5}, {"normalization": "batch"}])
def test_hidden_activations_are_those_of_the_networks_layers(iris, quick, change):
    X, y = iris
    quick.set_params(hidden_layer_sizes=(10, 7, 5), **change).fit(X, y)
    before = quick.predict_proba(X)
    activations = quick.hidden_activations(X)
    assert [each.shape for each in activations] == [(150, 10), (150, 7), (150, 5)]
    values, expected = X, []
    for layer in quick.network_:
        if isinstance(layer, Dense) and values is not X:
            expected.append(values)
        values = layer.forward_pass(values)
    for found, wanted in zip(activations, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(quick.transform(X), activations[-1])
    assert len(quick.get_feature_names_out()) == 5
    np.testing.assert_array_equal(quick.predict_proba(X), before)  # and looking changes nothing
    assert quick.partial_fit(X, y).n_iter_ == 1


def test_without_a_hidden_layer_transform_gives_the_outputs(iris):
    X, y = iris
    classifier = MLPClassifier((), max_iter=5, random_state=0).fit(X, y)
    assert classifier.hidden_activations(X) == []
    np.testing.assert_array_equal(classifier.transform(X), classifier.decision_function(X))
    assert len(classifier.get_feature_names_out()) == 3


# --- where training starts ---

STANDING_STILL = {"max_iter": 1, "learning_rate_init": 1e-12, "alpha": 0.0, "random_state": 1}


def test_training_starts_from_an_estimator_of_this_package(iris, quick):
    X, y = iris
    source = quick.set_params(normalization="batch").fit(X, y)
    vector = source.network_.parameter_vector.copy()
    copied = MLPClassifier((10,), normalization="batch", **STANDING_STILL).fit(X, y, init_from=source)
    np.testing.assert_allclose(copied.network_.parameter_vector, vector, rtol=0, atol=1e-10)
    copied.set_params(learning_rate_init=0.1, max_iter=3).fit(X, y, init_from=source)
    np.testing.assert_array_equal(source.network_.parameter_vector, vector)


def test_training_starts_from_scikit_learns_perceptrons(iris, line):
    X, y = iris
    theirs = TheirClassifier((10,), max_iter=20, random_state=0).fit(X, y)
    ours = MLPClassifier((10,), **STANDING_STILL).fit(X, y, init_from=theirs)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-9)
    X, y = line
    theirs = TheirRegressor(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=20, random_state=0).fit(X, y)
    ours = MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", **STANDING_STILL)
    np.testing.assert_allclose(
        ours.fit(X, y, init_from=theirs).predict(X), theirs.predict(X), rtol=0, atol=1e-9
    )


def test_training_starts_from_a_layer(iris):
    X, y = iris
    network = Sequential([Dense(10), ReLU(), Dense(3)]).build(4, random_state=5)
    ours = MLPClassifier((10,), **STANDING_STILL).fit(X, y, init_from=network)
    np.testing.assert_allclose(ours.decision_function(X), network.forward_pass(X), rtol=0, atol=1e-9)
    assert ours.network_ is not network
    classifier = NetworkClassifier(network, optimizer=Adam(1e-12), max_iter=1, random_state=1)
    np.testing.assert_allclose(
        classifier.fit(X, y, init_from=network).decision_function(X), network.forward_pass(X), atol=1e-9
    )


def test_what_does_not_fit_is_no_start(iris, quick):
    X, y = iris
    quick.fit(X, y)
    with pytest.raises(ValueError, match="init_from has parameters of the shapes"):
        MLPClassifier((9,), max_iter=1).fit(X, y, init_from=quick)
    with pytest.raises(TypeError, match="init_from must be a fitted estimator with a network, or a Layer"):
        MLPClassifier((9,), max_iter=1).fit(X, y, init_from="elsewhere")
    with pytest.raises(TypeError, match="init_from must be a fitted estimator"):
        MLPClassifier((10,), max_iter=1).fit(X, y, init_from=clone(quick))


# --- networks of one's own ---


def test_a_network_as_an_object_and_as_a_function_is_the_same(iris):
    X, y = iris
    asked = []

    def make(input_shape, n_outputs):
        asked.append((input_shape, n_outputs))
        return Sequential([Dense(10), Tanh(), Dropout(0.1), Dense(n_outputs)])

    as_object, as_function = (
        NetworkClassifier(network, optimizer=Adam(0.02), batch_size=30, max_iter=15, random_state=0).fit(X, y)
        for network in (Sequential([Dense(10), Tanh(), Dropout(0.1), Dense(3)]), make)
    )
    assert set(asked) == {((4,), 3)}
    assert as_object.score(X, y) > 0.9
    assert same(as_object, as_function, X)


def test_a_network_that_has_too_few_outputs_is_refused(iris):
    with pytest.raises(ValueError, match=r"let it end in Dense\(3\)"):
        NetworkClassifier(Sequential([Dense(10), ReLU(), Dense(2)])).fit(*iris)
    with pytest.raises(TypeError, match="network must be a Layer or return one, got str"):
        NetworkClassifier(lambda shape, n_outputs: "no network").fit(*iris)


def test_nested_parameters_are_set_and_the_users_objects_stay_as_they_were(iris):
    X, y = iris
    network, optimizer = Sequential([Dense(10), LeakyReLU(0.1), Dense(3)]), SGD(0.1, momentum=0.9)
    classifier = NetworkClassifier(network, optimizer=optimizer, max_iter=3, random_state=0)
    assert classifier.get_params()["network__0__units"] == 10
    assert classifier.get_params()["optimizer__momentum"] == 0.9
    classifier.fit(X, y)
    assert classifier.network is network
    assert network.input_shape is None  # a plan still
    classifier.set_params(network__0__units=6, optimizer__learning_rate=0.2, network__1__negative_slope=0.3)
    assert repr(classifier.network) == "Sequential([Dense(6), LeakyReLU(0.3), Dense(3)])"
    assert (classifier.optimizer.learning_rate, classifier.optimizer.momentum) == (0.2, 0.9)
    assert repr(network) == "Sequential([Dense(10), LeakyReLU(0.1), Dense(3)])"
    assert optimizer.learning_rate == 0.1
    assert classifier.fit(X, y).network_[0].weights.shape == (4, 6)
    with pytest.raises(ValueError, match="Invalid parameter 'width' in 'network__0__width'"):
        classifier.set_params(network__0__width=3)


def test_a_nested_name_makes_an_object_of_a_name(iris):
    classifier = NetworkClassifier(Dense(3), optimizer="sgd").set_params(optimizer__learning_rate=0.5)
    assert isinstance(classifier.optimizer, SGD)
    assert classifier.optimizer.learning_rate == 0.5
    regressor = MLPRegressor(loss="quantile").set_params(loss__quantile=0.9)
    assert regressor.loss.quantile == 0.9
    assert regressor.get_params()["loss__quantile"] == 0.9


def test_a_clone_is_unfitted_and_equal(iris):
    X, y = iris
    network = Sequential([Dense(10), ReLU(), Dense(3)])
    classifier = NetworkClassifier(network, optimizer=Adam(0.02), max_iter=3, random_state=0).fit(X, y)
    copied = clone(classifier)
    assert copied.network is not network
    assert repr(copied.network) == repr(network)
    assert repr(copied) == repr(classifier)
    with pytest.raises(NotFittedError):
        copied.predict(X)
    assert same(copied.fit(X, y), classifier, X)


def test_a_network_trained_elsewhere_is_drawn_anew(iris):
    X, y = iris
    network = Sequential([Dense(10), ReLU(), Dense(3)])
    untrained = NetworkClassifier(network, max_iter=3, random_state=0).fit(X, y)
    network.build(4, random_state=7)
    vector = network.parameter_vector.copy()
    again = NetworkClassifier(network, max_iter=3, random_state=0).fit(X, y)
    assert same(untrained, again, X)
    np.testing.assert_array_equal(network.parameter_vector, vector)


# --- what is kept ---


def test_a_pickle_without_the_optimizer_is_little_more_than_the_parameters(digits):
    X, y = digits
    classifier = MLPClassifier(tol=0.0, n_iter_no_change=np.inf, keep_optimizer=False, random_state=0)
    with threadpool_limits(1):  # on a busy machine threads wait for each other, for seconds
        classifier.fit(X, y)
    assert classifier.n_iter_ == 200
    n_parameters = 64 * 100 + 100 + 100 * 10 + 10
    assert classifier.network_.parameter_vector.nbytes == 8 * n_parameters
    assert len(pickle.dumps(classifier)) <= 1.2 * 8 * n_parameters
    restored = pickle.loads(pickle.dumps(classifier))
    assert same(restored, classifier, X)


def test_a_pickle_goes_on_as_the_original_does(iris, quick):
    X, y = iris
    quick.set_params(weight_averaging=0.9, dropout=0.2).fit(X, y)
    restored = pickle.loads(pickle.dumps(quick))
    for _ in range(3):
        assert same(quick.partial_fit(X, y), restored.partial_fit(X, y), X)
    fresh = clone(quick).set_params(keep_optimizer=False).fit(X, y)
    assert len(pickle.dumps(fresh)) < len(pickle.dumps(quick)) - 2000
    assert fresh.partial_fit(X, y).n_iter_ == 1


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_without_the_optimizer_the_random_state_is_not_kept_either(iris, quick, solver):
    fitted = vars(quick.set_params(keep_optimizer=False, solver=solver).fit(*iris))
    assert not {"_optimizer", "_random_state", "_average", "_convergence"} & set(fitted)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_nothing_is_kept_of_the_fit_before(iris, quick, solver):
    X, y = iris
    quick.set_params(solver=solver, keep_optimizer=False)
    again = clone(quick).set_params(solver="adam", keep_optimizer=True, weight_averaging=0.9).fit(X, y)
    again.set_params(**quick.get_params()).fit(X, y)
    assert set(vars(again)) == set(vars(quick.fit(X, y)))


# --- callbacks of this package ---


def test_early_stopping_by_a_callback_goes_back_to_the_best_epoch(iris, quick):
    X, y = iris
    callback = EarlyStopping("val_loss", patience=3)
    quick.set_params(callbacks=[callback], max_iter=200, n_iter_no_change=np.inf)
    quick.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    curve = quick.validation_loss_curve_
    assert quick.n_iter_ == len(curve) < 200
    assert np.argmin(curve) == len(curve) - 4
    assert log_loss(y[1::2], quick.predict_proba(X[1::2])) == pytest.approx(min(curve), rel=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_callback_of_ones_own_sees_every_epoch_and_stops(iris, quick, solver):
    class Watch(Callback):
        def on_train_begin(self, run):
            self.losses = []

        def on_epoch_end(self, run):
            self.losses.append(run.history["loss"][-1])
            self.outputs = run.network.forward_pass(iris[0])
            if run.epoch == 4:
                run.stop("Four are enough.")

    watch = Watch()
    quick.set_params(solver=solver, callbacks=[watch]).fit(*iris)
    assert watch.losses == quick.loss_curve_ == quick.history_["loss"]
    assert quick.n_iter_ == 4
    assert quick.history_.stop_message == "Four are enough."
    np.testing.assert_array_equal(watch.outputs, quick.decision_function(iris[0]))


def test_callbacks_of_others_are_refused(iris, quick):
    with pytest.raises(TypeError, match="callbacks must be layernet's, got object"):
        quick.set_params(callbacks=[object()]).fit(*iris)
    with pytest.raises(NotFittedError):
        quick.predict(iris[0])
