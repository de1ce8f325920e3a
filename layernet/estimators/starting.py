"""The parameters that a fit starts from, and the state that it returns to if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import BaseEstimator

from layernet.layer import Layer
from layernet.training.snapshot import Snapshot
from layernet.validation import require_finite


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as fitted, or as unfitted, as it was if what follows fails."""
    before = dict(vars(estimator))
    network = before.get("network_")
    snapshot = None if network is None else Snapshot(network)
    random = before.get("_random_state")
    drawn_so_far = None if random is None else random.get_state()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if snapshot is not None:
            snapshot.restore()
        if random is not None:
            random.set_state(drawn_so_far)
        raise


def copy_parameters(source: Any, network: Layer) -> None:
    """Start a network from the parameters of another: a layer, or an estimator of ours or scikit-learn's."""
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
    own = network.parameters
    shapes, wanted = [value.shape for value in values], [parameter.shape for parameter in own.values()]
    if shapes != wanted:
        raise ValueError(f"init_from has parameters of the shapes {shapes}, and this network of {wanted}.")
    for parameter, value in zip(own.values(), values, strict=True):
        require_finite(value, "parameters of init_from", network.dtype)
        parameter[...] = value
    if isinstance(source, Layer) and source.state().keys() == network.state().keys():
        network.load_state(source.state())
