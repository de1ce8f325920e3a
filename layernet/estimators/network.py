"""Estimators of a network that the user defines: NetworkClassifier, NetworkRegressor."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from layernet.estimators.base import NetworkEstimator
from layernet.estimators.class_targets import CLASSIFIER_LOSSES
from layernet.estimators.classifier import BaseClassifier
from layernet.estimators.number_targets import REGRESSOR_LOSSES
from layernet.estimators.regressor import BaseRegressor
from layernet.layer import Layer
from layernet.losses import Loss
from layernet.optimizers import Optimizer
from layernet.registry import find_by_name
from layernet.training.callback import Callback


class _CustomNetwork(NetworkEstimator):
    """Estimator whose network and optimizer are parameters."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkEstimator._parameter_constraints,
        "network": [Layer, callable],
        "optimizer": [str, Optimizer],
        "learning_rate": [callable, None],
    }

    network: Layer | Callable[[tuple[int, ...], int], Layer]
    optimizer: str | Optimizer

    def _make_network(self, n_features: int, n_outputs: int) -> Layer:
        if isinstance(self.network, Layer):
            network = copy.deepcopy(self.network)
            for layer in network.walk():
                layer._unbuild()  # a fit draws new parameters; `init_from` copies those of a trained network
            return network
        return self.network((n_features,), n_outputs)

    def _make_optimizer(self) -> Optimizer:
        optimizer = copy.deepcopy(find_by_name(Optimizer, self.optimizer, "optimizer"))
        optimizer.reset()  # the user may have trained another network with it
        return optimizer


