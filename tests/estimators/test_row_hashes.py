"""Rows of data: orders as scikit-learn draws them, and numbers that equal rows share."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.utils import shuffle

from layernet import (
    Dense,
    Dropout,
    GaussianNoise,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    Sequential,
    Tanh,
)
from layernet.estimators.row_hashes import hash_rows
from layernet.estimators.row_order import RowShuffler

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


def test_orders_are_scikit_learns():
    ours, theirs = RowShuffler(np.random.RandomState(3)), np.arange(17)
    random = np.random.RandomState(3)
    for _ in range(4):
        theirs = shuffle(theirs, random_state=random)
        assert np.array_equal(ours(17), theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_rows(dtype):
    X = np.random.default_rng(0).integers(-1, 2, (9000, 30)).astype(dtype)
    X[8000] = X[5]
    numbers = hash_rows(X)
    assert numbers.dtype == np.uint32
    assert numbers[8000] == numbers[5]
    # Of 9,000 numbers of 32 bits about 0.01 pairs agree by chance.
    assert len(np.unique(numbers)) >= len(np.unique(X, axis=0)) - 1
    assert np.array_equal(hash_rows(scipy.sparse.csr_array(X)), numbers)
    order = np.random.default_rng(1).permutation(len(X))
    assert np.array_equal(hash_rows(X[order]), numbers[order])
    assert np.array_equal(hash_rows(np.where(X == 0, dtype(-0.0), X)), numbers)


def raw(form, rows, shape):
    """A sparse matrix in CSR or CSC format with just these entries, a list of (index, value) for each row."""
    entries = [entry for row in rows for entry in row]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    values = np.array([value for _, value in entries])
    indices = np.array([index for index, _ in entries], np.int32)
    return getattr(scipy.sparse, form)((values, indices, starts), shape=shape)


def other_forms(X):
    """The same rows in sparse forms that are not canonical, of which SciPy makes no other by itself."""
    rows = [[(j, value) for j, value in enumerate(row) if value] for row in X]
    columns = [[(i, value) for i, value in enumerate(column) if value] for column in X.T]

    def doubled(lists):
        return [[(j, part) for j, value in row for part in (value / 4, value * 3 / 4)] for row in lists]

    coo = scipy.sparse.coo_array(X)
    return {
        "duplicates": raw("csr_matrix", doubled(rows), X.shape),
        "duplicates apart": raw("csr_array", [row + [(j, 0.0 * v) for j, v in row] for row in rows], X.shape),
        "duplicates that cancel": raw(
            "csr_array", [row + [(j, s) for s in (1.0, -1.0) for j in range(3) if not X[i, j]]
                          for i, row in enumerate(rows)], X.shape,
        ),
        "unsorted": raw("csr_matrix", [row[::-1] for row in rows], X.shape),
        "zeros": raw("csr_matrix", [list(enumerate(row)) for row in X], X.shape),
        "negative zeros": raw("csr_array", [[*row, (X.shape[1] - 1, -0.0)] for row in rows], X.shape),
        "CSC with duplicates": raw("csc_matrix", doubled(columns), X.shape),
        "CSC unsorted": raw("csc_array", [column[::-1] for column in columns], X.shape),
        "COO": coo,
        "COO with duplicates": scipy.sparse.coo_matrix(
            (np.tile(coo.data, 2) / 2, (np.tile(coo.row, 2), np.tile(coo.col, 2))), shape=X.shape
        ),
        "blocks": scipy.sparse.csr_array(X).tobsr((4, 2)),
        "lists": scipy.sparse.lil_array(X),
        "a dictionary": scipy.sparse.dok_array(X),
    }  # fmt: skip


SPARSE_RANDOM = np.random.default_rng(2)
SPARSE = SPARSE_RANDOM.integers(-4, 5, (60, 8)) * (SPARSE_RANDOM.random((60, 8)) < 0.2).astype(float)
FORMS = other_forms(SPARSE)


def with_noise(kind, **parameters):
    """An estimator whose noise in training depends on the rows' numbers, and its y."""
    parameters = {"max_iter": 3, "batch_size": 20, "random_state": 0, **parameters}
    numbers = SPARSE.sum(axis=1)
    network = Sequential([GaussianNoise(0.3), Dense(4), Tanh(), Dropout(0.3), Dense(1)])
    return {
        "MLPClassifier": (MLPClassifier((4,), dropout=0.3, **parameters), numbers > 0),
        "MLPRegressor": (MLPRegressor(hidden_layer_sizes=(4,), dropout=0.3, **parameters), numbers),
        "NetworkClassifier": (NetworkClassifier(network, **parameters), numbers > 0),
        "NetworkRegressor": (NetworkRegressor(network, **parameters), numbers),
    }[kind]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"])
def test_equal_rows_train_alike_in_every_sparse_form(kind, form, early_stopping):
    estimator, y = with_noise(kind, early_stopping=early_stopping)
    X, before = FORMS[form].copy(), FORMS[form].copy()
    assert np.array_equal(X.toarray(), SPARSE)
    dense = clone(estimator).fit(SPARSE, y)
    canonical = clone(estimator).fit(scipy.sparse.csr_array(SPARSE), y)
    estimator.fit(X, y)
    # bit by bit, from the same rows in canonical form; but for rounding, from an array
    assert np.array_equal(estimator.network_.parameter_vector, canonical.network_.parameter_vector)
    np.testing.assert_allclose(
        estimator.network_.parameter_vector, dense.network_.parameter_vector, rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(estimator.predict(X), dense.predict(SPARSE), rtol=0, atol=1e-12)
    if not early_stopping:
        for model, rows in ((estimator, X), (canonical, SPARSE)):
            model.partial_fit(rows, y)
        np.testing.assert_allclose(
            estimator.network_.parameter_vector, canonical.network_.parameter_vector, rtol=0, atol=1e-13
        )
    # the user's own matrix is not put in order
    assert X.nnz == before.nnz
    for name in ("data", "indices", "indptr"):
        if isinstance(getattr(X, name, None), np.ndarray) and X.format != "lil":
            assert np.array_equal(getattr(X, name), getattr(before, name))


@pytest.mark.parametrize("form", FORMS)
def test_equal_rows_train_a_network_alike_in_every_sparse_form(form):
    def trained(X):
        network = Sequential([Dense(4), Tanh(), Dropout(0.3), Dense(1)])
        network.fit(X, SPARSE.sum(axis=1), loss="mean_squared_error", epochs=2, batch_size=20, random_state=0)
        return network.parameter_vector

    assert np.array_equal(trained(FORMS[form]), trained(scipy.sparse.csr_array(SPARSE)))
