"""Nested parameters of networks, optimizers and losses: `optimizer__learning_rate`, `network__0__units`."""

from __future__ import annotations

import copy
from typing import Any

from layernet.layer import Layer
from layernet.losses.names import find_loss
from layernet.optimizers import Optimizer
from layernet.registry import find_by_name
from layernet.representation import Configurable

# Parameters whose value may be the name of an optimizer.
OPTIMIZER_PARAMETERS = ("optimizer", "solver")


class NestedParameters:
    """Mixin: `get_params` and `set_params` include arguments of networks, optimizers, losses and schedules.

    Setting a nested parameter makes a new object, because the user or another estimator may hold the old one.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the arguments of layers, optimizers, losses and schedules, by nested names.

        Returns
        -------
        dict of str to object
        """
        parameters: dict[str, Any] = super().get_params(deep=False)  # type: ignore[misc] # of BaseEstimator
        if deep:
            for name, value in list(parameters.items()):
                parameters.update({f"{name}__{inner}": each for inner, each in nested_arguments(value).items()})
        return parameters

    def set_params(self, **parameters: Any) -> NestedParameters:
        """Set parameters by name; nested ones as `optimizer__learning_rate` or `network__0__units`.

        Returns
        -------
        estimator
            This estimator.
        """
        attributes = dict(vars(self))
        try:
            own = {name: value for name, value in parameters.items() if "__" not in name}
            super().set_params(**own)  # type: ignore[misc] # of BaseEstimator
            for name, value in parameters.items():
                if "__" in name:
                    self._set_nested(name, value)
        except Exception:  # no parameter changes if one name is wrong
            vars(self).clear()
            vars(self).update(attributes)
            raise
        return self

    def _set_nested(self, name: str, value: Any) -> None:
        head, _, rest = name.partition("__")
        names = self._get_param_names()  # type: ignore[attr-defined] # of BaseEstimator
        if head not in names:
            raise ValueError(
                f"Invalid parameter {head!r} for estimator {self}. Valid parameters are: {names!r}."
            )
        owner = getattr(self, head)
        if isinstance(owner, str) and head == "loss":
            owner = find_loss(owner, head)
        elif isinstance(owner, str) and head in OPTIMIZER_PARAMETERS:
            owner = find_by_name(Optimizer, owner, head)
        setattr(self, head, with_argument(copy.deepcopy(owner), rest, value, name))


def nested_arguments(value: Any) -> dict[str, Any]:
    """Return the arguments of a configurable object, and of the objects among them, by nested names."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, Layer) for each in value):
        pairs = [(str(index), each) for index, each in enumerate(value)]
    elif isinstance(value, Configurable):
        configuration = value.configuration()
        pairs = [(name, each) for name, each in configuration.items() if name != "layers"]
        pairs += [(str(index), layer) for index, layer in enumerate(configuration.get("layers", ()))]
    else:
        return {}
    arguments = {}
    for name, each in pairs:
        arguments[name] = each
        arguments.update({f"{name}__{inner}": nested for inner, nested in nested_arguments(each).items()})
    return arguments


def with_argument(owner: Any, path: str, value: Any, full_name: str) -> Any:
    """Return a new object of the same class, with another value for one argument.

    Parameters
    ----------
    owner : Configurable
    path : str
        The nested name of the argument in the owner: "learning_rate" or "0__units".
    value : object
    full_name : str
        The nested name in the estimator, for errors.

    Returns
    -------
    Configurable
    """
    head, separator, rest = path.partition("__")
    if not isinstance(owner, Configurable):
        raise ValueError(f"{full_name}: {type(owner).__name__} has no parameters to set.")
    arguments = owner.configuration()
    if head.isdigit() and "layers" in arguments and int(head) < len(arguments["layers"]):
        layers = list(arguments["layers"])
        layers[int(head)] = with_argument(layers[int(head)], rest, value, full_name) if separator else value
        return type(owner)(**{**arguments, "layers": layers})
    if head not in arguments:
        raise ValueError(
            f"Invalid parameter {head!r} in {full_name!r}: {type(owner).__name__} has {list(arguments)}."
        )
    if separator:
        value = with_argument(arguments[head], rest, value, full_name)
    return type(owner)(**{**arguments, head: value})
