"""The estimators inside scikit-learn's machinery: pipelines, searches, ensembles, inspection, callbacks."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from layernet import Adam, Dense, MLPClassifier, MLPRegressor, NetworkClassifier, ReLU, Sequential, Tanh

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="module")
def diabetes():
    """Scaled inputs, and targets of mean 0 and variance 1."""
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


@pytest.fixture
def quick():
    """A classifier that learns in a few epochs."""
    return MLPClassifier((10,), learning_rate_init=0.02, batch_size=30, max_iter=15, random_state=0)


def test_a_pipeline_scales_and_classifies(cancer, quick):
    X, y = cancer
    pipeline = make_pipeline(StandardScaler(), quick).fit(X[:400], y[:400])
    assert pipeline.score(X[400:], y[400:]) > 0.94
    scaled = StandardScaler().fit(X[:400]).transform(X)
    alone = clone(quick).fit(scaled[:400], y[:400])
    np.testing.assert_array_equal(pipeline.predict_proba(X[400:]), alone.predict_proba(scaled[400:]))


def test_a_pipeline_transforms_validation_data_as_it_does_the_rest(cancer, quick):
    X, y = cancer
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = quick.set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("classify", classifier)], transform_input=["X_val"]
        ).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    scaled = pipeline[0].transform(X)
    fitted = pipeline[-1]
    assert len(fitted.validation_loss_curve_) == fitted.n_iter_ == 15
    expected = log_loss(y[300:], fitted.predict_proba(scaled[300:]))
    assert fitted.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_data_frames_are_transformed_each_in_its_way(random, frame, quick):
    colours = random.choice(["red", "green", "blue"], 300)
    lengths = random.normal(100, 20, 300)
    y = np.where((colours == "red") ^ (lengths > 100), "yes", "no")
    table = frame({"colour": colours, "length": lengths})
    columns = ColumnTransformer(
        [("of words", OneHotEncoder(), ["colour"]), ("of numbers", StandardScaler(), ["length"])]
    )
    pipeline = make_pipeline(columns, quick.set_params(max_iter=60)).fit(table, y)
    assert pipeline.score(table, y) > 0.93
    assert list(pipeline.feature_names_in_) == ["colour", "length"]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_of_columns_are_remembered_and_their_order_is_checked(iris, frame, quick):
    X, y = iris
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    table = frame(dict(zip(names, X.T, strict=True)))
    classifier = quick.fit(table, y)
    assert list(classifier.feature_names_in_) == names
    np.testing.assert_array_equal(classifier.predict_proba(table), clone(quick).fit(X, y).predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(table[names[::-1]])


def test_transformed_columns_have_names_in_a_data_frame(iris, quick):
    X, y = iris
    classifier = quick.fit(X, y)
    table = classifier.set_output(transform="pandas").transform(X)
    assert list(table.columns) == [f"mlpclassifier{i}" for i in range(10)]
    assert list(classifier.get_feature_names_out()) == list(table.columns)
    np.testing.assert_array_equal(table.to_numpy(), classifier.hidden_activations(X)[-1])


def test_a_grid_of_dropout_rates_and_solvers_is_searched(iris, quick):
    grid = {"dropout": [0.0, 0.9], "solver": ["adam", "sgd"]}
    search = GridSearchCV(quick, grid, cv=3, error_score="raise").fit(*iris)
    scores = dict(
        zip(
            [(each["dropout"], each["solver"]) for each in search.cv_results_["params"]],
            search.cv_results_["mean_test_score"],
            strict=True,
        )
    )
    assert scores[0.0, "adam"] > 0.9
    assert scores[0.0, "adam"] > scores[0.9, "adam"]
    assert search.best_params_["dropout"] == 0.0
    assert search.best_estimator_.dropout == 0.0
    assert search.score(*iris) > 0.9


def test_a_grid_reaches_into_an_optimizer_by_a_nested_name(iris, quick):
    optimizer = Adam(0.5)
    quick.set_params(solver=optimizer)
    search = GridSearchCV(quick, {"solver__learning_rate": [1e-6, 0.02]}, cv=3, error_score="raise").fit(*iris)
    slow, fast = search.cv_results_["mean_test_score"]
    assert fast > slow + 0.2
    assert search.best_estimator_.solver.learning_rate == 0.02
    assert optimizer.learning_rate == quick.solver.learning_rate == 0.5


def test_a_grid_changes_the_layers_of_a_network(iris):
    network = Sequential([Dense(5), ReLU(), Dense(3)])
    classifier = NetworkClassifier(network, optimizer=Adam(0.02), batch_size=30, max_iter=15, random_state=0)
    grid = {"network__0__units": [1, 10], "network__1": [ReLU(), Tanh()]}
    search = GridSearchCV(classifier, grid, cv=3, n_jobs=2, error_score="raise").fit(*iris)
    assert search.best_params_["network__0__units"] == 10
    assert search.best_estimator_.network_[0].weights.shape == (4, 10)
    assert search.score(*iris) > 0.9
    assert repr(network) == "Sequential([Dense(5), ReLU(), Dense(3)])"


def test_halving_spends_more_epochs_on_better_candidates(iris, quick):
    search = HalvingRandomSearchCV(
        quick,
        {"learning_rate_init": [1e-6, 1e-5, 0.005, 0.01, 0.02], "activation": ["relu", "tanh", "gelu"]},
        resource="max_iter",
        min_resources=4,
        max_resources=16,
        n_candidates=8,
        factor=2,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(*iris)
    assert search.n_resources_ == [4, 8, 16]
    assert search.best_params_["learning_rate_init"] >= 0.005
    assert search.best_estimator_.n_iter_ == 16


def test_cross_validation_in_two_processes_equals_one(iris, quick):
    one, two = (
        cross_validate(quick, *iris, cv=3, n_jobs=n_jobs, return_train_score=True, return_estimator=True)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(one["test_score"], two["test_score"])
    np.testing.assert_array_equal(one["train_score"], two["train_score"])
    assert two["test_score"].mean() > 0.9
    for here, there in zip(one["estimator"], two["estimator"], strict=True):
        np.testing.assert_array_equal(here.loss_curve_, there.loss_curve_)


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_calibration_makes_probabilities_of_any_loss(cancer, quick, loss):
    X, y = cancer
    calibrated = CalibratedClassifierCV(make_pipeline(StandardScaler(), quick.set_params(loss=loss)), cv=3)
    probabilities = calibrated.fit(X[:400], y[:400]).predict_proba(X[400:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert log_loss(y[400:], probabilities) < 0.25


def test_bagging_averages_different_networks(iris, quick):
    X, y = iris
    bag = BaggingClassifier(quick, n_estimators=4, random_state=0).fit(X, y)
    assert bag.score(X, y) > 0.9
    first, second = bag.estimators_[:2]
    assert not np.array_equal(first.coefs_[0], second.coefs_[0])
    mean = np.mean([each.predict_proba(X) for each in bag.estimators_], axis=0)
    np.testing.assert_allclose(bag.predict_proba(X), mean)


def test_stacking_learns_from_probabilities(iris, quick):
    X, y = iris
    stack = StackingClassifier(
        [("network", quick), ("tree", DecisionTreeClassifier(max_depth=1, random_state=0))],
        final_estimator=LogisticRegression(),
        cv=3,
    ).fit(X, y)
    assert stack.transform(X).shape == (150, 6)
    np.testing.assert_array_equal(stack.transform(X)[:, :3], stack.estimators_[0].predict_proba(X))
    assert stack.score(X, y) > stack.estimators_[1].score(X, y) + 0.2


def test_boosting_weights_samples_that_were_wrong(random):
    X = random.uniform(-1, 1, (300, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    weak = MLPClassifier((3,), learning_rate_init=0.05, batch_size=50, max_iter=10, random_state=0)
    alone = clone(weak).fit(X, y).score(X, y)
    boosted = AdaBoostClassifier(weak, n_estimators=10, random_state=0).fit(X, y)
    first, second = boosted.estimators_[:2]
    wrong = first.predict(X) != y
    assert second.score(X[wrong], y[wrong]) > 0.5
    assert boosted.score(X, y) > alone + 0.05


def test_one_regressor_for_each_output(diabetes):
    X, y = diabetes
    both = np.column_stack([y, -2 * y])
    regressor = MLPRegressor(hidden_layer_sizes=(10,), learning_rate_init=0.01, max_iter=20, random_state=0)
    several = MultiOutputRegressor(regressor).fit(X, both)
    assert several.score(X, both) > 0.4
    np.testing.assert_array_equal(several.predict(X)[:, 1], clone(regressor).fit(X, -2 * y).predict(X))


def test_permuting_the_input_that_matters_costs_most(random):
    X = random.normal(size=(200, 3))
    y = 2 * X[:, 1]
    regressor = MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", random_state=0).fit(X, y)
    importances = permutation_importance(regressor, X, y, n_repeats=3, random_state=0).importances_mean
    assert importances[1] > 1
    assert np.abs(importances[[0, 2]]).max() < 0.05


def test_targets_are_transformed_and_predictions_back(random):
    X = random.uniform(-1, 1, (200, 2))
    y = np.exp(3 * X[:, 0] + X[:, 1])
    regressor = MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", random_state=0)
    transformed = TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp).fit(X, y)
    np.testing.assert_allclose(transformed.predict(X), np.exp(transformed.regressor_.predict(X)))
    assert transformed.score(X, y) > 0.99


def test_partial_dependence_finds_the_slope(random):
    X = random.normal(size=(200, 2))
    y = 3 * X[:, 0] - X[:, 1]
    regressor = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9, random_state=0).fit(X, y)
    for feature, slope in ((0, 3), (1, -1)):
        found = partial_dependence(regressor, X, [feature], grid_resolution=10, kind="average")
        np.testing.assert_allclose(
            np.diff(found["average"][0]) / np.diff(found["grid_values"][0]), slope, rtol=1e-4
        )


def test_partial_dependence_of_a_classifier_rises_with_what_speaks_for_a_class(iris, quick):
    X, y = iris
    found = partial_dependence(quick.fit(X, y), X, [2], grid_resolution=5, response_method="predict_proba")
    assert found["average"].shape == (3, 5)
    assert found["average"][0, 0] > found["average"][0, -1]  # the first kind has short petals
    assert found["average"][2, 0] < found["average"][2, -1]
    np.testing.assert_allclose(found["average"].sum(axis=0), 1)


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_writes_and_reads_a_model_that_goes_on_as_if_nothing_had_happened(
    iris, quick, tmp_path, compress
):
    X, y = iris
    quick.fit(X, y)
    joblib.dump(quick, tmp_path / "model.joblib", compress=compress)
    restored = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(restored.predict_proba(X), quick.predict_proba(X))
    assert restored.get_params() == quick.get_params()
    quick.partial_fit(X, y)
    restored.partial_fit(X, y)
    np.testing.assert_array_equal(restored.predict_proba(X), quick.predict_proba(X))


def test_a_model_read_into_mapped_memory_predicts(iris, quick, tmp_path):
    X, y = iris
    joblib.dump(quick.fit(X, y), tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict_proba(X), quick.predict_proba(X))


def test_hidden_units_are_features_for_another_model(random):
    X = random.uniform(-1, 1, (400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)  # no line divides them
    pipeline = make_pipeline(
        MLPClassifier((20,), learning_rate_init=0.02, batch_size=40, max_iter=40, random_state=0),
        LogisticRegression(),
    ).fit(X, y)
    assert LogisticRegression().fit(X, y).score(X, y) < 0.65
    assert pipeline.score(X, y) > 0.95
    assert pipeline[-1].coef_.shape == (1, 20)
    assert list(pipeline[:-1].get_feature_names_out()) == [f"mlpclassifier{i}" for i in range(20)]


# --- scikit-learn's callbacks ---


class StopAfter:
    """Stops a fit after some epochs, and keeps what it was told on the way."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.calls = []
        self.probabilities = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):  # fmt: skip
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        if context.task_name != "epoch":
            return False
        self.probabilities.append(fitted_estimator.predict_proba(X))
        return self.calls.count("end epoch") == self.n_epochs


