"""The estimators for tables on small tables: what they learn, report and repeat."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from layernet import Callback, QuantileLoss, TabularClassifier, TabularRegressor
from layernet.estimators.tables import base
from layernet.estimators.tables.recipe import choose_recipe
from layernet.estimators.tables.report import FitReport, NetworkReport


def test_a_frame_with_columns_of_all_kinds(table):
    X, _, y = table
    classifier = TabularClassifier("fast", random_state=0).fit(X, y > 2)
    assert classifier.oof_score_ > 0.75
    assert [column.kind for column in classifier.report_.columns] == [
        "number",
        "number",
        "category",
        "date",
        "category",
    ]
    regressor = TabularRegressor("fast", random_state=0).fit(X, y)
    assert regressor.oof_score_ > 0.5
    assert np.isfinite(regressor.predict(X)).all()


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_copy_and_a_pickle_predict_the_same(kind):
    X, y = load_iris(return_X_y=True)
    estimator = kind("fast", random_state=0).fit(X, y)
    expected = estimator.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict(X), expected)
    np.testing.assert_array_equal(clone(estimator).fit(X, y).predict(X), expected)


def test_the_mixture_is_no_worse_than_its_components_out_of_fold():
    X, y = load_diabetes(return_X_y=True)
    report = TabularRegressor("balanced", random_state=0).fit(X, y).report_
    assert report.loss <= min(each.loss for each in report.components if each.weight) * (1 + 1e-3)
    assert sum(each.weight for each in report.components) == pytest.approx(1)
    assert {each.fold for each in report.networks} == set(range(5))


def test_epochs_are_judged_in_the_second_half_of_each_cycle(monkeypatch, table):
    monkeypatch.setattr(base, "choose_recipe", lambda *a: replace(choose_recipe(*a), n_epochs=30))
    X, y, _ = table
    networks = TabularClassifier("fast", random_state=0).fit(X, y).report_.networks
    second_halves = [2, 5, 6, *range(11, 15), *range(23, 31)]  # cycles end with epochs 2, 6, 14 and 30
    for network in networks:
        judged = np.flatnonzero(np.isfinite(network.criterion)) + 1
        assert judged.tolist() == [epoch for epoch in second_halves if epoch <= network.n_epochs]
        best = min(network.criterion[epoch - 1] for epoch in judged)
        assert network.criterion[network.best_epoch - 1] == best


def test_the_last_epoch_is_kept_if_none_was_judged(table):
    class StopAtOnce(Callback):
        def on_epoch_end(self, run):
            run.stop("enough")

    X, _, y = table
    report = TabularRegressor("fast", callbacks=[StopAtOnce()], random_state=0).fit(X, y).report_
    assert [network.best_epoch for network in report.networks] == [1, 1]
    assert np.isfinite(report.loss)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, np.asarray, coo_array, csr_array])
def test_many_rows_are_predicted_in_blocks(make, monkeypatch, random):
    X, y = random.normal(size=(70, 3)), random.normal(size=(70, 2))
    regressor = TabularRegressor("fast", random_state=0).fit(make(X), y)
    rows = make(X)
    expected, intervals = regressor.predict(rows), regressor.predict_interval(rows)
    n_rows_of_blocks = []
    transform = regressor.encoder_.transform

    def counted(block):
        n_rows_of_blocks.append(block.shape[0])
        return transform(block)

    monkeypatch.setattr(base, "ROWS_OF_BLOCK", 20)
    monkeypatch.setattr(regressor.encoder_, "transform", counted)
    assert_allclose(regressor.predict(rows), expected, rtol=1e-12)
    assert_allclose(regressor.predict_interval(rows), intervals, rtol=1e-12)
    assert n_rows_of_blocks == [17, 18, 17, 18] * 2


@pytest.mark.parametrize("loss", ["absolute_error", "huber", QuantileLoss(0.5)])
def test_robust_losses_ignore_a_huge_target(loss):
    X, y = load_diabetes(return_X_y=True)
    spoiled = y[:300].copy()
    spoiled[5] = 1e12
    regressor = TabularRegressor("fast", loss=loss, random_state=0).fit(X[:300], spoiled)
    assert regressor.score(X[300:], y[300:]) > 0.3


def test_a_representation_that_is_cut_off_is_left_out(monkeypatch, few_epochs, table):
    X, _, y = table
    train = base.train_members
    monkeypatch.setattr(base, "train_members", lambda *a: train(*a)[:7])  # of 6 periodic and 6 with pieces
    regressor = TabularRegressor(random_state=0).fit(X, y)
    assert np.isfinite(regressor.oof_predictions_).all()
    assert {each.representation for each in regressor.report_.networks} == {"periodic"}
    assert regressor.report_.left_out == ["6 of 12 networks are left out."]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pd.Series([2**60, 2**60 + 1] * 15, dtype="Int64"), [2**60, 2**60 + 1]),
        (pd.Series([True, False] * 15, dtype="boolean"), [False, True]),
    ],
)
def test_labels_of_nullable_types_keep_their_type(few_epochs, labels, classes, random):
    classifier = TabularClassifier("fast", random_state=0).fit(random.normal(size=(30, 2)), labels)
    assert classifier.classes_.tolist() == classes
    assert classifier.classes_.dtype.kind in "bi"


def test_the_report_says_how_many_rows_were_scored(few_epochs, table):
    X, y, _ = table
    report = TabularClassifier("fast", random_state=0).fit(X, y).report_
    assert report.n_scored_rows < report.n_rows == 90
    assert f"Out of fold ({report.n_scored_rows} rows): accuracy" in repr(report)
    whole = TabularClassifier("balanced", random_state=0).fit(X, y).report_
    assert whole.n_scored_rows == 90
    assert "Out of fold: accuracy" in repr(whole)


def test_curves_do_not_jump_where_networks_stop():
    def network(fold, values, best_epoch):
        return NetworkReport("pieces", fold, 0.0, best_epoch, len(values), 0.0, values)

    networks = [
        network(0, [np.nan, 0.2, np.nan, 0.3], 2),
        network(1, [np.nan, 0.5, np.nan, 0.4, np.nan, 0.5], 4),
    ]
    report = FitReport("best", 9, 9, 9, (), [], networks, "R2", 0.0, 0.0, {}, [])
    np.testing.assert_allclose(report.learning_curves()["pieces"], [np.nan, 0.35, np.nan, 0.35, np.nan, 0.35])
