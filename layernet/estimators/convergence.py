"""Rules of scikit-learn for the end of a training and for the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from layernet.interrupts import uninterrupted
from layernet.training.callback import Callback
from layernet.training.history import StopReason
from layernet.training.run import Run
from layernet.training.snapshot import Snapshot


class Convergence(Callback):
    """Stop, or lower the learning rate, when the loss has not improved by `tol` for several epochs.

    With early stopping, the validation score replaces the training loss. A warm start and `partial_fit`
    take over the best value of the training before.

    Parameters
    ----------
    tol : float
        An epoch has improved if its loss is lower (its score higher) than the best one by at least `tol`.
    n_iter_no_change : int or inf
        Training stops, or the learning rate falls, after more than this many epochs in a row without
        improvement.
    early_stopping : bool
        Whether the history's column `val_score` is watched, and the network gets the parameters of the best
        epoch in the end.
    learning_rate : {"constant", "invscaling", "adaptive"} or callable
        A callable gets the number of finished epochs and returns the learning rate of the next one.
    learning_rate_init : float or None
        Learning rate that the rules start from. None for the optimizer's own.
    power_t : float
        For "invscaling": learning rate = learning_rate_init / (samples_seen + 1)**power_t.
    exact : bool
        Whether to repeat two faults of scikit-learn: a score of NaN counts as an improvement; and after the
        learning rate has fallen, losses are still compared with the best loss under the higher rate.
    samples_per_epoch : int

    Attributes
    ----------
    best_loss, best_score : float
    samples_seen, epochs_done : int
        In all fits.
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
        samples_per_epoch: int,
    ):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.exact = exact
        self.samples_per_epoch = samples_per_epoch
        self.best_loss = math.inf
        self.best_score = -math.inf
        self.samples_seen = 0
        self.epochs_done = 0
        self._value_to_improve = math.inf
        self._epochs_without_improvement = 0
        self._best: Snapshot | None = None

    def take_over(self, earlier: Convergence) -> None:
        """Copy the counts and the best values of the training before."""
        for name in (
            "best_loss",
            "best_score",
            "samples_seen",
            "epochs_done",
            "_value_to_improve",
            "_epochs_without_improvement",
        ):
            setattr(self, name, getattr(earlier, name))

    def on_train_begin(self, run: Run) -> None:
        self._best = Snapshot(run.network) if self.early_stopping else None

    def on_epoch_begin(self, run: Run) -> None:
        if callable(self.learning_rate):
            run.optimizer.learning_rate = self.learning_rate(self.epochs_done)

    def on_epoch_end(self, run: Run) -> None:
        self.epochs_done += 1
        self.samples_seen += self.samples_per_epoch
        self._epochs_without_improvement = (
            0 if self._has_improved(run) else self._epochs_without_improvement + 1
        )
        if self.learning_rate == "invscaling":
            run.optimizer.learning_rate = self.learning_rate_init / (self.samples_seen + 1) ** self.power_t
        if self._epochs_without_improvement > self.n_iter_no_change:
            self._stop_or_lower_rate(run)

    def on_train_end(self, run: Run) -> None:
        if self._best is not None:
            self._best.restore()
            self._best = None

    def _has_improved(self, run: Run) -> bool:
        # The score with its sign changed, so that smaller is better in both cases.
        value = -run.history["val_score"][-1] if self.early_stopping else run.history["loss"][-1]
        best = -self.best_score if self.early_stopping else self.best_loss
        if value < best:
            if self.early_stopping:
                with uninterrupted:
                    self.best_score = -value
                    self._best, run.kept_epoch = Snapshot(run.network), run.epoch
            else:
                self.best_loss = value
        has_improved = value <= self._value_to_improve - self.tol or (self.exact and math.isnan(value))
        if value < self._value_to_improve:  # False for NaN
            self._value_to_improve = value
        return has_improved

    def _stop_or_lower_rate(self, run: Run) -> None:
        watched = "Validation score" if self.early_stopping else "Training loss"
        message = f"{watched} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} epochs."
        reason: StopReason = "early_stopping" if self.early_stopping else "converged"
        rate = run.optimizer.learning_rate
        if self.learning_rate != "adaptive" or callable(rate):
            run.stop(message, reason)
        elif rate <= 1e-6:
            run.stop(f"{message} The learning rate is too small to go on.", reason)
        else:
            run.optimizer.learning_rate = rate / 5
            self._epochs_without_improvement = 0
            if not self.exact:
                self._value_to_improve = math.inf
