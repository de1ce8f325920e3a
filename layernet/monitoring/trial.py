"""Experiments on a copy of the network, before and after training: gradients, noise, outputs."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np

from layernet.checking.gradients import GradientReport
from layernet.layer import Layer
from layernet.losses.loss import Loss
from layernet.monitoring.activations import record_passes
from layernet.monitoring.affine_pairs import AffinePair, find_affine_pairs
from layernet.monitoring.data_profile import DataProfile
from layernet.monitoring.feature_scales import SmallFeature, informative_small_feature
from layernet.monitoring.noise import share_of_signal, signal_shares
from layernet.monitoring.output_activation import OutputActivationEffect, effect_of_output_activation
from layernet.monitoring.reference_scores import target_columns
from layernet.monitoring.user_gradients import check_user_gradients


@dataclass(frozen=True)
class Trial:
    """Results of experiments on a copy of a network.

    Attributes
    ----------
    gradients : dict of str to GradientReport
        Gradient checks of the layers and the loss that a user wrote.
    unchecked : dict of str to str
        Why others of these could not be checked.
    signal_shares : dict of str to float
        Share of signal in the outputs of each layer with noise.
    signal_share : float
        Share of signal in the outputs of the network: 1 without noise, NaN for constant outputs.
    means, stds : ndarray of shape (n_features,)
        Mean and standard deviation of the inputs of the first layer with weights.
    small_feature : SmallFeature or None
        The feature that explains the targets best, if it is much smaller than others.
    outputs, outputs_in_training : ndarray of shape (n_rows, ...)
        Outputs of the network for the sample, in inference mode and in training mode.
    validation_outputs : ndarray of shape (n_rows, ...) or None
        Outputs of the network for the validation rows, in inference mode.
    output_activation_effect : OutputActivationEffect or None
        Effect of the layers after the last weights on the outputs.
    affine_pairs : list of AffinePair
        Layers with weights without a nonlinear layer between them.
    """

    gradients: dict[str, GradientReport]
    unchecked: dict[str, str]
    signal_shares: dict[str, float]
    signal_share: float
    means: np.ndarray
    stds: np.ndarray
    small_feature: SmallFeature | None
    outputs: np.ndarray
    outputs_in_training: np.ndarray
    validation_outputs: np.ndarray | None
    output_activation_effect: OutputActivationEffect | None
    affine_pairs: list[AffinePair]

    @property
    def rms(self) -> np.ndarray:
        """Root mean square of each input of the first layer with weights."""
        return np.hypot(self.means, self.stds)


def run_trial(network: Layer, loss: Loss, data_profile: DataProfile, first: str | None) -> Trial:
    """Run all experiments on a copy of a network.

    Parameters
    ----------
    network : Layer
        Built; it is not changed.
    loss : Loss
    data_profile : DataProfile
        Contains the rows that are passed through the network.
    first : str or None
        Name of the first layer with weights.

    Returns
    -------
    Trial
    """
    network = copy.deepcopy(network)
    inputs, targets, validation = data_profile.inputs, data_profile.targets, data_profile.validation
    with np.errstate(all="ignore"):
        outputs = network.forward_pass(inputs)
        validation_outputs = None if validation is None else np.array(network.forward_pass(validation.inputs))
        effect = _output_activation_effect(network, loss, data_profile)
        pairs = find_affine_pairs(network)
        in_training, passes = record_passes(network, inputs)
        reports, unchecked = check_user_gradients(passes, loss, in_training, targets)
        first_inputs = passes[first].inputs if first is not None and first in passes else inputs
        features = np.asarray(first_inputs, np.float64).reshape(len(first_inputs), -1)
        means, stds = features.mean(axis=0), features.std(axis=0)
        shares, share = signal_shares(passes), 1.0
        if shares:
            network.end_step()
            with network.training_mode():
                again = network.forward_pass(inputs)
            first_draw, second_draw = (
                np.asarray(each, np.float64).reshape(len(inputs), -1) for each in (in_training, again)
            )
            share = share_of_signal(first_draw, second_draw)
        small = None
        if targets is not None and features.shape[1] == math.prod(inputs.shape[1:]):
            small = informative_small_feature(features, target_columns(targets))
        if small is not None:
            small = replace(small, effect=effect_of_feature(network, inputs, outputs, small.index))
    return Trial(
        gradients=reports,
        unchecked=unchecked,
        signal_shares=shares,
        signal_share=share,
        means=means,
        stds=stds,
        small_feature=small,
        outputs=np.array(outputs),
        outputs_in_training=np.array(in_training),
        validation_outputs=validation_outputs,
        output_activation_effect=effect,
        affine_pairs=pairs,
    )


def _output_activation_effect(
    network: Layer, loss: Loss, data_profile: DataProfile
) -> OutputActivationEffect | None:
    """Return the effect of the output activation; None if there is none, or it cannot be computed."""
    targets, low, high = data_profile.targets, data_profile.output_low, data_profile.output_high
    if targets is None or low is None or high is None:
        return None
    try:
        return effect_of_output_activation(network, loss, data_profile.inputs, targets, low, high)
    except (
        ValueError,
        TypeError,
        ArithmeticError,
        IndexError,
    ):  # a user's layer or loss may not accept these rows
        return None


def effect_of_feature(network: Layer, inputs: np.ndarray, outputs: np.ndarray, feature: int) -> float:
    """Return the share of the outputs' variance that depends on one feature: 0 for none, about 1 for all."""
    permuted = np.array(inputs).reshape(len(inputs), -1)
    permuted[:, feature] = np.random.default_rng(0).permutation(permuted[:, feature])
    others = np.asarray(network.forward_pass(permuted.reshape(inputs.shape)), np.float64)
    variance = np.asarray(outputs, np.float64).var(axis=0).mean()
    return float(np.divide(np.square(others - outputs).mean(), 2 * variance))