class PropagatedCounter:
    """Counts the epochs of all networks below the estimator that it is set on."""

    max_propagation_depth = None
    epochs = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.epochs += context.task_name == "epoch"


def test_a_callback_that_returns_true_stops_after_that_epoch(iris, quick):
    X, y = iris
    callback = StopAfter(3)
    classifier = quick.set_callbacks(callback).fit(X, y)
    assert classifier.n_iter_ == len(classifier.loss_curve_) == 3
    assert callback.calls == [
        "setup", "begin fit", *["begin epoch", "end epoch"] * 3, "end fit", "teardown",
    ]  # fmt: skip
    np.testing.assert_array_equal(callback.probabilities[-1], classifier.predict_proba(X))
    for earlier, later in zip(callback.probabilities[:-1], callback.probabilities[1:], strict=True):
        assert log_loss(y, later) < log_loss(y, earlier)
    alone = clone(quick).set_callbacks().set_params(max_iter=3).fit(X, y)
    np.testing.assert_array_equal(classifier.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_callback_stops_every_solver(iris, quick, solver):
    classifier = quick.set_params(solver=solver).set_callbacks(StopAfter(3)).fit(*iris)
    assert classifier.n_iter_ == 3


def test_a_monitor_has_one_score_an_epoch(iris, quick):
    X, y = iris
    monitor = ScoringMonitor(scoring="neg_log_loss")
    classifier = quick.set_callbacks(monitor).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == list(range(15))
    scores = [row["neg_log_loss"] for row in rows]
    assert scores[-1] > scores[0]
    assert scores[-1] == pytest.approx(-log_loss(y, classifier.predict_proba(X)), rel=1e-9)


def test_a_monitor_of_a_regressor_with_lbfgs_has_one_score_an_iteration(diabetes):
    X, y = diabetes
    monitor = ScoringMonitor(scoring="r2")
    regressor = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=8, random_state=0)
    regressor.set_callbacks(monitor).fit(X, y)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == regressor.n_iter_
    assert scores[-1] == pytest.approx(regressor.score(X, y), rel=1e-9)


