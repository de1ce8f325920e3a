"""Trials on a copy of the network, before training and after it: gradients, noise, outputs."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np

from layernet.checking.gradients import GradientReport
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.activations import hear
from layernet.monitoring.data_profile import DataProfile
from layernet.monitoring.linear import StraightPair, straight_pairs
from layernet.monitoring.own_layers import check_own_layers
from layernet.monitoring.row_statistics import SmallFeature, one_column_each, small_feature_that_matters
from layernet.monitoring.surviving_signal import share_of_signal, surviving_signals
from layernet.monitoring.symptoms.ends import End, what_the_end_does


@dataclass(frozen=True)
class Trial:
    """What experiments on a copy of a network showed.

    Attributes
    ----------
    gradients : dict of str to GradientReport
        Of the layers and the loss that this package does not bring.
    unchecked : dict of str to str
        Why others of these could not be checked.
    signals : dict of str to float
        The share of signal in what comes out of each layer with noise.
    signal : float
        The same for the outputs of the network: 1 without noise, NaN where they do not vary.
    means, deviations : ndarray of shape (n_features,)
        Of the features as they come to the first layer with weights.
    small_feature : SmallFeature or None
        The one that says most about the targets, if it is much smaller than others.
    outputs : ndarray of shape (n_rows, ...)
        Of the network for these rows, in inference mode.
    outputs_in_training : ndarray of shape (n_rows, ...)
    outputs_held_out : ndarray of shape (n_rows, ...) or None
        Of the network for the rows that it is validated on, in inference mode.
    end : End or None
        What the layers after the last weights do to the outputs.
    straight_pairs : list of StraightPair
        Layers with weights between which nothing bends.
    """

    gradients: dict[str, GradientReport]
    unchecked: dict[str, str]
    signals: dict[str, float]
    signal: float
    means: np.ndarray
    deviations: np.ndarray
    small_feature: SmallFeature | None
    outputs: np.ndarray
    outputs_in_training: np.ndarray
    outputs_held_out: np.ndarray | None
    end: End | None
    straight_pairs: list[StraightPair]

    @property
    def sizes(self) -> np.ndarray:
        """The root mean square of each feature as it comes to the first layer with weights."""
        return np.hypot(self.means, self.deviations)


def try_out(network: Layer, loss: Loss, material: DataProfile, first: str | None) -> Trial:
    """Make all experiments.

    Parameters
    ----------
    network : Layer
        Built; left as it is.
    loss : Loss
    material : Material
        With the rows that are passed through it.
    first : str or None
        The name of the first layer with weights.

    Returns
    -------
    Trial
    """
    network = copy.deepcopy(network)
    inputs, targets, held_out = material.inputs, material.targets, material.held_out
    with np.errstate(all="ignore"):
        outputs = network.forward_pass(inputs)
        outputs_held_out = None if held_out is None else np.array(network.forward_pass(held_out.inputs))
        end = _end_of(network, loss, material)
        pairs = straight_pairs(network)
        in_training, heard = hear(network, inputs)
        reports, unchecked = check_own_layers(heard, loss, in_training, targets)
        arriving = heard[first].inputs if first in heard else inputs
        features = np.asarray(arriving, np.float64).reshape(len(arriving), -1)
        means, deviations = features.mean(axis=0), features.std(axis=0)
        signals = surviving_signals(heard)
        signal = 1.0
        if signals:
            network.end_step()
            with network.training_mode():
                again = network.forward_pass(inputs)
            draws = (np.asarray(each, np.float64).reshape(len(inputs), -1) for each in (in_training, again))
            signal = share_of_signal(*draws)
        small = None
        if targets is not None and features.shape[1] == math.prod(inputs.shape[1:]):
            small = small_feature_that_matters(features, one_column_each(targets))
        if small is not None:
            small = replace(small, heeded=heed_of(network, inputs, outputs, small.index))
    return Trial(
        reports, unchecked, signals, signal, means, deviations, small, np.array(outputs), np.array(in_training),
        outputs_held_out, end, pairs,
    )  # fmt: skip


def _end_of(network, loss, material):
    """What the network's end does to its outputs; None if it leaves them all, or that cannot be found."""
    if material.targets is None or material.low is None:
        return None
    try:
        return what_the_end_does(network, loss, material.inputs, material.targets, material.low, material.high)
    except (ValueError, TypeError, ArithmeticError, IndexError):  # too much for somebody's layer or loss
        return None


def heed_of(network: Layer, inputs: np.ndarray, outputs: np.ndarray, feature: int) -> float:
    """How much of the variance of the outputs goes with one feature: 0 for nothing, about 1 for all."""
    moved = np.array(inputs).reshape(len(inputs), -1)
    moved[:, feature] = np.random.default_rng(0).permutation(moved[:, feature])
    others = np.asarray(network.forward_pass(moved.reshape(inputs.shape)), np.float64)
    variance = np.asarray(outputs, np.float64).var(axis=0).mean()
    return float(np.divide(np.square(others - outputs).mean(), 2 * variance))
