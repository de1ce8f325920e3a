"""Methods of classifiers: `partial_fit`, `predict` and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.callback import with_callbacks
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from layernet.estimators.base import NetworkEstimator
from layernet.estimators.class_targets import ClassTargets
from layernet.estimators.fitting import fit_estimator
from layernet.estimators.targets import Targets
from layernet.losses import BinaryCrossEntropy, CrossEntropy, HingeLoss


def _has_probabilities(estimator: Any) -> bool:
    if "network_" in vars(estimator):
        known = estimator.out_activation_ != "identity"
    else:
        known = estimator._loss_has_probabilities()
    if not known:
        raise AttributeError(f"loss={estimator.loss!r} gives no probabilities; use decision_function.")
    return True


class BaseClassifier(ClassifierMixin, NetworkEstimator):
    """Estimator that predicts classes, or 0 and 1 for each of several labels."""

    _y_is_numeric = False

    @available_if(NetworkEstimator._has_partial_fit)
    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> BaseClassifier:
        """Train for one epoch, starting from the network and the optimizer of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls. Required in the first call.

        Returns
        -------
        estimator
            This estimator.
        """
        fit_estimator(self, X, y, sample_weight, incremental=True, classes=classes)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample; for several labels a sample, 0 or 1 for each.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._outputs(X, self._fitted_targets().decode)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class; for several labels a sample, of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. Each row sums to 1, unless a sample has several labels.
        """
        return self._outputs(X, self._fitted_targets().probabilities)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`; -inf where a probability is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of the classes: the network's outputs, logits for the log loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._outputs(X, self._fitted_targets().scores)

    def _make_targets(
        self,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        earlier: Targets | None,
        incremental: bool,
        classes: Any,
    ) -> ClassTargets:
        if incremental and not type_of_target(y).startswith("multilabel"):
            _check_partial_fit_first_call(self, classes)  # raises scikit-learn's errors
        if isinstance(earlier, ClassTargets):
            targets = earlier
        else:
            all_labels = y if classes is None or type_of_target(y).startswith("multilabel") else classes
            who = type(self).__name__
            targets = ClassTargets(all_labels, self.loss, self.label_smoothing, who, self.exact_compatibility)
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which sees a part of the data. "
                "Give a dict (for several labels a sample, a list of dicts): dict(zip(classes, "
                "compute_class_weight('balanced', classes=classes, y=y, sample_weight=sample_weight)))."
            )
        if earlier is not None and not incremental:
            found = unique_labels(y)
            if set(found) != set(targets.classes):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to "
                    f"fit. Previously got {targets.classes}, `y` has {found}"
                )
        self.classes_ = targets.classes
        return targets.with_class_weight(self.class_weight, y, sample_weight)

    def _loss_has_probabilities(self) -> bool:
        """Return whether the loss, before any fit, promises probabilities."""
        if isinstance(self.loss, str):
            return self.loss != "hinge"
        return isinstance(self.loss, (BinaryCrossEntropy, CrossEntropy))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        names = ("cross_entropy", "hinge")
        is_single_label = isinstance(self.loss, (CrossEntropy, HingeLoss)) or self.loss in names
        tags.classifier_tags.multi_label = not is_single_label
        return tags
