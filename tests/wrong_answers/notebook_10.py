"""Plausible wrong answers to the exercises of notebook 10."""

import math

import numpy as np


def bins_of_equal_width(probabilities, hits, n_bins):
    numbers = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    rows = [numbers == number for number in range(n_bins)]
    return np.array(
        [[probabilities[each].mean(), hits[each].mean()] if each.any() else [0, 0] for each in rows]
    )


def unsorted(probabilities, hits, n_bins):
    bins = np.array_split(np.arange(len(hits)), n_bins)
    return np.array([[probabilities[rows].mean(), hits[rows].mean()] for rows in bins])


def hits_stay_behind(probabilities, hits, n_bins):
    pairs = zip(np.array_split(np.sort(probabilities), n_bins), np.array_split(hits, n_bins), strict=True)
    return np.array([[p.mean(), h.mean()] for p, h in pairs])


def hits_are_sorted_too(probabilities, hits, n_bins):
    return hits_stay_behind(probabilities, np.sort(hits), n_bins)


def sorts_in_place(probabilities, hits, n_bins):
    order = np.argsort(probabilities, kind="stable")
    hits[:] = hits[order]
    probabilities.sort()
    return unsorted(probabilities, hits, n_bins)


def drops_the_rest(probabilities, hits, n_bins):
    order = np.argsort(probabilities, kind="stable")[: len(hits) // n_bins * n_bins]
    return unsorted(probabilities[order], hits[order], n_bins)


def ties_from_behind(probabilities, hits, n_bins):
    order = np.argsort(-probabilities, kind="stable")[::-1]
    bins = np.array_split(order, n_bins)
    return np.array([[probabilities[rows].mean(), hits[rows].mean()] for rows in bins])


def two_columns_swapped(probabilities, hits, n_bins):
    bins = np.array_split(np.argsort(probabilities, kind="stable"), n_bins)
    return np.array([[hits[rows].mean(), probabilities[rows].mean()] for rows in bins])


exercise_1 = [
    bins_of_equal_width,
    unsorted,
    hits_stay_behind,
    hits_are_sorted_too,
    sorts_in_place,
    drops_the_rest,
    ties_from_behind,
    two_columns_swapped,
]


def mean_square(predict, rows, targets):
    return np.mean((np.asarray(predict(rows)) - np.asarray(targets)) ** 2)


def aligned(predict, frame, targets, column, order):
    permuted = frame.assign(**{column: frame[column].iloc[order]})  # pandas puts every value back
    return mean_square(predict, permuted, targets) - mean_square(predict, frame, targets)


def by_labels(predict, frame, targets, column, order):
    permuted = frame.assign(**{column: frame[column].loc[order].to_numpy()})  # labels in place of positions
    return mean_square(predict, permuted, targets) - mean_square(predict, frame, targets)


def in_place(predict, frame, targets, column, order):
    before = mean_square(predict, frame, targets)
    frame[column] = frame[column].to_numpy()[order]
    return mean_square(predict, frame, targets) - before


def the_loss_alone(predict, frame, targets, column, order):
    return mean_square(predict, frame.assign(**{column: frame[column].to_numpy()[order]}), targets)


def whole_rows(predict, frame, targets, column, order):
    return mean_square(predict, frame.iloc[order], targets) - mean_square(predict, frame, targets)


def the_inverse_order(predict, frame, targets, column, order):
    permuted = frame.assign(**{column: frame[column].to_numpy()[np.argsort(order)]})
    return mean_square(predict, permuted, targets) - mean_square(predict, frame, targets)


def against_the_predictions(predict, frame, targets, column, order):
    return mean_square(predict, frame.assign(**{column: frame[column].to_numpy()[order]}), predict(frame))


def aligned_targets(predict, frame, targets, column, order):
    permuted = frame.assign(**{column: frame[column].to_numpy()[order]})
    if hasattr(targets, "reindex"):
        targets = targets.sort_index()
    return mean_square(predict, permuted, targets) - mean_square(predict, frame, targets)


exercise_2 = [
    aligned,
    by_labels,
    in_place,
    the_loss_alone,
    whole_rows,
    the_inverse_order,
    against_the_predictions,
    aligned_targets,
]


def by_interpolation(errors, coverage):
    return np.quantile(np.abs(errors), coverage)


def without_the_new_row(errors, coverage):
    return np.sort(np.abs(errors))[math.ceil(len(errors) * coverage) - 1]


def at_most_the_largest(errors, coverage):
    rank = min(len(errors), math.ceil((len(errors) + 1) * coverage))
    return np.sort(np.abs(errors))[rank - 1]


def rounded_down(errors, coverage):
    rank = max(1, math.floor((len(errors) + 1) * coverage))
    return np.sort(np.abs(errors))[rank - 1]


def one_rank_too_far(errors, coverage):
    rank = math.ceil((len(errors) + 1) * coverage)
    return np.sort(np.abs(errors))[rank] if rank < len(errors) else math.inf


def with_signs(errors, coverage):
    rank = math.ceil((len(errors) + 1) * coverage)
    return np.sort(errors)[rank - 1] if rank <= len(errors) else math.inf


def by_the_normal_distribution(errors, coverage):
    from scipy.stats import norm

    return norm.ppf((1 + coverage) / 2) * np.std(errors)


def sorted_in_place(errors, coverage):
    rank = math.ceil((len(errors) + 1) * coverage)
    errors.sort()
    return np.sort(np.abs(errors))[rank - 1] if rank <= len(errors) else math.inf


exercise_3 = [
    by_interpolation,
    without_the_new_row,
    at_most_the_largest,
    rounded_down,
    one_rank_too_far,
    with_signs,
    by_the_normal_distribution,
    sorted_in_place,
]
