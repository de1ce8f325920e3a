"""TabularClassifier, TabularRegressor: input that is refused, and input with a stated fallback."""

import numpy as np
import pandas as pd
import pytest

from layernet import TabularClassifier, TabularRegressor

pytestmark = pytest.mark.usefixtures("few_epochs")
KINDS = [TabularClassifier, TabularRegressor]


def quick(kind, **parameters):
    return kind("fast", n_jobs=1, random_state=0, **parameters)


def target_of(kind, table):
    return table[1] if kind is TabularClassifier else table[2]


@pytest.fixture(params=[True, False], ids=["frame", "array"])
def data(request, table):
    X, classes, numbers = table
    return (X if request.param else X[["size", "age"]].to_numpy(float)), classes, numbers


def error_of(kind, X, y, **arguments):
    """Return the error of a fit, after which an earlier fit predicts as before."""
    random = np.random.default_rng(1)
    earlier_X = random.normal(size=(20, 2))
    estimator = quick(kind).fit(earlier_X, np.arange(20) % 2)
    before = estimator.predict(earlier_X)
    parameters = {name: arguments.pop(name) for name in list(arguments) if name in estimator.get_params()}
    estimator.set_params(**parameters)
    with pytest.raises((TypeError, ValueError)) as caught:
        estimator.fit(X, y, **arguments)
    np.testing.assert_array_equal(estimator.predict(earlier_X), before)
    assert estimator.n_features_in_ == 2
    assert "TableEncoder" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind, data):
    message = error_of(kind, data[0][:0], np.zeros(0))
    assert "0 sample" in message


@pytest.mark.parametrize("kind", KINDS)
def test_one_row(kind, data):
    assert "class" in (message := error_of(kind, data[0][:1], np.zeros(1))) or "2 different rows" in message


@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_alone(kind):
    y = np.zeros(4) if kind is TabularRegressor else None
    if y is None:
        estimator = quick(kind).fit(np.ones((4, 1)), [0, 1, 0, 1])  # two distinct rows
        np.testing.assert_allclose(estimator.predict_proba(np.ones((1, 1))).sum(), 1)
    else:
        assert "at least 2 different rows" in error_of(kind, np.ones((4, 1)), y)


def test_one_class(data):
    message = error_of(TabularClassifier, data[0], np.full(len(data[0]), "a"))
    assert message.startswith("TabularClassifier needs samples of at least 2 classes")
    assert "'a'" in message


