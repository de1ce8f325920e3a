"""Equal rows of a table, merged into one row with the sum of their weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from layernet.estimators.row_hashes import hash_rows_64


class DistinctRows(NamedTuple):
    """Rows of a table without repetitions.

    Attributes
    ----------
    rows : ndarray of int, of shape (n_distinct,)
        A row number for each distinct row, in an order that depends on the rows' values alone.
    weights : ndarray of shape (n_distinct,), float64, or None
        Sum of the weights of equal rows; None if all are 1.
    inverse : ndarray of int, of shape (n_rows,)
        For each row the position of its distinct row; -1 for a row of weight 0.
    """

    rows: np.ndarray
    weights: np.ndarray | None
    inverse: np.ndarray


def find_distinct_rows(
    inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, keys: np.ndarray | None = None
) -> DistinctRows:
    """Merge equal rows, leave out rows of weight 0, and sort the rest.

    So a row with weight 2 is the same as two equal rows, no network is judged by a row that it was trained on,
    and the order of the rows does not matter.

    Rows whose inputs have several targets stay as they are, and the first two do not hold for them. Merged,
    each target would be in one fold with all its rows, and the networks that judge it would have seen the
    other targets alone.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_columns)
    targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weights : ndarray of shape (n_rows,) or None
    keys : ndarray of int, of shape (n_rows,), default=None
        Only rows with the same key are merged.

    Returns
    -------
    DistinctRows

    Examples
    --------
    >>> inputs = np.array([[1.0], [2.0], [1.0], [3.0]])
    >>> distinct = find_distinct_rows(inputs, np.zeros(4), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> dict(zip(inputs[distinct.rows, 0].tolist(), distinct.weights.tolist())) == {1.0: 2.0, 2.0: 1.0}
    True
    >>> len(find_distinct_rows(inputs, np.array([0.0, 0.0, 1.0, 0.0]), None).rows)  # 1.0 has two targets
    4
    """
    targets = targets.reshape(len(targets), -1).astype(np.float64)
    input_hashes, target_hashes = hash_rows_64(inputs), hash_rows_64(targets)
    hashes = input_hashes ^ (target_hashes * np.uint64(0xD6E8FEB86659FD93))
    if keys is not None:
        hashes ^= keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    used = np.arange(len(inputs)) if weights is None else np.flatnonzero(weights)
    sorting = np.argsort(hashes[used], kind="stable")
    order = used[sorting]
    is_new = np.ones(len(order), bool)
    repeats = 1 + np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    this, before = order[repeats], order[repeats - 1]
    is_equal = (inputs[this] == inputs[before]).all(axis=1) & (targets[this] == targets[before]).all(axis=1)
    if keys is not None:
        is_equal &= keys[this] == keys[before]
    is_equal &= ~has_several_targets(input_hashes[used], target_hashes[used])[sorting[repeats]]
    is_new[repeats[is_equal]] = False
    position = np.cumsum(is_new) - 1
    inverse = np.full(len(inputs), -1)
    inverse[order] = position
    if weights is None and is_new.all():
        return DistinctRows(order, None, inverse)
    sums = np.bincount(position, weights=None if weights is None else weights[order])
    return DistinctRows(order[is_new], sums.astype(np.float64), inverse)


def has_several_targets(input_hashes: np.ndarray, target_hashes: np.ndarray) -> np.ndarray:
    """Return for each row whether a row with the same inputs has another target.

    Parameters
    ----------
    input_hashes, target_hashes : ndarray of uint64, of shape (n_rows,)

    Returns
    -------
    ndarray of bool, of shape (n_rows,)

    Examples
    --------
    >>> inputs, targets = np.array([7, 8, 7, 8], np.uint64), np.array([1, 1, 2, 1], np.uint64)
    >>> has_several_targets(inputs, targets)
    array([ True, False,  True, False])
    """
    _, first, group = np.unique(input_hashes, return_index=True, return_inverse=True)
    differs = target_hashes != target_hashes[first][group]
    return np.bincount(group, weights=differs)[group] > 0
