"""Path of a fit from top to bottom: check, draw at random, train, keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, validate_data

from layernet.engine.choice import check_engine, plan_for
from layernet.engine.formulas import FormulaPlan
from layernet.engine.inference import InferencePlans
from layernet.estimators.baselines import (
    NON_FINITE_MESSAGE,
    raise_if_diverged,
    warn_if_no_better_than_mean,
)
from layernet.estimators.callback_bridge import CallbackBridge
from layernet.estimators.convergence import Convergence
from layernet.estimators.fitted_network import INPUT_TYPES
from layernet.estimators.initial_parameters import copy_parameters
from layernet.estimators.numeric_data import require_numbers
from layernet.estimators.rollback import restored_on_error
from layernet.estimators.row_hashes import hash_rows
from layernet.estimators.row_order import RowShuffler
from layernet.estimators.samples import (
    Samples,
    as_dense_targets,
    refuse_ragged_labels,
    without_nullable_type,
)
from layernet.estimators.scoring import rows_for_scorer
from layernet.estimators.training_state import REFIT_HINT, TrainingState
from layernet.estimators.validation_data import ValidationData, split_rows, validation_function
from layernet.estimators.value_range import require_in_range
from layernet.estimators.verbose import progress_callback
from layernet.layer import Layer
from layernet.layers.noise import NoiseLayer
from layernet.losses.loss import bounded
from layernet.sparse import in_canonical_form, is_sparse
from layernet.training import DivergenceError, Run
from layernet.training.averaging import WeightAverage
from layernet.training.callback import Callback, as_callbacks
from layernet.training.data import TrainingData
from layernet.training.endings import refuse_doubled_activation
from layernet.training.lbfgs import minimize
from layernet.training.loop import train
from layernet.training.run import note
from layernet.training.snapshot import Snapshot
from layernet.training.watched_arrays import WatchedArrays
from layernet.user_warnings import warn_user

if TYPE_CHECKING:
    from layernet.estimators.base import NetworkEstimator

# A larger `tol` asks for a fit that ends early. Such a fit is not compared with the mean of y.
DEFAULT_TOL = 1e-4


def fit_estimator(
    estimator: NetworkEstimator,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    init_from: Any = None,
    incremental: bool = False,
    classes: Any = None,
) -> None:
    """Fit an estimator; if an exception is raised, the estimator is as it was before.

    Parameters
    ----------
    estimator : NetworkEstimator
    X, y, sample_weight, X_val, y_val, sample_weight_val, init_from
        As in `NetworkEstimator.fit`.
    incremental : bool, default=False
        Whether to train for one epoch and resume the earlier training, as `partial_fit` does.
    classes : array-like, default=None
        The argument of `partial_fit`.
    """
    # Check the parameters.
    estimator._validate_params()
    check_engine(estimator.engine)
    context = estimator._init_callback_context(max_subtasks=1 if incremental else estimator.max_iter)
    with restored_on_error(estimator):
        context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        resumes = hasattr(estimator, "network_") and (incremental or estimator.warm_start)
        state = estimator._training_state.copy() if resumes else TrainingState()

        # Check the data, and find out what the network has to predict.
        samples = checked_samples(estimator, X, y, sample_weight, resumes, incremental, classes)

        # Draw at random, in scikit-learn's order: the initial parameters, the rows that are held out, and later
        # the order of the rows in each epoch.
        random = state.random_state_for(estimator.random_state, starts_anew=estimator.exact_compatibility)
        if resumes:
            network = resumed_network(estimator, samples)
        else:
            network = initial_network(estimator, samples, random, init_from)
        validation = checked_validation_data(estimator, X_val, y_val, sample_weight_val)
        if estimator.early_stopping and not estimator._uses_lbfgs:
            if incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            if validation is None:
                samples, validation = hold_out(estimator, samples, random, X, y)

        # Train.
        estimator._targets.fit_scale(samples.y, samples.weights)
        data = training_data(estimator, network, samples)
        data.watched_arrays = WatchedArrays(X=X, y=y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        bridges = [CallbackBridge(estimator, context, X, y)] if context._callbacks else []
        callbacks = [*as_callbacks(estimator.callbacks), *bridges]
        run = train_network(estimator, network, data, validation, callbacks, random, state, incremental)

        # Keep the results.
        keep_results(estimator, run, state)
        context.call_on_fit_task_end(
            estimator=estimator, X=X, y=y, reconstruction_attributes=estimator._fitted_attributes
        )


# --- check ---


def checked_samples(
    estimator: NetworkEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    resumes: bool,
    incremental: bool,
    classes: Any,
) -> Samples:
    """Return the checked training data, and store what they tell about the targets."""
    X, y = checked_data(estimator, X, y, reset=not resumes)
    weights = checked_weights(X, sample_weight)
    earlier = estimator._targets if resumes else None
    targets = estimator._make_targets(y, weights, earlier, incremental, classes)
    estimator._targets = targets
    estimator.n_outputs_, estimator.out_activation_ = targets.n_outputs, targets.out_activation
    return Samples(X, y, targets.sample_weights(y, weights))


def checked_data(estimator: NetworkEstimator, X: Any, y: Any, reset: bool) -> tuple[Any, np.ndarray]:
    """Return X as an array or a CSR matrix of float32 or float64, and y as an array.

    `reset` tells scikit-learn to store the number and the names of the features, and not to compare them.
    """
    refuse_ragged_labels(y)
    X = require_numbers(X, "X")
    y = require_numbers(y, "y") if estimator._y_is_numeric else without_nullable_type(y)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers that overflow are reported by the error
        X, y = validate_data(
            estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True,
            dtype=INPUT_TYPES if estimator.dtype is None else np.dtype(estimator.dtype), reset=reset,
            y_numeric=estimator._y_is_numeric,
        )  # fmt: skip
    if is_sparse(X):
        X = in_canonical_form(X.tocsr())
    if not reset:
        require_in_range(X, estimator.network_.dtype, "X")
    return X, as_dense_targets(y, type(estimator).__name__, accept_sparse=not estimator._y_is_numeric)


def checked_weights(X: Any, sample_weight: Any) -> np.ndarray | None:
    """Return the samples' weights as float64, scaled down if they are very large; None if none were given."""
    if sample_weight is None:
        return None
    sample_weight = require_numbers(sample_weight, "sample_weight")
    return bounded(_check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))[0]


