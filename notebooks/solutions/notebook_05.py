"""Solutions to the exercises of notebook 5, See it learn."""

import copy

import numpy as np

from layernet import SGD, Dense, ReLU, Sequential


def exercise_1(weights, bias, points):
    """The distance of points from a neuron's line.

    Along the unit vector weights / |weights| the weighted sum z grows by |weights| for every unit of length,
    and on the line it is 0. So a point at the signed distance d has z = d |weights|; we divide z by the length.
    """
    return (points @ weights + bias) / np.linalg.norm(weights)


def exercise_2():
    """A square of four folds.

    Each neuron guards one edge: relu(x1 - 1) is 0 to the left of the line x1 = 1 and grows to the right of it,
    and likewise for -x1, x2 and -x2. Inside of the square all four are 0, and only the bias of the output is
    left, which is positive. Outside at least one is not, and with an output weight of -100 it has eaten up a
    bias of 1 after a hundredth. The larger that weight, the nearer the boundary lies to the edge.
    """
    guards, output = Dense(4), Dense(1)
    guards.weights = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    guards.bias = np.full(4, -1.0)
    output.weights = np.full((4, 1), -100.0)
    output.bias = np.array([1.0])
    return Sequential([guards, ReLU(), output]).build(2)


def exercise_3(network, X, y, loss, rates):
    """A learning-rate range test.

    The copy keeps its parameters from step to step, so each loss shows what all the rates before have done.
    The loss is written down before the step, when the forward pass has been done anyway; the update of the last
    rate is seen by nobody. Plain gradient descent has no memory, so a new `SGD` for each rate is as good as one
    whose learning rate is changed.
    """
    trained, bound, losses = copy.deepcopy(network), loss.bind(y), []
    for rate in rates:
        outputs = trained.forward_pass(X)
        losses.append(bound.forward_pass(outputs))
        trained.backward_pass(X, bound.backward_pass(outputs))
        SGD(rate).update(trained)
    return np.array(losses)
