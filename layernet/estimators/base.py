"""Base class of all estimators: a network trained on scikit-learn's terms."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from layernet.engine.choice import ENGINES, check_engine, plan_for
from layernet.engine.full_batch import FullBatchPlan
from layernet.engine.inference import InferencePlans
from layernet.estimators.callback_bridge import CallbackBridge
from layernet.estimators.checks import dense_targets, refuse_lists_of_labels, require_in_range
from layernet.estimators.convergence import Convergence
from layernet.estimators.fitted import FLOAT_TYPES, FittedNetwork
from layernet.estimators.numeric import only_numbers
from layernet.estimators.outcome import NOT_FINITE, require_convergence, warn_if_useless
from layernet.estimators.parameters import NestedParameters
from layernet.estimators.progress import progress
from layernet.estimators.rows import ShuffledRows, row_numbers, split_rows
from layernet.estimators.scoring import as_given, scorer_of
from layernet.estimators.starting import copy_parameters, unchanged_on_failure
from layernet.layer import Layer
from layernet.layers.noise import NoiseLayer
from layernet.losses.loss import Loss, bounded
from layernet.optimizers import Optimizer
from layernet.sparse import in_canonical_form, is_sparse
from layernet.training import DivergenceError, Run
from layernet.training.averaging import WeightAverage
from layernet.training.callbacks import Callback, as_callbacks
from layernet.training.data import TrainingData
from layernet.training.endings import refuse_doubled_activation
from layernet.training.given import GivenArrays
from layernet.training.lbfgs import minimize
from layernet.training.loop import train
from layernet.training.outputs import outputs_in_blocks
from layernet.training.run import note
from layernet.training.snapshot import Snapshot
from layernet.training.storage import select_rows
from layernet.user_warnings import warn_user

# A larger `tol` asks for a fit that ends early, whatever it has learned by then; it gets no warning of that.
USUAL_TOLERANCE = 1e-4
TO_START_ANEW = "Call fit with warm_start=False, its default, to train another one."
# What only further training needs, and what a fit that starts anew must not keep of the one before.
TRAINING_STATE = ("_optimizer", "_rate", "_average", "_convergence")
CURVES_AND_BESTS = ("validation_loss_curve_", "best_loss_", "best_validation_score_")


class NetworkEstimator(NestedParameters, CallbackSupportMixin, FittedNetwork):
    """Trains a network; subclasses say which, on which targets, and with which optimizer.

    A subclass defines `_network_for(n_features, n_outputs)`, `_optimizer()` (None for L-BFGS) and
    `_targets_of(y)`, and stores its constructor's arguments.
    """

    _parameter_constraints: dict = {
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

    # Those that only some subclasses have as parameters.
    power_t = 0.5
    max_fun = 15000
    exact_compatibility = False

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Store a constructor's arguments under their own names."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    # --- what subclasses say ---

    def _network_for(self, n_features: int, n_outputs: int) -> Layer:
        raise NotImplementedError

    def _optimizer_from_parameters(self) -> Optimizer | None:
        raise NotImplementedError

    def _targets_of(self, y: Any) -> Any:
        raise NotImplementedError

    def _learning_rate_rule(self) -> tuple[Any, float | None]:
        """The rule that the learning rate follows from epoch to epoch, and what it starts from."""
        return self.learning_rate, None

    def _build(self, network: Layer, n_features: int, random: np.random.RandomState, dtype: np.dtype) -> None:
        """Draw a network's initial parameters."""
        network.build(n_features, random, dtype)

    # --- fit ---

    @with_callbacks
    def fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, init_from=None
    ):  # fmt: skip
        """Train on data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            For a classifier labels of any kind; or, in a column for each label, whether the sample has it. For
            a regressor numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0. A weight means the same in every batch: k times the weight counts as k equal samples.
        X_val, y_val : array-like, default=None
            Data to validate on, instead of a part of the training data; its loss is recorded after every
            epoch, and with `early_stopping` its score ends training.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
        init_from : estimator or Layer, default=None
            Where the initial parameters are copied from: a fitted estimator, of this package or an MLP of
            scikit-learn's, or a built network, with parameters of the same shapes.

        Returns
        -------
        estimator
            This one, fitted.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; an earlier fit stays usable.
        DivergenceError
            If training came to a loss that is not finite, or far above that of a network that learned nothing.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, init_from)

    def _fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None, init_from=None,
        incremental=False, classes=None,
    ):  # fmt: skip
        self._validate_params()
        check_engine(self.engine)
        context = self._init_callback_context(max_subtasks=1 if incremental else self.max_iter)
        with unchanged_on_failure(self):
            continues = hasattr(self, "network_") and (incremental or self.warm_start)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            given = X, y
            X, y = self._checked_data(X, y, reset=not continues)
            self._prepare_targets(y, continues, incremental, classes)
            weights = self._weights_of(X, y, sample_weight)
            random = self._random_state_for(continues)
            network = self._prepare_network(X, random, continues, init_from)
            validation = self._validation_set(X_val, y_val, sample_weight_val)
            if self.early_stopping and self._optimizer_from_parameters() is not None:
                if incremental:
                    raise ValueError("partial_fit does not support early_stopping=True")
                if validation is None:
                    X, y, weights, validation = self._set_aside(X, y, weights, random, *given)
            data = self._training_data(network, X, y, weights)
            arrays = {
                "X": given[0],
                "y": given[1],
                "sample_weight": sample_weight,
                "X_val": X_val,
                "y_val": y_val,
            }
            data.given = GivenArrays(**arrays)
            hooks = [CallbackBridge(self, context, *given)] if context._callbacks else []
            self._train(network, data, validation, hooks, random, continues, incremental)
            context.call_on_fit_task_end(
                estimator=self, X=given[0], y=given[1], reconstruction_attributes=self._frozen_network
            )
        return self

    def _checked_data(self, X, y, reset):
        dtype = FLOAT_TYPES if self.dtype is None else np.dtype(self.dtype)
        refuse_lists_of_labels(y)
        X, y = only_numbers(X, "X"), only_numbers(y, "y") if self._takes_numbers else y
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large for the type is in the error
            X, y = validate_data(
                self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=dtype, reset=reset,
                y_numeric=self._takes_numbers,
            )  # fmt: skip
        if is_sparse(X):
            X = in_canonical_form(X.tocsr())
        if not reset:
            require_in_range(X, self.network_.dtype, "X")
        y = dense_targets(y, type(self).__name__, may_be_sparse=not self._takes_numbers)
        return X, y

    def _prepare_targets(self, y, continues, incremental, classes):
        if not continues:
            self._targets = self._targets_of(y if classes is None else classes)
            self.n_outputs_ = self._targets.n_outputs
            self.out_activation_ = self._targets.out_activation

    def _weights_of(self, X, y, sample_weight):
        if sample_weight is not None:
            sample_weight = only_numbers(sample_weight, "sample_weight")
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            sample_weight = bounded(sample_weight)[0]
        return self._targets.sample_weights(y, sample_weight)

    def _random_state_for(self, continues):
        if not isinstance(self.random_state, Integral):
            # The user's or NumPy's: it goes on from call to call by itself, and is nobody else's to set back.
            vars(self).pop("_random_state", None)
            return check_random_state(self.random_state)
        # One stream of random numbers from the first call on, so that no two calls see the same order of rows.
        if not continues or self.exact_compatibility or not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        return self._random_state

    def _prepare_network(self, X, random, continues, init_from):
        n_outputs = self._targets.n_outputs
        network = self._network_for(X.shape[1], n_outputs)
        if not isinstance(network, Layer):
            raise TypeError(f"network must be a Layer or return one, got {type(network).__name__}.")
        if continues:
            if repr(network) != self._network_repr:
                raise ValueError(
                    f"The parameters now make the network {network!r}, and it was trained as "
                    f"{self._network_repr}. {TO_START_ANEW}"
                )
            return self.network_
        self._network_repr = repr(network)
        self._build(network, X.shape[1], random, X.dtype)
        if network.output_shape != (n_outputs,):
            raise ValueError(
                f"The network has outputs of shape {network.output_shape}, and {type(self).__name__} needs "
                f"{n_outputs} for this y: let it end in Dense({n_outputs}), or give a function "
                "(input_shape, n_outputs) that makes the network."
            )
        refuse_doubled_activation(network, self._targets.loss)
        if init_from is not None:
            copy_parameters(init_from, network)
        self.network_, self._plans = network, InferencePlans(network)
        return network

    def _validation_set(self, X_val, y_val, sample_weight_val):
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise ValueError("sample_weight_val was given without X_val and y_val.")
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together.")
        X, y = self._checked_data(X_val, y_val, reset=False)
        weights = self._weights_of(X, y, sample_weight_val)
        return X, y, weights, (as_given(X_val, X), as_given(y_val, y))

    def _set_aside(self, X, y, weights, random, X_given, y_given):
        """Split off a part of the training data, drawing as scikit-learn does."""
        held_out = int(np.ceil(self.validation_fraction * X.shape[0]))
        if not 0 < held_out < X.shape[0]:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction={self.validation_fraction!r} holds out {held_out} "
                f"of {X.shape[0]} samples, and early_stopping=True needs samples to validate on and others to "
                "train on. Give another fraction (the default is 0.1), or fit(..., X_val=..., y_val=...)."
            )
        two_classes = y if self.n_outputs_ == 1 and not self._takes_numbers else None
        rows, held_out = split_rows(X.shape[0], self.validation_fraction, random, two_classes)
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        X, X_val = select_rows(X, rows), select_rows(X, held_out)
        parts = [(part[rows], part[held_out]) if part is not None else (None, None) for part in (y, weights)]
        (y, y_val), (weights, weights_val) = parts
        for_scorer = as_given(X_given, X_val, held_out), as_given(y_given, y_val, held_out)
        return X, y, weights, (X_val, y_val, weights_val, for_scorer)

    def _training_data(self, network, X, y, weights):
        targets = self._targets.encode(y, network.dtype)
        loss = self._targets.loss
        if isinstance(X, np.ndarray):
            data = TrainingData(network, loss, X, targets, weights, None)
        else:
            data = TrainingData.of_checked(network, loss, X, targets, weights)
        data.normalize_each_batch = self.exact_compatibility
        if any(isinstance(layer, NoiseLayer) for layer in network.walk()):
            data.rows = row_numbers(data.inputs, data.dtype)
        return data

    def _train(self, network, data, validation, hooks, random, continues, incremental):
        optimizer = self._optimizer_from_parameters()
        if not continues:
            for name in (*TRAINING_STATE, *CURVES_AND_BESTS):
                vars(self).pop(name, None)
            self.t_ = 0
            self.loss_curve_ = []
            self.validation_scores_ = [] if self.early_stopping else None
        n_samples = data.n_samples
        if self.batch_size != "auto" and self.batch_size > n_samples:
            warn_user(f"Got batch_size={self.batch_size} for {n_samples} samples. It is going to be clipped.")
        batch_size = min(200 if self.batch_size == "auto" else self.batch_size, n_samples)
        epochs = 1 if incremental else self.max_iter
        n_steps, loss = -(-n_samples // batch_size), self._targets.loss
        run = Run(network, loss, optimizer, epochs, n_steps, penalty=self.alpha)
        if validation is not None:
            X_val, y_val, weights_val, _ = validation
            note(run, validation=(X_val, self._targets.encode(y_val, network.dtype), weights_val))
        run.history.directions["val_score"] = True
        callbacks = [*as_callbacks(self.callbacks), *hooks, *([progress()] if self.verbose else [])]
        start = Snapshot(network)
        try:
            if optimizer is None:
                self._train_by_lbfgs(run, data, validation, callbacks)
            else:
                self._train_by_descent(
                    run, data, batch_size, validation, callbacks, random, continues, incremental
                )
        except DivergenceError as error:
            error.args = (f"{error} {NOT_FINITE}",)
            raise
        if not self.exact_compatibility:
            require_convergence(run, start, data)
        if run.history.stop_reason == "interrupted":
            warn_user("Training interrupted by user.")
        elif self._takes_numbers and not incremental and self.tol <= USUAL_TOLERANCE:
            warn_if_useless(type(self).__name__, run, network, data, self._targets)
        self.history_ = run.history
        self.n_iter_ = run.epoch
        self.loss_curve_ = [*self.loss_curve_, *run.history.get("loss", [])]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.inf
        if "val_loss" in run.history:
            self.validation_loss_curve_ = [
                *getattr(self, "validation_loss_curve_", []),
                *run.history["val_loss"],
            ]
        if not self.keep_optimizer:
            for name in ("_random_state", *TRAINING_STATE):
                vars(self).pop(name, None)

    def _train_by_descent(self, run, data, batch_size, validation, callbacks, random, continues, incremental):
        convergence = Convergence(
            self.tol, self.n_iter_no_change, self.early_stopping, *self._learning_rate_rule(), self.power_t,
            self.exact_compatibility,
        )  # fmt: skip
        convergence.samples_an_epoch, rate = data.n_samples, run.optimizer.learning_rate
        average = None if self.weight_averaging is None else WeightAverage(self.weight_averaging)
        if continues:
            if hasattr(self, "_convergence"):
                convergence.take_over(self._convergence)
            self._resume(run.optimizer, incremental)
            if average is not None and hasattr(self, "_average"):
                average.take_over(self._average)
        plan = plan_for(
            self.engine, run.network, run.loss, run.optimizer, data, batch_size, self.max_iter, self.alpha
        )
        train(
            run,
            plan,
            data,
            ShuffledRows(random) if self.shuffle else None,
            {},
            None if validation is None else self._validator(run.network, plan.engine, *validation),
            [convergence, *callbacks],
            average,
        )
        self.t_ = convergence.samples_seen
        self.best_loss_ = None if self.early_stopping else convergence.best_loss
        self.best_validation_score_ = convergence.best_score if self.early_stopping else None
        if self.early_stopping:
            self.validation_scores_ = [*(self.validation_scores_ or []), *run.history.get("val_score", [])]
        self._convergence, self._optimizer, self._rate = convergence, run.optimizer, rate
        vars(self).pop("_average", None)
        if average is not None:
            self._average = average
        if not incremental and run.history.stop_reason == "epochs_done":
            warn_user(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
            )

    def _resume(self, optimizer, incremental):
        """Give an optimizer the memory of the one before, unless it is of another kind."""
        earlier = getattr(self, "_optimizer", None)
        if type(earlier) is not type(optimizer) or (self.exact_compatibility and not incremental):
            return
        state = earlier.state()
        is_another = not self.exact_compatibility and self._rate != optimizer.learning_rate
        if not incremental or is_another or callable(optimizer.learning_rate):
            state.pop("learning_rate", None)  # a new fit starts from the learning rate that is asked for
        if set(optimizer.slots) == set(earlier.slots):
            optimizer.load_state(state)

    def _train_by_lbfgs(self, run, data, validation, callbacks):
        if any(layer.uses_batch_info for layer in run.network.walk()):
            raise ValueError(
                "solver='lbfgs' needs a loss that does not change from step to step: leave out dropout, noise "
                "and batch normalization, or use solver='adam'."
            )
        narrow = run.network
        wide = narrow if narrow.dtype == np.float64 else narrow.astype(np.float64)
        note(run, network=wide)
        data.widen()
        self.network_ = wide  # what callbacks are to look at
        plan = FullBatchPlan(wide, run.loss, penalty=self.alpha)
        validate = None if validation is None else self._validator(wide, self.engine, *validation)
        minimize(run, plan, data, validate, callbacks, self.max_fun, self.tol)
        narrow.parameter_vector[:] = wide.parameter_vector
        self.network_ = narrow
        if run.history.stop_reason in ("epochs_done", "evaluations_done", "no_descent"):
            warn_user(
                f"lbfgs failed to converge after {run.epoch} iteration(s): {run.history.stop_message} Increase "
                "the number of iterations to improve the convergence (max_iter, max_fun), or scale the data.",
                ConvergenceWarning,
            )

    def _validator(self, network, engine, X_val, y_val, weights_val, for_scorer):
        plans = InferencePlans(network)
        targets = self._targets.encode(y_val, network.dtype)
        watched = self.early_stopping and self._optimizer_from_parameters() is not None
        score = scorer_of(self, self.scoring) if watched and self.scoring not in (None, "loss") else None

        def validate():
            outputs = outputs_in_blocks(network, X_val, engine=engine, plans=plans)
            loss = float(self._targets.loss.bind(targets, weights_val).forward_pass(outputs))
            values = {"val_loss": loss}
            if watched:
                if self.scoring == "loss":
                    values["val_score"] = -loss
                elif score is None:
                    values["val_score"] = self._targets.score(y_val, outputs, weights_val)
                else:
                    values["val_score"] = score(*for_scorer, weights_val)
            return values

        return validate

    def _frozen_network(self):
        """What a callback needs to make a fitted estimator of the network as it is now."""
        return {"network_": copy.deepcopy(self.network_)}
