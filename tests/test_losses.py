"""Losses: known values, gradients, weights, and targets that do not fit."""

import numpy as np
import pytest
from arguments import (
    AT_LEAST_0,
    POSITIVE,
    UNIT,
    check_argument,
    numbers_and_switches,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import csc_matrix, csr_array
from scipy.special import expit, huber, log_softmax, xlogy
from sklearn import metrics

from layernet import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    HalfPoissonDeviance,
    HalfSquaredError,
    HingeLoss,
    HuberLoss,
    LogLoss,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NetworkRegressor,
    PoissonLoss,
    QuantileLoss,
    ReLU,
    Sequential,
    check_gradients,
)
from layernet.losses.loss import BoundLoss
from layernet.losses.names import find_loss
from layernet.registry import classes_by_name

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
    (BinaryCrossEntropy(pos_weight=3.0), YES_NO),
    (BinaryCrossEntropy(pos_weight=[0, 1, 2.5, 9], neg_weight=[1, 0, 0.5, 2]), SOFT),
    (MeanSquaredError(), NUMBERS),
    (MeanAbsoluteError(), NUMBERS),
    (HuberLoss(), NUMBERS),
    (HuberLoss(delta=0.3), NUMBERS),
    (QuantileLoss(), NUMBERS),
    (QuantileLoss(0.9), NUMBERS),
    (PoissonLoss(), COUNTS),
    (HalfSquaredError(), NUMBERS),
    (HalfPoissonDeviance(), COUNTS),
    (LogLoss(), YES_NO),
    (LogLoss(label_smoothing=0.2), YES_NO),
    (LogLoss(label_smoothing=0.2, pos_weight=[1, 2, 3, 4], neg_weight=0.5), YES_NO),
    (HingeLoss(), LABELS),
    (HingeLoss(margin=0.3), LABELS),
]
SINGLE_OUTPUT = [
    (BinaryCrossEntropy(), YES_NO[:, 0]),
    (HingeLoss(), YES_NO[:, 0]),
    (HingeLoss(), 2 * YES_NO[:, 0] - 1),
    (MeanSquaredError(), NUMBERS[:, 0]),
    (PoissonLoss(), COUNTS[:, 0]),
]


def outputs_for(targets, n_outputs=4, dtype=float, seed=1):
    return np.random.default_rng(seed).standard_normal((len(targets), n_outputs)).astype(dtype)


def test_every_loss_has_a_case():
    kinds = {kind for kind in classes_by_name(Loss).values() if kind.__module__.startswith("layernet.")}
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


@pytest.mark.parametrize("weights", [None, np.arange(6.0)], ids=["plain", "weighted"])
def test_a_normalizer_of_0_gives_a_loss_of_0(weights):
    bound = MeanSquaredError().bind(NUMBERS, weights, normalizer=0)
    outputs = outputs_for(NUMBERS)
    assert bound.forward_pass(outputs) == 0
    assert not bound.backward_pass(outputs).any()


