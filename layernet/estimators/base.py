"""Base class of all estimators: constraints of the parameters, and what a subclass defines."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils._param_validation import Interval, Options, StrOptions

from layernet.engine.choice import ENGINES
from layernet.estimators.fitted_network import FittedNetwork
from layernet.estimators.fitting import fit_estimator
from layernet.estimators.nested_parameters import NestedParameters
from layernet.estimators.targets import Targets
from layernet.layer import Layer
from layernet.losses import Loss
from layernet.optimizers import Optimizer
from layernet.training.callback import Callback


class NetworkEstimator(NestedParameters, CallbackSupportMixin, FittedNetwork):
    """Estimator that trains a network.

    A subclass stores the arguments of its constructor, and defines `_make_network`, `_make_optimizer` and
    `_make_targets`. `fitting.fit_estimator` calls these methods; it is the only code that trains.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "loss": [Loss],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "scoring": [str, callable, None],
        "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
        "weight_averaging": [Interval(Real, 0, 1, closed="left"), None],
        "callbacks": ["array-like", Callback],
        "keep_optimizer": ["boolean"],
        "engine": [StrOptions(set(ENGINES))],
    }

    # Parameters of some subclasses; the others behave as if they had these values.
    power_t: float = 0.5
    max_fun: int = 15000
    exact_compatibility: bool = False

    # Whether y must be numbers; labels may be of any type.
    _y_is_numeric: ClassVar[bool]

    # --- defined by subclasses ---

    def _make_network(self, n_features: int, n_outputs: int) -> Layer:
        """Return a network that is not built."""
        raise NotImplementedError

    def _make_optimizer(self) -> Optimizer:
        """Return a new optimizer without memory. Not called if `_uses_lbfgs`."""
        raise NotImplementedError

    def _make_targets(
        self,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        earlier: Targets | None,
        incremental: bool,
        classes: Any,
    ) -> Targets:
        """Return the conversion of y to the network's targets, and of outputs to predictions.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : ndarray of shape (n_samples,) or None
            Checked. Balanced weights of classes depend on it.
        earlier : Targets or None
            The targets of the fit that is resumed; None for a fit that starts anew.
        incremental : bool
            Whether `partial_fit` was called.
        classes : array-like or None
            The argument of `partial_fit`.
        """
        raise NotImplementedError

    @property
    def _uses_lbfgs(self) -> bool:
        """Whether training minimizes over all rows with L-BFGS, instead of descending on batches."""
        return False

    def _learning_rate_rule(self) -> tuple[Any, float | None]:
        """Return the rule for the learning rate of each epoch, and the rate that the rule starts from."""
        return self.learning_rate, None

    def _draw_parameters(
        self, network: Layer, n_features: int, random: np.random.RandomState, dtype: np.dtype
    ) -> None:
        """Build a network, which draws its initial parameters."""
        network.build(n_features, random, dtype)

    # --- the same for all ---

    def _has_partial_fit(self) -> bool:
        """Return whether `partial_fit` is available; scikit-learn expects an AttributeError if it is not."""
        if self._uses_lbfgs:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return True

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        init_from: Any = None,
    ) -> NetworkEstimator:
        """Train the network on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Of a classifier: labels of any type; for several labels a sample, a column of 0 and 1 for each
            label. Of a regressor: numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0. A weight counts alike in every batch: a sample with weight k counts as k equal samples.
        X_val, y_val : array-like, default=None
            Validation data, which replace the held-out part of the training data. Their loss is recorded after
            every epoch; with `early_stopping`, their score ends training.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
        init_from : estimator or Layer, default=None
            Model whose parameters are the initial parameters: a fitted estimator of this package, a fitted MLP
            of scikit-learn, or a built network. The shapes of the parameters must agree.

        Returns
        -------
        estimator
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If an argument is not valid; an earlier fit stays usable.
        DivergenceError
            If a loss is not finite, or the final loss is over 100 times the loss of an untrained network.
        """
        fit_estimator(
            self, X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val,
            init_from=init_from,
        )  # fmt: skip
        return self

    @property
    def _optimizer(self) -> Optimizer | None:
        """The optimizer of the last fit, under scikit-learn's name, which its own tests read."""
        return self._training_state.optimizer

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return what scikit-learn's callbacks need to make a fitted estimator of the network as it is now."""
        return {"network_": copy.deepcopy(self.network_)}
