"""RobustScale: scikit-learn's checks, known values, outliers and missing numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import RobustScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from layernet import RobustScale


def each_check():
    for estimator in (RobustScale(), RobustScale(limit=None)):
        for same, check in estimator_checks_generator(estimator):
            if check.func.__name__ == "check_array_api_input":
                continue  # for classes that declare support of the array API; needs an environment variable
            yield pytest.param(same, check, id=f"{estimator}-{check.func.__name__}")


@pytest.mark.parametrize(("estimator", "check"), list(each_check()))
def test_check(estimator, check):
    check(estimator)


def test_without_a_limit_it_is_scikit_learns_scaler(random):
    X = random.standard_normal((101, 4)) * [1, 10, 0.1, 5] + [0, 3, -2, 1e3]
    assert_allclose(RobustScale(limit=None).fit_transform(X), RobustScaler().fit_transform(X), atol=1e-12)


def test_numbers_are_clipped_smoothly():
    X = np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]])  # median 1, quartiles 0 and 2
    scaler = RobustScale(limit=2).fit(X)
    z = np.array([[0.0], [3.0], [1e300], [-1e300]])
    assert_allclose(scaler.transform(2 * z + 1)[:2, 0], [0, 3 / math.sqrt(1 + 9 / 4)])
    assert_allclose(scaler.transform(z)[2:, 0], [2, -2])
    far = RobustScale(limit=2).fit([[-1.7e308], [-1.5e308], [1.5e308], [1.7e308]])
    assert_allclose(
        far.transform([[1e308], [-1e308]])[:, 0], [0.5 / math.sqrt(1.0625), -0.5 / math.sqrt(1.0625)], rtol=0.4
    )
    assert far.factor_ > 0


def test_one_outlier_changes_little(random):
    X = random.standard_normal((200, 1))
    with_outlier = np.vstack([X, [[1e12]]])
    assert np.abs(RobustScale().fit(with_outlier).transform(X) - RobustScale().fit_transform(X)).max() < 0.05


def test_features_with_equal_quartiles_constants_and_nothing():
    rare, constant, nothing = [0.0] * 9 + [4.0], [7.0] * 10, [math.nan] * 10
    scaler = RobustScale(limit=None).fit(np.column_stack([rare, constant, nothing]))
    assert scaler.factor_.tolist() == [0.5, 0, 0]
    assert scaler.center_.tolist() == [0, 7, 0]
    assert_array_equal(scaler.transform([[4.0, 9.0, 5.0]]), [[2.0, 0.0, 0.0]])


def test_missing_numbers_are_left_out_and_stay_missing(random):
    X = random.standard_normal((50, 2))
    with_gaps = np.vstack([X, [[math.nan, math.nan]] * 7])
    assert_allclose(RobustScale().fit(with_gaps).factor_, RobustScale().fit(X).factor_)
    assert_array_equal(np.isnan(RobustScale().fit_transform(with_gaps)), np.isnan(with_gaps))


@given(arrays(np.float64, (6, 2), elements=st.floats(-1e6, 1e6)))
def test_the_inverse_gives_the_numbers_back(X):
    scaler = RobustScale(limit=None).fit(X)
    assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-9, atol=1e-9)


def test_the_inverse_of_clipped_numbers(random):
    X = random.standard_normal((100, 3))
    scaler = RobustScale().fit(X)
    assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-9)
    assert np.isfinite(scaler.inverse_transform([[3.0, -3.0, 5.0]])).all()


def test_data_frames_and_types(random):
    frame = pd.DataFrame({"a": random.standard_normal(20), "b": random.integers(0, 9, 20)})
    scaler = RobustScale().set_output(transform="pandas").fit(frame)
    assert scaler.transform(frame).columns.tolist() == ["a", "b"]
    assert RobustScale().fit_transform(frame.to_numpy(np.float32)).dtype == np.float32


def test_errors():
    with pytest.raises(NotFittedError):
        RobustScale().transform([[1.0]])
    with pytest.raises(ValueError, match="infinity"):
        RobustScale().fit([[1.0], [np.inf]])
    with pytest.raises(ValueError, match="'limit' parameter of RobustScale must be"):
        RobustScale(limit=0).fit([[1.0], [2.0]])
