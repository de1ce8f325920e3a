"""The validation score: a scorer, the rows that it sees, and the weights that it is given."""

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
    """The score of an estimator as a function of data and their weights.

    Parameters
    ----------
    estimator : estimator
        Predicts with the parameters that it has whenever the function is called.
    scoring : str or callable
        A name that scikit-learn knows, a scorer, or a function (estimator, X, y).

    Returns
    -------
    callable
        Of (X, y, sample_weight). Only a scorer that takes weights is given them.

    Raises
    ------
    ValueError
        If there is no scorer of this name, or (by the function) if the score is not one number.
    """
    scorer = check_scoring(estimator, scoring)
    takes_weights = takes_sample_weight(scorer)

    def score(X, y, sample_weight):
        weights = {"sample_weight": sample_weight} if takes_weights and sample_weight is not None else {}
        names_differ = (_get_feature_names(X) is None) == hasattr(estimator, "feature_names_in_")
        with warnings.catch_warnings() if names_differ else nullcontext():
            if names_differ:  # `fit` has warned once that only one of X and X_val has names
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
    """Whether a scorer is to be given sample weights.

    With metadata routing, whether it requests `sample_weight`; without, whether its function has a parameter of
    that name.

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
    except (TypeError, ValueError):  # functions written in C may have no signature
        return False


def as_given(given: Any, checked: Any, rows: np.ndarray | None = None) -> Any:
    """Validation data for a scorer: rows of the user's data frame with its columns, or of the checked array.

    Parameters
    ----------
    given : object
        What the user gave.
    checked : ndarray or sparse matrix
        What was made of it, of the rows alone.
    rows : ndarray of int, default=None
        Which rows of `given`; None for all.

    Returns
    -------
    data frame, ndarray or sparse matrix
    """
    is_table = hasattr(given, "columns") or hasattr(given, "column_names")  # the latter is Arrow's
    if not is_table or checked.ndim == 1:
        return checked
    return given if rows is None else _safe_indexing(given, rows)
