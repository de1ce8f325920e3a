"""Wrong answers to the exercises of notebook 5, See it learn."""

import copy

import numpy as np

from layernet import SGD, Dense, ReLU, Sequential, Sigmoid

exercise_1 = [
    # the weighted sum, not divided by the length of the weights
    lambda weights, bias, points: points @ weights + bias,
    # divided by the square of the length
    lambda weights, bias, points: (points @ weights + bias) / (weights @ weights),
    # the sign of the bias turned round
    lambda weights, bias, points: (points @ weights - bias) / np.linalg.norm(weights),
    # the bias not divided
    lambda weights, bias, points: points @ weights / np.linalg.norm(weights) + bias,
    # the side of the line is lost
    lambda weights, bias, points: np.abs(points @ weights + bias) / np.linalg.norm(weights),
    # the length of the points in place of the weights'
    lambda weights, bias, points: (points @ weights + bias) / np.linalg.norm(points, axis=1),
    # the sum of absolute values in place of the length
    lambda weights, bias, points: (points @ weights + bias) / np.abs(weights).sum(),
    # right, but as a column
    lambda weights, bias, points: ((points @ weights + bias) / np.linalg.norm(weights))[:, None],
]

EDGES = [[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]]


def network(weights=EDGES, bias=-1.0, output_weights=-100.0, output_bias=1.0, activation=ReLU):
    first, last = Dense(np.shape(weights)[1]), Dense(1)
    first.weights, first.bias = np.array(weights), np.full(np.shape(weights)[1], bias)
    last.weights, last.bias = np.full((np.shape(weights)[1], 1), output_weights), np.array([output_bias])
    return Sequential([first, activation(), last]).build(2)


exercise_2 = [
    # inside and outside exchanged
    lambda: network(output_weights=100.0, output_bias=-1.0),
    # the folds at the right places, but the output falls too slowly: the square comes out twice as wide
    lambda: network(output_weights=-1.0),
    # the folds go through the origin: a square of another size
    lambda: network(bias=0.0),
    # a square that stands on its corner
    lambda: network(weights=[[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]),
    # two edges twice, and no upper and lower edge: a strip
    lambda: network(weights=[[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]]),
    # the bias of the neurons has the wrong sign: positive nowhere
    lambda: network(bias=1.0),
    # positive everywhere
    lambda: network(output_weights=0.0),
    # two edges only: a corner that never ends
    lambda: network(weights=[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]),
    # sigmoids in place of folds
    lambda: network(activation=Sigmoid),
    # drawn at random
    lambda: Sequential([Dense(4), ReLU(), Dense(1)]).build(2, random_state=0),
    # the arrays, and not a network
    lambda: (np.array(EDGES), np.full(4, -1.0), np.full((4, 1), -100.0), np.array([1.0])),
    # eight neurons, two for each edge
    lambda: network(weights=np.hstack([EDGES, EDGES]), output_weights=-50.0),
]


def steps(network, X, y, loss, rates, before=True, keep=True, sign=1.0):
    bound, losses = loss.bind(y), []
    start = copy.deepcopy(network)
    for rate in rates:
        trained = network if keep else copy.deepcopy(start)
        outputs = trained.forward_pass(X)
        losses.append(bound.forward_pass(outputs))
        trained.backward_pass(X, bound.backward_pass(outputs))
        trained.parameter_vector[:] -= sign * rate * trained.gradient_vector
        if not before:
            losses[-1] = bound.forward_pass(trained.forward_pass(X))
    return np.array(losses)


def with_momentum(network, X, y, loss, rates):
    trained, bound, losses, optimizer = copy.deepcopy(network), loss.bind(y), [], SGD(1.0, momentum=0.9)
    for rate in rates:
        outputs = trained.forward_pass(X)
        losses.append(bound.forward_pass(outputs))
        trained.backward_pass(X, bound.backward_pass(outputs))
        optimizer.learning_rate = rate
        optimizer.update(trained)
    return np.array(losses)


def without_backward(network, X, y, loss, rates):
    trained, bound, losses = copy.deepcopy(network), loss.bind(y), []
    for rate in rates:
        losses.append(bound.forward_pass(trained.forward_pass(X)))
        SGD(rate).update(trained)
    return np.array(losses)


def sorts_in_place(network, X, y, loss, rates):
    # The caller's rates are in another order afterwards.
    rates.sort()
    return steps(copy.deepcopy(network), X, y, loss, rates)


def writes_to_X(network, X, y, loss, rates):
    # Right losses, but the caller's X is gone.
    losses = steps(copy.deepcopy(network), X, y, loss, rates)
    X *= 0
    return losses


exercise_3 = [
    # trains the network that was given
    lambda network, *rest: steps(network, *rest),
    # the loss after each step
    lambda network, *rest: steps(copy.deepcopy(network), *rest, before=False),
    # begins anew with each rate
    lambda network, *rest: steps(copy.deepcopy(network), *rest, keep=False),
    # begins anew with each rate, and takes the loss after the step
    lambda network, *rest: steps(copy.deepcopy(network), *rest, before=False, keep=False),
    # goes uphill
    lambda network, *rest: steps(copy.deepcopy(network), *rest, sign=-1.0),
    # no plain gradient descent
    with_momentum,
    # forgets the backward pass: the gradients are those that were there
    without_backward,
    # sorts the rates first
    lambda network, X, y, loss, rates: steps(copy.deepcopy(network), X, y, loss, np.sort(rates)),
    # one loss too many: also the one in the end
    lambda network, X, y, loss, rates: steps(copy.deepcopy(network), X, y, loss, [*rates, 0.0]),
    sorts_in_place,
    writes_to_X,
]
