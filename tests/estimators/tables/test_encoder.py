"""TableEncoder: every type of column of pandas, polars and NumPy, and what each becomes."""

import datetime
import decimal
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from layernet import CategoryEmbedding, RobustScale, TableEncoder

N = 60
WHOLE = np.random.default_rng(0).integers(0, 50, N)
DAYS = np.datetime64("2024-01-01", "us") + WHOLE * np.timedelta64(13 * 24 + 5, "h")
PYTHON_DAYS = DAYS.astype("datetime64[D]").tolist()
PYTHON_TIMES = DAYS.tolist()
TEXTS = [f"level {number % 5}" for number in WHOLE]
BOOLEANS = (WHOLE % 2 == 0).tolist()
DECIMALS = [decimal.Decimal(int(number)) / 4 for number in WHOLE]
CLOCK = [datetime.time(int(number) % 24, 3) for number in WHOLE]


def with_gap(values):
    return [*values[:-1], None]


def objects(values):
    return pd.Series(values, dtype=object)


NUMERIC = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
PANDAS = {
    **{name: (pd.Series(WHOLE, dtype=name), "number") for name in (*NUMERIC, "float16")},
    **{
        name: (pd.Series(with_gap(WHOLE.tolist()), dtype=name), "number")
        for name in (
            "Int8",
            "Int16",
            "Int32",
            "Int64",
            "UInt8",
            "UInt16",
            "UInt32",
            "UInt64",
            "Float32",
            "Float64",
        )
    },
    "bool": (pd.Series(BOOLEANS), "category"),
    "boolean": (pd.Series(with_gap(BOOLEANS), dtype="boolean"), "category"),
    "str": (pd.Series(with_gap(TEXTS)), "category"),
    "string": (pd.Series(with_gap(TEXTS), dtype="string"), "category"),
    "category": (pd.Series(with_gap(TEXTS), dtype="category"), "category"),
    "category of numbers": (pd.Series(WHOLE % 4, dtype="category"), "category"),
    **{
        f"datetime64[{unit}]": (pd.Series(DAYS.astype(f"M8[{unit}]")), "date")
        for unit in ("s", "ms", "us", "ns")
    },
    "datetime64[us, Europe/Berlin]": (pd.Series(DAYS).dt.tz_localize("Europe/Berlin"), "date"),
    "timedelta64[s]": (pd.Series((WHOLE * 1000).astype("m8[s]")), "number"),
    "period": (pd.Series(pd.PeriodIndex(DAYS.astype("M8[D]"), freq="D")), "date"),
    "interval": (pd.Series(pd.IntervalIndex.from_arrays(WHOLE % 3 + 0.0, WHOLE % 3 + 1.0)), "category"),
    "sparse": (pd.Series(pd.arrays.SparseArray(WHOLE.astype(float))), "number"),
    "objects: strings": (objects([*TEXTS[:-2], None, float("nan")]), "category"),
    "objects: numbers": (objects([*WHOLE.tolist()[:-3], 0.5, None, pd.NA]), "number"),
    "objects: decimals": (objects(with_gap(DECIMALS)), "number"),
    "objects: booleans": (objects([*BOOLEANS[:-1], float("nan")]), "category"),
    "objects: dates": (objects(with_gap(PYTHON_DAYS)), "date"),
    "objects: times": (objects([*PYTHON_TIMES[:-1], pd.NaT]), "date"),
    "objects: durations": (objects([datetime.timedelta(hours=int(number)) for number in WHOLE]), "number"),
    "objects: clock": (objects(CLOCK), "number"),
    "objects: mixed": (
        objects([number if number % 2 else f"n{number % 3}" for number in (WHOLE % 6)]),
        "category",
    ),
    "objects: bytes": (objects([text.encode() for text in TEXTS]), "category"),
    "ISO dates": (pd.Series(with_gap([str(day) for day in PYTHON_DAYS])), "date"),
    "ISO times": (pd.Series([f"{time.isoformat(' ')}Z" for time in PYTHON_TIMES]), "date"),
    "constant": (pd.Series(["a"] * N), "constant"),
    "empty": (objects([None] * N), "empty"),
    "NaN": (pd.Series([np.nan] * N), "empty"),
}
POLARS = {
    **{
        str(kind): (pl.Series(with_gap(WHOLE.tolist()), dtype=kind), "number")
        for kind in (
            *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
            *(pl.Float32, pl.Float64, pl.Decimal(10, 2)),
        )
    },
    "Boolean": (pl.Series(with_gap(BOOLEANS)), "category"),
    "String": (pl.Series(with_gap(TEXTS)), "category"),
    "Categorical": (pl.Series(with_gap(TEXTS), dtype=pl.Categorical), "category"),
    "Enum": (pl.Series(with_gap(TEXTS), dtype=pl.Enum(sorted(set(TEXTS)))), "category"),
    "Date": (pl.Series(with_gap(PYTHON_DAYS)), "date"),
    **{f"Datetime({unit})": (pl.Series(DAYS).cast(pl.Datetime(unit)), "date") for unit in ("ms", "us", "ns")},
    "Datetime with zone": (pl.Series(DAYS).dt.replace_time_zone("Europe/Berlin"), "date"),
    "Duration": (pl.Series([datetime.timedelta(hours=int(number)) for number in WHOLE]), "number"),
    "Time": (pl.Series(with_gap(CLOCK)), "number"),
    "Binary": (pl.Series([text.encode() for text in TEXTS]), "category"),
    "Object": (pl.Series(TEXTS, dtype=pl.Object), "category"),
    "Null": (pl.Series([None] * N), "empty"),
    "ISO dates": (pl.Series(with_gap([str(day) for day in PYTHON_DAYS])), "date"),
}


