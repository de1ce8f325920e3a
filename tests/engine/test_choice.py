"""Which engine carries out a training: what is asked for, what is installed, and what pays."""

import numpy as np
import pytest

from layernet import SGD, Callback, Dense, Dropout, MeanSquaredError, ReLU, Sequential
from layernet.engine import choice
from layernet.engine.choice import check_engine, plan_for
from layernet.engine.formulas import FormulaPlan
from layernet.training.data import TrainingData

X = np.random.default_rng(0).standard_normal((40, 5))
Y = X[:, :1].copy()

needs_numba = pytest.mark.skipif(not choice.has_numba(), reason="kernels need Numba, which is not installed")


@pytest.fixture(autouse=True)
def nothing_asked_for(monkeypatch):
    monkeypatch.delenv("LAYERNET_ENGINE", raising=False)


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr(choice, "has_numba", lambda: False)


def network_of(n_layers=3):
    return Sequential([Dense(4), *[ReLU() for _ in range(n_layers - 2)], Dense(1)]).build(5, random_state=0)


def chosen(engine, *, network=None, epochs=1, batch_size=8, inputs=X, weights=None, penalty=0.0):
    """The name of the engine that is chosen for a training."""
    network = network_of() if network is None else network
    data = TrainingData(network, MeanSquaredError(), inputs, Y[: len(inputs)], weights, None)
    plan = plan_for(engine, network, MeanSquaredError(), SGD(), data, batch_size, epochs, penalty)
    return {"FormulaPlan": "formulas", "CompiledPlan": "compiled"}[type(plan).__name__]


# --- what is asked for ---


@pytest.mark.parametrize("engine", ["Compiled", "numba", "", None, 1, True])
def test_an_unknown_engine_is_refused(engine):
    message = r"engine must be one of 'auto', 'compiled', 'formulas', got "
    with pytest.raises(ValueError, match=message):
        check_engine(engine)
    network = network_of()
    before = network.parameter_vector.copy()
    with pytest.raises(ValueError, match=message):
        network.fit(X, Y, loss="mean_squared_error", engine=engine)
    assert np.array_equal(network.parameter_vector, before)


def test_an_unknown_engine_builds_no_network():
    network = Sequential([Dense(4), Dense(1)])
    with pytest.raises(ValueError, match="engine must be one of"):
        network.fit(X, Y, loss="mean_squared_error", engine="fast")
    assert network.input_shape is None


def test_formulas_are_there_always():
    assert chosen("formulas", epochs=10**9) == "formulas"


@needs_numba
def test_kernels_are_taken_for_the_smallest_training_if_they_are_asked_for():
    assert chosen("compiled", inputs=X[:1]) == "compiled"


def test_kernels_without_numba_are_an_error_that_says_what_to_install(without_numba):
    network = Sequential([Dense(1)])
    with pytest.raises(ImportError, match=r"engine='compiled' needs Numba, .*pip install numba .*'fast'"):
        network.fit(X, Y, loss="mean_squared_error", engine="compiled")
    assert network.input_shape is None


# --- what pays ---


