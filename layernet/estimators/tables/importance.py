"""Importance of the columns of a table, by permutation of rows that networks were not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layernet.estimators.folds import Fold
from layernet.estimators.tables.ensemble import Ensemble
from layernet.estimators.tables.member import EncodedTable

# Held-out rows that importances are computed from, and permutations of each column.
N_ROWS, N_PERMUTATIONS = 1000, 2


class HeldOutSample:
    """Some rows of the training data, with the folds that they were held out in.

    Parameters
    ----------
    table : EncodedTable
    folds : sequence of Fold
    ensemble : Ensemble
        Only folds that its networks were not trained on are used.
    seed : int
    """

    def __init__(self, table: EncodedTable, folds: Sequence[Fold], ensemble: Ensemble, seed: int) -> None:
        random = np.random.default_rng(seed)
        used = sorted({member.fold for each in ensemble.components for member in each.members})
        n_of_fold = max(1, N_ROWS // len(used))
        self.rows_of_folds = {}
        for fold in used:
            rows = random.permutation(folds[fold].held_out_rows)[:n_of_fold]
            self.rows_of_folds[fold] = (table.inputs[rows], table.targets[rows], table.weights_of(rows))

    def importances(self, ensemble: Ensemble, outputs_of_columns: Sequence[np.ndarray]) -> np.ndarray:
        """Return how much the loss increases if the values of a column are those of other rows.

        The values come from rows of all folds: within a fold of one group, a column of the group is constant.

        Parameters
        ----------
        ensemble : Ensemble
        outputs_of_columns : sequence of ndarray of int
            For each column of the table the numbers of its encoded columns.

        Returns
        -------
        ndarray of shape (n_columns,)
            At least 0, with sum 1 unless all are 0.
        """
        random = np.random.default_rng(0)
        pool = np.concatenate([inputs for inputs, _, _ in self.rows_of_folds.values()])
        increases = np.zeros(len(outputs_of_columns))
        for fold, (inputs, targets, weights) in self.rows_of_folds.items():
            n_or_weight = len(inputs) if weights is None else weights.sum()
            before = ensemble.loss_of_fold(fold, inputs, targets, weights)
            for column, outputs in enumerate(outputs_of_columns):
                if not len(outputs):
                    continue
                for _ in range(N_PERMUTATIONS):
                    changed = inputs.copy()
                    others = random.choice(len(pool), len(inputs), replace=False)
                    changed[:, outputs] = pool[others][:, outputs]
                    increase = ensemble.loss_of_fold(fold, changed, targets, weights) - before
                    increases[column] += increase * n_or_weight
        increases = np.maximum(increases, 0)
        total = increases.sum()
        return increases / total if total > 0 else increases