def check_column(frame, kind, rows, selected):
    encoder = TableEncoder().fit(frame)
    outputs = encoder.transform(frame)
    (column,) = encoder.columns_
    assert column.kind == kind
    assert column.reason
    assert column.encoding
    assert outputs.dtype == np.float32
    assert outputs.flags.c_contiguous
    assert np.isfinite(outputs).all()
    assert len(encoder.get_feature_names_out()) == outputs.shape[1]
    assert (np.ptp(outputs, axis=0) > 0).all() == (kind not in ("constant", "empty"))
    assert_array_equal(encoder.transform(selected), outputs[rows])


@pytest.mark.parametrize("name", PANDAS)
def test_every_type_of_pandas(name):
    series, kind = PANDAS[name]
    frame = series.to_frame("a")
    rows = [5, 3, 59, 3]
    check_column(frame, kind, rows, frame.iloc[rows])


@pytest.mark.parametrize("name", POLARS)
def test_every_type_of_polars(name):
    series, kind = POLARS[name]
    frame = series.alias("a").to_frame()
    rows = [5, 3, 59, 3]
    check_column(frame, kind, rows, frame[rows])


@pytest.mark.parametrize(
    "series", [pl.Series([[1], [2]]), pl.Series([{"a": 1}, {"a": 2}])], ids=["list", "struct"]
)
def test_columns_of_containers_are_refused(series):
    with pytest.raises(TypeError, match=r"must be a string or a number, got an object of type .* column 'a'"):
        TableEncoder().fit(series.alias("a").to_frame())


def same_data():
    """Equal tables in pandas, in polars and as an array of objects."""
    columns = {
        "number": with_gap([number + 0.5 for number in WHOLE.tolist()]),
        "boolean": BOOLEANS,
        "text": with_gap(TEXTS),
        "many": [f"id {number}" for number in WHOLE],
        "day": with_gap(PYTHON_TIMES),
        "written": [str(day) for day in PYTHON_DAYS],
        "zip": WHOLE.tolist(),
    }
    frame = pd.DataFrame(columns)
    array = np.array([list(column) for column in columns.values()], dtype=object).T
    return frame, pl.DataFrame(columns), array


