"""The end of training and the changes of the learning rate: scikit-learn's rules, put right."""

from __future__ import annotations

import math
from collections.abc import Callable

from layernet.interrupts import uninterrupted
from layernet.training.callbacks import Callback
from layernet.training.history import StopReason
from layernet.training.snapshot import Snapshot


class Convergence(Callback):
    """Stop, or lower the learning rate, when an epoch has not been better by `tol` for long.

    What counts is the training loss, or with early stopping the validation score. It remembers the best from
    one fit to the next, for warm starts and `partial_fit`.

    Parameters
    ----------
    tol : float
        How much better the loss (or the score) must be than the best before.
    n_iter_no_change : int or inf
        More epochs than this without that, and training stops (or the learning rate falls).
    early_stopping : bool
        Whether the column `val_score` of the history is watched, and the best parameters come back in the end.
    learning_rate : {"constant", "invscaling", "adaptive"} or callable
        A callable is a function of the number of epochs done before.
    learning_rate_init : float
        What the rules start from; None leaves the optimizer's own learning rate alone.
    power_t : float
        For "invscaling": learning_rate_init / (samples seen + 1)**power_t.
    exact : bool
        Whether scikit-learn's slips are repeated: a score that is NaN counts as better, and after the learning
        rate has fallen, losses are still compared with the best under the higher one.

    Attributes
    ----------
    best_loss, best_score : float
    samples_seen : int
    """

    def __init__(
        self,
        tol: float,
        n_iter_no_change: float,
        early_stopping: bool,
        learning_rate: str | Callable[[int], float],
        learning_rate_init: float | None,
        power_t: float,
        exact: bool,
    ):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.exact = exact
        self.best_loss = math.inf
        self.best_score = -math.inf
        self.samples_seen = 0
        self.samples_an_epoch = 0
        self.epochs_done = 0
        self._reference = math.inf
        self._without_change = 0
        self._best: Snapshot | None = None

    def take_over(self, earlier: Convergence) -> None:
        """Go on from what another one has seen."""
        for name in (
            "best_loss",
            "best_score",
            "samples_seen",
            "epochs_done",
            "_reference",
            "_without_change",
        ):
            setattr(self, name, getattr(earlier, name))

    def on_train_begin(self, run):
        self._best = Snapshot(run.network) if self.early_stopping else None

    def on_epoch_begin(self, run):
        if callable(self.learning_rate):
            run.optimizer.learning_rate = self.learning_rate(self.epochs_done)

    def on_epoch_end(self, run):
        self.epochs_done += 1
        self.samples_seen += self.samples_an_epoch
        self._without_change = 0 if self._is_better(run) else self._without_change + 1
        if self.learning_rate == "invscaling":
            run.optimizer.learning_rate = self.learning_rate_init / (self.samples_seen + 1) ** self.power_t
        if self._without_change > self.n_iter_no_change:
            self._stop_or_slow_down(run)

    def on_train_end(self, run):
        if self._best is not None:
            self._best.restore()
            self._best = None

    def _is_better(self, run):
        # As something that should fall, for both.
        value = -run.history["val_score"][-1] if self.early_stopping else run.history["loss"][-1]
        best = -self.best_score if self.early_stopping else self.best_loss
        if value < best:
            if self.early_stopping:
                with uninterrupted:
                    self.best_score = -value
                    self._best, run.kept_epoch = Snapshot(run.network), run.epoch
            else:
                self.best_loss = value
        better = value <= self._reference - self.tol or (self.exact and math.isnan(value))
        if value < self._reference:  # which NaN is not
            self._reference = value
        return better

    def _stop_or_slow_down(self, run):
        watched = "Validation score" if self.early_stopping else "Training loss"
        message = f"{watched} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} epochs."
        reason: StopReason = "early_stopping" if self.early_stopping else "converged"
        if self.learning_rate != "adaptive":
            run.stop(message, reason)
        elif run.optimizer.learning_rate <= 1e-6:
            run.stop(f"{message} The learning rate is too small to go on.", reason)
        else:
            run.optimizer.learning_rate /= 5
            self._without_change = 0
            if not self.exact:
                self._reference = math.inf
