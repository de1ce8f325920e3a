"""Errors for unsuitable last layers: a reduction over the rows, or the activation of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from layernet.containers import Concat, chain_of
from layernet.layer import Layer
from layernet.layers.saturating import HardSigmoid, logistic
from layernet.layers.softmax import softmax
from layernet.losses.loss import Loss
from layernet.user_warnings import warn_user

# Functions whose values are probabilities. Numbers between 0 and 1 have too small a range to be logits.
PROBABILITIES = (softmax, logistic, lambda inputs: HardSigmoid().forward_pass(inputs))


def refuse_scalar_output(network: Layer) -> None:
    """Raise an error if the output of a network is one number for all rows, like a loss.

    Parameters
    ----------
    network : Layer
        Built.

    Raises
    ------
    ValueError
        If the output for two rows is one number.
    """
    if network.output_shape == () and not np.ndim(
        network.forward_pass(np.zeros((2, *network.input_shape), network.dtype))
    ):
        *_, last = chain_of(network)
        raise ValueError(
            f"The network ends in {last!r}, whose output is one number for all rows. Remove the layer that "
            "sums or averages over the rows; a loss is an argument of fit."
        )


def refuse_doubled_activation(network: Layer, loss: Loss) -> None:
    """Raise an error if a network ends in the activation that its loss applies itself.

    A sigmoid of a sigmoid lies between 1/2 and 0.73: such a classifier predicts one class for all rows, without
    any other sign that it learned nothing. Activations are recognized by their values, so that those of users
    are found too, also before layers that change no value in inference, such as `Flatten` and `Dropout`.

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
        If the network ends in another function whose values are probabilities, and the loss takes no
        probabilities.
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
                    f"{last!r}, which applies it too. Remove that layer; for predictions append it to the "
                    "trained network: Sequential([*net, layer])."
                )
            if takes_any_outputs:
                continue
            if any(computes(layers[index:], probabilities) for probabilities in PROBABILITIES):
                warn_user(
                    f"{loss!r} takes {taken}, but the network ends in {last!r}, whose outputs lie "
                    "between 0 and 1: too small a range to reach the targets. Remove that layer."
                )
                return


def endings(network: Layer) -> Iterator[list[Layer]]:
    """Return the layers without parameters at the end of a network; for each branch of a `Concat` at the end.

    Parameters
    ----------
    network : Layer

    Yields
    ------
    list of Layer
        The layers in the order of the forward pass.
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
    """Return whether a chain of layers computes a function, compared on four rows of random numbers."""
    shape, dtype = layers[0].input_shape, layers[0].dtype
    if not shape:
        return False
    inputs = np.random.default_rng(0).uniform(-3, 3, (4, *shape)).astype(dtype)
    outputs, expected = inputs, function(inputs)
    try:
        with np.errstate(all="ignore"):
            for layer in layers:
                outputs = layer.forward_pass(outputs)
    except Exception:  # a layer that refuses these numbers or shapes computes something else
        return False
    return np.size(outputs) == expected.size and np.allclose(np.ravel(outputs), np.ravel(expected), atol=1e-5)
