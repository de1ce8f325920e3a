"""Optional dependencies, which are imported where they are used."""

from __future__ import annotations

from types import ModuleType


def pyplot(who: str) -> ModuleType:
    """Import `matplotlib.pyplot`.

    Parameters
    ----------
    who : str
        Function or class that draws, for the error.

    Returns
    -------
    module
        `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to install it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{who} draws with matplotlib, which is not installed: pip install matplotlib"
        ) from error
    return plt
