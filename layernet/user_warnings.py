"""Warnings that show the line of the user's code, from any depth of the package."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Packages that call this one, or that stand between a user's line and this package: pipelines, searches, worker
# threads and processes, `with` statements.
NOT_THE_USER = frozenset(
    {
        *("layernet", "sklearn", "joblib", "scipy", "numpy", "pandas"),
        *("asyncio", "concurrent", "contextlib", "functools", "multiprocessing", "runpy", "threading"),
    }
)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that shows the innermost line outside `NOT_THE_USER`.

    A fixed number of stack frames would be wrong as soon as a function is called by another way: from a
    pipeline, a search, or a test. In a worker thread or process no frame is the user's; the warning then shows
    the line of this package that issues it.

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
    issuer = sys._getframe(1)
    frame: FrameType | None = issuer
    while frame is not None and _package_of(frame) in NOT_THE_USER:
        frame = frame.f_back
    shown = issuer if frame is None else frame
    warnings.warn_explicit(
        message,
        category,
        filename=shown.f_code.co_filename,
        lineno=shown.f_lineno,
        module=shown.f_globals.get("__name__", "<unknown>"),
        registry=shown.f_globals.setdefault("__warningregistry__", {}),
    )


def _package_of(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    spec = frame.f_globals.get("__spec__")
    if name == "__main__" and spec is not None:  # python -m package.module, as joblib starts its workers
        name = spec.name
    return str(name).partition(".")[0]