def test_gradients_at_kinks():
    """0 where the formulas say so; a gradient check cannot see it."""
    error = np.array([[0.0], [1.0], [-1.0]])
    zeros = np.zeros((3, 1))
    assert_allclose(MeanAbsoluteError().gradient(error, zeros), [[0], [1], [-1]])
    assert_allclose(QuantileLoss(0.3).gradient(error, zeros), [[0], [0.7], [-0.3]])
    # At the margin.
    assert not HingeLoss().gradient(np.ones((1, 1)), np.ones((1, 1))).any()
    assert not HingeLoss().gradient(-np.ones((1, 1)), -np.ones((1, 1))).any()
    assert_allclose(HingeLoss().gradient(np.array([[1.0, 0, 0.5]]), np.array([0])), [[-1, 0, 1]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("loss", "targets"),
    [case for case in CASES if not isinstance(case[0], PoissonLoss)],
    ids=lambda v: repr(v)[:40],
)
def test_outputs_of_any_magnitude(loss, targets, dtype):
    for size in (1e4, 1e-30):
        outputs = (size * outputs_for(targets)).astype(dtype)
        bound = loss.bind(targets)
        assert np.isfinite(bound.forward_pass(outputs))
        assert np.isfinite(bound.backward_pass(outputs)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_expected_counts_of_any_magnitude(dtype):
    outputs = np.array([[-1e4], [-1e30], [80.0], [1e-30]], dtype)
    bound = PoissonLoss().bind([0.0, 0.0, 3.0, 1.0])
    assert np.isfinite(bound.forward_pass(outputs))
    assert np.isfinite(bound.backward_pass(outputs)).all()


def test_a_sample_without_weight_counts_for_nothing_even_where_its_loss_is_infinite():
    outputs, targets = np.array([[1e4], [0.0]]), [1.0, 1.0]
    bound = PoissonLoss().bind(targets, [0.0, 2.0])
    assert bound.forward_pass(outputs) == 1.0
    assert_allclose(bound.backward_pass(outputs), [[0.0], [0.0]])


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=lambda value: repr(value)[:40])
def test_float32_gives_what_float64_gives(loss, targets):
    outputs, weights = outputs_for(targets), RANDOM.uniform(0, 2, 6)
    single = outputs.astype(np.float32)
    for bound in (loss.bind(targets), loss.bind(targets, weights), loss.bind(targets, weights, 3.0)):
        assert_allclose(bound.forward_pass(single), bound.forward_pass(outputs), rtol=1e-5)
        assert_allclose(bound.backward_pass(single), bound.backward_pass(outputs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (CrossEntropy(label_smoothing=np.float64(0.2)), LABELS),
        (CrossEntropy(class_weight=np.array([1.0, 2.0, 3.0, 0.5])), LABELS),
        (HingeLoss(margin=np.float64(0.5)), LABELS),
        (HuberLoss(delta=np.float64(0.5)), NUMBERS),
        (QuantileLoss(quantile=np.float64(0.2)), NUMBERS),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_arguments_that_are_numpy_numbers_leave_float32_as_it_is(loss, targets):
    """Grids of hyperparameters are made of them, and NumPy's float64 widens what Python's float does not."""
    outputs = outputs_for(targets, dtype=np.float32)
    for bound in (loss.bind(targets), loss.bind(targets, np.ones(6)), loss.bind(targets, None, np.float64(3))):
        assert bound.forward_pass(outputs).dtype == np.float32
        assert bound.backward_pass(outputs).dtype == np.float32


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=lambda value: repr(value)[:40])
def test_passes_are_pure_and_take_what_must_not_be_written(loss, targets):
    outputs, targets, weights = outputs_for(targets), np.array(targets), np.linspace(0, 2, 6)
    arrays = (outputs, targets, weights)
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    bound = loss.bind(targets, weights)
    first = bound.backward_pass(outputs)  # with no forward pass before it
    assert bound.forward_pass(outputs) == bound.forward_pass(outputs)
    assert np.array_equal(bound.backward_pass(outputs), first)
    assert np.array_equal(loss.bind(targets, weights).backward_pass(np.asfortranarray(outputs)), first)
    assert not np.shares_memory(first, bound.backward_pass(outputs))
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, before, strict=True))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (MeanSquaredError(), NUMBERS),
        (MeanAbsoluteError(), NUMBERS),
        (HuberLoss(0.5), NUMBERS),
        (QuantileLoss(0.3), NUMBERS),
        (PoissonLoss(), COUNTS),
        (BinaryCrossEntropy(), YES_NO),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_every_output_of_a_sample_counts_the_same_whatever_its_shape(loss, targets):
    outputs, weights = outputs_for(targets), np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])
    for shape, n_outputs in (((2, 2), 4), ((4, 1), 4), ((1,), 1), ((), 1)):
        rows, aims = outputs[:, :n_outputs], targets[:, :n_outputs]
        for options in ((), (weights,), (weights, 7.0)):
            flat = loss.bind(aims, *options)
            shaped = loss.bind(aims.reshape(6, *shape), *options)
            found = shaped.forward_pass(rows.reshape(6, *shape))
            assert_allclose(found, flat.forward_pass(rows), rtol=1e-12)
            gradient = shaped.backward_pass(rows.reshape(6, *shape))
            assert gradient.shape == (6, *shape)
            assert_allclose(gradient.reshape(rows.shape), flat.backward_pass(rows), rtol=1e-12)


