"""Replacements for scikit-learn's multi-layer perceptrons: MLPClassifier, MLPRegressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from layernet.estimators.class_targets import CLASSIFIER_LOSSES
from layernet.estimators.classifier import BaseClassifier
from layernet.estimators.mlp_estimator import MLPEstimator
from layernet.estimators.number_targets import REGRESSOR_LOSSES
from layernet.estimators.regressor import BaseRegressor
from layernet.layer import Layer
from layernet.losses import Loss
from layernet.optimizers import Optimizer
from layernet.training.callback import Callback


class MLPClassifier(BaseClassifier, MLPEstimator):
    """Multi-layer perceptron that classifies, with scikit-learn's parameters and results.

    The parameters from `loss` on are additions to scikit-learn's.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    activation : str, Layer or sequence of these, default="relu"
        For all hidden layers, or one for each: "identity", "logistic", "tanh", "relu", "leaky_relu", "elu",
        "selu", "gelu", "silu", "mish", "softplus", "hard_sigmoid".
    solver : str or Optimizer, default="adam"
        "sgd", "adam", "lbfgs" (all rows in every step, with a line search), "adamw", "nadam", "rmsprop",
        "adagrad", "lion"; or an optimizer object, which is copied for every fit.
    alpha : float, default=0.0001
        L2 penalty: alpha / 2 * sum(weights**2) is added to the sum of a batch's losses.
    batch_size : int or "auto", default="auto"
        Rows of a batch, each of which makes a step; "auto" for 200, or for all rows if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"} or callable, default="constant"
        Rule for the learning rate with "sgd". "constant": learning_rate_init. "invscaling":
        learning_rate_init / (samples seen + 1)**power_t. "adaptive": divided by 5 whenever training would
        otherwise stop, down to 1e-6. A schedule is called with the number of finished epochs, and is for all
        solvers except "lbfgs".
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Maximum number of epochs; with "lbfgs", of iterations.
    shuffle : bool, default=True
    random_state : int, numpy.random.RandomState or None, default=None
        Seed or source of random numbers. The initial parameters, the validation set and the order of the rows
        are drawn in this order, as in scikit-learn.
    tol : float, default=1e-4
        An epoch that improves the loss (or the validation score) by less counts for `n_iter_no_change`.
    verbose : bool, default=False
        Whether to show a progress bar in a terminal or a notebook, or to print a line an epoch elsewhere.
    warm_start : bool, default=False
        Whether `fit` starts from the parameters of the last fit, with the optimizer's memory.
    momentum : float, default=0.9
        With "sgd".
    nesterovs_momentum : bool, default=True
        With "sgd".
    early_stopping : bool, default=False
        Whether training stops when the validation score no longer improves, with the parameters of the best
        epoch.
    validation_fraction : float, default=0.1
        Share of the training data that is held out for validation, unless `fit` gets X_val and y_val.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999 and 1e-8
        With "adam", "adamw" and "nadam"; the betas with "lion" too, epsilon with "rmsprop" and "adagrad" too.
    n_iter_no_change : int or inf, default=10
    max_fun : int, default=15000
        With "lbfgs": maximum number of times that the loss is computed.
    loss : str or Loss, default="log_loss"
        "log_loss", "hinge", or a loss object.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes, by which the samples' weights are multiplied; a class that is not in the dict has
        weight 1. "balanced" for (sum of weights) / (n_classes * sum of the class's weights), with the weights
        of all samples given to `fit`; without weights they are numbers of samples. For several labels a
        sample: a list with a dict {0: weight, 1: weight} for each label, or "balanced" for each label. They
        become the loss's `pos_weight` and `neg_weight`.
    label_smoothing : float, default=0.0
        For the log loss; the targets are mixed with so much of the uniform distribution.
    dropout : float or sequence of float, default=0.0
        Probability that a hidden unit is set to 0 in training, for all hidden layers or one for each.
    normalization : {"batch", "layer", "rms"} or None, default=None
        Normalization layer before each activation.
    clip_norm, clip_value : float or None, default=None
        Maximum norm of the gradient, which is scaled down; maximum size of each entry, which is clipped. For
        solvers given by name, except "lbfgs".
    weight_averaging : float or None, default=None
        Decay of an exponential moving average of the parameters, which replaces them in predictions: 0.99.
    scoring : str, callable or None, default=None
        Validation score, larger for better models: a scorer of scikit-learn, its name, a function
        (estimator, X, y), "loss" for the negative validation loss, None for the accuracy. A scorer gets
        rows of the user's data frame with their columns, and the sample weights if it takes them (with metadata
        routing: if it requests them).
    dtype : {"float32", "float64"} or None, default=None
        Type in which the network computes; None for the type of X.
    callbacks : sequence of Callback, default=()
        Callbacks of this package. `set_callbacks` takes those of scikit-learn.
    keep_optimizer : bool, default=True
        Whether a fitted estimator keeps the state that only further training needs: the optimizer's memory (two
        numbers for each parameter with Adam) and the random state. Without them a pickle is little larger than
        the parameters.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        "formulas": the layers' own formulas in NumPy. "compiled": kernels, which need Numba (the extra `fast`)
        and give the same results to rounding. "auto": kernels if Numba is installed and a training of
        `max_iter` epochs is long enough to make up for loading them. "lbfgs" uses formulas.
    exact_compatibility : bool, default=False
        Whether to repeat the behavior of scikit-learn that is changed by default; see docs/scikit-learn.md.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coefs_, intercepts_ : list of ndarray
        Weights and biases of each layer.
    network_ : Sequential
        The trained network.
    history_ : History
        Losses, and further columns, of each epoch of the last fit.
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        An entry for each epoch of all fits. The second exists with validation data; the third is None without
        early stopping.
    loss_, best_loss_, best_validation_score_ : float
    n_iter_, t_, n_layers_, n_outputs_ : int
        Epochs of the last fit, samples seen in all fits, layers with the inputs, and outputs.
    out_activation_ : str
        Function that makes predictions of the network's outputs.
    n_features_in_, feature_names_in_
        As in all estimators of scikit-learn.

    Examples
    --------
    >>> from layernet import MLPClassifier
    >>> classifier = MLPClassifier((8,), solver="lbfgs", random_state=0)
    >>> classifier.fit([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "yes", "yes", "no"])
    MLPClassifier(hidden_layer_sizes=(8,), random_state=0, solver='lbfgs')
    >>> classifier.predict([[0.0, 1.0]])
    array(['yes'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPEstimator._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFIER_LOSSES)), Loss],
        "class_weight": [dict, list, tuple, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Layer | Sequence[str | Layer] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "log_loss",
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        normalization: str | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        weight_averaging: float | None = None,
        scoring: str | Callable[..., float] | None = None,
        dtype: Any = None,
        callbacks: Callback | Sequence[Callback] = (),
        keep_optimizer: bool = True,
        engine: str = "auto",
        exact_compatibility: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.normalization = normalization
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.weight_averaging = weight_averaging
        self.scoring = scoring
        self.dtype = dtype
        self.callbacks = callbacks
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.exact_compatibility = exact_compatibility


class MLPRegressor(BaseRegressor, MLPEstimator):
    """Multi-layer perceptron that predicts numbers, with scikit-learn's parameters and results.

    The parameters from `dropout` on are additions to scikit-learn's.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        "squared_error", "poisson" (predictions are exponentials of the outputs), "absolute_error", "huber",
        "quantile", or a loss object: QuantileLoss(0.9).
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    activation : str, Layer or sequence of these, default="relu"
        For all hidden layers, or one for each: "identity", "logistic", "tanh", "relu", "leaky_relu", "elu",
        "selu", "gelu", "silu", "mish", "softplus", "hard_sigmoid".
    solver : str or Optimizer, default="adam"
        "sgd", "adam", "lbfgs" (all rows in every step, with a line search), "adamw", "nadam", "rmsprop",
        "adagrad", "lion"; or an optimizer object, which is copied for every fit.
    alpha : float, default=0.0001
        L2 penalty: alpha / 2 * sum(weights**2) is added to the sum of a batch's losses.
    batch_size : int or "auto", default="auto"
        Rows of a batch, each of which makes a step; "auto" for 200, or for all rows if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"} or callable, default="constant"
        Rule for the learning rate with "sgd". "constant": learning_rate_init. "invscaling":
        learning_rate_init / (samples seen + 1)**power_t. "adaptive": divided by 5 whenever training would
        otherwise stop, down to 1e-6. A schedule is called with the number of finished epochs, and is for all
        solvers except "lbfgs".
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Maximum number of epochs; with "lbfgs", of iterations.
    shuffle : bool, default=True
    random_state : int, numpy.random.RandomState or None, default=None
        Seed or source of random numbers. The initial parameters, the validation set and the order of the rows
        are drawn in this order, as in scikit-learn.
    tol : float, default=1e-4
        An epoch that improves the loss (or the validation score) by less counts for `n_iter_no_change`.
    verbose : bool, default=False
        Whether to show a progress bar in a terminal or a notebook, or to print a line an epoch elsewhere.
    warm_start : bool, default=False
        Whether `fit` starts from the parameters of the last fit, with the optimizer's memory.
    momentum : float, default=0.9
        With "sgd".
    nesterovs_momentum : bool, default=True
        With "sgd".
    early_stopping : bool, default=False
        Whether training stops when the validation score no longer improves, with the parameters of the best
        epoch.
    validation_fraction : float, default=0.1
        Share of the training data that is held out for validation, unless `fit` gets X_val and y_val.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999 and 1e-8
        With "adam", "adamw" and "nadam"; the betas with "lion" too, epsilon with "rmsprop" and "adagrad" too.
    n_iter_no_change : int or inf, default=10
    max_fun : int, default=15000
        With "lbfgs": maximum number of times that the loss is computed.
    dropout : float or sequence of float, default=0.0
        Probability that a hidden unit is set to 0 in training, for all hidden layers or one for each.
    normalization : {"batch", "layer", "rms"} or None, default=None
        Normalization layer before each activation.
    clip_norm, clip_value : float or None, default=None
        Maximum norm of the gradient, which is scaled down; maximum size of each entry, which is clipped. For
        solvers given by name, except "lbfgs".
    weight_averaging : float or None, default=None
        Decay of an exponential moving average of the parameters, which replaces them in predictions: 0.99.
    scoring : str, callable or None, default=None
        Validation score, larger for better models: a scorer of scikit-learn, its name, a function
        (estimator, X, y), "loss" for the negative validation loss, None for R2. A scorer gets
        rows of the user's data frame with their columns, and the sample weights if it takes them (with metadata
        routing: if it requests them).
    dtype : {"float32", "float64"} or None, default=None
        Type in which the network computes; None for the type of X.
    callbacks : sequence of Callback, default=()
        Callbacks of this package. `set_callbacks` takes those of scikit-learn.
    keep_optimizer : bool, default=True
        Whether a fitted estimator keeps the state that only further training needs: the optimizer's memory (two
        numbers for each parameter with Adam) and the random state. Without them a pickle is little larger than
        the parameters.
    engine : {"auto", "compiled", "formulas"}, default="auto"
        "formulas": the layers' own formulas in NumPy. "compiled": kernels, which need Numba (the extra `fast`)
        and give the same results to rounding. "auto": kernels if Numba is installed and a training of
        `max_iter` epochs is long enough to make up for loading them. "lbfgs" uses formulas.
    exact_compatibility : bool, default=False
        Whether to repeat the behavior of scikit-learn that is changed by default; see docs/scikit-learn.md.
    target_scale : {"standard"} or None, default=None
        "standard" trains on (y - mean) / standard deviation of each output, and predicts in the units of y.
        Mean and standard deviation are the weighted ones of the first training data (the first call of
        `partial_fit`), without the rows that are held out; `init_from` copies those of its model. Losses, `tol`
        and the outputs of `network_` are in scaled units. Not for "poisson".

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights and biases of each layer.
    network_ : Sequential
        The trained network.
    history_ : History
        Losses, and further columns, of each epoch of the last fit.
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        An entry for each epoch of all fits. The second exists with validation data; the third is None without
        early stopping.
    loss_, best_loss_, best_validation_score_ : float
    n_iter_, t_, n_layers_, n_outputs_ : int
        Epochs of the last fit, samples seen in all fits, layers with the inputs, and outputs.
    out_activation_ : str
        Function that makes predictions of the network's outputs.
    n_features_in_, feature_names_in_
        As in all estimators of scikit-learn.

    Examples
    --------
    >>> from layernet import MLPRegressor
    >>> regressor = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, random_state=0)
    >>> regressor.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(2)
    array([7.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPEstimator._parameter_constraints,
        "loss": [StrOptions(set(REGRESSOR_LOSSES)), Loss],
        "target_scale": [StrOptions({"standard"}), None],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Layer | Sequence[str | Layer] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float | Sequence[float] = 0.0,
        normalization: str | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        weight_averaging: float | None = None,
        scoring: str | Callable[..., float] | None = None,
        dtype: Any = None,
        callbacks: Callback | Sequence[Callback] = (),
        keep_optimizer: bool = True,
        engine: str = "auto",
        exact_compatibility: bool = False,
        target_scale: str | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.normalization = normalization
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.weight_averaging = weight_averaging
        self.scoring = scoring
        self.dtype = dtype
        self.callbacks = callbacks
        self.keep_optimizer = keep_optimizer
        self.engine = engine
        self.exact_compatibility = exact_compatibility
        self.target_scale = target_scale