@pytest.mark.parametrize("options", [{}, {"max_one_hot": 4}, {"max_one_hot": 4, "max_levels": 7}], ids=str)
def test_pandas_polars_and_arrays_are_encoded_alike(options):
    frame, other, array = same_data()
    encoder = TableEncoder(categories=["zip", "day"], **options).fit(frame)
    outputs = encoder.transform(frame)
    assert_array_equal(TableEncoder(categories=["zip", "day"], **options).fit_transform(other), outputs)
    assert_array_equal(TableEncoder(categories=[-1, 4], **options).fit_transform(array), outputs)
    assert_array_equal(encoder.transform(other), outputs)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert_array_equal(encoder.transform(array), outputs)
    assert_array_equal(TableEncoder(categories=[-1, 4], **options).fit_transform(array.tolist()), outputs)


def test_numbers_are_scaled_by_quartiles_that_occur_and_clipped(random):
    X = random.standard_normal((300, 4)) * [1, 1e5, 1e-3, 1] + [0, 7, 0, 1e6]
    X[::7, 1] = np.nan
    first, center, third = np.nanquantile(X, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf")
    z = (X - center) / (third - first)
    expected = z / np.sqrt(1 + (z / 3) ** 2)
    assert_allclose(expected, RobustScale().fit_transform(X), atol=0.05, rtol=0.05)
    outputs = TableEncoder().fit_transform(X)
    assert_allclose(outputs[:, :4], np.nan_to_num(expected), rtol=1e-6, atol=1e-7)
    assert_array_equal(outputs[:, 4], np.isnan(X[:, 1]))
    frame = pd.DataFrame(X)
    assert_array_equal(TableEncoder().fit_transform(frame), outputs)
    assert TableEncoder().fit(frame).get_feature_names_out().tolist() == ["0", "1", "2", "3", "1_missing"]


def test_the_order_of_outputs_and_the_layout():
    frame = pd.DataFrame(
        {
            "city": TEXTS,
            "many": [f"id {number % 20}" for number in WHOLE],
            "age": with_gap(WHOLE.tolist()),
            "two": np.where(WHOLE % 2, 3, 7),
            "day": DAYS.astype("M8[D]"),
            "same": 1,
        }
    )
    encoder = TableEncoder(max_one_hot=6).fit(frame)
    names = ["age", "day_year", "day_month", "day_weekday", "day_days"]
    names += [f"city=level {number}" for number in range(5)] + ["age_missing", "two", "many_code"]
    assert encoder.get_feature_names_out().tolist() == names
    layout = encoder.layout_
    n_codes = len({number % 20 for number in WHOLE})
    assert (layout.n_numbers, layout.n_flags) == (5, 7)
    assert layout.n_levels in [(n_codes,), (n_codes - 1,)]
    assert [each.outputs.tolist() for each in encoder.columns_] == [
        *([5, 6, 7, 8, 9], [12], [0, 10], [11], [1, 2, 3, 4], []),
    ]
    outputs = encoder.transform(frame)
    assert set(outputs[:, 11]) == {-1, 1}
    assert_array_equal(outputs[:, 5:10].sum(axis=1), 1)
    embedding = CategoryEmbedding(layout.n_levels, width=2).build(1)
    assert (embedding.forward_pass(outputs[:, 12:]) != 0).all()


def test_a_number_of_two_values():
    encoder = TableEncoder().fit([[3.0], [7.0], [7.0], [np.nan]])
    assert_array_equal(encoder.transform([[3], [7], [5], [99], [-99], [np.nan]])[:, 0], [-1, 1, 0, 1, -1, 0])
    assert_array_equal(encoder.transform([[3], [np.nan]])[:, 1], [0, 1])
    for low, high in ((0, 5e-324), (-1.7e308, 1.7e308)):
        assert_array_equal(TableEncoder().fit_transform([[low], [high]])[:, 0], [-1, 1])


def test_one_value_and_missing_ones_become_a_flag():
    X = pd.DataFrame({"a": [1.0, np.nan, 1.0], "b": ["x", None, "x"], "c": [DAYS[0], None, DAYS[0]]})
    encoder = TableEncoder().fit(X)
    assert encoder.get_feature_names_out().tolist() == ["a_missing", "b_missing", "c_missing"]
    assert_array_equal(encoder.transform(X), [[0, -1, 0], [1, 1, 1], [0, -1, 0]])


def test_nothing_that_varies_becomes_one_column_of_zeros():
    encoder = TableEncoder().fit([[1.0, None], [1.0, None]])
    assert_array_equal(encoder.transform([[2.0, 3.0]]), [[0.0]])
    assert encoder.layout_.n_flags == 1
    assert [each.kind for each in encoder.columns_] == ["constant", "empty"]


def test_parts_of_dates():
    days = ["2023-12-31 23:30", "2024-01-01 00:00", "2024-02-29 12:00", None, "1969-07-20 20:17:40.5+02:00"]
    encoder = TableEncoder().fit(pd.DataFrame({"day": days}))
    parts = dict(encoder._encodings[0].parts(encoder_data(days), "day"))
    assert_array_equal(parts["_year"], [2023, 2024, 2024, np.nan, 1969])
    assert_array_equal(parts["_month"], [12, 1, 2, np.nan, 7])
    assert_array_equal(parts["_weekday"], [6, 0, 3, np.nan, 6])
    assert_array_equal(parts["_hour"], [23, 0, 12, np.nan, 20])
    start = datetime.datetime(1969, 7, 20, 20, 17, 40, 500_000)
    between = [(datetime.datetime.fromisoformat(day) - start) / datetime.timedelta(1) for day in days[:3]]
    assert_allclose(parts["_days"], [*between, np.nan, 0])
    assert encoder.get_feature_names_out()[-1] == "day_missing"
    assert "year, month, weekday, hour, days since 1969-07-20T20:17:40" in encoder.columns_[0].encoding


def encoder_data(days):
    from layernet.estimators.tables.columns import read_objects
    from layernet.estimators.tables.dates import dates_of_text

    return dates_of_text(read_objects(days, "day"))


def test_parts_of_dates_that_do_not_vary_are_left_out():
    frame = pd.DataFrame({"day": pd.date_range("2024-03-01", periods=25, tz="Asia/Tokyo")})
    encoder = TableEncoder().fit(frame)
    assert encoder.get_feature_names_out().tolist() == ["day_weekday", "day_days"]
    assert "clock of Asia/Tokyo" in encoder.columns_[0].encoding


def test_time_zones_are_converted_to_that_of_fit():
    times = pd.Series(pd.date_range("2024-03-01", periods=200, freq="7h", tz="Europe/Berlin"))
    frame = times.to_frame("time")
    encoder = TableEncoder().fit(frame)
    outputs = encoder.transform(frame)
    in_utc = times.dt.tz_convert("UTC")
    assert_array_equal(encoder.transform(in_utc.to_frame("time")), outputs)
    assert_array_equal(encoder.transform(pl.DataFrame({"time": in_utc.tolist()})), outputs)
    assert_array_equal(encoder.transform(in_utc.astype(object).to_frame("time")), outputs)
    assert_array_equal(encoder.transform(times.dt.tz_localize(None).to_frame("time")), outputs)
    assert not np.array_equal(TableEncoder().fit_transform(in_utc.to_frame("time")), outputs)


@pytest.mark.parametrize("hours", [2, -9.5])
def test_times_of_a_fixed_zone_are_converted_too(hours):
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    times = pd.Series(pd.date_range("2024-03-01", periods=200, freq="7h", tz=zone))
    encoder = TableEncoder().fit(times.to_frame("time"))
    outputs = encoder.transform(times.to_frame("time"))
    in_utc = times.dt.tz_convert("UTC")
    assert_array_equal(encoder.transform(in_utc.to_frame("time")), outputs)
    assert_array_equal(encoder.transform(in_utc.astype(object).to_frame("time")), outputs)
    assert_array_equal(encoder.transform(pl.DataFrame({"time": in_utc.tolist()})), outputs)


def test_times_of_several_zones_are_those_of_utc_in_any_order():
    times = pd.date_range("2024-03-01", periods=40, freq="7h", tz="UTC")
    mixed = pd.Series(
        [t.tz_convert("Asia/Tokyo" if i % 3 else "Europe/Rome") for i, t in enumerate(times)], dtype=object
    )
    expected = TableEncoder().fit_transform(pd.DataFrame({"time": times}))
    assert_array_equal(TableEncoder().fit_transform(mixed.to_frame("time")), expected)
    encoder = TableEncoder().fit(mixed[::-1].to_frame("time"))
    one_by_one = [encoder.transform(mixed.iloc[[row]].to_frame("time")) for row in range(40)]
    assert_array_equal(np.concatenate(one_by_one), expected)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["2024-01-01", "2024-01-02", "2024-02-30"], "category"),  # no such day
        (["2024-01-01", "2024-01-02"], "category"),
        (["2024-01-01", "2024-01-02", "yesterday"], "category"),
        (["20240101", "20240102", "20240103"], "category"),
        (["2024-01-01 10:305", "2024-01-02", "2024-01-03"], "category"),
        (["2024-01-01T10:30:00.123456789Z", "2024-01-02 10:30+0200", " 2024-01-03 "], "date"),
    ],
    ids=["no such day", "two", "text", "digits", "time", "dates"],
)
def test_which_strings_are_dates(texts, kind):
    assert TableEncoder().fit(pd.DataFrame({"a": texts})).columns_[0].kind == kind
    assert TableEncoder().fit(pl.DataFrame({"a": texts})).columns_[0].kind == kind
    typed = pd.DataFrame({"a": pd.Series(texts, dtype="category")})
    assert TableEncoder().fit(typed).columns_[0].kind == "category"
    assert TableEncoder(categories=["a"]).fit(pd.DataFrame({"a": texts})).columns_[0].kind == "category"