def test_a_column_of_targets_fits_outputs_of_one_number_a_sample():
    for targets, output_shape in (([[1.0], [2.0]], ()), ([1.0, 2.0], (1,)), ([1.0, 2.0], ())):
        prepared = MeanSquaredError().prepare(targets, output_shape, np.dtype(np.float32))
        assert prepared.shape == (2, *output_shape)
        assert prepared.dtype == np.float32
    with pytest.raises(ValueError, match=r"like the network's outputs, got \(2, 1, 1\)"):
        MeanSquaredError().prepare([[[1.0]], [[2.0]]], (1,), np.dtype(float))


def test_an_infinite_expected_count_is_an_infinite_loss_without_a_warning():
    for loss in (PoissonLoss(), HalfPoissonDeviance()):
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


def test_weights_against_scikit_learn():
    outputs, weights = outputs_for(LABELS), np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])
    probabilities = np.exp(log_softmax(outputs, axis=1))
    expected = metrics.log_loss(LABELS, probabilities, sample_weight=weights, labels=range(4))
    assert_allclose(CrossEntropy().bind(LABELS, weights).forward_pass(outputs), expected)
    expected = metrics.mean_pinball_loss(NUMBERS, outputs, sample_weight=weights, alpha=0.7)
    assert_allclose(QuantileLoss(0.7).bind(NUMBERS, weights).forward_pass(outputs), expected)
    expected = metrics.mean_squared_error(NUMBERS, outputs, sample_weight=weights)
    assert_allclose(MeanSquaredError().bind(NUMBERS, weights).forward_pass(outputs), expected)


def test_smoothing_is_a_mixture_with_even_odds():
    outputs = outputs_for(LABELS)
    smoothed = CrossEntropy(label_smoothing=0.3).bind(LABELS)
    hard, even = CrossEntropy().bind(LABELS), CrossEntropy().bind(np.full((6, 4), 0.25))
    for method in ("forward_pass", "backward_pass"):
        expected = 0.7 * getattr(hard, method)(outputs) + 0.3 * getattr(even, method)(outputs)
        assert_allclose(getattr(smoothed, method)(outputs), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, LogLoss])
def test_weights_of_labels_multiply_their_two_terms(kind):
    outputs, per_sample = outputs_for(YES_NO), 4 if kind is BinaryCrossEntropy else 1
    positive, negative = np.array([0, 1, 2.5, 9]), np.array([1, 3, 0, 2])
    p = 1 / (1 + np.exp(-outputs))
    for targets in (YES_NO, SOFT):
        loss = kind(pos_weight=positive, neg_weight=negative).bind(targets)
        terms = -positive * targets * np.log(p) - negative * (1 - targets) * np.log(1 - p)
        assert_allclose(loss.forward_pass(outputs), terms.sum() / 6 / per_sample, rtol=1e-12)
        slopes = negative * (1 - targets) * p - positive * targets * (1 - p)
        assert_allclose(loss.backward_pass(outputs), slopes / 6 / per_sample, rtol=1e-12, atol=1e-15)
        alike = [kind(pos_weight=3.0), kind(pos_weight=[3] * 4), kind(pos_weight=np.full(4, 3), neg_weight=1)]
        values = [each.bind(targets).backward_pass(outputs) for each in alike]
        assert_allclose(values[1:], values[:1] * 2, rtol=1e-12)


def test_the_weight_of_a_label_is_that_of_its_samples_where_there_is_one():
    outputs, targets = outputs_for(LABELS)[:, :1], YES_NO[:, :1]
    for_samples = BinaryCrossEntropy().bind(targets, np.where(targets[:, 0] == 1, 5.0, 0.5), normalizer=6)
    of_label = BinaryCrossEntropy(pos_weight=5, neg_weight=0.5).bind(targets)
    assert_allclose(of_label.forward_pass(outputs), for_samples.forward_pass(outputs), rtol=1e-12)
    assert_allclose(of_label.backward_pass(outputs), for_samples.backward_pass(outputs), rtol=1e-12)


