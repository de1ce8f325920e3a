"""What all tests share."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_digits

# The same examples in every run: a failure can be made again, and a slow machine is no failure.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def digits():
    """Handwritten digits scaled to [0, 1]: (X, y)."""
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


@pytest.fixture
def random():
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items):
    """Refuse names of tests with an address: two processes that share the tests must give them equal names."""
    names = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if names:
        raise pytest.UsageError(f"Give these tests names without addresses, by ids=: {names}")
