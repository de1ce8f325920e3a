"""The methods `partial_fit` and `predict` of classifiers and of regressors, whatever network they train."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from layernet.estimators.base import TO_START_ANEW, NetworkEstimator
from layernet.estimators.targets import ClassTargets, NumberTargets
from layernet.losses import BinaryCrossEntropy, CrossEntropy, HingeLoss


def _is_stochastic(estimator: Any) -> bool:
    if getattr(estimator, "solver", None) == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


def _has_probabilities(estimator: Any) -> bool:
    if "network_" in vars(estimator):
        known = estimator.out_activation_ != "identity"
    else:
        known = estimator._loss_has_probabilities()
    if not known:
        raise AttributeError(f"loss={estimator.loss!r} gives no probabilities; use decision_function.")
    return True


class ClassifierMethods(ClassifierMixin, NetworkEstimator):
    """What classifiers share."""

    _takes_numbers = False

    @available_if(_is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train on data for one epoch, going on from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see; needed in the first.

        Returns
        -------
        estimator
            This one.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X) -> np.ndarray:
        """The most probable class of each sample; for multilabel targets, 1 for each label it probably has.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._outputs(X, "decode")

    @available_if(_has_probabilities)
    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class; for multilabel targets, of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to 1, but for multilabel targets.
        """
        return self._outputs(X, "probabilities")

    @available_if(_has_probabilities)
    def predict_log_proba(self, X) -> np.ndarray:
        """The logarithms of `predict_proba`; -inf where a probability is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X) -> np.ndarray:
        """The outputs of the network, before probabilities are made of them; larger for more likely classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._outputs(X, "scores")

    def _targets_of(self, y):
        return ClassTargets(y, self.loss, self.label_smoothing, type(self).__name__, self.exact_compatibility)

    def _loss_has_probabilities(self):
        if isinstance(self.loss, str):
            return self.loss != "hinge"
        return isinstance(self.loss, (BinaryCrossEntropy, CrossEntropy))

    def _prepare_targets(self, y, continues, incremental, classes):
        if incremental and not type_of_target(y).startswith("multilabel"):
            first_call = _check_partial_fit_first_call(self, classes)
            classes = classes if first_call else None
        else:
            classes = None
        super()._prepare_targets(y, continues, incremental, classes)
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which sees a part of the data. "
                "Give a dict: compute_class_weight('balanced', classes=classes, y=y)."
            )
        self.classes_ = self._targets.classes
        if continues and self.warm_start and not incremental:
            found = unique_labels(y)
            if set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to "
                    f"fit. Previously got {self.classes_}, `y` has {found}"
                )
        self._targets = self._targets.with_class_weight(self.class_weight, y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        one_class_only = isinstance(self.loss, (CrossEntropy, HingeLoss)) or self.loss in (
            "cross_entropy",
            "hinge",
        )
        tags.classifier_tags.multi_label = not one_class_only
        return tags


class RegressorMethods(RegressorMixin, MultiOutputMixin, NetworkEstimator):
    """What regressors share."""

    _takes_numbers = True

    @available_if(_is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None):
        """Train on data for one epoch, going on from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        estimator
            This one.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X) -> np.ndarray:
        """The predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._outputs(X, "decode")

    def _targets_of(self, y):
        return NumberTargets(y, self.loss, self.exact_compatibility, self.target_scale)

    def _prepare_targets(self, y, continues, incremental, classes):
        super()._prepare_targets(y, continues, incremental, classes)
        if self._targets.target_scale != self.target_scale:
            raise ValueError(
                f"target_scale={self.target_scale!r} differs from the {self._targets.target_scale!r} that the "
                f"network was trained with. {TO_START_ANEW}"
            )

    def _prepare_network(self, X, random, continues, init_from):
        network = super()._prepare_network(X, random, continues, init_from)
        if init_from is not None and not continues:
            self._targets.start_from(init_from)
        return network

    def _training_data(self, network, X, y, weights):
        self._targets.learn_scale(y, weights)
        return super()._training_data(network, X, y, weights)
