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
from layernet.training.callbacks import Callback


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
                layer._forget()  # a fit draws new parameters; `init_from` copies those of a trained network
            return network
        return self.network((n_features,), n_outputs)

    def _make_optimizer(self) -> Optimizer:
        optimizer = copy.deepcopy(find_by_name(Optimizer, self.optimizer, "optimizer"))
        optimizer.reset()  # the user may have trained another network with it
        return optimizer


class NetworkClassifier(BaseClassifier, _CustomNetwork):
    """A classifier that trains a network of your own.

    Parameters
    ----------
    network : Layer or callable
        A network that is drawn anew in every fit and never changed itself; its outputs are logits, as many as
        there are classes (one for two classes, but two with a `CrossEntropy`). Or a function
        (input_shape, n_outputs) that makes one.
    loss : str or Loss, default="log_loss"
        "log_loss", "hinge", or a loss object.
    optimizer : str or Optimizer, default="adam"
        Copied for every fit.
    alpha : float, default=0.0
        alpha / 2 |weights|**2 is added to the sum of a batch's losses.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" for 200, or all if there are fewer.
    learning_rate : callable or None, default=None
        A schedule, called with the number of epochs done; None leaves it to the optimizer.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
    random_state : int, numpy.random.RandomState or None, default=None
    tol : float, default=1e-4
        An epoch that is not better by it counts towards `n_iter_no_change`.
    n_iter_no_change : int or inf, default=10
    early_stopping : bool, default=False
        Whether the validation score decides when to stop, and which epoch's parameters are kept.
    validation_fraction : float, default=0.1
        The part of the training data that is set aside for that, unless `fit` is given X_val and y_val.
    scoring : str, callable or None, default=None
        What the validation score is: a scorer of scikit-learn's or a function (estimator, X, y), "loss" for the
        validation loss with its sign turned, None for the accuracy. The larger it is, the better. It gets the
        rows, of a data frame with their columns, and the sample weights if it takes them (with metadata
        routing: requests them).
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weights of labels, multiplied into the samples' weights; a class that a dict leaves out weighs 1.
        "balanced" for n_samples / (n_classes * samples of the class) in the training data. For several labels
        a sample a list with a dict {0: weight, 1: weight} for each label, or "balanced" for each label by
        itself: they become the loss's `pos_weight` and `neg_weight`.
    label_smoothing : float, default=0.0
        For the log loss.
    weight_averaging : float or None, default=None
        The decay of a running average of the parameters, 0.99 for instance, that predicts in their place.
    dtype : {"float32", "float64"} or None, default=None
        What the network computes in; None for the type of X.
    warm_start : bool, default=False
        Whether `fit` goes on from where the last fit ended, with the optimizer's memory.
    callbacks : sequence of Callback, default=()
        This package's; scikit-learn's are set by `set_callbacks`.
    keep_optimizer : bool, default=True
        Whether a fitted estimator keeps what only further training needs: the optimizer's memory (two numbers
        for each parameter with Adam) and the random state. Without it a pickle is little more than the
        parameters.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        How steps are carried out; see `MLPClassifier`.
    verbose : bool, default=False
        Whether to show a progress bar; where there is no terminal and no notebook, a line for each epoch.

    Attributes
    ----------
    network_ : Layer
        The trained network.
    history_ : History
        What every epoch of the last fit came to.
    classes_ : ndarray of shape (n_classes,)
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        An entry for each epoch; the last two with validation data, and with early stopping.
    loss_, best_loss_, best_validation_score_ : float
    n_iter_, t_, n_outputs_ : int
        Epochs of the last fit, samples seen in all fits, and outputs of the network.
    out_activation_ : str
        What makes probabilities of the network's outputs.
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
    """A regressor that trains a network of your own.

    Parameters
    ----------
    network : Layer or callable
        A network that is drawn anew in every fit and never changed itself, with an output for each number of a
        sample's y. Or a function (input_shape, n_outputs) that makes one.
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
