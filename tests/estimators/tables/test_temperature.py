"""`fit_temperature`: the temperature that it finds, and arguments that it refuses."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import log_loss

from layernet import fit_temperature
from layernet.layers.saturating import logistic
from layernet.layers.softmax import Softmax

RANDOM = np.random.default_rng(0)
LOGITS = 3 * RANDOM.standard_normal((60, 3))
CLASSES = np.where(RANDOM.random(60) < 0.6, LOGITS.argmax(axis=1), RANDOM.integers(0, 3, 60))
SEVERAL = (LOGITS + 3 * RANDOM.standard_normal((60, 3)) > 0).astype(int)
TIMES = RANDOM.integers(0, 4, 60)


def loss_at(temperature, logits, targets):
    if targets.ndim == 2:
        return log_loss(targets.ravel(), logistic(logits / temperature).ravel())
    return log_loss(targets, Softmax().forward_pass(logits / temperature))


@pytest.mark.parametrize("targets", [CLASSES, SEVERAL], ids=["classes", "several labels"])
def test_no_other_temperature_has_less_loss(targets):
    temperature = fit_temperature(LOGITS, targets)
    least = loss_at(temperature, LOGITS, targets)
    for other in temperature * np.array([0.2, 0.9, 0.99, 1.01, 1.1, 5]):
        assert loss_at(other, LOGITS, targets) > least


@pytest.mark.parametrize("targets", [CLASSES, SEVERAL], ids=["classes", "several labels"])
def test_weights_are_numbers_of_equal_samples(targets):
    weighted = fit_temperature(LOGITS, targets, TIMES)
    rows = np.repeat(np.arange(60), TIMES)
    assert weighted == pytest.approx(fit_temperature(LOGITS[rows], targets[rows]), rel=1e-6)
    assert weighted != pytest.approx(fit_temperature(LOGITS, targets), rel=1e-3)
    assert fit_temperature(LOGITS, targets, TIMES * 2.0**1020) == pytest.approx(weighted, rel=1e-6)


def test_arguments_of_every_form():
    expected = fit_temperature(LOGITS, CLASSES, TIMES)
    for classes in (CLASSES.tolist(), CLASSES.astype(float), CLASSES.astype(np.uint8)):
        assert fit_temperature(LOGITS.tolist(), classes, TIMES.tolist()) == expected
    expected = fit_temperature(LOGITS, SEVERAL)
    for several in (SEVERAL.tolist(), SEVERAL.astype(np.float32), SEVERAL.astype(bool)):
        assert fit_temperature(LOGITS, several) == expected
    one, second = LOGITS[:, :1], CLASSES == 0
    both = np.hstack([np.zeros_like(one), one])
    expected = fit_temperature(both, second.astype(int))
    for targets in (second, second.astype(int), second[:, None]):
        assert fit_temperature(one, targets) == pytest.approx(expected, rel=1e-6)


def changed(array, place, value):
    array = array.astype(float)
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LOGITS[:, 0], CLASSES), ValueError, r"logits must have the shape .*got \(60,\)\. .*reshape\(-1, 1\)"),
        ((LOGITS[None], CLASSES), ValueError, r"logits must have the shape .*got \(1, 60, 3\)\.$"),
        ((LOGITS[:0], CLASSES[:0]), ValueError, r"logits must have the shape .*got \(0, 3\)"),
        ((LOGITS[:, :0], CLASSES), ValueError, r"logits must have the shape .*got \(60, 0\)"),
        ((changed(LOGITS, (7, 1), np.nan), CLASSES), ValueError, r"logits must be finite, got nan at \(7, 1\)"),
        (
            (changed(LOGITS, (7, 1), -np.inf), CLASSES),
            ValueError,
            r"logits must be finite, got -inf at \(7, 1\)",
        ),
        ((LOGITS.astype(str), CLASSES), TypeError, "logits must be numbers"),
        ((None, CLASSES), TypeError, "logits must be numbers, got None"),
        ((scipy.sparse.csr_array(LOGITS), CLASSES), TypeError, "logits must be a dense array"),
        ((LOGITS, CLASSES[:59]), ValueError, r"targets must have the shape \(60,\), .*got \(59,\)"),
        ((LOGITS, CLASSES[:, None]), ValueError, r"targets must have the shape .*got \(60, 1\)"),
        ((LOGITS, SEVERAL[:, :2]), ValueError, r"targets must have the shape .*got \(60, 2\)"),
        ((LOGITS, None), ValueError, r"targets must have the shape .*got \(\)"),
        ((LOGITS, scipy.sparse.csr_array(SEVERAL)), TypeError, "targets must be a dense array"),
        ((LOGITS, CLASSES + 1), ValueError, r"class numbers from 0 to 2, got .*3.* at .*np\.unique"),
        ((LOGITS, CLASSES - 1), ValueError, r"class numbers from 0 to 2, got .*-1.* at"),
        ((LOGITS[:, :1], CLASSES), ValueError, r"class numbers from 0 to 1, got .*2.* at"),
        ((LOGITS, changed(CLASSES, 5, 0.5)), ValueError, r"class numbers from 0 to 2, got .*0\.5.* at \(5,\)"),
        (
            (LOGITS, changed(CLASSES, 5, np.nan)),
            ValueError,
            r"class numbers from 0 to 2, got .*nan.* at \(5,\)",
        ),
        ((LOGITS, CLASSES.astype(str)), ValueError, r"class numbers from 0 to 2, got .* at \(0,\)"),
        ((LOGITS, SEVERAL * 2), ValueError, r"0 or 1 for each label of a sample, got .*2.* at"),
        ((LOGITS, Softmax().forward_pass(LOGITS)), ValueError, r"0 or 1 for each label .*argmax\(axis=1\)"),
        ((LOGITS, CLASSES, TIMES[:9]), ValueError, r"sample_weight must have the shape \(60,\)"),
        ((LOGITS, CLASSES, TIMES - 1), ValueError, "sample_weight must not be negative, got -1"),
        ((LOGITS, CLASSES, changed(TIMES, 3, np.inf)), ValueError, r"sample_weight must be finite.* at \(3,\)"),
        ((LOGITS, CLASSES, np.zeros(60)), ValueError, "sample_weight must have a weight above 0"),
        ((LOGITS, CLASSES, "balanced"), TypeError, "sample_weight must be numbers"),
    ],
)
def test_arguments_that_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"^fit_temperature: .*{message}"):
        fit_temperature(*arguments)