def test_rows_without_weight_are_left_out():
    frame = pd.DataFrame(
        {
            "a": [1.0, 2.0, 4.0, 9.0, None],
            "b": ["x", "y", "x", "y", "z"],
            "day": ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-09", "never"],
        }
    )
    encoder = TableEncoder().fit(frame, sample_weight=[1, 1, 1, 2, 0])
    twice = TableEncoder().fit(frame.iloc[[0, 1, 2, 3, 3]])
    assert encoder.get_feature_names_out().tolist() == ["a", "day_weekday", "day_days", "b=y"]
    assert_array_equal(encoder.transform(frame[:4]), twice.transform(frame[:4]))
    assert not np.array_equal(encoder.transform(frame[:4]), TableEncoder().fit_transform(frame[:4]))


def test_a_level_of_weight_two_is_not_rare():
    frame = pd.DataFrame({"a": list("aabbccde")})
    weighted = TableEncoder(max_one_hot=2).fit(frame, sample_weight=[1, 1, 1, 1, 1, 1, 2, 1])
    assert_array_equal(
        weighted.transform(frame),
        TableEncoder(max_one_hot=2).fit(frame.iloc[[*range(7), 6, 7]]).transform(frame),
    )
    assert weighted.layout_.n_levels == (5,)
    small = TableEncoder(max_one_hot=2).fit(frame, sample_weight=np.full(8, 0.125))
    assert small.layout_.n_levels == (4,)


