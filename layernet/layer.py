"""The contract of a layer: `forward_pass(inputs)` and `backward_pass(inputs, grad_output)`."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from layernet.initializers import as_initializer
from layernet.parameters import Segment, pack, segment_of
from layernet.representation import Described
from layernet.validation import as_feature_shape, as_float_array, as_generator


class NotBuiltError(ValueError, AttributeError):
    """Something was asked of a layer that it has only once it knows the shape of its inputs."""


class Layer(Described):
    """A function with a way back: the one thing that a network is made of.

    A subclass says what it computes by two methods, as on the slides::

        outputs     = layer.forward_pass(inputs)
        grad_inputs = layer.backward_pass(inputs, grad_output)

    where grad_output = dL/d outputs and grad_inputs = dL/d inputs for whatever loss L comes after it. Both
    are pure: what they return depends only on the parameters, the state, the mode and the arguments.

    A layer that wants to reuse what the way forward computed defines two others, or these two beside the
    first two::

        outputs, record = layer.record(inputs)
        grad_inputs     = layer.backward_from(record, grad_output)

    Either pair follows from the other; without a `record` of its own, a layer's record is its inputs.

    Attributes
    ----------
    layers : sequence of Layer
        The layers inside this one, in order. A container sets it; it is empty otherwise.
    training : bool
        Whether the layer is inside `training_mode()`. False unless one says otherwise.
    input_shape, output_shape : tuple of int, or None before `build`
        Without the batch axis, which comes first in every array.
    dtype : numpy.dtype, or None before `build`
        The type that the parameters have and that the layer computes in.
    has_parameters : bool
        Whether this layer or one inside it has parameters, and so is tied to the shape it was built for.

    Examples
    --------
    A layer is ten lines, and works everywhere at once:

    >>> import numpy as np
    >>> class Square(Layer):
    ...     def forward_pass(self, inputs):
    ...         return inputs ** 2
    ...     def backward_pass(self, inputs, grad_output):
    ...         return grad_output * 2 * inputs
    >>> Square().forward_pass([[1.0, 2.0, 3.0]])
    array([[1., 4., 9.]])

    One with parameters names them, and writes the gradient of each beside it:

    >>> class Scale(Layer):
    ...     def create_parameters(self, input_shape):
    ...         self.add_parameter("factor", input_shape, "ones")
    ...     def forward_pass(self, inputs):
    ...         return inputs * self.factor
    ...     def backward_pass(self, inputs, grad_output):
    ...         self.grad_factor = (inputs * grad_output).sum(axis=0)
    ...         return grad_output * self.factor
    >>> scale = Scale().build(3)
    >>> scale.backward_pass(np.ones((2, 3)), np.ones((2, 3))).shape, scale.grad_factor
    ((2, 3), array([2., 2., 2.]))
    """

    layers: Sequence[Layer] = ()
    training = False
    input_shape: tuple[int, ...] | None = None
    output_shape: tuple[int, ...] | None = None
    dtype: np.dtype | None = None
    has_parameters = False
    parameter_shapes: dict[str, tuple[int, ...]] = {}
    segment: Segment | None = None
    # All of these are set by `build`, on the instance: nobody has to call `super().__init__()`.
    _without_decay: frozenset[str] = frozenset()
    _views: dict[str, np.ndarray] = {}
    _state_names: tuple[str, ...] = ()
    _random: np.random.Generator | None = None
    _is_abstract = True

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_abstract = abstract
        if not abstract:
            refuse_half_a_layer(cls)
        for name in ("forward_pass", "record"):
            if name in vars(cls):
                setattr(cls, name, with_checked_inputs(vars(cls)[name]))
        if "backward_pass" in vars(cls):
            cls.backward_pass = with_checked_gradient(vars(cls)["backward_pass"])

    # --- the two passes, and the same two with reuse ---

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        inputs : array-like of shape (n_samples, ...)
            float32 or float64; integers and booleans are converted to the layer's type.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            The caller's: it shares no memory with the inputs or the layer.
        """
        return self.record(inputs)[0]

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray | float = 1.0) -> np.ndarray:
        """Compute dL/d inputs from dL/d outputs, and write dL/d parameter for each parameter.

        The gradient of a parameter is summed over the batch and overwrites the one before. No earlier
        `forward_pass` is needed.

        Parameters
        ----------
        inputs : array-like of shape (n_samples, ...)
        grad_output : array-like of the outputs' shape
            The default fits where the outputs are one number, a loss: dL/dL = 1.

        Returns
        -------
        ndarray of the inputs' shape
        """
        outputs, record = self.record(inputs)
        return self.backward_from(record, self.admit_gradient(grad_output, np.shape(outputs), outputs.dtype))

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        """Compute the outputs, and keep what the way back needs.

        Returns
        -------
        outputs : ndarray
            As from `forward_pass`.
        record : object
            For `backward_from`, and for nobody else. It may hold the inputs and the outputs themselves: leave
            both as they are until the way back is done.
        """
        inputs = self.admit_inputs(inputs)
        return self.forward_pass(inputs), inputs

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        """Do the backward pass from a record, computing nothing a second time.

        Parameters
        ----------
        record : object
            From `record`.
        grad_output : ndarray of the outputs' shape

        Returns
        -------
        ndarray of the inputs' shape
        """
        return self.backward_pass(record, grad_output)

    def parameter_gradients(self, record: Any, grad_output: np.ndarray) -> None:
        """Write the gradients of the parameters only.

        Training calls this on the first layer of a network, whose `grad_inputs` nobody asks for. A layer
        that can save work by it defines it.
        """
        self.backward_from(record, grad_output)

    # --- building ---

    def build(self, input_shape, random_state=None, dtype=np.float64) -> Layer:
        """Create the parameters for inputs of a shape, drawing random ones from one random state.

        A layer that was built before starts anew; layers inside an unbuilt container that were built before
        keep their parameters and their type. Passing inputs to an unbuilt layer builds it as well.

        Parameters
        ----------
        input_shape : int or tuple of int
            Without the batch axis: 64, or (8, 8).
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
            None draws differently every time.
        dtype : float32 or float64, default=float64

        Returns
        -------
        Layer
            This layer.

        Raises
        ------
        ValueError
            If the layer cannot take inputs of this shape; nothing is changed then.
        """
        input_shape = as_feature_shape(input_shape)
        random = as_generator(random_state)
        refuse_repeated(self)
        family = list(self.walk())
        fresh = family if self.input_shape is not None else [self]
        kept = [layer for layer in family if layer not in fresh and layer.has_parameters]
        dtype = kept[0].dtype if kept else np.dtype(dtype)
        with unchanged_on_error(self):
            for layer in fresh:
                layer._forget()
            self._build_here(input_shape, random, dtype)
            pack(self)
        return self

    def fit(
        self,
        X,
        y,
        loss,
        optimizer="adam",
        epochs: int = 10,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data=None,
        sample_weight=None,
        callbacks=(),
        metrics=(),
        random_state=None,
        verbose: int = 0,
    ):
        """Train on data; all arguments are explained in `layernet.training.fit`.

        Returns
        -------
        History
            What every epoch came to.
        """
        # The contract knows nothing of training; this is a door to it for those who hold a network.
        from layernet.training.loop import fit

        return fit(
            self,
            X,
            y,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation_data=validation_data,
            sample_weight=sample_weight,
            callbacks=callbacks,
            metrics=metrics,
            random_state=random_state,
            verbose=verbose,
        )

    def summary(self) -> str:
        """A table of the layers inside: what goes out of each, and how many parameters it has.

        Returns
        -------
        str
        """
        from layernet.inspection.summary import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        from layernet.inspection.summary import summary_html

        return summary_html(self)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        """Call `add_parameter` and `add_state` for all that the layer needs; most need nothing.

        Parameters
        ----------
        input_shape : tuple of int
            Without the batch axis.
        """

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
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        given = vars(self).pop(name, None)
        if given is None:
            given = as_initializer(initializer, f"{name} of {self!r}")(shape, self._random)
        self.parameter_shapes = {**self.parameter_shapes, name: shape}
        if not decay:
            self._without_decay = self._without_decay | {name}
        initial = checked_copy(given, shape, self.dtype, f"{self!r}.{name}")
        self._views = {**self._views, name: initial, f"grad_{name}": np.zeros_like(initial)}
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
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(self.dtype)
        if name not in vars(self):
            setattr(self, name, value)
        self._state_names = (*self._state_names, name)

    def build_inside(self, layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Build one of the layers inside this one; for the `create_parameters` of a container.

        Returns
        -------
        tuple of int
            The shape of that layer's outputs, without the batch axis.
        """
        if layer.has_parameters and layer.input_shape != input_shape:
            raise ValueError(
                f"{layer!r} was built for {describe_shape(layer.input_shape)} and would get "
                f"{describe_shape(input_shape)} here. Build it anew, or change the layer before it."
            )
        if layer.input_shape != input_shape:
            layer._build_here(input_shape, self._random, self.dtype)
        layer._set_type(self.dtype)
        self.has_parameters = self.has_parameters or layer.has_parameters
        return layer.output_shape

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the outputs for inputs of a shape, both without the batch axis.

        Found by passing one row of zeros through the layer; a layer may say it outright.
        """
        if self.output_shape is not None and input_shape == self.input_shape:
            return self.output_shape
        outputs = self.forward_pass(np.zeros((1, *input_shape), self.dtype))
        return np.shape(outputs)[1:]

    def _build_here(self, input_shape, random, dtype):
        self._forget()
        self.input_shape, self.dtype, self._random = input_shape, dtype, random
        try:
            self.create_parameters(input_shape)
            self.output_shape = self.infer_output_shape(input_shape)
        finally:
            del self._random

    def _forget(self):
        for name in [*self._views, *self._state_names, *_BUILT_ATTRIBUTES]:
            vars(self).pop(name, None)

    def _set_type(self, dtype):
        for layer in self.walk():
            layer.dtype = dtype
            for name in layer._state_names:
                if isinstance(getattr(layer, name), np.ndarray):
                    setattr(layer, name, getattr(layer, name).astype(dtype))

    # --- parameters, gradients and state, by name and as vectors ---

    def walk(self) -> Iterator[Layer]:
        """The layer itself and all layers inside it, depth first."""
        yield self
        for layer in self.layers:
            yield from layer.walk()

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters by name, those of layers inside as `"0.weights"`: views, not copies."""
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
    def decayed(self) -> np.ndarray:
        """1 where weight decay applies to `parameter_vector`, 0 where it does not."""
        segment = self._own_segment()
        return segment.vector.decayed[segment.start : segment.stop]

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
            If the names are not this layer's; nothing is changed then.
        """
        if state.keys() != self.state().keys():
            raise ValueError(
                f"{self!r} has the state {sorted(self.state())}, got {sorted(state)}. "
                "Load a state of the same network."
            )
        for name, value in state.items():
            owner, own_name = self._find(name)
            setattr(owner, own_name, value.copy() if isinstance(value, np.ndarray) else value)

    def end_step(self) -> None:
        """Let the layer move on after an update of the parameters: the only place where state changes."""
        for layer in self.layers:
            layer.end_step()

    def astype(self, dtype) -> Layer:
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

    @contextmanager
    def training_mode(self) -> Iterator[Layer]:
        """Within `with net.training_mode():` the layers behave as in training; inference is the default."""
        before = [(layer, layer.training) for layer in self.walk()]
        try:
            for layer, _ in before:
                layer.training = True
            yield self
        finally:
            for layer, training in before:
                layer.training = training

    def lay_into(self, segment: Segment) -> None:
        """Move the layer's own parameters into a segment of a vector, and look at them from there on."""
        views = {}
        start = segment.start
        for name, shape in self.parameter_shapes.items():
            size = int(np.prod(shape))
            for prefix, vector in (("", segment.vector.values), ("grad_", segment.vector.gradients)):
                view = vector[start : start + size].reshape(shape)
                view[...] = self._views[prefix + name]
                views[prefix + name] = view
            segment.vector.decayed[start : start + size] = name not in self._without_decay
            start += size
        self.segment, self._views = segment, views
        vars(self).update(views)

    def _collect(self, prefix):
        self._require_built("parameters")
        found = {name: self._views[prefix + name] for name in self.parameter_shapes}
        for index, layer in enumerate(self.layers):
            inside = layer.parameters if prefix == "" else layer.gradients
            found.update({f"{index}.{name}": array for name, array in inside.items()})
        return found

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

    def __setattr__(self, name: str, value: Any) -> None:
        view = self._views.get(name)
        if view is None:
            object.__setattr__(self, name, value)
        elif value is not view:
            view[...] = checked_copy(value, view.shape, view.dtype, f"{self!r}.{name}", copy=False)

    def __getattr__(self, name: str) -> Any:
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
        self._views = {**values, **{f"grad_{name}": np.zeros_like(v) for name, v in values.items()}}
        vars(self).update(self._views)
        if self.input_shape is not None:
            pack(self)

    # --- what comes in ---

    def admit_inputs(self, inputs: Any) -> np.ndarray:
        """Inputs as the formulas take them: converted, and checked; an unbuilt layer is built for them.

        Raises
        ------
        TypeError
            If they are not numbers.
        ValueError
            If the shape is not the one that the layer was built for.
        """
        if (
            type(inputs) is np.ndarray
            and inputs.dtype == self.dtype
            and inputs.shape[1:] == self.input_shape
            and inputs.ndim
        ):
            return inputs  # the common case, decided quickly
        inputs = as_float_array(inputs, self.dtype, self.has_parameters, f"inputs of {type(self).__name__}")
        if inputs.ndim == 0:
            raise ValueError(f"{self!r} expects inputs of shape (n_samples, ...), got a single number.")
        if self.input_shape is None:
            self.build(inputs.shape[1:], dtype=inputs.dtype)
            return inputs.astype(self.dtype, copy=False) if self.has_parameters else inputs
        if self.has_parameters and inputs.shape[1:] != self.input_shape:
            raise ValueError(
                f"{self!r} expects inputs of shape {with_samples(self.input_shape)}, got {inputs.shape}. "
                f"It was built for {describe_shape(self.input_shape)}; call build again or check the data."
            )
        return inputs

    def admit_gradient(self, grad_output: Any, output_shape: tuple[int, ...], dtype) -> np.ndarray:
        """A gradient as the formulas take it: converted, and of the outputs' shape or refused."""
        grad_output = as_float_array(grad_output, dtype, True, f"grad_output of {type(self).__name__}")
        if grad_output.shape != output_shape:
            raise ValueError(
                f"{self!r} expects grad_output of the shape of its outputs, {output_shape}, "
                f"got {grad_output.shape}."
            )
        return grad_output


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


def with_checked_inputs(formula):
    """A pass that converts its inputs, builds the layer on first use, and refuses what does not fit."""

    @functools.wraps(formula)
    def checked(self, inputs):
        return formula(self, self.admit_inputs(inputs))

    return checked


def with_checked_gradient(formula):
    """A backward pass that checks its inputs and its gradient, which NumPy might stretch to fit."""

    @functools.wraps(formula)
    def checked(self, inputs, grad_output):
        inputs = self.admit_inputs(inputs)
        output_shape = (len(inputs), *self.infer_output_shape(inputs.shape[1:]))
        return formula(self, inputs, self.admit_gradient(grad_output, output_shape, inputs.dtype))

    return checked


@contextmanager
def unchanged_on_error(layer: Layer) -> Iterator[None]:
    """Put a layer and all inside it back to how they were if building them, or what follows it, fails."""
    before = [(inner, dict(vars(inner))) for inner in layer.walk()]
    try:
        yield
    except BaseException:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)
        raise


