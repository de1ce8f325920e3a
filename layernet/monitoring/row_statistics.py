"""Statistics of rows and their targets: contradictions between equal rows, and the order of rows."""

from __future__ import annotations

import numpy as np

# Smaller batches are taken together. An optimizer averages over about this many rows, so that the order within
# fewer rows does no harm.
MIN_BATCH_ROWS = 16


def share_of_contradictions(rows: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of the targets' variance between rows with equal inputs, which no function explains.

    With g the groups of equal rows, of sizes n_g, and t the targets,

        share = (sum_g n_g / (n_g - 1) sum_i (t_i - mean_g)**2) / (sum_i (t_i - mean)**2),

    where the first factor makes the expected share 1 for independently drawn targets.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
    targets : ndarray of shape (n_rows, ...)
        Class numbers in one dimension, or numbers.

    Returns
    -------
    float
        0 if no two rows are equal.

    Examples
    --------
    >>> rows = np.array([[1.0], [1.0], [2.0], [2.0]])
    >>> [share_of_contradictions(rows, np.array(targets)) for targets in ([0, 1, 0, 1], [0, 0, 1, 1])]
    [2.0, 0.0]
    """
    rows = np.ascontiguousarray(rows.reshape(len(rows), -1)) + 0.0  # -0.0 becomes 0.0
    numbers: dict[bytes, int] = {}
    groups = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
    if len(numbers) == len(rows):
        return 0.0
    sizes = np.bincount(groups)
    if targets.dtype.kind in "iu":
        counts = np.bincount(targets)
        total = len(targets) - float(np.square(counts.astype(float)).sum()) / len(targets)
        pairs, together = np.unique(np.stack([groups, targets]), axis=1, return_counts=True)
        squares = sizes - np.bincount(pairs[0], np.square(together.astype(float))) / sizes
    else:
        centered = targets.reshape(len(rows), -1) - targets.reshape(len(rows), -1).mean(axis=0)
        total, squares = float(np.square(centered).sum()), np.zeros(len(sizes))
        for column in centered.T:
            means = np.bincount(groups, column) / sizes
            squares += np.bincount(groups, np.square(column - means[groups]))
    if not total > 0:
        return 0.0
    return float((squares * sizes / np.maximum(sizes - 1, 1)).sum() / total)


def share_between_batches(targets: np.ndarray, order: np.ndarray | None, batch_size: int) -> float | None:
    """Return the share of the targets' variance between batches: 1 for sorted rows, 0 for shuffled rows.

    With b the batches, of sizes n_b,

        share = sum_b n_b |mean_b - mean|**2 / sum_i |t_i - mean|**2,

    minus the mean for shuffled rows, (n_batches - 1) / (n - 1), and scaled so that 1 stays 1.
    Batches of fewer than 16 rows are taken together.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, ...)
        Class numbers in one dimension, or numbers.
    order : ndarray of int or None
        Row numbers in the order of the epoch; None for the order of the data.
    batch_size : int

    Returns
    -------
    float or None
        None with a single batch, or with constant targets.

    References
    ----------
    Fisher (1925), Statistical methods for research workers: the correlation ratio.
    """
    ordered = targets if order is None else targets[order]
    n_rows, size = len(ordered), batch_size * -(-MIN_BATCH_ROWS // batch_size)
    starts = np.arange(0, n_rows, size)
    if len(starts) < 2:
        return None
    sizes = np.diff([*starts, n_rows])
    if ordered.dtype.kind in "iu":
        batch = np.repeat(np.arange(len(starts)), sizes)
        n_classes = int(ordered.max(initial=0)) + 1
        # Count only the pairs that occur: a table of all batches and classes may be large.
        pairs, counts = np.unique(batch * n_classes + ordered, return_counts=True)
        around = np.square(np.bincount(ordered).astype(float)).sum() / n_rows
        between = (np.square(counts.astype(float)) / sizes[pairs // n_classes]).sum() - around
        total = n_rows - around
    else:
        columns = ordered.reshape(n_rows, -1).astype(np.float64)
        columns = columns - columns.mean(axis=0)
        sums = np.add.reduceat(columns, starts, axis=0)
        between, total = (np.square(sums).sum(axis=1) / sizes).sum(), np.square(columns).sum()
    if not total > 0:
        return None
    by_chance = (len(starts) - 1) / (n_rows - 1)
    return float((between / total - by_chance) / (1 - by_chance)) if by_chance < 1 else None
