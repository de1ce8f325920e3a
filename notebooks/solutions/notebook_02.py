"""Solutions to the exercises of notebook 2."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from layernet import Dense, MLPClassifier, NetworkRegressor, QuantileLoss, Sequential, Tanh

# A scaler inside the pipeline learns its means and deviations in `fit`, from the training rows of that fold,
# and uses them for whatever it is asked about later. So units cancel, and one row is scaled as it would be
# among others. Scaling the whole table beforehand would let the test rows have a say in the training; scaling
# in `predict` by the mean of the rows asked about would make the answer for one patient depend on the others.
exercise_1 = make_pipeline(
    StandardScaler(),
    MLPClassifier((32,), alpha=1.0, learning_rate_init=0.003, batch_size=32, tol=1e-3, random_state=0),
)


# From the outside in: the target's scaler has a `regressor`, which is a pipeline; its step is named after the
# class, and has a `network` and an `optimizer`; layer 0 of the network has `units`. The score has to be the
# loss that the quantile minimises, for R2 would reward a prediction near the mean. A loss is better when it
# is smaller, and a search takes the largest score: `greater_is_better=False` turns the sign.
network = Sequential([Dense(8), Tanh(), Dense(1)])
upper = TransformedTargetRegressor(
    make_pipeline(
        StandardScaler(),
        NetworkRegressor(network, loss=QuantileLoss(0.9), batch_size=32, tol=1e-3, random_state=0),
    ),
    transformer=StandardScaler(),
)
exercise_2 = GridSearchCV(
    upper,
    {
        "regressor__networkregressor__network__0__units": [4, 16],
        "regressor__networkregressor__optimizer__learning_rate": [0.003, 0.03],
    },
    scoring=make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False),
)


class Band(RegressorMixin, BaseEstimator):
    """Two quantiles between which a share of the targets should lie.

    Of the rest, 1 - share, one half belongs below and one half above: the quantiles are (1 - share) / 2 and
    (1 + share) / 2. They are computed in `fit`, not in the constructor, because `set_params` may change the
    share in between; and `model` is only copied, because a search hands the same object to every candidate.
    One model fitted twice would end up with both ends of the band at the second quantile.
    """

    def __init__(self, model, share=0.8):
        self.model = model
        self.share = share

    def fit(self, X, y):
        quantiles = (1 - self.share) / 2, (1 + self.share) / 2
        self.models_ = [clone(self.model).set_params(loss=QuantileLoss(q)).fit(X, y) for q in quantiles]
        return self

    def predict(self, X):
        return np.column_stack([model.predict(X) for model in self.models_])


exercise_3 = Band
