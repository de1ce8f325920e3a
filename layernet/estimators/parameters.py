"""Parameters of what an estimator holds, by nested names: `optimizer__learning_rate`, `network__0__units`."""

from __future__ import annotations

import copy
from typing import Any

from layernet.layer import Layer
from layernet.losses import Loss
from layernet.losses.names import find_loss
from layernet.optimizers import Optimizer
from layernet.registry import find_by_name
from layernet.representation import Configurable

# A name given for one of these stands for an object with parameters of its own.
KINDS = {"optimizer": Optimizer, "solver": Optimizer, "loss": Loss}


class NestedParameters:
    """Lets `get_params` and `set_params` reach into networks, optimizers, losses and schedules.

    Setting one makes a new object with the other arguments as they were: one that the user holds, or that
    another estimator shares, is never changed.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include, by nested names, the arguments of layers, optimizers, losses and schedules.

        Returns
        -------
        dict of str to object
        """
        found = super().get_params(deep=False)
        if deep:
            for name, value in list(found.items()):
                found.update({f"{name}__{inner}": each for inner, each in arguments_inside(value).items()})
        return found

    def set_params(self, **parameters: Any):
        """Set parameters by name, nested ones as `optimizer__learning_rate` or `network__0__units`.

        Returns
        -------
        estimator
            This one.
        """
        before = dict(vars(self))
        try:
            super().set_params(**{name: value for name, value in parameters.items() if "__" not in name})
            for name, value in parameters.items():
                if "__" in name:
                    self._set_nested(name, value)
        except Exception:  # a name that is wrong changes nothing, whatever stood before it
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _set_nested(self, name: str, value: Any) -> None:
        head, _, rest = name.partition("__")
        if head not in self._get_param_names():
            raise ValueError(
                f"Invalid parameter {head!r} for estimator {self}. Valid parameters are: "
                f"{self._get_param_names()!r}."
            )
        holder = getattr(self, head)
        if isinstance(holder, str) and head in KINDS:
            holder = find_loss(holder, head) if head == "loss" else find_by_name(KINDS[head], holder, head)
        setattr(self, head, with_argument(copy.deepcopy(holder), rest, value, name))


def arguments_inside(value: Any) -> dict[str, Any]:
    """The arguments of a described object and of those inside it, by nested names."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, Layer) for each in value):
        pairs = [(str(index), each) for index, each in enumerate(value)]
    elif isinstance(value, Configurable):
        pairs = [(n, v) for n, v in value.configuration().items() if n != "layers"]
        pairs += [(str(i), layer) for i, layer in enumerate(value.configuration().get("layers", ()))]
    else:
        return {}
    found = {}
    for name, each in pairs:
        found[name] = each
        found.update({f"{name}__{inner}": deeper for inner, deeper in arguments_inside(each).items()})
    return found


def with_argument(holder: Any, path: str, value: Any, whole_name: str) -> Any:
    """A described object made again, with another value for one argument."""
    head, separator, rest = path.partition("__")
    if not isinstance(holder, Configurable):
        raise ValueError(f"{whole_name}: {type(holder).__name__} has no parameters to set.")
    arguments = holder.configuration()
    if head.isdigit() and "layers" in arguments and int(head) < len(arguments["layers"]):
        layers = list(arguments["layers"])
        layers[int(head)] = with_argument(layers[int(head)], rest, value, whole_name) if separator else value
        return type(holder)(**{**arguments, "layers": layers})
    if head not in arguments:
        raise ValueError(
            f"Invalid parameter {head!r} in {whole_name!r}: {type(holder).__name__} has {list(arguments)}."
        )
    if separator:
        value = with_argument(arguments[head], rest, value, whole_name)
    return type(holder)(**{**arguments, head: value})
