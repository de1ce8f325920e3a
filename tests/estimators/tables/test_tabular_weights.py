"""TabularClassifier, TabularRegressor: weights, and tables at the edge of what there is."""

import numpy as np
import pandas as pd
import pytest

from layernet import QuantileLoss, TabularClassifier, TabularRegressor

pytestmark = pytest.mark.usefixtures("few_epochs")
KINDS = [TabularClassifier, TabularRegressor]


def quick(kind, preset="fast", **parameters):
    return kind(preset, n_jobs=1, random_state=0, **parameters)


def predict(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def target_of(kind, table):
    return table[1] if kind is TabularClassifier else table[2]


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_a_number_of_equal_rows(kind, groups, table):
    X, y = table[0], target_of(kind, table)
    counts = np.arange(len(y)) % 4
    rows = np.repeat(np.arange(len(y)), counts)
    groups = np.arange(len(y)) // 3 if groups else None
    weighted = quick(kind).fit(X, y, sample_weight=counts, groups=groups)
    repeated = quick(kind).fit(X.iloc[rows], y[rows], groups=None if groups is None else groups[rows])
    np.testing.assert_array_equal(predict(weighted, X), predict(repeated, X))
    assert weighted.oof_score_ == pytest.approx(repeated.oof_score_, abs=1e-12)
    is_out = counts == 0
    out_of_fold = weighted.oof_predictions_.reshape(len(y), -1)[:, 0]
    assert np.isnan(out_of_fold[is_out]).all()
    np.testing.assert_array_equal(out_of_fold[rows], repeated.oof_predictions_.reshape(len(rows), -1)[:, 0])


@pytest.mark.parametrize("class_weight", ["balanced", "of_each_class"])
@pytest.mark.parametrize("several_labels", [False, True])
def test_a_weight_is_a_number_of_equal_rows_of_weighted_classes(class_weight, several_labels, table):
    """To the last bit: a sum of up to 3 equal weights rounds as their product does."""
    X, classes, _ = table
    y = np.column_stack([classes == "low", classes == "high"]).astype(int) if several_labels else classes
    if class_weight == "of_each_class":
        class_weight = [{1: 0.3}, {0: 0.7}] if several_labels else {"low": 0.3, "high": 1.7}
    counts = np.where(classes == "low", 3, np.arange(len(y)) % 3)
    rows = np.repeat(np.arange(len(y)), counts)
    weighted = quick(TabularClassifier, class_weight=class_weight).fit(X, y, sample_weight=counts)
    repeated = quick(TabularClassifier, class_weight=class_weight).fit(X.iloc[rows], y[rows])
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert weighted.oof_score_ == pytest.approx(repeated.oof_score_, abs=1e-12)
    used = counts > 0
    without = quick(TabularClassifier, class_weight=class_weight).fit(X[used], y[used], counts[used])
    np.testing.assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


@pytest.mark.parametrize("exponent", [-1000, -100, 100, 900])
@pytest.mark.parametrize("kind", KINDS)
def test_only_ratios_of_weights_matter(kind, exponent, table):
    """To the last bit for powers of 2; other factors round, and a quartile may move to the next row."""
    X, y = table[0], target_of(kind, table)
    weights = 1.0 + np.arange(len(y)) % 3
    expected = predict(quick(kind).fit(X, y, sample_weight=weights), X)
    result = predict(quick(kind).fit(X, y, sample_weight=2.0**exponent * weights), X)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_one_enormous_weight(kind, table):
    X, y = table[0], target_of(kind, table)
    weights = np.ones(len(y))
    weights[0] = 1e12
    estimator = quick(kind, "balanced").fit(X, y, sample_weight=weights)
    assert np.isfinite(predict(estimator, X)).all()
    assert np.isfinite(estimator.report_.loss)


def test_class_weights():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 2))
    y = (X[:, 0] + random.normal(size=200) > 1.2).astype(int)
    shares = [
        quick(TabularClassifier, class_weight=class_weight).fit(X, y).predict(X).mean()
        for class_weight in (None, "balanced", {0: 1, 1: 50}, {1: 1e-6})
    ]
    assert shares[1] > shares[0]
    assert shares[2] > shares[1]
    assert shares[3] <= 0.02