def test_unknown_and_missing_levels_are_zeros():
    frame = pd.DataFrame({"two": ["x", "y", "y"], "three": ["a", "b", "c"], "gap": ["a", "b", None]})
    encoder = TableEncoder().fit(frame)
    new = pd.DataFrame({"two": ["z", None], "three": ["z", None], "gap": ["z", None]})
    outputs = encoder.transform(new)
    assert_array_equal(outputs[:, :4], 0)
    assert_array_equal(outputs[:, 4:], [[0, 0, 0], [0, 0, 1]])


def codes_of(encoder, values):
    return encoder.transform(pd.DataFrame({"a": pd.Series(values, dtype=object)}))[:, -1].tolist()


def test_rare_levels_share_a_code_with_unknown_ones():
    frame = pd.DataFrame({"a": [*"aabbccdefg", None]})
    encoder = TableEncoder(max_one_hot=3, min_count=2).fit(frame)
    assert encoder.layout_.n_levels == (5,)
    assert codes_of(encoder, ["a", "b", "c", "d", "g", "new", None]) == [0, 1, 2, 4, 4, 4, 3]
    assert "4 rare levels" in encoder.columns_[0].encoding
    without = TableEncoder(max_one_hot=3, min_count=1).fit(frame.iloc[:-1])
    assert without.layout_.n_levels == (7,)
    assert codes_of(without, ["a", "g", "new", None]) == [0, 6, -1, -1]
    one_hot = TableEncoder(max_one_hot=5).fit(frame)
    names = ["a=a", "a=b", "a=c", "a_missing", "a_rare"]
    assert one_hot.get_feature_names_out().tolist() == names


