"""TabularClassifier, TabularRegressor with what is around them: frames, pickles, routing, displays."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from layernet import Callback, TabularClassifier, TabularRegressor

pytestmark = pytest.mark.usefixtures("few_epochs")
KINDS = [TabularClassifier, TabularRegressor]


def quick(kind, preset="fast", **parameters):
    return kind(preset, **{"n_jobs": 1, "random_state": 0, **parameters})


def target_of(kind, table):
    return table[1] if kind is TabularClassifier else table[2]


# --- frames ---


@pytest.mark.parametrize("kind", KINDS)
def test_pandas_and_polars_give_the_same(kind, table):
    X, y = table[0], target_of(kind, table)
    frame = pl.DataFrame({name: X[name].to_numpy() for name in ("age",)}).with_columns(
        size=pl.Series(X["size"]).fill_nan(None),
        city=pl.Series([None if pd.isna(city) else city for city in X["city"]]),
    )
    estimator = quick(kind).fit(X[["age", "size", "city"]], y)
    other = quick(kind).fit(frame, pl.Series(y.tolist()))
    np.testing.assert_array_equal(other.predict(frame), estimator.predict(X))
    np.testing.assert_array_equal(other.feature_names_in_, ["age", "size", "city"])
    np.testing.assert_array_equal(other.oof_predictions_, estimator.oof_predictions_)


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(["a", "b"] * 45, dtype="category"),
        pd.Series(["a", "b"] * 45, dtype="string"),
        pd.Series([True, False] * 45, dtype="boolean"),
        pd.Series([1, 2] * 45, dtype="Int64"),
        [True, False] * 45,
        ["a", "b"] * 45,
    ],
    ids=["category", "string", "boolean", "Int64", "list of bool", "list of str"],
)
def test_types_of_labels(y, table):
    classifier = quick(TabularClassifier).fit(table[0], y)
    assert list(classifier.classes_) == sorted(set(y))
    assert set(classifier.predict(table[0])) <= set(y)


@pytest.mark.parametrize(
    "y", [pd.Series(range(90), dtype="Int64"), pd.Series(range(90), dtype="Float32")], ids=str
)
def test_types_of_numbers(y, table):
    predicted = quick(TabularRegressor).fit(table[0], y).predict(table[0])
    np.testing.assert_array_equal(
        predicted, quick(TabularRegressor).fit(table[0], np.arange(90.0)).predict(table[0])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_features(kind, table):
    X, y = table[0], target_of(kind, table)
    estimator = quick(kind).fit(X, y)
    assert list(estimator.feature_names_in_) == list(X.columns)
    assert estimator.n_features_in_ == 5
    estimator.fit(X[["size", "age"]].to_numpy(), y)
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.n_features_in_ == 2


def test_categories(table):
    X, classes, _ = table
    classifier = quick(TabularClassifier, categories=["age"]).fit(X, classes)
    assert classifier.report_.columns[1].kind == "category"
    by_number = quick(TabularClassifier, categories=[1]).fit(X, classes)
    np.testing.assert_array_equal(classifier.predict_proba(X), by_number.predict_proba(X))


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_outputs_do_not_matter(kind, table):
    X, y = table[0], target_of(kind, table)
    expected = quick(kind).fit(X, y).predict(X)
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(quick(kind).fit(X, y).predict(X), expected)
    assert not hasattr(quick(kind), "set_output")


# --- pickles and copies ---


@pytest.mark.parametrize("kind", KINDS)
def test_pickles(kind, table, tmp_path):
    cloudpickle = pytest.importorskip("cloudpickle")
    X, y = table[0], target_of(kind, table)
    estimator = quick(kind, "balanced", cv=3).fit(X, y)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    data = pickle.dumps(estimator)
    importances = estimator.feature_importances_
    for copy in (
        pickle.loads(data),
        joblib.load(tmp_path / "estimator.joblib"),
        pickle.loads(cloudpickle.dumps(estimator)),
    ):
        np.testing.assert_array_equal(copy.predict(X), estimator.predict(X))
        np.testing.assert_array_equal(copy.feature_importances_, importances)
        assert repr(copy.report_) == repr(estimator.report_)
        copy.fit(X, y)
    n_parameters = sum(
        member.network.parameter_vector.size
        for component in estimator.ensemble_.components
        for member in component.members
    )
    assert len(data) < 2 * 4 * n_parameters + 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_estimators_are_cloned_without_the_fit(kind, table):
    estimator = quick(kind, cv=3, time_limit=100.0, verbose=False).fit(table[0], target_of(kind, table))
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert not hasattr(copied, "ensemble_")


# --- routing ---


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_groups_are_routed(kind, table):
    X, y = table[0], target_of(kind, table)
    groups, weights = np.arange(len(y)) // 5, 1.0 + np.arange(len(y)) % 2
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = quick(kind).set_fit_request(sample_weight=True, groups=True)
        estimator.set_score_request(sample_weight=True)
        metadata = {"sample_weight": weights, "groups": groups}
        result = cross_validate(
            estimator, X, y, cv=GroupKFold(2), params=metadata, return_estimator=True, error_score="raise"
        )
        search = GridSearchCV(estimator, {"cv": [2, 3]}, cv=GroupKFold(2), error_score="raise")
        search.fit(X, y, **metadata)
        pipeline = make_pipeline(FunctionTransformer(), estimator).fit(X, y, **metadata)
    training, _ = next(GroupKFold(2).split(X, y, groups))
    alone = quick(kind).fit(X.iloc[training], y[training], weights[training], groups=groups[training])
    np.testing.assert_array_equal(result["estimator"][0].predict(X), alone.predict(X))
    whole = quick(kind).fit(X, y, weights, groups=groups)
    np.testing.assert_array_equal(pipeline.predict(X), whole.predict(X))
    assert search.best_estimator_.ensemble_.components


# --- callbacks ---


class Recorder:
    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")
        self.max_subtasks = context.max_subtasks if context.task_name == "fit" else self.max_subtasks

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name}")
        self.last = fitted_estimator.predict(X)
        return self.calls.count("end network") == self.stop_after


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_each_network_is_a_task_of_callbacks(kind, n_jobs, table):
    X, y = table[0], target_of(kind, table)
    recorder = Recorder()
    estimator = quick(kind, "balanced", cv=3, n_jobs=n_jobs).set_callbacks(recorder).fit(X, y)
    assert recorder.calls == [
        "setup", "begin fit", *["begin network", "end network"] * 3, "end fit", "teardown",
    ]  # fmt: skip
    assert recorder.max_subtasks == 3
    np.testing.assert_array_equal(recorder.last, estimator.predict(X))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_callback_stops_after_a_network(n_jobs, table):
    recorder = Recorder(stop_after=2)
    estimator = quick(TabularRegressor, "balanced", cv=4, n_jobs=n_jobs).set_callbacks(recorder)
    estimator.fit(table[0], table[2])
    assert len(estimator.report_.networks) == 2
    assert estimator.report_.left_out == ["2 of 4 networks are left out."]
    assert recorder.calls.count("begin network") == 2


def test_callbacks_are_torn_down_when_a_fit_fails(table):
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        quick(TabularRegressor).set_callbacks(recorder).fit(table[0], np.full(90, np.nan))
    assert recorder.calls == ["setup", "teardown"]


def test_a_monitor_has_a_score_for_each_network(table):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    classifier = quick(TabularClassifier, "balanced", cv=3).set_callbacks(monitor).fit(table[0], table[1])
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "network"]
    assert len(rows) == 3
    last = [row for row in monitor.get_logs().data if row["task_name"] == "fit"][-1]
    expected = -log_loss(table[1], classifier.predict_proba(table[0]))
    assert last["neg_log_loss"] == pytest.approx(expected)


def test_this_packages_callbacks_are_copied_for_each_network(table):
    class Stop(Callback):
        n_epochs = 0

        def on_epoch_end(self, run):
            self.n_epochs += 1
            if self.n_epochs == 2:
                run.stop("Enough.")

    callback = Stop()
    regressor = quick(TabularRegressor, "balanced", cv=2, callbacks=[callback]).fit(table[0], table[2])
    assert [network.n_epochs for network in regressor.report_.networks] == [2, 2]
    assert callback.n_epochs == 0


def test_verbose(table, capsys):
    quick(TabularRegressor, "balanced", cv=2, verbose=True).fit(table[0], table[2])
    assert "2/2" in capsys.readouterr().err
    quick(TabularRegressor, "balanced", cv=2).fit(table[0], table[2])
    assert capsys.readouterr().err == ""


# --- meta-estimators ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_frame", [True, False])
def test_selection_of_features(kind, as_frame):
    random = np.random.default_rng(0)
    X = random.normal(size=(150, 4))
    y = X[:, 2] > 0 if kind is TabularClassifier else X[:, 2]
    X = pd.DataFrame(X, columns=list("abcd")) if as_frame else X
    selector = SelectFromModel(quick(kind), max_features=1).fit(X, y)
    np.testing.assert_array_equal(selector.get_support(), [False, False, True, False])
    eliminator = RFE(quick(kind), n_features_to_select=1).fit(X, y)
    np.testing.assert_array_equal(eliminator.support_, [False, False, True, False])
    estimator = quick(kind).fit(X, y)
    assert estimator.feature_importances_.argmax() == 2
    by_permutation = permutation_importance(estimator, X, y, n_repeats=2, random_state=0)
    assert by_permutation.importances_mean.argmax() == 2


def test_meta_estimators_of_classifiers(table):
    X, y, _ = table
    classifier = quick(TabularClassifier)
    probabilities = CalibratedClassifierCV(classifier, cv=2).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    voting = VotingClassifier([("a", classifier), ("b", quick(TabularClassifier, cv=2))], voting="soft")
    assert voting.fit(X, y).score(X, y) > 0.4
    assert cross_val_predict(classifier, X, y, cv=2, method="predict_proba").shape == (90, 3)
    assert cross_val_predict(classifier, X, y, cv=2, method="decision_function").shape == (90, 3)


def test_meta_estimators_of_regressors(table):
    X, _, y = table
    regressor = TransformedTargetRegressor(quick(TabularRegressor), func=np.exp, inverse_func=np.log)
    assert np.isfinite(regressor.fit(X, y).predict(X)).all()
    assert cross_val_predict(quick(TabularRegressor), X, y, cv=2).shape == (90,)


# --- displays ---


@pytest.mark.parametrize("kind", KINDS)
def test_displays(kind, table):
    estimator = quick(kind, "best", cv=2)
    assert "layernet-fit" not in estimator._repr_html_()
    assert "image/svg+xml" not in estimator._repr_mimebundle_()
    estimator.fit(table[0].rename(columns={"city": "<city>"}), target_of(kind, table))
    bundle = estimator._repr_mimebundle_()
    html, svg = bundle["text/html"], bundle["image/svg+xml"]
    assert "Out of fold: " in html
    assert "&lt;city&gt;" in html
    assert "<city>" not in html
    assert svg.startswith("<svg")
    assert "pieces" in svg
    text = repr(estimator.report_)
    for word in ("pieces", "periodic", "linear", "<city>", "category", "date", "seconds: encoding"):
        assert word in text
    with sklearn.config_context(display="text"):
        assert "text/html" not in estimator._repr_mimebundle_()
