"""Facts about rows without a network: which are equal or in order, which features matter, what is easy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Steps remember the rows of about so many before them, so the order within fewer rows does no harm.
ROWS_TOGETHER = 16
# Of a feature's values, for its share of the targets' variance.
FEATURE_BINS = 8
# Features that are compared.
MOST_FEATURES = 256
# The spread of a feature as a part of the largest: its gradient is as much smaller, and descent on it slower by
# the square.
MUCH_SMALLER = 0.03
# The share of the targets' variance that a feature explains if it matters. By chance it is less than 30 / n,
# for the largest of 256 features: between bins there are 7 degrees of freedom.
MATTERS = 0.1
MATTERS_BY_CHANCE = 30.0
# How much the reference's weights are pulled to 0, as a part of what a feature of standard deviation 1 weighs.
RIDGE = 0.01


def one_column_each(targets: np.ndarray) -> np.ndarray:
    """Targets as numbers whose products say how much alike they are: a column for each class or output."""
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return (targets[:, None] == np.unique(targets)).astype(np.float64)
    return targets.reshape(len(targets), -1).astype(np.float64)


def share_of_contradictions(rows: np.ndarray, targets: np.ndarray) -> float:
    """The share of the targets' variance that lies between rows with equal inputs: no function explains it.

    With g the groups of equal rows, of sizes n_g, and t the targets,

        share = (sum_g n_g / (n_g - 1) sum_i (t_i - mean_g)**2) / (sum_i (t_i - mean)**2),

    where the first factor makes it 1 on average if equal rows have targets drawn independently.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        Class numbers in one dimension, or numbers.

    Returns
    -------
    float
        0 if no two rows are equal.

    Examples
    --------
    >>> rows = np.array([[1.0], [1.0], [2.0], [2.0]])
    >>> [share_of_contradictions(rows, np.array(targets)) for targets in ([0, 1, 0, 1], [0, 0, 1, 1])]
    [2.0, 0.0]
    """
    rows = np.ascontiguousarray(rows.reshape(len(rows), -1)) + 0.0  # -0.0 becomes 0.0
    numbers: dict[bytes, int] = {}
    groups = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
    if len(numbers) == len(rows):
        return 0.0
    sizes = np.bincount(groups)
    if targets.dtype.kind in "iu":
        counts = np.bincount(targets)
        total = len(targets) - float(np.square(counts.astype(float)).sum()) / len(targets)
        pairs, together = np.unique(np.stack([groups, targets]), axis=1, return_counts=True)
        squares = sizes - np.bincount(pairs[0], np.square(together.astype(float))) / sizes
    else:
        centered = targets.reshape(len(rows), -1) - targets.reshape(len(rows), -1).mean(axis=0)
        total, squares = float(np.square(centered).sum()), np.zeros(len(sizes))
        for column in centered.T:
            means = np.bincount(groups, column) / sizes
            squares += np.bincount(groups, np.square(column - means[groups]))
    if not total > 0:
        return 0.0
    return float((squares * sizes / np.maximum(sizes - 1, 1)).sum() / total)


def share_between_batches(targets: np.ndarray, order: np.ndarray | None, batch_size: int) -> float | None:
    """How much of the targets' variance lies between batches: 1 for rows in order, 0 for shuffled ones.

    With b the batches, of sizes n_b,

        share = sum_b n_b |mean_b - mean|**2 / sum_i |t_i - mean|**2,

    less what it is for shuffled rows on average, (n_batches - 1) / (n - 1), and scaled so that 1 stays 1.
    Batches of fewer than 16 rows are taken together.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, ...)
        Class numbers in one dimension, or numbers.
    order : ndarray of int or None
        The rows of the epoch; None for their own order.
    batch_size : int

    Returns
    -------
    float or None
        None if there is one batch only, or nothing but one target.

    References
    ----------
    Fisher (1925), Statistical methods for research workers: the correlation ratio.
    """
    ordered = targets if order is None else targets[order]
    n_rows, size = len(ordered), batch_size * -(-ROWS_TOGETHER // batch_size)
    starts = np.arange(0, n_rows, size)
    if len(starts) < 2:
        return None
    sizes = np.diff([*starts, n_rows])
    if ordered.dtype.kind in "iu":
        batch = np.repeat(np.arange(len(starts)), sizes)
        n_classes = int(ordered.max(initial=0)) + 1
        # Only what occurs is counted: a table of all batches and classes may be large.
        pairs, counts = np.unique(batch * n_classes + ordered, return_counts=True)
        around = np.square(np.bincount(ordered).astype(float)).sum() / n_rows
        between = (np.square(counts.astype(float)) / sizes[pairs // n_classes]).sum() - around
        total = n_rows - around
    else:
        columns = ordered.reshape(n_rows, -1).astype(np.float64)
        columns = columns - columns.mean(axis=0)
        sums = np.add.reduceat(columns, starts, axis=0)
        between, total = (np.square(sums).sum(axis=1) / sizes).sum(), np.square(columns).sum()
    if not total > 0:
        return None
    by_chance = (len(starts) - 1) / (n_rows - 1)
    return float((between / total - by_chance) / (1 - by_chance)) if by_chance < 1 else None


@dataclass(frozen=True)
class SmallFeature:
    """A feature that says most about the targets and is much smaller than others.

    Attributes
    ----------
    index : int
    share : float
        Of the targets' variance, which it explains on its own.
    heeded : float
        How much of the variance of the network's outputs goes with it: 0 if they stay as they are when its
        values are dealt to other rows.
    """

    index: int
    share: float
    heeded: float = 0.0


def small_feature_that_matters(features: np.ndarray, targets: np.ndarray) -> SmallFeature | None:
    """The feature that explains most of the targets, if it is much smaller than the largest one.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        As they come to the first weights.
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    SmallFeature or None

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> rows = random.standard_normal((200, 3)) * [1.0, 1e-4, 1.0]
    >>> small_feature_that_matters(rows, np.sign(rows[:, 1:2])).index
    1
    """
    deviations = features.std(axis=0)
    largest = deviations.max(initial=0)
    small = np.flatnonzero((deviations > 0) & (deviations < MUCH_SMALLER * largest))[:MOST_FEATURES]
    if not small.size:
        return None
    shares = [share_of_feature(features[:, index], targets) for index in small]
    best = int(np.argmax(shares))
    if not shares[best] > MATTERS + MATTERS_BY_CHANCE / len(features):
        return None
    large = np.flatnonzero(deviations >= MUCH_SMALLER * largest)[:MOST_FEATURES]
    if max(share_of_feature(features[:, index], targets) for index in large) >= shares[best]:
        return None
    return SmallFeature(int(small[best]), float(shares[best]))


def share_of_feature(feature: np.ndarray, targets: np.ndarray) -> float:
    """How much of the targets' variance one feature explains, whatever the shape of the curve.

    The correlation ratio over 8 bins with equally many rows each, less what it is by chance.

    Parameters
    ----------
    feature : ndarray of shape (n_rows,)
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    float
        At most 1, and about 0 if it explains nothing.
    """
    order = np.argsort(feature, kind="stable")
    centered = (targets - targets.mean(axis=0))[order]
    starts = np.arange(FEATURE_BINS) * len(feature) // FEATURE_BINS
    sizes = np.diff([*starts, len(feature)])
    total = float(np.square(centered).sum())
    if total == 0 or len(feature) <= FEATURE_BINS:
        return 0.0
    between = float((np.square(np.add.reduceat(centered, starts, axis=0)).sum(axis=1) / sizes).sum())
    by_chance = (FEATURE_BINS - 1) / (len(feature) - 1)
    return (between / total - by_chance) / (1 - by_chance)


def easy_predictions(features: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """Predictions of each row from all others, by two methods that need no training.

    The nearest neighbor's targets, and ridge regression. Every feature is brought to the same spread.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    list of ndarray of the targets' shape

    References
    ----------
    Cover and Hart (1967), Nearest neighbor pattern classification. Golub, Heath and Wahba (1979), Generalized
    cross-validation, for the residuals of ridge regression without a row.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    n_rows = len(scaled)
    squares = np.square(scaled).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (scaled @ scaled.T)
    np.fill_diagonal(distances, np.inf)
    kernel = scaled @ scaled.T + 1.0  # the 1 is the bias
    hat = np.linalg.solve(kernel + RIDGE * n_rows * np.eye(n_rows), kernel)
    residuals = (targets - hat.T @ targets) / (1 - np.diag(hat))[:, None]
    return [targets[distances.argmin(axis=1)], targets - residuals]


