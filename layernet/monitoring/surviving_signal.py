"""The share of a signal that survives the noise of training."""

from __future__ import annotations

import numpy as np

from layernet.layer import Layer
from layernet.layers.noise import NoiseLayer
from layernet.monitoring.activations import Heard
from layernet.monitoring.own_layers import PASSES, is_own


def surviving_signals(heard: dict[str, Heard]) -> dict[str, float]:
    """For each layer with noise, the share of what comes out of it that is signal.

    With a and b the outputs of the same rows under two draws of the noise:

        noise = mean (a - b)**2 / 2,   signal = mean of a b,   share = signal / (signal + noise)

    for a layer that silences units, as Dropout(rate) does: 1 - rate. Where noise is added, a and b are taken
    less their means over the rows, for a constant carries no signal.

    Parameters
    ----------
    heard : dict of str to Heard
        The layers of a copy of the network, with the inputs of each; noise moves on in them.

    Returns
    -------
    dict of str to float
        Between 0 and 1; layers without noise are left out.
    """
    shares = {}
    for name, each in heard.items():
        layer = each.layer
        if layer.layers or not (isinstance(layer, NoiseLayer) or is_own(layer, PASSES)):
            continue
        first, second = two_draws(layer, each.inputs)
        if np.array_equal(first, second):
            continue
        silences = bool(((first == 0) != (second == 0)).any())
        shares[name] = share_of_signal(first, second, around_zero=silences)
    return shares


def two_draws(layer: Layer, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a layer makes of the same rows in two steps of training, as float64."""
    draws = []
    with layer.training_mode(), np.errstate(all="ignore"):
        for _ in range(2):
            draws.append(np.array(layer.forward_pass(inputs), dtype=np.float64))
            layer.end_step()
    return draws[0], draws[1]


def share_of_signal(first: np.ndarray, second: np.ndarray, around_zero: bool = False) -> float:
    """The share of signal in two draws of the same rows: 1 if they are equal, 0 if they are unrelated.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, ...)
    around_zero : bool, default=False
        Whether a constant counts as signal.

    Returns
    -------
    float
        NaN where both are constant.

    Examples
    --------
    >>> rows = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    >>> share_of_signal(rows, rows), share_of_signal(rows, np.zeros((4, 1)))
    (1.0, 0.0)
    """
    if not around_zero:
        first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    with np.errstate(all="ignore"):
        noise = float(np.square(first - second).mean()) / 2
        signal = max(float((first * second).mean()), 0.0)
        return float(np.divide(signal, signal + noise))
