"""Linear models of an encoded table, as components of an ensemble."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from layernet.estimators.folds import Fold
from layernet.estimators.tables.links import Link
from layernet.estimators.tables.member import EncodedTable

MAX_ITERATIONS = 200
# Of a gradient. Its weight in the mixture is coarser than what further iterations change.
TOLERANCE = 1e-3
# A linear model whose loss on the first fold exceeds this multiple of the networks' loss is left out. Its
# weight would be about 0, and fits to the other folds would cost time.
HOPELESS = 2.0


class LinearModel:
    """Logistic or ridge regression of an encoded table.

    Parameters
    ----------
    table : EncodedTable
    rows : ndarray of int, or slice
        The rows that it is fitted to.
    """

    def __init__(self, table: EncodedTable, rows: Any) -> None:
        self.n_columns = table.layout.n_numbers + table.layout.n_flags  # level codes are no numbers
        self.n_outputs = table.n_outputs
        weights = None if table.weights is None else table.weights[rows]
        inputs, targets = table.inputs[rows, : self.n_columns], table.targets[rows]
        if table.is_classification:
            self.model = LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE)
        else:
            self.model = Ridge()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(inputs, targets, sample_weight=weights)

    def predictions(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of all classes, or the numbers; of shape (n_rows, n_outputs)."""
        inputs = inputs[:, : self.n_columns]
        if isinstance(self.model, Ridge):
            return self.model.predict(inputs).reshape(len(inputs), self.n_outputs)
        probabilities = np.zeros((len(inputs), self.n_outputs))
        probabilities[:, self.model.classes_] = self.model.predict_proba(inputs)
        # They have the inputs' type, in which sums are 1 to fewer digits than metrics ask for.
        return probabilities / probabilities.sum(axis=1, keepdims=True)


def fit_to_folds(
    table: EncodedTable, folds: Sequence[Fold], link: Link, of_networks: np.ndarray
) -> tuple[list[LinearModel], np.ndarray] | None:
    """Fit a linear model to the training rows of each fold, and predict the held-out rows.

    Parameters
    ----------
    table : EncodedTable
    folds : sequence of Fold
    link : Link
    of_networks : ndarray of shape (n_rows, n_outputs)
        Out-of-fold predictions of the networks.

    Returns
    -------
    models : list of LinearModel
        One for each fold.
    predictions : ndarray of shape (n_rows, n_outputs)
        NaN for rows that no fold holds out.

    None instead if a linear model cannot be fitted, or is so bad for the first fold that no mixture needs it.
    """
    if not table.layout.n_numbers + table.layout.n_flags:
        return None
    models, predictions = [], np.full(of_networks.shape, np.nan)
    for index, fold in enumerate(folds):
        if table.is_classification and np.ptp(table.targets[fold.training_rows]) == 0:
            return None  # one class
        rows = fold.held_out_rows
        models.append(LinearModel(table, fold.training_rows))
        predictions[rows] = models[-1].predictions(table.inputs[rows])
        if index == 0:
            targets, weights = table.targets[rows], table.weights_of(rows)
            linear, networks = (
                link.mean_loss(each[rows], targets, weights) for each in (predictions, of_networks)
            )
            if linear > HOPELESS * networks:
                return None
    return models, predictions