def test_a_category_of_different_levels_alone_has_no_outputs():
    encoder = TableEncoder().fit(pd.DataFrame({"id": [f"{number}" for number in range(50)]}))
    (column,) = encoder.columns_
    assert column.kind == "category"
    assert column.n_levels == 50
    assert len(column.outputs) == 0
    assert "no level has 2 rows" in column.encoding


HASH = """
import pandas as pd
from layernet import TableEncoder
frame = pd.DataFrame({"a": [f"id {i // 2}" for i in range(100)] + ["once"]})
print(TableEncoder(max_one_hot=5, max_levels=20).fit_transform(frame)[:, 0].astype(int).tolist())
"""


def test_hashed_levels():
    frame = pd.DataFrame({"a": [f"id {i // 2}" for i in range(100)] + ["once"]})
    encoder = TableEncoder(max_one_hot=5, max_levels=20).fit(frame)
    assert encoder.layout_.n_levels == (21,)
    assert "hashed to 20" in encoder.columns_[0].encoding
    outputs = encoder.transform(frame)[:, 0].astype(int).tolist()
    assert outputs[::2][:-1] == outputs[1::2]
    assert len(set(outputs[:-1])) > 10
    assert max(outputs[:-1]) < 20
    assert codes_of(encoder, ["once", "new", None]) == [20, 20, -1]
    assert outputs[0] == zlib.crc32(b"id 0") % 20
    done = subprocess.run(
        [sys.executable, "-c", HASH], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert done.stdout.strip() == str(outputs)
    all_kept = TableEncoder(max_one_hot=5, max_levels=20).fit(frame.iloc[:-1])
    assert codes_of(all_kept, ["new", "id 3"]) == [-1, outputs[6]]


def test_categories_of_whole_numbers_keep_all_digits():
    ids = [2**60 + number for number in (0, 1, 2, 0, 1, 2)]
    for frame in (pd.DataFrame({"a": ids}), pl.DataFrame({"a": ids}), pd.DataFrame({"a": ids}, dtype="Int64")):
        assert TableEncoder(categories=["a"]).fit(frame).columns_[0].n_levels == 3
        assert TableEncoder().fit(frame).columns_[0].kind == "constant"  # as float64
    encoder = TableEncoder(categories=["a"]).fit(pd.DataFrame({"a": [1, 2, 3]}))
    assert_array_equal(encoder.transform(pd.DataFrame({"a": [3.0, np.nan]})), [[0, 0, 1], [0, 0, 0]])


def test_booleans_that_come_as_numbers_and_numbers_that_come_as_booleans():
    frame = pd.DataFrame({"a": [True, False, True], "b": [0, 1, 1]})
    encoder = TableEncoder().fit(frame)
    assert_array_equal(encoder.transform(frame), [[1, -1], [-1, 1], [1, 1]])
    swapped = pd.DataFrame({"a": [1.0, 0.0, None], "b": [False, True, None]})
    assert_array_equal(encoder.transform(swapped), [[1, -1], [-1, 1], [0, 0]])


def test_columns_are_found_by_name_in_any_order(random):
    frame = pd.DataFrame(random.standard_normal((20, 3)), columns=["a", "b", "c"]).assign(d=TEXTS[:20])
    encoder = TableEncoder().fit(frame)
    outputs = encoder.transform(frame)
    assert_array_equal(encoder.transform(frame[["d", "b", "c", "a"]].assign(extra="x")), outputs)
    with pytest.raises(ValueError, match=r"(?s)seen at fit time, yet now missing:\n- b\n- d\n"):
        encoder.transform(frame[["c", "a"]])
    numbered = frame.rename(columns={"a": 10, "b": 11, "c": 12, "d": 13})
    encoder = TableEncoder(categories=[13]).fit(numbered)
    assert_array_equal(encoder.transform(numbered[[13, 12, 11, 10]]), outputs)
    assert not hasattr(encoder, "feature_names_in_")
    assert encoder.get_feature_names_out()[0] == "10"


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_matrices(form, random):
    X = random.poisson(0.4, (200, 30)) * random.standard_normal((200, 30))
    X[:, 3] = X[:, 3] != 0
    X[:, 5] = 0
    encoder = TableEncoder().fit(form(X))
    outputs = encoder.transform(form(X))
    assert_array_equal(outputs, TableEncoder().fit_transform(X))
    assert_array_equal(outputs, encoder.transform(X))


def test_large_numbers():
    X = np.array([[1e300, 2.0**60], [-1.7e308, 2.0**61], [1.7e308, 0], [0, 7]])
    outputs = TableEncoder().fit_transform(X)
    assert np.isfinite(outputs).all()
    assert (np.ptp(outputs, axis=0) > 1).all()


def test_set_output_pickle_and_clone():
    frame, other, _ = same_data()
    encoder = TableEncoder(max_one_hot=4).fit(frame)
    outputs = encoder.transform(frame)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(frame), outputs)
    assert_array_equal(clone(encoder).fit_transform(frame), outputs)
    for library, data in (("pandas", frame), ("polars", other)):
        table = clone(encoder).set_output(transform=library).fit_transform(data)
        assert list(table.columns) == encoder.get_feature_names_out().tolist()
        assert_array_equal(np.asarray(table), outputs)


