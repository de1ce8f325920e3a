"""Limits: which parameters are valid, and which numbers lie on which side of a threshold."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils import check_random_state

from layernet import (
    SGD,
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    HingeLoss,
    MeanSquaredError,
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    QuantileLoss,
)
from layernet.estimators.baselines import (
    _advice,
    losses_of_constant,
    losses_of_network,
    raise_if_diverged,
    warn_if_no_better_than_mean,
)
from layernet.estimators.class_targets import ClassTargets
from layernet.estimators.convergence import Convergence
from layernet.estimators.fitting import batch_size_of
from layernet.estimators.number_targets import NumberTargets
from layernet.estimators.training_state import TrainingState
from layernet.estimators.validation_data import split_rows
from layernet.training import DivergenceError, Run
from layernet.training.data import TrainingData
from layernet.training.run import note
from layernet.training.snapshot import Snapshot

ESTIMATORS = [MLPClassifier(), MLPRegressor(), NetworkClassifier(Dense(1)), NetworkRegressor(Dense(1))]
MLPS = [MLPClassifier, MLPRegressor]
TINY = 1e-12
UP_TO_1 = ([0, 0.5, 1 - TINY], [-TINY, 1, "0.5"])
POSITIVE = ([TINY, 0.5, 2.0], [0, -TINY, "1"])
NOT_NEGATIVE = ([0, 0.5, 2.0], [-TINY, "1"])
COUNTS = ([1, 7], [0, -1, 1.5])
SWITCHES = ([True, False], [2, "yes", None])
# Valid and invalid values of each parameter.
LIMITS = {
    "alpha": NOT_NEGATIVE,
    "batch_size": (["auto", 1, 7], [0, 1.5, "all", None]),
    "max_iter": COUNTS,
    "shuffle": SWITCHES,
    "random_state": ([0, 7, None, np.random.RandomState(0)], [-1, "0"]),
    "tol": NOT_NEGATIVE,
    "verbose": ([True, False, 0, 10], ["yes", None]),
    "warm_start": SWITCHES,
    "early_stopping": SWITCHES,
    "validation_fraction": UP_TO_1,
    "n_iter_no_change": ([1, 7, np.inf], [0, 1.5, -np.inf]),
    "scoring": ([None, "loss", len], [0]),
    "dtype": ([None, "float32", "float64", np.float32, np.float64], ["float16", np.float16, float]),
    "weight_averaging": ([None, *UP_TO_1[0]], UP_TO_1[1]),
    "callbacks": ([(), []], [None, 1]),
    "keep_optimizer": SWITCHES,
    "engine": (["auto", "compiled", "formulas"], ["steam", None]),
}
LIMITS_OF_MLPS = {
    "hidden_layer_sizes": ([(), (3,), 1, [3, 4]], [0, -1, None]),
    "activation": (["relu", "gelu", Dense(3), ["relu"]], ["cube", None]),
    "solver": (["lbfgs", "sgd", "lion", SGD()], ["newton", SGD, None]),
    "learning_rate": (["constant", "invscaling", "adaptive", len], ["falling", None, 0.1]),
    "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE,
    "momentum": ([0, 0.5, 1], [-TINY, 1 + 1e-9]),
    "nesterovs_momentum": SWITCHES,
    "beta_1": UP_TO_1,
    "beta_2": UP_TO_1,
    "epsilon": POSITIVE,
    "max_fun": COUNTS,
    "dropout": ([*UP_TO_1[0], [0.1]], [-TINY, 1]),
    "normalization": ([None, "batch", "layer", "rms"], ["group"]),
    "clip_norm": ([None, *POSITIVE[0]], POSITIVE[1]),
    "clip_value": ([None, *POSITIVE[0]], POSITIVE[1]),
    "exact_compatibility": SWITCHES,
}
LIMITS_OF_ONE_KIND = [
    ([ESTIMATORS[0], ESTIMATORS[2]], "loss", (["log_loss", "hinge", CrossEntropy()], ["huber", None])),
    ([ESTIMATORS[1], ESTIMATORS[3]], "loss", (["poisson", "huber", QuantileLoss()], ["hinge", None])),
    ([ESTIMATORS[0], ESTIMATORS[2]], "class_weight", ([None, "balanced", {0: 1}, [], ()], ["even", 1])),
    ([ESTIMATORS[0], ESTIMATORS[2]], "label_smoothing", UP_TO_1),
    ([ESTIMATORS[1], ESTIMATORS[3]], "target_scale", ([None, "standard"], ["robust", 1])),
    (ESTIMATORS[2:], "network", ([Dense(1), len], [None, "dense"])),
    (ESTIMATORS[2:], "optimizer", (["adam", SGD()], [None, SGD])),
    (ESTIMATORS[2:], "learning_rate", ([None, len], ["constant", 0.1])),
]
CASES = [
    (estimator, name, values)
    for estimators, limits in (
        (ESTIMATORS, LIMITS.items()),
        (ESTIMATORS[:2], LIMITS_OF_MLPS.items()),
        *((estimators, [(name, values)]) for estimators, name, values in LIMITS_OF_ONE_KIND),
    )
    for name, values in limits
    for estimator in estimators
]


@pytest.mark.parametrize(
    ("estimator", "name", "values"), CASES, ids=[f"{type(one).__name__}-{name}" for one, name, _ in CASES]
)
def test_limits_of_parameters(estimator, name, values):
    valid, invalid = values
    arguments = estimator.get_params(deep=False)
    for value in valid:
        type(estimator)(**{**arguments, name: value})._validate_params()
    for value in invalid:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {type(estimator).__name__} must be"):
            type(estimator)(**{**arguments, name: value})._validate_params()


def test_every_parameter_has_its_limits_tested():
    tested = {(type(estimator), name) for estimator, name, _ in CASES}
    assert tested == {(type(one), name) for one in ESTIMATORS for name in one.get_params(deep=False)}


@pytest.mark.parametrize("untrained", [1.0, 4.0])
@pytest.mark.parametrize(("factor", "diverges"), [(99.0, False), (100.0, False), (101.0, True)])
def test_a_hundred_times_the_loss_of_an_untrained_network_is_a_divergence(factor, diverges, untrained):
    network = Dense(1, weights_initializer="zeros").build(1)
    data = TrainingData(network, MeanSquaredError(), np.ones((2, 1)), [[untrained**0.5]] * 2, None, None)
    run = Run(network, MeanSquaredError(), SGD(), 1, 1)
    before = Snapshot(network)
    raise_if_diverged(run, before, data)  # no epoch has ended
    run.history.add(epoch=1, loss=1e6)
    run.history.add(epoch=2, loss=factor * untrained)
    network.weights = [[5.0]]
    if diverges:
        message = (
            f"the loss is {factor * untrained:g}, and a network that has learned nothing has {untrained:g}"
        )
        with pytest.raises(DivergenceError, match=message):
            raise_if_diverged(run, before, data)
    else:
        raise_if_diverged(run, before, data)
    assert network.weights == [[5.0]]


def test_the_network_before_the_training_counts_as_untrained():
    network = Dense(1, weights_initializer="zeros").build(1)
    data = TrainingData(network, MeanSquaredError(), np.ones((2, 1)), [[1.0]] * 2, None, None)
    network.weights = [[10.0]]  # a loss of 81
    run, before = Run(network, MeanSquaredError(), SGD(), 1, 1), Snapshot(network)
    network.weights = [[1.0]]  # no loss at all
    run.history.add(epoch=1, loss=8100.0)
    raise_if_diverged(run, before, data)
    run.history.add(epoch=2, loss=8101.0)
    with pytest.raises(DivergenceError, match="a network that has learned nothing has 81"):
        raise_if_diverged(run, before, data)
    assert network.weights == [[1.0]]


@pytest.mark.parametrize(
    ("loss", "share", "is_useless"),
    [
        ("squared_error", 1.0005, True),
        ("squared_error", 0.9995, True),
        ("squared_error", 0.9985, False),
        ("poisson", 1.0005, True),
        ("poisson", 0.9995, False),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_fit_is_useless_unless_its_loss_is_a_thousandth_below_that_of_the_mean(
    loss, share, is_useless, n_outputs, recwarn
):
    y = np.tile([[1.0], [3.0]], n_outputs)
    targets = NumberTargets(y, loss)
    network = Dense(n_outputs, weights_initializer="zeros").build(1, dtype=np.float64)
    data = TrainingData(network, targets.loss, np.array([[1.0], [-1.0]]), y, None, None)
    columns = [slice(None)]
    of_mean = losses_of_constant(targets.outputs_of_mean(y, None), network, targets.loss, data, columns)[0]
    network.bias = targets.outputs_of_mean(y, None)
    # The weight that changes the loss to its share, by bisection; its sign decides whether the loss rises.
    low, high = (1.0, 0.0) if share > 1 else (0.0, -0.5)
    for _ in range(60):
        network.weights = np.full((1, n_outputs), (low + high) / 2)
        of_network = losses_of_network(network, targets.loss, data, columns)[0]
        is_above = of_network > share * of_mean
        low, high = ((low + high) / 2, high) if is_above else (low, (low + high) / 2)
    run = Run(network, targets.loss, SGD(), 1, 1)
    run.history.add(epoch=1, loss=of_network)
    warn_if_no_better_than_mean("MLPRegressor", run, network, data, targets)
    assert bool(len(recwarn)) is is_useless


@pytest.mark.parametrize(
    ("deviations", "mean", "scales"),
    [
        ([0.11], 0.0, False),
        ([0.09], 0.0, True),
        ([9.0], 0.0, False),
        ([11.0], 0.0, True),
        ([1.0], 9.9, False),
        ([1.0], -10.1, True),
        ([0.5, 2.0], 19.0, False),
        ([0.05, 2.0], 0.0, True),
        ([0.0, 2.0], 0.0, False),
    ],
)
def test_the_advice_depends_on_the_size_of_the_targets(deviations, mean, scales):
    y = mean + np.outer([1.0, -1.0], deviations)
    data = SimpleNamespace(targets=y, largest_input=lambda: 3.0)
    said = _advice(data, NumberTargets(y, "squared_error"))
    assert ("target_scale='standard'" in said) is scales
    assert ("the largest is 3" in said) is not scales
    assert "target_scale" not in _advice(data, NumberTargets(y, "poisson"))


@pytest.mark.parametrize(("n_samples", "batch_size"), [(199, 199), (200, 200), (201, 200), (1000, 200)])
def test_a_batch_has_200_rows_unless_there_are_fewer(n_samples, batch_size):
    assert batch_size_of(MLPRegressor(), n_samples) == batch_size
    assert batch_size_of(MLPRegressor(batch_size=7), n_samples) == 7
    assert batch_size_of(MLPRegressor(batch_size=n_samples), n_samples) == n_samples


OUTPUTS = np.array([[-0.1, 0.4], [0.4, 0.6], [0.6, -0.1]])


@pytest.mark.parametrize(
    ("loss", "threshold"), [(BinaryCrossEntropy(), 0.0), (HingeLoss(), 0.0), (MeanSquaredError(), 0.5)]
)
def test_thresholds_of_outputs(loss, threshold):
    targets = ClassTargets(np.array(["no", "yes"]), loss)
    first = OUTPUTS[:, :1]
    assert targets.decode(first).tolist() == np.where(first[:, 0] > threshold, "yes", "no").tolist()
    np.testing.assert_allclose(targets.scores(first), first[:, 0] - threshold)
    assert targets.decode(np.full((1, 1), threshold)).tolist() == ["no"]
    assert targets.score(np.array(["no"] * 3), first, np.array([1.0, 2.0, 5.0])) == pytest.approx(
        np.average(first[:, 0] <= threshold, weights=[1, 2, 5])
    )
    if not isinstance(loss, HingeLoss):
        labels = ClassTargets(np.array([[0, 1], [1, 0], [1, 1]]), loss)
        assert labels.decode(OUTPUTS).tolist() == (threshold < OUTPUTS).astype(int).tolist()
        assert np.array_equal(labels.scores(OUTPUTS), OUTPUTS)


def test_scores_of_two_classes_with_two_outputs_are_one_number():
    targets = ClassTargets(np.array([3, 5]), CrossEntropy())
    np.testing.assert_allclose(targets.scores(OUTPUTS), OUTPUTS[:, 1] - OUTPUTS[:, 0])
    assert targets.decode(OUTPUTS).tolist() == [5, 5, 3]
    assert targets.encode([5, 3], np.dtype(float)).tolist() == [1, 0]


def test_rows_of_a_binary_loss_of_several_classes():
    targets = ClassTargets(np.array([2, 4, 6]), BinaryCrossEntropy())
    assert targets.encode([4, 2, 6, 4], np.dtype(float)).tolist() == np.eye(3)[[1, 0, 2, 1]].tolist()
    probabilities = targets.probabilities(np.array([[0.0, 0.0, math.log(3)], [-1e4, -1e4, -1e4]]))
    np.testing.assert_allclose(probabilities, [[2 / 7, 2 / 7, 3 / 7], [1 / 3, 1 / 3, 1 / 3]])


def test_a_random_state_of_the_user_ends_the_stream_of_a_seed():
    state, own = TrainingState(), np.random.RandomState(1)
    stream = state.random_state_for(0, starts_anew=False)
    stream.uniform(size=3)
    assert state.random_state_for(0, starts_anew=False) is stream
    assert state.random_state_for(own, starts_anew=False) is own
    again = state.random_state_for(0, starts_anew=False)
    assert again.uniform() == check_random_state(0).uniform()
    assert state.random_state_for(0, starts_anew=True).uniform() == check_random_state(0).uniform()
    assert state.random_state_for(None, starts_anew=False) is np.random.mtrand._rand


def test_of_epochs_with_equal_scores_the_first_is_kept():
    network = Dense(1).build(1)
    run = Run(network, MeanSquaredError(), SGD(), 2, 1)
    convergence = Convergence(
        tol=0.0, n_iter_no_change=5, early_stopping=True, learning_rate="constant", learning_rate_init=None,
        power_t=0.5, exact=False, samples_per_epoch=1,
    )  # fmt: skip
    convergence.on_train_begin(run)
    for epoch in (1, 2):
        network.weights = [[float(epoch)]]
        note(run, epoch=epoch)
        run.history.add(epoch=epoch, loss=1.0, val_score=0.5)
        convergence.on_epoch_end(run)
    convergence.on_train_end(run)
    assert (network.weights, run.kept_epoch, convergence.best_score) == ([[1.0]], 1, 0.5)


def test_a_class_of_one_sample_cannot_be_in_both_parts():
    labels = np.array([0] * 9 + [1])
    with pytest.raises(ValueError, match=r"needs both classes .* 9 of class 0 and 1 of class 1"):
        split_rows(10, 0.2, np.random.RandomState(0), labels)
    with pytest.raises(ValueError, match="'test_size' parameter"):  # scikit-learn's own error
        split_rows(10, 2.0, np.random.RandomState(0), None)
