"""Sparse rows by kernels: the training that formulas make of them, however many workers share a batch."""

import numpy as np
import pytest

from layernet import SGD, Adam, AdamW, BatchNorm, Concat, Dense, Dropout, Sequential, Tanh
from layernet.engine.choice import has_numba
from layernet.engine.compiled.sparse_rows import SparseRows
from layernet.engine.threads import MANY_WEIGHTS, has_small_products, n_workers_for

sparse = pytest.importorskip("scipy.sparse")
pytestmark = pytest.mark.skipif(not has_numba(), reason="kernels need Numba, which is not installed")

RANDOM = np.random.default_rng(0)
FEW = np.where(RANDOM.random((70, 23)) < 0.15, RANDOM.standard_normal((70, 23)), 0)
FEW[7] = FEW[:, 3] = 0
CLASSES = RANDOM.integers(0, 3, 70)
NETWORKS = {
    "one layer": [Dense(3)],
    "without bias": [Dense(5, use_bias=False), Tanh(), Dense(3)],
    "deep": [Dense(9), Tanh(), Dropout(0.2), Dense(3)],
    "normalized": [Dense(9), BatchNorm(), Tanh(), Dense(3)],
    "side by side": [Concat([Dense(4), Sequential([Dense(3), Tanh()])]), Dense(3)],
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_of_workers(name, dtype):
    from comparing import assert_same_training

    network = Sequential(NETWORKS[name]).build(23, random_state=0, dtype=dtype)
    assert network.accepts_sparse
    weights = RANDOM.uniform(0, 2, 70)
    for optimizer in (
        SGD(0.05, momentum=0.9),
        AdamW(0.01, epsilon=1e-3),
        Adam(0.01, epsilon=1e-3, clip_norm=0.1),
    ):
        assert_same_training(
            network, sparse.csr_array(FEW), CLASSES, loss="cross_entropy", optimizer=optimizer, epochs=4,
            sample_weight=weights, n_workers=(1, 2, 3), tolerance=1e-10 if dtype == np.float64 else 1e-4,
        )  # fmt: skip


@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_entries_are_read_where_they_lie(indices):
    rows = sparse.csr_array(FEW)
    rows.indices, rows.indptr = rows.indices.astype(indices), rows.indptr.astype(indices)
    found = SparseRows.from_csr(rows, np.zeros((1, 70), np.int64))
    assert np.shares_memory(found.values, rows.data)
    assert np.shares_memory(found.columns, rows.indices) == (indices == np.int32)
    assert [array.dtype for array in found.operands] == [rows.dtype, np.int32, np.int64, np.int64]


def test_how_many_workers_are_worth_it():
    # The product with dense rows is large, that with sparse rows is not; an update of many weights is.
    small = Sequential([Dense(100), Dense(3)]).build(480)
    assert not has_small_products(small, 200)
    assert has_small_products(small, 200, is_sparse=True)
    assert n_workers_for(small, 200, is_sparse=True) == 1
    large = Sequential([Dense(20), Dense(3)]).build(MANY_WEIGHTS // 20)
    assert n_workers_for(large, 200, is_sparse=True) == n_workers_for(large, 200)
