"""Networks and optimizers made from the parameters of a multi-layer perceptron."""

from __future__ import annotations

import copy
import inspect
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from layernet.containers import Sequential
from layernet.estimators.base import NetworkEstimator
from layernet.layer import Layer
from layernet.layers import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    Dense,
    Dropout,
    HardSigmoid,
    Identity,
    LayerNorm,
    LeakyReLU,
    Mish,
    ReLU,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from layernet.optimizers import SGD, Adagrad, Adam, AdamW, Lion, NAdam, Optimizer, RMSProp

ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "hard_sigmoid": HardSigmoid,
}
NORMALIZATIONS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm, "rms": RMSNorm}
SOLVERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "lion": Lion,
}


class MLPEstimator(NetworkEstimator):
    """Estimator that makes its network and its optimizer from the parameters of a multi-layer perceptron."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkEstimator._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS)), Layer, "array-like"],
        "solver": [StrOptions({"lbfgs", *SOLVERS}), Optimizer],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "clip_value": [Interval(Real, 0, None, closed="neither"), None],
        "exact_compatibility": ["boolean"],
    }

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of each layer, of shape (n_inputs, n_units): views, not copies."""
        return [layer.weights for layer in self._dense_layers("coefs_")]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, of shape (n_units,): views, not copies."""
        return [layer.bias for layer in self._dense_layers("intercepts_")]

    @property
    def n_layers_(self) -> int:
        """Number of layers, the inputs included."""
        return len(self._dense_layers("n_layers_")) + 1

    def _dense_layers(self, attribute: str) -> list[Dense]:
        if "network_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {attribute!r} before fit.")
        return [layer for layer in self.network_.layers if isinstance(layer, Dense)]

    def _make_network(self, n_features: int, n_outputs: int) -> Layer:
        sizes = self.hidden_layer_sizes
        sizes = [sizes] if np.ndim(sizes) == 0 else list(sizes)
        for size in sizes:
            if not isinstance(size, Integral) or isinstance(size, bool):
                raise InvalidParameterError(
                    f"hidden_layer_sizes must be whole numbers, got {size!r} in {sizes}."
                )
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        activations = self._one_per_layer("activation", len(sizes))
        rates = self._one_per_layer("dropout", len(sizes))
        for rate in rates:
            if not isinstance(rate, Real):
                raise InvalidParameterError(f"dropout must be numbers, got {rate!r} in {rates}.")
        layers: list[Layer] = []
        for size, activation, rate in zip(sizes, activations, rates, strict=True):
            layers.append(Dense(int(size)))
            if self.normalization is not None:
                layers.append(NORMALIZATIONS[self.normalization]())
            layers.append(activation_from(activation))
            if rate:
                layers.append(Dropout(float(rate)))
        return Sequential([*layers, Dense(n_outputs)])

    def _one_per_layer(self, parameter: str, n_layers: int) -> list[Any]:
        value = getattr(self, parameter)
        if isinstance(value, (str, Real, Layer)):
            return [value] * n_layers
        if len(value) != n_layers:
            raise ValueError(
                f"{parameter} must be one value or one for each of {n_layers} hidden layers, got {len(value)}."
            )
        return list(value)

    def _draw_parameters(
        self, network: Layer, n_features: int, random: np.random.RandomState, dtype: np.dtype
    ) -> None:
        # Layers draw from a copy. Their draws, seeds of noise among them, must not move the stream.
        network.build(n_features, copy.deepcopy(random), dtype)
        # scikit-learn draws in this order and within these limits: Glorot and Bengio (2010), biases too.
        factor = 2 if isinstance(self.activation, str) and self.activation == "logistic" else 6
        for layer in network.layers:
            if isinstance(layer, Dense):
                limit = np.sqrt(factor / sum(layer.weights.shape))
                layer.weights = random.uniform(-limit, limit, layer.weights.shape)
                layer.bias = random.uniform(-limit, limit, layer.bias.shape)

    @property
    def _uses_lbfgs(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "lbfgs"

    def _make_optimizer(self) -> Optimizer:
        if isinstance(self.solver, Optimizer):
            solver = copy.deepcopy(self.solver)
            solver.reset()  # the user may have trained another network with it
            return solver
        arguments: dict[str, Any] = {
            "learning_rate": self.learning_rate_init,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
        }
        kind = SOLVERS[str(self.solver)]
        if kind is SGD:
            nesterov = self.nesterovs_momentum and self.momentum > 0
            arguments.update(momentum=self.momentum, nesterov=nesterov)
        elif kind is Adam:
            arguments["correct_epsilon"] = False  # as in scikit-learn
        accepted = inspect.signature(kind).parameters
        return kind(**{name: value for name, value in arguments.items() if name in accepted})

    def _learning_rate_rule(self) -> tuple[Any, float | None]:
        # The rules with scikit-learn's names are for "sgd" alone. A schedule is for every solver.
        if callable(self.learning_rate):
            return self.learning_rate, None
        if isinstance(self.solver, str) and self.solver == "sgd":
            return self.learning_rate, self.learning_rate_init
        return "constant", None


def activation_from(value: Any) -> Layer:
    """Return an activation by its name, or a copy of the layer."""
    if isinstance(value, Layer):
        return copy.deepcopy(value)
    if value not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, or a Layer, got {value!r}.")
    return ACTIVATIONS[value]()
