"""What tests of the estimators for tables share."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from layernet.estimators.tables import base
from layernet.estimators.tables.recipe import choose_recipe


def with_few_epochs(*arguments):
    return replace(choose_recipe(*arguments), n_epochs=5)


@pytest.fixture
def few_epochs(monkeypatch):
    """Nearly all time of a fit is epochs; most tests ask for no good model."""
    monkeypatch.setattr(base, "choose_recipe", with_few_epochs)


@pytest.fixture(scope="session")
def table():
    """A frame with numbers, categories, a date, a flag, and gaps; classes; numbers."""
    random = np.random.default_rng(0)
    n_rows = 90
    X = pd.DataFrame(
        {
            "size": random.normal(size=n_rows),
            "age": random.integers(1, 90, n_rows),
            "city": random.choice(["Rome", "Oslo", "Bonn"], n_rows),
            "sold": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 700, n_rows), unit="D"),
            "new": random.random(n_rows) < 0.5,
        }
    )
    numbers = 2 * (X["city"] == "Rome") + X["size"] + X["age"] / 45
    X.loc[::7, "size"] = np.nan
    X.loc[::11, "city"] = None
    classes = np.array(["low", "middle", "high"])[np.digitize(numbers, [1, 2])]
    return X, classes, numbers.to_numpy()