def scores(predicted: np.ndarray, targets: np.ndarray, are_classes: bool) -> tuple[float, float]:
    """How good predictions are: 1 is perfect, 0 is what constants reach.

    Parameters
    ----------
    predicted, targets : ndarray of shape (n_rows, n_columns)
        For classes a column each; the largest column of a row is its class.
    are_classes : bool

    Returns
    -------
    tuple of two floats
        For classes the accuracy, and the mean accuracy over the classes, each less that of always saying the
        most frequent class, as a part of what is left to 1. For numbers twice the squared correlation, of all
        columns together; a negative correlation counts as 0.
    """
    with np.errstate(all="ignore"):
        if are_classes:
            true, right = targets.argmax(axis=1), predicted.argmax(axis=1) == targets.argmax(axis=1)
            shares = targets.mean(axis=0)
            each = [right[true == label].mean() for label in np.unique(true)]
            most, evenly = shares.max(), 1 / len(each)
            return (
                float((right.mean() - most) / (1 - most)) if most < 1 else 0.0,
                float((np.mean(each) - evenly) / (1 - evenly)) if len(each) > 1 else 0.0,
            )
        centered, other = predicted - predicted.mean(axis=0), targets - targets.mean(axis=0)
        slopes = (centered * other).sum(axis=0)
        explained = np.where(slopes > 0, slopes**2 / np.square(centered).sum(axis=0), 0.0)
        share = float(np.nan_to_num(explained).sum() / np.square(other).sum())
        return share, share
