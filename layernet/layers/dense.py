"""Fully connected layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

import functools

import numpy as np

from layernet.initializers import InitialValues, as_initializer
from layernet.layer import Layer
from layernet.sparse import write_weight_gradient
from layernet.validation import require_bool, require_number


class Dense(Layer):
    r"""Fully connected layer: each unit is a weighted sum of all inputs.

    outputs = inputs @ weights + bias. With G = grad_output,

    - grad_weights = inputs\ :sup:`T` @ G, summed over the batch by the product itself,
    - grad_bias = sum of the rows of G,
    - grad_inputs = G @ weights\ :sup:`T`.

    Sparse rows are not converted: the cost of a pass is proportional to the number of their entries.
    grad_weights is 0 for features that do not occur in the batch.

    Parameters
    ----------
    units : int
        Number of outputs, at least 1.
    use_bias : bool, default=True
    weights_initializer : str or callable, default="glorot_uniform"
        A name from `layernet.initializers`, or a function of the shape and a random generator.
    bias_initializer : str or callable, default="zeros"
    weights_rate, bias_rate : float, default=1.0
        Factors of the optimizer's learning rate for the weights and the bias. With weights_rate =
        1 / sqrt(inputs) and weights drawn with deviation 1 / sqrt(inputs), Adam's steps change the outputs
        alike for every number of inputs (Jacot, Gabriel and Hongler, 2018, have the parametrization).

    Attributes
    ----------
    weights, grad_weights : ndarray of shape (inputs, units)
    bias, grad_bias : ndarray of shape (units,)
        Only with `use_bias`.

    Raises
    ------
    ValueError
        If inputs have another width than the layer was built for.

    Examples
    --------
    >>> import numpy as np
    >>> dense = Dense(2).build(3)
    >>> dense.weights = [[1, 0], [0, 1], [1, 1]]
    >>> dense.forward_pass([[1.0, 2.0, 3.0]])
    array([[4., 5.]])
    >>> dense.backward_pass([[1.0, 2.0, 3.0]], [[1.0, 0.0]])
    array([[1., 0., 1.]])
    >>> dense.grad_weights
    array([[1., 0.],
           [2., 0.],
           [3., 0.]])

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors.
    """

    accepts_sparse = True

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        weights_initializer: str | InitialValues = "glorot_uniform",
        bias_initializer: str | InitialValues = "zeros",
        weights_rate: float = 1.0,
        bias_rate: float = 1.0,
    ) -> None:
        if not isinstance(units, (int, np.integer)) or isinstance(units, bool) or units < 1:
            raise ValueError(f"Dense: units must be a positive integer, got {units!r}.")
        if isinstance(use_bias, str):
            raise TypeError(
                f"Dense: use_bias must be True or False, got {use_bias!r}. An activation is a layer of its "
                f"own: Sequential([Dense({units}), {use_bias!r}])."
            )
        if isinstance(use_bias, int) and not isinstance(use_bias, bool):
            raise TypeError(
                f"Dense: use_bias must be True or False, got {use_bias!r}. The number of inputs is inferred: "
                f"Dense({units})."
            )
        self.units = units
        self.use_bias = require_bool(self, "use_bias", use_bias)
        as_initializer(weights_initializer, "Dense: weights_initializer")
        as_initializer(bias_initializer, "Dense: bias_initializer")
        self.weights_initializer = weights_initializer
        self.bias_initializer = bias_initializer
        self.weights_rate = require_number(self, "weights_rate", weights_rate, at_least=0)
        self.bias_rate = require_number(self, "bias_rate", bias_rate, at_least=0)

    def create_parameters(self, input_shape: tuple[int, ...]) -> None:
        if input_shape == ():
            raise ValueError(
                f"{self!r} expects inputs of shape (n_samples, features), got one number a sample, of shape "
                "(n_samples,). Keep the axis in what comes before it, as by x.sum(axis=1, keepdims=True)."
            )
        if len(input_shape) != 1:
            raise ValueError(
                f"{self!r} expects inputs of shape (n_samples, features), got features of shape "
                f"{input_shape}. Put Flatten() before it, or reshape the data."
            )
        shape = input_shape[0], self.units
        self.add_parameter("weights", shape, self.weights_initializer, rate=self.weights_rate)
        if self.use_bias:
            self.add_parameter("bias", self.units, self.bias_initializer, decay=False, rate=self.bias_rate)

    def forward_pass(self, inputs: np.ndarray) -> np.ndarray:
        outputs = inputs @ self.weights
        if self.use_bias:
            outputs += self.bias
        return outputs

    def backward_from(self, inputs: np.ndarray, grad_output: np.ndarray) -> np.ndarray:
        self.parameter_gradients(inputs, grad_output)
        return grad_output @ self.weights.T

    def parameter_gradients(self, inputs: np.ndarray, grad_output: np.ndarray) -> None:
        if isinstance(inputs, np.ndarray):
            np.matmul(inputs.T, grad_output, out=self.grad_weights)
        else:
            write_weight_gradient(inputs, grad_output, self.grad_weights)
        if self.use_bias:
            # The sum of the rows as a matrix product, which is twice as fast as a sum over axis 0.
            np.matmul(row_of_ones(len(grad_output), grad_output.dtype), grad_output, out=self.grad_bias)


@functools.lru_cache(maxsize=8)
def row_of_ones(n_samples: int, dtype: np.dtype) -> np.ndarray:
    """Return a vector of ones; batches of one size share it."""
    ones = np.ones(n_samples, dtype)
    ones.flags.writeable = False
    return ones
