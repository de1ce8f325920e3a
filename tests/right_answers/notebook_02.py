"""Right answers to the exercises of notebook 2, in unusual forms."""

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from solutions.notebook_02 import Band, upper

from layernet import Adam, Dense, MLPClassifier, QuantileLoss, Sequential, Tanh

network = MLPClassifier((16,), learning_rate_init=0.01, batch_size=32, tol=1e-3, random_state=0)

exercise_1 = [
    make_pipeline(scaler, network)
    for scaler in (
        MinMaxScaler(),
        RobustScaler(),
        MaxAbsScaler(),
        PowerTransformer(),
        QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        make_pipeline(StandardScaler(), PCA(12, whiten=True)),
        ColumnTransformer([("all", StandardScaler(), slice(0, 30))]),
    )
]
exercise_1 += [
    make_pipeline(SimpleImputer(), FunctionTransformer(), StandardScaler(), network),
    Pipeline([("nothing", "passthrough"), ("scale", StandardScaler(with_mean=True)), ("net", network)]),
]

UNITS = "regressor__networkregressor__network__0__units"
RATE = "regressor__networkregressor__optimizer__learning_rate"
grid = {UNITS: [4, 16], RATE: [0.003, 0.03]}
scorer = make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False)


def by_hand(model, X, y):
    missing = y - model.predict(X)
    return -np.mean(np.maximum(0.9 * missing, -0.1 * missing))


def in_thousandths(y, predicted):
    return 1000 * mean_pinball_loss(y, predicted, alpha=0.9)


exercise_2 = [
    GridSearchCV(upper, grid, scoring=by_hand, cv=3),
    # A multiple of the loss has its smallest value at the same model.
    GridSearchCV(upper, grid, scoring=make_scorer(in_thousandths, greater_is_better=False)),
    # Whole networks and whole optimizers.
    GridSearchCV(
        upper,
        {
            "regressor__networkregressor__network": [
                Sequential([Dense(units), Tanh(), Dense(1)]) for units in (4, 16)
            ],
            "regressor__networkregressor__optimizer": [Adam(0.003), Adam(0.03)],
        },
        scoring=scorer,
    ),
    # Two scores, of which one picks; and the four pairs in two grids.
    GridSearchCV(upper, grid, scoring={"loss": scorer, "r2": "r2"}, refit="loss"),
    GridSearchCV(upper, [{UNITS: [units], RATE: [0.03, 0.003]} for units in (16, 4)], scoring=scorer),
]


class InOrder(Band):
    """Where the two quantiles cross, the lower end is the smaller number."""

    def predict(self, X):
        return np.sort(super().predict(X), axis=1)


class TwoModels(BaseEstimator):
    """Attributes with names of their own, and no mixin."""

    def __init__(self, model, share=0.8):
        self.model = model
        self.share = share

    def fit(self, X, y):
        half = self.share / 2
        self.lower_ = clone(self.model).set_params(loss=QuantileLoss(0.5 - half)).fit(X, y)
        self.upper_ = clone(self.model).set_params(loss=QuantileLoss(0.5 + half)).fit(X, y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.vstack((self.lower_.predict(X), self.upper_.predict(X))).T


exercise_3 = [InOrder, TwoModels]