def test_a_monitor_has_a_score_for_each_partial_fit(iris, quick):
    X, y = iris
    monitor = ScoringMonitor(scoring="accuracy")
    quick.set_callbacks(monitor)
    expected = [quick.partial_fit(X, y, classes=[0, 1, 2]).score(X, y) for _ in range(4)]
    logs = monitor.get_logs(select="all")
    scores = [row["accuracy"] for log in logs for row in log.data if row["task_name"] == "epoch"]
    assert sorted(scores) == sorted(expected)


def test_a_monitor_scores_what_would_predict(iris, quick):
    X, y = iris
    monitor = ScoringMonitor(scoring="neg_log_loss")
    quick.set_params(weight_averaging=0.9, dropout=0.3, normalization="batch").set_callbacks(monitor)
    quick.fit(X, y)
    scores = [row["neg_log_loss"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert scores[-1] == pytest.approx(-log_loss(y, quick.predict_proba(X)), rel=1e-9)


def test_callbacks_are_torn_down_when_a_fit_fails(iris, quick):
    X, y = iris
    callback = StopAfter(3)
    quick.set_callbacks(callback).fit(X, y)
    before, fitted = quick.predict_proba(X), set(vars(quick))
    with pytest.raises(ValueError, match="NaN"):
        quick.fit(np.full_like(X, np.nan), y)
    assert callback.calls[-1] == "teardown"
    assert callback.calls.count("setup") == callback.calls.count("teardown") == 2
    assert set(vars(quick)) == fitted
    np.testing.assert_array_equal(quick.predict_proba(X), before)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_monitor_follows_every_fit_of_a_search(iris, quick, n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    quick.set_params(max_iter=4).set_callbacks(monitor)
    search = GridSearchCV(quick, {"activation": ["relu", "tanh"]}, cv=2, refit=False, n_jobs=n_jobs).fit(*iris)
    fits = {}
    for log in monitor.get_logs(select="all"):
        for row in log.data:
            if row["task_name"] == "epoch":
                fits.setdefault((log.run_id, row["parent_task_id_path"]), []).append(row["accuracy"])
    assert len(fits) == 4 == 2 * len(search.cv_results_["params"])
    assert all(len(scores) == 4 for scores in fits.values())


def test_a_search_hands_down_the_callbacks_that_are_set_on_it(iris, quick):
    monitor = PropagatedCounter()
    search = GridSearchCV(quick.set_params(max_iter=4), {"activation": ["relu", "tanh"]}, cv=2)
    search.set_callbacks(monitor).fit(*iris)
    assert monitor.epochs == 4 * (2 * 2 + 1)  # two candidates on two folds, and the best on all


def test_a_monitor_in_a_pipeline_is_that_of_its_last_step(cancer, quick):
    X, y = cancer
    monitor = ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(StandardScaler(), quick.set_callbacks(monitor)).fit(X, y)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == pipeline[-1].n_iter_
    assert scores[-1] == pipeline.score(X, y)
