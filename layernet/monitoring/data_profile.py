"""The data of a training: how large inputs and targets are, and what is known without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.losses.loss import Loss, weight_factors, weighted_sum
from layernet.monitoring.held_out_data import HeldOut, compare
from layernet.monitoring.output_range import MOST_NUMBERS, lowest_loss, range_of_outputs
from layernet.monitoring.row_statistics import one_column_each, share_of_contradictions
from layernet.sparse import is_sparse
from layernet.training.data_validation import check_inputs, check_targets
from layernet.training.run import Run
from layernet.training.storage import dense_rows

# Rows that are looked at: a share of 0.1 is then known to about 0.01.
SAMPLE_ROWS = 512
# Rows that the baseline is computed from: it is known to about 1 in 100 then.
BASELINE_ROWS = 20_000
SHUFFLES = 20
# Features whose products are looked at: 136 of them.
PAIRED_FEATURES = 16
# Products of outlying values are cut off here, for one of them would outweigh all others.
OUTLYING = 5.0
# A spread, as a part of the mean, that is lost beside it: single precision resolves a tenth of it.
CONSTANT = 1e-6
# Numbers in the rows that equal ones are looked for among: 32 MB.
COMPARED_NUMBERS = 2**22


@dataclass(frozen=True)
class DataProfile:
    """Figures of the data, from a sample of rows.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, ...)
        The sample.
    targets : ndarray or None
        Of these rows, as the loss takes them.
    sizes : ndarray of shape (n_features,)
        The root mean square of each feature: its mean and its spread together.
    means, deviations : ndarray of shape (n_features,)
    n_classes : int or None
        How many classes there are among class numbers.
    baseline : float or None
        The loss of the best outputs that are the same for all rows: for the cross entropy that of the class
        shares, for the squared error the variance of the targets.
    target_size : float or None
        The root mean square of targets that are no classes, in the output where it is largest.
    likeness : float or None
        How much a row's target is like that of its nearest neighbour: 1 if they are equal, 0 if no more than
        by chance.
    signal : float or None
        By how many standard deviations the inputs say more about the targets than about the same targets dealt
        to the rows anew; the largest of three tests.
    targets_are_equal : bool
        Whether all rows have the same target, where there are several.
    lowest : float
        The lowest loss that outputs fitted to each row could have: more than 0 for smoothed labels, for
        instance.
    lowest_deviation : float
        How much that varies over the rows.
    reachable : float or None
        The same for outputs in the range that the network's end leaves them; None if it leaves all.
    low, high : ndarray of the outputs' shape
        That range.
    contradictions : float
        The share of the targets' variance that lies between rows with equal inputs.
    inputs_are_equal : bool
        Whether no feature varies by more than a millionth of itself.
    held_out : HeldOut or None
        Rows that are validated on, if there are such.
    """

    inputs: np.ndarray
    targets: np.ndarray | None
    sizes: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    n_classes: int | None = None
    baseline: float | None = None
    target_size: float | None = None
    likeness: float | None = None
    signal: float | None = None
    targets_are_equal: bool = False
    lowest: float = 0.0
    lowest_deviation: float = 0.0
    reachable: float | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    contradictions: float = 0.0
    inputs_are_equal: bool = False
    held_out: HeldOut | None = None


def profile_data(run: Run, X: Any, y: Any) -> DataProfile:
    """Look at the data of a training that begins.

    Parameters
    ----------
    run : Run
    X, y : array-like or None
        Rows and their targets; without X those of the run are looked at.

    Returns
    -------
    Material
    """
    network, loss = run.network, run.loss
    targets = weights = None
    if X is not None:
        X = X.tocsr() if is_sparse(X) else np.asarray(X)
    n_rows = run.data.n_samples if X is None else X.shape[0]
    rows = some_of(n_rows, SAMPLE_ROWS)
    compared = some_of(n_rows, min(BASELINE_ROWS, 1 + COMPARED_NUMBERS // math.prod(network.input_shape)))
    if X is not None:
        inputs = network.validate_inputs(check_inputs(network, X[rows], "X of Monitor"))
        others = X[compared]
        if y is not None:
            targets = check_targets(network, loss, y, n_rows, "y of Monitor")
            weights = loss.sample_weights(targets, None)
    else:
        inputs, *_ = run.data.batch(rows)
        others, *_ = run.data.batch(compared)
        targets, weights = run.data.targets, run.data.weights
    inputs, others = dense_rows(inputs), dense_rows(others)
    contradictions = 0.0 if targets is None else share_of_contradictions(others, targets[compared])
    material = profile_of(network, loss, np.array(inputs), targets, weights, rows, contradictions)
    return replace(material, held_out=_held_out(run, material))


def _held_out(run, material):
    """A sample of the rows that are validated on, beside that of the others."""
    if run.validation is None:
        return None
    X, y, _ = run.validation
    rows = some_of(X.shape[0], SAMPLE_ROWS)
    inputs = dense_rows(X[rows]).astype(run.network.dtype)
    targets = run.loss.prepare(y, run.network.output_shape, run.network.dtype)[rows]
    return compare(material.inputs, material.targets, inputs, targets)


def profile_of(
    network: Layer,
    loss: Loss,
    inputs: np.ndarray,
    targets: np.ndarray | None,
    weights: np.ndarray | None,
    rows: np.ndarray,
    contradictions: float,
) -> DataProfile:
    """The figures of inputs, which are those of some rows, and of the targets of all rows."""
    features = inputs.reshape(len(inputs), -1).astype(np.float64)
    means, deviations = features.mean(axis=0), features.std(axis=0)
    of_inputs = {"sizes": np.hypot(means, deviations), "means": means, "deviations": deviations}
    constant = (deviations <= CONSTANT * np.abs(means)) | (np.ptp(features, axis=0) == 0)
    of_inputs["inputs_are_equal"] = len(inputs) > 1 and bool(constant.all())
    if targets is None:
        return DataProfile(inputs, None, **of_inputs)
    are_classes = targets.dtype.kind in "iu"
    numbers = targets if are_classes else targets.reshape(len(targets), -1)
    likeness, signal = signal_in(features, one_column_each(numbers[rows]))
    low, high = range_of_outputs(network)
    free, spread, bounded = lowest_losses(loss, targets, low, high)
    return DataProfile(
        inputs,
        targets[rows],
        **of_inputs,
        n_classes=len(np.unique(targets)) if are_classes else None,
        baseline=baseline_loss(loss, targets, weights, network.output_shape),
        target_size=None if are_classes else float(np.sqrt((numbers * numbers).mean(axis=0)).max()),
        likeness=likeness,
        signal=signal,
        targets_are_equal=len(targets) > 1 and bool((targets == targets[:1]).all()),
        lowest=free,
        lowest_deviation=spread,
        reachable=bounded,
        low=low,
        high=high,
        contradictions=contradictions,
    )


def lowest_losses(
    loss: Loss, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, float, float | None]:
    """The lowest loss of outputs that are free for each row, and of those that lie in a range.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape

    Returns
    -------
    free, deviation : float
        Over the rows; 0 if it cannot be found.
    bounded : float or None
        None if there are no bounds, or it cannot be found.
    """
    rows = some_of(len(targets), min(BASELINE_ROWS, 1 + MOST_NUMBERS // max(low.size, 1)))
    try:
        free = lowest_loss(loss, targets[rows], np.full(low.shape, -np.inf), np.full(low.shape, np.inf))
        if free is None:
            return 0.0, 0.0, None
        bounded = None
        if np.isfinite(low).any() or np.isfinite(high).any():
            bounded = lowest_loss(loss, targets[rows], low, high)
        return *free, None if bounded is None else bounded[0]
    except (ValueError, TypeError, ArithmeticError, IndexError):  # a user's loss that this is too much for
        return 0.0, 0.0, None


def some_of(n_rows: int, at_most: int) -> np.ndarray:
    """Row numbers drawn at random, the same ones in every run, or all of them."""
    order = np.random.default_rng(0).permutation(n_rows)
    return order[:at_most]


def baseline_loss(
    loss: Loss, targets: np.ndarray, weights: np.ndarray | None, output_shape: tuple[int, ...]
) -> float | None:
    """The loss of the best outputs found that are the same for all rows.

    Tried are those that are best for one loss or another: the mean and the median of the targets, the
    logarithm of the mean or of class shares, the log-odds of the mean, 1 for the most frequent class, and zero.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them.
    weights : ndarray of shape (n_samples,) or None
    output_shape : tuple of int

    Returns
    -------
    float or None
        None if no loss is finite.

    Examples
    --------
    >>> from layernet import CrossEntropy, MeanSquaredError
    >>> classes = np.array([0, 1, 1, 1])
    >>> round(baseline_loss(CrossEntropy(), classes, None, (2,)), 3)  # the entropy of 1/4 and 3/4
    0.562
    >>> baseline_loss(MeanSquaredError(), np.array([[1.0], [3.0]]), None, (1,))
    1.0
    """
    rows = some_of(len(targets), BASELINE_ROWS)
    targets = targets[rows]
    weights = None if weights is None else weights[rows]
    if weights is not None and not weights.sum() > 0:
        return None
    found = []
    with np.errstate(all="ignore"):
        if targets.dtype.kind in "iu":
            counts = np.bincount(targets, weights, minlength=output_shape[0])
            candidates = [np.log(np.maximum(counts / counts.sum(), 1e-12)), 1.0 * (counts == counts.max())]
        else:
            mean = np.average(targets, axis=0, weights=weights)
            candidates = [mean, np.median(targets, axis=0), np.log(mean), np.log(mean / (1 - mean))]
        for outputs in [np.zeros(output_shape), *candidates]:
            if np.shape(outputs) != output_shape:
                continue
            dtype = targets.dtype if targets.dtype.kind == "f" else np.dtype(np.float64)
            everywhere = np.broadcast_to(np.asarray(outputs, dtype), (len(targets), *output_shape)).copy()
            factors = weight_factors(weights, None, len(targets), dtype)
            found.append(float(weighted_sum(loss.losses(everywhere, targets), factors)))
    return min((value for value in found if np.isfinite(value)), default=None)


def signal_in(features: np.ndarray, targets: np.ndarray) -> tuple[float | None, float | None]:
    """How much inputs say about targets, by three tests that need no training.

    With t the targets less their mean, the likeness is sum_i t_i t_n(i) / sum_i t_i**2, where n(i) is the row
    nearest to row i once every feature has the same spread (Cover and Hart, 1967). The other tests are the sums
    of the squared products of each feature with each target, and of the product of each two features with each
    target. All are compared with what they are for targets that are dealt to the rows anew.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    targets : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    likeness : float or None
        None if all targets, or all rows, are the same.
    signal : float or None
        The largest of the tests' distances from what chance gives, in standard deviations of the latter.

    References
    ----------
    Cover and Hart (1967), Nearest neighbor pattern classification. Fisher (1935), The design of experiments,
    for tests by permutation.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    centered = targets - targets.mean(axis=0)
    total = float((centered * centered).sum())
    if total == 0 or scaled.shape[1] == 0 or len(scaled) < 3:
        return None, None
    squares = (scaled * scaled).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (scaled @ scaled.T)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)

    products = products_of_pairs(scaled)

    def tests(values):
        return (
            (values * values[nearest]).sum() / total,
            np.square(scaled.T @ values).sum(),
            np.square(products.T @ values).sum(),
        )

    random = np.random.default_rng(0)
    by_chance = np.array([tests(random.permutation(centered)) for _ in range(SHUFFLES)])
    found = np.array(tests(centered))
    signal = (found - by_chance.mean(axis=0)) / np.maximum(by_chance.std(axis=0), 1e-300)
    return float(found[0]), float(signal.max())


def products_of_pairs(scaled: np.ndarray) -> np.ndarray:
    """The product of each two features, less its mean, squares among them; of the first ones if there are many.

    Parameters
    ----------
    scaled : ndarray of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_pairs)
    """
    first = scaled[:, :PAIRED_FEATURES]
    left, right = np.triu_indices(first.shape[1])
    products = np.clip(first[:, left] * first[:, right], -OUTLYING, OUTLYING)
    return products - products.mean(axis=0)