class NetworkClassifier(BaseClassifier, _CustomNetwork):
    """Classifier that trains a network of your own.

    Parameters
    ----------
    network : Layer or callable
        Network that every fit copies and builds anew; the network itself never changes. It has one output
        for each class, a logit, but a single output for two classes unless the loss is a `CrossEntropy`. Or a
        function (input_shape, n_outputs) that makes a network.
    loss : str or Loss, default="log_loss"
        "log_loss", "hinge", or a loss object.
    optimizer : str or Optimizer, default="adam"
        Every fit copies it and starts without memory.
    alpha : float, default=0.0
        L2 penalty: alpha / 2 * sum(weights**2) is added to the sum of a batch's losses.
    batch_size : int or "auto", default="auto"
        Rows of a batch, each of which makes a step; "auto" for 200, or for all rows if there are fewer.
    learning_rate : callable or None, default=None
        A schedule, called with the number of finished epochs; None for the optimizer's own learning rate.
    max_iter : int, default=200
        Maximum number of epochs.
    shuffle : bool, default=True
    random_state : int, numpy.random.RandomState or None, default=None
    tol : float, default=1e-4
        An epoch that improves the loss (or the validation score) by less counts for `n_iter_no_change`.
    n_iter_no_change : int or inf, default=10
    early_stopping : bool, default=False
        Whether training stops when the validation score no longer improves, with the parameters of the best
        epoch.
    validation_fraction : float, default=0.1
        Share of the training data that is held out for validation, unless `fit` gets X_val and y_val.
    scoring : str, callable or None, default=None
        Validation score, larger for better models: a scorer of scikit-learn, its name, a function
        (estimator, X, y), "loss" for the negative validation loss, None for the accuracy. A scorer gets
        rows of the user's data frame with their columns, and the sample weights if it takes them (with metadata
        routing: if it requests them).
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes, by which the samples' weights are multiplied; a class that is not in the dict has
        weight 1. "balanced" for (sum of weights) / (n_classes * sum of the class's weights), with the weights
        of all samples given to `fit`; without weights they are numbers of samples. For several labels a
        sample: a list with a dict {0: weight, 1: weight} for each label, or "balanced" for each label. They
        become the loss's `pos_weight` and `neg_weight`.
    label_smoothing : float, default=0.0
        For the log loss; the targets are mixed with so much of the uniform distribution.
    weight_averaging : float or None, default=None
        Decay of an exponential moving average of the parameters, which replaces them in predictions: 0.99.
    dtype : {"float32", "float64"} or None, default=None
        Type in which the network computes; None for the type of X.
    warm_start : bool, default=False
        Whether `fit` starts from the parameters of the last fit, with the optimizer's memory.
    callbacks : sequence of Callback, default=()
        Callbacks of this package. `set_callbacks` takes those of scikit-learn.
    keep_optimizer : bool, default=True
        Whether a fitted estimator keeps the state that only further training needs: the optimizer's memory (two
        numbers for each parameter with Adam) and the random state. Without them a pickle is little larger than
        the parameters.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        How steps are computed; see `MLPClassifier`.
    verbose : bool, default=False
        Whether to show a progress bar in a terminal or a notebook, or to print a line an epoch elsewhere.

    Attributes
    ----------
    network_ : Layer
        The trained network.
    history_ : History
        Losses, and further columns, of each epoch of the last fit.
    classes_ : ndarray of shape (n_classes,)
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        An entry for each epoch of all fits. The second exists with validation data; the third is None without
        early stopping.
    loss_, best_loss_, best_validation_score_ : float
    n_iter_, t_, n_outputs_ : int
        Epochs of the last fit, samples seen in all fits, and outputs of the network.
    out_activation_ : str
        Function that makes probabilities of the network's outputs.
    n_features_in_, feature_names_in_
        As in all estimators of scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from layernet import Dense, NetworkClassifier, ReLU, Sequential
    >>> X, y = load_iris(return_X_y=True)
    >>> network = Sequential([Dense(20), ReLU(), Dense(3)])
    >>> classifier = NetworkClassifier(network, tol=0.01, random_state=0)
    >>> classifier.set_params(optimizer__learning_rate=0.01).fit(X, y).score(X, y) > 0.9
    True
    >>> _ = classifier.set_params(network__0__units=10)
    >>> classifier.network, classifier.optimizer
    (Sequential([Dense(10), ReLU(), Dense(3)]), Adam(0.01))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_CustomNetwork._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFIER_LOSSES)), Loss],
        "class_weight": [dict, list, tuple, StrOptions({"balanced"}), None],
        "label_smoothing": NetworkEstimator._parameter_constraints["validation_fraction"],
    }

    def __init__(
        self,
        network: Layer | Callable[[tuple[int, ...], int], Layer],
        loss: str | Loss = "log_loss",
        optimizer: str | Optimizer = "adam",
        *,
        alpha: float = 0.0,
        batch_size: int | str = "auto",
        learning_rate: Callable[[int], float] | None = None,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: str | Callable[..., float] | None = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        weight_averaging: float | None = None,
        dtype: Any = None,
        warm_start: bool = False,
        callbacks: Callback | Sequence[Callback] = (),
        keep_optimizer: bool = True,
        engine: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.weight_averaging = weight_averaging
        self.dtype = dtype
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.verbose = verbose


class NetworkRegressor(BaseRegressor, _CustomNetwork):
    """Regressor that trains a network of your own.

    Parameters
    ----------
    network : Layer or callable
        Network that every fit copies and builds anew; the network itself never changes. It has one output for
        each number of a sample's y. Or a function (input_shape, n_outputs) that makes a network.
    loss : str or Loss, default="squared_error"
        "squared_error", "absolute_error", "poisson" (outputs are logarithms then), "huber", "quantile", or a
        loss object: QuantileLoss(0.9).
    optimizer, alpha, batch_size, learning_rate, max_iter, shuffle, random_state, tol, n_iter_no_change
        As for `NetworkClassifier`.
    early_stopping, validation_fraction, scoring
        As for `NetworkClassifier`, with R2 as the score.
    weight_averaging, dtype, warm_start, callbacks, keep_optimizer, engine, verbose
        As for `NetworkClassifier`.
    target_scale : {"standard"} or None, default=None
        "standard" trains on (y - mean) / standard deviation and predicts in units of y; see `MLPRegressor`.

    Attributes
    ----------
    network_, history_, loss_curve_, validation_loss_curve_, validation_scores_
        As for `NetworkClassifier`.
    loss_, best_loss_, best_validation_score_, n_iter_, t_, n_outputs_, out_activation_
        As for `NetworkClassifier`.

    Examples
    --------
    >>> from layernet import Dense, NetworkRegressor
    >>> regressor = NetworkRegressor(Dense(1), optimizer="sgd", max_iter=500, tol=1e-9, random_state=0)
    >>> regressor = regressor.set_params(optimizer__learning_rate=0.1)
    >>> regressor.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(2)
    array([7.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_CustomNetwork._parameter_constraints,
        "loss": [StrOptions(set(REGRESSOR_LOSSES)), Loss],
        "target_scale": [StrOptions({"standard"}), None],
    }

    def __init__(
        self,
        network: Layer | Callable[[tuple[int, ...], int], Layer],
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer = "adam",
        *,
        alpha: float = 0.0,
        batch_size: int | str = "auto",
        learning_rate: Callable[[int], float] | None = None,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: str | Callable[..., float] | None = None,
        weight_averaging: float | None = None,
        dtype: Any = None,
        warm_start: bool = False,
        callbacks: Callback | Sequence[Callback] = (),
        keep_optimizer: bool = True,
        engine: str = "auto",
        verbose: bool = False,
        target_scale: str | None = None,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.weight_averaging = weight_averaging
        self.dtype = dtype
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.verbose = verbose
        self.target_scale = target_scale
