"""Neural nets you can read, at a speed you would keep.

A layer is an object with two methods, `forward_pass(inputs)` and `backward_pass(inputs, grad_output)`. A
`Sequential` chains layers, a loss with its targets is a layer too, and an optimizer changes their parameters.

Names are imported when they are first used: `import layernet` imports nothing else.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as in typing, whose import would cost more than this module
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Modules that import nothing but NumPy. All names in their `__all__` are names of the package.
_CORE = ("layer", "layers", "containers", "losses", "optimizers", "schedules")
# Names of the package from modules that are imported only for these names.
_OTHERS = {
    "training": [
        "Callback",
        "DivergenceError",
        "EarlyStopping",
        "History",
        "LearningRateScheduler",
        "ProgressBar",
        "evaluate",
        "find_learning_rate",
    ],
    "checking": ["check_gradients", "check_kernel", "check_layer"],
    "graph": ["computation_graph", "lecture_graph"],
    "monitoring": ["BoundaryRecorder", "Monitor", "diagnose", "draw_boundary"],
    "estimators": [
        "FoldEnsembleClassifier",
        "FoldEnsembleRegressor",
        "MLPClassifier",
        "MLPRegressor",
        "NetworkClassifier",
        "NetworkRegressor",
        "RobustScale",
        "TableEncoder",
        "TabularClassifier",
        "TabularRegressor",
        "fit_temperature",
    ],
}
_HOMES = {name: module for module, names in _OTHERS.items() for name in names}
_SUBMODULES = (*_CORE, *_OTHERS, "display", "engine", "exercises", "initializers")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"layernet.{name}")
    if name in _HOMES:
        globals()[name] = value = getattr(__getattr__(_HOMES[name]), name)
        return value
    if name == "__all__" or not name.startswith("_"):
        names = {each: module for module in map(__getattr__, _CORE) for each in module.__all__}
        globals().update({each: getattr(module, each) for each, module in names.items()})
        globals()["__all__"] = sorted([*names, *_HOMES])
        if name in globals():
            return globals()[name]
        raise AttributeError(f"layernet has no {name!r}. It has: {', '.join(globals()['__all__'])}.")
    raise AttributeError(f"layernet has no {name!r}.")


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]
