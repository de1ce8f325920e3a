"""Callbacks of scikit-learn, called by one of ours: an iteration is an epoch."""

from __future__ import annotations

from typing import Any

from layernet.training.callbacks import Callback


class CallbackBridge(Callback):
    """Tell an estimator's scikit-learn callbacks of every epoch, and stop if one of them says so.

    Parameters
    ----------
    estimator : estimator
        With the network in training as its `network_`.
    context : sklearn.callback.CallbackContext
        Of the whole fit.
    X, y
        The data, as they were given to `fit`.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y

    def on_epoch_begin(self, run):
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, run):
        stop = self._task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=self.estimator._frozen_network,
        )
        if stop:
            run.stop("A callback asked to stop.")