def test_names_are_unique():
    frame = pd.DataFrame({"a": [1, 2, None], "a_missing": [1, 2, 4], "b=x": [1, 2, 3], "b": ["x", "y", "z"]})
    names = TableEncoder().fit(frame).get_feature_names_out().tolist()
    assert len(set(names)) == len(names) == 6 + 1


WITHOUT = """
import sys
sys.modules["pandas"] = sys.modules["polars"] = None  # importing them fails
from layernet import TableEncoder
print(TableEncoder().fit_transform([[1.0, "a"], [2.0, "b"], [3.0, None]])[:, 1:].tolist())
"""


def test_arrays_need_neither_pandas_nor_polars():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]"


CELLS = st.one_of(
    st.none(),
    st.floats(allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.text(max_size=3),
    st.dates().map(str),
    st.datetimes(),
)
COLUMNS = st.one_of(
    *(st.lists(st.one_of(st.none(), each), min_size=5, max_size=5) for each in CELLS.original_strategies),
    st.lists(CELLS, min_size=5, max_size=5),
)


@given(st.lists(COLUMNS, min_size=1, max_size=4), st.permutations(range(5)), st.integers(2, 4))
def test_any_table_gives_finite_numbers_and_rows_stand_for_themselves(columns, rows, max_one_hot):
    frame = pd.DataFrame({f"c{i}": pd.Series(column, dtype=object) for i, column in enumerate(columns)})
    encoder = TableEncoder(max_one_hot=max_one_hot, max_levels=2).fit(frame)
    outputs = encoder.transform(frame)
    assert np.isfinite(outputs).all()
    assert outputs.shape == (5, len(encoder.get_feature_names_out()))
    assert_array_equal(encoder.transform(frame.iloc[rows[:3]]), outputs[rows[:3]])
    as_typed = frame.infer_objects()
    assert_array_equal(encoder.transform(as_typed), outputs)
