"""Scaler for numbers of a table, which outliers change little: RobustScale."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, validate_data

# Ratios to the limit beyond this give the limit to the last bit, and their squares do not overflow.
LARGEST_RATIO = 1e100


class RobustScale(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale each feature by its median and its interquartile range, and clip it smoothly.

    z = (x - median) / (third quartile - first quartile), and x' = z / sqrt(1 + (z / limit)**2), which is nearly
    z for small z and never beyond ±limit. Where the quartiles are equal, the divisor is half the range of the
    feature; a constant feature becomes 0. NaN is left out in `fit`, and stays NaN in `transform`.

    Parameters
    ----------
    limit : float or None, default=3.0
        Above 0; None does not clip.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Medians; 0 for a feature without numbers.
    factor_ : ndarray of shape (n_features,)
        What differences to the median are multiplied by; 0 for a constant feature.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Only where X has column names.

    Examples
    --------
    >>> X = [[0.0], [1.0], [2.0], [3.0], [1000.0]]
    >>> RobustScale().fit_transform(X).ravel().round(2)
    array([-0.95, -0.49,  0.  ,  0.49,  3.  ])

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "limit": [Interval(Real, 0, None, closed="neither"), None]
    }

    def __init__(self, limit: float | None = 3.0) -> None:
        self.limit = limit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the median and the divisor of each feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers and NaN.
        y : object, default=None
            Ignored.

        Returns
        -------
        RobustScale
        """
        X = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")
        self.center_, self.factor_ = robust_center_and_factor(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale and clip.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers and NaN.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 for float32, else float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan", reset=False)
        scaled = scale_and_clip(X, self.center_, self.factor_, self.limit)
        return scaled.astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return numbers that `transform` maps to these.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Scaled; what is at the limit or beyond it is taken as the largest number below it.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            A constant feature has its constant.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan", reset=False)
        scaled = X.astype(np.float64)
        if self.limit is not None:
            ratio = np.clip(scaled / self.limit, -1 + 1e-15, 1 - 1e-15)
            scaled = self.limit * ratio / np.sqrt((1 - ratio) * (1 + ratio))
        divisors = np.where(self.factor_ > 0, 1 / np.where(self.factor_ > 0, self.factor_, 1.0), 0.0)
        return (scaled * divisors + self.center_).astype(X.dtype, copy=False)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def robust_center_and_factor(
    X: np.ndarray, method: Any = "linear", weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each feature, and the factor that scales it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Numbers and NaN.
    method : str, default="linear"
        How quantiles between two values are computed, as in `numpy.quantile`. With "inverted_cdf" they are
        values, and do not change if each row is repeated.
    weights : ndarray of shape (n_samples,), default=None
        Weights of the rows, for "inverted_cdf".

    Returns
    -------
    (ndarray of shape (n_features,), ndarray of shape (n_features,))
        The median is 0 for a feature without numbers; the factor is 0 for a constant feature.
    """
    quarters = X.astype(np.float64) / 4  # differences of the largest numbers would overflow
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of features that are all NaN
        first, center, third = np.nanquantile(
            quarters, [0.25, 0.5, 0.75], axis=0, method=method, weights=weights
        )
        half_range = (np.nanmax(quarters, axis=0) - np.nanmin(quarters, axis=0)) / 2
    divisor = np.where(third > first, third - first, half_range)
    varies = divisor > np.finfo(np.float64).tiny  # not if it is NaN
    factor = np.where(varies, 0.25 / np.where(varies, divisor, 1.0), 0.0)
    return np.where(np.isnan(center), 0.0, 4 * center), factor


def scale_and_clip(X: np.ndarray, center: np.ndarray, factor: np.ndarray, limit: float | None) -> np.ndarray:
    """Return z / sqrt(1 + (z / limit)**2) of z = (X - center) * factor, without overflow.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Numbers and NaN.
    center, factor : ndarray of shape (n_features,)
    limit : float or None
        None returns z.

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_features)
    """
    with np.errstate(over="ignore"):  # what overflows is clipped
        scaled = X - center
        scaled *= factor
        if limit is None:
            return scaled
        scaled /= limit
    np.clip(scaled, -LARGEST_RATIO, LARGEST_RATIO, out=scaled)
    divisor = scaled * scaled
    divisor += 1
    np.sqrt(divisor, out=divisor)
    divisor /= limit
    scaled /= divisor
    return scaled
