"""Warnings that point to the line of the user's own file, however deep in the package they are raised."""

from __future__ import annotations

import inspect
import warnings

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


def _package_of(frame):
    return str(frame.f_globals.get("__name__")).partition(".")[0]
