"""Names of losses: one table for networks and estimators."""

from __future__ import annotations

from layernet.losses.deviance import HalfPoissonDeviance, HalfSquaredError
from layernet.losses.loss import Loss
from layernet.losses.regression import MeanAbsoluteError
from layernet.registry import find_by_name

# scikit-learn's names of losses whose classes have other names here. All other names are those of the classes.
SCIKIT_LEARN_NAMES: dict[str, type[Loss]] = {
    "squared_error": HalfSquaredError,
    "absolute_error": MeanAbsoluteError,
    "poisson": HalfPoissonDeviance,
}


def find_loss(value: str | Loss, argument: str = "loss") -> Loss:
    """Return a loss from its name, or the loss itself.

    Parameters
    ----------
    value : str or Loss
        scikit-learn's name (`"squared_error"`, `"absolute_error"`, `"poisson"`), or the name of a class, in
        either spelling and with or without "_loss" at its end: `"cross_entropy"`, `"HuberLoss"`, `"huber"`.
    argument : str, default="loss"
        Name of the user's argument, for errors.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If the name is unknown; the error lists the known names.
    TypeError
        If the value is neither a name nor a loss.

    Examples
    --------
    >>> find_loss("poisson"), find_loss("huber"), find_loss("cross_entropy")
    (HalfPoissonDeviance(), HuberLoss(), CrossEntropy())
    """
    if isinstance(value, str) and value in SCIKIT_LEARN_NAMES:
        return SCIKIT_LEARN_NAMES[value]()
    return find_by_name(Loss, value, argument)
