"""L-BFGS for many parameters: the steps of SciPy's L-BFGS-B, to rounding."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from layernet import Callback, MLPClassifier, MLPRegressor
from layernet.training.line_search import Point, search
from layernet.training.quasi_newton import minimize_many

RANDOM = np.random.default_rng(0)
A = RANDOM.standard_normal((50, 30))


def quadratic(x):
    return 0.5 * x @ (A.T @ (A @ x)) - x.sum(), A.T @ (A @ x) - 1


def logistic(x):
    z = A @ x
    return np.logaddexp(0, -z).sum() + 0.01 * x @ x, -A.T @ (1 / (1 + np.exp(z))) + 0.02 * x


def rosenbrock(x):
    return scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)


def waves(x):
    return np.sin(3 * x).sum() + 0.1 * x @ x, 3 * np.cos(3 * x) + 0.2 * x


class StopsInEpoch2(Callback):
    def on_epoch_end(self, run):
        if run.epoch == 2:
            run.stop("Two are enough.")


def scipys_reason(result, max_iterations):
    limit = "epochs_done" if result.nit >= max_iterations else "evaluations_done"
    return ["converged", limit, "no_descent"][result.status]


def both(function, start, max_iterations=100, max_evaluations=15000, tol=1e-8):
    """The iterates, the number of evaluations, the reason for the end and the result by SciPy and by us."""
    theirs, ours, calls = [], [], []
    options = {"maxiter": max_iterations, "maxfun": max_evaluations, "gtol": tol}
    result = scipy.optimize.minimize(
        function,
        start,
        method="L-BFGS-B",
        jac=True,
        options=options,
        callback=lambda x: theirs.append(x.copy()),
    )
    plan = SimpleNamespace(parameters=start.copy())

    def loss_and_gradient():
        calls.append(0)
        return function(plan.parameters)

    def end_iteration(loss):
        assert loss == function(plan.parameters)[0]
        ours.append(plan.parameters.copy())

    reason, _ = minimize_many(plan, loss_and_gradient, end_iteration, max_iterations, max_evaluations, tol)
    theirs = theirs, result.nfev, scipys_reason(result, max_iterations), result.x
    return theirs, (ours, len(calls), reason, plan.parameters)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("function", [quadratic, logistic, waves])
def test_every_iterate_is_scipys(function, seed):
    theirs, ours = both(function, 3 * np.random.default_rng(seed).standard_normal(30))
    assert ours[1:3] == theirs[1:3]
    assert len(ours[0]) == len(theirs[0]) > 5
    # Rounding grows from iterate to iterate, and differs between processors: 1.3e-8 was seen at the end.
    for mine, other in zip(ours[0][:6], theirs[0][:6], strict=True):
        assert_allclose(mine, other, rtol=1e-11, atol=1e-11)
    for mine, other in zip(ours[0][6:], theirs[0][6:], strict=True):
        assert_allclose(mine, other, rtol=1e-7, atol=1e-7)


def test_the_blocks_in_which_the_memory_is_read_change_nothing(monkeypatch):
    start = 3 * np.random.default_rng(0).standard_normal(30)
    _, whole = both(waves, start)
    monkeypatch.setattr("layernet.training.quasi_newton.BLOCK", 7)
    _, in_blocks = both(waves, start)
    assert in_blocks[1:3] == whole[1:3]
    assert_allclose(in_blocks[0][:6], whole[0][:6], rtol=1e-11, atol=1e-11)


def test_a_flat_function_is_minimized_by_the_same_iterates():
    """The first iteration lowers the loss by 3e-9, a little more than what counts as converged."""
    theirs, ours = both(lambda x: (1e-9 * (x - 2) @ (x - 2), 2e-9 * (x - 2)), np.zeros(1), tol=1e-15)
    assert ours[1:3] == theirs[1:3]
    assert len(ours[0]) == len(theirs[0]) > 1
    assert_allclose(ours[0], theirs[0], rtol=1e-9)


def test_a_gradient_of_the_tolerance_has_converged():
    ours = both(lambda x: (0.5 * x @ x, x.copy()), np.full(1, 4.0), tol=0.0)[1]
    assert ours[1:] == (3, "converged", 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_curved_valley(seed):
    # Rounding grows on the way through it: the first iterates are the same, and so is the minimum.
    theirs, ours = both(rosenbrock, np.random.default_rng(seed).standard_normal(8), 1000)
    for mine, other in zip(ours[0][:12], theirs[0][:12], strict=True):
        assert_allclose(mine, other, rtol=1e-7, atol=1e-7)
    assert ours[2] == theirs[2] == "converged"
    assert_allclose(function_value(ours), function_value(theirs), atol=1e-8)


def function_value(outcome):
    return rosenbrock(outcome[3])[0]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [((4, 100), "epochs_done"), ((100, 5), "evaluations_done")],
    ids=["iterations", "evaluations"],
)
def test_limits(limits, reason):
    theirs, ours = both(logistic, np.ones(30), *limits)
    assert ours[1:3] == theirs[1:3]
    assert ours[2] == reason
    assert_allclose(ours[3], theirs[3], rtol=1e-10)


def test_a_start_at_the_minimum_and_a_function_that_no_step_lowers():
    assert both(quadratic, np.linalg.solve(A.T @ A, np.ones(30)))[1][1:3] == (1, "converged")
    plan = SimpleNamespace(parameters=np.ones(3))
    outcome = minimize_many(plan, lambda: (0.0, np.ones(3)), lambda loss: False, 10, 1000, 1e-8)
    assert outcome == ("no_descent", "ABNORMAL: no step lowers the loss")
    assert plan.parameters.tolist() == [1, 1, 1]


def test_a_callback_that_stops_and_changes_parameters():
    plan = SimpleNamespace(parameters=np.full(30, 0.1))
    kept = []

    def end_iteration(loss):
        kept.append(plan.parameters.copy())
        plan.parameters[:] = 7
        return len(kept) == 3

    outcome = minimize_many(plan, lambda: quadratic(plan.parameters), end_iteration, 10, 100, 1e-8)
    assert outcome == ("callback", "")
    assert len(kept) == 3
    assert np.array_equal(plan.parameters, kept[-1])


def test_the_conditions_of_a_step():
    for slope in (-1.0, -1e-3, -1e3):
        found = search(
            lambda s, slope=slope: (slope * s + s**4, slope + 4 * s**3), Point(0.0, 0.0, slope), 1e-3
        )
        assert found.value <= 1e-3 * found.step * slope
        assert abs(found.slope) <= 0.9 * abs(slope)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_parameters", [0, 10**9], ids=["own", "scipy"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_iter": 3}, "epochs_done"),
        ({"max_fun": 3}, "evaluations_done"),
        ({"tol": 1e3}, "converged"),
        ({"callbacks": [StopsInEpoch2()]}, "callback"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_the_history_says_why_either_way_ended(options, reason, n_parameters, monkeypatch):
    monkeypatch.setattr("layernet.training.lbfgs.MANY_PARAMETERS", n_parameters)
    X, y = RANDOM.standard_normal((30, 5)), RANDOM.standard_normal(30)
    regressor = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", random_state=0, **options).fit(X, y)
    assert regressor.history_.stop_reason == reason
    assert regressor.history_.stop_message


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_parameters", [0, 10**9], ids=["own", "scipy"])
def test_hooks_are_called_in_order(n_parameters, monkeypatch):
    monkeypatch.setattr("layernet.training.lbfgs.MANY_PARAMETERS", n_parameters)

    class Log(Callback):
        shared = ("calls",)

        def __init__(self, name, calls):
            self.name, self.calls = name, calls

        def on_train_begin(self, run):
            self.calls.append((self.name, "begin", run.epoch, run.network.training))

        def on_epoch_begin(self, run):
            self.calls.append((self.name, "epoch begin", run.epoch, run.network.training))

        def on_epoch_end(self, run):
            self.calls.append((self.name, "epoch end", run.history["epoch"][-1], run.network.training))

        def on_train_end(self, run):
            self.calls.append((self.name, "end", run.epoch, run.network.training))

    calls = []
    X, y = RANDOM.standard_normal((30, 5)), RANDOM.standard_normal(30)
    regressor = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=2, random_state=0)
    regressor.set_params(callbacks=[Log("first", calls), Log("second", calls)]).fit(X, y)
    both = ("first", "second")
    epochs = [
        (name, hook, epoch, False) for epoch in (1, 2) for hook in ("epoch begin", "epoch end") for name in both
    ]
    begin = [(name, "begin", 0, False) for name in both]
    assert calls == [*begin, *epochs, ("first", "end", 2, False), ("second", "end", 2, False)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("alpha", [1e-4, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_estimators_give_the_same_model_either_way(dtype, alpha, monkeypatch):
    X, y = RANDOM.standard_normal((90, 5)), RANDOM.standard_normal(90)
    for kind, targets in ((MLPRegressor, y), (MLPClassifier, y > 0)):
        estimator = kind(
            hidden_layer_sizes=(8,), solver="lbfgs", max_iter=25, alpha=alpha, random_state=0, dtype=dtype
        )
        by_scipy = estimator.fit(X, targets)
        expected, loss = by_scipy.network_.parameter_vector.copy(), by_scipy.loss_curve_
        with monkeypatch.context() as patch:
            patch.setattr("layernet.training.lbfgs.MANY_PARAMETERS", 0)
            ours = estimator.fit(X, targets)
        assert_allclose(ours.network_.parameter_vector, expected, rtol=1e-5, atol=1e-6)
        assert_allclose(ours.loss_curve_, loss, rtol=1e-7)
        assert ours.n_iter_ == 25
