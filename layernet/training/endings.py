"""Endings of a network that are refused: one number for all rows, or the activation of its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from layernet.containers import Concat, chain_of
from layernet.layer import Layer
from layernet.layers.saturating import HardSigmoid, logistic
from layernet.layers.softmax import softmax
from layernet.losses.loss import Loss
from layernet.user_warnings import warn_user

# Functions whose values are probabilities. As logits, numbers between 0 and 1 hardly differ.
PROBABILITIES = (softmax, logistic, lambda inputs: HardSigmoid().forward_pass(inputs))


def refuse_one_number(network: Layer) -> None:
    """Raise an error if a network puts out one number for all rows, as a loss does, and no row for each.

    Parameters
    ----------
    network : Layer
        Built.

    Raises
    ------
    ValueError
        If it does.
    """
    if network.output_shape == () and not np.ndim(
        network.forward_pass(np.zeros((2, *network.input_shape), network.dtype))
    ):
        *_, last = chain_of(network)
        raise ValueError(
            f"The network ends in {last!r}, which puts out one number for all rows. Leave out what sums or "
            "averages over the rows; a loss is an argument of fit."
        )


def refuse_doubled_activation(network: Layer, loss: Loss) -> None:
    """Raise an error if a network ends in the activation that its loss applies itself.

    A sigmoid of a sigmoid lies between 1/2 and 0.73: such a classifier predicts one class for all rows, and
    nothing else shows that it has learned nothing. Activations are recognized by what they compute, so that
    those of users are found too; layers behind them that change no value in inference, such as `Flatten` and
    `Dropout`, do not hide them.

    Parameters
    ----------
    network : Layer
        Built.
    loss : Loss

    Raises
    ------
    ValueError
        If the network ends in the loss's `output_activation`.

    Warns
    -----
    UserWarning
        If it ends in another function whose values are probabilities, and the loss does not take these.
    """
    takes_any_outputs = loss.output_kind == Loss.output_kind
    if takes_any_outputs and loss.output_activation is None:
        return
    taken = "raw outputs" if takes_any_outputs else loss.output_kind
    for layers in endings(network):
        for index, last in enumerate(layers):
            if loss.output_activation is not None and computes(layers[index:], loss.output_activation):
                raise ValueError(
                    f"{loss!r} takes {taken} and applies their activation itself, but the network ends in "
                    f"{last!r}, which applies it too. Leave that layer out; for predictions put it behind the "
                    "trained network: Sequential([*net, layer])."
                )
            if takes_any_outputs:
                continue
            if any(computes(layers[index:], probabilities) for probabilities in PROBABILITIES):
                warn_user(
                    f"{loss!r} takes {taken}, but the network ends in {last!r}, whose outputs lie "
                    "between 0 and 1: too small a range to reach the targets. Leave that layer out."
                )
                return


def endings(network: Layer) -> Iterator[list[Layer]]:
    """The layers without parameters at the end of a network; of a `Concat` there, those of each branch.

    Parameters
    ----------
    network : Layer

    Yields
    ------
    list of Layer
        In their order.
    """
    tail: list[Layer] = []
    for layer in reversed(list(chain_of(network))):
        if type(layer) is Concat:
            for branch in layer.layers:
                for inner in endings(branch):
                    yield [*inner, *tail]
            return
        if layer.has_parameters:
            break
        tail.insert(0, layer)
    yield tail


def computes(layers: list[Layer], function: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether layers, one after the other, compute a function, tried on a few rows of numbers."""
    shape, dtype = layers[0].input_shape, layers[0].dtype
    if not shape:
        return False
    inputs = np.random.default_rng(0).uniform(-3, 3, (4, *shape)).astype(dtype)
    outputs, expected = inputs, function(inputs)
    try:
        with np.errstate(all="ignore"):
            for layer in layers:
                outputs = layer.forward_pass(outputs)
    except Exception:  # a layer that does not take these numbers, or these shapes, computes something else
        return False
    return np.size(outputs) == expected.size and np.allclose(np.ravel(outputs), np.ravel(expected), atol=1e-5)
