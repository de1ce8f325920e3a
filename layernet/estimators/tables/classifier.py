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
from layernet.estimators.tables.links import ClassProbabilities, LabelProbabilities, Link
from layernet.estimators.targets import Targets
from layernet.losses import CrossEntropy, LogLoss

LABEL_SMOOTHING = 0.1


class TabularClassifier(ClassifierMixin, TabularEstimator):
    """Classifier for tables with columns of any type, which needs no scaling, encoding or tuning.

    An ensemble of networks with embeddings of numbers and categories, each trained on all folds but one, is
    mixed with a logistic regression by the log loss of out-of-fold predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from layernet import TabularClassifier
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "yes", "no")
    >>> classifier = TabularClassifier(preset="fast", random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    """

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

    def _make_targets(self, y: np.ndarray) -> Targets:
        is_multilabel = type_of_target(y).startswith("multilabel")
        loss = (LogLoss if is_multilabel else CrossEntropy)(label_smoothing=LABEL_SMOOTHING)
        targets = ClassTargets(y, loss, who=type(self).__name__).with_class_weight(self.class_weight, y)
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
