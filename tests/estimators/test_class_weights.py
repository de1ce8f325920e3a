"""Class weights: looked up by class, whatever part of the data a call sees; for several labels in the loss."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils import compute_class_weight, compute_sample_weight

from layernet import (
    BinaryCrossEntropy,
    Dense,
    LogLoss,
    MeanSquaredError,
    MLPClassifier,
    NetworkClassifier,
    ReLU,
    Sequential,
)
from layernet.estimators.class_targets import ClassTargets

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((150, 4))
NUMBERS = np.digitize(X[:, 0], [-0.7, 0.9])
LABELS = np.array(["high", "low", "mid"])[NUMBERS]
SEVERAL = np.column_stack([X[:, 0] > 1.2, X[:, 1] > 0, X[:, 2] > -1, X[:, 3] > 2]).astype(int)

OPTIONS = {"max_iter": 6, "batch_size": 30, "random_state": 0}
ESTIMATORS = {
    "MLPClassifier": MLPClassifier((5,), **OPTIONS),
    "NetworkClassifier": NetworkClassifier(
        lambda input_shape, n_outputs: Sequential([Dense(5), ReLU(), Dense(n_outputs)]), **OPTIONS
    ),
}
estimators = pytest.mark.parametrize("name", ESTIMATORS)


def made(name, **parameters):
    return clone(ESTIMATORS[name]).set_params(**parameters)


def same(one, other):
    return np.array_equal(one.network_.parameter_vector, other.network_.parameter_vector)


# --- one class a sample ---


@estimators
@pytest.mark.parametrize("labels", [NUMBERS, LABELS, NUMBERS * 2.0, NUMBERS == 1])
def test_a_dict_is_looked_up_by_class_in_every_part_of_the_data(name, labels):
    classes = np.unique(labels)
    class_weight = dict(zip(classes.tolist(), [4.0, 0.5, 2.0], strict=False))
    weights = np.array([class_weight[label] for label in labels.tolist()])
    of_classes, of_samples = made(name, class_weight=class_weight), made(name)
    # Parts that lack one class after the other, in the first call and later.
    for missing in [*classes, *classes[::-1]]:
        part = labels != missing
        of_classes.partial_fit(X[part], labels[part], classes=classes)
        of_samples.partial_fit(X[part], labels[part], weights[part], classes=classes)
        assert same(of_classes, of_samples)
    for missing in classes:
        part = labels != missing
        validation = {"X_val": X[part], "y_val": labels[part]}
        of_classes = made(name, class_weight=class_weight).fit(X, labels, **validation)
        of_samples = made(name).fit(X, labels, weights, **validation, sample_weight_val=weights[part])
        assert same(of_classes, of_samples)
        assert of_classes.validation_loss_curve_ == of_samples.validation_loss_curve_


@estimators
def test_a_dict_with_more_classes_than_the_data_have(name):
    class_weight = {"high": 4.0, "low": 0.5, "mid": 2.0, "never": 9.0}
    of_classes = made(name, class_weight=class_weight).fit(X, LABELS)
    of_samples = made(name).fit(X, LABELS, compute_sample_weight(class_weight, LABELS))
    assert same(of_classes, of_samples)
    two = LABELS != "mid"
    of_classes = made(name, class_weight=class_weight).fit(X[two], LABELS[two])
    of_samples = made(name).fit(X[two], LABELS[two], compute_sample_weight(class_weight, LABELS[two]))
    assert same(of_classes, of_samples)


@estimators
@pytest.mark.parametrize("class_weight", ["balanced", {"mid": 7.0}])
def test_the_part_that_is_held_out_may_lack_a_class(name, class_weight):
    y = LABELS.copy()
    y[RANDOM.permutation(np.flatnonzero(y == "mid"))[2:]] = "low"  # two of them are left
    weights = compute_sample_weight(class_weight, y)
    seen = []

    def scoring(estimator, X, y):
        seen.append(set(y))
        return estimator.score(X, y)

    for seed in range(3):
        options = {"early_stopping": True, "random_state": seed, "scoring": scoring}
        of_classes = made(name, class_weight=class_weight, **options).fit(X, y)
        of_samples = made(name, **options).fit(X, y, weights)
        assert same(of_classes, of_samples)
        assert of_classes.validation_loss_curve_ == of_samples.validation_loss_curve_
    assert {"high", "low"} in seen


@estimators
def test_balanced_means_the_training_datas_balance_on_validation_data_too(name):
    train, validate = np.arange(100), np.arange(100, 150)
    skewed = validate[NUMBERS[validate] != 2]  # balanced by itself, it would weigh its classes otherwise
    counts = np.bincount(NUMBERS[train])
    weights = (100 / (3 * counts))[NUMBERS]
    for data in (validate, skewed):
        estimator = made(name, class_weight="balanced").fit(
            X[train], NUMBERS[train], X_val=X[data], y_val=NUMBERS[data]
        )
        proba = estimator.predict_proba(X[data])
        expected = log_loss(NUMBERS[data], proba, sample_weight=weights[data], labels=[0, 1, 2])
        assert estimator.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)
        # A part of the training data as validation data: the two losses are of one kind.
        estimator = made(name, class_weight="balanced", tol=0, batch_size=100, shuffle=False)
        estimator.fit(X[train], NUMBERS[train], X_val=X[train], y_val=NUMBERS[train])
        np.testing.assert_allclose(
            estimator.validation_loss_curve_[:-1], estimator.loss_curve_[1:], rtol=1e-3
        )  # the training loss of an epoch of one step is that before it, with the penalty of the weights


@estimators
def test_a_warm_start_takes_the_weights_that_are_set_now(name):
    estimator = made(name, warm_start=True).fit(X, LABELS)
    other = made(name, warm_start=True).fit(X, LABELS)
    class_weight = {"mid": 5.0}
    estimator.set_params(class_weight=class_weight).fit(X, LABELS)
    other.fit(X, LABELS, compute_sample_weight(class_weight, LABELS))
    assert same(estimator, other)
    estimator.set_params(class_weight=None).fit(X, LABELS)
    other.fit(X, LABELS)
    assert same(estimator, other)


@estimators
@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"hihg": 3.0}, r"The classes, \['high', 'low', 'mid'\], are not in class_weight.*\['hihg'\] instead"),
        ({"high": -1.0}, "class_weight must be finite weights of at least 0"),
        ({"high": np.nan}, "class_weight must be finite weights of at least 0"),
        ([{0: 1, 1: 2}], "class_weight must be a dict .* A list of dicts is for several labels"),
        ("even", "'class_weight' parameter"),
        ({"high": 0, "low": 0, "mid": 0}, "nothing to train on"),
    ],
)
def test_weights_of_classes_that_are_refused(name, class_weight, message):
    estimator = made(name, class_weight=class_weight)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, LABELS)
    assert not hasattr(estimator, "network_")


@estimators
def test_a_search_over_class_weights(name):
    grid = {"class_weight": [None, "balanced", {"mid": 3.0}]}
    search = GridSearchCV(made(name), grid, cv=2, error_score="raise").fit(X, LABELS)
    assert len(search.cv_results_["params"]) == 3


# --- several labels a sample ---


def label_weights(y):
    """The weights of ones and of zeros that make both values of each label count alike."""
    ones = y.sum(axis=0)
    return len(y) / (2 * ones), len(y) / (2 * (len(y) - ones))


@estimators
@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_weights_of_labels_are_those_of_the_loss(name, engine):
    positive, negative = [1.0, 2.0, 0.5, 9.0], [3.0, 1.0, 1.0, 0.0]
    dicts = [{0: w, 1: v} for v, w in zip(positive, negative, strict=True)]
    in_loss = made(name, loss=LogLoss(pos_weight=positive, neg_weight=negative), engine=engine).fit(X, SEVERAL)
    for several in (SEVERAL, SEVERAL.astype(bool), SEVERAL * 1.0, scipy.sparse.csr_array(SEVERAL)):
        given = made(name, class_weight=dicts, engine=engine).fit(X, several)
        assert same(given, in_loss)
        assert given.loss_curve_ == in_loss.loss_curve_
    assert not same(in_loss, made(name, engine=engine).fit(X, SEVERAL))
    left_out = made(name, class_weight=[{1: 1.0}] * 4, engine=engine).fit(X, SEVERAL)
    np.testing.assert_allclose(left_out.loss_curve_, made(name, engine=engine).fit(X, SEVERAL).loss_curve_)


@estimators
@pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy"])
def test_balanced_labels_are_balanced_each_by_itself(name, loss):
    positive, negative = label_weights(SEVERAL)
    kind = LogLoss if loss == "log_loss" else BinaryCrossEntropy
    given = made(name, class_weight="balanced", loss=loss)
    in_loss = made(name, loss=kind(pos_weight=positive, neg_weight=negative))
    validation = {"X_val": X[:50], "y_val": SEVERAL[:50]}
    assert same(given.fit(X, SEVERAL, **validation), in_loss.fit(X, SEVERAL, **validation))
    assert given.validation_loss_curve_ == in_loss.validation_loss_curve_
    # No sample has more weight than its labels.
    assert given.loss_curve_[0] < 3 * made(name, loss=loss).fit(X, SEVERAL).loss_curve_[0]


def test_rare_labels_are_found_with_balanced_weights():
    rare = (X > 1.3).astype(int)
    options = {"max_iter": 40, "learning_rate_init": 0.02, "solver": "adam"}
    plain = made("MLPClassifier", **options).fit(X, rare)
    balanced = made("MLPClassifier", class_weight="balanced", **options).fit(X, rare)
    recall = [each.predict(X)[rare == 1].mean() for each in (plain, balanced)]
    assert recall[1] > recall[0]


def test_a_label_that_never_varies_weighs_one():
    constant = SEVERAL.copy()
    constant[:, 0], constant[:, 1] = 0, 1
    positive, negative = label_weights(SEVERAL)
    positive[:2] = negative[:2] = 1
    given = made("MLPClassifier", class_weight="balanced").fit(X, constant, X_val=X, y_val=SEVERAL)
    in_loss = made("MLPClassifier", loss=LogLoss(pos_weight=positive, neg_weight=negative))
    assert same(given, in_loss.fit(X, constant, X_val=X, y_val=SEVERAL))
    assert given.validation_loss_curve_ == in_loss.validation_loss_curve_


def test_weights_of_labels_multiply_those_of_the_loss_and_of_the_samples():
    dicts, weights = [{1: 2.0}, {0: 3.0}, {}, {0: 0.5, 1: 0.5}], RANDOM.uniform(0, 2, 150)
    given = made("MLPClassifier", loss=LogLoss(0.1, pos_weight=2), class_weight=dicts).fit(X, SEVERAL, weights)
    loss = LogLoss(0.1, pos_weight=[4, 2, 2, 1], neg_weight=[1, 3, 1, 0.5])
    assert same(given, made("MLPClassifier", loss=loss).fit(X, SEVERAL, weights))
    assert repr(given.loss) == "LogLoss(0.1, pos_weight=2)"  # the user's own is left as it was


@estimators
def test_weights_of_labels_in_partial_fit_and_in_a_warm_start(name):
    dicts = [{1: 2.0}, {0: 3.0}, {}, {0: 0.5, 1: 0.5}]
    loss = LogLoss(pos_weight=[2, 1, 1, 0.5], neg_weight=[1, 3, 1, 0.5])
    given, in_loss = made(name, class_weight=dicts), made(name, loss=loss)
    for part in (slice(0, 40), slice(40, 70), slice(70, None)):
        given.partial_fit(X[part], SEVERAL[part])
        in_loss.partial_fit(X[part], SEVERAL[part])
    assert same(given, in_loss)
    for wrong in (SEVERAL[:, :3], SEVERAL[:, 0]):
        with pytest.raises(ValueError, match="y must have 4 labels for each sample"):
            given.partial_fit(X, wrong)
    given, in_loss = made(name, warm_start=True, class_weight=dicts), made(name, warm_start=True, loss=loss)
    for _ in range(2):  # the weights are not multiplied once more
        assert same(given.fit(X, SEVERAL), in_loss.fit(X, SEVERAL))
    with pytest.raises(ValueError, match="class_weight='balanced' is not supported for partial_fit"):
        made(name, class_weight="balanced").partial_fit(X, SEVERAL)


@estimators
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_weight": {0: 1, 1: 7}}, r"a list of 4 dicts.*weights of all labels: \[\{0: 1, 1: 7\}\] \* 4"),
        ({"class_weight": {3: 9}}, r"got \{3: 9\}, which does not say of which label"),
        ({"class_weight": [{1: 2}] * 3}, r"a list of 4 dicts.* got \[\{1: 2\}, \{1: 2\}, \{1: 2\}\]"),
        ({"class_weight": [{1: 2}, {2: 1}, {}, {}]}, "with weights of 0 and of 1"),
        ({"class_weight": [1, 2, 3, 4]}, "with weights of 0 and of 1"),
        ({"class_weight": [{1: -2}, {}, {}, {}]}, "finite weights of at least 0"),
        ({"class_weight": [{0: 0, 1: 0}] * 4}, "is 0 for all labels: nothing to train on"),
        ({"class_weight": "balanced", "loss": MeanSquaredError()}, "needs loss='log_loss' or a BinaryCross"),
        ({"loss": BinaryCrossEntropy(pos_weight=[1, 2])}, "pos_weight must be .* got 2 numbers"),
    ],
)
def test_weights_of_labels_that_are_refused(name, parameters, message):
    estimator = made(name, **parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, SEVERAL)
    assert not hasattr(estimator, "network_")


def test_the_loss_as_scikit_learn_reports_it_has_the_weights_too():
    dicts = [{1: 2.0}, {0: 3.0}, {}, {0: 0.5, 1: 0.5}]
    exact, ours = (
        made("MLPClassifier", class_weight=dicts, exact_compatibility=exact).fit(X, SEVERAL)
        for exact in (True, False)
    )
    np.testing.assert_allclose(exact.loss_curve_, ours.loss_curve_, rtol=1e-9)


# --- "balanced" counts the weights of samples ---

TIMES = np.random.default_rng(1).integers(0, 5, 150)
REAL = np.where(TIMES > 0, np.random.default_rng(2).uniform(0.1, 9, 150), 0)
labels = pytest.mark.parametrize(
    "y", [NUMBERS, LABELS, NUMBERS == 1, SEVERAL], ids=["numbers", "strings", "two classes", "several labels"]
)


def balanced_of(y, weights):
    """The weights of classes, or those of ones and of zeros of each label."""
    targets = ClassTargets(y, "log_loss").with_class_weight("balanced", y, weights)
    if targets.class_weights is not None:
        return targets.class_weights
    return np.array([targets.loss.pos_weight, targets.loss.neg_weight])


@labels
def test_balanced_weights_of_repeated_samples(y):
    repeated = balanced_of(y.repeat(TIMES, axis=0), None)
    np.testing.assert_array_equal(balanced_of(y, TIMES.astype(float)), repeated)
    assert not np.allclose(repeated, balanced_of(y, None))


@labels
def test_balanced_weights_without_the_samples_of_weight_0(y):
    used = REAL > 0
    np.testing.assert_allclose(balanced_of(y, REAL), balanced_of(y[used], REAL[used]), rtol=1e-12)
    np.testing.assert_array_equal(balanced_of(y, used * 1.0), balanced_of(y[used], None))


@labels
@pytest.mark.parametrize("factor", [2.0**-900, 1.0, 2.0**400])
def test_only_ratios_of_the_samples_weights_matter_for_balanced_weights(y, factor):
    np.testing.assert_array_equal(balanced_of(y, factor * REAL), balanced_of(y, REAL))
    np.testing.assert_array_equal(balanced_of(y, np.full(150, factor)), balanced_of(y, None))


@labels
def test_balanced_weights_are_those_of_scikit_learn(y):
    def theirs(y, weights):
        return compute_class_weight("balanced", classes=np.unique(y), y=y, sample_weight=weights)

    for weights, rtol in ((None, 0), (REAL, 1e-12)):
        if y.ndim == 1:
            expected = theirs(y, weights)
        else:
            expected = np.array([theirs(column, weights) for column in y.T]).T[::-1]
        np.testing.assert_allclose(balanced_of(y, weights), expected, rtol=rtol)


@labels
def test_balanced_classes_have_equal_sums_of_weights(y):
    of_classes = balanced_of(y, REAL)
    if y.ndim == 1:
        sums = [REAL[y == label].sum() for label in np.unique(y)]
    else:
        sums = [REAL @ (y == 1), REAL @ (y == 0)]
    totals = of_classes * np.array(sums)
    np.testing.assert_allclose(totals, REAL.sum() / len(totals))


def test_a_class_whose_samples_all_have_weight_0_does_not_count():
    weights = np.where(NUMBERS == 1, 0, REAL)
    used = NUMBERS != 1
    expected = balanced_of(NUMBERS[used], REAL[used])
    np.testing.assert_allclose(balanced_of(NUMBERS, weights), [expected[0], 1, expected[1]], rtol=1e-12)
    weights = np.where(SEVERAL[:, 3] == 1, 0, REAL)
    pos_weight, neg_weight = balanced_of(SEVERAL, weights)
    assert pos_weight[3] == neg_weight[3] == 1
    assert (pos_weight[:3] != 1).all()


@labels
def test_weights_too_far_apart_to_balance(y):
    rare = y[:, 3] == 1 if y.ndim == 2 else y == y[0]
    weights = np.where(rare, 1e-200, 1e130)
    with pytest.raises(ValueError, match=r"MLPClassifier: class_weight='balanced' needs .*, got sums from"):
        balanced_of(y, weights)


def fitted_on_whole_data(name, X, y, weights=None, **options):
    """One batch of all rows: a weight k promises to be k samples only if both are in one batch."""
    options = {"alpha": 0.0, "shuffle": False, "tol": 0.0, "class_weight": "balanced", **options}
    validation = {"X_val": X, "y_val": y, "sample_weight_val": weights}
    return made(name, batch_size=len(y), **options).fit(X, y, weights, **validation)


@estimators
@labels
@pytest.mark.parametrize("engine", ["formulas", "auto"])
def test_a_fit_with_weights_is_the_fit_on_repeated_samples(name, y, engine):
    weighted = fitted_on_whole_data(name, X, y, TIMES, engine=engine)
    repeated = fitted_on_whole_data(name, X.repeat(TIMES, axis=0), y.repeat(TIMES, axis=0), engine=engine)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-9)
    other = fitted_on_whole_data(name, X, y, TIMES, engine=engine, class_weight=None)
    assert not np.allclose(weighted.loss_curve_, other.loss_curve_, rtol=1e-3)


@labels
def test_a_fit_by_lbfgs_with_weights_is_the_fit_on_repeated_samples(y):
    options = {"solver": "lbfgs", "class_weight": "balanced"}
    weighted = made("MLPClassifier", **options).fit(X, y, TIMES)
    repeated = made("MLPClassifier", **options).fit(X.repeat(TIMES, axis=0), y.repeat(TIMES, axis=0))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


@estimators
@labels
def test_a_warm_start_balances_by_the_weights_that_are_given_now(name, y):
    data = [(X, y, None), (X, y, REAL), (X, y, TIMES), (X[:120], y[:120], REAL[:120])]
    balanced, given = (made(name, warm_start=True) for _ in range(2))
    for inputs, targets, weights in data:
        balanced.set_params(class_weight="balanced").fit(inputs, targets, weights)
        if y.ndim == 1:
            of_classes = balanced_of(targets, weights)
            class_weight = dict(zip(np.unique(targets).tolist(), of_classes.tolist(), strict=True))
        else:
            positive, negative = balanced_of(targets, weights)
            class_weight = [{1: one, 0: zero} for one, zero in zip(positive, negative, strict=True)]
        given.set_params(class_weight=class_weight).fit(inputs, targets, weights)
        assert same(balanced, given)