def refuse_half_a_layer(cls: type[Layer]) -> None:
    """Raise an error for a class whose two ways of doing a pass are missing or would disagree."""

    def definer(name):
        return next(base for base in cls.__mro__ if name in vars(base))

    for direction, plain, reusing in (
        ("way forward", "forward_pass", "record"),
        ("way back", "backward_pass", "backward_from"),
    ):
        if definer(plain) is Layer and definer(reusing) is Layer:
            raise TypeError(
                f"{cls.__name__} has no {direction}: define {plain}, or {reusing} for one that reuses work."
            )
        for mine, other in ((plain, reusing), (reusing, plain)):
            # What an abstract class defines is made to go with the methods of its subclasses.
            if definer(mine) is cls and definer(other) is not cls and not definer(other)._is_abstract:
                raise TypeError(
                    f"{cls.__name__} defines {mine} but inherits {other} from {definer(other).__name__}, and "
                    f"the two would disagree. Define {other} too."
                )
    if definer("record") is not Layer and definer("backward_from") is Layer:
        raise TypeError(
            f"{cls.__name__} defines record but not backward_from, so nothing reads the record. "
            "Define backward_from(record, grad_output)."
        )


def refuse_repeated(layer: Layer) -> None:
    """Raise an error if one layer object stands twice in a network: its gradients would be overwritten."""
    seen: set[int] = set()
    for inner in layer.walk():
        if id(inner) in seen:
            raise ValueError(
                f"{inner!r} stands twice in one network, as one object. Make a second object, or use "
                "copy.deepcopy(layer)."
            )
        seen.add(id(inner))


def checked_copy(value: Any, shape: tuple[int, ...], dtype, name: str, copy: bool = True) -> np.ndarray:
    """An array of exactly this shape and type from a value that someone assigns to a parameter."""
    array = as_float_array(value, dtype, True, name)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {shape}, got an array of shape {array.shape}.")
    return array.copy() if copy else array


def describe_shape(shape: tuple[int, ...]) -> str:
    """A feature shape in words."""
    return f"{shape[0]} features" if len(shape) == 1 else f"features of shape {shape}"


def with_samples(shape: tuple[int, ...]) -> str:
    """A feature shape with the batch axis in front, as it is written in docstrings."""
    return f"({', '.join(['n_samples', *map(str, shape)])})"