def test_a_list_of_one_weight_is_for_one_label():
    outputs, targets = outputs_for(LABELS)[:, :1], YES_NO[:, :1]
    found = BinaryCrossEntropy(pos_weight=[5.0]).bind(targets).backward_pass(outputs)
    assert_allclose(found, BinaryCrossEntropy(pos_weight=5.0).bind(targets).backward_pass(outputs))


def test_weights_of_labels_leave_certain_outputs_exact():
    certain = np.where(YES_NO == 1, 1e4, -1e4)
    weighted = BinaryCrossEntropy(pos_weight=[1, 2, 3.7, 9], neg_weight=0.3)
    assert weighted.bind(YES_NO).forward_pass(certain) == 0
    assert_allclose(
        weighted.bind(YES_NO).forward_pass(-certain),
        1e4 * np.where(YES_NO == 1, [1, 2, 3.7, 9], 0.3).mean(),
        rtol=1e-12,
    )


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, LogLoss])
@pytest.mark.parametrize("name", ["pos_weight", "neg_weight"])
@pytest.mark.parametrize(
    "weight", [-1, np.nan, [1, -1, 1, 1], [1, np.inf, 1, 1], "balanced", {0: 1}, [], [[1.0]]]
)
def test_weights_of_labels_that_are_refused(kind, name, weight):
    with pytest.raises((ValueError, TypeError), match=f"{kind.__name__}: {name} must be"):
        kind(**{name: weight})


def test_a_subclass_without_the_arguments_of_its_parent_has_no_weights():
    class Scaled(BinaryCrossEntropy):
        def __init__(self, factor):
            self.factor = factor

        def losses(self, outputs, targets):
            return self.factor * super().losses(outputs, targets)

        def gradient(self, outputs, targets):
            return self.factor * super().gradient(outputs, targets)

    outputs = outputs_for(YES_NO)
    plain = BinaryCrossEntropy().bind(YES_NO).forward_pass(outputs)
    assert_allclose(Scaled(2).bind(YES_NO).forward_pass(outputs), 2 * plain)


def test_class_weights_of_every_form_agree():
    outputs = outputs_for(LABELS)
    forms = [
        [2, 1, 1, 0.5],
        (2.0, 1, 1, 0.5),
        np.array([2, 1, 1, 0.5]),
        {0: 2, 3: 0.5},
        {np.int64(0): 2, 3: 0.5},
        {0: 2, 1: 1, 2: 1, 3: 0.5},
    ]
    for targets in (LABELS, np.eye(4)[LABELS]):
        values = [CrossEntropy(class_weight=form).bind(targets).backward_pass(outputs) for form in forms]
        for value in values[1:]:
            assert_allclose(value, values[0], rtol=1e-12)
        assert not np.allclose(values[0], CrossEntropy().bind(targets).backward_pass(outputs))


def test_a_class_may_weigh_nothing():
    gradient = CrossEntropy(class_weight=[0, 1, 1, 1]).bind([0, 1]).backward_pass(np.zeros((2, 4)))
    assert gradient.any(axis=1).tolist() == [False, True]


def test_a_class_that_no_target_has_does_not_change_the_weights_of_others():
    loss = CrossEntropy(class_weight={0: 1.0, 1: 1e200, 2: 3.0})
    assert loss.sample_weights(np.array([0, 0]), None).tolist() == [1, 1]


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
        (QuantileLoss(0.2), metrics.mean_pinball_loss(NUMBERS, outputs, alpha=0.2)),
    ):
        assert_allclose(loss.bind(NUMBERS).forward_pass(outputs), expected)


def test_hinge_against_scikit_learn():
    outputs, targets = outputs_for(YES_NO, 1), 2 * YES_NO[:, 0] - 1
    expected = metrics.hinge_loss(targets, outputs[:, 0])
    assert_allclose(HingeLoss().bind(targets).forward_pass(outputs), expected)
    assert_allclose(HingeLoss().bind(YES_NO[:, 0]).forward_pass(outputs), expected)
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    # The example of cs231n's lecture on linear classification: losses of 2.9, 0 and 12.9.
    assert_allclose(HingeLoss().losses(scores, np.array([0, 1, 2])), [2.9, 0, 12.9])


