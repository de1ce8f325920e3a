"""What is not a number is refused, and never converted without a word."""

import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pytest

from layernet import Dense, MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor, Sequential

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

N = 12
NUMBERS = np.linspace(-1, 1, N)
X = np.column_stack([NUMBERS, NUMBERS**2])
LABELS = np.arange(N) % 2
DAY, SECOND = datetime.date(2020, 1, 1), datetime.timedelta(seconds=1)
DAYS = np.datetime64("2020-01-01") + np.arange(N)
TEXT = NUMBERS.round(2).astype(str)
TIMES = [datetime.time(1, minute) for minute in range(N)]


def objects(values):
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


NOT_NUMBERS = {
    "days": (DAYS, "dates or times"),
    "nanoseconds": (DAYS.astype("datetime64[ns]"), "dates or times"),
    "durations": (DAYS - DAYS[0], "dates or times"),
    "Python's dates": (objects([DAY] * N), "dates or times"),
    "Python's times": (objects(TIMES), "dates or times"),
    "Python's durations": (objects([SECOND] * N), "dates or times"),
    "NumPy's dates as objects": (objects(DAYS), "dates or times"),
    "text": (TEXT, "text"),
    "bytes": (TEXT.astype("S"), "text"),
    "text as objects": (objects(TEXT), "text"),
    "one text among numbers": (objects([*NUMBERS[:-1], "0.5"]), "text"),
    "variable text": (TEXT.astype(np.dtypes.StringDType()), "text"),
    "a list of text": (list(TEXT), "text"),
    "a list with one text": ([*NUMBERS[:-1], "0.5"], "text"),
    "records": (np.zeros(N, [("a", int)]), "records"),
    "complex objects": (objects(NUMBERS + 1j), "complex numbers"),
    "pandas: dates": (pd.Series(DAYS), "dates or times"),
    "pandas: dates with a time zone": (pd.Series(pd.to_datetime(DAYS).tz_localize("UTC")), "dates or times"),
    "pandas: durations": (pd.Series(pd.to_timedelta(np.arange(N), unit="D")), "dates or times"),
    "pandas: text": (pd.Series(TEXT, dtype="string"), "text"),
    "pandas: text as objects": (pd.Series(TEXT, dtype=object), "text"),
    "pandas: text as categories": (pd.Series(TEXT).astype("category"), "text"),
    "polars: dates": (pl.Series(DAYS), "dates or times"),
    "polars: moments": (pl.Series([datetime.datetime(2020, 1, 1)] * N), "dates or times"),
    "polars: durations": (pl.Series([SECOND] * N), "dates or times"),
    "polars: times": (pl.Series(TIMES), "dates or times"),
    "polars: text": (pl.Series(list(TEXT)), "text"),
    "polars: text as categories": (pl.Series(list(TEXT), dtype=pl.Categorical), "text"),
}
ARE_NUMBERS = {
    "integers": np.arange(N),
    "truths": LABELS.astype(bool),
    "objects": objects(NUMBERS),
    "decimals": objects([decimal.Decimal(i) for i in range(N)]),
    "fractions": objects([fractions.Fraction(i, 3) for i in range(N)]),
    "float16": NUMBERS.astype(np.float16),
    "a list": list(NUMBERS),
    "pandas: nullable integers": pd.Series(np.arange(N), dtype="Int64"),
    "pandas: nullable truths": pd.Series(LABELS, dtype="boolean"),
    "pandas: numbers as categories": pd.Series(LABELS).astype("category"),
    "polars: integers": pl.Series(np.arange(N)),
    "polars: truths": pl.Series(LABELS.astype(bool)),
    "polars: decimals": pl.Series([decimal.Decimal(i) for i in range(N)]),
}


def as_columns(values, beside=None):
    """Values as the only column of a table of their kind, or with a column of numbers beside it."""
    if isinstance(values, (pd.Series, pl.Series)):
        frame = pd.DataFrame if isinstance(values, pd.Series) else pl.DataFrame
        return frame({"a": values} if beside is None else {"n": beside, "a": values})
    if isinstance(values, list):
        return [
            [value] if beside is None else [number, value]
            for value, number in zip(values, NUMBERS, strict=True)
        ]
    if beside is None:
        return values.reshape(-1, 1)
    return np.column_stack([objects(beside), objects(values)])


def estimators():
    quick = {"max_iter": 1, "random_state": 0}
    return [
        (MLPClassifier((2,), **quick), LABELS),
        (MLPRegressor(hidden_layer_sizes=(2,), **quick), NUMBERS),
        (NetworkClassifier(Dense(1), **quick), LABELS),
        (NetworkRegressor(Dense(1), **quick), NUMBERS),
    ]


FOUR = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]


