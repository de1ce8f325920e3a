"""`benchmarks/tables.py`: its splits, its bags, the file of results, and the figures of its summary."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmark_modules():
    """The script's modules, which import each other by name."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def script(*arguments, check=True):
    command = [sys.executable, str(FOLDER / "tables.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check)


FIELDS = ("dataset", "model", "split", "threads", "n_train", "accuracy", "logloss", "r2", "rmse", "fit_s")


def write(path, rows):
    """Rows of a table of classes: table, model, split, threads, accuracy, log-loss, seconds."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, (*FIELDS, "predict_10k_s"))
        writer.writeheader()
        for table, model, split, threads, accuracy, loss, seconds in rows:
            row = {"dataset": table, "model": model, "split": split, "threads": threads, "n_train": 80}
            writer.writerow(row | {"accuracy": accuracy, "logloss": loss, "fit_s": seconds})
    return path


def test_missing_values_are_filled_from_the_training_rows():
    from table_data import Table, split

    random = np.random.default_rng(0)
    X = pd.DataFrame({"number": random.standard_normal(50), "category": random.choice(["a", "b", "c"], 50)})
    X["category"] = X["category"].astype(object)
    missing = X.copy()
    missing.loc[::3, "number"] = np.nan
    missing.loc[1::3, "category"] = np.nan
    data = split(Table(missing, np.arange(50.0), ["category"], False), 0)
    assert (len(data.X_train), len(data.X_test)) == (40, 10)
    rows = missing.iloc[data.y_train.astype(int)]
    for frame, places in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        original = missing.iloc[places.astype(int)].reset_index(drop=True)
        assert (frame["number"] == original["number"].fillna(rows["number"].median())).all()
        assert (frame["category"] == original["category"].fillna(rows["category"].mode().iloc[0])).all()


@pytest.mark.parametrize(("n_rows", "n_folds"), [(40, 8), (2000, 5)])
def test_a_bag_trains_on_all_folds_but_one_and_stops_on_that_one(n_rows, n_folds):
    from sklearn.linear_model import LogisticRegression
    from table_models import Bagged

    held_out = []

    def fit_with(model, X, y, X_out, y_out):
        assert not set(X["row"]) & set(X_out["row"])
        assert len(X) + len(X_out) == n_rows
        assert set(y_out) == {0, 1}
        held_out.extend(X_out["row"])
        model.fit(X, y)

    X = pd.DataFrame({"row": np.arange(n_rows)})
    y = np.arange(n_rows) % 2
    bag = Bagged(LogisticRegression, fit_with, classify=True, seed=0).fit(X, y)
    assert sorted(held_out) == list(range(n_rows))
    assert len(bag.models_) == n_folds
    means = np.mean([model.predict_proba(X) for model in bag.models_], axis=0)
    np.testing.assert_array_equal(bag.predict_proba(X), means)
    np.testing.assert_array_equal(bag.predict(X), means.argmax(axis=1))


def test_a_stopped_run_continues(tmp_path):
    out = tmp_path / "results.csv"
    arguments = ("--models", "linear", "--tables", "diabetes", "--threads", 1, "--out", out, "--splits")
    script(*arguments, 0)
    first = out.read_text().splitlines()
    assert len(first) == 2
    script(*arguments, 0, 1)
    second = out.read_text().splitlines()
    assert second[:2] == first
    assert [line.split(",")[2] for line in second[1:]] == ["0", "1"]
    script(*arguments, 0, "--force")
    assert len(out.read_text().splitlines()) == 4


def test_a_file_of_other_columns_is_refused_and_kept(tmp_path):
    out = tmp_path / "other.csv"
    out.write_text("a,b\n1,2\n")
    done = script("--models", "linear", "--tables", "diabetes", "--threads", 1, "--out", out, check=False)
    assert done.returncode == 1
    assert "has others" in done.stderr
    assert out.read_text() == "a,b\n1,2\n"


def test_ranks_compare_means_on_common_splits(tmp_path):
    from table_goals import Results
    from table_models import BASELINES

    # In split 0 the log-losses rise by 0.1 from model to model, and accuracies are equal in pairs.
    models = ["best", *BASELINES]
    rows = [("german", name, 0, 1, 0.9 - place // 2 / 10, place / 10, 1) for place, name in enumerate(models)]
    # A split that one baseline does not have: there, the first model would be the last.
    rows += [("german", name, 1, 1, 0.1, 9 if name == "best" else 0.1, 1) for name in models if name != "mlp"]
    ranks, tables = Results.read([write(tmp_path / "a.csv", rows)]).ranks("best")
    assert tables == ["german"]
    assert [ranks[name][1] for name in models] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [ranks[name][0] for name in models] == [1.5, 1.5, 3.5, 3.5, 5.5, 5.5, 7.5, 7.5, 9]


def test_ratios_of_times_pair_splits_and_threads(tmp_path):
    from table_goals import Results

    own = [
        ("german", "best", 0, 2, 0.9, 0.1, 2),
        ("german", "best", 1, 2, 0.9, 0.1, 8),
        ("german", "best", 0, 1, 0.9, 0.1, 100),
        ("german", "catboost", 0, 2, 0.8, 0.2, 4),
        ("german", "catboost", 1, 2, 0.8, 0.2, 4),
    ]
    elsewhere = [("german", "catboost", 0, 1, 0.1, 0.7, 1000), ("german", "rf", 0, 1, 0.8, 0.4, 1)]
    files = write(tmp_path / "own.csv", own), write(tmp_path / "elsewhere.csv", elsewhere)
    results = Results.read(files[:1], files[1:])
    assert results.time_ratios("best", "catboost", 2) == {"german": pytest.approx(1)}  # of 1/2 and 2
    assert results.time_ratios("best", "catboost", 1) == {}
    assert results.loss_ratios("best", "catboost") == {"german": pytest.approx(0.5)}  # the own row counts
    assert results.loss_ratios("best", "rf") == {"german": pytest.approx(0.25)}


@pytest.mark.parametrize(("loss", "met"), [(0.199, True), (0.201, True), (0.205, False)])
def test_goals_are_met_or_missed(tmp_path, loss, met):
    from table_goals import Results, goals

    rows = [
        (
            table,
            name,
            0,
            2,
            0.9,
            loss if (table, name) == ("vehicle", "best") else 0.2 - (name == "best") / 10,
            1,
        )
        for table in ("german", "vehicle")
        for name in ("best", "catboost")
    ]
    found = {goal.text: goal for goal in goals(Results.read([write(tmp_path / "a.csv", rows)]))}
    highest = found["best: highest log-loss, RMSE / catboost's: at most 1.02"]
    assert (highest.met, highest.n_tables) == (met, 2)
    assert highest.figure == f"{loss / 0.2:.3f} (vehicle)"
    worse = found["best: tables with a log-loss, RMSE not below catboost's: at most 1"]
    assert worse.met
    assert worse.figure.startswith("0" if loss < 0.2 else "1; vehicle by")
    time = found["best: time of a fit / catboost's, 2 threads: at most 0.7"]
    assert not time.met
    assert found["best: time of a fit / catboost's, 1 thread: at most 0.9"].n_tables == 0
