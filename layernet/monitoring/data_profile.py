"""Profile of the training data: statistics, the baseline loss, and whether inputs and targets are related."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layernet.layer import Layer
from layernet.losses.loss import Loss, weight_factors, weighted_sum
from layernet.monitoring.output_range import MAX_NUMBERS, lowest_loss, range_of_outputs
from layernet.monitoring.reference_scores import target_columns
from layernet.monitoring.row_statistics import share_of_contradictions
from layernet.monitoring.validation_shift import ValidationSample, compare_validation_rows
from layernet.sparse import is_sparse
from layernet.training.data_validation import check_inputs, check_targets
from layernet.training.run import Run
from layernet.training.storage import dense_rows

# Rows of the sample. A share of 0.1 then has a standard error of 0.013.
MAX_SAMPLE_ROWS = 512
# Rows for the baseline. Its standard error is then about 1 %.
MAX_BASELINE_ROWS = 20_000
N_PERMUTATIONS = 20
# Features whose pairwise products are tested: 136 products.
MAX_PAIRED_FEATURES = 16
# Products are clipped here, because one outlier would outweigh all others.
MAX_PRODUCT = 5.0
# A standard deviation below this fraction of the mean counts as 0: float32 resolves a tenth of that.
CONSTANT_STD = 1e-6
# Largest count of numbers in the rows that are compared for equal inputs: 32 MB of float64.
MAX_COMPARED_NUMBERS = 2**22


@dataclass(frozen=True)
class DataProfile:
    """Statistics of the training data, from a sample of rows.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, ...)
        Inputs of the sample.
    targets : ndarray or None
        Targets of the sample, as `loss.prepare` returned them.
    rms, means, stds : ndarray of shape (n_features,)
        Root mean square, mean and standard deviation of each feature.
    n_classes : int or None
        Number of classes, if the targets are class numbers.
    baseline : float or None
        Loss of the best constant outputs: for the cross entropy, the entropy of the class frequencies; for the
        squared error, the variance of the targets.
    target_rms : float or None
        Root mean square of numerical targets; of several outputs, the largest.
    neighbor_agreement : float or None
        Correlation of each row's target with the target of its nearest neighbor: 1 for equal targets, about 0
        for targets that do not depend on the inputs.
    z_score : float or None
        Largest z-score of the three tests of `permutation_test`.
    targets_are_constant : bool
        Whether there are several rows, and all have the same target.
    irreducible_loss, irreducible_std : float
        Mean and standard deviation, over the rows, of the lowest loss that any outputs have. Above 0 for
        smoothed labels, for instance.
    lowest_reachable_loss : float or None
        Mean, over the rows, of the lowest loss within the range of the outputs; None without bounds.
    output_low, output_high : ndarray of the outputs' shape
        Range of the outputs, which the output activation determines.
    contradiction_share : float
        Share of the targets' variance between rows with equal inputs.
    inputs_are_constant : bool
        Whether no feature varies by more than a millionth of its mean.
    validation : ValidationSample or None
        Sample of the validation rows, if there are any.
    """

    inputs: np.ndarray
    targets: np.ndarray | None
    rms: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    inputs_are_constant: bool = False
    n_classes: int | None = None
    baseline: float | None = None
    target_rms: float | None = None
    neighbor_agreement: float | None = None
    z_score: float | None = None
    targets_are_constant: bool = False
    irreducible_loss: float = 0.0
    irreducible_std: float = 0.0
    lowest_reachable_loss: float | None = None
    output_low: np.ndarray | None = None
    output_high: np.ndarray | None = None
    contradiction_share: float = 0.0
    validation: ValidationSample | None = None


def profile_data(run: Run, X: Any, y: Any) -> DataProfile:
    """Profile the data of a training run, before its first step.

    Parameters
    ----------
    run : Run
    X, y : array-like or None
        Inputs and their targets; None for those of the run.

    Returns
    -------
    DataProfile
    """
    network, loss = run.network, run.loss
    targets = weights = None
    if X is not None:
        X = X.tocsr() if is_sparse(X) else np.asarray(X)
    n_rows = run.data.n_samples if X is None else X.shape[0]
    rows = sample_rows(n_rows, MAX_SAMPLE_ROWS)
    n_compared = 1 + MAX_COMPARED_NUMBERS // math.prod(network.input_shape or ())
    compared_rows = sample_rows(n_rows, min(MAX_BASELINE_ROWS, n_compared))
    if X is not None:
        inputs = network.validate_inputs(check_inputs(network, X[rows], "X of Monitor"))
        compared_inputs = X[compared_rows]
        if y is not None:
            targets = check_targets(network, loss, y, n_rows, "y of Monitor")
            weights = loss.sample_weights(targets, None)
    else:
        inputs, *_ = run.data.batch(rows)
        compared_inputs, *_ = run.data.batch(compared_rows)
        targets, weights = run.data.targets, run.data.weights
    inputs, compared_inputs = dense_rows(inputs), dense_rows(compared_inputs)
    profile = profile_inputs(np.array(inputs))
    if targets is not None:
        profile = add_target_statistics(profile, network, loss, targets, weights, rows)
        contradictions = share_of_contradictions(compared_inputs, targets[compared_rows])
        profile = replace(profile, contradiction_share=contradictions)
    return replace(profile, validation=_validation_sample(run, profile))


def _validation_sample(run: Run, profile: DataProfile) -> ValidationSample | None:
    """Compare a sample of the validation rows with the sample of the training rows."""
    if run.validation is None:
        return None
    X, y, _ = run.validation
    rows = sample_rows(X.shape[0], MAX_SAMPLE_ROWS)
    inputs = dense_rows(X[rows]).astype(run.network.dtype)
    targets = run.loss.prepare(y, run.network.output_shape or (), run.network.dtype or np.dtype(float))[rows]
    return compare_validation_rows(profile.inputs, profile.targets, inputs, targets)


def profile_inputs(inputs: np.ndarray) -> DataProfile:
    """Return the profile of a sample of inputs, without targets."""
    features = features_of(inputs)
    means, stds = features.mean(axis=0), features.std(axis=0)
    is_constant = (stds <= CONSTANT_STD * np.abs(means)) | (np.ptp(features, axis=0) == 0)
    all_constant = len(inputs) > 1 and bool(is_constant.all())
    return DataProfile(inputs, None, np.hypot(means, stds), means, stds, all_constant)


def features_of(inputs: np.ndarray) -> np.ndarray:
    """Return inputs as float64 of shape (n_rows, n_features)."""
    return inputs.reshape(len(inputs), -1).astype(np.float64)


def add_target_statistics(
    profile: DataProfile,
    network: Layer,
    loss: Loss,
    targets: np.ndarray,
    weights: np.ndarray | None,
    rows: np.ndarray,
) -> DataProfile:
    """Return a profile with the statistics of the targets added.

    Parameters
    ----------
    profile : DataProfile
        Profile of the inputs of the sample.
    network : Layer
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        Targets of all rows, as `loss.prepare` returned them.
    weights : ndarray of shape (n_samples,) or None
    rows : ndarray of int
        The rows of the sample.

    Returns
    -------
    DataProfile
    """
    are_classes = targets.dtype.kind in "iu"
    numbers = targets if are_classes else targets.reshape(len(targets), -1)
    agreement, z_score = permutation_test(features_of(profile.inputs), target_columns(numbers[rows]))
    low, high = range_of_outputs(network)
    irreducible, std, reachable = lowest_losses(loss, targets, low, high)
    return replace(
        profile,
        targets=targets[rows],
        n_classes=len(np.unique(targets)) if are_classes else None,
        baseline=baseline_loss(loss, targets, weights, network.output_shape or ()),
        target_rms=None if are_classes else float(np.sqrt((numbers * numbers).mean(axis=0)).max()),
        neighbor_agreement=agreement,
        z_score=z_score,
        targets_are_constant=len(targets) > 1 and bool((targets == targets[:1]).all()),
        irreducible_loss=irreducible,
        irreducible_std=std,
        lowest_reachable_loss=reachable,
        output_low=low,
        output_high=high,
    )


def lowest_losses(
    loss: Loss, targets: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, float, float | None]:
    """Return the lowest loss that any outputs have, and the lowest loss of outputs within a range.

    Parameters
    ----------
    loss : Loss
    targets : ndarray of shape (n_samples, ...)
        As `loss.prepare` returned them.
    low, high : ndarray of the outputs' shape

    Returns
    -------
    irreducible, std : float
        Mean and standard deviation, over the rows, of the lowest loss of any outputs; 0 if unknown.
    reachable : float or None
        Mean, over the rows, of the lowest loss within the range; None without bounds, or if unknown.
    """
    rows = sample_rows(len(targets), min(MAX_BASELINE_ROWS, 1 + MAX_NUMBERS // max(low.size, 1)))
    try:
        unbounded = lowest_loss(loss, targets[rows], np.full(low.shape, -np.inf), np.full(low.shape, np.inf))
        if unbounded is None:
            return 0.0, 0.0, None
        bounded = None
        if np.isfinite(low).any() or np.isfinite(high).any():
            bounded = lowest_loss(loss, targets[rows], low, high)
        return *unbounded, None if bounded is None else bounded[0]
    except (ValueError, TypeError, ArithmeticError, IndexError):  # a user's loss may not accept these outputs
        return 0.0, 0.0, None


def sample_rows(n_rows: int, max_rows: int) -> np.ndarray:
    """Draw random row numbers without repetition, the same in every run."""
    order = np.random.default_rng(0).permutation(n_rows)
    return order[:max_rows]


def baseline_loss(
    loss: Loss, targets: np.ndarray, weights: np.ndarray | None, output_shape: tuple[int, ...]
) -> float | None:
    """Return the loss of the best constant outputs.

    The function tries the best constant outputs of the usual losses: mean and median of the targets, logarithm
    of the mean or of the class frequencies, log-odds of the mean, 1 for the most frequent class, and 0.

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
        None if no tried outputs have a finite loss.

    Examples
    --------
    >>> from layernet import CrossEntropy, MeanSquaredError
    >>> classes = np.array([0, 1, 1, 1])
    >>> round(baseline_loss(CrossEntropy(), classes, None, (2,)), 3)  # the entropy of 1/4 and 3/4
    0.562
    >>> baseline_loss(MeanSquaredError(), np.array([[1.0], [3.0]]), None, (1,))
    1.0
    """
    rows = sample_rows(len(targets), MAX_BASELINE_ROWS)
    targets = targets[rows]
    weights = None if weights is None else weights[rows]
    if weights is not None and not weights.sum() > 0:
        return None
    losses: list[float] = []
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
            constant = np.broadcast_to(np.asarray(outputs, dtype), (len(targets), *output_shape)).copy()
            factors = weight_factors(weights, None, len(targets), dtype)
            losses.append(float(weighted_sum(loss.losses(constant, targets), factors)))
    return min((value for value in losses if np.isfinite(value)), default=None)


def permutation_test(features: np.ndarray, targets: np.ndarray) -> tuple[float | None, float | None]:
    """Test whether inputs and targets are related, by three permutation tests without training.

    With centered targets t, the neighbor agreement is sum_i t_i t_n(i) / sum_i t_i**2, where n(i) is the
    nearest row to row i on standardized features (Cover and Hart, 1967). The other test statistics are the sums
    of squared correlations of each feature, and of each product of two features, with each target. The z-score
    of a statistic is (statistic - mean) / std, with mean and std over random permutations of the targets.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    targets : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    neighbor_agreement : float or None
        None if all targets or all inputs are equal.
    z_score : float or None
        The largest z-score of the three tests.

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

    products = pairwise_products(scaled)

    def statistics(values: np.ndarray) -> np.ndarray:
        return np.array(
            [
                (values * values[nearest]).sum() / total,
                np.square(scaled.T @ values).sum(),
                np.square(products.T @ values).sum(),
            ]
        )

    random = np.random.default_rng(0)
    permuted = np.array([statistics(random.permutation(centered)) for _ in range(N_PERMUTATIONS)])
    observed = statistics(centered)
    z_scores = (observed - permuted.mean(axis=0)) / np.maximum(permuted.std(axis=0), 1e-300)
    return float(observed[0]), float(z_scores.max())


def pairwise_products(scaled: np.ndarray) -> np.ndarray:
    """Return the centered products of all pairs of the first features, including squares.

    Parameters
    ----------
    scaled : ndarray of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_pairs)
    """
    first = scaled[:, :MAX_PAIRED_FEATURES]
    left, right = np.triu_indices(first.shape[1])
    products = np.clip(first[:, left] * first[:, right], -MAX_PRODUCT, MAX_PRODUCT)
    return products - products.mean(axis=0)
