"""State of a training that a warm start or the next `partial_fit` resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from layernet.estimators.convergence import Convergence
from layernet.optimizers import Optimizer
from layernet.training.averaging import WeightAverage

REFIT_HINT = "Call fit with warm_start=False, its default, to train a new network."


@dataclass
class TrainingState:
    """State of a training that a warm start or the next `partial_fit` resumes.

    A fit works on a copy and replaces the estimator's state when it has succeeded.

    Attributes
    ----------
    random : numpy.random.RandomState or None
        One stream of random numbers for all calls; None unless the parameter `random_state` is an integer.
    optimizer : Optimizer or None
        With its memory; None before the first training by descent.
    initial_learning_rate : float or callable or None
        The learning rate that the optimizer was made with. Rules and callbacks may have changed it since.
    average : WeightAverage or None
        The running average of the parameters.
    convergence : Convergence or None
        Counts of epochs and samples, and the best loss or score.
    loss_curve, validation_loss_curve, validation_scores : list of float
        An entry for each epoch of all fits.
    """

    random: np.random.RandomState | None = None
    optimizer: Optimizer | None = None
    initial_learning_rate: float | Callable[[int], float] | None = None
    average: WeightAverage | None = None
    convergence: Convergence | None = None
    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)

    def copy(self) -> TrainingState:
        """Return a state with curves of its own, which a fit can extend."""
        return replace(
            self,
            loss_curve=list(self.loss_curve),
            validation_loss_curve=list(self.validation_loss_curve),
            validation_scores=list(self.validation_scores),
        )

    def random_state_for(
        self, random_state: int | np.random.RandomState | None, starts_anew: bool
    ) -> np.random.RandomState:
        """Return the random state that a fit draws from.

        Parameters
        ----------
        random_state : int, numpy.random.RandomState or None
            The estimator's parameter.
        starts_anew : bool
            Whether each call draws the same numbers from an integer seed, as in scikit-learn.
        """
        if not isinstance(random_state, Integral):
            # The user's or NumPy's random state. It goes on from call to call, and a failed fit does not set it
            # back, because other code may draw from it.
            self.random = None
            return check_random_state(random_state)
        # One stream of random numbers for all calls, so that no two calls see the same order of rows.
        if self.random is None or starts_anew:
            self.random = check_random_state(random_state)
        return self.random

    def curves_only(self) -> TrainingState:
        """Return a state without what only further training needs; the curves go on."""
        return replace(
            self, random=None, optimizer=None, initial_learning_rate=None, average=None, convergence=None
        )

    def resume_optimizer(self, optimizer: Optimizer, keep_learning_rate: bool) -> None:
        """Give an optimizer the memory of the earlier one, if both are of the same kind.

        Parameters
        ----------
        optimizer : Optimizer
            Made anew from the estimator's parameters.
        keep_learning_rate : bool
            Whether the optimizer goes on with the learning rate that the earlier one had in the end. It starts
            with its own learning rate otherwise, and always if that is a schedule.
        """
        earlier = self.optimizer
        if earlier is None or type(earlier) is not type(optimizer):
            return
        state = earlier.state()
        if not keep_learning_rate or callable(optimizer.learning_rate):
            state.pop("learning_rate", None)
        if set(optimizer.slots) == set(earlier.slots):
            optimizer.load_state(state)
