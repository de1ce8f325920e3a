"""Warnings that show the line of the user's code, from any depth of the package."""

from __future__ import annotations

import inspect
import warnings
from types import FrameType

# Packages between a user's line and ours. `contextlib` stands between a `with` statement and what it enters.
NOT_THE_USER = {"layernet", "sklearn", "joblib", "scipy", "contextlib"}


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that shows the innermost line outside this package and scikit-learn.

    Counting stack frames would be wrong as soon as a function is called by another way: from a pipeline, a
    search, or a test. Where no frame is the user's (in a worker process of joblib, for instance), the
    outermost frame is shown.

    Parameters
    ----------
    message : str
    category : type of Warning, default=UserWarning

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("The learning rate is 0.")
    >>> str(caught[0].message)
    'The learning rate is 0.'
    """
    frame = inspect.currentframe()
    assert frame is not None  # CPython has frames
    while frame.f_back is not None and _package_of(frame) in NOT_THE_USER:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