def test_huber_against_scipy():
    outputs = outputs_for(NUMBERS)
    expected = huber(0.4, outputs - NUMBERS).mean()
    assert_allclose(HuberLoss(0.4).bind(NUMBERS).forward_pass(outputs), expected)


def test_poisson_against_scikit_learn():
    """Half the deviance, but for terms of the targets alone."""
    outputs, counts = outputs_for(COUNTS)[:, 0], COUNTS[:, 0]
    half = metrics.mean_poisson_deviance(counts, np.exp(outputs)) / 2
    expected = half - (xlogy(counts, counts) - counts).mean()
    assert_allclose(PoissonLoss().bind(counts).forward_pass(outputs[:, None]), expected)


def test_hinge_of_classes_one_at_a_time():
    outputs = outputs_for(LABELS)
    for row, label in zip(outputs, LABELS, strict=True):
        expected = sum(max(0.0, row[k] - row[label] + 0.6) for k in range(4) if k != label)
        assert_allclose(HingeLoss(0.6).losses(row[None], np.array([label])), [expected])


def test_huber_is_squared_within_delta_and_straight_beyond():
    losses = HuberLoss(2.0).losses(np.array([[1.0], [-2.0], [5.0]]), np.zeros((3, 1)))
    assert_allclose(losses, [0.5, 2.0, 8.0])


def test_poisson_is_least_at_the_mean_count():
    counts = np.array([[1.0], [2.0], [6.0]])
    bound = PoissonLoss().bind(counts)
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


def test_a_loss_of_ones_own_that_gives_no_number_for_each_sample_is_found_out():
    class Mean(Loss):
        def losses(self, outputs, targets):
            return ((outputs - targets) ** 2).mean()

        def gradient(self, outputs, targets):
            return 2 * (outputs - targets) / outputs.size

    with pytest.raises(ValueError, match="losses"):
        Mean().bind(NUMBERS).forward_pass(outputs_for(NUMBERS))


@pytest.mark.parametrize("kind", [csr_array, csc_matrix])
def test_sparse_targets_are_refused_with_what_to_do(kind):
    with pytest.raises(TypeError, match=r"must be a dense array, got the sparse cs.*Use \.toarray\(\)"):
        BinaryCrossEntropy().bind(kind(YES_NO))


def test_repr_makes_it_again():
    names = {kind.__name__: kind for kind in classes_by_name(Loss).values()}
    with pytest.raises(ValueError, match="'loss' is not known"):
        find_loss("loss")
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
        (CrossEntropy(class_weight=[1, 2]), [0, 1, 2], "class_weight must give each of 4 classes"),
        (CrossEntropy(class_weight={0: -1.0}), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight={-1: 5.0}), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight={0.5: 5.0}), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight={"a": 5.0}), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight="balanced"), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight=[1, np.inf, 1, 1]), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight=[1, np.nan, 1, 1]), [0, 1, 2], "class_weight"),
        (CrossEntropy(class_weight=[1, 2]), [0, 1, 1], "class_weight must give each of 4 classes"),
        (CrossEntropy(class_weight=[1, 2, 3, 4, 5]), np.eye(4)[:3], "class_weight"),
        (CrossEntropy(), [1e300, 0, 0], "classes from 0 to 3|not whole numbers"),
        (CrossEntropy(), [[0], [1], [2]], r"got \(3, 1\)"),
        (HingeLoss(), [0.5, 1, 2], "not whole numbers"),
        (HingeLoss(), [np.nan, 1, 2], "not whole numbers"),
        (BinaryCrossEntropy(), np.full((3, 4), -0.1), "between 0 and 1, got -0.1"),
        (MeanSquaredError(), np.ones((3, 1)), r"shape \(n_samples, 4\).*got \(3, 1\)"),
        (MeanSquaredError(), 1.0, "targets"),
        (
            BinaryCrossEntropy(pos_weight=[1, 2]),
            np.ones((3, 4)),
            r"pos_weight must be .* got 2 numbers for rows",
        ),
        (LogLoss(neg_weight=[1] * 5), np.ones((3, 4)), "neg_weight must be .* got 5 numbers for rows"),
        (BinaryCrossEntropy(), np.full((3, 4), 2.0), r"between 0 and 1, got 2\.0\.$"),
        (HingeLoss(), [0, 1, 9], "classes from 0 to 3"),
        (HingeLoss(), np.eye(4)[:3], r"class numbers of shape.*one-hot encoding are y\.argmax\(axis=1\)"),
        (MeanSquaredError(), [1.0, 2.0, 3.0], r"shape \(n_samples, 4\).*got \(3,\)"),
        (MeanSquaredError(), np.full((3, 4), np.inf), r"must be finite, got inf at \(0, 0\)"),
        (PoissonLoss(), np.full((3, 4), -1.0), "counts of at least 0, got -1.0"),
    ],
)
def test_targets_that_do_not_fit(loss, targets, message):
    with pytest.raises(ValueError, match=message):
        loss.bind(targets).forward_pass(np.zeros((3, 4)))