def checked_validation_data(
    estimator: NetworkEstimator, X_val: Any, y_val: Any, sample_weight_val: Any
) -> ValidationData | None:
    """Return the validation data that were given to `fit`, if any."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val was given without X_val and y_val.")
        return None
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together.")
    X, y = checked_data(estimator, X_val, y_val, reset=False)
    weights = estimator._targets.sample_weights(y, checked_weights(X, sample_weight_val))
    samples = Samples(X, y, weights)
    return ValidationData(samples, rows_for_scorer(X_val, X), rows_for_scorer(y_val, y))


# --- draw at random ---


def network_from_parameters(estimator: NetworkEstimator, n_features: int) -> Layer:
    """Return a network, not built, that the estimator's parameters describe."""
    network = estimator._make_network(n_features, estimator._targets.n_outputs)
    if not isinstance(network, Layer):
        raise TypeError(f"network must be a Layer or return one, got {type(network).__name__}.")
    return network


def initial_network(
    estimator: NetworkEstimator, samples: Samples, random: np.random.RandomState, init_from: Any
) -> Layer:
    """Return a network with its initial parameters, and store it as `network_`."""
    n_features, targets = samples.X.shape[1], estimator._targets
    network = network_from_parameters(estimator, n_features)
    estimator._network_repr = repr(network)
    estimator._draw_parameters(network, n_features, random, samples.X.dtype)
    if network.output_shape != (targets.n_outputs,):
        raise ValueError(
            f"The network has outputs of shape {network.output_shape}, and {type(estimator).__name__} needs "
            f"{targets.n_outputs} for this y: let it end in Dense({targets.n_outputs}), or give a function "
            "(input_shape, n_outputs) that makes the network."
        )
    refuse_doubled_activation(network, targets.loss)
    if init_from is not None:
        copy_parameters(init_from, network)
        targets.copy_scale(init_from)
    estimator.network_, estimator._plans = network, InferencePlans(network)
    return network


def resumed_network(estimator: NetworkEstimator, samples: Samples) -> Layer:
    """Return `network_`, if the estimator's parameters still describe it."""
    network = network_from_parameters(estimator, samples.X.shape[1])
    if repr(network) != estimator._network_repr:
        raise ValueError(
            f"The parameters now make the network {network!r}, and it was trained as "
            f"{estimator._network_repr}. {REFIT_HINT}"
        )
    return estimator.network_


