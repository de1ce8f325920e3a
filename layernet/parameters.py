"""Parameters and gradients of a network: two vectors, and containers that hold views into them.

An optimizer moves a whole network by a few operations on one vector, however many layers the network has.
"""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from layernet.array_views import ArrayViews, checked_copy
from layernet.gradient_names import require_parameter_of_gradient
from layernet.hints import LAYER_ASSIGNMENT_HINTS, NETWORK_HINTS
from layernet.initializers import as_initializer
from layernet.representation import Configurable


class ParameterVector:
    """The values and the gradients of all parameters of one network.

    Attributes
    ----------
    values, gradients : ndarray of shape (n_parameters,)
    decayed : ndarray of bool, of shape (n_parameters,)
        Whether weight decay applies: not to biases, nor to scales of a normalisation.
    """

    def __init__(self, size: int, dtype: np.dtype):
        self.values = np.zeros(size, dtype)
        self.gradients = np.zeros(size, dtype)
        self.decay_mask = np.zeros(size, np.bool_)


class Segment(NamedTuple):
    """The part of a parameter vector that one layer, with all the layers inside it, owns."""

    vector: ParameterVector
    start: int
    stop: int


class NotBuiltError(ValueError, AttributeError):
    """Something was asked of a layer that it has only once it knows the shape of its inputs."""


class ParameterContainer(Configurable):
    """The side of a `Layer` that keeps numbers, and knows nothing of what is computed with them.

    Every parameter is an attribute, and its gradient another: `weights` and `grad_weights`. Both are views into
    the vectors of the network that the layer is part of; assigning to one copies into the view.
    """

    layers: Sequence[ParameterContainer] = ()
    input_shape: tuple[int, ...] | None = None
    dtype: np.dtype | None = None
    has_parameters = False
    parameter_shapes: dict[str, tuple[int, ...]] = {}
    segment: Segment | None = None
    # All of these are set by `build`, on the instance: nobody has to call `super().__init__()`.
    _without_decay: frozenset[str] = frozenset()
    _views: dict[str, np.ndarray] = {}
    _state_names: tuple[str, ...] = ()
    _random: np.random.Generator | None = None
    _assignment_hints = LAYER_ASSIGNMENT_HINTS

    def add_parameter(
        self, name: str, shape: tuple[int, ...] | int, initializer="glorot_uniform", decay: bool = True
    ) -> None:
        """Give the layer a parameter, `self.<name>`, and its gradient, `self.grad_<name>`.

        An array that was assigned to `self.<name>` before the layer was built is the initial value.

        Parameters
        ----------
        name : str
        shape : tuple of int
        initializer : str or callable, default="glorot_uniform"
        decay : bool, default=True
            Whether weight decay applies to it; false for a bias.
        """
        self._require_being_built("add_parameter", name)
        shape = tuple(map(int, np.atleast_1d(shape)))
        given = vars(self).pop(name, None)
        if given is None:
            given = as_initializer(initializer, f"{name} of {self!r}")(shape, self._random)
        self.parameter_shapes = {**self.parameter_shapes, name: shape}
        if not decay:
            self._without_decay = self._without_decay | {name}
        initial = checked_copy(given, shape, self.dtype, f"{self!r}.{name}")
        self._views = {**self._views, name: initial, f"grad_{name}": np.zeros(initial.shape, initial.dtype)}
        vars(self).update(self._views)
        self.has_parameters = True

    def add_state(self, name: str, value: Any) -> None:
        """Give the layer a piece of state, `self.<name>`: changed by `end_step` and not by gradients.

        Parameters
        ----------
        name : str
        value : ndarray or int
            The value to start with. Floating-point arrays take the layer's type.
        """
        self._require_being_built("add_state", name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(self.dtype)
        if name not in vars(self):
            setattr(self, name, value)
        self._state_names = (*self._state_names, name)

    def walk(self) -> Iterator[ParameterContainer]:
        """The layer itself and all layers inside it, depth first."""
        yield self
        for layer in self.layers:
            yield from layer.walk()

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters by name, those of layers inside as `"0.weights"`: views, not copies.

        Assigning to an item copies into the parameter, as assigning to the layer's attribute does.
        """
        return self._collect("")

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients that the last backward pass wrote, by the names of their parameters."""
        return self._collect("grad_")

    @property
    def parameter_vector(self) -> np.ndarray:
        """All parameters as one vector, of which the layers' own are views; write into it with `[:] =`."""
        segment = self._own_segment()
        return segment.vector.values[segment.start : segment.stop]

    @property
    def gradient_vector(self) -> np.ndarray:
        """All gradients as one vector, in the order of `parameter_vector`."""
        segment = self._own_segment()
        return segment.vector.gradients[segment.start : segment.stop]

    @property
    def decay_mask(self) -> np.ndarray:
        """1 where weight decay applies to `parameter_vector`, 0 where it does not."""
        segment = self._own_segment()
        return segment.vector.decay_mask[segment.start : segment.stop]

    def state(self) -> dict[str, Any]:
        """A copy of all that a step may change beside the parameters: running averages, noise counters.

        Returns
        -------
        dict of str to ndarray or int
            By name, those of layers inside as `"1.running_mean"`.
        """
        own = {name: getattr(self, name) for name in self._state_names}
        own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in own.items()}
        for index, layer in enumerate(self.layers):
            own.update({f"{index}.{name}": value for name, value in layer.state().items()})
        return own

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that `state()` returned.

        Raises
        ------
        ValueError
            If the names or shapes are not this layer's; nothing is changed then.
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
        """Let the layer move on after an update of the parameters: the only place where state changes."""
        failure = None
        for layer in self.layers:
            try:
                layer.end_step()
            except BaseException as error:  # the update is done, so the other layers move on all the same
                failure = failure or error
        if failure is not None:
            raise failure

    def astype(self, dtype) -> ParameterContainer:
        """A copy of a built layer that computes in another type.

        Parameters
        ----------
        dtype : float32 or float64

        Returns
        -------
        Layer
        """
        self._require_built("type")
        twin = copy.deepcopy(self)
        twin._set_type(np.dtype(dtype))
        for layer in twin.walk():
            layer.segment = None
        pack(twin)
        return twin

    def move_into(self, segment: Segment) -> None:
        """Move the layer's own parameters into a segment of a vector, and look at them from there on."""
        views = {}
        start = segment.start
        # Gradients that were never in a vector are zeros, as those of a new one are: memory that nobody has
        # touched, of which a layer of sparse rows with many features may need a part only.
        for name, shape in self.parameter_shapes.items():
            size = int(np.prod(shape))
            for prefix, vector in (("", segment.vector.values), ("grad_", segment.vector.gradients)):
                view = vector[start : start + size].reshape(shape)
                if prefix == "" or self.segment is not None:
                    view[...] = self._views[prefix + name]
                views[prefix + name] = view
            segment.vector.decay_mask[start : start + size] = name not in self._without_decay
            start += size
        self.segment, self._views = segment, views
        vars(self).update(views)

    def _collect(self, prefix):
        self._require_built("parameters")
        found = {name: self._views[prefix + name] for name in self.parameter_shapes}
        for index, layer in enumerate(self.layers):
            inside = layer.parameters if prefix == "" else layer.gradients
            found.update({f"{index}.{name}": array for name, array in inside.items()})
        return ArrayViews(found)

    def _find(self, name):
        head, dot, rest = name.partition(".")
        return self.layers[int(head)]._find(rest) if dot else (self, head)

    def _own_segment(self):
        self._require_built("parameter vector")
        return segment_of(self)

    def _require_built(self, wanted):
        if self.input_shape is None:
            raise NotBuiltError(
                f"{type(self).__name__} is not built yet, so it has no {wanted}. Call build(input_shape), "
                "or pass inputs through it once."
            )

    def _require_being_built(self, method, name):
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

    # --- copies: the views must share one vector again, in the copy too ---

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

    def _forget(self):
        for name in [*self._views, *self._state_names, *_BUILT_ATTRIBUTES]:
            vars(self).pop(name, None)

    def _set_type(self, dtype):
        for layer in self.walk():
            layer.dtype = dtype
            for name in layer._state_names:
                if isinstance(getattr(layer, name), np.ndarray):
                    setattr(layer, name, getattr(layer, name).astype(dtype))


