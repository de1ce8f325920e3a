"""Construction of a graph from a network and a sample, and the lecture's example."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernet.containers import Sequential, chain_of
from layernet.graph.chain import LayerGraph
from layernet.graph.computation import ComputationGraph
from layernet.graph.neurons import unknown_name_message
from layernet.graph.structure import NotNeuronsError, columns_of
from layernet.layer import Layer, NotBuiltError
from layernet.layers import Dense, Sigmoid
from layernet.losses.loss import BoundLoss, Loss
from layernet.losses.names import find_loss
from layernet.sparse import is_sparse
from layernet.validation import as_float_array

# The lecture's example with round numbers: no neuron saturates, and no two derivatives are equal.
LECTURE_WEIGHTS = ([[1.0, -2.0], [1.5, 0.5]], [[2.0, -1.0], [1.0, 1.5]], [[1.5], [-2.0]])
LECTURE_BIASES = ([0.5, 1.0], [-1.0, 0.5], [0.5])
LECTURE_SAMPLE = [1.0, -0.5]


def computation_graph(
    network: Layer,
    sample: Any,
    target: Any = None,
    loss: str | Loss | None = None,
    of: str | None = None,
    names: Sequence[str] | None = None,
) -> ComputationGraph | LayerGraph:
    """Build the graph of a network at one sample: neurons, values, gradients, and derivatives on edges.

    Parameters
    ----------
    network : Layer
        Built. `Dense` and elementwise layers in a `Sequential` give a graph of neurons; the last layer may be a
        bound loss. The graph holds a copy in inference mode; the network is not changed.
    sample : array-like of shape (n_features,) or (1, n_features)
        The values of the inputs.
    target : object, default=None
        Target of the sample, as the loss takes it: a class, a number, or an array of numbers.
    loss : str or Loss, default=None
        Adds the loss L as the last node; needs `target`.
    of : str, default=None
        Name of the differentiated node; None for the loss, or without a loss for the largest output.
    names : sequence of str, default=None
        A letter for each column of neurons, the inputs first. None for the lecture's letters: x, z, h, p, L.

    Returns
    -------
    ComputationGraph or LayerGraph
        A `LayerGraph`, with the reason, if single neurons cannot be drawn: a layer has more axes, or there are
        more than a thousand neurons.

    Raises
    ------
    NotBuiltError
        If the network is not built.
    TypeError
        If `network` is not a network, or the sample is not numerical.
    ValueError
        If the sample does not fit, or one of `target` and `loss` is missing.
    KeyError
        If there is no node `of`; the message lists similar names.

    Examples
    --------
    >>> from layernet import Dense, Sequential, Sigmoid
    >>> net = Sequential([Dense(2), Sigmoid(), Dense(1)]).build(2, random_state=0)
    >>> graph = computation_graph(net, [1.0, -1.0], target=0.0, loss="mean_squared_error")
    >>> graph
    <ComputationGraph 2-2-1: derivatives of L>
    >>> [node.name for node in graph.nodes]
    ['x1', 'x2', 'h1', 'h2', 'p', 'L']
    >>> bool(graph.verify())
    True

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors. Reverse mode:
    Linnainmaa (1976), Taylor expansion of the accumulated rounding error.
    """
    if not isinstance(network, Layer):
        hint = " Pass its attribute network_." if hasattr(network, "network_") else ""
        raise TypeError(f"computation_graph draws a layer or a network, got {type(network).__name__}.{hint}")
    if network.input_shape is None:
        shape = np.shape(sample)
        shape = shape[0] if len(shape) == 1 else shape
        raise NotBuiltError(
            f"The graph of {network!r} needs parameters: call build({shape}) or train it first."
        )
    if (target is None) != (loss is None):
        given, missing = ("target", "loss") if loss is None else ("loss", "target")
        raise ValueError(f"computation_graph was given a {given} and no {missing}: the node L needs both.")
    has_loss = isinstance(list(chain_of(network))[-1], BoundLoss)
    if has_loss and loss is not None:
        raise ValueError(f"{network!r} ends in its loss already: leave target and loss out.")
    sample = as_sample(network, sample)
    chain: list[Layer] = [copy.deepcopy(network)]
    if loss is not None:
        chain.append(find_loss(loss).bind(as_targets(network, target)))
    complete = Sequential(chain)
    complete.build(sample.shape, dtype=network.dtype)
    try:
        columns = columns_of(complete, sample, names)
    except NotNeuronsError as reason:
        for argument, value in (("of", of), ("names", names)):
            if value is not None:
                raise ValueError(f"{argument}={value!r} refers to single neurons, but {reason}.") from None
        return LayerGraph(complete, sample, str(reason))
    symbols = {str(symbol): symbol for column in columns[1:] for symbol in column.symbols}
    if of is None:
        of = str(columns[-1].symbols[int(np.argmax(columns[-1].values))])
    elif of not in symbols:
        raise KeyError(unknown_name_message("node to derive", of, list(symbols)))
    return ComputationGraph(complete, columns, symbols[of])


def as_targets(network: Layer, target: Any) -> np.ndarray:
    """Return a batch with one target, from a class, a number, an array of numbers, or such a batch."""
    target = np.array(target)  # a copy: later changes of the array do not change the graph
    is_row = target.shape == network.output_shape or target.ndim == 0 or target.shape[0] != 1
    return target[None] if is_row else target


def as_sample(network: Layer, sample: Any) -> np.ndarray:
    """Return one sample without batch axis, in the network's type."""
    sample = sample.toarray() if is_sparse(sample) else sample
    # A copy: later changes of the array do not change the graph.
    sample = np.array(as_float_array(sample, network.dtype, convert=True, name="sample"))
    if sample.shape == (1, *(network.input_shape or ())):
        sample = sample[0]
    if sample.shape != network.input_shape:
        raise ValueError(
            f"sample must be one row of shape {network.input_shape}, got {sample.shape}. Give X[0], not X."
        )
    if not np.isfinite(sample).all():
        raise ValueError("sample must be finite numbers, got NaN or infinity.")
    return sample


def lecture_graph(target: float | None = None) -> ComputationGraph:
    """Build the lecture's example: two inputs, hidden layers z and h of two sigmoid neurons, one output p.

    Parameters
    ----------
    target : float, default=None
        Target from 0 to 1; adds the squared error L = (p - target)**2.

    Returns
    -------
    ComputationGraph
        With round weights, for calculations by hand.

    Examples
    --------
    >>> print(lecture_graph().levels())  # doctest: +ELLIPSIS
    3:  dp/dh1 = ...
    >>> lecture_graph(target=1).parameter("h2.w1").symbolic
    'dL/dw1 = dL/dp dp/dh2 dh2/dw1'
    """
    network = Sequential([layer for units in (2, 2, 1) for layer in (Dense(units), Sigmoid())]).build(2, 0)
    for layer, weights, bias in zip(network.layers[::2], LECTURE_WEIGHTS, LECTURE_BIASES, strict=True):
        layer.weights, layer.bias = weights, bias
    loss = None if target is None else "mean_squared_error"
    if target is not None and np.ndim(target):
        raise ValueError(
            f"lecture_graph: target must be one number, got {target!r}. The network has one output."
        )
    graph = computation_graph(network, LECTURE_SAMPLE, None if target is None else float(target), loss)
    assert isinstance(graph, ComputationGraph)
    return graph
