"""Prediction intervals from out-of-fold residuals, wider where the residuals are larger."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

# Parts of the rows; the scale of a row's residual comes from a model of the other parts.
N_PARTS = 5


class ResidualScale:
    """Scale of the residuals as a function of a row and its prediction, and quantiles of their ratio.

    A ridge regression predicts log(|residual| + e) of one output from the encoded row and the prediction p;
    exp of it is the scale s(x). The score of a row is |residual| / s, with s of a regression that was fitted
    without this row. An interval that contains a share c of new rows is p ± q s(x), with q the
    ceil((n + 1) c)-th smallest of the n scores; with weights, the smallest score up to which the rows have a
    share c of the sum of all weights and that of the new row, the mean weight.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_columns)
        Encoded rows.
    predictions : ndarray of shape (n_rows,)
        By networks that were not trained on the row.
    targets : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_rows,) or None
    n_columns : int
        The first columns, which are numbers; codes of levels after them are not used.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for
    regression.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        predictions: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        n_columns: int,
    ) -> None:
        self.n_columns = n_columns
        residuals = np.abs(targets - predictions)
        self.smallest = max(float(residuals.mean()) / 20, float(np.finfo(np.float64).tiny))
        self.center, self.deviation = float(predictions.mean()), float(predictions.std()) or 1.0
        features, logs = self._features(inputs, predictions), np.log(residuals + self.smallest)
        parts = np.random.default_rng(0).permutation(len(residuals)) % N_PARTS
        scores = residuals / np.exp(logs.mean())  # of a part without others
        for part in np.unique(parts):
            rows, others = parts == part, parts != part
            if others.any():
                model = fitted_ridge(features, logs, weights, others)
                scores[rows] = residuals[rows] / np.exp(model.predict(features[rows]))
        self.model = fitted_ridge(features, logs, weights, np.ones(len(logs), bool))
        order = np.argsort(scores, kind="stable")
        self.scores = scores[order]
        self._sums_of_weights = np.cumsum(np.ones(len(scores)) if weights is None else weights[order])

    def _features(self, inputs: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scaled = (predictions - self.center) / self.deviation
        return np.column_stack([inputs[:, : self.n_columns], scaled, scaled**2])

    def scale(self, inputs: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """Return the scale of the residual of each row; of shape (n_rows,)."""
        return np.exp(self.model.predict(self._features(inputs, predictions)))

    def half_widths(self, inputs: np.ndarray, predictions: np.ndarray, coverage: float) -> np.ndarray:
        """Return half the width of each row's interval.

        Parameters
        ----------
        inputs : ndarray of shape (n_rows, n_columns)
        predictions : ndarray of shape (n_rows,)
        coverage : float
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        sums = self._sums_of_weights
        needed = coverage * (sums[-1] + sums[-1] / len(sums))
        # A sum that differs from the needed one by its last digits counts as equal.
        index = min(len(sums) - 1, int(np.searchsorted(sums, needed * (1 - 1e-12))))
        return self.scores[index] * self.scale(inputs, predictions)


def fitted_ridge(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, rows: np.ndarray
) -> Ridge:
    """Return a ridge regression that is fitted to some rows, given as a mask."""
    return Ridge(alpha=10.0).fit(features[rows], targets[rows], None if weights is None else weights[rows])