_BUILT_ATTRIBUTES = (
    "input_shape",
    "output_shape",
    "dtype",
    "parameter_shapes",
    "segment",
    "_without_decay",
    "_views",
    "_state_names",
    "has_parameters",
)


def pack(layer: ParameterContainer) -> None:
    """Move all parameters of a layer, and of those inside it, into one vector.

    Layers whose parameters already lie side by side in one vector stay where they are: a slice of a network,
    or a network with its loss, shares the network's vector.

    Raises
    ------
    ValueError
        If a layer's parameters belong to another network, which packing would tear apart.
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
    """The segment that a built layer and the layers inside it own together.

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
    return Segment(owners[0].segment.vector, owners[0].segment.start, owners[-1].segment.stop)


def are_contiguous(owners: Iterable[ParameterContainer]) -> bool:
    """Whether the layers' own segments follow each other in one vector."""
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
    """Raise an error if a vector that some of the layers lie in belongs to other layers too."""
    claimed: dict[int, int] = {}
    for owner in owners:
        if owner.segment is not None:
            key = id(owner.segment.vector)
            claimed[key] = claimed.get(key, 0) + owner.segment.stop - owner.segment.start
    for owner in owners:
        if owner.segment is not None:
            vector = owner.segment.vector
            if claimed[id(vector)] != vector.values.size:
                raise ValueError(
                    f"{owner!r} is already part of another network, whose parameters lie in one vector. "
                    "Use copy.deepcopy(layer) to start from its values."
                )


class Owner:
    """Whose a state is: the network with one part of one parameter vector; nobody's after a copy or a pickle.

    Parameters
    ----------
    network : ParameterContainer, default=None
        Built; None for nobody.
    """

    def __init__(self, network: ParameterContainer | None = None):
        self._vector: weakref.ref[ParameterVector] | None = None
        if network is not None:
            segment = segment_of(network)
            self._vector, self._place = weakref.ref(segment.vector), (segment.start, segment.stop)

    @property
    def is_known(self) -> bool:
        """Whether there is, or was, such a network."""
        return self._vector is not None

    def is_network(self, network: ParameterContainer) -> bool:
        """Whether a network is the one."""
        segment = segment_of(network)
        return (
            self.is_known and self._vector() is segment.vector and self._place == (segment.start, segment.stop)
        )

    def __reduce__(self) -> tuple:
        return type(self), ()