def hold_out(
    estimator: NetworkEstimator, samples: Samples, random: np.random.RandomState, X_given: Any, y_given: Any
) -> tuple[Samples, ValidationData]:
    """Split samples into those to train on and those to validate on, drawn as scikit-learn draws them."""
    n_samples = len(samples.y)
    n_held_out = int(np.ceil(estimator.validation_fraction * n_samples))
    if not 0 < n_held_out < n_samples:
        raise ValueError(
            f"{type(estimator).__name__}: validation_fraction={estimator.validation_fraction!r} holds out "
            f"{n_held_out} of {n_samples} samples, and early_stopping=True needs samples to validate on and "
            "others to train on. Give another fraction (the default is 0.1), or "
            "fit(..., X_val=..., y_val=...)."
        )
    is_binary = estimator.n_outputs_ == 1 and not estimator._y_is_numeric
    rows, held_out_rows = split_rows(
        n_samples, estimator.validation_fraction, random, samples.y if is_binary else None
    )
    if len(held_out_rows) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    held_out = samples.select(held_out_rows)
    X_for_scorer = rows_for_scorer(X_given, held_out.X, held_out_rows)
    y_for_scorer = rows_for_scorer(y_given, held_out.y, held_out_rows)
    return samples.select(rows), ValidationData(held_out, X_for_scorer, y_for_scorer)


# --- train ---


def training_data(estimator: NetworkEstimator, network: Layer, samples: Samples) -> TrainingData:
    """Return samples as the training loop takes them."""
    loss, y = estimator._targets.loss, estimator._targets.encode(samples.y, network.dtype)
    if isinstance(samples.X, np.ndarray):
        data = TrainingData(network, loss, samples.X, y, samples.weights, None)
    else:
        data = TrainingData.of_checked(network, loss, samples.X, y, samples.weights)
    data.normalize_each_batch = estimator.exact_compatibility
    if any(isinstance(layer, NoiseLayer) for layer in network.walk()):
        data.sample_numbers = hash_rows(data.inputs, data.dtype)
    return data