def test_probabilities_may_be_rounded():
    """Their sum may differ from 1 by 1e-4, and not by more."""
    row = np.array([[0.25, 0.25, 0.25, 0.25]])
    for difference in (9e-5, -9e-5):
        assert np.isfinite(CrossEntropy().bind(row + difference / 4).forward_pass(np.zeros((1, 4))))
    for difference in (1.1e-4, -1.1e-4):
        with pytest.raises(ValueError, match="sum to 1"):
            CrossEntropy().bind(row + difference / 4).forward_pass(np.zeros((1, 4)))


@pytest.mark.parametrize("loss", [CrossEntropy(), HingeLoss()], ids=repr)
def test_a_column_of_class_numbers_is_refused_from_two_outputs_on(loss):
    with pytest.raises(ValueError, match=r"got \(3, 1\), a column. Use y.ravel\(\)"):
        loss.bind([[0], [1], [1]]).forward_pass(np.zeros((3, 2)))
    assert CrossEntropy().bind([[1.0], [1.0]]).forward_pass(np.full((2, 1), 3.0)) == 0


@pytest.mark.parametrize("output_shape", [(), (2, 4)])
def test_classes_need_one_output_each(output_shape):
    message = r"CrossEntropy\(\) expects outputs of shape \(n_samples, n_classes\), got rows of \("
    with pytest.raises(ValueError, match=message):
        CrossEntropy().prepare([0, 1, 1], output_shape, np.dtype(float))
    message = r"HingeLoss\(\) expects class numbers .* outputs of shape .*, got \(3,\) and rows of \("
    with pytest.raises(ValueError, match=message):
        HingeLoss().prepare([0, 1, 1], output_shape, np.dtype(float))


@pytest.mark.parametrize(
    "loss",
    [MeanSquaredError(), MeanAbsoluteError(), HuberLoss(), QuantileLoss(), HalfSquaredError()],
    ids=repr,
)
def test_classes_predicted_by_losses_of_numbers(loss):
    one, several = np.array([[0.5], [0.6], [0.4], [0.7]]), np.array([[0.1, 0.9, 0.8], [0.2, 0.9, 0.3]])
    assert loss.is_predicted(one, np.array([[0], [1], [1], [0]])).tolist() == [True, True, False, False]
    assert loss.is_predicted(one[1:2], np.ones((1, 1))).tolist() == [True]
    assert loss.is_predicted(several, np.array([[0, 1, 0], [0, 0, 1]])).tolist() == [True, False]
    for outputs, targets in ((one, [[0], [1], [2], [1]]), (several, [[0, 1, 0.5], [0, 0, 1]])):
        with pytest.raises(ValueError, match="has targets other than 0 and 1"):
            loss.is_predicted(outputs, np.array(targets))
    for row in ([0, 0, 0], [1, 0, 1]):
        with pytest.raises(ValueError, match="and 3 outputs expects one 1 in each row"):
            loss.is_predicted(several, np.array([[0, 1, 0], row]))


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "expected"),
    [
        (CrossEntropy(), [[2, 1], [1, 2]], [0, 0], [True, False]),
        (CrossEntropy(), [[2, 1], [1, 2]], [[0.6, 0.4], [0.7, 0.3]], [True, False]),
        (HingeLoss(), [[2, 1], [1, 2]], [0, 0], [True, False]),
        (HingeLoss(), [[0], [0.5], [0.5]], [0, 1, 0], [True, True, False]),
        (HingeLoss(), [[0], [0.5], [0.5]], [-1, 1, -1], [True, True, False]),
        (BinaryCrossEntropy(), [[0], [0.5], [0.5]], [0, 1, 0], [True, True, False]),
        (LogLoss(), [[1, -1], [1, 1]], [[1, 0.5], [1, 0]], [True, False]),
    ],
)
def test_classes_predicted_by_losses_of_classes(loss, outputs, targets, expected):
    outputs = np.array(outputs, float)
    assert (
        loss.is_predicted(outputs, loss.prepare(targets, outputs.shape[1:], outputs.dtype)).tolist() == expected
    )


