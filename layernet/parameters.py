"""Parameters and gradients of a network: two vectors, and containers that hold views into them.

An optimizer moves a whole network by a few operations on one vector, however many layers the network has.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from layernet.array_views import ArrayViews, checked_copy
from layernet.gradient_names import require_parameter_of_gradient
from layernet.hints import LAYER_ASSIGNMENT_HINTS, NETWORK_HINTS
from layernet.initializers import InitialValues, as_initializer
from layernet.representation import Configurable
from layernet.validation import require_number

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class ParameterVector:
    """Values and gradients of all parameters of one network.

    Attributes
    ----------
    values, gradients : ndarray of shape (n_parameters,)
    decay_mask : ndarray of bool, of shape (n_parameters,)
        Whether weight decay applies: not to biases, nor to scales of a normalization.
    learning_rate_factors : ndarray of shape (n_parameters,) or None
        Factor of the learning rate for each parameter; None if all are 1.
    """

    def __init__(self, size: int, dtype: np.dtype):
        self.values = np.zeros(size, dtype)
        self.gradients = np.zeros(size, dtype)
        self.decay_mask = np.zeros(size, np.bool_)
        self.learning_rate_factors: np.ndarray | None = None

    def set_learning_rate_factor(self, part: slice, factor: float) -> None:
        """Set the factor of the learning rate for some of the parameters."""
        if self.learning_rate_factors is None:
            if factor == 1:
                return
            self.learning_rate_factors = np.ones(self.values.shape, self.values.dtype)
        self.learning_rate_factors[part] = factor


class Segment(NamedTuple):
    """Part of a parameter vector that belongs to one layer and the layers inside it."""

    vector: ParameterVector
    start: int
    stop: int


class NotBuiltError(ValueError, AttributeError):
    """Raised when a layer's parameters, or other attributes that `build` creates, are used before `build`."""


