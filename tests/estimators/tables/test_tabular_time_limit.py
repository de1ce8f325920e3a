"""The time limit of the estimators for tables, by a clock of the tests' own."""

import html
import time

import numpy as np
import pytest

from layernet import TabularClassifier, TabularRegressor
from layernet.estimators.tables.member import KeepBestEpoch
from layernet.estimators.tables.recipe import choose_recipe

START = 1000.0
KINDS = [TabularClassifier, TabularRegressor]


class Clock:
    """A clock that goes on by some seconds at the end of every epoch, and at no other time."""

    def __init__(self, monkeypatch):
        self.now = START
        self.n_epochs = 0
        self.seconds_of_epoch = lambda number: 1.0
        on_epoch_end = KeepBestEpoch.on_epoch_end

        def go_on(callback, run):
            self.now += self.seconds_of_epoch(self.n_epochs)
            self.n_epochs += 1
            on_epoch_end(callback, run)

        monkeypatch.setattr(KeepBestEpoch, "on_epoch_end", go_on)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def fit(kind, table, preset="best", **parameters):
    X, classes, numbers = table
    X = X[["size", "age"]]
    estimator = kind(preset, n_jobs=1, random_state=0, **parameters)
    return estimator.fit(X, classes if kind is TabularClassifier else numbers)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_limit_nothing_is_left_out(kind, table, clock):
    clock.seconds_of_epoch = lambda number: 1e6
    report = fit(kind, table, "fast").report_
    assert report.left_out == []


def test_a_limit_that_is_long_enough_changes_nothing(table, clock):
    clock.seconds_of_epoch = lambda number: 1e-3
    free, limited = (fit(TabularRegressor, table, "fast", time_limit=limit) for limit in (None, 1000))
    assert limited.report_.left_out == []
    np.testing.assert_array_equal(free.predict(table[0]), limited.predict(table[0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [300, 100, 30, 12])
def test_what_is_left_out_is_reported_and_the_limit_kept(kind, limit, table, clock):
    report = fit(kind, table, time_limit=limit).report_
    assert clock.now - START <= 1.1 * limit
    assert report.networks
    left_out = " ".join(report.left_out)
    recipe = choose_recipe("best", 90, 2, kind is TabularClassifier)
    n_folds = len({network.fold for network in report.networks})
    assert len({network.representation for network in report.networks}) == 1
    assert f"The representation {recipe.representations[0]!r} of numbers is left out." in left_out
    assert (n_folds < recipe.n_folds) == ("folds" in left_out or "networks are left out" in left_out)
    assert max(network.n_epochs for network in report.networks) < recipe.n_epochs
    assert "epochs" in left_out
    assert all(sentence in repr(report) for sentence in report.left_out)
    assert all(html.escape(sentence) in report._repr_html_() for sentence in report.left_out)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["best", "fast"])
def test_the_smallest_fit_has_a_network_of_an_epoch(kind, preset, table, clock):
    estimator = fit(kind, table, preset, time_limit=1e-9)
    (network,) = estimator.report_.networks
    assert network.n_epochs >= 1
    assert np.isfinite(estimator.report_.loss)
    assert np.isfinite(estimator.predict(table[0]) == 0).all()
    assert estimator.report_.components[-1].weight == 0  # the linear model is left out, too
    assert estimator.feature_importances_.shape == (2,)
    assert len(estimator.report_.left_out) >= 2


def test_slow_epochs_stop_a_network_early(table, clock):
    """If epochs take longer than in the trial, networks stop at the limit, and the others are left out."""
    clock.seconds_of_epoch = lambda number: 1.0 if number < 2 else 30.0
    report = fit(TabularRegressor, table, time_limit=500).report_
    assert clock.now - START <= 1.1 * 500
    assert any("networks are left out" in sentence for sentence in report.left_out)