@pytest.mark.parametrize(
    ("outputs", "targets", "expected"),
    [
        ([[2, 1, -1], [0.5, 0.2, 0.9]], [0, 1], [True, False]),
        ([[2, 1, -1], [0.5, 0.2, 0.9]], [[1, 0, 0], [0, 1, 0]], [True, False]),
        ([[2, 1, -1], [0.5, 0.2, 0.9]], [[0.4, 0.3, 0.3], [0.1, 0.2, 0.7]], [True, True]),
        ([[2, 1, -1], [0.5, 0.2, 0.9]], [[1, 1, 0], [1, 1, 0]], [True, False]),
        ([[1, 2], [1, 2]], [1, 0], [True, False]),
        ([[0], [0.5], [0.5]], [0, 1, 0], [True, True, False]),
        ([[0], [0.5], [0.5]], [[0.5], [0.6], [0.5]], [True, True, False]),
    ],
)
def test_outputs_of_a_loss_of_ones_own_are_taken_for_logits(outputs, targets, expected):
    class Plain(Loss):
        def losses(self, outputs, targets):
            return outputs.sum(axis=1)

        def gradient(self, outputs, targets):
            return np.ones_like(outputs)

    assert Plain().is_predicted(np.array(outputs, float), np.array(targets)).tolist() == expected


@pytest.mark.parametrize("loss", [PoissonLoss(), HalfPoissonDeviance()], ids=repr)
def test_counts_are_no_classes(loss):
    with pytest.raises(ValueError, match=r"accuracy is for classes, and .* has counts"):
        loss.is_predicted(np.ones((2, 1)), np.ones((2, 1)))


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(),
        BinaryCrossEntropy(),
        MeanSquaredError(),
        MeanAbsoluteError(),
        HuberLoss(),
        QuantileLoss(),
        PoissonLoss(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_targets_that_are_not_finite_are_refused(loss, value):
    targets = np.full((3, 4), 0.25)
    targets[1, 2] = value
    with pytest.raises(ValueError, match=r"must be finite, got .* at \(1, 2\)"):
        loss.bind(targets).forward_pass(np.zeros((3, 4)))


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("n_rows", [0, 1, 5, 7])
def test_another_number_of_outputs_than_targets_is_refused(loss, targets, n_rows):
    for method in ("forward_pass", "backward_pass"):
        with pytest.raises(ValueError, match=f"bound to 6 targets and got {n_rows} outputs"):
            getattr(loss.bind(targets), method)(np.zeros((n_rows, 4)))


def test_single_output_targets_that_do_not_fit():
    with pytest.raises(ValueError, match="targets of -1 and 1, or of 0 and 1"):
        HingeLoss().bind([0, 2]).forward_pass(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="targets of -1 and 1, or of 0 and 1"):
        HingeLoss().bind([-1, 0, 1]).forward_pass(np.zeros((3, 1)))
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


@pytest.mark.parametrize("normalizer", [-1.0, np.nan, "total"])
def test_normalizers_that_do_not_fit(normalizer):
    with pytest.raises((ValueError, TypeError), match="normalizer"):
        MeanSquaredError().bind([1.0], None, normalizer).forward_pass([[2.0]])


def test_a_gradient_of_the_loss_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="grad_output"):
        MeanSquaredError().bind([1.0, 2.0]).backward_pass([[2.0], [3.0]], [1.0, 1.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: CrossEntropy(label_smoothing=1),
        lambda: CrossEntropy(label_smoothing=-0.1),
        lambda: CrossEntropy(label_smoothing=np.nan),
        lambda: HuberLoss(delta=np.nan),
        lambda: QuantileLoss(quantile=0),
        lambda: HuberLoss(delta=0),
        lambda: QuantileLoss(quantile=1),
        lambda: HingeLoss(margin=0),
    ],
)
def test_arguments_out_of_range(make):
    with pytest.raises(ValueError, match="must"):
        make()


