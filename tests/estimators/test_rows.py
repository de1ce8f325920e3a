"""Rows of data: orders as scikit-learn draws them, and numbers that equal rows share."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.utils import shuffle

from layernet.estimators.rows import ShuffledRows, row_numbers


def test_orders_are_scikit_learns():
    ours, theirs = ShuffledRows(np.random.RandomState(3)), np.arange(17)
    random = np.random.RandomState(3)
    for _ in range(4):
        theirs = shuffle(theirs, random_state=random)
        assert np.array_equal(ours(17), theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_rows(dtype):
    X = np.random.default_rng(0).integers(-1, 2, (9000, 30)).astype(dtype)
    X[8000] = X[5]
    numbers = row_numbers(X)
    assert numbers.dtype == np.uint32
    assert numbers[8000] == numbers[5]
    # Of 9,000 numbers of 32 bits about 0.01 pairs agree by chance.
    assert len(np.unique(numbers)) >= len(np.unique(X, axis=0)) - 1
    assert np.array_equal(row_numbers(scipy.sparse.csr_array(X)), numbers)
    order = np.random.default_rng(1).permutation(len(X))
    assert np.array_equal(row_numbers(X[order]), numbers[order])
    assert np.array_equal(row_numbers(np.where(X == 0, dtype(-0.0), X)), numbers)
