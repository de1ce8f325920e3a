"""Thresholds of symptoms: a value a tenth above and one a tenth below decide differently."""

from types import SimpleNamespace

import numpy as np
import pytest

from layernet.monitoring.symptoms import data, gradients, learning_rate, progress, regularization, units


def evidence(**figures):
    """Figures of a run that learned nothing and shows no symptom, but for those that are given."""
    monitor = SimpleNamespace(
        steps_done=100, snapshots=[], trials=[], gradient_norms=np.ones((2, 2)), loss_name="MeanSquaredError"
    )
    profile = SimpleNamespace(n_classes=None, neighbor_agreement=0.0)
    usual = {
        "monitor": monitor, "data_profile": profile, "baseline": 1.0, "baseline_description": "the baseline",
        "reducible_loss": 1.0, "relative": lambda loss: loss, "relative_loss": 1.0, "learned_little": True,
        "initial_loss": 1.0, "final_loss": 1.0, "best_loss": 1.0, "worst_loss": 1.0, "chance_rise": 0.0,
        "relative_loss_of_sample": 1.0, "layer_names": ["0 Dense", "2 Dense"],
        "median_gradient_norms": [1.0, 1.0],
        "gradient_ratio": 1.0, "relative_gradient": 1.0, "update_ratio": 1e-3, "largest_update": 1e-3,
        "largest_update_layer": "0 Dense", "network_and_reference_scores": lambda: None,
    }  # fmt: skip
    return SimpleNamespace(**usual | figures)


def with_monitor(**attributes):
    usual = evidence()
    return evidence(monitor=SimpleNamespace(**vars(usual.monitor) | attributes))


def with_profile(**attributes):
    usual = evidence()
    return evidence(data_profile=SimpleNamespace(**vars(usual.data_profile) | attributes))


def with_units(**shares):
    """Shares of units before training and after it, as `dead_shares` and `saturated_shares` return them."""
    sample = SimpleNamespace(n_rows=100, n_units=100, zero_units=50)

    def at(start, end):
        return lambda moment: [(start if moment == 0 else end, "1 ReLU", sample)]

    return evidence(**{name: at(*both) for name, both in shares.items()})


def inputs_of_size(rms, **figures):
    both = np.array([rms, rms])
    profile = SimpleNamespace(rms=both, stds=both, means=0 * both)
    return evidence(data_profile=profile, **figures)


def noise_of(share):
    return with_monitor(trials=[SimpleNamespace(signal_shares={"1 Dropout": share}, signal_share=1.0)])


# Symptom, evidence with a value, the threshold, and the side on which the symptom is found.
HELD = [
    (units.dead_rectifiers, lambda v: with_units(dead_shares=(0.0, v)), 0.5, "above"),
    (units.saturated_activations, lambda v: with_units(saturated_shares=(v, 0.0)), 0.3, "above"),
    (units.saturated_activations, lambda v: with_units(saturated_shares=(0.0, v)), 0.5, "above"),
    (gradients.vanishing_gradients, lambda v: evidence(gradient_ratio=v), 0.03, "below"),
    (gradients.vanishing_gradients, lambda v: evidence(relative_gradient=v), 0.05, "below"),
    (gradients.exploding_gradients, lambda v: evidence(gradient_ratio=v), 1e3, "above"),
    (data.inputs_not_scaled, inputs_of_size, 10.0, "above"),
    (data.inputs_not_scaled, inputs_of_size, 0.1, "below"),
    (data.contradictory_rows, lambda v: with_profile(contradiction_share=v), 0.4, "above"),
    (data.rows_in_order, lambda v: with_monitor(between_batch_share=v), 0.5, "above"),
    (learning_rate.rate_too_low, lambda v: evidence(update_ratio=v), 2e-4, "below"),
    (learning_rate.rate_too_high, lambda v: evidence(worst_loss=v), 4.0, "above"),
    (learning_rate.rate_too_high, lambda v: evidence(largest_update=v), 0.25, "above"),
    (learning_rate.rate_too_high, lambda v: evidence(relative_loss=v, largest_update=0.02), 1.2, "above"),
    (learning_rate.rate_too_high, lambda v: evidence(relative_loss=1.5, largest_update=v), 0.01, "above"),
    (
        learning_rate.rate_too_high,
        lambda v: evidence(best_loss=1 - v, relative_loss=0.9, largest_update=0.2),
        0.25,
        "above",
    ),
    (
        learning_rate.rate_too_high,
        lambda v: evidence(best_loss=0.5, relative_loss=0.9, largest_update=v),
        0.1,
        "above",
    ),
    (regularization.too_much_noise, noise_of, 0.1, "below"),
    (progress.little_was_learned, lambda v: evidence(relative_loss=v), 0.75, "above"),
]


@pytest.mark.parametrize(("symptom", "with_value", "threshold", "side"), HELD)
def test_a_threshold_decides(symptom, with_value, threshold, side):
    found = bool(symptom(with_value(1.1 * threshold))), bool(symptom(with_value(0.9 * threshold)))
    assert found == ((True, False) if side == "above" else (False, True))
