"""Validation data of an estimator: rows held out of the training data, and the losses and scores on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from layernet.engine.inference import InferencePlans
from layernet.estimators.samples import Samples
from layernet.estimators.scoring import scorer_of
from layernet.layer import Layer
from layernet.training.outputs import outputs_in_blocks

if TYPE_CHECKING:
    from layernet.estimators.base import NetworkEstimator


class ValidationData(NamedTuple):
    """Samples that a network is validated on, and the same rows as a scorer gets them."""

    samples: Samples
    # A data frame with its columns where the user gave one, otherwise the checked array.
    X_for_scorer: Any
    y_for_scorer: Any


def split_rows(
    n_samples: int, fraction: float, random: np.random.RandomState, labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers to train on and those to hold out, drawn as scikit-learn draws them.

    Parameters
    ----------
    n_samples : int
    fraction : float
        Share of the rows to hold out.
    random : numpy.random.RandomState
    labels : ndarray of shape (n_samples,) or None
        Labels of two classes. Both parts get the same share of each class. None splits without regard to y.

    Returns
    -------
    tuple of ndarray of int

    Raises
    ------
    ValueError
        If a class has too few samples for both parts.

    Examples
    --------
    >>> split_rows(6, 0.4, np.random.RandomState(0), np.array([0, 0, 0, 0, 1, 1]))
    (array([2, 4, 3]), array([5, 1, 0]))
    """
    # A column, as scikit-learn's MLP stratifies: it splits other rows for a one-dimensional array.
    strata = None if labels is None else (labels == np.unique(labels)[-1])[:, None]
    try:
        kept, held_out = train_test_split(
            np.arange(n_samples), random_state=random, test_size=fraction, stratify=strata
        )
    except ValueError as error:
        if labels is None:
            raise
        counts = " and ".join(f"{(labels == one).sum()} of class {one}" for one in np.unique(labels))
        raise ValueError(
            f"early_stopping=True needs both classes in the samples to train on and in those to validate on, "
            f"got {counts}, of which validation_fraction={fraction:g} is held out. Give more samples, or "
            f"fit(..., X_val=..., y_val=...). scikit-learn says: {error}"
        ) from None
    return kept, held_out


def validation_function(
    estimator: NetworkEstimator, network: Layer, engine: str, validation: ValidationData
) -> Callable[[], dict[str, float]]:
    """Return a function that computes `val_loss` and, with early stopping, `val_score` of a network.

    Parameters
    ----------
    estimator : NetworkEstimator
        A scorer calls its methods, which use its attribute `network_`.
    network : Layer
        Built. Its parameters at the time of the call are used.
    engine : {"auto", "compiled", "formulas"}
    validation : ValidationData

    Returns
    -------
    callable
    """
    X, y, weights = validation.samples
    targets = estimator._targets
    encoded = targets.encode(y, network.dtype)
    plans = InferencePlans(network)
    needs_score = estimator.early_stopping and not estimator._uses_lbfgs
    has_scorer = needs_score and estimator.scoring not in (None, "loss")
    scorer = scorer_of(estimator, estimator.scoring) if has_scorer else None

    def validate() -> dict[str, float]:
        outputs = outputs_in_blocks(network, X, engine=engine, plans=plans)
        loss = float(targets.loss.bind(encoded, weights).forward_pass(outputs))
        if not needs_score:
            return {"val_loss": loss}
        if scorer is not None:
            score = scorer(validation.X_for_scorer, validation.y_for_scorer, weights)
        elif estimator.scoring == "loss":
            score = -loss
        else:
            score = targets.score(y, outputs, weights)
        return {"val_loss": loss, "val_score": score}

    return validate
