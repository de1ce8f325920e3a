"""Small matrix products run on one thread, large ones on as many as before."""

import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from layernet import Callback, MLPRegressor
from layernet.engine.threads import blas_on_one_thread

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


class Threads(Callback):
    def on_epoch_end(self, run):
        self.seen = blas_threads()


@pytest.mark.parametrize(("units", "is_small"), [(10, True), (10_000, False)])
def test_threads_while_training(units, is_small):
    before, watch = blas_threads(), Threads()
    X = np.random.default_rng(0).standard_normal((200, 5))
    # By formulas: kernels give the threads to workers, each of which has BLAS on one.
    options = {"max_iter": 1, "callbacks": [watch], "random_state": 0, "engine": "formulas"}
    MLPRegressor(hidden_layer_sizes=(units,), **options).fit(X, X[:, 0])
    assert watch.seen == ({1} if is_small else before)
    assert blas_threads() == before


@pytest.mark.skipif(blas_threads() == {1}, reason="BLAS has one thread here, so no context limits it")
def test_every_thread_can_limit_blas_after_another_did():
    # From threadpoolctl 3.7 on, only the first thread that limits OpenBLAS may do so again.
    before, found = blas_threads(), []

    def limit():
        with blas_on_one_thread():
            found.append(blas_threads())

    limit()
    for _ in range(2):
        thread = threading.Thread(target=limit)
        thread.start()
        thread.join()
    limit()
    assert found == [{1}] * 4
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.skipif(blas_threads() == {1}, reason="BLAS has one thread here, so no context limits it")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_forgets_the_limits_of_other_threads():
    before, is_limited, may_end = blas_threads(), threading.Event(), threading.Event()

    def limit():
        with blas_on_one_thread():
            is_limited.set()
            may_end.wait()

    thread = threading.Thread(target=limit)
    thread.start()
    is_limited.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if blas_threads() == before else 1)
    _, status = os.waitpid(child, 0)
    may_end.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert blas_threads() == before