def test_one_percent_of_positives():
    random = np.random.default_rng(0)
    X = random.normal(size=(600, 3))
    y = np.zeros(600, int)
    y[np.argsort(X[:, 0])[-6:]] = 1
    classifier = quick(TabularClassifier, "balanced").fit(X, y)
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)
    assert probabilities[y == 1, 1].mean() > 2 * probabilities[y == 0, 1].mean()
    for network in classifier.report_.networks:  # each fold has a positive row to hold out, while they last
        assert np.isfinite(network.loss)


FRAMES = {
    "one column": lambda random: pd.DataFrame({"a": random.normal(size=60)}),
    "constant columns": lambda random: pd.DataFrame({"a": random.normal(size=60), "b": 3, "c": "x"}),
    "nothing but constants": lambda random: pd.DataFrame({"b": np.full(60, 3), "c": "x"}),
    "nothing but categories": lambda random: pd.DataFrame({"c": random.choice(list("abc"), 60), "d": "xy" * 1}),
    "many levels": lambda random: pd.DataFrame({"c": [f"level {number // 2}" for number in range(60)]}),
    "every level once": lambda random: pd.DataFrame({"c": [f"level {number}" for number in range(60)]}),
    "nothing but dates": lambda random: pd.DataFrame({"d": pd.date_range("2020-01-01", periods=60, freq="D")}),
    "nothing but flags": lambda random: pd.DataFrame({"f": random.random(60) < 0.5}),
    "200 columns": lambda random: pd.DataFrame(random.normal(size=(60, 200))),
    "outliers": lambda random: pd.DataFrame({"a": np.r_[random.normal(size=58), 1e30, -1e30]}),
    "tiny numbers": lambda random: pd.DataFrame({"a": 1e-300 * random.normal(size=60)}),
}


@pytest.mark.parametrize("name", list(FRAMES))
@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_few_kinds(kind, name):
    random = np.random.default_rng(0)
    X = FRAMES[name](random)
    y = random.integers(0, 3, 60) if kind is TabularClassifier else random.normal(size=60)
    estimator = quick(kind, "balanced").fit(X, y)
    assert np.isfinite(predict(estimator, X)).all()
    assert np.isfinite(estimator.oof_predictions_).all()
    assert np.isfinite(estimator.oof_score_)
    importances = estimator.feature_importances_
    assert importances.shape == (X.shape[1],)
    assert (importances >= 0).all()
    assert importances.sum() == pytest.approx(1) or (importances == 0).all()
    if kind is TabularRegressor:
        ends = estimator.predict_interval(X)
        assert (ends[:, 0] <= ends[:, 1]).all()
    repr(estimator.report_)
    estimator._repr_html_()


@pytest.mark.parametrize("n_rows", [2, 3, 4, 7])
@pytest.mark.parametrize("preset", ["best", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_few_rows(kind, preset, n_rows):
    X, y = np.arange(n_rows)[:, None] / 7.0, np.arange(n_rows) % 2
    estimator = quick(kind, preset).fit(X, y)
    assert np.isfinite(predict(estimator, X)).all()
    assert len(estimator.feature_importances_) == 1
    if kind is TabularRegressor:
        assert np.isfinite(estimator.predict_interval(X)).all()


def test_predictions_stay_in_the_range_of_the_targets():
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2))
    y = X[:, 0] * 10
    far = np.vstack([1e6 * X, -1e6 * X])
    predicted = quick(TabularRegressor).fit(X, y).predict(far)
    assert predicted.min() >= y.min() - 1e-4
    assert predicted.max() <= y.max() + 1e-4


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_targets_of_any_size(scale):
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2))
    y = scale * (X[:, 0] + 3)
    regressor = quick(TabularRegressor).fit(X, y)
    assert regressor.oof_score_ > 0.9
    np.testing.assert_allclose(regressor.predict(X) / scale, X[:, 0] + 3, atol=0.5)
    assert np.isfinite(regressor.predict_interval(X) / scale).all()


def test_targets_with_outliers():
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 2))
    y = X[:, 0].copy()
    y[3] = 1e12
    for loss in ("squared_error", "absolute_error", "huber"):
        assert np.isfinite(quick(TabularRegressor, loss=loss).fit(X, y).predict(X)).all()


def test_counts():
    random = np.random.default_rng(0)
    X = random.normal(size=(150, 2))
    y = random.poisson(np.exp(X[:, 0]))
    regressor = quick(TabularRegressor, "balanced", loss="poisson").fit(X, y)
    assert (regressor.predict(X) >= 0).all()
    assert (regressor.oof_predictions_ >= 0).all()
    ends = regressor.predict_interval(X)
    assert (ends[:, 0] >= 0).all()
    assert (ends[:, 0] <= ends[:, 1]).all()


