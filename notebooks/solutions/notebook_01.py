"""Solutions to the exercises of notebook 1."""

import numpy as np

from layernet import Layer


def exercise_1(inputs, grad_output):
    """The backward pass of the softsign, x / (1 + |x|).

    For positive x the quotient rule gives ((1 + x) - x) / (1 + x)**2 = 1 / (1 + x)**2. The function is odd, so
    its derivative is even: put |x| in the place of x, and it holds for negative inputs too, and at 0. The chain
    rule multiplies by grad_output, entry by entry. The division makes a new array; `grad_output /= ...` would
    write to the caller's.
    """
    return grad_output / (1 + np.abs(inputs)) ** 2


class ParametricReLU(Layer):
    """A rectifier whose slope on the negative side is learned, one for each feature.

    Where an input is negative, the output is slope * input: its derivative with respect to the input is the
    slope, and with respect to the slope it is the input. Where it is positive, these are 1 and 0. One slope
    serves all rows of the batch, so its gradient is the sum over them, and not their mean. It is assigned: `+=`
    would carry the last batch over into this one.
    """

    def create_parameters(self, input_shape):
        self.add_parameter("slope", input_shape, "zeros")

    def forward_pass(self, inputs):
        return np.maximum(inputs, 0) + self.slope * np.minimum(inputs, 0)

    def backward_pass(self, inputs, grad_output):
        self.grad_slope = (grad_output * np.minimum(inputs, 0)).sum(axis=0)
        return np.where(inputs > 0, grad_output, self.slope * grad_output)


exercise_2 = ParametricReLU


class Corrected(Layer):
    """Each row divided by its length: the right backward pass of `UnitLength`.

    In the report on `suspects()` the parameters of layer 6 are right and those of layer 4 are wrong, so the
    fault is between them, in layer 5. Its backward pass takes the length r for a constant. But
    r = sqrt(1e-6 + x_1**2 + ... + x_d**2) has the derivatives dr/dx_j = x_j / r, so y_i = x_i / r has

        dy_i/dx_j = 1[i = j] / r - x_i x_j / r**3 = (1[i = j] - y_i y_j) / r,

    and grad_inputs_j = sum_i G_i dy_i/dx_j = (G_j - y_j sum_i G_i y_i) / r. One sum for each row takes the
    place of the matrix. In pictures: of G there remains what is perpendicular to the row, since to stretch a
    row does not change its direction.
    """

    def forward_pass(self, inputs):
        return inputs / self.length(inputs)

    def backward_pass(self, inputs, grad_output):
        outputs = self.forward_pass(inputs)
        along = (grad_output * outputs).sum(axis=1, keepdims=True)
        return (grad_output - outputs * along) / self.length(inputs)

    def length(self, inputs):
        """The length of each row, as a column."""
        return np.sqrt(1e-6 + (inputs**2).sum(axis=1, keepdims=True))


exercise_3 = Corrected
