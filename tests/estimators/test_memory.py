"""Memory: prediction needs a block, whatever the number of rows, and a pickle little more than the weights."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from layernet import MLPClassifier, MLPRegressor


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predict_needs_a_block():
    X = np.random.default_rng(0).standard_normal((60_000, 8))
    sparse = scipy.sparse.random_array((60_000, 300), density=0.01, format="csr", rng=0)
    classifier = MLPClassifier((200,), max_iter=1).fit(X[:50], np.arange(50) % 20)
    regressor = MLPRegressor(hidden_layer_sizes=(50,), max_iter=1).fit(sparse[:50], np.arange(50.0))
    # 1,024 rows of 200 hidden values of 8 bytes are 1.6 MB; of all rows they are 96 MB, and the outputs 10 MB.
    assert peak(lambda: classifier.predict(X)) < 8e6
    # All rows, made dense, are 144 MB; a block of them 2.5 MB, and validation copies the sparse data.
    assert peak(lambda: regressor.predict(sparse)) < 12e6


def test_a_pickle_without_the_optimizer():
    X, y = load_digits(return_X_y=True)
    classifier = MLPClassifier(random_state=0, keep_optimizer=False).fit(X, y)
    n_bytes = classifier.network_.parameter_vector.nbytes
    assert len(pickle.dumps(classifier)) < 1.2 * n_bytes
    kept = MLPClassifier(random_state=0, max_iter=classifier.n_iter_, n_iter_no_change=200)
    with pytest.warns(UserWarning, match="converged"):
        assert len(pickle.dumps(kept.fit(X, y))) > 3 * n_bytes
