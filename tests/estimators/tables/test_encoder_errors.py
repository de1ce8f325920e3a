"""TableEncoder: bad input gives an error that names the column, and changes nothing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError

from layernet import TableEncoder

FRAME = pd.DataFrame(
    {"a": [1.0, 2.0, 4.0], "b": ["x", "y", "z"], "day": pd.date_range("2024-01-01", periods=3)}
)


def error_of_fit(X, error=ValueError, **options):
    """The message, after the attributes of an earlier fit were compared."""
    encoder = TableEncoder().fit(FRAME)
    expected = encoder.transform(FRAME)
    encoder.set_params(**options)
    before = dict(vars(encoder))
    with pytest.raises(error) as caught:
        encoder.fit(X)
    assert vars(encoder) == before
    assert np.array_equal(encoder.transform(FRAME), expected)
    return str(caught.value)


def error_of_transform(X, error=ValueError):
    with pytest.raises(error) as caught:
        TableEncoder().fit(FRAME).transform(X)
    return str(caught.value)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_numbers(bad):
    message = "Input X contains infinity or a value too large for dtype('float64') in the column "
    numbers = [1.0, bad, 3.0]
    for X, name in (
        (pd.DataFrame({"z": numbers}), "z"),
        (pd.DataFrame({"z": pd.Series(numbers, dtype=object)}), "z"),
        (pl.DataFrame({"z": numbers}), "z"),
        (np.array([[0.0, 1.0, 2.0], numbers]).T, "x1"),
        ([[10**400], [2], [3]], "x0"),
    ):
        assert error_of_fit(X).startswith(f"{message}{name!r}.")
    assert error_of_transform(FRAME.assign(a=numbers)).startswith(f"{message}'a'.")
    with pytest.raises(ValueError, match="in the column 'x1'"):
        TableEncoder().fit([[1.0, 2.0], [2.0, 3.0], [3.0, 5.0]]).transform([[1.0, bad]])


def test_no_rows_and_no_columns():
    for X in (FRAME.iloc[:0], pl.DataFrame(FRAME.to_dict("list"))[:0], np.zeros((0, 3))):
        assert "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required" in error_of_fit(X)
        assert "Found array with 0 sample(s)" in error_of_transform(X)
    for X in (FRAME[[]], np.zeros((3, 0))):
        assert "0 feature(s) (shape=(3, 0)) while a minimum of 1 is required" in error_of_fit(X)


def test_other_numbers_of_dimensions():
    for X in (FRAME["a"], np.zeros(3), pl.Series([1.0, 2.0])):
        assert "Expected 2D" in error_of_fit(X) or "Expected a 2-dimensional container" in error_of_fit(X)
    assert "dim 3" in error_of_fit(np.zeros((2, 2, 2)))


def test_duplicate_names():
    twice = pd.concat([FRAME, FRAME[["a"]]], axis=1)
    assert "several columns named ['a']" in error_of_fit(twice)
    assert "several columns named ['a']" in error_of_transform(twice)


def test_another_number_of_columns():
    encoder = TableEncoder().fit(np.arange(12.0).reshape(3, 4))
    with pytest.raises(ValueError, match="X has 3 features, but TableEncoder is expecting 4 features as input"):
        encoder.transform(np.zeros((2, 3)))
    with (
        pytest.warns(UserWarning, match="X has feature names, but TableEncoder was fitted without"),
        pytest.raises(ValueError, match="X has 3 features"),
    ):
        encoder.transform(FRAME)


def test_unknown_categories():
    for categories in (["b", "zip"], [3], [True], [-4]):
        message = error_of_fit(FRAME, categories=categories)
        assert f"got [{categories[-1]!r}]. X has the columns 'a', 'b', 'day'." in message
    assert "The 'categories' parameter of TableEncoder must be" in error_of_fit(FRAME, categories="b")
    for name, value in (("max_one_hot", 1), ("min_count", 0), ("max_levels", 1), ("max_levels", 2**24 + 1)):
        assert f"The {name!r} parameter" in error_of_fit(FRAME, **{name: value})


def test_complex_numbers():
    for X in (
        np.array([[1j], [2.0]]),
        pd.DataFrame({"a": [1j, 2.0]}),
        pd.DataFrame({"a": pd.Series([1j, "x"], dtype=object)}),
    ):
        assert "Complex data not supported" in error_of_fit(X)


def test_objects_that_are_neither_text_nor_numbers():
    message = (
        "TableEncoder: argument must be a string or a number, got an object of type dict in the column 'a'"
    )
    assert message in error_of_fit(pd.DataFrame({"a": [{"b": 1}, 2.0]}), TypeError)
    assert message in error_of_transform(FRAME.assign(a=[{"b": 1}, 2.0, 3.0]), TypeError)


def test_columns_of_another_kind():
    assert "the column 'a' must be numbers, as in fit, got 'x'." in error_of_transform(
        FRAME.assign(a=FRAME["b"])
    )
    assert "the column 'a' must be numbers, as in fit, got '2024-" in error_of_transform(
        FRAME.assign(a=FRAME["day"]), TypeError
    )
    assert "the column 'day' must be dates, as in fit, got 'x'." in error_of_transform(
        FRAME.assign(day=FRAME["b"])
    )
    assert "the column 'day' must be dates, as in fit, got '1.0'." in error_of_transform(
        FRAME.assign(day=FRAME["a"])
    )
    written = FRAME.assign(day=["2024-01-01", "2024-13-01", None])
    assert "got '2024-13-01'" in error_of_transform(written)


def test_kinds_that_can_be_converted():
    encoder = TableEncoder().fit(FRAME)
    outputs = encoder.transform(FRAME)
    assert np.array_equal(encoder.transform(FRAME.assign(day=FRAME["day"].astype(str))), outputs)
    assert np.array_equal(encoder.transform(FRAME.astype(object)), outputs)
    missing = encoder.transform(pd.DataFrame({name: [None] for name in FRAME}))
    assert not missing.any()
    assert not encoder.transform(pd.DataFrame({name: [np.nan] for name in FRAME})).any()
    assert not encoder.transform(pd.DataFrame({name: [pd.NaT] for name in FRAME})).any()


def test_frames_without_data_and_unfitted_encoders():
    assert "Give X.collect()" in error_of_fit(pl.LazyFrame({"a": [1]}), TypeError)
    with pytest.raises(NotFittedError):
        TableEncoder().transform(FRAME)
    with pytest.raises(NotFittedError):
        TableEncoder().get_feature_names_out()