class ParameterContainer(Configurable):
    """Base class of layers: parameters, gradients and state, without any computation.

    A parameter and its gradient are two attributes: `weights` and `grad_weights`. Both are views into the
    vectors of the network. An assignment to them copies into the view.
    """

    layers: Sequence[ParameterContainer] = ()
    # None until `build`. The types are those after `build`, so that passes need no checks for None.
    input_shape: tuple[int, ...] = None  # type: ignore[assignment]
    dtype: np.dtype = None  # type: ignore[assignment]
    _random: np.random.Generator = None  # type: ignore[assignment]
    has_parameters = False
    parameter_shapes: dict[str, tuple[int, ...]] = {}
    segment: Segment | None = None
    # `build` sets these on the instance, so that subclasses need not call `super().__init__()`.
    _without_decay: frozenset[str] = frozenset()
    _rates: dict[str, float] = {}
    _views: dict[str, np.ndarray] = {}
    _state_names: tuple[str, ...] = ()
    _assignment_hints = LAYER_ASSIGNMENT_HINTS

    def add_parameter(
        self,
        name: str,
        shape: tuple[int, ...] | int,
        initializer: str | InitialValues = "glorot_uniform",
        decay: bool = True,
        rate: float = 1.0,
    ) -> None:
        """Create a parameter, `self.<name>`, and its gradient, `self.grad_<name>`.

        An array that was assigned to `self.<name>` before `build` is the initial value.

        Parameters
        ----------
        name : str
        shape : tuple of int
        initializer : str or callable, default="glorot_uniform"
        decay : bool, default=True
            Whether weight decay applies to the parameter; False for a bias.
        rate : float, default=1.0
            The parameter's learning rate is that of the optimizer times this factor, at least 0. L-BFGS, which
            has no learning rate, ignores it.
        """
        self._require_being_built("add_parameter", name)
        rate = require_number(self, f"rate of {name}", rate, at_least=0)
        shape = tuple(map(int, np.atleast_1d(shape)))
        given = vars(self).pop(name, None)
        if given is None:
            given = as_initializer(initializer, f"{name} of {self!r}")(shape, self._random)
        self.parameter_shapes = {**self.parameter_shapes, name: shape}
        if not decay:
            self._without_decay = self._without_decay | {name}
        if rate != 1:
            self._rates = {**self._rates, name: rate}
        initial = checked_copy(given, shape, self.dtype, f"{self!r}.{name}")
        self._views = {**self._views, name: initial, f"grad_{name}": np.zeros(initial.shape, initial.dtype)}
        vars(self).update(self._views)
        self.has_parameters = True

    def add_state(self, name: str, value: Any) -> None:
        """Create a state variable, `self.<name>`, which `end_step` may change.

        Parameters
        ----------
        name : str
        value : ndarray or int
            Initial value. Floating-point arrays are converted to the layer's type.
        """
        self._require_being_built("add_state", name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(self.dtype)
        if name not in vars(self):
            setattr(self, name, value)
        self._state_names = (*self._state_names, name)

    def walk(self) -> Iterator[ParameterContainer]:
        """Iterate over this layer and all layers inside it, depth first."""
        yield self
        for layer in self.layers:
            if layer.layers:
                yield from layer.walk()
            else:
                yield layer

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Parameters by name, as views; those of inner layers are named `"0.weights"`.

        An assignment to an item copies into the parameter, as an assignment to the layer's attribute does.
        """
        return self._collect("")

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the last backward pass, by the names of their parameters."""
        return self._collect("grad_")

    @property
    def parameter_vector(self) -> np.ndarray:
        """All parameters as one vector; the layers' arrays are views of it. Change it with `[:] =`."""
        segment = self._own_segment()
        return segment.vector.values[segment.start : segment.stop]

    @property
    def gradient_vector(self) -> np.ndarray:
        """All gradients as one vector, in the order of `parameter_vector`."""
        segment = self._own_segment()
        return segment.vector.gradients[segment.start : segment.stop]

    @property
    def decay_mask(self) -> np.ndarray:
        """Mask of `parameter_vector`: True where weight decay applies."""
        segment = self._own_segment()
        return segment.vector.decay_mask[segment.start : segment.stop]

    @property
    def learning_rate_factors(self) -> np.ndarray | None:
        """Factor of the optimizer's learning rate for each entry of `parameter_vector`; None if all are 1."""
        segment = self._own_segment()
        factors = segment.vector.learning_rate_factors
        return None if factors is None else factors[segment.start : segment.stop]

    def state(self) -> dict[str, Any]:
        """Return a copy of the state, such as running averages and counters of noise.

        Returns
        -------
        dict of str to ndarray or int
            State by name; that of inner layers is named `"1.running_mean"`.
        """
        own = {name: getattr(self, name) for name in self._state_names}
        own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in own.items()}
        for index, layer in enumerate(self.layers):
            own.update({f"{index}.{name}": value for name, value in layer.state().items()})
        return own

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state that `state()` returned.

        Raises
        ------
        ValueError
            If names or shapes differ from those of this layer; the layer is unchanged then.
        """
        if state.keys() != self.state().keys():
            raise ValueError(
                f"{self!r} has the state {sorted(self.state())}, got {sorted(state)}. "
                "Load a state of the same network."
            )
        places = {name: self._find(name) for name in state}
        for name, (owner, own_name) in places.items():
            expected = np.shape(getattr(owner, own_name))
            if np.shape(state[name]) != expected:
                raise ValueError(
                    f"{owner!r} has the state {name} of shape {expected}, got {np.shape(state[name])}. "
                    "Load a state of the same network."
                )
        for name, (owner, own_name) in places.items():
            value = state[name]
            if isinstance(value, np.ndarray):
                value = value.astype(owner.dtype) if value.dtype.kind == "f" else value.copy()
            setattr(owner, own_name, value)

    def end_step(self) -> None:
        """Update the state after an update of the parameters; state changes nowhere else."""
        failure = None
        for layer in self.layers:
            try:
                layer.end_step()
            except BaseException as error:  # the parameters have changed, so the other layers end the step too
                failure = failure or error
        if failure is not None:
            raise failure

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy of a built layer that computes in another type.

        Parameters
        ----------
        dtype : float32 or float64

        Returns
        -------
        Layer
        """
        self._require_built("type")
        converted = copy.deepcopy(self)
        converted._set_type(np.dtype(dtype))
        for layer in converted.walk():
            layer.segment = None
        pack(converted)
        return converted

    def move_into(self, segment: Segment) -> None:
        """Copy the layer's own parameters into a segment of a vector, and make its arrays views of it."""
        views = {}
        start = segment.start
        # Before a layer has a segment, its gradients are zeros, as in a new vector, and need no copy. Without a
        # write, the system allocates no memory for the features of sparse rows that never occur.
        for name, shape in self.parameter_shapes.items():
            size = int(np.prod(shape))
            for prefix, vector in (("", segment.vector.values), ("grad_", segment.vector.gradients)):
                view = vector[start : start + size].reshape(shape)
                if prefix == "" or self.segment is not None:
                    view[...] = self._views[prefix + name]
                views[prefix + name] = view
            segment.vector.decay_mask[start : start + size] = name not in self._without_decay
            segment.vector.set_learning_rate_factor(slice(start, start + size), self._rates.get(name, 1.0))
            start += size
        self.segment, self._views = segment, views
        vars(self).update(views)

    def _collect(self, prefix: str) -> ArrayViews:
        self._require_built("parameters")
        found = {name: self._views[prefix + name] for name in self.parameter_shapes}
        for index, layer in enumerate(self.layers):
            inside = layer.parameters if prefix == "" else layer.gradients
            found.update({f"{index}.{name}": array for name, array in inside.items()})
        return ArrayViews(found)

    def _find(self, name: str) -> tuple[ParameterContainer, str]:
        head, dot, rest = name.partition(".")
        return self.layers[int(head)]._find(rest) if dot else (self, head)

    def _own_segment(self) -> Segment:
        self._require_built("parameter vector")
        return segment_of(self)

    def _require_built(self, wanted: str) -> None:
        if self.input_shape is None:
            raise NotBuiltError(
                f"{type(self).__name__} is not built yet, so it has no {wanted}. Call build(input_shape), "
                "or pass inputs through it once."
            )

    def _require_being_built(self, method: str, name: str) -> None:
        if self._random is None:
            raise NotBuiltError(
                f"{type(self).__name__} called {method}({name!r}, ...) outside of create_parameters. Call it "
                "in create_parameters(self, input_shape), which build calls with the shape of inputs."
            )

    def __setattr__(self, name: str, value: Any) -> None:
        view = self._views.get(name)
        if view is None:
            if name[:5] == "grad_":
                require_parameter_of_gradient(self, name, value)
            Configurable.__setattr__(self, name, value)
        elif value is not view:
            view[...] = checked_copy(value, view.shape, view.dtype, f"{self!r}.{name}", copy=False)

    def __getattr__(self, name: str) -> Any:
        hint = NETWORK_HINTS.get(name) or LAYER_ASSIGNMENT_HINTS.get(name)
        if hint is not None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}. {hint}")
        if not name.startswith("__") and self.input_shape is None:
            raise NotBuiltError(
                f"{type(self).__name__} has no {name!r}. It is not built yet, so it has no parameters: call "
                "build(input_shape), or pass inputs through it once."
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    # --- copies: a copy's views must share one vector too ---

    def __getstate__(self) -> dict[str, Any]:
        kept = dict(vars(self))
        for name in [*self._views, "_views", "segment", "training"]:
            kept.pop(name, None)
        values = {name: self._views[name].copy() for name in self.parameter_shapes}
        return {**kept, "_values": values}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state.pop("_values")
        vars(self).update(state)
        self._views = {**values, **{f"grad_{name}": np.zeros(v.shape, v.dtype) for name, v in values.items()}}
        vars(self).update(self._views)
        if self.input_shape is not None:
            self.dtype = np.dtype(self.dtype.type)  # unpickled types are equal to NumPy's own, but not the same
            pack(self)

    def _unbuild(self) -> None:
        for name in [*self._views, *self._state_names, *_BUILT_ATTRIBUTES]:
            vars(self).pop(name, None)

    def _set_type(self, dtype: np.dtype) -> None:
        for layer in self.walk():
            layer.dtype = dtype
            for name in layer._state_names:
                value = getattr(layer, name)
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    setattr(layer, name, value.astype(dtype))


_BUILT_ATTRIBUTES = (
    "input_shape",
    "output_shape",
    "dtype",
    "parameter_shapes",
    "segment",
    "_without_decay",
    "_rates",
    "_views",
    "_state_names",
    "has_parameters",
)


def pack(layer: ParameterContainer) -> None:
    """Move all parameters of a layer and of the layers inside it into one vector.

    Parameters that are already contiguous in one vector stay there. So a slice of a network, or a network with
    its loss, shares the network's vector.

    Raises
    ------
    ValueError
        If a layer's parameters belong to another network, whose vector would be split.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners or are_contiguous(owners):
        return
    refuse_shared(owners)
    sizes = [sum(math.prod(shape) for shape in owner.parameter_shapes.values()) for owner in owners]
    vector = ParameterVector(sum(sizes), layer.dtype)
    start = 0
    for owner, size in zip(owners, sizes, strict=True):
        owner.move_into(Segment(vector, start, start + size))
        start += size


def segment_of(layer: ParameterContainer) -> Segment:
    """Return the segment of a built layer together with the layers inside it.

    Raises
    ------
    ValueError
        If the layers inside have been moved into another network.
    """
    owners = [inner for inner in layer.walk() if inner.parameter_shapes]
    if not owners:
        return Segment(ParameterVector(0, layer.dtype or np.dtype(np.float64)), 0, 0)
    if not are_contiguous(owners):
        raise ValueError(
            f"The layers of {layer!r} no longer share one parameter vector: they were built into another "
            "network since. Give that network copies (copy.deepcopy) of the layers."
        )
    first, last = owners[0].segment, owners[-1].segment
    assert first is not None  # contiguous layers have segments
    assert last is not None
    return Segment(first.vector, first.start, last.stop)


def are_contiguous(owners: Iterable[ParameterContainer]) -> bool:
    """Return whether the layers' segments are contiguous in one vector."""
    previous = None
    for owner in owners:
        segment = owner.segment
        if segment is None:
            return False
        if previous is not None and (segment.vector is not previous.vector or segment.start != previous.stop):
            return False
        previous = segment
    return True


def refuse_shared(owners: Iterable[ParameterContainer]) -> None:
    """Raise a ValueError if a vector of these layers also holds parameters of other layers."""
    n_held: dict[int, int] = {}  # by vector: how many of its entries these layers hold
    for owner in owners:
        if owner.segment is not None:
            key = id(owner.segment.vector)
            n_held[key] = n_held.get(key, 0) + owner.segment.stop - owner.segment.start
    for owner in owners:
        if owner.segment is not None:
            vector = owner.segment.vector
            if n_held[id(vector)] != vector.values.size:
                raise ValueError(
                    f"{owner!r} is already part of another network, whose parameters lie in one vector. "
                    "Use copy.deepcopy(layer) to start from its values."
                )
