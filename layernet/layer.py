"""The contract of a layer: `forward_pass(inputs)` and `backward_pass(inputs, grad_output)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from layernet.display.summary import summary_html, summary_text
from layernet.gradient_names import require_parameters_of_gradients
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
from layernet.hints import FIT_HINTS, with_argument_hints
from layernet.parameters import NotBuiltError, ParameterContainer, pack
from layernet.sampling import sample_passes
from layernet.validation import as_feature_shape, as_float_array, as_generator

__all__ = ["Layer", "NotBuiltError"]

FORWARD = Pass("way forward", "forward_pass", "record")
BACKWARD = Pass("way back", "backward_pass", "backward_from")


class Layer(ParameterContainer):
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
        The layers inside this one, in order; a container sets it.
    training : bool
        Whether the layer is inside `training_mode()`. False unless one says otherwise.
    input_shape, output_shape : tuple of int, or None before `build`
        Without the batch axis, which comes first in every array.
    dtype : numpy.dtype, or None before `build`
        The type that the parameters have and that the layer computes in.
    accepts_sparse : bool
        Whether the passes take sparse rows as well: a `scipy.sparse.csr_array` of the layer's type in the place
        of the inputs. Every other layer is given dense batches. A class that defines a pass says so for itself:
        it does not inherit the declaration.
    draws_noise : bool
        Whether the layer adds noise in training, which `sample_passes` has it draw.
    output_bounds : tuple of two floats, or None
        Bounds (low, high) of every output of an elementwise activation that is bounded on both sides, as
        (0, 1) of `Sigmoid`; None for any other layer. The monitor counts outputs near them as saturated.
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
    draws_noise = False
    output_bounds: tuple[float, float] | None = None
    # In training, a layer that says it sees the batch is told what the samples weigh, a number for each, how
    # many rows a full batch has, and the mean weight of all training data. In a loop by hand all are None.
    uses_batch_info = False
    batch_weights: np.ndarray | None = None
    batch_rows: np.ndarray | None = None
    batch_full_rows: int | None = None
    batch_mean_weight: float | None = None
    accepts_sparse = False
    output_shape: tuple[int, ...] | None = None
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
            cls.backward_pass = with_checked_gradient(vars(cls)["backward_pass"])

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
        return self.backward_from(record, self.validate_gradient(grad_output, np.shape(outputs), outputs.dtype))

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
        if not is_ready_input(self, inputs):
            inputs = self.validate_inputs(inputs)
        return forward_unchecked(self, inputs), inputs

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
        require_distinct_layers(self)
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

    @with_argument_hints(FIT_HINTS)
    def fit(
        self,
        X,
        y=None,
        loss=None,
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
        engine: str = "auto",
    ):
        """Train on data; all arguments are explained in `layernet.training.fit`.

        Returns
        -------
        History
            What every epoch came to.
        """
        # The contract knows nothing of training; this is a door to it for those who hold a network.
        from layernet.training.fitting import fit

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
            engine=engine,
        )

    def compile_for_inference(self, engine: str = "auto"):
        """The network as a function that computes its outputs in inference mode, as fast as possible.

        Parameters
        ----------
        engine : {"auto", "compiled", "formulas"}, default="auto"
            As in `layernet.engine.inference.InferencePlan`.

        Returns
        -------
        InferencePlan
            To be called with inputs. It sees later changes of this network.

        Examples
        --------
        >>> from layernet import Dense
        >>> predict = Dense(2, weights_initializer="ones").build(3).compile_for_inference()
        >>> predict([[1.0, 2.0, 3.0]])
        array([[6., 6.]])
        """
        from layernet.engine.inference import InferencePlan

        return InferencePlan(self, engine)

    def summary(self) -> str:
        """A table of the layers inside: what goes out of each, and how many parameters it has.

        Returns
        -------
        str
        """
        return summary_text(self)

    def _repr_html_(self) -> str:
        return summary_html(self)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        """Call `add_parameter` and `add_state` for all that the layer needs; most need nothing.

        Parameters
        ----------
        input_shape : tuple of int
            Without the batch axis.
        """

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

        Found by passing a few rows of zeros through the layer; a layer may say it outright.

        Raises
        ------
        ValueError
            If the outputs have not one row for each sample, and are not a single number, a loss.
        """
        if self.output_shape is not None and input_shape == self.input_shape:
            return self.output_shape
        return infer_shape_from_zeros(self, input_shape)

    def _build_here(self, input_shape, random, dtype):
        self._forget()
        self.input_shape, self.dtype, self._random = input_shape, dtype, random
        try:
            self.create_parameters(input_shape)
            require_parameters_of_gradients(self)
            self.output_shape = self.infer_output_shape(input_shape)
        finally:
            del self._random

    @contextmanager
    def training_mode(self) -> Iterator[Layer]:
        """Within this context layers behave as in training; passes repeat one noise until `end_step`."""
        with in_mode(self, training=True):
            yield self

    @contextmanager
    def inference_mode(self) -> Iterator[Layer]:
        """Within `with net.inference_mode():` the layers behave as in inference, also inside `training_mode`.

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

    def sample_passes(self, inputs, n: int, random_state=None) -> np.ndarray:
        """Outputs of passes with new noise in each (Monte Carlo dropout); see `layernet.sampling`.

        Returns
        -------
        ndarray of shape (n, n_samples, ...)
        """
        return sample_passes(self, inputs, n, random_state)

    # --- what comes in ---

    def validate_batch_size(self, n_rows: int) -> None:
        """Raise an error if the layer cannot be trained on batches of so many rows; most can.

        Parameters
        ----------
        n_rows : int
            Of a full batch; the last batch of an epoch may be smaller.
        """

    def validate_inputs(self, inputs: Any) -> np.ndarray:
        """Inputs as the formulas take them: converted, and checked; an unbuilt layer is built for them.

        Sparse rows stay sparse for a layer that accepts them, and become an array for any other.

        Raises
        ------
        TypeError
            If they are not numbers.
        ValueError
            If the shape is not the one that the layer was built for.
        """
        return as_valid_inputs(self, inputs)

    def validate_gradient(self, grad_output: Any, output_shape: tuple[int, ...], dtype) -> np.ndarray:
        """A gradient as the formulas take it: converted, and of the outputs' shape or refused."""
        grad_output = as_float_array(grad_output, dtype, True, f"grad_output of {type(self).__name__}")
        if grad_output.shape != output_shape:
            raise ValueError(
                f"{self!r} expects grad_output of the shape of its outputs, {output_shape}, "
                f"got {grad_output.shape}."
            )
        return grad_output