@pytest.mark.parametrize("kind", NOT_NUMBERS)
@pytest.mark.parametrize("index", range(4), ids=FOUR)
def test_inputs_that_are_no_numbers_are_refused(index, kind):
    values, what = NOT_NUMBERS[kind]
    estimator, y = estimators()[index]
    message = f"Input X must be numbers, got {what}"
    with pytest.raises(ValueError, match=message):
        estimator.fit(as_columns(values), y)
    with pytest.raises(TypeError, match=message):
        estimator.partial_fit(as_columns(values), y, **({"classes": [0, 1]} if "Cl" in FOUR[index] else {}))
    if kind != "records":  # as objects beside numbers, these are tuples
        with pytest.raises(ValueError, match=message):
            estimator.fit(as_columns(values, NUMBERS), y)
    estimator.fit(as_columns(NUMBERS), y)
    for call in (
        lambda: estimator.predict(as_columns(values)),
        lambda: estimator.score(as_columns(values), y),
        lambda: estimator.transform(as_columns(values)),
        lambda: estimator.fit(as_columns(NUMBERS), y, X_val=as_columns(values), y_val=y),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("kind", NOT_NUMBERS)
@pytest.mark.parametrize("index", [1, 3], ids=["MLPRegressor", "NetworkRegressor"])
def test_targets_that_are_no_numbers_are_refused(index, kind):
    values, what = NOT_NUMBERS[kind]
    regressor, _ = estimators()[index]
    message = f"Input y must be numbers, got {what}"
    tables = [values] if kind == "records" else [values, as_columns(values), as_columns(values, NUMBERS)]
    for y in tables:
        with pytest.raises(ValueError, match=message):
            regressor.fit(X, y)
        with pytest.raises(TypeError, match=message):
            regressor.partial_fit(X, y)
    with pytest.raises(ValueError, match=message):
        regressor.fit(X, NUMBERS, X_val=X, y_val=values)


@pytest.mark.parametrize(
    "kind", ["days", "durations", "text", "a list of text", "pandas: text", "polars: dates"]
)
@pytest.mark.parametrize("index", range(4), ids=FOUR)
def test_weights_that_are_no_numbers_are_refused(index, kind):
    values, what = NOT_NUMBERS[kind]
    estimator, y = estimators()[index]
    message = f"Input sample_weight must be numbers, got {what}"
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, sample_weight=values)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, X_val=X, y_val=y, sample_weight_val=values)


@pytest.mark.parametrize("kind", ARE_NUMBERS)
def test_numbers_of_every_kind_are_taken_for_what_they_are(kind):
    values = ARE_NUMBERS[kind]
    plain = np.array([float(value) for value in values])
    for estimator, y in estimators():
        expected = estimator.fit(plain.reshape(-1, 1), y).predict(plain.reshape(-1, 1))
        np.testing.assert_allclose(estimator.fit(as_columns(values), y).predict(as_columns(values)), expected)
    for regressor in (estimators()[1][0], estimators()[3][0]):
        expected = regressor.fit(X, plain).predict(X)
        np.testing.assert_allclose(regressor.fit(X, values).predict(X), expected)


def test_labels_may_be_text_and_dates():
    for labels in (TEXT, np.repeat(DAYS[:4], 3)):
        classifier = MLPClassifier((2,), max_iter=1, random_state=0).fit(X, labels)
        assert set(classifier.predict(X)) <= set(labels)


def test_a_refusal_names_the_column_and_the_value():
    frame = pd.DataFrame({"height": NUMBERS, "born": DAYS})
    with pytest.raises(
        ValueError, match=r"in the column 'born' \(np.datetime64\('2020-01-01.*days since a day"
    ):
        MLPClassifier().fit(frame, LABELS)
    with pytest.raises(ValueError, match=r"got text \('-1.0'\)\. Convert it with \.astype\(float\)"):
        MLPRegressor().fit(X, TEXT)


@pytest.mark.parametrize(
    "sizes", [(10.5,), (10.0,), 10.0, [3, 2.5], np.array([3.0, 2.0]), ("10",), (None,), (True,)]
)
def test_sizes_of_hidden_layers_are_whole_numbers(sizes):
    for estimator, y in ((MLPClassifier(sizes), LABELS), (MLPRegressor(hidden_layer_sizes=sizes), NUMBERS)):
        for error in (ValueError, TypeError):
            with pytest.raises(error, match="hidden_layer_sizes"):
                estimator.fit(X, y)


@pytest.mark.parametrize("sizes", [3, np.int64(3), [3], (np.int32(3),), np.array([3])])
def test_whole_numbers_of_every_type_are_sizes(sizes):
    classifier = MLPClassifier(sizes, max_iter=1, random_state=0).fit(X, LABELS)
    assert [weights.shape for weights in classifier.coefs_] == [(2, 3), (3, 1)]


def test_dropout_rates_are_numbers():
    with pytest.raises(ValueError, match=r"dropout must be numbers, got '0\.5'"):
        MLPClassifier((3,), dropout=["0.5"]).fit(X, LABELS)


@pytest.mark.parametrize(("pair", "dtype"), [([2**60, 2**60 + 1], "Int64"), ([False, True], "boolean")])
def test_labels_of_nullable_types_keep_their_type(pair, dtype):
    labels = pd.Series(pair * 10, dtype=dtype)
    X = np.arange(20.0)[:, None]
    for classifier in (MLPClassifier(max_iter=1), NetworkClassifier(Sequential([Dense(1)]), max_iter=1)):
        classes = classifier.fit(X, labels).classes_
        assert classes.tolist() == pair
        assert classes.dtype.kind in "bi"