ARGUMENTS = [
    (CrossEntropy, "label_smoothing", *UNIT),
    (LogLoss, "label_smoothing", *UNIT),
    (BinaryCrossEntropy, "pos_weight", *AT_LEAST_0),
    (BinaryCrossEntropy, "neg_weight", *AT_LEAST_0),
    (LogLoss, "pos_weight", *AT_LEAST_0),
    (LogLoss, "neg_weight", *AT_LEAST_0),
    (HuberLoss, "delta", *POSITIVE),
    (QuantileLoss, "quantile", [1e-12, 1 - 1e-12], [0, 1]),
    (HingeLoss, "margin", *POSITIVE),
]


@pytest.mark.parametrize(("cls", "name", "accepted", "refused"), ARGUMENTS)
def test_arguments_are_accepted_up_to_their_bounds(cls, name, accepted, refused):
    check_argument(cls, name, accepted, refused)


def test_every_number_has_a_case():
    assert {(cls, name) for cls, name, *_ in ARGUMENTS} == numbers_and_switches(Loss)


# One epoch is enough to tell losses apart.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squared_error", HalfSquaredError),
        ("poisson", HalfPoissonDeviance),
        ("absolute_error", MeanAbsoluteError),
        ("huber", HuberLoss),
        ("huber_loss", HuberLoss),
        ("HuberLoss", HuberLoss),
        ("poisson_loss", PoissonLoss),
    ],
)
def test_a_name_means_the_same_loss_in_networks_and_estimators(name, expected, random):
    assert type(find_loss(name)) is expected
    network = Sequential([Dense(1)])
    X, y = random.standard_normal((8, 2)), random.poisson(2, 8).astype(float)
    named = network.fit(X, y, name, epochs=1, random_state=0, engine="formulas")["loss"]
    again = Sequential([Dense(1)]).fit(X, y, expected(), epochs=1, random_state=0, engine="formulas")["loss"]
    assert named == again
    if name in ("squared_error", "poisson", "absolute_error", "huber"):
        curves = [
            NetworkRegressor(Sequential([Dense(1)]), loss=loss, max_iter=1, random_state=0)
            .fit(X, y)
            .loss_curve_
            for loss in (name, expected())
        ]
        assert curves[0] == curves[1]


@pytest.mark.parametrize(
    "loss",
    [
        LogLoss(np.float64(0.1), pos_weight=np.float64(2)),
        LogLoss(pos_weight=np.array([1.0, 2.0])),
        CrossEntropy(np.float64(0.1), class_weight=np.array([1.0, 2.0])),
        BinaryCrossEntropy(np.float64(2), np.float64(3)),
        HuberLoss(np.float64(0.5)),
        QuantileLoss(np.float64(0.3)),
    ],
    ids=repr,
)
def test_settings_of_numpy_types_keep_single_precision(loss):
    outputs, targets = np.float32([[0.5, -1.0], [2.0, 0.0]]), np.float32([[1.0, 0.0], [0.0, 1.0]])
    prepared = loss.prepare(targets, (2,), outputs.dtype)
    bound = loss.bind(targets)
    for found in (
        prepared,
        loss.losses(outputs, prepared),
        loss.gradient(outputs, prepared),
        bound.forward_pass(outputs),
        bound.backward_pass(outputs),
    ):
        assert found.dtype == np.float32
