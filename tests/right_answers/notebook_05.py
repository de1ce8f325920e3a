"""Right answers to the exercises of notebook 5, in unusual forms."""

import copy
import math

import numpy as np

from layernet import Dense, ReLU, Sequential


def by_parts(weights, bias, points):
    length = math.hypot(*weights)
    return (points * weights).sum(axis=1) / length + bias / length


def point_by_point(weights, bias, points):
    return [(float(point @ weights) + bias) / float(weights @ weights) ** 0.5 for point in points]


def from_the_nearest_point(weights, bias, points):
    foot = -bias * weights / (weights @ weights)
    return np.einsum("nj,j", points - foot, weights / math.dist(weights, (0, 0)))


exercise_1 = [by_parts, point_by_point, from_the_nearest_point]


def square(scale, steepness, dtype=np.float64, build=True):
    """Folds of another steepness, in another order."""
    guards, output = Dense(4), Dense(1)
    guards.weights = scale * np.array([[0.0, -1.0, 0.0, 1.0], [-1.0, 0.0, 1.0, 0.0]])
    guards.bias = np.full(4, -scale)
    output.weights = np.full((4, 1), -steepness)
    output.bias = np.array([1.0])
    network = Sequential([guards, ReLU(), output])
    return network.build(2, dtype=dtype) if build else network


exercise_2 = [
    lambda: square(1.0, 1e6),
    lambda: square(50.0, 2.0),
    lambda: square(1.0, 25.0),
    lambda: square(1.0, 200.0, dtype=np.float32),
    lambda: square(3.0, 100.0, build=False),
]


def one_object(network, X, y, loss, rates):
    """The network with its loss as one function, moved by its vectors."""
    whole = Sequential([copy.deepcopy(network), loss.bind(y)])
    losses = []
    for rate in rates:
        losses.append(float(whole.forward_pass(X)))
        whole.backward_pass(X, np.array(1.0))
        whole.layers[0].parameter_vector[:] -= rate * whole.layers[0].gradient_vector
    return losses


def by_records(network, X, y, loss, rates):
    trained, bound, losses = copy.deepcopy(network), loss.bind(y), np.zeros(len(rates))
    for place, rate in enumerate(rates):
        outputs, record = trained.record(X)
        losses[place] = bound.forward_pass(outputs)
        trained.backward_from(record, bound.backward_pass(outputs))
        for name, array in trained.parameters.items():
            array -= rate * trained.gradients[name]
    return losses


def put_back(network, X, y, loss, rates):
    """The network itself is trained, and gets its parameters back."""
    before, bound, losses = network.parameter_vector.copy(), loss.bind(y), []
    for rate in rates:
        outputs = network.forward_pass(X)
        losses.append(bound.forward_pass(outputs))
        network.backward_pass(X, bound.backward_pass(outputs))
        network.parameter_vector[:] -= rate * network.gradient_vector
    network.parameter_vector[:] = before
    return np.array(losses)


exercise_3 = [one_object, by_records, put_back]
