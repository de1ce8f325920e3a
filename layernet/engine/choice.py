"""The seam between training and the engine: a plan for a network, by compiled kernels or by formulas."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

from layernet.engine.formulas import FormulaPlan
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.optimizers.optimizer import Optimizer
from layernet.user_warnings import warn_user

ENGINES = ("auto", "compiled", "formulas")

# Loading kernels takes about a tenth of a second. Beside its products a step by formulas spends about 20
# microseconds on each layer, most of which kernels save: after so many layers in all steps the loading is made
# up for.
WORTH_LOADING = 5_000
# To move so many parameters kernels take 20 microseconds less: Adam by formulas takes 5 to 10 nanoseconds for
# each, and by kernels 0.5 to 3.
PARAMETERS_OF_A_LAYER = 4_000
# Loading kernels for inference takes 30 to 50 milliseconds. Formulas take twice that for so many
# multiplications in all rows, activations counted too. Kernels take 0.6 of the formulas' time where layers are
# narrow, and as long as formulas where products are all that counts.
WORTH_LOADING_FOR_INFERENCE = 2_000_000_000


def plan_for(
    engine: str,
    network: Layer,
    loss: Loss,
    optimizer: Optimizer,
    data: Any,
    batch_size: int,
    epochs: int,
    penalty: float = 0.0,
) -> Any:
    """What carries out the steps of a training.

    Parameters
    ----------
    engine : {"auto", "compiled", "formulas"}
        `"formulas"`: the layers' own, in NumPy. `"compiled"`: kernels, where layers have any. `"auto"`:
        compiled if Numba is installed and there is enough to do; that depends on the network and the data
        alone, so that the same training is always done the same way.
    network : Layer
        Built.
    loss : Loss
    optimizer : Optimizer
    data : TrainingData
    batch_size : int
    epochs : int
        How many are planned.
    penalty : float, default=0.0

    Returns
    -------
    FormulaPlan or CompiledPlan

    Raises
    ------
    ValueError
        If there is no such engine.
    ImportError
        If compiled kernels are asked for and Numba is not installed.
    """
    what = network, loss, optimizer, data, batch_size, penalty
    asked_for = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
    check_engine(asked_for)
    if asked_for == "compiled":
        return _compiled_plan(*what)
    work_of_a_step = sum(1 for _ in network.walk()) + network.parameter_vector.size // PARAMETERS_OF_A_LAYER
    steps = epochs * -(-data.n_samples // batch_size)
    if asked_for == "auto" and steps * work_of_a_step >= WORTH_LOADING and has_numba():
        try:
            return _compiled_plan(*what)
        except ImportError as error:  # a Numba that does not go with this NumPy, for instance
            warn_user(f"Training goes on by formulas, for kernels need Numba: {error}")
    return FormulaPlan(*what)


def inference_engine(engine: str, multiplications: int, trained_by: str = "formulas") -> str:
    """Which engine computes the outputs of some rows, as `InferencePlan` takes it.

    Parameters
    ----------
    engine : {"auto", "compiled", "formulas"}
        `"auto"`: compiled if Numba is installed and there is enough to do, or if kernels have trained the
        network and are loaded; unless the environment's LAYERNET_ENGINE says otherwise.
    multiplications : int
        How many all rows take.
    trained_by : {"compiled", "formulas"}, default="formulas"
        What trained the network. That kernels are loaded is not enough: another network's training, which may
        have loaded them, is not to change the last digits of this one's outputs.

    Returns
    -------
    {"auto", "compiled", "formulas"}
        `"auto"`: kernels if they can be had.
    """
    asked_for = (os.environ.get("LAYERNET_ENGINE") or "auto") if engine == "auto" else engine
    is_worth_it = multiplications >= WORTH_LOADING_FOR_INFERENCE or (
        trained_by == "compiled" and kernels_are_loaded()
    )
    return "formulas" if asked_for == "auto" and not is_worth_it else asked_for


def kernels_are_loaded() -> bool:
    """Whether this process has loaded kernels already: so not after a trained network has been unpickled."""
    from layernet.engine.compiled.machine_code import is_any_loaded

    return is_any_loaded()


def _compiled_plan(*what):
    from layernet.engine.compiled.plan import CompiledPlan

    return CompiledPlan(*what)


def check_engine(engine: Any) -> None:
    """Raise an error if there is no such engine, or it lacks what it needs."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}.")
    if engine == "compiled" and not has_numba():
        raise ImportError(
            "engine='compiled' needs Numba, which is not installed: pip install numba (or layernet's extra "
            "'fast'). engine='auto' does without where it has to."
        )


@functools.cache
def has_numba() -> bool:
    """Whether kernels can be compiled: asked without importing anything."""
    return all(importlib.util.find_spec(name) is not None for name in ("numba", "scipy"))
