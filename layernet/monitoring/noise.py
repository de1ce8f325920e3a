"""Share of signal in the outputs of layers that add noise in training."""

from __future__ import annotations

import numpy as np

from layernet.layer import Layer
from layernet.layers.noise import NoiseLayer
from layernet.monitoring.activations import LayerPass
from layernet.monitoring.user_gradients import LAYER_PASSES, is_user_defined


def signal_shares(passes: dict[str, LayerPass]) -> dict[str, float]:
    """Return the share of signal in the outputs of each layer with noise.

    For outputs a and b of the same rows in two draws of the noise:

        noise = mean((a - b)**2) / 2,   signal = max(mean(a * b), 0),   share = signal / (signal + noise)

    For a layer that sets units to 0, such as Dropout(rate), the share is 1 - rate. For additive noise, the mean
    over the rows is first subtracted from a and from b, because a constant carries no signal.

    Parameters
    ----------
    passes : dict of str to LayerPass
        Layers of a copy of the network, with their inputs. Their `end_step` is called after each draw.

    Returns
    -------
    dict of str to float
        Shares between 0 and 1, by the names of the layers with noise.
    """
    shares = {}
    for name, layer_pass in passes.items():
        layer = layer_pass.layer
        if layer.layers or not (isinstance(layer, NoiseLayer) or is_user_defined(layer, LAYER_PASSES)):
            continue
        first, second = draw_twice(layer, layer_pass.inputs)
        if np.array_equal(first, second):  # a user's layer without noise
            continue
        sets_to_zero = bool(((first == 0) != (second == 0)).any())
        shares[name] = share_of_signal(first, second, constant_is_signal=sets_to_zero)
    return shares


def draw_twice(layer: Layer, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's outputs for the same rows in two training steps, as float64."""
    draws = []
    with layer.training_mode(), np.errstate(all="ignore"):
        for _ in range(2):
            draws.append(np.array(layer.forward_pass(inputs), dtype=np.float64))
            layer.end_step()
    return draws[0], draws[1]


def share_of_signal(first: np.ndarray, second: np.ndarray, constant_is_signal: bool = False) -> float:
    """Return the share of signal in two draws of the same rows: 1 if they are equal, 0 if unrelated.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, ...)
    constant_is_signal : bool, default=False
        Whether the mean over the rows is kept, and counts as signal.

    Returns
    -------
    float
        NaN if there is neither signal nor noise, as between two constants whose means are subtracted.

    Examples
    --------
    >>> rows = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    >>> share_of_signal(rows, rows), share_of_signal(rows, np.zeros((4, 1)))
    (1.0, 0.0)
    """
    if not constant_is_signal:
        first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    with np.errstate(all="ignore"):
        noise = float(np.square(first - second).mean()) / 2
        signal = max(float((first * second).mean()), 0.0)
        return float(np.divide(signal, signal + noise))