def test_quantiles(monkeypatch):
    monkeypatch.undo()  # quantiles need epochs
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 1))
    y = X[:, 0] + random.exponential(size=400)
    shares = []
    for quantile in (0.1, 0.5, 0.9):
        regressor = quick(TabularRegressor, loss=QuantileLoss(quantile)).fit(X, y)
        held_out = ~np.isnan(regressor.oof_predictions_)
        shares.append((y <= regressor.predict(X)).mean())
        assert abs((y <= regressor.oof_predictions_)[held_out].mean() - quantile) < 0.2
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.08)
    median = quick(TabularRegressor, loss="quantile").fit(X, y)
    same = quick(TabularRegressor, loss=QuantileLoss(0.5)).fit(X, y)
    np.testing.assert_array_equal(median.predict(X), same.predict(X))


def test_several_outputs(table):
    X, _, y = table
    outputs = np.column_stack([y, -100 * y, np.ones(len(y))])
    regressor = quick(TabularRegressor, "balanced").fit(X, outputs)
    assert regressor.predict(X).shape == outputs.shape
    np.testing.assert_allclose(regressor.predict(X)[:, 2], 1)
    assert regressor.predict_interval(X).shape == (len(y), 3, 2)
    assert regressor.oof_predictions_.shape == outputs.shape


def test_several_labels(table):
    X, classes, _ = table
    y = np.column_stack([classes == "low", classes == "high"]).astype(int)
    for class_weight in (None, "balanced", [{0: 1, 1: 5}, {0: 1, 1: 1}]):
        classifier = quick(TabularClassifier, class_weight=class_weight).fit(X, y)
        probabilities = classifier.predict_proba(X)
        np.testing.assert_array_equal(classifier.predict(X), probabilities > 0.5)
        np.testing.assert_array_equal(classifier.decision_function(X) > 0, probabilities > 0.5)
        assert classifier.oof_predictions_.shape == y.shape


def test_decision_function(table):
    X, classes, _ = table
    three = quick(TabularClassifier).fit(X, classes)
    np.testing.assert_allclose(three.decision_function(X), np.log(three.predict_proba(X)), rtol=1e-12)
    two = quick(TabularClassifier).fit(X, classes == "low")
    probabilities = two.predict_proba(X)
    np.testing.assert_allclose(
        two.decision_function(X), np.log(probabilities[:, 1] / probabilities[:, 0]), atol=1e-12
    )
    np.testing.assert_array_equal(two.decision_function(X) > 0, two.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_the_linear_model_alone(kind, table):
    """If the networks get no weight, importances and predictions come from the linear model."""
    X, y = table[0], target_of(kind, table)
    estimator = quick(kind, "balanced").fit(X, y)
    for component in estimator.ensemble_.components:
        component.weight = 0.0
    ensemble = estimator.ensemble_
    if ensemble.linear is None:
        from layernet.estimators.tables.linear import LinearModel
        from layernet.estimators.tables.member import EncodedTable

        table = EncodedTable(
            estimator.encoder_.transform(X),
            estimator.encoder_.layout_,
            estimator._targets.encode(y, np.dtype(np.float32)),
            None,
            estimator._targets.loss,
            estimator._targets.n_outputs,
            kind is TabularClassifier,
        )
        ensemble.linear = LinearModel(table, slice(None))
    ensemble.linear_weight = 1.0
    assert estimator.feature_importances_.sum() == pytest.approx(1)
    assert np.isfinite(predict(estimator, X)).all()


def test_few_distinct_inputs_are_predicted_out_of_fold_as_well_as_new_rows():
    # With all rows of one target in one fold, networks would be judged by inputs of which they saw only the
    # other target.
    random = np.random.default_rng(0)
    X = random.integers(0, 2, (1400, 2)).astype(float)
    y = random.random(1400) < np.where(X[:, 0] > 0, 0.8, 0.3)
    train, new = slice(0, 400), slice(400, None)
    classifier = TabularClassifier("fast", random_state=0).fit(X[train], y[train])
    assert abs(classifier.oof_score_ - classifier.score(X[new], y[new])) < 0.08
    assert classifier.score(X[new], y[new]) > 0.7
