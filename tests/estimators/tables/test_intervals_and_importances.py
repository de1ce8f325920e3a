"""Prediction intervals and importances of the estimators for tables, where folds or weights make them hard."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import LeaveOneOut

from layernet import TabularRegressor
from layernet.estimators.tables.intervals import ResidualScale


@pytest.mark.parametrize(("n_rows", "n_columns"), [(100, 2), (100, 20), (100, 200), (300, 160)])
def test_intervals_cover_new_rows_however_many_columns_there_are(n_rows, n_columns, random):
    shares = []
    for _ in range(20):
        inputs = random.normal(size=(2 * n_rows, n_columns))
        residuals = random.normal(size=2 * n_rows) * np.exp(inputs[:, 0] / 2)
        old, new, zeros = slice(n_rows), slice(n_rows, None), np.zeros(n_rows)
        scale = ResidualScale(inputs[old], zeros, residuals[old], None, n_columns)
        widths = scale.half_widths(inputs[new], zeros, 0.9)
        shares.append((np.abs(residuals[new]) <= widths).mean())
    assert np.mean(shares) == pytest.approx(0.9, abs=0.03)


def test_intervals_count_rows_by_their_weights(random):
    n_rows = 400
    is_noisy = np.arange(n_rows) % 10 == 0
    residuals = random.normal(size=n_rows) * np.where(is_noisy, 10.0, 0.1)
    weights = np.where(is_noisy, 81.0, 1.0)  # nine tenths of the sum
    inputs, zeros = np.zeros((n_rows, 1)), np.zeros(n_rows)
    widths = ResidualScale(inputs, zeros, residuals, weights, 1).half_widths(inputs, zeros, 0.8)
    assert np.average(np.abs(residuals) <= widths, weights=weights) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
def test_equal_weights_change_no_interval(coverage, random):
    inputs, predictions, targets = random.normal(size=(99, 3)), random.normal(size=99), random.normal(size=99)
    without = ResidualScale(inputs, predictions, targets, None, 3)
    equal = ResidualScale(inputs, predictions, targets, np.ones(99), 3)
    assert_allclose(*(each.half_widths(inputs, predictions, coverage) for each in (without, equal)))


def test_codes_of_levels_do_not_set_the_width(random):
    inputs = np.column_stack([random.normal(size=200), random.integers(0, 10_000, 200)])
    predictions = random.normal(size=200)
    scale = ResidualScale(inputs, predictions, predictions + random.normal(size=200), None, 1)
    others = np.column_stack([inputs[:, 0], np.full(200, -1)])
    assert_allclose(*(scale.half_widths(each, predictions, 0.9) for each in (inputs, others)))


def test_a_column_that_is_constant_in_each_group_is_important(few_epochs, random):
    group = np.arange(80) % 4
    X = pd.DataFrame({"of_group": group * 1.0, "noise": random.normal(size=80)})
    regressor = TabularRegressor("balanced", random_state=0).fit(X, 5.0 * group, groups=group)
    assert regressor.feature_importances_[0] > 0.5


def test_importances_of_folds_of_one_row(few_epochs, random):
    X = random.normal(size=(24, 2))
    regressor = TabularRegressor("balanced", cv=LeaveOneOut(), random_state=0).fit(X, 3 * X[:, 0])
    assert regressor.feature_importances_[0] > 0.5


def test_importances_use_linear_models_that_have_not_seen_the_rows(monkeypatch, random):
    X, y = random.normal(size=(90, 2)), random.normal(size=90)
    X[:, 1] = y + 0.1 * random.normal(size=90)
    ensemble = TabularRegressor("balanced", random_state=0).fit(X, y).ensemble_
    assert ensemble.linear_weight > 0
    monkeypatch.setattr(
        type(ensemble.linear),
        "predictions",
        lambda model, inputs: asked.append(model) or np.zeros((len(inputs), 1)),
    )
    asked = []
    ensemble.loss_of_fold(0, np.zeros((3, 2), np.float32), np.zeros((3, 1)), None)
    assert asked
    assert ensemble.linear not in asked
