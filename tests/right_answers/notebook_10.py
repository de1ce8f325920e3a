"""Right answers to the exercises of notebook 10, in unusual forms."""

import math

import numpy as np
import pandas as pd


def by_pandas(probabilities, hits, n_bins):
    frame = pd.DataFrame({"p": probabilities, "hit": hits}).sort_values("p", kind="stable", ignore_index=True)
    size, rest = divmod(len(frame), n_bins)
    numbers = np.repeat(np.arange(n_bins), [size + (number < rest) for number in range(n_bins)])
    return frame.groupby(numbers).mean()


def in_lists(probabilities, hits, n_bins):
    pairs = sorted(zip(probabilities, hits, strict=True), key=lambda pair: pair[0])
    result, start = [], 0
    for number in range(n_bins):
        stop = start + len(pairs) // n_bins + (number < len(pairs) % n_bins)
        chosen = pairs[start:stop]
        result.append((sum(p for p, _ in chosen) / len(chosen), sum(h for _, h in chosen) / len(chosen)))
        start = stop
    return result


exercise_1 = [by_pandas, in_lists]


def with_a_reset_index(predict, frame, targets, column, order):
    rows = frame.reset_index(drop=True)
    permuted = rows.copy()
    permuted[column] = rows[column].iloc[order].reset_index(drop=True)
    targets = list(targets)
    losses = [((pd.Series(predict(each)) - pd.Series(targets)) ** 2).mean() for each in (rows, permuted)]
    return losses[1] - losses[0]


def row_by_row(predict, frame, targets, column, order):
    place, permuted = frame.columns.get_loc(column), frame.copy()
    for row, other in enumerate(order):
        permuted.iloc[row, place] = frame.iloc[other, place]
    errors = (
        np.asarray(predict(permuted)) - np.asarray(targets),
        np.asarray(predict(frame)) - np.asarray(targets),
    )
    return np.array((errors[0] @ errors[0] - errors[1] @ errors[1]) / len(order))


exercise_2 = [with_a_reset_index, row_by_row]


def with_infinity_at_the_end(errors, coverage):
    ranked = sorted([*map(abs, errors), math.inf])
    return ranked[math.ceil(len(ranked) * coverage) - 1]


def by_counting(errors, coverage):
    sizes = np.append(np.abs(errors), np.inf)
    shares = (sizes <= sizes[:, None]).mean(axis=1)
    return sizes[shares >= coverage - 1e-12].min()


exercise_3 = [with_infinity_at_the_end, by_counting]
