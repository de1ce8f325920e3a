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
from layernet.losses import HuberLoss, Loss, MeanAbsoluteError, MeanSquaredError, QuantileLoss
from layernet.losses.deviance import HalfSquaredError

ROBUST_LOSSES = (MeanAbsoluteError, HuberLoss, QuantileLoss)


class TabularRegressor(RegressorMixin, MultiOutputMixin, TabularEstimator):
    """Regressor for tables with columns of any type, which needs no scaling, encoding or tuning.

    An ensemble of small networks, each trained on all folds but one, is mixed with a ridge regression by the
    loss of out-of-fold predictions.

    Parameters
    ----------
    preset : {"best", "balanced", "fast"}, default="best"
        "best": a network for each fold, and on small tables for each of two representations of numbers.
        "balanced": fewer networks. "fast": one or two.
    loss : str or Loss, default="squared_error"
        "squared_error", "absolute_error", "huber", "quantile" (the median), "poisson" (for counts), or a loss
        object: `QuantileLoss(0.9)` predicts the number below which nine tenths lie.
    categories : sequence of names or of int, default=None
        Columns that are categories although their type is another, such as numbers of postal codes.
    cv : int, splitter, iterable or None, default=None
        Folds: each network is trained on the rows outside of a fold, and judged by those of the fold. None and
        an int split at random. A splitter of scikit-learn gets X, y and `groups`; an iterable gives pairs of
        training rows and held-out rows. Each fold is trained, with "fast" only one or two with the most
        training rows. For rows in the order of time, `TimeSeriesSplit(5)` holds out later rows than those
        trained on. New rows are predicted by the networks that were trained on at least three quarters of the
        rows of the largest training part.
    time_limit : float or None, default=None
        Seconds that a fit may take. Networks, epochs and training rows that do not fit into them are left out,
        and `report_.left_out` says which. Results then depend on the speed of the machine.
    n_jobs : int or None, default=-1
        Networks trained at a time, as in joblib; -1 for all cores. Threads, unless `joblib.parallel_config`
        asks for processes. The results are the same to the last bit.
    callbacks : sequence of Callback, default=()
        Callbacks of this package. Each network gets copies. `set_callbacks` takes those of scikit-learn, for
        which each network is a task.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        As in `MLPRegressor`.
    random_state : int, numpy.random.RandomState or None, default=None
        Seed or source of random numbers for folds, initial parameters and the order of the rows.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    oof_predictions_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predictions for each training row, by networks that were not trained on it. NaN where there are none:
        for rows of weight 0, and for rows that no network was held out from ("fast" trains one or two folds).
    oof_score_ : float
        R2, as by `score`, of `oof_predictions_`: an estimate of the score for new rows.
    report_ : FitReport
        Columns and their kinds, networks and their learning curves, weights of the mixture, times, what a time
        limit left out.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Increase of the out-of-fold loss if the values of a column are permuted, with sum 1. Computed when first
        read.
    ensemble_ : Ensemble
        The networks, and the linear model.
    encoder_ : TableEncoder
        Its `columns_` tell the kind of each column, the reason, and its encoding.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only where X has column names that are strings. In predictions, columns are found by their names.

    Raises
    ------
    ValueError, TypeError
        By all methods, if an argument is not valid; an earlier fit stays usable.

    Notes
    -----
    The table is encoded by `TableEncoder`: scaled numbers, one-hot or embedded categories, parts of dates,
    flags of missing values. A network embeds numbers by learned cosines (`PeriodicEmbedding`) and, in a second
    representation, also by piecewise linear pieces; a factor for each feature and three hidden layers follow.
    Adam with a cyclic learning rate trains it, and the epoch that is best for the held-out fold is kept.
    Targets are standardized, except for "poisson"; the losses in `report_` are those of standardized targets.
    Predictions are averaged over the networks, and limited to the range of the training targets. One network
    predicts all outputs. The ridge regression is only for the squared error.

    Equal rows that are in the same folds or groups are merged into one row with the sum of their weights. So a
    weight of 2 counts as two equal rows, and random folds never hold out a row whose equal is trained on. Rows
    whose inputs have several targets are not merged, so neither holds for them.

    There is no warm start and no `partial_fit`: scales, folds and epochs are chosen from all rows.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data. Gorishniy, Rubachev and Babenko (2022), On embeddings for numerical features in tabular deep
    learning.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import TabularRegressor
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> regressor = TabularRegressor(preset="fast", random_state=0).fit(X, X[:, 0] * X[:, 1])
    >>> regressor.score(X, X[:, 0] * X[:, 1]) > 0.8
    True
    >>> regressor.predict_interval(X[:2], coverage=0.8).shape
    (2, 2)
    """

    _targets: NumberTargets
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

    def _make_targets(self, y: np.ndarray, sample_weight: np.ndarray | None) -> NumberTargets:
        targets = NumberTargets(y, self.loss)
        if targets.out_activation == "identity":
            # Such losses are to ignore outliers, and a standard deviation does not.
            targets.target_scale = "robust" if isinstance(targets.loss, ROBUST_LOSSES) else "standard"
        return targets

    def _make_link(self, targets: np.ndarray) -> Link:
        kind = LogNumbers if self._targets.out_activation == "exp" else Numbers
        return kind(self._targets.loss, targets)

    def _takes_linear(self, targets: np.ndarray) -> bool:
        return isinstance(self._targets.loss, (HalfSquaredError, MeanSquaredError))

    def _present(self, predictions: np.ndarray) -> np.ndarray:
        return self._decode(predictions)

    def _score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        if len(y) < 2:
            return np.nan
        targets = self._targets
        numbers = y.reshape(len(y), -1)
        if targets.mean is not None and targets.standard_deviation is not None:
            # R2 is the same, and no square overflows.
            numbers = (numbers - targets.mean) / targets.standard_deviation
        return float(r2_score(numbers, predictions, sample_weight=weights))

    def _decode(self, predictions: np.ndarray) -> np.ndarray:
        targets = self._targets
        if targets.mean is not None and targets.standard_deviation is not None:
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
            Lower and upper ends; of counts, at least 0.

        References
        ----------
        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for
        regression.
        """
        check_is_fitted(self)
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(
                f"TabularRegressor.predict_interval: coverage must be between 0 and 1, got {coverage!r}."
            )
        ends = self._compute(lambda inputs: self._ends_of_intervals(inputs, coverage), X)
        return np.stack([self._decode(ends[:, 0]), self._decode(ends[:, 1])], axis=-1)

    def _ends_of_intervals(self, inputs: np.ndarray, coverage: float) -> np.ndarray:
        """Return the lower and upper ends for encoded rows, of shape (n_rows, 2, n_outputs), not decoded."""
        predictions = self.ensemble_.predict(inputs)
        half_widths = np.column_stack(
            [
                scale.half_widths(inputs, predictions[:, output], coverage)
                for output, scale in enumerate(self._residual_scales)
            ]
        )
        lower, upper = predictions - half_widths, predictions + half_widths
        if self._targets.out_activation == "exp":
            lower = np.maximum(lower, 0)
        return np.stack([lower, upper], axis=1)

    def _keep_residuals(self, table: EncodedTable) -> None:
        out_of_fold = self.ensemble_.out_of_fold
        rows = np.flatnonzero(~np.isnan(out_of_fold[:, 0]))
        self._residual_scales = [
            ResidualScale(
                table.inputs[rows],
                out_of_fold[rows, output],
                table.targets[rows, output],
                table.weights_of(rows),
                table.layout.n_numbers + table.layout.n_flags,
            )
            for output in range(table.n_outputs)
        ]
