"""Features on a much smaller scale than others that nevertheless predict the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Bins of a feature's values, for its share of the targets' variance.
FEATURE_BINS = 8
# Largest number of features that are compared.
MAX_FEATURES = 256
# A feature is small if its standard deviation is below this part of the largest. Its gradients are smaller by
# the same factor, and gradient descent on its weight is slower by the square.
SMALL_STD_RATIO = 0.03
# A feature is informative if it explains this share of the targets' variance. By chance the best of 256
# features explains less than 30 / n: between bins there are 7 degrees of freedom.
MIN_EXPLAINED_SHARE = 0.1
MIN_EXPLAINED_BY_CHANCE = 30.0


@dataclass(frozen=True)
class SmallFeature:
    """Feature that explains the targets best and is much smaller than others.

    Attributes
    ----------
    index : int
    explained_share : float
        Share of the targets' variance that the feature explains on its own.
    effect : float
        Share of the variance of the network's outputs that is lost when the feature's values are permuted: 0 if
        the network ignores the feature.
    """

    index: int
    explained_share: float
    effect: float = 0.0


def informative_small_feature(features: np.ndarray, targets: np.ndarray) -> SmallFeature | None:
    """Return the feature that explains the targets best, if it is much smaller than the largest one.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        Inputs of the first layer with weights.
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    SmallFeature or None

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> rows = random.standard_normal((200, 3)) * [1.0, 1e-4, 1.0]
    >>> informative_small_feature(rows, np.sign(rows[:, 1:2])).index
    1
    """
    deviations = features.std(axis=0)
    largest = deviations.max(initial=0)
    small = np.flatnonzero((deviations > 0) & (deviations < SMALL_STD_RATIO * largest))[:MAX_FEATURES]
    if not small.size:
        return None
    shares = [share_of_feature(features[:, index], targets) for index in small]
    best = int(np.argmax(shares))
    if not shares[best] > MIN_EXPLAINED_SHARE + MIN_EXPLAINED_BY_CHANCE / len(features):
        return None
    large = np.flatnonzero(deviations >= SMALL_STD_RATIO * largest)[:MAX_FEATURES]
    if max(share_of_feature(features[:, index], targets) for index in large) >= shares[best]:
        return None
    return SmallFeature(int(small[best]), float(shares[best]))


def share_of_feature(feature: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of the targets' variance that one feature explains, by any function of it.

    The correlation ratio over 8 bins with equal numbers of rows, corrected for chance.

    Parameters
    ----------
    feature : ndarray of shape (n_rows,)
    targets : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    float
        At most 1; about 0 for an independent feature.
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
