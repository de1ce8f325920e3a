"""Methods of regressors: `partial_fit` and `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.utils.metaestimators import available_if

from layernet.estimators.base import NetworkEstimator
from layernet.estimators.fitting import fit_estimator
from layernet.estimators.number_targets import NumberTargets
from layernet.estimators.targets import Targets
from layernet.estimators.training_state import REFIT_HINT


class BaseRegressor(RegressorMixin, MultiOutputMixin, NetworkEstimator):
    """Estimator that predicts one number or several numbers for each sample."""

    _y_is_numeric = True

    @available_if(NetworkEstimator._has_partial_fit)
    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> BaseRegressor:
        """Train for one epoch, starting from the network and the optimizer of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        estimator
            This estimator.
        """
        fit_estimator(self, X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._outputs(X, self._fitted_targets().decode)

    def _make_targets(
        self,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        earlier: Targets | None,
        incremental: bool,
        classes: Any,
    ) -> NumberTargets:
        if not isinstance(earlier, NumberTargets):
            return NumberTargets(y, self.loss, self.exact_compatibility, self.target_scale)
        if earlier.target_scale != self.target_scale:
            raise ValueError(
                f"target_scale={self.target_scale!r} differs from the {earlier.target_scale!r} that the "
                f"network was trained with. {REFIT_HINT}"
            )
        return earlier
