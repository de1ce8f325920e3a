"""TabularClassifier: classes of the rows of a table with columns of any type."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import type_of_target

from layernet.estimators.class_targets import ClassTargets
from layernet.estimators.tables.base import TabularEstimator
from layernet.estimators.tables.links import (
    SMALLEST_PROBABILITY,
    ClassProbabilities,
    LabelProbabilities,
    Link,
)
from layernet.losses import CrossEntropy, LogLoss

LABEL_SMOOTHING = 0.1


class TabularClassifier(ClassifierMixin, TabularEstimator):
    """Classifier for tables with columns of any type, which needs no scaling, encoding or tuning.

    An ensemble of small networks, each trained on all folds but one, is mixed with a logistic regression by the
    log loss of out-of-fold predictions.

    Parameters
    ----------
    preset : {"best", "balanced", "fast"}, default="best"
        "best": a network for each fold, and on small tables for each of two representations of numbers.
        "balanced": fewer networks. "fast": one or two.
    categories : sequence of names or of int, default=None
        Columns that are categories although their type is another, such as numbers of postal codes.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes, as in `MLPClassifier`: "balanced" for (sum of weights) / (n_classes * sum of the
        class's weights), with the sample weights of all rows. Probabilities are then those of the weighted
        data.
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
        As in `MLPClassifier`.
    random_state : int, numpy.random.RandomState or None, default=None
        Seed or source of random numbers for folds, initial parameters and the order of the rows.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        For several labels a sample: the numbers of the labels.
    oof_predictions_ : ndarray of shape (n_samples, n_classes)
        Probabilities for each training row, by networks that were not trained on it. NaN where there are none:
        for rows of weight 0, and for rows that no network was held out from ("fast" trains one or two folds).
    oof_score_ : float
        Accuracy of `oof_predictions_`: an estimate of the score for new rows.
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
    Probabilities are averaged over the networks after division of the logits by a temperature, which is fitted
    to the out-of-fold predictions and calibrates them. Several labels a sample (a column of 0 and 1 for each)
    are trained without the logistic regression. A class that is missing from the training part of a fold gets a
    small probability from its network.

    Equal rows that are in the same folds or groups are merged into one row with the sum of their weights. So a
    weight of 2 counts as two equal rows, and random folds never hold out a row whose equal is trained on. Rows
    whose inputs have several targets are not merged, so neither holds for them.

    There is no warm start and no `partial_fit`: scales, folds and epochs are chosen from all rows.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data. Gorishniy, Rubachev and Babenko (2022), On embeddings for numerical features in tabular deep
    learning. Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import TabularClassifier
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "yes", "no")
    >>> classifier = TabularClassifier(preset="fast", random_state=0).fit(X, y)
    >>> classifier.oof_score_ > 0.8
    True
    >>> classifier.predict_proba(X[:2]).shape
    (2, 2)
    """

    _targets: ClassTargets
    _y_is_numeric = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularEstimator._parameter_constraints,
        "class_weight": [dict, list, tuple, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        preset: str = "best",
        *,
        categories: Any = None,
        class_weight: Any = None,
        cv: Any = None,
        time_limit: float | None = None,
        n_jobs: int | None = -1,
        callbacks: Any = (),
        engine: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.categories = categories
        self.class_weight = class_weight
        self.cv = cv
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def _make_targets(self, y: np.ndarray, sample_weight: np.ndarray | None) -> ClassTargets:
        is_multilabel = type_of_target(y).startswith("multilabel")
        loss = (LogLoss if is_multilabel else CrossEntropy)(label_smoothing=LABEL_SMOOTHING)
        targets = ClassTargets(y, loss, who=type(self).__name__)
        targets = targets.with_class_weight(self.class_weight, y, sample_weight)
        self.classes_ = targets.classes
        return targets

    def _make_link(self, targets: np.ndarray) -> Link:
        return LabelProbabilities() if targets.ndim == 2 else ClassProbabilities()

    def _takes_linear(self, targets: np.ndarray) -> bool:
        return targets.ndim == 1

    def _present(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def _score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        is_right = self._decode(predictions) == y
        return float(np.average(is_right.reshape(len(y), -1).all(axis=1), weights=weights))

    def _decode(self, predictions: np.ndarray) -> np.ndarray:
        if self._targets.is_multilabel:
            return (predictions > 0.5).astype(int)
        return self.classes_[predictions.argmax(axis=1)]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample; for several labels a sample, 0 or 1 for each.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._decode(self._predictions(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class; for several labels a sample, of each label.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. Each row sums to 1, unless a sample has several labels.
        """
        return self._predictions(X)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`; -inf where a probability is 0.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return log(p / (1 - p)) of the second of two classes; for more classes, log(p) of each.

        Parameters
        ----------
        X : data frame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For several labels a sample, log(p / (1 - p)) of each label. Probabilities below 1e-12 count as
            1e-12.
        """
        predictions = self._predictions(X)
        yes, no = (np.log(np.maximum(each, SMALLEST_PROBABILITY)) for each in (predictions, 1 - predictions))
        if self._targets.is_multilabel:
            return yes - no
        return yes[:, 1] - yes[:, 0] if len(self.classes_) == 2 else yes

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
