"""Prediction intervals from out-of-fold residuals, wider where the residuals are larger."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge


class ResidualScale:
    """Scale of the residuals as a function of a row and its prediction, and their quantiles.

    A ridge regression predicts log(|residual| + e) of one output from the encoded row and the prediction p;
    exp of it is the scale s(x). With the scores |residual| / s of all rows, an interval that contains a share c
    of new rows is p ± q s(x), with q the ceil((n + 1) c)-th smallest of the n scores. The networks that
    predicted a row were not trained on it, so the scores are those of new rows.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_columns)
        Encoded rows.
    predictions : ndarray of shape (n_rows,)
        By networks that were not trained on the row.
    targets : ndarray of shape (n_rows,)

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for
    regression.
    """

    def __init__(self, inputs: np.ndarray, predictions: np.ndarray, targets: np.ndarray) -> None:
        residuals = np.abs(targets - predictions)
        self.smallest = max(float(residuals.mean()) / 20, float(np.finfo(np.float64).tiny))
        self.center, self.deviation = float(predictions.mean()), float(predictions.std()) or 1.0
        self.model = Ridge(alpha=10.0)
        self.model.fit(self._features(inputs, predictions), np.log(residuals + self.smallest))
        self.scores = np.sort(residuals / self.scale(inputs, predictions))

    def _features(self, inputs: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scaled = (predictions - self.center) / self.deviation
        return np.column_stack([inputs, scaled, scaled**2])

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
        n_scores = len(self.scores)
        rank = min(n_scores, int(np.ceil((n_scores + 1) * coverage)))
        return self.scores[rank - 1] * self.scale(inputs, predictions)
