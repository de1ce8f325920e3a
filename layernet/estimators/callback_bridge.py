"""Bridge from the training loop to scikit-learn's callbacks; each epoch is one of their tasks."""

from __future__ import annotations

from typing import Any

from layernet.training.callback import Callback
from layernet.training.run import Run


class CallbackBridge(Callback):
    """Call an estimator's scikit-learn callbacks at the beginning and the end of every epoch.

    Training stops after an epoch if a callback returns True at its end.

    Parameters
    ----------
    estimator : NetworkEstimator
        Its `network_` is the network in training.
    context : sklearn.callback.CallbackContext
        Context of the whole fit.
    X, y
        The data, as they were given to `fit`.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y

    def on_epoch_begin(self, run: Run) -> None:
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, run: Run) -> None:
        stop = self._task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=self.estimator._fitted_attributes,
        )
        if stop:
            run.stop("A callback asked to stop.")
