"""Neural nets you can read, at a speed you would keep.

A layer is an object with two methods, `forward_pass(inputs)` and `backward_pass(inputs, grad_output)`. A
`Sequential` chains them, a loss is a layer too, and an optimizer moves their parameters.

Names are imported when they are first used, so that `import layernet` costs next to nothing.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_MODULES = {
    "layernet.layer": ["Layer", "NotBuiltError"],
    "layernet.layers": [
        "Activation",
        "BatchNorm",
        "Dense",
        "Dropout",
        "ELU",
        "Flatten",
        "GELU",
        "GaussianNoise",
        "HardSigmoid",
        "Identity",
        "LayerNorm",
        "LeakyReLU",
        "LogSoftmax",
        "Mish",
        "RMSNorm",
        "ReLU",
        "Reshape",
        "SELU",
        "Sigmoid",
        "SiLU",
        "Softmax",
        "Softplus",
        "Tanh",
    ],
    "layernet.containers": ["Concat", "Residual", "Sequential"],
    "layernet.losses": [
        "BinaryCrossEntropy",
        "CrossEntropy",
        "HalfPoissonDeviance",
        "HalfSquaredError",
        "HingeLoss",
        "HuberLoss",
        "LogLoss",
        "Loss",
        "MeanAbsoluteError",
        "MeanSquaredError",
        "PoissonLoss",
        "QuantileLoss",
    ],
    "layernet.optimizers": ["Adagrad", "Adam", "AdamW", "Lion", "NAdam", "Optimizer", "RMSProp", "SGD"],
    "layernet.schedules": [
        "ConstantSchedule",
        "CosineSchedule",
        "ExponentialSchedule",
        "InverseScalingSchedule",
        "OneCycleSchedule",
        "ReduceOnPlateau",
        "Schedule",
        "StepSchedule",
    ],
    "layernet.training": [
        "Callback",
        "DivergenceError",
        "EarlyStopping",
        "History",
        "LearningRateScheduler",
        "ProgressBar",
        "evaluate",
        "find_learning_rate",
    ],
    "layernet.checking": ["check_gradients", "check_kernel", "check_layer"],
    "layernet.graph": ["computation_graph", "lecture_graph"],
    "layernet.monitoring": ["BoundaryRecorder", "Monitor", "diagnose", "draw_boundary"],
    "layernet.estimators": ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = (
    "checking",
    "containers",
    "display",
    "engine",
    "estimators",
    "exercises",
    "graph",
    "initializers",
    "layer",
    "layers",
    "losses",
    "monitoring",
    "optimizers",
    "schedules",
    "training",
)

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return importlib.import_module(f"layernet.{name}")
    raise AttributeError(f"layernet has no {name!r}. It has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
