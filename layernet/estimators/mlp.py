"""Multi-layer perceptrons as scikit-learn estimators: MLPClassifier, MLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from layernet.containers import Sequential
from layernet.layers import Dense, Identity, ReLU, Sigmoid, Softmax, Tanh
from layernet.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError
from layernet.optimizers import SGD, Adam, Optimizer
from layernet.training import EarlyStopping

ACTIVATIONS = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
SOLVERS = {"adam": Adam, "sgd": SGD}


class _MLP(BaseEstimator):
    """What the classifier and the regressor share: a network drawn up from their parameters."""

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        random_state=None,
        verbose=False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def _draw_network(self, n_outputs: int) -> Sequential:
        activation = pick(ACTIVATIONS, self.activation, "activation")
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int))
        hidden = [layer for size in sizes for layer in (Dense(int(size)), activation())]
        return Sequential([*hidden, Dense(n_outputs)])

    def _train(self, X: np.ndarray, targets: np.ndarray, n_outputs: int, loss: Loss) -> None:
        batch_size = min(200, len(X)) if self.batch_size == "auto" else min(self.batch_size, len(X))
        optimizer: Optimizer = pick(SOLVERS, self.solver, "solver")(
            # scikit-learn adds alpha / 2 * |weights|**2 to the sum of a batch's losses, not to their mean.
            learning_rate=self.learning_rate_init,
            weight_decay=self.alpha / batch_size,
        )
        network = self._draw_network(n_outputs)
        self.history_ = network.fit(
            X,
            targets,
            loss=loss,
            optimizer=optimizer,
            epochs=self.max_iter,
            batch_size=batch_size,
            callbacks=[EarlyStopping("loss", patience=10, min_delta=1e-4, restore_best=False)],
            random_state=check_random_state(self.random_state),
            verbose=int(self.verbose),
        )
        self.network_ = network
        self.loss_curve_ = self.history_["loss"]
        self.n_iter_ = len(self.loss_curve_)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self.network_.forward_pass(X)


class MLPClassifier(ClassifierMixin, _MLP):
    """A classifier: hidden layers of units, and a probability for each class.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Of the hidden layers.
    solver : {"adam", "sgd"}, default="adam"
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, as scikit-learn has it.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" for 200, or all if there are fewer.
    learning_rate_init : float, default=0.001
    max_iter : int, default=200
        Epochs at most; training ends earlier when the loss has not fallen by 0.0001 for 10 epochs.
    random_state : int, numpy.random.RandomState or None, default=None
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    network_ : Sequential
        Its outputs are logits, a single one for two classes.
    history_ : History
    loss_curve_ : list of float
    n_iter_ : int
        Epochs done.

    Examples
    --------
    >>> from layernet import MLPClassifier
    >>> classifier = MLPClassifier((8,), max_iter=500, learning_rate_init=0.1, random_state=0)
    >>> classifier.fit([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "yes", "yes", "no"])
    MLPClassifier(hidden_layer_sizes=(8,), learning_rate_init=0.1, max_iter=500,
                  random_state=0)
    >>> classifier.predict([[0.0, 1.0]])
    array(['yes'], dtype='<U3')
    """

    def fit(self, X, y) -> MLPClassifier:
        """Train on data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Class labels of any kind.

        Returns
        -------
        MLPClassifier
        """
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"MLPClassifier needs samples of at least 2 classes, got {self.classes_[0]!r}.")
        if len(self.classes_) == 2:
            self._train(X, targets, 1, BinaryCrossEntropy())
        else:
            self._train(X, targets, len(self.classes_), CrossEntropy())
        return self

    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to 1.
        """
        outputs = self._outputs(X)
        if len(self.classes_) == 2:
            # The softmax of (0, z) is (1 - s, s) with the logistic function s of z.
            outputs = np.hstack([np.zeros_like(outputs), outputs])
        return Softmax().forward_pass(outputs)

    def predict(self, X) -> np.ndarray:
        """The most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class MLPRegressor(RegressorMixin, _MLP):
    """A regressor: hidden layers of units, and a number for each output.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate_init, max_iter
        As for `MLPClassifier`.
    random_state, verbose
        As for `MLPClassifier`.

    Attributes
    ----------
    network_ : Sequential
    history_ : History
    loss_curve_ : list of float
        Mean squared errors.
    n_iter_ : int
        Epochs done.

    Examples
    --------
    >>> from layernet import MLPRegressor
    >>> regressor = MLPRegressor((), learning_rate_init=0.02, max_iter=5000, random_state=0)
    >>> regressor.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[1.0]]).round(1)
    array([3.])
    """

    def fit(self, X, y) -> MLPRegressor:
        """Train on data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        MLPRegressor
        """
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), multi_output=True, y_numeric=True)
        self._single = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self._train(X, targets, targets.shape[1], MeanSquaredError())
        return self

    def predict(self, X) -> np.ndarray:
        """The predicted numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Like `y` in `fit`.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if self._single else outputs


def pick(table: dict[str, type], name: str, parameter: str) -> type:
    """What a name stands for, or an error that lists the known ones."""
    if name not in table:
        raise ValueError(f"{parameter} must be one of {sorted(table)}, got {name!r}.")
    return table[name]
