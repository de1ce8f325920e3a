"""TabularRegressor: numbers for the rows of a table with columns of any type."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from layernet.estimators.number_targets import REGRESSOR_LOSSES, NumberTargets
from layernet.estimators.tables.base import TabularEstimator
from layernet.estimators.tables.intervals import ResidualScale
from layernet.estimators.tables.links import Link, LogNumbers, Numbers
from layernet.estimators.tables.member import EncodedTable
from layernet.estimators.targets import Targets
from layernet.losses import Loss, MeanSquaredError
from layernet.losses.deviance import HalfSquaredError


class TabularRegressor(RegressorMixin, MultiOutputMixin, TabularEstimator):
    """Regressor for tables with columns of any type, which needs no scaling, encoding or tuning.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import TabularRegressor
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> regressor = TabularRegressor(preset="fast", random_state=0).fit(X, X[:, 0] * X[:, 1])
    >>> regressor.score(X, X[:, 0] * X[:, 1]) > 0.8
    True
    """

    _y_is_numeric = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularEstimator._parameter_constraints,
        "loss": [StrOptions(set(REGRESSOR_LOSSES)), Loss],
    }

    def __init__(
        self,
        preset: str = "best",
        *,
        loss: str | Loss = "squared_error",
        categories: Any = None,
        cv: Any = None,
        time_limit: float | None = None,
        n_jobs: int | None = -1,
        callbacks: Any = (),
        engine: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.loss = loss
        self.categories = categories
        self.cv = cv
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def _make_targets(self, y: np.ndarray) -> Targets:
        targets = NumberTargets(y, self.loss)
        if targets.out_activation == "identity":
            targets.target_scale = "standard"
        return targets

    def _make_link(self, targets: np.ndarray) -> Link:
        kind = LogNumbers if self._targets.out_activation == "exp" else Numbers
        return kind(self._targets.loss, targets)

    def _takes_linear(self, targets: np.ndarray) -> bool:
        return isinstance(self._targets.loss, (HalfSquaredError, MeanSquaredError))

    def _present(self, predictions: np.ndarray) -> np.ndarray:
        return self._decode(predictions)

    def _score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        return float(r2_score(y, self._decode(predictions), sample_weight=weights)) if len(y) > 1 else np.nan

    def _decode(self, predictions: np.ndarray) -> np.ndarray:
        targets = self._targets
        if targets.mean is not None:
            predictions = predictions * targets.standard_deviation + targets.mean
        return predictions.ravel() if targets.n_outputs == 1 else predictions

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._decode(self._predictions(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return intervals that contain a new number with a given probability.

        Intervals are symmetric about the predictions. Their widths follow from the sizes of the out-of-fold
        residuals, so a share of about `coverage` of new samples lies inside if these are drawn as the training
        data were; see `ResidualScale`.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_samples, 2), or (n_samples, n_outputs, 2)
            Lower and upper ends.
        """
        check_is_fitted(self)
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(
                f"TabularRegressor.predict_interval: coverage must be between 0 and 1, got {coverage!r}."
            )
        inputs = self.encoder_.transform(X)
        predictions = self.ensemble_.predict(inputs)
        half_widths = np.column_stack(
            [
                scale.half_widths(inputs, predictions[:, output], coverage)
                for output, scale in enumerate(self._residual_scales)
            ]
        )
        ends = [self._decode(predictions - half_widths), self._decode(predictions + half_widths)]
        return np.stack(ends, axis=-1)

    def _keep_residuals(self, table: EncodedTable) -> None:
        out_of_fold = self.ensemble_.out_of_fold
        rows = np.flatnonzero(~np.isnan(out_of_fold[:, 0]))
        self._residual_scales = [
            ResidualScale(table.inputs[rows], out_of_fold[rows, output], table.targets[rows, output])
            for output in range(table.n_outputs)
        ]
