"""What scikit-learn's users and their scripts look for: its errors, its lines in a log, and its own tests."""

import io
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from layernet import (
    SGD,
    Dense,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    ProgressBar,
    Sequential,
)
from layernet.training import DivergenceError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

SCRIPT = Path(__file__).parent.parent / "scikit_learn_tests.py"
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = (X[:, 0] > 0).astype(int)


def four(sgd=None, **parameters):
    """The four estimators; with `sgd`, trained by plain descent at this learning rate."""
    perceptron = {} if sgd is None else {"solver": "sgd", "learning_rate_init": sgd, "momentum": 0}
    network = {} if sgd is None else {"optimizer": SGD(sgd)}
    parameters = {"max_iter": 3, "random_state": 0, **parameters}
    return [
        MLPClassifier((2,), **perceptron, **parameters),
        MLPRegressor(hidden_layer_sizes=(2,), **perceptron, **parameters),
        NetworkClassifier(Sequential([Dense(2), Dense(1)]), **network, **parameters),
        NetworkRegressor(Sequential([Dense(2), Dense(1)]), **network, **parameters),
    ]


FOUR = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]


def test_scikit_learns_own_tests():
    """Those that take less than 0.4 seconds; the script without --quick runs all of them."""
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("index", range(4), ids=FOUR)
@pytest.mark.parametrize(("rate", "scale"), [(1e30, 1e3), (1e-3, 1e300)])
def test_a_fit_that_diverged_raises_a_value_error(index, rate, scale):
    estimator = four(sgd=rate)[index]
    with pytest.raises(ValueError, match="Training diverged") as caught:
        estimator.fit(X * scale, Y)
    assert isinstance(caught.value, DivergenceError)
    assert isinstance(caught.value, ArithmeticError)
    assert caught.value.epoch >= 1
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), copied.epoch) == (str(caught.value), caught.value.epoch)


def test_lbfgs_and_a_network_raise_a_value_error_too():
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(solver="lbfgs", random_state=0).fit(X * 1e300, Y)
    with pytest.raises(ValueError, match="Training diverged"):
        Dense(1).build(3).fit(X * 1e300, Y, loss="mean_squared_error", epochs=1)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("verbose", [True, 10])
@pytest.mark.parametrize("index", range(4), ids=FOUR)
def test_verbose_prints_a_line_for_each_epoch_where_there_is_no_terminal(index, verbose, capsys):
    estimator = four(verbose=verbose)[index].fit(X, Y)
    out, err = capsys.readouterr()
    losses = [f"Iteration {epoch}, loss = {loss:.8f}" for epoch, loss in enumerate(estimator.loss_curve_, 1)]
    assert out.splitlines() == losses
    assert len(losses) == 3
    assert err == ""
    estimator.partial_fit(X, Y)
    assert re.fullmatch(r"Iteration 1, loss = \d\.\d{8}\n", capsys.readouterr().out)
    estimator.set_params(verbose=False).fit(X, Y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("solver", "tol"), [("adam", 1.0), ("lbfgs", 1e-4)])
def test_verbose_prints_what_validation_gave_and_why_training_stopped(solver, tol, capsys):
    estimator = MLPClassifier(
        (2,), solver=solver, early_stopping=True, verbose=True, tol=tol, n_iter_no_change=1
    )
    estimator.fit(X, Y, X_val=X, y_val=Y)
    lines = capsys.readouterr().out.splitlines()
    losses = [line for line in lines if line.startswith("Validation loss: ")]
    assert len(losses) == estimator.n_iter_ > 0
    assert losses == [f"Validation loss: {loss:.8f}" for loss in estimator.validation_loss_curve_]
    if solver == "adam":
        scores = [line for line in lines if line.startswith("Validation score: ")]
        assert scores == [f"Validation score: {score:f}" for score in estimator.validation_scores_]
        assert lines[-1].startswith("Validation score did not improve more than tol=1.000000")


def test_each_line_of_an_epoch_is_flushed(monkeypatch):
    class Log(io.StringIO):
        n_lines_flushed = 0

        def flush(self):
            self.n_lines_flushed = self.getvalue().count("\n")

    monkeypatch.setattr(sys, "stdout", Log())
    MLPClassifier((2,), verbose=True, tol=1.0, n_iter_no_change=1, random_state=0).fit(X, Y)
    lines = sys.stdout.getvalue().splitlines()
    assert lines[-1].startswith("Training loss did not improve")
    assert sys.stdout.n_lines_flushed == len(lines)


@pytest.mark.parametrize(("out", "err"), [(True, True), (True, False), (False, True)])
def test_verbose_shows_a_bar_in_a_terminal(out, err, monkeypatch):
    streams = {name: Terminal() if seen else io.StringIO() for name, seen in (("stdout", out), ("stderr", err))}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    MLPClassifier((2,), max_iter=3, verbose=True, random_state=0).fit(X, Y)
    assert ("Iteration 3, loss" in streams["stdout"].getvalue()) is not (out and err)
    assert ("3/3" in streams["stderr"].getvalue()) is (out and err)


def test_verbose_shows_a_bar_in_a_notebook(monkeypatch, capsys):
    class Kernel:
        """What `IPython.get_ipython()` returns in Jupyter, as far as it is looked at."""

        kernel = None
        config = ()

    class IPython:
        version_info = (9, 0)

        @staticmethod
        def get_ipython():
            return Kernel()

    shown = []
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    monkeypatch.setattr(ProgressBar, "on_train_begin", lambda self, run: shown.append(run.epochs))
    monkeypatch.setattr(ProgressBar, "on_batch_end", lambda self, run: None)
    monkeypatch.setattr(ProgressBar, "on_epoch_end", lambda self, run: None)
    MLPClassifier((2,), max_iter=3, verbose=True, random_state=0).fit(X, Y)
    assert shown == [3]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7], [False, True]])
@pytest.mark.parametrize("kind", [MLPClassifier, lambda **kw: NetworkClassifier(Dense(1), **kw)])
def test_too_few_members_of_a_class(kind, labels):
    y = np.array(labels)[[0, 0, 0, 0, 1, 0, 0, 0]]
    message = (
        rf"7 of class {labels[0]} and 1 of class {labels[1]}, of which validation_fraction=0\.25 is held out.*"
        r"The least populated classes in y have only 1 member.*Classes with too few members are: \['True'\]"
    )
    with pytest.raises(ValueError, match=message):
        kind(early_stopping=True, validation_fraction=0.25).fit(X[:8], y)
    with pytest.raises(
        ValueError, match=r"4 of class .*scikit-learn says: The test_size = 1 should be greater"
    ):
        kind(early_stopping=True).fit(X[:8], np.array(labels)[[0, 1, 0, 1, 0, 1, 0, 1]])
