"""Losses: known values, gradients, weights, and targets that do not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit, log_softmax
from sklearn import metrics

from layernet import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    HalfPoissonDeviance,
    HalfSquaredError,
    Hinge,
    Huber,
    LogLoss,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
    ReLU,
    Sequential,
    check_gradients,
)
from layernet.losses import BoundLoss
from layernet.representation import subclasses_by_name

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 6)
SOFT = RANDOM.dirichlet(np.ones(4), 6)
NUMBERS = RANDOM.standard_normal((6, 4))
COUNTS = RANDOM.poisson(2.0, (6, 4))
YES_NO = RANDOM.integers(0, 2, (6, 4))

CASES = [
    (CrossEntropy(), LABELS),
    (CrossEntropy(), SOFT),
    (CrossEntropy(label_smoothing=0.2), LABELS),
    (CrossEntropy(label_smoothing=0.2, class_weight=[1, 2, 3, 0.5]), LABELS),
    (CrossEntropy(class_weight={0: 3.0, 2: 0.5}), SOFT),
    (BinaryCrossEntropy(), YES_NO),
    (BinaryCrossEntropy(), SOFT),
    (MeanSquaredError(), NUMBERS),
    (MeanAbsoluteError(), NUMBERS),
    (Huber(), NUMBERS),
    (Huber(delta=0.3), NUMBERS),
    (Quantile(), NUMBERS),
    (Quantile(0.9), NUMBERS),
    (Poisson(), COUNTS),
    (HalfSquaredError(), NUMBERS),
    (HalfPoissonDeviance(), COUNTS),
    (LogLoss(), YES_NO),
    (LogLoss(label_smoothing=0.2), YES_NO),
    (Hinge(), LABELS),
    (Hinge(margin=0.3), LABELS),
]
SINGLE_OUTPUT = [
    (BinaryCrossEntropy(), YES_NO[:, 0]),
    (Hinge(), YES_NO[:, 0]),
    (Hinge(), 2 * YES_NO[:, 0] - 1),
    (MeanSquaredError(), NUMBERS[:, 0]),
    (Poisson(), COUNTS[:, 0]),
]


def outputs_for(targets, n_outputs=4, dtype=float, seed=1):
    return np.random.default_rng(seed).standard_normal((len(targets), n_outputs)).astype(dtype)


def test_every_loss_has_a_case():
    kinds = {kind for kind in subclasses_by_name(Loss).values() if kind.__module__.startswith("layernet.")}
    public = {kind for kind in kinds if kind.__name__ != "LogCosh"}  # of an example in a docstring
    assert public == {type(loss) for loss, _ in CASES}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, RANDOM.uniform(0, 2, 6)], ids=["plain", "weighted"])
@pytest.mark.parametrize("normalizer", [None, 3.5])
@pytest.mark.parametrize(
    ("loss", "targets", "n_outputs"),
    [*((*case, 4) for case in CASES), *((*case, 1) for case in SINGLE_OUTPUT)],
    ids=lambda value: repr(value) if isinstance(value, Loss) else "",
)
def test_gradients(loss, targets, n_outputs, weights, normalizer, dtype):
    outputs = outputs_for(targets, n_outputs, dtype)
    bound = loss.bind(targets, weights, normalizer)
    before = outputs.copy()
    assert bound.forward_pass(outputs).dtype == dtype
    gradient = bound.backward_pass(outputs)
    assert gradient.dtype == dtype
    assert gradient.shape == outputs.shape
    assert np.array_equal(outputs, before)
    assert np.array_equal(bound.backward_pass(outputs), gradient)
    assert_allclose(bound.backward_pass(outputs, 3.0), 3 * gradient, rtol=1e-6)
    report = check_gradients(bound, outputs, grad_output=2.0)
    assert report, report


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=lambda value: repr(value)[:40])
def test_the_loss_is_the_weighted_mean_of_the_samples(loss, targets):
    outputs, weights = outputs_for(targets), np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])
    prepared = loss.prepare(targets, (4,), outputs.dtype)
    losses = loss.losses(outputs, prepared)
    assert losses.shape == (6,)
    total = loss.sample_weights(prepared, weights)
    expected = (losses * total).sum() / total.sum()
    assert_allclose(loss.bind(targets, weights).forward_pass(outputs), expected)
    assert_allclose(loss.bind(targets, weights, 7.0).forward_pass(outputs), (losses * total).sum() / 7)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(any), st.sampled_from(range(len(CASES))))
def test_whole_weights_are_repeated_samples(weights, index):
    loss, targets = CASES[index]
    outputs = outputs_for(targets)
    rows = np.repeat(np.arange(6), weights)
    weighted = loss.bind(targets, np.array(weights, float))
    repeated = loss.bind(targets[rows])
    assert_allclose(weighted.forward_pass(outputs), repeated.forward_pass(outputs[rows]), rtol=1e-10)
    gradient = np.zeros_like(outputs)
    np.add.at(gradient, rows, repeated.backward_pass(outputs[rows]))
    assert_allclose(weighted.backward_pass(outputs), gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_samples_and_no_weight_cost_nothing(loss, targets, dtype):
    nothing = loss.bind(targets[:0])
    assert nothing.forward_pass(np.zeros((0, 4), dtype)) == 0
    assert nothing.backward_pass(np.zeros((0, 4), dtype)).shape == (0, 4)
    outputs = outputs_for(targets, dtype=dtype)
    weightless = loss.bind(targets, np.zeros(6))
    assert weightless.forward_pass(outputs) == 0
    assert not weightless.backward_pass(outputs).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("loss", "targets"),
    [case for case in CASES if not isinstance(case[0], Poisson)],
    ids=lambda v: repr(v)[:40],
)
def test_outputs_of_any_magnitude(loss, targets, dtype):
    for size in (1e4, 1e-30):
        outputs = (size * outputs_for(targets)).astype(dtype)
        bound = loss.bind(targets)
        assert np.isfinite(bound.forward_pass(outputs))
        assert np.isfinite(bound.backward_pass(outputs)).all()


def test_an_infinite_expected_count_is_an_infinite_loss_without_a_warning():
    for loss in (Poisson(), HalfPoissonDeviance()):
        assert loss.bind([1.0]).forward_pass([[1e4]]) == np.inf


def test_losses_that_sum_over_outputs_against_scikit_learn():
    outputs = outputs_for(NUMBERS)
    n_outputs = outputs.shape[1]
    half_squares = HalfSquaredError().bind(NUMBERS).forward_pass(outputs)
    assert_allclose(half_squares, n_outputs * metrics.mean_squared_error(NUMBERS, outputs) / 2)
    deviances = [metrics.mean_poisson_deviance(COUNTS[:, k], np.exp(outputs[:, k])) for k in range(n_outputs)]
    assert_allclose(HalfPoissonDeviance().bind(COUNTS).forward_pass(outputs), sum(deviances) / 2)
    log_losses = [metrics.log_loss(YES_NO[:, k], expit(outputs[:, k]), labels=[0, 1]) for k in range(n_outputs)]
    assert_allclose(LogLoss().bind(YES_NO).forward_pass(outputs), sum(log_losses))


# --- known values ---


def test_cross_entropy_against_scipy_and_scikit_learn():
    outputs = outputs_for(LABELS)
    log_probabilities = log_softmax(outputs, axis=1)
    plain = CrossEntropy().bind(LABELS).forward_pass(outputs)
    assert_allclose(plain, -log_probabilities[np.arange(6), LABELS].mean())
    assert_allclose(plain, metrics.log_loss(LABELS, np.exp(log_probabilities), labels=range(4)))
    soft = CrossEntropy().bind(SOFT).forward_pass(outputs)
    assert_allclose(soft, -(SOFT * log_probabilities).sum(axis=1).mean())
    smoothed = 0.8 * np.eye(4)[LABELS] + 0.05
    assert_allclose(
        CrossEntropy(label_smoothing=0.2).bind(LABELS).forward_pass(outputs),
        -(smoothed * log_probabilities).sum(axis=1).mean(),
    )


def test_labels_of_every_form_agree():
    outputs = outputs_for(LABELS)
    forms = [LABELS, LABELS.astype(float), LABELS.tolist(), np.eye(4)[LABELS], np.eye(4, dtype=int)[LABELS]]
    values = [CrossEntropy().bind(form).backward_pass(outputs) for form in forms]
    for value in values[1:]:
        assert_allclose(value, values[0], rtol=1e-12)


def test_class_weights_are_sample_weights():
    outputs, by_class = outputs_for(LABELS), np.array([1.0, 2.0, 3.0, 0.5])
    given_by_class = CrossEntropy(class_weight=by_class.tolist()).bind(LABELS)
    given_by_sample = CrossEntropy().bind(LABELS, by_class[LABELS])
    assert_allclose(given_by_class.forward_pass(outputs), given_by_sample.forward_pass(outputs))
    assert_allclose(given_by_class.backward_pass(outputs), given_by_sample.backward_pass(outputs))


def test_binary_cross_entropy_against_scikit_learn():
    outputs = outputs_for(YES_NO, 1)
    probability = 1 / (1 + np.exp(-outputs[:, 0]))
    found = BinaryCrossEntropy().bind(YES_NO[:, 0]).forward_pass(outputs)
    assert_allclose(found, metrics.log_loss(YES_NO[:, 0], probability))


def test_regression_losses_against_scikit_learn():
    outputs = outputs_for(NUMBERS)
    for loss, expected in (
        (MeanSquaredError(), metrics.mean_squared_error(NUMBERS, outputs)),
        (MeanAbsoluteError(), metrics.mean_absolute_error(NUMBERS, outputs)),
        (Quantile(0.2), metrics.mean_pinball_loss(NUMBERS, outputs, alpha=0.2)),
    ):
        assert_allclose(loss.bind(NUMBERS).forward_pass(outputs), expected)


def test_hinge_against_scikit_learn():
    outputs, targets = outputs_for(YES_NO, 1), 2 * YES_NO[:, 0] - 1
    expected = metrics.hinge_loss(targets, outputs[:, 0])
    assert_allclose(Hinge().bind(targets).forward_pass(outputs), expected)
    assert_allclose(Hinge().bind(YES_NO[:, 0]).forward_pass(outputs), expected)
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    # The example of cs231n's lecture on linear classification: losses of 2.9, 0 and 12.9.
    assert_allclose(Hinge().losses(scores, np.array([0, 1, 2])), [2.9, 0, 12.9])


def test_huber_is_squared_within_delta_and_straight_beyond():
    losses = Huber(2.0).losses(np.array([[1.0], [-2.0], [5.0]]), np.zeros((3, 1)))
    assert_allclose(losses, [0.5, 2.0, 8.0])


def test_poisson_is_least_at_the_mean_count():
    counts = np.array([[1.0], [2.0], [6.0]])
    bound = Poisson().bind(counts)
    assert_allclose(bound.backward_pass(np.full((3, 1), np.log(3.0))).sum(), 0, atol=1e-15)


# --- a loss is a layer ---


def test_a_network_with_its_loss_is_one_function():
    net = Sequential([Dense(5), ReLU(), Dense(4)]).build(3, random_state=0)
    vector = net.parameter_vector
    whole = Sequential([net, CrossEntropy().bind(LABELS)])
    X = outputs_for(LABELS, 3)
    assert check_gradients(whole, X)
    assert np.shares_memory(whole.parameter_vector, vector)
    assert whole.forward_pass(X).shape == ()
    assert Sequential([net, CrossEntropy(0.1).bind(LABELS)]).backward_pass(X).shape == X.shape


def test_a_loss_of_ones_own_is_one_small_class():
    class Cubed(Loss):
        def losses(self, outputs, targets):
            return (np.abs(outputs - targets) ** 3).mean(axis=1)

        def gradient(self, outputs, targets):
            error = outputs - targets
            return 3 * error * np.abs(error) / outputs.shape[1]

    assert check_gradients(Cubed().bind(NUMBERS, np.arange(6.0)), outputs_for(NUMBERS))


def test_repr_makes_it_again():
    names = {kind.__name__: kind for kind in subclasses_by_name(Loss).values()}
    for loss, _ in CASES:
        assert eval(repr(loss), names).configuration() == loss.configuration()
    bound = MeanSquaredError().bind([[1.0]])
    assert isinstance(eval(repr(bound), {**names, "BoundLoss": BoundLoss, "array": np.array}), BoundLoss)


# --- targets and weights that do not fit ---


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (CrossEntropy(), [0, 1, 4], "classes from 0 to 3.* got 0 to 4"),
        (CrossEntropy(), [-1, 1, 2], "got -1 to 2"),
        (CrossEntropy(), [0.5, 1, 2], "not whole numbers. Number the classes"),
        (CrossEntropy(), ["a", "b", "c"], "Number the classes"),
        (CrossEntropy(), [np.nan, 1, 2], "not whole numbers"),
        (CrossEntropy(), np.ones((3, 4)), "rows of probabilities that sum to 1"),
        (CrossEntropy(), [[2.0, -1, 0, 0]] * 3, "rows of probabilities"),
        (CrossEntropy(), np.ones((3, 5)) / 5, r"shape \(n_samples, 4\).*got \(3, 5\)"),
        (CrossEntropy(class_weight=[1, 2]), [0, 1, 2], "class_weight must give each of 3 classes"),
        (CrossEntropy(class_weight={0: -1.0}), [0, 1, 2], "class_weight"),
        (BinaryCrossEntropy(), np.full((3, 4), 2.0), "between 0 and 1, got 2.0 to 2.0"),
        (Hinge(), [0, 1, 9], "classes from 0 to 3"),
        (Hinge(), np.ones((3, 4)), "class numbers of shape"),
        (MeanSquaredError(), [1.0, 2.0, 3.0], r"shape \(n_samples, 4\).*got \(3,\)"),
        (MeanSquaredError(), np.full((3, 4), np.inf), r"must be finite, got inf at \(0, 0\)"),
        (Poisson(), np.full((3, 4), -1.0), "counts of at least 0, got -1.0"),
    ],
)
def test_targets_that_do_not_fit(loss, targets, message):
    with pytest.raises(ValueError, match=message):
        loss.bind(targets).forward_pass(np.zeros((3, 4)))


def test_single_output_targets_that_do_not_fit():
    with pytest.raises(ValueError, match="targets of -1 and 1, or of 0 and 1"):
        Hinge().bind([0, 2]).forward_pass(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="bound to 2 targets and got 3 outputs"):
        MeanSquaredError().bind([1.0, 2.0]).forward_pass(np.zeros((3, 1)))
    with pytest.raises(TypeError, match="must be numbers"):
        MeanSquaredError().bind(["a"]).forward_pass(np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"must have the shape \(2,\).* got \(1,\)"),
        ([1.0, -1.0], "must not be negative, got -1.0"),
        ([1.0, np.nan], "must be finite"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        MeanSquaredError().bind([1.0, 2.0], weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CrossEntropy(label_smoothing=1),
        lambda: Huber(delta=0),
        lambda: Quantile(quantile=1),
        lambda: Hinge(margin=0),
    ],
)
def test_arguments_out_of_range(make):
    with pytest.raises(ValueError, match="must"):
        make()
