"""Initial parameters that `fit(..., init_from=source)` copies from another model."""

from __future__ import annotations

from typing import Any

from layernet.layer import Layer
from layernet.validation import require_finite


def copy_parameters(source: Any, network: Layer) -> None:
    """Copy parameters and, where both have the same kind of state, the state of a model to a network.

    Parameters
    ----------
    source : Layer or estimator
        A built network, a fitted estimator of this package, or a fitted MLP of scikit-learn.
    network : Layer
        Built. It is changed in place.

    Raises
    ------
    TypeError
        If the source is neither a layer nor a fitted estimator with a network.
    ValueError
        If the shapes of the parameters differ, or a parameter is not finite in the network's type.
    """
    source = getattr(source, "network_", source)
    if isinstance(source, Layer):
        values = list(source.parameters.values())
    elif hasattr(source, "coefs_"):
        pairs = zip(source.coefs_, source.intercepts_, strict=True)
        values = [array for pair in pairs for array in pair]
    else:
        raise TypeError(
            f"init_from must be a fitted estimator with a network, or a Layer, got {type(source).__name__}."
        )
    parameters = list(network.parameters.values())
    source_shapes, shapes = [value.shape for value in values], [parameter.shape for parameter in parameters]
    if source_shapes != shapes:
        raise ValueError(
            f"init_from has parameters of the shapes {source_shapes}, and this network of {shapes}. Give a "
            "model with the same layers."
        )
    for parameter, value in zip(parameters, values, strict=True):
        require_finite(value, "parameters of init_from", network.dtype)
        parameter[...] = value
    if isinstance(source, Layer) and source.state().keys() == network.state().keys():
        network.load_state(source.state())
