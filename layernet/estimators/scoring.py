"""Validation score of an estimator: the scorer, its rows and its sample weights."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _get_feature_names


def scorer_of(estimator: Any, scoring: str | Callable) -> Callable[[Any, Any, np.ndarray | None], float]:
    """Return the score of an estimator as a function of (X, y, sample_weight).

    Parameters
    ----------
    estimator : estimator
        Its parameters at the time of a call are used.
    scoring : str or callable
        A name that scikit-learn knows, a scorer, or a function (estimator, X, y).

    Returns
    -------
    callable
        It passes weights on only to a scorer that takes them.

    Raises
    ------
    ValueError
        If no scorer has this name. The returned function raises it if the score is not one number.
    """
    scorer = check_scoring(estimator, scoring)
    takes_weights = takes_sample_weight(scorer)

    def score(X: Any, y: Any, sample_weight: np.ndarray | None) -> float:
        weights = {"sample_weight": sample_weight} if takes_weights and sample_weight is not None else {}
        names_differ = (_get_feature_names(X) is None) == hasattr(estimator, "feature_names_in_")
        with warnings.catch_warnings() if names_differ else nullcontext():
            if names_differ:  # `fit` has warned already
                warnings.filterwarnings("ignore", "X (has|does not have valid) feature names", UserWarning)
            value = scorer(estimator, X, y, **weights)
        try:
            return float(np.reshape(value, ()))
        except (TypeError, ValueError):
            raise ValueError(
                f"scoring={scoring!r} must return one number, which early stopping compares from epoch to "
                f"epoch, got {value!r}. Give a scorer of one metric."
            ) from None

    return score


def takes_sample_weight(scorer: Callable) -> bool:
    """Return whether a scorer takes sample weights.

    With metadata routing: whether the scorer requests `sample_weight`. Without: whether its function has a
    parameter of that name.

    Parameters
    ----------
    scorer : callable
        A scorer of scikit-learn's, or a function (estimator, X, y).

    Returns
    -------
    bool
    """
    if get_config()["enable_metadata_routing"]:
        return "sample_weight" in get_routing_for_object(scorer).consumes("score", ["sample_weight"])
    try:
        if hasattr(scorer, "_accept_sample_weight"):
            return bool(scorer._accept_sample_weight())
        return "sample_weight" in inspect.signature(scorer).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return False


def rows_for_scorer(given: Any, checked: Any, rows: np.ndarray | None = None) -> Any:
    """Return validation data for a scorer: rows of the user's data frame, or the checked array.

    A scorer of the user may select columns by name.

    Parameters
    ----------
    given : object
        All data as the user gave them.
    checked : ndarray or sparse matrix
        The selected rows after the checks of `fit`.
    rows : ndarray of int, default=None
        Row numbers to select from `given`; None for all.

    Returns
    -------
    data frame, ndarray or sparse matrix
    """
    is_table = hasattr(given, "columns") or hasattr(given, "column_names")  # `column_names` is Arrow's
    if not is_table or checked.ndim == 1:
        return checked
    return given if rows is None else _safe_indexing(given, rows)
