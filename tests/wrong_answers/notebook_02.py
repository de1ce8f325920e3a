"""Plausible wrong answers to the exercises of notebook 2."""

import numpy as np
import sklearn.neural_network
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler, scale
from solutions.notebook_02 import Band, upper

from layernet import MLPClassifier, QuantileLoss

network = MLPClassifier((8,), learning_rate_init=0.01, batch_size=64, tol=1e-3, random_state=0)
whole_table = StandardScaler().fit(load_breast_cancer().data)

# Scaled by numbers that were written down once, in one laboratory's units.
scaled_by_constants = make_pipeline(
    FunctionTransformer(lambda X: (X - whole_table.mean_) / whole_table.scale_), network
)
# Every row divided by its length: the columns keep their units.
scaled_by_rows = make_pipeline(Normalizer(), network)


exercise_1 = [
    # No scaler at all, in a pipeline and without one.
    make_pipeline(network),
    network,
    # Scaled by the rows that happen to be there, in training and in prediction alike.
    make_pipeline(FunctionTransformer(scale), network),
    # Scaled by the whole table, test rows and all.
    make_pipeline(FunctionTransformer(whole_table.transform), network),
    # Different in every fit.
    make_pipeline(StandardScaler(), clone(network).set_params(random_state=None)),
    # Good, but not the network asked for.
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), sklearn.neural_network.MLPClassifier(random_state=0)),
    # Trained far too short.
    make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=1, random_state=0)),
    # The accuracy in the place of the model.
    0.97,
    scaled_by_constants,
    scaled_by_rows,
]

UNITS = "regressor__networkregressor__network__0__units"
RATE = "regressor__networkregressor__optimizer__learning_rate"
grid = {UNITS: [4, 16], RATE: [0.003, 0.03]}
scorer = make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False)


def swapped(y, predicted):
    # The loss of the targets as predictions of the predictions.
    return mean_pinball_loss(predicted, y, alpha=0.9)


# Other models than upper: they do not learn by the quantile loss.
by_squared_errors = GridSearchCV(
    clone(upper).set_params(regressor__networkregressor__loss="mean_squared_error"), grid, scoring=scorer
)
with_a_grid_of_losses = GridSearchCV(
    upper, {**grid, "regressor__networkregressor__loss": [QuantileLoss(0.5)]}, scoring=scorer
)


def largest(y, predicted):
    # The worst row alone.
    return max(mean_pinball_loss(y[i : i + 1], predicted[i : i + 1], alpha=0.9) for i in range(len(y)))


def total(y, predicted):
    # A sum: a large fold counts more than a small one.
    return len(y) * mean_pinball_loss(y, predicted, alpha=0.9)


def squared(y, predicted):
    # In the right direction, but its mean over folds has another smallest model.
    return mean_pinball_loss(y, predicted, alpha=0.9) ** 2


by_the_largest_error, by_the_sum, by_squares = (
    GridSearchCV(upper, grid, scoring=make_scorer(loss, greater_is_better=False))
    for loss in (largest, total, squared)
)


exercise_2 = [
    # The sign is forgotten: the search picks the worst.
    GridSearchCV(upper, grid, scoring=make_scorer(mean_pinball_loss, alpha=0.9)),
    # Another quantile: the median, and the lower end.
    GridSearchCV(upper, grid, scoring=make_scorer(mean_pinball_loss, greater_is_better=False)),
    GridSearchCV(upper, grid, scoring=make_scorer(mean_pinball_loss, alpha=0.1, greater_is_better=False)),
    GridSearchCV(upper, grid, scoring=make_scorer(swapped, greater_is_better=False)),
    # The default score, R2.
    GridSearchCV(upper, grid),
    # A path that does not begin at the outside.
    GridSearchCV(upper, {"networkregressor__network__0__units": [4, 16], RATE: [0.003, 0.03]}, scoring=scorer),
    # The output layer in the place of the first.
    GridSearchCV(upper, {UNITS.replace("0", "2"): [4, 16], RATE: [0.003, 0.03]}, scoring=scorer),
    # One of the two parameters, and the two one after the other.
    GridSearchCV(upper, {UNITS: [4, 16]}, scoring=scorer),
    GridSearchCV(upper, [{UNITS: [4, 16]}, {RATE: [0.003, 0.03]}], scoring=scorer),
    # A dictionary of parameters in the place of the search.
    grid,
    by_squared_errors,
    with_a_grid_of_losses,
    by_the_largest_error,
    by_the_sum,
    by_squares,
]


class QuantilesFixed(Band):
    # Right for a share of 0.8 only.
    def fit(self, X, y):
        self.models_ = [clone(self.model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in (0.1, 0.9)]
        return self


class TailsTooHeavy(Band):
    # The whole rest on each side.
    def fit(self, X, y):
        quantiles = 1 - self.share, self.share
        self.models_ = [clone(self.model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in quantiles]
        return self


class NotCloned(Band):
    # One model, fitted twice: both ends are the upper one.
    def fit(self, X, y):
        quantiles = (1 - self.share) / 2, (1 + self.share) / 2
        self.models_ = [self.model.set_params(loss=QuantileLoss(q)).fit(X, y) for q in quantiles]
        return self


class NothingReturned(Band):
    def fit(self, X, y):
        super().fit(X, y)


class UpperEndFirst(Band):
    def predict(self, X):
        return super().predict(X)[:, ::-1]


class RowsForColumns(Band):
    def predict(self, X):
        return np.array([model.predict(X) for model in self.models_])


class PairOfArrays(Band):
    def predict(self, X):
        return tuple(model.predict(X) for model in self.models_)


class ComputedInTheConstructor(RegressorMixin, BaseEstimator):
    # A share that is set later has no effect.
    def __init__(self, model, share=0.8):
        self.model = model
        self.share = share
        self.quantiles = (1 - share) / 2, (1 + share) / 2

    def fit(self, X, y):
        self.models_ = [clone(self.model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in self.quantiles]
        return self

    predict = Band.predict


class CopiedInTheConstructor(Band):
    # clone() finds another object than it gave.
    def __init__(self, model, share=0.8):
        self.model = clone(model)
        self.share = share


class AnotherName(Band):
    # get_params looks for `share` and does not find it.
    def __init__(self, model, share=0.8):
        self.model = model
        self.width = share


class NamesWithoutUnderscore(Band):
    # scikit-learn takes what has no underscore for a parameter.
    def fit(self, X, y):
        quantiles = (1 - self.share) / 2, (1 + self.share) / 2
        self.models = [clone(self.model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in quantiles]
        return self

    def predict(self, X):
        return np.column_stack([model.predict(X) for model in self.models])


class FittedOnce(Band):
    # The second fit is ignored.
    def fit(self, X, y):
        return self if hasattr(self, "models_") else super().fit(X, y)


class MoreInTheConstructor(Band):
    # It does more than store its arguments.
    def __init__(self, model, share=0.8):
        self.model = model
        self.share = share
        self.models_ = None


class Rows(Band):
    # A list of pairs has no shape.
    def predict(self, X):
        return [list(pair) for pair in super().predict(X)]


exercise_3 = [
    QuantilesFixed,
    TailsTooHeavy,
    NotCloned,
    NothingReturned,
    UpperEndFirst,
    RowsForColumns,
    PairOfArrays,
    ComputedInTheConstructor,
    CopiedInTheConstructor,
    AnotherName,
    Band(network),  # an estimator, where the class was asked for
    NamesWithoutUnderscore,
    FittedOnce,
    MoreInTheConstructor,
    Rows,
]