@pytest.mark.parametrize(
    ("n_layers", "epochs", "batch_size"),
    [(2, 10, 8), (9, 10, 8), (2, 35, 8), (2, 10, 3), (9, 35, 3), (2, 10, 999)],
)
def test_kernels_pay_after_so_many_layers_in_all_steps(n_layers, epochs, batch_size, monkeypatch):
    layers_in_all_steps = (n_layers + 1) * epochs * -(-40 // batch_size)  # the Sequential is a layer too
    training = {"network": network_of(n_layers), "epochs": epochs, "batch_size": batch_size}
    monkeypatch.setattr(choice, "MIN_LAYERS_OF_ALL_STEPS", layers_in_all_steps + 1)
    assert chosen("auto", **training) == "formulas"
    monkeypatch.setattr(choice, "MIN_LAYERS_OF_ALL_STEPS", layers_in_all_steps)
    assert chosen("auto", **training) == ("compiled" if choice.has_numba() else "formulas")


@pytest.mark.parametrize("units", [1, 700, 2000])
def test_many_parameters_count_as_layers(units, monkeypatch):
    network = Sequential([Dense(units), Dense(1)]).build(5, random_state=0)
    work = 10 * (3 + network.parameter_vector.size // choice.PARAMETERS_PER_LAYER)  # of 10 steps of 4 rows
    monkeypatch.setattr(choice, "MIN_LAYERS_OF_ALL_STEPS", work + 1)
    assert chosen("auto", network=network, batch_size=4) == "formulas"
    monkeypatch.setattr(choice, "MIN_LAYERS_OF_ALL_STEPS", work)
    expected = "compiled" if choice.has_numba() else "formulas"
    assert chosen("auto", network=network, batch_size=4) == expected


def test_without_numba_formulas_are_chosen_however_long_it_takes(without_numba):
    assert chosen("auto", epochs=10**9) == "formulas"


@needs_numba
def test_the_choice_depends_on_the_network_and_the_data_alone(monkeypatch):
    """Not on what else the machine does, on who looks on, or on what was chosen before."""
    monkeypatch.setattr(choice, "MIN_LAYERS_OF_ALL_STEPS", 1000)
    long, short = {"epochs": 1000}, {"epochs": 1}
    expected = {"long": "compiled", "short": "formulas"}
    for weights in (None, np.ones(40)):
        for penalty in (0.0, 0.1):
            options = {"weights": weights, "penalty": penalty}
            assert {
                "long": chosen("auto", **long, **options), "short": chosen("auto", **short, **options)
            } == expected  # fmt: skip
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert chosen("auto", **long) == "compiled"
    assert chosen("auto", **short) == "formulas"
    with pytest.MonkeyPatch.context() as busy:
        busy.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
        assert chosen("auto", **long) == "compiled"


@needs_numba
def test_fit_hands_over_what_it_is_asked(monkeypatch):
    """The plan that trains is the one that was asked for, with a callback that looks on or without."""
    seen = []

    def watched(engine, *rest):
        plan = plan_for(engine, *rest)
        seen.append(type(plan) is FormulaPlan)
        return plan

    monkeypatch.setattr("layernet.training.fitting.plan_for", watched)
    for callbacks in ((), [Callback()]):
        for engine in ("formulas", "compiled", "auto"):
            network = Sequential([Dense(3), Dropout(0.2), Dense(1)])
            network.fit(X, Y, loss="mean_squared_error", epochs=1, callbacks=callbacks, engine=engine)
    assert seen == [True, False, True] * 2


# --- the environment ---


@needs_numba
def test_the_environment_decides_where_nobody_else_does(monkeypatch):
    monkeypatch.setenv("LAYERNET_ENGINE", "compiled")
    assert [chosen(engine) for engine in ("auto", "formulas", "compiled")] == [
        "compiled",
        "formulas",
        "compiled",
    ]
    monkeypatch.setenv("LAYERNET_ENGINE", "formulas")
    assert [chosen(engine, epochs=10**6) for engine in ("auto", "compiled")] == ["formulas", "compiled"]
    monkeypatch.setenv("LAYERNET_ENGINE", "auto")
    assert chosen("auto") == "formulas"


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("LAYERNET_ENGINE", "")
    assert chosen("auto") == "formulas"


def test_the_environment_is_checked_like_an_argument(monkeypatch, without_numba):
    monkeypatch.setenv("LAYERNET_ENGINE", "fast")
    with pytest.raises(ValueError, match="must be one of 'auto', 'compiled', 'formulas', got 'fast'"):
        chosen("auto")
    monkeypatch.setenv("LAYERNET_ENGINE", "compiled")
    with pytest.raises(ImportError, match="needs Numba"):
        chosen("auto")


def test_a_numba_that_cannot_be_imported_is_a_warning_where_any_engine_will_do(monkeypatch):
    def broken(*what):
        raise ImportError("Numba needs NumPy 1.0 or less")

    monkeypatch.setattr(choice, "has_numba", lambda: True)
    monkeypatch.setattr(choice, "_compiled_plan", broken)
    with pytest.warns(UserWarning, match=r"uses formulas, .*: Numba needs NumPy") as caught:
        assert chosen("auto", epochs=10**6) == "formulas"
    assert caught[0].filename == __file__
    with pytest.raises(ImportError, match="Numba needs NumPy"):
        chosen("compiled")
