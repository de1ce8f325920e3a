"""The contract of a layer: `forward_pass(inputs)` and `backward_pass(inputs, grad_output)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from layernet.gradient_names import require_parameters_of_all_gradients
from layernet.guards.completeness import Pass, require_both_passes, reset_accepts_sparse
from layernet.guards.inputs import (
    as_valid_inputs,
    describe_shape,
    forward_unchecked,
    is_ready_input,
    with_checked_gradient,
    with_checked_inputs,
)
from layernet.guards.modes import in_mode, infer_shape_from_zeros, require_distinct_layers, unchanged_on_error
from layernet.guards.read_only import guard_passes
from layernet.network_methods import NetworkMethods
from layernet.parameters import NotBuiltError, pack
from layernet.validation import as_feature_shape, as_float_array, as_generator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Layer", "NotBuiltError"]

FORWARD = Pass("forward pass", "forward_pass", "record")
BACKWARD = Pass("backward pass", "backward_pass", "backward_from")


class Layer(NetworkMethods):
    """Differentiable function; the building block of every network.

    A subclass defines two methods, the forward pass and the backward pass::

        outputs     = layer.forward_pass(inputs)
        grad_inputs = layer.backward_pass(inputs, grad_output)

    where grad_output = dL/d outputs and grad_inputs = dL/d inputs for a loss L. Both passes are pure: the
    results depend only on the parameters, the state, the mode and the arguments.

    A layer whose backward pass reuses values of its forward pass defines two other methods, alone or beside the
    first two::

        outputs, record = layer.record(inputs)
        grad_inputs     = layer.backward_from(record, grad_output)

    Each pair follows from the other. The default record is the inputs.

    Attributes
    ----------
    layers : sequence of Layer
        The layers inside this one, in order; a container sets it.
    training : bool
        Whether the layer is in training mode; see `training_mode`.
    input_shape, output_shape : tuple of int, or None before `build`
        Without the batch axis, which is the first axis of every array.
    dtype : numpy.dtype, or None before `build`
        Type of the parameters and of all results.
    accepts_sparse : bool
        Whether the passes take a `scipy.sparse.csr_array` of the layer's type as inputs. Other layers get dense
        arrays. A class that defines a pass does not inherit this attribute.
    draws_noise : bool
        Whether the layer adds noise in training mode; `sample_passes` draws it.
    output_bounds : tuple of two floats, or None
        Bounds (low, high) of every output of an elementwise activation that is bounded on both sides, as
        (0, 1) of `Sigmoid`; None for any other layer. The monitor counts outputs near them as saturated.
    has_parameters : bool
        Whether this layer or a layer inside it has parameters. Its input shape is then fixed by `build`.

    Examples
    --------
    A layer without parameters:

    >>> import numpy as np
    >>> class Square(Layer):
    ...     def forward_pass(self, inputs):
    ...         return inputs ** 2
    ...     def backward_pass(self, inputs, grad_output):
    ...         return grad_output * 2 * inputs
    >>> Square().forward_pass([[1.0, 2.0, 3.0]])
    array([[1., 4., 9.]])

    A layer with a parameter writes the gradient to `grad_<name>`:

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
    draws_noise = False
    output_bounds: tuple[float, float] | None = None
    # `fit` sets the four attributes below on a layer with uses_batch_info = True: the weight and the number of
    # each row, the rows of a full batch, the mean weight of the training data. In a loop by hand they are None.
    uses_batch_info = False
    batch_weights: np.ndarray | None = None
    batch_rows: np.ndarray | None = None
    batch_full_rows: int | None = None
    batch_mean_weight: float | None = None
    accepts_sparse = False
    output_shape: tuple[int, ...] = None  # type: ignore[assignment]  # None until `build`
    _is_abstract = True

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_abstract = abstract
        if not abstract:
            require_both_passes(cls, Layer, FORWARD, BACKWARD)
        reset_accepts_sparse(cls)
        guard_passes(cls, Layer)
        for name in ("forward_pass", "record"):
            if name in vars(cls):
                setattr(cls, name, with_checked_inputs(vars(cls)[name]))
        if "backward_pass" in vars(cls):
            checked = with_checked_gradient(vars(cls)["backward_pass"])
            setattr(cls, "backward_pass", checked)  # noqa: B010 - type checkers refuse a method that is assigned

    if TYPE_CHECKING:  # the layers inside a layer are layers

        def walk(self) -> Iterator[Layer]: ...

    # --- the two passes, and the same two with reuse ---

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        inputs : array-like or sparse matrix of shape (n_samples, ...)
            float32 or float64; integers and booleans are converted to the layer's type.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            Shares no memory with the inputs or the layer.
        """
        return self.record(inputs)[0]

    def backward_pass(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        """Compute dL/d inputs from dL/d outputs, and write dL/d parameter for each parameter.

        The gradient of a parameter is summed over the batch and overwrites the previous one. No earlier call of
        `forward_pass` is needed.

        Parameters
        ----------
        inputs : array-like of shape (n_samples, ...)
        grad_output : array-like of the outputs' shape
            Default 1.0, for layers whose outputs are a single number, a loss: dL/dL = 1.

        Returns
        -------
        ndarray of the inputs' shape
        """
        outputs, record = self.record(inputs)
        return self.backward_from(record, self.validate_gradient(grad_output, np.shape(outputs), outputs.dtype))

    # Not in the signature: type checkers would then refuse every subclass whose backward pass has no default.
    backward_pass.__defaults__ = (1.0,)

    def record(self, inputs: np.ndarray) -> tuple[np.ndarray, Any]:
        """Compute the outputs and a record for the backward pass.

        Returns
        -------
        outputs : ndarray
            As from `forward_pass`.
        record : object
            Argument of `backward_from`. It may hold the inputs and the outputs themselves: do not change them
            before the backward pass.
        """
        if not is_ready_input(self, inputs):
            inputs = self.validate_inputs(inputs)
        return forward_unchecked(self, inputs), inputs

    def backward_from(self, record: Any, grad_output: np.ndarray) -> np.ndarray:
        """Compute dL/d inputs from a record, and write the gradients of the parameters.

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
        """Write the gradients of the parameters without computing dL/d inputs.

        Training calls this for the first layer with parameters, whose `grad_inputs` are not needed. Override it
        where that saves work.
        """
        self.backward_from(record, grad_output)

    # --- building ---

    def build(
        self,
        input_shape: int | tuple[int, ...],
        random_state: Any = None,
        dtype: DTypeLike = np.float64,
    ) -> Self:
        """Create the parameters for inputs of the given shape.

        A layer that is built already gets new parameters. Built layers inside an unbuilt container keep their
        parameters and their type. The first pass of an unbuilt layer builds it for its inputs.

        Parameters
        ----------
        input_shape : int or tuple of int
            Without the batch axis: 64, or (8, 8).
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
            Draws the initial values; None draws other values in each call.
        dtype : float32 or float64, default=float64

        Returns
        -------
        Layer
            This layer.

        Raises
        ------
        ValueError
            If the layer cannot take inputs of this shape; the layer is unchanged then.
        """
        shape = as_feature_shape(input_shape)
        random = as_generator(random_state)
        require_distinct_layers(self)
        layers = list(self.walk())
        rebuilt = layers if self.input_shape is not None else [self]
        kept = [layer for layer in layers if layer not in rebuilt and layer.has_parameters]
        common_type = kept[0].dtype if kept else np.dtype(dtype)
        with unchanged_on_error(self):
            for layer in rebuilt:
                layer._unbuild()
            self._build_unpacked(shape, random, common_type)
            pack(self)
        return self

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        """Create the parameters and the state with `add_parameter` and `add_state`; `build` calls this.

        Parameters
        ----------
        input_shape : tuple of int
            Without the batch axis.
        """

    def build_inside(self, layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Build a layer inside this one; a container's `create_parameters` calls this.

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
            layer._build_unpacked(input_shape, self._random, self.dtype)
        layer._set_type(self.dtype)
        self.has_parameters = self.has_parameters or layer.has_parameters
        return layer.output_shape

    def infer_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the outputs for inputs of the given shape, both without the batch axis.

        The default passes a few rows of zeros through the layer. A layer may override it by a formula.

        Raises
        ------
        ValueError
            If the outputs are neither one row for each sample nor a single number, a loss.
        """
        if self.output_shape is not None and input_shape == self.input_shape:
            return self.output_shape
        return infer_shape_from_zeros(self, input_shape)

    def _build_unpacked(
        self, input_shape: tuple[int, ...], random: np.random.Generator, dtype: np.dtype
    ) -> None:
        """Build the layer, but leave its parameters outside of a network's vector; see `pack`."""
        self._unbuild()
        self.input_shape, self.dtype, self._random = input_shape, dtype, random
        try:
            self.create_parameters(input_shape)
            require_parameters_of_all_gradients(self)
            self.output_shape = self.infer_output_shape(input_shape)
        finally:
            del self._random

    @contextmanager
    def training_mode(self) -> Iterator[Layer]:
        """Context in which the layers are in training mode; noise changes only in `end_step`."""
        with in_mode(self, training=True):
            yield self

    @contextmanager
    def inference_mode(self) -> Iterator[Layer]:
        """Context in which the layers are in inference mode, also inside `training_mode`.

        Examples
        --------
        >>> from layernet import Dropout
        >>> net = Dropout(0.5).build(3, random_state=0)
        >>> with net.training_mode(), net.inference_mode():
        ...     net.forward_pass([[1.0, 2.0, 3.0]])
        array([[1., 2., 3.]])
        """
        with in_mode(self, training=False):
            yield self

    # --- validation of arguments ---

    def validate_batch_size(self, n_rows: int) -> None:
        """Raise an error if the layer cannot be trained on batches of this size.

        Parameters
        ----------
        n_rows : int
            Rows of a full batch; the last batch of an epoch may be smaller.
        """

    def validate_inputs(self, inputs: Any) -> np.ndarray:
        """Convert inputs to the layer's type and check their shape; build the layer if it is not built.

        Sparse rows stay sparse for a layer with `accepts_sparse`, and become an array for any other.

        Raises
        ------
        TypeError
            If the inputs are not numbers.
        ValueError
            If the inputs have another shape than the layer was built for.
        """
        return as_valid_inputs(self, inputs)

    def validate_gradient(self, grad_output: Any, output_shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Convert a gradient to the layer's type and check that it has the outputs' shape."""
        grad_output = as_float_array(grad_output, dtype, True, f"grad_output of {type(self).__name__}")
        if grad_output.shape != output_shape:
            raise ValueError(
                f"{self!r} expects grad_output of the shape of its outputs, {output_shape}, "
                f"got {grad_output.shape}."
            )
        return grad_output