def train_network(
    estimator: NetworkEstimator,
    network: Layer,
    data: TrainingData,
    validation: ValidationData | None,
    callbacks: list[Callback],
    random: np.random.RandomState,
    state: TrainingState,
    incremental: bool,
) -> Run:
    """Train the network, raise an error or warn if it learned nothing, and return the run."""
    batch_size = batch_size_of(estimator, data.n_samples)
    optimizer = None if estimator._uses_lbfgs else estimator._make_optimizer()
    n_epochs, n_steps = 1 if incremental else estimator.max_iter, -(-data.n_samples // batch_size)
    run = Run(
        network,
        estimator._targets.loss,
        optimizer,  # type: ignore[arg-type]  # L-BFGS has none, and callbacks find None there
        n_epochs,
        n_steps,
        penalty=estimator.alpha,
    )
    run.history.directions["val_score"] = True
    if validation is not None:
        X_val, y_val, weights_val = validation.samples
        note(run, validation=(X_val, estimator._targets.encode(y_val, network.dtype), weights_val))
    if estimator.verbose:
        callbacks = [*callbacks, progress_callback()]
    before = Snapshot(network)
    try:
        if estimator._uses_lbfgs:
            train_by_lbfgs(estimator, run, data, validation, callbacks)
        else:
            train_by_descent(
                estimator, run, data, batch_size, validation, callbacks, random, state, incremental
            )
    except DivergenceError as error:
        error.args = (f"{error} {NON_FINITE_MESSAGE}",)
        raise
    if not estimator.exact_compatibility:
        raise_if_diverged(run, before, data)
    if run.history.stop_reason == "interrupted":
        warn_user("Training interrupted by user.")
    elif estimator._y_is_numeric and not incremental and estimator.tol <= DEFAULT_TOL:
        warn_if_no_better_than_mean(type(estimator).__name__, run, network, data, estimator._targets)
    return run


def batch_size_of(estimator: NetworkEstimator, n_samples: int) -> int:
    """Return the number of rows of a batch, at most all rows."""
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn_user(f"Got batch_size={estimator.batch_size} for {n_samples} samples. It is going to be clipped.")
    return min(estimator.batch_size, n_samples)


def train_by_descent(
    estimator: NetworkEstimator,
    run: Run,
    data: TrainingData,
    batch_size: int,
    validation: ValidationData | None,
    callbacks: list[Callback],
    random: np.random.RandomState,
    state: TrainingState,
    incremental: bool,
) -> None:
    """Train by gradient descent on batches, and write down in the state what a later fit resumes."""
    optimizer, exact = run.optimizer, estimator.exact_compatibility
    rule, rule_start = estimator._learning_rate_rule()
    convergence = Convergence(
        estimator.tol, estimator.n_iter_no_change, estimator.early_stopping, rule, rule_start,
        estimator.power_t, exact, samples_per_epoch=data.n_samples,
    )  # fmt: skip
    learning_rate = optimizer.learning_rate
    average = None if estimator.weight_averaging is None else WeightAverage(estimator.weight_averaging)
    if state.convergence is not None:
        convergence.take_over(state.convergence)
    # scikit-learn's warm start makes a new optimizer, and its partial_fit ignores a changed learning rate.
    if incremental or not exact:
        keeps_rate = incremental and (exact or state.initial_learning_rate == learning_rate)
        state.resume_optimizer(optimizer, keeps_rate)
    if average is not None and state.average is not None:
        average.take_over(state.average)
    plan = plan_for(
        estimator.engine, run.network, run.loss, optimizer, data, batch_size, estimator.max_iter,
        estimator.alpha,
    )  # fmt: skip
    # Predictions with engine="auto" use kernels at once if kernels have trained the network.
    if estimator._plans is None or estimator._plans.trained_by != plan.engine:
        estimator._plans = InferencePlans(run.network, plan.engine)
    validate = None
    if validation is not None:
        validate = validation_function(estimator, run.network, plan.engine, validation)
    order = RowShuffler(random) if estimator.shuffle else None
    train(run, plan, data, order, {}, validate, [convergence, *callbacks], average)
    state.convergence, state.average = convergence, average
    state.optimizer, state.initial_learning_rate = optimizer, learning_rate
    if not incremental and run.history.stop_reason == "epochs_done":
        warn_user(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )


def train_by_lbfgs(
    estimator: NetworkEstimator,
    run: Run,
    data: TrainingData,
    validation: ValidationData | None,
    callbacks: list[Callback],
) -> None:
    """Train by L-BFGS on all rows; in double precision, whose digits a line search needs."""
    if any(layer.uses_batch_info for layer in run.network.walk()):
        raise ValueError(
            "solver='lbfgs' needs a loss that does not change from step to step: leave out dropout, noise "
            "and batch normalization, or use solver='adam'."
        )
    network = run.network
    double = network if network.dtype == np.float64 else network.astype(np.float64)
    note(run, network=double)
    data.widen()
    estimator.network_ = double  # callbacks and scorers look at the network that is trained
    plan = FormulaPlan(double, run.loss, None, penalty=estimator.alpha)
    validate = None
    if validation is not None:
        validate = validation_function(estimator, double, estimator.engine, validation)
    minimize(run, plan, data, validate, callbacks, estimator.max_fun, estimator.tol)
    network.parameter_vector[:] = double.parameter_vector
    estimator.network_ = network
    if run.history.stop_reason in ("epochs_done", "evaluations_done", "no_descent"):
        warn_user(
            f"lbfgs failed to converge after {run.epoch} iteration(s): {run.history.stop_message} "
            "Increase the number of iterations to improve the convergence (max_iter, max_fun), or scale the "
            "data.",
            ConvergenceWarning,
        )


# --- keep ---


def keep_results(estimator: NetworkEstimator, run: Run, state: TrainingState) -> None:
    """Store the results of a training as fitted attributes, and the state that a later fit resumes."""
    state.loss_curve += run.history.get("loss", [])
    state.validation_loss_curve += run.history.get("val_loss", [])
    state.validation_scores += run.history.get("val_score", [])
    early_stopping, convergence = estimator.early_stopping, state.convergence
    estimator.history_ = run.history
    estimator.n_iter_ = run.epoch
    estimator.loss_curve_ = state.loss_curve
    estimator.loss_ = state.loss_curve[-1] if state.loss_curve else np.inf
    estimator.validation_scores_ = state.validation_scores if early_stopping else None
    for name in ("validation_loss_curve_", "best_loss_", "best_validation_score_"):
        estimator.__dict__.pop(name, None)  # of an earlier fit
    if state.validation_loss_curve:
        estimator.validation_loss_curve_ = state.validation_loss_curve
    estimator.t_ = 0
    if convergence is not None:
        estimator.t_ = convergence.samples_seen
        estimator.best_loss_ = None if early_stopping else convergence.best_loss
        estimator.best_validation_score_ = convergence.best_score if early_stopping else None
    estimator._training_state = state if estimator.keep_optimizer else state.curves_only()