def test_one_number(data):
    """A constant target is predicted as it is."""
    regressor = quick(TabularRegressor).fit(data[0], np.full(len(data[0]), 2.5))
    np.testing.assert_allclose(regressor.predict(data[0]), 2.5)
    np.testing.assert_allclose(regressor.predict_interval(data[0]), 2.5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_columns_without_any_value(kind, table, missing):
    """They are reported as empty and left out."""
    y = target_of(kind, table)
    X = table[0].assign(nothing=pd.Series([missing] * len(y), dtype=object))
    estimator = quick(kind).fit(X, y)
    assert estimator.report_.columns[-1].kind == "empty"
    assert estimator.feature_importances_[-1] == 0
    np.testing.assert_array_equal(estimator.predict(X), quick(kind).fit(table[0], y).predict(table[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_columns_without_any_value(kind, table):
    """The predictions are the same for all rows."""
    X, y = np.full((len(table[1]), 2), np.nan), target_of(kind, table)
    estimator = quick(kind).fit(X, y)
    predict = estimator.predict_proba if kind is TabularClassifier else estimator.predict
    predicted = predict(X)
    assert np.isfinite(predicted).all()
    assert (predicted == predicted[:1]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [np.nan, None, "all"])
def test_missing_targets(kind, table, missing):
    y = target_of(kind, table).astype(object)
    y[[3, 5]] = np.nan if missing == "all" else missing
    if missing == "all":
        y = np.full(len(y), np.nan)
    message = error_of(kind, table[0], y)
    assert "Input y contains NaN" in message
    if missing != "all":
        assert message.endswith("2 missing values, the first in row 3. Drop these rows.")


def test_targets_that_are_not_finite(table):
    for value, found in ((np.nan, "NaN: 2 missing values"), (np.inf, "infinity")):
        y = target_of(TabularRegressor, table).copy()
        y[[3, 5]] = value
        message = error_of(TabularRegressor, table[0], y)
        assert message == f"TabularRegressor: Input y contains {found}, the first in row 3. Drop these rows."


@pytest.mark.parametrize("kind", KINDS)
def test_two_columns_of_one_name(kind, table):
    X = table[0].rename(columns={"age": "size"})
    message = error_of(kind, X, target_of(kind, table))
    assert message.startswith(f"{kind.__name__}: X must have a name of its own for each column")
    assert "'size'" in message


@pytest.mark.parametrize("kind", KINDS)
def test_columns_in_another_order_are_found_by_name(kind, table):
    X, y = table[0], target_of(kind, table)
    estimator = quick(kind).fit(X, y)
    expected = estimator.predict(X)
    np.testing.assert_array_equal(estimator.predict(X[X.columns[::-1]]), expected)
    np.testing.assert_array_equal(estimator.predict(X.assign(further=1)), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_columns_are_named(kind, table):
    X, y = table[0], target_of(kind, table)
    estimator = quick(kind).fit(X, y)
    with pytest.raises(ValueError, match="now missing:\n- age\n- city"):
        estimator.predict(X[["size", "sold"]])


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_columns_of_an_array(kind, table):
    X, y = table[0][["size", "age"]].to_numpy(float), target_of(kind, table)
    estimator = quick(kind).fit(X, y)
    with pytest.raises(ValueError, match=f"X has 1 features, but {kind.__name__} is expecting 2"):
        estimator.predict(X[:, :1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_name_the_column(kind, data, value):
    X = data[0].copy()
    if isinstance(X, pd.DataFrame):
        X.loc[5, "size"] = value
    else:
        X[5, 0] = value
    message = error_of(kind, X, target_of(kind, data))
    assert "infinity" in message
    assert repr("size" if isinstance(X, pd.DataFrame) else "x0") in message
    assert f"{kind.__name__} expects finite numbers" in message
    estimator = quick(kind).fit(data[0], target_of(kind, data))
    with pytest.raises(ValueError, match="infinity"):
        estimator.predict(X)


@pytest.mark.parametrize("kind", KINDS)
def test_infinite_targets(kind, data):
    y = np.arange(len(data[0])) % 3.0
    y[2] = np.inf
    assert "infinity" in error_of(kind, data[0], y)


@pytest.mark.parametrize("as_list", [True, False])
def test_a_regressor_refuses_targets_that_are_strings(data, as_list):
    y = data[1].tolist() if as_list else data[1]
    message = error_of(TabularRegressor, data[0], y)
    assert "Input y must be numbers, got text" in message
    assert repr(str(data[1][0])) in message
    assert "TabularClassifier" in message


def test_a_classifier_refuses_numbers_that_are_no_classes(data):
    assert "continuous" in error_of(TabularClassifier, data[0], data[2])


def test_negative_counts(data):
    assert "0" in error_of(TabularRegressor, data[0], data[2] - 10, loss="poisson")


@pytest.mark.parametrize("kind", KINDS)
def test_other_numbers_of_rows(kind, data):
    y = target_of(kind, data)
    assert "inconsistent" in error_of(kind, data[0], y[:-1])
    assert "inconsistent" in error_of(kind, data[0], y, groups=[1, 2])
    assert "inconsistent" in error_of(kind, data[0], y, sample_weight=[1.0, 2.0])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_no_fit_can_use(kind, data):
    y = target_of(kind, data)
    assert "at least one non-zero" in error_of(kind, data[0], y, sample_weight=np.zeros(len(y)))
    assert "negative" in error_of(kind, data[0], y, sample_weight=np.full(len(y), -1.0)).lower()
    assert "NaN" in error_of(kind, data[0], y, sample_weight=np.full(len(y), np.nan))


def test_a_class_with_one_sample(table):
    y = table[1].copy()
    y[4] = "only one"
    for preset in ("fast", "balanced"):
        classifier = TabularClassifier(preset, cv=3, n_jobs=1, random_state=0).fit(table[0], y)
        probabilities = classifier.predict_proba(table[0])
        assert probabilities.shape[1] == 4
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert np.isfinite(classifier.decision_function(table[0])).all()


@pytest.mark.parametrize("lacking", ["training", "held out"])
def test_folds_without_a_class(table, lacking):
    """The class gets a small probability; nothing is NaN."""
    X, y, _ = table
    rows, is_low = np.arange(len(y)), y == "low"
    training = rows[~is_low][:40] if lacking == "training" else rows[::2]
    held_out = np.setdiff1d(rows, training)
    held_out = held_out if lacking == "training" else held_out[~is_low[held_out]]
    classifier = quick(TabularClassifier, cv=[(training, held_out)]).fit(X, y)
    probabilities = classifier.predict_proba(X)
    assert np.isfinite(probabilities).all()
    assert np.isfinite(classifier.oof_predictions_[held_out]).all()
    assert np.isnan(classifier.oof_predictions_[np.setdiff1d(rows, held_out)]).all()
    assert np.isfinite(classifier.report_.loss)


@pytest.mark.parametrize("kind", KINDS)
def test_folds_that_cannot_be_used(kind, table):
    X, y = table[0], target_of(kind, table)
    rows = np.arange(len(y))
    for cv, expected in [
        ([(rows[:0], rows)], "no training rows"),
        ([(rows, rows[:0])], "no held-out rows"),
        ([(rows, rows[:5])], "holds out 5 rows that it also trains on"),
        ([(rows[:5], rows[5:] + 7)], "must be numbers from 0 to 89"),
        ([], "no folds"),
        (91, "cv must be from 2 to"),
    ]:
        assert expected in (message := error_of(kind, X, y, cv=cv))
        assert message.startswith(kind.__name__)
    assert "at least 2 groups" in error_of(kind, X, y, groups=np.zeros(len(y)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "slow"),
        ("time_limit", 0),
        ("time_limit", -1.0),
        ("engine", "gpu"),
        ("cv", "five"),
        ("cv", 1),
        ("cv", 0),
        ("callbacks", 3),
        ("categories", ["no such column"]),
        ("verbose", "yes"),
    ],
)
def test_parameters_are_checked(kind, table, name, value):
    assert name in error_of(kind, table[0], target_of(kind, table), **{name: value})


@pytest.mark.parametrize("kind", KINDS)
def test_refitting_is_the_only_way_to_go_on(kind):
    assert not hasattr(quick(kind), "partial_fit")
    other = "NetworkRegressor" if kind is TabularRegressor else "NetworkClassifier"
    with pytest.raises(AttributeError, match=f"Fit it anew on all of them, or use {other}.partial_fit"):
        _ = quick(kind).partial_fit
    assert "warm_start" not in quick(kind).get_params()


def test_coverages_that_are_none(table):
    regressor = quick(TabularRegressor).fit(table[0], table[2])
    for coverage in (0, 1, -0.5, "much", np.nan):
        with pytest.raises(ValueError, match="coverage must be between 0 and 1"):
            regressor.predict_interval(table[0], coverage)
