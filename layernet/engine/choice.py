"""Choice of the engine: compiled kernels or formulas, for a training and for inference."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

from layernet.engine.formulas import FormulaPlan
from layernet.engine.plan import DataSource, Plan
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.user_warnings import warn_user

ENGINES = ("auto", "compiled", "formulas")

# Loading kernels takes about a tenth of a second. Apart from its products, a step by formulas spends about 20
# microseconds on each layer, most of which kernels save. So the loading pays from this many layers on, summed
# over all steps.
MIN_LAYERS_OF_ALL_STEPS = 5_000
# For this many updated parameters, kernels save another 20 microseconds: Adam takes 5 to 10 nanoseconds per
# parameter by formulas, and 0.5 to 3 by kernels.
PARAMETERS_PER_LAYER = 4_000
# Loading kernels for inference takes 30 to 50 milliseconds. Formulas take twice that for this many
# multiplications in all rows, activations included. Kernels take 0.6 of the formulas' time where layers are
# narrow, and the same time where products dominate.
MIN_MULTIPLICATIONS_OF_INFERENCE = 2_000_000_000


def plan_for(
    engine: str,
    network: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: DataSource,
    batch_size: int,
    epochs: int,
    penalty: float = 0.0,
) -> Plan:
    """Return the plan of a training.

    Parameters
    ----------
    engine : {"auto", "compiled", "formulas"}
        `"formulas"`: the layers' own methods, in NumPy. `"compiled"`: kernels, where layers have any. `"auto"`:
        kernels if Numba is installed and the training is long enough. That depends on the network and the data
        alone, so the same training always has the same engine.
    network : Layer
        Built.
    loss : Loss
    optimizer : Optimizer
    data : DataSource
    batch_size : int
    epochs : int
        The largest number of epochs.
    penalty : float, default=0.0

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If there is no such engine.
    ImportError
        If compiled kernels are asked for and Numba is not installed.
    """
    parts = network, loss, optimizer, data, batch_size, penalty
    asked_for = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
    check_engine(asked_for)
    if asked_for == "compiled":
        return _compiled_plan(*parts)
    work_of_a_step = sum(1 for _ in network.walk()) + network.parameter_vector.size // PARAMETERS_PER_LAYER
    steps = epochs * -(-data.n_samples // batch_size)
    if asked_for == "auto" and steps * work_of_a_step >= MIN_LAYERS_OF_ALL_STEPS and has_numba():
        try:
            return _compiled_plan(*parts)
        except ImportError as error:  # for instance, a Numba that does not support this NumPy
            warn_user(f"Training uses formulas, because kernels need Numba: {error}")
    return FormulaPlan(*parts)


def inference_engine(engine: str, multiplications: int, trained_by: str = "formulas") -> str:
    """Return the engine that computes the outputs of some rows, as `InferencePlan` takes it.

    Parameters
    ----------
    engine : {"auto", "compiled", "formulas"}
        `"auto"`: kernels if Numba is installed and there are enough rows, or if kernels have trained the
        network and are loaded. The environment variable LAYERNET_ENGINE takes precedence.
    multiplications : int
        The multiplications of all rows.
    trained_by : {"compiled", "formulas"}, default="formulas"
        The engine that trained the network. Loaded kernels are not enough: the training of another network
        may have loaded them, and must not change the last digits of this network's outputs.

    Returns
    -------
    {"auto", "compiled", "formulas"}
        `"auto"`: kernels if Numba is installed.
    """
    asked_for = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
    is_worth_it = multiplications >= MIN_MULTIPLICATIONS_OF_INFERENCE or (
        trained_by == "compiled" and kernels_are_loaded()
    )
    return "formulas" if asked_for == "auto" and not is_worth_it else asked_for


def kernels_are_loaded() -> bool:
    """Return whether this process has loaded kernels. It has not where a trained network was unpickled."""
    from layernet.engine.compiled.machine_code import is_any_loaded

    return is_any_loaded()


def _compiled_plan(*parts: Any) -> Plan:
    from layernet.engine.compiled.plan import CompiledPlan

    return CompiledPlan(*parts)


def check_engine(engine: Any) -> None:
    """Raise an error if there is no such engine, or Numba is not installed and the engine needs it."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}.")
    if engine == "compiled" and not has_numba():
        raise ImportError(
            "engine='compiled' needs Numba, which is not installed: pip install numba (or layernet's extra "
            "'fast'). engine='auto' does without where it has to."
        )


@functools.cache
def has_numba() -> bool:
    """Return whether kernels can be compiled, without importing Numba."""
    return all(importlib.util.find_spec(name) is not None for name in ("numba", "scipy"))
